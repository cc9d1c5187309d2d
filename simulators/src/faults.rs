//! Faults on request.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Deserializer, Serialize};

/// What goes wrong, until it is set again: `PUT /faults` with any of these in JSON; what is left out does not go wrong. Shares are
/// chances from 0 to 1 (`true` is 1), drawn from one generator that `seed` sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Faults {
    /// Of the generator; 0 by default.
    pub seed: u64,
    /// Answers come so many milliseconds later. What was asked for is done before.
    pub slow_ms: u64,
    /// Every request is answered 503, and nothing is done.
    pub down: bool,
    /// Share of the requests that are done, and whose answer breaks off.
    #[serde(deserialize_with = "share")]
    pub lose_answers: f64,
    /// Share of the requests that are done, and answered 500.
    #[serde(deserialize_with = "share")]
    pub errors_after: f64,
    /// Share of the notices that are sent twice.
    #[serde(deserialize_with = "share")]
    pub notices_twice: f64,
    /// Notices are sent so many milliseconds later.
    pub notices_late_ms: u64,
    /// Share of the notices that are held back for 0.2 to 3 s, so that later ones come before them.
    #[serde(deserialize_with = "share")]
    pub notices_out_of_order: f64,
    /// Share of the notices before which one with a bad signature is sent.
    #[serde(deserialize_with = "share")]
    pub notices_forged: f64,
    /// No notice is sent of what happens meanwhile.
    pub no_notices: bool,
    /// Keys are forgotten so many milliseconds after they were used first; none: never. What was done stays done.
    pub forget_keys_ms: Option<u64>,
}

/// A share, or a flag.
fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Flag(bool),
        Share(f64),
    }
    match Written::deserialize(deserializer)? {
        Written::Flag(flag) => Ok(f64::from(u8::from(flag))),
        Written::Share(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Written::Share(share) => Err(serde::de::Error::custom(format!("a share is 0 to 1, not {share}"))),
    }
}

/// Faults, and the generator that chances are drawn from.
pub(crate) struct Chances {
    pub(crate) faults: Faults,
    random: StdRng,
}

impl Chances {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { random: StdRng::seed_from_u64(faults.seed), faults }
    }

    /// Whether it is so this time. Nothing is drawn for what never is.
    pub(crate) fn is(&mut self, share: f64) -> bool {
        share > 0.0 && self.random.random_bool(share)
    }

    /// A number of milliseconds.
    pub(crate) fn millis(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.random.random_range(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_does_not_go_wrong_and_what_is_unknown_is_refused() {
        let read = |text: &str| serde_json::from_str::<Faults>(text);
        assert_eq!(read("{}").expect("no faults"), Faults::default());
        let some = read(r#"{"slowMs":20,"loseAnswers":0.5,"noticesTwice":true,"noNotices":true}"#).expect("faults");
        assert_eq!(some, Faults { slow_ms: 20, lose_answers: 0.5, notices_twice: 1.0, no_notices: true, ..Faults::default() });
        assert!(read(r#"{"loseAnswers":1.5}"#).is_err());
        assert!(read(r#"{"loseAnswer":1}"#).is_err());
    }

    #[test]
    fn a_seed_makes_a_run_repeat() {
        let drawn = |seed| {
            let mut chances = Chances::new(Faults { seed, ..Faults::default() });
            (0..64).map(|_| chances.is(0.5)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
