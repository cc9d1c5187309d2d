//! Notices of the outside, as webhooks of the endpoint. A notice is signed as the large providers do it: a time, and HMAC-SHA-256 over the
//! time and the bytes that came.

use std::sync::Arc;

use axum::http::HeaderMap;
use daybook_command_handlers::{Notice, Webhook, WebhookRefusal};
use daybook_kernel::Instant;
use daybook_proto::{CommandSet, MessageSet as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use shop_proto::payment::v1::{PaymentCommand, RecordProviderNotice};
use shop_proto::shipping::v1::{RecordCarrierNotice, ShipmentCommand, ShipmentStatus};

use crate::payment;
use crate::text::{message, short};

/// The name of the payment provider's webhook.
pub const PAYMENT_WEBHOOK: &str = "payment";
/// The name of the carrier's webhook.
pub const CARRIER_WEBHOOK: &str = "carrier";
/// The header of a notice's signature: `t=<seconds since 1970>,v1=<hex>`. There may be several `v1`, while a secret is changed.
pub const SIGNATURE: &str = "Simulator-Signature";

/// So far may a signature's time be from ours, in seconds: whoever has seen a notice can't send it again for ever.
const TOLERANCE: i64 = 300;

/// The webhook that takes notices of payments. Each of the secrets is good.
pub fn payment_webhook(secrets: Vec<String>) -> Webhook {
    webhook(PAYMENT_WEBHOOK, PaymentCommand::SERVICE, secrets, payment_notice)
}

/// The webhook that takes notices of parcels. Each of the secrets is good.
pub fn carrier_webhook(secrets: Vec<String>) -> Webhook {
    webhook(CARRIER_WEBHOOK, ShipmentCommand::SERVICE, secrets, carrier_notice)
}

fn webhook(
    name: &'static str,
    service: &'static str,
    secrets: Vec<String>,
    read: fn(&Told, String) -> Result<Notice, WebhookRefusal>,
) -> Webhook {
    let read = move |headers: &HeaderMap, body: &[u8], now: Instant| {
        check(headers, body, now, &secrets).map_err(|why| WebhookRefusal::Forged(why.to_owned()))?;
        let told: Told = serde_json::from_slice(body).map_err(|e| WebhookRefusal::Unaddressed(format!("it can't be read: {e}")))?;
        let id = match &told.id {
            Some(id) if *id == short(id, 200) && !id.is_empty() => id.clone(),
            // What has no id has that of its bytes.
            _ => hex::encode(Sha256::digest(body)),
        };
        read(&told, id)
    };
    Webhook { name, service, read: Arc::new(read) }
}

/// What both tell. Fields that we don't know are passed over: providers add some.
#[derive(Deserialize)]
struct Told {
    id: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    data: Value,
}

impl Told {
    fn kind(&self) -> String {
        short(self.r#type.as_deref().unwrap_or_default(), 200)
    }

    /// A text of the object.
    fn text(&self, name: &str) -> Result<String, WebhookRefusal> {
        self.data[name].as_str().map(str::to_owned).ok_or_else(|| unaddressed(&format!("it has no {name}")))
    }
}

fn unaddressed(why: &str) -> WebhookRefusal {
    WebhookRefusal::Unaddressed(why.to_owned())
}

/// Whether one of the secrets has signed these bytes, a short time ago. Takes the same time whichever byte differs.
fn check(headers: &HeaderMap, body: &[u8], now: Instant, secrets: &[String]) -> Result<(), &'static str> {
    let mut all = headers.get_all(SIGNATURE).iter();
    let (Some(header), None) = (all.next(), all.next()) else { return Err("Simulator-Signature must be sent once") };
    let header = header.to_str().map_err(|_| "Simulator-Signature can't be read")?;
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let seconds = fields().find(|(name, _)| *name == "t").map(|(_, t)| t).ok_or("Simulator-Signature has no t")?;
    let signatures = fields().filter(|(name, _)| *name == "v1").filter_map(|(_, v1)| hex::decode(v1).ok());
    let is_signed = signatures.take(4).any(|signature| {
        secrets.iter().any(|secret| {
            // The time as it was written: that is what was signed.
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
            mac.update(seconds.as_bytes());
            mac.update(b".");
            mac.update(body);
            mac.verify_slice(&signature).is_ok()
        })
    });
    if !is_signed {
        return Err("the signature is not good");
    }
    let age = seconds.parse::<i64>().map(|t| (now.micros() / 1_000_000).saturating_sub(t)).map_err(|_| "t is no number of seconds")?;
    if age.saturating_abs() > TOLERANCE { Err("the signature is too old, or from a time that is not yet") } else { Ok(()) }
}

fn payment_notice(told: &Told, id: String) -> Result<Notice, WebhookRefusal> {
    let order = told.text("order")?;
    let payment = match payment::read(told.data.clone()) {
        Ok(payment) => Some(payment.into()),
        Err(why) => {
            tracing::warn!(notice = %id, why, "a payment of a notice can't be read: the notice is kept without it");
            None
        }
    };
    let record = RecordProviderNotice { order_id: order, notice_id: id.clone(), kind: told.kind(), payment };
    let bare = RecordProviderNotice { payment: None, ..record.clone() };
    notice(id, PaymentCommand::from(record), PaymentCommand::from(bare))
}

fn carrier_notice(told: &Told, id: String) -> Result<Notice, WebhookRefusal> {
    let order = told.text("orderId")?;
    let number = told.data["number"].as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| unaddressed("it has no number"))?;
    let status = match told.data["status"].as_str().unwrap_or_default() {
        "labelled" => ShipmentStatus::Labelled,
        "delivered" => ShipmentStatus::Delivered,
        "lost" => ShipmentStatus::Lost,
        "returned" => ShipmentStatus::Returned,
        _ => ShipmentStatus::Unspecified,
    };
    let record = RecordCarrierNotice { order_id: order, number, notice_id: id.clone(), status: status.into(), kind: told.kind() };
    let bare = RecordCarrierNotice { status: ShipmentStatus::Unspecified.into(), kind: String::new(), ..record.clone() };
    notice(id, ShipmentCommand::from(record), ShipmentCommand::from(bare))
}

/// The command, or, where its rules don't hold, the one that says less.
fn notice<C: CommandSet>(key: String, command: C, bare: C) -> Result<Notice, WebhookRefusal> {
    let command = message(command).or_else(|_| message(bare)).map_err(|why| unaddressed(&why.to_string()))?;
    Ok(Notice { key, command })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use daybook_kernel::StreamId;
    use proptest::prelude::*;
    use serde_json::json;
    use shop_proto::payment::v1::{ProviderPayment, ProviderStatus};
    use shop_simulators::signature;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn signed(header: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, HeaderValue::from_str(header).expect("a header"));
        headers
    }

    fn read(webhook: &Webhook, header: &str, body: &str) -> Result<Notice, WebhookRefusal> {
        (webhook.read)(&signed(header), body.as_bytes(), Instant::from_micros(NOW * 1_000_000))
    }

    fn told(webhook: &Webhook, body: &Value) -> Result<Notice, WebhookRefusal> {
        read(webhook, &signature("s", NOW, &body.to_string()), &body.to_string())
    }

    fn payments() -> Webhook {
        payment_webhook(vec!["s".to_owned(), "the one before".to_owned()])
    }

    fn a_payment() -> Value {
        json!({
            "id": "pay_1", "order": "o-1", "status": "authorised", "currency": "EUR", "amount": 9, "authorised": 9, "captured": 4,
            "voided": 0, "refunded": 1, "captures": "once", "captureBefore": "2027-02-03T04:05:06Z", "actionUrl": null, "code": null,
        })
    }

    fn recorded(notice: &Notice) -> RecordProviderNotice {
        match PaymentCommand::decode(notice.command.type_name, &notice.command.bytes) {
            Ok(PaymentCommand::RecordProviderNotice(record)) => record,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signed_notice_is_a_command_under_the_providers_id() {
        let body = json!({ "id": "evt_1", "type": "payment.captured", "created": NOW, "data": a_payment() });
        let notice = told(&payments(), &body).expect("it is theirs");
        assert_eq!((notice.key.as_str(), &notice.command.target), ("evt_1", &StreamId::new("payment", "o-1")));
        let record = recorded(&notice);
        assert_eq!((record.order_id.as_str(), record.notice_id.as_str(), record.kind.as_str()), ("o-1", "evt_1", "payment.captured"));
        let capture_before = Some(prost_types::Timestamp { seconds: 1_801_627_506, nanos: 0 });
        let payment = ProviderPayment {
            object_id: "pay_1".into(),
            status: ProviderStatus::Authorised.into(),
            currency: "EUR".into(),
            authorised: 9,
            captured: 4,
            refunded: 1,
            captures_once: true,
            capture_before,
            ..ProviderPayment::default()
        };
        assert_eq!(record.payment, Some(payment));
    }

    #[test]
    fn what_nobody_signed_or_long_ago_is_forged() {
        let body = json!({ "id": "evt_1", "data": a_payment() }).to_string();
        let at = |seconds| signature("s", seconds, &body);
        for good in [at(NOW), at(NOW - 300), at(NOW + 300), signature("the one before", NOW, &body), format!("{},v1=00", at(NOW))] {
            assert!(read(&payments(), &good, &body).is_ok(), "{good}");
        }
        let unsigned = at(NOW);
        let other_time = unsigned.replace(&NOW.to_string(), &(NOW - 1).to_string());
        for bad in [
            &at(NOW - 301),
            &at(NOW + 301),
            &signature("another", NOW, &body),
            &other_time,
            "",
            "t=1",
            "v1=00",
            "t=x,v1=00",
            &unsigned[..60],
        ] {
            assert!(matches!(read(&payments(), bad, &body), Err(WebhookRefusal::Forged(_))), "{bad}");
        }
        let changed = body.replace("o-1", "o-2");
        assert!(matches!(read(&payments(), &at(NOW), &changed), Err(WebhookRefusal::Forged(_))));
        let mut twice = signed(&at(NOW));
        twice.append(SIGNATURE, HeaderValue::from_static("t=1,v1=00"));
        let read = (payments().read)(&twice, body.as_bytes(), Instant::from_micros(NOW * 1_000_000));
        assert!(matches!(read, Err(WebhookRefusal::Forged(_))));
    }

    #[test]
    fn what_can_t_be_read_is_kept_without_it_and_what_names_no_order_is_unaddressed() {
        for (field, value) in [
            ("captured", json!(10)),
            ("status", json!("disputed")),
            ("id", json!("")),
            ("currency", json!("euro")),
            ("authorised", json!("9")),
        ] {
            let mut payment = a_payment();
            payment[field] = value;
            let notice =
                told(&payments(), &json!({ "id": "evt_1", "type": "payment.disputed", "data": payment })).expect("it names an order");
            assert_eq!((recorded(&notice).payment, recorded(&notice).kind), (None, "payment.disputed".to_owned()), "{field}");
        }
        let nameless = told(&payments(), &json!({ "data": a_payment() })).expect("it names an order");
        assert_eq!(nameless.key.len(), 64);
        let mut payment = a_payment();
        payment["order"] = json!("no id");
        for unaddressed in [json!({}), json!([]), json!({ "id": "evt_1", "data": { "order": 7 } }), json!({ "id": "e", "data": payment })] {
            assert!(matches!(told(&payments(), &unaddressed), Err(WebhookRefusal::Unaddressed(_))), "{unaddressed}");
        }
    }

    #[test]
    fn a_parcel_tells_where_it_is() {
        let webhook = carrier_webhook(vec!["s".to_owned()]);
        let told = |number: Value, status: &str| {
            let data = json!({ "orderId": "o-1", "number": number, "status": status });
            told(&webhook, &json!({ "id": "evt_1", "type": "parcel.x", "data": data }))
        };
        for (status, recorded) in
            [("delivered", ShipmentStatus::Delivered), ("lost", ShipmentStatus::Lost), ("eaten", ShipmentStatus::Unspecified)]
        {
            let notice = told(json!(2), status).expect("it names a shipment");
            assert_eq!(notice.command.target, StreamId::new("shipment", "o-1@2"));
            let Ok(ShipmentCommand::RecordCarrierNotice(record)) = ShipmentCommand::decode(notice.command.type_name, &notice.command.bytes)
            else {
                panic!("another command")
            };
            assert_eq!(record.status, i32::from(recorded));
        }
        for number in [json!(0), json!(100_000), json!(-1), json!(null)] {
            assert!(matches!(told(number, "lost"), Err(WebhookRefusal::Unaddressed(_))));
        }
    }

    proptest! {
        /// Whatever stands in a notice, it is a command whose rules hold, or none.
        #[test]
        fn whatever_they_sign_is_read(
            id in ".{0,300}", kind in ".{0,300}", order in "[a-z0-9-]{1,12}|.{0,200}", code in ".{0,300}", url in ".{0,40}", amount: i64,
        ) {
            let mut payment = a_payment();
            payment["order"] = json!(order);
            payment["code"] = json!(code);
            payment["actionUrl"] = json!(url);
            payment["authorised"] = json!(amount);
            match told(&payments(), &json!({ "id": id, "type": kind, "data": payment })) {
                Ok(notice) => {
                    let record = PaymentCommand::from(recorded(&notice));
                    let mut tidied = record.clone();
                    prop_assert!(tidied.tidy().is_empty() && tidied == record && record.violations().is_empty());
                    prop_assert!((1..=255).contains(&notice.key.chars().count()));
                }
                Err(refusal) => prop_assert!(matches!(refusal, WebhookRefusal::Unaddressed(_)), "{refusal:?}"),
            }
        }
    }
}
