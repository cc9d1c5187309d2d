use super::super::{FacetLevel, FacetValue, FacetsAsked, Filter, PriceRange, SearchSort};
use super::*;

fn coloured(colour: &str, size: &str) -> SearchItem {
    let properties = [("colour", colour), ("size", size)].into_iter().filter(|(_, value)| !value.is_empty());
    SearchItem { properties: properties.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(), ..item("Shirt", "Lux", "Clothes", 100) }
}

fn priced(currency: &str, price: i64) -> SearchItem {
    SearchItem { currency: currency.to_owned(), ..item("Lamp", "Lux", "Home", price) }
}

fn of_colours(colours: &[&str]) -> Filter {
    Filter { properties: [("colour".to_owned(), colours.iter().map(|c| (*c).to_owned()).collect())].into(), ..Filter::default() }
}

fn value(value: &str, count: u32) -> FacetValue {
    FacetValue { value: value.to_owned(), count }
}

#[test]
fn a_property_is_filtered_by_one_of_its_values_and_by_every_other_property() {
    let shop = index(&[
        ("a", coloured("red", "M")),
        ("b", coloured("Red ", "L")),
        ("c", coloured("blue", "M")),
        ("d", coloured("", "M")),
        ("e", coloured("Dark\u{a0}Green", "")),
    ]);
    let sorted = |filter: Filter| {
        let mut keys = found(&shop, &SearchRequest { filter, ..request("") });
        keys.sort_unstable();
        keys
    };
    assert_eq!(sorted(of_colours(&["RED"])), ["a", "b"]);
    assert_eq!(sorted(of_colours(&["red", "blue"])), ["a", "b", "c"]);
    assert_eq!(sorted(of_colours(&["dark green"])), ["e"]);
    assert!(sorted(of_colours(&["mauve"])).is_empty());
    let mut both = of_colours(&["red", "blue"]);
    both.properties.insert("size".to_owned(), vec!["m".to_owned()]);
    assert_eq!(sorted(both), ["a", "c"]);
    let unknown = Filter { properties: [("shape".to_owned(), vec!["round".to_owned()])].into(), ..Filter::default() };
    assert!(sorted(unknown).is_empty());
}

#[test]
fn a_propertys_facet_is_counted_under_the_other_filters_and_not_its_own() {
    let shop =
        index(&[("a", coloured("red", "M")), ("b", coloured("Red", "L")), ("c", coloured("red", "L")), ("d", coloured("blue", "M"))]);
    let mut filter = of_colours(&["red"]);
    filter.properties.insert("size".to_owned(), vec!["L".to_owned()]);
    let facets = FacetsAsked { brand: true, properties: vec!["colour".into(), "size".into(), "shape".into()], ..FacetsAsked::default() };
    let answer = shop.search(&SearchRequest { filter, facets, ..request("") }, &[]);
    assert_eq!(answer.total, 2);
    assert_eq!(answer.facets.properties["colour"], [value("red", 2)], "of size L");
    assert_eq!(answer.facets.properties["size"], [value("L", 2), value("M", 1)], "of red ones");
    assert!(answer.facets.properties["shape"].is_empty());
    assert_eq!(answer.facets.brand, Some(vec![value("Lux", 2)]));
}

#[test]
fn brands_that_fold_alike_are_one_shown_as_most_products_write_it() {
    let brands = ["Caf\u{e9} Noir", "CAFE\u{301} NOIR", "caf\u{e9}\u{a0}noir ", "Caf\u{e9} Noir", "Blanc"];
    let shop =
        index(&["1", "2", "3", "4", "5"].into_iter().zip(brands).map(|(key, b)| (key, item("Lamp", b, "Home", 1))).collect::<Vec<_>>());
    let ask = |brand: &str| {
        let filter = Filter { brands: vec![brand.to_owned()], ..Filter::default() };
        shop.search(&SearchRequest { filter, facets: FacetsAsked { brand: true, ..FacetsAsked::default() }, ..request("") }, &[])
    };
    for brand in &brands[..4] {
        let answer = ask(brand);
        assert_eq!((answer.total, answer.facets.brand), (4, Some(vec![value("Caf\u{e9} Noir", 4), value("Blanc", 1)])), "{brand:?}");
    }
    let shown: Vec<String> = ask("Blanc").hits.into_iter().map(|hit| hit.brand).collect();
    assert_eq!(shown, ["Blanc"], "a product shows what it says");
}

#[test]
fn categories_are_a_tree_in_which_a_product_counts_once_on_each_level() {
    let categories =
        ["Home > Lamps > Desk", "Home > Lamps", "home>LAMPS > Floor", "Home > Lamps > Floor", "Home", "Audio/Video", "A/B testing"];
    let keys = ["1", "2", "3", "4", "5", "6", "7"];
    let shop = index(&keys.into_iter().zip(categories).map(|(key, c)| (key, item("Thing", "Lux", c, 1))).collect::<Vec<_>>());
    let facets = FacetsAsked { category: true, ..FacetsAsked::default() };
    let level = |path: &[&str], count| FacetLevel { path: path.iter().map(|p| (*p).to_owned()).collect(), count };
    let tree = [
        level(&["Home"], 5),
        level(&["Home", "Lamps"], 4),
        level(&["Home", "Lamps", "Floor"], 2),
        level(&["Home", "Lamps", "Desk"], 1),
        level(&["A/B testing"], 1),
        level(&["Audio/Video"], 1),
    ];
    assert_eq!(shop.search(&SearchRequest { facets: facets.clone(), ..request("") }, &[]).facets.category.expect("asked for"), tree);
    let within = |category: &str| {
        let filter = Filter { categories: vec![category.to_owned()], ..Filter::default() };
        shop.search(&SearchRequest { filter, facets: facets.clone(), ..request("") }, &[]).total
    };
    assert_eq!(["Home", " home >\u{a0}lamps", "Home > Lamps > Floor", "Audio", "audio/video", "Lamps"].map(within), [5, 4, 2, 0, 1, 0]);
}

/// However many there are, the one asked for is told, with all that it is within.
#[test]
fn of_many_categories_those_with_most_are_told_and_those_that_are_asked_for() {
    let of = |n: usize| if n == 0 { "Attic > Shelf".to_owned() } else { format!("Room {}", n / 2) };
    let items: Vec<(String, SearchItem)> = (0..301).map(|n| (format!("k{n}"), item("Thing", "Lux", &of(n), 1))).collect();
    let shop = index(&items.iter().map(|(key, item)| (key.as_str(), item.clone())).collect::<Vec<_>>());
    let tree = |categories: &[&str]| {
        let filter = Filter { categories: categories.iter().map(|c| (*c).to_owned()).collect(), ..Filter::default() };
        let facets = FacetsAsked { category: true, ..FacetsAsked::default() };
        shop.search(&SearchRequest { filter, facets, ..request("") }, &[]).facets.category.expect("asked for")
    };
    let attic = |tree: &[FacetLevel]| tree.iter().filter(|at| at.path[0] == "Attic").map(|at| at.path.join("/")).collect::<Vec<_>>();
    assert_eq!((tree(&[]).len(), attic(&tree(&[]))), (100, vec![]), "those with two products each come first");
    assert_eq!(
        (tree(&["attic > shelf"]).len(), attic(&tree(&["attic > shelf"]))),
        (102, vec!["Attic".to_owned(), "Attic/Shelf".to_owned()])
    );
}

#[test]
fn prices_are_those_of_one_currency_and_all_others_stand_behind() {
    let shop = index(&[
        ("eur-1", priced("EUR", 1_500)),
        ("jpy", priced("JPY", 1_980)),
        ("kwd", priced("KWD", 12_345)),
        ("eur-2", priced("EUR", 900)),
    ]);
    let of = |currency: Option<&str>| Filter { currency: currency.map(str::to_owned), ..Filter::default() };
    let by = |sort, currency| found(&shop, &SearchRequest { sort, filter: of(currency), ..request("lamp") });
    assert_eq!(by(SearchSort::PriceAscending, Some("EUR")), ["eur-2", "eur-1", "jpy", "kwd"]);
    assert_eq!(by(SearchSort::PriceDescending, Some("EUR")), ["eur-1", "eur-2", "jpy", "kwd"]);
    assert_eq!(by(SearchSort::PriceAscending, Some("KWD")), ["kwd", "eur-1", "eur-2", "jpy"]);
    assert_eq!(by(SearchSort::PriceAscending, None), ["eur-2", "eur-1", "jpy", "kwd"], "as numbers");
    assert_eq!(by(SearchSort::PriceAscending, Some("USD")).len(), 4);
    let ranged = |currency, price_min, price_max| {
        let facets = FacetsAsked { price: true, brand: true, ..FacetsAsked::default() };
        shop.search(&SearchRequest { filter: Filter { price_min, price_max, ..of(currency) }, facets, ..request("lamp") }, &[1_000])
    };
    let answer = ranged(Some("EUR"), Some(1_000), None);
    assert_eq!((answer.total, answer.hits[0].key.as_str(), answer.facets.brand), (1, "eur-1", Some(vec![value("Lux", 1)])));
    let range = |from, to, count| PriceRange { from, to, count };
    assert_eq!(answer.facets.price, Some(vec![range(0, Some(1_000), 1), range(1_000, None, 1)]), "of euro prices alone");
    assert_eq!((ranged(Some("USD"), Some(0), None).total, ranged(Some("USD"), None, None).total), (0, 4));
    assert_eq!(ranged(None, None, Some(2_000)).total, 3);
}

#[test]
fn the_price_facets_ranges_fit_the_currencys_decimals() {
    let schema = SearchSchema { price_edges: vec![1_000, 2_500], ..schema() };
    assert_eq!(["EUR", "JPY", "KWD", "CLF"].map(|currency| schema.edges(currency)[0]), [1_000, 1_000, 10_000, 100_000]);
}
