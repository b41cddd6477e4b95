//! What runs beside a job: `dfo serve`, `dfo send`, `dfo tail`, over any transport.
//!
//! A transport declares its options as values; here they become flags. No transport is named.

mod config;
mod control;
mod journal;
mod levels;
mod log;
mod metrics;
mod operator;
mod send;
mod serve;
mod tail;

pub(crate) use levels::Levels;

use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use dfo_model::KnobPack;
use dfo_transport::{
    ErrorKind, OptionSpec, Options, Repeats, Role, Transport, TransportError, Transports,
};
use tokio::runtime::{Builder, Runtime};

use crate::exit::{Exit, Failure};
use crate::knobs::variable;
use crate::output::Console;

/// What the live commands know: the transports and the packs of this program.
pub(crate) struct Known {
    pub(crate) packs: Vec<Box<dyn KnobPack>>,
    pub(crate) transports: Transports,
    /// Transports that this program was built without, and how to get them.
    pub(crate) absent: Vec<(&'static str, &'static str)>,
}

/// Adds the live commands to the command line.
pub(crate) fn add_commands(command: clap::Command, known: &Known) -> clap::Command {
    // The transport may be named in a file or in the environment, too.
    let serve = live_command::<serve::ServeArgs>("serve", Role::Optimizer, known);
    let serve = serve::ServeArgs::augment_args(serve)
        .about("Run beside a job: findings in, plans out, acknowledgements back in")
        .args_conflicts_with_subcommands(true);
    let send = live_command::<send::SendArgs>("send", Role::Diagnoser, known)
        .about("Send saved findings as a diagnoser would")
        .subcommand_required(true)
        .arg_required_else_help(true);
    let tail = live_command::<tail::TailArgs>("tail", Role::Application, known)
        .about("Show plans as an application would receive them")
        .subcommand_required(true)
        .arg_required_else_help(true);
    command.subcommands([serve, send, tail])
}

/// Runs one of them, if the command line names one.
pub(crate) fn run(
    matches: &ArgMatches,
    known: &Known,
    console: &mut Console,
) -> Option<Result<Exit, Failure>> {
    let (name, matches) = matches.subcommand()?;
    Some(match name {
        "serve" => serve::run(matches, known, console),
        "send" => send::run(matches, known, console),
        "tail" => tail::run(matches, known, console),
        _ => return None,
    })
}

/// A command with a subcommand for each transport.
fn live_command<A: Args>(name: &'static str, role: Role, known: &Known) -> clap::Command {
    let command = clap::Command::new(name).subcommand_value_name("TRANSPORT");
    let command = command.subcommand_help_heading("Transports");
    let of_transports = known.transports.iter().map(|transport| {
        let command = A::augment_args(clap::Command::new(transport.name()));
        add_options(command.about(transport.about()), transport, role)
    });
    let absent = known.absent.iter().map(|(name, how)| {
        let anything = Arg::new("anything").num_args(0..).trailing_var_arg(true);
        let anything = anything.allow_hyphen_values(true).hide(true);
        clap::Command::new(*name)
            .about(format!("(not in this build: {how})"))
            .arg(anything)
    });
    let subcommands: Vec<_> = of_transports.chain(absent).collect();
    command.subcommands(subcommands)
}

/// Makes flags of a transport's options. One that has the name of a flag of ours can be given as
/// `--option name=value`.
fn add_options(command: clap::Command, transport: &dyn Transport, role: Role) -> clap::Command {
    let ours: Vec<String> = command
        .get_arguments()
        .map(|a| a.get_id().to_string())
        .collect();
    let ours_long: Vec<String> = command
        .get_arguments()
        .filter_map(|a| a.get_long().map(str::to_owned))
        .collect();
    let is_free = |spec: &&OptionSpec| {
        let taken = |names: &[String]| names.iter().any(|n| n == spec.name);
        !taken(&ours) && !taken(&ours_long)
    };
    let specs = transport.options().iter();
    let specs = specs.filter(|s| s.roles.contains(&role)).filter(is_free);
    command
        .next_help_heading("Options of the transport")
        .args(specs.map(flag))
}

fn flag(spec: &OptionSpec) -> Arg {
    let mut help = spec.help.to_owned();
    // Only for help: what is missing is filled in by `Options::check`.
    if let Some(variable) = spec.variable {
        let _ = write!(help, " [env: {variable}]");
    }
    if let Some(default) = spec.default {
        let _ = write!(help, " [default: {default}]");
    }
    let flag = Arg::new(spec.name).long(spec.name).help(help);
    match (spec.value, spec.repeats) {
        (None, _) => flag.action(ArgAction::SetTrue),
        (Some(value), Repeats::Once) => flag.action(ArgAction::Set).value_name(value),
        (Some(value), Repeats::Often) => flag.action(ArgAction::Append).value_name(value),
    }
}

/// Options for a transport, for each of the live commands.
#[derive(Debug, Args)]
pub(crate) struct FreeOptions {
    /// An option of the transport, by its name. May be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) options: Vec<(String, String)>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| "expected KEY=VALUE".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The arguments of a live command, and the transport that it names.
struct Chosen<'a, A> {
    args: A,
    transport: &'a dyn Transport,
    /// Options given on the command line, as flags.
    given: Vec<(String, String)>,
}

/// Reads a live command that names its transport.
fn chosen<'a, A: FromArgMatches>(
    matches: &ArgMatches,
    role: Role,
    known: &'a Known,
) -> Result<Option<Chosen<'a, A>>, Failure> {
    let Some((name, matches)) = matches.subcommand() else {
        return Ok(None);
    };
    let transport = find(name, known)?;
    Ok(Some(Chosen {
        args: parsed(matches)?,
        transport,
        given: given(matches, transport, role),
    }))
}

fn parsed<A: FromArgMatches>(matches: &ArgMatches) -> Result<A, Failure> {
    A::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))
}

/// The transport of that name.
fn find<'a>(name: &str, known: &'a Known) -> Result<&'a dyn Transport, Failure> {
    if let Some(transport) = known.transports.get(name) {
        return Ok(transport);
    }
    if let Some((name, how)) = known.absent.iter().find(|(absent, _)| *absent == name) {
        return Err(Failure::Usage(format!(
            "this dfo was built without {name}: {how}"
        )));
    }
    let names: Vec<_> = known.transports.iter().map(Transport::name).collect();
    let there_is = match names.is_empty() {
        true => "this dfo was built without any".to_owned(),
        false => format!("there is: {}", names.join(", ")),
    };
    Err(Failure::Usage(format!("no transport {name:?}; {there_is}")))
}

fn given(matches: &ArgMatches, transport: &dyn Transport, role: Role) -> Vec<(String, String)> {
    let mut given = Vec::new();
    for spec in transport
        .options()
        .iter()
        .filter(|s| s.roles.contains(&role))
    {
        match spec.value {
            Some(_) => {
                let values = matches.try_get_many::<String>(spec.name).ok().flatten();
                let values = values.into_iter().flatten();
                given.extend(values.map(|value| (spec.name.to_owned(), value.clone())));
            }
            None => {
                let on = matches.try_get_one::<bool>(spec.name).ok().flatten();
                if on == Some(&true) {
                    given.push((spec.name.to_owned(), "true".to_owned()));
                }
            }
        }
    }
    given
}

/// Checks the options for a transport: what was given goes before the environment, that before what
/// is in a file, and that before the default.
fn options(
    transport: &dyn Transport,
    role: Role,
    mut given: Vec<(String, String)>,
    in_file: Vec<(String, String)>,
) -> Result<Options, Failure> {
    let specs = transport.options();
    let is_set = |name: &str, given: &[(String, String)]| {
        let of_name = specs.iter().filter(|s| s.name == name);
        let in_environment = of_name
            .filter_map(|s| s.variable)
            .any(|v| variable(v).is_some_and(|text| !text.is_empty()));
        in_environment || given.iter().any(|(n, _)| n == name)
    };
    let of_file: Vec<_> = in_file
        .into_iter()
        .filter(|(n, _)| !is_set(n, &given))
        .collect();
    given.extend(of_file);
    Options::check(specs, role, given, &variable).map_err(|error| cannot_open(&error))
}

/// What it means for the command that a transport cannot be opened.
fn cannot_open(error: &TransportError) -> Failure {
    match error.kind() {
        ErrorKind::InvalidOption => Failure::Usage(error.to_string()),
        _ => Failure::CannotRead(error.to_string()),
    }
}

/// One thread for everything: the work is small, and passing it between threads costs more.
fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::CannotRead(format!("cannot start: {error}")))
}

/// Done when the process is asked to end: by SIGTERM, or by SIGINT (Ctrl-C).
fn asked_to_stop() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let cannot = |error| Failure::CannotRead(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
