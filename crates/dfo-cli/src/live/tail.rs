//! `dfo tail`: plans, as an application would receive them.

use clap::{ArgMatches, Args};
use dfo_model::{Ack, AckStatus, ActionPlan, Envelope, KnobPack};
use dfo_planner::{PlanIds, Planner, Settings};
use dfo_transport::{ApplicationEnds, Record, Role, Sink};

use super::{Chosen, FreeOptions, Known};
use crate::args::Format;
use crate::exit::{Exit, Failure};
use crate::output::Console;
use crate::report::{self, Report};

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// For eyes, or the plans as they came, one JSON object a line.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Stop after so many plans.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Acknowledge each plan as applied, so that the optimizer goes on.
    #[arg(long)]
    ack: bool,
    #[command(flatten)]
    free: FreeOptions,
}

/// `dfo tail`.
pub(crate) fn run(
    matches: &ArgMatches,
    known: &Known,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let Some(Chosen {
        args,
        transport,
        mut given,
    }) = super::chosen::<TailArgs>(matches, Role::Application, known)?
    else {
        return Err(Failure::Usage("which transport?".to_owned()));
    };
    given.extend(args.free.options.iter().cloned());
    let options = super::options(transport, Role::Application, given, Vec::new())?;
    let mut report = report(known, console)?;
    let runtime = super::runtime()?;
    let bad = runtime.block_on(async {
        let stop = super::asked_to_stop()?;
        let ends = transport.application(&options).await;
        let ends = ends.map_err(|error| super::cannot_open(&error))?;
        if args.ack && ends.control.is_none() {
            let what = "--ack needs somewhere to send acknowledgements; name the control address";
            return Err(Failure::Usage(what.to_owned()));
        }
        tokio::select! {
            () = stop => Ok(0),
            done = show(&args, ends, &mut *report, console) => done,
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    Ok(match bad? {
        0 => Exit::Done,
        _ => Exit::SomeBad,
    })
}

/// Knobs of the packs make the columns as wide as they will be.
fn report(known: &Known, console: &Console) -> Result<Box<dyn Report>, Failure> {
    let mut planner = Planner::new(Settings::default(), PlanIds::from_seed(0));
    for pack in &known.packs {
        let pack: &dyn KnobPack = &**pack;
        if let Ok(bootstrap) = pack.bootstrap(&|_| None) {
            planner.handle(dfo_planner::Event::Bootstrap(&bootstrap.registration));
        }
    }
    report::report(Format::Text, "dfo.tail", &planner, console.styles)
}

/// Shows plans until there are enough, or no more. How many were none.
async fn show(
    args: &TailArgs,
    mut ends: ApplicationEnds,
    report: &mut dyn Report,
    console: &mut Console,
) -> Result<u64, Failure> {
    let (mut shown, mut bad) = (0, 0);
    let failed = |error: dfo_transport::TransportError| Failure::CannotRead(error.to_string());
    while args.count.is_none_or(|count| shown < count) {
        // One at a time: what is beyond the count stays for others.
        let batch = ends.plans.receive(1).await.map_err(failed)?;
        let Some(record) = batch.first() else {
            break;
        };
        if Envelope::decode(&record.metadata).is_ok_and(|e| e.ends_stream) {
            break;
        }
        match ActionPlan::decode(&record.payload).into_result() {
            Ok(plan) => {
                shown += 1;
                write(args.format, &plan, record, report, console)?;
                if let (true, Some(control)) = (args.ack, &mut ends.control) {
                    acknowledge(&plan, &mut **control).await?;
                }
            }
            Err(problem) => {
                bad += 1;
                console.say(&format!("dfo: no plan: {problem}"));
            }
        }
    }
    if let Some(control) = ends.control {
        let patience = std::time::Duration::from_secs(2);
        control.close(patience).await.map_err(failed)?;
    }
    Ok(bad)
}

fn write(
    format: Format,
    plan: &ActionPlan,
    record: &Record,
    report: &mut dyn Report,
    console: &mut Console,
) -> Result<(), Failure> {
    let out = console.out();
    match format {
        Format::Text => report.plan(plan, out)?,
        Format::Json => {
            out.write_all(&record.payload)?;
            out.write_all(b"\n")?;
        }
    }
    // Who watches wants each plan when it comes.
    out.flush()?;
    Ok(())
}

async fn acknowledge(plan: &ActionPlan, control: &mut dyn Sink) -> Result<(), Failure> {
    let ack = Ack {
        knob_id: plan.knob_id.clone(),
        old_value: plan.old_value.clone(),
        new_value: Some(plan.new_value.clone()),
        window_index: (plan.window_index >= 0).then_some(plan.window_index),
        target_nodes: plan.target_nodes.clone(),
        ..Ack::new(&plan.plan_id, AckStatus::Applied)
    };
    let json = |part: serde_json::Result<Vec<u8>>| {
        part.map_err(|error| Failure::CannotRead(error.to_string()))
    };
    let metadata = json(serde_json::to_vec(&ack.metadata()))?;
    let payload = json(serde_json::to_vec(&ack))?;
    let sent = control.send(Record::new(metadata, payload)).await;
    sent.map_err(|error| Failure::CannotRead(error.to_string()))
}
