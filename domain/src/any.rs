//! Every command of an aggregate, made of what the schema says: also such as no lane lets through.

use daybook_proto::{CommandSet, DescriptorPool};
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// Any command of a set, whose descriptors are in this pool. Its names are those of the samples, so that commands meet.
pub(crate) fn any_command<C: CommandSet>(pool: &DescriptorPool) -> BoxedStrategy<C> {
    let of = |name: &&'static str| {
        let name = *name;
        let descriptor = pool.get_message_by_name(name).expect("generated from these descriptors");
        message(&descriptor).prop_map(move |value| C::decode(name, &value.encode_to_vec()).expect("a command of the set")).boxed()
    };
    proptest::strategy::Union::new(C::TYPES.iter().map(of)).boxed()
}

fn message(descriptor: &MessageDescriptor) -> BoxedStrategy<DynamicMessage> {
    let fields: Vec<BoxedStrategy<Value>> = descriptor.fields().map(|field| of_field(&field)).collect();
    let (descriptor, count) = (descriptor.clone(), fields.len());
    (fields, prop::collection::vec(0..8_u8, count))
        .prop_map(move |(values, chances)| {
            let mut all = DynamicMessage::new(descriptor.clone());
            for ((field, value), chance) in descriptor.fields().zip(values).zip(chances) {
                // Now and then nothing stands there.
                if chance > 0 {
                    all.set_field(&field, value);
                }
            }
            all
        })
        .boxed()
}

fn of_field(field: &FieldDescriptor) -> BoxedStrategy<Value> {
    let (field, one) = (field.clone(), one(field));
    if field.is_map() {
        return Just(Value::default_value_for_field(&field)).boxed();
    }
    if field.is_list() { prop::collection::vec(one, 0..3).prop_map(Value::List).boxed() } else { one }
}

fn one(field: &FieldDescriptor) -> BoxedStrategy<Value> {
    match field.kind() {
        Kind::Message(of) if of.full_name() == "google.protobuf.Timestamp" => times(&of),
        Kind::Message(of) => message(&of).prop_map(Value::Message).boxed(),
        Kind::Enum(of) => {
            let all: Vec<i32> = of.values().map(|value| value.number()).chain([99]).collect();
            select(all).prop_map(Value::EnumNumber).boxed()
        }
        Kind::String => select(words(field.name()).to_vec()).prop_map(|word| Value::String(word.to_owned())).boxed(),
        Kind::Bytes => prop::collection::vec(any::<u8>(), 0..3).prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Uint32 => prop_oneof![12 => 0..4_u32, 1 => 4..5_000_u32, 1 => any::<u32>(), 1 => Just(u32::MAX)].prop_map(Value::U32).boxed(),
        Kind::Int32 | Kind::Sint32 => prop_oneof![8 => -3..4_i32, 1 => any::<i32>()].prop_map(Value::I32).boxed(),
        Kind::Int64 => prop_oneof![6 => 0..4_i64, 6 => 0..5_000_i64, 1 => any::<i64>(), 1 => Just(i64::MAX)].prop_map(Value::I64).boxed(),
        kind => panic!("no values of {kind:?} can be made: say here how"),
    }
}

/// Those that the specs' deadlines have, and others.
fn times(of: &MessageDescriptor) -> BoxedStrategy<Value> {
    let of = of.clone();
    let seconds = prop_oneof![4 => select(vec![0, 30, 60, 900, 6 * 24 * 60 * 60]), 1 => -5..2_000_i64, 1 => any::<i64>()];
    let time = move |seconds: i64| {
        let mut time = DynamicMessage::new(of.clone());
        time.set_field_by_name("seconds", Value::I64(seconds.saturating_add(daybook_kernel::spec::SPEC_TIME.micros() / 1_000_000)));
        Value::Message(time)
    };
    seconds.prop_map(time).boxed()
}

/// What a field of this name may say.
fn words(name: &str) -> &'static [&'static str] {
    match name {
        "order_id" => &["o-1"],
        "cart_id" | "into" => &["k-1", "k-2"],
        "customer_id" => &["c-1"],
        "sku" => &["A-1", "B-1"],
        "warehouse" | "to" => &["w-1", "w-2"],
        "currency" => &["EUR", "EUR", "EUR", "USD", ""],
        "reason" => &["", "declined", "timeout", "void", "superseded"],
        "step" => &["place", "authorisation"],
        "token" | "payment_token" => &["tok_ok", "tok_other"],
        "process" => &["", "allocation/o-1", "order/o-1"],
        "from" => &["cart/k-2", "w-2"],
        "object_id" => &["pay_1", "pay_2"],
        "notice_id" => &["n-1", "n-2", ""],
        _ => &["", "x"],
    }
}
