//! Searches over HTTP: the same questions as in process, as clients put them, and further pages.

/// A kind of question.
pub(crate) struct Shape {
    /// With their queries; each is asked in turn.
    pub(crate) paths: Vec<String>,
    /// Not the first page, but the one behind it.
    pub(crate) next_page: bool,
}

const BROAD: &[&str] = &["black", "cable", "hp", "usb", "notebook", "white"];
const TWO: &[&str] = &["black usb", "hp notebook", "usb cable", "windows 10", "hp black", "intel core"];
const FACETS: &str = "&facets=brand,category,price";

fn search(texts: &[&str], more: &str) -> Shape {
    let paths = texts.iter().map(|text| format!("/v1/products/search?q={}{more}", text.replace(' ', "+"))).collect();
    Shape { paths, next_page: false }
}

fn next_page(texts: &[&str], more: &str) -> Shape {
    Shape { next_page: true, ..search(texts, more) }
}

fn suggest(texts: &[&str]) -> Shape {
    let paths = texts.iter().map(|text| format!("/v1/products/suggest?q={}&limit=8", text.replace(' ', "+"))).collect();
    Shape { paths, next_page: false }
}

/// All shapes, by name.
pub(crate) fn all() -> Vec<(&'static str, Shape)> {
    let five = ["hp black wireless laser mouse", "usb cable 2 m black", "kingston 8 gb memory module ddr3"];
    let typos = ["keybord", "headphnes", "notebok", "cartrige", "wireles"];
    let filter = format!("&category=Cables&price_max=5000{FACETS}");
    vec![
        ("one broad word", search(BROAD, "")),
        ("one broad word, facets", search(BROAD, FACETS)),
        ("two broad words, facets", search(TWO, FACETS)),
        ("five words, facets", search(&five, FACETS)),
        ("a narrow word", search(&["smartwatch", "chromebook", "coffee", "tn-2110"], "")),
        ("a typo, facets", search(&typos, FACETS)),
        ("filters and facets", search(BROAD, &filter)),
        ("in stock, facets", search(BROAD, &format!("&in_stock=true{FACETS}"))),
        ("broad, by price", search(BROAD, "&sort=price_asc")),
        ("broad, by title", search(BROAD, "&sort=title")),
        ("broad, newest", search(BROAD, "&sort=newest")),
        ("next page, broad", next_page(BROAD, "")),
        ("next page, two words, facets", next_page(TWO, FACETS)),
        ("everything, facets", search(&[""], FACETS)),
        ("suggest", suggest(&["no", "key", "usb c", "black ca", "hp lap", "kyeb", "laser p"])),
    ]
}
