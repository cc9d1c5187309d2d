//! The judge's verdict, and the findings that it is made of.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::rules::Rule;

/// Violations that are kept of one rule; all are counted.
const KEPT: usize = 20;

/// One way in which a run broke a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// I1 to I10.
    pub invariant: &'static str,
    /// The rule's name.
    pub rule: &'static str,
    /// The fault, in a line.
    pub what: String,
    /// Everything needed to see it: history entries, ledger rows, events, pages, tokens.
    pub seen: Vec<String>,
}

/// The judge's verdict on a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The earliest cause first: the deepest layer of the flow of data, and in it the earliest moment. At most twenty a rule.
    pub violations: Vec<Violation>,
    /// The number of violations of each rule, those included that are not kept. Rules that hold are not in it.
    pub found: BTreeMap<&'static str, u64>,
    /// The number of things that each rule looked at.
    pub checked: BTreeMap<&'static str, u64>,
    /// Messages of Kafka that came more than once, with the same bytes: no fault.
    pub repeats: u64,
    /// Every rule that the run was held to, in the order of causes.
    #[serde(skip)]
    pub rules: &'static [Rule],
    /// Invariants that nothing can be judged by yet, and why.
    #[serde(skip)]
    pub not_yet: &'static [(&'static str, &'static str)],
}

impl Verdict {
    /// No rule was broken.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    /// The violation with the earliest cause.
    pub fn first(&self) -> Option<&Violation> {
        self.violations.first()
    }

    /// Rules that looked at nothing: this run says nothing of them.
    pub fn vacuous(&self) -> Vec<&'static str> {
        self.rules.iter().map(|rule| rule.name).filter(|name| self.checked.get(name).is_none_or(|n| *n == 0)).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in self.rules {
            let checked = self.checked.get(rule.name).copied().unwrap_or_default();
            let found = self.found.get(rule.name).copied().unwrap_or_default();
            let state = match (checked, found) {
                (0, 0) => "VACUOUS".to_owned(),
                (_, 0) => "holds".to_owned(),
                _ => format!("{found} VIOLATIONS"),
            };
            writeln!(f, "{:<4} {:<24} {checked:>9} looked at  {state}", rule.invariant, rule.name)?;
        }
        for (invariant, why) in self.not_yet {
            writeln!(f, "{invariant:<4} not yet: {why}")?;
        }
        writeln!(f, "repeats in Kafka: {}", self.repeats)?;
        let Some(first) = self.first() else { return write!(f, "no invariant fell") };
        writeln!(f, "first: {} {}: {}", first.invariant, first.rule, first.what)?;
        for line in &first.seen {
            writeln!(f, "    {line}")?;
        }
        write!(f, "{} violations", self.found.values().sum::<u64>())
    }
}

/// A violation that is kept, and when its cause was.
struct KeptViolation {
    rule: Rule,
    /// Comparable within a layer only.
    moment: i64,
    violation: Violation,
}

/// Collects what the rules find.
pub(crate) struct Findings {
    rules: &'static [Rule],
    checked: BTreeMap<&'static str, u64>,
    found: BTreeMap<&'static str, u64>,
    kept: Vec<KeptViolation>,
    repeats: u64,
    /// The number of the restore before which it was so.
    past: Option<usize>,
}

impl Findings {
    /// Nothing yet, of these rules in the order of causes.
    pub(crate) fn new(rules: &'static [Rule]) -> Self {
        Self { rules, checked: BTreeMap::new(), found: BTreeMap::new(), kept: Vec::new(), repeats: 0, past: None }
    }

    /// What is found from now on is of the past before the n-th restore; none: of what stands.
    pub(crate) fn of_the_past(&mut self, n: Option<usize>) {
        self.past = n;
    }

    /// Notes that a rule looked at something, and what was wrong with it if it does not hold. `moment` orders causes within
    /// the rule's layer.
    pub(crate) fn check(&mut self, rule: Rule, moment: i64, holds: bool, say: impl FnOnce() -> (String, Vec<String>)) -> bool {
        *self.checked.entry(rule.name).or_default() += 1;
        if !holds {
            self.fall(rule, moment, say);
        }
        holds
    }

    fn fall(&mut self, rule: Rule, moment: i64, say: impl FnOnce() -> (String, Vec<String>)) {
        let count = self.found.entry(rule.name).or_default();
        *count += 1;
        // A rule's findings come in any order of moments: the earliest are kept.
        let full = usize::try_from(*count).unwrap_or(usize::MAX) > KEPT;
        if full {
            let latest = self.kept.iter().enumerate().filter(|(_, f)| f.rule == rule).max_by_key(|(_, f)| f.moment);
            match latest.map(|(n, f)| (n, f.moment)) {
                Some((n, latest)) if latest > moment => drop(self.kept.swap_remove(n)),
                _ => return,
            }
        }
        let (what, seen) = say();
        let what = self.past.map_or(what.clone(), |n| format!("before restore {}: {what}", n + 1));
        let violation = Violation { invariant: rule.invariant, rule: rule.name, what, seen };
        self.kept.push(KeptViolation { rule, moment, violation });
    }

    /// A message of Kafka that had come before.
    pub(crate) fn repeat(&mut self) {
        self.repeats += 1;
    }

    /// The verdict, earliest cause first.
    pub(crate) fn verdict(mut self, not_yet: &'static [(&'static str, &'static str)]) -> Verdict {
        let place = |rule: &Rule| self.rules.iter().position(|known| known.name == rule.name);
        self.kept.sort_by_key(|f| (f.rule.layer, f.moment, place(&f.rule)));
        Verdict {
            violations: self.kept.into_iter().map(|f| f.violation).collect(),
            found: self.found,
            checked: self.checked,
            repeats: self.repeats,
            rules: self.rules,
            not_yet,
        }
    }
}
