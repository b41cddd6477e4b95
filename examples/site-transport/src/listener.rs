//! A socket to connect to, which is gone from its directory when no one listens any more.

use std::io;
use std::path::{Path, PathBuf};

use dfo_transport::{Operation, TransportError};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

use super::RETRY;

/// A bound socket.
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens at this path. What a process left there that was killed is taken away.
    pub(crate) async fn bind(path: &Path) -> Result<Self, TransportError> {
        let bound = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                take_away_what_was_left(path, error).await?;
                UnixListener::bind(path)
            }
            bound => bound,
        };
        let path = path.to_owned();
        match bound {
            Ok(socket) => Ok(Self { socket, path }),
            Err(error) => Err(cannot_open(&path, error)),
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The next one who connects. Cancel-safe.
    pub(crate) async fn accept(&self) -> UnixStream {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return stream,
                // This one went away again, or there are too many open files for now.
                Err(_) => sleep(RETRY).await,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // There is nobody to tell; who binds it next takes it away.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes a socket at which no one listens.
async fn take_away_what_was_left(path: &Path, in_use: io::Error) -> Result<(), TransportError> {
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| cannot_open(path, error))
        }
        _ => Err(cannot_open(path, in_use)),
    }
}

/// Connects to a socket, as soon as someone listens there. Cancel-safe.
pub(crate) async fn connect(path: &Path) -> Result<UnixStream, TransportError> {
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            // Nobody is there yet, or too many are waiting to be let in.
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused | WouldBlock) => {
                sleep(RETRY).await;
            }
            Err(error) => return Err(cannot_open(path, error)),
        }
    }
}

fn cannot_open(path: &Path, error: io::Error) -> TransportError {
    TransportError::from_io(Operation::Open, path.display().to_string(), error)
}
