//! Stored bytes as JSON.

pub(crate) use daybook_proto::bytes_as_json as value;
use prost_reflect::MessageDescriptor;

/// By the protobuf JSON mapping, default values written out.
///
/// # Errors
/// When the bytes are no such message.
pub(crate) fn json(message: &MessageDescriptor, bytes: &[u8]) -> Result<Vec<u8>, String> {
    serde_json::to_vec(&value(message, bytes)?).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use shop_proto::common::v1::Money;
    use shop_proto::read::v1::{ProductPage, StockLine};

    use super::*;

    #[test]
    fn defaults_are_written_and_the_text_is_always_the_same() {
        let descriptor = shop_proto::descriptors().get_message_by_name("shop.read.v1.ProductPage").expect("it is described");
        let details = ProductPage {
            sku: "A-1".into(),
            price: Some(Money { currency: "EUR".into(), minor_units: 0 }),
            attributes: (0..50).map(|n| (format!("a{n}"), "x".to_owned())).collect(),
            ..Default::default()
        };
        let stock = ProductPage { stock: vec![StockLine { warehouse: "w".into(), ..Default::default() }], ..Default::default() };
        let bytes = [details.encode_to_vec(), stock.encode_to_vec()].concat();
        let text = json(&descriptor, &bytes).expect("a page");
        for _ in 0..20 {
            assert_eq!(json(&descriptor, &bytes).expect("a page"), text);
        }
        let value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(value["price"], serde_json::json!({ "currency": "EUR", "minorUnits": "0" }));
        assert_eq!(value["stock"], serde_json::json!([{ "warehouse": "w", "onHand": 0, "reserved": 0, "available": 0 }]));
        assert_eq!((&value["title"], &value["version"], &value["media"]), (&"".into(), &"0".into(), &serde_json::json!([])));
        assert_eq!(value.get("sale"), None, "what is absent is not there: null would say something else");
        assert!(json(&descriptor, b"\xff").is_err());
    }
}
