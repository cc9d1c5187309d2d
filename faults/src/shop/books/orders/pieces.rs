//! Pieces, and what they cost. Source: the shop's rule of money by piece: piece i of n of a line with total T costs ⌊T·i/n⌋ − ⌊T·(i−1)/n⌋.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use crate::judge::decode::integer;

/// So many pieces, by SKU.
pub(super) type Pieces = BTreeMap<String, i64>;

/// A text of an event; empty where it has none.
pub(super) fn text<'j>(json: &'j Value, field: &str) -> &'j str {
    json[field].as_str().unwrap_or_default()
}

/// A number of an event; 0 where it has none.
pub(super) fn number(json: &Value, field: &str) -> i64 {
    integer(&json[field]).unwrap_or_default()
}

/// An amount in minor units; 0 where there is none.
pub(super) fn units(money: &Value) -> i64 {
    number(money, "minorUnits")
}

/// The elements of a repeated field.
pub(super) fn each<'j>(json: &'j Value, field: &str) -> impl Iterator<Item = &'j Value> {
    json[field].as_array().into_iter().flatten()
}

/// The pieces of lines with a SKU and a quantity, added up.
pub(super) fn pieces(json: &Value, field: &str) -> Pieces {
    let mut all = Pieces::new();
    for line in each(json, field) {
        *all.entry(text(line, "sku").to_owned()).or_default() += number(line, "quantity");
    }
    all
}

/// Adds pieces to others.
pub(super) fn add(to: &mut Pieces, more: &Pieces) {
    for (sku, quantity) in more {
        *to.entry(sku.clone()).or_default() += quantity;
    }
}

/// What is left of pieces without others; SKUs of which nothing is left are not in it.
pub(super) fn without(from: &Pieces, less: &Pieces) -> Pieces {
    let mut left = from.clone();
    for (sku, quantity) in less {
        *left.entry(sku.clone()).or_default() -= quantity;
    }
    left.retain(|_, quantity| *quantity != 0);
    left
}

/// Whether these are pieces of those.
pub(super) fn is_of(some: &Pieces, all: &Pieces) -> bool {
    some.iter().all(|(sku, quantity)| *quantity > 0 && all.get(sku).is_some_and(|there| quantity <= there))
}

/// What `some` of a line's `of` pieces cost, at the least and at the most: which of them they are stands nowhere, and they differ by a unit.
/// All of them cost the total, to the unit.
pub(super) fn cost(total: i64, of: i64, some: i64) -> RangeInclusive<i64> {
    let (total, of, some) = (i128::from(total), i128::from(of.max(1)), i128::from(some));
    let (cheap, dear) = (total / of, total % of);
    let bound = |more: i128| i64::try_from(cheap * some + more).unwrap_or(i64::MAX);
    bound((some - (of - dear)).max(0))..=bound(some.min(dear))
}

#[cfg(test)]
mod tests {
    use super::cost;

    #[test]
    fn pieces_of_a_line_cost_what_some_choice_of_them_costs() {
        // 333, 333 and 334.
        assert_eq!([0, 1, 2, 3].map(|n| cost(1000, 3, n)), [0..=0, 333..=334, 666..=667, 1000..=1000]);
        // Five pieces of which three cost one unit more.
        assert_eq!([1, 3, 4, 5].map(|n| cost(13, 5, n)), [2..=3, 7..=9, 10..=11, 13..=13]);
        assert_eq!(cost(3998, 2, 1), 1999..=1999);
    }
}
