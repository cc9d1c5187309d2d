//! Live queries over real sockets.

use std::time::Duration;

use daybook_proto::v1::part_change::Content;
use daybook_testkit::eventually;
use reqwest::Response;
use serde_json::Value;
use shop_proto::read::v1::ProductPage;

use crate::support::{Api, Push, header, problem};

const URL: &str = "/v1/product-pages/A-1/events";

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Reads events off a response.
pub(crate) struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn of(api: &Api) -> Self {
        Self::new(api.get(URL).send().await.expect("it answers"))
    }

    pub(crate) fn new(response: Response) -> Self {
        assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, "text/event-stream"));
        Self { response, text: String::new() }
    }

    /// The next event; none at the end. Comments are passed over.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim_start().to_owned());
                let found = field("event:").map(|name| Event {
                    id: field("id:"),
                    name,
                    data: serde_json::from_str(&field("data:").expect("data")).expect("JSON"),
                });
                self.text = rest.to_owned();
                if found.is_some() {
                    return found;
                }
                continue;
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.response.chunk()).await.expect("an event in time");
            self.text.push_str(std::str::from_utf8(&chunk.expect("a stream")?).expect("text"));
        }
    }

    async fn title(&mut self) -> String {
        self.next().await.expect("an event").data["title"].as_str().expect("a title").to_owned()
    }
}

/// Commits another title, and pushes it.
async fn retitle(api: &Api, title: &str) {
    let (from, epoch) = api.checkpoint("catalog", 1).await;
    let details = ProductPage { sku: "A-1".into(), title: title.into(), ..Default::default() };
    let bytes = api.write("A-1", "details", &details).await;
    api.move_silently("catalog", 1, from + 1, epoch).await;
    api.push(Push::new("catalog", 1, from, from + 1).with("A-1", "details", Content::Bytes(bytes))).await;
}

#[tokio::test]
async fn the_state_comes_first_then_each_change_and_what_is_gone() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let mut events = Events::of(&api).await;
    let first = events.next().await.expect("the state");
    assert_eq!((first.name.as_str(), first.id.as_deref()), ("state", Some("catalog/1:-1@1, inventory/2:-1@1")));
    assert_eq!(first.data["title"], "Cable");
    retitle(&api, "Lamp").await;
    let second = events.next().await.expect("the change");
    assert_eq!((second.data["title"].as_str(), second.id.as_deref()), (Some("Lamp"), Some("catalog/1:0@1, inventory/2:-1@1")));
    // What changes nothing of the page is not sent.
    api.move_to("catalog", 1, 9, 1).await;
    retitle(&api, "Lamp").await;
    let (from, _) = api.checkpoint("catalog", 1).await;
    api.move_silently("catalog", 1, from + 1, 1).await;
    api.database.owner().await.batch_execute("DELETE FROM read.product_pages_1 WHERE part = 'details'").await.expect("the owner may");
    api.push(Push::new("catalog", 1, from, from + 1).with("A-1", "details", Content::Removed(true))).await;
    assert_eq!(events.next().await.expect("the end of it").name, "gone");
    retitle(&api, "Again").await;
    assert_eq!(events.title().await, "Again");
}

#[tokio::test]
async fn the_page_itself_is_a_live_query_for_those_who_accept_events() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let response = api.get("/v1/product-pages/A-1").header("accept", "text/event-stream").send().await.expect("it answers");
    assert_eq!(Events::new(response).title().await, "Cable");
    let missing = api.get("/v1/product-pages/none/events").send().await.expect("it answers");
    assert_eq!(Events::new(missing).next().await.expect("an event").name, "gone", "it may come");
}

#[tokio::test]
async fn who_comes_back_is_not_shown_what_is_older_than_what_it_had() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    api.get("/v1/product-pages/A-1").send().await.expect("it answers");
    let (mut events, ()) = tokio::join!(
        async {
            let request = api.get(URL).header("last-event-id", "catalog/1:0@1, inventory/2:-1@1").header("prefer", "wait=30");
            Events::new(request.send().await.expect("it answers"))
        },
        async {
            eventually("it to wait", || async { (api.api.waits() == 1).then_some(()) }).await;
            retitle(&api, "Lamp").await;
        }
    );
    assert_eq!(events.title().await, "Lamp");
    let late = api.get(URL).header("last-event-id", "catalog/1:77@1").header("prefer", "wait=0").send().await.expect("it answers");
    problem(late, 503).await;
    // An epoch that is over, or what is no position, is shown what is there.
    for id in ["catalog/1:77@0", "7", "catalog/99:7@1"] {
        let response = api.get(URL).header("last-event-id", id).send().await.expect("it answers");
        assert_eq!(Events::new(response).title().await, "Lamp", "{id}");
    }
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_state_and_not_all_between() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    // Not read yet, while far more is pushed than a socket holds.
    let mut events = Events::of(&api).await;
    let long = "x".repeat(100_000);
    for n in 0..60 {
        retitle(&api, &format!("{n} {long}")).await;
    }
    let mut titles = Vec::new();
    loop {
        let title = events.title().await;
        titles.push(title.split(' ').next().expect("a number").to_owned());
        if titles.last().is_some_and(|t| t == "59") {
            break;
        }
    }
    assert!(titles.len() < 61, "{} states", titles.len());
}

#[tokio::test]
async fn there_are_so_many_places_and_no_more_and_a_stop_ends_all() {
    let mut api = Api::with(|config| config.max_subscribers = 2).await;
    api.put_page("A-1").await;
    let (mut one, two) = (Events::of(&api).await, Events::of(&api).await);
    let full = api.get(URL).send().await.expect("it answers");
    assert!(!header(&full, "retry-after").is_empty());
    problem(full, 503).await;
    drop(two);
    let mut two = eventually("a place to be free", || async {
        let response = api.get(URL).send().await.expect("it answers");
        (response.status() == 200).then(|| Events::new(response))
    })
    .await;
    assert_eq!((one.title().await, two.title().await), ("Cable".to_owned(), "Cable".to_owned()));
    api.stop();
    assert!(one.next().await.is_none() && two.next().await.is_none());
    tokio::time::timeout(Duration::from_secs(30), api.api.stopped()).await.expect("it stops at once");
}

#[tokio::test]
async fn a_silent_live_query_says_that_it_is_alive() {
    let api = Api::with(|config| config.heartbeat = Duration::from_millis(50)).await;
    api.put_page("A-1").await;
    let mut events = Events::of(&api).await;
    events.title().await;
    let chunk = tokio::time::timeout(Duration::from_secs(60), events.response.chunk()).await.expect("in time");
    assert_eq!(chunk.expect("a stream").expect("a comment"), ":\n\n");
}

#[tokio::test]
async fn a_live_query_goes_on_when_pushes_are_lost() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let mut events = Events::of(&api).await;
    assert_eq!(events.title().await, "Cable");
    let details = ProductPage { sku: "A-1".into(), title: "Lost".into(), ..Default::default() };
    api.write("A-1", "details", &details).await;
    api.move_silently("catalog", 1, 1, 1).await;
    assert_eq!(events.title().await, "Lost");
}
