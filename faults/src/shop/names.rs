//! Names of the shop's services and read models, and messages that nemeses need.

/// The payment provider, by its name as a process.
pub(crate) const PROVIDER: &str = "payment-provider";
/// The carrier, by its name as a process.
pub(crate) const CARRIER: &str = "carrier";

/// Every service.
pub(crate) const SERVICES: [&str; 2] = ["catalog", "inventory"];

/// Pages of products.
pub(crate) const PRODUCT_PAGES: &str = "product-pages";
/// Lists of a category's products.
pub(crate) const CATEGORY_LISTINGS: &str = "category-listings";
/// Levels of stock.
pub(crate) const STOCK_LEVELS: &str = "stock-levels";
/// Lists of a warehouse's open proposals.
pub(crate) const REORDER_ALERTS: &str = "reorder-alerts";
/// Pages of orders.
pub(crate) const ORDERS: &str = "orders";
/// Lists of a customer's orders.
pub(crate) const CUSTOMER_ORDERS: &str = "customer-orders";
/// Lists of the warehouses that send to a country.
pub(crate) const WAREHOUSES: &str = "warehouses";
/// Pages of carts.
pub(crate) const CARTS: &str = "carts";
/// The read model that is searched.
pub(crate) const SEARCH: &str = "products";

/// Each read model with a key that can be asked for at any time.
pub(crate) const READ_MODELS: [(&str, &str); 6] = [
    (PRODUCT_PAGES, "nothing"),
    (STOCK_LEVELS, "nothing"),
    (CATEGORY_LISTINGS, "nothing"),
    (REORDER_ALERTS, "nothing"),
    (ORDERS, "nothing"),
    (SEARCH, "search"),
];

/// The read model whose pages nemeses read, rebuild and push garbage for.
pub(crate) const PAGES: &str = PRODUCT_PAGES;
/// Two read models, as `DAYBOOK_PROJECTIONS` names them, for a process that folds only these.
pub(crate) const TWO_READ_MODELS: &str = "product-pages,stock-levels";

/// The service whose messages are poisoned.
pub(crate) const POISONED: &str = "catalog";
/// Its command, as URLs name it, and in full.
pub(crate) const POISONED_COMMAND: (&str, &str) = ("create-product", "shop.catalog.v1.CreateProduct");
/// The beginning of that command's JSON, with so much text that it is too large.
pub(crate) fn too_large(bytes: usize) -> serde_json::Value {
    serde_json::json!({ "sku": "too-large", "description": "x".repeat(bytes) })
}
/// A command of another service.
pub(crate) const ANOTHER_SERVICES: &str = "shop.inventory.v1.ReceiveStock";
/// An event of the poisoned service.
pub(crate) const AN_EVENT: &str = "shop.catalog.v1.ProductCreated";
/// A stream of it that nobody else asks for.
pub(crate) const ANOTHER_STREAM: &str = "product/another";

/// The reactor, and the service whose log it follows.
pub(crate) const REACTOR: (&str, &str) = ("reorder", "inventory");
/// The event that an older build of a rolling upgrade does not know.
pub(crate) const NEWEST_EVENT: &str = "shop.inventory.v1.ReorderPointRegained";
