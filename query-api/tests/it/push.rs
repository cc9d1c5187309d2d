//! What is pushed is served from memory; what is lost, late or crossed leaves nobody with what is old.

use std::sync::Arc;
use std::time::Duration;

use daybook_bus::Record;
use daybook_proto::v1::part_change::Content;
use daybook_proto::v1::{HiddenStreams, PushMarker};
use daybook_testkit::{TransactionalClient, eventually};
use futures_util::future::join_all;
use serde_json::Value;
use shop_proto::read::v1::ProductPage;

use crate::support::{Api, Prepared, Push, header, problem};

const URL: &str = "/v1/product-pages/A-1";

fn details(title: &str) -> ProductPage {
    ProductPage { sku: "A-1".into(), title: title.into(), ..Default::default() }
}

fn bytes(title: &str) -> Content {
    Content::Bytes(prost::Message::encode_to_vec(&details(title)))
}

async fn title(api: &Api) -> String {
    let response = api.get(URL).send().await.expect("it answers");
    assert_eq!(response.status(), 200);
    response.json::<Value>().await.expect("JSON")["title"].as_str().expect("a title").to_owned()
}

async fn shows(api: &Api, wanted: &str) {
    eventually(&format!("{wanted} to be shown"), || async { (title(api).await == wanted).then_some(()) }).await;
}

/// Commits a change of the page's title, as a projector does, and returns the batch that it would push.
async fn commit(api: &Api, wanted: &str) -> Push {
    let (from, epoch) = api.checkpoint("catalog", 1).await;
    api.write("A-1", "details", &details(wanted)).await;
    api.move_silently("catalog", 1, from + 1, epoch).await;
    Push::new("catalog", 1, from, from + 1).with("A-1", "details", bytes(wanted))
}

/// A page in memory.
async fn held() -> Api {
    let api = Api::new().await;
    api.put_page("A-1").await;
    title(&api).await;
    api
}

#[tokio::test]
async fn a_page_is_read_once_however_many_ask_and_then_no_more() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let before = api.api.loads();
    join_all((0..50).map(|_| title(&api))).await;
    assert_eq!(api.api.loads() - before, 1);
    // What is pushed is served without another look.
    let push = commit(&api, "Lamp").await;
    api.push(push).await;
    shows(&api, "Lamp").await;
    assert_eq!(api.api.loads() - before, 1);
}

#[tokio::test]
async fn what_is_not_there_is_held_too_until_it_is_pushed() {
    let api = Api::new().await;
    for _ in 0..3 {
        assert_eq!(api.get(URL).send().await.expect("it answers").status(), 404);
    }
    assert_eq!(api.api.loads(), 1);
    let push = commit(&api, "Lamp").await;
    api.push(push).await;
    eventually("it to be there", || async { (api.get(URL).send().await.expect("it answers").status() == 200).then_some(()) }).await;
    assert_eq!(api.api.loads(), 1);
    let (from, _) = api.checkpoint("catalog", 1).await;
    api.move_silently("catalog", 1, from + 1, 1).await;
    api.push(Push::new("catalog", 1, from, from + 1).with("A-1", "details", Content::Removed(true))).await;
    eventually("it to be gone", || async { (api.get(URL).send().await.expect("it answers").status() == 404).then_some(()) }).await;
}

#[tokio::test]
async fn who_waits_is_woken_by_a_push_that_says_more_than_the_database() {
    let api = held().await;
    // Nothing but the push can tell: the checkpoint in the database stays behind.
    let (status, ()) = tokio::join!(
        async {
            api.get(URL).header("consistency-token", "catalog/1:6@1").header("prefer", "wait=30").send().await.expect("it answers").status()
        },
        async {
            eventually("it to wait", || async { (api.api.waits() == 1).then_some(()) }).await;
            api.push(Push::new("catalog", 1, 0, 7)).await;
        }
    );
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_batch_is_believed_when_its_marker_has_come_and_not_before() {
    let api = held().await;
    let mut push = commit(&api, "Lamp").await;
    let marker = push.marker.clone();
    // The changes alone: the marker is of another batch, and counts none.
    push.marker = Push::new("catalog", 2, 0, 0).marker;
    let before = api.api.pushes();
    api.push(push).await;
    eventually("the other marker", || async { (api.api.pushes() > before).then_some(()) }).await;
    assert_eq!(title(&api).await, "Cable");
    api.push(Push { marker, changes: Vec::new() }).await;
    shows(&api, "Lamp").await;
}

#[tokio::test]
async fn a_paused_projectors_late_push_changes_nothing() {
    let api = held().await;
    let late = commit(&api, "Old").await;
    let next = commit(&api, "New").await;
    // The successor pushes what both have committed.
    let mut both = Push::new("catalog", 1, late.marker.from, next.marker.to).with("A-1", "details", bytes("New"));
    both.marker.epoch = 1;
    api.push(both).await;
    shows(&api, "New").await;
    let before = api.api.pushes();
    api.push(late).await;
    eventually("the late push", || async { (api.api.pushes() > before).then_some(()) }).await;
    assert_eq!(title(&api).await, "New");
}

#[tokio::test]
async fn a_push_that_is_lost_is_found_by_the_next_one() {
    let api = held().await;
    let _lost = commit(&api, "Lost").await;
    let (from, _) = api.checkpoint("catalog", 1).await;
    api.move_silently("catalog", 1, from + 1, 1).await;
    let before = api.api.pushes();
    api.push(Push::new("catalog", 1, from, from + 1)).await;
    eventually("the push", || async { (api.api.pushes() > before).then_some(()) }).await;
    assert_eq!(title(&api).await, "Lost", "what was held before the gap is not shown");
}

#[tokio::test]
async fn a_batch_that_comes_in_part_is_not_believed() {
    let api = held().await;
    let push = commit(&api, "Lamp").await;
    let before = api.api.pushes();
    api.push(Push { changes: Vec::new(), ..push }).await;
    eventually("the push", || async { (api.api.pushes() > before).then_some(()) }).await;
    assert_eq!(title(&api).await, "Lamp");
}

#[tokio::test]
async fn a_death_between_commit_and_push_leaves_nobody_stale_for_long() {
    let api = held().await;
    let lost = commit(&api, "Lamp").await;
    shows(&api, "Lamp").await;
    let token = format!("catalog/1:{}@1", lost.marker.to - 1);
    let response = api.get(URL).header("consistency-token", token).send().await.expect("it answers");
    assert_eq!(response.status(), 200);
    // Once pushes have got there again it is answered from memory as before.
    api.push(lost).await;
    eventually("it to be ready", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
    let before = api.api.loads();
    assert_eq!((title(&api).await, title(&api).await), ("Lamp".to_owned(), "Lamp".to_owned()));
    assert!(api.api.loads() - before <= 1);
}

#[tokio::test]
async fn what_was_committed_and_not_pushed_is_shown_under_its_token_however_short_the_wait() {
    let api = held().await;
    for title in ["Lamp", "Table"] {
        let lost = commit(&api, title).await;
        let token = format!("catalog/1:{}@1", lost.marker.to - 1);
        let response = api.get(URL).header("consistency-token", token).header("prefer", "wait=0").send().await.expect("it answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<Value>().await.expect("JSON")["title"], title);
    }
}

#[tokio::test]
async fn who_has_no_token_may_ask_for_what_is_stored_and_memory_does_not_answer_for_it() {
    let api = held().await;
    for title in ["Lamp", "Table"] {
        // Its push does not come.
        commit(&api, title).await;
        let response = api.get(URL).header("consistency-token", "stored").send().await.expect("it answers");
        assert_eq!(response.json::<Value>().await.expect("JSON")["title"], title);
    }
    let with = |token: &'static str| api.get(URL).header("consistency-token", token).header("prefer", "wait=0").send();
    assert_eq!(with("stored, catalog/3:-1@1").await.expect("it answers").status(), 200, "tokens may stand beside it");
    problem(with("stored, catalog").await.expect("it answers"), 400).await;
    problem(with("stored, catalog/1:99999@1").await.expect("it answers"), 503).await;
}

#[tokio::test]
async fn pushes_that_never_come_again_are_followed_anew() {
    let api = held().await;
    let _lost = commit(&api, "Lamp").await;
    shows(&api, "Lamp").await;
    let readiness = api.api.readiness().await;
    assert!(!readiness.is_whole(), "it says that it reads through");
    assert!(readiness.is_ready(), "nobody is sent elsewhere: {readiness:?}");
    eventually("it to be ready", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
    let push = commit(&api, "Next").await;
    api.push(push).await;
    shows(&api, "Next").await;
}

#[tokio::test]
async fn a_clients_open_transaction_on_a_topic_of_pushes_makes_it_slower_and_not_unready() {
    let api = held().await;
    let client = TransactionalClient::new(&api.bus, "stranger", Duration::from_secs(600)).await;
    client.begin();
    let topic: Arc<str> = api.bus.read("product-pages").into();
    for partition in 0..4 {
        let value = Some(bytes::Bytes::from_static(b"no push"));
        client.send(Record { topic: topic.clone(), partition, key: "k".into(), headers: Default::default(), value }).await;
    }
    let told = async || {
        let readiness = api.api.readiness().await;
        assert!(readiness.is_ready(), "{readiness:?}");
        readiness.degraded.into_iter().find_map(|(what, why)| (what == "pushes").then_some(why))
    };
    // Pushes are followed anew meanwhile, and what comes after that is held back again.
    for title in ["Lamp", "Table", "Chair"] {
        let push = commit(&api, title).await;
        api.push(push).await;
        shows(&api, title).await;
        let why = eventually("it to say so", told).await;
        assert!(why.contains("open transaction") && why.contains(&*topic), "{why}");
        eventually("it to follow anew", async || told().await.is_none().then_some(())).await;
    }
    client.abort().await;
    eventually("pushes to be there", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
    assert_eq!(title(&api).await, "Chair");
}

#[tokio::test]
async fn a_load_that_crosses_a_push_leaves_nothing_stale() {
    let api = Arc::new(held().await);
    // The title counts up; each push crosses loads of all kinds, for the entry is dropped again and again.
    let mut newest = 0;
    for n in 1..=40_u32 {
        let push = commit(&api, &n.to_string()).await;
        let too_large = Push::new("catalog", 1, push.marker.from, push.marker.from).with("A-1", "details", Content::TooLarge(true));
        let ((), (), titles) = tokio::join!(api.push(too_large), api.push(push), join_all((0..4).map(|_| title(&api))));
        for title in titles {
            let shown: u32 = title.parse().unwrap_or(0);
            assert!(shown <= n);
            newest = newest.max(shown);
        }
        shows(&api, &n.to_string()).await;
    }
    assert!(newest <= 40);
}

#[tokio::test]
async fn a_part_that_is_too_large_to_be_pushed_is_read() {
    let api = held().await;
    let push = commit(&api, "Lamp").await;
    api.push(Push::new("catalog", 1, push.marker.from, push.marker.to).with("A-1", "details", Content::TooLarge(true))).await;
    shows(&api, "Lamp").await;
}

#[tokio::test]
async fn what_a_parked_stream_shows_says_so() {
    let api = held().await;
    let parked = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
                  VALUES ('product-pages', 1, 'catalog', 1, 'details', 0, 'unknown event')";
    api.database.owner().await.batch_execute(parked).await.expect("the owner may");
    let (from, _) = api.checkpoint("catalog", 1).await;
    api.move_silently("catalog", 1, from + 1, 1).await;
    let mut push = Push::new("catalog", 1, from, from + 1).with("A-1", "details", bytes("Cable"));
    push.changes[0].stale = true;
    api.push(push).await;
    eventually("it to be said", || async {
        let response = api.get(URL).send().await.expect("it answers");
        response.headers().contains_key("daybook-stale").then(|| assert_eq!(header(&response, "daybook-stale"), "details"))
    })
    .await;
}

const PARKED: &str = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
                      VALUES ('product-pages', 1, 'inventory', 2, 'stock/Z-1@w', 0, 'unknown event')";

/// What an answer names as showing nothing.
async fn hidden(api: &Api, path: &str, token: Option<&str>) -> (u16, Option<String>) {
    let request = api.get(path);
    let response = token.into_iter().fold(request, |request, token| request.header("consistency-token", token)).send().await;
    let response = response.expect("it answers");
    let named = response.headers().get("daybook-hidden-streams").map(|h| h.to_str().expect("text").to_owned());
    (response.status().as_u16(), named)
}

fn says_hidden(push: Push, streams: &[&str]) -> Push {
    let streams = streams.iter().map(|s| (*s).to_owned()).collect();
    Push { marker: PushMarker { hidden: Some(HiddenStreams { streams, more: false }), ..push.marker }, ..push }
}

#[tokio::test]
async fn a_stream_that_shows_nothing_is_named_by_every_answer_until_it_does() {
    let api = held().await;
    let loads = api.api.loads();
    assert_eq!(hidden(&api, URL, None).await, (200, None));
    let owner = api.database.owner().await;
    owner.batch_execute(PARKED).await.expect("the owner may");
    let (at, _) = api.checkpoint("inventory", 2).await;
    api.move_silently("inventory", 2, at + 1, 1).await;
    let pushed = Push::new("inventory", 2, at, at + 1);
    // Whoever sees the position that covers it is told, on a page that is there, and on one that is not.
    let (told, ()) = tokio::join!(
        async {
            let token = format!("inventory/2:{at}@1");
            [hidden(&api, URL, Some(&token)).await, hidden(&api, "/v1/product-pages/Z-1", Some(&token)).await]
        },
        api.push(says_hidden(pushed, &["stock/Z-1@w"])),
    );
    let named = Some("stock/Z-1@w".to_owned());
    assert_eq!(told, [(200, named.clone()), (404, named.clone())]);
    assert_eq!(hidden(&api, URL, None).await, (200, named.clone()));
    assert_eq!(api.api.loads(), loads + 1, "the page itself was held all the time");
    // An older build does not say.
    api.push_in("product-pages", Push::new("inventory", 2, at + 1, at + 1)).await;
    assert_eq!(hidden(&api, URL, None).await, (200, named));

    owner.batch_execute("DELETE FROM read.parked").await.expect("the owner may");
    api.push_in("product-pages", says_hidden(Push::new("inventory", 2, at + 1, at + 1), &[])).await;
    eventually("it to be named no more", || async { (hidden(&api, URL, None).await == (200, None)).then_some(()) }).await;
}

#[tokio::test]
async fn without_kafka_the_database_says_which_streams_show_nothing() {
    // Nobody listens there.
    let api = Api::begin(Prepared::new().await, |config| config.bus.brokers = "127.0.0.1:1".to_owned()).await;
    api.write("A-1", "details", &details("Cable")).await;
    let owner = api.database.owner().await;
    owner.batch_execute(PARKED).await.expect("the owner may");
    let named = Some("stock/Z-1@w".to_owned());
    assert_eq!(hidden(&api, URL, None).await, (200, named.clone()));
    assert_eq!(hidden(&api, "/v1/page-list/A-1", None).await.0, 200);
    // What is shown of it, old or not, is not missing.
    api.write("Z-1", "stock/Z-1@w", &ProductPage::default()).await;
    eventually("it to be named no more", || async { (hidden(&api, URL, None).await == (200, None)).then_some(()) }).await;
}

#[tokio::test]
async fn without_kafka_it_reads_through_and_says_so() {
    // Nobody listens there.
    let api = Api::begin(Prepared::new().await, |config| config.bus.brokers = "127.0.0.1:1".to_owned()).await;
    api.write("A-1", "details", &details("Cable")).await;
    assert_eq!(api.get("/readyz").send().await.expect("it answers").status(), 503);
    let readiness = api.api.readiness().await;
    let why = readiness.checks.into_iter().find_map(|(what, problem)| problem.filter(|_| what == "pushes"));
    assert!(why.as_ref().is_some_and(|why| why.contains("read from the database")), "{why:?}");
    assert_eq!(title(&api).await, "Cable");
    commit(&api, "Lamp").await;
    assert_eq!(title(&api).await, "Lamp", "nothing is shown from memory");
    // Who waits is answered all the same.
    let (status, ()) = tokio::join!(
        async {
            api.get(URL).header("consistency-token", "catalog/1:1@1").header("prefer", "wait=30").send().await.expect("it answers").status()
        },
        async {
            eventually("it to wait", || async { (api.api.waits() == 1).then_some(()) }).await;
            commit(&api, "Table").await;
        }
    );
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_topic_that_is_made_anew_is_followed_again() {
    let api = held().await;
    daybook_testkit::recreate_topic(&api.bus, &api.bus.read("product-pages"), 4).await;
    let push = commit(&api, "Lamp").await;
    api.push(push).await;
    shows(&api, "Lamp").await;
    eventually("it to be ready", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
    eventually("a push to be served from memory", || async {
        let (push, before) = (commit(&api, "Table").await, api.api.pushes());
        api.push(push).await;
        shows(&api, "Table").await;
        (api.api.pushes() > before && api.api.readiness().await.is_whole()).then_some(())
    })
    .await;
}
