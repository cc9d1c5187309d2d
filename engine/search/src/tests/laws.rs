use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::scoring::Scoring;
use super::super::{FacetLevel, FacetValue, FacetsAsked, Filter, SearchSort};
use super::*;

const WORDS: &[&str] = &["lamp", "red", "usb-c", "hub", "2 GB", "mouse", "pads", "batteries", "black"];
const BRANDS: &[&str] = &["Lux", "LUX", "HP", "", "Varta"];
const CATEGORIES: &[&str] = &["Home", "Home > Lamps", "home>LAMPS > Desk", "Input", "Homes", "A/B"];
const COLOURS: &[&str] = &["", "red", "Red", "dark\u{a0}blue", "Dark Blue"];
const NUMBERS: &[&str] = &["AB-12", "ab12", "4006381333931", "AB-1299", "X.12"];
const CURRENCIES: &[&str] = &["EUR", "JPY"];
const EDGES: &[i64] = &[10, 50];

#[derive(Clone, Debug)]
enum Change {
    Put(usize, Box<SearchItem>),
    Remove(usize),
    Stock(usize, usize, Option<u32>),
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..5).prop_map(|words| words.join(" "))
}

fn an_item() -> impl Strategy<Value = SearchItem> {
    let texts = (text(), prop::sample::select(BRANDS), prop::sample::select(CATEGORIES), text());
    let others =
        (prop::collection::vec(prop::sample::select(NUMBERS), 0..3), prop::sample::select(COLOURS), prop::sample::select(CURRENCIES));
    (texts, others, 0..100_i64, 0..9_i64).prop_map(
        |((title, brand, category, description), (numbers, colour, currency), price, created)| SearchItem {
            description,
            created,
            currency: currency.to_owned(),
            identifiers: numbers.into_iter().map(str::to_owned).collect(),
            properties: Some(("colour".to_owned(), colour.to_owned())).filter(|_| !colour.is_empty()).into_iter().collect(),
            ..item(&title, brand, category, price)
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..12_usize, an_item()).prop_map(|(key, item)| Change::Put(key, Box::new(item))),
        1 => (0..12_usize).prop_map(Change::Remove),
        3 => (0..12_usize, 0..3_usize, prop::option::of(0..3_u32)).prop_map(|(key, place, n)| Change::Stock(key, place, n)),
    ]
}

fn a_request() -> impl Strategy<Value = SearchRequest> {
    let some = |of: &'static [&'static str]| {
        prop::collection::vec(prop::sample::select(of), 0..3).prop_map(|v| v.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let sorts = [SearchSort::Relevance, SearchSort::PriceAscending, SearchSort::PriceDescending, SearchSort::Newest, SearchSort::Title];
    let prices = (prop::option::of(prop::sample::select(CURRENCIES)), prop::option::of(0..60_i64), prop::option::of(40..100_i64));
    let filter = (some(BRANDS), some(CATEGORIES), some(COLOURS), prices, prop::option::of(any::<bool>())).prop_map(
        |(brands, categories, colours, (currency, price_min, price_max), in_stock)| Filter {
            brands,
            categories,
            properties: Some(("colour".to_owned(), colours)).filter(|(_, all)| !all.is_empty()).into_iter().collect(),
            currency: currency.map(str::to_owned),
            price_min,
            price_max,
            in_stock,
        },
    );
    let text = prop_oneof![3 => text(), 1 => prop::sample::select(NUMBERS).prop_map(str::to_owned), 1 => Just("ab-1".to_owned()), 1 => Just("k7".to_owned())];
    (text, filter, prop::sample::select(sorts.to_vec()), 1..6_usize).prop_map(|(text, filter, sort, limit)| SearchRequest {
        text,
        filter,
        sort,
        limit,
        facets: FacetsAsked { brand: true, category: true, price: true, properties: vec!["colour".to_owned(), "size".to_owned()] },
    })
}

/// Quantity of each product in each place.
type Stocks = BTreeMap<(usize, usize), u32>;

/// An index after these changes, and its expected content.
fn changed(changes: &[Change]) -> (SearchIndex, BTreeMap<usize, SearchItem>, Stocks) {
    let (mut index, mut items, mut stock) = (SearchIndex::new(Tuning::default()), BTreeMap::new(), BTreeMap::new());
    for (offset, change) in (0..).zip(changes) {
        match change {
            Change::Put(key, item) => {
                index.put(&format!("k{key}"), item, offset);
                items.insert(*key, (**item).clone());
            }
            Change::Remove(key) => {
                index.remove(&format!("k{key}"), offset);
                items.remove(key);
            }
            Change::Stock(key, place, n) => {
                index.stock(&format!("k{key}"), &format!("w{place}"), *n, offset);
                stock.insert((*key, *place), n.unwrap_or(0));
            }
        }
    }
    (index, items, stock)
}

fn everything(index: &SearchIndex, request: &SearchRequest) -> Vec<String> {
    found(index, &SearchRequest { limit: 1_000, ..request.clone() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However it was changed, compacted or not, an index answers as one that was made at once.
    #[test]
    fn an_index_after_changes_is_one_built_fresh(changes in prop::collection::vec(change(), 0..60), request in a_request()) {
        let (index, items, stock) = changed(&changes);
        let mut fresh = SearchIndex::new(Tuning::default());
        for (key, item) in &items {
            fresh.put(&format!("k{key}"), item, 0);
        }
        for ((key, place), n) in stock {
            fresh.stock(&format!("k{key}"), &format!("w{place}"), Some(n), 0);
        }
        let expected = fresh.search(&request, EDGES);
        for index in [&index, &index.compacted()] {
            let answer = index.search(&request, EDGES);
            prop_assert_eq!(&answer.hits, &expected.hits);
            prop_assert_eq!(answer.total, expected.total);
            prop_assert_eq!(&answer.facets, &expected.facets);
            prop_assert_eq!(&answer.next, &expected.next);
            prop_assert_eq!(index.len(), items.len());
        }
    }

    #[test]
    fn pages_put_together_are_the_whole_order(changes in prop::collection::vec(change(), 0..60), request in a_request()) {
        let (index, ..) = changed(&changes);
        let (mut told, mut from) = (Vec::new(), None);
        loop {
            let answer = index.page(&request, EDGES, from);
            told.extend(answer.hits.iter().map(|h| h.key.clone()));
            prop_assert!(answer.hits.len() <= request.limit);
            let Some(next) = answer.next else {
                prop_assert_eq!(answer.total, told.len());
                break;
            };
            from = Some((answer.plan, next));
        }
        prop_assert_eq!(told, everything(&index, &request));
    }

    /// A facet's count is the number that a search with that value as its filter finds.
    #[test]
    fn a_facets_count_is_what_filtering_by_its_value_finds(changes in prop::collection::vec(change(), 0..60), request in a_request()) {
        let (index, ..) = changed(&changes);
        let facets = index.search(&request, EDGES).facets;
        let total = |filter| index.search(&SearchRequest { filter, ..request.clone() }, EDGES).total;
        for brand in BRANDS.iter().filter(|b| !b.is_empty()) {
            let counted = facets.brand.iter().flatten().find(|v| v.value.eq_ignore_ascii_case(brand)).map_or(0, |v| v.count as usize);
            prop_assert_eq!(counted, total(Filter { brands: vec![(*brand).to_owned()], ..request.filter.clone() }), "{}", brand);
        }
        for category in CATEGORIES {
            let same = |at: &&FacetLevel| at.path.join(" > ").eq_ignore_ascii_case(&daybook_proto::levels::normal(category));
            let counted = facets.category.iter().flatten().find(same).map_or(0, |v| v.count as usize);
            prop_assert_eq!(counted, total(Filter { categories: vec![(*category).to_owned()], ..request.filter.clone() }), "{}", category);
        }
        for colour in COLOURS.iter().filter(|c| !c.is_empty()) {
            let same = |v: &&FacetValue| v.value.replace('\u{a0}', " ").eq_ignore_ascii_case(&colour.replace('\u{a0}', " "));
            let counted = facets.properties["colour"].iter().find(same).map_or(0, |v| v.count as usize);
            let properties = [("colour".to_owned(), vec![(*colour).to_owned()])].into();
            prop_assert_eq!(counted, total(Filter { properties, ..request.filter.clone() }), "{}", colour);
        }
        prop_assert!(facets.properties["size"].is_empty());
        // A tree: behind each level stand those within it, and nothing else before the next that is not.
        let tree: Vec<&Vec<String>> = facets.category.iter().flatten().map(|at| &at.path).collect();
        for (n, path) in tree.iter().enumerate().filter(|(_, path)| path.len() > 1) {
            prop_assert!(n > 0 && tree[n - 1].starts_with(&path[..path.len() - 1]), "{:?}", tree);
        }
        for (from, to) in [(0, Some(10)), (10, Some(50)), (50, None)] {
            let counted = facets.price.iter().flatten().find(|r| (r.from, r.to) == (from, to)).map_or(0, |r| r.count as usize);
            let filter = Filter { price_min: Some(from), price_max: to.map(|t| t - 1), ..request.filter.clone() };
            prop_assert_eq!(counted, total(filter), "{}", from);
        }
    }

    /// Of several words, marking documents finds the same as merging lists: to the last bit of each score.
    #[test]
    fn marking_and_merging_find_the_same(
        changes in prop::collection::vec(change(), 0..60),
        text in text(),
        need in prop::option::of(1..4_u8),
        enough in 0..6_usize,
    ) {
        let (mut index, ..) = changed(&changes);
        index.retune(Tuning { enough, ..Tuning::default() });
        let plan = index.plan(&text);
        let scoring = Scoring::new(&index, &plan.averages, true);
        prop_assert_eq!(index.marked(&plan, need, &scoring), index.merged(&plan, need, &scoring));
    }
}
