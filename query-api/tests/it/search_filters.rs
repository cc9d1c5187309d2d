//! Filters, facets, currencies and identifiers of searches, over HTTP.

use serde_json::{Value, json};
use shop_proto::common::v1::Money;
use shop_proto::read::v1::SearchedProduct;

use crate::search::{Searched, product, skus};
use crate::support::problem;

fn shirt(sku: &str, brand: &str, category: &str, (currency, price): (&str, i64), attributes: &[(&str, &str)]) -> SearchedProduct {
    SearchedProduct {
        brand: brand.into(),
        category: category.into(),
        price: Some(Money { currency: currency.into(), minor_units: price }),
        attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..product(sku, "Shirt", 0)
    }
}

/// Five shirts: three in euro, one in yen, one in dinar.
async fn shirts() -> Searched {
    let all = [
        shirt("S-1", "Noir", "Clothes > Shirts", ("EUR", 1_500), &[("colour", "red"), ("shoe size", "42"), ("weight", "5")]),
        shirt("S-2", "NOIR", "Clothes>Shirts > Short", ("EUR", 900), &[("colour", "Red"), ("shoe size", "43")]),
        shirt("S-3", "Noir\u{a0}", "clothes > Shirts", ("EUR", 2_500), &[("colour", "blue"), ("shoe size", "42")]),
        shirt("S-4", "Blanc", "Audio/Video", ("JPY", 1_980), &[]),
        shirt("S-5", "Blanc", "Clothes", ("KWD", 12_345), &[("colour", "blue")]),
    ];
    Searched::of(&all.map(|product| (product, 1))).await
}

async fn sorted(shop: &Searched, query: &str) -> Vec<String> {
    let answer = shop.get(&format!("/search?{query}")).await;
    let mut found: Vec<String> = skus(&answer).into_iter().map(str::to_owned).collect();
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_within_the_currency_that_is_asked_for_or_the_shops() {
    let shop = shirts().await;
    let first = shop.get("/search?q=shirt&sort=price_asc&facets=price").await;
    assert_eq!((skus(&first), &first["currency"]), (vec!["S-2", "S-1", "S-3", "S-4", "S-5"], &json!("EUR")));
    assert_eq!(first["facets"]["price"], json!([{ "from": "0", "to": "1000", "count": 1 }, { "from": "1000", "count": 2 }]));
    let dinar = shop.get("/search?q=shirt&sort=price_desc&currency=KWD&facets=price").await;
    assert_eq!(skus(&dinar), ["S-5", "S-1", "S-2", "S-3", "S-4"]);
    assert_eq!(dinar["facets"]["price"], json!([{ "from": "10000", "count": 1 }]), "10.000 dinar");
    assert_eq!(sorted(&shop, "q=shirt&price_min=1000").await, ["S-1", "S-3"]);
    assert_eq!(sorted(&shop, "currency=JPY&price_max=2000").await, ["S-4"]);
    assert_eq!(sorted(&shop, "currency=USD&price_min=0").await, Vec::<String>::new());
    assert_eq!(sorted(&shop, "q=shirt&currency=USD").await.len(), 5);
    for bad in ["eur", "XXX", ""] {
        let wrong = problem(shop.raw(&format!("/search?currency={bad}")).await, 400).await;
        assert_eq!(wrong["errors"][0]["field"], "currency");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_folds_alike_is_one_value_and_categories_are_a_tree() {
    let shop = shirts().await;
    let answer = shop.get("/search?facets=brand,category").await;
    assert_eq!(answer["facets"]["brand"], json!([{ "value": "Noir", "count": 3 }, { "value": "Blanc", "count": 2 }]));
    let tree = json!([
        { "value": "Clothes", "path": ["Clothes"], "level": 1, "count": 4 },
        { "value": "Clothes > Shirts", "path": ["Clothes", "Shirts"], "level": 2, "count": 3 },
        { "value": "Clothes > Shirts > Short", "path": ["Clothes", "Shirts", "Short"], "level": 3, "count": 1 },
        { "value": "Audio/Video", "path": ["Audio/Video"], "level": 1, "count": 1 },
    ]);
    assert_eq!(answer["facets"]["category"], tree);
    assert_eq!(sorted(&shop, "brand=noir").await, ["S-1", "S-2", "S-3"]);
    assert_eq!(sorted(&shop, "category=CLOTHES%3Eshirts").await, ["S-1", "S-2", "S-3"]);
    assert_eq!(sorted(&shop, "category=Audio").await, Vec::<String>::new(), "a slash separates nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_attributes_are_filters_and_facets_and_others_are_refused_by_name() {
    let shop = shirts().await;
    assert_eq!(sorted(&shop, "attributes.colour=red").await, ["S-1", "S-2"]);
    assert_eq!(sorted(&shop, "attributes.colour=RED&attributes.colour=blue").await, ["S-1", "S-2", "S-3", "S-5"]);
    assert_eq!(sorted(&shop, "attributes.colour=red&attributes.colour=blue&attributes.shoe+size=42").await, ["S-1", "S-3"]);
    let answer = shop.get("/search?facets=attributes.colour,attributes.shoe+size&attributes.colour=red&attributes.shoe+size=42").await;
    assert_eq!(answer["total"], 1);
    // Of the two ways to write it, both once, the first in the order of bytes.
    let colours = json!([{ "value": "blue", "count": 1 }, { "value": "Red", "count": 1 }]);
    assert_eq!(answer["facets"]["attributes.colour"], colours, "of size 42, whatever the colour");
    assert_eq!(answer["facets"]["attributes.shoe size"], json!([{ "value": "42", "count": 1 }, { "value": "43", "count": 1 }]));
    for (query, field) in
        [("attributes.weight=5", "attributes.weight"), ("facets=attributes.weight", "facets"), ("facets=weight", "facets")]
    {
        let wrong = problem(shop.raw(&format!("/search?{query}")).await, 400).await;
        assert_eq!(wrong["errors"][0]["field"], field);
        let says = wrong["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(says.contains("attributes.colour, attributes.shoe size"), "{says}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_is_of_its_filters_and_its_currency() {
    let shop = shirts().await;
    let all = "brand=noir&category=Clothes&attributes.colour=red&attributes.colour=blue&attributes.shoe+size=42&currency=EUR&price_min=1&price_max=9999&in_stock=true";
    let first = shop.get(&format!("/search?{all}&page_size=1")).await;
    let token = first["nextPageToken"].as_str().expect("there are two").to_owned();
    let next = shop.get(&format!("/search?{all}&page_size=1&page_token={token}")).await;
    assert_eq!((next["total"].clone(), next.get("nextPageToken")), (json!(2), None));
    // Each filter left out, and each with another value.
    let pairs: Vec<&str> = all.split('&').collect();
    for (n, pair) in pairs.iter().enumerate() {
        let (name, _) = pair.split_once('=').expect("a pair");
        let other = match name {
            "currency" => "currency=JPY".to_owned(),
            "in_stock" => "in_stock=false".to_owned(),
            "price_min" => "price_min=2".to_owned(),
            "price_max" => "price_max=9998".to_owned(),
            name => format!("{name}=other"),
        };
        for instead in [None, Some(other.as_str())] {
            if name == "currency" && instead.is_none() {
                continue; // The shop's is the same one.
            }
            let others: Vec<&str> = pairs.iter().enumerate().filter_map(|(m, p)| if m == n { instead } else { Some(*p) }).collect();
            let wrong = problem(shop.raw(&format!("/search?{}&page_token={token}", others.join("&"))).await, 400).await;
            assert_eq!(wrong["errors"][0]["field"], "page_token", "{pair}, {instead:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_on_the_shelf_finds_its_product_first_and_is_suggested_first() {
    let numbered = |sku: &str, title: &str, gtin: &str, number: &str| {
        let gtins = Some(gtin.to_owned()).filter(|g| !g.is_empty()).into_iter().collect();
        SearchedProduct { gtins, manufacturer_number: number.into(), ..product(sku, title, 100) }
    };
    let shop = Searched::of(&[
        (numbered("CJ-1082185", "Bananas", "4006381333931", "BN/77.x"), 0),
        (numbered("CJ-1082186", "Apples CJ 1082185", "036000291452", ""), 5),
        (numbered("Z-9", "Toner TN-2110", "", "TN-2110"), 5),
    ])
    .await;
    for typed in ["CJ-1082185", "cj1082185", "cj%201082185", "4006381333931", "400638%201333931", "bn77x", "BN-77-X"] {
        let found = shop.get(&format!("/search?q={typed}")).await;
        assert_eq!(skus(&found).first(), Some(&"CJ-1082185"), "{typed}: {found}");
        let suggested = shop.get(&format!("/suggest?q={typed}")).await;
        assert_eq!(suggested["suggestions"][0], json!({ "kind": "item", "text": "Bananas", "sku": "CJ-1082185" }), "{typed}");
    }
    for (part, sku) in [("40063", "CJ-1082185"), ("1082186", "CJ-1082186"), ("36000", "CJ-1082186"), ("tn-21", "Z-9"), ("2110", "Z-9")] {
        let found = shop.get(&format!("/search?q={part}")).await;
        assert_eq!(skus(&found), [sku], "{part}");
        let suggested = shop.get(&format!("/suggest?q={part}")).await;
        let items = suggested["suggestions"].as_array().into_iter().flatten().filter(|s| s["kind"] == "item");
        assert_eq!(items.filter_map(|s| s["sku"].as_str()).collect::<Vec<_>>(), [sku], "{part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_the_filters_of_this_install() {
    let shop = shirts().await;
    let document: Value = shop.raw("/../../openapi.json").await.json().await.expect("JSON");
    let parameters = document["paths"]["/v1/products/search"]["get"]["parameters"].as_array().expect("parameters").clone();
    let of = |name: &str| parameters.iter().find(|p| p["name"] == name).unwrap_or_else(|| panic!("{name}"))["schema"].clone();
    assert_eq!(of("attributes.shoe size")["type"], "array");
    assert_eq!(of("currency")["default"], "EUR");
    assert_eq!(
        of("facets")["pattern"],
        r"^(brand|category|price|attributes\.colour|attributes\.shoe size)(,(brand|category|price|attributes\.colour|attributes\.shoe size)){0,4}$"
    );
}
