//! What follows from each message in each state of an aggregate, as the search has found it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use daybook_kernel::{Aggregate, AnyState};
use daybook_proto::JsonValue;

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

    /// As Markdown, an aggregate after the other.
    pub(super) fn written(&self) -> String {
        let mut text = String::new();
        let mut last = "";
        for ((aggregate, state, command), follows) in &self.cells {
            if aggregate != last {
                let _ = write!(text, "\n## {aggregate}\n| state | message | events | leads to | then |\n|---|---|---|---|---|\n");
                last = aggregate;
            }
            let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
            let mut events: Vec<String> = follows.events.iter().cloned().collect();
            events.extend(follows.refusals.iter().map(|code| format!("refused: `{code}`")));
            events.extend(follows.nothing.then(|| "nothing".to_owned()));
            let _ =
                writeln!(text, "| {state} | {command} | {} | {} | {} |", events.join(", "), list(&follows.leads_to), list(&follows.sends));
        }
        text
    }
}

/// Where an aggregate stands, in a word or a few.
pub(super) fn standing(aggregate: &dyn Aggregate, state: &AnyState) -> String {
    let json = aggregate.state_json(state);
    let is = |field: &str| json.get(field).is_some_and(|value| value.as_bool() == Some(true));
    let has = |field: &str| {
        json.get(field).is_some_and(|value| !matches!(value, JsonValue::Null) && value.as_array().is_none_or(|all| !all.is_empty()))
    };
    match aggregate.name() {
        "payment" if json.get("voided").and_then(JsonValue::as_u64).unwrap_or_default() > 0 => {
            (if has("voidsOpen") { "voiding" } else { "voided" }).to_owned()
        }
        "payment" if is("authorised") => "authorised".to_owned(),
        "payment" if is("attemptOpen") => (if is("timedOut") { "ending" } else { "requested" }).to_owned(),
        "payment" if json.get("requested").and_then(JsonValue::as_u64).unwrap_or_default() > 0 => "not paid".to_owned(),
        "stock" => {
            let held = json.get("reservations").and_then(|all| all.get(super::world::ORDER));
            let word = held.map_or("free", |held| if held.get("expiresAt").is_none_or(JsonValue::is_null) { "kept" } else { "held" });
            word.to_owned()
        }
        "cart" => {
            let contents = json.get("contents");
            let order = contents.and_then(|contents| contents.get("order")).is_some_and(|order| !order.is_null());
            (if order { "checked out" } else { "open" }).to_owned()
        }
        _ => {
            let status = json.get("status").and_then(JsonValue::as_str).unwrap_or_default();
            let word = status.split("_STATUS_").nth(1).unwrap_or(status).to_lowercase().replace('_', " ");
            if word == "unspecified" || word.is_empty() { "-".to_owned() } else { word }
        }
    }
}
