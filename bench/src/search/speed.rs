//! Times of searches of each shape on one index, one after the other.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use daybook_search::{FacetsAsked, Filter, SearchIndex, SearchRequest, SearchSort};

/// Length of each shape's measurement.
const LENGTH: Duration = Duration::from_secs(2);
/// Beginnings of the ranges of prices.
const EDGES: &[i64] = &[1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000];
const FACETS: FacetsAsked = FacetsAsked { brand: true, category: true, price: true, properties: Vec::new() };

/// A kind of question.
enum Shape {
    Search(Vec<SearchRequest>),
    Suggest(Vec<&'static str>),
}

fn all(texts: &[&str], more: impl Fn(SearchRequest) -> SearchRequest) -> Shape {
    Shape::Search(texts.iter().map(|t| more(SearchRequest { text: (*t).to_owned(), limit: 20, ..SearchRequest::default() })).collect())
}

fn shapes() -> Vec<(&'static str, Shape)> {
    let faceted = |r| SearchRequest { facets: FACETS, ..r };
    let cheap = || Filter { price_max: Some(5_000), categories: vec!["Cables".to_owned()], ..Filter::default() };
    let broad = ["black", "cable", "hp", "usb", "notebook", "white"];
    vec![
        ("one broad word, facets", all(&broad, faceted)),
        ("two broad words, facets", all(&["black usb", "hp notebook", "usb cable", "windows 10", "hp black", "intel core"], faceted)),
        ("five words", all(&["hp black wireless laser mouse", "usb cable 2 m black", "kingston 8 gb memory module ddr3"], faceted)),
        ("a narrow word", all(&["smartwatch", "chromebook", "coffee", "tn-2110"], |r| r)),
        ("a typo, facets", all(&["keybord", "headphnes", "notebok", "cartrige", "wireles"], faceted)),
        ("filter and facets", all(&broad, |r| SearchRequest { filter: cheap(), facets: FACETS, ..r })),
        ("broad, by price", all(&broad, |r| SearchRequest { sort: SearchSort::PriceAscending, ..r })),
        ("broad, by title", all(&broad, |r| SearchRequest { sort: SearchSort::Title, ..r })),
        ("everything, facets", all(&[""], faceted)),
        ("suggest", Shape::Suggest(vec!["no", "key", "usb c", "black ca", "hp lap", "kyeb", "laser p"])),
    ]
}

/// A line a shape: p50, p95 and p99, and the most that a query finds.
pub(crate) fn measure(index: &SearchIndex) -> String {
    let mut table = String::new();
    for (name, shape) in shapes() {
        let (mut times, mut most) = (Vec::new(), 0);
        let begun = Instant::now();
        for n in 0.. {
            if begun.elapsed() > LENGTH && n > 20 {
                break;
            }
            let from = Instant::now();
            match &shape {
                Shape::Search(requests) => most = most.max(index.search(&requests[n % requests.len()], EDGES).total),
                Shape::Suggest(texts) => most = most.max(index.suggest(texts[n % texts.len()], 8).len()),
            }
            times.push(from.elapsed());
        }
        let _ = writeln!(table, "| {name} | {most} | {} |", super::statistics::cells(times));
    }
    table
}
