//! What a shopper wants to remember: products, each once, until they are dropped or moved to a cart.

use daybook_kernel::{Context, Decider, Decision, EventAt, Reactor, ServiceMessage};
use shop_proto::cart::v1::*;

/// The products that a shopper wants to remember. Stream `wishlist/{customer_id}`.
pub struct Wishlist;

/// The most products that a wishlist may hold.
const MAX_SAVED: u32 = 500;

impl Decider for Wishlist {
    type Command = WishlistCommand;
    type Event = WishlistEvent;
    type State = WishlistState;
    type Refusal = WishlistRefusal;

    fn decide(state: &WishlistState, command: &WishlistCommand, _: &Context) -> Decision<Self> {
        use WishlistCommand as C;
        let is_saved = state.skus.iter().any(|sku| sku == command.sku());
        match command {
            C::SaveItem(_) if is_saved => Decision::nothing(),
            C::SaveItem(_) if state.skus.len() >= MAX_SAVED as usize => Decision::refuse(WishlistFull { limit: MAX_SAVED }),
            C::SaveItem(c) => Decision::event(ItemSaved::from(c)),
            C::DropItem(c) if is_saved => Decision::event(ItemDropped::from(c)),
            C::DropItem(_) => Decision::nothing(),
            C::MoveToCart(c) if is_saved => Decision::event(MovedToCart::from(c)),
            // Not done already: under another key it was another wish, and perhaps another cart's.
            C::MoveToCart(c) => Decision::refuse(ItemNotSaved { sku: c.sku.clone() }),
        }
    }

    fn evolve(state: &mut WishlistState, event: &WishlistEvent) {
        event.customer_id().clone_into(&mut state.customer_id);
        match event {
            WishlistEvent::ItemSaved(e) => state.skus.push(e.sku.clone()),
            WishlistEvent::ItemDropped(_) | WishlistEvent::MovedToCart(_) => state.skus.retain(|sku| sku != event.sku()),
        }
    }
}

/// Hands a product that was moved over to the cart.
pub struct Moving;

impl Reactor for Moving {
    const NAME: &'static str = "wishlist";
    const RULE_VERSION: u32 = 2;
    type Event = WishlistEvent;

    fn react(event: &WishlistEvent, at: &EventAt<'_>) -> Vec<ServiceMessage> {
        let WishlistEvent::MovedToCart(e) = event else { return Vec::new() };
        let command = TakeLines {
            cart_id: e.cart_id.clone(),
            from: at.stream.as_str().to_owned(),
            handover: at.version.0.cast_signed(),
            lines: vec![CartLine { sku: e.sku.clone(), quantity: e.quantity }],
            through: Vec::new(),
            owner: e.customer_id.clone(),
        };
        vec![ServiceMessage::of(&CartCommand::from(command))]
    }
}

#[cfg(test)]
mod spec {
    use std::collections::BTreeSet;

    use daybook_kernel::spec::{given, given_nothing, in_turn};
    use daybook_kernel::{Instant, StreamId, Version};
    use proptest::prelude::*;
    use shop_proto::samples::wishlist::{drop, dropped, move_to_cart, moved, save, saved};

    use super::*;

    #[test]
    fn a_product_is_remembered_once() {
        given_nothing::<Wishlist>().when(save("A-1")).then([saved("A-1")]);
        given::<Wishlist>([saved("A-1")]).when(save("A-1")).then_nothing();
        given::<Wishlist>([saved("A-1")]).when(save("A-2")).then([saved("A-2")]);
        given::<Wishlist>([saved("A-1"), dropped("A-1")]).when(save("A-1")).then([saved("A-1")]);
        given::<Wishlist>([saved("A-1"), moved("A-1", 2)]).when(save("A-1")).then([saved("A-1")]);
    }

    #[test]
    fn a_wishlist_is_the_customers_whose_name_it_has() {
        given_nothing::<Wishlist>().when(save("A-1")).then_state(|state| assert_eq!(state.customer_id, "c-1"));
    }

    #[test]
    fn what_is_not_there_is_forgotten_already() {
        given::<Wishlist>([saved("A-1")]).when(drop("A-1")).then([dropped("A-1")]);
        given::<Wishlist>([saved("A-1"), dropped("A-1")]).when(drop("A-1")).then_nothing();
        given_nothing::<Wishlist>().when(drop("A-1")).then_nothing();
    }

    #[test]
    fn what_is_moved_to_a_cart_is_no_longer_there() {
        given::<Wishlist>([saved("A-1"), saved("A-2")]).when(move_to_cart("A-1", 2)).then([moved("A-1", 2)]);
        let none = || ItemNotSaved { sku: "A-1".into() };
        given::<Wishlist>([saved("A-1"), moved("A-1", 2)]).when(move_to_cart("A-1", 2)).then_refused(none());
        given_nothing::<Wishlist>().when(move_to_cart("A-1", 2)).then_refused(none());
        given::<Wishlist>([saved("A-1"), moved("A-1", 2)]).when(drop("A-1")).then_nothing();
    }

    #[test]
    fn what_is_moved_is_handed_to_the_cart_once() {
        let stream = StreamId::new("wishlist", "c-1");
        let at = EventAt { stream: &stream, version: Version(7), recorded_at: Instant::default() };
        let take = TakeLines {
            cart_id: "k-1".into(),
            from: "wishlist/c-1".into(),
            handover: 7,
            lines: vec![CartLine { sku: "A-1".into(), quantity: 2 }],
            through: Vec::new(),
            owner: "c-1".into(),
        };
        assert_eq!(Moving::react(&moved("A-1", 2), &at), [ServiceMessage::of(&CartCommand::from(take))]);
        assert_eq!(Moving::react(&saved("A-1"), &at), []);
    }

    #[test]
    fn a_wishlist_holds_five_hundred_products() {
        let many = |n: u32| (0..n).map(|n| saved(&format!("S-{n}"))).collect::<Vec<_>>();
        given::<Wishlist>(many(499)).when(save("A-1")).then([saved("A-1")]);
        given::<Wishlist>(many(500)).when(save("A-1")).then_refused(WishlistFull { limit: 500 });
        given::<Wishlist>(many(500)).when(save("S-0")).then_nothing();
        given::<Wishlist>([many(500), vec![dropped("S-0")]].concat()).when(save("A-1")).then([saved("A-1")]);
    }

    fn any_command() -> impl Strategy<Value = WishlistCommand> {
        let sku = || "A-[1-4]";
        prop_oneof![
            3 => sku().prop_map(|sku| save(&sku).into()),
            1 => sku().prop_map(|sku| drop(&sku).into()),
            2 => (sku(), 1..999_u32).prop_map(|(sku, quantity)| move_to_cart(&sku, quantity).into()),
        ]
    }

    proptest! {
        /// For all commands in any order: each product is there once, and what was moved had been there, and is not.
        #[test]
        fn nothing_is_remembered_twice_and_nothing_moved_that_was_not_there(commands in prop::collection::vec(any_command(), 1..60)) {
            let mut books = BTreeSet::new();
            in_turn::<Wishlist>(&commands, |step| {
                for event in &step.decision.events {
                    let sku = event.sku().to_owned();
                    let is_good = if matches!(event, WishlistEvent::ItemSaved(_)) { books.insert(sku) } else { books.remove(&sku) };
                    assert!(is_good, "{event:?}");
                }
                assert_eq!(step.after.skus.iter().cloned().collect::<BTreeSet<_>>(), books);
                assert_eq!(step.after.skus.len(), books.len());
            });
        }
    }
}
