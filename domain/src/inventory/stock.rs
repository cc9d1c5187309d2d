//! Stock of one SKU in one warehouse: what is on the shelf, and what is promised to whom.

use daybook_kernel::{Context, Decider, Decision, Instant};
use daybook_proto::RefusalSet as _;
use shop_proto::inventory::v1::*;

/// Stock of one SKU in one warehouse. Stream `stock/{sku}@{warehouse}`.
pub struct Stock;

/// The most pieces that there may be on hand: far beyond any warehouse, and such that sums and differences fit 32 bits.
const MAX_ON_HAND: u32 = 2_000_000_000;
/// The time for which a reservation holds when the command does not say, in seconds.
const DEFAULT_EXPIRY: u32 = 15 * 60;

impl Decider for Stock {
    type Command = StockCommand;
    type Event = StockEvent;
    type State = StockState;
    type Refusal = StockRefusal;

    fn decide(state: &StockState, command: &StockCommand, context: &Context) -> Decision<Self> {
        use StockCommand as C;
        match command {
            C::ReceiveStock(c) => added(state, c.quantity, StockReceived::from(c)),
            C::AdjustStock(c) => adjusted(state, c.into()),
            C::CountStock(c) => count(state, c),
            C::ReserveStock(c) => reserve(state, c, context),
            C::ExtendReservation(c) => extend(state, c, context),
            C::CommitStock(c) => commit(state, c),
            C::ReleaseStock(c) => release(state, c),
            C::ExpireReservation(c) => expire(state, c),
            C::SetReorderPoint(c) if state.reorder_point == c.reorder_point => Decision::nothing(),
            C::SetReorderPoint(c) => and_reorder_point(state, ReorderPointSet::from(c)),
        }
    }

    fn evolve(state: &mut StockState, event: &StockEvent) {
        use StockEvent as E;
        match event {
            E::StockReceived(e) => state.on_hand = state.on_hand.saturating_add(e.quantity),
            E::StockAdjusted(e) => state.on_hand = state.on_hand.saturating_add_signed(e.delta),
            E::StockReserved(e) => {
                state.reserved = state.reserved.saturating_add(e.quantity);
                let reservation = Reservation { quantity: e.quantity, expires_at: e.expires_at, process: e.process.clone() };
                state.reservations.insert(e.order_id.clone(), reservation);
            }
            E::ReservationExtended(e) => {
                if let Some(open) = state.reservations.get_mut(&e.order_id) {
                    open.expires_at = e.expires_at;
                }
            }
            E::StockCommitted(e) => {
                close(state, &e.order_id, e.quantity);
                state.on_hand = state.on_hand.saturating_sub(e.quantity);
            }
            E::StockReleased(e) => close(state, &e.order_id, e.quantity),
            E::ReservationExpired(e) => close(state, &e.order_id, e.quantity),
            E::ReorderPointSet(e) => state.reorder_point = e.reorder_point,
            // For the process that asked: nothing moved.
            E::ReservationRefused(_) | E::CommitRefused(_) | E::ReorderPointCrossed(_) | E::ReorderPointRegained(_) => {}
        }
    }
}

fn close(state: &mut StockState, order_id: &str, quantity: u32) {
    state.reservations.remove(order_id);
    state.reserved = state.reserved.saturating_sub(quantity);
}

/// Pieces that can be promised now.
fn available(state: &StockState) -> u32 {
    state.on_hand.saturating_sub(state.reserved)
}

fn is_below_reorder_point(state: &StockState) -> bool {
    available(state) < state.reorder_point
}

/// The event, and, when it makes what is available fall below the reorder point or come back to it, that too.
fn and_reorder_point(state: &StockState, event: impl Into<StockEvent>) -> Decision<Stock> {
    let event = event.into();
    // Without the reservations: a busy stock has many, and levels don't need them.
    let mut after =
        StockState { on_hand: state.on_hand, reserved: state.reserved, reorder_point: state.reorder_point, ..Default::default() };
    Stock::evolve(&mut after, &event);
    let (sku, warehouse) = (event.sku().to_owned(), event.warehouse().to_owned());
    let (reorder_point, available) = (after.reorder_point, available(&after));
    match (is_below_reorder_point(state), is_below_reorder_point(&after)) {
        (false, true) => Decision::events([event, ReorderPointCrossed { sku, warehouse, reorder_point, available }.into()]),
        (true, false) => Decision::events([event, ReorderPointRegained { sku, warehouse, reorder_point, available }.into()]),
        _ => Decision::event(event),
    }
}

/// More pieces, when the books allow it.
fn added(state: &StockState, quantity: u32, event: impl Into<StockEvent>) -> Decision<Stock> {
    match state.on_hand.checked_add(quantity) {
        Some(sum) if sum <= MAX_ON_HAND => and_reorder_point(state, event),
        _ => Decision::refuse(StockLimitExceeded { on_hand: state.on_hand, added: quantity, limit: MAX_ON_HAND }),
    }
}

fn count(state: &StockState, c: &CountStock) -> Decision<Stock> {
    // Both are at most MAX_ON_HAND, so their difference fits.
    let delta = c.counted.cast_signed().saturating_sub(state.on_hand.cast_signed());
    adjusted(state, StockAdjusted { delta, counted: Some(c.counted), ..c.into() })
}

fn adjusted(state: &StockState, event: StockAdjusted) -> Decision<Stock> {
    let (delta, available) = (event.delta, available(state));
    match delta {
        0 => Decision::nothing(),
        1.. => added(state, delta.unsigned_abs(), event),
        _ if delta.unsigned_abs() <= available => and_reorder_point(state, event),
        _ => Decision::refuse(AdjustmentBelowZero { delta, on_hand: state.on_hand, reserved: state.reserved, available }),
    }
}

fn reserve(state: &StockState, c: &ReserveStock, context: &Context) -> Decision<Stock> {
    let available = available(state);
    let refusal: StockRefusal = match state.reservations.get(&c.order_id) {
        Some(open) if open.quantity == c.quantity => return Decision::nothing(),
        Some(open) => ReservationExists { order_id: c.order_id.clone(), requested: c.quantity, reserved: open.quantity }.into(),
        None if c.quantity > available => InsufficientStock { requested: c.quantity, available }.into(),
        None => {
            let expires_at = Some(expiry(c.expires_in_seconds, context).to_proto());
            return and_reorder_point(state, StockReserved { expires_at, ..c.into() });
        }
    };
    let code = refusal.code().to_owned();
    refuse_telling(refusal, &c.process, ReservationRefused { requested: c.quantity, available, code, ..c.into() })
}

/// A process that asked learns of the refusal by an event.
fn refuse_telling(refusal: StockRefusal, process: &str, told: impl Into<StockEvent>) -> Decision<Stock> {
    if process.is_empty() { Decision::refuse(refusal) } else { Decision::refuse_with(refusal, [told.into()]) }
}

/// When what is promised now ends.
fn expiry(in_seconds: Option<u32>, context: &Context) -> Instant {
    let seconds = in_seconds.unwrap_or(DEFAULT_EXPIRY);
    Instant::from_micros(context.now().micros() + i64::from(seconds) * 1_000_000)
}

fn unknown(order_id: &str) -> StockRefusal {
    UnknownReservation { order_id: order_id.to_owned() }.into()
}

/// A shorter time than the present one is no extension: a repeat of an older wish must not take a promise back.
fn extend(state: &StockState, c: &ExtendReservation, context: &Context) -> Decision<Stock> {
    let Some(open) = state.reservations.get(&c.order_id) else { return Decision::refuse(unknown(&c.order_id)) };
    let expires_at = expiry(c.expires_in_seconds, context);
    if open.expires_at.as_ref().is_some_and(|before| Instant::from_proto(before) >= expires_at) {
        return Decision::nothing();
    }
    Decision::event(ReservationExtended { expires_at: Some(expires_at.to_proto()), process: open.process.clone(), ..c.into() })
}

/// Pieces that leave were reserved, so what is available stays and no reorder point is crossed.
fn commit(state: &StockState, c: &CommitStock) -> Decision<Stock> {
    if let Some(open) = state.reservations.get(&c.order_id) {
        return Decision::event(StockCommitted { quantity: open.quantity, process: open.process.clone(), ..c.into() });
    }
    let refusal = unknown(&c.order_id);
    let code = refusal.code().to_owned();
    refuse_telling(refusal, &c.process, CommitRefused { code, ..c.into() })
}

fn release(state: &StockState, c: &ReleaseStock) -> Decision<Stock> {
    let Some(open) = state.reservations.get(&c.order_id) else { return Decision::refuse(unknown(&c.order_id)) };
    and_reorder_point(state, StockReleased { quantity: open.quantity, process: open.process.clone(), ..c.into() })
}

/// The time named is compared with the reservation's own, never with a clock: a lane whose clock is behind the
/// scheduler's would refuse a deadline that fires only once.
fn expire(state: &StockState, c: &ExpireReservation) -> Decision<Stock> {
    let instant = |t: &Option<_>| t.as_ref().map(Instant::from_proto);
    match state.reservations.get(&c.order_id) {
        Some(open) if instant(&open.expires_at) == instant(&c.due_at) => {
            and_reorder_point(state, ReservationExpired { quantity: open.quantity, process: open.process.clone(), ..c.into() })
        }
        _ => Decision::nothing(),
    }
}

#[cfg(test)]
mod spec {
    use daybook_kernel::spec::{SPEC_TIME, given, given_nothing, in_turn};
    use proptest::prelude::*;
    use shop_proto::samples::stock::{
        adjust, adjusted, commit, committed, count, crossed, expire, expired, extend, extended, receive, received, regained, release,
        released, reorder_point_set, reserve, reserved, reserved_until, set_reorder_point,
    };

    use super::*;

    fn after(seconds: i64) -> Instant {
        Instant::from_micros(SPEC_TIME.micros() + seconds * 1_000_000)
    }

    #[test]
    fn what_is_received_is_on_hand() {
        given_nothing::<Stock>().when(receive(5)).then([received(5)]);
        given::<Stock>([received(5)]).when(receive(2)).then_state(|s| assert_eq!((s.on_hand, available(s)), (7, 7)));
    }

    #[test]
    fn more_than_the_books_allow_is_not_received() {
        let full = || [received(1_000_000_000), received(1_000_000_000)];
        let refusal = || StockLimitExceeded { on_hand: 2_000_000_000, added: 1, limit: 2_000_000_000 };
        given::<Stock>(full()).when(receive(1)).then_refused(refusal());
        given::<Stock>(full()).when(adjust(1)).then_refused(refusal());
    }

    #[test]
    fn an_adjustment_adds_or_takes_away() {
        given::<Stock>([received(5)]).when(adjust(-5)).then([adjusted(-5)]);
        given::<Stock>([received(5)]).when(adjust(3)).then_state(|s| assert_eq!(s.on_hand, 8));
        given::<Stock>([received(5)]).when(adjust(0)).then_nothing();
    }

    #[test]
    fn an_adjustment_cannot_take_away_what_is_not_there_or_promised() {
        let below = AdjustmentBelowZero { delta: -3, on_hand: 5, reserved: 3, available: 2 };
        given::<Stock>([received(5), reserved("o-1", 3)]).when(adjust(-3)).then_refused(below);
    }

    #[test]
    fn a_count_becomes_the_difference() {
        let below = AdjustmentBelowZero { delta: -3, on_hand: 5, reserved: 3, available: 2 };
        let found = StockAdjusted { delta: -2, counted: Some(3), ..(&count(3)).into() };
        given::<Stock>([received(5)]).when(count(3)).then([found.into()]);
        given::<Stock>([received(5)]).when(count(5)).then_nothing();
        given_nothing::<Stock>().when(count(2_000_000_000)).then_state(|s| assert_eq!(s.on_hand, 2_000_000_000));
        given::<Stock>([received(5), reserved("o-1", 3)]).when(count(2)).then_refused(below);
    }

    #[test]
    fn a_reservation_holds_for_a_quarter_of_an_hour_unless_it_says_otherwise() {
        given::<Stock>([received(5)]).when(reserve("o-1", 5)).then([reserved("o-1", 5)]);
        given::<Stock>([received(5)])
            .when(ReserveStock { expires_in_seconds: Some(60), ..reserve("o-1", 5) })
            .then([reserved_until("o-1", 5, 60, "")]);
    }

    #[test]
    fn reserving_more_than_is_available_says_how_much_there_is() {
        given::<Stock>([received(5), reserved("o-1", 3)])
            .when(reserve("o-2", 4))
            .then_refused(InsufficientStock { requested: 4, available: 2 });
        given_nothing::<Stock>().when(reserve("o-1", 1)).then_refused(InsufficientStock { requested: 1, available: 0 });
    }

    #[test]
    fn a_process_that_gets_nothing_learns_of_it_by_an_event() {
        let asked = ReserveStock { process: "allocation/o-2".into(), ..reserve("o-2", 4) };
        let told = ReservationRefused { requested: 4, available: 2, code: "insufficient-stock".into(), ..(&asked).into() };
        given::<Stock>([received(5), reserved("o-1", 3)])
            .when(asked)
            .then_refused_with(InsufficientStock { requested: 4, available: 2 }, [told.into()]);
    }

    #[test]
    fn reserving_the_same_again_is_already_done_and_another_quantity_is_refused() {
        let history = || given::<Stock>([received(5), reserved("o-1", 3)]);
        history().when(reserve("o-1", 3)).then_nothing();
        history().when(reserve("o-1", 2)).then_refused(ReservationExists { order_id: "o-1".into(), requested: 2, reserved: 3 });
    }

    #[test]
    fn what_is_committed_leaves_the_shelf() {
        given::<Stock>([received(5), reserved("o-1", 3)]).when(commit("o-1")).then([committed("o-1", 3)]);
        given::<Stock>([received(5), reserved("o-1", 3), committed("o-1", 3)])
            .when(reserve("o-2", 2))
            .then_state(|s| assert_eq!((s.on_hand, s.reserved, available(s)), (2, 2, 0)));
    }

    #[test]
    fn what_is_released_or_expired_is_available_again() {
        given::<Stock>([received(5), reserved("o-1", 3)]).when(release("o-1")).then([released("o-1", 3)]);
        for gone in [released("o-1", 3), expired("o-1", 3)] {
            given::<Stock>([received(5), reserved("o-1", 3), gone])
                .when(reserve("o-1", 5))
                .then_state(|s| assert_eq!((s.on_hand, s.reserved), (5, 5)));
        }
    }

    #[test]
    fn a_reservation_that_is_not_there_can_neither_be_committed_nor_released() {
        given_nothing::<Stock>().when(commit("o-1")).then_refused(unknown("o-1"));
        for gone in [committed("o-1", 3), released("o-1", 3), expired("o-1", 3)] {
            let history = [received(5), reserved("o-1", 3), gone];
            given::<Stock>(history.clone()).when(commit("o-1")).then_refused(unknown("o-1"));
            given::<Stock>(history).when(release("o-1")).then_refused(unknown("o-1"));
        }
    }

    #[test]
    fn a_process_that_comes_too_late_to_commit_learns_of_it_by_an_event() {
        let asked = CommitStock { process: "order/o-1".into(), ..commit("o-1") };
        let told = CommitRefused { code: "unknown-reservation".into(), ..(&asked).into() };
        given::<Stock>([received(5), reserved("o-1", 3), expired("o-1", 3)]).when(asked).then_refused_with(unknown("o-1"), [told.into()]);
    }

    #[test]
    fn the_end_of_a_reservation_names_the_process_that_made_it() {
        let ended = ReservationExpired { quantity: 3, process: "allocation/o-1".into(), ..(&expire("o-1", 900)).into() };
        given::<Stock>([received(5), reserved_until("o-1", 3, 900, "allocation/o-1")]).when(expire("o-1", 900)).then([ended.into()]);
    }

    #[test]
    fn a_reservation_expires_at_its_own_time_whatever_the_clock_says() {
        let history = || given::<Stock>([received(5), reserved("o-1", 3)]);
        history().at(after(0)).when(expire("o-1", 900)).then([expired("o-1", 3)]);
        history().at(after(9999)).when(expire("o-1", 899)).then_nothing();
        history().when(expire("o-2", 900)).then_nothing();
        given::<Stock>([received(5), reserved("o-1", 3), released("o-1", 3), reserved_until("o-1", 3, 1800, "")])
            .when(expire("o-1", 900))
            .then_nothing();
    }

    #[test]
    fn an_extended_reservation_holds_for_longer_and_expires_at_its_new_time_alone() {
        let history = || given::<Stock>([received(5), reserved("o-1", 3)]);
        history().when(extend("o-1", 901)).then([extended("o-1", 901)]);
        history().when(ExtendReservation { expires_in_seconds: None, ..extend("o-1", 1) }).then_nothing();
        history().at(after(60)).when(ExtendReservation { expires_in_seconds: None, ..extend("o-1", 1) }).then([extended("o-1", 960)]);
        let longer = || given::<Stock>([received(5), reserved("o-1", 3), extended("o-1", 1800)]);
        longer().when(expire("o-1", 900)).then_nothing();
        longer().when(expire("o-1", 1800)).then([expired("o-1", 3)]);
        longer().when(reserve("o-2", 3)).then_refused(InsufficientStock { requested: 3, available: 2 });
        longer().when(commit("o-1")).then([committed("o-1", 3)]);
    }

    #[test]
    fn a_promise_is_not_made_shorter_and_one_that_is_not_there_is_not_extended() {
        given::<Stock>([received(5), reserved("o-1", 3)]).when(extend("o-1", 899)).then_nothing();
        given::<Stock>([received(5), reserved("o-1", 3)]).when(extend("o-2", 900)).then_refused(unknown("o-2"));
        given::<Stock>([received(5), reserved("o-1", 3), released("o-1", 3)]).when(extend("o-1", 901)).then_refused(unknown("o-1"));
    }

    #[test]
    fn goods_that_came_in_keep_their_lot() {
        let lot = || "L-7".to_owned();
        let came = StockReceived { lot: lot(), ..(&receive(5)).into() };
        given_nothing::<Stock>().when(ReceiveStock { lot: lot(), ..receive(5) }).then([came.into()]);
    }

    #[test]
    fn falling_below_the_reorder_point_is_said_once_a_fall() {
        let watched = || vec![received(5), reorder_point_set(4)];
        given::<Stock>(watched()).when(reserve("o-1", 1)).then([reserved("o-1", 1)]);
        given::<Stock>(watched()).when(reserve("o-1", 2)).then([reserved("o-1", 2), crossed(4, 3)]);
        given::<Stock>(watched()).when(adjust(-3)).then([adjusted(-3), crossed(4, 2)]);
        let below = || [watched(), vec![reserved("o-1", 2), crossed(4, 3)]].concat();
        given::<Stock>(below()).when(reserve("o-2", 1)).then([reserved("o-2", 1)]);
        let back = [below(), vec![released("o-1", 2), regained(4, 5)]].concat();
        given::<Stock>(back).when(reserve("o-2", 2)).then([reserved("o-2", 2), crossed(4, 3)]);
    }

    #[test]
    fn coming_back_to_the_reorder_point_is_said_once_a_rise() {
        let below = || vec![received(5), reorder_point_set(4), reserved("o-1", 3), crossed(4, 2)];
        given::<Stock>(below()).when(receive(1)).then([received(1)]);
        given::<Stock>(below()).when(receive(2)).then([received(2), regained(4, 4)]);
        given::<Stock>(below()).when(adjust(2)).then([adjusted(2), regained(4, 4)]);
        given::<Stock>(below()).when(release("o-1")).then([released("o-1", 3), regained(4, 5)]);
        given::<Stock>(below()).when(expire("o-1", 900)).then([expired("o-1", 3), regained(4, 5)]);
        given::<Stock>(below()).when(set_reorder_point(2)).then([reorder_point_set(2), regained(2, 2)]);
        given::<Stock>([below(), vec![received(2), regained(4, 4)]].concat()).when(receive(1)).then([received(1)]);
    }

    #[test]
    fn a_reorder_point_set_above_what_is_available_is_crossed_at_once() {
        given::<Stock>([received(5)]).when(set_reorder_point(6)).then([reorder_point_set(6), crossed(6, 5)]);
        given::<Stock>([received(5)]).when(set_reorder_point(5)).then([reorder_point_set(5)]);
        given::<Stock>([received(5), reorder_point_set(5)]).when(set_reorder_point(5)).then_nothing();
    }

    fn any_command() -> impl Strategy<Value = StockCommand> {
        let order = || "o-[1-4]";
        let quantity = || prop_oneof![8 => 1..20_u32, 1 => 1..=1_000_000_000_u32];
        prop_oneof![
            3 => quantity().prop_map(|q| receive(q).into()),
            1 => prop_oneof![-20..20_i32, -2_000_000_000..=2_000_000_000_i32].prop_map(|d| adjust(d).into()),
            1 => (0..60_u32).prop_map(|n| count(n).into()),
            4 => (order(), quantity(), any::<bool>()).prop_map(|(o, q, asked)| {
                let process = if asked { format!("allocation/{o}") } else { String::new() };
                ReserveStock { process, ..reserve(&o, q) }.into()
            }),
            2 => (order(), 1..2_000_u32).prop_map(|(o, s)| extend(&o, s).into()),
            2 => order().prop_map(|o| commit(&o).into()),
            2 => order().prop_map(|o| release(&o).into()),
            2 => (order(), 0..40_i64).prop_map(|(o, t)| expire(&o, 900 + t).into()),
            1 => (0..30_u32).prop_map(|n| set_reorder_point(n).into()),
        ]
    }

    /// Pieces by the events alone, without any fold of ours.
    #[derive(Default)]
    struct Ledger {
        received: i64,
        committed: i64,
        adjusted: i64,
        promised: i64,
        given_back: i64,
    }

    impl Ledger {
        fn enter(&mut self, event: &StockEvent) {
            use StockEvent as E;
            match event {
                E::StockReceived(e) => self.received += i64::from(e.quantity),
                E::StockAdjusted(e) => self.adjusted += i64::from(e.delta),
                E::StockReserved(e) => self.promised += i64::from(e.quantity),
                E::StockCommitted(e) => self.committed += i64::from(e.quantity),
                E::StockReleased(e) => self.given_back += i64::from(e.quantity),
                E::ReservationExpired(e) => self.given_back += i64::from(e.quantity),
                // One that moves pieces and is not told of here would not balance.
                _ => {}
            }
        }

        fn on_hand(&self) -> i64 {
            self.received - self.committed + self.adjusted
        }

        fn reserved(&self) -> i64 {
            self.promised - self.committed - self.given_back
        }
    }

    proptest! {
        /// For all commands in any order, a second apart.
        #[test]
        fn the_ledger_balances_and_nothing_is_ever_below_zero(commands in prop::collection::vec(any_command(), 1..60)) {
            let mut ledger = Ledger::default();
            in_turn::<Stock>(&commands, |step| {
                let (before, after, events) = (step.before, step.after, &step.decision.events);
                events.iter().for_each(|event| ledger.enter(event));
                assert_eq!(i64::from(after.on_hand), ledger.on_hand());
                assert_eq!(i64::from(after.reserved), ledger.reserved());
                assert_eq!(after.reserved, after.reservations.values().map(|r| r.quantity).sum::<u32>());
                assert!(after.reserved <= after.on_hand && after.on_hand <= MAX_ON_HAND);
                let crossed = events.iter().any(|e| matches!(e, StockEvent::ReorderPointCrossed(_)));
                assert_eq!(crossed, !is_below_reorder_point(before) && is_below_reorder_point(after));
                let regained = events.iter().any(|e| matches!(e, StockEvent::ReorderPointRegained(_)));
                assert_eq!(regained, is_below_reorder_point(before) && !is_below_reorder_point(after));
            });
        }

        #[test]
        fn fold_and_encoding_agree(commands in prop::collection::vec(any_command(), 1..60)) {
            in_turn::<Stock>(&commands, |_| {});
        }
    }
}
