//! What the provider is asked next: one operation at a time. What waits is worked out from the state when the one before has ended, so what
//! was overtaken meanwhile is not asked at all.

use daybook_kernel::Instant;
use shop_proto::common::v1::Money;
use shop_proto::payment::v1::*;

use super::{NOT_AUTHORISED, OVER_LIMIT, Story, books, provider};

/// The provider is asked.
pub(super) fn asked(state: &mut PaymentState, e: &ProviderAsked) {
    state.ask = e.ask;
    let amount = books::units(&e.amount);
    let mut flight =
        AskInFlight { ask: e.ask, number: e.number, undo: e.undo, amount, object_id: e.object_id.clone(), ..Default::default() };
    flight.set_operation(e.operation());
    let object = provider::object(state, &e.object_id);
    flight.taken = object.filter(|_| e.operation() == Operation::Refund).map_or(0, |object| books::taken(state, object));
    match e.operation() {
        Operation::Create => state.created = e.number,
        Operation::Confirm => state.confirmed = e.number,
        Operation::Capture | Operation::Refund if e.again > 0 => flight.before = e.before,
        Operation::Capture => flight.before = object.map_or(0, |object| books::taken(state, object)),
        Operation::Refund => flight.before = object.map_or(0, |object| books::given_back(state, object)),
        Operation::Cancel | Operation::Look | Operation::Unspecified => {}
    }
    let object = state.objects.iter_mut().find(|object| provider::id(object) == e.object_id);
    match (e.operation(), object) {
        (Operation::Cancel, Some(object)) => object.cancels = object.cancels.saturating_add(1),
        (Operation::Refund, Some(object)) if e.undo => object.undo_in_doubt = 0,
        (Operation::Capture | Operation::Refund, _) if !e.undo => {
            let refund = e.operation() == Operation::Refund;
            books::moved(state, refund, e.number, &e.amount, MoveStatus::Asked);
            if let Some(known) = state.moves.iter_mut().find(|known| known.refund == refund && known.number == e.number) {
                (known.before, known.asked) = (flight.before, amount);
            }
        }
        _ => {}
    }
    if e.undo {
        state.undos = state.undos.max(e.number);
    }
    state.in_flight = Some(flight);
}

impl Story {
    /// Takes each step that can be taken now, until the provider has to be waited for.
    pub(super) fn go_on(&mut self) {
        self.judge();
        self.deviate();
        while self.state.in_flight.is_none() && self.step() {}
        // What was done unasked may count for what was asked since.
        self.deviate();
    }

    /// The next step; false: there is none.
    fn step(&mut self) -> bool {
        self.cancel()
            || self.look_closer()
            || self.attempt()
            || self.give_back_again()
            || self.move_money()
            || self.give_back()
            || self.undone()
    }

    fn ask(&mut self, operation: Operation, number: u32, ask: ProviderAsked) -> bool {
        let (order_id, customer_id) = (self.order_id.clone(), self.state.customer_id.clone());
        let ask = ProviderAsked { order_id, customer_id, ask: self.state.ask.saturating_add(1), number, ..ask };
        self.tell(ProviderAsked { operation: operation.into(), ..ask });
        true
    }

    /// Cancels what the order is not paid with, and what it will not take.
    fn cancel(&mut self) -> bool {
        let state = &self.state;
        let is_next = |object: &&ProviderObject| provider::is_over_with(state, object) && provider::is_alive(state, object);
        let Some(object) = state.objects.iter().find(is_next) else { return false };
        // The first of an attempt has its number; any other has one of its own, or the provider would repeat what it answered.
        let undo = object.attempt == 0 || object.cancels > 0;
        let number = if undo { state.undos.saturating_add(1) } else { object.attempt };
        let object_id = provider::id(object).to_owned();
        self.ask(Operation::Cancel, number, ProviderAsked { undo, object_id, ..Default::default() })
    }

    /// Asks how an object stands whose cancellation was refused: it may have ended already, or be what somebody may still take money with.
    fn look_closer(&mut self) -> bool {
        let next = provider::left_open(&self.state).find(|object| object.unseen);
        let Some(object_id) = next.map(|object| provider::id(object).to_owned()) else { return false };
        self.look(object_id)
    }

    /// Asks how an object stands, under a number of the payment's own.
    fn look(&mut self, object_id: String) -> bool {
        let number = self.state.undos.saturating_add(1);
        self.ask(Operation::Look, number, ProviderAsked { undo: true, object_id, ..Default::default() })
    }

    /// The next operation of the attempt that is open.
    fn attempt(&mut self) -> bool {
        let state = &self.state;
        if !state.attempt_open {
            return false;
        }
        let attempt = state.attempt;
        let object = provider::of_attempt(state);
        let object_id = object.map(|object| provider::id(object).to_owned()).unwrap_or_default();
        if state.timed_out {
            // Where the provider was asked once more, or has nothing to be asked about, the attempt has ended already.
            let look = ProviderAsked { object_id, ..Default::default() };
            return object.is_some() && !state.looked && self.ask(Operation::Look, attempt, look);
        }
        let begins = ProviderAsked {
            amount: state.amount.clone(),
            object_id,
            payment_token: state.payment_token.clone(),
            not_after: state.pay_until,
            ..Default::default()
        };
        let is_made = object.is_some_and(|object| provider::status(object) <= ProviderStatus::Created);
        if state.created != attempt {
            self.ask(Operation::Create, attempt, begins)
        } else {
            is_made && state.confirmed != attempt && self.ask(Operation::Confirm, attempt, begins)
        }
    }

    /// The next capture or refund of the order.
    fn move_money(&mut self) -> bool {
        let state = &self.state;
        let Some(next) = state.moves.iter().find(|known| known.status() == MoveStatus::Unspecified).cloned() else { return false };
        let Some(object) = provider::of_attempt(state) else {
            self.answer(next, Some(NOT_AUTHORISED.to_owned()));
            return true;
        };
        if next.refund && books::is_too_much(state, &next) {
            self.answer(next, Some(OVER_LIMIT.to_owned()));
            return true;
        }
        let object_id = provider::id(object).to_owned();
        let operation = if next.refund { Operation::Refund } else { Operation::Capture };
        let (number, again, before) = (next.number, next.again, next.before);
        let ask = |units: i64, ask: ProviderAsked| {
            let amount = next.amount.clone().map(|amount| Money { minor_units: units, ..amount });
            ProviderAsked { amount, object_id: object_id.clone(), ..ask }
        };
        if again > 0 {
            if !next.refund && state.voided > 0 {
                // Nothing more is taken. It waits for its answer because it may have been: the provider shows that.
                let attempt = state.attempt;
                return self.ask(Operation::Look, attempt, ProviderAsked { object_id, again, ..Default::default() });
            }
            return self.ask(operation, number, ask(next.asked, ProviderAsked { again, before, ..Default::default() }));
        }
        if next.retries > 0 && !next.looked {
            return self.look(object_id);
        }
        let done = books::done_unasked(state, object, &next);
        let rest = books::units(&next.amount).saturating_sub(done);
        // What was done after all counts though nothing more can be done, but never beyond what is authorised.
        let no = books::refusal(state, &next).filter(|no| next.retries > 0 && (rest > 0 || *no == OVER_LIMIT));
        if rest == 0 || no.is_some() {
            self.answer(next, no.map(str::to_owned));
            return true;
        }
        self.ask(operation, number, ask(rest, ProviderAsked::default()))
    }

    /// Gives back what the provider has forgotten the outcome of, before money is moved otherwise: what is given back meanwhile would be taken for it.
    fn give_back_again(&mut self) -> bool {
        let in_doubt = self.state.objects.iter().find(|object| object.undo_in_doubt > 0);
        let Some((id, before, amount)) = in_doubt.map(|object| (provider::id(object), object.undo_before, object.undo_in_doubt)) else {
            return false;
        };
        self.ask_undo(id.to_owned(), amount, ProviderAsked { again: 1, before, ..Default::default() })
    }

    /// Gives back what was taken and the order is not paid with, or not for.
    fn give_back(&mut self) -> bool {
        let Some((object_id, amount)) = books::next_undo(&self.state) else { return false };
        self.ask_undo(object_id, amount, ProviderAsked::default())
    }

    fn ask_undo(&mut self, object_id: String, minor_units: i64, ask: ProviderAsked) -> bool {
        let known = provider::object(&self.state, &object_id).and_then(|object| object.known.as_ref());
        let currency = known.map(|known| known.currency.clone()).unwrap_or_default();
        let number = self.state.undos.saturating_add(1);
        let amount = Some(Money { currency, minor_units });
        self.ask(Operation::Refund, number, ProviderAsked { undo: true, amount, object_id, ..ask })
    }

    /// All that a release or a void asks for has been answered. What the provider has refused to cancel is open still, until it ends by itself or
    /// is tried again with success. What it has refused to give back keeps nobody waiting: the customer has it once a later try succeeds.
    fn undone(&mut self) -> bool {
        let is_open = provider::left_open(&self.state).next().is_some();
        if !is_open {
            for number in self.state.releases_open.clone() {
                self.tell(PaymentReleased { order_id: self.order_id.clone(), number });
            }
            for number in self.state.voids_open.clone() {
                self.tell(PaymentVoided { order_id: self.order_id.clone(), number });
            }
        }
        if self.state.retry_at.is_none() && (is_open || books::is_any_undo_refused(&self.state)) {
            let ends = provider::left_open(&self.state).filter_map(provider::ends_at);
            let ends = ends.map(|end| Instant::from_proto(&end)).filter(|end| *end > self.now);
            let retry_at = ends.chain([self.later]).min().map(|at| at.to_proto());
            self.tell(CancelRefused { order_id: self.order_id.clone(), retry_at });
        }
        false
    }
}
