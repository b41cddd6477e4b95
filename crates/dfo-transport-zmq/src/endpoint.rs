//! Addresses: bound or connected, and what libzmq would do with them without asking.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use dfo_transport::{ErrorKind, Operation, TransportError};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::error;

const EXPECTED: &str = "expected tcp://HOST:PORT or ipc://PATH";

/// An address, and which side of it a socket takes.
///
/// An address is `tcp://HOST:PORT` or `ipc://PATH`. To bind, HOST may be `*` for all interfaces and
/// PORT may be 0 or `*` for a free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Listens at the address. Exactly one socket can.
    Bind(String),
    /// Connects to the address, now or as soon as someone listens there, and again where the
    /// connection is lost.
    Connect(String),
}

impl Endpoint {
    /// The address.
    pub fn address(&self) -> &str {
        match self {
            Self::Bind(address) | Self::Connect(address) => address,
        }
    }

    /// Whether the address makes sense and, as far as can be told without taking it, can be had.
    pub(crate) async fn check(&self) -> Result<(), TransportError> {
        let address = self.address();
        // The binding panics on it.
        if address.contains('\0') {
            return Err(error::address(address, "it contains a NUL character"));
        }
        match address.split_once("://") {
            Some(("tcp", rest)) => self.check_tcp(rest),
            Some(("ipc", path)) => self.check_ipc(path).await,
            Some((protocol, _)) => Err(error::address(
                address,
                format!("the protocol {protocol} is not supported; {EXPECTED}"),
            )),
            None => Err(error::address(address, EXPECTED)),
        }
    }

    /// libzmq takes a port that is none for port 0, which is any.
    fn check_tcp(&self, rest: &str) -> Result<(), TransportError> {
        let (host, port) = rest.rsplit_once(':').unwrap_or_default();
        let number = port.parse::<u16>().ok();
        let makes_sense = match self {
            Self::Bind(_) => port == "*" || number.is_some(),
            Self::Connect(_) => host != "*" && number.is_some_and(|number| number > 0),
        };
        match makes_sense && !host.is_empty() {
            true => Ok(()),
            false => Err(error::address(
                self.address(),
                match self {
                    Self::Bind(_) => "expected tcp://HOST:PORT, where each may be *, or ipc://PATH",
                    Self::Connect(_) => EXPECTED,
                },
            )),
        }
    }

    async fn check_ipc(&self, path: &str) -> Result<(), TransportError> {
        match self {
            _ if path.is_empty() => Err(error::address(
                self.address(),
                "the path is missing; give ipc://PATH",
            )),
            // Not in the file system: an abstract name, or one of libzmq's choice.
            _ if path.starts_with(['@', '*']) => Ok(()),
            Self::Bind(address) => can_have(address, path).await,
            Self::Connect(_) => Ok(()),
        }
    }

    /// Takes the address, which was checked, for a socket. Says what it is in truth: where a port
    /// was left open, with the port.
    pub(crate) fn attach(&self, socket: &zmq::Socket) -> Result<String, zmq::Error> {
        let address = self.address();
        // Off by default in libzmq; where it is on, a `*` means another thing.
        error::retried(|| socket.set_ipv6(address.contains('[')))?;
        match self {
            Self::Connect(_) => {
                error::retried(|| socket.connect(address))?;
                Ok(address.to_owned())
            }
            Self::Bind(_) => {
                error::retried(|| socket.bind(address))?;
                let bound = error::retried(|| socket.get_last_endpoint())?;
                Ok(bound.unwrap_or_else(|_| address.to_owned()))
            }
        }
    }
}

/// Whether a socket may be made at `path`.
///
/// libzmq deletes what is there before it binds: the socket of someone who listens, or a file that
/// is no socket at all. And its binding panics on the errors of a file system that it has no name
/// for. So the path is tried here first.
async fn can_have(address: &str, path: &str) -> Result<(), TransportError> {
    let refused = |kind, what: &str| Err(TransportError::new(kind, Operation::Open, address, what));
    match UnixListener::bind(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let is_socket =
                std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
            if !is_socket {
                let what = "a file that is no socket is there; name another path";
                return refused(ErrorKind::InvalidOption, what);
            }
            match someone_listens(path).await {
                true => refused(ErrorKind::AddressInUse, "someone listens there"),
                false => Ok(()),
            }
        }
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => {
            let what = "the path is too long for a socket; name a shorter one";
            refused(ErrorKind::InvalidOption, what)
        }
        Err(e) => Err(TransportError::from_io(Operation::Open, address, e)),
    }
}

/// A socket that nobody listens at was left behind by a process that ended badly.
async fn someone_listens(path: &str) -> bool {
    // A listener whose queue is full lets one wait.
    match timeout(Duration::from_secs(1), UnixStream::connect(path)).await {
        Ok(Ok(_)) | Err(_) => true,
        Ok(Err(e)) => e.kind() != io::ErrorKind::ConnectionRefused,
    }
}
