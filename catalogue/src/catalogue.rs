//! A catalogue file as products, one after the other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::FileError;
use crate::bytes;
use crate::map::Mapping;
use crate::product::What;
use crate::row::Row;
use crate::rows::Rows;

/// So many rows are looked at before the first is given out: whether a mapping fits a file shows in them.
const LOOKED_AT: usize = 20;
/// So many names of columns are remembered; a file that makes up more has no columns.
const NAMES: usize = 10_000;

/// One row of the file.
#[derive(Debug)]
pub struct Entry {
    /// The line where it begins, from 1.
    pub line: u64,
    /// Product, skipped or bad.
    pub what: What,
}

/// Columns without use, once the rows have been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Columns that mean nothing to the mapping, with the number of rows that have them.
    pub unknown: BTreeMap<String, u64>,
    /// Columns that a mapping file names and that no row has.
    pub missing: Vec<String>,
}

/// The rows of a file, read as they are asked for.
pub struct Catalogue {
    rows: Rows,
    first: VecDeque<(u64, Result<Row, String>)>,
    mapping: Arc<Mapping>,
    currency: Option<String>,
    seen: HashMap<String, ColumnUse>,
}

/// The use of a column of the file.
struct ColumnUse {
    known: bool,
    rows: u64,
}

impl Catalogue {
    /// Opens a file, and tells how many bytes it has; `read` follows how many were read. `currency` is that of prices for which
    /// neither row nor mapping names one.
    ///
    /// # Errors
    /// When it can't be read, is something that is not read, has no rows, has none of the columns that a product needs, or nothing says which
    /// currency its prices are in.
    pub fn open(path: &Path, mapping: Arc<Mapping>, currency: Option<&str>, read: Arc<AtomicU64>) -> Result<(Self, u64), FileError> {
        let named = |what: String| FileError(format!("{}: {what}", path.display()));
        let (bytes, length) = bytes::open(path, read)?;
        let mut rows = Rows::new(bytes, mapping.format, mapping.delimiter).map_err(named)?;
        let first: VecDeque<_> = rows.by_ref().take(LOOKED_AT).collect();
        if first.is_empty() {
            // An export that broke looks so. Whoever means it has nothing to load.
            return Err(named("has no rows: nothing is loaded".to_owned()));
        }
        let catalogue = Self { rows, first, mapping, currency: currency.map(str::to_owned), seen: HashMap::new() };
        catalogue.fits().map_err(named)?;
        Ok((catalogue, length))
    }

    /// Whether what no product is without can come from this file.
    fn fits(&self) -> Result<(), String> {
        let rows = || self.first.iter().filter_map(|(_, row)| row.as_ref().ok());
        let columns: Vec<&str> = match self.rows.columns() {
            Some(columns) => columns.iter().map(String::as_str).collect(),
            // Rows that are all bad say so themselves.
            None if rows().next().is_none() => return Ok(()),
            None => {
                let mut columns = Vec::new();
                rows().flat_map(Row::columns).for_each(|(name, _)| {
                    if !columns.contains(&name) {
                        columns.push(name)
                    }
                });
                columns
            }
        };
        let lacks = |(_, named): &(&str, &[String])| !named.is_empty() && !named.iter().any(|n| columns.contains(&n.as_str()));
        let lacking: Vec<String> = self
            .mapping
            .required()
            .into_iter()
            .filter(lacks)
            .map(|(field, named)| format!("{field} (column {})", named.join(" or ")))
            .collect();
        if lacking.is_empty() {
            return self.has_currency(&columns);
        }
        let mut has = columns.iter().take(12).copied().collect::<Vec<_>>().join(", ");
        if columns.len() > 12 {
            has.push_str(&format!(" and {} more", columns.len() - 12));
        }
        Err(format!(
            "there is no column for {}: it has {has}. Which column is which field is said by a mapping file, --map FILE (docs/loading.md); \
             read was {}",
            lacking.join(", "),
            self.mapping.name()
        ))
    }

    /// Whether anything can say which currency a price is in.
    fn has_currency(&self, columns: &[&str]) -> Result<(), String> {
        let (named, constant) = self.mapping.currency();
        if self.currency.is_some() || constant.is_some() || named.iter().any(|n| columns.contains(&n.as_str())) {
            return Ok(());
        }
        let lacks = match named {
            [] => format!("{} names no currency", self.mapping.name()),
            named => format!("there is no column for the currency ({})", named.join(" or ")),
        };
        Err(format!(
            "{lacks}, and prices are not loaded in a guessed one: give --currency, for example --currency USD, or a mapping whose [price] has \
             currency = a column or {{ constant = \"USD\" }} (docs/loading.md)"
        ))
    }

    fn note(&mut self, row: &Row) {
        for (column, _) in row.columns() {
            if let Some(seen) = self.seen.get_mut(column) {
                seen.rows += 1;
            } else if self.seen.len() < NAMES {
                self.seen.insert(column.to_owned(), ColumnUse { known: self.mapping.knows(column), rows: 1 });
            }
        }
    }

    /// Columns without use in the rows that were read.
    pub fn columns(&self) -> Columns {
        let unknown = self.seen.iter().filter(|(_, seen)| !seen.known).map(|(name, seen)| (name.clone(), seen.rows)).collect();
        let is_there = |name: &String| self.seen.contains_key(name) || self.rows.columns().is_some_and(|c| c.contains(name));
        let mut missing: Vec<String> = if self.mapping.is_own() {
            Vec::new()
        } else {
            self.mapping.named().into_iter().filter(|named| !named.iter().any(is_there)).map(|named| named.join(" or ")).collect()
        };
        missing.sort();
        missing.dedup();
        Columns { unknown, missing }
    }
}

impl Iterator for Catalogue {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let (line, row) = match self.first.pop_front() {
            Some(row) => row,
            None => self.rows.next()?,
        };
        let what = match row {
            Ok(row) => {
                self.note(&row);
                self.mapping.apply(&row, self.currency.as_deref())
            }
            Err(reason) => What::Bad { sku: None, reason },
        };
        Some(Entry { line, what })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file of these bytes.
    pub(crate) fn of(bytes: &[u8], mapping: Mapping) -> Result<Catalogue, FileError> {
        of_currency(bytes, mapping, Some("EUR"))
    }

    fn of_currency(bytes: &[u8], mapping: Mapping, currency: Option<&str>) -> Result<Catalogue, FileError> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut name = DefaultHasher::new();
        (bytes, std::thread::current().id()).hash(&mut name);
        let path = std::env::temp_dir().join(format!("shop-catalogue-{}-{:x}", std::process::id(), name.finish()));
        std::fs::write(&path, bytes).expect("a temporary file");
        let catalogue = Catalogue::open(&path, Arc::new(mapping), currency, Arc::default()).map(|(catalogue, _)| catalogue);
        std::fs::remove_file(&path).expect("it was written");
        catalogue
    }

    #[test]
    fn no_price_is_loaded_in_a_currency_that_nobody_named() {
        let refused = |text: &str, mapping: Mapping| of_currency(text.as_bytes(), mapping, None).err().expect("it is refused").to_string();
        let map = |currency: &str| {
            let text = format!("[product]\nsku = \"sku\"\ntitle = \"title\"\n[price]\ncolumn = \"price\"\nunit = \"minor\"\n{currency}");
            Mapping::parse(&text).expect("a good mapping")
        };
        let table = "sku,title,price\nA,a lamp,1999\n";
        let why = refused(table, Mapping::own().expect("own"));
        assert!(why.contains("no column for the currency (price.currency)") && why.contains("--currency USD"), "{why}");
        let why = refused("{\"sku\":\"A\",\"title\":\"a lamp\",\"price\":{\"minorUnits\":1999}}\n", Mapping::own().expect("own"));
        assert!(why.contains("price.currency"), "{why}");
        assert!(refused(table, map("")).contains("a test names no currency"));
        assert!(refused(table, map("currency = \"Curr\"")).contains("(Curr)"));
        // The option, the mapping, or the row says it.
        let price = |text: &str, mapping: Mapping, currency: Option<&str>| {
            let mut catalogue = of_currency(text.as_bytes(), mapping, currency).expect("it fits");
            match catalogue.next().expect("a row").what {
                What::Product(product) => product.create.price.expect("a price").currency,
                What::Bad { reason, .. } => reason,
                What::Skipped(why) => why,
            }
        };
        assert_eq!(price(table, map(""), Some("USD")), "USD");
        assert_eq!(price(table, map("currency = { constant = \"CHF\" }"), None), "CHF");
        let with = |value: &str| format!("sku,title,price,Curr\nA,a lamp,1999,{value}\n");
        assert_eq!(price(&with("JPY"), map("currency = \"Curr\""), None), "JPY");
        assert_eq!(price(&with(""), map("currency = \"Curr\""), Some("USD")), "USD");
        let why = price(&with(""), map("currency = \"Curr\""), None);
        assert_eq!(why, "price has no currency (column Curr): --currency names that of rows without one");
    }

    fn own(text: &str) -> Catalogue {
        of(text.as_bytes(), Mapping::own().expect("own")).expect("fits")
    }

    fn skus(catalogue: &mut Catalogue) -> Vec<String> {
        let sku = |entry: Entry| match entry.what {
            What::Product(product) => product.create.sku,
            What::Bad { reason, .. } => format!("line {}: {reason}", entry.line),
            What::Skipped(why) => why,
        };
        catalogue.map(sku).collect()
    }

    #[test]
    fn the_same_products_come_out_of_every_form() {
        let lines = "{\"sku\":\"A\",\"title\":\"x\",\"price\":{\"currency\":\"EUR\",\"minorUnits\":\"1\"},\"attributes\":{\"colour\":\"red\"}}\n\
                     {\"sku\":9007199254740993,\"title\":\"y\",\"price\":{\"currency\":\"JPY\",\"minorUnits\":1980}}\n";
        let array = format!("[{}]", lines.trim().replace('\n', ","));
        let table = "sku;title;price.currency;price.minorUnits;attributes.colour\nA;x;EUR;1;red\n9007199254740993;y;JPY;1980;\n";
        let products = |text: &str| -> Vec<_> {
            own(text)
                .map(|e| match e.what {
                    What::Product(p) => p.create,
                    other => panic!("{text}: {other:?}"),
                })
                .collect()
        };
        let expected = products(lines);
        assert_eq!((expected.len(), expected[1].sku.as_str()), (2, "9007199254740993"));
        assert_eq!(products(&array), expected);
        assert_eq!(products(table), expected);
    }

    #[test]
    fn a_file_without_the_columns_that_are_needed_is_refused_before_the_first_row() {
        for text in ["{\"sku\":\"A\",\"name\":\"x\",\"cost\":1}\n", "sku,name,cost\nA,x,1\n", "[{\"sku\":\"A\",\"name\":\"x\",\"cost\":1}]"]
        {
            let error = of(text.as_bytes(), Mapping::own().expect("own")).err().expect("refused").to_string();
            assert!(error.contains("title (column title)") && error.contains("price (column price.minorUnits or"), "{error}");
            assert!(error.contains("sku, name, cost") && error.contains("--map"), "{error}");
        }
    }

    #[test]
    fn columns_that_nobody_knows_are_counted_and_those_that_no_row_has_are_told() {
        let mut catalogue = own(
            "{\"sku\":\"A\",\"title\":\"x\",\"price\":1,\"colour\":\"red\"}\n{\"sku\":\"B\",\"title\":\"x\",\"price\":1,\"colour\":null,\"a\":{\"b\":1}}\n",
        );
        assert_eq!(skus(&mut catalogue), ["A", "B"]);
        let unknown = [("colour".to_owned(), 2), ("a.b".to_owned(), 1)].into();
        assert_eq!(catalogue.columns(), Columns { unknown, missing: vec![] });
        let mapping =
            "ignore = [\"c\"]\n[product]\nsku = \"s\"\ntitle = \"t\"\nbrand = [\"b\", \"bb\"]\n[price]\ncolumn = \"p\"\nunit = \"minor\"";
        let mut catalogue = of(b"s,t,p,c,d\nA,x,1,,\n", Mapping::parse(mapping).expect("good")).expect("fits");
        assert_eq!(skus(&mut catalogue), ["A"]);
        assert_eq!(catalogue.columns(), Columns { unknown: [("d".to_owned(), 1)].into(), missing: vec!["b or bb".into()] });
    }
}
