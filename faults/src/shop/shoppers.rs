//! Shoppers and staff: carts are filled and checked out, orders paid, changed, sent, lost, delivered, brought back. All by public HTTP, under
//! keys, asked again where the answer is in doubt, as every client does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::market::{Market, Ticket};
use super::names::{CARTS, CUSTOMER_ORDERS, ORDERS};
use crate::history::{Answer, Command};
use crate::judge::decode::integer;

/// The place where clients work, as shoppers and staff need it.
pub(crate) trait Counter: Send + Sync + 'static {
    /// Whether the work is over.
    fn is_over(&self) -> bool;
    /// A client's chances.
    fn random(&self, client: u32) -> StdRng;
    /// What is sold here.
    fn market(&self) -> &Market;
    /// The address of the carrier, where there is one.
    fn carrier(&self) -> Option<&str>;
    /// Sends a command until its client knows what came of it; the last answer.
    fn insist(&self, client: u32, command: &Command, random: &mut StdRng) -> impl Future<Output = Answer> + Send;
    /// Reads a page; none where there is none, or nobody answers.
    fn read(
        &self,
        client: u32,
        model: &str,
        key: &str,
        tokens: &[String],
        random: &mut StdRng,
    ) -> impl Future<Output = Option<Value>> + Send;
    /// Posts nothing to an address, as somebody does who follows a link.
    fn visit(&self, url: &str) -> impl Future<Output = ()> + Send;
}

/// At the most so many orders are under way: all of them have to be brought to an end.
const UNDER_WAY: usize = 30;
/// A cart's page may not be there yet, or not know its prices.
const LOOKS: u32 = 5;

/// The statuses of an order that has come to an end.
const ENDS: [&str; 3] = ["COMPLETED", "CANCELLED", "REJECTED"];

/// How far whoever looks after an order goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Customers change their minds, staff makes mistakes.
    Lively,
    /// Everything is brought to an end.
    Closing,
}

/// Opens warehouses and fills them; then keeps shop until the work is over.
pub(crate) async fn keep_shop(floor: Arc<impl Counter>, client: u32) {
    let mut random = floor.random(client);
    for command in floor.market().opening(&mut random) {
        floor.insist(client, &command, &mut random).await;
    }
    while !floor.is_over() {
        pause(&mut random, 400..1_500).await;
        let command = floor.market().keeping(&mut random);
        floor.insist(client, &command, &mut random).await;
    }
}

/// Fills carts and checks them out until the work is over.
pub(crate) async fn shop_around(floor: Arc<impl Counter>, client: u32) {
    let mut random = floor.random(client);
    while !floor.is_over() {
        pause(&mut random, 100..1_200).await;
        if floor.market().under_way() < UNDER_WAY {
            one_cart(&*floor, client, &mut random).await;
        }
    }
}

/// Looks after orders until the work is over.
pub(crate) async fn look_after(floor: Arc<impl Counter>, client: u32) {
    let mut random = floor.random(client);
    while !floor.is_over() {
        pause(&mut random, 50..300).await;
        if let Some(ticket) = floor.market().take(&mut random) {
            tend(&*floor, client, ticket, Mood::Lively, &mut random).await;
        }
    }
}

/// Brings every order to an end, for at most so long. What has none by then is the judge's to tell.
pub(crate) async fn close(floor: &impl Counter, client: u32, limit: Duration) {
    let mut random = floor.random(client);
    let until = Instant::now() + limit;
    while Instant::now() < until {
        let Some(ticket) = floor.market().take(&mut random) else { return };
        tend(floor, client, ticket, Mood::Closing, &mut random).await;
        pause(&mut random, 60..200).await;
    }
}

async fn pause(random: &mut StdRng, millis: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(millis))).await;
}

/// Sends a command until its client knows what came of it; the token of a result.
async fn done(floor: &impl Counter, client: u32, command: &Command, random: &mut StdRng) -> Option<String> {
    match floor.insist(client, command, random).await {
        Answer::Done { token, .. } => Some(token),
        Answer::Refused { token, .. } => token,
        _ => None,
    }
}

async fn one_cart(floor: &impl Counter, client: u32, random: &mut StdRng) {
    let market = floor.market();
    let (cart, customer) = (market.new_cart(), market.customer(random));
    let mut token = None;
    let mut skus = Vec::new();
    for _ in 0..random.random_range(1..4) {
        let (sku, quantity) = (market.any_sku(random), random.random_range(1..4_u32));
        let add = market.of_cart("add-item", &cart, json!({ "sku": sku, "quantity": quantity }));
        token = done(floor, client, &add, random).await.or(token);
        skus.push(sku);
    }
    if random.random_bool(0.2) {
        let body = json!({ "sku": skus[0], "quantity": random.random_range(1..4_u32) });
        token = done(floor, client, &market.of_cart("change-quantity", &cart, body), random).await.or(token);
    }
    if skus.len() > 1 && random.random_bool(0.1) {
        let remove = market.of_cart("remove-item", &cart, json!({ "sku": skus[1] }));
        token = done(floor, client, &remove, random).await.or(token);
    }
    let Some(shown) = total_of(floor, client, &cart, token.as_ref(), random).await else { return };
    check_out(floor, market, client, (&cart, &customer), shown, random).await;
}

/// The total that a cart's page shows, when it shows all of it.
async fn total_of(floor: &impl Counter, client: u32, cart: &str, token: Option<&String>, random: &mut StdRng) -> Option<i64> {
    let tokens: Vec<String> = token.into_iter().cloned().collect();
    for _ in 0..LOOKS {
        let page = floor.read(client, CARTS, cart, &tokens, random).await;
        if let Some(page) = page.filter(|page| page["complete"] == true) {
            return integer(&page["total"]["minorUnits"]);
        }
        pause(random, 100..400).await;
    }
    None
}

/// Checks a cart out, sometimes from two windows at once: under two order ids, of which one becomes an order.
async fn check_out(floor: &impl Counter, market: &Market, client: u32, (cart, customer): (&str, &str), shown: i64, random: &mut StdRng) {
    let windows = if random.random_bool(0.15) { 2 } else { 1 };
    let tries: Vec<(Command, Ticket)> = (0..windows).map(|_| market.checkout(cart, customer, shown, random)).collect();
    let clicks = tries.into_iter().map(|(command, ticket)| {
        let mut random = floor.random(client ^ u32::try_from(market.number() % 65_521).unwrap_or_default());
        async move { ordered(floor, client, Ticket { in_doubt: Some(command), ..ticket }, &mut random).await }
    });
    join_all(clicks).await.into_iter().flatten().for_each(|ticket| market.has_opened(ticket));
}

/// Sends the checkout of an order; none where that was refused.
async fn ordered(floor: &impl Counter, client: u32, ticket: Ticket, random: &mut StdRng) -> Option<Ticket> {
    let Some(command) = &ticket.in_doubt else { return Some(ticket) };
    match floor.insist(client, command, random).await {
        Answer::Done { token, .. } => {
            floor.market().tell(&ticket.order, &token);
            Some(Ticket { in_doubt: None, ..ticket })
        }
        Answer::Refused { .. } | Answer::Invalid { .. } => None,
        _ => Some(ticket),
    }
}

/// Does one thing for an order, as it stands on its page; one that has come to an end is let go.
async fn tend(floor: &impl Counter, client: u32, ticket: Ticket, mood: Mood, random: &mut StdRng) {
    let market = floor.market();
    // Whoever does not know asks again, under the same key.
    let Some(mut ticket) = ordered(floor, client, ticket, random).await else { return };
    if mood == Mood::Lively && random.random_bool(0.05) {
        floor.read(client, CUSTOMER_ORDERS, &ticket.customer, &[], random).await;
    }
    let tokens: Vec<String> = ticket.token.take().into_iter().collect();
    let Some(page) = floor.read(client, ORDERS, &ticket.order, &tokens, random).await else {
        return market.has_opened(ticket);
    };
    let status = page["status"].as_str().unwrap_or_default().trim_start_matches("ORDER_STATUS_").to_owned();
    if ENDS.contains(&status.as_str()) && (status != "COMPLETED" || ticket.returned || mood == Mood::Closing || random.random_bool(0.5)) {
        return;
    }
    if let Some(command) = next(floor, &mut ticket, &status, &page, mood, random).await {
        let told = done(floor, client, &command, random).await;
        if let Some(token) = told.filter(|_| command.stream.starts_with("order/")) {
            market.tell(&ticket.order, &token);
            ticket.token = Some(token);
        }
    }
    market.has_opened(ticket);
}

/// What is done next for an order.
async fn next(floor: &impl Counter, ticket: &mut Ticket, status: &str, page: &Value, mood: Mood, random: &mut StdRng) -> Option<Command> {
    let (market, order) = (floor.market(), ticket.order.as_str());
    let lively = mood == Mood::Lively;
    let cancel = |reason: &str| market.of_order("cancel-order", order, json!({ "reason": reason }));
    if lively && random.random_bool(0.02) {
        return Some(cancel("changed my mind"));
    }
    match status {
        "AWAITING_PAYMENT" if random.random_bool(0.2) => {
            let token = if random.random_bool(0.8) { "tok_ok" } else { "tok_declined" };
            Some(market.of_order("change-payment", order, json!({ "payment": { "token": token } })))
        }
        "ACTION_REQUIRED" => {
            let url = page["actionUrl"].as_str().unwrap_or_default();
            if lively && random.random_bool(0.2) {
                return Some(cancel("did not want to"));
            }
            floor.visit(url).await;
            None
        }
        "CONFIRMED" | "PARTLY_SHIPPED" | "SHIPPED" if page["held"] == true => {
            (!lively || random.random_bool(0.5)).then(|| market.of_order("end-order-hold", order, json!({ "reason": page["holds"][0] })))
        }
        "CONFIRMED" | "PARTLY_SHIPPED" | "SHIPPED" => send(floor, market, order, status, page, mood, random).await,
        "COMPLETED" => {
            ticket.returned = true;
            let line = page["lines"].as_array()?.iter().find(|line| integer(&line["shipped"]).unwrap_or_default() > 0)?;
            let lines = json!([{ "sku": line["sku"], "quantity": 1 }]);
            if random.random_bool(0.3) {
                ticket.returned = false;
                return Some(market.of_order("request-return", order, json!({ "lines": lines, "reason": "too large" })));
            }
            let condition = if random.random_bool(0.7) { "RESALABLE" } else { "DAMAGED" };
            Some(market.of_order("receive-return", order, json!({ "lines": lines, "condition": condition })))
        }
        _ => None,
    }
}

/// Staff and the carrier move one of the order's shipments on; a customer may want less meanwhile.
async fn send(
    floor: &impl Counter,
    market: &Market,
    order: &str,
    status: &str,
    page: &Value,
    mood: Mood,
    random: &mut StdRng,
) -> Option<Command> {
    let shipments = page["shipments"].as_array()?;
    let stands = |shipment: &Value| shipment["status"].as_str().unwrap_or_default().rsplit("STATUS_").next().unwrap_or_default().to_owned();
    let open: Vec<&Value> = shipments.iter().filter(|s| ["OPEN", "LABELLED", "DISPATCHED"].contains(&stands(s).as_str())).collect();
    let shipment = *open.get(random.random_range(0..open.len().max(1)))?;
    let number = integer(&shipment["number"])?;
    let of = |name: &str, body: Value| Some(market.of_shipment(name, order, number, body));
    let first = json!([{ "sku": shipment["lines"][0]["sku"], "quantity": 1 }]);
    let is_filled = !first[0]["sku"].is_null();
    let choice = if mood == Mood::Lively && is_filled { random.random_range(0..100) } else { 50 };
    if stands(shipment) != "DISPATCHED" {
        return match choice {
            0..8 if status != "SHIPPED" => Some(market.of_order("cancel-lines", order, json!({ "lines": first, "reason": "one less" }))),
            8..14 => of("report-short-pick", json!({ "lines": first })),
            14..18 => Some(market.of_order("hold-order", order, json!({ "reason": "looked into" }))),
            // Told before anybody said that it left.
            18..21 => of("record-delivered", json!({})),
            _ => of("dispatch-shipment", json!({})),
        };
    }
    let tracking = shipment["tracking"].as_str().unwrap_or_default();
    let carrier = floor.carrier().filter(|_| !tracking.is_empty());
    match (choice, carrier) {
        (0..8, _) => of("record-lost", json!({})),
        (8..14, _) => of("record-returned-to-sender", json!({})),
        (14..60, Some(carrier)) if mood == Mood::Lively => {
            let what = ["deliver", "deliver", "deliver", "lose", "return"][random.random_range(0..5)];
            floor.visit(&format!("{carrier}/parcels/{tracking}/{what}")).await;
            None
        }
        _ => of("record-delivered", json!({})),
    }
}
