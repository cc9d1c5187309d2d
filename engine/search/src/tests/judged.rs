//! Fifteen languages: each judged query's right answer is first (`bench/judged`, which was written without a look at the search).

use serde_json::Value;

use super::super::Suggestion;
use super::*;

fn file(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/judged/");
    std::fs::read_to_string(format!("{path}{name}")).expect("it is in the project")
}

fn shop() -> SearchIndex {
    let mut shop = SearchIndex::new(Tuning::default());
    for line in file("languages.jsonl").lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let attributes = row["attributes"].as_object().into_iter().flatten();
        let attributes: Vec<&str> = attributes.filter_map(|(_, value)| value.as_str()).collect();
        let item = SearchItem {
            description: text("description"),
            attributes: attributes.join("\n"),
            language: text("language"),
            ..item(&text("title"), &text("brand"), &text("category"), row["price"].as_i64().expect("a price"))
        };
        shop.put(&text("id"), &item, 0);
    }
    shop
}

/// Lines `query,key,…` with the first answer, where that was another.
fn wrong(name: &str, first: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let file = file(name);
    let lines = file.lines().skip(1).filter_map(|line| {
        let mut fields = line.split(',');
        let (query, right) = (fields.next()?, fields.next()?);
        let found = first(query);
        (found.as_deref() != Some(right)).then(|| format!("{query}: {right} is right, {found:?} came first"))
    });
    lines.collect()
}

#[test]
fn the_right_answer_of_each_judged_query_in_each_language_is_first() {
    let shop = shop();
    let wrong = wrong("languages.csv", |query| found(&shop, &request(query)).into_iter().next());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_word_that_is_begun_suggests_the_product_that_is_meant_in_each_language() {
    let shop = shop();
    let wrong = wrong("suggest.csv", |begun| {
        let product = |s| if let Suggestion::Product(hit) = s { Some(hit.key) } else { None };
        shop.suggest(begun, 8).into_iter().find_map(product)
    });
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_slip_finds_the_product_that_is_meant_in_each_language() {
    let shop = shop();
    let wrong = wrong("slips.csv", |slip| found(&shop, &request(slip)).into_iter().next());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
