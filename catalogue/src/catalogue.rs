//! A catalogue file as products, one after the other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::FileError;
use crate::bytes;
use crate::map::Mapping;
use crate::product::Product;
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

/// The meaning of a row.
#[derive(Debug)]
pub enum What {
    /// A product that keeps all rules of its fields.
    Product(Box<Product>),
    /// The mapping passes it over, for this reason.
    Skipped(String),
    /// No product.
    Bad {
        /// Its SKU, where it can be read.
        sku: Option<String>,
        /// Everything that is wrong with it, for people.
        reason: String,
    },
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
    currency: String,
    seen: HashMap<String, Seen>,
}

struct Seen {
    known: bool,
    rows: u64,
}

impl Catalogue {
    /// Opens a file, and tells how many bytes it has; `read` follows how many were read. `currency` is that of prices for which
    /// neither row nor mapping names one.
    ///
    /// # Errors
    /// When it can't be read, is something that is not read, has no rows, or has none of the columns that a product needs.
    pub fn open(path: &Path, mapping: Arc<Mapping>, currency: &str, read: Arc<AtomicU64>) -> Result<(Self, u64), FileError> {
        let named = |what: String| FileError(format!("{}: {what}", path.display()));
        let (bytes, length) = bytes::open(path, read)?;
        let mut rows = Rows::new(bytes, mapping.format, mapping.delimiter).map_err(named)?;
        let first: VecDeque<_> = rows.by_ref().take(LOOKED_AT).collect();
        if first.is_empty() {
            // An export that broke looks so. Whoever means it has nothing to load.
            return Err(named("has no rows: nothing is loaded".to_owned()));
        }
        let catalogue = Self { rows, first, mapping, currency: currency.to_owned(), seen: HashMap::new() };
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
            return Ok(());
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

    fn note(&mut self, row: &Row) {
        for (column, _) in row.columns() {
            if let Some(seen) = self.seen.get_mut(column) {
                seen.rows += 1;
            } else if self.seen.len() < NAMES {
                self.seen.insert(column.to_owned(), Seen { known: self.mapping.knows(column), rows: 1 });
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
                self.mapping.apply(&row, &self.currency)
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
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut name = DefaultHasher::new();
        (bytes, std::thread::current().id()).hash(&mut name);
        let path = std::env::temp_dir().join(format!("shop-catalogue-{}-{:x}", std::process::id(), name.finish()));
        std::fs::write(&path, bytes).expect("a temporary file");
        let catalogue = Catalogue::open(&path, Arc::new(mapping), "EUR", Arc::default()).map(|(catalogue, _)| catalogue);
        std::fs::remove_file(&path).expect("it was written");
        catalogue
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
