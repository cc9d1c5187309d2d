//! A client that reads: what was just changed under its tokens, or anything at all.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;

use super::Floor;
use crate::shop::Question;

pub(super) async fn work(floor: Arc<Floor>, client: u32) {
    let mut random = floor.random(client);
    while !floor.is_over() {
        tokio::time::sleep(Duration::from_millis(random.random_range(10..60))).await;
        let at = floor.any(&floor.options.queries, &mut random);
        match floor.shop.question(&mut random, floor.options.two_builds) {
            Some(Question::Page { model, key, tokens }) => drop(floor.http.read(client, at, model, &key, &tokens).await),
            Some(Question::Search { query, tokens }) => drop(floor.http.search(client, at, query, &tokens).await),
            None => {}
        }
    }
}
