//! A mapping: which column of a file is which field of a product. `docs/loading.md` describes the format.

mod apply;
mod category;
mod file;
mod source;

use std::collections::BTreeSet;
use std::path::Path;

use shop_proto::catalog::v1::CreateProduct;
use shop_proto::common::v1::Money;

use daybook_proto::CommandSet as _;
use shop_proto::catalog::v1::ProductCommand;

use crate::rows::Format;
use category::Categories;
use file::{MappingFile, Unit};
use source::Source;

/// Fields named as the command's JSON names them.
const OWN: &str = include_str!("own.toml");

/// The fault of a mapping, with the line or the key, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(String);

/// The way from rows to products. Checked: it can be followed.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Its name for people.
    name: String,
    is_own: bool,
    pub(crate) format: Format,
    pub(crate) delimiter: Option<u8>,
    sku: Source,
    title: Source,
    description: Source,
    brand: Source,
    gtins: Source,
    /// Numbers that are no GTINs are left out and counted; else their row is bad.
    leave_out_bad_gtins: bool,
    manufacturer_number: Source,
    language: Source,
    draft: Source,
    price: Price,
    categories: Categories,
    attributes: Option<Attributes>,
    skip: Vec<Skip>,
    /// Columns that are known and passed over.
    ignored: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Price {
    amount: Source,
    unit: Unit,
    mark: char,
    currency: Source,
}

#[derive(Clone, Debug)]
struct Attributes {
    /// 6.0 is 6.
    plain_numbers: bool,
    yes: String,
    no: String,
    separator: String,
    columns: Vec<(String, Source)>,
    prefixes: Vec<Prefix>,
}

#[derive(Clone, Debug)]
struct Prefix {
    prefix: String,
    /// The prefix is a part of the attribute's name.
    keep: bool,
    on_clash: Option<String>,
}

/// Rows that are no products.
#[derive(Clone, Debug)]
struct Skip {
    column: String,
    /// None: those without a value.
    equals: Option<Vec<String>>,
}

impl Mapping {
    /// The shop's own form: columns are called as the fields of `create-product` are in JSON.
    ///
    /// # Errors
    /// Never, as a test holds.
    pub fn own() -> Result<Self, MappingError> {
        let file = MappingFile::parse(OWN).map_err(|e| MappingError(format!("the shop's own form: {e}")))?;
        let checked = Self::checked("the shop's own form".to_owned(), file)?;
        Ok(Self { is_own: true, ..checked })
    }

    /// Reads a mapping file, and what it is based on.
    ///
    /// # Errors
    /// Its fault, with line or key.
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let name = path.display().to_string();
        let file = MappingFile::read(path).map_err(MappingError)?;
        Self::checked(name, file)
    }

    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Result<Self, MappingError> {
        Self::checked("a test".to_owned(), MappingFile::parse(text).map_err(MappingError)?)
    }

    fn checked(name: String, file: MappingFile) -> Result<Self, MappingError> {
        let fault = |key: &str, what: &str| MappingError(format!("{name}: {key} {what}"));
        let product = file.product.ok_or_else(|| fault("[product]", "is missing: it says which columns are sku and title"))?;
        let price = file.price.ok_or_else(|| fault("[price]", "is missing: it says which column is the price, and its unit"))?;
        let about = file.file.unwrap_or_default();
        let delimiter = match about.delimiter.as_deref().map(str::as_bytes) {
            None => None,
            Some([byte]) if byte.is_ascii() && *byte != b'"' && *byte != b'\n' => Some(*byte),
            Some(_) => return Err(fault("file.delimiter", "must be one ASCII character, for example \";\" or \"\\t\"")),
        };
        let mark = match price.decimal_mark.as_deref() {
            None | Some(".") => '.',
            Some(",") => ',',
            Some(_) => return Err(fault("price.decimal_mark", "must be \".\" or \",\"")),
        };
        if let Some(currency) = price.currency.constant() {
            let money = Money { currency: currency.to_owned(), minor_units: 0 };
            let example = CreateProduct { sku: "A".into(), title: "A".into(), price: Some(money), ..Default::default() };
            if let Some(violation) = ProductCommand::from(example).violations().first() {
                return Err(fault("price.currency", &violation.message));
            }
        }
        let categories = Categories::checked(file.categories.unwrap_or_default()).map_err(|e| fault("categories", &e))?;
        let attributes = file.attributes.map(|a| Attributes::checked(a).map_err(|(key, what)| fault(&key, what))).transpose()?;
        let mut skip = Vec::new();
        for (n, rule) in file.skip.unwrap_or_default().into_iter().enumerate() {
            match (rule.equals, rule.empty) {
                (Some(equals), false) if !equals.is_empty() => skip.push(Skip { column: rule.column, equals: Some(equals) }),
                (None, true) => skip.push(Skip { column: rule.column, equals: None }),
                _ => return Err(fault(&format!("skip {}", n + 1), "needs either equals = [\"…\"] or empty = true")),
            }
        }
        for (key, source) in [("product.sku", &product.sku), ("product.title", &product.title), ("price.column", &price.column)] {
            if source.is_nothing() {
                return Err(fault(key, "is missing: no product is made without it"));
            }
        }
        Ok(Self {
            is_own: false,
            format: about.format,
            delimiter,
            sku: product.sku,
            title: product.title,
            description: product.description,
            brand: product.brand,
            gtins: product.gtins,
            leave_out_bad_gtins: product.leave_out_bad_gtins,
            manufacturer_number: product.manufacturer_number,
            language: product.language,
            draft: product.draft,
            price: Price { amount: price.column, unit: price.unit, mark, currency: price.currency },
            categories,
            attributes,
            skip,
            ignored: file.ignore.unwrap_or_default().into_iter().collect(),
            name,
        })
    }

    /// Whether it is no file's.
    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// Its name for people.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The sources without which no row is a product, by the fields' names.
    pub(crate) fn required(&self) -> [(&'static str, &[String]); 3] {
        [("sku", self.sku.columns()), ("title", self.title.columns()), ("price", self.price.amount.columns())]
    }

    /// Where currencies come from: columns, or one for every row.
    pub(crate) fn currency(&self) -> (&[String], Option<&str>) {
        (self.price.currency.columns(), self.price.currency.constant())
    }

    /// All columns that are named, each with the others that would do.
    pub(crate) fn named(&self) -> Vec<&[String]> {
        let texts = [&self.sku, &self.title, &self.description, &self.brand, &self.manufacturer_number, &self.language, &self.draft];
        let fields = texts.into_iter().chain([&self.gtins, &self.price.amount, &self.price.currency]);
        let attributes = self.attributes.iter().flat_map(|a| a.columns.iter().map(|(_, source)| source));
        let mut named: Vec<&[String]> = fields.chain(attributes).map(Source::columns).filter(|c| !c.is_empty()).collect();
        named.extend(self.categories.columns().map(std::slice::from_ref));
        named.extend(self.skip.iter().map(|s| std::slice::from_ref(&s.column)));
        named
    }

    /// Whether a column means something here.
    pub(crate) fn knows(&self, column: &str) -> bool {
        self.ignored.contains(column)
            || self.attributes.iter().flat_map(|a| &a.prefixes).any(|p| column.len() > p.prefix.len() && column.starts_with(&p.prefix))
            || self.named().into_iter().flatten().any(|named| named == column)
    }
}

impl Attributes {
    fn checked(file: file::AttributesFile) -> Result<Self, (String, &'static str)> {
        let prefix = |p: file::PrefixFile| Prefix { prefix: p.prefix, keep: p.keep, on_clash: p.on_clash };
        if let Some((name, _)) = file.columns.iter().find(|(_, source)| source.is_nothing()) {
            return Err((format!("attributes.columns.{name}"), "names no column"));
        }
        Ok(Self {
            plain_numbers: file.numbers == file::Numbers::Plain,
            yes: file.yes,
            no: file.no,
            separator: file.separator,
            columns: file.columns.into_iter().collect(),
            prefixes: file.prefixes.into_iter().map(prefix).collect(),
        })
    }
}
