//! A row as a product, by a mapping.

use std::collections::BTreeMap;

use daybook_proto::v1::TextForm;
use daybook_proto::{CommandSet as _, Violation};
use shop_proto::catalog::v1::{CreateProduct, ProductCommand};
use shop_proto::common::v1::Money;
use shop_proto::currency::decimals;

use super::file::Unit;
use super::source::{Source, is_empty};
use super::{Attributes, Mapping, Prefix, Skip};
use crate::decimal::{minor_units, plain};
use crate::product::{Product, Said, What};
use crate::row::{Row, Value};

// The longest texts that `proto/shop/catalog` allows, in characters. Longer texts are cut, and counted; whatever else breaks a rule makes
// the row a bad one.
const TITLE: usize = 500;
const DESCRIPTION: usize = 20_000;
const BRAND: usize = 200;
const CATEGORY: usize = 200;
const ATTRIBUTE: usize = 8_000;

impl Mapping {
    /// Makes a product of a row. `currency` counts where neither row nor mapping names one; without it such a row is bad, for a price in a
    /// currency that was guessed would be a wrong one.
    pub(crate) fn apply(&self, row: &Row, currency: Option<&str>) -> What {
        if let Some(skip) = self.skip.iter().find(|skip| skip.matches(row)) {
            let why = if skip.equals.is_some() { "has a value that is skipped" } else { "is empty" };
            return What::Skipped(format!("{} {why}", skip.column));
        }
        let mut faults = Faults::default();
        let mut cut = Cutter::default();
        let text = |field: &'static str, source: &Source, faults: &mut Faults| {
            texts(source, row, &self.style()).unwrap_or_else(|fault| {
                faults.add(field, format!("{field}: {fault}"));
                None
            })
        };
        let sku = text("sku", &self.sku, &mut faults);
        let title = text("title", &self.title, &mut faults);
        let description = text("description", &self.description, &mut faults).unwrap_or_default();
        let brand = text("brand", &self.brand, &mut faults).unwrap_or_default();
        let manufacturer_number = text("manufacturerNumber", &self.manufacturer_number, &mut faults).unwrap_or_default();
        let language = text("language", &self.language, &mut faults).unwrap_or_default();
        let draft = text("draft", &self.draft, &mut faults);
        let mut gtins = self.gtins.value(row).map(|(_, value)| numbers(value)).unwrap_or_default();
        let found = gtins.len();
        if self.leave_out_bad_gtins {
            gtins.retain(|gtin| TextForm::Gtin.fault(gtin).is_none());
        }
        let bad_gtins = (found - gtins.len()) as u64;
        let category = self
            .categories
            .of(|column| row.get(column).and_then(|v| self.style().text(v).ok()?).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()));
        let category_said = self.categories.columns().next().is_some() || category.is_some();
        for (field, value, source) in [("sku", &sku, &self.sku), ("title", &title, &self.title)] {
            if value.is_none() && !faults.are_of(field) {
                faults.add(field, missing(field, source));
            }
        }
        let draft = match draft.as_deref() {
            None | Some("false" | "0" | "no" | "N") => false,
            Some("true" | "1" | "yes" | "Y") => true,
            Some(other) => {
                faults.add("draft", format!("draft must be true or false, is {}", daybook_proto::shown(other)));
                false
            }
        };
        let price = self.money(row, currency).map_err(|fault| faults.add("price", fault)).ok();
        let attributes = match &self.attributes {
            None => BTreeMap::new(),
            Some(attributes) => attributes.of(row, &mut cut).map_err(|fault| faults.add("attributes", fault)).unwrap_or_default(),
        };
        let create = CreateProduct {
            sku: sku.clone().unwrap_or_default(),
            title: cut.to(TITLE, title.unwrap_or_default()),
            description: cut.to(DESCRIPTION, description),
            brand: cut.to(BRAND, brand),
            category: cut.to(CATEGORY, category.unwrap_or_default()),
            price,
            attributes,
            gtins,
            manufacturer_number,
            language,
            draft,
            ..CreateProduct::default()
        };
        // Together with what can't be read: whoever mends the file is told all of it at once.
        faults.of_rules(&ProductCommand::from(create.clone()).violations());
        if let Some(reason) = faults.told() {
            return What::Bad { sku, reason };
        }
        let said = Said {
            title: true,
            price: true,
            description: self.description.is_said(row),
            brand: self.brand.is_said(row),
            gtins: self.gtins.is_said(row),
            manufacturer_number: self.manufacturer_number.is_said(row),
            language: self.language.is_said(row),
            category: category_said && !create.category.is_empty(),
            attributes: self.attributes.as_ref().is_some_and(|a| a.are_said(row)),
        };
        What::Product(Box::new(Product { create, shortened: cut.count, bad_gtins, said }))
    }

    fn style(&self) -> Style<'_> {
        let own = Style { plain_numbers: true, yes: "true", no: "false", separator: ", " };
        self.attributes.as_ref().map_or(own, |a| Style { separator: &a.separator, ..own })
    }

    fn money(&self, row: &Row, currency: Option<&str>) -> Result<Money, String> {
        let price = &self.price;
        let amount = match (price.amount.value(row), price.amount.constant()) {
            (Some((_, Value::Text(text))), _) => text.trim().to_owned(),
            (Some((_, Value::Number(number))), _) => number.clone(),
            (Some((column, _)), _) => return Err(format!("price must be a number, {column:?} is none")),
            (None, Some(constant)) => constant.to_owned(),
            (None, None) => return Err(missing("price", &price.amount)),
        };
        let named = texts(&price.currency, row, &self.style()).map_err(|what| format!("currency: {what}"))?;
        let Some(currency) = named.or_else(|| currency.map(str::to_owned)) else {
            let columns = price.currency.columns();
            let column = if columns.is_empty() { String::new() } else { format!(" (column {})", columns.join(" or ")) };
            return Err(format!("price has no currency{column}: --currency names that of rows without one"));
        };
        // The rows of one file may have several currencies. What is none, the command's rules tell.
        let places = match price.unit {
            Unit::Minor => 0,
            Unit::Decimal => decimals(&currency).unwrap_or_default(),
        };
        let minor_units = minor_units(&amount, places, price.mark).map_err(|what| format!("price {what}"))?;
        Ok(Money { currency, minor_units })
    }
}

fn missing(field: &str, source: &Source) -> String {
    match source.columns() {
        [column] if column == field => format!("{field} is missing"),
        columns => format!("{field} is missing (column {})", columns.join(" or ")),
    }
}

/// Several numbers: a list of them, or a text that holds them with blanks, commas, semicolons or bars between.
fn numbers(value: &Value) -> Vec<String> {
    let between = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|');
    match value {
        Value::Text(text) => text.split(between).filter(|n| !n.is_empty()).map(str::to_owned).collect(),
        Value::Number(lexeme) => vec![plain(lexeme)],
        Value::List(items) => items.iter().flat_map(numbers).collect(),
        // Anything else is told as a number that is no GTIN.
        Value::Bool(is) => vec![is.to_string()],
        Value::Object => vec!["an object".to_owned()],
        Value::Null => Vec::new(),
    }
}

/// The way in which values are written as text.
#[derive(Clone, Copy)]
struct Style<'a> {
    plain_numbers: bool,
    yes: &'a str,
    no: &'a str,
    separator: &'a str,
}

impl Style<'_> {
    /// A single value or a list of them, as a shopper reads it; none where there is nothing.
    fn text(&self, value: &Value) -> Result<Option<String>, String> {
        Ok(match value {
            Value::Null => None,
            Value::Text(text) => Some(text.clone()),
            Value::Number(lexeme) => Some(if self.plain_numbers { plain(lexeme) } else { lexeme.clone() }),
            Value::Bool(true) => Some(self.yes.to_owned()),
            Value::Bool(false) => Some(self.no.to_owned()),
            Value::List(items) => {
                let texts = items.iter().map(|item| self.text(item)).collect::<Result<Vec<_>, _>>()?;
                Some(texts.into_iter().flatten().collect::<Vec<_>>().join(self.separator))
            }
            Value::Object => return Err("holds an object, which is no text".to_owned()),
        })
    }
}

/// The text of a field, without blanks around it. Absent, null and empty are the same.
fn texts(source: &Source, row: &Row, style: &Style<'_>) -> Result<Option<String>, String> {
    if let Some((column, value)) = source.value(row) {
        let text = style.text(value).map_err(|what| format!("{column:?} {what}"))?;
        return Ok(text.and_then(|text| source.finish(text, row)));
    }
    Ok(source.constant().map(str::to_owned))
}

impl Attributes {
    fn are_said(&self, row: &Row) -> bool {
        self.columns.iter().any(|(_, source)| source.is_said(row))
            || row.columns().any(|(column, _)| self.prefixes.iter().any(|p| column.starts_with(&p.prefix)))
    }

    /// Columns that are named first, then those with each prefix. Where two would share a name, the later one gets
    /// `on_clash` before it.
    fn of(&self, row: &Row, cut: &mut Cutter) -> Result<BTreeMap<String, String>, String> {
        let style = Style { plain_numbers: self.plain_numbers, yes: &self.yes, no: &self.no, separator: &self.separator };
        let mut all = BTreeMap::new();
        for (name, source) in &self.columns {
            if let Some(text) = texts(source, row, &style)? {
                all.insert(name.clone(), cut.to(ATTRIBUTE, text));
            }
        }
        for Prefix { prefix, keep, on_clash } in &self.prefixes {
            for (column, value) in row.columns() {
                let Some(rest) = column.strip_prefix(prefix.as_str()).filter(|rest| !rest.is_empty()) else { continue };
                if is_empty(value) {
                    continue;
                }
                let text = style.text(value).map_err(|what| format!("{column:?} {what}"))?.unwrap_or_default();
                let mut name = if *keep { column.to_owned() } else { rest.to_owned() };
                if let (true, Some(on_clash)) = (all.contains_key(&name), on_clash) {
                    name = format!("{on_clash}{name}");
                }
                if all.contains_key(&name) {
                    return Err(format!("two columns are the attribute {name:?}, one of them {column:?}: give its prefix on_clash"));
                }
                all.insert(name, cut.to(ATTRIBUTE, text.trim().to_owned()));
            }
        }
        Ok(all)
    }
}

impl Skip {
    fn matches(&self, row: &Row) -> bool {
        let value = row.get(&self.column).filter(|value| !is_empty(value));
        match (&self.equals, value) {
            (None, value) => value.is_none(),
            (Some(_), None) => false,
            (Some(equals), Some(value)) => {
                let style = Style { plain_numbers: true, yes: "true", no: "false", separator: ", " };
                style.text(value).ok().flatten().is_some_and(|text| equals.iter().any(|e| e == text.trim()))
            }
        }
    }
}

/// The faults of a row, field by field.
#[derive(Default)]
struct Faults(Vec<(String, String)>);

impl Faults {
    /// Fields of `create-product`, in its order.
    const FIELDS: [&'static str; 11] =
        ["sku", "title", "description", "brand", "category", "price", "attributes", "draft", "gtins", "manufacturerNumber", "language"];

    fn add(&mut self, field: &str, told: String) {
        self.0.push((field.to_owned(), told));
    }

    fn are_of(&self, field: &str) -> bool {
        self.0.iter().any(|(of, _)| of == field)
    }

    /// Broken rules; not of a field that could not be read, which is empty then.
    fn of_rules(&mut self, violations: &[Violation]) {
        let read = self.0.len();
        for violation in violations {
            let field = violation.field.split(['.', '[']).next().unwrap_or_default();
            if !self.0[..read].iter().any(|(of, _)| of == field) {
                self.0.push((field.to_owned(), format!("{} {}", violation.field, violation.message)));
            }
        }
    }

    /// All of it in the order of the fields; nothing where nothing is wrong.
    fn told(mut self) -> Option<String> {
        let place = |field: &str| Self::FIELDS.iter().position(|of| *of == field).unwrap_or(usize::MAX);
        self.0.sort_by_key(|(field, _)| place(field));
        let all: Vec<String> = self.0.into_iter().map(|(_, told)| told).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Cuts texts to a length in characters, and counts those that it had to cut.
#[derive(Default)]
struct Cutter {
    count: u64,
}

impl Cutter {
    fn to(&mut self, most: usize, text: String) -> String {
        // Bytes bound characters from above: the common case is decided without counting.
        if text.len() <= most || text.chars().count() <= most {
            return text;
        }
        self.count += 1;
        text.chars().take(most - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
