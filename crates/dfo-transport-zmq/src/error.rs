//! What libzmq reports, as a [`TransportError`] that says what to do.

use dfo_transport::{ErrorKind, Operation, TransportError};
use tmq::TmqError;

/// Calls again while a signal came in between.
pub(crate) fn retried<T>(call: impl Fn() -> Result<T, zmq::Error>) -> Result<T, zmq::Error> {
    loop {
        match call() {
            Err(zmq::Error::EINTR) => {}
            done => return done,
        }
    }
}

/// An error of libzmq at `context`, which is an address or several.
pub(crate) fn transport(operation: Operation, context: &str, error: zmq::Error) -> TransportError {
    let (kind, advice) = match error {
        zmq::Error::EADDRINUSE => (ErrorKind::AddressInUse, None),
        zmq::Error::EACCES => (ErrorKind::PermissionDenied, None),
        zmq::Error::EINVAL => (
            ErrorKind::InvalidOption,
            Some("expected tcp://HOST:PORT or ipc://PATH"),
        ),
        zmq::Error::ENODEV | zmq::Error::EADDRNOTAVAIL => (
            ErrorKind::InvalidOption,
            Some(
                "no interface of this machine has this address; bind one that it has, or * for all",
            ),
        ),
        zmq::Error::EPROTONOSUPPORT | zmq::Error::ENOCOMPATPROTO => (
            ErrorKind::InvalidOption,
            Some("this libzmq does not speak this protocol; use tcp:// or ipc://"),
        ),
        zmq::Error::ENAMETOOLONG => (
            ErrorKind::InvalidOption,
            Some("the path is too long for a socket; name a shorter one"),
        ),
        zmq::Error::EMFILE => (
            ErrorKind::Io,
            Some("too many open files or sockets; raise the limit (ulimit -n)"),
        ),
        zmq::Error::EINTR => (ErrorKind::Interrupted, None),
        zmq::Error::ETERM | zmq::Error::ENOTSOCK => {
            (ErrorKind::Closed, Some("the socket is closed"))
        }
        _ => (ErrorKind::Io, None),
    };
    let source = advice.map_or_else(|| error.message().to_owned(), str::to_owned);
    TransportError::new(kind, operation, context, source)
}

/// An error of tmq.
pub(crate) fn of_tmq(operation: Operation, context: &str, error: TmqError) -> TransportError {
    match error {
        TmqError::Zmq(error) => transport(operation, context, error),
        TmqError::Io(error) => TransportError::from_io(operation, context, error),
        other @ TmqError::InterruptedSend => {
            TransportError::new(ErrorKind::Io, operation, context, other)
        }
    }
}

/// An address that makes no sense; `problem` says what was expected.
pub(crate) fn address(address: &str, problem: impl Into<String>) -> TransportError {
    TransportError::new(
        ErrorKind::InvalidOption,
        Operation::Open,
        address.escape_debug().to_string(),
        problem.into(),
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn an_error_of_libzmq_has_a_kind_and_says_what_to_do() {
        for (error, kind, what) in [
            (
                zmq::Error::EACCES,
                ErrorKind::PermissionDenied,
                "permission denied",
            ),
            (
                zmq::Error::EADDRINUSE,
                ErrorKind::AddressInUse,
                "stop what listens there",
            ),
            (
                zmq::Error::EPROTONOSUPPORT,
                ErrorKind::InvalidOption,
                "use tcp:// or ipc://",
            ),
            (zmq::Error::EMFILE, ErrorKind::Io, "raise the limit"),
            (zmq::Error::ETERM, ErrorKind::Closed, "the socket is closed"),
        ] {
            let error = transport(Operation::Open, "tcp://*:80", error);
            assert_eq!(error.kind(), kind);
            let text = error.to_string();
            assert!(text.starts_with("tcp://*:80: cannot open: "), "{text}");
            assert!(text.contains(what), "{text}");
        }
    }

    #[test]
    fn a_signal_in_between_is_a_retry() {
        let left = Cell::new(3);
        let call = || match left.replace(left.get() - 1) {
            0 => Ok("done"),
            _ => Err(zmq::Error::EINTR),
        };
        assert_eq!(retried(call), Ok("done"));
        assert!(retried(|| Err::<(), _>(zmq::Error::EAGAIN)).is_err());
    }
}
