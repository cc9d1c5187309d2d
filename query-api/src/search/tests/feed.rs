use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use daybook_kernel::ConsistencyToken;
use daybook_search::{SearchReader, SearchRequest, SearchSchema};
use prost::Message as _;
use shop_proto::common::v1::Money;
use shop_proto::read::v1::{SearchedProduct, SearchedStock};

use super::super::feed::Fresh;
use super::super::positions::{PartitionPosition, Positions, reach};
use super::super::waiting::Next;
use crate::observers::{Change, Content, Follower as _};
use crate::source::{Position, SourceId};

pub(in super::super) fn schema() -> SearchSchema {
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

/// One that has read nothing but where the logs stand: 10 of each.
fn fresh() -> Arc<Fresh> {
    let fresh = Fresh::new(reader());
    stand(&fresh, 10);
    fresh
}

/// As if everything had been read up to there.
fn stand(fresh: &Fresh, next: i64) {
    let places = ["catalog", "inventory"].map(|s| ((s.to_owned(), 0), PartitionPosition { next, epoch: 1 }));
    fresh.positions.send_replace(Positions { generation: 1, places: places.into(), lost: false });
}

fn source(service: &str) -> SourceId {
    SourceId { generation: 1, service: service.into(), partition: 0 }
}

fn change(part: &str, offset: i64, content: Content) -> Change {
    Change { key: "A-1".into(), part: part.into(), stream: "s".into(), offset, content, stale: false }
}

fn product(title: &str) -> Content {
    let price = Some(Money { currency: "EUR".into(), minor_units: 1_999 });
    let attributes = [("colour", "red"), ("wireless", "true"), ("backlit", "false"), ("weight", "12.5")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Content::Bytes(
        SearchedProduct { sku: "A-1".into(), title: title.into(), brand: "Lux".into(), price, attributes, ..Default::default() }
            .encode_to_vec()
            .into(),
    )
}

fn stock(available: u32) -> Content {
    let stock = vec![SearchedStock { warehouse: "w-1".into(), available }];
    Content::Bytes(Bytes::from(SearchedProduct { stock, ..Default::default() }.encode_to_vec()))
}

/// Pushes, and applies what waits; whether nothing was missed.
fn push(fresh: &Fresh, service: &str, from: i64, to: i64, changes: &[Change]) -> bool {
    fresh.applied(&source(service), from, to, 1, changes);
    taken(fresh)
}

fn taken(fresh: &Fresh) -> bool {
    while let Some(next) = fresh.waiting.try_next() {
        match next {
            Next::SourceChanges(at, batch) if fresh.take(&at, &batch) => {}
            _ => return false,
        }
    }
    true
}

fn keys(fresh: &Fresh, text: &str) -> Vec<String> {
    let request = SearchRequest { text: text.to_owned(), limit: 10, ..SearchRequest::default() };
    let index = fresh.index.read().unwrap_or_else(PoisonError::into_inner);
    index.search(&request, &[]).hits.into_iter().map(|h| h.key).collect()
}

#[test]
fn parts_are_read_by_the_schema() {
    let fresh = fresh();
    assert!(push(&fresh, "catalog", 10, 11, &[change("product", 10, product("Lamp"))]));
    for text in ["lamp", "lux", "red", "wireless"] {
        assert_eq!(keys(&fresh, text), ["A-1"], "{text}");
    }
    for text in ["backlit", "false", "true"] {
        assert!(keys(&fresh, text).is_empty(), "{text}");
    }
    let hit = fresh.index.read().unwrap_or_else(PoisonError::into_inner).get("A-1").expect("it is there");
    assert_eq!((hit.price, hit.currency.as_str(), hit.in_stock), (1_999, "EUR", false));
    assert!(push(&fresh, "inventory", 10, 12, &[change("stock/w-1", 11, stock(3))]));
    assert!(fresh.index.read().unwrap_or_else(PoisonError::into_inner).get("A-1").expect("it is there").in_stock);
}

#[test]
fn a_retired_product_is_gone_and_what_is_older_does_not_bring_it_back() {
    let fresh = fresh();
    assert!(push(&fresh, "catalog", 10, 11, &[change("product", 10, product("Lamp"))]));
    assert!(push(&fresh, "catalog", 11, 12, &[change("product", 11, Content::Removed)]));
    assert!(keys(&fresh, "lamp").is_empty());
    // Pushed twice.
    assert!(push(&fresh, "catalog", 10, 11, &[change("product", 10, product("Lamp"))]));
    assert!(keys(&fresh, "lamp").is_empty());
}

/// A load that is newer than what waits in the inbox.
#[test]
fn what_was_read_already_is_not_applied_again() {
    let fresh = fresh();
    assert!(push(&fresh, "catalog", 0, 9, &[change("product", 3, product("Lamp"))]));
    assert!(keys(&fresh, "lamp").is_empty(), "the database said at 10 that there is none");
    assert_eq!(fresh.positions().borrow().places[&("catalog".to_owned(), 0)].next, 10);
}

/// A parked stream that was unparked: its parts rest on events long past, and no position moves.
#[test]
fn what_was_mended_in_place_is_found_and_what_it_replaced_does_not_come_back() {
    let fresh = fresh();
    assert!(push(&fresh, "catalog", 10, 10, &[change("product", 3, product("Lamp"))]));
    assert_eq!(keys(&fresh, "lamp"), ["A-1"]);
    // Late, by who was paused before the stream was mended.
    assert!(push(&fresh, "catalog", 0, 10, &[change("product", 2, product("Candle"))]));
    assert!(keys(&fresh, "candle").is_empty());
    assert_eq!(keys(&fresh, "lamp"), ["A-1"]);
}

#[test]
fn a_gap_a_loss_a_part_too_large_and_another_generation_are_read_again() {
    assert!(!push(&fresh(), "catalog", 11, 12, &[]), "a gap");
    assert!(!push(&fresh(), "orders", 10, 12, &[]), "a source that was not there");
    let lost = |at: SourceId| {
        let fresh = fresh();
        fresh.lost(&at, Position::new(1, 10));
        taken(&fresh)
    };
    assert!(!lost(source("catalog")));
    assert!(!push(&fresh(), "catalog", 10, 11, &[change("product", 10, Content::TooLarge)]));
    let newer = SourceId { generation: 2, ..source("catalog") };
    assert!(!lost(newer));
    let older = fresh();
    older.applied(&SourceId { generation: 0, ..source("catalog") }, 0, 1, 1, &[]);
    assert!(taken(&older), "no matter of this one");
}

#[test]
fn a_loss_is_made_good_by_a_reading_that_gets_as_far_and_by_no_other() {
    let fresh = fresh();
    let lose = |next| fresh.lost(&source("catalog"), Position::new(1, next));
    let read = |next| {
        let begun = fresh.waiting.losses();
        stand(&fresh, next);
        fresh.waiting.read(&begun, &fresh.positions().borrow());
        taken(&fresh)
    };
    // All sources are told lost when a generation begins to answer: one reading is enough.
    lose(0);
    fresh.lost(&source("inventory"), Position::UNKNOWN);
    assert!(read(10));
    lose(12);
    assert!(!read(11), "a replica that lags");
    assert!(read(12));
    let begun = fresh.waiting.losses();
    lose(12);
    fresh.waiting.read(&begun, &fresh.positions().borrow());
    assert!(!taken(&fresh), "mended in place after the reading had begun");
    assert!(read(13));
}

/// However long a reading takes, what waits meanwhile is no more than there are parts.
#[test]
fn of_what_is_pushed_while_the_index_is_read_the_newest_of_each_part_waits() {
    let fresh = fresh();
    let catalog = source("catalog");
    for n in 10..1_000 {
        fresh.applied(&catalog, n, n + 1, 1, &[change("product", n, product(&format!("Lamp{n}")))]);
        fresh.applied(&source("inventory"), n, n + 1, 1, &[change("stock/w-1", n, stock(1)), change("stock/w-2", n, stock(2))]);
    }
    // Late, by who was paused.
    fresh.applied(&catalog, 10, 11, 1, &[change("product", 10, product("Candle"))]);
    assert_eq!(fresh.waiting.len(), 3);
    // The reading got further than some of it.
    stand(&fresh, 500);
    assert!(taken(&fresh));
    assert_eq!((keys(&fresh, "lamp999"), keys(&fresh, "candle")), (vec!["A-1".to_owned()], vec![]));
    assert_eq!(fresh.positions().borrow().places[&("catalog".to_owned(), 0)].next, 1_000);
}

/// What was mended in place waits as of where the log stood: a reading that got further has it, or something newer.
#[test]
fn what_waits_as_of_an_earlier_place_than_was_read_is_passed_over() {
    let fresh = fresh();
    fresh.applied(&source("catalog"), 10, 10, 1, &[change("product", 3, product("Lamp"))]);
    fresh.applied(&source("catalog"), 10, 20, 1, &[]);
    stand(&fresh, 15);
    assert!(taken(&fresh));
    assert!(keys(&fresh, "lamp").is_empty());
}

#[tokio::test]
async fn a_token_waits_until_its_change_is_in_the_index() {
    let fresh = fresh();
    let token = |offset| ConsistencyToken { service: "catalog".into(), partition: 0, offset, epoch: 1 };
    let now = std::time::Duration::ZERO;
    let long = std::time::Duration::from_secs(30);
    assert!(reach(fresh.positions(), "products", &[token(9)], now).await.is_ok());
    let short = reach(fresh.positions(), "products", &[token(10)], now).await.expect_err("not there yet");
    assert_eq!(short.status().as_u16(), 503);
    let waiting = tokio::spawn({
        let positions = fresh.positions();
        async move { reach(positions, "products", &[token(10)], long).await }
    });
    tokio::task::yield_now().await;
    assert!(push(&fresh, "catalog", 10, 11, &[change("product", 10, product("Lamp"))]));
    assert!(waiting.await.expect("no panic").is_ok());
    assert_eq!(keys(&fresh, "lamp"), ["A-1"]);
    let nowhere = ConsistencyToken { partition: 7, ..token(0) };
    assert_eq!(reach(fresh.positions(), "products", &[nowhere], long).await.expect_err("none").status().as_u16(), 400);
    let of_before = ConsistencyToken { epoch: 2, ..token(0) };
    assert_eq!(reach(fresh.positions(), "products", &[of_before], now).await.expect_err("another").status().as_u16(), 409);
}

/// A token must not be answered from an index that missed something.
#[tokio::test]
async fn while_something_is_missing_tokens_wait_and_others_are_answered() {
    let fresh = fresh();
    let mut lost = fresh.positions().borrow().clone();
    lost.lost = true;
    fresh.positions.send_replace(lost);
    let token = ConsistencyToken { service: "catalog".into(), partition: 0, offset: 0, epoch: 1 };
    let waited = reach(fresh.positions(), "products", &[token], std::time::Duration::ZERO).await;
    assert_eq!(waited.expect_err("lost").status().as_u16(), 503);
    assert!(reach(fresh.positions(), "products", &[], std::time::Duration::ZERO).await.is_ok());
}
