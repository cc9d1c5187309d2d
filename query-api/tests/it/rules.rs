//! HTTP's own rules (RFC 9110), for every route of the query API: a route that the document has and the table lacks fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use daybook_http::{Cors, Gate, Problem};
use daybook_projections::prepare;
use daybook_proto::v1::Caller;
use daybook_query_api::QueryModel;
use daybook_testkit::eventually;
use daybook_testkit::http::{Answer, Exchange, ask, request, routes};
use reqwest::StatusCode;
use shop_projectors::read_models;

use crate::filled_pages::put_cart;
use crate::search::{put_product, schema};
use crate::support::{Api, Prepared, surface};

/// What a route can be had as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forms {
    /// JSON, protobuf, or events for those who name them.
    Page,
    List,
    Search,
    Events,
    /// One form, whatever `Accept` says.
    Fixed,
}

/// The document's path, one that is asked, the same as another client may write it, and the forms.
const ROUTES: [(&str, &str, &str, Forms); 19] = [
    ("/v1/product-pages/{key}", "/v1/product-pages/A-1", "/v1/product-pages/%41-1", Forms::Page),
    ("/v1/product-pages/{key}/page", "/v1/product-pages/A-1/page", "/v1/product-pages/%41-1/page", Forms::Page),
    ("/v1/product-pages/{key}/events", "/v1/product-pages/A-1/events", "/v1/product%2Dpages/A-1/events", Forms::Events),
    ("/v1/page-list/{key}", "/v1/page-list/A-1", "/v1/page-list/A%2d1", Forms::Page),
    ("/v1/page-list/{key}/page", "/v1/page-list/A-1/page", "/v1/page-list/%41-1/page", Forms::Page),
    ("/v1/page-list/{key}/events", "/v1/page-list/A-1/events", "/v1/page-list/%41-1/events", Forms::Events),
    ("/v1/category-listings/{key}", "/v1/category-listings/Home", "/v1/category-listings/H%6Fme", Forms::List),
    ("/v1/category-listings/{key}/page", "/v1/category-listings/Home/page", "/v1/category-listings/H%6Fme/page", Forms::List),
    ("/v1/carts/{key}", "/v1/carts/k-1", "/v1/carts/%6B-1", Forms::Page),
    ("/v1/carts/{key}/page", "/v1/carts/k-1/page", "/v1/carts/%6B-1/page", Forms::Page),
    ("/v1/carts/{key}/events", "/v1/carts/k-1/events", "/v1/carts/%6B-1/events", Forms::Events),
    ("/v1/products/{key}", "/v1/products/A-1", "/v1/products/%41-1", Forms::Page),
    ("/v1/products/{key}/page", "/v1/products/A-1/page", "/v1/products/%41-1/page", Forms::Page),
    ("/v1/products/{key}/events", "/v1/products/A-1/events", "/v1/products/%41-1/events", Forms::Events),
    ("/v1/products/search", "/v1/products/search", "/v1/products/search?q=lamp", Forms::Search),
    ("/v1/products/suggest", "/v1/products/suggest", "/v1/products/suggest?q=la", Forms::Search),
    ("/healthz", "/healthz", "/healthz", Forms::Fixed),
    ("/readyz", "/readyz", "/readyz", Forms::Fixed),
    ("/openapi.json", "/openapi.json", "/openapi.json", Forms::Fixed),
];

/// A query API that has something on every route, for so many who follow.
async fn serving(cors: Option<Cors>, places: usize) -> Api {
    let prepared = Prepared::new().await;
    let products: Vec<_> = read_models().into_iter().filter(|m| m.name == "products").collect();
    prepare(&prepared.database.databases(), &prepared.bus, &products).await.expect("the logs are there");
    put_product(&prepared.database.owner().await, "A-1", "Lamp", 500, 0).await;
    let surface = surface(Gate::anonymous()).await.with_cors(cors);
    let api = Api::begin_on(surface, prepared, |config| {
        config.models.extend(products.iter().map(QueryModel::from));
        config.search = Some(schema());
        config.heartbeat = Duration::from_secs(3_600);
        config.max_subscribers = places;
    })
    .await;
    eventually("it to follow pushes", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
    api.put_page("A-1").await;
    api.put_list("Home", ["A-1".to_owned()]).await;
    put_cart(&api, &[("A-1", 2)]).await;
    api
}

impl Api {
    async fn asked(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(&self.address, &request(method, path, headers, b"")).await
    }

    /// The answer; of one without end, its first event.
    async fn begun(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut exchange = Exchange::begin(&self.address, &request("GET", path, headers, b"")).await;
        let mut all = exchange.until(b"\r\n\r\n").await;
        let endless = Answer::read(&all).is_some_and(|answer| answer.header("content-type") == Some("text/event-stream"));
        all.extend(if endless { exchange.until(b"\n\n").await } else { exchange.whole().await });
        Answer::read(&all).expect("an answer")
    }
}

/// What does not differ from one answer to the next of the same.
fn told(answer: &Answer) -> BTreeSet<(String, String)> {
    answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_has_every_route_of_the_document() {
    let api = serving(None, 1_000).await;
    let document = api.asked("GET", "/openapi.json", &[]).await.json();
    let table = ROUTES.iter().map(|(path, ..)| ("get".to_owned(), (*path).to_owned()));
    assert_eq!(routes(&document), table.collect::<BTreeSet<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_answers_its_own_methods_and_says_which_they_are() {
    let api = serving(None, 1_000).await;
    for (_, path, other, forms) in ROUTES {
        for path in [path, other] {
            for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "QUERY"] {
                let answer = api.asked(method, path, &[]).await;
                answer.problem(405);
                assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"), "{method} {path}");
            }
            let options = api.asked("OPTIONS", path, &[]).await;
            assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, OPTIONS")), "{path}");
            for method in ["BREW", "get"] {
                api.asked(method, path, &[]).await.problem(501);
            }
            let head = api.asked("HEAD", path, &[]).await;
            let get = api.begun(path, &[("Connection", "close")]).await;
            assert_eq!((head.status, &head.body[..], get.status), (200, &b""[..], 200), "{path}");
            // What is read twice may have got further, and an answer without end has no length.
            let steady = |answer: &Answer| told(answer).into_iter().filter(|(n, _)| n != "transfer-encoding").collect::<Vec<_>>();
            assert_eq!(steady(&head), steady(&get), "{path}");
            if forms != Forms::Events {
                assert!(head.header("content-length").is_some_and(|length| length == get.body.len().to_string()), "{head:?}");
            }
        }
    }
    for (path, status) in [
        ("/", 404),
        ("/v1", 404),
        ("/v1/product-pages", 404),
        ("/v1/product-pages/", 404),
        ("/v1/product-pages/A-1/", 404),
        ("/v1//A-1", 404),
        ("//v1/product-pages/A-1", 404),
        ("/v1/product-pages/A-1/events/", 404),
        ("/v1/product-pages/A-1/event", 404),
        ("/v1/category-listings/Home/events", 404),
        ("/v1/no-pages/A-1", 404),
        ("/v1/product-pages%2FA-1", 404),
        ("/v1/product-pages/A%2F1", 404),
        ("/v1/product-pages/..", 404),
        ("/v1/product-pages/A%001", 400),
        ("/v1/product-pages/%FF", 400),
        ("/v1/product-pages/%C3", 400),
        ("/v1/%FF/A-1", 400),
        ("/openapi%2Ejson", 404),
    ] {
        api.asked("GET", path, &[]).await.problem(status);
        let head = api.asked("HEAD", path, &[]).await;
        assert_eq!((head.status, &head.body[..]), (status, &b""[..]), "{path}");
    }
    for method in ["GET", "POST", "OPTIONS", "DELETE"] {
        let near = api.asked(method, "/v1/product-page/A-1", &[]).await.problem(404);
        assert_eq!(near["near"][0], "product-pages");
        api.asked(method, "/v1/%FF/A-1", &[]).await.names("readModel");
        api.asked(method, "/v1/product-pages/caf%E9", &[]).await.names("key");
    }
    assert_eq!(api.asked("OPTIONS", "*", &[]).await.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
    api.asked("CONNECT", "daybook:80", &[]).await.problem(501);
    for host in ["", "Host: a\r\nHost: a\r\n"] {
        let request = format!("GET /v1/product-pages/A-1 HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        ask(&api.address, request.as_bytes()).await.names("Host");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_chooses_among_what_there_is_by_weight_and_how_specific_it_is() {
    const JSON: &str = "application/json";
    const PROTOBUF: &str = "application/x-protobuf";
    const EVENTS: &str = "text/event-stream";
    const NONE: &str = "406";
    const BAD: &str = "400";
    let api = serving(None, 1_000).await;
    // Accept; a page, a list, a search, a live query.
    let table: [(&[&str], [&str; 4]); 24] = [
        (&[], [JSON, JSON, JSON, EVENTS]),
        (&[""], [JSON, JSON, JSON, EVENTS]),
        (&["*/*"], [JSON, JSON, JSON, EVENTS]),
        (&["*/*;q=0.001"], [JSON, JSON, JSON, EVENTS]),
        (&["*/*;q=0"], [NONE, NONE, NONE, NONE]),
        (&["application/*"], [JSON, JSON, JSON, NONE]),
        (&["Application/X-Protobuf;Q=0.3"], [PROTOBUF, PROTOBUF, NONE, NONE]),
        (&["text/event-stream"], [EVENTS, NONE, NONE, EVENTS]),
        (&["text/event-stream;q=0.2, application/json"], [JSON, JSON, JSON, EVENTS]),
        (&["text/event-stream;q=0, */*;q=0.1"], [JSON, JSON, JSON, NONE]),
        (&["text/event-stream, */*;q=0.1"], [EVENTS, JSON, JSON, EVENTS]),
        (&["text/event-stream, application/json"], [JSON, JSON, JSON, EVENTS]),
        (&["text/*"], [NONE, NONE, NONE, EVENTS]),
        (&["text/html;x=\", text/event-stream,\", */*;q=0.1"], [JSON, JSON, JSON, EVENTS]),
        (&["text/html;x=\"text/event-stream\""], [NONE, NONE, NONE, NONE]),
        (&["image/png"], [NONE, NONE, NONE, NONE]),
        (&["application/json;q=0, application/x-protobuf;q=0.001"], [PROTOBUF, PROTOBUF, NONE, NONE]),
        (&["application/json;q=0.1, application/*;q=0.5, */*"], [PROTOBUF, PROTOBUF, JSON, EVENTS]),
        (&["application/json;charset=UTF-8"], [JSON, JSON, JSON, NONE]),
        (&["application/json;version=1, application/x-protobuf;q=0.1"], [PROTOBUF, PROTOBUF, NONE, NONE]),
        (&["image/png", "application/x-protobuf"], [PROTOBUF, PROTOBUF, NONE, NONE]),
        (&["application/json;q=2, application/x-protobuf;q=0.1"], [PROTOBUF, PROTOBUF, NONE, NONE]),
        (&["nonsense"], [BAD, BAD, BAD, BAD]),
        (&["text/html, application/xhtml+xml, application/xml;q=0.9, image/avif, */*;q=0.8"], [JSON, JSON, JSON, EVENTS]),
    ];
    for (_, path, other, forms) in ROUTES {
        for path in [path, other] {
            for (accept, expected) in &table {
                let headers: Vec<(&str, &str)> = accept.iter().map(|value| ("Accept", *value)).collect();
                let answer = api.begun(path, &headers).await;
                let expected = match forms {
                    Forms::Page => expected[0],
                    Forms::List => expected[1],
                    Forms::Search => expected[2],
                    Forms::Events => expected[3],
                    Forms::Fixed => {
                        assert_eq!(answer.status, 200, "{path} for {accept:?}");
                        continue;
                    }
                };
                match expected {
                    BAD => answer.names("Accept"),
                    NONE => {
                        let available = answer.problem(406)["available"].as_array().expect("what there is").len();
                        assert_eq!(available, [3, 2, 1, 1][forms as usize], "{path}");
                    }
                    form => assert_eq!((answer.status, answer.header("content-type")), (200, Some(form)), "{path} for {accept:?}"),
                }
                assert_eq!(answer.header("vary"), Some("Accept"), "{path} for {accept:?}");
                if answer.status == 200 {
                    let kept = if expected == EVENTS { "no-store" } else { "no-cache" };
                    assert_eq!(answer.header("cache-control"), Some(kept), "{path}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_compared_with_the_state_that_would_be_sent() {
    let api = serving(None, 1_000).await;
    for (_, path, other, forms) in ROUTES {
        if !matches!(forms, Forms::Page | Forms::List | Forms::Search) {
            continue;
        }
        for path in [path, other] {
            let etag = api.asked("GET", path, &[]).await.header("etag").expect("a tag").to_owned();
            let weak = format!("W/{etag}");
            let list = format!("\"x,y\", {etag} , \"z\"");
            for method in ["GET", "HEAD"] {
                let ask = async |name: &str, value: &str| api.asked(method, path, &[(name, value)]).await;
                for known in [etag.as_str(), &weak, &list, "*", " * "] {
                    let answer = ask("If-None-Match", known).await;
                    assert_eq!((answer.status, answer.header("etag"), &answer.body[..]), (304, Some(&*etag), &b""[..]), "{path} {known}");
                }
                for unknown in ["\"x\"", "", etag.trim_matches('"'), "W/\"x\""] {
                    assert_eq!(ask("If-None-Match", unknown).await.status, 200, "{path} {unknown}");
                }
                for held in [etag.as_str(), &list, "*"] {
                    assert_eq!(ask("If-Match", held).await.status, 200, "{path} {held}");
                }
                for other in [weak.as_str(), "\"x\", \"y\""] {
                    let answer = ask("If-Match", other).await;
                    assert_eq!((answer.status, answer.header("cache-control")), (412, Some("no-store")), "{path} {other}");
                }
                assert_eq!(ask("If-Match", "x").await.status, 400);
                // If-Match is looked at first.
                let both = api.asked(method, path, &[("If-Match", "\"x\""), ("If-None-Match", &etag)]).await;
                assert_eq!(both.status, 412);
                // There is no date to compare, and no part to be had: passed over.
                let date = "Sun, 29 Nov 2026 00:00:00 GMT";
                for (name, value) in
                    [("If-Modified-Since", date), ("If-Unmodified-Since", date), ("Range", "bytes=0-1"), ("If-Range", &etag)]
                {
                    assert_eq!(ask(name, value).await.status, 200, "{path} {name}");
                }
            }
            api.asked("GET", path, &[("If-Match", "\"x\"")]).await.problem(412);
        }
    }
    api.asked("GET", "/v1/product-pages/none", &[("If-Match", "*")]).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_not_known_or_stands_twice_is_named() {
    let api = serving(None, 1_000).await;
    for (_, path, _, forms) in ROUTES {
        if forms == Forms::Fixed {
            assert_eq!(api.asked("GET", &format!("{path}?t=1"), &[]).await.status, 200, "whoever looks after it may say when");
            continue;
        }
        for (query, name) in [
            ("dry_run=true", "dry_run"),
            ("fields=a", "fields"),
            ("=", ""),
            ("AT=1", "AT"),
            ("q=%ff", "q"),
            ("at=caf%E9", "at"),
            ("%FE=1", "%FE"),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = api.asked(method, &format!("{path}?{query}"), &[]).await;
                assert_eq!(answer.status, 400, "{path}?{query}");
                if method == "GET" {
                    answer.names(name);
                }
            }
        }
        // What is off here, as the past is, is not offered.
        let message = api.asked("GET", &format!("{path}?x=1"), &[]).await.problem(400)["errors"][0]["message"].to_string();
        match forms {
            Forms::List => assert!(message.contains("there are page_size, page_token"), "{message}"),
            Forms::Search => {}
            _ => assert!(message.contains("none is taken here"), "{message}"),
        }
        let twice = match forms {
            Forms::List => Some("page_size"),
            Forms::Search => Some("q"),
            _ => None,
        };
        if let Some(twice) = twice {
            api.asked("GET", &format!("{path}?{twice}=1&{twice}=1"), &[]).await.names(twice);
        } else {
            api.asked("GET", &format!("{path}?page_size=1"), &[]).await.names("page_size");
        }
        assert_eq!(api.begun(&format!("{path}?"), &[]).await.status, 200, "{path}?");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_nothing_more_is_answered_all_the_same() {
    let api = serving(None, 1_000).await;
    for (_, path, other, forms) in ROUTES {
        for path in [path, other] {
            let headers: &[(&str, &str)] =
                if forms == Forms::Page { &[("Prefer", "wait=1"), ("Consistency-Token", "catalog/1:-1@1")] } else { &[] };
            for headers in [headers, &[]] {
                let mut exchange = Exchange::begin(&api.address, &request("GET", path, headers, b"")).await;
                exchange.shut().await;
                let mut all = exchange.until(b"\r\n\r\n").await;
                let endless = Answer::read(&all).is_some_and(|answer| answer.header("content-type") == Some("text/event-stream"));
                // It goes on listening, and comments show that it is heard.
                all.extend(if endless { exchange.until(b":\n\n\r\n3\r\n:\n\n").await } else { exchange.whole().await });
                let answer = Answer::read(&all).expect("an answer");
                assert_eq!(answer.status, 200, "{path}");
            }
        }
    }
    let one = String::from_utf8(request("GET", "/v1/product-pages/A-1", &[], b"")).expect("text");
    let (one, two) = (one.replace("Connection: close\r\n", ""), one);
    let mut exchange = Exchange::begin(&api.address, format!("{one}{one}{two}").as_bytes()).await;
    exchange.shut().await;
    let all = String::from_utf8(exchange.whole().await).expect("text");
    assert_eq!(all.matches("HTTP/1.1 200").count(), 3, "{all}");
}

/// Heartbeats are an hour apart here: a place is free because the client's end was seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_leaves_nothing_behind() {
    let api = serving(None, 2).await;
    let listens = async || {
        let mut exchange = Exchange::begin(&api.address, &request("GET", "/v1/product-pages/A-1/events", &[], b"")).await;
        let head = exchange.until(b"\r\n\r\n").await;
        head.starts_with(b"HTTP/1.1 200").then_some(exchange)
    };
    for _ in 0..3 {
        let one = eventually("a place", &listens).await;
        let two = eventually("another", &listens).await;
        assert!(listens().await.is_none(), "there are two");
        drop((one, two));
    }
    // One that waits for a token, and goes.
    let headers = [("Prefer", "wait=1"), ("Consistency-Token", "catalog/1:77@1")];
    let mut exchange = Exchange::begin(&api.address, &request("GET", "/v1/product-pages/A-1", &headers, b"")).await;
    eventually("it to wait", || async { (api.api.waits() == 1).then_some(()) }).await;
    exchange.shut().await;
    drop(exchange);
    eventually("nobody to wait", || async { (api.api.waits() == 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_of_the_origins_that_are_set_may_ask_and_no_others() {
    let origin = "https://shop.example";
    let asks = [("Origin", origin), ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "consistency-token")];
    for set in ["", "*", "https://shop.example,http://localhost:3000", "https://other.example"] {
        let api = serving(Cors::of(set.split(',')).expect("origins"), 1_000).await;
        let allowed = match set {
            "*" => Some("*"),
            set if set.contains(origin) => Some(origin),
            _ => None,
        };
        for (_, path, other, forms) in ROUTES {
            for path in [path, other] {
                let preflight = api.asked("OPTIONS", path, &asks).await;
                assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, allowed), "{path} for {set:?}");
                let may = |name: &str| preflight.header(name).map(str::to_ascii_lowercase).unwrap_or_default();
                for wanted in ["consistency-token", "if-none-match", "last-event-id"] {
                    assert_eq!(may("access-control-allow-headers").contains(wanted), allowed.is_some(), "{preflight:?}");
                }
                assert!(api.asked("OPTIONS", path, &[("Origin", origin)]).await.header("allow").is_some());
                for headers in [&[("Origin", origin)][..], &[]] {
                    let answer = api.begun(path, headers).await;
                    let expected = allowed.filter(|allowed| *allowed == "*" || !headers.is_empty());
                    assert_eq!(answer.header("access-control-allow-origin"), expected, "{path} for {set:?}");
                    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
                    for wanted in ["Consistency-Position", "ETag", "Daybook-Stale", "Daybook-Hidden-Streams", "Retry-After"] {
                        assert_eq!(exposed.contains(wanted), expected.is_some(), "{path} {exposed}");
                    }
                    let negotiated = if forms == Forms::Fixed { "" } else { "Accept" };
                    let vary = if set.contains("https") { format!("{negotiated}, Origin") } else { negotiated.to_owned() };
                    assert_eq!(answer.all("vary"), vary.trim_start_matches(", "), "{path} for {set:?}");
                    assert_eq!(answer.header("access-control-allow-credentials"), None);
                }
            }
        }
        let missing = api.asked("GET", "/v1/product-pages/none", &[("Origin", origin)]).await;
        missing.problem(404);
        assert_eq!(missing.header("access-control-allow-origin"), allowed, "a page may read why");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_gate_answers_first() {
    // Closed once the page is held: what memory answers at once is what a gate may miss.
    let (open, prepared) = (Arc::new(AtomicBool::new(true)), Prepared::new().await);
    let seen = open.clone();
    let gate = Gate::new(move |_| match seen.load(SeqCst) {
        true => Ok(Arc::new(Caller::anonymous())),
        false => Err(Problem::new(StatusCode::UNAUTHORIZED, "nobody is let in")),
    });
    let api = Api::begin_on(surface(gate).await, prepared, |_| {}).await;
    eventually("it to follow pushes", || async { api.api.readiness().await.is_whole().then_some(()) }).await;
    api.put_page("A-1").await;
    let page = "/v1/product-pages/A-1";
    assert_eq!(api.asked("GET", page, &[]).await.status, 200);
    let loads = api.api.loads();
    assert_eq!((api.asked("GET", page, &[]).await.status, api.api.loads()), (200, loads), "it is held");
    open.store(false, SeqCst);
    for path in ROUTES.iter().flat_map(|(_, path, other, _)| [*path, *other]).chain([
        "/v1/product-pages/A-2",
        "/v1/no-model/A-1",
        "/",
        "*",
        "/v1/product-pages/%FF",
    ]) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "QUERY", "OPTIONS", "BREW"] {
            let answer = api.asked(method, path, &[]).await;
            assert_eq!((answer.status, answer.header("etag")), (401, None), "{method} {path}");
        }
        api.asked("GET", path, &[("Consistency-Token", "catalog/1:77@1"), ("Accept", "text/event-stream")]).await.problem(401);
    }
    ask(&api.address, b"GET /v1/product-pages/A-1 HTTP/1.1\r\nConnection: close\r\n\r\n").await.problem(401);
    assert_eq!((api.api.loads(), api.api.waits()), (loads, 0), "nothing was read, and nobody waits");
    open.store(true, SeqCst);
    assert_eq!(api.asked("GET", page, &[]).await.status, 200);
}
