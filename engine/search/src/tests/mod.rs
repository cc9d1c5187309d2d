//! Searching, told by examples and laws.

mod comparing;
mod costs;
mod filters;
mod finding;
mod fuzz;
mod identifying;
mod judged;
mod laws;
mod reading;

use super::{SearchIndex, SearchItem, SearchReader, SearchRequest, SearchSchema, Tuning};

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

fn schema() -> SearchSchema {
    SearchSchema {
        model: "products".into(),
        key: "sku".into(),
        root: "product".into(),
        stock: "stock/".into(),
        title: "title".into(),
        brand: "brand".into(),
        category: "category".into(),
        description: "description".into(),
        attributes: "attributes".into(),
        price: "price.minor_units".into(),
        currency: "price.currency".into(),
        language: None,
        created: "created_at".into(),
        quantity: "stock.available".into(),
        identifiers: vec!["gtins".into(), "manufacturer_number".into()],
        filters: vec!["colour".into(), "shoe size".into()],
        price_edges: vec![1_000],
        decimals: shop_proto::currency::decimals,
        default_currency: "EUR".into(),
    }
}

fn reader() -> SearchReader {
    let message = shop_proto::descriptors().get_message_by_name("shop.read.v1.SearchedProduct").expect("the shop's");
    SearchReader::new(schema(), &message).expect("it fits")
}
