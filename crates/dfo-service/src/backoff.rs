//! How long to wait before trying again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits twice as long after each failure in turn, up to five seconds.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It failed once more. How often in turn it has.
    pub(crate) fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    pub(crate) async fn wait(&self) {
        let doublings = self.failures.saturating_sub(1).min(16);
        tokio::time::sleep((FIRST * (1 << doublings)).min(LONGEST)).await;
    }
}
