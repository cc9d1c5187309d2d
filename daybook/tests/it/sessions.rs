//! How many sessions of Postgres a process keeps.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::Install;

/// Of each pool.
const N: i64 = 2;

/// The most of each kind, as docs/databases.md has them for `up`, with three partitions.
const MOST: [(&str, i64); 7] = [
    ("daybook reader", 2 * N),
    ("daybook reactors", N),
    ("daybook lookups", N),
    ("daybook projector", 2 * N),
    ("daybook query-api", N),
    ("daybook writer", 3),
    ("daybook takeover", 1),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_keeps_to_the_sessions_that_it_is_given_however_many_services_it_has() {
    let mut install = Install::new().await;
    install.variables.push(("DAYBOOK_CONNECTIONS", N.to_string()));
    let up = install.up().await;
    let posts = (0..120).map(|n| {
        let (sku, install, url) = (format!("A-{}", n / 2), &install, &up.commands);
        async move {
            let (path, body) = match n % 2 {
                0 => ("catalog/create-product", json!({ "sku": sku, "title": "A lamp", "price": { "currency": "EUR", "minorUnits": 1 } })),
                _ => ("inventory/receive-stock", json!({ "sku": sku, "warehouse": "w-1", "quantity": 1 })),
            };
            let (status, answer) = install.post(url, path, &format!("k{n}"), &body).await.expect("it answers");
            assert_eq!(status, 200, "{answer}");
        }
    });
    join_all(posts).await;
    let sql = "SELECT application_name, count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'daybook migrate' GROUP BY 1";
    let kinds = install.database.owner().await.query(sql, &[]).await.expect("readable");
    for row in kinds {
        let (kind, count): (String, i64) = (row.get(0), row.get(1));
        let most = MOST.iter().find(|(known, _)| *known == kind).map(|(_, most)| *most);
        assert!(most.is_some_and(|most| count <= most), "{count} sessions of {kind}, of {most:?}");
    }
}
