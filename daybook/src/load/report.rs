//! The report of a load, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use shop_catalogue::Columns;

use super::row::Came;

/// So many bad rows and refusals are told one by one; the rest is counted.
const TOLD: usize = 20;
/// The longest reason that is told, in characters: readers name what they found, and that may be the whole line.
pub(super) const LONGEST_REASON: usize = 500;

/// The end of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RowOutcome {
    /// The product is new.
    Created,
    /// An earlier load had created it: the original result, given again.
    Replayed,
    /// It was there, and is now what the row says.
    Updated,
    /// It was there, and was that already.
    Unchanged,
    /// A dry run without `--update`: it is there.
    Exists,
    /// Of an update: later rows of the same SKU say anew all that it says.
    Superseded,
    /// By this code.
    Refused(String),
    /// The row is no product.
    Bad(String),
    /// The mapping passes it over.
    Skipped(String),
}

/// The end of a row's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StockOutcome {
    Received,
    Replayed,
    /// The warehouse has some: an update sends none.
    Unchanged,
    Refused(String),
    Bad(String),
}

impl RowOutcome {
    /// Whether the shop has a product of this SKU now.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::Created | Self::Replayed | Self::Updated | Self::Unchanged | Self::Exists => true,
            Self::Refused(code) => code == "product-exists",
            Self::Bad(_) | Self::Skipped(_) | Self::Superseded => false,
        }
    }

    /// Its name in reports, and why.
    fn named(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Created => ("created", None),
            Self::Replayed => ("replayed", None),
            Self::Updated => ("updated", None),
            Self::Unchanged => ("unchanged", None),
            Self::Exists => ("exists", None),
            Self::Superseded => ("superseded", None),
            Self::Refused(code) => ("refused", Some(code)),
            Self::Bad(reason) => ("bad", Some(reason)),
            Self::Skipped(why) => ("skipped", Some(why)),
        }
    }
}

impl StockOutcome {
    fn named(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Received => ("received", None),
            Self::Replayed => ("replayed", None),
            Self::Unchanged => ("unchanged", None),
            Self::Refused(code) => ("refused", Some(code)),
            Self::Bad(reason) => ("bad", Some(reason)),
        }
    }
}

/// The report of a load.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoadReport {
    /// Nothing was sent; the numbers say what would be done.
    pub(crate) dry_run: bool,
    /// Rows that were read, bad ones included.
    pub(crate) rows: u64,
    /// Products that are new.
    pub(crate) created: u64,
    /// Products that an earlier load had created: the original result, given again.
    pub(crate) replayed: u64,
    /// Products that were brought to what their rows say.
    pub(crate) updated: u64,
    /// Products that were what their rows say.
    pub(crate) unchanged: u64,
    /// Of a dry run without an update: products that are there.
    pub(crate) exists: u64,
    /// Rows whose SKU an earlier row has. They come after it, in the file's order.
    pub(crate) later_rows: u64,
    /// Of an update: rows of which later rows of the same SKU say anew all that they say. Nothing is sent of them.
    pub(crate) superseded: u64,
    /// Rows that the mapping passes over.
    pub(crate) skipped: u64,
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
    /// Numbers that are no GTINs, and were left out as the mapping says.
    pub(crate) bad_gtins: u64,
    /// Columns that mean nothing to the mapping, with the number of rows that have them.
    pub(crate) unknown_columns: BTreeMap<String, u64>,
    /// Columns that the mapping names and that no row has.
    pub(crate) missing_columns: Vec<String>,
    /// Commands that took effect, by name.
    pub(crate) commands: BTreeMap<&'static str, u64>,
    /// Receipts of stock; none without `--stock`.
    pub(crate) stock: Option<StockReport>,
    /// The time that it took.
    pub(crate) seconds: f64,
    /// Rows a second.
    pub(crate) rows_per_second: f64,
}

/// The report of receiving stock.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StockReport {
    /// Receipts that are new.
    pub(crate) received: u64,
    /// Receipts that an earlier load had made.
    pub(crate) replayed: u64,
    /// Products of which the warehouse had some: an update sends none.
    pub(crate) unchanged: u64,
    /// Refusals, by code.
    pub(crate) refused: BTreeMap<String, u64>,
}

/// A row of which something is to be said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowNote {
    /// Its line in the file, from 1.
    pub(crate) line: u64,
    /// The reason.
    pub(crate) reason: String,
}

/// A row of the file for programs: a line of `--report`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowRecord<'a> {
    line: u64,
    sku: Option<&'a str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// An earlier row has the same SKU.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    later: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    commands: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock_reason: Option<&'a str>,
}

impl<'a> RowRecord<'a> {
    pub(super) fn new(line: u64, sku: Option<&'a str>, later: bool, came: &'a Came) -> Self {
        let (outcome, reason) = came.outcome.named();
        let (stock, stock_reason) = came.stock.as_ref().map(StockOutcome::named).unzip();
        Self { line, sku, outcome, reason, later, commands: &came.commands, stock, stock_reason: stock_reason.flatten() }
    }
}

impl LoadReport {
    /// Whether every row is a product in the shop now, or is passed over. Replays are good.
    pub(crate) fn is_good(&self) -> bool {
        self.bad_rows == 0 && self.refused.is_empty() && self.stock.as_ref().is_none_or(|s| s.refused.is_empty())
    }

    /// Counts a row.
    pub(super) fn row(&mut self, line: u64, sku: Option<&str>, later: bool, came: &Came) {
        self.rows += 1;
        self.later_rows += u64::from(later);
        for command in &came.commands {
            *self.commands.entry(command).or_default() += 1;
        }
        match &came.outcome {
            RowOutcome::Created => self.created += 1,
            RowOutcome::Replayed => self.replayed += 1,
            RowOutcome::Updated => self.updated += 1,
            RowOutcome::Unchanged => self.unchanged += 1,
            RowOutcome::Exists => self.exists += 1,
            RowOutcome::Superseded => self.superseded += 1,
            RowOutcome::Skipped(_) => self.skipped += 1,
            RowOutcome::Refused(code) => {
                note(&mut self.first_refused, line, format!("{}: {code}", sku.unwrap_or_default()));
                *self.refused.entry(code.clone()).or_default() += 1;
            }
            RowOutcome::Bad(reason) => self.bad(line, reason),
        }
        let Some(stock) = &came.stock else { return };
        let counts = self.stock.get_or_insert_default();
        match stock {
            StockOutcome::Received => counts.received += 1,
            StockOutcome::Replayed => counts.replayed += 1,
            StockOutcome::Unchanged => counts.unchanged += 1,
            StockOutcome::Refused(code) => *counts.refused.entry(code.clone()).or_default() += 1,
            StockOutcome::Bad(reason) => self.bad(line, &format!("stock: {reason}")),
        }
    }

    fn bad(&mut self, line: u64, reason: &str) {
        self.bad_rows += 1;
        note(&mut self.first_bad, line, reason.to_owned());
    }

    pub(super) fn columns(&mut self, columns: Columns) {
        self.unknown_columns = columns.unknown;
        self.missing_columns = columns.missing;
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

fn counted<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> String {
    let each: Vec<String> = counts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}")).collect();
    each.join(", ")
}

fn by_code(f: &mut fmt::Formatter<'_>, refused: &BTreeMap<String, u64>) -> fmt::Result {
    let codes = counted(refused.iter().map(|(code, count)| (code.as_str(), *count)));
    if codes.is_empty() { writeln!(f) } else { writeln!(f, ", refused: {codes}") }
}

fn told(f: &mut fmt::Formatter<'_>, notes: &[&RowNote], all: u64) -> fmt::Result {
    for n in notes {
        writeln!(f, "  line {}: {}", n.line, n.reason)?;
    }
    let rest = all.saturating_sub(notes.len() as u64);
    if rest > 0 { writeln!(f, "  and {rest} more") } else { Ok(()) }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows in {:.1} s, {:.0} a second", self.rows, self.seconds, self.rows_per_second)?;
        if self.dry_run {
            writeln!(f, "a dry run: nothing was sent, this is what would be done")?;
        }
        write!(f, "products: {} created", self.created)?;
        let rest = [("replayed", self.replayed), ("updated", self.updated), ("unchanged", self.unchanged), ("there already", self.exists)];
        for (what, count) in rest.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        by_code(f, &self.refused)?;
        let changes = counted(self.commands.iter().map(|(name, count)| (*name, *count)));
        writeln!(f, "commands: {}", if changes.is_empty() { "none" } else { &changes })?;
        if let Some(stock) = &self.stock {
            write!(f, "stock: {} received", stock.received)?;
            for (what, count) in [("replayed", stock.replayed), ("unchanged", stock.unchanged)].into_iter().filter(|(_, count)| *count > 0)
            {
                write!(f, ", {count} {what}")?;
            }
            by_code(f, &stock.refused)?;
        }
        if self.later_rows > 0 {
            writeln!(f, "{} rows have the SKU of an earlier row; they came after it, in the file's order", self.later_rows)?;
        }
        if self.superseded > 0 {
            writeln!(f, "{} rows say nothing that later rows of the same SKU do not say anew; they were passed over", self.superseded)?;
        }
        if self.skipped > 0 {
            writeln!(f, "{} rows were passed over, as the mapping says", self.skipped)?;
        }
        if self.shortened > 0 {
            writeln!(f, "{} texts were cut to the length that the shop takes", self.shortened)?;
        }
        if self.bad_gtins > 0 {
            writeln!(f, "{} numbers are no GTINs and were left out, as the mapping says", self.bad_gtins)?;
        }
        if !self.unknown_columns.is_empty() {
            let each: Vec<String> = self.unknown_columns.iter().take(TOLD).map(|(name, rows)| format!("{name} ({rows} rows)")).collect();
            let rest = self.unknown_columns.len() - each.len();
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            writeln!(f, "columns that nothing is made of: {}{more}", each.join(", "))?;
        }
        if !self.missing_columns.is_empty() {
            writeln!(f, "columns that the mapping names and no row has: {}", self.missing_columns.join(", "))?;
        }
        let refused: u64 = self.refused.values().sum();
        if self.bad_rows + refused > 0 {
            writeln!(f, "rows that did not go in: {} bad, {refused} refused", self.bad_rows)?;
            // In the order of the file, for its author mends it in one go.
            let mut notes: Vec<&RowNote> = self.first_bad.iter().chain(&self.first_refused).collect();
            notes.sort_by_key(|note| note.line);
            notes.truncate(TOLD);
            told(f, &notes, self.bad_rows + refused)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(outcome: RowOutcome) -> Came {
        Came { outcome, stock: None, commands: Vec::new() }
    }

    #[test]
    fn the_first_twenty_are_told_and_the_rest_is_counted() {
        let mut report = LoadReport::default();
        report.row(30, Some("A-0"), false, &Came { commands: vec!["create-product"], ..came(RowOutcome::Created) });
        assert!(report.is_good());
        for line in (1..=25).rev() {
            report.row(line, None, false, &came(RowOutcome::Bad("no".into())));
        }
        report.row(26, Some("A-1"), true, &came(RowOutcome::Refused("product-exists".into())));
        report.row(3, Some("A-2"), false, &came(RowOutcome::Refused("attributes-over-limit".into())));
        report.row(27, None, false, &came(RowOutcome::Skipped("a".into())));
        assert!(!report.is_good());
        let lines: Vec<u64> = report.first_bad.iter().map(|n| n.line).collect();
        assert_eq!(lines, (1..=20).collect::<Vec<_>>());
        let text = report.to_string();
        for said in [
            "29 rows",
            "rows that did not go in: 25 bad, 2 refused",
            // In the file's order, whatever was wrong: so the last two of the first twenty are bad rows, and the later refusal is counted.
            "line 3: no\n  line 3: A-2: attributes-over-limit\n  line 4: no\n",
            "line 19: no\n  and 7 more",
            "products: 1 created, refused: 1 attributes-over-limit, 1 product-exists",
            "commands: 1 create-product",
            "1 rows have the SKU of an earlier row",
            "1 rows were passed over",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }

    #[test]
    fn a_reason_is_told_without_the_whole_line() {
        let mut report = LoadReport::default();
        report.row(1, None, false, &came(RowOutcome::Bad("x".repeat(4 << 20))));
        assert_eq!(report.first_bad[0].reason.chars().count(), LONGEST_REASON + 1);
    }

    #[test]
    fn a_record_has_what_there_is_to_say() {
        let all = Came { outcome: RowOutcome::Updated, stock: Some(StockOutcome::Refused("no".into())), commands: vec!["revise-product"] };
        let record = serde_json::to_value(RowRecord::new(7, Some("A"), true, &all)).expect("JSON");
        let expected = serde_json::json!({ "line": 7, "sku": "A", "outcome": "updated", "later": true, "commands": ["revise-product"],
            "stock": "refused", "stockReason": "no" });
        assert_eq!(record, expected);
        let bad = came(RowOutcome::Bad("why".into()));
        let record = serde_json::to_string(&RowRecord::new(8, None, false, &bad)).expect("JSON");
        assert_eq!(record, r#"{"line":8,"sku":null,"outcome":"bad","reason":"why"}"#);
    }
}
