//! What a load came to, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// So many bad rows and refusals are told one by one; the rest is counted.
const TOLD: usize = 20;
/// What is told of one, in characters: readers name what they found, and that may be the whole line.
pub(super) const LONGEST_REASON: usize = 500;

/// What a load came to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoadReport {
    /// Rows that were read, bad ones included.
    pub(crate) rows: u64,
    /// Products that are new.
    pub(crate) created: u64,
    /// Products that an earlier load had created: the original result, given again.
    pub(crate) replayed: u64,
    /// Refusals, by code. `product-exists`: the SKU is taken, by another or an earlier form of the product.
    pub(crate) refused: BTreeMap<String, u64>,
    /// The first refusals, one by one.
    pub(crate) first_refused: Vec<RowNote>,
    /// Rows that are no product.
    pub(crate) bad_rows: u64,
    /// The first bad rows, one by one.
    pub(crate) first_bad: Vec<RowNote>,
    /// Texts that were cut to the length that the shop takes.
    pub(crate) shortened: u64,
    /// Receipts of stock; none without `--stock`.
    pub(crate) stock: Option<StockReport>,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Rows a second.
    pub(crate) rows_per_second: f64,
}

/// What receiving stock came to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StockReport {
    /// Receipts that are new.
    pub(crate) received: u64,
    /// Receipts that an earlier load had made.
    pub(crate) replayed: u64,
    /// Refusals, by code.
    pub(crate) refused: BTreeMap<String, u64>,
}

/// A row of which something is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowNote {
    /// Its line in the file, from 1.
    pub(crate) line: u64,
    /// What.
    pub(crate) reason: String,
}

impl LoadReport {
    /// Whether every row is a product in the shop now. Replays are good.
    pub(crate) fn is_good(&self) -> bool {
        self.bad_rows == 0 && self.refused.is_empty() && self.stock.as_ref().is_none_or(|s| s.refused.is_empty())
    }

    pub(super) fn bad(&mut self, line: u64, reason: String) {
        self.bad_rows += 1;
        note(&mut self.first_bad, line, reason);
    }

    pub(super) fn refuse(&mut self, line: u64, sku: &str, code: String) {
        note(&mut self.first_refused, line, format!("{sku}: {code}"));
        *self.refused.entry(code).or_default() += 1;
    }
}

/// Answers come in any order; what is told is the lowest lines.
fn note(notes: &mut Vec<RowNote>, line: u64, reason: String) {
    let at = notes.partition_point(|n| n.line <= line);
    if at < TOLD {
        let reason = match reason.char_indices().nth(LONGEST_REASON) {
            Some((end, _)) => format!("{}…", &reason[..end]),
            None => reason,
        };
        notes.insert(at, RowNote { line, reason });
        notes.truncate(TOLD);
    }
}

fn by_code(f: &mut fmt::Formatter<'_>, refused: &BTreeMap<String, u64>) -> fmt::Result {
    let codes: Vec<String> = refused.iter().map(|(code, count)| format!("{count} {code}")).collect();
    if codes.is_empty() { writeln!(f) } else { writeln!(f, ", refused: {}", codes.join(", ")) }
}

fn told(f: &mut fmt::Formatter<'_>, notes: &[RowNote], all: u64) -> fmt::Result {
    for n in notes {
        writeln!(f, "  line {}: {}", n.line, n.reason)?;
    }
    let rest = all.saturating_sub(notes.len() as u64);
    if rest > 0 { writeln!(f, "  and {rest} more") } else { Ok(()) }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows in {:.1} s, {:.0} a second", self.rows, self.seconds, self.rows_per_second)?;
        write!(f, "products: {} created, {} replayed", self.created, self.replayed)?;
        by_code(f, &self.refused)?;
        told(f, &self.first_refused, self.refused.values().sum())?;
        if let Some(stock) = &self.stock {
            write!(f, "stock: {} received, {} replayed", stock.received, stock.replayed)?;
            by_code(f, &stock.refused)?;
        }
        if self.shortened > 0 {
            writeln!(f, "{} texts were cut to the length that the shop takes", self.shortened)?;
        }
        if self.bad_rows > 0 {
            writeln!(f, "bad rows: {}", self.bad_rows)?;
            told(f, &self.first_bad, self.bad_rows)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_twenty_are_told_and_the_rest_is_counted() {
        let mut report = LoadReport { rows: 30, ..Default::default() };
        assert!(report.is_good());
        for line in (1..=25).rev() {
            report.bad(line, "no".into());
        }
        report.refuse(26, "A-1", "product-exists".into());
        assert!(!report.is_good());
        let lines: Vec<u64> = report.first_bad.iter().map(|n| n.line).collect();
        assert_eq!(lines, (1..=20).collect::<Vec<_>>());
        let text = report.to_string();
        assert!(text.contains("bad rows: 25") && text.contains("and 5 more"), "{text}");
        assert!(text.contains("refused: 1 product-exists") && text.contains("line 26: A-1: product-exists"), "{text}");
    }
}
