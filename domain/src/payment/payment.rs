//! The payment of an order: one operation at the provider at a time, and books that every fact of it may reach in any order.

use std::convert::Infallible;

use daybook_kernel::{Context, Decider, Decision, Instant};
use shop_proto::payment::v1::*;

mod answers;
mod asks;
mod books;
mod judging;
#[cfg(test)]
mod laws;
mod provider;
#[cfg(test)]
mod spec;
#[cfg(test)]
mod world;

mod waits;

pub use answers::{PaymentAnswers, PaymentDeadlines};
pub use waits::WAITS;

/// The payment of an order. Stream `payment/{order_id}`.
pub struct Payment;

/// Why a payment has ended.
const TIMEOUT: &str = "timeout";
const VOID: &str = "void";
/// The same of one whose rest the order has let go.
const RELEASED: &str = "released";
const SUPERSEDED: &str = "superseded";
/// Why money can't be taken or given back, where the provider has no word for it.
const NOT_AUTHORISED: &str = "not-authorised";
const OVER_LIMIT: &str = "over-limit";
const REFUSED: &str = "refused";
/// Why it was declined, where the provider has no word for it.
const CANCELLED: &str = "cancelled";
const AMOUNT_DIFFERS: &str = "amount-differs";

impl Decider for Payment {
    type Command = PaymentCommand;
    type Event = PaymentEvent;
    type State = PaymentState;
    type Refusal = Infallible;

    fn decide(state: &PaymentState, command: &PaymentCommand, context: &Context) -> Decision<Self> {
        use PaymentCommand as C;
        let (order_id, now, later) = (command.order_id().to_owned(), context.now(), context.after(&waits::CANCEL));
        let mut story = Story { state: state.clone(), order_id, now, later, ..Story::default() };
        match command {
            C::RequestPayment(c) => story.pay(c),
            C::RequestCapture(c) => story.capture(c),
            C::RequestRefund(c) => story.refund(c),
            C::RequestRelease(c) => story.release(c),
            C::RequestVoid(c) => story.void(c),
            C::TimeOutPayment(c) => story.time_out(c),
            C::RetryCancel(c) => story.retry_cancel(c),
            C::RecordOperation(c) => story.hear(c.into()),
            C::RecordProviderNotice(c) if state.notices.contains(&c.notice_id) => {}
            C::RecordProviderNotice(c) => story.hear(c.into()),
        }
        story.go_on();
        Decision::events(story.events)
    }

    fn evolve(state: &mut PaymentState, event: &PaymentEvent) {
        use PaymentEvent as E;
        match event {
            E::PaymentRequested(e) => {
                state.customer_id.clone_from(&e.customer_id);
                state.payment_token.clone_from(&e.payment_token);
                state.amount.clone_from(&e.amount);
                state.pay_until = e.pay_until;
                (state.attempt, state.requested, state.attempt_open) = (e.attempt, e.attempt, true);
                (state.authorised, state.authorisation_lost, state.action_told) = (false, false, false);
            }
            E::PaymentAuthorised(_) => {
                close(state);
                state.authorised = true;
            }
            E::PaymentDeclined(_) => close(state),
            E::PaymentEnded(e) => {
                state.requested = state.requested.max(e.attempt);
                if e.attempt == state.attempt {
                    close(state);
                }
            }
            E::PaymentActionRequired(_) => state.action_told = true,
            E::PaymentTimedOut(_) => state.timed_out = true,
            E::AuthorisationLost(_) => state.authorisation_lost = true,
            E::ReleaseRequested(e) => {
                state.released = e.number;
                state.releases_open.push(e.number);
            }
            E::PaymentReleased(e) => {
                state.releases_open.retain(|number| *number != e.number);
                state.retry_at = None;
            }
            E::VoidRequested(e) => {
                state.voided = e.number;
                state.voids_open.push(e.number);
            }
            E::PaymentVoided(e) => {
                state.voids_open.retain(|number| *number != e.number);
                state.retry_at = None;
            }
            E::CancelRefused(e) => state.retry_at = e.retry_at,
            E::CancelRetried(_) => provider::cancel_anew(state),
            E::CaptureRequested(e) => books::requested(state, false, e.number, &e.amount, e.retries),
            E::PaymentCaptured(e) => books::moved(state, false, e.number, &e.amount, MoveStatus::Done),
            E::CaptureFailed(e) => books::moved(state, false, e.number, &e.amount, MoveStatus::Failed),
            E::RefundRequested(e) => books::requested(state, true, e.number, &e.amount, e.retries),
            E::PaymentRefunded(e) => books::moved(state, true, e.number, &e.amount, MoveStatus::Done),
            E::RefundFailed(e) => books::moved(state, true, e.number, &e.amount, MoveStatus::Failed),
            E::PaymentDeviated(e) => (state.deviated_captured, state.deviated_refunded) = (e.captured, e.refunded),
            E::ProviderAsked(e) => asks::asked(state, e),
            E::ProviderHeard(e) => provider::heard(state, e),
        }
    }
}

/// The attempt has its answer: its means of payment are not needed any more.
fn close(state: &mut PaymentState) {
    state.attempt_open = false;
    state.payment_token.clear();
}

/// A decision on its way: the state after the events that it has come to.
#[derive(Default)]
struct Story {
    state: PaymentState,
    order_id: String,
    events: Vec<PaymentEvent>,
    now: Instant,
    /// When the provider is asked again for what it has refused to cancel, or to give back, now.
    later: Instant,
    /// What the provider has said in this message, and only tells on.
    code: String,
    url: String,
}

impl Story {
    fn tell(&mut self, event: impl Into<PaymentEvent>) {
        let event = event.into();
        Payment::evolve(&mut self.state, &event);
        self.events.push(event);
    }

    fn ended(&mut self, attempt: u32, reason: &str) {
        let (order_id, reason) = (self.order_id.clone(), reason.to_owned());
        self.tell(PaymentEnded { order_id, attempt, reason });
    }

    fn pay(&mut self, c: &RequestPayment) {
        let state = &self.state;
        if c.attempt == state.attempt || c.attempt == state.requested {
            return;
        }
        if state.voided > 0 {
            self.ended(c.attempt, VOID);
        } else if state.released > 0 {
            self.ended(c.attempt, RELEASED);
        } else if state.timed_out {
            self.ended(c.attempt, TIMEOUT);
        } else if c.attempt < state.requested || books::is_taken(state) {
            self.ended(c.attempt, SUPERSEDED);
        } else {
            if state.attempt_open {
                self.ended(state.attempt, SUPERSEDED);
            }
            self.tell(PaymentRequested::from(c));
        }
    }

    fn capture(&mut self, c: &RequestCapture) {
        let asked = MoneyMove { number: c.number, amount: c.amount.clone(), retries: c.retries, ..Default::default() };
        self.request(asked, CaptureRequested::from(c));
    }

    fn refund(&mut self, c: &RequestRefund) {
        let asked = MoneyMove { refund: true, number: c.number, amount: c.amount.clone(), retries: c.retries, ..Default::default() };
        self.request(asked, RefundRequested::from(c));
    }

    /// What tries again is asked for in any case: what failed may have been done after all, and the provider is asked first. A void gives back
    /// all anyway.
    fn request(&mut self, asked: MoneyMove, requested: impl Into<PaymentEvent>) {
        if books::is_asked(&self.state, asked.refund, asked.number) {
            return;
        }
        let no = books::refusal(&self.state, &asked);
        if no.is_none() || asked.retries > 0 {
            self.tell(requested);
        }
        let waits = if asked.retries > 0 { self.state.voided == 0 } else { no.is_none() && books::units(&asked.amount) > 0 };
        if !waits {
            self.answer(asked, no.map(str::to_owned));
        }
    }

    /// Numbers of releases come in order: one that is not higher has been heard. Money that was asked for before is taken first.
    fn release(&mut self, c: &RequestRelease) {
        if c.number > self.state.released {
            self.tell(ReleaseRequested::from(c));
        }
    }

    /// Numbers of voids come in order: one that is not higher has been heard.
    fn void(&mut self, c: &RequestVoid) {
        if c.number <= self.state.voided {
            return;
        }
        self.tell(VoidRequested::from(c));
        if self.state.attempt_open {
            self.ended(self.state.attempt, VOID);
        }
        // What the provider was asked for is waited for: it may have been done, also where the provider has forgotten it. Refunds that wait are
        // done first, for they are promised.
        for waiting in books::waiting_captures(&self.state).into_iter().filter(|waiting| waiting.again == 0) {
            let (order_id, code) = (self.order_id.clone(), VOID.to_owned());
            self.tell(CaptureFailed { order_id, number: waiting.number, amount: waiting.amount, code });
        }
    }

    fn retry_cancel(&mut self, c: &RetryCancel) {
        if self.state.retry_at.is_some() && self.state.retry_at == c.due_at {
            self.tell(CancelRetried::from(c));
        }
    }

    fn time_out(&mut self, c: &TimeOutPayment) {
        let state = &self.state;
        let is_over = state.authorised || state.timed_out || state.voided > 0;
        if state.attempt == 0 || is_over || c.due_at != state.pay_until {
            return;
        }
        self.tell(PaymentTimedOut::from(c));
        if !self.state.attempt_open {
            // It was declined, and no other means came.
            self.ended(self.state.attempt, TIMEOUT);
        }
    }
}
