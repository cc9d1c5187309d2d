//! Laws of payments: whatever is asked, and however messages arrive.

use daybook_kernel::spec::in_turn;
use proptest::prelude::*;
use shop_proto::samples::at;
use shop_proto::samples::payment::*;

use super::world::{Means, Move, World, any_move};
use super::*;

fn order() -> impl Strategy<Value = Vec<usize>> {
    // A 1 is in it, so that each message arrives for good.
    prop::collection::vec(0..17_usize, 1..20).prop_map(|mut order| {
        order.push(1);
        order
    })
}

/// Half of the orders are paid before all else.
fn begun() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(prop_oneof![Just(1000_i64), Just(TOTAL)])
}

/// An attempt has one answer; where it was declined the order waits, and may hear that the time is over. All else has one.
fn each_ask_has_one_answer(world: &World) {
    let answers = world.answers();
    for (kind, asked) in world.asks().into_iter().enumerate() {
        for number in 1..=asked {
            let told = answers.get(&(kind, number)).map(Vec::as_slice).unwrap_or_default();
            let is_one = match told {
                [PaymentEvent::PaymentDeclined(_), PaymentEvent::PaymentEnded(e)] => e.reason == TIMEOUT,
                told => told.len() == 1,
            };
            assert!(is_one, "{kind} {number}: {told:#?} of {:#?}", world.told);
        }
    }
    assert!(answers.keys().all(|(kind, number)| (1..=world.asks()[*kind]).contains(number)), "nobody asked for {answers:?}");
}

/// Whether more may be taken with an object of the provider's.
fn has_more(object: &ProviderPayment) -> bool {
    let is_taken = object.captures_once && object.captured > 0;
    object.status() == ProviderStatus::Authorised && !is_taken && object.captured < object.authorised
}

/// The sum of what was told, of captures or refunds.
fn told(world: &World, refund: bool) -> i64 {
    let amount = |event: &PaymentEvent| match event {
        PaymentEvent::PaymentCaptured(e) if !refund => books::units(&e.amount),
        PaymentEvent::PaymentRefunded(e) if refund => books::units(&e.amount),
        _ => 0,
    };
    world.told.iter().map(amount).sum()
}

/// While the order is paid with it, what is given back of an object leaves what the order was told, and what it owes for captures that have failed.
fn what_is_given_back_is_owed_by_nobody(world: &World) {
    let mut state = PaymentState::default();
    for event in &world.told {
        if let PaymentEvent::ProviderAsked(ask) = event
            && ask.undo
            && ask.operation() == Operation::Refund
            && let Some(object) = provider::of_attempt(&state).filter(|object| provider::id(object) == ask.object_id)
            && provider::is_wanted(&state, object)
        {
            let is_tried = |number: u32| state.moves.iter().any(|known| !known.refund && known.retries == number);
            let is_owed = |known: &&MoneyMove| !known.refund && known.status() == MoveStatus::Failed && !is_tried(known.number);
            let owed: i64 = state.moves.iter().filter(is_owed).map(|known| books::units(&known.amount)).sum();
            let [_, captured, refunded] = books::shown(&state);
            let left = books::taken(&state, object) - books::given_back(&state, object) - books::units(&ask.amount);
            assert!(left >= captured - refunded + owed, "{left} are left, and {owed} owed: {ask:?} {:#?}", world.told);
        }
        Payment::evolve(&mut state, event);
    }
}

fn any_delivery() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => Just(Move::Do { refuses: false }),
        2 => Just(Move::Answer),
        3 => (0..9_usize, any::<bool>()).prop_map(|(nth, again)| Move::Deliver { nth, again }),
    ]
}

/// It forgets nothing: beside what is done late a payment need not show what came of what was forgotten.
fn any_move_of_a_late_provider() -> impl Strategy<Value = Move> {
    let remembers = any_move(false).prop_map(|one| if matches!(one, Move::Forget { .. }) { Move::Answer } else { one });
    prop_oneof![4 => remembers, 1 => Just(Move::DoLate)]
}

/// An order is declined, pays by other means, and asks for captures and refunds; what is on its way meanwhile arrives as `between` says, and
/// where it says nothing, before the next ask. At its end the order may give up.
fn a_life(asks: &[(bool, i64)], between: &[Vec<Move>], order: &[usize], acts: bool, gives_up: bool) -> World {
    let mut world = World::default();
    let mut between = between.iter();
    let mut pause = |world: &mut World| match between.next() {
        Some(moves) => moves.iter().for_each(|one| world.go(one)),
        None => world.quiet(order),
    };
    for first in [Move::Pay(Means::Declined), Move::Pay(if acts { Means::Acts } else { Means::Good }), Move::Act { yes: true }] {
        world.go(&first);
        world.quiet(order);
    }
    for (refund, amount) in asks {
        world.go(&if *refund { Move::Refund(*amount) } else { Move::Capture(*amount) });
        pause(&mut world);
    }
    world.quiet(order);
    if gives_up {
        world.go(&Move::Void);
        pause(&mut world);
    }
    world.quiet(order);
    world
}

fn any_payment() -> impl Strategy<Value = ProviderPayment> {
    let amounts = prop::array::uniform3(0..5000_i64);
    (1..4_u32, 0..6_i32, amounts, any::<bool>(), prop::option::of(0..9_i64)).prop_map(
        |(attempt, status, amounts, captures_once, before)| {
            let ([authorised, captured, refunded], capture_before) = (amounts, before.map(at));
            let standing = standing(attempt, ProviderStatus::Created);
            ProviderPayment { status, authorised, captured, refunded, captures_once, capture_before, ..standing }
        },
    )
}

proptest! {
    /// However it goes: when the time is over, or the order has given up, and all has arrived, each ask has one answer. That captured is at
    /// most authorised, refunded at most captured, one operation is in flight, and no key is used twice, is held at each event.
    #[test]
    fn each_ask_has_one_answer_in_the_end(
        moves in prop::collection::vec(any_move(true), 1..80),
        order in order(),
        begun in begun(),
        curt: bool,
        lax: bool,
        gives_up: bool,
    ) {
        let mut world = World::new(curt, lax).begun(begun);
        moves.iter().for_each(|one| world.go(one));
        world.go(if gives_up { &Move::Void } else { &Move::TimeOut });
        world.quiet(&order);
        each_ask_has_one_answer(&world);
    }

    /// A void leaves nothing: no open authorisation, and all that was taken is given back, also what was taken by hand.
    #[test]
    fn nothing_is_left_after_a_void(
        moves in prop::collection::vec(any_move(true), 1..80),
        after in prop::collection::vec(any_move(true), 0..20),
        order in order(),
        begun in begun(),
        curt: bool,
    ) {
        let mut world = World::new(curt, false).begun(begun);
        moves.iter().for_each(|one| world.go(one));
        world.go(&Move::Void);
        after.iter().for_each(|one| world.go(one));
        world.quiet(&order);
        each_ask_has_one_answer(&world);
        for object in world.objects.values() {
            prop_assert!(object.refunded >= object.captured, "{object:?} {:#?}", world.told);
            let is_unused = matches!(object.status(), ProviderStatus::Created | ProviderStatus::ActionRequired);
            let is_open = is_unused || has_more(object);
            prop_assert!(!is_open, "{object:?} {:#?}", world.told);
        }
    }

    /// Where nobody moves money by hand, the books are the provider's to the cent, and nothing deviates; at most one authorisation is open, and
    /// only where the order was told.
    #[test]
    fn the_books_are_the_providers(
        moves in prop::collection::vec(any_move(false), 1..80),
        order in order(),
        begun in begun(),
        curt: bool,
    ) {
        let mut world = World::new(curt, false).begun(begun);
        moves.iter().for_each(|one| world.go(one));
        world.quiet(&order);
        prop_assert!(!world.told.iter().any(|event| matches!(event, PaymentEvent::PaymentDeviated(_))), "{:#?}", world.told);
        let sum = |of: fn(&ProviderPayment) -> i64| world.objects.values().map(of).sum::<i64>();
        let undone: i64 = world.payment.objects.iter().map(|object| object.undone).sum();
        prop_assert_eq!(told(&world, false), sum(|object| object.captured));
        prop_assert_eq!(told(&world, true) + undone, sum(|object| object.refunded));
        prop_assert_eq!(&[told(&world, false), told(&world, true)], &books::shown(&world.payment)[1..]);
        let open: Vec<_> = world.objects.values().filter(|object| has_more(object)).collect();
        prop_assert!(open.len() <= usize::from(world.payment.authorised), "{open:?} {:#?}", world.told);
        if let [one] = open[..] {
            prop_assert_eq!(provider::of_attempt(&world.payment).map(provider::id), Some(one.object_id.as_str()));
        }
    }

    /// The provider forgets what came of some of what it was asked: nothing moves twice, nothing is given up that was done, and a void leaves
    /// nothing.
    #[test]
    fn what_the_provider_has_forgotten_moves_no_money_twice_and_is_not_lost(
        moves in prop::collection::vec(any_move(false), 1..80),
        order in order(),
        begun in begun(),
        curt: bool,
    ) {
        let mut world = World::new(curt, false).begun(begun);
        moves.iter().for_each(|one| world.go(one));
        world.go(&Move::Void);
        world.quiet(&order);
        each_ask_has_one_answer(&world);
        let sum = |of: fn(&ProviderPayment) -> i64| world.objects.values().map(of).sum::<i64>();
        let undone: i64 = world.payment.objects.iter().map(|object| object.undone).sum();
        prop_assert_eq!(told(&world, false), sum(|object| object.captured), "{:#?}", world.told);
        prop_assert_eq!(told(&world, true) + undone, sum(|object| object.refunded), "{:#?}", world.told);
        prop_assert_eq!(sum(|object| object.refunded), sum(|object| object.captured));
    }

    /// The provider does some of what it had refused, whenever it likes. Once all that failed was tried again with success, no more is taken than the
    /// order has asked for; and before, nothing is given back that it may still owe.
    #[test]
    fn what_is_done_after_all_is_taken_once(
        moves in prop::collection::vec(any_move_of_a_late_provider(), 1..80),
        less in prop::collection::vec(0..2000_i64, 12),
        order in order(),
        curt: bool,
    ) {
        let mut world = World::new(curt, false).begun(Some(1000));
        moves.iter().for_each(|one| world.go(one));
        world.quiet(&order);
        for less in less {
            world.go(&Move::Again { refund: false, less });
            world.quiet(&order);
        }
        world.go(&Move::DoLate);
        world.quiet(&order);
        what_is_given_back_is_owed_by_nobody(&world);
        let moves = || world.payment.moves.iter().filter(|known| !known.refund);
        let is_tried = |number: u32| moves().any(|known| known.retries == number);
        let is_all_done = moves().all(|known| known.status() == MoveStatus::Done || is_tried(known.number));
        if is_all_done && world.payment.voided == 0 {
            let net: i64 = world.objects.values().map(|object| object.captured - object.refunded).sum();
            prop_assert_eq!(net, told(&world, false) - told(&world, true), "{:#?}", world.told);
        }
    }

    /// The order asks for the same, and the provider refuses nothing: the books are the same in whatever order, how often and how late
    /// answers and notices come.
    #[test]
    fn in_any_order_doubled_and_late_the_books_are_the_same(
        asks in prop::collection::vec((any::<bool>(), 0..1500_i64), 0..6),
        between in prop::collection::vec(prop::collection::vec(any_delivery(), 0..12), 8),
        order in order(),
        acts: bool,
        gives_up: bool,
    ) {
        let (free, in_order) = (a_life(&asks, &between, &order, acts, gives_up), a_life(&asks, &[], &[1], acts, gives_up));
        prop_assert_eq!(&free.objects, &in_order.objects);
        let books = |world: &World| PaymentState { notices: Vec::new(), ..world.payment.clone() };
        prop_assert_eq!(books(&free), books(&in_order));
        prop_assert_eq!(free.answers(), in_order.answers());
    }

    /// Notices alone: in any order, doubled, what is known is the same.
    #[test]
    fn facts_are_put_together_in_any_order(
        payments in prop::collection::vec(any_payment(), 1..12),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
    ) {
        let told = |(payment, n): (ProviderPayment, u32)| PaymentCommand::from(notice(&format!("n-{n}"), payment));
        let said: Vec<PaymentCommand> = payments.into_iter().zip(0..).map(told).collect();
        let known = |said: &[PaymentCommand]| {
            let mut state = daybook_kernel::fold::<Payment>(&paid());
            for command in said {
                let decision = Payment::decide(&state, command, &daybook_kernel::spec::context(Default::default()));
                decision.events.iter().for_each(|event| Payment::evolve(&mut state, event));
            }
            let mut objects = state.objects;
            objects.sort_by(|a, b| provider::id(a).cmp(provider::id(b)));
            (objects, state.deviated_captured, state.deviated_refunded)
        };
        let mut other: Vec<PaymentCommand> = shuffle.iter().map(|n| said[n.index(said.len())].clone()).collect();
        other.extend(said.iter().rev().cloned());
        prop_assert_eq!(known(&said), known(&other));
    }

    /// Whatever was decided leaves nothing to do: the same again, or an answer to nothing, asks the provider for nothing.
    #[test]
    fn nothing_is_left_undone_between_messages(moves in prop::collection::vec(any_move(true), 1..60)) {
        let mut world = World::default();
        for one in &moves {
            world.go(one);
            let mut story = Story { state: world.payment.clone(), ..Story::default() };
            story.go_on();
            prop_assert!(story.events.is_empty(), "{:?}", story.events);
        }
    }
}

proptest! {
    /// Every command, also such as no lane lets through, behind every part of the way that an order goes.
    #[test]
    fn a_decision_is_total(
        begun in 0..20_usize,
        commands in prop::collection::vec(crate::any::any_command::<PaymentCommand>(<PaymentEvent as daybook_proto::EventSet>::pool()), 1..20),
    ) {
        let begun = crate::search::heard::<PaymentCommand>("payment/o-1").into_iter().take(begun);
        in_turn::<Payment>(&begun.chain(commands).collect::<Vec<_>>(), |step| assert!(step.decision.refusal.is_none()));
    }
}
