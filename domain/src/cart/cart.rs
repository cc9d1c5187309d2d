//! A cart: the lines that a shopper means to buy, until they are an order's or another cart's.

use daybook_kernel::{Context, Decider, Decision, Instant};
use daybook_proto::v1::Who;
use prost_types::Timestamp;
use shop_proto::cart::v1::*;

mod deadlines;
#[cfg(test)]
mod laws;
mod merging;
mod ordering;
#[cfg(test)]
mod spec;

pub use deadlines::Carts;
pub use merging::Merging;
pub use ordering::CheckingOut;

/// A cart. Stream `cart/{cart_id}`.
pub struct Cart;

/// The most lines that a shopper may fill a cart with, and that an order is made of: each is read, reserved, priced and packed by itself,
/// and nobody looks through more.
const MAX_LINES: usize = 100;
/// The time after which a cart that nobody touches is emptied, in microseconds: 30 days.
const LIFETIME: i64 = 30 * 24 * 60 * 60 * 1_000_000;
/// The lines that are known to have been removed: as many as there can be.
const MAX_REMOVED: usize = MAX_LINES;
/// The orders and the handovers that a cart remembers, so that an old one's repeat is known. Messages that are told again under their own
/// ids are answered by the ledger, for ever.
const MAX_REMEMBERED: usize = 1_000;

impl Decider for Cart {
    type Command = CartCommand;
    type Event = CartEvent;
    type State = CartState;
    type Refusal = CartRefusal;

    fn decide(state: &CartState, command: &CartCommand, context: &Context) -> Decision<Self> {
        use CartCommand as C;
        let empty = CartContents::default();
        let contents = state.contents.as_ref().unwrap_or(&empty);
        let decision = match command {
            C::AddItem(_) | C::ChangeQuantity(_) | C::RemoveItem(_) if !is_open(contents) => refuse_shoppers(contents, command.cart_id()),
            C::AddItem(c) => add(contents, c, context),
            C::ChangeQuantity(c) => change(contents, c, context),
            C::RemoveItem(c) => remove(state, contents, c, context),
            C::Checkout(c) => ordering::check_out(state, contents, c, context),
            C::MergeCart(c) => merging::merge(state, contents, c, context),
            C::TakeLines(c) => merging::take(state, contents, c, context),
            C::ReopenCart(c) => ordering::reopen(state, contents, c, context),
            C::CloseCart(c) => ordering::close(contents, c, context),
            C::ExpireCart(c) => expire(state, contents, c),
        };
        let given = if let C::TakeLines(c) = command { c.owner.as_str() } else { "" };
        claimed(state, command.cart_id(), given, context, decision)
    }

    fn evolve(state: &mut CartState, event: &CartEvent) {
        use CartEvent as E;
        state.contents.get_or_insert_default().apply(event);
        match event {
            E::CartClaimed(e) => state.owner.clone_from(&e.owner),
            E::ItemAdded(ItemAdded { expires_at, .. })
            | E::QuantityChanged(QuantityChanged { expires_at, .. })
            | E::CartReopened(CartReopened { expires_at, .. })
            | E::CartClosed(CartClosed { expires_at, .. }) => state.expires_at = *expires_at,
            E::ItemRemoved(e) => {
                state.expires_at = e.expires_at;
                remember(&mut state.removed, e.sku.clone(), MAX_REMOVED);
            }
            E::LinesTaken(e) => {
                state.expires_at = e.expires_at;
                remember(&mut state.taken, Handover { from: e.from.clone(), version: e.handover }, MAX_REMEMBERED);
            }
            E::CartCheckedOut(_) | E::CartMerged(_) | E::CartExpired(_) => {
                state.expires_at = None;
                state.removed.clear();
            }
            E::CartMergeEnded(_) | E::LinesHandedOver(_) | E::CartNotReopened(_) => {}
        }
        ordering::evolve(state, event);
    }
}

/// Keeps what is new among the last ones, each once.
fn remember<T: PartialEq>(all: &mut Vec<T>, new: T, most: usize) {
    if all.contains(&new) {
        return;
    }
    all.push(new);
    let too_many = all.len().saturating_sub(most);
    all.drain(..too_many);
}

/// The first one who is known and gets something done owns the cart from then on, or whose lines come to it before anybody has spoken to it.
fn claimed(state: &CartState, cart_id: &str, given: &str, context: &Context, mut decision: Decision<Cart>) -> Decision<Cart> {
    let caller = context.caller();
    let is_person = [Who::Guest, Who::Customer, Who::Staff].contains(&caller.kind());
    let owner = if is_person && !decision.events.is_empty() { caller.id.as_str() } else { given };
    if state.owner.is_empty() && !owner.is_empty() {
        decision.events.insert(0, CartClaimed { cart_id: cart_id.to_owned(), owner: owner.to_owned() }.into());
    }
    decision
}

/// When a cart that is touched now expires.
fn expiry(context: &Context) -> Option<Timestamp> {
    Some(Instant::from_micros(context.now().micros().saturating_add(LIFETIME)).to_proto())
}

fn is_open(contents: &CartContents) -> bool {
    contents.order.is_none() && contents.into.is_empty()
}

/// A cart that is merged says that first: the shopper goes on there, whatever becomes of an order.
fn refuse_shoppers(contents: &CartContents, cart_id: &str) -> Decision<Cart> {
    let cart_id = cart_id.to_owned();
    match &contents.order {
        Some(order) if contents.into.is_empty() => Decision::refuse(CartIsCheckedOut { cart_id, order_id: order.order_id.clone() }),
        _ => Decision::refuse(CartIsMerged { cart_id, into: contents.into.clone() }),
    }
}

/// Says that a cart has so many lines, or a line of it so many pieces.
fn line_limit(lines: usize, quantity: u32) -> LineLimit {
    LineLimit {
        lines: u32::try_from(lines).unwrap_or(u32::MAX),
        lines_limit: u32::try_from(MAX_LINES).unwrap_or(u32::MAX),
        quantity,
        quantity_limit: CartContents::MAX_QUANTITY,
    }
}

fn line<'a>(contents: &'a CartContents, sku: &str) -> Option<&'a CartLine> {
    contents.lines.iter().find(|line| line.sku == sku)
}

/// A merge may have left more lines than a shopper may fill a cart with: those that are there may still grow.
fn add(contents: &CartContents, c: &AddItem, context: &Context) -> Decision<Cart> {
    let (lines, quantity) = match line(contents, &c.sku) {
        Some(line) => (contents.lines.len(), line.quantity.saturating_add(c.quantity)),
        None => (contents.lines.len() + 1, c.quantity),
    };
    if lines > MAX_LINES.max(contents.lines.len()) || quantity > CartContents::MAX_QUANTITY {
        return Decision::refuse(line_limit(lines, quantity));
    }
    Decision::event(ItemAdded { expires_at: expiry(context), ..c.into() })
}

fn change(contents: &CartContents, c: &ChangeQuantity, context: &Context) -> Decision<Cart> {
    match line(contents, &c.sku) {
        None => Decision::refuse(UnknownLine { sku: c.sku.clone() }),
        Some(line) if line.quantity == c.quantity => Decision::nothing(),
        Some(_) => Decision::event(QuantityChanged { expires_at: expiry(context), ..c.into() }),
    }
}

fn remove(state: &CartState, contents: &CartContents, c: &RemoveItem, context: &Context) -> Decision<Cart> {
    match line(contents, &c.sku) {
        Some(_) => Decision::event(ItemRemoved { expires_at: expiry(context), ..c.into() }),
        None if state.removed.contains(&c.sku) => Decision::nothing(),
        None => Decision::refuse(UnknownLine { sku: c.sku.clone() }),
    }
}

/// The time named is compared with the cart's own, never with a clock: a lane whose clock is behind the scheduler's would refuse a
/// deadline that fires only once.
fn expire(state: &CartState, contents: &CartContents, c: &ExpireCart) -> Decision<Cart> {
    let instant = |t: &Option<Timestamp>| t.as_ref().map(Instant::from_proto);
    if contents.lines.is_empty() || state.expires_at.is_none() || instant(&state.expires_at) != instant(&c.due_at) {
        return Decision::nothing();
    }
    Decision::event(CartExpired { lines: contents.lines.clone(), ..c.into() })
}
