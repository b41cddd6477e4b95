//! Waiting before trying again.

use std::time::Duration;

use tokio::time::sleep;

use super::Timing;

/// How long to wait before trying again: longer each time.
#[derive(Debug)]
pub(super) struct Waits {
    first: Duration,
    longest: Duration,
    next: Duration,
    /// How often it waited since it was reset.
    pub(super) count: u32,
}

impl Waits {
    pub(super) fn new(timing: Timing) -> Self {
        // Without any wait, a transport that fails at once would keep a core busy.
        let first = timing.first_wait.max(Duration::from_millis(1));
        Waits {
            first,
            longest: timing.longest_wait.max(first),
            next: first,
            count: 0,
        }
    }

    pub(super) async fn wait(&mut self) {
        let wait = self.next;
        self.next = (self.next * 2).min(self.longest);
        self.count += 1;
        sleep(wait).await;
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
        self.count = 0;
    }
}
