//! A peer that speaks ZMTP 3.0 by hand, as far as a test wants it to.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// A connection to a bound socket.
pub struct RawPeer(TcpStream);

impl RawPeer {
    /// Connects, and says nothing yet.
    pub fn silent(address: &str) -> Self {
        let address = address.strip_prefix("tcp://").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(super::LONG)).unwrap();
        Self(stream)
    }

    /// Connects, and says that it is such a socket.
    pub fn connect(address: &str, socket_type: &str) -> Self {
        let mut peer = Self::silent(address);
        let mut greeting = [0; 64];
        greeting[0] = 0xff;
        greeting[8] = 1;
        greeting[9] = 0x7f;
        greeting[10] = 3;
        greeting[12..16].copy_from_slice(b"NULL");
        peer.write(&greeting);
        peer.read(64);
        let mut ready = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
        ready.push(u8::try_from(socket_type.len()).unwrap());
        ready.extend_from_slice(socket_type.as_bytes());
        peer.frame(4, &ready);
        let head = peer.read(2);
        assert_eq!(head[0], 4, "a command");
        peer.read(head[1].into());
        peer
    }

    /// A whole message.
    pub fn send(&mut self, frames: &[&[u8]]) {
        for (index, frame) in frames.iter().enumerate() {
            self.frame(u8::from(index + 1 < frames.len()), frame);
        }
    }

    /// One frame. Flags: 1 is "more follow", 4 is a command.
    pub fn frame(&mut self, flags: u8, content: &[u8]) {
        self.head(flags, content.len() as u64);
        self.write(content);
    }

    /// What comes before the content of a frame.
    pub fn head(&mut self, flags: u8, length: u64) {
        match u8::try_from(length) {
            Ok(length) => self.write(&[flags, length]),
            Err(_) => {
                self.write(&[flags | 2]);
                self.write(&length.to_be_bytes());
            }
        }
    }

    /// Bytes as they are. Being cut off is no failure of the test.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Waits until the other side has closed the connection.
    pub fn until_cut_off(mut self) {
        let mut rest = Vec::new();
        let end = self.0.read_to_end(&mut rest);
        let timed_out = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!end.as_ref().is_err_and(timed_out), "not within a minute");
    }

    fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
