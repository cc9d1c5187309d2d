//! The verdict as people and auditors read it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::nemesis;
use crate::run::{Line, RunResult};
use crate::shop::rules;

/// The report of several runs together.
#[derive(Debug, Default)]
pub struct Report {
    lines: BTreeMap<&'static str, Line>,
    seeds: Vec<u64>,
    red: Vec<String>,
    /// Runs that came to no verdict.
    failed: Vec<String>,
    /// Whether what a machine can't run is red, too.
    all: bool,
    /// Whether clients place orders.
    orders: bool,
    /// Which runs broke anything on purpose.
    broken: usize,
    asked: usize,
    checked: BTreeMap<String, u64>,
    unexpected: Vec<String>,
}

fn middle(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn most(values: &[f64]) -> Option<f64> {
    values.iter().copied().reduce(f64::max)
}

fn seconds(millis: Option<f64>) -> String {
    millis.map_or("-".to_owned(), |m| format!("{:.2}", m / 1_000.0))
}

impl Report {
    /// `all`: a nemesis that this machine can't run is red as well.
    /// `orders`: clients place some.
    pub fn new(all: bool, orders: bool) -> Self {
        Self { all, orders, ..Self::default() }
    }

    /// Adds what a run came to.
    pub fn add(&mut self, seed: u64, outcome: &RunResult) {
        self.seeds.push(seed);
        self.broken += usize::from(!outcome.lines.is_empty());
        self.asked += outcome.asked;
        for (rule, count) in &outcome.verdict.checked {
            *self.checked.entry((*rule).to_owned()).or_default() += *count;
        }
        for violation in &outcome.verdict.violations {
            self.red.push(format!("seed {seed}: {} {}: {}", violation.invariant, violation.rule, violation.what));
        }
        self.red.extend(outcome.wrong.iter().map(|wrong| format!("seed {seed}: {wrong}")));
        self.unexpected.extend(outcome.unexpected.iter().map(|end| format!("seed {seed}: {end}")));
        // With every nemesis there is something of everything.
        if outcome.lines.len() == nemesis::all(self.orders).len() {
            let vacuous = outcome.verdict.vacuous().into_iter();
            self.red.extend(vacuous.map(|rule| format!("seed {seed}: {rule} looked at nothing")));
        }
        for (name, line) in &outcome.lines {
            let all = self.lines.entry(name).or_default();
            all.strikes += line.strikes;
            all.fired += line.fired;
            all.acknowledged.extend(&line.acknowledged);
            all.caught_up.extend(&line.caught_up);
            all.in_company.extend(&line.in_company);
            all.within = line.within;
            all.not_run.clone_from(&line.not_run);
            all.notes.extend(line.notes.iter().cloned());
        }
    }

    /// A run that could not be judged is as red as one that fell.
    pub fn failed(&mut self, seed: u64, error: &anyhow::Error) {
        self.seeds.push(seed);
        self.failed.push(format!("seed {seed}: the harness failed: {error:#}"));
    }

    /// Whether nothing fell, and there is no verdict all the same.
    pub fn could_not_work(&self) -> bool {
        !self.failed.is_empty() && self.red().is_empty()
    }

    /// All that makes it red, but for runs that failed.
    fn red(&self) -> Vec<String> {
        let mut red = self.red.clone();
        red.extend(self.never().into_iter().map(|name| format!("{name} never fired")));
        if self.all {
            red.extend(self.not_run().into_iter().map(|(name, why)| format!("{name} was not run, and all were to be: {why}")));
        }
        if self.broken > 0 && self.lines.values().all(|line| line.fired == 0) {
            red.push("nothing was broken".to_owned());
        }
        red
    }

    fn never(&self) -> Vec<&'static str> {
        self.lines.iter().filter(|(_, line)| line.not_run.is_none() && line.fired == 0).map(|(name, _)| *name).collect()
    }

    fn not_run(&self) -> Vec<(&'static str, &str)> {
        self.lines.iter().filter_map(|(name, line)| Some((*name, line.not_run.as_deref()?))).collect()
    }

    /// Whether no invariant fell, and every nemesis that the machine can run really struck.
    pub fn is_green(&self) -> bool {
        self.red().is_empty() && self.failed.is_empty() && !self.seeds.is_empty()
    }

    /// The table of faults, what was checked, and the verdict: the last line.
    pub fn print(&self) {
        println!();
        if !self.lines.is_empty() {
            println!(
                "{:<32} {:>7} {:>7}   seconds to the first    seconds until all is    may take   in company: until",
                "", "strikes", "fired"
            );
            println!("{:<32} {:>7} {:>7}   acknowledged command    caught up                          all is caught up", "nemesis", "", "");
        }
        for (name, line) in &self.lines {
            if line.not_run.is_some() {
                continue;
            }
            let pair = |v: &[f64]| format!("{:>7} (max {:>6})", seconds(middle(v)), seconds(most(v)));
            println!(
                "{name:<32} {:>7} {:>7}   {:<22}  {:<22} {:>6} s   {:<22}",
                line.strikes,
                line.fired,
                pair(&line.acknowledged),
                pair(&line.caught_up),
                line.within,
                pair(&line.in_company)
            );
        }
        println!();
        println!("{} questions asked and judged; looked at:", self.asked);
        for rule in rules::of(self.orders) {
            match self.checked.get(rule.name) {
                Some(count) => println!("  {count:>9}  {} {}", rule.invariant, rule.name),
                None => println!("    VACUOUS  {} {}", rule.invariant, rule.name),
            }
        }
        for (invariant, why) in rules::not_yet(self.orders) {
            println!("    not yet  {invariant}: {why}");
        }
        for (name, why) in self.not_run() {
            println!("NOT RUN: {name}: {why}");
        }
        let drawn = |name: &&str| self.lines.contains_key(name);
        let undrawn: Vec<&str> = nemesis::all(self.orders).iter().map(|n| n.name()).filter(|name| !drawn(name)).collect();
        if self.broken > 0 && !undrawn.is_empty() {
            println!("not asked for, or not drawn: {}", undrawn.join(", "));
        }
        for red in self.failed.iter().chain(&self.red()).take(20) {
            println!("RED: {red}");
        }
        println!("{}", self.verdict());
    }

    /// One line: green or red, with the seeds.
    pub fn verdict(&self) -> String {
        let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
        let fired = self.lines.values().filter(|l| l.fired > 0).count();
        let state = if self.is_green() { "GREEN: no invariant fell" } else { "RED" };
        format!(
            "verdict: {state}; {} violations, {fired} of {} nemeses fired, {} never, {} not run; --seed {}",
            self.red().len() + self.failed.len(),
            self.lines.len(),
            self.never().len(),
            self.not_run().len(),
            seeds.join(" --seed ")
        )
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let lines: BTreeMap<&str, Value> = self
            .lines
            .iter()
            .map(|(name, l)| {
                let line = json!({
                    "strikes": l.strikes, "fired": l.fired, "acknowledged_ms": l.acknowledged, "caught_up_ms": l.caught_up,
                    "in_company_caught_up_ms": l.in_company, "within_s": l.within, "not_run": l.not_run, "notes": l.notes,
                });
                (*name, line)
            })
            .collect();
        json!({ "seeds": self.seeds, "asked": self.asked, "green": self.is_green(), "red": self.red(), "failed": self.failed, "checked": self.checked,
                "unexpected": self.unexpected, "nemeses": lines })
    }
}
