//! Commands of clients, and their memory of the shop.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::market::Market;
use crate::history::{Command, Via};

const WAREHOUSES: [&str; 2] = ["w-1", "w-2"];
const CATEGORIES: [&str; 4] = ["Lamps > Desk", "Lamps > Floor", "Chairs", "Audio/Video"];
/// Reservations that may be released or committed still.
const REMEMBERED: usize = 256;
/// A reservation holds for so many seconds: longer than any run.
const LONG: u32 = 200_000;
/// Results that readers look for.
const FRESH: usize = 64;
/// Streams that readers look for by what was told of them.
const TOLD: [&str; 3] = ["product/", "stock/", "reorder/"];
/// A reorder point is set between so many pieces below what should be available, and so many above: ordinary commands cross it.
const AROUND: std::ops::Range<i64> = -12..12;

/// A result, for a reader to look at.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    pub(super) stream: String,
    pub(super) token: String,
}

impl Fresh {
    /// Of the product, or of that whose stock it is.
    pub(super) fn sku(&self) -> &str {
        let id = self.stream.split_once('/').map_or("", |(_, id)| id);
        id.split('@').next().unwrap_or(id)
    }

    fn is_stock(&self) -> bool {
        self.stream.starts_with("stock/")
    }
}

/// The creation of a product that nobody else asks for; of the same number, the same.
pub(crate) fn creation(n: u64) -> Command {
    let sku = format!("n-{n:016x}");
    let body = json!({
        "sku": sku, "title": format!("Provoked {sku}"), "description": "Made by a nemesis", "brand": "Nemesis",
        "category": "Lamps > Desk", "price": {"currency": "EUR", "minorUnits": n % 100_000 + 1},
    });
    let (service, name) = ("catalog".to_owned(), "create-product".to_owned());
    Command { service, name, stream: format!("product/{sku}"), key: format!("k-{n:016x}"), body, if_match: None, via: Via::Kafka }
}

/// A stock that nobody else asks for falls below its reorder point at once, and then comes back; of the same number, the same.
pub(crate) fn fall_and_return(n: u64) -> [Command; 2] {
    [of_own_stock(n, "set-reorder-point", json!({"reorderPoint": 5})), of_own_stock(n, "receive-stock", json!({"quantity": 7}))]
}

/// A piece of a stock that nobody else asks for is held for so many seconds, and nobody keeps it; of the same number, the same.
pub(crate) fn held_for(n: u64, seconds: u32) -> [Command; 2] {
    let held = json!({"orderId": format!("n-{n:016x}"), "quantity": 1, "expiresInSeconds": seconds});
    [of_own_stock(n, "receive-stock", json!({"quantity": 7})), of_own_stock(n, "reserve-stock", held)]
}

fn of_own_stock(n: u64, name: &str, mut body: Value) -> Command {
    let sku = format!("n-{n:016x}");
    (body["sku"], body["warehouse"]) = (json!(sku), json!(WAREHOUSES[0]));
    let (service, stream) = ("inventory".to_owned(), format!("stock/{sku}@{}", WAREHOUSES[0]));
    Command { service, name: name.to_owned(), stream, key: format!("k-{n:016x}-{name}"), body, if_match: None, via: Via::Kafka }
}

/// The same command with other contents, where that can be told by its digest: another one under its key. None where it can't.
pub(crate) fn spoilt(command: &Command) -> Option<Command> {
    let field = match command.name.as_str() {
        "create-product" | "revise-product" => "title",
        "receive-stock" => "reference",
        _ => return None,
    };
    let mut command = command.clone();
    command.body[field] = json!("Something else");
    Some(command)
}

/// Knowledge of the shop that clients share.
pub(crate) struct Shop {
    run: String,
    most: u64,
    created: AtomicU64,
    keys: AtomicU64,
    reservations: Mutex<VecDeque<Reserved>>,
    /// By `sku@warehouse`: about how many pieces are available, if all that was asked for took effect.
    levels: Mutex<HashMap<String, i64>>,
    fresh: Mutex<VecDeque<Fresh>>,
    /// By SKU: the category that a product was put into last, if it was.
    categories: Mutex<HashMap<String, &'static str>>,
    /// What shoppers know of it.
    market: Market,
}

/// A reservation that may have been made.
#[derive(Clone, Debug)]
struct Reserved {
    sku: String,
    warehouse: &'static str,
    order: String,
    quantity: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shop {
    pub(crate) fn new(seed: u64, most: u64) -> Self {
        let (created, keys) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            run: format!("{seed:x}"),
            most: most.max(1),
            created,
            keys,
            reservations: Mutex::default(),
            levels: Mutex::default(),
            fresh: Mutex::default(),
            categories: Mutex::default(),
            market: Market::new(&format!("{seed:x}")),
        }
    }

    fn sku(&self, n: u64) -> String {
        format!("f{}-{n}", self.run)
    }

    /// One of the products that were asked for; three of them are asked for as often as all the others.
    fn any_sku(&self, random: &mut StdRng) -> String {
        let created = self.created.load(Ordering::Relaxed).max(1);
        let n = if random.random_bool(0.5) { random.random_range(0..created.min(3)) } else { random.random_range(0..created) };
        self.sku(n)
    }

    /// A command that nobody sent before.
    pub(crate) fn command(&self, client: u32, random: &mut StdRng) -> Command {
        self.command_of(client, random, true)
    }

    /// The same; not `newest`: nothing that came into the contract with its last change.
    pub(crate) fn command_of(&self, client: u32, random: &mut StdRng, newest: bool) -> Command {
        let created = self.created.load(Ordering::Relaxed);
        if created < 8 || (created < self.most && random.random_bool(0.15)) {
            let n = self.created.fetch_add(1, Ordering::Relaxed);
            return self.create(client, &self.sku(n), random);
        }
        let sku = self.any_sku(random);
        let warehouse = WAREHOUSES[random.random_range(0..WAREHOUSES.len())];
        match random.random_range(0..100) {
            0..2 => self.create(client, &sku, random), // refused: it is there
            2..27 => {
                let price = random.random_range(100..1_000_000_u32);
                let body = json!({"sku": sku, "price": {"currency": "EUR", "minorUnits": price}});
                self.of_product(client, "reprice-product", &sku, body)
            }
            27..37 => {
                let n = random.random_range(0..1_000_000_u32);
                let body = json!({"sku": sku, "title": format!("Title {n}"), "description": format!("Answer {n}")});
                self.of_product(client, "revise-product", &sku, body)
            }
            37..43 => {
                let category = self.category_for(&sku, random);
                self.of_product(client, "categorize-product", &sku, json!({"sku": sku, "category": category}))
            }
            43..62 => {
                let quantity = random.random_range(1..20_u32);
                self.moved(&sku, warehouse, i64::from(quantity));
                let mut body = json!({"quantity": quantity});
                if random.random_bool(0.2) {
                    body["lot"] = format!("L-{}", random.random_range(0..50_u32)).into();
                }
                self.of_stock(client, "receive-stock", &sku, warehouse, body)
            }
            62..65 => {
                let point = (self.level(&sku, warehouse) + random.random_range(AROUND)).max(0);
                self.of_stock(client, "set-reorder-point", &sku, warehouse, json!({"reorderPoint": point}))
            }
            65..68 => self.extend(client, random).unwrap_or_else(|| self.reserve(client, &sku, warehouse, random)),
            68..82 => self.reserve(client, &sku, warehouse, random),
            82..95 => self.settle(client, random).unwrap_or_else(|| self.reserve(client, &sku, warehouse, random)),
            95 if newest => self.raise(client, &sku, warehouse, random),
            _ => {
                let delta = random.random_range(-3..6_i32);
                self.moved(&sku, warehouse, i64::from(delta));
                self.of_stock(client, "adjust-stock", &sku, warehouse, json!({"delta": delta, "reason": "counted"}))
            }
        }
    }

    fn create(&self, client: u32, sku: &str, random: &mut StdRng) -> Command {
        let category = self.category_for(sku, random);
        let body = json!({
            "sku": sku, "title": format!("Product {sku}"), "description": "Made to be broken", "brand": "Nemesis",
            "category": category, "price": {"currency": "EUR", "minorUnits": random.random_range(100..1_000_000_u32)},
            "attributes": {"colour": "red"},
        });
        self.of_product(client, "create-product", sku, body)
    }

    fn reserve(&self, client: u32, sku: &str, warehouse: &'static str, random: &mut StdRng) -> Command {
        let order = format!("o-{}", self.keys.fetch_add(1, Ordering::Relaxed));
        let quantity = random.random_range(1..8_u32);
        self.moved(sku, warehouse, -i64::from(quantity));
        let mut reservations = lock(&self.reservations);
        if reservations.len() == REMEMBERED {
            reservations.pop_front();
        }
        reservations.push_back(Reserved { sku: sku.to_owned(), warehouse, order: order.clone(), quantity });
        // Some end while the run goes on, the others long after it.
        let seconds = if random.random_bool(0.1) { random.random_range(5..30_u32) } else { LONG };
        let body = json!({"orderId": order, "quantity": quantity, "expiresInSeconds": seconds});
        self.of_stock(client, "reserve-stock", sku, warehouse, body)
    }

    /// Holds what may have been reserved for longer.
    fn extend(&self, client: u32, random: &mut StdRng) -> Option<Command> {
        let Reserved { sku, warehouse, order, .. } = lock(&self.reservations).back().cloned()?;
        let seconds = random.random_range(LONG..2 * LONG);
        Some(self.of_stock(client, "extend-reservation", &sku, warehouse, json!({"orderId": order, "expiresInSeconds": seconds})))
    }

    /// Orders goods, where a proposal is open: else, the refusal.
    fn raise(&self, client: u32, sku: &str, warehouse: &str, random: &mut StdRng) -> Command {
        let (quantity, order) = (random.random_range(1..100_u32), random.random_range(0..1_000_u32));
        let body = json!({"sku": sku, "warehouse": warehouse, "quantity": quantity, "reference": format!("PO-{order}")});
        self.addressed("inventory", "raise-reorder-proposal", format!("reorder/{sku}@{warehouse}"), client, body)
    }

    /// Gives back or takes away what may have been reserved: of one that was refused, the refusal.
    fn settle(&self, client: u32, random: &mut StdRng) -> Option<Command> {
        let Reserved { sku, warehouse, order, quantity } = lock(&self.reservations).pop_front()?;
        let name = if random.random_bool(0.5) { "release-stock" } else { "commit-stock" };
        if name == "release-stock" {
            self.moved(&sku, warehouse, i64::from(quantity));
        }
        Some(self.of_stock(client, name, &sku, warehouse, json!({"orderId": order})))
    }

    fn level(&self, sku: &str, warehouse: &str) -> i64 {
        lock(&self.levels).get(&format!("{sku}@{warehouse}")).copied().unwrap_or_default()
    }

    fn moved(&self, sku: &str, warehouse: &str, by: i64) {
        let mut levels = lock(&self.levels);
        let level = levels.entry(format!("{sku}@{warehouse}")).or_default();
        *level = (*level + by).max(0);
    }

    fn key(&self, client: u32) -> String {
        format!("{}-{client}-{}", self.run, self.keys.fetch_add(1, Ordering::Relaxed))
    }

    fn of_product(&self, client: u32, name: &str, sku: &str, body: Value) -> Command {
        self.addressed("catalog", name, format!("product/{sku}"), client, body)
    }

    fn of_stock(&self, client: u32, name: &str, sku: &str, warehouse: &str, mut body: Value) -> Command {
        body["sku"] = sku.into();
        body["warehouse"] = warehouse.into();
        self.addressed("inventory", name, format!("stock/{sku}@{warehouse}"), client, body)
    }

    fn addressed(&self, service: &str, name: &str, stream: String, client: u32, body: Value) -> Command {
        let (service, name) = (service.to_owned(), name.to_owned());
        Command { service, name, stream, key: self.key(client), body, if_match: None, via: Via::Kafka }
    }

    /// What shoppers and staff know.
    pub(crate) fn market(&self) -> &Market {
        &self.market
    }

    /// Notes a result that readers may look for: of products, stocks and their reordering. Shoppers tell of orders themselves.
    pub(crate) fn tell(&self, stream: &str, token: &str) {
        if !TOLD.iter().any(|start| stream.starts_with(start)) {
            return;
        }
        let mut fresh = lock(&self.fresh);
        if fresh.len() == FRESH {
            fresh.pop_front();
        }
        fresh.push_back(Fresh { stream: stream.to_owned(), token: token.to_owned() });
    }

    /// One of the last results: the newest as often as all others.
    pub(super) fn look_for(&self, random: &mut StdRng) -> Option<Fresh> {
        let fresh = lock(&self.fresh);
        let n = if random.random_bool(0.5) { fresh.len().checked_sub(1)? } else { random.random_range(0..fresh.len().max(1)) };
        fresh.get(n).cloned()
    }

    /// The token of a result, and, where one of the last ones is of the other half of the same product, its page or its stock,
    /// that one's as well.
    pub(super) fn tokens_of(&self, one: Fresh) -> Vec<String> {
        let fresh = lock(&self.fresh);
        let other = fresh.iter().rfind(|other| other.sku() == one.sku() && other.is_stock() != one.is_stock());
        let other = other.map(|other| other.token.clone());
        std::iter::once(one.token).chain(other).collect()
    }

    /// A category for a product.
    fn category_for(&self, sku: &str, random: &mut StdRng) -> &'static str {
        let category = self.any_category(random);
        lock(&self.categories).insert(sku.to_owned(), category);
        category
    }

    /// Where a product should be listed.
    pub(super) fn category_of(&self, sku: &str) -> Option<&'static str> {
        lock(&self.categories).get(sku).copied()
    }

    pub(super) fn any_category(&self, random: &mut StdRng) -> &'static str {
        CATEGORIES[random.random_range(0..CATEGORIES.len())]
    }
}
