//! Shipments: pieces are cancelled before they leave, leave, and arrive or do not; money follows them.

use daybook_kernel::Decision;
use shop_proto::order::v1::*;

use super::pieces::{self, Moved};
use super::story::{GivenBack, Story, standing};
use super::{CANCELLED, Order};

/// The reason of pieces that were not found.
pub(super) const SHORT_PICK: &str = "short-pick";

/// The pieces that lines name, product by product, of those that are so.
fn first_lacking(state: &OrderState, lines: &[OrderedLine], is: impl Fn(&PieceRun) -> bool) -> Option<UnknownLine> {
    super::one_a_sku(lines).into_iter().find_map(|line| {
        let possible = pieces::count_of(state, &line.sku, &is);
        (possible < line.quantity).then_some(UnknownLine { sku: line.sku, requested: line.quantity, possible })
    })
}

/// A refusal, where lines name more pieces than are so.
pub(super) fn lacking(state: &OrderState, lines: &[OrderedLine], is: impl Fn(&PieceRun) -> bool) -> Option<Decision<Order>> {
    first_lacking(state, lines, is).map(Decision::refuse)
}

impl Story<'_> {
    pub(super) fn is_confirmed(&self) -> bool {
        matches!(
            self.state.status(),
            OrderStatus::Confirmed | OrderStatus::PartlyShipped | OrderStatus::Shipped | OrderStatus::Delivered | OrderStatus::Completed
        )
    }

    /// Pieces that may still be kept from leaving.
    fn is_cancellable(&self) -> impl Fn(&PieceRun) -> bool + use<> {
        let gone: Vec<u32> = self.state.shipments.iter().filter(|shipment| shipment.dispatched).map(|shipment| shipment.number).collect();
        move |run| pieces::is_open(run) && !gone.contains(&run.shipment)
    }

    /// Asks the shipments of these pieces to leave them out.
    fn ask_back(&mut self, moved: &Moved, explanation: &str) {
        let numbers: Vec<u32> = self.state.shipments.iter().map(|shipment| shipment.number).collect();
        for number in numbers {
            let lines: Vec<OrderedLine> = moved.lines.iter().filter(|l| l.shipment == number).map(pieces::MovedLine::ordered).collect();
            if lines.is_empty() {
                continue;
            }
            let ask = self.shipment(number).map_or(1, |shipment| shipment.asks.saturating_add(1));
            let (order_id, customer_id) = (self.order_id.clone(), self.state.customer_id.clone());
            self.tell(OrderLinesCancelling { order_id, number, ask, lines, customer_id, explanation: explanation.to_owned() });
        }
    }

    /// All that has not left yet.
    pub(super) fn cancel_all(mut self, c: &CancelOrder) -> Decision<Order> {
        let moved = pieces::change(&mut self.state.clone(), pieces::all, self.is_cancellable(), PieceRun::clone);
        if moved.lines.is_empty() && pieces::count(&self.state, pieces::is(PieceFate::Cancelling)) == 0 {
            return Decision::refuse(NotCancellable { order_id: c.order_id.clone(), status: self.state.status().into() });
        }
        self.ask_back(&moved, &c.reason);
        self.told()
    }

    pub(super) fn cancel_lines(mut self, c: &CancelLines) -> Decision<Order> {
        match self.state.status() {
            OrderStatus::Unspecified => return Decision::refuse(UnknownOrder { order_id: c.order_id.clone() }),
            OrderStatus::Confirmed | OrderStatus::PartlyShipped => {}
            status => return Decision::refuse(NotCancellable { order_id: c.order_id.clone(), status: status.into() }),
        }
        if let Some(refused) = lacking(&self.state, &c.lines, self.is_cancellable()) {
            return refused;
        }
        let moved = pieces::change(&mut self.state.clone(), pieces::as_in(&c.lines), self.is_cancellable(), PieceRun::clone);
        self.ask_back(&moved, &c.reason);
        self.told()
    }

    /// Pieces will not leave: what was taken for them is given back.
    fn lines_cancelled(&mut self, bare: OrderLinesCancelled) {
        let (moved, after) = self.foresee(bare.clone());
        if moved.lines.is_empty() || !self.is_confirmed() {
            return;
        }
        // Money of pieces that have not left is taken by nothing but the one capture of a provider that takes no second.
        let money = if self.state.captures_once { self.to_give_back(&moved) } else { GivenBack::default() };
        self.tell(OrderLinesCancelled {
            order_id: self.order_id.clone(),
            warehouse: self.shipment(bare.number).map(|shipment| shipment.warehouse.clone()).unwrap_or_default(),
            lines: moved.by_product(),
            refund: self.refund(money.taken),
            amount: self.money(money.taken),
            owed: money.owed,
            no_longer_owed: money.no_longer_owed,
            status: standing(&after).into(),
            ..bare
        });
        self.go_on();
    }

    pub(super) fn shipment_cancelled(mut self, c: &RecordShipmentCancelled) -> Decision<Order> {
        // What was never asked has no answer.
        if self.shipment(c.number).is_none_or(|shipment| c.ask > shipment.asks) {
            return Decision::nothing();
        }
        let (number, ask, lines) = (c.number, c.ask, c.lines.clone());
        self.lines_cancelled(OrderLinesCancelled { number, ask, lines, reason: CANCELLED.to_owned(), ..Default::default() });
        self.told()
    }

    /// Whoever had been asked to leave them out will answer that they are not there any more.
    pub(super) fn short_pick(mut self, c: &RecordShortPick) -> Decision<Order> {
        let (number, lines) = (c.number, c.lines.clone());
        self.lines_cancelled(OrderLinesCancelled { number, lines, reason: SHORT_PICK.to_owned(), ..Default::default() });
        self.told()
    }

    pub(super) fn cancel_too_late(mut self, c: &RecordCancelTooLate) -> Decision<Order> {
        let bare = OrderCancelTooLate { order_id: self.order_id.clone(), number: c.number, ask: c.ask };
        let (moved, _) = self.foresee(bare.clone());
        let is_open = self.shipment(c.number).is_some_and(|shipment| shipment.asks_open.contains(&c.ask));
        if !is_open {
            return Decision::nothing();
        }
        // Also where it was told before that they have left.
        self.tell(bare);
        if moved.lines.is_empty() {
            return self.told();
        }
        // It was told before that the shipment has left, and perhaps what became of it: these were in it, too.
        let known = self.shipment(c.number).map(|shipment| (shipment.dispatched, shipment.end())).unwrap_or_default();
        if known.0 {
            self.shipped(c.number, moved.by_product());
            match known.1 {
                PieceFate::Delivered => self.arrive(c.number),
                PieceFate::Lost => self.lose(c.number),
                PieceFate::Returned => self.bring_back(c.number),
                _ => {}
            }
        } else {
            // It may have had fewer pieces than were asked back, for some were not found: those that it has are asked back again.
            self.ask_back(&moved, "");
        }
        self.told()
    }

    /// Pieces have left. Where the provider takes one capture only, the first one takes all that is not cancelled.
    fn shipped(&mut self, number: u32, lines: Vec<OrderedLine>) {
        let bare = OrderShipped { order_id: self.order_id.clone(), number, lines, ..Default::default() };
        let (moved, after) = self.foresee(bare.clone());
        let is_first = !self.state.delivery_taken;
        let mut takes = if is_first { self.state.delivery_price } else { 0 };
        if !self.state.captures_once {
            takes = takes.saturating_add(moved.costs);
        } else if is_first {
            takes = takes.saturating_add(pieces::costs(&after, |run| run.fate() != PieceFate::Cancelled));
        }
        self.tell(OrderShipped {
            warehouse: self.shipment(number).map(|shipment| shipment.warehouse.clone()).unwrap_or_default(),
            lines: moved.by_product(),
            capture: if takes > 0 { self.state.captures.saturating_add(1) } else { 0 },
            amount: self.money(takes),
            status: standing(&after).into(),
            ..bare
        });
    }

    pub(super) fn dispatched(mut self, c: &RecordDispatched) -> Decision<Order> {
        if self.is_confirmed() && self.shipment(c.number).is_some_and(|shipment| !shipment.dispatched) {
            self.shipped(c.number, c.lines.clone());
        }
        self.told()
    }

    /// What has arrived, or is lost, or came back, has left before: be it that this was not told yet.
    fn has_left(&mut self, number: u32) -> bool {
        let Some(shipment) = self.shipment(number).filter(|_| self.is_confirmed()) else { return false };
        if !shipment.dispatched {
            let is_in_it = |run: &PieceRun| pieces::is_open(run) && run.shipment == number;
            let lines = pieces::change(&mut self.state.clone(), pieces::all, is_in_it, PieceRun::clone).by_product();
            self.shipped(number, lines);
        }
        true
    }

    pub(super) fn delivered(mut self, c: &RecordDelivered) -> Decision<Order> {
        if self.has_left(c.number) {
            self.arrive(c.number);
        }
        self.told()
    }

    pub(super) fn lost(mut self, c: &RecordLost) -> Decision<Order> {
        if self.has_left(c.number) {
            self.lose(c.number);
        }
        self.told()
    }

    pub(super) fn returned_to_sender(mut self, c: &RecordReturnedToSender) -> Decision<Order> {
        if self.has_left(c.number) {
            self.bring_back(c.number);
        }
        self.told()
    }

    fn end_of(&self, number: u32) -> PieceFate {
        self.shipment(number).map_or(PieceFate::Unspecified, OrderShipment::end)
    }

    /// Pieces have an end, or their shipment has one that nobody has told yet: pieces that are still asked back may have been in it.
    fn is_news(&self, number: u32, moved: &Moved) -> bool {
        !moved.lines.is_empty() || self.end_of(number) == PieceFate::Unspecified
    }

    /// Where the order stands when its pieces are so. What turns up when all is over changes that no more.
    fn standing_with(&self, after: &OrderState) -> OrderStatus {
        if self.state.status() == OrderStatus::Completed { OrderStatus::Completed } else { standing(after) }
    }

    fn arrive(&mut self, number: u32) {
        let delivered_at = Some(self.context.now().to_proto());
        let bare = OrderDelivered { order_id: self.order_id.clone(), number, delivered_at, ..Default::default() };
        let (moved, after) = self.foresee(bare.clone());
        if self.end_of(number) == PieceFate::Lost {
            // Their money was given back when they were lost, and stays so.
            let found = OrderFound { order_id: self.order_id.clone(), number, lines: Vec::new(), delivered_at };
            let lines = self.foresee(found.clone()).0.by_product();
            self.tell(OrderFound { lines, ..found });
        }
        if self.is_news(number, &moved) {
            self.tell(OrderDelivered { lines: moved.by_product(), status: standing(&after).into(), ..bare });
            self.go_on();
        }
    }

    fn lose(&mut self, number: u32) {
        let bare = OrderLost { order_id: self.order_id.clone(), number, ..Default::default() };
        let (moved, after) = self.foresee(bare.clone());
        if self.is_news(number, &moved) {
            let GivenBack { taken, owed, no_longer_owed } = self.to_give_back(&moved);
            let (refund, amount) = (self.refund(taken), self.money(taken));
            let (lines, status) = (moved.by_product(), standing(&after).into());
            self.tell(OrderLost { lines, refund, amount, owed, no_longer_owed, status, ..bare });
            self.go_on();
        }
    }

    fn bring_back(&mut self, number: u32) {
        let bare = OrderReturnedToSender { order_id: self.order_id.clone(), number, ..Default::default() };
        let (moved, after) = self.foresee(bare.clone());
        if self.is_news(number, &moved) {
            let warehouse = self.shipment(number).map(|shipment| shipment.warehouse.clone()).unwrap_or_default();
            let GivenBack { taken, owed, no_longer_owed } = self.to_give_back(&moved);
            let (refund, amount) = (self.refund(taken), self.money(taken));
            let (lines, status) = (moved.by_product(), self.standing_with(&after).into());
            self.tell(OrderReturnedToSender { warehouse, lines, refund, amount, owed, no_longer_owed, status, ..bare });
            self.go_on();
        }
    }

    pub(super) fn labelled(mut self, c: &RecordLabelled) -> Decision<Order> {
        if self.is_confirmed() && self.shipment(c.number).is_some_and(|shipment| shipment.tracking != c.tracking) {
            self.tell(OrderLabelled::from(c));
        }
        self.told()
    }
}

/// What the order knows of its shipments, after an event. Their pieces are another matter.
pub(super) fn evolve(state: &mut OrderState, event: &OrderEvent) {
    use OrderEvent as E;
    let shipment = |state: &mut OrderState, number: u32, f: &dyn Fn(&mut OrderShipment)| {
        state.shipments.iter_mut().filter(|shipment| shipment.number == number).for_each(f);
    };
    match event {
        E::OrderConfirmed(e) => {
            let known = |s: &PlannedShipment| OrderShipment { number: s.number, warehouse: s.warehouse.clone(), ..Default::default() };
            state.shipments = e.shipments.iter().map(known).collect();
        }
        E::OrderLabelled(e) => shipment(state, e.number, &|s| s.tracking.clone_from(&e.tracking)),
        E::OrderLinesCancelling(e) => shipment(state, e.number, &|s| {
            s.asks = e.ask;
            s.asks_open.push(e.ask);
        }),
        E::OrderCancelTooLate(e) => shipment(state, e.number, &|s| s.asks_open.retain(|ask| *ask != e.ask)),
        // Where all that was asked back will not leave, for it was not found, there is no answer to tell.
        E::OrderLinesCancelled(e) => {
            let open = |ask: u32| {
                let is_it = |run: &PieceRun| run.fate() == PieceFate::Cancelling && (run.shipment, run.ask) == (e.number, ask);
                ask != e.ask && pieces::count(state, is_it) > 0
            };
            let asks = state.shipments.iter().find(|s| s.number == e.number).map(|s| s.asks_open.clone()).unwrap_or_default();
            let left: Vec<u32> = asks.into_iter().filter(|ask| open(*ask)).collect();
            shipment(state, e.number, &|s| s.asks_open.clone_from(&left));
        }
        E::OrderShipped(e) => {
            state.delivery_taken = true;
            shipment(state, e.number, &|s| s.dispatched = true);
            // The one capture of a provider that takes no second is every shipment's.
            let of_all = state.captures_once;
            let takes = |s: &&mut OrderShipment| s.capture == 0 && (of_all || s.number == e.number);
            state.shipments.iter_mut().filter(takes).for_each(|s| s.capture = e.capture);
        }
        E::OrderDelivered(e) => {
            state.delivered_at = e.delivered_at;
            shipment(state, e.number, &|s| s.set_end(PieceFate::Delivered));
        }
        E::OrderLost(e) => shipment(state, e.number, &|s| s.set_end(PieceFate::Lost)),
        E::OrderFound(e) => {
            state.delivered_at = e.delivered_at;
            shipment(state, e.number, &|s| s.set_end(PieceFate::Delivered));
        }
        E::OrderReturnedToSender(e) => shipment(state, e.number, &|s| s.set_end(PieceFate::Returned)),
        _ => {}
    }
}
