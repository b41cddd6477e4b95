//! How long findings waited for their decision.

use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// A histogram of times, from a finding's receipt to the decision on it.
///
/// The bounds are fixed: 10 µs to 10 s, three a decade.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many fell below each bound and not below the one before; the last: above all.
    counts: [u64; Latency::BOUNDS.len() + 1],
    sum: Duration,
}

impl Latency {
    /// The upper bounds of the buckets, each belonging to its bucket. What is above the last is in
    /// none.
    pub const BOUNDS: [Duration; 19] = [
        Duration::from_micros(10),
        Duration::from_micros(25),
        Duration::from_micros(50),
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_micros(2500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2500),
        Duration::from_secs(5),
        Duration::from_secs(10),
    ];

    /// Counts one.
    pub(crate) fn observe(&mut self, time: Duration) {
        let bucket = Self::BOUNDS.partition_point(|bound| *bound < time);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them, added up.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// For each bound, how many took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let bounds = Self::BOUNDS.into_iter().zip(self.counts);
        bounds.scan(0, |all, (bound, count)| {
            *all += count;
            Some((bound, *all))
        })
    }

    /// A bound that at least this fraction (0 to 1) of them kept; `None` where there were none, or
    /// they took longer than the last bound.
    pub fn within(&self, fraction: f64) -> Option<Duration> {
        let count = self.count();
        #[expect(clippy::cast_precision_loss, reason = "a fraction of a count")]
        let enough = |within: u64| within as f64 >= fraction * count as f64;
        let mut buckets = self.cumulative().filter(|_| count > 0);
        buckets.find(|(_, n)| enough(*n)).map(|(bound, _)| bound)
    }
}

/// `count`, `sum_s`, and `buckets`: pairs of a bound in seconds and how many took no longer.
impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let buckets = self.cumulative().map(|(le, n)| (le.as_secs_f64(), n));
        let mut object = to.serialize_struct("Latency", 3)?;
        object.serialize_field("count", &self.count())?;
        object.serialize_field("sum_s", &self.sum.as_secs_f64())?;
        object.serialize_field("buckets", &buckets.collect::<Vec<_>>())?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_what_is_above_all_is_in_none() {
        let mut latency = Latency::default();
        for micros in [0, 10, 11, 10_000_000, 10_000_001] {
            latency.observe(Duration::from_micros(micros));
        }
        let cumulative: Vec<_> = latency.cumulative().map(|(_, n)| n).collect();
        assert_eq!(cumulative[..3], [2, 3, 3]);
        assert_eq!((cumulative[18], latency.count()), (4, 5));
        assert_eq!(latency.sum(), Duration::from_micros(20_000_022));
        assert_eq!(latency.within(0.5), Some(Duration::from_micros(25)));
        assert_eq!(latency.within(1.0), None);
        assert_eq!(Latency::default().within(0.5), None);
    }

    #[test]
    fn the_bounds_rise() {
        assert!(Latency::BOUNDS.is_sorted_by(|a, b| a < b));
    }
}
