//! A carrier over HTTP: the API of `daybook simulate carrier`.

use daybook_kernel::Unknown;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Carrier, Label, LabelRequest};
use crate::http::Address;
use crate::said::{Asking, Said};

/// A carrier with this API.
pub struct HttpCarrier(Address);

impl HttpCarrier {
    /// At this address.
    pub fn new(address: Address) -> Self {
        Self(address)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    carrier: String,
    tracking: String,
    label_url: String,
}

fn read(told: Value) -> Result<Label, Unknown> {
    let told: Told = serde_json::from_value(told).map_err(|e| Unknown::Unusable(format!("a label that can't be read: {e}")))?;
    if told.tracking.is_empty() {
        return Err(Unknown::unusable("a label without a number"));
    }
    Ok(Label { carrier: told.carrier, tracking: told.tracking, url: told.label_url })
}

fn label(said: Said<Value>) -> Result<Said<Label>, Unknown> {
    match said {
        Said::Done(told) => read(told).map(Said::Done),
        Said::Refused { code, .. } => Ok(Said::Refused { code, object: None }),
    }
}

impl Carrier for HttpCarrier {
    fn label<'a>(&'a self, key: Uuid, parcel: &'a LabelRequest) -> Asking<'a, Said<Label>> {
        let to = &parcel.address;
        let address = json!({
            "name": to.name, "line1": to.line1, "line2": to.line2, "city": to.city, "region": to.region, "postalCode": to.postal_code,
            "country": to.country,
        });
        let mut body = json!({ "orderId": parcel.order, "number": parcel.number, "address": address });
        if let Some(weight) = parcel.weight {
            body["weight"] = weight.into();
        }
        Box::pin(async move { label(self.0.ask(&["v1", "labels"], key, &body).await?) })
    }

    fn outcome(&self, key: Uuid) -> Asking<'_, Option<Said<Label>>> {
        Box::pin(async move { self.0.outcome(key).await?.map(label).transpose() })
    }

    fn find<'a>(&'a self, order: &'a str, number: u32) -> Asking<'a, Option<Label>> {
        #[derive(Deserialize)]
        struct List {
            data: Vec<Value>,
        }
        Box::pin(async move {
            let query = [("orderId", order), ("number", &number.to_string())];
            let mut list = match self.0.look(&["v1", "labels"], &query).await? {
                Said::Done(list) => {
                    serde_json::from_value::<List>(list)
                        .map_err(|e| Unknown::Unusable(format!("a list of labels that can't be read: {e}")))?
                        .data
                }
                Said::Refused { code, .. } => return Err(Unknown::Unusable(format!("the carrier does not list its labels: {code}"))),
            };
            match (list.pop(), list.len()) {
                (None, _) => Ok(None),
                // A carrier that does not know the query may list everybody's.
                (Some(told), 0) if (&told["orderId"], &told["number"]) != (&json!(order), &json!(number)) => {
                    Err(Unknown::unusable("the carrier lists a label of another shipment"))
                }
                (Some(told), 0) => read(told).map(Some),
                (Some(_), more) => Err(Unknown::Unusable(format!("the carrier has {} labels of one shipment", more + 1))),
            }
        })
    }
}
