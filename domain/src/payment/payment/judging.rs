//! What the provider has said, judged: each ask of the order gets its answer.

use shop_proto::payment::v1::*;

use super::{AMOUNT_DIFFERS, CANCELLED, REFUSED, Story, TIMEOUT, VOID, books, provider};

impl Story {
    /// Takes in an answer or a notice.
    pub(super) fn hear(&mut self, heard: ProviderHeard) {
        let said = heard.payment.as_ref();
        self.url = said.map(|payment| payment.action_url.clone()).unwrap_or_default();
        self.code = said.map(|payment| payment.code.clone()).filter(|code| !code.is_empty()).unwrap_or_else(|| heard.code.clone());
        let (ask, result) = (heard.ask, heard.result());
        let answered = self.state.in_flight.clone().filter(|flight| flight.ask == ask);
        self.tell(heard);
        // First what is known to be so, then what was said of the operation.
        self.judge();
        if let Some(flight) = answered {
            self.settle(&flight, result);
        }
    }

    /// The provider's word; this one where it has none.
    fn word(&self, or: &str) -> String {
        if self.code.is_empty() { or.to_owned() } else { self.code.clone() }
    }

    /// The answers that follow from what is known.
    pub(super) fn judge(&mut self) {
        self.judge_attempt();
        self.judge_authorisation();
        let Some(flight) = self.state.in_flight.clone() else { return };
        if provider::is_covered(&self.state, &flight) {
            self.end_move(&flight, None);
        }
    }

    fn judge_attempt(&mut self) {
        use ProviderStatus as S;
        let state = &self.state;
        if !state.attempt_open {
            return;
        }
        let object = provider::of_attempt(state);
        let known = object.and_then(|object| object.known.clone()).unwrap_or_default();
        match known.status() {
            S::Authorised if is_enough(state, &known) => {
                let (order_id, attempt, amount) = (self.order_id.clone(), state.attempt, state.amount.clone());
                let (captures_once, capture_before) = (known.captures_once, known.capture_before);
                self.tell(PaymentAuthorised { order_id, attempt, amount, captures_once, capture_before });
            }
            S::Authorised => self.not_paid(AMOUNT_DIFFERS.to_owned()),
            S::Declined => self.not_paid(self.word(REFUSED)),
            S::Cancelled => self.not_paid(self.word(CANCELLED)),
            _ if state.timed_out && !may_be_told(state, object.is_some()) => self.ended(state.attempt, TIMEOUT),
            S::ActionRequired if !state.timed_out && !state.action_told => {
                let (order_id, attempt, url) = (self.order_id.clone(), state.attempt, self.url.clone());
                self.tell(PaymentActionRequired { order_id, attempt, url });
            }
            _ => {}
        }
    }

    /// What the order is paid with has ended at the provider, and nobody here had asked for that.
    fn judge_authorisation(&mut self) {
        let state = &self.state;
        let is_ours = provider::is_over(state) || state.released > 0;
        if !state.authorised || state.authorisation_lost || is_ours {
            return;
        }
        if provider::of_attempt(state).is_some_and(|object| provider::is_lost(state, object)) {
            let (order_id, attempt) = (self.order_id.clone(), state.attempt);
            self.tell(AuthorisationLost { order_id, attempt });
        }
    }

    /// The attempt will not pay: other means may, while there is time.
    fn not_paid(&mut self, code: String) {
        let attempt = self.state.attempt;
        if self.state.timed_out {
            return self.ended(attempt, TIMEOUT);
        }
        self.tell(PaymentDeclined { order_id: self.order_id.clone(), attempt, code });
    }

    /// What was said of an operation counts where what is known has not answered already.
    fn settle(&mut self, flight: &AskInFlight, result: OperationResult) {
        use {Operation as O, OperationResult as R};
        match flight.operation() {
            O::Create | O::Confirm if self.state.attempt_open && flight.number == self.state.attempt => match result {
                R::Done => {}
                R::NotBegun => {
                    if !self.state.timed_out {
                        let (order_id, due_at) = (self.order_id.clone(), self.state.pay_until);
                        self.tell(PaymentTimedOut { order_id, due_at });
                    }
                    self.ended(self.state.attempt, TIMEOUT);
                }
                R::Refused | R::Unspecified => self.not_paid(self.word(REFUSED)),
            },
            O::Capture | O::Refund => {
                let no = match result {
                    _ if provider::is_covered(&self.state, flight) => None,
                    R::Done => None,
                    // It waits again, and may have been done.
                    R::NotBegun => return,
                    R::Refused | R::Unspecified => Some(self.word(REFUSED)),
                };
                self.end_move(flight, no);
            }
            O::Look if self.state.voided > 0 && !flight.undo => self.end_captures_in_doubt(),
            _ => {}
        }
    }

    /// Answers a capture or a refund of the order, once: it is done, or can't be.
    fn end_move(&mut self, flight: &AskInFlight, no: Option<String>) {
        let (number, refund) = (flight.number, flight.operation() == Operation::Refund);
        let is_it = |known: &&MoneyMove| known.refund == refund && known.number == number && known.status() == MoveStatus::Asked;
        let known = self.state.moves.iter().find(is_it).filter(|_| !flight.undo).cloned();
        known.into_iter().for_each(|known| self.answer(known, no.clone()));
    }

    /// A void came while it was not known whether these were done; the provider was asked how the payment stands.
    fn end_captures_in_doubt(&mut self) {
        for known in books::waiting_captures(&self.state) {
            let object = provider::of_attempt(&self.state).and_then(|object| object.known.as_ref());
            let is_done = object.is_some_and(|object| object.captured >= known.before.saturating_add(known.asked));
            self.answer(known, (!is_done).then(|| VOID.to_owned()));
        }
    }

    /// The answer to a capture or refund: it is done, or why it is not.
    pub(super) fn answer(&mut self, of: MoneyMove, no: Option<String>) {
        let MoneyMove { refund, number, amount, .. } = of;
        let order_id = self.order_id.clone();
        match (refund, no) {
            (false, None) => self.tell(PaymentCaptured { order_id, number, amount }),
            (false, Some(code)) => self.tell(CaptureFailed { order_id, number, amount, code }),
            (true, None) => self.tell(PaymentRefunded { order_id, number, amount }),
            (true, Some(code)) => self.tell(RefundFailed { order_id, number, amount, code }),
        }
    }
}

/// All that was asked for is authorised.
fn is_enough(state: &PaymentState, known: &ProviderPayment) -> bool {
    known.currency == books::currency(state) && known.authorised >= books::units(&state.amount)
}

/// The time is over; whether the provider still has to say how the attempt stands: it is asked, or will be.
fn may_be_told(state: &PaymentState, has_object: bool) -> bool {
    let tells = |flight: &AskInFlight| {
        let is_of_attempt = flight.number == state.attempt && !flight.undo;
        matches!(flight.operation(), Operation::Create | Operation::Confirm | Operation::Look) && is_of_attempt
    };
    state.in_flight.as_ref().is_some_and(tells) || has_object && !state.looked
}
