//! An allocation, in sentences.

use daybook_kernel::spec::{given, given_nothing};
use daybook_kernel::{EventAt, Reactor as _, ServiceMessage, StreamId, Version};
use shop_proto::order::v1 as order;

use super::*;

fn id() -> String {
    "o-1".to_owned()
}

fn lines(lines: &[(&str, u32)]) -> Vec<AllocatedLine> {
    lines.iter().map(|(sku, quantity)| AllocatedLine { sku: (*sku).to_owned(), quantity: *quantity }).collect()
}

/// An order asks: its lines; and of each candidate the SKU, the warehouse `w-{priority}`, and what it has.
fn allocate(attempt: u32, wanted: &[(&str, u32)], stocks: &[(&str, u32, u32)]) -> AllocateOrder {
    let candidate = |(sku, priority, available): &(&str, u32, u32)| Candidate {
        sku: (*sku).to_owned(),
        warehouse: format!("w-{priority}"),
        priority: *priority,
        available: *available,
    };
    let candidates = stocks.iter().map(candidate).collect();
    AllocateOrder { order_id: id(), attempt, lines: lines(wanted), candidates, ..Default::default() }
}

fn asked(c: &AllocateOrder) -> AllocationEvent {
    AllocationAsked::from(c).into()
}

fn hold(sku: &str, warehouse: &str, quantity: u32) -> Hold {
    Hold { sku: sku.to_owned(), warehouse: warehouse.to_owned(), quantity }
}

fn hold_asked(ask: u32, hold: Hold) -> AllocationEvent {
    HoldAsked { order_id: id(), ask, hold: Some(hold), hold_until: None }.into()
}

fn confirm_asked(ask: u32, hold: Hold) -> AllocationEvent {
    HoldConfirmAsked { order_id: id(), ask, hold: Some(hold) }.into()
}

fn release_asked(ask: u32, hold: Hold) -> AllocationEvent {
    HoldReleaseAsked { order_id: id(), ask, hold: Some(hold) }.into()
}

fn answer(ask: u32, hold: &Hold, answer: StockAnswer, available: u32) -> RecordStockAnswer {
    let (sku, warehouse, quantity) = (hold.sku.clone(), hold.warehouse.clone(), hold.quantity);
    RecordStockAnswer { order_id: id(), sku, warehouse, ask, answer: answer.into(), quantity, available }
}

fn held(ask: u32, hold: &Hold) -> RecordStockAnswer {
    answer(ask, hold, StockAnswer::Held, 0)
}

fn recorded(c: &RecordStockAnswer) -> AllocationEvent {
    StockAnswerRecorded::from(c).into()
}

fn allocated(attempt: u32, holds: &[Hold]) -> AllocationEvent {
    Allocated { order_id: id(), attempt, holds: holds.to_vec() }.into()
}

fn not_allocated(attempt: u32, missing: &[(&str, u32, u32)]) -> AllocationEvent {
    let line = |(sku, requested, available): &(&str, u32, u32)| MissingLine {
        sku: (*sku).to_owned(),
        requested: *requested,
        available: *available,
    };
    NotAllocated { order_id: id(), attempt, lines: missing.iter().map(line).collect(), ..Default::default() }.into()
}

fn confirm(attempt: u32) -> ConfirmAllocation {
    ConfirmAllocation { order_id: id(), attempt }
}

fn confirming(attempt: u32) -> AllocationEvent {
    AllocationConfirmAsked { order_id: id(), attempt }.into()
}

fn release(attempt: u32) -> ReleaseAllocation {
    ReleaseAllocation { order_id: id(), attempt }
}

fn releasing(attempt: u32) -> AllocationEvent {
    AllocationReleaseAsked { order_id: id(), attempt }.into()
}

fn given_back(attempt: u32) -> AllocationEvent {
    AllocationReleased { order_id: id(), attempt }.into()
}

fn superseded(command: &str, attempt: u32) -> AllocationEvent {
    AllocationSuperseded { order_id: id(), attempt, command: command.to_owned() }.into()
}

/// Two lamps, held in w-1.
fn two_lamps() -> Vec<AllocationEvent> {
    let asks = allocate(1, &[("lamp", 2)], &[("lamp", 1, 5), ("lamp", 2, 5)]);
    let two = hold("lamp", "w-1", 2);
    vec![asked(&asks), hold_asked(1, two.clone()), recorded(&held(1, &two)), allocated(1, &[two])]
}

#[test]
fn the_best_warehouse_that_has_all_is_asked() {
    let all =
        |first: u32| allocate(1, &[("chair", 1), ("lamp", 2)], &[("lamp", 1, first), ("chair", 1, 1), ("lamp", 2, 5), ("chair", 2, 5)]);
    let (chair, lamps) = (hold("chair", "w-1", 1), hold("lamp", "w-1", 2));
    given_nothing::<Allocation>().when(all(2)).then([asked(&all(2)), hold_asked(1, chair), hold_asked(1, lamps)]);
    let (chair, lamps) = (hold("chair", "w-2", 1), hold("lamp", "w-2", 2));
    given_nothing::<Allocation>().when(all(1)).then([asked(&all(1)), hold_asked(1, chair), hold_asked(1, lamps)]);
}

#[test]
fn where_none_has_all_the_fewest_are_asked_and_lines_of_one_product_are_added_up() {
    let stocks = [("lamp", 1, 1), ("lamp", 2, 1), ("lamp", 3, 2)];
    let asks = allocate(1, &[("lamp", 2), ("lamp", 1)], &stocks);
    let summed = AllocationAsked { lines: lines(&[("lamp", 3)]), ..(&asks).into() };
    let (one, two) = (hold("lamp", "w-1", 1), hold("lamp", "w-3", 2));
    given_nothing::<Allocation>().when(asks).then([summed.into(), hold_asked(1, one), hold_asked(1, two)]);
}

#[test]
fn more_than_there_is_in_all_is_refused_at_once() {
    let asks = allocate(1, &[("chair", 1), ("lamp", 4)], &[("lamp", 1, 1), ("lamp", 2, 2), ("chair", 1, 1)]);
    given_nothing::<Allocation>().when(asks.clone()).then([asked(&asks), not_allocated(1, &[("lamp", 4, 3)])]);
    given::<Allocation>([asked(&asks), not_allocated(1, &[("lamp", 4, 3)])]).when(asks).then([not_allocated(1, &[("lamp", 4, 3)])]);
}

#[test]
fn more_than_a_stock_can_be_asked_for_is_refused() {
    let billion = 1_000_000_000;
    let asks = allocate(1, &[("lamp", billion), ("lamp", 1)], &[("lamp", 1, 2_000_000_000)]);
    let summed = AllocationAsked { lines: lines(&[("lamp", billion + 1)]), ..(&asks).into() };
    let refusal = TooManyPieces { sku: "lamp".into(), requested: billion + 1, limit: billion };
    given_nothing::<Allocation>().when(asks).then_refused_with(refusal, [summed.into(), not_allocated(1, &[])]);
}

#[test]
fn it_is_allocated_when_all_answers_are_in() {
    let asks = allocate(1, &[("lamp", 3)], &[("lamp", 1, 1), ("lamp", 2, 2)]);
    let (one, two) = (hold("lamp", "w-1", 1), hold("lamp", "w-2", 2));
    let history = vec![asked(&asks), hold_asked(1, one.clone()), hold_asked(1, two.clone())];
    given::<Allocation>(history.clone()).when(held(1, &one)).then([recorded(&held(1, &one))]);
    let history = [history, vec![recorded(&held(1, &one))]].concat();
    given::<Allocation>(history.clone()).when(held(1, &two)).then([recorded(&held(1, &two)), allocated(1, &[one.clone(), two.clone()])]);
    let history = [history, vec![recorded(&held(1, &two)), allocated(1, &[one.clone(), two])]].concat();
    given::<Allocation>(history.clone()).when(asks).then([history[5].clone()]);
    given::<Allocation>(history).when(held(1, &one)).then_nothing();
}

#[test]
fn after_a_refusal_another_plan_keeps_what_is_equal_and_gives_the_rest_back_first() {
    let asks = allocate(1, &[("chair", 1), ("lamp", 2)], &[("chair", 1, 1), ("lamp", 1, 2), ("chair", 2, 1), ("lamp", 2, 2)]);
    let (chair, lamps) = (hold("chair", "w-1", 1), hold("lamp", "w-1", 2));
    let history = vec![asked(&asks), hold_asked(1, chair.clone()), hold_asked(1, lamps.clone()), recorded(&held(1, &chair))];
    // w-1 has no lamp any more: w-2 has all.
    let refused = answer(1, &lamps, StockAnswer::Refused, 0);
    given::<Allocation>(history.clone()).when(refused.clone()).then([recorded(&refused), release_asked(2, chair.clone())]);
    let history = [history, vec![recorded(&refused), release_asked(2, chair.clone())]].concat();
    let back = answer(2, &chair, StockAnswer::Released, 0);
    let (other_chair, other_lamps) = (hold("chair", "w-2", 1), hold("lamp", "w-2", 2));
    given::<Allocation>(history.clone()).when(back.clone()).then([recorded(&back), hold_asked(3, other_chair), hold_asked(3, other_lamps)]);
    given::<Allocation>(history).when(held(1, &chair)).then_nothing();
}

#[test]
fn what_a_new_plan_wants_as_it_is_held_is_kept() {
    let asks = allocate(1, &[("lamp", 3)], &[("lamp", 1, 2), ("lamp", 2, 1), ("lamp", 3, 1)]);
    let (two, one, other) = (hold("lamp", "w-1", 2), hold("lamp", "w-2", 1), hold("lamp", "w-3", 1));
    let refused = answer(1, &one, StockAnswer::Refused, 0);
    given::<Allocation>([asked(&asks), hold_asked(1, two.clone()), hold_asked(1, one), recorded(&held(1, &two))])
        .when(refused.clone())
        .then([recorded(&refused), hold_asked(2, other)]);
}

#[test]
fn after_four_plans_it_is_given_up() {
    let mut history = vec![asked(&allocate(1, &[("lamp", 1)], &[("lamp", 1, 1)]))];
    let one = hold("lamp", "w-1", 1);
    // Somebody else is always a little faster, and gives it back.
    for ask in 1..=4 {
        history.push(hold_asked(ask, one.clone()));
        let refused = answer(ask, &one, StockAnswer::Refused, 1);
        if ask < 4 {
            given::<Allocation>(history.clone()).when(refused.clone()).then([recorded(&refused), hold_asked(ask + 1, one.clone())]);
        } else {
            given::<Allocation>(history.clone()).when(refused.clone()).then([recorded(&refused), not_allocated(1, &[])]);
        }
        history.push(recorded(&refused));
    }
}

#[test]
fn what_is_held_otherwise_is_given_back_before_it_is_asked_for() {
    let asks = allocate(1, &[("lamp", 1)], &[("lamp", 1, 1)]);
    let one = hold("lamp", "w-1", 1);
    let otherwise = answer(1, &one, StockAnswer::HeldOtherwise, 3);
    given::<Allocation>([asked(&asks), hold_asked(1, one)])
        .when(otherwise.clone())
        .then([recorded(&otherwise), release_asked(2, hold("lamp", "w-1", 0))]);
}

#[test]
fn a_higher_attempt_supersedes_and_a_lower_one_is_superseded() {
    let first = allocate(1, &[("lamp", 2)], &[("lamp", 1, 5)]);
    let second = AllocateOrder { attempt: 2, ..first.clone() };
    let two = hold("lamp", "w-1", 2);
    let history = vec![asked(&first), hold_asked(1, two.clone())];
    given::<Allocation>(history.clone()).when(second.clone()).then([superseded("AllocateOrder", 1), asked(&second)]);
    given::<Allocation>([asked(&second), hold_asked(1, two)]).when(first.clone()).then([superseded("AllocateOrder", 1)]);
    given::<Allocation>(history).when(first).then_nothing();
    let again = allocate(2, &[("lamp", 2)], &[("lamp", 1, 0)]);
    given::<Allocation>(two_lamps()).when(again.clone()).then([asked(&again), allocated(2, &[hold("lamp", "w-1", 2)])]);
}

#[test]
fn a_paid_order_holds_its_pieces_without_an_end() {
    let two = hold("lamp", "w-1", 2);
    given::<Allocation>(two_lamps()).when(confirm(1)).then([confirming(1), confirm_asked(2, two.clone())]);
    let history = [two_lamps(), vec![confirming(1), confirm_asked(2, two.clone())]].concat();
    let kept = answer(2, &two, StockAnswer::Confirmed, 0);
    let confirmed = |attempt| AllocationConfirmed { order_id: id(), attempt, holds: vec![hold("lamp", "w-1", 2)] };
    given::<Allocation>(history.clone()).when(kept.clone()).then([recorded(&kept), confirmed(1).into()]);
    given::<Allocation>(history.clone()).when(confirm(1)).then_nothing();
    given::<Allocation>(history.clone()).when(confirm(2)).then([superseded("ConfirmAllocation", 1), confirming(2)]);
    let history = [history, vec![recorded(&kept), confirmed(1).into()]].concat();
    given::<Allocation>(history).when(confirm(2)).then([confirming(2), confirmed(2).into()]);
}

#[test]
fn what_was_lost_is_asked_for_once_more() {
    let two = hold("lamp", "w-1", 2);
    let expired = answer(1, &two, StockAnswer::Expired, 0);
    given::<Allocation>(two_lamps()).when(expired.clone()).then([recorded(&expired)]);
    let history = [two_lamps(), vec![recorded(&expired)]].concat();
    given::<Allocation>(history.clone()).when(confirm(1)).then([confirming(1), hold_asked(2, two.clone())]);
    let history = [history, vec![confirming(1), hold_asked(2, two.clone())]].concat();
    given::<Allocation>(history.clone()).when(held(2, &two)).then([recorded(&held(2, &two)), confirm_asked(3, two.clone())]);
    let refused = answer(2, &two, StockAnswer::Refused, 0);
    let lost = AllocationLost { order_id: id(), attempt: 1, lost: vec![two.clone()], timed_out: false };
    given::<Allocation>(history.clone()).when(refused.clone()).then([recorded(&refused), lost.clone().into()]);
    let history = [history, vec![recorded(&held(2, &two)), confirm_asked(3, two.clone())]].concat();
    let gone = answer(3, &two, StockAnswer::Lost, 0);
    given::<Allocation>(history).when(gone.clone()).then([recorded(&gone), lost.into()]);
    let nothing = AllocationLost { order_id: id(), attempt: 1, ..Default::default() };
    given_nothing::<Allocation>().when(confirm(1)).then([confirming(1), nothing.into()]);
}

#[test]
fn an_order_that_gives_up_is_told_when_nothing_is_held_any_more() {
    let two = hold("lamp", "w-1", 2);
    given::<Allocation>(two_lamps()).when(release(1)).then([releasing(1), release_asked(2, two.clone())]);
    let history = [two_lamps(), vec![releasing(1), release_asked(2, two.clone())]].concat();
    let back = answer(2, &two, StockAnswer::Released, 0);
    given::<Allocation>(history.clone()).when(back.clone()).then([recorded(&back), given_back(1)]);
    given::<Allocation>(history.clone()).when(release(1)).then_nothing();
    given::<Allocation>(history.clone()).when(release(2)).then([superseded("ReleaseAllocation", 1), releasing(2)]);
    let history = [history, vec![recorded(&back), given_back(1)]].concat();
    given::<Allocation>(history.clone()).when(release(2)).then([releasing(2), given_back(2)]);
    given::<Allocation>(history).when(held(1, &two)).then_nothing();
}

#[test]
fn what_has_not_answered_yet_is_given_back_too_and_its_order_hears_no_more_of_it() {
    let asks = allocate(1, &[("lamp", 2)], &[("lamp", 1, 5)]);
    let two = hold("lamp", "w-1", 2);
    given::<Allocation>([asked(&asks), hold_asked(1, two.clone())]).when(release(1)).then([
        superseded("AllocateOrder", 1),
        releasing(1),
        release_asked(2, two),
    ]);
}

#[test]
fn an_undo_that_comes_first_closes_the_allocation() {
    given_nothing::<Allocation>().when(release(1)).then([releasing(1), given_back(1)]);
    let asks = allocate(1, &[("lamp", 2)], &[("lamp", 1, 5)]);
    given::<Allocation>([releasing(1), given_back(1)]).when(asks).then([superseded("AllocateOrder", 1)]);
    given::<Allocation>([releasing(1), given_back(1)]).when(confirm(1)).then([superseded("ConfirmAllocation", 1)]);
}

#[test]
fn answers_of_stocks_that_nobody_asked_say_nothing() {
    given_nothing::<Allocation>().when(held(1, &hold("lamp", "w-1", 2))).then_nothing();
    given::<Allocation>(two_lamps()).when(held(7, &hold("lamp", "w-1", 2))).then_nothing();
    let fewer = answer(0, &hold("lamp", "w-1", 1), StockAnswer::Fewer, 0);
    given::<Allocation>(two_lamps()).when(fewer).then_state(|s| assert_eq!(s.stocks["lamp@w-1"].quantity, 1));
}

fn time_out(attempt: u32, confirm: bool) -> TimeOutAllocation {
    TimeOutAllocation { order_id: id(), attempt, confirm }
}

fn not_in_time(attempt: u32) -> AllocationEvent {
    NotAllocated { order_id: id(), attempt, timed_out: true, ..Default::default() }.into()
}

fn not_kept_in_time(attempt: u32) -> AllocationEvent {
    AllocationLost { order_id: id(), attempt, timed_out: true, ..Default::default() }.into()
}

#[test]
fn where_no_warehouse_sends_to_nothing_is_planned() {
    let nowhere = |attempt| AllocateOrder { undeliverable: true, ..allocate(attempt, &[("lamp", 2)], &[("lamp", 1, 5)]) };
    let told = |attempt| AllocationEvent::from(NotAllocated { order_id: id(), attempt, undeliverable: true, ..Default::default() });
    given_nothing::<Allocation>().when(nowhere(1)).then([asked(&nowhere(1)), told(1)]);
    given::<Allocation>([asked(&nowhere(1)), told(1)]).when(nowhere(1)).then([told(1)]);
    // What is held for an attempt before is given back.
    let back = release_asked(2, hold("lamp", "w-1", 2));
    given::<Allocation>(two_lamps()).when(nowhere(2)).then([asked(&nowhere(2)), told(2), back]);
}

#[test]
fn pieces_are_held_until_the_order_says_and_lost_ones_for_as_long_as_it_takes_to_keep_them() {
    let until = Some(shop_proto::samples::at(7_200));
    let asks = AllocateOrder { hold_until: until, ..allocate(1, &[("lamp", 2)], &[("lamp", 1, 5)]) };
    let two = hold("lamp", "w-1", 2);
    let held_until = HoldAsked { order_id: id(), ask: 1, hold: Some(two.clone()), hold_until: until };
    given_nothing::<Allocation>().when(asks.clone()).then([asked(&asks), held_until.clone().into()]);
    let expired = answer(1, &two, StockAnswer::Expired, 0);
    let history = [asked(&asks), held_until.clone().into(), recorded(&held(1, &two)), allocated(1, std::slice::from_ref(&two))];
    given::<Allocation>(history.into_iter().chain([recorded(&expired)])).when(confirm(1)).then([confirming(1), hold_asked(2, two)]);
    let stream = StreamId::new("allocation", "o-1");
    let at = EventAt { stream: &stream, version: Version(2), recorded_at: Default::default() };
    let reserve = ReserveStock {
        sku: "lamp".into(),
        warehouse: "w-1".into(),
        order_id: id(),
        quantity: 2,
        expires_in_seconds: None,
        process: "allocation/o-1".into(),
        attempt: 1,
        expires_at: until,
    };
    assert_eq!(Holding::react(&held_until.into(), &at), [ServiceMessage::of(&StockCommand::from(reserve))]);
}

#[test]
fn an_attempt_whose_time_is_over_ends_and_gives_back_also_what_has_not_answered() {
    let asks = allocate(1, &[("lamp", 3)], &[("lamp", 1, 1), ("lamp", 2, 2)]);
    let (one, two) = (hold("lamp", "w-1", 1), hold("lamp", "w-2", 2));
    let history = vec![asked(&asks), hold_asked(1, one.clone()), hold_asked(1, two.clone()), recorded(&held(1, &one))];
    let over = vec![not_in_time(1), release_asked(2, one.clone()), release_asked(2, two.clone())];
    given::<Allocation>(history.clone()).when(time_out(1, false)).then(over.clone());
    let history = [history, over].concat();
    given::<Allocation>(history.clone()).when(time_out(1, false)).then_nothing();
    given::<Allocation>(history.clone()).when(held(1, &two)).then_nothing();
    given::<Allocation>(history.clone()).when(asks).then([superseded("AllocateOrder", 1)]);
    // The next attempt begins when all of it is back.
    let again = allocate(2, &[("lamp", 1)], &[("lamp", 1, 1)]);
    given::<Allocation>(history.clone()).when(again.clone()).then([asked(&again)]);
    let back = |hold: &Hold| recorded(&answer(2, hold, StockAnswer::Released, 0));
    given::<Allocation>([history, vec![asked(&again), back(&two)]].concat())
        .when(answer(2, &one, StockAnswer::Released, 0))
        .then([back(&one), hold_asked(3, one.clone())]);
}

#[test]
fn an_attempt_that_comes_behind_the_end_of_its_time_is_superseded() {
    let asks = |attempt| allocate(attempt, &[("lamp", 2)], &[("lamp", 1, 5)]);
    given_nothing::<Allocation>().when(time_out(1, false)).then([not_in_time(1)]);
    given::<Allocation>([not_in_time(1)]).when(asks(1)).then([superseded("AllocateOrder", 1)]);
    given::<Allocation>([not_in_time(1)]).when(asks(2)).then([asked(&asks(2)), hold_asked(1, hold("lamp", "w-1", 2))]);
    let open = [asked(&asks(1)), hold_asked(1, hold("lamp", "w-1", 2))];
    given::<Allocation>(open).when(time_out(2, false)).then([
        superseded("AllocateOrder", 1),
        not_in_time(2),
        release_asked(2, hold("lamp", "w-1", 2)),
    ]);
    given_nothing::<Allocation>().when(time_out(1, true)).then([not_kept_in_time(1)]);
    given::<Allocation>([not_kept_in_time(1)]).when(confirm(1)).then([superseded("ConfirmAllocation", 1)]);
    let nothing = AllocationLost { order_id: id(), attempt: 2, ..Default::default() };
    given::<Allocation>([not_kept_in_time(1)]).when(confirm(2)).then([confirming(2), nothing.into()]);
}

#[test]
fn the_end_of_a_time_changes_nothing_of_what_is_answered_or_given_up() {
    given::<Allocation>(two_lamps()).when(time_out(1, false)).then_nothing();
    let two = hold("lamp", "w-1", 2);
    let kept = answer(2, &two, StockAnswer::Confirmed, 0);
    let confirmed = AllocationConfirmed { order_id: id(), attempt: 1, holds: vec![two.clone()] };
    let history = [two_lamps(), vec![confirming(1), confirm_asked(2, two), recorded(&kept), confirmed.into()]].concat();
    given::<Allocation>(history).when(time_out(1, true)).then_nothing();
    for confirm in [false, true] {
        given::<Allocation>([releasing(1), given_back(1)]).when(time_out(1, confirm)).then_nothing();
    }
    given::<Allocation>([asked(&allocate(2, &[("lamp", 1)], &[])), not_allocated(2, &[])]).when(time_out(1, false)).then_nothing();
}

#[test]
fn a_confirmation_whose_time_is_over_is_lost_and_what_is_held_stays_held() {
    let two = hold("lamp", "w-1", 2);
    let history = [two_lamps(), vec![confirming(1), confirm_asked(2, two.clone())]].concat();
    given::<Allocation>(history.clone()).when(time_out(1, true)).then([not_kept_in_time(1)]);
    let history = [history, vec![not_kept_in_time(1)]].concat();
    let kept = answer(2, &two, StockAnswer::Confirmed, 0);
    given::<Allocation>(history.clone()).when(kept).then_state(|s| assert_eq!(s.stocks["lamp@w-1"].status(), HoldStatus::Confirmed));
    given::<Allocation>(history).when(confirm(1)).then([superseded("ConfirmAllocation", 1)]);
    // Pieces that were asked for once more, and are refused behind the end of the time, are still missing.
    let expired = answer(1, &two, StockAnswer::Expired, 0);
    let history = [two_lamps(), vec![recorded(&expired), confirming(1), hold_asked(2, two.clone()), not_kept_in_time(1)]].concat();
    let refused = answer(2, &two, StockAnswer::Refused, 0);
    given::<Allocation>([history, vec![recorded(&refused)]].concat()).when(confirm(2)).then([confirming(2), hold_asked(3, two)]);
}

#[test]
fn the_order_hears_of_each_answer_but_not_of_what_it_superseded_itself() {
    let stream = StreamId::new("allocation", "o-1");
    let at = EventAt { stream: &stream, version: Version(2), recorded_at: Default::default() };
    let holds = || vec![hold("lamp", "w-1", 2)];
    let held = || vec![order::HeldLine { sku: "lamp".into(), warehouse: "w-1".into(), quantity: 2 }];
    let lacking = order::LackingLine { sku: "lamp".into(), requested: 4, available: 3 };
    let undeliverable = NotAllocated { order_id: id(), attempt: 3, undeliverable: true, ..Default::default() };
    let confirmed = AllocationConfirmed { order_id: id(), attempt: 1, holds: holds() };
    let told: [(AllocationEvent, order::OrderCommand); 7] = [
        (allocated(2, &holds()), order::RecordAllocated { order_id: id(), attempt: 2, holds: held() }.into()),
        (
            not_allocated(2, &[("lamp", 4, 3)]),
            order::RecordNotAllocated { order_id: id(), attempt: 2, lines: vec![lacking], ..Default::default() }.into(),
        ),
        (undeliverable.into(), order::RecordNotAllocated { order_id: id(), attempt: 3, undeliverable: true, ..Default::default() }.into()),
        (not_in_time(2), order::RecordNotAllocated { order_id: id(), attempt: 2, timed_out: true, ..Default::default() }.into()),
        (confirmed.into(), order::RecordAllocationConfirmed { order_id: id(), attempt: 1, holds: held() }.into()),
        (not_kept_in_time(1), order::RecordAllocationLost { order_id: id(), attempt: 1, timed_out: true }.into()),
        (given_back(1), order::RecordAllocationReleased { order_id: id(), attempt: 1 }.into()),
    ];
    for (event, command) in told {
        assert_eq!(AllocationAnswers::react(&event, &at), [ServiceMessage::of(&command)]);
    }
    for event in [superseded("AllocateOrder", 1), confirming(1), releasing(1), hold_asked(1, hold("lamp", "w-1", 2))] {
        assert_eq!(AllocationAnswers::react(&event, &at), []);
    }
}

/// Two holds that a paid order has, in two warehouses.
fn in_two_warehouses() -> (Hold, Hold, Vec<AllocationEvent>) {
    let asks = allocate(1, &[("lamp", 3)], &[("lamp", 1, 1), ("lamp", 2, 2)]);
    let (one, two) = (hold("lamp", "w-1", 1), hold("lamp", "w-2", 2));
    let history = vec![
        asked(&asks),
        hold_asked(1, one.clone()),
        hold_asked(1, two.clone()),
        recorded(&held(1, &one)),
        recorded(&held(1, &two)),
        allocated(1, &[one.clone(), two.clone()]),
    ];
    (one, two, history)
}

#[test]
fn all_that_is_lost_is_known_before_it_is_asked_for_once_more() {
    let (one, two, history) = in_two_warehouses();
    // Both have run out in one moment, and only one of them has said so.
    let expired = answer(1, &one, StockAnswer::Expired, 0);
    let history = [history, vec![recorded(&expired)]].concat();
    given::<Allocation>(history.clone()).when(confirm(1)).then([confirming(1), confirm_asked(2, two.clone())]);
    let gone = answer(2, &two, StockAnswer::Lost, 0);
    let history = [history, vec![confirming(1), confirm_asked(2, two.clone())]].concat();
    let again = [recorded(&gone), hold_asked(3, one.clone()), hold_asked(3, two.clone())];
    given::<Allocation>(history.clone()).when(gone.clone()).then(again.clone());
    // What is refused then is lost for good.
    let refused = answer(3, &two, StockAnswer::Refused, 0);
    let history = [history, again.to_vec(), vec![recorded(&held(3, &one))]].concat();
    given::<Allocation>(history).when(refused.clone()).then([recorded(&refused), confirm_asked(4, one)]);
}

#[test]
fn what_a_plan_under_way_does_without_is_no_loss() {
    let (one, two, history) = in_two_warehouses();
    let history = [history, vec![confirming(1), confirm_asked(2, one.clone()), confirm_asked(2, two.clone())]].concat();
    let anew = allocate(2, &[("lamp", 3)], &[("lamp", 3, 3)]);
    let gone = answer(2, &one, StockAnswer::Lost, 0);
    let history = [history, vec![superseded("ConfirmAllocation", 1), asked(&anew)]].concat();
    given::<Allocation>(history).when(gone).then_state(|s| assert_ne!(s.stocks["lamp@w-1"].status(), HoldStatus::Lost));
}

#[test]
fn another_quantity_that_somebody_holds_for_the_order_is_no_answer_to_a_paid_one() {
    let (one, _, history) = in_two_warehouses();
    let expired = answer(1, &one, StockAnswer::Expired, 0);
    let history = [history, vec![recorded(&expired), confirming(1), hold_asked(2, one.clone())]].concat();
    let otherwise = answer(2, &one, StockAnswer::HeldOtherwise, 3);
    given::<Allocation>(history).when(otherwise).then_state(|s| assert_eq!(s.stocks["lamp@w-1"].status(), HoldStatus::Lost));
}

#[test]
fn who_asked_for_a_release_is_answered_whoever_had_reserved() {
    let stream = StreamId::new("stock", "A-1@w-1");
    let at = EventAt { stream: &stream, version: Version(7), recorded_at: Default::default() };
    let released = StockReleased {
        sku: "A-1".into(),
        warehouse: "w-1".into(),
        order_id: id(),
        quantity: 2,
        asked_by: "allocation/o-1".into(),
        attempt: 3,
        ..Default::default()
    };
    let messages = Answering::react(&released.into(), &at);
    let told = RecordStockAnswer {
        order_id: id(),
        sku: "A-1".into(),
        warehouse: "w-1".into(),
        ask: 3,
        answer: StockAnswer::Released.into(),
        quantity: 2,
        available: 0,
    };
    assert_eq!(messages, [ServiceMessage::of(&AllocationCommand::from(told))]);
}
