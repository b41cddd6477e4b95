//! `dfo serve`: the service over a transport, until it is asked to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgMatches, Args};
use dfo_service::{AckMode, Ended, JournalSettings, Service};
use dfo_transport::{OptimizerEnds, Options, Role, Transport};

use super::config::Config;
use super::journal::{JournalArgs, Kept};
use super::levels::Levels;
use super::log::Log;
use super::metrics;
use super::operator::Doors;
use super::{Chosen, FreeOptions, Known};
use crate::args::{Format, KnobSources, Whose, ack_mode};
use crate::ctl;
use crate::exit::{Exit, Failure};
use crate::knobs::{self, variable};
use crate::output::Console;
use crate::report::{self, Level, SERVICE, Target};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// A configuration file (TOML): all of this, by the names of the flags, and the transport's
    /// options in `[options]`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    knobs: KnobSources,
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help = IDLE_TIMEOUT)]
    idle_timeout: Option<f64>,
    /// So many ends of stream end a source of findings. [default: as many as it had senders at one
    /// time]
    #[arg(long, value_name = "N")]
    senders: Option<usize>,
    /// How often applications repeat their registration; who misses three is silent. [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    heartbeat: Option<f64>,
    /// So many plans wait for each consumer, at most; the oldest go first. [default: 10000]
    #[arg(long, value_name = "N")]
    plan_queue: Option<usize>,
    /// Keep records that cannot be used in this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    dead_letter: Option<PathBuf>,
    /// That file does not grow beyond so many bytes. [default: 104857600]
    #[arg(long, value_name = "BYTES")]
    dead_letter_limit: Option<u64>,
    /// Send no plans; acknowledge them in the applications' place.
    #[arg(long)]
    dry_run: bool,
    /// In a dry run, when plans are acknowledged: `immediate`, `never`, or `delay=N` windows later.
    /// [default: immediate]
    #[arg(long, value_name = "MODE", value_parser = ack_mode)]
    acks: Option<AckMode>,
    /// How to decide where there is more than one good way. [default: ours]
    #[arg(long, value_name = "WHOSE")]
    settings: Option<Whose>,
    /// Tell each decision, also not to act; `DFOPTIMIZER_DEBUG=1` and `--log-level
    /// decisions=debug,plans=debug` do the same.
    #[arg(long)]
    explain: bool,
    /// How to tell, on standard error: for eyes, or one JSON object a line. [default: text]
    #[arg(long, value_name = "FORMAT", visible_alias = "format")]
    log_format: Option<Format>,
    /// What to tell: a level (debug, info, warning, error), or TARGET=LEVEL, or several with commas.
    /// Targets: service, plans, decisions, applications, records, links, journal. [default: info]
    #[arg(long, value_name = "LEVELS", value_parser = Levels::read)]
    log_level: Option<Levels>,
    #[arg(long, value_name = "SOCKET", help = CONTROL)]
    control_socket: Option<PathBuf>,
    /// Serve metrics and health over HTTP at this address; without HOST at 127.0.0.1.
    #[arg(long, value_name = "HOST:PORT", value_parser = metrics::check_address)]
    metrics_address: Option<String>,
    #[command(flatten)]
    journal: JournalArgs,
    #[command(flatten)]
    free: FreeOptions,
}

/// As transports show their variables: without the value here and now.
const IDLE_TIMEOUT: &str = "Stop after so many seconds without findings; 0 is never. \
                            [env: DFOPTIMIZER_IDLE_TIMEOUT_SEC] [default: 0]";

const CONTROL: &str = "Listen for `dfo ctl` at this Unix socket, which only its owner can reach. \
                       [env: DFOPTIMIZER_CONTROL]";

fn seconds(text: &str) -> Result<f64, String> {
    check_seconds(text.trim().parse().unwrap_or(f64::NAN))
}

/// Whether it can be a time.
pub(crate) fn check_seconds(seconds: f64) -> Result<f64, String> {
    let is_time = Duration::try_from_secs_f64(seconds).is_ok();
    let wrong = || "expected a number of seconds, 0 or more".to_owned();
    is_time.then_some(seconds).ok_or_else(wrong)
}

/// All choices, from flags, environment and file.
struct Plan<'a> {
    transport: &'a dyn Transport,
    options: Options,
    knobs: KnobSources,
    service: dfo_service::Settings,
    planner: dfo_planner::Settings,
    dry_run: Option<AckMode>,
    format: Format,
    levels: Levels,
    control: Option<PathBuf>,
    metrics: Option<String>,
    journal: Option<JournalSettings>,
}

/// `dfo serve`.
pub(crate) fn run(
    matches: &ArgMatches,
    known: &Known,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let plan = plan(matches, known)?;
    let mut kept = Kept::open(plan.journal, plan.planner, own_node(), seed())?;
    let mut bootstrap = |registration: &_| kept.bootstrap(registration);
    knobs::register(&plan.knobs, &known.packs, &mut bootstrap, console)?;
    let reporter = |planner| report::report(plan.format, SERVICE, planner, console.styles);
    let mut last_report = reporter(&kept.planner)?;
    let cannot = |error| Failure::CannotRead(format!("cannot start: {error}"));
    let doors = Doors::open(plan.control.as_deref(), plan.metrics.as_deref())?;
    let (mut log, epilogue) = Log::new(
        reporter(&kept.planner)?,
        plan.levels,
        console.error_stream(),
    )
    .map_err(cannot)?;
    tell_of_the_doors(&doors, plan.control.as_deref(), &mut log);
    kept.tell(&mut log);
    let dropped_lines = log.dropped_lines();

    let runtime = super::runtime()?;
    let (stop, ends) = runtime.block_on(async {
        let stop = super::asked_to_stop()?;
        let ends = plan.transport.optimizer(&plan.options).await;
        let ends = ends.map_err(|error| super::cannot_open(&error))?;
        Ok::<_, Failure>((stop, ends))
    })?;
    let service = service(kept, ends, plan.service, plan.dry_run).observer(log);
    // Not within the service's runtime: it has one of its own.
    let attendant = doors.attend(service.remote(), dropped_lines)?;
    let ended = runtime.block_on(service.run(stop));
    drop(attendant);
    let ended = ended.map_err(|error| Failure::CannotRead(error.to_string()))?;
    // What a transport leaves behind must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    let done_event = done_event(plan.transport.name());
    epilogue.tell(&ended, done_event, &mut *last_report);
    Ok(exit(&ended))
}

/// Where an operator reaches the service.
fn tell_of_the_doors(doors: &Doors, control: Option<&Path>, log: &mut Log) {
    let weight = (Target::Service, Level::Info);
    if let Some(address) = doors.metrics_address() {
        let text = format!("metrics at http://{address}/metrics");
        let fields = [("address", address.to_string().into())];
        log.remark("optimizer.metrics", weight, &text, &fields);
    }
    if let Some(path) = control {
        let path = path.display().to_string();
        let text = format!("control socket at {path}");
        let fields = [("path", path.into())];
        log.remark("optimizer.control", weight, &text, &fields);
    }
}

fn service(
    kept: Kept,
    ends: OptimizerEnds,
    settings: dfo_service::Settings,
    dry_run: Option<AckMode>,
) -> Service {
    let service = Service::new(kept.planner, ends).settings(settings);
    let service = match kept.journal {
        Some(journal) => service.journal(journal),
        None => service,
    };
    match dry_run {
        Some(acks) => service.dry_run(acks),
        None => service,
    }
}

/// Puts together what the flags, the environment and the file say.
fn plan<'a>(matches: &ArgMatches, known: &'a Known) -> Result<Plan<'a>, Failure> {
    let (args, transport, mut given) =
        match super::chosen::<ServeArgs>(matches, Role::Optimizer, known)? {
            Some(Chosen {
                args,
                transport,
                given,
            }) => (args, Some(transport), given),
            None => (super::parsed::<ServeArgs>(matches)?, None, Vec::new()),
        };
    let mut file = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    let transport = match transport {
        Some(transport) => transport,
        None => named_transport(&file, known)?,
    };
    given.extend(args.free.options.iter().cloned());
    let options = super::options(transport, Role::Optimizer, given, file.options())?;

    let mut service = dfo_service::Settings::default();
    let idle = args.idle_timeout.or(idle_timeout_of_environment()?);
    service.idle_timeout = positive("idle-timeout", idle.or(file.idle_timeout))?;
    service.senders = args.senders.or(file.senders);
    if let Some(heartbeat) = args.heartbeat.or(file.heartbeat) {
        let heartbeat = positive("heartbeat", Some(heartbeat))?;
        service.heartbeat = heartbeat
            .ok_or_else(|| wrong("heartbeat", "expected a number of seconds, more than 0"))?;
    }
    if let Some(plans) = args.plan_queue.or(file.plan_queue) {
        service.plan_queue = plans;
    }
    service.dead_letters = args.dead_letter.or(file.dead_letter.take());
    if let Some(limit) = args.dead_letter_limit.or(file.dead_letter_limit) {
        service.dead_letter_limit = limit;
    }

    let acks = args.acks.or(file.acks);
    let is_dry = args.dry_run || file.dry_run == Some(true);
    if acks.is_some() && !is_dry {
        let what = "--acks says when plans of a dry run are acknowledged; add --dry-run";
        return Err(Failure::Usage(what.to_owned()));
    }
    let whose = args.settings.or(file.settings);
    let planner = match (whose, file.planner.take()) {
        (Some(whose), None) => whose.settings(),
        (None, Some(settings)) => settings,
        (None, None) => dfo_planner::Settings::default(),
        (Some(_), Some(_)) => {
            let what = "settings are given as a whole (--settings) and one by one ([planner]); \
                        leave one of them";
            return Err(Failure::Usage(what.to_owned()));
        }
    };
    let format = args.log_format.or(file.log_format);
    let levels = args.log_level.or(file.log_level.take());
    let levels = levels.unwrap_or_default();
    let debug = variable("DFOPTIMIZER_DEBUG").as_deref() == Some("1");
    Ok(Plan {
        transport,
        options,
        knobs: KnobSources {
            files: [file.knobs, args.knobs.files].concat(),
            bootstrap: [file.bootstrap, args.knobs.bootstrap].concat(),
        },
        service,
        planner,
        dry_run: is_dry.then(|| acks.unwrap_or(AckMode::Immediate)),
        format: format.unwrap_or(Format::Text),
        levels: match args.explain || debug || file.explain == Some(true) {
            true => levels.explaining(),
            false => levels,
        },
        control: ctl::named_socket(args.control_socket).or(file.control_socket.take()),
        metrics: args.metrics_address.or(file.metrics_address.take()),
        journal: args.journal.or(file.journal).settings(is_dry)?,
    })
}

/// The transport that the environment or the file names.
fn named_transport<'a>(file: &Config, known: &'a Known) -> Result<&'a dyn Transport, Failure> {
    let named = variable("DFOPTIMIZER_TRANSPORT").filter(|name| !name.is_empty());
    let Some(name) = named.or_else(|| file.transport.clone()) else {
        let what = "which transport? name it (dfo serve TRANSPORT), in the file (transport = …), or \
                    in DFOPTIMIZER_TRANSPORT";
        return Err(Failure::Usage(what.to_owned()));
    };
    super::find(&name, known)
}

/// What job scripts set already.
fn idle_timeout_of_environment() -> Result<Option<f64>, Failure> {
    const NAME: &str = "DFOPTIMIZER_IDLE_TIMEOUT_SEC";
    let text = variable(NAME).filter(|text| !text.is_empty());
    let given = text
        .map(|text| seconds(&text).map_err(|what| wrong(NAME, &format!("{what}, found {text:?}"))));
    given.transpose()
}

/// Seconds as a duration; 0 is none.
fn positive(name: &str, seconds: Option<f64>) -> Result<Option<Duration>, Failure> {
    let duration = seconds.map(Duration::try_from_secs_f64).transpose();
    let duration = duration.map_err(|error| wrong(name, &error.to_string()))?;
    Ok(duration.filter(|d| !d.is_zero()))
}

fn wrong(name: &str, what: &str) -> Failure {
    Failure::Usage(format!("{name}: {what}"))
}

/// The original has an event name of its own for ZeroMQ, and one for all streams of Mofka.
fn done_event(transport: &str) -> &'static str {
    match transport {
        "zmq" => "optimizer.zmq.done",
        _ => "optimizer.stream.done",
    }
}

fn exit(ended: &Ended) -> Exit {
    match ended.reason.is_orderly() {
        true => Exit::Done,
        false => Exit::CannotRead,
    }
}

/// Plan ids must differ from those of every other run: the random keys of the standard library are
/// of the system's random numbers.
fn seed() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let half = |salt: u8| u128::from(RandomState::new().hash_one((salt, std::process::id())));
    half(0) << 64 | half(1)
}

/// The node that this runs on, as `hostname` says.
fn own_node() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
