//! Processes that are paused and killed; nothing is lost or done twice.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Install, catalogue};

/// How long the paused process stays paused, in seconds; `TEST_PAUSE_SECONDS=60` for a whole minute.
fn pause() -> Duration {
    Duration::from_secs(std::env::var("TEST_PAUSE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(12))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_process_is_replaced_and_its_return_does_no_harm() {
    let install = Install::new().await;
    let (paused, other) = (install.handlers().await, install.handlers().await);
    let url = other.commands.clone();
    let until = Instant::now() + pause() + Duration::from_secs(12);
    let clients = (0..8).map(|client| {
        let (install, url) = (&install, url.clone());
        async move {
            let mut acknowledged = 0;
            while Instant::now() < until {
                let body = json!({ "sku": format!("A-{client}"), "warehouse": "w-1", "quantity": 1 });
                let key = format!("{client}-{acknowledged}");
                let begun = Instant::now();
                // 202 means: the lane's process is paused and nobody has taken over yet; the same key is sent again.
                while install.post(&url, "inventory/receive-stock", &key, &body).await.is_none_or(|(status, _)| status != 200) {}
                assert!(begun.elapsed() < Duration::from_secs(20), "a command waited {:?}", begun.elapsed());
                acknowledged += 1;
            }
            acknowledged
        }
    });
    let fault = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        paused.signal("STOP");
        tokio::time::sleep(pause()).await;
        paused.signal("CONT");
    };
    let (acknowledged, ()) = tokio::join!(futures_util::future::join_all(clients), fault);
    let acknowledged: i64 = acknowledged.into_iter().sum();
    assert!(acknowledged > 0);
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, acknowledged, "each once");
    install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_goes_through_kill_9_and_a_new_start() {
    let install = Install::new().await;
    let first = install.up().await;
    let port = first.commands.rsplit(':').next().expect("a port").to_owned();
    let file = catalogue(1500);
    let (url, path) = (first.commands.clone(), file.display().to_string());
    let loading = async {
        let install = &install;
        tokio::task::block_in_place(|| install.run(&["load", "catalogue", &path, "--stock", "--url", &url, "--json"]))
    };
    let killing = async {
        // In the middle: some are in, most are not.
        daybook_testkit::eventually("the load to begin", || async {
            (install.count("SELECT count(*) FROM catalog.event").await > 100).then_some(())
        })
        .await;
        first.kill();
        tokio::time::sleep(Duration::from_millis(500)).await;
        install.start(&["up", "--commands-listen", &format!("127.0.0.1:{port}"), "--queries-listen", "127.0.0.1:0"]).await
    };
    let (loaded, again) = std::thread::scope(|threads| {
        let handle = tokio::runtime::Handle::current();
        let load = threads.spawn(move || handle.block_on(loading));
        let again = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(killing));
        (load.join().expect("no panic"), again)
    });
    assert!(loaded.status.success(), "{} {}", String::from_utf8_lossy(&loaded.stdout), String::from_utf8_lossy(&loaded.stderr));
    assert_eq!(install.count("SELECT count(*) FROM catalog.event").await, 1500);
    assert_eq!(install.count("SELECT count(*) FROM inventory.event").await, 1500);
    assert_eq!(install.count("SELECT count(DISTINCT stream_id) FROM catalog.event").await, 1500);
    install.verify().await;
    drop(again);
    std::fs::remove_file(file).expect("it is there");
}
