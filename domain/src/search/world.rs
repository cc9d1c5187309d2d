//! A shop as a value: states, messages on their way, what is read, armed and asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use daybook_kernel::ids::{command_id, effect_outcome_id};
use daybook_kernel::spec::{SPEC_TIME, context};
use daybook_kernel::{
    Aggregate, Deadline, DecodedOnce, ErasedDeadlines, ErasedLookup, ErasedReactor, EventAt, Instant, PageKey, Pages, Registry,
    ServiceMessage, StreamId, Version,
};
use daybook_proto::{CommandSet, MessageSet as _};
use prost::Message as _;
use shop_proto::cart::v1::CartState;
use shop_proto::catalog::v1::Price;
use shop_proto::inventory::v1::StockState;
use shop_proto::order::v1::{OrderCommand, OrderEvent, OrderState, TimeOutStep};
use shop_proto::payment::v1::{PaymentEvent, PaymentState, ProviderAsked};
use shop_proto::read::v1::{ProductPage, StockLine, WarehouseItem, Warehouses};
use shop_proto::samples::money;
use shop_proto::shipping::v1::{ShipmentEvent, ShipmentState};

use super::past::{Apart, Id, Past, Written};
use super::provider::Provider;
use super::table::{self, Cell, Kind, Table};

/// The step of an order that ends before its authorisation does.
const AUTHORISATION_STEP: &str = "authorisation";

/// The aggregates that an order's way leads through.
pub(super) const PROCESSES: [&str; 6] = ["cart", "order", "allocation", "stock", "payment", "shipment"];
pub(super) const ORDER: &str = "o-1";
pub(super) const CART: &str = "k-1";
/// The cart of another window, or of a guest.
pub(super) const OTHER_CART: &str = "k-2";
pub(super) const CUSTOMER: &str = "c-1";
/// What a piece costs, by SKU: amounts that divide badly.
pub(super) const PRODUCTS: [(&str, i64); 2] = [("A-1", 333), ("B-1", 101)];
pub(super) const WAREHOUSES: [&str; 2] = ["w-1", "w-2"];

/// The effect that calls the provider.
pub(super) const PROVIDER: &str = "payment-provider";

/// Who sends the commands of deadlines.
pub(super) const DEADLINES: &str = "deadlines";

/// The rules of the shop. A test may leave one out.
pub(super) struct Rules {
    pub(super) registry: Registry,
    pub(super) reactors: Vec<Arc<dyn ErasedReactor>>,
    pub(super) lookups: Vec<Arc<dyn ErasedLookup>>,
    pub(super) deadlines: Vec<Arc<dyn ErasedDeadlines>>,
    /// Commands that nobody sends: a row of the processes that was forgotten.
    pub(super) forgotten: Vec<String>,
    /// Whether commands that were decided are known again.
    pub(super) has_ledger: bool,
    /// Whether the provider does again what it is asked again under the same key.
    pub(super) provider_forgets: bool,
}

impl Rules {
    /// Those of the shop, in which nobody sends these commands.
    pub(super) fn without(forgotten: &[&str]) -> Self {
        let registry = Registry::new(crate::aggregates()).expect("no name stands twice");
        let forgotten = forgotten.iter().map(|name| (*name).to_owned()).collect();
        Self {
            registry,
            reactors: crate::reactors(),
            lookups: crate::lookups(crate::order::any_payment()),
            deadlines: crate::deadlines(),
            forgotten,
            has_ledger: true,
            provider_forgets: false,
        }
    }

    fn is_forgotten(&self, command: &str) -> bool {
        self.forgotten.iter().any(|forgotten| *forgotten == table::short(command))
    }

    pub(super) fn aggregate(&self, command: &str) -> &Arc<dyn Aggregate> {
        self.registry.of_command(command).expect("decided by someone")
    }
}

/// A command, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Letter {
    pub(super) type_name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) target: String,
    /// The ledger of its target knows it by this.
    pub(super) id: Id,
}

impl Letter {
    pub(super) fn new(id: [u8; 16], message: ServiceMessage) -> Self {
        Self { type_name: message.type_name, bytes: message.bytes, target: message.target.as_str().to_owned(), id: Apart(id) }
    }
}

/// An event that a lookup is to read for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Read {
    lookup: usize,
    type_name: &'static str,
    payload: Vec<u8>,
    stream: String,
    event: Apart<Arc<Written>>,
    /// Of its outcome.
    id: Id,
}

/// A deadline that may fire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Armed {
    rule: &'static str,
    pub(super) name: &'static str,
    source: String,
    pub(super) letter: Letter,
}

/// A question to the provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) ask: Vec<u8>,
    /// Of its outcome.
    pub(super) id: Id,
    /// What came of it; none: it is not done.
    pub(super) outcome: Option<Letter>,
}

impl Asked {
    pub(super) fn event(&self) -> ProviderAsked {
        ProviderAsked::decode(&*self.ask).expect("as it was encoded")
    }
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    /// By stream: the state, encoded.
    states: BTreeMap<String, Vec<u8>>,
    /// Pieces that were on all shelves when it began.
    pub(super) pieces: u64,
    /// Pieces that somebody looked for on a shelf, and that were not there.
    pub(super) missing: u64,
    /// Events of the order: shipments are told by which of them they are held.
    version: u64,
    /// By sender and target, in the order in which they were sent.
    mail: BTreeMap<(String, String), VecDeque<Letter>>,
    reads: Vec<Read>,
    armed: BTreeSet<Armed>,
    pub(super) asked: Vec<Asked>,
    pub(super) provider: Provider,
    /// What the provider wants to tell by itself.
    pub(super) notices: Vec<Letter>,
    /// What customer and staff may still do.
    pub(super) left: super::moves::Left,
    /// The reasons of holds that staff has ended.
    pub(super) overruled: BTreeSet<String>,
    /// The order was told that its authorisation is about to end.
    pub(super) is_about_to_end: bool,
    pub(super) past: Apart<Past>,
}

impl World {
    /// Shelves with so many pieces, by product and warehouse; nothing has happened yet.
    pub(super) fn new(shelves: [[u32; 2]; 2], left: super::moves::Left) -> Self {
        let mut states = BTreeMap::new();
        for ((sku, _), of) in PRODUCTS.iter().zip(shelves) {
            for (warehouse, on_hand) in WAREHOUSES.iter().zip(of) {
                let state = StockState { on_hand, ..Default::default() };
                states.insert(format!("stock/{sku}@{warehouse}"), state.encode_to_vec());
            }
        }
        Self {
            states,
            pieces: shelves.iter().flatten().map(|pieces| u64::from(*pieces)).sum(),
            missing: 0,
            version: 0,
            mail: BTreeMap::new(),
            reads: Vec::new(),
            armed: BTreeSet::new(),
            asked: Vec::new(),
            provider: Provider::default(),
            notices: Vec::new(),
            left,
            overruled: BTreeSet::new(),
            is_about_to_end: false,
            past: Apart::default(),
        }
    }

    pub(super) fn state<S: prost::Message + Default>(&self, stream: &str) -> S {
        self.states.get(stream).map(|bytes| S::decode(&**bytes).expect("as it was encoded")).unwrap_or_default()
    }

    pub(super) fn order(&self) -> OrderState {
        self.state(&format!("order/{ORDER}"))
    }

    pub(super) fn shipment(&self, number: u32) -> ShipmentState {
        self.state(&format!("shipment/{ORDER}@{number}"))
    }

    pub(super) fn payment(&self) -> PaymentState {
        self.state(&format!("payment/{ORDER}"))
    }

    /// Time stands still, but for the end of the authorisation: an order compares it with the clock.
    fn now(&self) -> Instant {
        let due = self.order().due_at.filter(|_| self.is_about_to_end);
        due.map_or(SPEC_TIME, |due| Instant::from_proto(&due))
    }

    /// Where a stream stands.
    pub(super) fn standing(&self, stream: &str) -> &'static str {
        let aggregate = stream.split('/').next().unwrap_or_default();
        table::standing(aggregate, self.states.get(stream).map_or(&[][..], Vec::as_slice))
    }

    /// Pieces on all shelves.
    pub(super) fn on_shelves(&self) -> u64 {
        self.stocks().map(|(_, stock)| u64::from(stock.on_hand)).sum()
    }

    /// What stands wrong in any state: stock below zero, more promised than there is, more captured than authorised, more refunded than
    /// captured. None: all is well.
    pub(super) fn wrong(&self) -> Option<String> {
        for (stream, stock) in self.stocks() {
            let promised: u32 = stock.reservations.values().map(|reservation| reservation.quantity).sum();
            if promised != stock.reserved || stock.reserved > stock.on_hand {
                return Some(format!("{stream} has {} on hand, {} reserved, {promised} promised", stock.on_hand, stock.reserved));
            }
        }
        let order = self.order();
        let total = order.total.as_ref().map_or(0, |total| total.minor_units);
        if order.captured > total || order.refunded > order.captured {
            return Some(format!("of {total}, {} are captured and {} refunded", order.captured, order.refunded));
        }
        self.provider.wrong(total)
    }

    pub(super) fn stocks(&self) -> impl Iterator<Item = (&str, StockState)> {
        self.states.keys().filter(|stream| stream.starts_with("stock/")).map(|stream| (stream.as_str(), self.state(stream)))
    }

    /// Whose turn it may be: senders and targets that have mail between them.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &(String, String)> {
        self.mail.keys()
    }

    /// The message that a move brings; none where it brings none, or it has been decided already.
    pub(super) fn brings(&self, one: &super::moves::Move) -> Option<Letter> {
        use super::moves::Move;
        let letter = match one {
            Move::Deliver(from, to) => self.head(&(from.clone(), to.clone())),
            Move::Answer(n) => self.asked.get(*n)?.outcome.as_ref(),
            Move::Notice(n) => self.notices.get(*n),
            _ => None,
        };
        letter.cloned()
    }

    /// What lookups may read now.
    pub(super) fn reads(&self) -> usize {
        if self.left.no_lookups { 0 } else { self.reads.len() }
    }

    pub(super) fn cart(&self, cart: &str) -> CartState {
        self.state(&format!("cart/{cart}"))
    }

    /// What is about to arrive at a stream, by name.
    pub(super) fn heads(&self, stream: &str) -> BTreeSet<&'static str> {
        let to_it = self.mail.iter().filter(|((_, to), _)| to == stream);
        to_it.filter_map(|(way, _)| self.head(way)).map(|letter| letter.type_name).collect()
    }

    /// The next message of a sender; none: it has been decided already.
    fn head(&self, way: &(String, String)) -> Option<&Letter> {
        self.mail.get(way)?.front().filter(|letter| !self.past.0.has_decided(&letter.id))
    }

    pub(super) fn armed(&self) -> impl Iterator<Item = &Armed> {
        self.armed.iter()
    }

    pub(super) fn deliver(&mut self, way: &(String, String), rules: &Rules, table: &mut Table) {
        let Some(letters) = self.mail.get_mut(way) else { return };
        let letter = letters.pop_front();
        if letters.is_empty() {
            self.mail.remove(way);
        }
        if let Some(letter) = letter {
            self.decide(&letter, rules, table);
        }
    }

    /// Somebody says something, under a key of its own.
    pub(super) fn said<C: CommandSet>(&mut self, command: impl Into<C>) -> Letter {
        let message = ServiceMessage::of(&command.into());
        let key = self.past.0.key();
        let id = command_id(message.service, "people", message.target.as_str(), &key);
        Letter::new(id.into_bytes(), message)
    }

    pub(super) fn send<C: CommandSet>(&mut self, command: impl Into<C>, rules: &Rules, table: &mut Table) {
        let letter = self.said(command);
        self.decide(&letter, rules, table);
    }

    /// Its command is on its way: what disarms it now comes too late.
    pub(super) fn fire(&mut self, armed: &Armed) {
        if let Some(Armed { letter, .. }) = self.armed.take(armed) {
            self.mail.entry((DEADLINES.to_owned(), letter.target.clone())).or_default().push_back(letter);
        }
    }

    /// A command is decided, and what follows is on its way. One that was decided before is not decided again.
    pub(super) fn decide(&mut self, letter: &Letter, rules: &Rules, table: &mut Table) {
        if rules.has_ledger && self.past.0.has_decided(&letter.id) {
            return;
        }
        self.past.0.decided(&letter.id);
        if let Some(heard) = &mut self.past.0.heard {
            heard.push((letter.type_name, letter.bytes.clone(), letter.target.clone()));
        }
        let aggregate = rules.aggregate(letter.type_name);
        let command = aggregate.read_command(letter.type_name, &letter.bytes).unwrap_or_else(|fault| panic!("{letter:?}: {fault}"));
        assert_eq!(command.stream.as_str(), letter.target);
        let stored = self.states.get(&letter.target);
        let mut state = stored.map_or_else(|| aggregate.new_state(), |bytes| aggregate.decode_state(bytes).expect("as it was encoded"));
        let before = self.standing(&letter.target);
        self.is_about_to_end |= matches!(
            OrderCommand::decode(letter.type_name, &letter.bytes),
            Ok(OrderCommand::TimeOutStep(TimeOutStep { step, .. })) if step == AUTHORISATION_STEP
        );
        let decision = aggregate.decide(&mut state, &command, &context(self.now()));
        let encoded = aggregate.encode_state(&state);
        let after = table::standing(aggregate.name(), &encoded);
        let mut cell = Cell::new(aggregate.name(), before, letter.type_name, after);
        cell.refused(decision.refusal.map(|refusal| refusal.code));
        if !decision.events.is_empty() {
            self.states.insert(letter.target.clone(), encoded);
        }
        for event in decision.events {
            cell.event(event.type_name);
            self.version += u64::from(aggregate.name() == "order");
            match OrderEvent::decode(event.type_name, &event.payload) {
                Ok(OrderEvent::OrderHeld(e)) => _ = self.overruled.remove(&e.reason),
                Ok(OrderEvent::OrderHoldEnded(e)) if table::short(letter.type_name) == "EndOrderHold" => {
                    _ = self.overruled.insert(e.reason)
                }
                _ => {}
            }
            if let Ok(ShipmentEvent::ShortPicked(e)) = ShipmentEvent::decode(event.type_name, &event.payload) {
                self.missing += e.lines.iter().map(|line| u64::from(line.quantity)).sum::<u64>();
            }
            let written = self.past.0.write(aggregate.service(), &letter.target, event.type_name, event.payload);
            self.follow(&written, rules, &mut cell);
        }
        table.add(cell);
    }

    /// The services whose followers may die.
    pub(super) fn services(&self) -> Vec<&'static str> {
        self.past.0.services().collect()
    }

    /// The followers of a service's log die before their checkpoint: whoever comes after them reacts to the same events, under the same ids.
    pub(super) fn crash(&mut self, service: &'static str, rules: &Rules) {
        for written in self.past.0.again(service) {
            // What follows was noted when it followed first.
            self.follow(&written, rules, &mut Cell::new("", "", "", ""));
        }
    }

    /// All rules that hear of an event. What the ledger has decided, and what stands in a row already, is not done again.
    fn follow(&mut self, written: &Arc<Written>, rules: &Rules, cell: &mut Cell) {
        let (decoded, place) = (DecodedOnce::default(), written.place());
        let stream = StreamId::parse(&written.stream).expect("a stream's id");
        let (type_name, payload) = (written.type_name, written.payload.as_slice());
        let at = EventAt { stream: &stream, version: Version(written.version), recorded_at: SPEC_TIME };
        for rule in rules.reactors.iter().filter(|rule| rule.aggregate() == stream.aggregate()) {
            for (id, message) in rule.react(type_name, payload, &decoded, &at, &place).expect("a rule is total") {
                // Others may hear of stocks and orders, too: that is no way of an order.
                if !PROCESSES.contains(&message.target.aggregate()) || rules.is_forgotten(message.type_name) {
                    continue;
                }
                cell.sends(rule.name(), message.type_name);
                let letter = Letter::new(id.into_bytes(), message);
                self.mail.entry((written.stream.clone(), letter.target.clone())).or_default().push_back(letter);
            }
        }
        for (lookup, rule) in rules.lookups.iter().enumerate().filter(|(_, rule)| rule.aggregate() == stream.aggregate()) {
            if let Some((id, _)) = rule.asks(type_name, payload, &decoded, &at, &place).expect("a rule is total") {
                cell.asks(rule.name());
                let (id, event) = (Apart(id.into_bytes()), Apart(written.clone()));
                let is_there = self.past.0.has_decided(&id) || self.reads.iter().any(|read| read.id.0 == id.0);
                if !is_there {
                    self.reads.push(Read { lookup, type_name, payload: payload.to_vec(), stream: written.stream.clone(), event, id });
                }
            }
        }
        for rule in rules.deadlines.iter().filter(|rule| rule.aggregate() == stream.aggregate()) {
            let disarmed = rule.disarms(type_name, payload, &decoded).expect("a rule is total");
            let is_over = |armed: &Armed| armed.rule == rule.name() && armed.source == written.stream && disarmed.contains(&armed.name);
            self.armed.iter().filter(|armed| is_over(armed)).for_each(|armed| cell.disarms(armed.name));
            self.armed.retain(|armed| !is_over(armed));
            for (id, Deadline { name, message, .. }) in rule.arms(type_name, payload, &decoded, &at, &place).expect("a rule is total") {
                if rules.is_forgotten(message.type_name) {
                    continue;
                }
                cell.arms(rule.name(), name, message.type_name);
                let letter = Letter::new(id.into_bytes(), message);
                if !self.past.0.has_decided(&letter.id) {
                    self.armed.replace(Armed { rule: rule.name(), name, source: written.stream.clone(), letter });
                }
            }
        }
        if stream.aggregate() == "payment"
            && let Ok(PaymentEvent::ProviderAsked(e)) = PaymentEvent::decode(type_name, payload)
        {
            cell.calls(PROVIDER, "shop.payment.v1.RecordOperation");
            let id = Apart(effect_outcome_id(&place, PROVIDER, &written.stream).into_bytes());
            let is_there = self.past.0.has_decided(&id) || self.asked.iter().any(|asked| asked.id.0 == id.0);
            if !is_there {
                self.asked.push(Asked { ask: e.encode_to_vec(), id, outcome: None });
            }
        }
    }

    /// A lookup reads pages as they are now, and its command is decided.
    pub(super) fn read(&mut self, nth: usize, rules: &Rules, table: &mut Table) {
        let read = self.reads.remove(nth);
        let (rule, decoded) = (&rules.lookups[read.lookup], DecodedOnce::default());
        let stream = StreamId::parse(&read.stream).expect("a stream's id");
        let (event, place) = (&read.event.0, read.event.0.place());
        let at = EventAt { stream: &stream, version: Version(event.version), recorded_at: SPEC_TIME };
        let asks = rule.asks(read.type_name, &read.payload, &decoded, &at, &place).expect("a rule is total");
        let mut pages = Pages::default();
        for page in asks.map(|(_, asks)| asks.pages).unwrap_or_default() {
            self.put(page, &mut pages);
        }
        for page in rule.asks_further(read.type_name, &read.payload, &decoded, &pages).expect("pages that can be read") {
            self.put(page, &mut pages);
        }
        let answer = rule.answer(read.type_name, &read.payload, &decoded, &pages, SPEC_TIME).expect("pages that can be read");
        table.sent_by(stream.aggregate(), Kind::Lookup, rule.name(), answer.type_name);
        self.decide(&Letter::new(read.id.0, answer), rules, table);
    }

    fn put(&self, page: PageKey, pages: &mut Pages) {
        let merged = match page.model() {
            "product-pages" => {
                PRODUCTS.iter().find(|(sku, _)| *sku == page.key()).map(|(sku, price)| self.product(sku, *price).encode_to_vec())
            }
            "warehouses" => {
                let item = |(n, warehouse): (u32, &&str)| WarehouseItem { warehouse: (*warehouse).to_owned(), priority: n };
                Some(Warehouses { items: (1..).zip(&WAREHOUSES).map(item).collect() }.encode_to_vec())
            }
            other => panic!("no page of {other} is known here"),
        };
        pages.put(page, merged);
    }

    fn product(&self, sku: &str, price: i64) -> ProductPage {
        let line = |warehouse: &&str| {
            let state: StockState = self.state(&format!("stock/{sku}@{warehouse}"));
            let (on_hand, reserved) = (state.on_hand, state.reserved);
            StockLine { warehouse: (*warehouse).to_owned(), on_hand, reserved, available: on_hand - reserved }
        };
        ProductPage {
            sku: sku.to_owned(),
            title: "Lamp".to_owned(),
            prices: [("EUR".to_owned(), Price { list: Some(money("EUR", price)), sale: None })].into(),
            stock: WAREHOUSES.iter().map(line).collect(),
            ..Default::default()
        }
    }
}
