//! What follows from each message in each state of an aggregate, as the search has found it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use daybook_kernel::Aggregate;
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
}

/// What followed, over all decisions of a cell.
#[derive(Default)]
struct Follows {
    leads_to: BTreeSet<String>,
    events: BTreeSet<String>,
    sends: BTreeSet<String>,
    refusals: BTreeSet<String>,
    nothing: bool,
}

/// All that was found.
#[derive(Default)]
pub(super) struct Table {
    cells: BTreeMap<(String, String, String), Follows>,
}

/// The message's name.
pub(super) fn short(type_name: &str) -> String {
    type_name.rsplit('.').next().unwrap_or(type_name).to_owned()
}

impl Cell {
    pub(super) fn new(aggregate: &str, before: &str, command: &str, after: &str) -> Self {
        let leads_to = if before == after { BTreeSet::new() } else { BTreeSet::from([after.to_owned()]) };
        let follows = Follows { leads_to, ..Default::default() };
        Self { key: (aggregate.to_owned(), before.to_owned(), short(command)), follows }
    }

    pub(super) fn refused(&mut self, code: Option<&str>) {
        self.follows.refusals.extend(code.map(str::to_owned));
    }

    pub(super) fn event(&mut self, type_name: &str) {
        self.follows.events.insert(short(type_name));
    }

    pub(super) fn sends(&mut self, rule: &str, command: &str) {
        self.follows.sends.insert(format!("{} ({rule})", short(command)));
    }

    pub(super) fn asks(&mut self, rule: &str) {
        self.follows.sends.insert(format!("asks `{rule}`"));
    }

    pub(super) fn arms(&mut self, name: &str) {
        self.follows.sends.insert(format!("arms `{name}`"));
    }
}

impl Table {
    pub(super) fn add(&mut self, cell: Cell) {
        let nothing = cell.follows.events.is_empty() && cell.follows.refusals.is_empty();
        let all = self.cells.entry(cell.key).or_default();
        all.leads_to.extend(cell.follows.leads_to);
        all.events.extend(cell.follows.events);
        all.sends.extend(cell.follows.sends);
        all.refusals.extend(cell.follows.refusals);
        all.nothing |= nothing;
    }

    /// Whether this message was decided in this state.
    pub(super) fn has(&self, aggregate: &str, state: &str, command: &str) -> bool {
        self.cells.contains_key(&(aggregate.to_owned(), state.to_owned(), command.to_owned()))
    }

    /// Commands that rules send, by name.
    pub(super) fn sent(&self) -> BTreeSet<String> {
        let sent = self.cells.values().flat_map(|follows| &follows.sends);
        sent.filter_map(|text| text.split_once(" (")).map(|(command, _)| command.to_owned()).collect()
    }

    /// Of each of these aggregates, the states that were seen in which a message was not met, by message.
    pub(super) fn not_met(&self, aggregate: &dyn Aggregate) -> BTreeMap<String, BTreeSet<String>> {
        let name = aggregate.name();
        let of = || self.cells.keys().filter(|(aggregate, ..)| aggregate == name);
        let states: BTreeSet<&String> = of().map(|(_, state, _)| state).collect();
        let mut all = BTreeMap::new();
        for command in aggregate.command_types() {
            let command = short(command);
            let met: BTreeSet<&String> = of().filter(|(.., met)| *met == command).map(|(_, state, _)| state).collect();
            let missing: BTreeSet<String> = states.difference(&met).map(|state| (*state).clone()).collect();
            if !missing.is_empty() {
                all.insert(command, missing);
            }
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Who sends what to whom, a line a rule: from the sender's aggregate by the rule's name to the target's.
    pub(super) fn diagram(&self, target_of: impl Fn(&str) -> String) -> String {
        let mut lines: BTreeMap<(String, String, String), BTreeSet<String>> = BTreeMap::new();
        for ((aggregate, ..), follows) in &self.cells {
            for (command, rule) in follows.sends.iter().filter_map(|text| text.trim_end_matches(')').split_once(" (")) {
                let way = (aggregate.clone(), rule.to_owned(), target_of(command));
                lines.entry(way).or_default().insert(command.to_owned());
            }
        }
        let line = |((from, rule, to), commands): (&(String, String, String), &BTreeSet<String>)| {
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            format!("{from:<10} ──{rule}──▶ {to:<10} {}\n", commands.join(", "))
        };
        lines.iter().map(line).collect()
    }

    /// As Markdown, an aggregate after the other; at the end of each what was not met, by message.
    pub(super) fn written(&self, aggregates: &[Arc<dyn Aggregate>]) -> String {
        let mut text = String::new();
        for aggregate in aggregates {
            let name = aggregate.name();
            let _ = write!(text, "\n## {name}\n| state | message | events | leads to | then |\n|---|---|---|---|---|\n");
            for ((_, state, command), follows) in self.cells.iter().filter(|((aggregate, ..), _)| aggregate == name) {
                let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
                let mut events: Vec<String> = follows.events.iter().cloned().collect();
                events.extend(follows.refusals.iter().map(|code| format!("refused: `{code}`")));
                events.extend(follows.nothing.then(|| "nothing".to_owned()));
                let (events, leads_to, sends) = (events.join(", "), list(&follows.leads_to), list(&follows.sends));
                let _ = writeln!(text, "| {state} | {command} | {events} | {leads_to} | {sends} |");
            }
            let _ = write!(text, "\nNot met there:\n\n");
            for (command, states) in self.not_met(&**aggregate) {
                let states: Vec<&str> = states.iter().map(String::as_str).collect();
                let _ = writeln!(text, "- {command} in {}: {}", states.join(", "), why_not(&command));
            }
        }
        text
    }
}

/// Why a message is not met in some states. Deciders are total all the same: each has its own laws for that.
fn why_not(command: &str) -> &'static str {
    match command {
        "CancelLines" | "CancelOrder" | "ChangePayment" | "EndOrderHold" | "HoldOrder" | "ReceiveReturn" | "RefuseReturn"
        | "RequestReturn" => "people may send it in any state, and these ways had none of it there; the specs have every answer",
        "DispatchShipment" | "ReportShortPick" | "RecordDelivered" | "RecordLost" | "RecordReturnedToSender" => {
            "staff sends it of what stands there, and an order hears it of shipments that it has"
        }
        "RecordLabelled" | "RecordLabel" | "RecordCarrierNotice" => {
            "the carrier's labels and notices are not searched: nothing waits for them"
        }
        "TimeOutStep" | "TimeOutAllocation" | "TimeOutPayment" => "the deadline is not armed yet, or not any more",
        "OpenOrder" | "PlaceOrder" | "AllocateOrder" | "CreateShipment" | "ConfirmAllocation" | "ReleaseAllocation" | "CancelShipment"
        | "HoldShipment" | "EndShipmentHold" | "RequestPayment" | "RequestCapture" | "RequestRefund" | "RequestVoid" => {
            "the order asks once, when it stands there itself; Kafka's repeats are the ledger's"
        }
        "RecordOperation" | "RecordProviderNotice" => "the provider speaks of what it was asked",
        "RecordStockAnswer" => "stocks answer who has asked them",
        _ => "an answer comes after its question, and these states lie before it, or nothing is asked there any more",
    }
}

/// Where an aggregate stands, in a word or a few, by its encoded state.
pub(super) fn standing(aggregate: &str, state: &[u8]) -> &'static str {
    match aggregate {
        "order" => of_order(decoded::<OrderState>(state).status()),
        "allocation" => match decoded::<AllocationState>(state).status() {
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
        "stock" => match decoded::<StockState>(state).reservations.get(ORDER) {
            None => "free",
            Some(held) if held.expires_at.is_none() => "kept",
            Some(_) => "held",
        },
        _ => match decoded::<CartState>(state).contents {
            Some(contents) if contents.order.is_some() => "checked out",
            _ => "open",
        },
    }
}

fn decoded<S: prost::Message + Default>(state: &[u8]) -> S {
    S::decode(state).expect("as it was encoded")
}

fn of_payment(state: &PaymentState) -> &'static str {
    match state {
        _ if state.voided > 0 && !state.voids_open.is_empty() => "voiding",
        _ if state.voided > 0 => "voided",
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
