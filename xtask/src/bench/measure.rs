//! Times and what is made of them.

use std::time::{Duration, Instant};

use anyhow::Result;

/// How long it takes.
pub fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// How many a second, by the median of the times in which there were so many.
pub fn rate(count: usize, times: &mut [Duration]) -> f64 {
    // Exact up to 2^32, which is more than any run has.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    f64::from(count) / median(times).as_secs_f64()
}

/// The middle one; of none it is zero.
pub fn median(times: &mut [Duration]) -> Duration {
    percentile(times, 50)
}

/// The time that so many in a hundred do not exceed; of none it is zero.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let rank = times.len() * percent / 100;
    let last = times.len().saturating_sub(1);
    times.get(rank.min(last)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let mut times: Vec<_> = (0..100).rev().map(Duration::from_secs).collect();
        let mut seconds = |percent| percentile(&mut times, percent).as_secs();
        assert_eq!(
            [seconds(0), seconds(50), seconds(99), seconds(100)],
            [0, 50, 99, 99]
        );
        assert_eq!(median(&mut []), Duration::ZERO);
    }

    #[test]
    fn a_rate_is_by_the_median() {
        let mut times = [9, 2, 1].map(Duration::from_secs);
        assert!((rate(10, &mut times) - 5.0).abs() < f64::EPSILON);
    }
}
