//! Searches that nobody would think of.

use daybook_kernel::Secret;
use daybook_testkit::fuzz::{damaged, damaged_text};
use proptest::prelude::*;
use prost::Message as _;
use shop_proto::common::v1::Money;
use shop_proto::read::v1::{SearchedProduct, SearchedStock};

use super::super::plan::Plan;
use super::super::run::Cursor;
use super::super::token;
use super::*;

fn a_product() -> impl Strategy<Value = Vec<u8>> {
    any::<(String, String, String, i64)>().prop_map(|(title, description, category, minor_units)| {
        let price = Some(Money { currency: "EUR".into(), minor_units });
        let attributes = [(title.clone(), description.clone())].into();
        SearchedProduct { sku: "A-1".into(), title, description, category, price, attributes, ..Default::default() }.encode_to_vec()
    })
}

fn a_stock() -> impl Strategy<Value = Vec<u8>> {
    any::<u32>().prop_map(|available| {
        let stock = Some(SearchedStock { available, ..Default::default() });
        SearchedProduct { stock: stock.into_iter().collect(), ..Default::default() }.encode_to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_text_is_a_search_and_a_suggestion(text in any::<String>(), other in any::<String>()) {
        let index = index(&[("k1", item("USB hub 2 GB", "HP", "Home > Lamps", 100)), ("k2", item(&text, "Lux", "Home", 7))]);
        for text in [&text, &other] {
            prop_assert!(index.search(&request(text), &[10]).total <= 2);
            prop_assert!(index.suggest(text, 8).len() <= 8);
        }
    }

    #[test]
    fn a_damaged_page_token_is_none(text in damaged_text(Just(a_token()))) {
        prop_assert!(token::read(&secret(), "products", &request("lamp"), &text).is_none() || text == a_token(), "{}", text);
    }

    /// The parts come from Kafka: whatever they hold, there is an index that answers.
    #[test]
    fn a_part_that_is_no_product_leaves_an_index_that_answers(
        product in prop_oneof![1 => a_product(), 3 => damaged(a_product())],
        stock in prop_oneof![1 => a_stock(), 3 => damaged(a_stock())],
        offset in 0..=i64::MAX,
    ) {
        let (reader, mut index) = (reader(), SearchIndex::new(Tuning::default()));
        reader.apply(&mut index, "A-1", "product", Some(&product), offset);
        reader.apply(&mut index, "A-1", "stock/w-1", Some(&stock), offset);
        prop_assert_eq!(index.len(), 1);
        prop_assert_eq!(found(&index, &request("")), ["A-1"]);
        prop_assert_eq!(index.compacted().len(), 1);
        reader.apply(&mut index, "A-1", "product", None, offset);
        prop_assert_eq!(index.len(), 0);
    }
}

fn secret() -> Secret {
    Secret::new([1; 32])
}

fn a_token() -> String {
    let cursor = Cursor { rank: 7, title: "ä".into(), key: "A-1".into() };
    token::write(&secret(), "products", &request("lamp"), &Plan::default(), &cursor)
}
