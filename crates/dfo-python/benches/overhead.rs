//! What the Python package costs a script in which nothing changes: runs `overhead.py`.
//!
//! `cargo bench -p dfo-python`, with the Python that `DFO_PYTHON` names, else `python3`. What follows `--`
//! goes to the script.

#[path = "../tests/package/mod.rs"]
mod package;

use std::error::Error;

use package::Package;

fn main() -> Result<(), Box<dyn Error>> {
    // cargo says `--bench` to whatever it runs.
    let arguments = std::env::args().skip(1).filter(|one| one != "--bench");
    let package = Package::new()?;
    let status = package
        .python()
        .arg("benches/overhead.py")
        .args(arguments)
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("overhead.py: {status}").into()),
    }
}
