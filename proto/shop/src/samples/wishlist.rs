//! Of the wishlist of a customer, `c-1`.

use super::customer::customer_id;
use crate::cart::v1::*;

/// Remembers a product.
pub fn save(sku: &str) -> SaveItem {
    SaveItem { customer_id: customer_id(), sku: sku.to_owned() }
}

/// The event of [`save`].
pub fn saved(sku: &str) -> WishlistEvent {
    ItemSaved::from(&save(sku)).into()
}

/// Forgets a product.
pub fn drop(sku: &str) -> DropItem {
    DropItem { customer_id: customer_id(), sku: sku.to_owned() }
}

/// The event of [`drop`].
pub fn dropped(sku: &str) -> WishlistEvent {
    ItemDropped::from(&drop(sku)).into()
}

/// Moves a product to the cart `k-1`.
pub fn move_to_cart(sku: &str, quantity: u32) -> MoveToCart {
    MoveToCart { customer_id: customer_id(), sku: sku.to_owned(), cart_id: "k-1".into(), quantity }
}

/// The event of [`move_to_cart`].
pub fn moved(sku: &str, quantity: u32) -> WishlistEvent {
    MovedToCart::from(&move_to_cart(sku, quantity)).into()
}
