//! Names for plans.

use serde::{Deserialize, Serialize};

/// A source of plan ids, passed in: the planner itself knows no randomness.
///
/// A seed gives the same ids in the same order. Ids of one seed never repeat; ids of two random
/// seeds do so with the odds of 128 random bits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanIds {
    #[serde(with = "hex")]
    seed: u128,
    #[serde(with = "hex")]
    count: u128,
}

/// Odd, so that multiplying with it permutes the 128-bit numbers: 2^128 divided by the golden ratio.
const STRIDE: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;

impl PlanIds {
    /// The ids of a seed. Where plans leave the process, take the seed from the operating system's
    /// source of randomness.
    pub fn from_seed(seed: u128) -> Self {
        PlanIds { seed, count: 0 }
    }

    /// `plan_` and 32 hexadecimal digits.
    pub(crate) fn next_id(&mut self) -> String {
        self.count = self.count.wrapping_add(1);
        self.id(self.count)
    }

    /// The id of that number, if it was given already.
    pub(crate) fn given(&self, number: u64) -> Option<String> {
        let is_given = (1..=self.count).contains(&number.into());
        is_given.then(|| self.id(number.into()))
    }

    /// Which one of those given an id is, if it is one.
    pub(crate) fn number_of(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix("plan_")?;
        let place = unscrambled(u128::from_str_radix(digits, 16).ok()?);
        let number = place.wrapping_sub(self.seed).wrapping_mul(STRIDE_BACK);
        let number = u64::try_from(number).ok()?;
        (self.given(number)? == id).then_some(number)
    }

    fn id(&self, number: u128) -> String {
        let id = scrambled(self.seed.wrapping_add(number.wrapping_mul(STRIDE)));
        format!("plan_{id:032x}")
    }
}

/// Multiplying with it undoes multiplying with [`STRIDE`]. Each of Newton's steps doubles how many of
/// the lowest bits are right; of an odd number itself three are.
const STRIDE_BACK: u128 = {
    let mut back = STRIDE;
    let mut right_bits = 3;
    while right_bits < 128 {
        back = back.wrapping_mul(2_u128.wrapping_sub(STRIDE.wrapping_mul(back)));
        right_bits *= 2;
    }
    back
};

/// A permutation of the 128-bit numbers: one id does not tell the next.
fn scrambled(id: u128) -> u128 {
    let mut x = id;
    for _ in 0..2 {
        x = (x ^ (x >> 67)).wrapping_mul(STRIDE);
    }
    x ^ (x >> 64)
}

/// What [`scrambled`] made an id of. Shifts by half the bits or more undo themselves.
fn unscrambled(id: u128) -> u128 {
    let mut x = id ^ (id >> 64);
    for _ in 0..2 {
        x = x.wrapping_mul(STRIDE_BACK);
        x ^= x >> 67;
    }
    x
}

/// Hexadecimal digits in a text: few formats have numbers of 128 bits.
mod hex {
    use std::borrow::Cow;

    use serde::de::{Deserialize, Deserializer, Error, Unexpected};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(number: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        u128::from_str_radix(&text, 16).map_err(|_| {
            let expected = "up to 32 hexadecimal digits";
            Error::invalid_value(Unexpected::Str(&text), &expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn h09_ids_do_not_repeat_and_have_128_bits() {
        let mut ids = PlanIds::from_seed(7);
        let seen: HashSet<_> = (0..200_000).map(|_| ids.next_id()).collect();
        assert_eq!(seen.len(), 200_000);
        assert!(seen.iter().all(|id| id.len() == "plan_".len() + 128 / 4));
    }

    #[test]
    fn the_number_of_an_id_is_found() {
        for seed in [0, 7, u128::MAX, STRIDE] {
            let mut ids = PlanIds::from_seed(seed);
            for number in 1..100 {
                let id = ids.next_id();
                assert_eq!(ids.number_of(&id), Some(number));
                assert_eq!(ids.given(number), Some(id));
            }
            assert_eq!(ids.given(0), None);
            assert_eq!(ids.given(100), None);
            assert_eq!(ids.number_of(&ids.clone().next_id()), None);
            let first = ids.given(1).unwrap();
            for other in [
                "above",
                "plan_",
                &first.to_uppercase(),
                &format!("{first}0"),
            ] {
                assert_eq!(ids.number_of(other), None);
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_ids() {
        let (mut a, mut b) = (PlanIds::from_seed(3), PlanIds::from_seed(3));
        assert_eq!(a.next_id(), b.next_id());
    }
}
