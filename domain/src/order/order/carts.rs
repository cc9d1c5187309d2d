//! An order tells its cart what becomes of it.

use daybook_kernel::{EventAt, Reactor, ServiceMessage};
use shop_proto::cart::v1::{CartCommand, CloseCart, ReopenCart};
use shop_proto::order::v1::*;

/// Gives a cart its lines back when its order is rejected, or is another cart's; ends the cart's life when its order is confirmed or
/// cancelled.
pub struct ToCart;

impl Reactor for ToCart {
    const NAME: &'static str = "order-to-cart";
    type Event = OrderEvent;

    fn react(event: &OrderEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        let order_id = event.order_id().to_owned();
        let command: CartCommand = match event {
            OrderEvent::OrderRejecting(e) => ReopenCart { cart_id: e.cart_id.clone(), order_id }.into(),
            OrderEvent::OrderOpeningRefused(e) => ReopenCart { cart_id: e.cart_id.clone(), order_id }.into(),
            OrderEvent::OrderConfirmed(e) => CloseCart { cart_id: e.cart_id.clone(), order_id }.into(),
            OrderEvent::OrderCancelled(e) => CloseCart { cart_id: e.cart_id.clone(), order_id }.into(),
            _ => return Vec::new(),
        };
        vec![ServiceMessage::of(&command)]
    }
}

#[cfg(test)]
mod tests {
    use daybook_kernel::{Instant, StreamId, Version};
    use shop_proto::samples::order::{cancelled, cancelling, opened, opening_refused, placed, prices_changed, rejected, unavailable};

    use super::*;

    #[test]
    fn a_cart_hears_of_its_order_once_each_time_that_matters_to_it() {
        let stream = StreamId::new("order", "o-1");
        let at = EventAt { stream: &stream, version: Version(2), recorded_at: Instant::default() };
        let reopen = |cart_id: &str| CartCommand::from(ReopenCart { cart_id: cart_id.into(), order_id: "o-1".into() });
        for (event, command) in [
            (prices_changed(4000), reopen("k-1")),
            (unavailable([("A-1", 2, 0)]), reopen("k-1")),
            (opening_refused("k-2"), reopen("k-2")),
            (cancelled(), CloseCart { cart_id: "k-1".into(), order_id: "o-1".into() }.into()),
        ] {
            assert_eq!(ToCart::react(&event, &at), [ServiceMessage::of(&command)]);
        }
        assert_eq!(ToCart::react(&opening_refused("k-2"), &at)[0].target.as_str(), "cart/k-2");
        for event in [opened(), placed(), rejected("prices-changed", true), cancelling()] {
            assert_eq!(ToCart::react(&event, &at), []);
        }
    }
}
