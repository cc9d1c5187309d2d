use super::super::scoring::VISITED;
use super::super::{FacetsAsked, SearchSort};
use super::*;

/// A thousand lamps, each tenth of them red, and three watches.
fn shop() -> SearchIndex {
    let mut shop = index(&[]);
    for n in 0..1_000 {
        let colour = if n % 10 == 0 { "red" } else { "blue" };
        shop.put(&format!("lamp-{n:04}"), &item(&format!("Lamp {colour}"), "Lux", "Lamps", n), 0);
    }
    for n in 0..3 {
        shop.put(&format!("watch-{n}"), &item("Smartwatch", "Tic", "Wearables", n), 0);
    }
    shop
}

fn visited<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = VISITED.get();
    let done = work();
    (VISITED.get() - before, done)
}

/// The cost of a search is that of its words' documents, whatever else the catalogue holds: once each; of several words that many
/// documents have, once to find which have enough of them, and once to score those.
#[test]
fn a_search_visits_the_documents_of_its_words_once_or_twice_each_and_no_others() {
    let mut shop = shop();
    for n in 0..9 {
        shop.put(&format!("cup-{n}"), &item("Teacup porcelain", "Meis", "Kitchen", n), 0);
    }
    for (text, documents, scored) in [
        ("smartwatch", 3, false),
        ("red", 100, false),
        ("smartwatch red", 103, true),
        ("red lamp", 1_100, true),
        ("smartwatch teacup", 3 + 9, false),
        ("smartwtach", 3, false),
        ("", 0, false),
    ] {
        let facets = FacetsAsked { brand: true, category: true, price: true, ..FacetsAsked::default() };
        for sort in [SearchSort::Relevance, SearchSort::PriceAscending, SearchSort::Title] {
            let ask = SearchRequest { facets: facets.clone(), sort, ..request(text) };
            // Only the order of relevance asks for scores.
            let documents = if scored && sort == SearchSort::Relevance { 2 * documents } else { documents };
            let (first, answer) = visited(|| shop.search(&ask, &[500]));
            assert_eq!(first, documents, "{text}, {sort:?}");
            if let Some(next) = answer.next {
                let (second, _) = visited(|| shop.page(&ask, &[500], Some((answer.plan, next))));
                assert_eq!(second, documents, "{text}, {sort:?}: a further page is not dearer");
            }
        }
    }
}

#[test]
fn a_completion_visits_its_words_documents_and_those_of_three_products_to_show() {
    let shop = shop();
    let (visits, _) = visited(|| shop.suggest("sm", 8));
    assert_eq!(visits, 3);
    let (visits, _) = visited(|| shop.suggest("red la", 8));
    assert_eq!(visits, 100 + 2 * 1_100, "no scores for the completion, but for the products");
}

/// However long a query is, no more than twelve of its words are looked for.
#[test]
fn a_long_query_costs_no_more_than_twelve_words() {
    let shop = shop();
    let (visits, _) = visited(|| shop.search(&request(&"lamp ".repeat(50)), &[]));
    assert_eq!(visits, 2 * 12 * 1_000);
}

/// Dead documents are visited until the index is compacted: no more than a quarter are.
#[test]
fn compacting_takes_what_is_dead_out_of_the_way() {
    let mut shop = shop();
    for n in 0..1_000 {
        shop.put(&format!("lamp-{n:04}"), &item("Lamp green", "Lux", "Lamps", n), 1);
    }
    assert_eq!(visited(|| shop.search(&request("lamp"), &[])).0, 2_000);
    assert_eq!(visited(|| shop.compacted().search(&request("lamp"), &[])).0, 1_000);
}
