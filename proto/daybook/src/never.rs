//! The refusals of an aggregate that never refuses: whoever asks it is a process, and is answered by events.

use std::convert::Infallible;

use crate::{JsonValue, MessageSet, RefusalSet, SetError};

impl MessageSet for Infallible {
    const SERVICE: &'static str = "";
    const AGGREGATE: &'static str = "";
    const TYPES: &'static [&'static str] = &[];

    fn type_name(&self) -> &'static str {
        match *self {}
    }

    fn encode_to_vec(&self) -> Vec<u8> {
        match *self {}
    }

    fn decode(type_name: &str, _: &[u8]) -> Result<Self, SetError> {
        Err(SetError::UnknownType(type_name.to_owned()))
    }

    fn has_unknown_enum(&self) -> bool {
        match *self {}
    }

    fn to_json(&self) -> JsonValue {
        match *self {}
    }
}

impl RefusalSet for Infallible {
    fn code(&self) -> &'static str {
        match *self {}
    }

    fn title(&self) -> &'static str {
        match *self {}
    }
}
