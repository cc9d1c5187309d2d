//! A client that reads: what was just changed under its tokens, or anything at all.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;

use super::Floor;

/// Finds every product of ours; few of them are enough to see that it answers.
const SEARCH: &str = "brand=Nemesis&page_size=5";

pub(super) async fn work(floor: Arc<Floor>, client: u32) {
    let mut random = floor.random(client);
    while !floor.is_over() {
        tokio::time::sleep(Duration::from_millis(random.random_range(10..60))).await;
        let at = floor.any(&floor.options.queries, &mut random);
        let choice = random.random_range(0..100);
        if choice < 4 {
            let category = floor.shop.any_category(&mut random);
            floor.http.read(client, at, "category-listings", category, &[]).await;
            continue;
        }
        let Some(fresh) = floor.shop.look_for(&mut random) else { continue };
        let sku = fresh.sku().to_owned();
        // An older build of a rolling upgrade has no such read model.
        let alerts =
            fresh.stream.strip_prefix("reorder/").and_then(|key| Some(key.split_once('@')?.1)).filter(|_| !floor.options.two_builds);
        if let Some(warehouse) = alerts {
            floor.http.read(client, at, "reorder-alerts", warehouse, std::slice::from_ref(&fresh.token)).await;
            continue;
        }
        match choice {
            // A list that should show what was just changed: of a product, its stock, or both.
            4..12 => {
                let category = floor.shop.category_of(&sku).unwrap_or_else(|| floor.shop.any_category(&mut random));
                floor.http.read(client, at, "category-listings", category, &floor.shop.tokens_of(fresh)).await;
            }
            12..14 => {
                floor.http.search(client, at, SEARCH, &floor.shop.tokens_of(fresh)).await;
            }
            // All that was done to a product and its stock, in one page.
            14..24 => {
                floor.http.read(client, at, "product-pages", &sku, &floor.shop.tokens_of(fresh)).await;
            }
            _ => {
                let stock = fresh.stream.strip_prefix("stock/").map(str::to_owned);
                let tokens = if random.random_bool(0.8) { vec![fresh.token] } else { Vec::new() };
                match stock.filter(|_| random.random_bool(0.5)) {
                    Some(key) => floor.http.read(client, at, "stock-levels", &key, &tokens).await,
                    None => floor.http.read(client, at, "product-pages", &sku, &tokens).await,
                };
            }
        }
    }
}
