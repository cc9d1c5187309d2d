//! What a carrier has to do.

use daybook_kernel::Unknown;
use serde_json::json;
use shop_outside::{Carrier, HttpCarrier, LabelRequest, Said};
use shop_proto::common::v1::Address;
use uuid::Uuid;

use crate::support::Simulator;

fn parcel(country: &str) -> LabelRequest {
    let address = Address { name: "Ann".into(), city: "Berlin".into(), country: country.into(), ..Address::default() };
    LabelRequest { order: "o-1".into(), number: 2, address, weight: Some(500) }
}

#[tokio::test]
async fn the_simulator_keeps_the_contract_of_carriers() {
    let simulator = Simulator::carrier().await;
    let carrier = HttpCarrier::new(simulator.address());
    let (asked, refused) = (Uuid::new_v4(), Uuid::new_v4());
    let Ok(Said::Done(label)) = carrier.label(asked, &parcel("DE")).await else { panic!("no label") };
    assert!(!label.tracking.is_empty() && label.url.starts_with("http://"), "{label:?}");
    assert_eq!(carrier.label(asked, &parcel("DE")).await, Ok(Said::Done(label.clone())), "once a key");
    assert_eq!(carrier.outcome(asked).await, Ok(Some(Said::Done(label.clone()))));
    assert_eq!(carrier.outcome(refused).await, Ok(None));
    let no = Said::Refused { code: "undeliverable".to_owned(), object: None };
    assert_eq!(carrier.label(refused, &parcel("AQ")).await, Ok(no.clone()));
    assert_eq!(carrier.outcome(refused).await, Ok(Some(no)));
    // A key stands for one parcel.
    let other = carrier.label(asked, &parcel("FR")).await;
    assert!(matches!(other, Err(Unknown::Unusable(_))), "{other:?}");
    // What is in its books is found by our own reference, also when it has forgotten the key.
    simulator.faults(json!({ "forgetKeysMs": 0 })).await;
    assert_eq!(carrier.outcome(asked).await, Ok(None));
    assert_eq!(carrier.find("o-1", 2).await, Ok(Some(label)));
    for (order, number) in [("o-1", 1), ("o-2", 2)] {
        assert_eq!(carrier.find(order, number).await, Ok(None));
    }
    assert!(carrier.label(Uuid::new_v4(), &parcel("DE")).await.is_ok());
    let two = carrier.find("o-1", 2).await;
    assert!(matches!(&two, Err(Unknown::Unusable(why)) if why.contains("2 labels")), "{two:?}");
    simulator.faults(json!({ "down": true })).await;
    assert!(carrier.find("o-1", 2).await.is_err());
    assert!(carrier.outcome(asked).await.is_err());
}
