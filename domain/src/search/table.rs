//! What follows from each message in each state of an aggregate, as the search has found it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use shop_proto::cart::v1::CartState;
use shop_proto::inventory::v1::{AllocationState, AllocationStatus, StockState};
use shop_proto::order::v1::{OrderState, OrderStatus};
use shop_proto::payment::v1::PaymentState;
use shop_proto::shipping::v1::{ShipmentState, ShipmentStatus};

use super::world::ORDER;

/// One decision.
pub(super) struct Cell {
    key: (String, String, String),
    follows: Follows,
    /// Commands, by their full names, and who sends them.
    sent: Vec<(String, Kind, &'static str)>,
}

/// What followed, over all decisions of a cell.
#[derive(Clone, Default)]
struct Follows {
    leads_to: BTreeSet<String>,
    events: BTreeSet<String>,
    sends: BTreeSet<String>,
    deadlines: BTreeSet<String>,
    refusals: BTreeSet<String>,
    nothing: bool,
}

/// The ways in which a rule comes to send a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Reactor,
    Lookup,
    Deadline,
    Effect,
}

/// A rule that sends a command, for events of this aggregate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sender {
    pub(super) from: String,
    pub(super) kind: Kind,
    pub(super) rule: &'static str,
}

/// All that was found.
#[derive(Clone, Default)]
pub(super) struct Table {
    cells: BTreeMap<(String, String, String), Follows>,
    /// By command, with its full name: two services may have one of the same.
    senders: BTreeMap<String, BTreeSet<Sender>>,
}

/// The message's name.
pub(super) fn short(type_name: &str) -> String {
    type_name.rsplit('.').next().unwrap_or(type_name).to_owned()
}

impl Cell {
    pub(super) fn new(aggregate: &str, before: &str, command: &str, after: &str) -> Self {
        let leads_to = if before == after { BTreeSet::new() } else { BTreeSet::from([after.to_owned()]) };
        let follows = Follows { leads_to, ..Default::default() };
        Self { key: (aggregate.to_owned(), before.to_owned(), short(command)), follows, sent: Vec::new() }
    }

    pub(super) fn refused(&mut self, code: Option<&str>) {
        self.follows.refusals.extend(code.map(str::to_owned));
    }

    pub(super) fn event(&mut self, type_name: &str) {
        self.follows.events.insert(short(type_name));
    }

    pub(super) fn sends(&mut self, rule: &'static str, command: &str) {
        self.follows.sends.insert(format!("{} ({rule})", short(command)));
        self.sent.push((command.to_owned(), Kind::Reactor, rule));
    }

    pub(super) fn asks(&mut self, rule: &str) {
        self.follows.sends.insert(format!("asks `{rule}`"));
    }

    /// The effect that is asked answers with this.
    pub(super) fn calls(&mut self, rule: &'static str, answer: &str) {
        self.asks(rule);
        self.sent.push((answer.to_owned(), Kind::Effect, rule));
    }

    pub(super) fn arms(&mut self, rule: &'static str, name: &str, command: &str) {
        self.follows.deadlines.insert(format!("arms `{name}`"));
        self.sent.push((command.to_owned(), Kind::Deadline, rule));
    }

    pub(super) fn disarms(&mut self, name: &str) {
        self.follows.deadlines.insert(format!("disarms `{name}`"));
    }
}

impl Sender {
    fn told(&self) -> String {
        let Self { from, kind, rule } = self;
        let kind = match kind {
            Kind::Reactor => "",
            Kind::Lookup => "the lookup ",
            Kind::Deadline => "deadlines of ",
            Kind::Effect => "the effect ",
        };
        format!("{from} ({kind}`{rule}`)")
    }
}

impl Table {
    pub(super) fn add(&mut self, cell: Cell) {
        let nothing = cell.follows.events.is_empty() && cell.follows.refusals.is_empty();
        for (command, kind, rule) in cell.sent {
            self.sent_by(&cell.key.0, kind, rule, &command);
        }
        let all = self.cells.entry(cell.key).or_default();
        all.leads_to.extend(cell.follows.leads_to);
        all.events.extend(cell.follows.events);
        all.sends.extend(cell.follows.sends);
        all.deadlines.extend(cell.follows.deadlines);
        all.refusals.extend(cell.follows.refusals);
        all.nothing |= nothing;
    }

    /// A rule sends this, for events of that aggregate.
    pub(super) fn sent_by(&mut self, from: &str, kind: Kind, rule: &'static str, command: &str) {
        self.senders.entry(command.to_owned()).or_default().insert(Sender { from: from.to_owned(), kind, rule });
    }

    /// Whether this message was decided in this state.
    pub(super) fn has(&self, aggregate: &str, state: &str, command: &str) -> bool {
        self.cells.contains_key(&(aggregate.to_owned(), state.to_owned(), command.to_owned()))
    }

    /// Who sends which command, a pair at a time.
    pub(super) fn senders(&self) -> impl Iterator<Item = (&str, &Sender)> {
        self.senders.iter().flat_map(|(command, all)| all.iter().map(move |sender| (command.as_str(), sender)))
    }

    /// Commands that reactors send, by their short names.
    pub(super) fn sent(&self) -> BTreeSet<String> {
        self.by_reactors().map(|(command, _)| short(command)).collect()
    }

    fn by_reactors(&self) -> impl Iterator<Item = (&str, &Sender)> {
        self.senders().filter(|(_, sender)| sender.kind == Kind::Reactor)
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Who sends what to whom, a line a reactor: from the sender's aggregate by the rule's name to the target's.
    pub(super) fn diagram(&self, target_of: impl Fn(&str) -> String) -> String {
        let mut lines: BTreeMap<(&str, &str, String), Vec<String>> = BTreeMap::new();
        for (command, Sender { from, rule, .. }) in self.by_reactors() {
            lines.entry((from, rule, target_of(command))).or_default().push(short(command));
        }
        let line = |((from, rule, to), commands): (&(&str, &str, String), &Vec<String>)| {
            format!("{from:<10} ──{rule}──▶ {to:<10} {}\n", commands.join(", "))
        };
        lines.iter().map(line).collect()
    }

    /// As Markdown, who sends an aggregate's messages: rules, and whoever may send them beside those.
    pub(super) fn from(&self, commands: &[&str], others: impl Fn(&str) -> String) -> String {
        let mut text = "| message | from |\n|---|---|\n".to_owned();
        for command in commands.iter().copied().collect::<BTreeSet<_>>() {
            let rules = self.senders.get(command).into_iter().flatten().map(Sender::told);
            let from: Vec<String> = rules.chain(Some(others(command)).filter(|others| !others.is_empty())).collect();
            let from = if from.is_empty() { "no rule of the search".to_owned() } else { from.join(", ") };
            let _ = writeln!(text, "| {} | {from} |", short(command));
        }
        text
    }

    /// The cells that were met, of an aggregate.
    pub(super) fn met(&self, aggregate: &str) -> BTreeSet<(String, String)> {
        let of_it = self.cells.keys().filter(|(name, ..)| name == aggregate);
        of_it.map(|(_, state, command)| (state.clone(), command.clone())).collect()
    }

    /// As Markdown, what an aggregate's cells lead to.
    pub(super) fn written(&self, aggregate: &str) -> String {
        let mut text = "| state | message | events | leads to | then | deadlines |\n|---|---|---|---|---|---|\n".to_owned();
        for ((_, state, command), follows) in self.cells.iter().filter(|((name, ..), _)| name == aggregate) {
            let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
            let mut events: Vec<String> = follows.events.iter().cloned().collect();
            events.extend(follows.refusals.iter().map(|code| format!("refused: `{code}`")));
            events.extend(follows.nothing.then(|| "nothing".to_owned()));
            let (events, leads_to, sends) = (events.join(", "), list(&follows.leads_to), list(&follows.sends));
            let _ = writeln!(text, "| {state} | {command} | {events} | {leads_to} | {sends} | {} |", list(&follows.deadlines));
        }
        text
    }
}

/// Where an aggregate stands, in a word or a few, by its encoded state.
pub(super) fn standing(aggregate: &str, state: &[u8]) -> &'static str {
    match aggregate {
        "order" => of_order(decoded::<OrderState>(state).status()),
        "allocation" => match decoded::<AllocationState>(state).status() {
            _ if decoded::<AllocationState>(state).release_open => "releasing",
            _ if decoded::<AllocationState>(state).release_attempt > 0 => "released",
            AllocationStatus::Unspecified => "-",
            AllocationStatus::Planning => "planning",
            AllocationStatus::Allocated => "allocated",
            AllocationStatus::Confirmed => "confirmed",
            AllocationStatus::Failed => "failed",
        },
        "payment" => of_payment(&decoded(state)),
        "shipment" => match decoded::<ShipmentState>(state).status() {
            ShipmentStatus::Unspecified => "-",
            ShipmentStatus::Created => "created",
            ShipmentStatus::Labelled => "labelled",
            ShipmentStatus::Dispatched => "dispatched",
            ShipmentStatus::Delivered => "delivered",
            ShipmentStatus::Lost => "lost",
            ShipmentStatus::Returned => "returned",
            ShipmentStatus::Cancelled => "cancelled",
        },
        "stock" => of_stock(&decoded(state)),
        _ => match decoded::<CartState>(state).contents {
            None => "-",
            Some(contents) if !contents.into.is_empty() => "merged",
            Some(contents) if contents.order.is_some() => "checked out",
            Some(_) => "open",
        },
    }
}

fn decoded<S: prost::Message + Default>(state: &[u8]) -> S {
    S::decode(state).expect("as it was encoded")
}

fn of_stock(state: &StockState) -> &'static str {
    match state.reservations.get(ORDER) {
        Some(held) if held.expires_at.is_none() => "kept",
        Some(_) => "held",
        None if state.closed.contains_key(ORDER) => "closed",
        None => "free",
    }
}

fn of_payment(state: &PaymentState) -> &'static str {
    match state {
        _ if state.voided > 0 && !state.voids_open.is_empty() => "voiding",
        _ if state.voided > 0 => "voided",
        _ if !state.releases_open.is_empty() => "releasing",
        _ if state.released > 0 => "released",
        _ if state.authorisation_lost => "lost",
        _ if state.authorised => "authorised",
        _ if state.attempt_open && state.timed_out => "ending",
        _ if state.attempt_open => "requested",
        _ if state.requested > 0 => "not paid",
        _ => "-",
    }
}

fn of_order(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Unspecified => "-",
        OrderStatus::Opened => "opened",
        OrderStatus::Placed => "placed",
        OrderStatus::Allocated => "allocated",
        OrderStatus::AwaitingPayment => "awaiting payment",
        OrderStatus::ActionRequired => "action required",
        OrderStatus::Confirmed => "confirmed",
        OrderStatus::PartlyShipped => "partly shipped",
        OrderStatus::Shipped => "shipped",
        OrderStatus::Delivered => "delivered",
        OrderStatus::Completed => "completed",
        OrderStatus::Cancelling => "cancelling",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Rejecting => "rejecting",
        OrderStatus::Rejected => "rejected",
    }
}
