//! In a forked child all is quiet until a context is started there.
//!
//! A program of its own, since a fork of a test runner would take its threads' locks along. The
//! transport is a Unix socket, so that the child could do harm: it has the parent's socket too.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dfo_context::model::{Ack, AckStatus};
use dfo_context::transport::{
    ApplicationEnds, Capabilities, Closed, Operation, OptimizerEnds, OptionSpec, Options, Record,
    Sink, Source, Transport, TransportError, memory,
};
use dfo_context::{Action, Actions, Boundary, Context, Function, Link};
use fork::{Fork, WEXITSTATUS, WIFEXITED};
use support::{PATIENCE, int_knob, plan, train, wait_for};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, Lines};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let parent = std::process::id();
    let result = tempfile::tempdir()
        .map_err(Failure::from)
        .and_then(|folder| {
            let result = run(folder.path());
            if std::process::id() != parent {
                // It is the parent's.
                std::mem::forget(folder);
            }
            result
        });
    match result {
        // The parent's, or the child's.
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}: {error}", std::process::id());
            ExitCode::FAILURE
        }
    }
}

/// Forks again and again, while plans come in all the time: a lock may be held at any moment.
fn run(folder: &Path) -> Result<(), Failure> {
    const FORKS: usize = 20;
    let optimizer = Optimizer::listen(&folder.join("parent"))?;
    let context = start(&optimizer.path)?;
    let train = train(&context);
    let mut connection = optimizer.accept()?;
    for number in 0..FORKS {
        for i in 0..200 {
            connection.send(&plan(&format!("{number}-{i}"), 3))?;
        }
        wait_for(&context, "a plan", |s| s.plans_waiting == 1);
        let in_hand = train.window_boundary();
        for i in 200..400 {
            connection.send(&plan(&format!("{number}-{i}"), 4))?;
        }
        match fork::fork()? {
            Fork::Child => {
                return child(context, &train, in_hand, &folder.join(format!("{number}")));
            }
            Fork::Parent(pid) => wait_for_child(pid)?,
        }
        let last = format!("{number}-399");
        wait_for(&context, "all plans", |s| {
            s.plans.received == (number as u64 + 1) * 400
        });
        in_hand.for_each(Action::applied);
        ensure(apply(&train) == 1, "the last plan is applied")?;
        // Each plan is answered once: nothing of it came from the child.
        let acks = (0..400).map(|_| connection.next_ack());
        let acks: Vec<Ack> = acks.collect::<Result<_, _>>()?;
        let applied = acks
            .iter()
            .filter(|a| a.status == AckStatus::Applied)
            .count();
        ensure((1..=2).contains(&applied), "most plans are superseded")?;
        ensure(
            acks.last().is_some_and(|ack| ack.plan_id == last),
            "the last is the last",
        )?;
    }
    context.stop();
    ensure(
        connection.next_line()?.contains(r#""type":"stop""#),
        "a stop comes from the parent",
    )?;
    Ok(())
}

fn child(
    context: Context,
    train: &Function,
    in_hand: Actions,
    socket: &Path,
) -> Result<(), Failure> {
    // Should anything hang, the parent is not to wait.
    let (_alive, end) = channel::<()>();
    std::thread::spawn(move || {
        if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            std::process::abort();
        }
    });
    ensure(
        context.status().link == Link::Forked,
        "it is said to be a fork",
    )?;
    ensure(train.epoch_boundary().is_empty(), "no plans")?;
    ensure(
        context.at("train", Boundary::Epoch).is_empty(),
        "no plans by name",
    )?;
    ensure(
        train.set_value("k", 5).is_ok() && train.value("k").is_none(),
        "no values",
    )?;
    context.stage(plan("in the child", 3));
    in_hand.for_each(Action::applied);
    let own = context.register("own", [int_knob("own", 4)])?;
    ensure(
        own.value("own") == Some(4.into()),
        "what is registered here lives here",
    )?;
    context.stop();
    drop(context);

    let optimizer = Optimizer::listen(socket)?;
    let context = start(&optimizer.path)?;
    let train = support::train(&context);
    let mut connection = optimizer.accept()?;
    connection.send(&plan("for the child", 6))?;
    wait_for(&context, "a plan", |s| s.plans_waiting == 1);
    ensure(apply(&train) == 1, "the child has plans of its own")?;
    ensure(
        connection.next_ack()?.instance == context.instance(),
        "and answers them",
    )?;
    Ok(())
}

fn start(socket: &Path) -> Result<Context, Failure> {
    let transport = SocketTransport(socket.to_owned());
    let none: [(&str, &str); 0] = [];
    Ok(Context::builder("app")
        .node("n1")
        .transport(transport, none)
        .start()?)
}

fn apply(function: &Function) -> usize {
    function.apply_at(Boundary::Window, |_| Ok::<_, String>(()))
}

fn wait_for_child(pid: i32) -> Result<(), Failure> {
    let status = fork::waitpid(pid)?;
    let is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ensure(is_well, "the child ends well")
}

fn ensure(is_so: bool, what: &str) -> Result<(), Failure> {
    if is_so {
        Ok(())
    } else {
        Err(format!("not so: {what}").into())
    }
}

/// The optimizer's end: records are lines, metadata and payload with a tab between.
struct Optimizer {
    path: PathBuf,
    listener: UnixListener,
}

struct Connection {
    stream: UnixStream,
    lines: Receiver<String>,
}

impl Optimizer {
    fn listen(path: &Path) -> Result<Self, Failure> {
        let listener = UnixListener::bind(path)?;
        let path = path.to_owned();
        Ok(Optimizer { path, listener })
    }

    fn accept(&self) -> Result<Connection, Failure> {
        let (stream, _) = self.listener.accept()?;
        let reader = BufReader::new(stream.try_clone()?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Connection { stream, lines })
    }
}

impl Connection {
    fn send(&mut self, plan: &dfo_context::model::ActionPlan) -> Result<(), Failure> {
        let text = format!("{{}}\t{}\n", serde_json::to_string(plan)?);
        Ok(self.stream.write_all(text.as_bytes())?)
    }

    fn next_line(&self) -> Result<String, Failure> {
        Ok(self.lines.recv_timeout(PATIENCE)?)
    }

    fn next_ack(&self) -> Result<Ack, Failure> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let line = self.next_line()?;
            if let Some((metadata, payload)) = line.split_once('\t')
                && metadata.contains("action_ack")
            {
                return Ok(Ack::decode(payload.as_bytes()).into_result()?);
            }
        }
        Err("no acknowledgement came".into())
    }
}

struct SocketTransport(PathBuf);

#[async_trait]
impl Transport for SocketTransport {
    fn name(&self) -> &'static str {
        "socket"
    }

    fn about(&self) -> &'static str {
        "Lines over a Unix socket"
    }

    fn options(&self) -> &'static [OptionSpec] {
        &[]
    }

    async fn optimizer(&self, _: &Options) -> Result<OptimizerEnds, TransportError> {
        Ok(OptimizerEnds::default())
    }

    async fn diagnoser(&self, _: &Options) -> Result<Box<dyn Sink>, TransportError> {
        Ok(Box::new(memory::pair(1).0))
    }

    async fn application(&self, _: &Options) -> Result<ApplicationEnds, TransportError> {
        let stream = tokio::net::UnixStream::connect(&self.0).await;
        let stream = stream.map_err(|e| TransportError::from_io(Operation::Open, "socket", e))?;
        let (reader, writer) = stream.into_split();
        let lines = tokio::io::BufReader::new(reader).lines();
        Ok(ApplicationEnds {
            plans: Box::new(LineSource(lines)),
            control: Some(Box::new(LineSink(writer))),
        })
    }
}

struct LineSource(Lines<tokio::io::BufReader<tokio::net::unix::OwnedReadHalf>>);

#[async_trait]
impl Source for LineSource {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn receive(&mut self, _: usize) -> Result<Vec<Record>, TransportError> {
        let line = self.0.next_line().await;
        let line = line.map_err(|e| TransportError::from_io(Operation::Receive, "socket", e))?;
        let records = line.iter().filter_map(|line| line.split_once('\t'));
        let records = records.map(|(m, p)| Record::new(m.to_owned(), p.to_owned()));
        Ok(records.collect())
    }

    async fn close(self: Box<Self>, _: Duration) -> Result<(), TransportError> {
        Ok(())
    }
}

struct LineSink(tokio::net::unix::OwnedWriteHalf);

#[async_trait]
impl Sink for LineSink {
    fn capabilities(&self) -> Capabilities {
        Capabilities::stream()
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        let line = [&record.metadata[..], b"\t", &record.payload[..], b"\n"].concat();
        let sent = self.0.write_all(&line).await;
        sent.map_err(|e| TransportError::from_io(Operation::Send, "socket", e))
    }

    async fn flush(&mut self, _: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(self: Box<Self>, _: Duration) -> Result<Closed, TransportError> {
        Ok(Closed::default())
    }
}
