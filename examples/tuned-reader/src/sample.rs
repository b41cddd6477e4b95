//! What a sample is: bytes that differ from sample to sample, and a checksum of them, so that it shows
//! when one is lost, doubled or spoilt.

/// The bytes of a sample.
pub fn bytes(number: u64, length: usize) -> Vec<u8> {
    let words = (1..).map(|place| mixed(number, place).to_le_bytes());
    words.flatten().take(length).collect()
}

/// A checksum in which each byte and its place count.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mixed(sum, u64::from_le_bytes(word))
    })
}

/// The checksum of several samples, in whatever order they come.
pub fn combined(checksums: impl IntoIterator<Item = u64>) -> u64 {
    checksums.into_iter().fold(0, u64::wrapping_add)
}

fn mixed(a: u64, b: u64) -> u64 {
    // An odd constant whose bits look random, so that a product depends on all bits below.
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    (a.rotate_left(29) ^ b).wrapping_mul(ODD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_differ_and_have_their_length() {
        assert_eq!(bytes(3, 21).len(), 21);
        assert_eq!(bytes(3, 21), bytes(3, 21));
        assert_ne!(bytes(3, 21), bytes(4, 21));
    }

    #[test]
    fn a_spoilt_byte_shows() {
        let whole = bytes(1, 100);
        for place in [0, 50, 99] {
            let mut spoilt = whole.clone();
            spoilt[place] ^= 1;
            assert_ne!(checksum(&spoilt), checksum(&whole), "byte {place}");
        }
    }

    #[test]
    fn swapped_words_show() {
        let (mut a, b) = (bytes(1, 8), bytes(2, 8));
        let other = [b.clone(), a.clone()].concat();
        a.extend(b);
        assert_ne!(checksum(&a), checksum(&other));
    }

    #[test]
    fn the_order_of_samples_does_not_matter() {
        assert_eq!(combined([u64::MAX, 5, 9]), combined([9, u64::MAX, 5]));
        assert_ne!(combined([5, 9]), combined([5, 9, 9]));
    }
}
