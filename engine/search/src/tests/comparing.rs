use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message as _;
use shop_proto::read::v1::{SearchedProduct, SearchedStock};

use super::super::compare::{Compared, Parts};
use super::*;

/// A read model's table: by key, its parts.
type Table = BTreeMap<String, Parts>;

/// The part and the key that are written (or go, when false).
type Step = Vec<(usize, usize, bool)>;

fn step() -> impl Strategy<Value = Step> {
    prop::collection::vec((0..6_usize, 0..4_usize, any::<bool>()), 0..12)
}

/// A table after one more step.
fn after(table: &Table, step: &Step, offset: i64) -> Table {
    let mut table = table.clone();
    for (key, part, there) in step {
        let (part, message) = match part {
            0 => ("product".to_owned(), SearchedProduct { title: format!("lamp t{offset}"), ..Default::default() }),
            1 => ("other".to_owned(), SearchedProduct::default()),
            n => {
                let stock = vec![SearchedStock { warehouse: String::new(), available: (offset % 2) as u32 }];
                (format!("stock/w{n}"), SearchedProduct { stock, ..Default::default() })
            }
        };
        let parts = table.entry(format!("k{key}")).or_default();
        if *there {
            parts.insert(part, (message.encode_to_vec(), offset));
        } else {
            parts.remove(&part);
        }
    }
    table
}

fn filled(table: &Table) -> SearchIndex {
    let (reader, mut index) = (reader(), SearchIndex::new(Tuning::default()));
    for (key, parts) in table {
        for (part, (bytes, offset)) in parts {
            reader.apply(&mut index, key, part, Some(bytes), *offset);
        }
    }
    index
}

/// Brings an index to a table; the keys that were read for it.
fn brought(index: &mut SearchIndex, to: &Table) -> Vec<String> {
    let (reader, mut compared) = (reader(), Compared::default());
    for (key, parts) in to {
        for (part, (_, offset)) in parts {
            compared.part(&reader, index, key, part, *offset);
        }
    }
    let moved = compared.done(index);
    for key in &moved {
        index.settle(&reader, key, to.get(key).unwrap_or(&Parts::new()));
    }
    moved
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However far two states are apart, the index of the one becomes that of the other, by their differences alone.
    #[test]
    fn an_index_is_brought_to_a_later_state_by_what_has_moved(steps in prop::collection::vec(step(), 1..5)) {
        let (mut index, mut before) = (filled(&Table::new()), Table::new());
        for (offset, step) in (0..).zip(&steps) {
            let state = after(&before, step, offset);
            let moved = brought(&mut index, &state);
            let read = |t: &Table, key: &String| {
                let parts = t.get(key).into_iter().flatten().filter(|(part, _)| *part != "other");
                parts.map(|(part, (_, offset))| (part.clone(), *offset)).collect::<Vec<_>>()
            };
            let differ: Vec<&String> = state.keys().filter(|key| read(&before, key) != read(&state, key)).collect();
            prop_assert_eq!(moved.iter().collect::<Vec<_>>(), differ);
            prop_assert!(brought(&mut index, &state).is_empty(), "nothing is left to do");
            let (fresh, request) = (filled(&state), SearchRequest { limit: 100, ..request("") });
            prop_assert_eq!(index.search(&request, &[]).hits, fresh.search(&request, &[]).hits);
            before = state;
        }
    }
}
