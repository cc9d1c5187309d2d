//! HTTP's own rules (RFC 9110), for every route of the endpoint: a route that the document has and the table lacks fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use daybook_bus::headers;
use daybook_command_handlers::HandlerConfig;
use daybook_http::{Cors, Gate, Problem};
use daybook_proto::v1::{Caller, Who};
use daybook_testkit::http::{Answer, Exchange, ask, packed, request, routes};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Install, PARTITIONS, Process, key, partition_of, product, shop, surface};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Every command with a body that is decided.
fn commands() -> Vec<(&'static str, Value)> {
    let stock = |more: Value| {
        let mut body = json!({ "sku": "A-1", "warehouse": "w-1" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let order = || stock(json!({ "orderId": "o-1" }));
    let attempt = || json!({ "orderId": "o-1", "attempt": 1 });
    vec![
        ("/v1/catalog/create-product", json!({ "sku": "A-1", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1999 } })),
        ("/v1/catalog/revise-product", json!({ "sku": "A-1", "title": "Another lamp" })),
        ("/v1/catalog/reprice-product", json!({ "sku": "A-1", "price": { "currency": "EUR", "minorUnits": 999 } })),
        ("/v1/catalog/categorize-product", json!({ "sku": "A-1", "category": "lamps" })),
        ("/v1/catalog/attach-media", json!({ "sku": "A-1", "media": { "url": "https://example.org/a.png", "kind": "MEDIA_KIND_IMAGE" } })),
        ("/v1/catalog/detach-media", json!({ "sku": "A-1", "url": "https://example.org/a.png" })),
        ("/v1/catalog/publish-product", json!({ "sku": "A-1" })),
        ("/v1/catalog/retire-product", json!({ "sku": "A-2" })),
        ("/v1/inventory/receive-stock", stock(json!({ "quantity": 5 }))),
        ("/v1/inventory/adjust-stock", stock(json!({ "delta": 1, "reason": "found" }))),
        ("/v1/inventory/count-stock", stock(json!({ "counted": 4, "reason": "counted" }))),
        ("/v1/inventory/reserve-stock", stock(json!({ "orderId": "o-1", "quantity": 2 }))),
        ("/v1/inventory/extend-reservation", order()),
        ("/v1/inventory/confirm-reservation", order()),
        ("/v1/inventory/commit-stock", order()),
        ("/v1/inventory/release-stock", order()),
        ("/v1/inventory/write-off-stock", stock(json!({ "orderId": "o-1", "reason": "not found" }))),
        ("/v1/inventory/expire-reservation", stock(json!({ "orderId": "o-1", "dueAt": "2026-01-01T00:00:00Z" }))),
        ("/v1/inventory/set-reorder-point", stock(json!({ "reorderPoint": 1 }))),
        ("/v1/inventory/open-reorder-proposal", stock(json!({ "reorderPoint": 5, "available": 3, "stockVersion": 1 }))),
        ("/v1/inventory/raise-reorder-proposal", stock(json!({ "quantity": 50, "reference": "PO-7" }))),
        ("/v1/inventory/close-reorder-proposal", stock(json!({ "available": 9, "stockVersion": 2 }))),
        ("/v1/inventory/start-transfer", stock(json!({ "transferId": "t-1", "to": "w-2", "quantity": 1 }))),
        ("/v1/inventory/finish-transfer", stock(json!({ "transferId": "t-2", "from": "w-2", "quantity": 1 }))),
        ("/v1/inventory/open-warehouse", json!({ "warehouse": "w-1", "priority": 1, "countries": ["DE"] })),
        ("/v1/inventory/close-warehouse", json!({ "warehouse": "w-1" })),
        ("/v1/inventory/allocate-order", json!({ "orderId": "o-1", "attempt": 1, "lines": [{ "sku": "A-1", "quantity": 1 }] })),
        ("/v1/inventory/confirm-allocation", attempt()),
        ("/v1/inventory/release-allocation", attempt()),
        ("/v1/inventory/time-out-allocation", attempt()),
        ("/v1/inventory/record-stock-answer", stock(json!({ "orderId": "o-1", "ask": 1, "answer": "STOCK_ANSWER_HELD", "quantity": 1 }))),
    ]
}

const OPERATIONS: [&str; 3] = ["/healthz", "/readyz", "/openapi.json"];

struct Endpoint {
    install: Install,
    process: Process,
    /// The address of a deferred result.
    handle: String,
}

impl Endpoint {
    async fn new(cors: Option<Cors>) -> Self {
        let install = Install::new().await;
        let surface = surface(Gate::anonymous()).await.with_cors(cors);
        let process = install.process_on(surface, shop(), HandlerConfig::default(), &["catalog", "inventory"]).await;
        let body = json!({ "sku": "A-2", "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } }).to_string();
        let headers = [JSON, ("Idempotency-Key", &key()), ("Prefer", "respond-async")];
        let accepted = ask(&process.url, &request("POST", "/v1/catalog/create-product", &headers, body.as_bytes())).await;
        let handle = accepted.header("location").expect("a handle").to_owned();
        let endpoint = Self { install, process, handle };
        daybook_testkit::eventually("the command to be decided", || async {
            (endpoint.ask("GET", &endpoint.handle, &[], b"").await.status == 200).then_some(())
        })
        .await;
        endpoint
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        ask(&self.process.url, &request(method, path, headers, body)).await
    }

    /// A command under a key.
    async fn post(&self, path: &str, key: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![("Idempotency-Key", key), ("Prefer", "wait=25")];
        all.extend(headers);
        self.ask("POST", path, &all, body).await
    }

    /// The paths that answer GET.
    fn read(&self) -> Vec<&str> {
        OPERATIONS.into_iter().chain([self.handle.as_str()]).collect()
    }

    async fn stop(self) {
        self.process.stop().await;
    }
}

/// A result, with any decision.
#[track_caller]
fn decided(answer: &Answer) {
    assert!([200, 409].contains(&answer.status), "{answer:?}");
    assert!(answer.json()["token"].is_string(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_has_every_route_of_the_document() {
    let endpoint = Endpoint::new(None).await;
    let document = endpoint.ask("GET", "/openapi.json", &[], b"").await.json();
    let posted = commands().into_iter().map(|(path, _)| ("post".to_owned(), path.to_owned()));
    let read = OPERATIONS.into_iter().chain(["/v1/commands/{handle}"]).map(|path| ("get".to_owned(), path.to_owned()));
    assert_eq!(routes(&document), posted.chain(read).collect::<BTreeSet<_>>());
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_answers_its_own_methods_and_says_which_they_are() {
    let endpoint = Endpoint::new(None).await;
    let posted = commands();
    let routes =
        posted.iter().map(|(path, _)| (*path, "OPTIONS, POST")).chain(endpoint.read().into_iter().map(|p| (p, "GET, HEAD, OPTIONS")));
    for (path, allow) in routes {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "QUERY"].into_iter().filter(|m| !allow.contains(m)) {
            let answer = endpoint.ask(method, path, &[], b"").await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
            if method == "HEAD" {
                assert_eq!(answer.body, b"", "{path}");
            } else {
                answer.problem(405);
            }
        }
        let options = endpoint.ask("OPTIONS", path, &[], b"").await;
        assert_eq!((options.status, options.header("allow"), &options.body[..]), (204, Some(allow), &b""[..]), "{path}");
        for method in ["BREW", "get", "M-SEARCH"] {
            endpoint.ask(method, path, &[], b"").await.problem(501);
        }
    }
    for path in endpoint.read() {
        let (get, head) = (endpoint.ask("GET", path, &[], b"").await, endpoint.ask("HEAD", path, &[], b"").await);
        assert_eq!((head.status, &head.body[..]), (get.status, &b""[..]), "{path}");
        let told = |answer: &Answer| answer.headers.iter().filter(|(n, _)| n != "date").cloned().collect::<BTreeSet<_>>();
        assert_eq!(told(&head), told(&get), "{path}");
    }
    // A route that is not there has no methods; neither has a text that is no path.
    for path in
        ["/v1/catalog/make-coffee", "/v1/coffee/create-product", "/v2", "/", "//v1/catalog/create-product", "/v1/catalog/create-product/"]
    {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            endpoint.ask(method, path, &[], b"").await.problem(404);
        }
    }
    for (path, name) in [
        ("/v1/catalog/%FF", "command"),
        ("/v1/catalog/caf%E9", "command"),
        ("/v1/%C3/create-product", "service"),
        ("/v1/commands/%FF", "handle"),
    ] {
        endpoint.ask("OPTIONS", path, &[], b"").await;
        endpoint.ask(if path.contains("commands") { "GET" } else { "POST" }, path, &[], b"").await.names(name);
    }
    for path in ["/v1/catalog%2Fcreate-product", "/v1/catalog/create-product%00", "/v1/catalog/%2E%2E"] {
        endpoint.ask("POST", path, &[], b"").await.problem(404);
    }
    assert_eq!(endpoint.ask("OPTIONS", "*", &[], b"").await.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
    endpoint.ask("CONNECT", "daybook:80", &[], b"").await.problem(501);
    for request in
        ["GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"]
    {
        ask(&endpoint.process.url, request.as_bytes()).await.names("Host");
    }
    assert_eq!(ask(&endpoint.process.url, b"GET /healthz HTTP/1.0\r\n\r\n").await.status, 200, "an older client names no host");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_taken_in_every_coding_and_whatever_form_of_answer_is_liked() {
    let endpoint = Endpoint::new(None).await;
    for (path, body) in commands() {
        let (key, body) = (key(), body.to_string());
        let plain = endpoint.post(path, &key, &[JSON, ("Accept", "*/*")], body.as_bytes()).await;
        decided(&plain);
        assert_eq!(plain.header("cache-control"), Some("no-store"));
        for coding in ["gzip", "deflate", "zstd"] {
            let again = endpoint.post(path, &key, &[JSON, ("Content-Encoding", coding)], &packed(coding, body.as_bytes())).await;
            assert_eq!((again.status, again.json()), (plain.status, plain.json()), "{path} in {coding}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{path} in {coding} is the same command");
        }
        // One form of answer: its receipt is nobody's reason to refuse a command.
        for accept in ["text/html", "application/json;q=0", "*/*;q=0", "text/event-stream", "nonsense", "application/x-protobuf", ""] {
            let again = endpoint.post(path, &key, &[JSON, ("Accept", accept)], body.as_bytes()).await;
            assert_eq!((again.status, again.json()), (plain.status, plain.json()), "{path} for {accept:?}");
        }
    }
    for path in endpoint.read() {
        let plain = endpoint.ask("GET", path, &[], b"").await;
        for accept in ["image/png", "application/json;q=0", "text/event-stream", "nonsense"] {
            let answer = endpoint.ask("GET", path, &[("Accept", accept)], b"").await;
            assert_eq!((answer.status, answer.header("content-type")), (200, plain.header("content-type")), "{path} for {accept}");
        }
    }
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_what_its_headers_say_is_refused_with_what_would_be() {
    let endpoint = Endpoint::new(None).await;
    for (path, body) in commands() {
        let body = body.to_string();
        let send = async |headers: &[(&str, &str)], body: &[u8]| endpoint.post(path, &key(), headers, body).await;
        for coding in ["br", "compress", "gzip, gzip", "zstd, gzip", "aws-chunked", "gzip;q=1"] {
            let answer = send(&[JSON, ("Content-Encoding", coding)], body.as_bytes()).await;
            let title = answer.problem(415)["title"].to_string();
            assert!(title.contains("Content-Encoding"), "{title}");
            assert_eq!(answer.header("accept-encoding"), Some("gzip, deflate, zstd"), "{coding}");
        }
        for coding in ["gzip", "deflate", "zstd"] {
            let good = packed(coding, body.as_bytes());
            send(&[JSON, ("Content-Encoding", coding)], body.as_bytes()).await.names("Content-Encoding");
            send(&[JSON, ("Content-Encoding", coding)], &good[..good.len() - 1]).await.names("Content-Encoding");
            send(&[JSON, ("Content-Encoding", coding)], &[&good[..], b"more"].concat()).await.names("Content-Encoding");
        }
        for kind in [
            "text/plain",
            "application/json;charset=latin1",
            "application/json;charset=utf-16",
            "application/json, application/json",
            "json",
            "",
        ] {
            let answer = send(&[("Content-Type", kind)], body.as_bytes()).await;
            answer.problem(415);
        }
        for kind in ["application/json; charset=UTF-8", "APPLICATION/JSON;charset=\"utf-8\"", "application/json;q=1"] {
            decided(&send(&[("Content-Type", kind)], body.as_bytes()).await);
        }
        send(&[JSON, JSON], body.as_bytes()).await.names("Content-Type");
        send(&[], body.as_bytes()).await.problem(415);
        send(&[JSON], b"").await.names("");
        send(&[JSON], format!("{body} {body}").as_bytes()).await.problem(400);
        send(&[JSON], format!("{body}garbage").as_bytes()).await.problem(400);
    }
    let count = "SELECT (SELECT count(*) FROM catalog.command) + (SELECT count(*) FROM inventory.command)";
    // The one that made the handle, and three of each command.
    assert_eq!(endpoint.install.count(count).await, 1 + 3 * commands().len() as i64, "nothing else was done");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_body_is_bounded_as_any_other_is() {
    let endpoint = Endpoint::new(None).await;
    for coding in ["gzip", "deflate", "zstd"] {
        // A hundred megabytes in as many kilobytes.
        let bomb = packed(coding, &vec![b' '; 100 << 20]);
        assert!(bomb.len() < 512 << 10, "{coding}: {}", bomb.len());
        // More than is taken also as it comes: it is read to its end.
        let mut noise = Vec::new();
        while noise.len() < 3 << 20 {
            noise.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        let noise = packed(coding, &noise);
        assert!(noise.len() > 2 << 20, "{coding}: {}", noise.len());
        for (path, _) in commands() {
            for body in [&bomb, &noise] {
                let answer = endpoint.post(path, &key(), &[JSON, ("Content-Encoding", coding)], body).await;
                assert_eq!(answer.problem(413)["limit"], 512 << 10);
            }
        }
    }
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_that_is_not_known_is_named_and_what_rfc_9110_has_passed_over_is() {
    let endpoint = Endpoint::new(None).await;
    for (path, body) in commands() {
        let body = body.to_string();
        for (query, name) in
            [("dry_run=true", "dry_run"), ("a=1&b=2", "a"), ("%C3%A4", "ä"), ("=", ""), ("wait=%ff", "wait"), ("k%C3=1", "k%C3")]
        {
            endpoint.post(&format!("{path}?{query}"), &key(), &[JSON], body.as_bytes()).await.names(name);
        }
        decided(&endpoint.post(&format!("{path}?"), &key(), &[JSON], body.as_bytes()).await);
        let date = "Sun, 29 Nov 2026 00:00:00 GMT";
        for (name, value) in
            [("If-None-Match", "*"), ("If-None-Match", "\"7\""), ("If-Unmodified-Since", date), ("Content-Range", "bytes 0-1/9")]
        {
            endpoint.post(path, &key(), &[JSON, (name, value)], body.as_bytes()).await.names(name);
        }
        for (name, value) in [("Range", "bytes=0-1"), ("If-Range", "\"7\""), ("If-Modified-Since", date), ("Expect", "100-continue")] {
            decided(&endpoint.post(path, &key(), &[JSON, (name, value)], body.as_bytes()).await);
        }
        endpoint.post(path, &key(), &[JSON, ("Expect", "miracles")], body.as_bytes()).await.problem(417);
        for name in ["If-Match", "Daybook-Actor", "Daybook-Reason", "Correlation-Id"] {
            endpoint.post(path, &key(), &[JSON, (name, "\"1\""), (name, "\"1\"")], body.as_bytes()).await.names(name);
        }
    }
    endpoint.ask("GET", &format!("{}?wait=1", endpoint.handle), &[], b"").await.names("wait");
    endpoint.ask("GET", &format!("{}?wait=%E9", endpoint.handle), &[], b"").await.names("wait");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_nothing_more_is_answered_all_the_same() {
    let endpoint = Endpoint::new(None).await;
    let url = &endpoint.process.url;
    for (path, body) in commands() {
        let headers = [JSON, ("Idempotency-Key", &key()), ("Prefer", "wait=25")];
        let mut exchange = Exchange::begin(url, &request("POST", path, &headers, body.to_string().as_bytes())).await;
        exchange.shut().await;
        decided(&Answer::read(&exchange.whole().await).expect("an answer"));
    }
    for path in endpoint.read() {
        let mut exchange = Exchange::begin(url, &request("GET", path, &[], b"")).await;
        exchange.shut().await;
        assert_eq!(Answer::read(&exchange.whole().await).expect("an answer").status, 200, "{path}");
    }
    // Two in a row, and then no more.
    let (mut two, get) = (request("GET", "/healthz", &[], b""), request("GET", &endpoint.handle, &[], b""));
    two = String::from_utf8(two).expect("text").replace("Connection: close\r\n", "").into_bytes();
    let mut exchange = Exchange::begin(url, &[two, get].concat()).await;
    exchange.shut().await;
    let both = String::from_utf8(exchange.whole().await).expect("text");
    assert_eq!(both.matches("HTTP/1.1 200").count(), 2, "{both}");
    // A body that ends before it should is no command.
    let whole = request("POST", "/v1/catalog/publish-product", &[JSON, ("Idempotency-Key", &key())], br#"{"sku":"A-1"}   "#);
    let mut exchange = Exchange::begin(url, &whole[..whole.len() - 3]).await;
    exchange.shut().await;
    Answer::read(&exchange.whole().await).expect("an answer").problem(400);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leave_to_send_a_body_is_given_when_it_is_wanted_and_only_then() {
    let endpoint = Endpoint::new(None).await;
    let url = &endpoint.process.url;
    let (k, body) = (key(), br#"{"sku":"A-2"}"#);
    let headers = [JSON, ("Idempotency-Key", k.as_str()), ("Expect", "100-continue"), ("Prefer", "wait=25")];
    let whole = request("POST", "/v1/catalog/publish-product", &headers, body);
    let mut exchange = Exchange::begin(url, &whole[..whole.len() - body.len()]).await;
    assert_eq!(exchange.until(b"\r\n\r\n").await, b"HTTP/1.1 100 Continue\r\n\r\n");
    exchange.send(body).await;
    decided(&Answer::read(&exchange.whole().await).expect("an answer"));
    // A request that is refused for its head alone is so before the body is sent.
    let headers = [JSON, ("Idempotency-Key", k.as_str()), ("Expect", "100-continue"), ("Content-Encoding", "br")];
    let whole = request("POST", "/v1/catalog/publish-product", &headers, body);
    let mut exchange = Exchange::begin(url, &whole[..whole.len() - body.len()]).await;
    let all = exchange.whole().await;
    assert!(all.starts_with(b"HTTP/1.1 415"), "{:?}", String::from_utf8_lossy(&all));
    // And where the client did not ask, the body is read, so that it sees the answer.
    let large = vec![b' '; 4 << 20];
    endpoint.post("/v1/catalog/publish-product", &k, &[JSON, ("Content-Encoding", "br")], &large).await.problem(415);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_pages_of_the_origins_that_are_set_may_send_commands_and_no_others() {
    let origin = "https://shop.example";
    let asks =
        [("Origin", origin), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "idempotency-key,content-type")];
    let body = json!({ "sku": "A-2" }).to_string();
    for set in ["", "*", "https://shop.example,http://localhost:3000", "https://other.example"] {
        let endpoint = Endpoint::new(Cors::of(set.split(',')).expect("origins")).await;
        let allowed = match set {
            "*" => Some("*"),
            set if set.contains(origin) => Some(origin),
            _ => None,
        };
        let vary = if set.contains("https") { "Origin" } else { "" };
        let commands = commands();
        for path in commands.iter().map(|(path, _)| *path).chain(endpoint.read()) {
            let preflight = endpoint.ask("OPTIONS", path, &asks, b"").await;
            assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, allowed), "{path} for {set:?}");
            let may = |name: &str| preflight.header(name).map(str::to_ascii_lowercase).unwrap_or_default();
            assert_eq!(may("access-control-allow-methods").contains("post"), allowed.is_some(), "{preflight:?}");
            assert_eq!(may("access-control-allow-headers").contains("idempotency-key"), allowed.is_some(), "{preflight:?}");
            assert_eq!(may("access-control-max-age"), if allowed.is_some() { "7200" } else { "" });
            // A question of somebody else's is answered as ever.
            assert!(endpoint.ask("OPTIONS", path, &[("Origin", origin)], b"").await.header("allow").is_some());
            let method = if path.contains("/v1/catalog") || path.contains("/v1/inventory") { "POST" } else { "GET" };
            for headers in [&[("Origin", origin)][..], &[]] {
                let answer = endpoint.ask(method, path, headers, b"").await;
                let expected = allowed.filter(|allowed| *allowed == "*" || !headers.is_empty());
                assert_eq!(answer.header("access-control-allow-origin"), expected, "{path} for {set:?}");
                let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
                assert_eq!(exposed.contains("Consistency-Token") && exposed.contains("Location"), expected.is_some());
                assert_eq!(answer.all("vary"), vary, "{path} for {set:?}");
                assert_eq!(answer.header("access-control-allow-credentials"), None);
            }
        }
        let headers = [JSON, ("Origin", origin)];
        let answer = endpoint.post("/v1/catalog/publish-product", &key(), &headers, body.as_bytes()).await;
        decided(&answer);
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        endpoint.stop().await;
    }
}

/// The server below answers before anything of ours: docs/http.md says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_with_a_byte_that_no_uri_has_is_no_http_and_percent_encoded_it_is_a_path() {
    let endpoint = Endpoint::new(None).await;
    for raw in [">", "<", "`"] {
        let answer = endpoint.ask("GET", &format!("/v1/commands/{raw}"), &[], b"").await;
        assert_eq!((answer.status, answer.body.len()), (400, 0), "{raw}");
    }
    let answer = endpoint.ask("GET", "/v1/commands/%3E", &[], b"").await;
    assert!(answer.status >= 400 && answer.header("content-type") == Some("application/problem+json"), "{}", answer.status);
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_the_gate_answers_first() {
    let install = Install::new().await;
    let closed = Gate::new(|_| Err(Problem::new(StatusCode::UNAUTHORIZED, "nobody is let in")));
    let process = install.begin(surface(closed).await, shop(), HandlerConfig::default(), &["catalog", "inventory"]).await;
    let commands = commands();
    let others = ["/v1/commands/x", "/v1/catalog/make-coffee", "/v1/coffee/brew", "/v1/catalog/%FF", "/", "/v2", "*"];
    for path in commands.iter().map(|(path, _)| *path).chain(OPERATIONS).chain(others) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "QUERY", "OPTIONS", "BREW"] {
            let answer = ask(&process.url, &request(method, path, &[], b"")).await;
            assert_eq!(answer.status, 401, "{method} {path}");
        }
    }
    for (path, body) in &commands {
        let headers = [JSON, ("Idempotency-Key", &key())];
        ask(&process.url, &request("POST", path, &headers, body.to_string().as_bytes())).await.problem(401);
    }
    ask(&process.url, b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").await.problem(401);
    for service in ["catalog", "inventory"] {
        for partition in 0..PARTITIONS.cast_signed() {
            let sent = install.topic(&install.bus.messages(service), partition).await;
            assert!(sent.is_empty(), "nothing was sent to a lane: {sent:?}");
        }
    }
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_sent_by_the_caller_that_the_gate_names() {
    let install = Install::new().await;
    let by_name = Gate::new(|head| {
        let name = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Ok(Arc::new(Caller { kind: Who::Staff.into(), id: name.clone(), key_scope: name, ..Caller::default() }))
    });
    let process = install.process_on(surface(by_name).await, shop(), HandlerConfig::default(), &["catalog"]).await;
    let key = key();
    let send = async |name: &str| {
        let body = product("A-1").to_string();
        let headers = [JSON, ("Idempotency-Key", &key), ("Prefer", "wait=25"), ("Authorization", name)];
        ask(&process.url, &request("POST", "/v1/catalog/create-product", &headers, body.as_bytes())).await
    };
    assert_eq!(send("ada").await.status, 200);
    let again = send("ada").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")), "her own key is a repeat");
    assert_eq!(send("bob").await.status, 409, "the same key of another caller is another command");
    let messages = install.topic(&install.bus.messages("catalog"), partition_of("product/A-1")).await;
    let callers: Vec<_> = messages
        .iter()
        .map(|m| m.headers.get_str(headers::CALLER).expect("a text").and_then(Caller::of_header).map(|c| c.name()))
        .collect();
    assert_eq!(callers, ["STAFF ada", "STAFF ada", "STAFF bob"].map(|name| Some(name.to_owned())));
    process.stop().await;
}
