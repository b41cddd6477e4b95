//! HTTP by hand: a request, and the whole answer.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::live::{DEADLINE, Serve};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: String,
}

/// Where a service serves its metrics.
pub fn address(serve: &Serve) -> String {
    let told = serve.wait_for("where metrics are", |e| e["event"] == "optimizer.metrics");
    told["address"].as_str().unwrap().to_owned()
}

pub fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path)
}

pub fn ask(address: &str, method: &str, path: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    say(address, request.as_bytes())
}

/// Sends some bytes, and reads until the other side hangs up.
pub fn say(address: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        code: code.unwrap_or(0),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}
