//! A catalogue of any size, made from a real one: titles put together from its products' own pieces, so that words, brands
//! and categories are as frequent as they really are. The same seed makes the same products.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context as _;
use daybook_proto::MessageSet as _;
use shop_proto::catalog::v1::{CreateProduct, ProductCommand};
use shop_proto::common::v1::Money;

/// Attributes that a made product gets at most.
const ATTRIBUTES: usize = 6;

/// Makes products.
pub(crate) struct Maker<'a> {
    rows: &'a [CreateProduct],
    /// By category: its rows.
    alike: BTreeMap<&'a str, Vec<usize>>,
    random: Random,
    made: usize,
}

impl<'a> Maker<'a> {
    /// From real rows; none is an error.
    pub(crate) fn new(rows: &'a [CreateProduct], seed: u64) -> anyhow::Result<Self> {
        anyhow::ensure!(!rows.is_empty(), "a catalogue is made from one that has products");
        let mut alike = BTreeMap::<&str, Vec<usize>>::new();
        for (n, row) in rows.iter().enumerate() {
            alike.entry(&row.category).or_default().push(n);
        }
        Ok(Self { rows, alike, random: Random(seed | 1), made: 0 })
    }

    /// The next product: one real row's brand and the beginning of its title, and the rest from others of its category,
    /// with a model number of its own.
    pub(crate) fn product(&mut self) -> CreateProduct {
        let first = &self.rows[self.random.below(self.rows.len())];
        let alike = &self.alike[first.category.as_str()];
        let other = |random: &mut Random| &self.rows[alike[random.below(alike.len())]];
        let (second, third) = (other(&mut self.random), other(&mut self.random));
        let words: Vec<&str> = first.title.split_whitespace().collect();
        let others: Vec<&str> = second.title.split_whitespace().collect();
        let kept = words.len().div_ceil(2);
        let mut title = words[..kept].join(" ");
        let letters: String = (0..2).map(|_| char::from(b'A' + self.random.below(26) as u8)).collect();
        title.push_str(&format!(" {letters}{}", 100 + self.random.below(9_900)));
        for word in others.iter().skip(others.len() / 2) {
            title.push(' ');
            title.push_str(word);
        }
        let price = first.price.as_ref().map_or(1_000, |p| p.minor_units);
        let price = (price * (50 + self.random.below(100) as i64) / 100).max(1);
        self.made += 1;
        CreateProduct {
            sku: format!("M{:08}", self.made),
            title: title.chars().take(500).collect(),
            description: third.description.clone(),
            brand: first.brand.clone(),
            category: first.category.clone(),
            price: Some(Money { currency: "EUR".to_owned(), minor_units: price }),
            attributes: second
                .attributes
                .iter()
                .filter(|(name, _)| *name != "ean")
                .take(ATTRIBUTES)
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
            ..CreateProduct::default()
        }
    }

    /// Writes so many as lines that `daybook load catalogue` reads.
    pub(crate) fn write(&mut self, count: usize, to: &mut impl Write) -> anyhow::Result<()> {
        for _ in 0..count {
            let product = self.product();
            writeln!(to, "{}", ProductCommand::from(product).to_json()).context("a product can't be written")?;
        }
        Ok(())
    }
}

/// xorshift64: repeatable, and good enough to pick by.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(title: &str, category: &str) -> CreateProduct {
        let price = Some(Money { currency: "EUR".into(), minor_units: 500 });
        CreateProduct { sku: title.into(), title: title.into(), category: category.into(), price, ..Default::default() }
    }

    #[test]
    fn the_same_seed_makes_the_same_products_and_no_sku_twice() {
        let rows = [row("Red lamp with a foot", "Lamps"), row("Blue lamp", "Lamps"), row("Mouse", "Mice")];
        let make = |seed| {
            let mut maker = Maker::new(&rows, seed).expect("rows");
            (0..50).map(|_| maker.product()).collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(9));
        let skus: std::collections::BTreeSet<String> = make(7).into_iter().map(|p| p.sku).collect();
        assert_eq!(skus.len(), 50);
        assert!(Maker::new(&[], 7).is_err());
    }

    #[test]
    fn what_is_written_is_read_as_a_catalogue() {
        let rows = [row("Red lamp with a foot", "Lamps"), row("Mouse", "Mice")];
        let mut text = Vec::new();
        Maker::new(&rows, 7).expect("rows").write(5, &mut text).expect("written");
        let path = std::env::temp_dir().join(format!("daybook-bench-made-{}.jsonl", std::process::id()));
        std::fs::write(&path, text).expect("a file");
        let read = super::super::catalogue::rows(&path, std::path::Path::new(super::super::catalogue::OWN)).expect("a catalogue");
        std::fs::remove_file(&path).expect("it is there");
        let mut maker = Maker::new(&rows, 7).expect("rows");
        assert_eq!(read, (0..5).map(|_| maker.product()).collect::<Vec<_>>());
    }
}
