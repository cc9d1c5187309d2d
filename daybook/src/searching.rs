//! The search of the shop's products: the meaning that the fields of the read model `products` have for the query API.

use daybook_search::SearchSchema;

/// The currency of searches that name none, where `--currency` says no other.
const CURRENCY: &str = "EUR";
/// Attributes that are filters, where `--search-filters` says no others.
const FILTERS: [&str; 3] = ["colour", "size", "material"];
/// Where the ranges of the price facet begin, in hundredths of a currency: 10.00 euro, 1,000 yen, 10.000 dinar.
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
        language: Some("language".to_owned()),
        created: "created_at".to_owned(),
        quantity: "stock.available".to_owned(),
        identifiers: ["gtins", "manufacturer_number"].map(str::to_owned).to_vec(),
        filters: FILTERS.map(str::to_owned).to_vec(),
        price_edges: PRICE_EDGES.to_vec(),
        decimals: shop_proto::currency::decimals,
        default_currency: CURRENCY.to_owned(),
    }
}
