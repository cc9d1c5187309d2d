//! Cached product pages, against the same bytes served from memory by the same HTTP library.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cpu::{Processes, Used};
use crate::http::Connection;
use crate::raw_http;
use crate::report::{self, Entries, Entry};
use crate::samples::{Client, Measured, closed_loop};
use crate::shop::Shop;

/// Pages that are asked for.
const PAGES: u64 = 1_000;
/// Time that each loop runs before it counts.
const WARM_UP: Duration = Duration::from_secs(1);
/// Both are measured in turn so often: the machine's mood changes.
const ROUNDS: u32 = 3;

/// The places to measure at.
pub(crate) struct Places {
    pub(crate) commands: SocketAddr,
    pub(crate) queries: SocketAddr,
    pub(crate) daybook_pid: Option<u32>,
}

/// Both, one after the other.
struct Round {
    raw: Measured,
    own: Measured,
    /// Microseconds a request.
    raw_cpu: f64,
    own_cpu: f64,
}

impl Round {
    fn ratio(&self) -> f64 {
        self.own.per_second.value / self.raw.per_second.value.max(1e-9)
    }
}

/// Asks for one page after the other.
struct Getter {
    connection: Connection,
    requests: Arc<[Vec<u8>]>,
    next: usize,
}

impl Client for Getter {
    async fn once(&mut self) -> Result<(), String> {
        let request = &self.requests[self.next % self.requests.len()];
        // A prime: clients don't walk in step.
        self.next += 31;
        let answer = self.connection.send(request).await.map_err(|e| e.to_string())?;
        if answer.status == 200 && !answer.body.is_empty() { Ok(()) } else { Err(format!("status {}", answer.status)) }
    }
}

fn getters(address: SocketAddr, requests: &Arc<[Vec<u8>]>, count: usize) -> Vec<Getter> {
    (0..count).map(|n| Getter { connection: Connection::new(address), requests: requests.clone(), next: n * 7 }).collect()
}

async fn measure(getters: Vec<Getter>, length: Duration, processes: &Processes) -> anyhow::Result<(Measured, Used)> {
    let (_, getters) = closed_loop(getters, WARM_UP, 1.0).await?;
    let before = processes.used();
    let (measured, _) = closed_loop(getters, length, 1.0).await?;
    Ok((measured, processes.used().since(&before)))
}

/// Measures, prints, and returns the numbers for programs.
///
/// # Errors
/// When Daybook does not answer.
pub(crate) async fn run(places: &Places, clients: usize, length: Duration) -> anyhow::Result<(Entries, u64)> {
    let shop = Shop::open(places.commands, places.queries, PAGES).await?;
    let request =
        |n| format!("GET /v1/product-pages/{} HTTP/1.1\r\nHost: daybook\r\nAccept: application/json\r\n\r\n", shop.sku(n)).into_bytes();
    let requests: Arc<[Vec<u8>]> = (0..PAGES).map(request).collect();
    let mut connection = Connection::new(places.queries);
    let answer = connection.send(&requests[0]).await?;
    let size = answer.body.len();
    // The same headers too: the client reads them, and the server writes them.
    let same = ["content-type", "etag", "vary", "cache-control", "consistency-position"];
    let mut bytes = String::new();
    for name in same {
        bytes.extend(answer.header(name).map(|value| format!("{name}: {value}\r\n")));
    }
    let server = raw_http::start(&[bytes.as_bytes(), b"\r\n", answer.body].concat())?;
    let watched = |pid: Option<u32>| Processes(pid.map(|pid| ("server", pid)).into_iter().collect());
    let (raw_watch, own_watch) = (watched(Some(server.pid())), watched(places.daybook_pid));

    println!(
        "Product pages from memory: {PAGES} pages of {} bytes, {clients} clients, {ROUNDS} × {} s each in turn",
        size,
        length.as_secs()
    );
    println!("{:<40}{:>10}{:>18}{:>10}{:>10}  errors   µs of CPU each", "", "/s", "", "p50 ms", "p99 ms");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (raw, raw_used) = measure(getters(server.address, &requests, clients), length, &raw_watch).await?;
        let (own, own_used) = measure(getters(places.queries, &requests, clients), length, &own_watch).await?;
        let cpu = |used: &Used, m: &Measured| used.processes.first().map_or(f64::NAN, |(_, us)| us / m.done.max(1) as f64);
        let round = Round { raw_cpu: cpu(&raw_used, &raw), own_cpu: cpu(&own_used, &own), raw, own };
        println!("{:<40}{}  {:>8.1}", "axum, the same bytes", report::line(&round.raw), round.raw_cpu);
        println!("{:<40}{}  {:>8.1}", "product pages", report::line(&round.own), round.own_cpu);
        rounds.push(round);
    }
    rounds.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let failed = rounds.iter().map(|r| r.raw.failed() + r.own.failed()).sum();
    let (least, most) = (rounds[0].ratio(), rounds[rounds.len() - 1].ratio());
    let Round { raw, own, raw_cpu, own_cpu } = rounds.swap_remove(rounds.len() / 2);
    println!("ratio {:.2} (least {least:.2}, most {most:.2})", own.per_second.value / raw.per_second.value.max(1e-9));
    let mut entries = Entries::new();
    entries.insert("cached_page_raw_http".into(), Entry::new(raw.per_second, "requests/s", None));
    entries.insert("cached_page".into(), Entry::new(own.per_second, "requests/s", Some(raw.per_second.value)));
    entries.insert("cached_page_p99".into(), Entry::new(own.p99, "us", Some(raw.p99.value)));
    entries.insert("cached_page_cpu".into(), Entry::new(report::constant(own_cpu), "us/request", Some(raw_cpu)));
    Ok((entries, failed))
}
