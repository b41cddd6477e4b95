//! Transports within one process that stand in for kinds of real ones, right and wrong.

pub mod broadcast;
pub mod broken;
pub mod log;
pub mod shared;

use dfo_transport::{ErrorKind, Operation, TransportError};

pub fn closed(operation: Operation) -> TransportError {
    TransportError::new(ErrorKind::Closed, operation, "stand-in", "it is closed")
}
