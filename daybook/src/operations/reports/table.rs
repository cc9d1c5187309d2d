//! A report's table: aligned for people, with totals; lines of JSON or CSV for programs, without.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use shop_proto::currency::decimals;

/// The longest text that people see of a cell, in characters.
const WIDEST: usize = 40;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// As JSON and CSV name it: `onHand`.
    name: &'static str,
}

impl Column {
    pub(crate) fn of(name: &'static str) -> Self {
        Self { name }
    }

    /// As people read it: `on hand`.
    fn title(&self) -> String {
        self.name.chars().fold(String::new(), |mut title, c| {
            if c.is_ascii_uppercase() {
                title.push(' ');
            }
            title.push(c.to_ascii_lowercase());
            title
        })
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Nothing,
    Text(String),
    Count(i128),
    /// In minor units of a currency.
    Money {
        units: i128,
        currency: String,
    },
    Day(NaiveDate),
    Time(DateTime<Utc>),
    Seconds(i64),
}

impl Cell {
    /// A sum, as Postgres writes whole numbers of any size.
    pub(crate) fn count(text: String) -> Self {
        Self::Count(whole(&text))
    }

    /// An amount, written so too.
    pub(crate) fn money(text: String, currency: &str) -> Self {
        Self::Money { units: whole(&text), currency: currency.to_owned() }
    }

    /// Numbers stand right, so that their digits stand below each other.
    fn is_number(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Money { .. } | Self::Seconds(_))
    }

    /// For people, and for CSV.
    fn text(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Money { units, currency } => amount(*units, currency),
            Self::Day(day) => day.to_string(),
            Self::Time(time) => time.to_rfc3339_opts(SecondsFormat::Secs, true),
            Self::Seconds(seconds) => seconds.to_string(),
        }
    }

    fn for_people(&self) -> String {
        let text = match self {
            Self::Seconds(seconds) => humantime::format_duration(Duration::from_secs(seconds.unsigned_abs())).to_string(),
            _ => self.text(),
        };
        // What is a line of its own would break the table.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match text.chars().count() > WIDEST {
            true => text.chars().take(WIDEST - 1).chain(['…']).collect(),
            false => text,
        }
    }
}

fn whole(text: &str) -> i128 {
    text.parse().unwrap_or(i128::MAX)
}

/// An amount with the decimals of its currency, for example `-19.99`.
fn amount(units: i128, currency: &str) -> String {
    let decimals = decimals(currency).unwrap_or_default() as usize;
    let (sign, digits) = (if units < 0 { "-" } else { "" }, format!("{:0>width$}", units.unsigned_abs(), width = decimals + 1));
    let (whole, rest) = digits.split_at(digits.len() - decimals);
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// A status, as people read it: `ORDER_STATUS_PARTLY_SHIPPED` is partly-shipped.
pub(crate) fn status(name: &str) -> String {
    name.trim_start_matches("ORDER_STATUS_").to_lowercase().replace('_', "-")
}

/// The sums of these columns by the currency in another one. What has no currency has no sum.
pub(crate) fn totals(rows: &[Vec<Cell>], currency: usize, columns: &[usize]) -> Vec<Vec<Cell>> {
    let mut totals: Vec<Vec<Cell>> = Vec::new();
    for row in rows.iter().filter(|row| row[currency] != Cell::Nothing) {
        let at = totals.iter().position(|total| total[currency] == row[currency]).unwrap_or_else(|| {
            let empty = |(n, cell): (usize, &Cell)| if n == currency { cell.clone() } else { Cell::Nothing };
            totals.push(row.iter().enumerate().map(empty).collect());
            totals.len() - 1
        });
        for column in columns {
            let sum = match (&totals[at][*column], &row[*column]) {
                (Cell::Count(sum), Cell::Count(more)) => Cell::Count(sum.saturating_add(*more)),
                (Cell::Money { units, currency }, Cell::Money { units: more, .. }) => {
                    Cell::Money { units: units.saturating_add(*more), currency: currency.clone() }
                }
                (Cell::Nothing, first) => first.clone(),
                (sum, _) => sum.clone(),
            };
            totals[at][*column] = sum;
        }
    }
    totals.sort_by_key(|total| total[currency].text());
    totals
}

/// A report. Its totals are for people: programs add up what they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) totals: Vec<Vec<Cell>>,
}

impl Table {
    /// A line of JSON each. Amounts are in minor units of the row's currency.
    pub(crate) fn records(&self) -> Vec<Record<'_>> {
        self.rows.iter().map(|row| Record { columns: &self.columns, row }).collect()
    }

    /// As RFC 4180 has it, with a header; lines end as a text file's do. Amounts have the decimals of the row's currency.
    ///
    /// # Errors
    /// None that a table in memory could have.
    pub(crate) fn csv(&self) -> anyhow::Result<String> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(self.columns.iter().map(|column| column.name))?;
        for row in &self.rows {
            csv.write_record(row.iter().map(Cell::text))?;
        }
        Ok(String::from_utf8(csv.into_inner()?)?)
    }
}

/// One row, under the names of its columns.
pub(crate) struct Record<'a> {
    columns: &'a [Column],
    row: &'a [Cell],
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, cell) in self.columns.iter().zip(self.row) {
            match cell {
                Cell::Nothing => map.serialize_entry(column.name, &None::<()>)?,
                Cell::Count(number) | Cell::Money { units: number, .. } => map.serialize_entry(column.name, number)?,
                Cell::Seconds(seconds) => map.serialize_entry(column.name, seconds)?,
                other => map.serialize_entry(column.name, &other.text())?,
            }
        }
        map.end()
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let titles: Vec<String> = self.columns.iter().map(Column::title).collect();
        let lines =
            |rows: &[Vec<Cell>]| -> Vec<Vec<String>> { rows.iter().map(|row| row.iter().map(Cell::for_people).collect()).collect() };
        let (rows, totals) = (lines(&self.rows), lines(&self.totals));
        let width = |n: usize| rows.iter().chain(&totals).map(|row| row[n].chars().count()).chain([titles[n].chars().count()]).max();
        let widths: Vec<usize> = (0..titles.len()).map(|n| width(n).unwrap_or_default()).collect();
        // A column stands right where any of it is a number; an empty one does not matter.
        let is_right: Vec<bool> = (0..titles.len()).map(|n| self.rows.iter().any(|row| row[n].is_number())).collect();
        let mut line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).zip(&is_right).map(|((cell, width), right)| match right {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        line(&titles)?;
        rows.iter().try_for_each(|row| line(row))?;
        if !totals.is_empty() {
            line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>())?;
            totals.iter().try_for_each(|row| line(row))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sales() -> Table {
        let day = |day| Cell::Day(NaiveDate::from_ymd_opt(2026, 11, day).expect("a day"));
        let text = |text: &str| Cell::Text(text.to_owned());
        let row = |of: u32, category: &str, currency: &str, orders: i128, gross: i128, net: i128| {
            let money = |units| Cell::Money { units, currency: currency.to_owned() };
            vec![day(of), text(category), text(currency), Cell::Count(orders), money(gross), money(net)]
        };
        let rows = vec![
            row(29, "Home > Lamps", "EUR", 1, 3998, 1999),
            row(30, "Books, \"used\"", "JPY", 2, 1200, 1200),
            row(30, "", "EUR", 12, 123_456, -5),
        ];
        let totals = totals(&rows, 2, &[3, 4, 5]);
        let columns = ["day", "category", "currency", "orders", "gross", "netOfAll"].map(Column::of).into();
        Table { columns, rows, totals }
    }

    #[test]
    fn people_read_an_aligned_table_with_a_total_for_each_currency() {
        let expected = "\
day         category       currency  orders    gross  net of all
2026-11-29  Home > Lamps   EUR            1    39.98       19.99
2026-11-30  Books, \"used\"  JPY            2     1200        1200
2026-11-30                 EUR           12  1234.56       -0.05
----------  -------------  --------  ------  -------  ----------
                           EUR           13  1274.54       19.94
                           JPY            2     1200        1200
";
        assert_eq!(sales().to_string(), expected);
    }

    #[test]
    fn csv_has_a_header_and_quotes_what_has_to_be_quoted() {
        let expected = "\
day,category,currency,orders,gross,netOfAll
2026-11-29,Home > Lamps,EUR,1,39.98,19.99
2026-11-30,\"Books, \"\"used\"\"\",JPY,2,1200,1200
2026-11-30,,EUR,12,1234.56,-0.05
";
        assert_eq!(sales().csv().expect("a table"), expected);
    }

    #[test]
    fn a_line_of_json_has_amounts_in_minor_units() {
        let lines: Vec<String> = sales().records().iter().map(|record| serde_json::to_string(record).expect("JSON")).collect();
        assert_eq!(lines[0], r#"{"day":"2026-11-29","category":"Home > Lamps","currency":"EUR","orders":1,"gross":3998,"netOfAll":1999}"#);
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn an_empty_report_is_its_header() {
        let empty = Table { rows: Vec::new(), totals: Vec::new(), ..sales() };
        assert_eq!(empty.to_string(), "day  category  currency  orders  gross  net of all\n");
        assert_eq!((empty.csv().expect("a table").as_str(), empty.records().len()), ("day,category,currency,orders,gross,netOfAll\n", 0));
    }

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        let all = [(1999, "EUR"), (5, "EUR"), (-5, "EUR"), (0, "EUR"), (1999, "JPY"), (5, "KWD"), (7, "")];
        let expected = ["19.99", "0.05", "-0.05", "0.00", "1999", "0.005", "7"];
        assert_eq!(all.map(|(units, currency)| amount(units, currency)), expected);
    }

    #[test]
    fn what_is_long_is_cut_for_people_alone_and_no_text_breaks_a_line() {
        let long = Cell::Text(format!("a\nb{}", "ü".repeat(60)));
        assert_eq!(long.for_people(), format!("a b{}…", "ü".repeat(36)));
        assert_eq!(long.text().chars().count(), 63);
        assert_eq!(Cell::Seconds(90).for_people(), "1m 30s");
        assert_eq!((Cell::Seconds(90).text().as_str(), status("ORDER_STATUS_PARTLY_SHIPPED").as_str()), ("90", "partly-shipped"));
    }
}
