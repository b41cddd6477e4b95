//! The other side of a context, in the hands of a test: a transport of memory ends that can be cut,
//! refused and broken, and what an optimizer would send and see.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "each test program uses a part of it, and what fails here fails the test"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dfo_context::model::{Ack, AckStatus, ActionPlan, Knob, KnobType, Range, Registration, Value};
use dfo_context::transport::memory::{self, MemorySink, MemorySource};
use dfo_context::transport::{
    ApplicationEnds, Capabilities, Closed, ErrorKind, Operation, OptimizerEnds, OptionSpec,
    Options, Record, Sink, Source, Transport, TransportError,
};
use dfo_context::{Builder, Context, Function, LiveKnob, Status};

/// Long enough for the slowest machine; nothing waits so long where all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The optimizer's place, as the application's transport reaches it. A clone is the same place.
#[derive(Clone, Default)]
pub struct Optimizer {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    /// How often an application opened the transport, in vain or not.
    attempts: u64,
    /// What the next openings meet, before any succeeds.
    refusals: VecDeque<ErrorKind>,
    /// Whether nobody is there: every opening is refused.
    is_away: bool,
    connection: Option<Connection>,
    connections: u64,
    faults: Faults,
}

/// What the ends of a transport do wrong.
#[derive(Clone, Default)]
pub struct Faults {
    /// Errors of the next calls of `receive`, of whatever ends.
    pub receiving: VecDeque<ErrorKind>,
    /// Errors of the next calls of `send`.
    pub sending: VecDeque<ErrorKind>,
    /// The next `receive` panics.
    pub panics: bool,
    /// Every application gets every plan.
    pub fan_out: bool,
    /// Nothing can be told to the optimizer.
    pub has_no_control: bool,
    /// Registrations and acknowledgements that are on their way at most; 0 is very many.
    pub control_capacity: usize,
}

struct Connection {
    plans: MemorySink,
    control: MemorySource,
    waiting: VecDeque<Record>,
}

impl Optimizer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Nobody is there yet.
    pub fn away() -> Self {
        let optimizer = Self::default();
        optimizer.lock().is_away = true;
        optimizer
    }

    pub fn with_faults(faults: Faults) -> Self {
        let optimizer = Self::default();
        optimizer.lock().faults = faults;
        optimizer
    }

    pub fn refusing(refusals: impl IntoIterator<Item = ErrorKind>) -> Self {
        let optimizer = Self::default();
        optimizer.lock().refusals.extend(refusals);
        optimizer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    /// Looks at the state, or changes it; whoever waits for a change sees it.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.lock());
        self.shared.1.notify_all();
        result
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let waited = self
            .shared
            .1
            .wait_timeout_while(self.lock(), PATIENCE, |s| !is_so(s));
        assert!(!waited.unwrap().1.timed_out(), "{what} did not come");
    }

    pub fn transport(&self) -> MemoryTransport {
        MemoryTransport(self.clone())
    }

    /// A context that reaches this optimizer, and has short patience.
    pub fn context(&self) -> Context {
        self.builder().start().unwrap()
    }

    pub fn builder(&self) -> Builder {
        Context::builder("app")
            .node("n1")
            .back_off(Duration::from_millis(1), Duration::from_millis(20))
            .transport(self.transport(), [("address", "here")])
    }

    pub fn fault(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// Waits until the ends have done wrong what they were to do wrong in receiving.
    pub fn wait_until_faults_are_met(&self) {
        self.wait_until("the faults", |state| state.faults.receiving.is_empty());
    }

    /// Waits until applications have tried so often to open the transport.
    pub fn wait_for_attempts(&self, number: u64) {
        self.wait_until("another try", |state| state.attempts >= number);
    }

    pub fn attempts(&self) -> u64 {
        self.lock().attempts
    }

    pub fn connections(&self) -> u64 {
        self.lock().connections
    }

    /// Waits until an application has opened the transport so often.
    pub fn wait_for_connection(&self, number: u64) {
        self.wait_until("a connection", |state| state.connections >= number);
    }

    /// Is killed: its ends go away, and nobody is there.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.is_away = true;
        state.connection = None;
    }

    /// Is there again.
    pub fn come_back(&self) {
        self.lock().is_away = false;
    }

    /// Its ends go away, but the next opening succeeds.
    pub fn cut(&self) {
        self.lock().connection = None;
    }

    pub fn send(&self, plan: &ActionPlan) {
        let metadata = serde_json::to_vec(&plan.metadata()).unwrap();
        self.send_record(Record::new(metadata, serde_json::to_vec(plan).unwrap()));
    }

    pub fn send_payload(&self, payload: impl Into<Vec<u8>>) {
        self.send_record(Record::new("", payload.into()));
    }

    pub fn send_record(&self, record: Record) {
        self.send_records([record]);
    }

    pub fn send_records(&self, records: impl IntoIterator<Item = Record>) {
        self.wait_until("a connection", |state| state.connection.is_some());
        let mut plans = self.lock().connection.as_ref().unwrap().plans.clone();
        block_on(async {
            for record in records {
                plans.send(record).await.unwrap();
            }
        });
    }

    /// The next record that an application sent, of whatever kind.
    pub fn next_record(&self) -> Record {
        self.next_record_within(PATIENCE).expect("a record")
    }

    fn next_record_within(&self, patience: Duration) -> Option<Record> {
        let end = Instant::now() + patience;
        loop {
            if let Some(connection) = &mut self.lock().connection {
                if connection.waiting.is_empty() {
                    let source = &mut connection.control;
                    let moment = Duration::from_millis(5);
                    let batch =
                        block_on(async { tokio::time::timeout(moment, source.receive(64)).await });
                    connection
                        .waiting
                        .extend(batch.into_iter().flatten().flatten());
                }
                if let Some(record) = connection.waiting.pop_front() {
                    return Some(record);
                }
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::yield_now();
        }
    }

    /// The next acknowledgement; registrations are passed over.
    pub fn next_ack(&self) -> Ack {
        loop {
            let record = self.next_record();
            if is_of_type(&record, "action_ack") {
                return Ack::decode(&record.payload).into_result().unwrap();
            }
        }
    }

    /// The next registration; acknowledgements are passed over.
    pub fn next_registration(&self) -> Registration {
        loop {
            let record = self.next_record();
            if is_of_type(&record, "knob_registration") {
                return Registration::decode(&record.payload).into_result().unwrap();
            }
        }
    }

    /// All that was sent until the application said that it stops, which must be the last.
    pub fn until_stop(&self) -> (Vec<Ack>, Record) {
        let mut acks = Vec::new();
        loop {
            let record = self.next_record();
            if is_of_type(&record, "stop") {
                return (acks, record);
            }
            if is_of_type(&record, "action_ack") {
                acks.push(Ack::decode(&record.payload).into_result().unwrap());
            }
        }
    }
}

fn is_of_type(record: &Record, kind: &str) -> bool {
    let metadata: serde_json::Value = serde_json::from_slice(&record.metadata).unwrap();
    metadata["type"] == kind
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: Runtime = Runtime::new();
    }
    RUNTIME.with(|runtime| runtime.0.block_on(future))
}

struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    fn new() -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Runtime(runtime.enable_time().build().unwrap())
    }
}

/// Waits until the context's status is as wanted.
pub fn wait_for(context: &Context, what: &str, is_so: impl Fn(&Status) -> bool) {
    let came = context.wait_for(PATIENCE, is_so);
    assert!(came, "{what} did not come: {:?}", context.status());
}

pub struct MemoryTransport(Optimizer);

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("address", "ADDRESS", "Where the optimizer is."),
    OptionSpec::new("size", "N", "How much."),
];

#[async_trait]
impl Transport for MemoryTransport {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn about(&self) -> &'static str {
        "Within one process"
    }

    fn options(&self) -> &'static [OptionSpec] {
        OPTIONS
    }

    async fn optimizer(&self, _: &Options) -> Result<OptimizerEnds, TransportError> {
        Ok(OptimizerEnds::default())
    }

    async fn diagnoser(&self, _: &Options) -> Result<Box<dyn Sink>, TransportError> {
        Ok(Box::new(memory::pair(1).0))
    }

    async fn application(&self, options: &Options) -> Result<ApplicationEnds, TransportError> {
        options.required("address")?;
        options.parsed::<u32>("size", "a whole number")?;
        self.0.with(|state| state.attempts += 1);
        let mut state = self.0.lock();
        let refusal = state.refusals.pop_front();
        let away = state.is_away.then_some(ErrorKind::Unreachable);
        if let Some(kind) = refusal.or(away) {
            return Err(error(kind, Operation::Open));
        }
        let (plans, source) = memory::pair(4096);
        let capacity = match state.faults.control_capacity {
            0 => 1 << 16,
            capacity => capacity,
        };
        let (sink, control) = memory::pair(capacity);
        let waiting = VecDeque::new();
        state.connections += 1;
        state.connection = Some(Connection {
            plans,
            control,
            waiting,
        });
        let has_control = !state.faults.has_no_control;
        drop(state);
        self.0.with(|_| {});
        let sink = FaultySink(self.0.clone(), sink);
        Ok(ApplicationEnds {
            plans: Box::new(FaultySource(self.0.clone(), source)),
            control: has_control.then(|| Box::new(sink) as Box<dyn Sink>),
        })
    }
}

fn error(kind: ErrorKind, operation: Operation) -> TransportError {
    TransportError::new(kind, operation, "memory", "as the test wants it")
}

struct FaultySource(Optimizer, MemorySource);

#[async_trait]
impl Source for FaultySource {
    fn capabilities(&self) -> Capabilities {
        match self.0.lock().faults.fan_out {
            true => Capabilities::stream().with_fan_out(),
            false => Capabilities::stream(),
        }
    }

    async fn receive(&mut self, limit: usize) -> Result<Vec<Record>, TransportError> {
        let (fault, panics) = self.0.with(|state| {
            let faults = &mut state.faults;
            let panics = std::mem::take(&mut faults.panics);
            (faults.receiving.pop_front(), panics)
        });
        assert!(!panics, "as the test wants it");
        match fault {
            Some(kind) => Err(error(kind, Operation::Receive)),
            None => self.1.receive(limit).await,
        }
    }

    async fn close(self: Box<Self>, deadline: Duration) -> Result<(), TransportError> {
        Box::new(self.1).close(deadline).await
    }
}

struct FaultySink(Optimizer, MemorySink);

#[async_trait]
impl Sink for FaultySink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        let fault = self.0.lock().faults.sending.pop_front();
        match fault {
            Some(kind) => Err(error(kind, Operation::Send)),
            None => self.1.send(record).await,
        }
    }

    async fn flush(&mut self, _: Duration) -> Result<(), TransportError> {
        // What memory holds has left, as far as a transport can tell.
        Ok(())
    }

    async fn close(self: Box<Self>, _: Duration) -> Result<Closed, TransportError> {
        Ok(Closed::default())
    }
}

/// An int knob `app.<parameter>` of 1 to 16, with this value now.
pub fn int_knob(parameter: &str, value: i64) -> LiveKnob {
    let mut knob = Knob::new("", KnobType::Int, 2);
    knob.range = Some(Range::new(1, 16));
    LiveKnob::new(parameter, knob).with_value(value)
}

/// `train` with the knob `app.k`, whose value is 2.
pub fn train(context: &Context) -> Function {
    context.register("train", [int_knob("k", 2)]).unwrap()
}

/// A plan for `app.k` of `train`, for the next window boundary of every node.
pub fn plan(id: &str, new_value: impl Into<Value>) -> ActionPlan {
    plan_for("app.k", id, new_value)
}

pub fn plan_for(knob: &str, id: &str, new_value: impl Into<Value>) -> ActionPlan {
    ActionPlan {
        plan_id: id.to_owned(),
        knob_id: knob.to_owned(),
        target_function: "train".to_owned(),
        old_value: Some(Value::Int(2)),
        new_value: new_value.into(),
        apply_when: "window_boundary".to_owned(),
        rationale: "fetching holds it up".to_owned(),
        finding_type: "fetch_pressure".to_owned(),
        severity: 0.8,
        opportunity_tag: "reader_parallelism".to_owned(),
        window_index: 7,
        target_nodes: Vec::new(),
    }
}

/// The same plan for another boundary.
pub fn at(mut plan: ActionPlan, apply_when: &str) -> ActionPlan {
    apply_when.clone_into(&mut plan.apply_when);
    plan
}

/// The same plan for these nodes.
pub fn for_nodes(mut plan: ActionPlan, nodes: &[&str]) -> ActionPlan {
    plan.target_nodes = nodes.iter().map(|n| (*n).to_owned()).collect();
    plan
}

/// Status, reason.
pub fn said(ack: &Ack) -> (AckStatus, &str) {
    (ack.status, ack.reason.as_str())
}
