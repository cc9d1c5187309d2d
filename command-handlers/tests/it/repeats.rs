//! A command takes effect once, however often and wherever it is sent.

use daybook_bus::Inspector;
use daybook_command_handlers::HandlerConfig;
use daybook_testkit::eventually;
use serde_json::json;

use crate::support::{Answer, Install, key, partition_of, price, product, shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_original_result_and_says_so() {
    let (install, p) = Install::started().await;
    let (create, refuse) = (key(), key());
    let first = install.post(&p, "catalog/create-product", &create, &product("A-1")).await.expect(200);
    let refused = install.post(&p, "catalog/create-product", &refuse, &product("A-1")).await.expect(409);
    install.post(&p, "catalog/reprice-product", &key(), &price("A-1", 5)).await.expect(200);
    let again = install.post(&p, "catalog/create-product", &create, &product("A-1")).await.expect(200);
    assert_eq!((again.body, again.headers.get("idempotent-replayed").is_some()), (first.body, true));
    let again = install.post(&p, "catalog/create-product", &refuse, &product("A-1")).await.expect(409);
    assert_eq!((again.body, again.headers.get("idempotent-replayed").is_some()), (refused.body, true), "a refusal is a result too");
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_command_body_or_if_match_under_a_key_is_422() {
    let (install, p) = Install::started().await;
    let k = key();
    install.post(&p, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    let mut other = product("A-1");
    other["title"] = json!("Another lamp");
    install.post(&p, "catalog/create-product", &k, &other).await.expect(422);
    install.post(&p, "catalog/reprice-product", &k, &price("A-1", 5)).await.expect(422);
    let with_if_match = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", &k)
        .header("If-Match", "\"0\"")
        .json(&product("A-1"));
    Answer::of(with_if_match.send().await.expect("answers")).await.expect(422);
    // The same key for another stream is another key.
    install.post(&p, "catalog/create-product", &k, &product("A-2")).await.expect(200);
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_with_another_trace_is_the_same_command() {
    let (install, p) = Install::started().await;
    let k = key();
    install.post(&p, "catalog/create-product", &k, &product("A-1")).await.expect(200);
    let traced = install
        .client
        .post(format!("{}/v1/catalog/create-product", p.url))
        .header("Idempotency-Key", &k)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("Correlation-Id", "another")
        .json(&product("A-1"));
    let again = Answer::of(traced.send().await.expect("answers")).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    p.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_in_flight_at_once_take_effect_once_and_all_hear_the_same() {
    let (install, p) = Install::started().await;
    let k = key();
    let all = futures_util::future::join_all((0..50).map(|_| install.post(&p, "inventory/receive-stock", &k, &STOCK))).await;
    let mut bodies: Vec<String> = all.into_iter().map(|a| a.expect(200).body.to_string()).collect();
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 1);
    assert_eq!(install.count("SELECT count(*) FROM inventory.command").await, 1);
    p.stop().await;
}

static STOCK: std::sync::LazyLock<serde_json::Value> =
    std::sync::LazyLock::new(|| json!({ "sku": "A-1", "warehouse": "w-1", "quantity": 5 }));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_that_memory_has_forgotten_is_found_in_the_ledger() {
    let install = Install::new().await;
    // Nothing is remembered: the second time shows as a conflict on the insert, or is looked up.
    let config = HandlerConfig { recent_results: 1, streams_in_memory: 1, ..Default::default() };
    let p = install.process_of(shop(), config, &["catalog", "inventory"]).await;
    let keys: Vec<String> = (0..40).map(|_| key()).collect();
    let stock = |i: usize| json!({ "sku": format!("A-{}", i % 4), "warehouse": "w-1", "quantity": 1 });
    for round in 0..3 {
        let all = futures_util::future::join_all(keys.iter().enumerate().map(|(i, k)| {
            let body = stock(i);
            let (install, p) = (&install, &p);
            async move { install.post(p, "inventory/receive-stock", k, &body).await }
        }))
        .await;
        for answer in all {
            let answer = answer.expect(200);
            assert_eq!(answer.header("idempotent-replayed").is_some(), round > 0, "{answer:?}");
        }
    }
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 40);
    p.stop().await;
}

/// Counts the rows that are put into one partition's ledger, also where their transaction is undone: a sequence never is.
async fn count_tries(install: &Install, partition: i32) {
    let sql = format!(
        "CREATE SEQUENCE public.tries;
         CREATE FUNCTION public.tried() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN PERFORM nextval('public.tries'); RETURN NEW; END $$;
         CREATE TRIGGER tried BEFORE INSERT ON inventory.command_{partition} FOR EACH ROW EXECUTE FUNCTION public.tried()"
    );
    install.database.owner().await.batch_execute(&sql).await.expect("the owner may");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_on_the_insert_undoes_the_page_and_decides_it_again_without_the_repeat() {
    let install = Install::new().await;
    let config = HandlerConfig { recent_results: 2, ..Default::default() };
    let p = install.process_of(shop(), config, &["inventory"]).await;
    let (at, topic) = (partition_of("stock/A-1@w-1"), install.bus.messages("inventory"));
    let send = async |key: &str| install.post(&p, "inventory/receive-stock", key, &STOCK).await.expect(200);
    let original_key = key();
    let original = send(&original_key).await;
    count_tries(&install, at).await;
    let inspector = Inspector::new(&install.bus).expect("Kafka answers");
    let tries = "SELECT last_value - (SELECT count(*) FROM inventory.command) FROM public.tries";
    let writers = "SELECT count(DISTINCT writer) FROM inventory.page";
    let (mut done, mut one_page) = (1, false);
    // Once, if the three that are meant for one page come to be in one.
    for _ in 0..10 {
        // Over a thousand new commands: ids are not looked up any more, and the original result is pushed out of memory.
        for _ in 0..6 {
            futures_util::future::join_all((0..200).map(|_| async { send(&key()).await })).await;
        }
        done += 1_200;
        let before = (install.count(tries).await, install.count(writers).await);
        // While the lane waits with a page, three more arrive, the repeat in the middle.
        let holder = install.database.owner().await;
        holder.batch_execute(&format!("BEGIN; LOCK TABLE inventory.page_{at} IN SHARE MODE")).await.expect("the owner may");
        let keys = [key(), key(), original_key.clone(), key()];
        let mut sent = Vec::new();
        for key in &keys {
            let end = inspector.written(&topic, at).await.expect("Kafka answers").end;
            let mut answer = Box::pin(send(key));
            let arrived = eventually("it to be on Kafka", || async {
                let now = inspector.written(&topic, at).await.expect("Kafka answers").end;
                (now > end).then_some(())
            });
            // None is answered before the lane may write.
            match futures_util::future::select(&mut answer, Box::pin(arrived)).await {
                futures_util::future::Either::Left((answer, _)) => panic!("{answer:?}"),
                futures_util::future::Either::Right(_) => sent.push(answer),
            }
        }
        holder.batch_execute("ROLLBACK").await.expect("it was held");
        let answers = futures_util::future::join_all(sent).await;
        let [_, first, repeat, second] = answers.as_slice() else { panic!("four were sent") };
        done += 3;
        assert_eq!((&repeat.body, repeat.header("idempotent-replayed")), (&original.body, Some("true")));
        let versions = [first, second].map(|answer| answer.body["version"].as_u64().expect("a number"));
        assert_eq!(versions, [done - 1, done], "on a state without what was undone");
        assert_eq!(install.count("SELECT count(*) FROM inventory.event").await.cast_unsigned(), done);
        let pages = format!("SELECT count(DISTINCT page) FROM inventory.event_{at} WHERE version >= {}", done - 1);
        let after = (install.count(tries).await, install.count(writers).await);
        assert_eq!(after.1, before.1, "decided again by the same lane, without taking the partition over");
        one_page = install.count(&pages).await == 1;
        if one_page {
            assert!(after.0 > before.0, "nothing was tried in vain: it was no conflict");
            break;
        }
    }
    assert!(one_page, "never did what was sent together come to stand in one page");
    p.stop().await;
    crate::invariants::hold(&install).await;
}
