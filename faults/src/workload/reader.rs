//! A client that reads: what was just changed under its token, or anything at all.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;

use super::Floor;

pub(super) async fn work(floor: Arc<Floor>, client: u32) {
    let mut random = floor.random(client);
    while !floor.is_over() {
        tokio::time::sleep(Duration::from_millis(random.random_range(10..60))).await;
        let at = floor.any(&floor.options.queries, &mut random);
        if random.random_bool(0.1) {
            let category = floor.shop.any_category(&mut random);
            floor.http.read(client, at, "category-listings", category, &[]).await;
            continue;
        }
        let Some(fresh) = floor.shop.look_for(&mut random) else { continue };
        let tokens = if random.random_bool(0.8) { vec![fresh.token] } else { Vec::new() };
        let id = fresh.stream.split_once('/').map_or("", |(_, id)| id);
        match fresh.stream.starts_with("stock/") && random.random_bool(0.5) {
            true => floor.http.read(client, at, "stock-levels", id, &tokens).await,
            false => floor.http.read(client, at, "product-pages", id.split('@').next().unwrap_or(id), &tokens).await,
        };
    }
}
