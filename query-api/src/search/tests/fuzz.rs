//! Searches that nobody would think of.

use daybook_search::{SearchIndex, SearchItem, Tuning};
use daybook_testkit::fuzz::damaged_text;
use proptest::prelude::*;

use super::super::params;

fn a_query() -> impl Strategy<Value = String> {
    let good = prop::sample::select(vec![
        "q=usb%20hub&brand=HP&price_min=1&price_max=500&in_stock=true&sort=price_asc&facets=brand,price&page_size=5",
        "q=2%C2%BD%22%20lamps&category=Home%20%3E%20Lamps&sort=newest&page_token=x",
        "q=1,000.5+GB&limit=3",
    ]);
    let good = good.prop_map(str::to_owned);
    prop_oneof![1 => good.clone(), 5 => damaged_text(good)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_query_string_is_a_search_that_is_answered_or_refused(query in a_query(), text in any::<String>()) {
        let mut index = SearchIndex::new(Tuning::default());
        for (key, title) in [("k1", "USB hub 2 GB"), ("k2", text.as_str())] {
            index.put(key, &SearchItem { title: title.to_owned(), ..SearchItem::default() }, 0);
        }
        let searches = [params::search(Some(&query)), params::search(Some(&format!("q={}", form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())))];
        for search in searches {
            match search {
                Ok((request, _)) => {
                    prop_assert!((1..=100).contains(&request.limit) && request.text.chars().count() <= 256);
                    prop_assert!(index.search(&request, &[10]).total <= 2);
                }
                Err(problem) => prop_assert_eq!(problem.status(), 400),
            }
        }
        match params::suggest(Some(&query)) {
            Ok((text, limit)) => prop_assert!(index.suggest(&text, limit).len() <= limit),
            Err(problem) => prop_assert_eq!(problem.status(), 400),
        }
        prop_assert!(index.suggest(&text, 8).len() <= 8);
    }
}
