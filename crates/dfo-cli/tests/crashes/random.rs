//! Chance that can be had again: a seed, which is printed, and what follows from it.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::time::Duration;

/// Numbers that look random (`SplitMix64`).
pub struct Random(u64);

impl Random {
    /// From `DFO_SEED`, or a new seed. It is printed, for a test that fails.
    pub fn new(of: &str) -> Self {
        let given = std::env::var("DFO_SEED").ok();
        let given = given.map(|seed| seed.parse().expect("DFO_SEED is a number"));
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(of));
        println!("{of}: DFO_SEED={seed} does it again");
        Random(seed)
    }

    /// What follows from a number of another.
    pub fn again(seed: u64) -> Self {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn of(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.of(range))
    }

    /// One time in so many.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }
}
