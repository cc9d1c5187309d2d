//! Where a log partition stands.

use daybook_kernel::ConsistencyToken;

/// Bits of the offset.
const OFFSET: u32 = 48;

/// Epoch and next offset in one number, so that both are read and compared at once: a later epoch is further, whatever the
/// offset. Holds epochs up to 65,535 and offsets up to 2^48 − 1; what is beyond counts as the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

impl Position {
    /// Before everything: nothing is known yet.
    pub(crate) const UNKNOWN: Self = Self(0);

    pub(crate) fn new(epoch: i32, next: i64) -> Self {
        let epoch = u64::from(u16::try_from(epoch.max(0)).unwrap_or(u16::MAX));
        let next = u64::try_from(next).unwrap_or(0).min((1 << OFFSET) - 1);
        Self(epoch << OFFSET | next)
    }

    /// Where one stands who has got to a token.
    pub(crate) fn of(token: &ConsistencyToken) -> Self {
        Self::new(token.epoch, token.offset.saturating_add(1))
    }

    pub(crate) fn epoch(self) -> i32 {
        // At most 16 bits.
        (self.0 >> OFFSET) as i32
    }

    /// Everything before it is covered.
    pub(crate) fn next(self) -> i64 {
        (self.0 & ((1 << OFFSET) - 1)).cast_signed()
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_is_further_and_within_one_the_offset_counts() {
        let ordered = [Position::UNKNOWN, Position::new(1, 0), Position::new(1, 9), Position::new(2, 3), Position::new(40_000, 1 << 47)];
        assert!(ordered.is_sorted_by(|a, b| a < b));
        assert_eq!((ordered[4].epoch(), ordered[4].next()), (40_000, 1 << 47));
        assert_eq!(Position::of(&"catalog/3:17@2".parse().expect("a token")), Position::new(2, 18));
        assert_eq!(Position::of(&"catalog/3:-1@1".parse().expect("a token")), Position::new(1, 0));
        assert_eq!(Position::new(1, i64::MAX).epoch(), 1, "what is too far does not become another epoch");
    }
}
