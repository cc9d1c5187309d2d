//! Messages about a database that can't be reached, or no more.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_postgres::{Connector, DatabaseError, OwnConnection, Role};

/// The tests' own server.
pub(crate) fn server() -> String {
    std::env::var("DAYBOOK_TEST_DATABASE_URL").expect("DAYBOOK_TEST_DATABASE_URL names a Postgres: run scripts/test")
}

fn host_and_port(url: &str) -> &str {
    url.split(['@', '/']).nth(3).expect("a URL with credentials")
}

/// The whole of an error, as a command line shows it: each cause after the other.
fn told(error: DatabaseError) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        told.push_str(&format!(": {deeper}"));
        cause = deeper.source();
    }
    told
}

async fn alone(url: &str, role: Option<Role>) -> String {
    told(OwnConnection::new(url, role, &[], "test").await.err().expect("it can't be reached"))
}

async fn pooled(url: &str) -> String {
    let pool = Connector::new(url, None, &[], "test").expect("a URL").pool(1, Duration::from_secs(10)).expect("a pool");
    told(pool.get().await.expect_err("it can't be reached"))
}

#[tokio::test]
async fn who_can_t_connect_hears_once_where_to_why_and_what_may_help() {
    let nobody = "postgres://nobody:geheim@127.0.0.1:1/none";
    for said in [alone(nobody, None).await, pooled(nobody).await] {
        assert!(said.starts_with("can't connect to Postgres at 127.0.0.1:1: Connection refused"), "{said}");
        assert!(said.contains("see that Postgres serves there"), "{said}");
        assert_eq!((said.matches("onnect").count(), said.matches("geheim").count()), (2, 0), "once, and no password: {said}");
    }
    let server = server();
    let base = server.rsplit_once('/').expect("a database").0;
    for said in [alone(&format!("{base}/no_such"), None).await, pooled(&format!("{base}/no_such")).await] {
        assert!(said.contains(host_and_port(&server)) && said.contains("CREATE DATABASE"), "{said}");
        assert_eq!(said.matches("no_such").count(), 1, "{said}");
    }
}

#[tokio::test]
async fn a_pool_whose_connections_are_all_in_use_says_how_many_and_of_what() {
    let server = server();
    let pool = Connector::new(&server, None, &[], "test").expect("a URL").pool(1, Duration::from_millis(50)).expect("a pool");
    let _held = pool.get().await.expect("the server answers");
    let said = told(pool.get().await.expect_err("there is only one"));
    assert!(said.contains(&format!("all 1 that go to {}", host_and_port(&server))), "{said}");
}

/// Takes connections, and says nothing: as a server that is stopped.
async fn silent() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("postgres://user@{}/database", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            taken.push(connection);
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_takes_a_connection_and_says_nothing_is_waited_for_no_longer_than_set() {
    let url = silent().await;
    let connector = Connector::new(&url, None, &[], "test").expect("a URL");
    let connector = connector.within(Duration::from_millis(100), Duration::from_secs(1));
    let pool = connector.pool(1, Duration::from_secs(3_600)).expect("a pool");
    let in_time = Duration::from_secs(30);
    for _ in 0..2 {
        let pooled = tokio::time::timeout(in_time, pool.get()).await.expect("it gives up");
        let alone = tokio::time::timeout(in_time, connector.connect()).await.expect("it gives up");
        for said in [told(pooled.expect_err("nobody answers")), told(alone.err().expect("nobody answers"))] {
            let place = host_and_port(&url);
            assert!(said.starts_with(&format!("can't connect to Postgres at {place}: no session has begun in 200ms; see that")), "{said}");
        }
    }
}

/// Lines of a log, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_why_and_where_a_pooled_connection_has_ended() {
    let (server, lines) = (server(), Lines::default());
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let pool = Connector::new(&server, None, &[], "test").expect("a URL").pool(2, Duration::from_secs(10)).expect("a pool");
    let (ended, other) = (pool.get().await.expect("it answers"), pool.get().await.expect("it answers"));
    let pid: i32 = ended.query_one("SELECT pg_backend_pid()", &[]).await.expect("it answers").get(0);
    other.execute("SELECT pg_terminate_backend($1, 5000)", &[&pid]).await.expect("it may end its own");
    let said = || String::from_utf8_lossy(&lines.0.lock().expect("no panic")).into_owned();
    while !said().contains("has ended") {
        tokio::task::yield_now().await;
    }
    assert!(said().contains("57P01") && said().contains(host_and_port(&server)), "{}", said());
    drop((ended, other));
    let (_one, _other) = (pool.get().await.expect("it answers"), pool.get().await.expect("it answers"));
    assert_eq!(said().matches("WARN").count(), 1, "once: {}", said());
}
