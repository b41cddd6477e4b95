//! Records over ZeroMQ.

mod endpoint;
mod error;
mod frames;
mod monitor;
mod settings;
mod sink;
mod socket;
mod source;
mod transport;

pub use endpoint::Endpoint;
pub use settings::Settings;
pub use sink::{Pattern, ZmqSink};
pub use source::ZmqSource;
pub use transport::Zmq;
