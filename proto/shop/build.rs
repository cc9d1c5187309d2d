//! Compiles the shop's `.proto` files, this folder's, without protoc.
fn main() -> anyhow::Result<()> {
    daybook_codegen::Build::new("..")
        .file("shop/common/v1/money.proto")
        .file("shop/catalog/v1/product.proto")
        .file("shop/catalog/v1/state.proto")
        .file("shop/inventory/v1/stock.proto")
        .file("shop/inventory/v1/reorder.proto")
        .file("shop/inventory/v1/state.proto")
        .file("shop/read/v1/product_page.proto")
        .file("shop/read/v1/category_listing.proto")
        .file("shop/read/v1/product_search.proto")
        .file("shop/read/v1/stock_level.proto")
        .file("shop/read/v1/reorder_alerts.proto")
        .file("shop/read/v1/views.proto")
        .compile()
}
