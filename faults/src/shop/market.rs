//! What shoppers and staff know of the shop: goods, carts, and orders that are under way.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::history::{Command, Via};

/// Products that are for sale; the first ones are hot, and of the last ones there are few pieces.
const GOODS: u64 = 12;
const HOT: u64 = 3;
const SCARCE: u64 = 9;
/// Of the shop's own warehouses: the best one first.
const WAREHOUSES: [&str; 2] = ["mw-1", "mw-2"];
/// Countries that something is sent to, and one that nothing is.
const COUNTRIES: [&str; 2] = ["DE", "US"];
const NOWHERE: &str = "AQ";
/// Results that readers look for.
const FRESH: usize = 32;

/// The payment provider's test tokens, each with its weight.
const TOKENS: [(&str, u32); 11] = [
    ("tok_ok", 40),
    ("tok_declined", 10),
    ("tok_slow", 4),
    ("tok_action", 8),
    ("tok_charged_then_timeout", 6),
    ("tok_error_after_charge", 6),
    ("tok_webhook_twice", 6),
    ("tok_webhook_late", 4),
    ("tok_webhook_only", 6),
    ("tok_webhook_forged", 4),
    ("tok_capture_fails", 6),
];

/// An order that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    pub(super) order: String,
    pub(super) customer: String,
    /// Its checkout, while it is not known whether that took effect.
    pub(super) in_doubt: Option<Command>,
    /// The token of the last result, which its page has to cover.
    pub(super) token: Option<String>,
    /// Pieces were sent back.
    pub(super) returned: bool,
}

/// Knowledge that shoppers and staff share.
pub(crate) struct Market {
    run: String,
    numbers: AtomicU64,
    /// Orders that have not come to an end.
    open: Mutex<Vec<Ticket>>,
    fresh: Mutex<Vec<(String, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of these by their weights.
fn weighted(random: &mut StdRng, these: &[(&'static str, u32)]) -> &'static str {
    let mut at = random.random_range(0..these.iter().map(|(_, weight)| weight).sum::<u32>());
    for (one, weight) in these {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return one,
        }
    }
    these[0].0
}

impl Market {
    pub(super) fn new(run: &str) -> Self {
        Self { run: run.to_owned(), numbers: AtomicU64::new(0), open: Mutex::default(), fresh: Mutex::default() }
    }

    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// A command under a key of its own.
    pub(super) fn command(&self, service: &str, name: &str, stream: String, body: Value) -> Command {
        let key = format!("m{}-{}", self.run, self.number());
        Command { service: service.to_owned(), name: name.to_owned(), stream, key, body, if_match: None, via: Via::Kafka }
    }

    fn sku(&self, n: u64) -> String {
        format!("m{}-{n}", self.run)
    }

    /// All that has to be there before anybody can order.
    pub(super) fn opening(&self, random: &mut StdRng) -> Vec<Command> {
        let mut all = Vec::new();
        for (priority, warehouse) in (1..).zip(WAREHOUSES) {
            let body = json!({ "warehouse": warehouse, "priority": priority, "countries": COUNTRIES });
            all.push(self.command("inventory", "open-warehouse", format!("warehouse/{warehouse}"), body));
        }
        for n in 0..GOODS {
            let (sku, price) = (self.sku(n), random.random_range(99..9_999_u32));
            let body = json!({ "sku": sku, "title": format!("Goods {n}"), "description": "To be ordered", "brand": "Nemesis",
                               "category": "Chairs", "price": { "currency": "EUR", "minorUnits": price } });
            all.push(self.command("catalog", "create-product", format!("product/{sku}"), body));
            all.extend(WAREHOUSES.map(|warehouse| self.delivery(n, warehouse, if n < SCARCE { 200 } else { 2 })));
        }
        all
    }

    fn delivery(&self, n: u64, warehouse: &str, quantity: u32) -> Command {
        let sku = self.sku(n);
        let body = json!({ "sku": sku, "warehouse": warehouse, "quantity": quantity });
        self.command("inventory", "receive-stock", format!("stock/{sku}@{warehouse}"), body)
    }

    /// Goods come in, or cost something else from now on.
    pub(super) fn keeping(&self, random: &mut StdRng) -> Command {
        let n = random.random_range(0..GOODS);
        if random.random_bool(0.2) {
            let sku = self.sku(n);
            let body = json!({ "sku": sku, "price": { "currency": "EUR", "minorUnits": random.random_range(99..9_999_u32) } });
            return self.command("catalog", "reprice-product", format!("product/{sku}"), body);
        }
        let warehouse = WAREHOUSES[random.random_range(0..WAREHOUSES.len())];
        self.delivery(n, warehouse, if n < SCARCE { random.random_range(5..50) } else { 1 })
    }

    /// A product; the hot ones as often as all others.
    pub(super) fn any_sku(&self, random: &mut StdRng) -> String {
        let n = if random.random_bool(0.5) { random.random_range(0..HOT) } else { random.random_range(0..GOODS) };
        self.sku(n)
    }

    pub(super) fn new_cart(&self) -> String {
        format!("mk{}-{}", self.run, self.number())
    }

    /// A few customers, who order again and again.
    pub(super) fn customer(&self, random: &mut StdRng) -> String {
        format!("mc{}-{}", self.run, random.random_range(0..20_u32))
    }

    /// Orders what is in a cart, under an order id of its own; the total as it was shown, or as it never was.
    pub(super) fn checkout(&self, cart: &str, customer: &str, shown: i64, random: &mut StdRng) -> (Command, Ticket) {
        let order = format!("mo{}-{}", self.run, self.number());
        let country = if random.random_bool(0.03) { NOWHERE } else { COUNTRIES[random.random_range(0..COUNTRIES.len())] };
        let expected = if random.random_bool(0.08) { shown + 1 } else { shown };
        let body = json!({
            "cartId": cart, "orderId": order, "customerId": customer, "email": format!("{customer}@example.org"), "delivery": "standard",
            "shippingAddress": { "name": "Somebody", "line1": "Street 1", "city": "Town", "postalCode": "12345", "country": country },
            "payment": { "token": weighted(random, &TOKENS) }, "expectedTotal": { "currency": "EUR", "minorUnits": expected },
        });
        let ticket = Ticket { order, customer: customer.to_owned(), in_doubt: None, token: None, returned: false };
        (self.command("cart", "checkout", format!("cart/{cart}"), body), ticket)
    }

    pub(super) fn of_cart(&self, name: &str, cart: &str, mut body: Value) -> Command {
        body["cartId"] = cart.into();
        self.command("cart", name, format!("cart/{cart}"), body)
    }

    pub(super) fn of_order(&self, name: &str, order: &str, mut body: Value) -> Command {
        body["orderId"] = order.into();
        self.command("order", name, format!("order/{order}"), body)
    }

    pub(super) fn of_shipment(&self, name: &str, order: &str, number: i64, mut body: Value) -> Command {
        (body["orderId"], body["number"]) = (order.into(), number.into());
        self.command("shipping", name, format!("shipment/{order}@{number}"), body)
    }

    pub(super) fn has_opened(&self, ticket: Ticket) {
        lock(&self.open).push(ticket);
    }

    /// The number of orders that are under way.
    pub(super) fn under_way(&self) -> usize {
        lock(&self.open).len()
    }

    /// One of them; nobody else has it until it is given back.
    pub(super) fn take(&self, random: &mut StdRng) -> Option<Ticket> {
        let mut open = lock(&self.open);
        let n = random.random_range(0..open.len().max(1));
        (n < open.len()).then(|| open.swap_remove(n))
    }

    /// Notes a result that readers may look for.
    pub(super) fn tell(&self, order: &str, token: &str) {
        let mut fresh = lock(&self.fresh);
        if fresh.len() == FRESH {
            fresh.remove(0);
        }
        fresh.push((order.to_owned(), token.to_owned()));
    }

    /// One of the last results: an order, and the token.
    pub(super) fn look_for(&self, random: &mut StdRng) -> Option<(String, String)> {
        let fresh = lock(&self.fresh);
        fresh.get(random.random_range(0..fresh.len().max(1))).cloned()
    }
}
