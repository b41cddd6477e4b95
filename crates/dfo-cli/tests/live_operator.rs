//! An operator at a running service: `dfo ctl` over the control socket, metrics and health over HTTP,
//! and what the log tells. Real processes, real sockets; the metrics are shown to the real `promtool`.

#![cfg(all(feature = "zmq", target_os = "linux"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod dfo;
mod live;

#[path = "live/operator/control.rs"]
mod control;
#[path = "live/operator/http.rs"]
mod http;
#[path = "live/operator/log.rs"]
mod log;
#[path = "live/operator/metrics.rs"]
mod metrics;
#[path = "live/operator/socket.rs"]
mod socket;

use dfo::Folder;
use live::findings::{knobs, numbered};

/// A folder with `knobs.json`: knobs `app.k0` and `app.k1` that always act.
fn folder() -> Folder {
    Folder::with("knobs.json", knobs(numbered(2)).to_string())
}
