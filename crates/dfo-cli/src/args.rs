//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use dfo_planner::Settings;
use dfo_service::AckMode;

use crate::ctl::CtlArgs;

/// Turns findings of a diagnoser into changes of knobs, and says why.
#[derive(Debug, Parser)]
#[command(name = "dfo", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Subcommand,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  done, but records, definitions or a journal were bad; or a command was refused
  2  the command line or the environment makes no sense
  3  something could not be read or written";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    /// Show what would be changed for saved findings, and why everything else would not.
    Replay(ReplayArgs),
    /// Do the same decisions come out of a journal again, byte for byte?
    Verify(VerifyArgs),
    /// Why was this changed, and why was that not? From a journal.
    Explain(ExplainArgs),
    /// Is this a valid file of findings, knobs, plans or acknowledgements?
    Check(CheckArgs),
    /// Show knobs: type, range, live value, and what each responds to.
    Knobs(KnobsArgs),
    /// Stop and go on, take changes back, ask how it is: to a running `dfo serve`.
    Ctl(CtlArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Files of findings: JSON lines, an array or one object, plain or gzip; `-` is standard input.
    #[arg(required_unless_present = "journal", value_name = "FINDINGS")]
    pub(crate) findings: Vec<PathBuf>,
    /// A service's journal instead: what happened, with the knobs, acknowledgements and settings of
    /// then.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["findings", "files", "bootstrap", "acks", "settings"]
    )]
    pub(crate) journal: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) knobs: KnobSources,
    /// When applications acknowledge: `immediate` (at the plan's window), `never` (and, unless
    /// --settings says otherwise, under the original's settings: what the original showed), or
    /// `delay=N` (N windows later).
    #[arg(long, value_name = "MODE", default_value = "immediate", value_parser = ack_mode)]
    pub(crate) acks: AckMode,
    /// How to decide where there is more than one good way.
    #[arg(long, value_name = "WHOSE")]
    pub(crate) settings: Option<Whose>,
    /// Show each decision not to act: gate, value against threshold, knob, tag, node.
    #[arg(long)]
    pub(crate) explain: bool,
    /// For eyes, or one JSON object a line.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
    /// Stop at the first bad record.
    #[arg(long)]
    pub(crate) strict: bool,
}

impl ReplayArgs {
    /// How to decide.
    pub(crate) fn settings(&self) -> Settings {
        let whose = self.settings.unwrap_or(match self.acks {
            AckMode::Never => Whose::Original,
            AckMode::Immediate | AckMode::Delay(_) => Whose::Ours,
        });
        whose.settings()
    }
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A journal's folder.
    #[arg(value_name = "DIR")]
    pub(crate) journal: PathBuf,
    /// For eyes, or one JSON object a line.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A journal's folder.
    #[arg(value_name = "DIR")]
    pub(crate) journal: PathBuf,
    /// This plan, by its id or how that begins: the finding, the answer, and whether it helped.
    #[arg(long, value_name = "ID")]
    pub(crate) plan: Option<String>,
    /// What was decided for this knob.
    #[arg(long, value_name = "ID")]
    pub(crate) knob: Option<String>,
    /// What was decided on findings of this window.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) window: Option<i64>,
    /// What was decided for this node.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Why was this knob not changed? Each gate that held it, how close it was, and what would have to be
    /// different now.
    #[arg(long, value_name = "KNOB", conflicts_with_all = ["plan", "knob"])]
    pub(crate) why_not: Option<String>,
    /// For eyes, or one JSON object a line.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files to check; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files hold, where it is not to be found out.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
}

#[derive(Debug, Args)]
pub(crate) struct KnobsArgs {
    #[command(flatten)]
    pub(crate) knobs: KnobSources,
}

#[derive(Debug, Args)]
pub(crate) struct KnobSources {
    /// A file of registrations, JSON or TOML.
    #[arg(long = "knobs", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// A pack of knobs to start with; `DFOPTIMIZER_BOOTSTRAP_<NAME>=1` does the same.
    #[arg(long, value_name = "NAME")]
    pub(crate) bootstrap: Vec<String>,
}

/// Reads when applications acknowledge.
pub(crate) fn ack_mode(text: &str) -> Result<AckMode, String> {
    match text {
        "immediate" => return Ok(AckMode::Immediate),
        "never" => return Ok(AckMode::Never),
        _ => {}
    }
    let windows = text.strip_prefix("delay=").and_then(|n| n.parse().ok());
    match windows {
        Some(windows) if windows >= 0 => Ok(AckMode::Delay(windows)),
        _ => Err("one of: immediate, never, delay=N (N windows, a whole number)".to_owned()),
    }
}

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whose {
    /// Ours: patience ends every wait.
    Ours,
    /// The original optimizer's: it waits for ever.
    Original,
}

impl Whose {
    pub(crate) fn settings(self) -> Settings {
        match self {
            Whose::Ours => Settings::default(),
            Whose::Original => Settings::original(),
        }
    }
}

/// For whom the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Findings,
    Knobs,
    Plans,
    Acks,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Findings => "findings",
            Kind::Knobs => "knobs",
            Kind::Plans => "plans",
            Kind::Acks => "acks",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn ack_modes_are_read() {
        assert_eq!(ack_mode("delay=3"), Ok(AckMode::Delay(3)));
        for wrong in ["delay", "delay=", "delay=-1", "delay=x", "sometimes"] {
            assert!(ack_mode(wrong).is_err(), "{wrong}");
        }
    }
}
