//! Every cell of the processes' tables: a state of an aggregate, and a message to it. Each is met by the search, is met by a scenario, or can't
//! be: then the reason is here.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::table::{self, Table};

/// The aggregates whose tables are total, and where each may stand.
pub(super) const STATES: [(&str, &[&str]); 6] = [
    (
        "order",
        &[
            "-",
            "opened",
            "placed",
            "allocated",
            "awaiting payment",
            "action required",
            "confirmed",
            "partly shipped",
            "shipped",
            "delivered",
            "completed",
            "cancelling",
            "cancelled",
            "rejecting",
            "rejected",
        ],
    ),
    ("allocation", &["-", "planning", "allocated", "confirmed", "failed", "releasing", "released"]),
    ("payment", &["-", "requested", "ending", "not paid", "authorised", "lost", "releasing", "released", "voiding", "voided"]),
    ("shipment", &["-", "created", "labelled", "dispatched", "delivered", "lost", "returned", "cancelled"]),
    ("cart", &["-", "open", "checked out", "merged"]),
    ("stock", &["free", "held", "kept", "closed"]),
];

/// States of an aggregate.
pub(super) enum States {
    All,
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl States {
    fn has(&self, state: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(these) => these.contains(&state),
            Self::AllBut(these) => !these.contains(&state),
        }
    }
}

/// Cells that can't be met.
pub(super) struct Unreachable {
    pub(super) aggregate: &'static str,
    pub(super) messages: &'static [&'static str],
    pub(super) states: States,
    pub(super) why: &'static str,
}

/// The cells of an aggregate: a state and a message's name each.
fn cells(aggregate: &str) -> BTreeSet<(String, String)> {
    let all = crate::aggregates();
    let messages = all.iter().find(|one| one.name() == aggregate).map(|one| one.command_types()).unwrap_or_default();
    let states = STATES.iter().find(|(name, _)| *name == aggregate).map(|(_, states)| *states).unwrap_or_default();
    let of = |state: &&str| messages.iter().map(|message| ((*state).to_owned(), table::short(message))).collect::<Vec<_>>();
    states.iter().flat_map(of).collect()
}

/// The cells of an aggregate that are listed, each with the reason.
fn listed(aggregate: &str) -> impl Iterator<Item = ((String, String), &'static str)> {
    let of = UNREACHABLE.iter().filter(move |listed| listed.aggregate == aggregate);
    let all = cells(aggregate);
    of.flat_map(move |listed| {
        let is_it = |(state, message): &(String, String)| listed.states.has(state) && listed.messages.contains(&message.as_str());
        all.iter().filter(|cell| is_it(cell)).map(|cell| (cell.clone(), listed.why)).collect::<Vec<_>>()
    })
}

/// How each aggregate's cells stand, and whatever is wrong with them.
pub(super) struct Coverage {
    /// A line an aggregate.
    pub(super) told: String,
    pub(super) wrong: Vec<String>,
}

/// `by_search` has what the search has met, `all` what the scenarios have met as well.
pub(super) fn coverage(by_search: &Table, all: &Table) -> Coverage {
    let (mut told, mut wrong) =
        ("| aggregate | cells | met by the search | by a scenario | unreachable |\n|---|---|---|---|---|\n".to_owned(), Vec::new());
    for (aggregate, _) in STATES {
        let cells = cells(aggregate);
        let (searched, met) = (by_search.met(aggregate), all.met(aggregate));
        let mut unreachable = BTreeSet::new();
        for (cell, why) in listed(aggregate) {
            if met.contains(&cell) {
                wrong.push(format!("{aggregate}: {} in {:?} is met, and listed as unreachable: {why}", cell.1, cell.0));
            }
            if !unreachable.insert(cell.clone()) {
                wrong.push(format!("{aggregate}: {} in {:?} is listed twice", cell.1, cell.0));
            }
        }
        for (state, message) in cells.iter().filter(|cell| !met.contains(*cell) && !unreachable.contains(*cell)) {
            wrong.push(format!("{aggregate}: {message} in {state:?} is neither met nor listed as unreachable"));
        }
        for (state, message) in met.difference(&cells) {
            wrong.push(format!("{aggregate}: {message} in {state:?} is met, and {state:?} is no state of the list"));
        }
        let (count, by_scenario) = (cells.len(), met.len() - searched.len());
        let _ = writeln!(told, "| {aggregate} | {count} | {} | {by_scenario} | {} |", searched.len(), unreachable.len());
    }
    Coverage { told, wrong }
}

/// As Markdown: of an aggregate, which cells only a scenario has met, and which are unreachable.
pub(super) fn written(aggregate: &str, by_search: &Table, all: &Table) -> String {
    let mut text = String::new();
    let (searched, met) = (by_search.met(aggregate), all.met(aggregate));
    let by_scenario: Vec<String> = met.difference(&searched).map(|(state, message)| format!("{message} in {state}")).collect();
    if !by_scenario.is_empty() {
        let _ = writeln!(text, "\nMet by a scenario: {}.", by_scenario.join("; "));
    }
    let _ = writeln!(text, "\nUnreachable:\n");
    for listed in UNREACHABLE.iter().filter(|listed| listed.aggregate == aggregate) {
        let states = match listed.states {
            States::All => "in any state".to_owned(),
            States::Only(these) => format!("in {}", these.join(", ")),
            States::AllBut(these) => format!("in all states but {}", these.join(", ")),
        };
        let _ = writeln!(text, "- {} {states}: {}", listed.messages.join(", "), listed.why);
    }
    text
}

use States::{All, AllBut, Only};

const fn never(aggregate: &'static str, messages: &'static [&'static str], states: States, why: &'static str) -> Unreachable {
    Unreachable { aggregate, messages, states, why }
}

/// Before the order is the customer's.
const EARLY: &[&str] = &["opened", "placed", "allocated", "awaiting payment", "action required"];

/// All of them. Between two streams messages come in the order in which they were sent, and each is decided once. So who waits for the last of
/// them has had the others.
const UNREACHABLE: &[Unreachable] = &[
    never(
        "order",
        &[
            "PlaceOrder",
            "RecordActionRequired",
            "RecordAllocated",
            "RecordAllocationConfirmed",
            "RecordAllocationLost",
            "RecordAllocationReleased",
            "RecordAuthorisationLost",
            "RecordCancelTooLate",
            "RecordCaptured",
            "RecordCartReopened",
            "RecordDelivered",
            "RecordDispatched",
            "RecordDisputed",
            "RecordLabelled",
            "RecordLost",
            "RecordNotAllocated",
            "RecordNotCaptured",
            "RecordNotPaid",
            "RecordNotRefunded",
            "RecordPaid",
            "RecordRefunded",
            "RecordReturnedToSender",
            "RecordShipmentCancelled",
            "RecordShortPick",
            "RecordVoided",
            "TimeOutStep",
        ],
        Only(&["-"]),
        "nobody answers or ends what has not begun: all begins with the order's own events",
    ),
    never(
        "order",
        &["PlaceOrder"],
        AllBut(&["-", "opened", "cancelled", "rejecting", "rejected"]),
        "it is sent once, and has led there; an order that is only opened is cancelled at once",
    ),
    never(
        "order",
        &["RecordAllocated", "RecordNotAllocated"],
        AllBut(&["-", "placed", "cancelling"]),
        "there is one plan, whose one answer leads on from `placed`; an order that was cancelled waits for the allocation's last answer",
    ),
    never(
        "order",
        &["RecordAllocationConfirmed", "RecordAllocationLost"],
        Only(&["opened", "placed", "awaiting payment", "action required"]),
        "pieces are asked to be kept when the order is paid",
    ),
    never(
        "order",
        &["RecordAllocationConfirmed", "RecordAllocationLost"],
        Only(&["confirmed", "partly shipped", "shipped", "delivered", "completed", "cancelled", "rejected"]),
        "it is one answer, and has led there; an order that was given up waits for the allocation's last answer",
    ),
    never(
        "order",
        &["RecordAllocationReleased", "RecordVoided"],
        AllBut(&["-", "cancelling", "rejecting"]),
        "it is asked for when the order is given up, which ends with its answer",
    ),
    never(
        "order",
        &["RecordPaid", "RecordNotPaid", "RecordActionRequired", "RecordAuthorisationLost"],
        Only(&["opened", "placed"]),
        "nobody was asked to pay",
    ),
    never(
        "order",
        &["RecordPaid"],
        Only(&["allocated", "confirmed", "partly shipped", "shipped", "delivered", "completed", "rejected", "cancelled"]),
        "an attempt has one answer, which leads on; one before it that pays does so first, or its order is not paid; and who gives up waits for the payment's last",
    ),
    never(
        "order",
        &["RecordNotPaid"],
        Only(&["allocated", "confirmed", "partly shipped", "shipped", "delivered", "completed", "rejected", "cancelled"]),
        "it comes before the answer that the order goes on with, or before the last",
    ),
    never(
        "order",
        &["RecordActionRequired"],
        AllBut(&["-", "opened", "placed", "awaiting payment", "cancelling"]),
        "it is told once an attempt, before the answer that the order goes on with",
    ),
    never(
        "order",
        &["RecordAuthorisationLost"],
        Only(&["action required", "cancelled", "rejected"]),
        "it comes behind the answer that the means were authorised, and before the payment's last",
    ),
    never(
        "order",
        &["RecordCaptured", "RecordNotCaptured", "RecordRefunded", "RecordNotRefunded"],
        Only(EARLY),
        "nothing has left, so the order has asked for no money to be moved; what others move is told as `RecordDisputed`",
    ),
    never(
        "order",
        &["RecordDisputed"],
        Only(&["opened", "placed"]),
        "a payment judges what others have moved when the order has asked it for something: what comes before is kept",
    ),
    never(
        "order",
        &["RecordCaptured", "RecordNotCaptured", "RecordRefunded", "RecordNotRefunded"],
        Only(&["confirmed", "cancelling", "cancelled", "rejecting", "rejected"]),
        "nothing has left, so the order has asked for no money to be moved: one of which something has left is not given up",
    ),
    never(
        "order",
        &[
            "RecordCancelTooLate",
            "RecordDelivered",
            "RecordDispatched",
            "RecordLabelled",
            "RecordLost",
            "RecordReturnedToSender",
            "RecordShipmentCancelled",
            "RecordShortPick",
        ],
        Only(&["opened", "placed", "allocated", "awaiting payment", "action required", "rejecting", "rejected"]),
        "there are no shipments before the order is confirmed, and who is confirmed is not rejected",
    ),
    never(
        "order",
        &["RecordDispatched", "RecordShipmentCancelled", "RecordShortPick"],
        Only(&["shipped", "delivered", "completed", "cancelling", "cancelled"]),
        "it is about pieces that are still there, and here none are",
    ),
    never(
        "order",
        &["RecordDelivered", "RecordLost", "RecordReturnedToSender"],
        Only(&["confirmed", "cancelling", "cancelled"]),
        "it comes behind the news that the shipment has left",
    ),
    never(
        "order",
        &["RecordLost"],
        Only(&["delivered", "completed"]),
        "each shipment has an end here, and what has one is not lost any more",
    ),
    never(
        "allocation",
        &["AllocateOrder"],
        Only(&["planning", "allocated", "confirmed", "releasing"]),
        "it is sent once; where the order gives up before it comes, nothing is held",
    ),
    never(
        "allocation",
        &["ConfirmAllocation"],
        AllBut(&["allocated"]),
        "the order asks once, when it has heard that all is held, and before it gives up",
    ),
    never("allocation", &["ReleaseAllocation"], Only(&["releasing", "released"]), "the order gives up once"),
    never(
        "allocation",
        &["RecordStockAnswer"],
        Only(&["-", "released"]),
        "a stock answers who has asked it, and a release waits for all answers",
    ),
    never(
        "payment",
        &["RequestCapture", "RequestRefund", "RequestRelease"],
        Only(&["-", "requested", "ending", "not paid", "voiding", "voided"]),
        "money is taken, given back and let go of when the order is paid, and such an order is not given up",
    ),
    never("payment", &["RequestRelease"], Only(&["releasing", "released"]), "the rest is let go of once, when all that was to be taken is"),
    never(
        "payment",
        &["RequestPayment"],
        Only(&["releasing", "released", "voiding", "voided"]),
        "the order asks to be paid before it gives up, or is completed",
    ),
    never(
        "payment",
        &["RequestVoid"],
        Only(&["-", "releasing", "released", "voiding", "voided"]),
        "an order gives up once, and what it has asked for",
    ),
    never("payment", &["RecordOperation"], Only(&["-"]), "the provider answers what it was asked"),
    never("payment", &["TimeOutPayment"], Only(&["-"]), "the request arms it"),
    never("payment", &["RetryCancel"], Only(&["-"]), "nothing was asked of the provider that it could refuse"),
    never("shipment", &["CancelShipment", "HoldShipment", "EndShipmentHold"], Only(&["-"]), "they come behind the message that creates it"),
    never("shipment", &["RecordLabel"], Only(&["-"]), "the carrier is asked for a label of what is there"),
    never("shipment", &["CreateShipment"], AllBut(&["-"]), "the order sends it once"),
    never("cart", &["CloseCart", "ReopenCart"], Only(&["-"]), "an order is of a cart that was checked out"),
    never("cart", &["ReopenCart"], Only(&["open"]), "the order gives it back once, and it is not open before"),
    never("cart", &["ExpireCart"], Only(&["-"]), "what lies in it arms it"),
    never(
        "stock",
        &["CommitStock"],
        Only(&["free", "held", "closed"]),
        "pieces leave that are kept without an end, for nothing leaves before the order is confirmed",
    ),
    never(
        "stock",
        &["WriteOffStock"],
        Only(&["free", "held", "closed"]),
        "pieces are not found that are kept without an end, for nothing is packed before the order is confirmed",
    ),
    never(
        "stock",
        &["ReleaseStock", "ExpireReservation"],
        Only(&["closed"]),
        "pieces are given back once: by the allocation before the order is confirmed, and by the order after; what closes its place has no time left",
    ),
    never("stock", &["ConfirmReservation"], Only(&["kept", "closed"]), "it is asked once, and before pieces are given back"),
    never("stock", &["ExtendReservation"], All, "the shop's processes ask for the whole time at once"),
    never(
        "stock",
        &["ReserveStock"],
        Only(&["held", "kept", "closed"]),
        "an allocation gives back what it holds before it asks for another quantity; a place that was closed is asked again by a third plan, and these ways have two",
    ),
];
