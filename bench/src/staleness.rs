//! Staleness: the time from a command's answer to the bytes that show its change, asked for with the answer's token, and pushed to a live query.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::watch;

use crate::WARM_UP;
use crate::http::Connection;
use crate::reads::page;
use crate::report::{self, Entries, Entry};
use crate::samples::{Client, Measured, open_loop};
use crate::shop::{Changed, Shop};
use crate::sse::{Subscription, of_product};

/// Products that change, and that are subscribed to.
const PRODUCTS: u64 = 1_000;
/// Steps over the products: a prime, so that all are visited.
const STEP: u64 = 7_919;
/// The first price; a price is never used twice, so that it tells which change a page shows.
const FIRST_PRICE: u64 = 2_000;
/// Subscribers that connect at once.
const AT_ONCE: usize = 64;
/// Longest wait for a push.
const PATIENCE: Duration = Duration::from_secs(10);

/// Changes of the shop's products, one product after the other.
struct Changes {
    shop: Arc<Shop>,
    made: AtomicU64,
}

/// A change, and when its command was answered.
struct Made {
    product: u64,
    price: u64,
    changed: Changed,
    answered: Instant,
}

impl Changes {
    async fn make(&self, connection: &mut Connection) -> Result<Made, String> {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        let (product, price) = (n.wrapping_mul(STEP) % PRODUCTS, FIRST_PRICE + n);
        let changed = self.shop.reprice(connection, product, price).await.map_err(|error| error.to_string())?;
        Ok(Made { product, price, changed, answered: Instant::now() })
    }
}

impl Made {
    /// Whether a page shows it: this version of the product with this price, or a later one.
    fn is_shown(&self, version: u64, price: u64) -> Result<(), String> {
        let wanted = self.changed.version;
        if version < wanted {
            return Err("a page older than its token".to_owned());
        }
        if version == wanted && price != self.price { Err("a page with another price".to_owned()) } else { Ok(()) }
    }
}

/// Changes a product, and asks for its page at once.
struct Asking {
    changes: Arc<Changes>,
    commands: Connection,
    queries: Connection,
    took: Duration,
}

impl Client for Asking {
    async fn once(&mut self) -> Result<(), String> {
        let made = self.changes.make(&mut self.commands).await?;
        let request = self.changes.shop.page_request(made.product, &made.changed.token);
        let answer = self.queries.send(request.as_bytes()).await.map_err(|error| error.to_string())?;
        self.took = made.answered.elapsed();
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        let (version, price) = page(answer.body)?;
        made.is_shown(version, price)
    }

    fn time(&self, _due: Instant, _now: Instant) -> Duration {
        self.took
    }
}

/// The state that was pushed last, and when it came.
#[derive(Clone, Copy)]
struct Pushed {
    version: u64,
    price: u64,
    at: Instant,
}

/// Changes a product, and waits until its live query shows that.
struct Looking {
    changes: Arc<Changes>,
    commands: Connection,
    pushed: Arc<[watch::Receiver<Pushed>]>,
    took: Duration,
}

impl Client for Looking {
    async fn once(&mut self) -> Result<(), String> {
        let made = self.changes.make(&mut self.commands).await?;
        let mut pushed = self.pushed[made.product as usize].clone();
        let arrived = tokio::time::timeout(PATIENCE, pushed.wait_for(|pushed| pushed.version >= made.changed.version));
        let Pushed { version, price, at } = *arrived.await.map_err(|_| "nothing was pushed")?.map_err(|_| "the live query has ended")?;
        // The push may come before the answer has been read.
        self.took = at.saturating_duration_since(made.answered);
        made.is_shown(version, price)
    }

    fn time(&self, _due: Instant, _now: Instant) -> Duration {
        self.took
    }
}

/// The next state of a live query.
async fn next(subscription: &mut Subscription) -> anyhow::Result<Pushed> {
    let event = subscription.next().await?;
    let at = Instant::now();
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).context("an event without data")?;
    let (version, price) = page(data.as_bytes()).map_err(anyhow::Error::msg)?;
    Ok(Pushed { version, price, at })
}

/// Follows a product's live query for as long as the measurement runs.
async fn follow(queries: SocketAddr, sku: String) -> anyhow::Result<watch::Receiver<Pushed>> {
    let mut subscription = Subscription::open(queries, &of_product(&sku)).await?;
    let (sender, pushed) = watch::channel(next(&mut subscription).await?);
    tokio::spawn(async move {
        while let Ok(state) = next(&mut subscription).await {
            sender.send_replace(state);
        }
    });
    Ok(pushed)
}

async fn measure<C: Client>(make: impl Fn() -> C, rate: f64, length: Duration) -> anyhow::Result<Measured> {
    open_loop(&make, rate, WARM_UP).await?;
    Ok(open_loop(&make, rate, length).await?.0)
}

/// Measures both ways one after the other, prints, and returns the numbers for programs.
///
/// # Errors
/// When Daybook does not answer.
pub(crate) async fn run(commands: SocketAddr, queries: SocketAddr, rate: u64, length: Duration) -> anyhow::Result<(Entries, u64)> {
    let shop = Shop::open(commands, queries, PRODUCTS).await?;
    let changes = Arc::new(Changes { shop: shop.clone(), made: AtomicU64::new(0) });
    let connection = || Connection::new(commands);
    let asking = || Asking { changes: changes.clone(), commands: connection(), queries: Connection::new(queries), took: Duration::ZERO };
    let asked = measure(asking, rate as f64, length).await?;
    let following = stream::iter((0..PRODUCTS).map(|n| follow(queries, shop.sku(n))));
    let pushed: Arc<[_]> = following.buffered(AT_ONCE).try_collect::<Vec<_>>().await?.into();
    let looking = || Looking { changes: changes.clone(), commands: connection(), pushed: pushed.clone(), took: Duration::ZERO };
    let pushed = measure(looking, rate as f64, length).await?;

    println!("From a command's answer to the bytes that show it: {rate} commands/s over {PRODUCTS} products, {} s each", length.as_secs());
    println!("{:<40}{:>10}{:>18}{:>10}{:>10}  errors", "", "/s", "", "p50 ms", "p99 ms");
    println!("{:<40}{}", "the page, asked for with the token", report::line(&asked));
    println!("{:<40}{}", "a live query's event", report::line(&pushed));
    let mut entries = Entries::new();
    let mut failed = 0;
    for (name, measured) in [("staleness", &asked), ("staleness_push", &pushed)] {
        entries.insert(name.to_owned(), Entry::new(measured.p50, "us", None));
        entries.insert(format!("{name}_p99"), Entry::new(measured.p99, "us", None));
        for (error, count) in &measured.errors {
            println!("FAILED: {name}: {count} × {error}");
        }
        failed += measured.failed();
    }
    Ok((entries, failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_a_change_by_its_price_or_by_a_later_version() {
        let changed = Changed { version: 7, token: String::new() };
        let made = Made { product: 0, price: 50, changed, answered: Instant::now() };
        assert_eq!((made.is_shown(7, 50), made.is_shown(8, 51)), (Ok(()), Ok(())));
        assert!(made.is_shown(6, 50).is_err());
        assert!(made.is_shown(7, 49).is_err());
    }
}
