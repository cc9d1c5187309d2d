//! A stream that is parked is told from one that is parked elsewhere, and from one of another service that is called the same.

use daybook_testkit::eventually;
use reqwest::Response;
use shop_proto::read::v1::{ProductPage, StockLine};

use crate::lists::LISTS;
use crate::support::{Api, Prepared, header};

const PAGES: &str = "product-pages";
const PAGE: &str = "/v1/product-pages/A-001";
const LIST: &str = "/v1/category-listings/Home";

/// Read model, generation, service, partition, stream.
type Parked<'a> = (&'a str, i32, &'a str, i32, &'a str);

async fn park(api: &Api, all: &[Parked<'_>]) {
    let sql = "INSERT INTO read.parked (projection, generation, service, partition, stream_id, \"offset\", reason) \
               VALUES ($1, $2, $3, $4, $5, 0, 'unknown event')";
    let owner = api.database.owner().await;
    for (model, generation, service, partition, stream) in all {
        owner.execute(sql, &[model, generation, service, partition, stream]).await.expect("the owner may");
    }
}

/// A page of a product and of its stock, and a list that shows it.
async fn write(api: &Api) {
    let line = StockLine { warehouse: "w".into(), on_hand: 1, reserved: 0, available: 1 };
    api.write("A-001", "details", &ProductPage { title: "Lamp".into(), ..Default::default() }).await;
    api.write("A-001", "stock/w", &ProductPage { stock: vec![line], ..Default::default() }).await;
    // Under another key, behind that one.
    api.write("A-002", "stock/v", &ProductPage::default()).await;
    api.commit("Home", &[("A-001", Some("Lamp"))]).await;
    api.move_silently("catalog", 1, 1, 1).await;
}

async fn get(api: &Api, path: &str) -> Response {
    let response = api.get(path).send().await.expect("it answers");
    assert_eq!(response.status(), 200);
    response
}

/// All values of a header.
fn all(response: &Response, name: &str) -> Vec<String> {
    response.headers().get_all(name).iter().map(|value| value.to_str().expect("text").to_owned()).collect()
}

/// None of these is shown, and none of them is missing, where product pages of generation 1 are.
const ELSEWHERE: [Parked<'static>; 10] = [
    ("another", 1, "catalog", 1, "details"),
    (PAGES, 2, "catalog", 1, "details"),
    ("another", 1, "inventory", 2, "stock/w"),
    (PAGES, 2, "inventory", 2, "stock/w"),
    ("another", 1, "catalog", 1, "product/A-001"),
    (LISTS, 2, "catalog", 1, "product/A-001"),
    ("another", 1, "catalog", 1, "product/X"),
    (PAGES, 2, "catalog", 1, "product/X"),
    (LISTS, 2, "catalog", 1, "product/X"),
    ("another", 1, "inventory", 2, "stock/X"),
];

#[tokio::test]
async fn what_is_read_is_old_or_missing_only_where_its_own_stream_is_parked_in_its_own_generation() {
    let prepared = Prepared::new().await;
    // A list that reads two services, as the pages do.
    let also = "INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch) \
                VALUES ('category-listings', 1, 'inventory', 0, 0, 1)";
    prepared.database.owner().await.batch_execute(also).await.expect("the owner may");
    // Nobody listens there: all is read.
    let api = Api::begin(prepared, |config| config.bus.brokers = "127.0.0.1:1".to_owned()).await;
    write(&api).await;
    let another_generation = "INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch) \
                              SELECT projection, 2, service, partition, 9, 1 FROM read.checkpoint";
    api.database.owner().await.batch_execute(another_generation).await.expect("the owner may");
    park(&api, &ELSEWHERE).await;
    park(&api, &[(PAGES, 1, "inventory", 2, "stock/v")]).await;
    let missing: [Parked<'_>; 6] = [
        // The other service has a stream of the same name, which is shown.
        (PAGES, 1, "inventory", 2, "details"),
        (PAGES, 1, "catalog", 1, "stock/w"),
        (LISTS, 1, "inventory", 0, "product/A-001"),
        (PAGES, 1, "catalog", 1, "product/Y"),
        (PAGES, 1, "inventory", 2, "stock/Y"),
        (LISTS, 1, "catalog", 1, "product/Z"),
    ];
    park(&api, &missing).await;
    let (of_page, of_list) = ("details, product/Y, stock/Y, stock/w", "product/A-001, product/Z");
    let (page, list) = (get(&api, PAGE).await, get(&api, LIST).await);
    assert_eq!((all(&page, "daybook-stale"), all(&page, "daybook-hidden-streams")), (vec![], vec![of_page.to_owned()]));
    assert_eq!((all(&list, "daybook-stale"), all(&list, "daybook-hidden-streams")), (vec![], vec![of_list.to_owned(), of_page.to_owned()]));
    for response in [page, list] {
        // How far each partition has been folded is told of that partition.
        assert!(header(&response, "consistency-position").contains("catalog/1:0@1"), "{response:?}");
    }

    park(&api, &[(PAGES, 1, "catalog", 1, "details"), (PAGES, 1, "inventory", 2, "stock/w"), (LISTS, 1, "catalog", 1, "product/A-001")])
        .await;
    let (page, list) = (get(&api, PAGE).await, get(&api, LIST).await);
    assert_eq!(
        (all(&page, "daybook-stale"), all(&page, "daybook-hidden-streams")),
        (vec!["details, stock/w".to_owned()], vec![of_page.to_owned()])
    );
    assert_eq!(all(&list, "daybook-stale"), ["product/A-001", "stock/w"]);
    assert_eq!(all(&list, "daybook-hidden-streams"), [of_list, of_page]);
}

#[tokio::test]
async fn what_is_held_says_which_streams_of_its_own_generation_show_nothing() {
    let api = Api::new().await;
    api.put_page("A-001").await;
    get(&api, PAGE).await;
    // Nothing is pushed of it: it is looked for once a second.
    let named = async |one: &str| {
        let named = || async { all(&get(&api, PAGE).await, "daybook-hidden-streams").pop().filter(|named| named.contains(one)) };
        eventually(&format!("{one} to be named"), named).await
    };
    park(&api, &ELSEWHERE).await;
    // One that shows something is not missing; another of that name is.
    park(&api, &[(PAGES, 1, "catalog", 1, "details"), (PAGES, 1, "inventory", 2, "details"), (PAGES, 1, "catalog", 1, "product/Y")]).await;
    park(&api, &[(PAGES, 1, "inventory", 3, "stock/Y")]).await;
    assert_eq!(named("stock/Y").await, "details, product/Y, stock/Y");

    let owner = api.database.owner().await;
    owner.batch_execute("DELETE FROM read.parked").await.expect("the owner may");
    let many: Vec<String> = (10..35).map(|n| format!("product/P-{n}")).collect();
    park(&api, &many.iter().map(|stream| (PAGES, 1, "catalog", 1, stream.as_str())).collect::<Vec<_>>()).await;
    assert_eq!(named("product/P-").await, format!("{}, *", many[..20].join(", ")), "the first twenty, and that there are more");
}
