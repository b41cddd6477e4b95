//! `tuned-reader`: reads files, computes on them, and lets the optimizer tune how it reads.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde_json::json;
use tuned_reader::measure::Measurements;
use tuned_reader::run::{Outcome, Workload, run};
use tuned_reader::storage::{Servers, Slowness, Storage};
use tuned_reader::tuning::{Knobs, Optimizer, Tuning};

/// Reads many files through a pool of threads, and computes on each.
///
/// Reads are slowed, as on a loaded parallel file system. With the addresses of an optimizer the number
/// of threads and the length of their queue are changed while it runs.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, args_override_self = true)]
struct Cli {
    /// Samples to read and to compute on.
    #[arg(long, default_value_t = 200)]
    samples: u32,
    /// Samples in a window: times are told, and changes taken, after each.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// A folder for the files, which stay there; without it a temporary one.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Files to make; after the last one the first is read again.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    files: u32,
    /// The size of a file.
    #[arg(long, value_name = "KIB", default_value_t = 256)]
    file_kib: u16,

    /// What each read waits for its first byte.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    read_latency_ms: u32,
    /// What all reads together get in a second; 0 is without limit.
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    bandwidth_mib: u32,
    /// Reads at the same time get in each other's way: more threads do harm.
    #[arg(long)]
    contention: bool,
    /// What computing on a sample takes, beside its checksum.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5)]
    compute_ms: u32,

    /// Threads that read, at the start.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// The most threads that the optimizer may have.
    #[arg(long, default_value_t = 16)]
    max_threads: u32,
    /// The length of the queue of samples that were read ahead, at the start.
    #[arg(long, default_value_t = 2)]
    prefetch: u32,
    /// The longest queue that the optimizer may have.
    #[arg(long, default_value_t = 16)]
    max_prefetch: u32,

    /// Where the optimizer sends plans: `tcp://HOST:PORT` or `ipc://PATH`.
    #[arg(long, value_name = "ADDRESS", requires = "control_address")]
    plans_address: Option<String>,
    /// Where the optimizer takes registrations and acknowledgements.
    #[arg(long, value_name = "ADDRESS", requires = "plans_address")]
    control_address: Option<String>,
    /// How the optimizer sends plans.
    #[arg(long, default_value = "push")]
    plans: Pattern,
    /// Write the times of each window to this file or pipe, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    /// Tell the outcome, and how slow reads were made, as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Pattern {
    /// To one program.
    Push,
    /// To every program.
    Pub,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match read(&cli) {
        Ok(code) => code,
        Err(error) => {
            // Where standard error is closed there is no one to tell.
            let _ = writeln!(std::io::stderr(), "tuned-reader: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(cli: &Cli) -> Result<ExitCode, Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = cli.folder.as_deref().unwrap_or(temporary.path());
    let slowness = Slowness {
        latency: Duration::from_millis(cli.read_latency_ms.into()),
        bytes_per_second: u64::from(cli.bandwidth_mib) << 20,
        servers: match cli.contention {
            true => Servers::Contended,
            false => Servers::Ample,
        },
    };
    let file_bytes = usize::from(cli.file_kib) << 10;
    let storage = Storage::create(folder, cli.files, file_bytes, slowness)?;
    let mut measurements = match &cli.measurements {
        Some(path) => Measurements::to(path)
            .map_err(|error| format!("--measurements {}: {error}", path.display()))?,
        None => Measurements::nowhere(),
    };
    let mut tuning = Tuning::start(optimizer(cli).as_ref(), knobs(cli))?;

    if !cli.json {
        introduce(cli)?;
    }
    let work = Workload {
        samples: cli.samples as usize,
        window: cli.window.into(),
        compute: Duration::from_millis(cli.compute_ms.into()),
    };
    let outcome = run(&work, storage, &mut tuning, &mut measurements)?;
    if let Some(error) = measurements.error() {
        let mut stderr = std::io::stderr();
        writeln!(
            stderr,
            "tuned-reader: measurements are not complete: {error}"
        )?;
    }
    let mut stdout = std::io::stdout().lock();
    match cli.json {
        true => writeln!(stdout, "{}", as_json(cli, &outcome))?,
        false => writeln!(stdout, "{outcome}")?,
    }
    Ok(match outcome.is_complete {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn introduce(cli: &Cli) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "reads: {} files of {} KiB; each read waits {} ms{}, all share {}; computes {} ms on each",
        cli.files,
        cli.file_kib,
        cli.read_latency_ms,
        match cli.contention {
            true => ", times n³ with n at the same time",
            false => "",
        },
        match cli.bandwidth_mib {
            0 => "unlimited bandwidth".to_owned(),
            mib => format!("{mib} MiB/s"),
        },
        cli.compute_ms
    )?;
    writeln!(
        stdout,
        "at the start: reader.threads {}, reader.prefetch {}{}",
        cli.threads,
        cli.prefetch,
        match cli.plans_address {
            Some(_) => "",
            None => "; no optimizer",
        }
    )
}

/// The outcome, and under what conditions it came about.
fn as_json(cli: &Cli, outcome: &Outcome) -> serde_json::Value {
    json!({
        "reads": {
            "files": cli.files,
            "file_kib": cli.file_kib,
            "latency_ms": cli.read_latency_ms,
            "bandwidth_mib": cli.bandwidth_mib,
            "contention": cli.contention,
            "compute_ms": cli.compute_ms,
        },
        "outcome": outcome,
    })
}

fn optimizer(cli: &Cli) -> Option<Optimizer> {
    Some(Optimizer {
        plans_address: cli.plans_address.clone()?,
        control_address: cli.control_address.clone()?,
        plans: match cli.plans {
            Pattern::Push => "push".to_owned(),
            Pattern::Pub => "pub".to_owned(),
        },
    })
}

fn knobs(cli: &Cli) -> Knobs {
    Knobs {
        threads: cli.threads,
        max_threads: cli.max_threads,
        prefetch: cli.prefetch,
        max_prefetch: cli.max_prefetch,
    }
}
