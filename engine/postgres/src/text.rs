//! Texts as Postgres can keep them.

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 2_000;

/// A reason as it can be kept: Postgres' texts hold no zero byte, and a panic's text may be anything, and of any length.
pub fn storable(reason: &str) -> String {
    reason.chars().filter(|c| *c != '\0').take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_short_and_holds_no_zero_byte() {
        assert_eq!(storable("no\0ne"), "none");
        assert_eq!(storable(&"ü".repeat(5_000)).chars().count(), MAX_REASON);
    }
}
