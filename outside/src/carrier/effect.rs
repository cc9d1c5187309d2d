//! The effect `carrier-label`: a shipment gets its label.

use std::sync::Arc;

use daybook_kernel::{Attempt, Effect, EventAt, Outward, ServiceMessage, Unknown};
use daybook_proto::CommandSet as _;
use shop_proto::shipping::v1::{RecordLabel, ShipmentCommand, ShipmentEvent};

use super::{Carrier, LabelRequest};
use crate::key::label_key;
use crate::said::Said;
use crate::text::{message, short};

/// Why a label is not asked for.
const NOBODY: &str = "no carrier: set --carrier-url";

/// Asks a carrier.
pub struct LabelEffect(Option<Arc<dyn Carrier>>);

impl LabelEffect {
    /// This one; none: labels wait until there is one.
    pub fn new(carrier: Option<Arc<dyn Carrier>>) -> Self {
        Self(carrier)
    }
}

impl Effect for LabelEffect {
    const NAME: &'static str = "carrier-label";
    const DESTINATION: &'static str = "carrier";
    type Event = ShipmentEvent;

    fn asks(event: &ShipmentEvent, _: &EventAt<'_>) -> Option<Outward> {
        let ShipmentEvent::ShipmentCreated(created) = event else { return None };
        let record = RecordLabel { order_id: created.order_id.clone(), number: created.number, ..RecordLabel::default() };
        Some(Outward::of::<ShipmentCommand>(&ShipmentCommand::from(record).key(), None))
    }

    async fn call(&self, event: &ShipmentEvent, attempt: Attempt) -> Result<ServiceMessage, Unknown> {
        let ShipmentEvent::ShipmentCreated(created) = event else { return Err(Unknown::unanswered("it asks for nothing")) };
        let carrier = self.0.as_deref().ok_or_else(|| Unknown::unanswered(NOBODY))?;
        let parcel = LabelRequest {
            order: created.order_id.clone(),
            number: created.number,
            address: created.shipping_address.clone().unwrap_or_default(),
            weight: None,
        };
        let key = label_key(&parcel.order, parcel.number);
        let said = match attempt {
            Attempt::First => None,
            Attempt::AskFirst => carrier.outcome(key).await?,
            // A key that they have forgotten says nothing; what they have in their books does.
            Attempt::AskOnly => match carrier.outcome(key).await? {
                None => carrier.find(&parcel.order, parcel.number).await?.map(Said::Done),
                said => said,
            },
        };
        let said = match said {
            Some(said) => said,
            None => carrier.label(key, &parcel).await?,
        };
        let of = RecordLabel { order_id: parcel.order.clone(), number: parcel.number, ..RecordLabel::default() };
        message(ShipmentCommand::from(match said {
            Said::Done(label) => RecordLabel {
                carrier: short(&label.carrier, 100),
                tracking: short(&label.tracking, 200),
                // Half an address is none.
                label_url: if label.url.chars().count() > 2_000 { String::new() } else { short(&label.url, 2_000) },
                ..of
            },
            Said::Refused { code, .. } => RecordLabel { code: short(&code, 200), ..of },
        }))
    }

    fn nobody(&self) -> Option<&str> {
        self.0.is_none().then_some(NOBODY)
    }
}
