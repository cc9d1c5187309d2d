//! What searching does, told by examples and laws.

mod comparing;
mod costs;
mod feed;
mod finding;
mod fuzz;
mod laws;

use super::{SearchIndex, SearchItem, SearchRequest, Tuning};

fn item(title: &str, brand: &str, category: &str, price: i64) -> SearchItem {
    SearchItem {
        title: title.to_owned(),
        brand: brand.to_owned(),
        category: category.to_owned(),
        price,
        currency: "EUR".to_owned(),
        ..SearchItem::default()
    }
}

fn index(items: &[(&str, SearchItem)]) -> SearchIndex {
    let mut index = SearchIndex::new(Tuning::default());
    for (key, item) in items {
        index.put(key, item, 0);
        index.stock(key, "w-1", Some(1), 0);
    }
    index
}

fn request(text: &str) -> SearchRequest {
    SearchRequest { text: text.to_owned(), limit: 10, ..SearchRequest::default() }
}

fn found(index: &SearchIndex, request: &SearchRequest) -> Vec<String> {
    index.search(request, &[]).hits.into_iter().map(|h| h.key).collect()
}
