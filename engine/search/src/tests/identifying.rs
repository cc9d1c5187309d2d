use shop_proto::read::v1::SearchedProduct;

use super::super::Suggestion;
use super::*;

fn numbered(title: &str, identifiers: &[&str]) -> SearchItem {
    SearchItem { identifiers: identifiers.iter().map(|i| (*i).to_owned()).collect(), ..item(title, "Lux", "Home", 100) }
}

fn shop() -> SearchIndex {
    index(&[
        ("CJ-1082185", numbered("Bananas", &["4006381333931"])),
        ("CJ-1082186", numbered("Apples, box 1082", &["036000291452", "TN-2110/B"])),
        ("LAMP", numbered("Floor light", &[])),
        ("A-7", numbered("Lamp 2110", &[])),
        ("A-8", numbered("Lamp shade", &[])),
    ])
}

#[test]
fn an_identifier_in_full_stands_first_however_it_is_typed_and_whatever_is_in_stock() {
    let mut shop = shop();
    shop.stock("CJ-1082186", "w-1", Some(0), 1);
    shop.stock("LAMP", "w-1", Some(0), 1);
    for text in ["CJ-1082186", "cj1082186", "Cj 1082186", "cj.1082186", "036000291452", "0036000291452", "tn2110b", "TN 2110 B"] {
        assert_eq!(found(&shop, &request(text)).first().map(String::as_str), Some("CJ-1082186"), "{text}");
    }
    // A word, and an identifier: the identifier first, although it is out of stock.
    assert_eq!(found(&shop, &request("lamp"))[0], "LAMP");
    assert_eq!(found(&shop, &request("lamp")).len(), 3);
}

#[test]
fn a_part_of_an_identifier_is_found_behind_what_has_all_words() {
    let mut shop = shop();
    shop.stock("A-7", "w-1", Some(0), 1);
    let mut both = found(&shop, &request("cj-10821"));
    both.sort_unstable();
    assert_eq!(both, ["CJ-1082185", "CJ-1082186"]);
    assert_eq!(found(&shop, &request("1082185")), ["CJ-1082185"]);
    assert_eq!(found(&shop, &request("400638")), ["CJ-1082185"]);
    assert_eq!(found(&shop, &request("2110")), ["A-7", "CJ-1082186"], "the word before the part, although it is out of stock");
    assert_eq!(found(&shop, &request("lam")).iter().filter(|key| *key == "LAMP").count(), 0, "no part: it has neither digit nor hyphen");
}

#[test]
fn filters_hold_for_what_is_found_by_its_identifier_and_so_do_pages() {
    let shop = shop();
    let other = super::super::Filter { brands: vec!["Other".into()], ..Default::default() };
    assert!(found(&shop, &SearchRequest { filter: other, ..request("CJ-1082185") }).is_empty());
    let ask = SearchRequest { limit: 1, ..request("cj-108") };
    let first = shop.page(&ask, &[], None);
    let second = shop.page(&ask, &[], first.next.clone().map(|next| (first.plan.clone(), next)));
    assert_eq!((first.total, second.total, second.next), (2, 2, None));
    assert_ne!(first.hits[0].key, second.hits[0].key);
}

#[test]
fn an_identifier_of_a_product_that_changed_or_is_gone_finds_what_is_there_now() {
    let mut shop = shop();
    shop.put("CJ-1082185", &numbered("Bananas", &["96385074"]), 1);
    assert!(found(&shop, &request("4006381333931")).is_empty());
    assert_eq!(found(&shop, &request("9638 5074")), ["CJ-1082185"]);
    assert_eq!(found(&shop.compacted(), &request("9638 5074")), ["CJ-1082185"]);
    shop.remove("CJ-1082185", 2);
    assert!(found(&shop, &request("CJ-1082185")).iter().all(|key| key != "CJ-1082185"));
}

#[test]
fn an_identifier_in_full_is_the_first_suggestion() {
    let shop = shop();
    let first = |text: &str| match shop.suggest(text, 8).into_iter().next() {
        Some(Suggestion::Product(hit)) => hit.key,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!([first("cj 1082185"), first("4006381333931"), first("lamp")], ["CJ-1082185", "CJ-1082185", "LAMP"]);
    let all = shop.suggest("cj-1082", 8);
    let keys: Vec<&str> = all.iter().filter_map(|s| if let Suggestion::Product(hit) = s { Some(hit.key.as_str()) } else { None }).collect();
    assert_eq!(keys.len(), 2, "{all:?}");
    assert_eq!(shop.suggest("lamp", 1).len(), 1);
}

#[test]
fn which_fields_identify_and_which_properties_filter_is_said_by_the_schema() {
    use prost::Message as _;
    let product = SearchedProduct {
        title: "Lamp".into(),
        gtins: vec!["4006381333931".into(), "96385074".into()],
        manufacturer_number: "LX-100".into(),
        attributes: [("colour", "red"), ("weight", "5"), ("shoe size", "42"), ("size", "")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into(),
        ..Default::default()
    };
    let mut index = SearchIndex::new(Tuning::default());
    reader().apply(&mut index, "A-1", "product", Some(&product.encode_to_vec()), 0);
    for text in ["4006381333931", "96385074", "lx100", "a1"] {
        assert_eq!(found(&index, &request(text)), ["A-1"], "{text}");
    }
    let facets =
        super::super::FacetsAsked { properties: ["colour", "weight", "shoe size"].map(str::to_owned).to_vec(), ..Default::default() };
    let counted = index.search(&SearchRequest { facets, ..request("") }, &[]).facets.properties;
    let shown: Vec<(&str, Vec<&str>)> =
        counted.iter().map(|(name, v)| (name.as_str(), v.iter().map(|v| v.value.as_str()).collect())).collect();
    assert_eq!(shown, [("colour", vec!["red"]), ("shoe size", vec!["42"]), ("weight", vec![])], "weight is not declared");
}
