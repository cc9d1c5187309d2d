//! Laws of a stock, for all commands in any order.

use daybook_kernel::spec::in_turn;
use proptest::prelude::*;
use shop_proto::samples::at;
use shop_proto::samples::stock::{
    adjust, arrives, commit, confirm, count, expire, extend, leaves, receive, release, reserve, set_reorder_point, write_off,
};

use super::*;

fn any_command() -> impl Strategy<Value = StockCommand> {
    let order = || "o-[1-4]";
    let quantity = || prop_oneof![8 => 1..20_u32, 1 => 1..=1_000_000_000_u32];
    let some = || prop::option::of(1..20_u32);
    let process = || prop_oneof![Just(String::new()), Just("allocation/o-1".to_owned())];
    let attempt = || 0..3_u32;
    prop_oneof![
        3 => quantity().prop_map(|q| receive(q).into()),
        1 => prop_oneof![-20..20_i32, -2_000_000_000..=2_000_000_000_i32].prop_map(|d| adjust(d).into()),
        1 => (0..60_u32).prop_map(|n| count(n).into()),
        4 => (order(), quantity(), process(), attempt(), prop::option::of(-5..60_i64)).prop_map(|(o, q, process, attempt, until)| {
            ReserveStock { process, attempt, expires_at: until.map(at), ..reserve(&o, q) }.into()
        }),
        2 => (order(), 1..2_000_u32, process(), attempt()).prop_map(|(o, s, process, attempt)| {
            ExtendReservation { process, attempt, ..extend(&o, s) }.into()
        }),
        2 => (order(), process(), attempt()).prop_map(|(o, process, attempt)| {
            ConfirmReservation { process, attempt, ..confirm(&o) }.into()
        }),
        3 => (order(), some(), process(), attempt()).prop_map(|(o, quantity, process, attempt)| {
            CommitStock { quantity, process, attempt, ..commit(&o) }.into()
        }),
        3 => (order(), some(), process(), attempt()).prop_map(|(o, quantity, process, attempt)| {
            ReleaseStock { quantity, process, attempt, ..release(&o) }.into()
        }),
        2 => (order(), some(), process(), attempt()).prop_map(|(o, quantity, process, attempt)| {
            WriteOffStock { quantity, process, attempt, ..write_off(&o) }.into()
        }),
        2 => (order(), prop_oneof![0..60_i64, 900..940_i64]).prop_map(|(o, t)| expire(&o, t).into()),
        2 => ("t-[1-4]", "w-[12]", quantity()).prop_map(|(t, w, q)| leaves(&t, &w, q).into()),
        2 => ("t-[1-4]", "w-[12]", 0..20_u32).prop_map(|(t, w, q)| arrives(&t, &w, q).into()),
        1 => (0..30_u32).prop_map(|n| set_reorder_point(n).into()),
    ]
}

/// Pieces by the events alone, without any fold of ours.
#[derive(Default)]
struct Ledger {
    received: i64,
    committed: i64,
    written_off: i64,
    adjusted: i64,
    promised: i64,
    given_back: i64,
    /// By transfers: came, less what left.
    carried: i64,
}

impl Ledger {
    fn enter(&mut self, event: &StockEvent) {
        use StockEvent as E;
        match event {
            E::StockReceived(e) => self.received += i64::from(e.quantity),
            E::StockAdjusted(e) => self.adjusted += i64::from(e.delta),
            E::StockReserved(e) => self.promised += i64::from(e.quantity),
            E::StockCommitted(e) => self.committed += i64::from(e.quantity),
            E::StockWrittenOff(e) => self.written_off += i64::from(e.quantity),
            E::StockReleased(e) => self.given_back += i64::from(e.quantity),
            E::ReservationExpired(e) => self.given_back += i64::from(e.quantity),
            E::TransferStarted(e) => self.carried -= i64::from(e.quantity),
            E::TransferFinished(e) => self.carried += i64::from(e.quantity),
            // One that moves pieces and is not told of here would not balance.
            _ => {}
        }
    }

    fn on_hand(&self) -> i64 {
        self.received - self.committed - self.written_off + self.adjusted + self.carried
    }

    fn reserved(&self) -> i64 {
        self.promised - self.committed - self.written_off - self.given_back
    }
}

/// The process that asks, if one does, and its attempt.
fn asking(command: &StockCommand) -> Option<(&str, u32)> {
    use StockCommand as C;
    let (process, attempt) = match command {
        C::ReserveStock(c) => (&c.process, c.attempt),
        C::ExtendReservation(c) => (&c.process, c.attempt),
        C::ConfirmReservation(c) => (&c.process, c.attempt),
        C::CommitStock(c) => (&c.process, c.attempt),
        C::ReleaseStock(c) => (&c.process, c.attempt),
        C::WriteOffStock(c) => (&c.process, c.attempt),
        _ => return None,
    };
    (!process.is_empty()).then_some((process, attempt))
}

/// The process that an event answers, and its attempt.
fn answered(event: &StockEvent) -> Option<(&str, u32)> {
    use StockEvent as E;
    Some(match event {
        E::StockReserved(e) => (&e.process, e.attempt),
        E::ReservationStands(e) => (&e.asked_by, e.attempt),
        E::ReservationRefused(e) => (&e.process, e.attempt),
        E::StockPlaceClosed(e) => (&e.process, e.attempt),
        E::ReservationExtended(e) => (&e.asked_by, e.attempt),
        E::ExtendRefused(e) => (&e.process, e.attempt),
        E::ReservationConfirmed(e) => (&e.asked_by, e.attempt),
        E::ConfirmRefused(e) => (&e.process, e.attempt),
        E::StockCommitted(e) => (&e.asked_by, e.attempt),
        E::CommitRefused(e) => (&e.process, e.attempt),
        E::StockReleased(e) => (&e.asked_by, e.attempt),
        E::ReleaseRefused(e) => (&e.process, e.attempt),
        E::StockWrittenOff(e) => (&e.asked_by, e.attempt),
        E::WriteOffRefused(e) => (&e.process, e.attempt),
        _ => return None,
    })
}

proptest! {
    #[test]
    fn each_ask_of_a_process_has_exactly_one_answering_event(commands in prop::collection::vec(any_command(), 1..60)) {
        in_turn::<Stock>(&commands, |step| {
            let told: Vec<_> = step.decision.events.iter().filter_map(answered).filter(|(process, _)| !process.is_empty()).collect();
            assert_eq!(told, asking(step.command).into_iter().collect::<Vec<_>>());
        });
    }

    /// An order whose process has given up everything, and asks for no later attempt, gets nothing any more in whatever order its asks come.
    #[test]
    fn nothing_is_promised_in_a_closed_place(commands in prop::collection::vec(any_command(), 1..60), quantity in 1..5_u32) {
        let process = "allocation/o-1".to_owned();
        let give_up = ReleaseStock { process: process.clone(), attempt: 2, ..release("o-1") };
        let asks = [2, 1, 0].map(|attempt| ReserveStock { process: process.clone(), attempt, ..reserve("o-1", quantity) }.into());
        // The second one finds the place empty in any case.
        let all: Vec<StockCommand> = commands.into_iter().chain([give_up.clone().into(), give_up.into()]).chain(asks).collect();
        let before = all.len() - 3;
        let mut n = 0;
        in_turn::<Stock>(&all, |step| {
            n += 1;
            if n > before {
                assert!(matches!(step.decision.events.as_slice(), [StockEvent::StockPlaceClosed(_)]), "{:?}", step.decision.events);
                assert!(!step.after.reservations.contains_key("o-1"));
            }
        });
    }

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

proptest! {
    /// Every command, also such as no lane lets through, behind every part of the way that an order goes.
    #[test]
    fn a_decision_is_total(
        begun in 0..6_usize,
        commands in prop::collection::vec(crate::any::any_command::<StockCommand>(<StockEvent as daybook_proto::EventSet>::pool()), 1..20),
    ) {
        let begun = crate::search::heard::<StockCommand>("stock/A-1@w-1").into_iter().take(begun);
        in_turn::<Stock>(&begun.chain(commands).collect::<Vec<_>>(), |_| {});
    }
}
