use std::sync::LazyLock;

use daybook_kernel::{Aggregate, Decider, Decision, Registry, digest};
use daybook_proto::v1::{Caller, Request};
use serde_json::json;
use shop_domain::catalog::Product;
use shop_proto::catalog::v1::{CreateProduct, ProductCommand, ProductCreated, ProductEvent, ProductRefusal, ProductState};
use shop_proto::common::v1::Money;
use shop_proto::inventory::v1::StockReserved;

use super::*;
use crate::intake::Origin;

/// Made once: it looks at the options of every field.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::new(shop_domain::aggregates()).expect("sound"));

fn arrival(n: u32, description: usize) -> Arrival {
    let command = CreateProduct {
        sku: format!("A-{n}"),
        title: "A lamp".into(),
        attributes: (0..description).map(|i| (format!("a{i}"), "x".repeat(7_000))).collect(),
        price: Some(Money { currency: "EUR".into(), minor_units: 1 }),
        ..Default::default()
    };
    let aggregate = REGISTRY.of_command("shop.catalog.v1.CreateProduct").expect("known").clone();
    let command = aggregate.read_command("shop.catalog.v1.CreateProduct", &command.encode_to_vec()).unwrap_or_else(|e| panic!("{e}"));
    let request = Request { r#type: command.type_name.into(), command: command.bytes.clone(), ..Default::default() };
    Arrival {
        origin: Origin::Kafka(n.into()),
        command_id: Uuid::from_u128(n.into()),
        stream: command.stream.clone(),
        aggregate,
        digest: digest::command(command.type_name, &command.bytes, None),
        command,
        request,
        reply_to: None,
    }
}

fn head() -> PageHead {
    PageHead {
        page: 0,
        epoch: 1,
        first_offset: 0,
        count: 0,
        message_offset: -1,
        writer: "w".into(),
        previous: vec![],
        digest: vec![0; 32],
        recorded_at: Instant::from_micros(1),
    }
}

/// In partition 0, with room for a hundred.
fn place<'a>(service: &'a str, after: &'a PageHead) -> PageContext<'a> {
    static SECRET: LazyLock<Secret> = LazyLock::new(|| Secret::new([1; 32]));
    static WAITS: LazyLock<Arc<Waits>> = LazyLock::new(Arc::default);
    let (now, secret, waits) = (Instant::from_micros(2), &SECRET, &WAITS);
    let (message_offset, registry) = (after.message_offset, &*REGISTRY);
    PageContext { service, partition: 0, writer: "w", after, message_offset, now, secret, waits, registry, limit: 100, unwritable: None }
}

fn decide_all(arrivals: &[Arrival], known: &HashMap<Uuid, Arc<CommandResult>>) -> Decided {
    decide_some(arrivals, known, Page::MAX_COMMANDS, None)
}

/// With the streams of the first `limit` arrivals only, as a lane reads them.
fn decide_some(arrivals: &[Arrival], known: &HashMap<Uuid, Arc<CommandResult>>, limit: usize, unwritable: Option<(Uuid, &str)>) -> Decided {
    let head = head();
    let place = PageContext { limit, unwritable, ..place("catalog", &head) };
    let read = arrivals.iter().take(limit);
    let streams = read.map(|a| (a.stream.clone(), Held { state: a.aggregate.new_state(), version: 0 })).collect();
    decide(arrivals, streams, known, &mut Memory::new(10, 10), &place)
}

#[test]
fn a_page_is_bounded_in_commands_and_bytes() {
    let many: Vec<Arrival> = (0..2_500).map(|n| arrival(n, 0)).collect();
    let decided = decide_all(&many, &HashMap::new());
    assert_eq!((decided.consumed, decided.page.expect("new commands").ledger().len()), (2_000, 2_000));
    let large: Vec<Arrival> = (0..60).map(|n| arrival(n, 30)).collect();
    let decided = decide_all(&large, &HashMap::new());
    let page = decided.page.expect("new commands");
    assert!((2..60).contains(&decided.consumed), "{}", decided.consumed);
    assert_eq!(page.ledger().len(), decided.consumed);
    assert_eq!(page.head().message_offset, i64::try_from(decided.consumed).expect("few") - 1, "it names what it has consumed, and no more");
    assert!(!decided.streams.contains_key(&large[decided.consumed].stream), "what was decided and had no room is forgotten");
}

fn results_of(arrivals: &[Arrival]) -> HashMap<Uuid, Arc<CommandResult>> {
    let result = |a: &Arrival| Arc::new(CommandResult { command_digest: a.digest.to_vec(), ..Default::default() });
    arrivals.iter().map(|a| (a.command_id, result(a))).collect()
}

#[test]
fn a_repeat_counts_so_that_nothing_is_decided_whose_stream_was_not_read() {
    let arrivals: Vec<Arrival> = (0..4).map(|n| arrival(n, 0)).collect();
    let decided = decide_some(&arrivals, &results_of(&arrivals[..1]), 2, None);
    assert_eq!((decided.consumed, decided.repeats, decided.new), (2, 1, 1));
    assert!(decided.parked.is_empty(), "{:?}", decided.parked);
}

#[test]
fn a_command_that_can_not_be_written_is_parked_alone() {
    let arrivals: Vec<Arrival> = (0..4).map(|n| arrival(n, 0)).collect();
    let unwritable = arrivals[1].command_id;
    let decided = decide_some(&arrivals, &HashMap::new(), Page::MAX_COMMANDS, Some((unwritable, "22021 why")));
    assert_eq!((decided.consumed, decided.new), (4, 3));
    let parked: Vec<(Uuid, &str, &str)> = decided.parked.iter().map(|p| (p.command_id, p.kind.as_str(), p.reason.as_str())).collect();
    assert_eq!(parked, [(unwritable, "unwritable", "22021 why")]);
}

#[test]
fn a_batch_of_repeats_writes_no_page() {
    let arrivals = [arrival(1, 0), arrival(2, 0)];
    let known = results_of(&arrivals);
    let decided = decide_all(&arrivals, &known);
    assert!(decided.page.is_none());
    assert_eq!((decided.consumed, decided.repeats, decided.new), (2, 2, 0));
    assert!(decided.answers.iter().all(|a| a.replayed));
}

/// A command to the stock of A-1 in w-1, from JSON.
fn stock(id: u128, command: &str, json: serde_json::Value) -> Arrival {
    let mut json = json;
    (json["sku"], json["warehouse"]) = ("A-1".into(), "w-1".into());
    asked(id, format!("shop.inventory.v1.{command}"), &json)
}

/// Any command, from JSON.
fn asked(id: u128, type_name: String, json: &serde_json::Value) -> Arrival {
    let aggregate = REGISTRY.of_command(&type_name).expect("known").clone();
    let command = aggregate.read_json(&type_name, json.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let request = Request { r#type: type_name, command: command.bytes.clone(), ..Default::default() };
    Arrival {
        origin: Origin::Kafka(7),
        command_id: Uuid::from_u128(id),
        stream: command.stream.clone(),
        aggregate,
        digest: digest::command(command.type_name, &command.bytes, None),
        command,
        request,
        reply_to: None,
    }
}

fn receive(id: u128, quantity: u32) -> Arrival {
    stock(id, "ReceiveStock", json!({ "quantity": quantity }))
}

fn reserve(id: u128, order: &str, quantity: u32) -> Arrival {
    stock(id, "ReserveStock", json!({ "orderId": order, "quantity": quantity }))
}

/// The results of a page's commands, in order.
fn results(page: &Page) -> Vec<CommandResult> {
    page.ledger().iter().map(|row| CommandResult::decode(row.result.as_slice()).expect("a result")).collect()
}

#[test]
fn a_result_says_where_its_events_stand_and_a_refusal_what_it_rests_on() {
    let head = PageHead { epoch: 3, first_offset: 8, count: 2, recorded_at: Instant::from_micros(5_000_000), ..head() };
    // A clock that was set back.
    let now = Instant::from_micros(1);
    let place = PageContext { partition: 2, now, ..place("inventory", &head) };
    let point = stock(2, "SetReorderPoint", json!({ "reorderPoint": 5 }));
    let arrivals = [receive(1, 10), point, reserve(3, "o-1", 8), reserve(4, "o-2", 8), receive(5, 1)];
    let streams = HashMap::from([(arrivals[0].stream.clone(), Held { state: arrivals[0].aggregate.new_state(), version: 4 })]);
    let decided = decide(&arrivals, streams, &HashMap::new(), &mut Memory::new(10, 10), &place);
    let page = decided.page.expect("new commands");
    let said = |r: &CommandResult| (r.version, r.offset, r.events.iter().map(|e| e.offset).collect::<Vec<_>>());
    assert_eq!(
        results(&page).iter().map(said).collect::<Vec<_>>(),
        [(5, 10, vec![10]), (6, 11, vec![11]), (8, 13, vec![12, 13]), (8, 13, vec![]), (9, 14, vec![14])]
    );
    assert!(results(&page).iter().all(|r| (r.service.as_str(), r.partition, r.epoch) == ("inventory", 2, 3)));
    let stored: Vec<_> = page.stored_events().collect();
    assert_eq!(stored.iter().map(|e| (e.offset, e.version)).collect::<Vec<_>>(), [(10, 5), (11, 6), (12, 7), (13, 8), (14, 9)]);
    assert_eq!(decided.streams[&arrivals[0].stream].version, 9);
    let reserved = StockReserved::decode(stored[2].payload.as_slice()).expect("it is one");
    let until = Instant::from_proto(&reserved.expires_at.expect("there is an end")).micros();
    assert!(until > head.recorded_at.micros(), "{until}: decided as of the page's time, which never goes back");
    assert_eq!((until - head.recorded_at.micros()) % 1_000_000, 0);
}

#[test]
fn an_events_metadata_is_its_requests_own() {
    let mut arrival = receive(1, 10);
    let text = |name: &str| name.to_owned();
    arrival.request = Request {
        caller: Some(Caller::process("caller")),
        actor: text("actor"),
        reason: text("reason"),
        source_address: text("address"),
        correlation_id: text("correlation"),
        causation_id: text("cause"),
        traceparent: text("trace"),
        ..arrival.request
    };
    let expected = Metadata {
        command_id: arrival.command_id.as_bytes().to_vec(),
        correlation_id: text("correlation"),
        causation_id: text("cause"),
        actor: text("actor"),
        reason: text("reason"),
        source_address: text("address"),
        traceparent: text("trace"),
        caller: Some(Caller::process("caller")),
        personal_subject: String::new(),
    };
    let of = |arrival: &Arrival| {
        let page = decide_all(std::slice::from_ref(arrival), &HashMap::new()).page.expect("a new command");
        let stored = page.stored_events().next().expect("one");
        Metadata::decode(stored.metadata.as_slice()).expect("metadata")
    };
    assert_eq!(of(&arrival), expected);
    arrival.request.correlation_id.clear();
    let own = arrival.command_id.to_string();
    assert_eq!(of(&arrival), Metadata { correlation_id: own, ..expected }, "it begins a correlation of its own");
}

/// The answer to each arrival, and whether as a repeat.
fn answers(decided: &Decided) -> Vec<(&'static str, bool)> {
    let name = |a: &Answer| match &a.answer {
        ReplyAnswer::Result(r) => match r.outcome.as_ref().expect("one") {
            Outcome::Accepted(_) => "accepted",
            Outcome::Refused(_) => "refused",
            Outcome::PreconditionFailed(_) => "412",
        },
        ReplyAnswer::KeyReused(_) => "422",
        ReplyAnswer::Parked(_) => "parked",
        _ => "something else",
    };
    decided.answers.iter().map(|a| (name(a), a.replayed)).collect()
}

#[test]
fn a_repeat_is_known_from_this_batch_from_memory_and_from_the_ledger_and_another_command_under_its_id_is_none() {
    // Of one length, as all digests are.
    let arrivals = [receive(1, 10), receive(1, 10), receive(1, 11)];
    let decided = decide_all(&arrivals, &HashMap::new());
    assert_eq!(answers(&decided), [("accepted", false), ("accepted", true), ("422", false)]);
    assert_eq!((decided.new, decided.repeats), (1, 2));
    let result = decided.results[&arrivals[0].command_id].clone();
    assert_eq!(decided.page.expect("one is new").ledger().len(), 1);

    let again = |known: &HashMap<_, _>, memory: &mut Memory| {
        let head = head();
        let place = place("inventory", &head);
        let streams = HashMap::from([(arrivals[0].stream.clone(), Held { state: arrivals[0].aggregate.new_state(), version: 0 })]);
        let decided = decide(&arrivals[1..], streams, known, memory, &place);
        assert!(decided.page.is_none());
        assert_eq!(answers(&decided), [("accepted", true), ("422", false)]);
    };
    let mut memory = Memory::new(10, 10);
    again(&HashMap::from([(arrivals[0].command_id, result.clone())]), &mut memory);
    memory.keep_result(arrivals[0].command_id, result);
    again(&HashMap::new(), &mut memory);
}

#[test]
fn if_match_is_another_version_whether_that_is_older_or_newer() {
    let expecting = |id, version| {
        let mut arrival = receive(id, 1);
        arrival.request.if_match = Some(version);
        arrival
    };
    let decided = decide_all(&[expecting(1, 0), expecting(2, 0), expecting(3, 2), expecting(4, 1)], &HashMap::new());
    assert_eq!(answers(&decided), [("accepted", false), ("412", false), ("412", false), ("accepted", false)]);
}

#[test]
fn what_was_parked_is_settled_once_it_has_a_result_and_else_stays_as_it_is() {
    let parked = |id: u32| Arrival { origin: Origin::Parked(Uuid::from_u128(100 + u128::from(id))), ..arrival(id, 0) };
    let (decided_now, known, refused) = (parked(1), parked(2), parked(3));
    let ledger = results_of(std::slice::from_ref(&known));
    let ids = [&decided_now, &known].map(|arrival| arrival.origin.parked_id().expect("it has one"));
    let unwritable = refused.command_id;
    let decided = decide_some(&[decided_now, known, refused], &ledger, 10, Some((unwritable, "22021 why")));
    assert_eq!((decided.taken_up.as_slice(), decided.parked.len(), decided.consumed), (&ids[..], 0, 3));
    assert_eq!(decided.page.expect("one is new").head().message_offset, -1, "they stood further back");
}

#[test]
fn what_was_handed_over_beside_kafka_is_set_aside_by_its_message_alone_and_its_page_names_the_last_message_that_is_done() {
    let beside = |id: u32| Arrival { origin: Origin::Beside, ..arrival(id, 0) };
    let (new, unwritable) = (beside(1), beside(2));
    let head = head();
    let decide_at = |arrivals: &[Arrival], known: &HashMap<_, _>| {
        let place = PageContext { message_offset: 41, unwritable: Some((unwritable.command_id, "why")), ..place("catalog", &head) };
        let streams = arrivals.iter().map(|a| (a.stream.clone(), Held { state: a.aggregate.new_state(), version: 0 })).collect();
        decide(arrivals, streams, known, &mut Memory::new(10, 10), &place)
    };
    let decided = decide_at(&[new, beside(2)], &HashMap::new());
    assert_eq!((decided.consumed, decided.parked.len(), decided.answers.len()), (2, 0, 1));
    assert_eq!(decided.page.expect("one is new").head().message_offset, 41);
    // Another command of a process under the id of one that has a result.
    let mut other = beside(3);
    other.request.caller = Some(Caller::process("reactor/r"));
    let ledger = results_of(std::slice::from_ref(&other));
    other.digest = digest::command("another", b"", None);
    assert_eq!(decide_at(std::slice::from_ref(&other), &ledger).rejected, []);
    other.origin = Origin::Kafka(50);
    assert_eq!(decide_at(&[other], &ledger).rejected.len(), 1);
    let decided = decide_at(&[beside(4), arrival(50, 0), beside(5)], &HashMap::new());
    assert_eq!(decided.page.expect("they are new").head().message_offset, 50);
}

/// A product whose creation is told by an event of as many bytes as its title says.
struct Verbose;

impl Decider for Verbose {
    type Command = ProductCommand;
    type Event = ProductEvent;
    type State = ProductState;
    type Refusal = ProductRefusal;

    fn decide(_: &ProductState, command: &ProductCommand, _: &Context) -> Decision<Self> {
        let ProductCommand::CreateProduct(create) = command else { return Decision::nothing() };
        let description = "x".repeat(create.title.parse().expect("a number"));
        Decision::event(ProductCreated { sku: create.sku.clone(), description, ..Default::default() })
    }

    fn evolve(state: &mut ProductState, event: &ProductEvent) {
        Product::evolve(state, event);
    }
}

#[test]
fn an_event_is_measured_with_its_metadata_and_what_was_decided_of_it_is_forgotten() {
    let of = |bytes: usize, reason: usize| {
        let aggregate = <dyn Aggregate>::of::<Verbose>();
        let create = CreateProduct {
            sku: "A-1".into(),
            title: bytes.to_string(),
            price: Some(Money { currency: "EUR".into(), minor_units: 1 }),
            ..Default::default()
        };
        let command = aggregate.read_command("shop.catalog.v1.CreateProduct", &create.encode_to_vec()).unwrap_or_else(|e| panic!("{e}"));
        let mut arrival = Arrival { aggregate, command, ..arrival(1, 0) };
        arrival.request.reason = "y".repeat(reason);
        arrival
    };
    let size = |arrival: &Arrival| {
        let page = decide_all(std::slice::from_ref(arrival), &HashMap::new()).page.expect("it fits");
        let stored = page.stored_events().next().expect("one");
        stored.payload.len() + stored.metadata.len()
    };
    let most = 900_000 + MAX_EVENT - size(&of(900_000, 200));
    assert_eq!(size(&of(most, 200)), MAX_EVENT);
    let large = [of(most, 201)];
    let decided = decide_all(&large, &HashMap::new());
    assert_eq!((answers(&decided), decided.page.is_none()), (vec![("parked", false)], true));
    assert_eq!(decided.parked[0].kind, "too-large");
    assert!(!decided.streams.contains_key(&large[0].stream), "its state has moved on without being written");
}

/// A customer's registration names the stream of the e-mail address by such a hash.
#[test]
fn deciding_again_hashes_as_before_and_another_install_otherwise() {
    let register = json!({ "customerId": "c-1", "email": "ann@example.org", "name": "Ann" });
    let arrivals = [asked(1, "shop.customer.v1.RegisterCustomer".to_owned(), &register)];
    let decide_with = |secret: u8| {
        let (head, secret) = (head(), Secret::new([secret; 32]));
        let place = PageContext { secret: &secret, ..place("customer", &head) };
        let streams = HashMap::from([(arrivals[0].stream.clone(), Held { state: arrivals[0].aggregate.new_state(), version: 0 })]);
        let page = decide(&arrivals, streams, &HashMap::new(), &mut Memory::new(10, 10), &place).page.expect("it is new");
        page.stored_events().map(|event| event.payload).collect::<Vec<_>>()
    };
    assert_eq!(decide_with(7).len(), 1);
    assert_eq!(decide_with(7), decide_with(7));
    assert_ne!(decide_with(7), decide_with(8));
}
