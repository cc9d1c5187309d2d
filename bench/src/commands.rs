//! The whole way: commands over HTTP, through Kafka, decided, committed, and answered through Kafka.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use daybook_kernel::ConsistencyToken;
use uuid::Uuid;

use crate::http::Connection;
use crate::samples::Client;

/// Steps over the streams: a prime, so that all are visited, and neighbours in time are none in the index.
const STEP: u64 = 7_919;
/// Longest time for a process to become ready, and for read models to catch up.
const PATIENCE: Duration = Duration::from_secs(120);

/// The commands that are posted: stock received, on so many streams. Each needs no other before it, and always yields an event.
pub(crate) struct Load {
    /// Names the streams.
    run: String,
    /// Begins every key.
    keys: String,
    streams: u64,
    posted: AtomicU64,
}

impl Load {
    /// On streams that no other load has.
    pub(crate) fn on(streams: u64) -> Arc<Self> {
        Self::again(&short(), streams)
    }

    /// On the streams of that name, which an earlier load may have made.
    pub(crate) fn again(run: &str, streams: u64) -> Arc<Self> {
        Arc::new(Self { run: run.to_owned(), keys: short(), streams, posted: AtomicU64::new(0) })
    }

    /// Clients that each keep a connection.
    pub(crate) fn clients(self: &Arc<Self>, address: SocketAddr, count: usize) -> Vec<Poster> {
        (0..count).map(|_| self.client(address)).collect()
    }

    /// One more client.
    pub(crate) fn client(self: &Arc<Self>, address: SocketAddr) -> Poster {
        Poster { load: self.clone(), connection: Connection::new(address), body: Vec::new(), request: Vec::new(), token: String::new() }
    }

    /// Number of posted commands.
    pub(crate) fn posted(&self) -> u64 {
        self.posted.load(Ordering::Relaxed)
    }
}

fn short() -> String {
    Uuid::new_v4().simple().to_string()[..12].to_owned()
}

/// Posts one command at a time.
pub(crate) struct Poster {
    load: Arc<Load>,
    connection: Connection,
    body: Vec<u8>,
    request: Vec<u8>,
    /// Of the last answer.
    token: String,
}

impl Poster {
    /// The token of the last answer.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    fn write_request(&mut self) -> std::io::Result<()> {
        let Load { run, keys, streams, posted } = &*self.load;
        let n = posted.fetch_add(1, Ordering::Relaxed);
        let sku = n.wrapping_mul(STEP) % streams;
        self.body.clear();
        write!(self.body, r#"{{"sku":"{run}-{sku}","warehouse":"w-1","quantity":1}}"#)?;
        self.request.clear();
        write!(
            self.request,
            "POST /v1/inventory/receive-stock HTTP/1.1\r\nHost: daybook\r\nContent-Type: application/json\r\n\
             Idempotency-Key: {keys}-{n}\r\nContent-Length: {}\r\n\r\n",
            self.body.len()
        )?;
        self.request.extend_from_slice(&self.body);
        Ok(())
    }
}

impl Client for Poster {
    async fn once(&mut self) -> Result<(), String> {
        self.write_request().map_err(|error| error.to_string())?;
        let answer = self.connection.send(&self.request).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        self.token.clear();
        self.token.push_str(answer.header("consistency-token").unwrap_or_default());
        Ok(())
    }
}

/// Waits until `/readyz` is good.
///
/// # Errors
/// When it is not so in time, with its answer.
pub(crate) async fn wait_until_ready(address: SocketAddr) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut connection = Connection::new(address);
    loop {
        let said = match connection.send(b"GET /readyz HTTP/1.1\r\nHost: daybook\r\n\r\n").await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => String::from_utf8_lossy(answer.body).into_owned(),
            Err(error) => error.to_string(),
        };
        if begun.elapsed() > PATIENCE {
            bail!("{address} is not ready after {} s: {said}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the product pages hold everything that these clients were answered, and returns the time that it took.
///
/// # Errors
/// When it is not so in time.
pub(crate) async fn wait_for_read_models(queries: SocketAddr, clients: &[Poster]) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let tokens = latest(clients.iter().map(|c| c.token.as_str()))?;
    let request = format!("GET /v1/product-pages/none HTTP/1.1\r\nHost: daybook\r\nPrefer: wait=30\r\nConsistency-Token: {tokens}\r\n\r\n");
    let mut connection = Connection::new(queries);
    loop {
        let said = match connection.send(request.as_bytes()).await {
            // There is no such page, but that is known of a state that has got there.
            Ok(answer) if matches!(answer.status, 200 | 404) => return Ok(begun.elapsed()),
            Ok(answer) => String::from_utf8_lossy(answer.body).into_owned(),
            Err(error) => error.to_string(),
        };
        if begun.elapsed() > PATIENCE {
            bail!("the read models have not got to {tokens} after {} s: {said}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The last position of each partition, comma-separated.
fn latest<'a>(tokens: impl Iterator<Item = &'a str>) -> anyhow::Result<String> {
    let mut last: BTreeMap<(String, i32), ConsistencyToken> = BTreeMap::new();
    for token in tokens.filter(|t| !t.is_empty()) {
        let token = ConsistencyToken::parse_list(token).ok().and_then(|mut tokens| tokens.pop()).context("an answer's token is none")?;
        let place = last.entry((token.service.clone(), token.partition)).or_insert_with(|| token.clone());
        if token.offset > place.offset {
            *place = token;
        }
    }
    Ok(last.values().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_partition_the_last_position_is_waited_for() {
        let tokens = ["inventory/0:7@1", "", "inventory/3:2@1", "inventory/0:9@1", "inventory/0:8@1"];
        assert_eq!(latest(tokens.into_iter()).expect("good ones"), "inventory/0:9@1, inventory/3:2@1");
    }

    #[test]
    fn a_request_says_how_long_it_is_and_its_key_is_new() {
        let load = Load::on(10_000);
        let mut poster = load.clients(SocketAddr::from(([127, 0, 0, 1], 1)), 1).remove(0);
        poster.write_request().expect("into memory");
        let first = String::from_utf8(poster.request.clone()).expect("text");
        let (head, body) = first.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(head.contains("-0\r\n"), "{head}");
        poster.write_request().expect("into memory");
        assert!(String::from_utf8_lossy(&poster.request).contains("-1\r\n"));
    }
}
