//! The time from checkout to the confirmed order, nothing else going on, and where it goes: hop by hop, from the event that caused a
//! command to the event that came of it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use daybook_bus::{BusConfig, PartitionReader, StartAt, headers};
use daybook_postgres::connect_owner;
use daybook_proto::v1::Metadata;
use prost::Message as _;
use serde_json::json;

use crate::commands::wait_until_ready;
use crate::cpu::machine_description;
use crate::http::Connection;
use crate::report::{Entries, Entry, constant};
use crate::running::{PARTITIONS, Running, free_address, migrate};
use crate::samples::percentile;
use crate::shop::Shop;
use crate::sse::Subscription;

/// Orders before it counts.
const WARM_UP: usize = 10;
/// Rest between two orders: what follows a confirmed one comes to its end meanwhile.
const REST: Duration = Duration::from_millis(150);
/// Longest time for one order.
const PATIENCE: Duration = Duration::from_secs(30);

/// Options of `daybook-bench checkout`.
#[derive(Debug, Args)]
pub(crate) struct Checkout {
    /// The daybook to run.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Number of orders.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    orders: u64,
    /// How long the payment provider and the carrier take to answer, in milliseconds.
    #[arg(long, default_value_t = 20)]
    answer_ms: u64,
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// One order, by the clock of this machine.
struct Order {
    id: String,
    /// The checkout was sent.
    sent: i64,
    /// It was answered.
    answered: i64,
    /// The order's page, followed live, showed that it is confirmed.
    shown: i64,
}

/// An event of a log. Times are microseconds since 1970.
struct Logged {
    kind: String,
    /// Its command was on its way to Kafka, if it came over Kafka.
    sent: Option<i64>,
    /// It was decided.
    at: i64,
    /// It was written, and on its way to Kafka.
    published: Option<i64>,
    /// The place of the event that caused it: `service/partition:offset`. Of what came from outside, that of the one before in its stream.
    cause: String,
}

/// The processes of a shop, stopped when it goes.
struct Processes {
    commands: SocketAddr,
    queries: SocketAddr,
    _running: [Running; 3],
}

fn start(options: &Checkout) -> anyhow::Result<Processes> {
    let binary = &options.binary;
    migrate(binary)?;
    let (commands, queries) = (free_address()?, free_address()?);
    let (provider, carrier) = (free_address()?, free_address()?);
    let secret = std::env::temp_dir().join(format!("daybook-bench-{}", uuid::Uuid::new_v4()));
    std::fs::write(&secret, uuid::Uuid::new_v4().to_string())?;
    let simulator = |name: &'static str, address: SocketAddr, webhook: &str| {
        let mut command = Command::new(binary);
        command.args(["simulate", name, "--listen", &address.to_string(), "--answer-ms", &options.answer_ms.to_string()]);
        command.args(["--webhook-url", &format!("http://{commands}/v1/webhooks/{webhook}")]).arg("--secret-file").arg(&secret);
        Running::start(name, command)
    };
    let up = |secret: &Path| {
        let mut command = Command::new(binary);
        command.env("DAYBOOK_LOG", "warn").args([
            "up",
            "--commands-listen",
            &commands.to_string(),
            "--queries-listen",
            &queries.to_string(),
        ]);
        command.args(["--operations-listen", "127.0.0.1:0"]);
        command.args(["--payment-url", &format!("http://{provider}"), "--carrier-url", &format!("http://{carrier}")]);
        command.arg("--payment-webhook-secret-file").arg(secret).arg("--carrier-webhook-secret-file").arg(secret);
        Running::start("up", command)
    };
    let running = [simulator("payment-provider", provider, "payment")?, simulator("carrier", carrier, "carrier")?, up(&secret)?];
    Ok(Processes { commands, queries, _running: running })
}

/// Measures, and prints.
///
/// # Errors
/// When a process can't be started, or an order is not confirmed.
pub(crate) async fn run(options: &Checkout, (database_url, brokers): (&str, &str), called: &str) -> anyhow::Result<Entries> {
    let processes = start(options)?;
    wait_until_ready(processes.commands).await?;
    wait_until_ready(processes.queries).await?;
    println!("{called}\n{}", machine_description());
    let mut shop = Market::open(processes.commands, processes.queries).await?;
    for n in 0..WARM_UP {
        shop.order(&format!("warm-{n}")).await?;
    }
    let mut orders = Vec::new();
    for n in 0..options.orders {
        orders.push(shop.order(&n.to_string()).await?);
    }
    let logged = read_logs(database_url, &BusConfig::new(brokers).with_client_id("bench")).await?;
    report(options, &orders, &logged)
}

/// A shop with one product, and whoever buys it.
struct Market {
    shop: std::sync::Arc<Shop>,
    connection: Connection,
    queries: SocketAddr,
    run: String,
}

impl Market {
    async fn open(commands: SocketAddr, queries: SocketAddr) -> anyhow::Result<Self> {
        let shop = Shop::open(commands, queries, 1).await?;
        let mut connection = Connection::new(commands);
        let open = json!({ "warehouse": "w-1", "priority": 1, "countries": ["DE"] });
        shop.post(&mut connection, "inventory/open-warehouse", &open).await?;
        let receive = json!({ "sku": shop.sku(0), "warehouse": "w-1", "quantity": 1_000_000 });
        shop.post(&mut connection, "inventory/receive-stock", &receive).await?;
        Ok(Self { shop, connection, queries, run: uuid::Uuid::new_v4().simple().to_string()[..8].to_owned() })
    }

    async fn order(&mut self, name: &str) -> anyhow::Result<Order> {
        let (cart, id) = (format!("k-{}-{name}", self.run), format!("o-{}-{name}", self.run));
        let add = json!({ "cartId": cart, "sku": self.shop.sku(0), "quantity": 1 });
        self.shop.post(&mut self.connection, "cart/add-item", &add).await?;
        let checkout = json!({
            "cartId": cart, "orderId": id, "customerId": format!("c-{}-{name}", self.run), "email": "someone@example.org", "delivery": "standard",
            "shippingAddress": { "name": "Someone", "line1": "1 Street", "city": "Town", "postalCode": "12345", "country": "DE" },
            "payment": { "token": "tok_ok" }, "expectedTotal": { "currency": "EUR", "minorUnits": 1_000 },
        });
        let queries = self.queries;
        let page = tokio::spawn({
            let id = id.clone();
            async move { tokio::time::timeout(PATIENCE, confirmed(queries, &id)).await.context("it was not confirmed in time")? }
        });
        tokio::time::sleep(REST).await;
        let sent = now();
        self.shop.post(&mut self.connection, "cart/checkout", &checkout).await?;
        let answered = now();
        let shown = page.await.context("the reader panicked")?.with_context(|| id.clone())?;
        Ok(Order { id, sent, answered, shown })
    }
}

/// Follows an order's page until it is confirmed.
async fn confirmed(queries: SocketAddr, id: &str) -> anyhow::Result<i64> {
    let mut subscription = Subscription::open(queries, &format!("/v1/orders/{id}/events")).await?;
    loop {
        let order = subscription.next().await?;
        if order.contains("\"ORDER_STATUS_CONFIRMED\"") {
            return Ok(now());
        }
        ensure!(!order.contains("\"ORDER_STATUS_REJECT"), "it was rejected: {order}");
    }
}

/// When messages went to Kafka, in microseconds since 1970: of a topic, by this header's value in each partition.
async fn times(bus: &BusConfig, topic: &str, partitions: i32, header: &str) -> anyhow::Result<HashMap<String, i64>> {
    let mut times = HashMap::new();
    for partition in 0..partitions {
        let mut reader = PartitionReader::open(bus, topic, partition, StartAt::Earliest).await?;
        let end = reader.stable_end().await?;
        while let Some(messages) = reader.recv_before(end, 10_000, 16 << 20).await {
            for message in messages {
                let (Some(ms), Ok(Some(value))) = (message.timestamp_ms, message.headers.get_str(header)) else { continue };
                times.insert(format!("{partition}:{value}"), ms * 1_000);
            }
        }
    }
    Ok(times)
}

/// All events of all logs, by their places.
async fn read_logs(database_url: &str, bus: &BusConfig) -> anyhow::Result<HashMap<String, Logged>> {
    let owner = connect_owner(database_url).await?;
    let services = owner.query("SELECT schemaname FROM pg_tables WHERE tablename = 'command' ORDER BY 1", &[]).await?;
    let mut logged = HashMap::new();
    let mut last: HashMap<(String, String), String> = HashMap::new();
    for service in services.iter().map(|row| row.get::<_, String>(0)) {
        let commands = times(bus, &bus.messages(&service), PARTITIONS, headers::COMMAND_ID).await?;
        let events = times(bus, &bus.events(&service), PARTITIONS, headers::OFFSET).await?;
        let sql = format!(
            "SELECT partition, \"offset\", stream_id, type, (extract(epoch FROM recorded_at) * 1000000)::bigint AS at, metadata
             FROM \"{service}\".event ORDER BY partition, \"offset\""
        );
        for row in owner.query(&sql, &[]).await? {
            let metadata = Metadata::decode(row.get::<_, &[u8]>("metadata"))?;
            let kind = row.get::<_, String>("type").rsplit('.').next().unwrap_or_default().to_owned();
            let in_log = format!("{}:{}", row.get::<_, i32>("partition"), row.get::<_, i64>("offset"));
            let place = format!("{service}/{in_log}");
            let command = uuid::Uuid::from_slice(&metadata.command_id).unwrap_or_default();
            let sent = commands.get(&format!("{}:{command}", row.get::<_, i32>("partition"))).copied();
            // A notice from outside names no cause: what it tells came of what its stream had asked for.
            let before = last.insert((service.clone(), row.get("stream_id")), place.clone());
            let cause = match metadata.causation_id.split('@').next().unwrap_or_default() {
                "" => before.unwrap_or_default(),
                cause => cause.to_owned(),
            };
            logged.insert(place, Logged { kind, sent, at: row.get("at"), published: events.get(&in_log).copied(), cause });
        }
    }
    Ok(logged)
}

/// A step of an order's way: what came, and microseconds since what caused it was decided; of these, until that was written, until the
/// command was sent, and until it was decided.
type Hop = (String, u32, [u32; 3]);

fn micros(from: i64, to: i64) -> u32 {
    u32::try_from((to - from).max(0)).unwrap_or(u32::MAX)
}

/// The way that led to the order's confirmation: the events, each caused by the one before.
fn way(order: &Order, confirmed: &str, logged: &HashMap<String, Logged>) -> Vec<Hop> {
    let (mut place, mut hops) = (confirmed, Vec::new());
    // Before the checkout there was the cart.
    while let Some(event) = logged.get(place).filter(|event| event.at >= order.sent) {
        let cause = logged.get(&event.cause).filter(|cause| cause.at >= order.sent);
        let since = cause.map_or(order.sent, |cause| cause.at);
        let published = cause.and_then(|cause| cause.published).unwrap_or(since);
        let sent = event.sent.unwrap_or(published);
        hops.push((
            event.kind.clone(),
            micros(since, event.at),
            [micros(since, published), micros(published, sent), micros(sent, event.at)],
        ));
        place = &event.cause;
    }
    hops.reverse();
    let (at, published) = (logged[confirmed].at, logged[confirmed].published.unwrap_or(logged[confirmed].at));
    hops.push((
        "the order's page shows it".to_owned(),
        micros(at, order.shown),
        [micros(at, published), micros(published, order.shown), 0],
    ));
    hops
}

fn percentiles(mut times: Vec<u32>) -> (f64, f64) {
    times.sort_unstable();
    (percentile(&times, 50), percentile(&times, 99))
}

fn report(options: &Checkout, orders: &[Order], logged: &HashMap<String, Logged>) -> anyhow::Result<Entries> {
    // An order's confirmation, by the moment: no two orders are under way at once.
    let mut confirmations: Vec<(&str, &Logged)> =
        logged.iter().filter(|(_, e)| e.kind == "OrderConfirmed").map(|(place, e)| (place.as_str(), e)).collect();
    confirmations.sort_by_key(|(_, event)| event.at);
    let mut recorded = Vec::new();
    // By the events that they are made of.
    let mut ways: BTreeMap<Vec<String>, Vec<Vec<Hop>>> = BTreeMap::new();
    for order in orders {
        let Some((place, event)) = confirmations.iter().find(|(_, e)| e.at >= order.sent && e.at <= order.shown) else {
            bail!("the log has no confirmation of {}", order.id);
        };
        recorded.push(micros(order.sent, event.at));
        let hops = way(order, place, logged);
        ways.entry(hops.iter().map(|(kind, ..)| kind.clone()).collect()).or_default().push(hops);
    }
    let (answered, shown) = (
        percentiles(orders.iter().map(|o| micros(o.sent, o.answered)).collect()),
        percentiles(orders.iter().map(|o| micros(o.sent, o.shown)).collect()),
    );
    let recorded = percentiles(recorded);
    println!("{} orders, one after the other; the provider answers in {} ms", orders.len(), options.answer_ms);
    println!("\n| from sending the checkout | p50 ms | p99 ms |\n|---|---|---|");
    let mut entries = Entries::new();
    for (name, what, (p50, p99)) in [
        ("checkout_answered", "until it is answered", answered),
        ("checkout_confirmed", "until the order is confirmed, in the log", recorded),
        ("checkout_shown", "until its page shows that, live", shown),
    ] {
        println!("| {what} | {:.1} | {:.1} |", p50 / 1e3, p99 / 1e3);
        entries.insert(format!("{name}_p50"), Entry::new(constant(p50), "us", None));
        entries.insert(format!("{name}_p99"), Entry::new(constant(p99), "us", None));
    }
    let Some(most) = ways.values().max_by_key(|orders| orders.len()) else { bail!("there was no order") };
    println!(
        "\nThe way of {} of them, each event caused by the one above; times of Kafka's messages are whole milliseconds:\n",
        most.len()
    );
    println!(
        "| event | p50 ms | p99 ms | of p50: the event before is written | it is followed, and the command sent | the command is decided |"
    );
    println!("|---|---|---|---|---|---|");
    for step in 0..most[0].len() {
        let (p50, p99) = percentiles(most.iter().map(|hops| hops[step].1).collect());
        let part = |n: usize| percentiles(most.iter().map(|hops| hops[step].2[n]).collect()).0 / 1e3;
        println!("| {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |", most[0][step].0, p50 / 1e3, p99 / 1e3, part(0), part(1), part(2));
        entries.insert(
            format!("checkout_hop_{:02}_{}", step + 1, most[0][step].0.replace([' ', '\''], "_")),
            Entry::new(constant(p50), "us", None),
        );
    }
    Ok(entries)
}
