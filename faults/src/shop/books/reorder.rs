//! The reordering of a stock, folded by the judge itself. Source: the head of `proto/shop/inventory/v1/reorder.proto`.

use serde_json::{Value, json};

use crate::judge::case::Written;
use crate::judge::decode::{integer, micros};

/// The state of one stream `reorder/{sku}@{warehouse}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reordering {
    /// The last version of the stock that it has heard of; 0: none.
    pub(super) heard: i64,
    /// While a proposal is open: as `reorder-alerts` shows it; `openedAt` in microseconds since 1970.
    pub(super) alert: Option<Value>,
}

impl Reordering {
    /// After one more event.
    pub(super) fn after(&self, at: &Written<'_>) -> Self {
        let mut next = self.clone();
        match at.kind() {
            "ReorderProposalOpened" => {
                let event = &at.json;
                next.alert = Some(json!({
                    "sku": event["sku"], "warehouse": event["warehouse"], "reorderPoint": event["reorderPoint"],
                    "available": event["available"], "openedAt": at.event.recorded_at, "ordered": 0, "reference": "",
                }));
            }
            "ReorderProposalRaised" => {
                if let Some(alert) = &mut next.alert {
                    (alert["ordered"], alert["reference"]) = (at.json["quantity"].clone(), at.json["reference"].clone());
                }
            }
            "ReorderProposalClosed" => next.alert = None,
            _ => {}
        }
        if let Some(heard) = integer(&at.json["stockVersion"]) {
            next.heard = heard;
        }
        next
    }

    /// Whether an item of `reorder-alerts` shows it as it is.
    pub(super) fn is_alert(&self, told: &Value) -> bool {
        let Some(Value::Object(alert)) = &self.alert else { return false };
        let Some(told) = told.as_object() else { return false };
        let same = |(field, value): (&String, &Value)| match field.as_str() {
            "openedAt" => told.get(field).and_then(Value::as_str).and_then(micros) == integer(value),
            _ => told.get(field) == Some(value),
        };
        told.len() == alert.len() && alert.iter().all(same)
    }

    /// The pieces that were ordered for the open proposal, and the reference; none where nothing is open.
    pub(super) fn ordered(&self) -> Option<(i64, &str)> {
        let alert = self.alert.as_ref()?;
        Some((integer(&alert["ordered"]).unwrap_or_default(), alert["reference"].as_str().unwrap_or_default()))
    }
}
