//! A payment between an order that asks what it likes and a provider that does as it likes: answers and notices are late, doubled and out
//! of order; the customer acts or does not; somebody moves money by hand.

use std::collections::{BTreeMap, BTreeSet};

use daybook_kernel::Instant;
use daybook_kernel::spec::context;
use proptest::prelude::*;
use shop_proto::samples::payment::{capture, refund, request, time_out, void};

use super::*;

mod provider;

/// What becomes of a means of payment at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Good,
    /// The provider takes no such.
    Unknown,
    Declined,
    /// The customer has to act.
    Acts,
    /// The provider takes one capture only.
    Once,
}

/// A move of the order, the provider or the customer, or a message on its way that arrives.
#[derive(Clone, Debug)]
pub(super) enum Move {
    Pay(Means),
    Capture(i64),
    Refund(i64),
    /// The first capture or refund that has failed is tried again; of a capture this much less, for pieces have come back.
    Again {
        refund: bool,
        less: i64,
    },
    /// The provider does a capture after all that it had refused.
    DoLate,
    Void,
    TimeOut,
    /// The provider does what it is asked.
    Do {
        refuses: bool,
    },
    /// It does what it is asked, or does not, and forgets what came of it.
    Forget {
        does: bool,
    },
    /// What it has done is answered as it stands by then.
    Answer,
    /// The customer acts, or is tired of it.
    Act {
        yes: bool,
    },
    /// Somebody takes money by hand, or a bank gives it back.
    ByHand {
        refund: bool,
        amount: i64,
    },
    /// One arrives; it may stay on its way, as one that is sent again does.
    Deliver {
        nth: usize,
        again: bool,
    },
}

#[derive(Default)]
pub(super) struct World {
    pub(super) payment: PaymentState,
    pub(super) told: Vec<PaymentEvent>,
    /// At the provider, by their ids.
    pub(super) objects: BTreeMap<String, ProviderPayment>,
    /// The means of payment of each attempt.
    means: Vec<Means>,
    /// The keys that the provider has seen: operation, number, undo, again.
    keys: BTreeSet<(i32, u32, bool, u32)>,
    /// What it is asked, and what has come of it.
    asked: Option<ProviderAsked>,
    outcome: Option<(OperationResult, Option<String>)>,
    /// The last ask that it has done.
    done: u32,
    /// Captures that it has refused, by object and amount.
    refused: Vec<(String, i64)>,
    on_their_way: Vec<PaymentCommand>,
    notices: u32,
    /// The numbers of captures, refunds and voids.
    pub(super) numbers: [u32; 3],
    is_late: bool,
    is_curt: bool,
    is_lax: bool,
}

impl World {
    /// A curt provider answers with no word of how the payment stands, where it has not to. A lax one does what it is asked, however much.
    pub(super) fn new(is_curt: bool, is_lax: bool) -> Self {
        Self { is_curt, is_lax, ..Self::default() }
    }

    /// An order that is paid, and has had this much taken.
    pub(super) fn begun(mut self, captured: Option<i64>) -> Self {
        if let Some(captured) = captured {
            self.go(&Move::Pay(Means::Good));
            self.quiet(&[1]);
            self.go(&Move::Capture(captured));
            self.quiet(&[1]);
        }
        self
    }

    fn decide(&mut self, command: impl Into<PaymentCommand>) {
        let decision = Payment::decide(&self.payment, &command.into(), &context(Instant::default()));
        let mut has_voided = false;
        for event in decision.events {
            Payment::evolve(&mut self.payment, &event);
            match &event {
                PaymentEvent::ProviderAsked(e) => {
                    assert!(self.asked.is_none(), "one operation at a time: {:#?}", self.told);
                    assert!(self.keys.insert((e.operation, e.number, e.undo, e.again)), "two operations have one key: {e:?}");
                    self.asked = Some(e.clone());
                }
                // Its time may come at once, or late.
                PaymentEvent::CancelRefused(e) => {
                    self.on_their_way.push(RetryCancel { order_id: e.order_id.clone(), due_at: e.retry_at }.into());
                }
                PaymentEvent::ProviderHeard(e) if self.asked.as_ref().is_some_and(|asked| asked.ask == e.ask) => self.asked = None,
                _ => {}
            }
            let is_late = matches!(event, PaymentEvent::PaymentAuthorised(_)) && self.numbers[2] > 0;
            assert!(!is_late, "nothing may be taken after a void: {:#?}", self.told);
            has_voided |= matches!(event, PaymentEvent::PaymentVoided(_));
            self.told.push(event);
            self.check();
        }
        assert!(!(has_voided && self.asked.is_some()), "a void is answered when nothing is to be done for it: {:#?}", self.told);
    }

    /// What holds at any moment, in the events that others read as much as in the state.
    fn check(&self) {
        let [authorised, captured, refunded] = books::shown(&self.payment);
        assert!(captured <= authorised && refunded <= captured, "{:#?}", self.told);
        assert_eq!(self.payment.in_flight.as_ref().map(|flight| flight.ask), self.asked.as_ref().map(|asked| asked.ask));
    }

    pub(super) fn go(&mut self, one: &Move) {
        let next = |n: &mut u32| {
            *n += 1;
            *n
        };
        match one {
            Move::Pay(means) => {
                self.means.push(*means);
                self.decide(request(u32::try_from(self.means.len()).expect("few")));
            }
            Move::Capture(amount) => {
                let number = next(&mut self.numbers[0]);
                self.decide(capture(number, *amount));
            }
            Move::Refund(amount) => {
                let number = next(&mut self.numbers[1]);
                self.decide(refund(number, *amount));
            }
            Move::DoLate => self.do_late(),
            Move::Again { refund: is_refund, less } => {
                let moves = &self.payment.moves;
                let is_tried = |number: u32| moves.iter().any(|known| known.refund == *is_refund && known.retries == number);
                let is_it =
                    |known: &&MoneyMove| known.refund == *is_refund && known.status() == MoveStatus::Failed && !is_tried(known.number);
                let Some((retries, amount)) = moves.iter().find(is_it).map(|known| (known.number, books::units(&known.amount))) else {
                    return;
                };
                if *is_refund {
                    let number = next(&mut self.numbers[1]);
                    self.decide(RequestRefund { retries, ..refund(number, amount) });
                } else {
                    let number = next(&mut self.numbers[0]);
                    self.decide(RequestCapture { retries, ..capture(number, (amount - less).max(0)) });
                }
            }
            Move::Void => {
                let number = next(&mut self.numbers[2]);
                self.decide(void(number));
            }
            Move::TimeOut => {
                self.is_late = true;
                self.decide(time_out());
            }
            Move::Do { refuses } => self.operate(*refuses),
            Move::Forget { does } => self.forget(*does),
            Move::Answer => self.answer(),
            Move::Act { yes } => self.act(*yes),
            Move::ByHand { refund, amount } => self.by_hand(*refund, *amount),
            Move::Deliver { nth, again } => self.deliver(*nth, *again),
        }
    }

    fn deliver(&mut self, nth: usize, again: bool) {
        if self.on_their_way.is_empty() {
            return;
        }
        let nth = nth % self.on_their_way.len();
        let command = if again { self.on_their_way[nth].clone() } else { self.on_their_way.remove(nth) };
        self.decide(command);
    }

    /// All that is on its way arrives, and all that is asked is done, until nothing is.
    pub(super) fn quiet(&mut self, order: &[usize]) {
        let mut order = order.iter().cycle();
        for _ in 0..5_000 {
            let n = *order.next().expect("it never ends");
            if self.asked.is_some() && n.is_multiple_of(2) {
                self.operate(false);
                self.answer();
            }
            self.deliver(n, n.is_multiple_of(10));
            if self.on_their_way.is_empty() && self.asked.is_none() {
                return;
            }
            if self.on_their_way.is_empty() {
                self.operate(false);
                self.answer();
            }
        }
        panic!("it never comes to rest: {:#?}", self.told);
    }

    /// The answers to each attempt, capture, refund and void, by kind and number.
    pub(super) fn answers(&self) -> BTreeMap<(usize, u32), Vec<&PaymentEvent>> {
        use PaymentEvent as E;
        let mut all: BTreeMap<(usize, u32), Vec<&PaymentEvent>> = BTreeMap::new();
        for event in &self.told {
            let of = match event {
                E::PaymentAuthorised(e) => (0, e.attempt),
                E::PaymentDeclined(e) => (0, e.attempt),
                E::PaymentEnded(e) => (0, e.attempt),
                E::PaymentCaptured(e) => (1, e.number),
                E::CaptureFailed(e) => (1, e.number),
                E::PaymentRefunded(e) => (2, e.number),
                E::RefundFailed(e) => (2, e.number),
                E::PaymentVoided(e) => (3, e.number),
                _ => continue,
            };
            all.entry(of).or_default().push(event);
        }
        all
    }

    /// Of each kind of ask, how many there were.
    pub(super) fn asks(&self) -> [u32; 4] {
        let [captures, refunds, voids] = self.numbers;
        [u32::try_from(self.means.len()).expect("few"), captures, refunds, voids]
    }
}

pub(super) fn any_move(by_hand: bool) -> impl Strategy<Value = Move> {
    let means = prop_oneof![
        4 => Just(Means::Good), 1 => Just(Means::Unknown), 2 => Just(Means::Declined), 2 => Just(Means::Acts), 1 => Just(Means::Once)
    ];
    let amount = || prop_oneof![Just(1000_i64), Just(1998), Just(3998), 0..4000_i64];
    let again = || (any::<bool>(), prop_oneof![Just(0), 0..2000_i64]).prop_map(|(refund, less)| Move::Again { refund, less });
    let refuses = || prop::bool::weighted(0.2);
    prop_oneof![
        3 => means.prop_map(Move::Pay),
        3 => amount().prop_map(Move::Capture),
        4 => prop_oneof![amount().prop_map(Move::Refund), again()],
        1 => prop::bool::weighted(0.5).prop_map(|gives_up| if gives_up { Move::Void } else { Move::Answer }),
        1 => prop::bool::weighted(0.5).prop_map(|late| if late { Move::TimeOut } else { Move::Answer }),
        8 => refuses().prop_map(|refuses| Move::Do { refuses }),
        8 => Just(Move::Answer),
        1 => any::<bool>().prop_map(|yes| Move::Act { yes }),
        // Beside what moves by hand a payment need not show what came of what the provider has forgotten.
        2 => (any::<bool>(), amount()).prop_map(move |(refund, amount)| match by_hand {
            true => Move::ByHand { refund, amount },
            false => Move::Forget { does: refund },
        }),
        12 => (0..9_usize, any::<bool>()).prop_map(|(nth, again)| Move::Deliver { nth, again }),
    ]
}
