//! Input from outside, by the thousand, good and bad: nothing panics, nothing grows without bound, and a refusal says why.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use daybook_bus::{Headers, Message, headers as h};
use daybook_kernel::{CommandFault, Registry, Secret, StreamId};
use daybook_messages::Addressed;
use daybook_messages::MAX_COMMAND;
use daybook_proto::v1::{Caller, Handle, Request};
use daybook_testkit::fuzz::{damaged, damaged_json, damaged_text, valid};
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Value, json};

use crate::endpoint::openapi;
use crate::handle;
use crate::intake::{Intake, MisfitKind, keepable};

const PARTITIONS: u32 = 4;

pub(crate) static SHOP: LazyLock<Arc<Registry>> =
    LazyLock::new(|| Arc::new(Registry::new(shop_domain::aggregates()).expect("the shop's list is sound")));
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&SHOP, &[]));

fn secret() -> Secret {
    Secret::new([1; 32])
}

/// Strategies that `make` makes from those of a command's JSON, for every command that there is.
fn of_every_command<T: std::fmt::Debug + 'static>(
    make: impl Fn(&'static str, BoxedStrategy<Value>) -> BoxedStrategy<T>,
) -> impl Strategy<Value = T> {
    let types = SHOP.services().into_iter().flat_map(|service| SHOP.commands(service));
    Union::new(types.map(|(_, name)| make(name, valid(&DOCUMENT, &DOCUMENT["components"]["schemas"][name]))).collect::<Vec<_>>())
}

fn a_command() -> impl Strategy<Value = (&'static str, Value)> {
    of_every_command(|name, json| (Just(name), json).boxed())
}

fn encoded(type_name: &str, json: &Value) -> Vec<u8> {
    let aggregate = SHOP.of_command(type_name).expect("a command of the shop");
    aggregate.read_json(type_name, json.to_string().as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {json}")).bytes
}

fn a_damaged_binary() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    of_every_command(|name, json| (Just(name), damaged(json.prop_map(move |json| encoded(name, &json)))).boxed())
}

/// A refusal says what is wrong, in few words.
fn told(fault: &CommandFault) {
    let texts = match fault {
        CommandFault::Unreadable(e) => vec![e.to_string()],
        CommandFault::Invalid(all) => {
            // If there are more than a hundred the last says so.
            assert!((1..=101).contains(&all.len()), "{} violations", all.len());
            assert!(all.get(100).is_none_or(|last| last.message.contains("more is wrong")), "{all:?}");
            assert!(all.iter().all(|v| v.field.len() < 1_000), "{all:?}");
            // Without a field the whole text is meant, and that is said first and alone.
            assert!(all.iter().take(100).skip(1).all(|v| !v.field.is_empty()), "{all:?}");
            // Words that a parser has for those who program with it.
            for inside in
                ["untagged", "premature", "EOF", "invalid type", "expected `", "trailing characters", "recursion limit", "at line "]
            {
                assert!(all.iter().all(|v| !v.message.contains(inside)), "{all:?}");
            }
            all.iter().map(|v| v.message.clone()).collect()
        }
    };
    assert!(texts.iter().all(|t| !t.is_empty() && t.chars().count() < 1_000), "{fault:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_command_that_the_document_allows_is_read_and_survives_every_form((name, json) in a_command()) {
        let aggregate = SHOP.of_command(name).expect("a command of the shop");
        let read = aggregate.read_json(name, json.to_string().as_bytes());
        let read = read.map_err(|fault| TestCaseError::fail(format!("{name}: {fault}")))?;
        prop_assert!(StreamId::parse(read.stream.as_str()).is_ok());
        let binary = aggregate.read_command(name, &read.bytes).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        prop_assert_eq!((&binary.bytes, &binary.stream), (&read.bytes, &read.stream));
        let text = aggregate.command_json(name, &read.bytes).expect("it was read").to_string();
        let again = aggregate.read_json(name, text.as_bytes()).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        prop_assert_eq!(again.bytes, read.bytes);
    }

    #[test]
    fn json_is_a_command_or_refused_with_a_reason((name, bytes) in of_every_command(|name, json| (Just(name), damaged_json(json)).boxed())) {
        let aggregate = SHOP.of_command(name).expect("a command of the shop");
        match aggregate.read_json(name, &bytes) {
            Ok(read) => prop_assert_eq!(aggregate.read_command(name, &read.bytes).map(|c| c.bytes).ok(), Some(read.bytes)),
            Err(fault) => told(&fault),
        }
    }

    #[test]
    fn protobuf_is_a_command_or_refused_with_a_reason((name, bytes) in a_damaged_binary()) {
        let aggregate = SHOP.of_command(name).expect("a command of the shop");
        match aggregate.read_command(name, &bytes) {
            Ok(read) => {
                prop_assert_eq!(aggregate.read_command(name, &read.bytes).map(|c| c.bytes).ok(), Some(read.bytes.clone()));
                let text = aggregate.command_json(name, &read.bytes).expect("it was read").to_string();
                prop_assert_eq!(aggregate.read_json(name, text.as_bytes()).map(|c| c.bytes).ok(), Some(read.bytes), "{}", text);
            }
            Err(fault) => told(&fault),
        }
    }

    #[test]
    fn a_field_of_another_type_is_refused_by_its_name((name, json) in a_command(), which in any::<prop::sample::Index>()) {
        let mut json = json;
        let object = json.as_object_mut().expect("a command is an object");
        let field = object.keys().nth(which.index(object.len())).expect("an index of it").clone();
        object.insert(field.clone(), json!({ "x": [] }));
        match SHOP.of_command(name).expect("a command of the shop").read_json(name, json.to_string().as_bytes()) {
            Err(CommandFault::Invalid(all)) => prop_assert!(all.iter().any(|v| v.field.starts_with(&field)), "{:?} for {}", all, json),
            Err(other) => prop_assert!(false, "{:?} for {}", other, json),
            Ok(_) => prop_assert!(false, "{} was taken", json),
        }
    }

    #[test]
    fn a_damaged_handle_is_none(text in damaged_text(Just(a_handle()))) {
        let read = handle::read(&text, &secret());
        prop_assert!(read.is_err() || text == a_handle(), "{}", text);
    }
}

fn a_handle() -> String {
    let handle = Handle {
        service: "catalog".into(),
        stream_id: "product/A-1".into(),
        command_id: vec![7; 16],
        partition: 3,
        message_offset: 9,
        origin: None,
    };
    handle::write(&handle, &secret())
}

/// Message headers near to those that the engine reads.
fn some_headers() -> impl Strategy<Value = Vec<(&'static str, Vec<u8>)>> {
    let names = [
        h::CE_TYPE,
        h::CE_ID,
        h::IF_MATCH,
        h::ACTOR,
        h::REASON,
        h::CORRELATION_ID,
        h::TRACEPARENT,
        h::MAC,
        h::COMMAND_ID,
        h::CALLER,
        h::REPLY_TO,
        h::REQUEST_ID,
    ];
    let good =
        prop::sample::select(vec!["7", "key", "alice", "00", "0af76519-16cd-43dd-8448-eb211c80319c"]).prop_map(|t| t.as_bytes().to_vec());
    prop::collection::vec((prop::sample::select(names.to_vec()), damaged(good)), 0..4)
}

fn message(name: &str, key: Vec<u8>, value: Option<Vec<u8>>, more: Vec<(&'static str, Vec<u8>)>) -> Message {
    let mut headers = Headers::new().with(h::CE_TYPE, name.to_owned()).with(h::CE_ID, "k");
    more.into_iter().for_each(|(name, value)| headers.push(name, value));
    Message {
        topic: "t".into(),
        partition: 0,
        offset: 7,
        timestamp_ms: None,
        key: Some(key.into()),
        value: value.map(Bytes::from),
        headers,
    }
}

fn intake(service: &str, partition: i32) -> Intake {
    Intake { service: service.into(), partition, partitions: PARTITIONS, registry: SHOP.clone(), secret: secret(), lost: Arc::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Any message on Kafka is a command of this partition, or is set aside with a reason that can be kept.
    #[test]
    fn a_message_is_a_command_or_set_aside_with_a_reason(
        (name, value) in prop_oneof![a_damaged_binary(), a_command().prop_map(|(name, json)| (name, encoded(name, &json)))],
        key in prop::option::of(damaged(Just(b"product/A-1".to_vec()))),
        more in some_headers(),
        there in prop::bool::weighted(0.95),
    ) {
        let aggregate = SHOP.of_command(name).expect("a command of the shop");
        let stream = aggregate.read_command(name, &value).map(|c| c.stream).ok();
        let own = stream.as_ref().map(|s| s.as_str().as_bytes().to_vec());
        let partition = stream.as_ref().map_or(0, |s| s.partition(PARTITIONS));
        // One of a later version can't be checked by this build, whatever it is: it waits.
        let has_mac = more.iter().any(|(name, _)| *name == h::MAC);
        let sent = message(name, key.or(own).unwrap_or_default(), there.then_some(value), more);
        match intake(aggregate.service(), partition).read(sent.clone()) {
            Ok(arrival) => {
                prop_assert_eq!(arrival.stream.partition(PARTITIONS), partition);
                prop_assert_eq!(Some(arrival.stream.as_str().as_bytes()), sent.key.as_deref());
                prop_assert!(arrival.request.command.len() <= 2 * MAX_COMMAND);
            }
            Err(misfit) => {
                prop_assert!(!misfit.reason.is_empty() && !misfit.reason.contains('\0'), "{:?}", misfit.reason);
                prop_assert!(keepable(misfit.reason.clone()).len() <= 8_100);
                let is_rejected = matches!(misfit.kind, MisfitKind::Rejected(_));
                prop_assert!(is_rejected || has_mac, "without a MAC nothing waits for a newer build");
            }
        }
    }

    /// An engine's own message is read as it was sent; with anything changed that its MAC covers it is refused.
    #[test]
    fn a_signed_message_is_read_as_it_was_sent_or_refused(
        (name, json) in a_command(),
        at in prop::option::of((0..16_usize, any::<prop::sample::Index>(), 1..=255_u8)),
    ) {
        let aggregate = SHOP.of_command(name).expect("a command of the shop");
        let command = aggregate.read_json(name, json.to_string().as_bytes()).expect("valid");
        let request = Request { r#type: name.to_owned(), command: command.bytes, caller: Some(Caller::process("bob")), actor: "alice".into(), if_match: Some(3), ..Default::default() };
        let record = Addressed::new(aggregate.service(), command.stream, "k", request.clone()).record("t".into(), PARTITIONS, &secret());
        let mut headers = record.headers;
        let mut changed = None;
        if let Some((which, at, bits)) = at {
            let which = which % headers.len();
            let (header, value) = &mut headers.0[which];
            let mut bytes = value.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
            changed = Some((header.to_string(), bytes.clone()));
            *value = bytes.into();
        }
        let (partition, key) = (record.partition, record.key);
        let sent = Message { topic: "t".into(), partition, offset: 7, timestamp_ms: None, key: Some(key), value: record.value, headers };
        let read = intake(aggregate.service(), partition).read(sent);
        // These say nothing that is acted upon.
        let free = |name: &str| [h::CE_SPECVERSION, h::CE_SOURCE, h::CONTENT_TYPE].contains(&name);
        match (read, changed) {
            (Ok(arrival), None) => prop_assert_eq!(arrival.request, request),
            (Ok(arrival), Some((header, value))) => {
                // Hexadecimal digits may be large or small, and a number may begin with a plus.
                let same = free(&header) || arrival.request == request && value.is_ascii();
                prop_assert!(same, "{} as {:?} was taken", header, value);
            }
            (Err(misfit), Some(_)) => prop_assert!(!misfit.reason.is_empty()),
            (Err(misfit), None) => prop_assert!(false, "{}", misfit.reason),
        }
    }
}

#[test]
fn a_reason_is_short_and_can_be_kept() {
    assert_eq!(keepable("no\0ne".into()), "no\u{fffd}ne");
    assert_eq!(keepable("ä".repeat(5_000)).chars().count(), 2_001);
}

#[test]
fn nothing_that_a_header_says_is_told_again_without_bounds() {
    for bad in ["a\0b".to_owned(), "x".repeat(3 << 20)] {
        let sent = message(&bad, b"product/A-1".to_vec(), Some(vec![]), Vec::new());
        let reason = intake("catalog", 0).read(sent).err().expect("no such type").reason;
        assert!(reason.contains("ce_type") && reason.len() < 300, "{reason:.300}");
    }
}
