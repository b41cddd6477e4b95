//! The programs of the loop as processes, and where they meet.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_mins(2);

/// A socket by its name: the names are those of the transport's options.
pub fn ipc(folder: &Path, name: &str) -> String {
    format!("ipc://{}", folder.join(name).display())
}

/// Ends with the test, however that ends.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, at the optimizer in this folder: few small files, and no link that could be full.
pub fn reader(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tuned-reader"));
    command
        .args(["--files", "8", "--file-kib", "4", "--bandwidth-mib", "0"])
        .args(["--read-latency-ms", "5"])
        .args(["--plans-address", &ipc(folder, "plans-address")])
        .args(["--control-address", &ipc(folder, "control-address")]);
    command
}
