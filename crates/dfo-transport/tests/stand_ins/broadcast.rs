//! Every receiver gets every record, but one that comes late or is behind misses some: as PUB/SUB.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dfo_transport::conformance::{Claim, Harness, OpenError, Place};
use dfo_transport::{Capabilities, Closed, Record, Sink, Source, TransportError};
use tokio::sync::broadcast::{self, error::RecvError};

use super::closed;

/// What a broadcast does wrong.
#[derive(Clone, Copy, PartialEq)]
pub enum Wrong {
    Nothing,
    /// Receivers are dealt the records in turn.
    Deals,
    /// Receivers never arrive.
    Deaf,
    /// It keeps everything for who does not receive.
    Hoards,
}

pub struct Broadcast(pub Wrong);

impl Harness for Broadcast {
    fn claims(&self) -> &[Claim] {
        &[
            Claim::OpaqueMetadata,
            Claim::SeveralSenders,
            Claim::SeveralReceivers,
            Claim::SourceReopens,
            Claim::SinkReopens,
        ]
    }

    fn place(&self) -> Box<dyn Place> {
        let room = match self.0 {
            Wrong::Hoards => 1 << 20,
            _ => 256,
        };
        Box::new(Air {
            wrong: self.0,
            sender: broadcast::channel(room).0,
            receivers: Arc::default(),
        })
    }
}

#[derive(Clone)]
struct Air {
    wrong: Wrong,
    sender: broadcast::Sender<(u64, Record)>,
    /// How many receivers there have been.
    receivers: Arc<Mutex<u64>>,
}

struct Ear {
    air: Air,
    nth: u64,
    /// None until it has joined: the first look finds nothing.
    receiver: Option<broadcast::Receiver<(u64, Record)>>,
}

struct Mouth {
    air: Air,
    sent: u64,
}

const FAN_OUT: Capabilities = Capabilities::stream().with_fan_out();

#[async_trait]
impl Place for Air {
    async fn source(&self) -> Result<Box<dyn Source>, OpenError> {
        let mut receivers = self.receivers.lock().unwrap();
        *receivers += 1;
        Ok(Box::new(Ear {
            air: self.clone(),
            nth: *receivers,
            receiver: None,
        }))
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, OpenError> {
        let air = self.clone();
        Ok(Box::new(Mouth { air, sent: 0 }))
    }
}

impl Ear {
    async fn next(&mut self) -> Result<Record, TransportError> {
        if self.receiver.is_none() {
            // A subscription takes its time to arrive.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let subscribe = || self.air.sender.subscribe();
        let receiver = self.receiver.get_or_insert_with(subscribe);
        loop {
            match receiver.recv().await {
                _ if self.air.wrong == Wrong::Deaf => {}
                Ok((n, _)) if self.air.wrong == Wrong::Deals && n % 3 != self.nth % 3 => {}
                Ok((_, record)) => return Ok(record),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(closed(dfo_transport::Operation::Receive)),
            }
        }
    }
}

#[async_trait]
impl Source for Ear {
    fn capabilities(&self) -> Capabilities {
        FAN_OUT
    }

    async fn receive(&mut self, _limit: usize) -> Result<Vec<Record>, TransportError> {
        Ok(vec![self.next().await?])
    }

    async fn close(self: Box<Self>, _deadline: Duration) -> Result<(), TransportError> {
        Ok(())
    }
}

#[async_trait]
impl Sink for Mouth {
    fn capabilities(&self) -> Capabilities {
        FAN_OUT
    }

    async fn send(&mut self, record: Record) -> Result<(), TransportError> {
        tokio::task::consume_budget().await;
        // That no one listens is no error.
        let _ = self.air.sender.send((self.sent, record));
        self.sent += 1;
        Ok(())
    }

    async fn flush(&mut self, _deadline: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    async fn close(self: Box<Self>, _deadline: Duration) -> Result<Closed, TransportError> {
        Ok(Closed::dropping(0))
    }
}
