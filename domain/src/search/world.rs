//! A shop as a value: states, messages on their way, what is read, armed and asked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use daybook_kernel::ids::EventPlace;
use daybook_kernel::spec::{SPEC_TIME, context};
use daybook_kernel::{
    Aggregate, DecodedOnce, ErasedDeadlines, ErasedLookup, ErasedReactor, EventAt, PageKey, Pages, Registry, ServiceMessage, StreamId,
    Version,
};
use daybook_proto::{CommandSet, MessageSet as _};
use prost::Message as _;
use shop_proto::cart::v1::CartState;
use shop_proto::catalog::v1::Price;
use shop_proto::inventory::v1::StockState;
use shop_proto::order::v1::OrderState;
use shop_proto::payment::v1::{PaymentEvent, ProviderAsked};
use shop_proto::read::v1::{ProductPage, StockLine, WarehouseItem, Warehouses};
use shop_proto::samples::money;
use shop_proto::shipping::v1::ShipmentState;

use super::provider::Provider;
use super::table::{self, Cell, Table};

/// The aggregates that an order's way leads through.
const PROCESSES: [&str; 6] = ["cart", "order", "allocation", "stock", "payment", "shipment"];
pub(super) const ORDER: &str = "o-1";
pub(super) const CART: &str = "k-1";
pub(super) const CUSTOMER: &str = "c-1";
/// What a piece costs, by SKU: amounts that divide badly.
pub(super) const PRODUCTS: [(&str, i64); 2] = [("A-1", 333), ("B-1", 101)];
pub(super) const WAREHOUSES: [&str; 2] = ["w-1", "w-2"];

/// The rules of the shop. A test may leave one out.
pub(super) struct Rules {
    pub(super) registry: Registry,
    pub(super) reactors: Vec<Arc<dyn ErasedReactor>>,
    pub(super) lookups: Vec<Arc<dyn ErasedLookup>>,
    pub(super) deadlines: Vec<Arc<dyn ErasedDeadlines>>,
    /// Commands that nobody sends: a row of the processes that was forgotten.
    forgotten: Vec<String>,
}

impl Rules {
    /// Those of the shop, in which nobody sends these commands.
    pub(super) fn without(forgotten: &[&str]) -> Self {
        let registry = Registry::new(crate::aggregates()).expect("no name stands twice");
        let forgotten = forgotten.iter().map(|name| (*name).to_owned()).collect();
        let lookups = crate::lookups(crate::order::any_payment());
        Self { registry, reactors: crate::reactors(), lookups, deadlines: crate::deadlines(), forgotten }
    }

    fn is_forgotten(&self, command: &str) -> bool {
        self.forgotten.iter().any(|forgotten| *forgotten == table::short(command))
    }

    fn aggregate(&self, command: &str) -> &Arc<dyn Aggregate> {
        self.registry.of_command(command).expect("decided by someone")
    }
}

/// A command, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Letter {
    pub(super) type_name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) target: String,
}

impl From<ServiceMessage> for Letter {
    fn from(message: ServiceMessage) -> Self {
        Self { type_name: message.type_name, bytes: message.bytes, target: message.target.as_str().to_owned() }
    }
}

/// An event that a lookup is to read for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Read {
    lookup: usize,
    type_name: &'static str,
    payload: Vec<u8>,
    stream: String,
}

/// A deadline that may fire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Armed {
    rule: &'static str,
    pub(super) name: &'static str,
    source: String,
    letter: Letter,
}

/// A question to the provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) ask: Vec<u8>,
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
            version: 0,
            mail: BTreeMap::new(),
            reads: Vec::new(),
            armed: BTreeSet::new(),
            asked: Vec::new(),
            provider: Provider::default(),
            notices: Vec::new(),
            left,
        }
    }

    fn state<S: prost::Message + Default>(&self, stream: &str) -> S {
        self.states.get(stream).map(|bytes| S::decode(&**bytes).expect("as it was encoded")).unwrap_or_default()
    }

    pub(super) fn order(&self) -> OrderState {
        self.state(&format!("order/{ORDER}"))
    }

    pub(super) fn shipment(&self, number: u32) -> ShipmentState {
        self.state(&format!("shipment/{ORDER}@{number}"))
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

    /// What lookups may read now.
    pub(super) fn reads(&self) -> usize {
        if self.left.no_lookups { 0 } else { self.reads.len() }
    }

    pub(super) fn cart(&self) -> CartState {
        self.state(&format!("cart/{CART}"))
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

    pub(super) fn send<C: CommandSet>(&mut self, command: impl Into<C>, rules: &Rules, table: &mut Table) {
        self.decide(&ServiceMessage::of(&command.into()).into(), rules, table);
    }

    pub(super) fn fire(&mut self, armed: &Armed, rules: &Rules, table: &mut Table) {
        if self.armed.remove(armed) {
            self.decide(&armed.letter, rules, table);
        }
    }

    /// A command is decided, and what follows is on its way.
    pub(super) fn decide(&mut self, letter: &Letter, rules: &Rules, table: &mut Table) {
        let aggregate = rules.aggregate(letter.type_name);
        let command = aggregate.read_command(letter.type_name, &letter.bytes).unwrap_or_else(|fault| panic!("{letter:?}: {fault}"));
        assert_eq!(command.stream.as_str(), letter.target);
        let stored = self.states.get(&letter.target);
        let mut state = stored.map_or_else(|| aggregate.new_state(), |bytes| aggregate.decode_state(bytes).expect("as it was encoded"));
        let before = table::standing(aggregate.name(), stored.map_or(&[][..], Vec::as_slice));
        let decision = aggregate.decide(&mut state, &command, &context(SPEC_TIME));
        let encoded = aggregate.encode_state(&state);
        let after = table::standing(aggregate.name(), &encoded);
        let mut cell = Cell::new(aggregate.name(), before, letter.type_name, after);
        cell.refused(decision.refusal.map(|refusal| refusal.code));
        if !decision.events.is_empty() {
            self.states.insert(letter.target.clone(), encoded);
        }
        let stream = command.stream;
        for event in decision.events {
            cell.event(event.type_name);
            self.follow(&stream, event.type_name, &event.payload, rules, &mut cell);
        }
        table.add(cell);
    }

    fn follow(&mut self, stream: &StreamId, type_name: &'static str, payload: &[u8], rules: &Rules, cell: &mut Cell) {
        let decoded = DecodedOnce::default();
        self.version += u64::from(stream.aggregate() == "order");
        let at = EventAt { stream, version: Version(self.version), recorded_at: SPEC_TIME };
        let place = EventPlace { epoch: 1, service: String::new(), partition: 0, offset: 0 };
        for rule in rules.reactors.iter().filter(|rule| rule.aggregate() == stream.aggregate()) {
            for (_, message) in rule.react(type_name, payload, &decoded, &at, &place).expect("a rule is total") {
                // Others may hear of stocks and orders, too: that is no way of an order.
                if !PROCESSES.contains(&message.target.aggregate()) || rules.is_forgotten(message.type_name) {
                    continue;
                }
                cell.sends(rule.name(), message.type_name);
                let letter = Letter::from(message);
                self.mail.entry((stream.as_str().to_owned(), letter.target.clone())).or_default().push_back(letter);
            }
        }
        for (lookup, rule) in rules.lookups.iter().enumerate().filter(|(_, rule)| rule.aggregate() == stream.aggregate()) {
            if rule.asks(type_name, payload, &decoded, &at, &place).expect("a rule is total").is_some() {
                cell.asks(rule.name());
                self.reads.push(Read { lookup, type_name, payload: payload.to_vec(), stream: stream.as_str().to_owned() });
            }
        }
        for rule in rules.deadlines.iter().filter(|rule| rule.aggregate() == stream.aggregate()) {
            let disarmed = rule.disarms(type_name, payload, &decoded).expect("a rule is total");
            self.armed.retain(|armed| armed.rule != rule.name() || armed.source != stream.as_str() || !disarmed.contains(&armed.name));
            for (_, deadline) in rule.arms(type_name, payload, &decoded, &at, &place).expect("a rule is total") {
                if rules.is_forgotten(deadline.message.type_name) {
                    continue;
                }
                cell.arms(deadline.name);
                let (name, source, letter) = (deadline.name, stream.as_str().to_owned(), deadline.message.into());
                self.armed.insert(Armed { rule: rule.name(), name, source, letter });
            }
        }
        if stream.aggregate() == "payment"
            && let Ok(PaymentEvent::ProviderAsked(e)) = PaymentEvent::decode(type_name, payload)
        {
            cell.asks("payment-provider");
            self.asked.push(Asked { ask: e.encode_to_vec(), outcome: None });
        }
    }

    /// A lookup reads pages as they are now, and its command is decided.
    pub(super) fn read(&mut self, nth: usize, rules: &Rules, table: &mut Table) {
        let read = self.reads.remove(nth);
        let (rule, decoded) = (&rules.lookups[read.lookup], DecodedOnce::default());
        let stream = StreamId::parse(&read.stream).expect("a stream's id");
        let at = EventAt { stream: &stream, version: Version(1), recorded_at: SPEC_TIME };
        let place = EventPlace { epoch: 1, service: String::new(), partition: 0, offset: 0 };
        let asks = rule.asks(read.type_name, &read.payload, &decoded, &at, &place).expect("a rule is total");
        let mut pages = Pages::default();
        for page in asks.map(|(_, asks)| asks.pages).unwrap_or_default() {
            self.put(page, &mut pages);
        }
        for page in rule.asks_further(read.type_name, &read.payload, &decoded, &pages).expect("pages that can be read") {
            self.put(page, &mut pages);
        }
        let answer = rule.answer(read.type_name, &read.payload, &decoded, &pages, SPEC_TIME).expect("pages that can be read");
        self.decide(&answer.into(), rules, table);
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
