//! Pieces that the order wants back: each ask has one answer, however asks and the creation come.

use shop_proto::shipping::v1::*;

use super::{Story, added_up, in_it};

/// An ask has come.
pub(super) fn asked(state: &mut ShipmentState, ask: u32) {
    if has_come(state, ask) {
        return;
    }
    state.asks_beyond.push(ask);
    state.asks_beyond.sort_unstable();
    while state.asks_beyond.first().is_some_and(|first| Some(*first) == state.ask.checked_add(1)) {
        state.ask = state.asks_beyond.remove(0);
    }
}

/// An ask has its answer.
pub(super) fn answered(state: &mut ShipmentState, ask: u32) {
    asked(state, ask);
    state.kept.retain(|kept| kept.ask != ask);
}

fn has_come(state: &ShipmentState, ask: u32) -> bool {
    ask <= state.ask || state.asks_beyond.contains(&ask)
}

impl Story {
    pub(super) fn cancel(&mut self, c: &CancelShipment) {
        if has_come(&self.state, c.ask) {
            return;
        }
        let lines = added_up(&c.lines);
        match (self.state.status(), lines.is_empty()) {
            (ShipmentStatus::Unspecified, true) => self.close(c),
            (ShipmentStatus::Unspecified, false) => self.tell(CancelRecorded { lines, ..c.into() }),
            (_, is_all) => self.answer(c.ask, lines, is_all),
        }
    }

    /// It will never be created. So what was asked back of it will not leave either.
    fn close(&mut self, c: &CancelShipment) {
        for KeptCancellation { ask, lines } in self.state.kept.clone() {
            self.tell_cancelled(ask, lines, false);
        }
        self.tell_cancelled(c.ask, Vec::new(), true);
    }

    /// Asks that came before it was created, in their order.
    pub(super) fn answer_kept(&mut self) {
        for KeptCancellation { ask, lines } in self.state.kept.clone() {
            self.answer(ask, lines, false);
        }
    }

    fn answer(&mut self, ask: u32, lines: Vec<ShipmentLine>, is_all: bool) {
        let is_cancelled = self.state.status() == ShipmentStatus::Cancelled;
        let are_there = lines.iter().all(|line| line.quantity <= in_it(&self.state.lines, &line.sku));
        if is_all && (is_cancelled || self.is_to_be_packed()) {
            self.tell_cancelled(ask, self.state.lines.clone(), true);
        } else if self.is_to_be_packed() && are_there {
            let whole = self.are_all(&lines);
            self.tell_cancelled(ask, lines, whole);
        } else {
            self.tell(CancelTooLate { order_id: self.order_id.clone(), number: self.number, ask });
        }
    }

    pub(super) fn tell_cancelled(&mut self, ask: u32, lines: Vec<ShipmentLine>, whole: bool) {
        self.tell(ShipmentCancelled { order_id: self.order_id.clone(), number: self.number, ask, lines, whole });
    }
}
