//! Where the pieces of one order come from: planned, held, confirmed or given up.

mod answers;
mod plan;

#[cfg(test)]
mod search;
#[cfg(test)]
mod spec;

use std::collections::BTreeMap;

pub use answers::{AllocationAnswers, Answering, Holding};
use daybook_kernel::{Context, Decider, Decision};
use prost_types::Timestamp;
use shop_proto::inventory::v1::*;

/// Where the pieces of one order come from. Stream `allocation/{order_id}`.
pub struct Allocation;

/// The most pieces of one product that a stock can be asked for.
const MOST_PIECES: u32 = 1_000_000_000;
/// The most plans of one attempt: the first, and three more.
const MOST_PLANS: u32 = 4;

impl Decider for Allocation {
    type Command = AllocationCommand;
    type Event = AllocationEvent;
    type State = AllocationState;
    type Refusal = AllocationRefusal;

    fn decide(state: &AllocationState, command: &AllocationCommand, _: &Context) -> Decision<Self> {
        use AllocationCommand as C;
        let mut story = Story { state: state.clone(), order_id: command.order_id().to_owned(), events: Vec::new(), refusal: None };
        match command {
            C::AllocateOrder(c) => story.allocate(c),
            C::ConfirmAllocation(c) => story.confirm(c.attempt),
            C::ReleaseAllocation(c) => story.release(c.attempt),
            C::TimeOutAllocation(c) if c.confirm => story.time_out_confirmation(c.attempt),
            C::TimeOutAllocation(c) => story.time_out(c.attempt),
            C::RecordStockAnswer(c) if !matters(state, c) => return Decision::nothing(),
            C::RecordStockAnswer(c) => story.tell(StockAnswerRecorded::from(c)),
        }
        story.go_on();
        match story.refusal {
            Some(refusal) => Decision::refuse_with(refusal, story.events),
            None => Decision::events(story.events),
        }
    }

    fn evolve(state: &mut AllocationState, event: &AllocationEvent) {
        use AllocationEvent as E;
        match event {
            E::AllocationAsked(e) => {
                (state.attempt, state.attempt_open, state.plans) = (e.attempt, true, 0);
                (state.undeliverable, state.timed_out, state.hold_until) = (e.undeliverable, false, e.hold_until);
                state.lines.clone_from(&e.lines);
                state.set_status(AllocationStatus::Planning);
                know(state, &e.candidates);
            }
            E::HoldAsked(e) => {
                if e.ask > state.ask {
                    state.plans = state.plans.saturating_add(1);
                }
                state.regained |= state.confirm_open && !state.attempt_open;
                asked(state, e.ask, e.hold.as_ref(), HoldStatus::Asked);
            }
            E::HoldConfirmAsked(e) => asked(state, e.ask, e.hold.as_ref(), HoldStatus::Confirming),
            E::HoldReleaseAsked(e) => asked(state, e.ask, e.hold.as_ref(), HoldStatus::Releasing),
            E::StockAnswerRecorded(e) => answers::answered(state, e),
            E::Allocated(_) => {
                state.attempt_open = false;
                state.set_status(AllocationStatus::Allocated);
            }
            E::NotAllocated(e) => {
                // Its time may be over before it has come.
                (state.attempt, state.attempt_open) = (state.attempt.max(e.attempt), false);
                state.timed_out = e.timed_out;
                state.set_status(AllocationStatus::Failed);
            }
            E::AllocationConfirmAsked(e) => {
                (state.confirm_attempt, state.confirm_open, state.regained) = (e.attempt, true, false);
                state.confirm_timed_out = false;
            }
            E::AllocationConfirmed(_) => {
                state.confirm_open = false;
                state.set_status(AllocationStatus::Confirmed);
            }
            E::AllocationLost(e) => {
                (state.confirm_attempt, state.confirm_open) = (state.confirm_attempt.max(e.attempt), false);
                state.confirm_timed_out = e.timed_out;
            }
            E::AllocationReleaseAsked(e) => (state.release_attempt, state.release_open) = (e.attempt, true),
            E::AllocationReleased(_) => state.release_open = false,
            E::AllocationSuperseded(e) => match e.command.as_str() {
                ALLOCATE if e.attempt == state.attempt => state.attempt_open = false,
                CONFIRM if e.attempt == state.confirm_attempt => state.confirm_open = false,
                RELEASE if e.attempt == state.release_attempt => state.release_open = false,
                _ => {}
            },
        }
    }
}

const ALLOCATE: &str = "AllocateOrder";
const CONFIRM: &str = "ConfirmAllocation";
const RELEASE: &str = "ReleaseAllocation";

/// The key of a stock among those that are known.
fn key(sku: &str, warehouse: &str) -> String {
    format!("{sku}@{warehouse}")
}

/// Another attempt's candidates: what was read of them holds, and what is held stays held.
fn know(state: &mut AllocationState, candidates: &[Candidate]) {
    for stock in state.stocks.values_mut() {
        stock.priority = 0;
        if stock.status() == HoldStatus::Lost {
            stock.set_status(HoldStatus::Unspecified);
        }
    }
    for c in candidates {
        let stock = state.stocks.entry(key(&c.sku, &c.warehouse)).or_default();
        stock.sku.clone_from(&c.sku);
        stock.warehouse.clone_from(&c.warehouse);
        (stock.priority, stock.available) = (c.priority, c.available);
    }
    state.stocks.retain(|_, stock| stock.priority > 0 || stock.status() != HoldStatus::Unspecified);
}

fn asked(state: &mut AllocationState, ask: u32, hold: Option<&Hold>, status: HoldStatus) {
    state.ask = state.ask.max(ask);
    let Some(hold) = hold else { return };
    if let Some(stock) = state.stocks.get_mut(&key(&hold.sku, &hold.warehouse)) {
        (stock.ask, stock.quantity) = (ask, hold.quantity);
        stock.set_status(status);
    }
}

/// Whether an answer is one that is waited for, or a fact of what is held. Answers to other asks say nothing any more: what has been given up since
/// is closed at the stock for all asks before.
fn matters(state: &AllocationState, c: &RecordStockAnswer) -> bool {
    let Some(stock) = state.stocks.get(&key(&c.sku, &c.warehouse)) else { return false };
    let of_it = c.ask == stock.ask;
    match c.answer() {
        StockAnswer::Held | StockAnswer::Refused | StockAnswer::HeldOtherwise => of_it && stock.status() == HoldStatus::Asked,
        StockAnswer::Confirmed | StockAnswer::Lost => of_it && stock.status() == HoldStatus::Confirming,
        StockAnswer::Released => of_it && matches!(stock.status(), HoldStatus::Asked | HoldStatus::Releasing),
        StockAnswer::Expired => of_it && stock.status() == HoldStatus::Held,
        StockAnswer::Fewer => matches!(stock.status(), HoldStatus::Held | HoldStatus::Confirming | HoldStatus::Confirmed),
        StockAnswer::Unspecified => false,
    }
}

/// The pieces that an order holds in a stock.
fn hold_of(stock: &KnownStock) -> Hold {
    Hold { sku: stock.sku.clone(), warehouse: stock.warehouse.clone(), quantity: stock.quantity }
}

/// A decision on its way: the state after the events that it has come to.
struct Story {
    state: AllocationState,
    order_id: String,
    events: Vec<AllocationEvent>,
    refusal: Option<TooManyPieces>,
}

impl Story {
    fn tell(&mut self, event: impl Into<AllocationEvent>) {
        let event = event.into();
        Allocation::evolve(&mut self.state, &event);
        self.events.push(event);
    }

    fn supersede(&mut self, command: &str, attempt: u32) {
        let (order_id, command) = (self.order_id.clone(), command.to_owned());
        self.tell(AllocationSuperseded { order_id, attempt, command });
    }

    /// Asks that are still open are not answered any more.
    fn supersede_open(&mut self, commands: &[&str]) {
        let state = &self.state;
        let open = [
            (ALLOCATE, state.attempt_open, state.attempt),
            (CONFIRM, state.confirm_open, state.confirm_attempt),
            (RELEASE, state.release_open, state.release_attempt),
        ];
        for (command, _, attempt) in open.into_iter().filter(|(command, is_open, _)| *is_open && commands.contains(command)) {
            self.supersede(command, attempt);
        }
    }

    fn is_given_up(&self) -> bool {
        self.state.release_attempt > 0
    }

    fn allocate(&mut self, c: &AllocateOrder) {
        let is_timed_out = c.attempt == self.state.attempt && self.state.timed_out;
        if self.is_given_up() || c.attempt < self.state.attempt || is_timed_out {
            return self.supersede(ALLOCATE, c.attempt);
        }
        if c.attempt == self.state.attempt {
            if !self.state.attempt_open {
                self.tell_allocated();
            }
            return;
        }
        self.supersede_open(&[ALLOCATE, CONFIRM]);
        let lines = plan::added_up(&c.lines);
        let too_many = lines.iter().find(|line| line.quantity > MOST_PIECES).cloned();
        self.tell(AllocationAsked { lines, ..c.into() });
        if let Some(AllocatedLine { sku, quantity }) = too_many {
            self.refusal = Some(TooManyPieces { sku, requested: quantity, limit: MOST_PIECES });
            self.not_allocated();
        } else if c.undeliverable {
            self.not_allocated();
        }
    }

    /// The answer to the last attempt, once more.
    fn tell_allocated(&mut self) {
        match self.state.status() {
            AllocationStatus::Allocated | AllocationStatus::Confirmed => self.allocated(),
            _ => self.not_allocated(),
        }
    }

    fn confirm(&mut self, attempt: u32) {
        let is_timed_out = attempt == self.state.confirm_attempt && self.state.confirm_timed_out;
        if self.is_given_up() || attempt < self.state.confirm_attempt || is_timed_out {
            return self.supersede(CONFIRM, attempt);
        }
        if attempt == self.state.confirm_attempt && self.state.confirm_open {
            return;
        }
        self.supersede_open(&[CONFIRM]);
        let order_id = self.order_id.clone();
        self.tell(AllocationConfirmAsked { order_id, attempt });
    }

    /// Whether the time of an ask that is over changes something: it is open, or has not come yet.
    fn is_unanswered(&self, attempt: u32, last: u32, is_open: bool) -> bool {
        !self.is_given_up() && (attempt > last || (attempt == last && is_open))
    }

    fn time_out(&mut self, attempt: u32) {
        if !self.is_unanswered(attempt, self.state.attempt, self.state.attempt_open) {
            return;
        }
        if attempt > self.state.attempt {
            self.supersede_open(&[ALLOCATE, CONFIRM]);
        }
        self.tell(NotAllocated { order_id: self.order_id.clone(), attempt, timed_out: true, ..Default::default() });
    }

    fn time_out_confirmation(&mut self, attempt: u32) {
        if !self.is_unanswered(attempt, self.state.confirm_attempt, self.state.confirm_open) {
            return;
        }
        if attempt > self.state.confirm_attempt {
            self.supersede_open(&[CONFIRM]);
        }
        self.tell(AllocationLost { order_id: self.order_id.clone(), attempt, lost: Vec::new(), timed_out: true });
    }

    fn release(&mut self, attempt: u32) {
        if attempt < self.state.release_attempt {
            return self.supersede(RELEASE, attempt);
        }
        if attempt == self.state.release_attempt && self.state.release_open {
            return;
        }
        self.supersede_open(&[ALLOCATE, CONFIRM, RELEASE]);
        let order_id = self.order_id.clone();
        self.tell(AllocationReleaseAsked { order_id, attempt });
    }

    /// Stocks that stand in one of these ways.
    fn standing(&self, statuses: &[HoldStatus]) -> Vec<Hold> {
        self.state.stocks.values().filter(|stock| statuses.contains(&stock.status())).map(hold_of).collect()
    }

    fn waits(&self) -> bool {
        !self.standing(&[HoldStatus::Asked, HoldStatus::Confirming, HoldStatus::Releasing]).is_empty()
    }

    /// Takes each step that can be taken now, until something has to be waited for.
    fn go_on(&mut self) {
        // Also what has not answered yet: its answer may be lost, and the stock closes the place where this comes first.
        let all = [HoldStatus::Asked, HoldStatus::Held, HoldStatus::Confirming, HoldStatus::Confirmed];
        if self.is_given_up() {
            self.ask_back(&self.standing(&all));
            if self.state.release_open && !self.waits() {
                let (order_id, attempt) = (self.order_id.clone(), self.state.release_attempt);
                self.tell(AllocationReleased { order_id, attempt });
            }
            return;
        }
        if !self.waits() && self.state.attempt_open {
            self.plan();
        }
        if !self.state.attempt_open && self.state.status() == AllocationStatus::Failed {
            self.ask_back(&self.standing(&all));
        }
        if !self.waits() && !self.state.attempt_open && self.state.confirm_open {
            self.keep();
        }
    }

    fn ask_back(&mut self, holds: &[Hold]) {
        let ask = self.state.ask.saturating_add(1);
        for hold in holds {
            self.tell(HoldReleaseAsked { order_id: self.order_id.clone(), ask, hold: Some(hold.clone()) });
        }
    }

    fn ask_for(&mut self, holds: Vec<Hold>, hold_until: Option<Timestamp>) {
        let ask = self.state.ask.saturating_add(1);
        for hold in holds {
            self.tell(HoldAsked { order_id: self.order_id.clone(), ask, hold: Some(hold), hold_until });
        }
    }

    /// Nothing is waited for: what is held is all that is known to be. Holds that the plan wants are kept; others are given back first, for a
    /// stock holds one quantity of an order.
    fn plan(&mut self) {
        let Some(wanted) = plan::plan(&self.state) else { return self.not_allocated() };
        let held = self.standing(&[HoldStatus::Held, HoldStatus::Confirmed]);
        let is_wanted = |hold: &Hold| wanted.get(&key(&hold.sku, &hold.warehouse)).is_some_and(|w| w.quantity == hold.quantity);
        let unequal: Vec<Hold> = held.iter().filter(|hold| !is_wanted(hold)).cloned().collect();
        let held: BTreeMap<String, &Hold> = held.iter().map(|hold| (key(&hold.sku, &hold.warehouse), hold)).collect();
        let lacking: Vec<Hold> = wanted.iter().filter(|(key, _)| !held.contains_key(*key)).map(|(_, hold)| hold.clone()).collect();
        if !unequal.is_empty() {
            self.ask_back(&unequal);
        } else if lacking.is_empty() {
            self.allocated();
        } else if self.state.plans >= MOST_PLANS {
            self.not_allocated();
        } else {
            self.ask_for(lacking, self.state.hold_until);
        }
    }

    fn allocated(&mut self) {
        let holds = self.standing(&[HoldStatus::Held, HoldStatus::Confirmed]);
        let (order_id, attempt) = (self.order_id.clone(), self.state.attempt);
        self.tell(Allocated { order_id, attempt, holds });
    }

    fn not_allocated(&mut self) {
        let (order_id, attempt, undeliverable) = (self.order_id.clone(), self.state.attempt, self.state.undeliverable);
        let lines = if undeliverable { Vec::new() } else { plan::missing(&self.state) };
        self.tell(NotAllocated { order_id, attempt, lines, undeliverable, timed_out: false });
    }

    /// Confirms what is held, and asks once more for what was lost.
    fn keep(&mut self) {
        let (order_id, attempt) = (self.order_id.clone(), self.state.confirm_attempt);
        let lost = self.standing(&[HoldStatus::Lost]);
        let is_allocated = matches!(self.state.status(), AllocationStatus::Allocated | AllocationStatus::Confirmed);
        if !is_allocated {
            return self.tell(AllocationLost { order_id, attempt, lost, timed_out: false });
        }
        // First what is held, so that all that is lost is known when it is asked for: holds of one plan end at one time.
        let ask = self.state.ask.saturating_add(1);
        for hold in self.standing(&[HoldStatus::Held]) {
            self.tell(HoldConfirmAsked { order_id: order_id.clone(), ask, hold: Some(hold) });
        }
        if self.waits() {
            return;
        }
        if lost.is_empty() {
            let holds = self.standing(&[HoldStatus::Confirmed]);
            self.tell(AllocationConfirmed { order_id, attempt, holds });
        } else if self.state.regained {
            self.tell(AllocationLost { order_id, attempt, lost, timed_out: false });
        } else {
            // The time until which a customer may pay may be over.
            self.ask_for(lost, None);
        }
    }
}
