//! The harness' knowledge of the shop stands in one folder, `src/shop`: another domain would bring a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};

/// Nouns of the shop, in lower case.
const WORDS: [&str; 24] = [
    "product",
    "products",
    "stock",
    "stocks",
    "sku",
    "skus",
    "warehouse",
    "warehouses",
    "reorder",
    "catalog",
    "inventory",
    "reservation",
    "reservations",
    "category",
    "categories",
    "listing",
    "listings",
    "alert",
    "alerts",
    "price",
    "prices",
    "media",
    "shelf",
    "shelves",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => sources(&path, found),
            // Unit tests have examples.
            false if path.ends_with("tests.rs") => {}
            false => found.push(path),
        }
    }
}

/// The words of a line: names are taken apart at `_`, `-` and capitals.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in line.chars() {
        if !letter.is_ascii_alphabetic() || (letter.is_ascii_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = letter.is_ascii_lowercase();
        if letter.is_ascii_alphabetic() {
            words.last_mut().expect("one at least").push(letter.to_ascii_lowercase());
        }
    }
    words
}

#[test]
fn only_the_shops_folder_names_the_shop() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut all, mut named) = (Vec::new(), Vec::new());
    sources(&src, &mut all);
    let (of_shop, others): (Vec<_>, Vec<_>) = all.iter().partition(|path| path.starts_with(src.join("shop")));
    for path in &others {
        let text = fs::read_to_string(path).expect("a source");
        // Unit tests have examples.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (n, line) in (1..).zip(code.lines()) {
            named.extend(
                words(line).into_iter().filter(|word| WORDS.contains(&word.as_str())).map(|word| format!("{}:{n}: {word}", path.display())),
            );
        }
    }
    assert!(of_shop.len() > 5 && others.len() > 30, "{} and {} sources", of_shop.len(), others.len());
    assert_eq!(named, Vec::<String>::new(), "name it in src/shop, and take it from there");
}
