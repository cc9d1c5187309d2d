//! What is served under a key.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prost::Message as _;
use reqwest::Method;
use serde_json::{Value, json};
use shop_proto::read::v1::ProductPage;

use crate::support::{Api, PROTOBUF, header, problem};

#[tokio::test]
async fn a_page_is_its_parts_merged_as_json_with_defaults_written_out() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let response = api.get("/v1/product-pages/A-1").send().await.expect("it answers");
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "vary"), "Accept");
    assert_eq!(header(&response, "cache-control"), "no-cache");
    let page: Value = response.json().await.expect("JSON");
    assert_eq!(page["price"], json!({ "currency": "EUR", "minorUnits": "1999" }));
    assert_eq!(page["description"], "");
    assert_eq!(page["version"], "0");
    let stock = |w: &str, n: u32| json!({ "warehouse": w, "onHand": n, "reserved": 0, "available": n });
    assert_eq!(page["stock"], json!([stock("B", 2), stock("a", 1)]));
}

#[tokio::test]
async fn protobuf_is_the_stored_bytes() {
    let api = Api::new().await;
    let stored = api.put_page("A-1").await;
    let response = api.get("/v1/product-pages/A-1").header("accept", PROTOBUF).send().await.expect("it answers");
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), PROTOBUF);
    let served = response.bytes().await.expect("a body");
    assert_eq!(served, stored);
    assert_eq!(ProductPage::decode(served).expect("a page").stock.len(), 2);
}

#[tokio::test]
async fn an_etag_is_strong_the_same_for_the_same_bytes_and_another_for_each_form() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let etag = async |accept: &str| {
        let response = api.get("/v1/product-pages/A-1").header("accept", accept).send().await.expect("it answers");
        header(&response, "etag").to_owned()
    };
    let (json, protobuf) = (etag("*/*").await, etag(PROTOBUF).await);
    assert!(json.starts_with('"') && json.ends_with('"'), "{json}");
    assert_ne!(json, protobuf);
    for _ in 0..10 {
        assert_eq!((etag("*/*").await, etag(PROTOBUF).await), (json.clone(), protobuf.clone()));
    }
    let details = ProductPage { sku: "A-1".into(), title: "Another".into(), ..Default::default() };
    api.put("A-1", "details", &details).await;
    assert_ne!(etag("*/*").await, json);
    assert_ne!(etag(PROTOBUF).await, protobuf);
}

/// What memory holds is answered before any route is looked for, unless the path is encoded: then the routes answer.
#[tokio::test]
async fn a_page_from_memory_is_what_the_routes_would_answer() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let etag = header(&api.get("/v1/product-pages/A-1").send().await.expect("it answers"), "etag").to_owned();
    let asked: [&[(&str, &str)]; 12] = [
        &[],
        &[("accept", "*/*")],
        &[("accept", "application/json")],
        &[("accept", PROTOBUF)],
        &[("accept", "application/json;q=0.5, application/x-protobuf")],
        &[("accept", "image/png")],
        &[("accept", PROTOBUF), ("accept", "application/json")],
        &[("if-none-match", &etag)],
        &[("if-none-match", "*")],
        &[("if-none-match", "\"other\"")],
        &[("consistency-token", "nonsense")],
        &[("prefer", "wait=1"), ("accept", PROTOBUF)],
    ];
    for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
        for headers in asked {
            // Of a key that is there, one that is not (which memory holds too, once asked for), of none, and of no read model.
            for (path, encoded) in [
                ("product-pages/A-1", "product-pages/%41-1"),
                ("product-pages/B-1", "product-pages/%42-1"),
                ("product-pages/", "product%2Dpages/"),
                ("no-pages/A-1", "no-pages/%41-1"),
                ("category-listings/Home", "category-listings/%48ome"),
            ] {
                let answer = async |path: &str| {
                    let mut request = api.client.request(method.clone(), format!("{}/v1/{path}", api.address));
                    for (name, value) in headers {
                        request = request.header(*name, *value);
                    }
                    let response = request.send().await.expect("it answers");
                    let (status, mut told) = (response.status(), response.headers().clone());
                    told.remove("date");
                    (status, told, response.bytes().await.expect("a body"))
                };
                answer(encoded).await;
                assert_eq!(answer(path).await, answer(encoded).await, "{method} {path} with {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_the_client_holds_already_is_not_sent_again() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let ask = async |accept: &str, tags: &str| {
        api.get("/v1/product-pages/A-1").header("accept", accept).header("if-none-match", tags).send().await.expect("it answers")
    };
    let json = header(&ask("*/*", "\"x\"").await, "etag").to_owned();
    let protobuf = header(&ask(PROTOBUF, "\"x\"").await, "etag").to_owned();
    for tags in [json.clone(), format!("W/{json}"), format!("\"x\", {json}"), "*".to_owned()] {
        let response = ask("*/*", &tags).await;
        assert_eq!(response.status(), 304, "{tags}");
        for (name, value) in [("etag", json.as_str()), ("vary", "Accept"), ("cache-control", "no-cache")] {
            assert_eq!(header(&response, name), value);
        }
        assert!(response.bytes().await.expect("no body").is_empty());
    }
    assert_eq!(ask(PROTOBUF, &protobuf).await.status(), 304);
    // The tag of the other form is no tag of this one.
    assert_eq!(ask(PROTOBUF, &json).await.status(), 200);
    let gone = api.get("/v1/product-pages/none").header("if-none-match", "*").send().await.expect("it answers");
    problem(gone, 404).await;
}

#[tokio::test]
async fn without_its_root_a_page_does_not_exist() {
    let api = Api::new().await;
    problem(api.get("/v1/product-pages/A-1").send().await.expect("it answers"), 404).await;
    let stock = ProductPage { stock: vec![Default::default()], ..Default::default() };
    api.put("A-1", "stock/w", &stock).await;
    let response = api.get("/v1/product-pages/A-1").send().await.expect("it answers");
    assert_eq!(header(&response, "cache-control"), "no-store");
    let problem = problem(response, 404).await;
    assert_eq!(problem["key"], "A-1");
    api.put("A-1", "details", &ProductPage { sku: "A-1".into(), ..Default::default() }).await;
    assert_eq!(api.get("/v1/product-pages/A-1").send().await.expect("it answers").status(), 200);
}

#[tokio::test]
async fn a_list_always_exists() {
    let api = Api::new().await;
    let response = api.get("/v1/page-list/anything").send().await.expect("it answers");
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.expect("JSON")["stock"], json!([]));
}

#[tokio::test]
async fn a_read_model_that_is_not_there_is_404_with_the_near_names() {
    let api = Api::new().await;
    let problem = problem(api.get("/v1/product-page/A-1").send().await.expect("it answers"), 404).await;
    assert_eq!(problem["near"][0], "product-pages");
}

#[tokio::test]
async fn accept_decides_the_form_and_neither_is_406() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    for (accept, form) in [
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0.2, application/x-protobuf;q=0.9", PROTOBUF),
        ("application/*", "application/json"),
    ] {
        let response = api.get("/v1/product-pages/A-1").header("accept", accept).send().await.expect("it answers");
        assert_eq!(header(&response, "content-type"), form, "{accept}");
    }
    let refused = api.get("/v1/product-pages/A-1").header("accept", "text/html").send().await.expect("it answers");
    problem(refused, 406).await;
}

#[tokio::test]
async fn a_key_is_percent_decoded_and_bounded() {
    let api = Api::new().await;
    api.put_page("ä/b c").await;
    let response = api.get("/v1/product-pages/%C3%A4%2Fb%20c").send().await.expect("it answers");
    assert_eq!(response.json::<Value>().await.expect("JSON")["sku"], "ä/b c");
    let longest = "k".repeat(512);
    problem(api.get(&format!("/v1/product-pages/{longest}")).send().await.expect("it answers"), 404).await;
    for bad in [format!("{longest}k"), "a%00b".to_owned(), "%FF".to_owned()] {
        problem(api.get(&format!("/v1/product-pages/{bad}")).send().await.expect("it answers"), 400).await;
    }
}

#[tokio::test]
async fn head_is_get_without_the_body_and_nothing_else_is_allowed() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    let url = format!("{}/v1/product-pages/A-1", api.address);
    let get = api.client.get(&url).send().await.expect("it answers");
    let head = api.client.head(&url).send().await.expect("it answers");
    assert_eq!((head.status(), header(&head, "etag")), (get.status(), header(&get, "etag")));
    assert_eq!(header(&head, "content-type"), "application/json");
    assert!(head.bytes().await.expect("no body").is_empty());
    let post = api.client.post(&url).body("{}").send().await.expect("it answers");
    assert_eq!(header(&post, "allow"), "GET, HEAD, OPTIONS");
    problem(post, 405).await;
    problem(api.get("/v1/product-pages").send().await.expect("it answers"), 404).await;
}

#[tokio::test]
async fn stored_bytes_that_are_no_message_are_a_fault_of_ours() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    api.database.owner().await.batch_execute("UPDATE read.product_pages_1 SET bytes = '\\xff'").await.expect("the owner may");
    problem(api.get("/v1/product-pages/A-1").send().await.expect("it answers"), 500).await;
    // They are what is stored.
    let response = api.get("/v1/product-pages/A-1").header("accept", PROTOBUF).send().await.expect("it answers");
    assert_eq!(response.bytes().await.expect("a body"), vec![0xff; 3]);
}

#[tokio::test]
async fn an_etag_is_the_hash_of_the_bytes_that_are_served_in_either_form() {
    let api = Api::new().await;
    api.put_page("A-1").await;
    for (accept, letter) in [("application/json", 'j'), (PROTOBUF, 'p')] {
        let response = api.get("/v1/product-pages/A-1").header("accept", accept).send().await.expect("it answers");
        let etag = header(&response, "etag").to_owned();
        let hash = daybook_kernel::digest::sha256(&response.bytes().await.expect("a body"));
        assert_eq!(etag, format!("\"{letter}{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..18])));
    }
}

/// Of other read models than the one that is searched nothing is hidden.
#[tokio::test]
async fn a_page_is_found_whatever_its_key_is_called() {
    let api = Api::new().await;
    for sku in ["search", "suggest", "events", "page", "openapi.json", "commands"] {
        let details = ProductPage { sku: sku.into(), title: "Cable".into(), ..Default::default() };
        api.put(sku, "details", &details).await;
        for path in [format!("/v1/product-pages/{sku}"), format!("/v1/product-pages/{sku}/page")] {
            for _ in 0..2 {
                let page: Value = api.get(&path).send().await.expect("it answers").json().await.expect("JSON");
                assert_eq!(page["sku"], sku, "{path}");
            }
        }
    }
    let list: Value = api.get("/v1/category-listings/Home%2Fpage/page").send().await.expect("it answers").json().await.expect("JSON");
    assert_eq!(list["items"], json!([]));
}
