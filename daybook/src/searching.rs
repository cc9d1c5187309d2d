//! How the shop's products are searched: what the fields of the read model `products` mean to the query API.

use daybook_search::SearchSchema;

/// Where the ranges of the price facet begin, in the smallest unit of the currency.
const PRICE_EDGES: &[i64] = &[1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000];

/// Of the read model `products` (`proto/shop/read/v1/product_search.proto`).
pub(crate) fn products() -> SearchSchema {
    SearchSchema {
        model: "products".to_owned(),
        key: "sku".to_owned(),
        root: "product".to_owned(),
        stock: "stock/".to_owned(),
        title: "title".to_owned(),
        brand: "brand".to_owned(),
        category: "category".to_owned(),
        description: "description".to_owned(),
        attributes: "attributes".to_owned(),
        price: "price.minor_units".to_owned(),
        currency: "price.currency".to_owned(),
        created: "created_at".to_owned(),
        quantity: "stock.available".to_owned(),
        price_edges: PRICE_EDGES.to_vec(),
    }
}
