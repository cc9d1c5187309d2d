//! A stock, in sentences.

use daybook_kernel::Instant;
use daybook_kernel::spec::{SPEC_TIME, given, given_nothing};
use shop_proto::samples::stock::{
    adjust, adjusted, arrived, arrives, commit, committed, confirm, confirmed, count, crossed, expire, expired, extend, extended, leaves,
    left, place_closed, receive, received, regained, release, released, reorder_point_set, reserve, reserved, reserved_until,
    set_reorder_point, write_off,
};

use super::promises::{MOST_CLOSED, unknown};
use super::transfers::MOST_KNOWN;
use super::*;

/// A process that reserves for an order.
const PROCESS: &str = "allocation/o-1";
/// Another one that asks for what is reserved.
const OTHER: &str = "order/o-1";

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
fn a_process_says_until_when_a_reservation_holds_and_never_for_less_than_a_second() {
    let until = |seconds| ReserveStock { expires_at: Some(shop_proto::samples::at(seconds)), ..reserve("o-1", 5) };
    let history = || given::<Stock>([received(5)]).at(after(100));
    history().when(until(700)).then([reserved_until("o-1", 5, 700, "")]);
    history().when(ReserveStock { expires_in_seconds: Some(60), ..until(700) }).then([reserved_until("o-1", 5, 700, "")]);
    for over in [100, 99, -1_000_000] {
        history().when(until(over)).then([reserved_until("o-1", 5, 101, "")]);
    }
    history().when(until(100_000_000)).then([reserved_until("o-1", 5, 2_592_100, "")]);
    given::<Stock>([received(5), reserved("o-1", 5)]).when(until(7_200)).then_nothing();
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

/// Five pieces, of which the order has three.
fn promised() -> Vec<StockEvent> {
    vec![received(5), reserved_until("o-1", 3, 900, PROCESS)]
}

fn stands(expires_at: Option<i64>) -> ReservationStands {
    let stands = ReservationStands { process: PROCESS.into(), asked_by: PROCESS.into(), quantity: 3, ..(&reserve("o-1", 3)).into() };
    ReservationStands { expires_at: expires_at.map(shop_proto::samples::at), attempt: 2, ..stands }
}

#[test]
fn a_confirmed_reservation_has_no_end() {
    let kept = || [promised(), vec![confirmed("o-1", 3, PROCESS)]].concat();
    given::<Stock>(promised()).when(confirm("o-1")).then([confirmed("o-1", 3, PROCESS)]);
    given::<Stock>(kept()).when(confirm("o-1")).then_nothing();
    given::<Stock>(kept()).when(expire("o-1", 900)).then_nothing();
    given::<Stock>(kept()).when(extend("o-1", 2_592_000)).then_nothing();
    given::<Stock>(kept()).when(reserve("o-1", 3)).then_nothing();
    given::<Stock>(kept())
        .when(commit("o-1"))
        .then([StockCommitted { quantity: 3, process: PROCESS.into(), ..(&commit("o-1")).into() }.into()]);
    given::<Stock>(promised()).when(confirm("o-2")).then_refused(unknown("o-2"));
    given::<Stock>([promised(), vec![expired("o-1", 3)]].concat()).when(confirm("o-1")).then_refused(unknown("o-1"));
}

#[test]
fn a_process_is_answered_by_one_event_with_its_attempt_whatever_was_so_already() {
    let kept = || [promised(), vec![confirmed("o-1", 3, PROCESS)]].concat();
    let again = ReserveStock { process: PROCESS.into(), attempt: 2, ..reserve("o-1", 3) };
    given::<Stock>(promised()).when(again.clone()).then([stands(Some(900)).into()]);
    given::<Stock>(kept()).when(again).then([stands(None).into()]);
    let longer = ExtendReservation { process: PROCESS.into(), attempt: 2, ..extend("o-1", 900) };
    given::<Stock>(promised()).when(longer.clone()).then([stands(Some(900)).into()]);
    given::<Stock>(kept()).when(longer).then([stands(None).into()]);
    let keep = ConfirmReservation { process: OTHER.into(), attempt: 2, ..confirm("o-1") };
    let told = ReservationConfirmed { quantity: 3, process: PROCESS.into(), asked_by: OTHER.into(), ..(&keep).into() };
    given::<Stock>(kept()).when(keep).then([told.into()]);
    let first = ReserveStock { process: PROCESS.into(), attempt: 1, ..reserve("o-1", 3) };
    let made = StockReserved { expires_at: Some(shop_proto::samples::at(900)), ..(&first).into() };
    given::<Stock>([received(5)]).when(first).then([made.into()]);
}

#[test]
fn a_process_that_asks_for_what_is_not_there_learns_of_it_by_an_event() {
    let code = || "unknown-reservation".to_owned();
    let keep = ConfirmReservation { process: OTHER.into(), attempt: 3, ..confirm("o-2") };
    let told = ConfirmRefused { code: code(), ..(&keep).into() };
    given::<Stock>(promised()).when(keep).then_refused_with(unknown("o-2"), [told.into()]);
    let longer = ExtendReservation { process: OTHER.into(), attempt: 3, ..extend("o-2", 900) };
    let told = ExtendRefused { code: code(), ..(&longer).into() };
    given::<Stock>(promised()).when(longer).then_refused_with(unknown("o-2"), [told.into()]);
}

#[test]
fn some_pieces_of_an_order_leave_or_come_back_and_the_rest_stays_promised() {
    let asked = CommitStock { quantity: Some(2), process: OTHER.into(), attempt: 1, ..commit("o-1") };
    let went = StockCommitted { quantity: 2, process: PROCESS.into(), asked_by: OTHER.into(), ..(&asked).into() };
    given::<Stock>(promised()).when(asked).then([went.into()]);
    let asked = ReleaseStock { quantity: Some(2), process: OTHER.into(), attempt: 1, ..release("o-1") };
    let back = StockReleased { quantity: 2, process: PROCESS.into(), asked_by: OTHER.into(), ..(&asked).into() };
    given::<Stock>(promised()).when(asked).then([back.into()]);
    let history = [promised(), vec![committed("o-1", 1), released("o-1", 1)]].concat();
    given::<Stock>(history.clone()).when(reserve("o-2", 1)).then_state(|s| {
        assert_eq!((s.on_hand, s.reserved, s.reservations["o-1"].quantity), (4, 2, 1));
    });
    given::<Stock>(history.clone()).when(reserve("o-1", 1)).then_nothing();
    given::<Stock>(history).when(CommitStock { quantity: Some(1), ..commit("o-1") }).then_state(|s| {
        assert_eq!((s.on_hand, s.reserved, s.reservations.len()), (3, 0, 0));
    });
}

#[test]
fn no_more_leaves_or_comes_back_than_the_order_holds() {
    let refusal = || MoreThanReserved { order_id: "o-1".into(), requested: 4, reserved: 3 };
    let code = || "more-than-reserved".to_owned();
    let leave = CommitStock { quantity: Some(4), ..commit("o-1") };
    given::<Stock>(promised()).when(leave.clone()).then_refused(refusal());
    let leave = CommitStock { process: OTHER.into(), attempt: 1, ..leave };
    given::<Stock>(promised()).when(leave.clone()).then_refused_with(refusal(), [CommitRefused { code: code(), ..(&leave).into() }.into()]);
    let back = ReleaseStock { quantity: Some(4), ..release("o-1") };
    given::<Stock>(promised()).when(back.clone()).then_refused(refusal());
    let back = ReleaseStock { process: OTHER.into(), attempt: 1, ..back };
    given::<Stock>(promised()).when(back.clone()).then_refused_with(refusal(), [ReleaseRefused { code: code(), ..(&back).into() }.into()]);
}

#[test]
fn an_undo_that_comes_first_closes_the_orders_place_for_its_attempt_and_those_before() {
    let undo = |attempt| ReleaseStock { process: PROCESS.into(), attempt, ..release("o-1") };
    given::<Stock>([received(5)]).when(undo(2)).then([place_closed("o-1", 2, 0)]);
    let history = || vec![received(5), place_closed("o-1", 2, 0)];
    let refusal = || PlaceClosed { order_id: "o-1".into() };
    let asked = |attempt| ReserveStock { process: PROCESS.into(), attempt, ..reserve("o-1", 1) };
    given::<Stock>(history()).when(reserve("o-1", 1)).then_refused(refusal());
    for attempt in [1, 2] {
        let until = Some(shop_proto::samples::at(2_592_000));
        let told = StockPlaceClosed { at: Some(shop_proto::samples::at(60)), until, ..(&asked(attempt)).into() };
        given::<Stock>(history()).at(after(60)).when(asked(attempt)).then_refused_with(refusal(), [told.into()]);
    }
    let made = StockReserved { expires_at: Some(shop_proto::samples::at(900)), ..(&asked(3)).into() };
    given::<Stock>(history()).when(asked(3)).then([made.into()]);
    given::<Stock>(history()).when(reserve("o-2", 1)).then([reserved("o-2", 1)]);
    given::<Stock>(history()).when(undo(1)).then_state(|s| assert_eq!(s.closed["o-1"].attempt, 2));
    given::<Stock>(promised()).when(undo(1)).then_state(|s| assert_eq!((s.closed.len(), s.reserved), (0, 0)));
}

#[test]
fn a_closed_place_is_known_for_thirty_days_and_the_latest_thousand_are() {
    let history = || vec![received(5), place_closed("o-1", 2, 0)];
    given::<Stock>(history()).at(after(2_592_000 - 1)).when(reserve("o-1", 1)).then_refused(PlaceClosed { order_id: "o-1".into() });
    given::<Stock>(history()).at(after(2_592_000)).when(reserve("o-1", 1)).then([reserved_until("o-1", 1, 2_592_900, "")]);
    let much_later = [history(), vec![place_closed("o-2", 1, 2_592_000)]].concat();
    given::<Stock>(much_later).when(receive(1)).then_state(|s| assert_eq!(s.closed.keys().collect::<Vec<_>>(), ["o-2"]));
    let many = (0..=1_000).map(|n| place_closed(&format!("o-{n}"), 1, n));
    given::<Stock>(many).when(receive(1)).then_state(|s| {
        assert_eq!((s.closed.len(), MOST_CLOSED), (1_000, 1_000));
        assert!(!s.closed.contains_key("o-0") && s.closed.contains_key("o-1"));
    });
}

#[test]
fn a_transfer_leaves_one_warehouse_and_comes_to_the_other() {
    given::<Stock>([received(5)]).when(leaves("t-1", "w-2", 5)).then([left("t-1", "w-2", 5)]);
    given::<Stock>(promised()).when(leaves("t-1", "w-2", 3)).then_refused(InsufficientStock { requested: 3, available: 2 });
    given_nothing::<Stock>().when(arrives("t-1", "w-2", 4)).then([arrived("t-1", "w-2", 4)]);
    given_nothing::<Stock>().when(arrives("t-1", "w-2", 0)).then([arrived("t-1", "w-2", 0)]);
    given::<Stock>([received(5), left("t-1", "w-2", 3), arrived("t-2", "w-2", 1)])
        .when(receive(1))
        .then_state(|s| assert_eq!((s.on_hand, available(s), s.transfers.len()), (4, 4, 2)));
    let limit = StockLimitExceeded { on_hand: 2_000_000_000, added: 1, limit: 2_000_000_000 };
    given::<Stock>([received(1_000_000_000), received(1_000_000_000)]).when(arrives("t-1", "w-2", 1)).then_refused(limit);
}

#[test]
fn a_transfer_that_is_told_twice_counts_once_and_another_content_is_refused() {
    let history = || vec![received(5), left("t-1", "w-2", 3), arrived("t-2", "w-2", 1)];
    let other = |id: &str, requested, quantity| TransferExists { transfer_id: id.into(), requested, quantity };
    given::<Stock>(history()).when(leaves("t-1", "w-2", 3)).then_nothing();
    given::<Stock>(history()).when(arrives("t-2", "w-2", 1)).then_nothing();
    given::<Stock>(history()).when(leaves("t-1", "w-2", 2)).then_refused(other("t-1", 2, 3));
    given::<Stock>(history()).when(leaves("t-1", "w-3", 3)).then_refused(other("t-1", 3, 3));
    given::<Stock>(history()).when(arrives("t-1", "w-2", 3)).then_refused(other("t-1", 3, 3));
    given::<Stock>(history()).when(arrives("t-2", "w-2", 0)).then_refused(other("t-2", 0, 1));
    let to_itself = || TransferToItself { warehouse: "w-1".into() };
    given::<Stock>([received(5)]).when(leaves("t-1", "w-1", 1)).then_refused(to_itself());
    given::<Stock>([received(5)]).when(arrives("t-1", "w-1", 1)).then_refused(to_itself());
    let many = (0..=1_000).map(|n| arrived(&format!("t-{n}"), "w-2", 1));
    given::<Stock>(many).when(receive(1)).then_state(|s| {
        assert_eq!((s.transfers.len(), MOST_KNOWN), (1_000, 1_000));
        assert!(!s.transfers.contains_key("t-0") && s.transfers.contains_key("t-1"));
    });
}

#[test]
fn a_transfer_moves_a_stock_across_its_reorder_point() {
    given::<Stock>([received(5), reorder_point_set(4)]).when(leaves("t-1", "w-2", 2)).then([left("t-1", "w-2", 2), crossed(4, 3)]);
    given::<Stock>([received(3), reorder_point_set(4), crossed(4, 3)])
        .when(arrives("t-1", "w-2", 1))
        .then([arrived("t-1", "w-2", 1), regained(4, 4)]);
}

/// A reason of its own, for the auditors; who had reserved hears of it too.
#[test]
fn pieces_that_nobody_finds_are_neither_promised_nor_on_hand_any_more() {
    let asked = WriteOffStock { quantity: Some(2), process: OTHER.into(), attempt: 1, ..write_off("o-1") };
    let gone = StockWrittenOff { quantity: 2, process: PROCESS.into(), asked_by: OTHER.into(), ..(&asked).into() };
    given::<Stock>(promised()).when(asked.clone()).then([gone.into()]);
    given::<Stock>(promised()).when(asked).then_state(|s| {
        assert_eq!((s.on_hand, s.reserved, available(s), s.reservations["o-1"].quantity), (3, 1, 2, 1));
    });
    let refusal = MoreThanReserved { order_id: "o-1".into(), requested: 4, reserved: 3 };
    let many = WriteOffStock { quantity: Some(4), process: OTHER.into(), attempt: 1, ..write_off("o-1") };
    let told = WriteOffRefused { code: "more-than-reserved".into(), ..(&many).into() };
    given::<Stock>(promised()).when(many).then_refused_with(refusal, [told.into()]);
    let others = WriteOffStock { process: OTHER.into(), attempt: 1, ..write_off("o-2") };
    let told = WriteOffRefused { code: "unknown-reservation".into(), ..(&others).into() };
    given::<Stock>(promised()).when(others).then_refused_with(unknown("o-2"), [told.into()]);
}
