//! Labels and parcels.

use serde_json::{Value, json};

use crate::support::{Simulator, Taker, body, options};

#[tokio::test]
async fn a_label_is_one_a_key_and_a_parcel_tells_where_it_is() {
    let taker = Taker::refusing(0).await;
    let carrier = Simulator::carrier(options(Some(taker.to()), None)).await;
    let asked = |country: &str| json!({ "orderId": "o-1", "number": 2, "address": { "country": country, "postalCode": "10115" } });
    let (status, label) = carrier.post("/v1/labels", "k", asked("DE")).await.expect("an answer");
    assert_eq!((status, &label["carrier"]), (200, &json!("parcel")));
    assert_eq!(carrier.post("/v1/labels", "k", asked("DE")).await.expect("an answer"), (200, label.clone()));
    let (status, refused) = carrier.post("/v1/labels", "k-2", asked("AQ")).await.expect("an answer");
    assert_eq!((status, &refused["error"]["code"]), (402, &json!("undeliverable")));
    let tracking = label["tracking"].as_str().expect("a number");
    assert_eq!(carrier.get(&format!("/v1/labels/{tracking}")).await.expect("an answer"), (200, label.clone()));
    assert_eq!(label["labelUrl"], format!("{}/v1/labels/{tracking}", carrier.url));
    carrier.post(&format!("/parcels/{tracking}/deliver"), "", Value::Null).await.expect("an answer");
    let came = taker.until("a notice", |all| !all.is_empty()).await;
    let notice = body(&came[0]);
    assert_eq!(
        (&notice["type"], &notice["data"]["orderId"], &notice["data"]["number"]),
        (&json!("parcel.delivered"), &json!("o-1"), &json!(2))
    );
    assert_eq!(carrier.post("/parcels/no/lose", "", Value::Null).await.expect("an answer").0, 404);
    let (_, books) = carrier.get("/books").await.expect("an answer");
    assert_eq!((&books["keys"][0]["calls"], books["parcels"].as_array().expect("parcels").len()), (&json!(2), 1));
    carrier.stop().await;
}
