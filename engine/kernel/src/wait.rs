//! Times that processes wait: named, with a default, so that an install may say others.

use std::collections::BTreeMap;
use std::time::Duration;

/// A time that a process waits, for example for its customer to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Words in lower case with `-` between them; its own in a build.
    pub name: &'static str,
    /// Where the install says nothing else.
    pub by_default: Duration,
}

/// The times that an install has set, by name. Those that it does not name are as the build has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits(BTreeMap<String, Duration>);

impl Waits {
    /// Sets one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, time: Duration) -> Self {
        self.0.insert(name.into(), time);
        self
    }

    /// The time of this one.
    pub fn of(&self, wait: &Wait) -> Duration {
        self.0.get(wait.name).copied().unwrap_or(wait.by_default)
    }

    /// The names that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENT: Wait = Wait { name: "payment", by_default: Duration::from_secs(900) };

    #[test]
    fn a_time_is_as_the_install_has_set_it_or_else_as_the_build_has_it() {
        let waits = Waits::default().with("payment", Duration::from_secs(1)).with("allocation", Duration::ZERO);
        assert_eq!((waits.of(&PAYMENT), Waits::default().of(&PAYMENT)), (Duration::from_secs(1), Duration::from_secs(900)));
        assert_eq!(waits.names().collect::<Vec<_>>(), ["allocation", "payment"]);
    }
}
