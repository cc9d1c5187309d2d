//! Live queries: many subscribers over real sockets, their cost, and whether each gets the last state.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::http::Connection;
use crate::report::{Entries, Entry, constant};
use crate::shop::Shop;

/// Products that are subscribed to.
const PRODUCTS: u64 = 1_000;
/// Changes of each product while all look on.
const CHANGES: u64 = 5;
/// Longest time until the last state has reached the last subscriber.
const PATIENCE: Duration = Duration::from_secs(60);
/// Subscribers that connect at once.
const AT_ONCE: usize = 64;

/// The counts of all subscribers.
#[derive(Default)]
struct Counts {
    /// Have got a state.
    started: AtomicU64,
    /// Have got the last state.
    ended: AtomicU64,
    /// States that arrived.
    states: AtomicU64,
    bytes: AtomicU64,
}

/// The last price that a product gets.
fn last_price(product: u64) -> u64 {
    5_000_000 + product
}

/// A live query, over a connection of its own.
pub(crate) struct Subscription {
    stream: TcpStream,
    kept: Vec<u8>,
    /// Bytes that have come.
    bytes: u64,
}

impl Subscription {
    /// Asks for it; `path` ends with `/events`.
    ///
    /// # Errors
    /// When the query API can't be reached.
    pub(crate) async fn open(queries: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(queries).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: daybook\r\nAccept: text/event-stream\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        Ok(Self { stream, kept: Vec::new(), bytes: 0 })
    }

    /// The next event that has data. Whoever stops waiting loses nothing.
    ///
    /// # Errors
    /// When the subscription ends, with what had come last.
    pub(crate) async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            // An event ends with an empty line; chunks may cut it anywhere.
            while let Some(end) = self.kept.windows(2).position(|w| w == b"\n\n") {
                let event = String::from_utf8_lossy(&self.kept[..end]).into_owned();
                self.kept.drain(..end + 2);
                if event.contains("data:") {
                    return Ok(event);
                }
            }
            let read = self.stream.read_buf(&mut self.kept).await?;
            ensure!(read > 0, "a subscription ended: {}", String::from_utf8_lossy(&self.kept));
            self.bytes += read as u64;
        }
    }
}

/// The live query of a product's page.
pub(crate) fn of_product(sku: &str) -> String {
    format!("/v1/product-pages/{sku}/events")
}

/// Reads one subscription until the last state is there, and then holds it until all are done.
async fn subscribe(
    queries: SocketAddr,
    sku: String,
    product: u64,
    counts: Arc<Counts>,
    places: Arc<tokio::sync::Semaphore>,
    mut over: watch::Receiver<bool>,
) -> anyhow::Result<Option<Instant>> {
    let place = places.acquire().await?;
    let mut subscription = Subscription::open(queries, &of_product(&sku)).await?;
    let wanted = format!("\"minorUnits\":\"{}\"", last_price(product));
    let (mut place, mut arrived) = (Some(place), None);
    loop {
        let event = tokio::select! {
            event = subscription.next() => event?,
            _ = over.wait_for(|over| *over) => break,
        };
        counts.states.fetch_add(1, Ordering::Relaxed);
        if place.take().is_some() {
            counts.started.fetch_add(1, Ordering::Relaxed);
        }
        if arrived.is_none() && event.contains(&wanted) {
            arrived = Some(Instant::now());
            counts.ended.fetch_add(1, Ordering::Relaxed);
        }
    }
    counts.bytes.fetch_add(subscription.bytes, Ordering::Relaxed);
    Ok(arrived)
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()
}

async fn until(counter: &AtomicU64, wanted: u64) -> bool {
    let begun = Instant::now();
    while counter.load(Ordering::Relaxed) < wanted {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Measures, prints, and returns the numbers for programs and the number of those without the last state.
///
/// # Errors
/// When Daybook does not answer.
pub(crate) async fn run(commands: SocketAddr, queries: SocketAddr, pid: Option<u32>, subscribers: u64) -> anyhow::Result<(Entries, u64)> {
    let shop = Shop::open(commands, queries, PRODUCTS).await?;
    let counts = Arc::<Counts>::default();
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let (done, over) = watch::channel(false);
    let before = pid.and_then(resident);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..subscribers)
        .map(|n| {
            let product = n % PRODUCTS;
            tokio::spawn(subscribe(queries, shop.sku(product), product, counts.clone(), places.clone(), over.clone()))
        })
        .collect();
    let all_in = until(&counts.started, subscribers).await;
    println!(
        "{} of {subscribers} subscribers of {PRODUCTS} products have their first state after {:.1} s",
        counts.started.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64()
    );
    let held = pid.and_then(resident);
    let each = before.zip(held).map(|(before, held)| (held - before) / subscribers.max(1) as f64);
    if let (Some(before), Some(held), Some(each)) = (before, held, each) {
        println!("memory of Daybook: {:.0} MiB before, {:.0} MiB with them: {each:.1} KiB a subscriber", before / 1024.0, held / 1024.0);
    }

    let changing = (0..32_u64).map(|first| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let mut connection = Connection::new(shop.address());
            let mut told = Vec::new();
            for change in 1..=CHANGES {
                for product in (first..PRODUCTS).step_by(32) {
                    let price = if change == CHANGES { last_price(product) } else { 2_000 + change };
                    shop.reprice(&mut connection, product, price).await?;
                    if change == CHANGES {
                        told.push((product, Instant::now()));
                    }
                }
            }
            anyhow::Ok(told)
        })
    });
    let begun = Instant::now();
    let mut told = vec![begun; PRODUCTS as usize];
    for one in changing.collect::<Vec<_>>() {
        for (product, at) in one.await.context("a writer panicked")?? {
            told[product as usize] = at;
        }
    }
    println!("{} changes in {:.1} s", PRODUCTS * CHANGES, begun.elapsed().as_secs_f64());
    let all_out = until(&counts.ended, subscribers).await;
    let peak = pid.and_then(resident);
    done.send_replace(true);
    let (mut delays, mut broken) = (Vec::new(), 0_u64);
    for (n, task) in (0..subscribers).zip(tasks) {
        match task.await.context("a subscriber panicked")? {
            Ok(Some(at)) => delays.push(at.saturating_duration_since(told[(n % PRODUCTS) as usize]).as_secs_f64() * 1e3),
            Ok(None) => {}
            Err(_) => broken += 1,
        }
    }
    delays.sort_by(f64::total_cmp);
    let percentile = |p: usize| delays.get((delays.len() * p).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default();
    let missed = subscribers - counts.ended.load(Ordering::Relaxed).min(subscribers);
    println!(
        "{} of {subscribers} got the last state ({broken} connections broke), p50 {:.1} ms and p99 {:.1} ms after its acknowledgement",
        subscribers - missed,
        percentile(50),
        percentile(99)
    );
    println!(
        "{} states, {:.1} MiB; memory of Daybook afterwards {:.0} MiB",
        counts.states.load(Ordering::Relaxed),
        counts.bytes.load(Ordering::Relaxed) as f64 / 1_048_576.0,
        peak.unwrap_or_default() / 1024.0
    );
    let mut entries = Entries::new();
    for (name, value, unit) in [
        ("sse_subscribers", subscribers as f64, "subscribers"),
        ("sse_missed_last_state", missed as f64, "subscribers"),
        ("sse_memory", each.unwrap_or_default(), "KiB/subscriber"),
        ("sse_p50", percentile(50), "ms"),
        ("sse_p99", percentile(99), "ms"),
    ] {
        entries.insert(name.into(), Entry::new(constant(value), unit, None));
    }
    Ok((entries, if all_in && all_out { missed } else { missed.max(1) }))
}
