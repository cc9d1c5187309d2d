//! Carts that nobody touches.

use daybook_kernel::{Deadline, Deadlines, EventAt, Instant, ServiceMessage};
use prost_types::Timestamp;
use shop_proto::cart::v1::*;

const EXPIRY: &str = "expiry";

/// Empties a cart at its time. Each touch arms a later one, and disarms the one before.
pub struct Carts;

impl Deadlines for Carts {
    const NAME: &'static str = "carts";
    type Event = CartEvent;

    fn arms(event: &CartEvent, _: &EventAt<'_>) -> Vec<Deadline> {
        let Some(Some(time)) = expiry(event) else { return Vec::new() };
        let command = CartCommand::from(ExpireCart { cart_id: event.cart_id().to_owned(), due_at: Some(time) });
        vec![Deadline { name: EXPIRY, due_at: Instant::from_proto(&time), message: ServiceMessage::of(&command) }]
    }

    fn disarms(event: &CartEvent) -> Vec<&'static str> {
        expiry(event).map(|_| EXPIRY).into_iter().collect()
    }
}

/// The cart's time, where an event says another one; none within: it has no end now.
fn expiry(event: &CartEvent) -> Option<Option<Timestamp>> {
    use CartEvent as E;
    match event {
        E::ItemAdded(e) => Some(e.expires_at),
        E::QuantityChanged(e) => Some(e.expires_at),
        E::ItemRemoved(e) => Some(e.expires_at),
        E::LinesTaken(e) => Some(e.expires_at),
        E::CartReopened(e) => Some(e.expires_at),
        E::CartClosed(e) => Some(e.expires_at),
        E::CartCheckedOut(_) | E::CartMerged(_) | E::CartExpired(_) => Some(None),
        E::CartClaimed(_) | E::CartMergeEnded(_) | E::LinesHandedOver(_) | E::CartNotReopened(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::spec::{SPEC_TIME, given};
    use daybook_kernel::{Decider as _, StreamId, Version};
    use daybook_proto::MessageSet as _;
    use shop_proto::samples::at;
    use shop_proto::samples::cart::{
        added, changed, checked_out, closed, expired, handed_over, line, merged, not_reopened, removed, reopened, taken,
    };

    use super::*;
    use crate::cart::Cart;

    fn armed(event: &CartEvent) -> Vec<Deadline> {
        let stream = StreamId::new("cart", "k-1");
        Carts::arms(event, &EventAt { stream: &stream, version: Version(2), recorded_at: SPEC_TIME })
    }

    /// Each kind of event, those that may come without an end both ways.
    fn all() -> Vec<CartEvent> {
        let lines = [line("A-1", 2)];
        let cart_id = || "k-1".to_owned();
        let cart_claimed = CartClaimed { cart_id: cart_id(), owner: "c-1".into() };
        let merge_ended = CartMergeEnded { cart_id: cart_id(), ..Default::default() };
        let taken_by_a_merged = LinesTaken { cart_id: cart_id(), lines: lines.to_vec(), ..Default::default() };
        let reopened_when_merged = CartReopened { cart_id: cart_id(), order_id: "o-1".into(), ..Default::default() };
        let closed_when_merged = CartClosed { cart_id: cart_id(), order_id: "o-1".into(), ..Default::default() };
        vec![
            added(2),
            changed(3),
            removed(),
            taken(&lines),
            taken_by_a_merged.into(),
            checked_out("o-1", &lines).into(),
            reopened("o-1", &lines),
            reopened_when_merged.into(),
            closed("o-1"),
            closed_when_merged.into(),
            merged("k-2", &lines),
            expired(&lines),
            cart_claimed.into(),
            merge_ended.into(),
            handed_over("k-2", &lines, &["k-1"]),
            not_reopened("o-1", "order-over"),
        ]
    }

    #[test]
    fn what_is_armed_is_what_the_cart_waits_for() {
        let kinds: std::collections::BTreeSet<_> = all().iter().map(|event| event.type_name()).collect();
        assert_eq!(kinds.len(), CartEvent::TYPES.len(), "each kind is tried");
        for event in all() {
            let before = CartState { expires_at: Some(at(7)), ..Default::default() };
            let mut after = before.clone();
            Cart::evolve(&mut after, &event);
            let expected: Vec<Deadline> = match after.expires_at {
                Some(time) if after.expires_at != before.expires_at => {
                    let command = CartCommand::from(ExpireCart { cart_id: "k-1".into(), due_at: Some(time) });
                    vec![Deadline { name: "expiry", due_at: Instant::from_proto(&time), message: ServiceMessage::of(&command) }]
                }
                _ => Vec::new(),
            };
            assert_eq!(armed(&event), expected, "{event:?}");
            assert_eq!(Carts::disarms(&event).contains(&"expiry"), after.expires_at != before.expires_at, "{event:?}");
        }
    }

    #[test]
    fn what_fires_empties_the_cart_that_nobody_has_touched_since() {
        let event = added(2);
        let fired = &armed(&event)[0].message;
        assert_eq!(fired.target.as_str(), "cart/k-1");
        let command = CartCommand::decode(fired.type_name, &fired.bytes).expect("one of its commands");
        given::<Cart>([event.clone()]).when(command.clone()).then([expired(&[line("A-1", 2)])]);
        given::<Cart>([event, checked_out("o-1", &[line("A-1", 2)]).into()]).when(command).then_nothing();
    }
}
