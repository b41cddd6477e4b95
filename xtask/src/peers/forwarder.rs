//! A bare forwarder: what any process between two others costs, and the least that it can.
//!
//! One thread, blocking, frame after frame from PULL to PUSH, looking into none of them. It stands
//! where the service stands, in a process of its own, with the same bounds.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use dfo_transport_zmq::Settings;

/// A forwarder at work; ends when dropped.
pub struct Forwarder {
    process: Child,
    /// Where it hands on.
    pub plans: String,
}

impl Forwarder {
    /// Starts one that fetches from this address.
    pub fn start(findings: &str) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["forward", findings])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the forwarder")?;
        let output = process.stdout.take().context("its output is a pipe")?;
        let mut forwarder = Forwarder {
            process,
            plans: String::new(),
        };
        BufReader::new(output).read_line(&mut forwarder.plans)?;
        forwarder.plans.truncate(forwarder.plans.trim_end().len());
        ensure!(!forwarder.plans.is_empty(), "the forwarder did not start");
        Ok(forwarder)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The process itself: says where it hands on, and forwards until it is killed.
pub fn run(findings: &str) -> Result<()> {
    let settings = Settings::default();
    let context = zmq::Context::new();
    let from = context.socket(zmq::PULL)?;
    super::apply(&settings, &from)?;
    from.connect(findings)?;
    let to = context.socket(zmq::PUSH)?;
    super::apply(&settings, &to)?;
    println!("{}", super::bind(&to)?);
    loop {
        let frame = from.recv_msg(0)?;
        let more = match frame.get_more() {
            true => zmq::SNDMORE,
            false => 0,
        };
        to.send(frame, more)?;
    }
}
