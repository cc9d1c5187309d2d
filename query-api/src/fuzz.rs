//! What comes from clients and from Kafka, by the thousand, good and bad: nothing panics, nothing is held without bound, and
//! what a client is refused is told why.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use daybook_kernel::{ConsistencyToken, Instant};
use daybook_proto::v1::{HiddenStreams, PartChange, PushMarker, part_change};
use daybook_proto::{Named as _, TextForm};
use daybook_testkit::fuzz::{damaged, damaged_text};
use proptest::prelude::*;
use prost::Message as _;
use shop_proto::read::v1::{CategoryListing, ProductPage, StockLine};

use crate::answer::consistency::{self, Wanted};
use crate::answer::negotiate;
use crate::entry::render;
use crate::freshness::{Staging, feed};
use crate::memory::{Cache, Memory};
use crate::model::{Items, QueryModel, key};
use crate::observers::Observers;
use crate::past::moment;
use crate::store::Generation;

fn memory() -> Arc<Memory> {
    let live = Generation::new(1, "m_1");
    let places = [("catalog".to_owned(), 0), ("catalog".to_owned(), 1)];
    let memory = Memory::new("m", Arc::new(live), &places, Cache::new(1 << 20), 0, Arc::new(Observers::new("m", Vec::new())));
    memory.connected(true);
    Arc::new(memory)
}

fn model() -> QueryModel {
    QueryModel {
        name: "m".into(),
        message: ProductPage::TYPE.into(),
        root: None,
        services: vec!["catalog".into()],
        fill: None,
        finisher: None,
    }
}

fn with(name: &'static str, values: &[Vec<u8>]) -> HeaderMap {
    let values = values.iter().filter_map(|v| HeaderValue::from_bytes(v).ok());
    values.map(|value| (HeaderName::from_static(name), value)).collect()
}

fn some(good: &'static [&'static str]) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let good = prop::sample::select(good).prop_map(|t| t.as_bytes().to_vec());
    prop::collection::vec(prop_oneof![1 => good.clone(), 4 => damaged(good)], 1..4)
}

fn a_change() -> impl Strategy<Value = PartChange> {
    let content = prop_oneof![
        any::<Vec<u8>>().prop_map(part_change::Content::Bytes),
        any::<bool>().prop_map(part_change::Content::Removed),
        any::<bool>().prop_map(part_change::Content::TooLarge),
    ];
    (any::<(String, String, String, i64, bool)>(), 0..3_i32, -1..3_i32, prop::option::of(content), 0..3_u8).prop_map(
        |((key, part, stream, offset, stale), generation, partition, content, batch)| PartChange {
            key,
            part,
            stream,
            offset,
            stale,
            generation,
            partition,
            content,
            service: "catalog".into(),
            batch: vec![batch],
        },
    )
}

fn a_marker() -> impl Strategy<Value = PushMarker> {
    let place = prop_oneof![any::<i64>(), -1..20_i64];
    let hidden = prop::option::of((any::<Vec<String>>(), any::<bool>()));
    (place.clone(), place, any::<i32>(), -1..3_i32, 0..3_u32, 0..3_u8, hidden).prop_map(
        |(from, to, epoch, partition, changes, batch, hidden)| PushMarker {
            service: "catalog".into(),
            generation: 1,
            partition,
            epoch,
            from,
            to,
            changes,
            batch: vec![batch],
            hidden: hidden.map(|(streams, more)| HiddenStreams { streams, more }),
        },
    )
}

fn pushed() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    prop_oneof![
        2 => a_change().prop_map(|c| (PartChange::TYPE, c.encode_to_vec())),
        2 => a_marker().prop_map(|m| (PushMarker::TYPE, m.encode_to_vec())),
        2 => damaged(a_change().prop_map(|c| c.encode_to_vec())).prop_map(|bytes| (PartChange::TYPE, bytes)),
        2 => damaged(a_marker().prop_map(|m| m.encode_to_vec())).prop_map(|bytes| (PushMarker::TYPE, bytes)),
        1 => any::<Vec<u8>>().prop_map(|bytes| ("no.such.Type", bytes)),
    ]
}

fn a_part() -> impl Strategy<Value = Vec<u8>> {
    any::<(String, String, u32, i64)>().prop_map(|(sku, title, on_hand, seconds)| {
        let stock = vec![StockLine { warehouse: title.clone(), on_hand, ..Default::default() }];
        // Within the years that the JSON mapping can write.
        let updated_at = Some(Instant::from_micros(seconds.rem_euclid(253_402_300_800_000_000)).to_proto());
        ProductPage { sku, title, stock, updated_at, ..Default::default() }.encode_to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_token_header_is_read_or_refused_with_a_reason(values in some(&["catalog/1:7@1", "catalog/0:-1@2, inventory/3:4@1", "catalog/0:9223372036854775807@2147483647"])) {
        let headers = with("consistency-token", &values);
        match consistency::tokens(&headers, &model()) {
            Ok(Wanted { tokens, .. }) => prop_assert!(tokens.len() <= 64 && tokens.iter().all(|t| t.service == "catalog")),
            Err(why) => prop_assert!(!why.is_empty() && why.chars().count() < 1_000, "{}", why),
        }
        // What is no token of an event is passed over, whatever it is.
        let last = consistency::last_event(&with("last-event-id", &values), &memory());
        prop_assert!(last.iter().all(|t| t.service == "catalog" && (0..2).contains(&t.partition)));
    }

    #[test]
    fn a_header_of_a_query_is_understood_or_passed_over(
        accept in some(&["application/json;q=0.5, application/x-protobuf", "*/*", "text/event-stream"]),
        known in some(&["\"a\", W/\"b\"", "*"]),
        prefer in some(&["wait=7", "respond-async; wait=\"3\""]),
    ) {
        let named = accept.iter().any(|value| value.to_ascii_lowercase().windows(17).any(|w| w == b"text/event-stream"));
        match negotiate::wanted(&with("accept", &accept), &negotiate::PAGE) {
            Ok(wanted) => prop_assert!(named || wanted != negotiate::Wanted::Events),
            Err(problem) => prop_assert!([400, 406].contains(&problem.status().as_u16())),
        }
        let _ = negotiate::condition(&with("if-match", &known), "\"a\"");
        negotiate::is_known(&with("if-none-match", &known), "\"a\"");
        let longest = std::time::Duration::from_secs(30);
        prop_assert!(negotiate::wait(&with("prefer", &prefer), longest, longest) <= longest);
    }

    #[test]
    fn a_key_in_a_path_is_read_or_refused(segment in damaged_text(prop::sample::select(vec!["A-1", "%C3%A4%20b", "Home%20%3E%20Lamps"]).prop_map(str::to_owned))) {
        for form in [TextForm::AsSent, TextForm::Name, TextForm::Levels] {
            match key(&segment, form) {
                Ok(key) => {
                    prop_assert!((1..=512).contains(&key.chars().count()) && !key.contains('\0'));
                    prop_assert_eq!(daybook_proto::canonical(&key, form), &*key);
                }
                Err(problem) => prop_assert_eq!(problem.status(), 400),
            }
        }
    }

    #[test]
    fn a_moment_of_the_past_is_read_or_refused(text in damaged_text(prop::sample::select(vec!["2026-11-21T08:00:00.123456Z", "0001-01-01T00:00:00+23:59", "catalog/1:7@1"]).prop_map(str::to_owned))) {
        if let Err(problem) = moment(&text) {
            prop_assert_eq!(problem.status(), 400);
        }
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("page_size", "2").append_pair("at", &text).finish();
        let [_, at] = daybook_http::parameters(Some(&query), ["page_size", "at"]).map_err(|_| TestCaseError::fail("both are known"))?;
        prop_assert_eq!(at.as_deref(), Some(&*text));
    }

    /// Anybody may write to a topic: what is no push changes nothing, and of what is one no more is held than there are sources.
    #[test]
    fn a_push_is_taken_or_passed_over(all in prop::collection::vec(pushed(), 1..12)) {
        let (memory, mut staging) = (memory(), Staging::default());
        for (name, bytes) in all {
            let read = feed::take_one(std::slice::from_ref(&memory), "m", &mut staging, name, &bytes);
            prop_assert!(read.is_err() || read == Ok(false));
            prop_assert!(staging.sources() <= 2);
        }
        for source in memory.sources.iter() {
            prop_assert!(source.known().next() >= 0 && source.known().epoch() >= 0);
        }
    }

    #[test]
    fn a_stored_part_is_shown_or_named_as_damaged(bytes in prop_oneof![1 => a_part(), 4 => damaged(a_part())]) {
        let descriptor = |name| shop_proto::descriptors().get_message_by_name(name).expect("it is described");
        match render::json(&descriptor(ProductPage::TYPE), &bytes) {
            Ok(text) => prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok()),
            Err(why) => prop_assert!(!why.is_empty()),
        }
        let items = Items::of(&descriptor(CategoryListing::TYPE)).expect("a list");
        if let Ok(split) = items.split(Bytes::from(bytes.clone())) {
            prop_assert!(split.iter().map(Bytes::len).sum::<usize>() <= bytes.len());
            prop_assert_eq!(items.split(items.join(&split).into()), Ok(split));
        }
        let lines = Items::named(&descriptor(ProductPage::TYPE), "stock").expect("it repeats lines");
        if let Ok((split, others)) = lines.split_off(Bytes::from(bytes.clone())) {
            prop_assert!(split.iter().map(Bytes::len).sum::<usize>() + others.len() <= bytes.len());
            prop_assert_eq!(lines.split_off([&others[..], &lines.join(&split)].concat().into()), Ok((split, others)));
        }
    }
}

#[test]
fn changes_of_sources_that_are_not_there_are_not_held() {
    let (memory, mut staging) = (memory(), Staging::default());
    for n in 0..1_000 {
        let change = PartChange { service: format!("s{n}"), partition: n, generation: 1, batch: vec![1], ..Default::default() };
        let read = feed::take_one(std::slice::from_ref(&memory), "m", &mut staging, PartChange::TYPE, &change.encode_to_vec());
        assert_eq!(read, Ok(false));
    }
    assert_eq!(staging.sources(), 0);
}

#[test]
fn a_last_event_of_this_log_is_taken_up_where_it_ended() {
    let last = consistency::last_event(&with("last-event-id", &[b"catalog/1:7@1".to_vec()]), &memory());
    assert_eq!(last, ["catalog/1:7@1".parse::<ConsistencyToken>().expect("a token")]);
}
