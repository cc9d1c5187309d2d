//! A shipment, in sentences.

use daybook_kernel::spec::{given, given_nothing};
use daybook_kernel::{EventAt, Instant, Reactor as _, ServiceMessage, StreamId, Version};
use shop_proto::order::v1 as order;
use shop_proto::samples::order::ordered;
use shop_proto::samples::shipment::{
    bring_back, cancel, cancel_recorded, cancelled, create, created, deliver, delivered, dispatch, dispatched, end_hold, held, hold,
    hold_ended, label, label_refused, labelled, lose, lost, no_label, notice, notice_kept, pick_short, picked_short, returned, told_kept,
    too_late,
};

use super::*;

/// Three lamps and a chair.
const ALL: &[(&str, u32)] = &[("lamp", 3), ("chair", 1)];

fn unknown() -> UnknownShipment {
    UnknownShipment { order_id: "o-1".into(), number: 1 }
}

fn is_cancelled() -> Cancelled {
    Cancelled { order_id: "o-1".into(), number: 1 }
}

fn elsewhere(status: ShipmentStatus) -> NotPossible {
    NotPossible { order_id: "o-1".into(), number: 1, status: status.into() }
}

/// The three ways in which it may have an end.
fn ends() -> [(ShipmentCommand, ShipmentEvent, ShipmentStatus); 3] {
    [
        (deliver().into(), delivered(), ShipmentStatus::Delivered),
        (lose().into(), lost(), ShipmentStatus::Lost),
        (bring_back().into(), returned(), ShipmentStatus::Returned),
    ]
}

/// An end that a notice has told.
fn noticed(status: ShipmentStatus) -> ShipmentEvent {
    let (order_id, number, notice_id) = ("o-1".to_owned(), 1, "n-1".to_owned());
    match status {
        ShipmentStatus::Delivered => ShipmentDelivered { order_id, number, notice_id }.into(),
        ShipmentStatus::Lost => ShipmentLost { order_id, number, notice_id }.into(),
        _ => ShipmentReturned { order_id, number, notice_id }.into(),
    }
}

#[test]
fn a_shipment_is_created_once_and_lines_of_one_product_are_added_up() {
    given_nothing::<Shipment>().when(create(ALL)).then([created(ALL)]);
    given_nothing::<Shipment>().when(create(&[("lamp", 1), ("chair", 1), ("lamp", 2)])).then([created(ALL)]);
    given::<Shipment>([created(ALL)]).when(create(ALL)).then_nothing();
    given::<Shipment>([created(ALL), cancelled(1, ALL, true)]).when(create(ALL)).then_nothing();
}

#[test]
fn it_has_a_label_from_the_carrier_or_hears_why_not() {
    given::<Shipment>([created(ALL)]).when(label("p-1")).then([labelled("p-1")]);
    given::<Shipment>([created(ALL), labelled("p-1")]).when(label("p-1")).then_nothing();
    given::<Shipment>([created(ALL), labelled("p-1")]).when(no_label("too-heavy")).then_nothing();
    given::<Shipment>([created(ALL)]).when(no_label("too-heavy")).then([label_refused("too-heavy")]);
    given::<Shipment>([created(ALL), label_refused("too-heavy")]).when(no_label("too-heavy")).then_nothing();
    given::<Shipment>([created(ALL), label_refused("too-heavy")]).when(label("p-1")).then([labelled("p-1")]);
    given::<Shipment>([created(ALL), labelled("p-1")]).when(label("p-2")).then([labelled("p-2")]);
}

#[test]
fn a_label_changes_nothing_of_what_has_left_and_is_kept_for_what_is_not_there() {
    let gone = || vec![created(ALL), dispatched(ALL)];
    given::<Shipment>(gone()).when(label("p-1")).then([labelled("p-1")]);
    given::<Shipment>([gone(), vec![labelled("p-1")]].concat())
        .when(dispatch())
        .then_state(|s| assert_eq!(s.status(), ShipmentStatus::Dispatched));
    given_nothing::<Shipment>().when(label("p-1")).then([labelled("p-1")]);
    given::<Shipment>([labelled("p-1")]).when(create(ALL)).then_state(|s| assert_eq!(s.status(), ShipmentStatus::Labelled));
}

#[test]
fn it_leaves_with_all_that_is_in_it_with_or_without_a_label() {
    given::<Shipment>([created(ALL)]).when(dispatch()).then([dispatched(ALL)]);
    let fewer = &[("lamp", 1), ("chair", 1)];
    given::<Shipment>([created(ALL), labelled("p-1"), picked_short(&[("lamp", 1)], false), cancelled(1, &[("lamp", 1)], false)])
        .when(dispatch())
        .then([dispatched(fewer)]);
    given::<Shipment>([created(ALL), dispatched(ALL)]).when(dispatch()).then_nothing();
    for (_, end, _) in ends() {
        given::<Shipment>([created(ALL), dispatched(ALL), end]).when(dispatch()).then_nothing();
    }
}

#[test]
fn what_is_held_cancelled_or_not_there_does_not_leave() {
    given_nothing::<Shipment>().when(dispatch()).then_refused(unknown());
    given::<Shipment>([cancelled(1, &[], true)]).when(dispatch()).then_refused(is_cancelled());
    given::<Shipment>([created(ALL), cancelled(1, ALL, true)]).when(dispatch()).then_refused(is_cancelled());
    let refusal = Held { order_id: "o-1".into(), number: 1, reason: "disputed".into() };
    given::<Shipment>([created(ALL), held(7)]).when(dispatch()).then_refused(refusal);
    given::<Shipment>([created(ALL), held(7), hold_ended(9)]).when(dispatch()).then([dispatched(ALL)]);
}

#[test]
fn a_hold_that_comes_behind_its_own_end_holds_nothing() {
    given::<Shipment>([created(ALL)]).when(hold(7)).then([held(7)]);
    given::<Shipment>([created(ALL), held(7)]).when(hold(7)).then_nothing();
    given::<Shipment>([created(ALL), held(7)]).when(end_hold(9)).then([hold_ended(9)]);
    given::<Shipment>([created(ALL)]).when(end_hold(9)).then([hold_ended(9)]);
    given::<Shipment>([created(ALL), hold_ended(9)]).when(hold(7)).then_nothing();
    given::<Shipment>([created(ALL), hold_ended(9)]).when(hold(11)).then([held(11)]);
    given::<Shipment>([created(ALL), held(11)]).when(end_hold(9)).then_nothing();
}

#[test]
fn a_hold_without_a_version_counts_whenever_it_comes() {
    given::<Shipment>([created(ALL)]).when(hold(0)).then([held(0)]);
    given::<Shipment>([created(ALL), held(0)]).when(hold(0)).then_nothing();
    given::<Shipment>([created(ALL), held(0)]).when(end_hold(0)).then([hold_ended(0)]);
    given::<Shipment>([created(ALL)]).when(end_hold(0)).then_nothing();
}

#[test]
fn a_hold_that_comes_first_holds_what_is_created_and_none_holds_what_has_left() {
    given_nothing::<Shipment>().when(hold(7)).then([held(7)]);
    given::<Shipment>([held(7)]).when(create(ALL)).then_state(|s| assert!(s.held));
    given::<Shipment>([created(ALL), dispatched(ALL)]).when(hold(7)).then_nothing();
    given::<Shipment>([created(ALL), dispatched(ALL)]).when(end_hold(7)).then_nothing();
    given::<Shipment>([created(ALL), cancelled(1, ALL, true)]).when(hold(7)).then_nothing();
}

#[test]
fn pieces_that_are_not_found_are_out_of_it() {
    let one = &[("lamp", 1)];
    given::<Shipment>([created(ALL)]).when(pick_short(one)).then([picked_short(one, false)]);
    given::<Shipment>([created(ALL), held(7)]).when(pick_short(ALL)).then([picked_short(ALL, true)]);
    given::<Shipment>([created(ALL), picked_short(ALL, true)]).when(dispatch()).then_refused(is_cancelled());
    let more = MoreThanPacked { sku: "lamp".into(), requested: 3, packed: 2 };
    given::<Shipment>([created(ALL), picked_short(one, false)]).when(pick_short(&[("lamp", 2), ("lamp", 1)])).then_refused(more);
    let none = MoreThanPacked { sku: "table".into(), requested: 1, packed: 0 };
    given::<Shipment>([created(ALL)]).when(pick_short(&[("table", 1)])).then_refused(none);
}

#[test]
fn pieces_can_only_lack_while_it_is_packed() {
    given_nothing::<Shipment>().when(pick_short(ALL)).then_refused(unknown());
    given::<Shipment>([created(ALL), cancelled(1, ALL, true)]).when(pick_short(ALL)).then_refused(is_cancelled());
    given::<Shipment>([created(ALL), dispatched(ALL)]).when(pick_short(&[("lamp", 1)])).then_refused(elsewhere(ShipmentStatus::Dispatched));
    for (_, end, status) in ends() {
        given::<Shipment>([created(ALL), dispatched(ALL), end]).when(pick_short(ALL)).then_refused(elsewhere(status));
    }
}

#[test]
fn the_order_takes_pieces_back_all_that_it_names_or_none() {
    let two = &[("lamp", 2)];
    given::<Shipment>([created(ALL)]).when(cancel(1, two)).then([cancelled(1, two, false)]);
    given::<Shipment>([created(ALL), held(7)]).when(cancel(1, &[("lamp", 1), ("lamp", 1)])).then([cancelled(1, two, false)]);
    let history = || vec![created(ALL), labelled("p-1"), cancelled(1, two, false)];
    given::<Shipment>(history()).when(cancel(2, two)).then([too_late(2)]);
    given::<Shipment>(history()).when(cancel(2, &[("lamp", 1), ("table", 1)])).then([too_late(2)]);
    let rest = &[("lamp", 1), ("chair", 1)];
    given::<Shipment>(history()).when(cancel(2, rest)).then([cancelled(2, rest, true)]);
    given::<Shipment>(history()).when(cancel(2, &[])).then([cancelled(2, rest, true)]);
}

#[test]
fn what_has_left_is_not_taken_back() {
    let gone = || vec![created(ALL), dispatched(ALL)];
    given::<Shipment>(gone()).when(cancel(1, &[])).then([too_late(1)]);
    for (_, end, _) in ends() {
        given::<Shipment>([gone(), vec![end]].concat()).when(cancel(1, &[("lamp", 1)])).then([too_late(1)]);
    }
}

#[test]
fn each_ask_is_answered_once_whatever_stands_between_them() {
    let one = &[("lamp", 1)];
    given::<Shipment>([created(ALL), cancelled(1, one, false)]).when(cancel(1, one)).then_nothing();
    given::<Shipment>([created(ALL), cancelled(3, one, false)]).when(cancel(1, one)).then([cancelled(1, one, false)]);
    given::<Shipment>([created(ALL), cancelled(3, one, false), cancelled(1, one, false)]).when(cancel(3, one)).then_nothing();
    let asks = [cancelled(3, one, false), cancelled(1, one, false), too_late(2)];
    given::<Shipment>([created(ALL)].into_iter().chain(asks))
        .when(dispatch())
        .then_state(|s| assert_eq!((s.ask, s.asks_beyond.len()), (3, 0)));
    given::<Shipment>([created(ALL), dispatched(ALL), too_late(1)]).when(cancel(1, &[])).then_nothing();
}

#[test]
fn of_what_is_cancelled_already_the_whole_is_so_and_pieces_are_no_more_in_it() {
    let whole = || vec![created(ALL), cancelled(1, ALL, true)];
    given::<Shipment>(whole()).when(cancel(2, &[])).then([cancelled(2, &[], true)]);
    given::<Shipment>(whole()).when(cancel(2, &[("lamp", 1)])).then([too_late(2)]);
    given::<Shipment>([created(ALL), picked_short(ALL, true)]).when(cancel(1, &[])).then([cancelled(1, &[], true)]);
}

#[test]
fn what_is_cancelled_as_a_whole_before_it_is_created_never_is() {
    given_nothing::<Shipment>().when(cancel(1, &[])).then([cancelled(1, &[], true)]);
    given::<Shipment>([cancelled(1, &[], true)]).when(create(ALL)).then([cancelled(0, &[], true)]);
    given::<Shipment>([cancelled(1, &[], true), cancelled(0, &[], true)]).when(create(ALL)).then_nothing();
    let pieces = &[("lamp", 1)];
    given::<Shipment>([cancel_recorded(1, pieces)]).when(cancel(2, &[])).then([cancelled(1, pieces, false), cancelled(2, &[], true)]);
}

#[test]
fn pieces_that_are_asked_back_before_it_is_created_are_answered_when_it_is() {
    let (two, one) = (&[("lamp", 2)], &[("lamp", 1), ("chair", 1)]);
    given_nothing::<Shipment>().when(cancel(2, two)).then([cancel_recorded(2, two)]);
    given::<Shipment>([cancel_recorded(2, two)]).when(cancel(2, two)).then_nothing();
    let asks = || vec![cancel_recorded(2, two), cancel_recorded(1, two)];
    given::<Shipment>(asks()).when(create(ALL)).then([created(ALL), cancelled(1, two, false), too_late(2)]);
    given::<Shipment>([cancel_recorded(2, two), cancel_recorded(1, one)]).when(create(ALL)).then([
        created(ALL),
        cancelled(1, one, false),
        cancelled(2, two, true),
    ]);
}

#[test]
fn each_end_implies_that_it_has_left() {
    for (command, end, status) in ends() {
        given::<Shipment>([created(ALL), dispatched(ALL)]).when(command.clone()).then([end.clone()]);
        given::<Shipment>([created(ALL), labelled("p-1"), held(7)]).when(command.clone()).then([dispatched(ALL), end.clone()]);
        given::<Shipment>([created(ALL), dispatched(ALL), end]).when(command).then_nothing();
        given::<Shipment>([created(ALL)]).when(notice("n-1", status)).then([dispatched(ALL), noticed(status)]);
        given::<Shipment>([created(ALL), dispatched(ALL), noticed(status)]).when(notice("n-1", status)).then_nothing();
        given::<Shipment>([created(ALL), dispatched(ALL), noticed(status)]).when(notice("n-2", status)).then([notice_kept("n-2", status)]);
    }
}

#[test]
fn the_first_end_counts_and_what_is_told_later_is_kept() {
    for (_, first, first_status) in ends() {
        let is_kept = |status: ShipmentStatus| status != first_status && first_status != ShipmentStatus::Lost;
        for (command, _, status) in ends().into_iter().filter(|(_, _, status)| is_kept(*status)) {
            let history = || vec![created(ALL), dispatched(ALL), first.clone()];
            given::<Shipment>(history()).when(command.clone()).then([told_kept(status)]);
            given::<Shipment>([history(), vec![told_kept(status)]].concat()).when(command).then_nothing();
            given::<Shipment>(history()).when(notice("n-1", status)).then([notice_kept("n-1", status)]);
            given::<Shipment>([history(), vec![notice_kept("n-1", status)]].concat()).when(notice("n-1", status)).then_nothing();
        }
    }
}

#[test]
fn what_was_lost_may_turn_up_at_the_customers_or_here_and_once() {
    let gone = || vec![created(ALL), dispatched(ALL), lost()];
    for (command, found, status) in ends().into_iter().filter(|(_, _, status)| *status != ShipmentStatus::Lost) {
        given::<Shipment>(gone()).when(command.clone()).then([found.clone()]);
        let there = || [gone(), vec![found.clone()]].concat();
        given::<Shipment>(there()).when(command).then_nothing();
        // It is not lost again, and what has another end already does not turn up elsewhere.
        for (late, _, other) in ends().into_iter().filter(|(_, _, other)| *other != status) {
            if other == ShipmentStatus::Lost {
                given::<Shipment>(there()).when(late).then_nothing();
            } else {
                given::<Shipment>(there()).when(late).then([told_kept(other)]);
            }
        }
        // Also where all of it was told before it was created.
        given::<Shipment>([told_kept(ShipmentStatus::Lost), told_kept(status)]).when(create(ALL)).then([
            created(ALL),
            dispatched(ALL),
            found.clone(),
        ]);
    }
}

#[test]
fn a_notice_that_tells_no_end_is_kept_once() {
    let (created, on_its_way) = (|| vec![created(ALL)], ShipmentStatus::Dispatched);
    given::<Shipment>(created()).when(notice("n-1", on_its_way)).then([notice_kept("n-1", on_its_way)]);
    given::<Shipment>([created(), vec![notice_kept("n-1", on_its_way)]].concat()).when(notice("n-1", on_its_way)).then_nothing();
    let many = (0..=MAX_NOTICES).map(|n| notice_kept(&format!("n-{n}"), on_its_way));
    given::<Shipment>(many).when(notice("n-1", on_its_way)).then_state(|s| {
        assert_eq!((s.notices.len(), s.notices[0].as_str()), (100, "n-1"));
    });
}

#[test]
fn what_is_told_of_a_cancelled_shipment_is_kept() {
    for (command, _, status) in ends() {
        given::<Shipment>([cancelled(1, &[], true)]).when(command.clone()).then([told_kept(status)]);
        given::<Shipment>([created(ALL), cancelled(1, ALL, true)]).when(command).then([told_kept(status)]);
    }
}

#[test]
fn what_is_told_before_it_is_created_is_kept_and_judged_when_it_is() {
    for (command, end, status) in ends() {
        given_nothing::<Shipment>().when(command.clone()).then([told_kept(status)]);
        given::<Shipment>([told_kept(status)]).when(command).then_nothing();
        given::<Shipment>([told_kept(status), notice_kept("n-1", ShipmentStatus::Lost), cancel_recorded(1, &[("lamp", 1)])])
            .when(create(ALL))
            .then([created(ALL), dispatched(ALL), end.clone(), too_late(1)]);
        given::<Shipment>([told_kept(status)]).when(cancel(1, &[])).then([cancelled(1, &[], true)]);
        given_nothing::<Shipment>().when(notice("n-1", status)).then([notice_kept("n-1", status)]);
        given::<Shipment>([notice_kept("n-1", status)]).when(create(ALL)).then([created(ALL), dispatched(ALL), end]);
    }
    given::<Shipment>([notice_kept("n-1", ShipmentStatus::Dispatched)]).when(create(ALL)).then([created(ALL)]);
}

#[test]
fn the_order_hears_of_all_that_matters_to_it() {
    let stream = StreamId::new("shipment", "o-1@1");
    let at = EventAt { stream: &stream, version: Version(2), recorded_at: Instant::default() };
    let (order_id, number) = (|| "o-1".to_owned(), 1);
    let lines = || vec![ordered("lamp", 3), ordered("chair", 1)];
    let told: [(ShipmentEvent, order::OrderCommand); 8] = [
        (labelled("p-1"), order::RecordLabelled { order_id: order_id(), number, carrier: "parcel".into(), tracking: "p-1".into() }.into()),
        (dispatched(ALL), order::RecordDispatched { order_id: order_id(), number, lines: lines() }.into()),
        (delivered(), order::RecordDelivered { order_id: order_id(), number }.into()),
        (lost(), order::RecordLost { order_id: order_id(), number }.into()),
        (returned(), order::RecordReturnedToSender { order_id: order_id(), number }.into()),
        (picked_short(ALL, true), order::RecordShortPick { order_id: order_id(), number, lines: lines() }.into()),
        (cancelled(2, ALL, true), order::RecordShipmentCancelled { order_id: order_id(), number, ask: 2, lines: lines() }.into()),
        (too_late(2), order::RecordCancelTooLate { order_id: order_id(), number, ask: 2 }.into()),
    ];
    for (event, command) in told {
        assert_eq!(ShipmentAnswers::react(&event, &at), [ServiceMessage::of(&command)]);
    }
    for event in [
        created(ALL),
        label_refused("too-heavy"),
        cancelled(0, &[], true),
        cancel_recorded(1, ALL),
        held(7),
        hold_ended(7),
        notice_kept("n-1", ShipmentStatus::Lost),
    ] {
        assert_eq!(ShipmentAnswers::react(&event, &at), []);
    }
}
