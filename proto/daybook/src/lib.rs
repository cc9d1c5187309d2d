//! Daybook's own protobuf contract (`daybook.v1`), and the traits that generated code implements for every
//! service's messages. Pure: no I/O, no clock.

mod caller;
mod checks;
mod decode;
mod form;
mod json;
pub mod levels;
mod never;
mod shape;
mod text;
mod violation;

use std::sync::LazyLock;

pub use checks::{GetPattern, Pattern, TextRules, check_enum, check_items, check_key, check_number, check_text, compile_pattern};
pub use decode::{SetError, decode_as, decode_strict};
pub use form::key_form;
pub use json::{Json, ReadJson, bytes_as_json, from_json, json_of};
pub use prost;
pub use prost_reflect::DescriptorPool;
pub use serde_json::Value as JsonValue;
pub use shape::Shape;
pub use text::{canonical, shows_something, tidy, tidy_keys};
pub use v1::TextForm;
pub use violation::{Path, Violation, missing, shown};

mod generated {
    include!(concat!(env!("OUT_DIR"), "/daybook_generated.rs"));
}
pub use generated::daybook::v1;

/// The descriptors of this crate's messages, with their options.
pub fn descriptors() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin")).as_slice()).expect("written by build.rs")
    });
    &POOL
}

/// The type is not a member of a set.
pub fn unknown_type(name: &str) -> Vec<Violation> {
    vec![Violation { field: String::new(), message: format!("this build knows no type {name}") }]
}

/// A message that knows its full protobuf name.
pub trait Named {
    /// For example `shop.catalog.v1.CreateProduct`.
    const TYPE: &'static str;
    /// Which fields it has.
    const SHAPE: &'static Shape;
    /// The descriptors of the crate that it was generated in.
    fn pool() -> &'static DescriptorPool;
}

/// A message's content held against its field rules. Generated.
pub trait Checked {
    /// Gives texts their canonical form, as the field rules `form` and `keys` say. Adds a violation where two keys of a map are one
    /// name.
    fn tidy(&mut self, path: &Path<'_>, out: &mut Vec<Violation>) {
        let _ = (path, out);
    }
    /// Adds a violation for every rule that does not hold; `path` is where this message stands.
    fn check(&self, path: &Path<'_>, out: &mut Vec<Violation>);
    /// Whether it, or a message inside it, holds an enum value that this build has no name for.
    fn has_unknown_enum(&self) -> bool;
}

/// Every command, event or refusal of one aggregate, as one Rust enum. Generated. On the wire stands the
/// concrete message with its type's name beside it.
pub trait MessageSet: Sized + Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The service, for example `catalog`.
    const SERVICE: &'static str;
    /// The aggregate, for example `product`: the first half of its stream ids.
    const AGGREGATE: &'static str;
    /// Full protobuf names of its members.
    const TYPES: &'static [&'static str];
    /// Full protobuf name of this member.
    fn type_name(&self) -> &'static str;
    /// The canonical encoding: fields in order, maps sorted.
    fn encode_to_vec(&self) -> Vec<u8>;
    /// Decodes a member.
    ///
    /// # Errors
    /// When the type is not a member, the bytes are no protobuf, or they hold a field that this build does not know.
    fn decode(type_name: &str, bytes: &[u8]) -> Result<Self, SetError>;
    /// Whether it holds an enum value that this build has no name for.
    fn has_unknown_enum(&self) -> bool;
    /// By the protobuf JSON mapping.
    fn to_json(&self) -> JsonValue;
}

/// The commands of one aggregate.
pub trait CommandSet: MessageSet {
    /// Reads the protobuf JSON mapping.
    ///
    /// # Errors
    /// All that is wrong, each with its field; a field that does not exist is named.
    fn from_json(type_name: &str, json: &[u8]) -> Result<Self, Vec<Violation>>;
    /// The second half of the stream id, from the command's own fields. Only meaningful without violations.
    fn key(&self) -> String;
    /// Gives the command its canonical form: what one client sends with a blank behind a name, and another without, is one
    /// command. What stands in the way of that is told.
    fn tidy(&mut self) -> Vec<Violation>;
    /// Every field rule that does not hold; empty when the command, which is in its canonical form, is well-formed.
    fn violations(&self) -> Vec<Violation>;
}

/// The events of one aggregate.
pub trait EventSet: MessageSet {
    /// The descriptors of the crate that they were generated in.
    fn pool() -> &'static DescriptorPool;
}

/// The ways in which one aggregate says no. Of one that never does: [`std::convert::Infallible`].
pub trait RefusalSet: MessageSet {
    /// Stable and kebab-case, for example `insufficient-stock`.
    fn code(&self) -> &'static str;
    /// A sentence for people.
    fn title(&self) -> &'static str;
}
