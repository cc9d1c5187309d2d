//! Connections that a process shares.

use std::time::Duration;

use daybook_postgres::{Connector, Databases, Pool};

use crate::reaching::server;

const PATIENCE: Duration = Duration::from_millis(50);

fn pool(databases: &Databases, settings: &[(&str, &str)], patience: Duration) -> Pool {
    let connector = Connector::new(databases.default_url(), None, settings, "test").expect("a URL");
    databases.pool(&connector, patience).expect("a pool")
}

#[tokio::test]
async fn those_who_connect_alike_share_connections_and_with_other_settings_they_have_their_own() {
    let databases = Databases::one(server()).with_connections(2);
    let (one, other) = (pool(&databases, &[], Duration::from_secs(60)), pool(&databases.clone(), &[], PATIENCE));
    let _first = one.get().await.expect("the server answers");
    let second = other.get().await.expect("the server answers");
    let said = other.get().await.expect_err("both are in use").to_string();
    assert!(said.contains("all 2 that go to") && said.contains("50ms"), "{said}");
    let _other_kind = pool(&databases, &[("jit", "off")], PATIENCE).get().await.expect("it is another pool");
    drop(second);
    let _again = one.get().await.expect("it is free again");
}

#[tokio::test]
async fn another_database_is_another_pool() {
    let databases = Databases::one(server()).with_connections(1);
    let nobody = Connector::new("postgres://nobody@127.0.0.1:1/none", None, &[], "test").expect("a URL");
    let nobodys = databases.pool(&nobody, PATIENCE).expect("a pool");
    let _held = pool(&databases, &[], PATIENCE).get().await.expect("the server answers");
    assert!(nobodys.get().await.expect_err("nobody is there").to_string().contains("127.0.0.1:1"));
}
