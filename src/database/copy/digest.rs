//! A checksum of a table's rows, in whatever order they come.

use sha2::{Digest as _, Sha256};

use super::rows::Value;

/// How many rows, and the sum of their SHA-256, by its four parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sums: [u64; 4],
}

impl Digest {
    pub(super) fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            let (tag, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Integer(number) => (1, &number.to_be_bytes()),
                Value::Real(number) => (2, &number.to_bits().to_be_bytes()),
                Value::Text(text) => (3, text.as_bytes()),
                Value::Bytes(bytes) => (4, bytes),
            };
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        let hash = hash.finalize();
        for (sum, part) in self.sums.iter_mut().zip(hash.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*part));
        }
        self.rows += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Value]]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(row));
        digest
    }

    #[test]
    fn only_the_same_rows_have_the_same_digest_whatever_their_order() {
        let text = |text: &str| Value::Text(text.to_owned());
        let (one, two) = ([text("ab"), text("c")], [Value::Integer(1), Value::Null]);
        let both = digest(&[&one, &two]);
        assert_eq!(both, digest(&[&two, &one]));
        for other in [
            digest(&[&one]),
            digest(&[&one, &two, &two]),
            digest(&[&one, &[Value::Integer(2), Value::Null]]),
            digest(&[&one, &[Value::Null, Value::Integer(1)]]),
            digest(&[&[text("a"), text("bc")], &two]),
            digest(&[&[text("ab"), Value::Bytes(b"c".to_vec())], &two]),
        ] {
            assert_ne!(both, other);
        }
    }
}
