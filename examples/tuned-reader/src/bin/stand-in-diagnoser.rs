//! `stand-in-diagnoser`: turns the times that `tuned-reader` writes into findings, and sends them over
//! `ZeroMQ` as the diagnoser does.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use dfo_transport::{Record, Sink};
use dfo_transport_zmq::{Endpoint, Pattern, Settings, ZmqSink};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tuned_reader::diagnosis::{self, Diagnosis};
use tuned_reader::measure::WindowTimes;

/// Turns the times of windows into findings, and sends them to the optimizer.
#[derive(Debug, Parser)]
#[command(name = "stand-in-diagnoser", version, max_term_width = 100)]
struct Cli {
    /// Where to listen for the optimizer: `tcp://*:PORT` (0 is a free one) or `ipc://PATH`.
    #[arg(long, value_name = "ADDRESS")]
    address: String,
    /// A file or a pipe with the times of a window a line, as `tuned-reader` writes them; `-` is
    /// standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    measurements: PathBuf,
    /// End if no optimizer takes a finding for so long: the program must not wait for this one.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    patience: u32,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match diagnose(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn diagnose(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let mut findings = Findings::open(&cli.address, Duration::from_secs(cli.patience.into()))?;
    // Told before the measurements are opened: a pipe opens only when the program is there.
    writeln!(std::io::stdout(), "findings at {}", findings.address)?;

    let mut diagnosis = Diagnosis::default();
    for (number, line) in (1..).zip(open(&cli.measurements)?.lines()) {
        match serde_json::from_str::<WindowTimes>(&line?) {
            Ok(times) => {
                if let Some(finding) = diagnosis.look(&times) {
                    findings.send(diagnosis::record(&finding)?)?;
                }
            }
            Err(error) => complain(&format!(
                "{}:{number}: {error}; line skipped",
                cli.measurements.display()
            )),
        }
    }
    findings.end()
}

fn open(path: &PathBuf) -> Result<Box<dyn BufRead>, Box<dyn Error>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

fn complain(what: &str) {
    // Where standard error is closed there is no one to tell.
    let _ = writeln!(std::io::stderr(), "stand-in-diagnoser: {what}");
}

/// The way to the optimizer.
struct Findings {
    runtime: Runtime,
    sink: ZmqSink,
    /// Where it really listens.
    address: String,
    patience: Duration,
    sent: u64,
}

impl Findings {
    fn open(address: &str, patience: Duration) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build()?;
        let endpoint = Endpoint::Bind(address.to_owned());
        let settings = Settings::default();
        let sink = runtime.block_on(ZmqSink::open(Pattern::Push, &[endpoint], &settings))?;
        Ok(Findings {
            address: sink.endpoints().join(", "),
            runtime,
            sink,
            patience,
            sent: 0,
        })
    }

    /// Sends a record; waits for the optimizer, but not for ever.
    fn send(&mut self, record: Record) -> Result<(), Box<dyn Error>> {
        let (sink, patience) = (&mut self.sink, self.patience);
        let sent = self
            .runtime
            .block_on(async { timeout(patience, sink.send(record)).await });
        match sent {
            Ok(sent) => sent?,
            Err(_) => {
                let sent = self.sent;
                return Err(format!(
                    "no optimizer took a finding for {patience:?}; is it there? ({sent} sent)"
                )
                .into());
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// Says that this is all, and closes.
    fn end(mut self) -> Result<(), Box<dyn Error>> {
        self.send(diagnosis::end())?;
        let findings = self.sent - 1;
        let closed = self
            .runtime
            .block_on(Box::new(self.sink).close(self.patience))?;
        match closed.dropped {
            0 => {
                writeln!(std::io::stdout(), "{findings} findings sent")?;
                Ok(())
            }
            _ => Err(format!("not all of {findings} findings left in time").into()),
        }
    }
}
