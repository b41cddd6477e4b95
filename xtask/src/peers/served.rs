//! `dfo serve zmq` as a process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;

use super::{ANYWHERE, PATIENCE};

/// A service at work; ends when dropped.
pub struct Served {
    process: Child,
    /// What it tells, but for its plans.
    told: Receiver<Json>,
    /// Where it hands out plans.
    pub plans: String,
    /// Where it takes registrations and acknowledgements.
    pub control: String,
}

/// What a process occupies of the machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub resident_kib: u64,
    /// The most that it ever was.
    pub most_kib: u64,
}

impl Served {
    /// Starts one that fetches findings from this address, with more arguments.
    pub fn start(findings: &str, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["dfo", "serve", "zmq", "--format", "json"])
            .args(["--address", findings])
            .args(["--plans-address", ANYWHERE, "--control-address", ANYWHERE])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("dfo serve")?;
        let stderr = process.stderr.take().context("its log is a pipe")?;
        let mut served = Served {
            process,
            told: listen(stderr),
            plans: String::new(),
            control: String::new(),
        };
        loop {
            let told = served.next()?;
            let name = told["name"].as_str().unwrap_or_default().to_owned();
            match (told["event"].as_str(), told["channel"].as_str()) {
                (Some("optimizer.started"), _) => break,
                (Some("optimizer.open"), Some("plans")) => served.plans = name,
                (Some("optimizer.open"), Some("control")) => served.control = name,
                _ => {}
            }
        }
        ensure!(
            !served.plans.is_empty() && !served.control.is_empty(),
            "dfo serve did not say where it listens"
        );
        Ok(served)
    }

    /// Waits until it tells this event.
    pub fn wait_for(&self, event: &str) -> Result<Json> {
        loop {
            let told = self.next().with_context(|| format!("before {event}"))?;
            if told["event"] == event {
                return Ok(told);
            }
        }
    }

    /// Waits until it has ended by itself, in order. Gives its last word, the counts.
    pub fn end(mut self) -> Result<Json> {
        let done = self.wait_for("optimizer.zmq.done")?;
        let status = self.process.wait()?;
        ensure!(status.success(), "dfo serve: {status}");
        Ok(done)
    }

    /// The memory that it has now.
    pub fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(&path).context(path)?;
        Memory::read(&status).context("no VmRSS and VmHWM in kB")
    }

    fn next(&self) -> Result<Json> {
        match self.told.recv_timeout(PATIENCE) {
            Ok(told) => Ok(told),
            Err(e) => bail!("dfo serve told nothing more: {e}"),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the log as fast as it comes, so that none of it is dropped; passes on what few lines are no
/// plans, and shows what is no event.
fn listen(log: ChildStderr) -> Receiver<Json> {
    let (tell, told) = sync_channel(10_000);
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.starts_with("{\"event\":\"optimizer.plan\"") {
                continue;
            }
            match serde_json::from_str(&line) {
                // Where no one listens any more, the rest is read all the same.
                Ok(event) => drop(tell.try_send(event)),
                Err(_) => println!("dfo serve: {line}"),
            }
        }
    });
    told
}

impl Memory {
    /// From a process's status, as Linux tells it.
    fn read(status: &str) -> Option<Self> {
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        };
        Some(Memory {
            resident_kib: kib("VmRSS:")?,
            most_kib: kib("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_read_from_the_status() {
        let status = "VmHWM:\t    3000 kB\nVmRSS:\t    2048 kB\nThreads:\t4\n";
        let expected = Memory {
            resident_kib: 2048,
            most_kib: 3000,
        };
        assert_eq!(Memory::read(status), Some(expected));
        assert_eq!(Memory::read("VmRSS: 1 kB"), None);
    }
}
