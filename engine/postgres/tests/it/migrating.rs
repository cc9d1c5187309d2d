//! Things that an install has once, whoever makes them first.

use std::time::Duration;

use daybook_kernel::Secret;
use daybook_postgres::{Databases, Migrating, Role, connect_owner, migrate_install, read_secret};
use uuid::Uuid;

use crate::reaching::server;

/// Runs a test in a database of its own, which is dropped again where the test is good.
async fn in_a_database(test: impl AsyncFnOnce(&str)) {
    let server = server();
    let (owner, name) = (connect_owner(&server).await.expect("the server answers"), format!("test_{}", Uuid::new_v4().simple()));
    owner.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a superuser may create databases");
    test(&format!("{}/{name}", server.rsplit_once('/').expect("a database").0)).await;
    owner.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("it is there");
}

#[tokio::test]
async fn the_secret_is_made_once_whoever_migrates_and_every_role_reads_the_same() {
    in_a_database(async |url| {
        let databases = Databases::one(url);
        let (one, two) = tokio::join!(migrate_install(&databases), migrate_install(&databases));
        one.and(two).expect("harmless at once");
        let signed = async |role| read_secret(&databases, role).await.expect("it was made").sign("test", &[b"message"]);
        let first = signed(Role::Writer).await;
        migrate_install(&databases).await.expect("harmless again");
        for role in [Role::Writer, Role::Reader, Role::Projector, Role::Query] {
            assert_eq!(signed(role).await[..], first[..], "{role:?}");
        }
        assert_ne!(first[..], Secret::new([0; 32]).sign("test", &[b"message"])[..]);
    })
    .await;
}

#[tokio::test]
async fn one_process_migrates_a_database_at_a_time() {
    in_a_database(async |url| {
        let first = Migrating::begin(url).await.expect("it answers");
        let url = url.to_owned();
        let second = tokio::spawn(async move { Migrating::begin(&url).await });
        let line = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while first.query_one(line, &[]).await.expect("readable").get::<_, i64>(0) == 0 {
            assert!(!second.is_finished(), "it did not wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(first);
        second.await.expect("no panic").expect("its turn has come");
    })
    .await;
}

#[tokio::test]
async fn a_migration_that_fails_is_told_by_its_schema_and_leaves_nothing_behind() {
    in_a_database(async |url| {
        let mut migrating = Migrating::begin(url).await.expect("it answers");
        let error = migrating.run("ledger", &[("V1__page", "CREATE TABLE page (page int); CREATE TABLE event (no_type)")]).await;
        let said = error.expect_err("it is no SQL").to_string();
        assert!(said.starts_with("migration: schema ledger: "), "{said}");
        let sql = "CREATE TABLE page (page int)";
        migrating.run("ledger", &[("V1__page", sql)]).await.expect("nothing of it was applied");
        migrating.run("ledger", &[("V1__page", sql)]).await.expect("harmless again");
    })
    .await;
}
