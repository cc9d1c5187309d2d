//! Events for the tests of rules.

use daybook_proto::v1::EventRef;
use daybook_proto::{DescriptorPool, EventSet, JsonValue, MessageSet, Named as _, SetError, decode_as, json_of};
use prost::Message as _;

/// The events of an aggregate of which one thing can be told: a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told(pub(crate) EventRef);

impl MessageSet for Told {
    const SERVICE: &'static str = "tales";
    const AGGREGATE: &'static str = "tale";
    const TYPES: &'static [&'static str] = &[EventRef::TYPE];

    fn type_name(&self) -> &'static str {
        EventRef::TYPE
    }

    fn encode_to_vec(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn decode(type_name: &str, bytes: &[u8]) -> Result<Self, SetError> {
        if type_name != EventRef::TYPE {
            return Err(SetError::UnknownType(type_name.to_owned()));
        }
        decode_as(bytes).map(Self)
    }

    fn has_unknown_enum(&self) -> bool {
        false
    }

    fn to_json(&self) -> JsonValue {
        json_of(&self.0)
    }
}

impl EventSet for Told {
    fn pool() -> &'static DescriptorPool {
        EventRef::pool()
    }
}
