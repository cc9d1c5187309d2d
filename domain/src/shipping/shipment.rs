//! A shipment: pieces of an order that leave one warehouse together, and what becomes of them.

mod answers;
mod cancelling;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod spec;

pub use answers::ShipmentAnswers;
use daybook_kernel::{Context, Decider, Decision};
use shop_proto::shipping::v1::*;

/// A shipment. Stream `shipment/{order_id}@{number}`.
pub struct Shipment;

/// The carrier's notices that are known to have come: many more than a parcel has. One that is told again later is kept once more.
const MAX_NOTICES: usize = 100;

impl Decider for Shipment {
    type Command = ShipmentCommand;
    type Event = ShipmentEvent;
    type State = ShipmentState;
    type Refusal = ShipmentRefusal;

    fn decide(state: &ShipmentState, command: &ShipmentCommand, _: &Context) -> Decision<Self> {
        use ShipmentCommand as C;
        use ShipmentStatus as S;
        let mut story = Story {
            state: state.clone(),
            order_id: command.order_id().to_owned(),
            number: command.number(),
            events: Vec::new(),
            refusal: None,
        };
        match command {
            C::CreateShipment(c) => story.create(c),
            C::RecordLabel(c) => story.label(c),
            C::CancelShipment(c) => story.cancel(c),
            C::HoldShipment(c) => story.hold(c),
            C::EndShipmentHold(c) => story.end_hold(c),
            C::DispatchShipment(_) => story.dispatch(),
            C::ReportShortPick(c) => story.pick_short(c),
            C::RecordDelivered(_) => story.end(S::Delivered, "", ""),
            C::RecordLost(_) => story.end(S::Lost, "", ""),
            C::RecordReturnedToSender(_) => story.end(S::Returned, "", ""),
            C::RecordCarrierNotice(c) => story.end(c.status(), &c.notice_id, &c.kind),
        }
        match story.refusal {
            Some(refusal) => Decision::refuse(refusal),
            None => Decision::events(story.events),
        }
    }

    fn evolve(state: &mut ShipmentState, event: &ShipmentEvent) {
        use ShipmentEvent as E;
        use ShipmentStatus as S;
        match event {
            E::ShipmentCreated(e) => {
                state.created = true;
                state.warehouse.clone_from(&e.warehouse);
                state.lines.clone_from(&e.lines);
                state.set_status(if state.labelled { S::Labelled } else { S::Created });
            }
            E::ShipmentLabelled(e) => {
                state.carrier.clone_from(&e.carrier);
                state.tracking.clone_from(&e.tracking);
                state.labelled = true;
                if state.status() == S::Created {
                    state.set_status(S::Labelled);
                }
            }
            E::LabelRefused(e) => {
                state.label_refused = true;
                state.label_code.clone_from(&e.code);
            }
            E::CancelRecorded(e) => {
                cancelling::asked(state, e.ask);
                state.kept.push(KeptCancellation { ask: e.ask, lines: e.lines.clone() });
                state.kept.sort_by_key(|kept| kept.ask);
            }
            E::ShipmentCancelled(e) => {
                // What was cancelled before it was created has heard of its creation.
                state.created |= e.ask == 0;
                cancelling::answered(state, e.ask);
                taken_out(state, &e.lines, e.whole);
            }
            E::CancelTooLate(e) => cancelling::answered(state, e.ask),
            E::ShipmentHeld(e) => {
                state.held = true;
                state.hold_reason.clone_from(&e.reason);
                state.order_version = state.order_version.max(e.order_version);
            }
            E::ShipmentHoldEnded(e) => {
                state.held = false;
                state.hold_reason.clear();
                state.order_version = state.order_version.max(e.order_version);
            }
            E::ShipmentDispatched(_) => state.set_status(S::Dispatched),
            E::ShortPicked(e) => taken_out(state, &e.lines, e.whole),
            E::ShipmentDelivered(e) => ended(state, S::Delivered, &e.notice_id),
            E::ShipmentLost(e) => ended(state, S::Lost, &e.notice_id),
            E::ShipmentReturned(e) => ended(state, S::Returned, &e.notice_id),
            E::CarrierNoticeKept(e) => kept(state, e),
        }
    }
}

/// Pieces that are in it no more.
fn taken_out(state: &mut ShipmentState, gone: &[ShipmentLine], whole: bool) {
    for line in &mut state.lines {
        line.quantity = line.quantity.saturating_sub(in_it(gone, &line.sku));
    }
    state.lines.retain(|line| line.quantity > 0);
    if whole {
        state.lines.clear();
        state.set_status(ShipmentStatus::Cancelled);
    }
}

fn ended(state: &mut ShipmentState, status: ShipmentStatus, notice_id: &str) {
    // It was lost, and is found: who says once more that it is lost says nothing new.
    if is_found(state.status(), status) && !state.told.contains(&state.status) {
        state.told.push(state.status);
    }
    state.set_status(status);
    noticed(state, notice_id);
}

fn noticed(state: &mut ShipmentState, notice_id: &str) {
    if notice_id.is_empty() || state.notices.iter().any(|known| known == notice_id) {
        return;
    }
    state.notices.push(notice_id.to_owned());
    let too_many = state.notices.len().saturating_sub(MAX_NOTICES);
    state.notices.drain(..too_many);
}

fn kept(state: &mut ShipmentState, e: &CarrierNoticeKept) {
    noticed(state, &e.notice_id);
    if e.notice_id.is_empty() && !state.told.contains(&e.status) {
        state.told.push(e.status);
    }
    let may_follow = state.end() == ShipmentStatus::Unspecified || is_found(state.end(), e.status());
    if state.status() == ShipmentStatus::Unspecified && may_follow && is_end(e.status()) {
        state.set_end(e.status());
    }
}

/// What is lost may turn up: at the customer's, or back here.
fn is_found(before: ShipmentStatus, after: ShipmentStatus) -> bool {
    before == ShipmentStatus::Lost && matches!(after, ShipmentStatus::Delivered | ShipmentStatus::Returned)
}

/// What becomes of a shipment that has left.
fn is_end(status: ShipmentStatus) -> bool {
    matches!(status, ShipmentStatus::Delivered | ShipmentStatus::Lost | ShipmentStatus::Returned)
}

/// Pieces of a product.
fn in_it(lines: &[ShipmentLine], sku: &str) -> u32 {
    lines.iter().filter(|line| line.sku == sku).fold(0, |sum, line| sum.saturating_add(line.quantity))
}

/// Lines in their order, each SKU once.
fn added_up(lines: &[ShipmentLine]) -> Vec<ShipmentLine> {
    let mut sums: Vec<ShipmentLine> = Vec::new();
    for line in lines {
        match sums.iter_mut().find(|sum| sum.sku == line.sku) {
            Some(sum) => sum.quantity = sum.quantity.saturating_add(line.quantity),
            None => sums.push(line.clone()),
        }
    }
    sums
}

/// A decision on its way: the state after the events that it has come to.
struct Story {
    state: ShipmentState,
    order_id: String,
    number: u32,
    events: Vec<ShipmentEvent>,
    refusal: Option<ShipmentRefusal>,
}

impl Story {
    fn tell(&mut self, event: impl Into<ShipmentEvent>) {
        let event = event.into();
        Shipment::evolve(&mut self.state, &event);
        self.events.push(event);
    }

    fn refuse(&mut self, refusal: impl Into<ShipmentRefusal>) {
        self.refusal = Some(refusal.into());
    }

    /// Whether it lies in the warehouse.
    fn is_to_be_packed(&self) -> bool {
        matches!(self.state.status(), ShipmentStatus::Created | ShipmentStatus::Labelled)
    }

    fn create(&mut self, c: &CreateShipment) {
        if self.state.created {
            return;
        }
        if self.state.status() == ShipmentStatus::Cancelled {
            return self.tell_cancelled(0, Vec::new(), true);
        }
        self.tell(ShipmentCreated { lines: added_up(&c.lines), ..c.into() });
        // Facts first: what has left can't be cancelled, whatever was asked.
        if is_end(self.state.end()) {
            self.leave();
            self.tell_end(self.state.end(), "");
        }
        self.answer_kept();
    }

    /// A label of what has left or is cancelled is told too: it costs something.
    fn label(&mut self, c: &RecordLabel) {
        let state = &self.state;
        match c.tracking.is_empty() {
            false if state.labelled && state.tracking == c.tracking && state.carrier == c.carrier => {}
            false => self.tell(ShipmentLabelled::from(c)),
            true if state.labelled || (state.label_refused && state.label_code == c.code) => {}
            true => self.tell(LabelRefused::from(c)),
        }
    }

    /// Whether the order has said something newer of it.
    fn is_old(&self, order_version: i64) -> bool {
        order_version != 0 && order_version <= self.state.order_version
    }

    /// Of what has left, or never will, there is nothing to hold.
    fn hold(&mut self, c: &HoldShipment) {
        let is_open = self.is_to_be_packed() || self.state.status() == ShipmentStatus::Unspecified;
        let is_so = self.state.held && self.state.hold_reason == c.reason && c.order_version == 0;
        if is_open && !is_so && !self.is_old(c.order_version) {
            self.tell(ShipmentHeld::from(c));
        }
    }

    /// An end is told also where nothing is held: the hold may still be on its way.
    fn end_hold(&mut self, c: &EndShipmentHold) {
        let is_open = self.is_to_be_packed() || self.state.status() == ShipmentStatus::Unspecified;
        if is_open && (self.state.held || c.order_version != 0) && !self.is_old(c.order_version) {
            self.tell(ShipmentHoldEnded::from(c));
        }
    }

    fn dispatch(&mut self) {
        let (order_id, number) = (self.order_id.clone(), self.number);
        match self.state.status() {
            ShipmentStatus::Unspecified => self.refuse(UnknownShipment { order_id, number }),
            ShipmentStatus::Cancelled => self.refuse(Cancelled { order_id, number }),
            ShipmentStatus::Created | ShipmentStatus::Labelled if self.state.held => {
                self.refuse(Held { order_id, number, reason: self.state.hold_reason.clone() });
            }
            ShipmentStatus::Created | ShipmentStatus::Labelled => self.leave(),
            ShipmentStatus::Dispatched | ShipmentStatus::Delivered | ShipmentStatus::Lost | ShipmentStatus::Returned => {}
        }
    }

    fn leave(&mut self) {
        let (warehouse, lines) = (self.state.warehouse.clone(), self.state.lines.clone());
        self.tell(ShipmentDispatched { order_id: self.order_id.clone(), number: self.number, warehouse, lines });
    }

    fn pick_short(&mut self, c: &ReportShortPick) {
        let (order_id, number, status) = (self.order_id.clone(), self.number, self.state.status());
        match status {
            ShipmentStatus::Unspecified => return self.refuse(UnknownShipment { order_id, number }),
            ShipmentStatus::Cancelled => return self.refuse(Cancelled { order_id, number }),
            _ if !self.is_to_be_packed() => return self.refuse(NotPossible { order_id, number, status: status.into() }),
            _ => {}
        }
        let lines = added_up(&c.lines);
        match lines.iter().find(|line| line.quantity > in_it(&self.state.lines, &line.sku)) {
            Some(ShipmentLine { sku, quantity }) => {
                let packed = in_it(&self.state.lines, sku);
                self.refuse(MoreThanPacked { sku: sku.clone(), requested: *quantity, packed });
            }
            None => self.tell(ShortPicked { whole: self.are_all(&lines), lines, ..c.into() }),
        }
    }

    /// Whether nothing is left in it without these pieces, which are in it.
    fn are_all(&self, lines: &[ShipmentLine]) -> bool {
        self.state.lines.iter().all(|line| line.quantity == in_it(lines, &line.sku))
    }

    /// Somebody tells what has become of it. The first end counts, unless it was lost and has turned up since; what else is told later, or of
    /// what is not there, is kept.
    fn end(&mut self, status: ShipmentStatus, notice_id: &str, kind: &str) {
        let state = &self.state;
        let is_known = match notice_id {
            "" => state.status() == status || state.told.contains(&status.into()),
            id => state.notices.iter().any(|known| known == id),
        };
        if is_known {
            return;
        }
        let has_left = state.status() == ShipmentStatus::Dispatched || is_found(state.status(), status);
        if !is_end(status) || !(has_left || self.is_to_be_packed()) {
            let (order_id, notice_id, kind) = (self.order_id.clone(), notice_id.to_owned(), kind.to_owned());
            return self.tell(CarrierNoticeKept { order_id, number: self.number, notice_id, status: status.into(), kind });
        }
        if !has_left {
            self.leave();
        }
        self.tell_end(status, notice_id);
    }

    fn tell_end(&mut self, status: ShipmentStatus, notice_id: &str) {
        let (order_id, number, notice_id) = (self.order_id.clone(), self.number, notice_id.to_owned());
        match status {
            ShipmentStatus::Delivered => self.tell(ShipmentDelivered { order_id, number, notice_id }),
            ShipmentStatus::Lost => self.tell(ShipmentLost { order_id, number, notice_id }),
            ShipmentStatus::Returned => self.tell(ShipmentReturned { order_id, number, notice_id }),
            _ => {}
        }
    }
}
