//! Which row of a SKU has the last word. An update brings each product to what the rows of its SKU say together: of each field
//! what the last row says that says anything of it. So the same file again finds nothing to do, whatever its rows say one after
//! the other.

use std::collections::HashMap;

use daybook_kernel::digest;
use shop_catalogue::{Entry, Product, Said, What};

/// A digest of a SKU, or of a SKU and a field.
pub(super) type Short = [u8; 16];

/// The digest of a SKU.
pub(super) fn short(sku: &str) -> Short {
    of_field(sku, "")
}

fn of_field(sku: &str, field: &str) -> Short {
    let mut short = [0; 16];
    short.copy_from_slice(&digest::sha256(format!("{sku}\0{field}").as_bytes())[..16]);
    short
}

/// The last row of each SKU in a file that was read once before. Of each SKU its digest and a line are kept (at most 60 bytes), and of
/// those with several rows the same of each field that a later row says, at most ten and one more a currency.
#[derive(Default)]
pub(super) struct LastWords {
    /// The first row of each SKU.
    first: HashMap<Short, u64>,
    /// The last row that says something of a field, where that is not the first of its SKU.
    last: HashMap<Short, u64>,
}

impl LastWords {
    /// Reads rows that are to be loaded. Those that are no products have no word.
    pub(super) fn of(entries: impl Iterator<Item = Entry>) -> Self {
        let mut words = Self::default();
        for Entry { line, what } in entries {
            let What::Product(product) = what else { continue };
            let sku = &product.create.sku;
            if *words.first.entry(short(sku)).or_insert(line) == line {
                continue;
            }
            for field in fields(&product) {
                words.last.insert(of_field(sku, &field), line);
            }
        }
        words
    }

    /// Whether an earlier row has this SKU.
    pub(super) fn is_later(&self, sku: &str, line: u64) -> bool {
        self.first.get(&short(sku)).is_some_and(|first| *first != line)
    }

    /// Whether other rows have this SKU.
    pub(super) fn has_several(&self, sku: &str) -> bool {
        // Every row says a title.
        self.last.contains_key(&of_field(sku, TITLE))
    }

    /// Leaves of what a row says that of which no later row says anything; whether that is something.
    pub(super) fn leave(&self, product: &mut Product, line: u64) -> bool {
        if !self.has_several(&product.create.sku) {
            return true;
        }
        let price = price(product);
        let sku = &product.create.sku;
        let said = &mut product.said;
        for (name, is_said) in each(said) {
            let field = if name == PRICE { &price } else { name };
            *is_said &= self.last.get(&of_field(sku, field)).is_none_or(|last| *last <= line);
        }
        *said != Said::default()
    }
}

const TITLE: &str = "title";
const PRICE: &str = "price";

/// Prices in several currencies stand beside each other: each is a field of its own.
fn price(product: &Product) -> String {
    format!("{PRICE}/{}", product.create.price.as_ref().map(|price| price.currency.as_str()).unwrap_or_default())
}

/// The fields that a row says something of.
fn fields(product: &Product) -> Vec<String> {
    let mut said = product.said;
    let all = each(&mut said).into_iter().filter(|(_, is_said)| **is_said);
    all.map(|(name, _)| if name == PRICE { price(product) } else { name.to_owned() }).collect()
}

fn each(said: &mut Said) -> [(&'static str, &mut bool); 9] {
    let Said { title, price, description, brand, category, gtins, manufacturer_number, language, attributes } = said;
    [
        (TITLE, title),
        (PRICE, price),
        ("description", description),
        ("brand", brand),
        ("category", category),
        ("gtins", gtins),
        ("manufacturerNumber", manufacturer_number),
        ("language", language),
        ("attributes", attributes),
    ]
}

#[cfg(test)]
mod tests {
    use shop_proto::catalog::v1::CreateProduct;
    use shop_proto::common::v1::Money;

    use super::*;

    fn product(sku: &str, currency: &str, said: Said) -> Product {
        let price = Some(Money { currency: currency.into(), minor_units: 1 });
        let create = CreateProduct { sku: sku.into(), title: "t".into(), price, ..Default::default() };
        Product { create, shortened: 0, bad_gtins: 0, said: Said { title: true, price: true, ..said } }
    }

    fn words(rows: &[Product]) -> LastWords {
        let bad = Entry { line: 99, what: What::Bad { sku: Some("A".into()), reason: "no".into() } };
        let entries = (1..).zip(rows).map(|(line, row)| Entry { line, what: What::Product(Box::new(row.clone())) });
        LastWords::of(entries.chain([bad]))
    }

    #[test]
    fn each_field_is_left_to_the_last_row_that_says_it() {
        let (nothing, brand) = (Said::default(), Said { brand: true, ..Said::default() });
        let rows = [product("A", "EUR", brand), product("B", "EUR", brand), product("A", "JPY", nothing), product("A", "JPY", nothing)];
        let words = words(&rows);
        let left = |row: usize| {
            let mut product = rows[row].clone();
            let some = words.leave(&mut product, row as u64 + 1);
            (some, product.said)
        };
        // The first row's euros and brand are said by no other; its title is, and so is all of the third row.
        assert_eq!(left(0), (true, Said { price: true, brand: true, ..nothing }));
        assert_eq!(left(1), (true, Said { title: true, price: true, ..brand }), "it has no other row");
        assert_eq!(left(2), (false, nothing));
        assert_eq!(left(3), (true, Said { title: true, price: true, ..nothing }));
        let later: Vec<bool> = (1..).zip(&rows).map(|(line, row)| words.is_later(&row.create.sku, line)).collect();
        assert_eq!((later, words.has_several("A"), words.has_several("B")), (vec![false, false, true, true], true, false));
    }
}
