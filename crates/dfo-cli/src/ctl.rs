//! `dfo ctl`: what an operator says to a running service, over its control socket.

pub(crate) mod protocol;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use dfo_planner::Command;

use crate::args::Format;
use crate::exit::{Exit, Failure};
use crate::knobs::variable;
use crate::output::{Console, count, plain};
use protocol::{Answer, Ask, Done, LONGEST_ANSWER, Question, Reply};

/// The variable that names the socket.
pub(crate) const VARIABLE: &str = "DFOPTIMIZER_CONTROL";

/// How long an answer may take. The service itself answers sooner, if only to say that it cannot.
const PATIENCE: Duration = Duration::from_secs(30);

/// As transports show their variables: without the value here and now.
const CONTROL: &str = "The control socket of the service, as `dfo serve --control-socket` names it. \
                       [env: DFOPTIMIZER_CONTROL]";

#[derive(Debug, Args)]
pub(crate) struct CtlArgs {
    #[arg(long, visible_alias = "control", value_name = "SOCKET", global = true, help = CONTROL)]
    control_socket: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Let no plan leave any more, for a knob or for all; what would become one is held.
    Freeze {
        /// The knob; without it: everything.
        knob: Option<String>,
    },
    /// Let plans leave again.
    Thaw {
        /// The knob; without it: everything, knobs that were frozen by name too.
        knob: Option<String>,
    },
    /// Take changes back; a freeze does not hold that up.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Revert {
        /// The plan: back to the value before it.
        #[arg(group = "which")]
        plan: Option<String>,
        /// Every plan: back to the values before the first.
        #[arg(long, group = "which")]
        all: bool,
    },
    /// Tell how the service is.
    Status {
        /// For eyes, or as one JSON object.
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: Format,
    },
}

impl What {
    fn ask(self) -> Ask {
        match self {
            What::Freeze { knob } => Ask::Command(Command::Freeze { knob }),
            What::Thaw { knob } => Ask::Command(Command::Thaw { knob }),
            What::Revert { plan, .. } => Ask::Command(match plan {
                Some(plan_id) => Command::Revert { plan_id },
                None => Command::RevertAll,
            }),
            What::Status { format } => match format {
                Format::Text => Ask::StatusText,
                Format::Json => Ask::Status,
            },
        }
    }
}

/// `dfo ctl`.
pub(crate) fn run(args: CtlArgs, console: &mut Console) -> Result<Exit, Failure> {
    let socket = named_socket(args.control_socket).ok_or_else(|| {
        let what =
            "which service? name its control socket: --control-socket SOCKET, or DFOPTIMIZER_CONTROL";
        Failure::Usage(what.to_owned())
    })?;
    let answer = ask(&socket, args.what.ask())?;
    match answer {
        Answer::Done(done) => {
            show(&done, console.out())?;
            Ok(Exit::Done)
        }
        Answer::Refused { why, done } => {
            show(&done, console.out())?;
            console.say(&format!("dfo: refused: {why}"));
            Ok(Exit::SomeBad)
        }
        Answer::Status(status) => {
            writeln!(console.out(), "{status}")?;
            Ok(Exit::Done)
        }
        Answer::StatusText(text) => {
            for line in text.lines() {
                writeln!(console.out(), "{}", plain(line))?;
            }
            Ok(Exit::Done)
        }
        Answer::Bad(what) | Answer::Silence(what) => Err(failed(&socket, &what)),
    }
}

/// The socket that a flag names, or the environment.
pub(crate) fn named_socket(given: Option<PathBuf>) -> Option<PathBuf> {
    let named = || variable(VARIABLE).filter(|name| !name.is_empty());
    given.or_else(|| named().map(PathBuf::from))
}

fn ask(socket: &Path, ask: Ask) -> Result<Answer, Failure> {
    let stream = UnixStream::connect(socket).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::NotFound => "no such socket; is the service running?".to_owned(),
            io::ErrorKind::ConnectionRefused => "no service listens there any more".to_owned(),
            _ => error.to_string(),
        };
        failed(socket, &what)
    })?;
    let answered = talk(stream, &Question::new(ask));
    let reply = answered.map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("no answer within {} s", PATIENCE.as_secs())
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                "the service ended before it answered".to_owned()
            }
            _ => error.to_string(),
        };
        failed(socket, &format!("{what}; whether it was done is not known"))
    })?;
    Ok(reply.answer)
}

fn failed(socket: &Path, what: &str) -> Failure {
    Failure::CannotRead(format!("{}: {what}", socket.display()))
}

fn talk(mut stream: UnixStream, question: &Question) -> io::Result<Reply> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    let mut stream = BufReader::new(stream.take(LONGEST_ANSWER));
    stream.read_until(b'\n', &mut answer)?;
    if answer.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// More than fills a screen is counted.
const SHOWN: usize = 20;

fn show(done: &Done, out: &mut dyn Write) -> io::Result<()> {
    for told in done.notices.iter().take(SHOWN) {
        writeln!(out, "{}", plain(&told.text))?;
    }
    if let Some(rest) = done.notices.len().checked_sub(SHOWN + 1) {
        writeln!(out, "… and {} more", rest + 1)?;
    }
    for change in done.changes.iter().take(SHOWN) {
        let nodes = match &change.nodes[..] {
            [] => "all nodes".to_owned(),
            nodes => nodes.join(", "),
        };
        let line = format!("{} → {} on {nodes}", change.knob, change.value);
        writeln!(out, "{}  plan {}", plain(&line), plain(&change.plan_id))?;
    }
    if done.changes.len() > SHOWN {
        let rest = count((done.changes.len() - SHOWN) as u64, "plan");
        writeln!(out, "… and {rest} more")?;
    }
    Ok(())
}
