//! The pieces of an order: each has one fate, and a place in its line, which says what it costs. For the order's decisions, and for read models
//! that count money.

use crate::order::v1::*;

/// Pieces of one product in one shipment.
pub struct MovedLine {
    /// Of the line that they lie in.
    pub sku: String,
    /// Of the shipment that they are in; 0: it is not known yet.
    pub shipment: u32,
    /// How many.
    pub quantity: u32,
    /// In minor units.
    pub costs: i64,
    /// They had been lost before: nothing is paid for them any more.
    pub was_lost: bool,
}

/// Pieces that have a new fate, and what they cost together.
#[derive(Default)]
pub struct Moved {
    /// By product, shipment, and whether they had been lost.
    pub lines: Vec<MovedLine>,
    /// In minor units.
    pub costs: i64,
}

impl Moved {
    fn add(&mut self, more: MovedLine) {
        self.costs = self.costs.saturating_add(more.costs);
        let is_like = |line: &&mut MovedLine| (&line.sku, line.shipment, line.was_lost) == (&more.sku, more.shipment, more.was_lost);
        match self.lines.iter_mut().find(is_like) {
            Some(line) => {
                line.quantity = line.quantity.saturating_add(more.quantity);
                line.costs = line.costs.saturating_add(more.costs);
            }
            None => self.lines.push(more),
        }
    }

    fn and(mut self, other: Self) -> Self {
        other.lines.into_iter().for_each(|line| self.add(line));
        self
    }

    /// Of each product, from whichever shipment.
    pub fn by_product(&self) -> Vec<OrderedLine> {
        one_a_sku(&self.lines.iter().map(MovedLine::ordered).collect::<Vec<_>>())
    }

    fn quantity_of(&self, sku: &str) -> u32 {
        self.lines.iter().filter(|line| line.sku == sku).fold(0, |sum, line| line.quantity.saturating_add(sum))
    }
}

impl MovedLine {
    /// Without their money.
    pub fn ordered(&self) -> OrderedLine {
        OrderedLine { sku: self.sku.clone(), quantity: self.quantity }
    }
}

/// Lines that draw on one stock, and count against one limit, are one.
pub fn one_a_sku(lines: &[OrderedLine]) -> Vec<OrderedLine> {
    let mut all: Vec<OrderedLine> = Vec::with_capacity(lines.len());
    for line in lines {
        match all.iter_mut().find(|known| known.sku == line.sku) {
            Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
            None => all.push(line.clone()),
        }
    }
    all
}

/// The money of piece `piece`, 1 to `of`, of a line that costs `total`: ⌊total·piece/of⌋ − ⌊total·(piece−1)/of⌋. A piece that the line does
/// not have costs nothing.
pub fn cost_of(total: i64, of: u32, piece: u32) -> i64 {
    up_to(total, of, piece) - up_to(total, of, piece.saturating_sub(1))
}

/// The money of `count` pieces of a line behind its first `after`, side by side: the sum of [`cost_of`] over them.
pub fn costs_of(total: i64, of: u32, after: u32, count: u32) -> i64 {
    up_to(total, of, after.saturating_add(count)) - up_to(total, of, after)
}

/// The money of a line's first pieces.
fn up_to(total: i64, of: u32, piece: u32) -> i64 {
    let part = i128::from(total.max(0)) * i128::from(piece.min(of)) / i128::from(of.max(1));
    i64::try_from(part).unwrap_or(i64::MAX)
}

/// All pieces of a placed order, none of them anywhere yet.
pub fn placed(lines: &[OrderLine]) -> Vec<LinePieces> {
    let all = |line: &OrderLine| LinePieces { runs: vec![PieceRun { count: line.quantity, ..Default::default() }] };
    lines.iter().map(all).collect()
}

/// The pieces of these that are so.
pub fn count(state: &OrderState, is: impl Fn(&PieceRun) -> bool) -> u64 {
    state.pieces.iter().flat_map(|line| &line.runs).filter(|run| is(run)).map(|run| u64::from(run.count)).sum()
}

/// The pieces of one product that are so.
pub fn count_of(state: &OrderState, sku: &str, is: impl Fn(&PieceRun) -> bool) -> u32 {
    let lines = state.lines.iter().zip(&state.pieces).filter(|(line, _)| line.sku == sku);
    lines.flat_map(|(_, pieces)| &pieces.runs).filter(|run| is(run)).fold(0, |sum, run| run.count.saturating_add(sum))
}

/// Gives a new fate to pieces that are so, of each line at most as many as `wanted` says, the first ones first. Tells which they were.
pub fn change(
    state: &mut OrderState,
    wanted: impl Fn(&str) -> u32,
    is: impl Fn(&PieceRun) -> bool,
    to: impl Fn(&PieceRun) -> PieceRun,
) -> Moved {
    let mut moved = Moved::default();
    for (line, pieces) in state.lines.iter().zip(&mut state.pieces) {
        let total = line.total.as_ref().map_or(0, |total| total.minor_units);
        let (mut rest, mut place) = (wanted(&line.sku), 0_u32);
        let mut runs: Vec<PieceRun> = Vec::with_capacity(pieces.runs.len() + 1);
        for run in &pieces.runs {
            let count = if is(run) { run.count.min(rest) } else { 0 };
            if count > 0 {
                put(&mut runs, PieceRun { count, ..to(run) });
                let costs = costs_of(total, line.quantity, place, count);
                moved.add(MovedLine { sku: line.sku.clone(), shipment: run.shipment, quantity: count, costs, was_lost: run.was_lost });
                rest -= count;
            }
            put(&mut runs, PieceRun { count: run.count - count, ..*run });
            place = place.saturating_add(run.count);
        }
        pieces.runs = runs;
    }
    moved
}

/// Neighbours of one fate are one run.
fn put(runs: &mut Vec<PieceRun>, run: PieceRun) {
    match runs.last_mut() {
        _ if run.count == 0 => {}
        Some(last) if *last == (PieceRun { count: last.count, ..run }) => last.count += run.count,
        _ => runs.push(run),
    }
}

/// As many of each as these lines say.
pub fn as_in(lines: &[OrderedLine]) -> impl Fn(&str) -> u32 {
    |sku| lines.iter().filter(|line| line.sku == sku).fold(0, |sum, line| line.quantity.saturating_add(sum))
}

/// Of each as many as there are.
pub fn all(_: &str) -> u32 {
    u32::MAX
}

/// With another fate, in the same shipment. What is lost stays known as such wherever it turns up.
pub fn fate(fate: PieceFate) -> impl Fn(&PieceRun) -> PieceRun {
    move |run| PieceRun { fate: fate.into(), ask: 0, was_lost: run.was_lost || fate == PieceFate::Lost, ..*run }
}

/// It is to leave, with its shipment.
pub fn is_open(run: &PieceRun) -> bool {
    run.fate() == PieceFate::Unspecified
}

/// It has not left, and may still.
pub fn is_here(run: &PieceRun) -> bool {
    matches!(run.fate(), PieceFate::Unspecified | PieceFate::Cancelling)
}

/// It has this fate.
pub fn is(wanted: PieceFate) -> impl Fn(&PieceRun) -> bool {
    move |run| run.fate() == wanted
}

/// Its money is not the shop's any more: it came back, or was lost, be it that it was found since.
pub fn is_given_back(run: &PieceRun) -> bool {
    run.was_lost || run.fate() == PieceFate::Returned
}

/// What pieces that are so cost together, in minor units.
pub fn costs(state: &OrderState, is: impl Fn(&PieceRun) -> bool) -> i64 {
    let mut state = OrderState { lines: state.lines.clone(), pieces: state.pieces.clone(), ..Default::default() };
    change(&mut state, all, is, PieceRun::clone).costs
}

/// Of these pieces first those that are as the first says, then those that are as the next.
fn in_turn(state: &mut OrderState, lines: &[OrderedLine], turns: &[&dyn Fn(&PieceRun) -> bool], to: PieceFate) -> Moved {
    let wanted = as_in(lines);
    turns.iter().fold(Moved::default(), |moved, turn| {
        let rest = change(state, |sku| wanted(sku).saturating_sub(moved.quantity_of(sku)), turn, fate(to));
        moved.and(rest)
    })
}

/// Pieces have come back, those first that were lost and found: the customer keeps the others, and has paid for them. Of the pieces that were
/// announced so many fewer are still to come, whichever these are.
fn come_back(state: &mut OrderState, lines: &[OrderedLine]) -> Moved {
    use PieceFate as F;
    let of = |wanted: F, was_lost: bool| move |run: &PieceRun| run.fate() == wanted && run.was_lost == was_lost;
    let to_come = |state: &OrderState, sku: &str| count_of(state, sku, is(F::Returning));
    let left: Vec<u32> = lines.iter().map(|line| to_come(state, &line.sku).saturating_sub(line.quantity)).collect();
    let turns: [&dyn Fn(&PieceRun) -> bool; 4] =
        [&of(F::Returning, true), &of(F::Delivered, true), &of(F::Returning, false), &of(F::Delivered, false)];
    let moved = in_turn(state, lines, &turns, F::Returned);
    for (line, left) in lines.iter().zip(left) {
        let too_many = to_come(state, &line.sku).saturating_sub(left);
        change(state, |sku| if sku == line.sku { too_many } else { 0 }, is(F::Returning), fate(F::Delivered));
    }
    moved
}

/// What an event does to pieces: nothing, where it is about none.
pub fn apply(state: &mut OrderState, event: &OrderEvent) -> Moved {
    use OrderEvent as E;
    use PieceFate as F;
    let of = |shipment: u32, wanted: F| move |run: &PieceRun| run.shipment == shipment && run.fate() == wanted;
    let found = |was_lost: bool| move |run: &PieceRun| run.fate() == F::Delivered && run.was_lost == was_lost;
    let asked = |shipment: u32, ask: u32| move |run: &PieceRun| run.fate() == F::Cancelling && (run.shipment, run.ask) == (shipment, ask);
    match event {
        E::OrderConfirmed(e) => e.shipments.iter().fold(Moved::default(), |moved, shipment| {
            let to = |run: &PieceRun| PieceRun { shipment: shipment.number, ..*run };
            moved.and(change(state, as_in(&shipment.lines), |run| run.shipment == 0 && is_open(run), to))
        }),
        E::OrderShipped(e) => in_turn(state, &e.lines, &[&of(e.number, F::Unspecified), &of(e.number, F::Cancelling)], F::Shipped),
        E::OrderDelivered(e) => change(state, all, of(e.number, F::Shipped), fate(F::Delivered)),
        E::OrderLost(e) => change(state, all, of(e.number, F::Shipped), fate(F::Lost)),
        E::OrderFound(e) => change(state, all, of(e.number, F::Lost), fate(F::Delivered)),
        // What was lost may come back.
        E::OrderReturnedToSender(e) => {
            let may_come_back = |run: &PieceRun| run.shipment == e.number && matches!(run.fate(), F::Shipped | F::Lost);
            change(state, all, may_come_back, fate(F::Returned))
        }
        E::OrderLinesCancelling(e) => {
            let to = |run: &PieceRun| PieceRun { fate: F::Cancelling.into(), ask: e.ask, ..*run };
            change(state, as_in(&e.lines), of(e.number, F::Unspecified), to)
        }
        E::OrderLinesCancelled(e) if e.ask > 0 && e.lines.is_empty() => change(state, all, asked(e.number, e.ask), fate(F::Cancelled)),
        // One of them may have been told as not found meanwhile: then another one that was asked back is the one that was left out.
        E::OrderLinesCancelled(e) if e.ask > 0 => {
            in_turn(state, &e.lines, &[&asked(e.number, e.ask), &of(e.number, F::Cancelling)], F::Cancelled)
        }
        E::OrderLinesCancelled(e) => in_turn(state, &e.lines, &[&of(e.number, F::Unspecified), &of(e.number, F::Cancelling)], F::Cancelled),
        E::OrderCancelTooLate(e) => change(state, all, asked(e.number, e.ask), fate(F::Unspecified)),
        E::OrderReturnRequested(e) => in_turn(state, &e.lines, &[&found(true), &found(false)], F::Returning),
        E::OrderReturnRefused(e) => change(state, as_in(&e.lines), is(F::Returning), fate(F::Delivered)),
        E::OrderReturned(e) => {
            let lines: Vec<OrderedLine> = e.lines.iter().map(|l| OrderedLine { sku: l.sku.clone(), quantity: l.quantity }).collect();
            come_back(state, &one_a_sku(&lines))
        }
        _ => Moved::default(),
    }
}
