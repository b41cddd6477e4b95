//! What a boundary with nothing to do costs, against a bare load of an atomic.
//!
//! Prints one line each, and the ratio: `cargo bench -p dfo-context`. The loop around both is the
//! same, so that the ratio is of what a program would feel, not of single instructions.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dfo_context::model::{Knob, KnobType};
use dfo_context::{Context, LiveKnob};

const CALLS: u32 = 20_000_000;
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let context = Context::disabled();
    let knob = LiveKnob::new("k", Knob::new("", KnobType::Int, 2));
    let function = context.register("train", [knob])?;
    let atomic = AtomicU64::new(0);

    // In turns, so that both meet the same machine.
    let mut loads = Vec::new();
    let mut boundaries = Vec::new();
    let mut named = Vec::new();
    for _ in 0..ROUNDS {
        loads.push(time(|| {
            black_box(black_box(&atomic).load(Ordering::Relaxed));
        }));
        boundaries.push(time(|| {
            for action in black_box(&function).window_boundary() {
                action.applied();
            }
        }));
        named.push(time(|| {
            for action in black_box(&context).at("train", dfo_context::Boundary::Window) {
                action.applied();
            }
        }));
    }
    let [load, boundary, named] = [loads, boundaries, named].map(median);
    let mut out = std::io::stdout().lock();
    for (what, time) in [
        ("atomic load", load),
        ("boundary", boundary),
        ("boundary by name", named),
    ] {
        let nanoseconds = time.as_secs_f64() * 1e9 / f64::from(CALLS);
        let ratio = time.as_secs_f64() / load.as_secs_f64();
        writeln!(
            out,
            "{what}: {nanoseconds:.2} ns, {ratio:.2} of an atomic load"
        )?;
    }
    Ok(())
}

fn time(mut call: impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
