//! The effects, as their runner calls them.

use std::sync::Arc;

use daybook_kernel::{Attempt, Effect as _, ErasedEffect, EventAt, Instant, ServiceMessage, StreamId, Unknown, Version};
use daybook_proto::MessageSet as _;
use serde_json::{Value, json};
use shop_outside::{Asking, LabelEffect, Listed, Outside, PayingEffect, Payment, PaymentProvider, PaymentStatus, Said, effects};
use shop_proto::common::v1::{Address, Money};
use shop_proto::order::v1::PaymentLimits;
use shop_proto::payment::v1::{
    Operation, OperationResult, PaymentCommand, PaymentEvent, PaymentRequested, ProviderAsked, ProviderStatus, RecordOperation,
};
use shop_proto::shipping::v1::{RecordLabel, ShipmentCommand, ShipmentCreated, ShipmentEvent};
use shop_simulators::Captures;
use uuid::Uuid;

use crate::support::Simulator;

fn asked(operation: Operation, number: u32) -> ProviderAsked {
    ProviderAsked {
        order_id: "o-1".into(),
        ask: 7,
        operation: operation.into(),
        number,
        amount: Some(Money { currency: "EUR".into(), minor_units: 1_000 }),
        customer_id: "c-1".into(),
        payment_token: "tok_ok".into(),
        ..ProviderAsked::default()
    }
}

fn paying(simulator: &Simulator) -> PayingEffect {
    PayingEffect::new(Outside { payment: Some(simulator.address()), ..Outside::default() }.payment_provider())
}

/// What it records; none: nothing is known.
async fn recorded(effect: &PayingEffect, asked: &ProviderAsked, attempt: Attempt) -> Option<RecordOperation> {
    let message = effect.call(&PaymentEvent::from(asked.clone()), attempt).await.ok()?;
    assert_eq!((message.service, &message.target), ("payment", &StreamId::new("payment", "o-1")));
    match PaymentCommand::decode(message.type_name, &message.bytes) {
        Ok(PaymentCommand::RecordOperation(record)) => {
            assert_eq!((record.order_id.as_str(), record.ask), ("o-1", 7));
            Some(record)
        }
        other => panic!("{other:?}"),
    }
}

fn calls(books: &Value) -> Vec<(String, u64)> {
    let keys = books["payments"].as_array().expect("payments").iter().flat_map(|p| p["keys"].as_array().expect("keys"));
    let mut calls: Vec<_> =
        keys.map(|k| (k["operation"].as_str().expect("a word").to_owned(), k["calls"].as_u64().expect("a number"))).collect();
    calls.sort();
    calls
}

#[test]
fn only_what_asks_is_asked_for_the_stream_that_asked_and_until_it_is_too_late() {
    let stream = StreamId::new("payment", "o-1");
    let at = EventAt { stream: &stream, version: Version(1), recorded_at: Instant::from_micros(0) };
    let until = ProviderAsked { not_after: Some(prost_types::Timestamp { seconds: 9, nanos: 0 }), ..asked(Operation::Confirm, 1) };
    let call = PayingEffect::asks(&until.into(), &at).expect("it asks");
    assert_eq!((call.target, call.not_after), (stream.clone(), Some(Instant::from_micros(9_000_000))));
    assert_eq!(PayingEffect::asks(&PaymentRequested::default().into(), &at), None);
    let created = ShipmentCreated { order_id: "o-1".into(), number: 3, ..ShipmentCreated::default() };
    assert_eq!(LabelEffect::asks(&created.into(), &at).expect("it asks").target, StreamId::new("shipment", "o-1@3"));
}

#[tokio::test]
async fn an_operation_is_done_and_its_answer_recorded() {
    let simulator = Simulator::payments(Captures::Many).await;
    let effect = paying(&simulator);
    let created = recorded(&effect, &asked(Operation::Create, 1), Attempt::First).await.expect("an answer");
    let object_id = created.payment.expect("a payment").object_id;
    let on = |operation, number| ProviderAsked { object_id: object_id.clone(), ..asked(operation, number) };
    for (operation, status, captured, refunded) in [
        (Operation::Confirm, ProviderStatus::Authorised, 0, 0),
        (Operation::Capture, ProviderStatus::Authorised, 1_000, 0),
        (Operation::Refund, ProviderStatus::Authorised, 1_000, 1_000),
        (Operation::Cancel, ProviderStatus::Cancelled, 1_000, 1_000),
        (Operation::Look, ProviderStatus::Cancelled, 1_000, 1_000),
    ] {
        let record = recorded(&effect, &on(operation, 1), Attempt::First).await.expect("an answer");
        let payment = record.payment.expect("a payment");
        assert_eq!(record.result, i32::from(OperationResult::Done), "{operation:?}");
        assert_eq!((payment.status, payment.captured, payment.refunded), (status.into(), captured, refunded), "{operation:?}");
    }
    let refused = recorded(&effect, &on(Operation::Capture, 2), Attempt::First).await.expect("an answer");
    assert_eq!((refused.result, refused.code.as_str()), (OperationResult::Refused.into(), "not-authorised"));
    assert_eq!(refused.payment.map(|payment| payment.captured), Some(1_000));
    // The payment's own undo has numbers of its own.
    let undo = ProviderAsked { undo: true, ..on(Operation::Refund, 1) };
    assert_eq!(recorded(&effect, &undo, Attempt::First).await.expect("an answer").result, i32::from(OperationResult::Refused));
}

#[tokio::test]
async fn what_is_not_known_is_asked_about_and_done_once() {
    let simulator = Simulator::payments(Captures::Many).await;
    let effect = paying(&simulator);
    let create = asked(Operation::Create, 1);
    simulator.faults(json!({ "loseAnswers": 1 })).await;
    assert_eq!(recorded(&effect, &create, Attempt::First).await, None);
    assert_eq!(recorded(&effect, &create, Attempt::AskFirst).await, None, "asking was in vain too");
    simulator.faults(json!({})).await;
    let answers = [Attempt::AskFirst, Attempt::AskOnly, Attempt::First];
    let mut records = Vec::new();
    for attempt in answers {
        records.push(recorded(&effect, &create, attempt).await.expect("an answer"));
    }
    assert!(records.windows(2).all(|two| two[0] == two[1]), "{records:?}");
    // The first and the last; asking is no call.
    assert_eq!(calls(&simulator.books().await), [("create".to_owned(), 2)]);
}

#[tokio::test]
async fn what_they_never_heard_of_is_done_unless_it_is_too_late() {
    let simulator = Simulator::payments(Captures::Many).await;
    let effect = paying(&simulator);
    let late = recorded(&effect, &asked(Operation::Create, 1), Attempt::AskOnly).await.expect("an answer");
    assert_eq!((late.result, late.payment), (OperationResult::NotBegun.into(), None));
    assert_eq!(calls(&simulator.books().await), []);
    let record = recorded(&effect, &asked(Operation::Create, 2), Attempt::AskFirst).await.expect("an answer");
    assert_eq!(record.result, i32::from(OperationResult::Done));
    let object_id = record.payment.expect("a payment").object_id;
    // Looking is never too late.
    let look = ProviderAsked { object_id, ..asked(Operation::Look, 1) };
    assert_eq!(recorded(&effect, &look, Attempt::AskOnly).await.expect("an answer").result, i32::from(OperationResult::Done));
    let other = ProviderAsked { order_id: "o-2".into(), ..look };
    assert!(effect.call(&PaymentEvent::from(other), Attempt::First).await.is_err(), "the payment of another order");
}

/// How much was captured and refunded, by the provider's books.
async fn moved(simulator: &Simulator) -> (i64, i64) {
    let payment = simulator.books().await["payments"][0].clone();
    let of = |field: &str| payment[field].as_i64().expect("an amount");
    (of("captured"), of("refunded"))
}

/// An answer was lost, and a day later nobody knows the key any more.
#[tokio::test]
async fn what_they_have_forgotten_is_looked_up_in_the_payment_and_moves_no_money_twice() {
    let simulator = Simulator::payments(Captures::Many).await;
    let effect = paying(&simulator);
    let created = recorded(&effect, &asked(Operation::Create, 1), Attempt::First).await.expect("an answer");
    let object_id = created.payment.expect("a payment").object_id;
    let on = |operation, number, minor_units| ProviderAsked {
        object_id: object_id.clone(),
        amount: Some(Money { currency: "EUR".into(), minor_units }),
        ..asked(operation, number)
    };
    recorded(&effect, &on(Operation::Confirm, 1, 1_000), Attempt::First).await.expect("an answer");
    // Each is done, or is not, and nobody hears of it; what is moved in all then.
    let all = [
        (Operation::Capture, 1, 600, true, (600, 0)),
        (Operation::Capture, 2, 400, false, (1_000, 0)),
        (Operation::Refund, 1, 100, true, (1_000, 100)),
        (Operation::Refund, 2, 50, false, (1_000, 150)),
    ];
    for (operation, number, amount, is_done, sums) in all {
        let ask = on(operation, number, amount);
        let before = if operation == Operation::Capture { moved(&simulator).await.0 } else { moved(&simulator).await.1 };
        simulator.faults(if is_done { json!({ "loseAnswers": 1 }) } else { json!({ "down": true }) }).await;
        assert_eq!(recorded(&effect, &ask, Attempt::First).await, None, "{ask:?}");
        simulator.faults(json!({ "forgetKeysMs": 0 })).await;
        let forgotten = recorded(&effect, &ask, Attempt::AskOnly).await.expect("an answer");
        assert_eq!(forgotten.result, i32::from(OperationResult::NotBegun));
        // Too late to begin it once more: where it was not done, nothing is known again.
        let again = ProviderAsked { again: 1, before, ..ask };
        let too_late = recorded(&effect, &again, Attempt::AskOnly).await.expect("an answer");
        assert_eq!(too_late.result == i32::from(OperationResult::Done), is_done, "{too_late:?}");
        for attempt in [Attempt::First, Attempt::AskFirst, Attempt::AskOnly] {
            let done = recorded(&effect, &again, attempt).await.expect("an answer");
            assert_eq!(done.result, i32::from(OperationResult::Done), "{done:?}");
            assert_eq!(moved(&simulator).await, sums, "{again:?} {attempt:?}");
        }
    }
}

#[tokio::test]
async fn where_a_payment_does_not_show_whether_it_was_done_it_stays_open_with_the_reason() {
    let payment = shown(5_000, 700, 0);
    let again = |before| ProviderAsked { object_id: "pay_1".into(), again: 1, before, ..asked(Operation::Capture, 1) };
    let call = async |said: &Payment, before| {
        let effect = PayingEffect::new(Some(Arc::new(Saying(said.clone()))));
        effect.call(&PaymentEvent::from(again(before)), Attempt::First).await
    };
    let is_in_doubt = |said: &Result<ServiceMessage, Unknown>| matches!(said, Err(Unknown::Unusable(why)) if why.contains("has forgotten whether it has captured 1000"));
    // Less was moved than was known to be.
    assert!(is_in_doubt(&call(&payment, 800).await));
    // Somebody has moved a part by hand: ours was not done, and is asked anew.
    for before in [0, 699] {
        let said = call(&payment, before).await;
        assert!(!is_in_doubt(&said), "{said:?}");
    }
    let others = Payment { order: "o-2".into(), captured: 1_000, ..payment.clone() };
    assert!(matches!(call(&others, 0).await, Err(Unknown::Unusable(_))));
    assert!(call(&Payment { captured: 1_700, ..payment }, 700).await.is_ok());
}

/// The payment of order `o-1`, as the provider shows it with these sums.
fn shown(authorised: i64, captured: i64, refunded: i64) -> Payment {
    Payment {
        id: "pay_1".into(),
        order: "o-1".into(),
        status: PaymentStatus::Authorised,
        currency: "EUR".into(),
        authorised,
        captured,
        refunded,
        disputed: 0,
        voided: 0,
        captures_once: false,
        capture_before: None,
        action_url: None,
        code: None,
        created: None,
    }
}

/// Who answers all questions with the same payment.
struct Saying(Payment);

impl Saying {
    fn says<'a>(&self) -> Asking<'a, Said<Payment>> {
        let said = Said::Done(self.0.clone());
        Box::pin(async { Ok(said) })
    }
}

impl PaymentProvider for Saying {
    fn limits(&self, _: &str) -> PaymentLimits {
        PaymentLimits::default()
    }

    fn create<'a>(&'a self, _: Uuid, _: &'a str, _: &'a Money) -> Asking<'a, Said<Payment>> {
        self.says()
    }

    fn confirm<'a>(&'a self, _: Uuid, _: &'a str, _: &'a str) -> Asking<'a, Said<Payment>> {
        self.says()
    }

    fn capture<'a>(&'a self, _: Uuid, _: &'a str, _: &'a Money) -> Asking<'a, Said<Payment>> {
        self.says()
    }

    fn cancel<'a>(&'a self, _: Uuid, _: &'a str) -> Asking<'a, Said<Payment>> {
        self.says()
    }

    fn refund<'a>(&'a self, _: Uuid, _: &'a str, _: &'a Money) -> Asking<'a, Said<Payment>> {
        self.says()
    }

    fn look<'a>(&'a self, _: &'a str) -> Asking<'a, Said<Payment>> {
        self.says()
    }

    fn outcome(&self, _: Uuid) -> Asking<'_, Option<Said<Payment>>> {
        let said = Some(Said::Done(self.0.clone()));
        Box::pin(async { Ok(said) })
    }

    fn list<'a>(&'a self, _: Option<&'a str>) -> Asking<'a, Listed> {
        Box::pin(async { Ok(Listed::default()) })
    }
}

#[tokio::test]
async fn an_answer_that_can_t_be_one_is_never_recorded() {
    let payment = shown(1_000, 1_000, 1_000);
    let ask = |operation| ProviderAsked { object_id: "pay_1".into(), ..asked(operation, 1) };
    let call = async |said: &Payment, operation, attempt| {
        let effect = PayingEffect::new(Some(Arc::new(Saying(said.clone()))));
        effect.call(&PaymentEvent::from(ask(operation)), attempt).await
    };
    for operation in [Operation::Create, Operation::Confirm, Operation::Capture, Operation::Refund, Operation::Cancel, Operation::Look] {
        for attempt in [Attempt::First, Attempt::AskFirst, Attempt::AskOnly] {
            assert!(call(&payment, operation, attempt).await.is_ok(), "{operation:?}");
            let others = Payment { order: "o-2".into(), ..payment.clone() };
            let nameless = Payment { currency: "euro".into(), ..payment.clone() };
            for said in [&others, &nameless] {
                let recorded = call(said, operation, attempt).await;
                assert!(matches!(recorded, Err(Unknown::Unusable(_))), "{operation:?} {recorded:?}");
            }
            let another = call(&Payment { id: "pay_2".into(), ..payment.clone() }, operation, attempt).await;
            assert_eq!(another.is_ok(), operation == Operation::Create, "{operation:?}: another object of the order");
            let moved_less = Payment { captured: 999, refunded: 999, ..payment.clone() };
            let moves = matches!(operation, Operation::Capture | Operation::Refund);
            assert_eq!(call(&moved_less, operation, attempt).await.is_err(), moves, "{operation:?}: less than it says to have moved");
        }
    }
}

/// A changed rule, or a bug: the same operation with another amount.
#[tokio::test]
async fn a_key_that_stands_for_another_request_is_asked_about_and_never_a_no() {
    let simulator = Simulator::payments(Captures::Many).await;
    let effect = paying(&simulator);
    let made = recorded(&effect, &asked(Operation::Create, 1), Attempt::First).await.expect("an answer");
    let other = ProviderAsked { amount: Some(Money { currency: "EUR".into(), minor_units: 2_000 }), ..asked(Operation::Create, 1) };
    let unknown = effect.call(&PaymentEvent::from(other.clone()), Attempt::First).await.expect_err("it is not known");
    assert!(matches!(&unknown, Unknown::Unusable(why) if why.contains("key-reused")), "{unknown:?}");
    // What our key stands for is what was done.
    assert_eq!(recorded(&effect, &other, Attempt::AskFirst).await.expect("an answer").payment, made.payment);
}

#[tokio::test]
async fn what_nobody_can_begin_and_is_too_late_was_not_begun() {
    let late = Some(prost_types::Timestamp { seconds: 9, nanos: 0 });
    let message = PayingEffect::not_begun(&ProviderAsked { not_after: late, ..asked(Operation::Create, 1) }.into()).expect("an outcome");
    let Ok(PaymentCommand::RecordOperation(record)) = PaymentCommand::decode(message.type_name, &message.bytes) else { panic!("another") };
    assert_eq!((record.order_id.as_str(), record.ask, record.result), ("o-1", 7, OperationResult::NotBegun.into()));
    // Without an end it waits for whoever can do it.
    assert_eq!(PayingEffect::not_begun(&asked(Operation::Refund, 1).into()), None);
    let simulator = Simulator::payments(Captures::Many).await;
    assert_eq!(paying(&simulator).nobody(), None);
}

#[tokio::test]
async fn a_shipment_gets_its_label() {
    let simulator = Simulator::carrier().await;
    let effect = LabelEffect::new(Outside { carrier: Some(simulator.address()), ..Outside::default() }.carrier());
    let call = async |number, country: &str, attempt| -> Option<RecordLabel> {
        let shipping_address = Some(Address { country: country.into(), ..Address::default() });
        let created = ShipmentCreated { order_id: "o-1".into(), number, shipping_address, ..ShipmentCreated::default() };
        let message = effect.call(&ShipmentEvent::from(created), attempt).await.ok()?;
        assert_eq!(message.target, StreamId::new("shipment", &format!("o-1@{number}")));
        match ShipmentCommand::decode(message.type_name, &message.bytes) {
            Ok(ShipmentCommand::RecordLabel(record)) => Some(record),
            other => panic!("{other:?}"),
        }
    };
    let label = call(1, "DE", Attempt::First).await.expect("an answer");
    assert!(!label.tracking.is_empty() && label.code.is_empty() && label.carrier == "parcel", "{label:?}");
    assert_eq!(call(1, "DE", Attempt::AskFirst).await, Some(label.clone()));
    let refused = call(2, "AQ", Attempt::First).await.expect("an answer");
    assert_eq!((refused.tracking.as_str(), refused.code.as_str()), ("", "undeliverable"));
    // They have forgotten the keys: what is in their books counts.
    simulator.faults(json!({ "forgetKeysMs": 0 })).await;
    assert_eq!(call(1, "DE", Attempt::AskOnly).await, Some(label));
    let late = call(3, "DE", Attempt::AskOnly).await.expect("an answer");
    assert!(!late.tracking.is_empty() && late.code.is_empty(), "it was never asked for: {late:?}");
    assert_eq!(call(3, "DE", Attempt::AskOnly).await, Some(late));
    assert_eq!(simulator.books().await["parcels"].as_array().map(Vec::len), Some(2));
    simulator.faults(json!({ "down": true })).await;
    assert_eq!(call(4, "DE", Attempt::First).await, None);
}

#[tokio::test]
async fn without_an_outside_nothing_comes_of_a_call() {
    let all = effects(&Outside::default());
    assert!(all.iter().all(|effect| effect.nobody().is_some_and(|why| why.contains("-url"))));
    let told: Vec<_> = all.iter().map(|effect| (effect.name(), effect.service(), effect.aggregate())).collect();
    assert_eq!(told, [("payment-provider", "payment", "payment"), ("carrier-label", "shipping", "shipment")]);
    let event = PaymentEvent::from(asked(Operation::Create, 1));
    let decoded = daybook_kernel::DecodedOnce::default();
    let bytes = event.encode_to_vec();
    let effect: &dyn ErasedEffect = &*all[0];
    let unknown =
        effect.call(event.type_name(), &bytes, &decoded, Attempt::First).expect("it knows the event").await.expect_err("nobody is there");
    assert!(unknown.to_string().contains("--payment-url"), "{unknown}");
}
