//! The other side of a ZeroMQ socket, written by hand: ZMTP 3.0 over a plain TCP connection.
//!
//! It does what no library would: half a message, too large a frame, a connection that ends in the
//! middle. And it knows nothing that only libzmq knows.

use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::DEADLINE;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// The frames of one message.
pub type Message = Vec<Vec<u8>>;

/// One connection to a socket of the other side.
pub struct Peer {
    stream: BufWriter<TcpStream>,
    received: Receiver<Message>,
}

/// Where the other side connects to.
pub struct Listener(TcpListener);

/// Listens at a free port.
pub fn listen() -> Listener {
    Listener(TcpListener::bind("127.0.0.1:0").expect("a free port"))
}

impl Listener {
    pub fn address(&self) -> String {
        format!("tcp://{}", self.0.local_addr().expect("it is bound"))
    }

    /// The next one that connects, to which this is a socket of a kind: `PUSH`, `PULL`.
    #[track_caller]
    pub fn accept(&self, kind: &str) -> Peer {
        let (stream, _) = self.0.accept().expect("someone connects");
        Peer::shake_hands(stream, kind).expect("it speaks ZMTP")
    }
}

impl Peer {
    /// Connects to an address, where someone listens or will listen.
    #[track_caller]
    pub fn connect(address: &str, kind: &str) -> Peer {
        let place = address.strip_prefix("tcp://").expect("tcp");
        let begun = Instant::now();
        loop {
            let connected = TcpStream::connect(place);
            match connected.and_then(|stream| Peer::shake_hands(stream, kind)) {
                Ok(peer) => return peer,
                Err(e) => assert!(begun.elapsed() < DEADLINE, "{address}: {e}"),
            }
            // Sleeps: polls until the other process listens, up to a deadline.
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn shake_hands(mut stream: TcpStream, kind: &str) -> std::io::Result<Peer> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let mut greeting = [0; 64];
        greeting[0] = 0xff;
        greeting[9] = 0x7f;
        greeting[10] = 3;
        greeting[12..16].copy_from_slice(b"NULL");
        stream.write_all(&greeting)?;
        stream.read_exact(&mut greeting)?;

        let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
        ready.extend(u32::try_from(kind.len()).expect("short").to_be_bytes());
        ready.extend(kind.as_bytes());
        stream.write_all(&header(COMMAND, ready.len()))?;
        stream.write_all(&ready)?;
        let mut from = BufReader::new(stream.try_clone()?);
        read_frame(&mut from)?;

        stream.set_read_timeout(None)?;
        let (sender, received) = channel();
        thread::spawn(move || {
            while let Ok(message) = read_message(&mut from) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let stream = BufWriter::with_capacity(1 << 16, stream);
        Ok(Peer { stream, received })
    }

    /// Sends a message at once.
    #[track_caller]
    pub fn send(&mut self, frames: &[&[u8]]) {
        self.put(frames);
        self.flush();
    }

    /// Sends a message some time, at the latest with [`Peer::flush`].
    #[track_caller]
    pub fn put(&mut self, frames: &[&[u8]]) {
        self.try_put(frames).expect("the other side reads");
    }

    /// The same, where the other side may go away.
    pub fn try_put(&mut self, frames: &[&[u8]]) -> std::io::Result<()> {
        for (i, frame) in frames.iter().enumerate() {
            let more = if i + 1 < frames.len() { MORE } else { 0 };
            self.stream.write_all(&header(more, frame.len()))?;
            self.stream.write_all(frame)?;
        }
        Ok(())
    }

    #[track_caller]
    pub fn flush(&mut self) {
        self.stream.flush().expect("the other side reads");
    }

    /// The same, where the other side may go away.
    pub fn try_flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }

    /// Sends a frame that says that another one follows, and ends the connection.
    pub fn send_half(mut self, frame: &[u8]) {
        self.stream.write_all(&header(MORE, frame.len())).unwrap();
        self.stream.write_all(frame).unwrap();
        self.close();
    }

    /// The next message.
    #[track_caller]
    pub fn receive(&self) -> Message {
        match self.received.recv_timeout(DEADLINE) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("nothing came within {DEADLINE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the other side is gone"),
        }
    }

    /// The next message; none once the other side has ended the connection.
    #[track_caller]
    pub fn next(&self) -> Option<Message> {
        match self.received.recv_timeout(DEADLINE) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing came within {DEADLINE:?}"),
        }
    }

    /// What has come by now and was not looked at.
    pub fn received(&self) -> Vec<Message> {
        self.received.try_iter().collect()
    }

    /// All that still comes, until the other side ends the connection.
    pub fn rest(&self) -> Vec<Message> {
        let mut rest = Vec::new();
        loop {
            match self.received.recv_timeout(DEADLINE) {
                Ok(message) => rest.push(message),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end within {DEADLINE:?}"),
            }
        }
    }

    /// Ends the connection; what was sent arrives.
    pub fn close(mut self) {
        self.flush();
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }
}

fn header(flags: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(length) => vec![flags, length],
        Err(_) => {
            let mut header = vec![flags | LONG];
            header.extend((length as u64).to_be_bytes());
            header
        }
    }
}

/// Commands are passed over. A PING is not answered: whoever asks waits longer than any test takes.
fn read_message(from: &mut impl Read) -> std::io::Result<Message> {
    let mut frames = Vec::new();
    loop {
        let (flags, frame) = read_frame(from)?;
        if flags & COMMAND == 0 {
            frames.push(frame);
            if flags & MORE == 0 {
                return Ok(frames);
            }
        }
    }
}

fn read_frame(from: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut flags = [0];
    from.read_exact(&mut flags)?;
    let length = match flags[0] & LONG {
        0 => {
            let mut length = [0];
            from.read_exact(&mut length)?;
            u64::from(length[0])
        }
        _ => {
            let mut length = [0; 8];
            from.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
    };
    let length = usize::try_from(length).map_err(|_| ErrorKind::InvalidData)?;
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    Ok((flags[0], frame))
}
