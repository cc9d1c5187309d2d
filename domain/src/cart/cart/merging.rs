//! Lines on their way from cart to cart.

use daybook_kernel::{Context, Decision, EventAt, Reactor, ServiceMessage};
use daybook_proto::v1::Who;
use shop_proto::cart::v1::*;

use super::{Cart, expiry};

/// The most carts that lines are handed on by. Nobody logs in so often that a chain of merges is longer, so a longer one goes round.
const MAX_THROUGH: usize = 100;

/// Taken in any state: the lines of an order under which the cart is checked out follow if it gives them back.
pub(super) fn merge(state: &CartState, contents: &CartContents, c: &MergeCart, context: &Context) -> Decision<Cart> {
    if c.into == c.cart_id {
        return Decision::refuse(MergeIntoItself { cart_id: c.cart_id.clone() });
    }
    if contents.into == c.into {
        return Decision::nothing();
    }
    if !contents.into.is_empty() {
        return Decision::refuse(CartIsMerged { cart_id: c.cart_id.clone(), into: contents.into.clone() });
    }
    // Who logs in takes the guest's lines along.
    let caller = context.caller();
    let is_shopper = [Who::Guest, Who::Customer].contains(&caller.kind()) && !caller.id.is_empty();
    let owner = if is_shopper { caller.id.clone() } else { state.owner.clone() };
    Decision::event(CartMerged { lines: contents.lines.clone(), owner, ..c.into() })
}

/// Taken once, and never refused: what is refused would be nowhere.
pub(super) fn take(state: &CartState, contents: &CartContents, c: &TakeLines, context: &Context) -> Decision<Cart> {
    if state.taken.iter().any(|taken| taken.version == c.handover && taken.from == c.from) {
        return Decision::nothing();
    }
    let into = &contents.into;
    if c.lines.is_empty() && into.is_empty() {
        return Decision::nothing();
    }
    let is_kept = into.is_empty() || c.through.contains(into) || c.through.len() >= MAX_THROUGH;
    let expires_at = if is_kept && contents.order.is_none() { expiry(context) } else { None };
    let taken = LinesTaken { expires_at, ..c.into() };
    if into.is_empty() {
        return Decision::event(taken);
    }
    if is_kept {
        let ended = CartMergeEnded { cart_id: c.cart_id.clone(), into: into.clone() };
        return Decision::events([ended.into(), taken.into()]);
    }
    let taken = CartEvent::from(taken);
    let mut all = contents.clone();
    all.apply(&taken);
    let through = c.through.iter().chain([&c.cart_id]).cloned().collect();
    let handed_over = LinesHandedOver { cart_id: c.cart_id.clone(), into: into.clone(), lines: all.lines, through };
    Decision::events([taken, handed_over.into()])
}

/// Brings lines that a cart gives away to the cart that they go to.
pub struct Merging;

impl Reactor for Merging {
    const NAME: &'static str = "merge";
    const RULE_VERSION: u32 = 2;
    type Event = CartEvent;

    fn react(event: &CartEvent, at: &EventAt<'_>) -> Vec<ServiceMessage> {
        // Lines that follow later go where the first have been.
        let (into, lines, through, owner) = match event {
            CartEvent::CartMerged(e) => (&e.into, &e.lines, vec![e.cart_id.clone()], e.owner.clone()),
            CartEvent::LinesHandedOver(e) => (&e.into, &e.lines, e.through.clone(), String::new()),
            _ => return Vec::new(),
        };
        // Also without lines: only what travels finds out that merges make a circle.
        let command = TakeLines {
            cart_id: into.clone(),
            from: at.stream.as_str().to_owned(),
            handover: at.version.0.cast_signed(),
            lines: lines.clone(),
            through,
            owner,
        };
        vec![ServiceMessage::of(&CartCommand::from(command))]
    }
}
