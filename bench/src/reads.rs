//! Readers with tokens while products change: the faults that they must never see, and the time until a change is served.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::http::Connection;
use crate::report::{Entries, Entry, constant};
use crate::shop::{Changed, Shop};

/// Products that change.
pub(crate) const PRODUCTS: u64 = 10_000;
/// Commands under way at once, so that a slow answer does not slow the rest.
const WRITERS: u64 = 32;
/// The first price; a price is never used twice, so that it tells which change a page shows.
const FIRST_PRICE: u64 = 2_000;

/// The state that all tasks share.
struct Board {
    shop: Arc<Shop>,
    /// By product: the last change that was acknowledged.
    last: Vec<Mutex<Option<Changed>>>,
    /// The price of each version of a product.
    prices: Mutex<HashMap<(u64, u64), u64>>,
    over: AtomicBool,
    changes: AtomicU64,
}

/// The observations of one reader.
#[derive(Default)]
struct Seen {
    /// From the acknowledgement of a change to the end of the answer that shows it, in microseconds.
    staleness: Vec<u32>,
    /// Of every read, in microseconds.
    latency: Vec<u32>,
    /// (product, version, price) as pages had them.
    pages: Vec<(u64, u64, u64)>,
    faults: Vec<String>,
}

/// A change that a reader looks for at once.
struct Fresh {
    product: u64,
    changed: Changed,
    at: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(board: Arc<Board>, first: u64, rate: u64, begun: Instant, fresh: mpsc::Sender<Fresh>) -> anyhow::Result<()> {
    let mut connection = Connection::new(board.shop.address());
    let mut n = first;
    while !board.over.load(Ordering::Relaxed) {
        tokio::time::sleep_until((begun + Duration::from_secs_f64(n as f64 / rate as f64)).into()).await;
        let (product, price) = (n.wrapping_mul(7_919) % PRODUCTS, FIRST_PRICE + n);
        let changed = board.shop.reprice(&mut connection, product, price).await?;
        let at = Instant::now();
        lock(&board.prices).insert((product, changed.version), price);
        {
            let mut last = lock(&board.last[product as usize]);
            if last.as_ref().is_none_or(|l| l.version < changed.version) {
                *last = Some(changed.clone());
            }
        }
        board.changes.fetch_add(1, Ordering::Relaxed);
        // Nobody free to look: it is looked at later, by chance.
        let _ = fresh.try_send(Fresh { product, changed, at });
        n += WRITERS;
    }
    Ok(())
}

/// A page's version and price, which must be one in all the places that show it.
///
/// # Errors
/// When it is not, or this is no page.
pub(crate) fn page(body: &[u8]) -> Result<(u64, u64), String> {
    let page: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let number = |v: &Value| v.as_str().and_then(|s| s.parse::<u64>().ok());
    let version = number(&page["version"]).ok_or("a page without a version")?;
    let price = number(&page["price"]["minorUnits"]).ok_or("a page without a price")?;
    let listed = number(&page["prices"]["EUR"]["list"]["minorUnits"]);
    let sale = page.get("sale").and_then(|s| number(&s["minorUnits"]));
    if listed != Some(price) || sale.is_some_and(|s| s + 1 != price) {
        return Err(format!("mixed: version {version} has price {price}, listed {listed:?}, on sale {sale:?}"));
    }
    Ok((version, price))
}

async fn read(board: Arc<Board>, queries: SocketAddr, number: u64, fresh: Arc<tokio::sync::Mutex<mpsc::Receiver<Fresh>>>) -> Seen {
    let mut connection = Connection::new(queries);
    let mut seen = Seen::default();
    let mut newest: HashMap<u64, u64> = HashMap::new();
    let mut by_chance = number;
    while !board.over.load(Ordering::Relaxed) {
        // A reader that does not get the channel at once reads something else.
        let looked_for = fresh.try_lock().ok().and_then(|mut fresh| fresh.try_recv().ok());
        by_chance = by_chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (product, changed, at) = match looked_for {
            Some(f) => (f.product, f.changed, Some(f.at)),
            None => {
                let product = (by_chance >> 33) % PRODUCTS;
                let Some(changed) = lock(&board.last[product as usize]).clone() else {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                };
                (product, changed, None)
            }
        };
        let request = board.shop.page_request(product, &changed.token);
        let begun = Instant::now();
        let read = match connection.send(request.as_bytes()).await {
            Ok(answer) if answer.status == 200 => page(answer.body),
            Ok(answer) => Err(format!("status {}", answer.status)),
            Err(error) => Err(error.to_string()),
        };
        let done = Instant::now();
        match read {
            Ok((version, price)) => {
                if version < changed.version {
                    seen.faults.push(format!("product {product}: version {version} under a token of version {}", changed.version));
                }
                let before = newest.entry(product).or_default();
                if version < *before {
                    seen.faults.push(format!("product {product}: version {version} after version {before}"));
                }
                *before = version.max(*before);
                seen.pages.push((product, version, price));
            }
            Err(fault) => seen.faults.push(fault),
        }
        let micros = |from: Instant| u32::try_from(done.duration_since(from).as_micros()).unwrap_or(u32::MAX);
        seen.latency.push(micros(begun));
        seen.staleness.extend(at.map(micros));
        // 64 readers in a closed loop would take the whole machine from those who write.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

fn percentile(values: &mut [u32], percent: usize) -> f64 {
    values.sort_unstable();
    values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).map_or(0.0, |v| f64::from(*v) / 1e3)
}

/// Measures, prints, and returns the numbers for programs and the number of faults.
///
/// # Errors
/// When Daybook does not answer.
pub(crate) async fn run(
    commands: SocketAddr,
    queries: SocketAddr,
    readers: u64,
    rate: u64,
    length: Duration,
) -> anyhow::Result<(Entries, u64)> {
    let shop = Shop::open(commands, queries, PRODUCTS).await?;
    let last = (0..PRODUCTS).map(|_| Mutex::default()).collect();
    let board = Arc::new(Board { shop, last, prices: Mutex::default(), over: AtomicBool::new(false), changes: AtomicU64::new(0) });
    let (send, receive) = mpsc::channel(1_024);
    let receive = Arc::new(tokio::sync::Mutex::new(receive));
    let begun = Instant::now();
    let writers: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(write(board.clone(), n, rate, begun, send.clone()))).collect();
    let reading: Vec<_> = (0..readers).map(|n| tokio::spawn(read(board.clone(), queries, n + 1, receive.clone()))).collect();
    tokio::time::sleep(length).await;
    board.over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.context("a writer panicked")??;
    }
    let mut all = Seen::default();
    for reader in reading {
        let seen = reader.await.context("a reader panicked")?;
        all.staleness.extend(seen.staleness);
        all.latency.extend(seen.latency);
        all.pages.extend(seen.pages);
        all.faults.extend(seen.faults);
    }
    let prices = lock(&board.prices);
    for (product, version, price) in &all.pages {
        if let Some(told) = prices.get(&(*product, *version)).filter(|told| *told != price) {
            all.faults.push(format!("product {product}: version {version} has price {told}, a page showed {price}"));
        }
    }
    let seconds = length.as_secs_f64();
    let (changes, reads) = (board.changes.load(Ordering::Relaxed) as f64 / seconds, all.latency.len() as f64 / seconds);
    println!(
        "{PRODUCTS} products, {changes:.0} changes/s ({rate} wanted), {readers} readers with tokens, {reads:.0} reads/s, {seconds:.0} s"
    );
    let stale = [50, 99].map(|p| percentile(&mut all.staleness, p));
    let latency = [50, 99].map(|p| percentile(&mut all.latency, p));
    println!(
        "from acknowledgement to served bytes: p50 {:.2} ms, p99 {:.2} ms ({} looked for at once)",
        stale[0],
        stale[1],
        all.staleness.len()
    );
    println!("a read: p50 {:.2} ms, p99 {:.2} ms", latency[0], latency[1]);
    println!("older than its token, older after newer, mixed, or not answered: {}", all.faults.len());
    for fault in all.faults.iter().take(10) {
        println!("  FAULT: {fault}");
    }
    let mut entries = Entries::new();
    for (name, value, unit) in [
        ("reads_changes", changes, "changes/s"),
        ("reads", reads, "reads/s"),
        ("reads_staleness_p50", stale[0], "ms"),
        ("reads_staleness_p99", stale[1], "ms"),
        ("reads_p50", latency[0], "ms"),
        ("reads_p99", latency[1], "ms"),
        ("reads_faults", all.faults.len() as f64, "faults"),
    ] {
        entries.insert(name.into(), Entry::new(constant(value), unit, None));
    }
    Ok((entries, all.faults.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_two_versions_is_found() {
        let page_of = |price: u64, listed: u64, sale: u64| {
            let body = serde_json::json!({
                "version": "3", "price": { "minorUnits": price.to_string() }, "sale": { "minorUnits": sale.to_string() },
                "prices": { "EUR": { "list": { "minorUnits": listed.to_string() } } },
            });
            page(body.to_string().as_bytes())
        };
        assert_eq!(page_of(7, 7, 6), Ok((3, 7)));
        assert!(page_of(7, 8, 6).is_err());
        assert!(page_of(7, 7, 7).is_err());
    }
}
