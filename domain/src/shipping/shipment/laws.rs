//! Laws of a shipment, for all commands in any order.

use std::collections::{BTreeMap, BTreeSet};

use daybook_kernel::spec::in_turn;
use proptest::prelude::*;
use shop_proto::samples::shipment::{
    bring_back, cancel, create, deliver, dispatch, end_hold, hold, label, lose, no_label, notice, pick_short,
};

use super::*;

/// More than what a shipment has of a product is asked for now and then.
fn any_lines() -> impl Strategy<Value = Vec<(&'static str, u32)>> {
    prop::collection::vec((prop_oneof![Just("lamp"), Just("chair")], 1..4_u32), 1..3)
}

fn any_command() -> impl Strategy<Value = ShipmentCommand> {
    let status = || (0..8_i32).prop_map(|n| ShipmentStatus::try_from(n).expect("there are eight"));
    prop_oneof![
        3 => any_lines().prop_map(|lines| create(&lines).into()),
        1 => Just(label("p-1").into()),
        1 => Just(no_label("too-heavy").into()),
        4 => (1..7_u32, any_lines()).prop_map(|(ask, lines)| cancel(ask, &lines).into()),
        1 => (1..7_u32).prop_map(|ask| cancel(ask, &[]).into()),
        1 => (0..6_i64).prop_map(|version| hold(version).into()),
        1 => (0..6_i64).prop_map(|version| end_hold(version).into()),
        2 => any_lines().prop_map(|lines| pick_short(&lines).into()),
        1 => Just(dispatch().into()),
        1 => prop_oneof![Just(deliver().into()), Just(lose().into()), Just(bring_back().into())],
        1 => ("n-[1-3]", status()).prop_map(|(id, status)| notice(&id, status).into()),
    ]
}

/// Commands that are the same when they come again. A dispatch that was refused may be possible later, and pieces may be found missing twice.
fn is_repeatable(command: &ShipmentCommand) -> bool {
    use ShipmentCommand as C;
    match command {
        C::DispatchShipment(_) | C::ReportShortPick(_) => false,
        C::HoldShipment(c) => c.order_version > 0,
        C::EndShipmentHold(c) => c.order_version > 0,
        _ => true,
    }
}

/// The asks that an event answers.
fn answered(event: &ShipmentEvent) -> Option<u32> {
    match event {
        ShipmentEvent::ShipmentCancelled(e) => Some(e.ask).filter(|ask| *ask > 0),
        ShipmentEvent::CancelTooLate(e) => Some(e.ask),
        _ => None,
    }
}

/// Pieces by the events alone, without any fold of ours.
#[derive(Default)]
struct Ledger {
    created: BTreeMap<String, u32>,
    gone: BTreeMap<String, u32>,
    dispatched: Option<BTreeMap<String, u32>>,
}

fn add(sums: &mut BTreeMap<String, u32>, lines: &[ShipmentLine]) {
    for line in lines {
        *sums.entry(line.sku.clone()).or_default() += line.quantity;
    }
}

impl Ledger {
    fn enter(&mut self, event: &ShipmentEvent) {
        use ShipmentEvent as E;
        match event {
            E::ShipmentCreated(e) => add(&mut self.created, &e.lines),
            // What is cancelled before it is created was never in it.
            E::ShipmentCancelled(e) if !self.created.is_empty() => add(&mut self.gone, &e.lines),
            E::ShortPicked(e) => add(&mut self.gone, &e.lines),
            E::ShipmentDispatched(e) => {
                assert!(self.dispatched.is_none(), "it leaves once");
                add(self.dispatched.get_or_insert_default(), &e.lines);
            }
            _ => {}
        }
    }

    /// What must still be in it.
    fn rest(&self) -> BTreeMap<String, u32> {
        let rest = |(sku, n): (&String, &u32)| {
            (sku.clone(), n.checked_sub(self.gone.get(sku).copied().unwrap_or_default()).expect("no more goes than came"))
        };
        self.created.iter().map(rest).filter(|(_, n)| *n > 0).collect()
    }
}

proptest! {
    /// What is in it, was cancelled or was not found is what it was created with, and what leaves is what is in it.
    #[test]
    fn no_piece_is_lost_or_made_up(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut ledger = Ledger::default();
        in_turn::<Shipment>(&commands, |step| {
            step.decision.events.iter().for_each(|event| ledger.enter(event));
            let mut lines = BTreeMap::new();
            add(&mut lines, &step.after.lines);
            assert_eq!(lines, ledger.rest());
            assert_eq!(step.after.lines.len(), lines.len(), "each SKU once");
            let has_left = !matches!(
                step.after.status(),
                ShipmentStatus::Unspecified | ShipmentStatus::Created | ShipmentStatus::Labelled | ShipmentStatus::Cancelled
            );
            assert_eq!(ledger.dispatched.as_ref(), has_left.then_some(&lines));
            if step.after.created && !has_left {
                assert_eq!(lines.is_empty(), step.after.status() == ShipmentStatus::Cancelled);
            }
        });
    }

    /// At once, or when it is created; and only what people ask is refused.
    #[test]
    fn each_ask_has_exactly_one_answer(commands in prop::collection::vec(any_command(), 1..60)) {
        let (mut asks, mut answers) = (BTreeSet::new(), Vec::new());
        let all: Vec<ShipmentCommand> = commands.into_iter().chain([create(&[("lamp", 3)]).into()]).collect();
        in_turn::<Shipment>(&all, |step| {
            use ShipmentCommand as C;
            if let C::CancelShipment(c) = step.command {
                asks.insert(c.ask);
            }
            answers.extend(step.decision.events.iter().filter_map(answered));
            let may_refuse = matches!(step.command, C::DispatchShipment(_) | C::ReportShortPick(_));
            assert!(may_refuse || step.decision.refusal.is_none(), "{:?}", step.command);
            if step.after.created {
                assert!(step.after.kept.is_empty());
            }
        });
        answers.sort_unstable();
        prop_assert_eq!(answers, asks.into_iter().collect::<Vec<_>>());
    }

    /// Each message comes again, at any time later.
    #[test]
    fn what_comes_again_changes_nothing(commands in prop::collection::vec((any_command(), 0..20_usize), 1..40)) {
        let mut all: Vec<(ShipmentCommand, bool)> = Vec::new();
        // From behind, so that what comes later is there to come between.
        for (command, later) in commands.into_iter().rev() {
            // The same number, ask or notice id is the same message: its first content counts.
            let again = is_repeatable(&command).then(|| (later.min(all.len()), command.clone()));
            if let Some((at, command)) = again {
                all.insert(at, (command, true));
            }
            all.insert(0, (command, false));
        }
        let commands: Vec<ShipmentCommand> = all.iter().map(|(command, _)| command.clone()).collect();
        let mut again = all.iter().map(|(_, again)| *again);
        in_turn::<Shipment>(&commands, |step| {
            if again.next() == Some(true) {
                assert_eq!(step.decision.events, [], "{:?}", step.command);
            }
        });
    }

    /// Whatever order the creation, asks that fit together, holds and the label come in: the same end.
    #[test]
    fn any_order_leads_to_the_same_end(
        lamps in prop::collection::vec(1..3_u32, 0..4),
        is_whole in any::<bool>(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let sum = lamps.iter().sum::<u32>();
        let mut all: Vec<ShipmentCommand> = vec![create(&[("lamp", sum + 1), ("chair", 1)]).into()];
        all.extend((1..).zip(&lamps).map(|(ask, n)| ShipmentCommand::from(cancel(ask, &[("lamp", *n)]))));
        all.extend([hold(3).into(), end_hold(5).into(), hold(7).into(), label("p-1").into()]);
        if is_whole {
            all.push(cancel(9, &[]).into());
        }
        let end = |commands: &[ShipmentCommand]| {
            let mut last = ShipmentState::default();
            in_turn::<Shipment>(commands, |step| last.clone_from(step.after));
            // Nobody asks whether what is cancelled is held.
            let held = last.held && last.status() != ShipmentStatus::Cancelled;
            (last.status(), last.lines, held, last.ask, last.asks_beyond, last.kept, last.tracking, last.created)
        };
        let straight = end(&all);
        let mut left = all;
        let mut mixed = Vec::new();
        for index in order {
            if !left.is_empty() {
                mixed.push(left.remove(index.index(left.len())));
            }
        }
        mixed.append(&mut left);
        prop_assert_eq!(end(&mixed), straight);
    }

    #[test]
    fn fold_and_encoding_agree(commands in prop::collection::vec(any_command(), 1..60)) {
        in_turn::<Shipment>(&commands, |_| {});
    }
}

proptest! {
    /// Every command, also such as no lane lets through, behind every part of the way that an order goes.
    #[test]
    fn a_decision_is_total(
        begun in 0..9_usize,
        commands in prop::collection::vec(crate::any::any_command::<ShipmentCommand>(<ShipmentEvent as daybook_proto::EventSet>::pool()), 1..20),
    ) {
        let begun = crate::search::heard::<ShipmentCommand>("shipment/o-1@1").into_iter().take(begun);
        in_turn::<Shipment>(&begun.chain(commands).collect::<Vec<_>>(), |_| {});
    }
}
