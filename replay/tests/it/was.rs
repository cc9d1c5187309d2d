//! `as-of`: a read model as it was.

use daybook_kernel::{ConsistencyToken, Fill, Instant, ReadModel, StreamId};
use daybook_replay::{At, as_of};
use prost::Message as _;
use shop_proto::read::v1::ProductPage;

use crate::shop::{Shop, by_category, by_category_backwards, categorized, created, pages, received, retired, retitled, unheard_of};

async fn was(shop: &Shop, model: &ReadModel, key: &str, at: At) -> Option<ProductPage> {
    let was = as_of(&shop.database.databases(), model, key, &at).await.expect("it answers");
    was.map(|was| ProductPage::decode(was.bytes.as_slice()).expect("a page"))
}

fn token(service: &str, offset: i64) -> At {
    At::Tokens(vec![ConsistencyToken { service: service.into(), partition: 0, offset, epoch: 1 }])
}

#[tokio::test]
async fn a_page_that_is_filled_when_it_is_read_says_whom_to_ask_instead() {
    let filled = ReadModel { fill: Some(Fill { items: "stock", by: "warehouse", model: "warehouses", parts: "" }), ..pages() };
    let shop = Shop::new(1, &filled).await;
    let refused = as_of(&shop.database.databases(), &filled, "A", &At::Time(Instant::from_micros(0))).await.expect_err("it can't be told");
    assert!(refused.to_string().contains("warehouses says when it is read"), "{refused}");
}

#[tokio::test]
async fn at_each_version_it_is_what_was_served_then() {
    for model in [pages(), by_category()] {
        let mut shop = Shop::new(1, &model).await;
        let story = [
            created("A", "one", "toys"),
            received("A", "w-1", 5),
            retitled("A", "two"),
            received("A", "w-2", 1),
            categorized("A", "games"),
            retired("A"),
            categorized("A", "toys"),
        ];
        let mut served = Vec::new();
        for fact in story {
            let event = shop.append([fact.clone()]).await.remove(0);
            // One after the other, so that the live generation sees every key that a part ever stood under.
            shop.project(&model).await;
            served.push((fact, event, shop.holds(&model, 1).await.parts));
        }
        let generation = shop.rebuild(&model, shop.promotion(false)).await.generation;
        assert_eq!(generation, 2);
        for (fact, event, parts) in &served {
            for key in ["A", "toys", "games"] {
                let bytes: Vec<u8> = parts.iter().filter(|((k, _), _)| k == key).flat_map(|(_, (bytes, ..))| bytes.clone()).collect();
                let there = match model.root {
                    Some(root) => parts.keys().any(|(k, p)| k == key && p.starts_with(root)),
                    None => !bytes.is_empty(),
                };
                let expected = there.then(|| ProductPage::decode(bytes.as_slice()).expect("a page"));
                let at = At::Time(event.recorded_at);
                assert_eq!(was(&shop, &model, key, at).await, expected, "{} {key} at {}", model.name, event.recorded_at);
                let service = if fact.stream.aggregate() == "stock" { "inventory" } else { "catalog" };
                if model.services().contains(&service) {
                    let found = was(&shop, &model, key, token(service, event.offset)).await;
                    assert_eq!(found, expected, "{} {key} at {service}/0:{}", model.name, event.offset);
                }
            }
        }
        let before = At::Time(Instant::from_micros(served[0].1.recorded_at.micros() - 1));
        assert_eq!(was(&shop, &model, "A", before).await, None, "there was nothing before");
    }
}

#[tokio::test]
async fn its_positions_are_told_and_what_cant_be_folded_is_shown_as_it_was_before() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    let events = shop.append([created("A", "one", "toys"), retitled("A", "two"), unheard_of("A"), retitled("A", "three")]).await;
    shop.append([received("A", "w-1", 5)]).await;
    shop.project(&model).await;
    shop.rebuild(&model, shop.promotion(false)).await;
    let databases = shop.database.databases();
    let found = as_of(&databases, &model, "A", &At::Time(events[3].recorded_at)).await.expect("it answers").expect("there");
    assert_eq!((found.positions.len(), found.positions[0].token.as_str(), found.positions[0].version), (1, "catalog/0:3@1", 4));
    assert_eq!((found.stopped.len(), found.stopped[0].version), (1, 3));
    let json = found.json(&model, shop_proto::descriptors()).expect("a page");
    assert_eq!((&json["model"]["title"], &json["model"]["stock"]), (&"two".into(), &serde_json::json!([])));

    // Passed over once an operator has decided so.
    let skip = r#"INSERT INTO read.skipped (projection, service, partition, stream_id, "offset", reason)
                  VALUES ('product-pages', 'catalog', 0, 'product/A', 2, 'test')"#;
    shop.database.owner().await.batch_execute(skip).await.expect("the owner may");
    assert_eq!(was(&shop, &model, "A", At::Time(events[3].recorded_at)).await.expect("there").title, "three");
}

#[tokio::test]
async fn a_token_that_the_log_cant_have_given_is_wrong_usage() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    shop.append([created("A", "one", "toys")]).await;
    shop.project(&model).await;
    shop.rebuild(&model, shop.promotion(false)).await;
    let databases = shop.database.databases();
    let token = |text: &str| At::Tokens(ConsistencyToken::parse_list(text).expect("a token"));
    for wrong in ["catalog/0:1@1", "catalog/7:0@1", "catalog/0:0@2"] {
        assert!(as_of(&databases, &model, "A", &token(wrong)).await.expect_err("impossible").is_usage(), "{wrong}");
    }
    assert_eq!(was(&shop, &model, "A", token("catalog/0:-1@1,orders/3:9@1")).await, None);
    assert!(was(&shop, &model, "A", token("catalog/0:-1@1,catalog/0:0@1")).await.is_some());
    assert!(was(&shop, &model, "A", token("catalog/0:0@1,catalog/0:-1@1")).await.is_some(), "the furthest counts");
}

#[tokio::test]
async fn tokens_stand_for_all_that_was_recorded_up_to_the_latest_of_them() {
    let model = pages();
    let mut shop = Shop::new(1, &model).await;
    for fact in [created("A", "one", "toys"), received("A", "w-1", 5), retitled("A", "two"), received("A", "w-2", 1)] {
        shop.append([fact]).await;
    }
    shop.project(&model).await;
    for tokens in ["catalog/0:0@1,catalog/0:1@1", "catalog/0:1@1,catalog/0:0@1"] {
        let at = At::Tokens(ConsistencyToken::parse_list(tokens).expect("tokens"));
        let page = was(&shop, &model, "A", at).await.expect("there");
        let warehouses: Vec<&str> = page.stock.iter().map(|line| line.warehouse.as_str()).collect();
        assert_eq!((page.title.as_str(), warehouses), ("two", vec!["w-1"]), "{tokens}");
    }
}

#[tokio::test]
async fn parts_stand_in_the_order_of_their_ids_and_streams_in_that_of_theirs() {
    let model = by_category_backwards();
    let mut shop = Shop::new(1, &model).await;
    let events = shop.append([created("B-0", "b", "toys"), created("A-1", "a", "toys")]).await;
    shop.project(&model).await;
    let found =
        as_of(&shop.database.databases(), &model, "toys", &At::Time(events[1].recorded_at)).await.expect("it answers").expect("there");
    let page = ProductPage::decode(found.bytes.as_slice()).expect("a page");
    assert_eq!(page.media.iter().map(|m| m.alt.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(found.positions.iter().map(|p| p.stream.as_str()).collect::<Vec<_>>(), ["product/A-1", "product/B-0"]);
}

#[tokio::test]
async fn an_event_is_skipped_in_its_own_partition_and_read_model() {
    let model = pages();
    let mut shop = Shop::new(2, &model).await;
    let skus: Vec<String> = (0..20).map(|n| format!("P-{n}")).collect();
    let of = |partition: i32| skus.iter().find(|sku| StreamId::new("product", sku).partition(2) == partition).expect("one of twenty");
    for partition in [0, 1] {
        shop.append([created(of(partition), "one", "toys"), retitled(of(partition), "two")]).await;
    }
    shop.project(&model).await;
    let skip = format!(
        r#"INSERT INTO read.skipped (projection, service, partition, stream_id, "offset", reason) VALUES
           ('product-pages', 'catalog', 1, 'product/{}', 1, 'test'), ('another', 'catalog', 0, 'product/{}', 1, 'test')"#,
        of(1),
        of(0)
    );
    shop.database.owner().await.batch_execute(&skip).await.expect("the owner may");
    for (partition, title) in [(0, "two"), (1, "one")] {
        let at = At::Tokens(vec![ConsistencyToken { service: "catalog".into(), partition, offset: 1, epoch: 1 }]);
        assert_eq!(was(&shop, &model, of(partition), at).await.expect("there").title, title, "{partition}");
    }
}
