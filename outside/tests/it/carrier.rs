//! What a carrier has to do, whoever it is.

use daybook_kernel::Unknown;
use serde_json::json;
use shop_outside::{Carrier, HttpCarrier, Label, LabelRequest, Said};
use shop_proto::common::v1::Address;
use uuid::Uuid;

use crate::support::{Simulator, sandbox};

/// A country that no carrier goes to.
const NOWHERE: &str = "AQ";

fn key() -> Uuid {
    Uuid::new_v4()
}

fn parcel(order: &str, country: &str) -> LabelRequest {
    let address = Address { name: "Ann".into(), city: "Berlin".into(), country: country.into(), ..Address::default() };
    LabelRequest { order: order.into(), number: 2, address, weight: Some(500) }
}

#[track_caller]
fn done(said: Result<Said<Label>, Unknown>) -> Label {
    match said {
        Ok(Said::Done(label)) => label,
        other => panic!("{other:?}"),
    }
}

/// The trait's words, one after the other.
async fn holds(carrier: &dyn Carrier) {
    let (order, other_order) = (format!("o-{}", key()), format!("o-{}", key()));
    let (asked, refused) = (key(), key());
    let label = done(carrier.label(asked, &parcel(&order, "DE")).await);
    assert!(!label.carrier.is_empty() && !label.tracking.is_empty() && label.url.starts_with("http"), "{label:?}");
    // A key does a thing once, and remembers.
    assert_eq!(done(carrier.label(asked, &parcel(&order, "DE")).await), label);
    assert_eq!(carrier.outcome(asked).await, Ok(Some(Said::Done(label.clone()))));
    assert_eq!(carrier.outcome(refused).await, Ok(None), "never heard of");
    // A no is one for good, under its key.
    let no = carrier.label(refused, &parcel(&other_order, NOWHERE)).await;
    assert!(matches!(&no, Ok(Said::Refused { code, object: None }) if !code.is_empty()), "{no:?}");
    assert_eq!(carrier.outcome(refused).await, no.map(Some));
    // A key stands for one parcel.
    let other = carrier.label(asked, &parcel(&order, "FR")).await;
    assert!(matches!(other, Err(Unknown::Unusable(_))), "{other:?}");
    // What is in its books is found by our own reference, and nothing else is.
    assert_eq!(carrier.find(&order, 2).await, Ok(Some(label)));
    for (order, number) in [(&order, 1), (&other_order, 2)] {
        assert_eq!(carrier.find(order, number).await, Ok(None));
    }
}

#[tokio::test]
async fn the_simulator_keeps_the_contract_of_carriers() {
    let simulator = Simulator::carrier().await;
    let carrier = HttpCarrier::new(simulator.address());
    holds(&carrier).await;
    // In its own words.
    let no = Said::Refused { code: "undeliverable".to_owned(), object: None };
    assert_eq!(carrier.label(key(), &parcel("o-1", NOWHERE)).await, Ok(no));
    assert!(done(carrier.label(key(), &parcel("o-1", "DE")).await).url.starts_with("http://"));
}

#[tokio::test]
async fn a_sandbox_keeps_the_contract_of_carriers() {
    if let Some(address) = sandbox("CARRIER", "a_sandbox_keeps_the_contract_of_carriers") {
        holds(&HttpCarrier::new(address)).await;
    }
}

#[tokio::test]
async fn a_label_is_found_when_its_key_is_forgotten_and_two_of_a_shipment_are_too_many() {
    let simulator = Simulator::carrier().await;
    let carrier = HttpCarrier::new(simulator.address());
    let asked = key();
    let label = done(carrier.label(asked, &parcel("o-1", "DE")).await);
    simulator.faults(json!({ "forgetKeysMs": 0 })).await;
    assert_eq!(carrier.outcome(asked).await, Ok(None));
    assert_eq!(carrier.find("o-1", 2).await, Ok(Some(label)));
    assert!(carrier.label(key(), &parcel("o-1", "DE")).await.is_ok());
    let two = carrier.find("o-1", 2).await;
    assert!(matches!(&two, Err(Unknown::Unusable(why)) if why.contains("2 labels")), "{two:?}");
    simulator.faults(json!({ "down": true })).await;
    assert!(carrier.find("o-1", 2).await.is_err());
    assert!(carrier.outcome(asked).await.is_err());
}
