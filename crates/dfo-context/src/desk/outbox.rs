//! Acknowledgements that wait to be sent.

use std::collections::VecDeque;

use dfo_model::Ack;

/// Acknowledgements that wait to be sent, to a bound: then the oldest make room.
#[derive(Debug)]
pub(crate) struct Outbox {
    acks: VecDeque<Ack>,
    capacity: usize,
    fate: Fate,
}

/// What becomes of an acknowledgement that is put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It waits to be sent.
    Waits,
    /// Nobody wants it.
    Unheard,
    /// The context was stopped: nobody sends it any more.
    TooLate,
}

/// What an acknowledgement that was put in cost.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    InPlace,
    Dropped,
    Unheard,
}

impl Outbox {
    pub(crate) fn new(capacity: usize, fate: Fate) -> Self {
        Outbox {
            acks: VecDeque::new(),
            capacity: capacity.max(1),
            fate,
        }
    }

    pub(crate) fn put(&mut self, ack: Ack) -> Put {
        match self.fate {
            Fate::Unheard => Put::Unheard,
            Fate::TooLate => Put::Dropped,
            Fate::Waits => {
                let is_full = self.acks.len() >= self.capacity;
                if is_full {
                    self.acks.pop_front();
                }
                self.acks.push_back(ack);
                if is_full { Put::Dropped } else { Put::InPlace }
            }
        }
    }

    pub(crate) fn next(&mut self) -> Option<Ack> {
        self.acks.pop_front()
    }

    pub(crate) fn fate(&self) -> Fate {
        self.fate
    }

    pub(crate) fn len(&self) -> usize {
        self.acks.len()
    }

    /// From now on this happens to what is put in. What waits is given back if it waits no longer.
    pub(crate) fn turn(&mut self, fate: Fate) -> usize {
        self.fate = fate;
        match fate {
            Fate::Waits => 0,
            Fate::Unheard | Fate::TooLate => std::mem::take(&mut self.acks).len(),
        }
    }
}
