//! Insert-only: refused by trigger and by privilege, on parents and on partitions.

use daybook_log::{Log, MigrateOptions, migrate};
use daybook_postgres::{Role, connect_owner, migrate_install};
use daybook_testkit::TestDatabase;

use crate::support::{Fixture, append, event, row};

const TABLES: &[&str] = &["page", "event", "command", "request", "snapshot"];

async fn refused(client: &tokio_postgres::Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => panic!("{sql} was let through"),
        Err(e) => e.as_db_error().map(|d| d.code().code().to_owned()).unwrap_or_default(),
    }
}

#[tokio::test]
async fn update_delete_and_truncate_are_refused_by_trigger_on_parents_and_partitions() {
    let f = Fixture::new().await;
    let (writer, mut head) = f.opened().await;
    append(&writer, &mut head, vec![event("a/1", 1)], vec![row("a/1", 1)]).await;
    // The owner is a superuser: no privilege stops it, the triggers must.
    let owner = f.database.owner().await;
    for table in TABLES {
        let children = if *table == "request" { vec![format!("{table}_0"), format!("{table}_0_0")] } else { vec![format!("{table}_0")] };
        for name in children.into_iter().chain([(*table).to_owned()]) {
            for sql in [
                format!("UPDATE ledger.{name} SET partition = partition"),
                format!("DELETE FROM ledger.{name}"),
                format!("TRUNCATE ledger.{name}"),
            ] {
                assert_eq!(refused(&owner, &sql).await, "DB001", "{sql}");
            }
        }
    }
}

#[tokio::test]
async fn update_delete_and_truncate_are_refused_by_privilege_to_every_role() {
    let f = Fixture::new().await;
    let owner = f.database.owner().await;
    for role in [Role::Writer, Role::Reader, Role::Projector, Role::Query] {
        owner.batch_execute(&format!("SET ROLE {}", role.name())).await.expect("the owner may take it");
        for table in TABLES {
            for name in [(*table).to_owned(), format!("{table}_1")] {
                for sql in [
                    format!("UPDATE ledger.{name} SET partition = partition"),
                    format!("DELETE FROM ledger.{name}"),
                    format!("TRUNCATE ledger.{name}"),
                ] {
                    assert_eq!(refused(&owner, &sql).await, "42501", "{sql} as {}", role.name());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_role_can_do_no_more_than_it_must() {
    let f = Fixture::new().await;
    let owner = f.database.owner().await;
    let insert = "INSERT INTO ledger.page_0 SELECT * FROM ledger.page_0 WHERE false";
    for role in [Role::Reader, Role::Projector, Role::Query] {
        owner.batch_execute(&format!("SET ROLE {}", role.name())).await.expect("the owner may take it");
        assert_eq!(refused(&owner, insert).await, "42501", "{role:?} must not append");
    }
    assert_eq!(refused(&owner, "SELECT * FROM ledger.event").await, "42501", "the query API never sees the log");
    owner.batch_execute("SET ROLE daybook_writer").await.expect("the owner may take it");
    owner.batch_execute(insert).await.expect("a writer appends");
    assert_eq!(refused(&owner, "CREATE TABLE ledger.x (y int)").await, "42501");
    assert_eq!(refused(&owner, "SELECT * FROM read.checkpoint").await, "42501", "a lane needs no read model");
}

#[tokio::test]
async fn migrating_again_or_at_once_changes_nothing() {
    let database = TestDatabase::new().await;
    let options = MigrateOptions { services: vec!["ledger".into()], partitions: 3 };
    let databases = database.databases();
    let both = async || {
        migrate_install(&databases).await.expect("harmless");
        migrate(&databases, &options).await.expect("harmless")
    };
    let all = futures_util::future::join_all((0..4).map(|_| both())).await;
    let born: Vec<bool> = all.into_iter().map(|m| m.logs[0].2).collect();
    assert_eq!(born.iter().filter(|b| **b).count(), 1, "born once");
    let other = migrate(&databases, &MigrateOptions { partitions: 9, ..options.clone() }).await.expect("harmless");
    assert_eq!(other.logs[0].1, 3, "the number of partitions is fixed at birth");
    let client = connect_owner(&database.url).await.expect("it answers");
    let pages: i64 = client.query_one("SELECT count(*) FROM ledger.page", &[]).await.expect("readable").get(0);
    assert_eq!(pages, 3);
}

/// As builds left it that knew of no giving up.
#[tokio::test]
async fn checkpoints_of_before_are_given_up_by_nobody() {
    let database = TestDatabase::migrated(&["ledger"], 1).await;
    let owner = connect_owner(&database.url).await.expect("it answers");
    let before = "ALTER TABLE read.checkpoint DROP COLUMN given_up_at_term; DELETE FROM read.migration WHERE version >= 3; \
                  INSERT INTO read.checkpoint (projection, generation, service, partition, next_offset, epoch, term) VALUES ('p', 1, 'ledger', 0, 7, 1, 0)";
    owner.batch_execute(before).await.expect("the owner may");
    migrate_install(&database.databases()).await.expect("it goes on from there");
    let row = owner.query_one("SELECT next_offset, given_up_at_term = term FROM read.checkpoint", &[]).await.expect("it stands");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (7, false));
}

#[tokio::test]
async fn a_log_that_was_never_made_says_what_to_do() {
    let database = TestDatabase::new().await;
    let Err(error) = Log::open(&database.databases(), "ledger", Role::Reader).await else { panic!("there is none") };
    assert!(error.to_string().contains("daybook migrate"), "{error}");
    assert!(Log::open(&database.databases(), "x; DROP", Role::Reader).await.is_err());
}
