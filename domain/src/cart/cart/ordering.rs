//! A cart becomes an order, and what then becomes of it.

use daybook_kernel::{Context, Decision, EventAt, Instant, Reactor, ServiceMessage, digest};
use daybook_proto::v1::Who;
use prost::Message as _;
use shop_proto::cart::v1::*;
use shop_proto::order::v1::{OpenOrder, OrderCommand, OrderedLine, RecordCartReopened};

use super::{Cart, MAX_LINES, MAX_REMEMBERED, expiry, is_open, line_limit, refuse_shoppers};

/// The answer to [`ReopenCart`] of an order that the cart was never checked out under.
const ORDER_UNKNOWN: &str = "order-unknown";
/// The same of an order that has the cart no more.
const ORDER_OVER: &str = "order-over";

/// How much later than now something may have been ordered, in microseconds: five minutes.
const CLOCKS_DIFFER: i64 = 5 * 60 * 1_000_000;

/// What a checkout says, as a keyed hash: it holds an address, and must tell nothing when that is erased.
pub(super) fn content(c: &Checkout, context: &Context) -> Vec<u8> {
    let digest: String = digest::sha256(&c.encode_to_vec()).iter().map(|byte| format!("{byte:02x}")).collect();
    context.keyed_hash("checkout", &digest).into_bytes()
}

/// One cart makes one order, from however many windows: the same command again has been done, under whichever key it comes.
pub(super) fn check_out(state: &CartState, contents: &CartContents, c: &Checkout, context: &Context) -> Decision<Cart> {
    let content = content(c, context);
    let current = contents.order.as_ref().filter(|order| order.order_id == c.order_id).map(|_| &state.content);
    let past = state.past_orders.iter().find(|past| past.order_id == c.order_id);
    if current.or(past.map(|past| &past.content)) == Some(&content) {
        return Decision::nothing();
    }
    if !is_open(contents) {
        return refuse_shoppers(contents, &c.cart_id);
    }
    if past.is_some() {
        return Decision::refuse(OrderUsedBefore { order_id: c.order_id.clone() });
    }
    let lines = &contents.lines;
    if lines.is_empty() {
        return Decision::refuse(CartEmpty { cart_id: c.cart_id.clone() });
    }
    if lines.len() > MAX_LINES {
        return Decision::refuse(line_limit(lines.len(), lines.iter().map(|line| line.quantity).max().unwrap_or_default()));
    }
    if !c.coupons.is_empty() {
        return Decision::refuse(UnknownCoupons { coupons: c.coupons.clone() });
    }
    if c.ordered_at.is_some() && [Who::Guest, Who::Customer].contains(&context.caller().kind()) {
        return Decision::refuse(OrderedAtNotYours {});
    }
    let latest = context.now().micros().saturating_add(CLOCKS_DIFFER);
    if c.ordered_at.as_ref().is_some_and(|at| Instant::from_proto(at).micros() > latest) {
        return Decision::refuse(OrderedInTheFuture { ordered_at: c.ordered_at, now: Some(context.now().to_proto()) });
    }
    let payment_token = c.payment.as_ref().map(|payment| payment.token.clone()).unwrap_or_default();
    Decision::event(CartCheckedOut { payment_token, lines: lines.clone(), content, ..c.into() })
}

/// A process gets exactly one answer, in any state; with it, the lines of a cart that was merged meanwhile go on their way.
pub(super) fn reopen(state: &CartState, contents: &CartContents, c: &ReopenCart, context: &Context) -> Decision<Cart> {
    let Some(order) = contents.order.as_ref().filter(|order| order.order_id == c.order_id) else {
        let is_over = state.past_orders.iter().any(|past| past.order_id == c.order_id);
        let code = if is_over { ORDER_OVER } else { ORDER_UNKNOWN }.to_owned();
        return Decision::event(CartNotReopened { code, ..c.into() });
    };
    let (lines, into) = (order.lines.clone(), contents.into.clone());
    if into.is_empty() {
        return Decision::event(CartReopened { lines, expires_at: expiry(context), ..c.into() });
    }
    let handed_over = LinesHandedOver { cart_id: c.cart_id.clone(), into, lines: lines.clone(), through: vec![c.cart_id.clone()] };
    Decision::events([CartReopened { lines, expires_at: None, ..c.into() }.into(), handed_over.into()])
}

pub(super) fn close(contents: &CartContents, c: &CloseCart, context: &Context) -> Decision<Cart> {
    if contents.order.as_ref().is_none_or(|order| order.order_id != c.order_id) {
        return Decision::nothing();
    }
    let expires_at = if contents.into.is_empty() { expiry(context) } else { None };
    Decision::event(CartClosed { expires_at, ..c.into() })
}

/// The orders of a cart after an event.
pub(super) fn evolve(state: &mut CartState, event: &CartEvent) {
    match event {
        CartEvent::CartCheckedOut(e) => state.content.clone_from(&e.content),
        CartEvent::CartReopened(e) => {
            state.content.clear();
            remember(state, &e.order_id, Vec::new());
        }
        CartEvent::CartClosed(e) => {
            let content = std::mem::take(&mut state.content);
            remember(state, &e.order_id, content);
        }
        // An order that wanted the cart back before it had it can't have it any more.
        CartEvent::CartNotReopened(e) if state.past_orders.iter().all(|past| past.order_id != e.order_id) => {
            remember(state, &e.order_id, Vec::new());
        }
        _ => {}
    }
}

fn remember(state: &mut CartState, order_id: &str, content: Vec<u8>) {
    super::remember(&mut state.past_orders, PastOrder { order_id: order_id.to_owned(), content }, MAX_REMEMBERED);
}

/// Opens the order that a cart has become, and tells an order what has become of the cart that it gave back.
pub struct CheckingOut;

impl Reactor for CheckingOut {
    const NAME: &'static str = "checkout";
    type Event = CartEvent;

    fn react(event: &CartEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        let command: OrderCommand = match event {
            CartEvent::CartCheckedOut(e) => open(e).into(),
            CartEvent::CartReopened(e) => told(&e.order_id, &e.cart_id, true).into(),
            CartEvent::CartNotReopened(e) => told(&e.order_id, &e.cart_id, false).into(),
            _ => return Vec::new(),
        };
        vec![ServiceMessage::of(&command)]
    }
}

fn open(e: &CartCheckedOut) -> OpenOrder {
    OpenOrder {
        order_id: e.order_id.clone(),
        cart_id: e.cart_id.clone(),
        customer_id: e.customer_id.clone(),
        lines: e.lines.iter().map(|line| OrderedLine { sku: line.sku.clone(), quantity: line.quantity }).collect(),
        email: e.email.clone(),
        delivery: e.delivery.clone(),
        shipping_address: e.shipping_address.clone(),
        payment_token: e.payment_token.clone(),
        expected_total: e.expected_total.clone(),
        ordered_at: e.ordered_at,
    }
}

fn told(order_id: &str, cart_id: &str, reopened: bool) -> RecordCartReopened {
    RecordCartReopened { order_id: order_id.to_owned(), cart_id: cart_id.to_owned(), reopened }
}
