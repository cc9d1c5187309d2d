//! The workload: clients over HTTP and raw Kafka that send commands, repeat their own, and read with tokens; each writes down what it asked and
//! what it was told. The commands and questions themselves are the shop's ([`crate::shop`]).

mod client;
mod raw;
mod reader;
mod transaction;
mod writer;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use tokio::task::JoinSet;

pub use client::{Http, Server};
pub use raw::RawClient;
pub use transaction::Transaction;

use crate::history::{Answer, Command, Recorder};
use crate::shop::names::CARRIER;
use crate::shop::shoppers::{self, Counter};
use crate::shop::{Market, Shop};

/// Clients that fill carts, and those that look after orders.
const SHOPPERS: u32 = 6;
const STAFF: u32 = 4;
/// The longest that it may take until every order is brought to an end: longer than processes wait for anything.
const CLOSED: Duration = Duration::from_secs(180);
/// The client that does it; others of its kind have the numbers behind it.
const CLOSES: u32 = 4_000_000;

/// The most that a crowd has under way at once.
const HANDS: usize = 6_000;

/// Settings of the workload.
#[derive(Clone, Debug)]
pub struct Options {
    /// Every choice of every client comes from it.
    pub seed: u64,
    /// Command endpoints.
    pub commands: Vec<Server>,
    /// Query APIs.
    pub queries: Vec<Server>,
    /// Kafka, for clients that use it themselves.
    pub kafka: String,
    /// Clients that post commands.
    pub writers: u32,
    /// Clients that read.
    pub readers: u32,
    /// Clients that produce to Kafka.
    pub raw: u32,
    /// Commands a second of all of them together.
    pub rate: f64,
    /// Things that commands may be about; fewer are hotter.
    pub things: u64,
    /// Two builds serve, of which one knows less.
    pub two_builds: bool,
    /// Shoppers place orders.
    pub orders: bool,
    /// Those outside.
    pub outside: Vec<Server>,
}

/// The part that all clients share.
pub(crate) struct Floor {
    pub(crate) options: Options,
    pub(crate) http: Http,
    pub(crate) shop: Shop,
    over: AtomicBool,
}

impl Floor {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn random(&self, client: u32) -> StdRng {
        StdRng::seed_from_u64(self.options.seed ^ (u64::from(client) << 32))
    }

    fn any<'a>(&self, places: &'a [Server], random: &mut StdRng) -> &'a Server {
        &places[random.random_range(0..places.len())]
    }

    /// Waits until one of so many clients may send its next command.
    async fn pace(&self, of: u32, random: &mut StdRng) {
        let mean = f64::from(of) / self.options.rate.max(0.001);
        // Between nothing and twice the mean: they do not walk in step.
        tokio::time::sleep(Duration::from_secs_f64(mean * random.random_range(0.0..2.0))).await;
    }
}

impl Counter for Floor {
    fn is_over(&self) -> bool {
        Self::is_over(self)
    }

    fn random(&self, client: u32) -> StdRng {
        Self::random(self, client)
    }

    fn market(&self) -> &Market {
        self.shop.market()
    }

    fn carrier(&self) -> Option<&str> {
        self.options.outside.iter().find(|server| server.name == CARRIER).map(|server| server.url.as_str())
    }

    async fn insist(&self, client: u32, command: &Command, random: &mut StdRng) -> Answer {
        writer::insist(self, client, command, random).await
    }

    async fn read(&self, client: u32, model: &str, key: &str, tokens: &[String], random: &mut StdRng) -> Option<Value> {
        let at = self.any(&self.options.queries, random);
        match self.http.read(client, at, model, key, tokens).await {
            Answer::Page { status: 200, body, .. } => Some(body),
            _ => None,
        }
    }

    async fn visit(&self, url: &str) {
        self.http.visit(url).await;
    }
}

/// Clients at work.
pub struct Workload {
    floor: Arc<Floor>,
    clients: JoinSet<()>,
}

impl Workload {
    /// Sets the clients to work.
    ///
    /// # Errors
    /// When a client library can't be set up.
    pub fn start(options: Options, recorder: Recorder) -> anyhow::Result<Self> {
        let (writers, readers, raw) = (options.writers, options.readers, options.raw);
        let shop = Shop::new(options.seed, options.things);
        let floor = Arc::new(Floor { http: Http::new(recorder, options.two_builds)?, shop, over: AtomicBool::new(false), options });
        let mut clients = JoinSet::new();
        for client in 0..writers {
            clients.spawn(writer::work(floor.clone(), client, writers + raw));
        }
        for client in writers..writers + raw {
            let raw_client = RawClient::new(&floor.options.kafka, floor.http.recorder().clone())?;
            clients.spawn(raw::work(floor.clone(), raw_client, client, writers + raw));
        }
        for client in writers + raw..writers + raw + readers {
            clients.spawn(reader::work(floor.clone(), client));
        }
        let first = writers + raw + readers;
        if floor.options.orders {
            clients.spawn(shoppers::keep_shop(floor.clone(), first));
            for client in first + 1..first + 1 + SHOPPERS {
                clients.spawn(shoppers::shop_around(floor.clone(), client));
            }
            for client in first + 1 + SHOPPERS..first + 1 + SHOPPERS + STAFF {
                clients.spawn(shoppers::look_after(floor.clone(), client));
            }
        }
        Ok(Self { floor, clients })
    }

    /// A crowd posts commands beside the other clients, so many a second, whether they are answered or not. Its clients'
    /// numbers begin with `number`.
    pub fn crowd(&self, number: u32, rate: f64, length: Duration) -> impl Future<Output = ()> + Send + use<> {
        writer::crowd(self.floor.clone(), number, rate, HANDS, length)
    }

    /// Lets every client finish what it has begun, commands without a definite answer included, and brings every order to an end.
    ///
    /// # Errors
    /// When a client panicked.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        self.floor.over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended?;
        }
        if self.floor.options.orders {
            join_all((0..STAFF).map(|n| shoppers::close(&*self.floor, CLOSES + n, CLOSED))).await;
        }
        Ok(())
    }
}
