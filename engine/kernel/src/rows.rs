//! Read models that are kept as SQL: each part is a row too, with a column for each of its fields, which people and tools ask through views.

use daybook_proto::DescriptorPool;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// Columns that each table of parts has anyhow, and those that Postgres gives every table.
const TAKEN: [&str; 15] = [
    "key",
    "part",
    "bytes",
    "service",
    "stream_id",
    "partition",
    "offset",
    "version",
    "view",
    "tableoid",
    "xmin",
    "cmin",
    "xmax",
    "cmax",
    "ctid",
];
/// The longest name that Postgres keeps, in bytes.
const LONGEST: usize = 63;
/// Messages in messages: a row is flat, and a message that holds itself would never end.
const DEEPEST: usize = 3;
/// What a timestamp may say: the years 1 to 9999, in seconds.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A view over the rows of a read model, under a name that stays the same whichever generation is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlView {
    /// Its name in the schema of read models, for example `sales_by_day`.
    pub name: &'static str,
    /// What it selects, FROM `{rows}`: the table of the generation that is served.
    pub select: &'static str,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// Of texts, and of enums by their values' names.
    Text,
    /// Of whole numbers of any width. One that does not fit (an unsigned one) is the largest that does.
    BigInt,
    /// Of yes and no.
    Boolean,
    /// Of numbers with a fraction.
    DoublePrecision,
    /// Of `google.protobuf.Timestamp`; a time outside of the years 1 to 9999 is the first or last instant of these.
    Timestamp,
}

impl SqlType {
    /// As Postgres names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::BigInt => "bigint",
            Self::Boolean => "boolean",
            Self::DoublePrecision => "double precision",
            Self::Timestamp => "timestamptz",
        }
    }
}

/// The value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// A field that says whether it is there, and is not.
    Null,
    /// A text, without zero bytes: Postgres' texts hold none.
    Text(String),
    /// A whole number.
    BigInt(i64),
    /// Yes or no.
    Boolean(bool),
    /// A number with a fraction.
    DoublePrecision(f64),
    /// Microseconds since 1970.
    Timestamp(i64),
}

/// A column: a field of the parts' message, or a field of a message in it.
#[derive(Clone, Debug)]
pub struct SqlColumn {
    /// The field's name; of a field of a field, both names: `price_currency`.
    pub name: String,
    /// Its type.
    pub kind: SqlType,
    /// From the part's message to the field.
    path: Vec<FieldDescriptor>,
}

/// The rows of a read model that is kept as SQL.
#[derive(Clone, Debug)]
pub struct SqlRows {
    /// By the numbers of the fields; those of the list behind the message's own.
    pub columns: Vec<SqlColumn>,
    /// The views over the rows.
    pub views: &'static [SqlView],
    message: MessageDescriptor,
}

impl SqlRows {
    /// The rows of parts of a message: a column for each singular field, and for each singular field of the elements of `list`, where it is
    /// named. Of a part, that list has one element. Other lists, maps and bytes have no columns.
    ///
    /// # Panics
    /// Where the message can't have such rows: this is said in code, and every process that knows the read model would say so at once.
    pub(crate) fn of(pool: &DescriptorPool, message: &str, list: Option<&str>, views: &'static [SqlView]) -> Self {
        let message = pool.get_message_by_name(message).unwrap_or_else(|| panic!("{message} is not among the descriptors of this build"));
        let mut columns = Vec::new();
        add_columns(&message, "", &[], &mut columns);
        if let Some(list) = list {
            let field = message.get_field_by_name(list).filter(FieldDescriptor::is_list);
            let element = field.map(|field| (field.kind(), field));
            let Some((Kind::Message(element), field)) = element else { panic!("{} has no list of messages {list}", message.full_name()) };
            add_columns(&element, "", &[field], &mut columns);
        }
        let name = message.full_name();
        assert!(!columns.is_empty(), "{name} has no field that could be a column");
        for (n, column) in columns.iter().enumerate() {
            let is_new = !TAKEN.contains(&column.name.as_str()) && columns[..n].iter().all(|other| other.name != column.name);
            assert!(is_new && column.name.len() <= LONGEST, "{name} can't have a column {}: give the field another name", column.name);
        }
        for view in views {
            let is_plain = view.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && view.name.len() <= LONGEST;
            // With a number behind it, it could be a generation's table.
            assert!(is_plain && !view.name.is_empty(), "{name} can't have a view {:?}: take a-z and _", view.name);
            assert!(view.select.contains("{rows}"), "{name}: view {} selects FROM {{rows}}", view.name);
        }
        Self { columns, views, message }
    }

    /// The row of a part, a value a column. Of bytes that are no such message, which no part has, all are null.
    pub fn row(&self, part: &[u8]) -> Vec<SqlValue> {
        match DynamicMessage::decode(self.message.clone(), part) {
            Ok(part) => self.columns.iter().map(|column| value(&part, &column.path)).collect(),
            Err(_) => vec![SqlValue::Null; self.columns.len()],
        }
    }
}

fn add_columns(message: &MessageDescriptor, before: &str, path: &[FieldDescriptor], columns: &mut Vec<SqlColumn>) {
    assert!(path.len() <= DEEPEST, "{} lies too deep to be columns of a row", message.full_name());
    for field in message.fields().filter(|field| !field.is_list() && !field.is_map()) {
        let name = format!("{before}{}", field.name());
        let path: Vec<FieldDescriptor> = path.iter().cloned().chain([field.clone()]).collect();
        let kind = match field.kind() {
            Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp" => SqlType::Timestamp,
            Kind::Message(inner) => {
                add_columns(&inner, &format!("{name}_"), &path, columns);
                continue;
            }
            Kind::Bytes => continue,
            Kind::String | Kind::Enum(_) => SqlType::Text,
            Kind::Bool => SqlType::Boolean,
            Kind::Float | Kind::Double => SqlType::DoublePrecision,
            _ => SqlType::BigInt,
        };
        columns.push(SqlColumn { name, kind, path });
    }
}

fn value(message: &DynamicMessage, path: &[FieldDescriptor]) -> SqlValue {
    let Some((field, rest)) = path.split_first() else { return SqlValue::Null };
    if (field.supports_presence() || field.is_list()) && !message.has_field(field) {
        return SqlValue::Null;
    }
    let found = message.get_field(field);
    if rest.is_empty() {
        return scalar(&found, &field.kind());
    }
    let inner = found.as_list().map_or(Some(&*found), <[Value]>::first);
    inner.and_then(Value::as_message).map_or(SqlValue::Null, |inner| value(inner, rest))
}

fn scalar(value: &Value, kind: &Kind) -> SqlValue {
    match value {
        Value::Bool(b) => SqlValue::Boolean(*b),
        Value::I32(n) => SqlValue::BigInt((*n).into()),
        Value::I64(n) => SqlValue::BigInt(*n),
        Value::U32(n) => SqlValue::BigInt((*n).into()),
        Value::U64(n) => SqlValue::BigInt(i64::try_from(*n).unwrap_or(i64::MAX)),
        Value::F32(n) => SqlValue::DoublePrecision((*n).into()),
        Value::F64(n) => SqlValue::DoublePrecision(*n),
        Value::String(text) => SqlValue::Text(text.replace('\0', "")),
        Value::EnumNumber(number) => {
            let name = kind.as_enum().and_then(|of| of.get_value(*number)).map(|value| value.name().to_owned());
            SqlValue::Text(name.unwrap_or_else(|| number.to_string()))
        }
        Value::Message(time) => timestamp(time),
        Value::Bytes(_) | Value::List(_) | Value::Map(_) => SqlValue::Null,
    }
}

fn timestamp(time: &DynamicMessage) -> SqlValue {
    let part = |name: &str| time.get_field_by_name(name).map(|value| value.as_i64().or(value.as_i32().map(i64::from)).unwrap_or_default());
    let (seconds, nanos) = (part("seconds").unwrap_or_default(), part("nanos").unwrap_or_default());
    let micros = if TIMES.contains(&seconds) { nanos.clamp(0, 999_999_999) / 1_000 } else { 0 };
    SqlValue::Timestamp(seconds.clamp(*TIMES.start(), *TIMES.end()) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use prost_reflect::prost::Message as _;

    use super::*;

    const PROTO: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/timestamp.proto";
        enum Colour { NONE = 0; RED = 1; }
        message Money { string currency = 1; int64 minor_units = 2; }
        message Item { string sku = 1; optional uint32 pieces = 2; google.protobuf.Timestamp at = 3; repeated string tags = 4; }
        message Page {
          string name = 1; bool good = 2; double weight = 3; uint64 many = 4; Colour colour = 5; Money price = 6;
          bytes content = 7; map<string, string> attributes = 8; repeated Item items = 9; repeated Item others = 10;
        }
        message Bad { string version = 1; }
        message Circle { Circle within = 1; }
    "#;

    const VIEW: &[SqlView] = &[SqlView { name: "pages", select: "SELECT name FROM {rows}" }];

    fn pool() -> DescriptorPool {
        let dir = std::env::temp_dir().join(format!("daybook-rows-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).expect("a folder");
        std::fs::write(dir.join("t.proto"), PROTO).expect("a file");
        let files = protox::compile(["t.proto"], [&dir]).expect("it compiles");
        std::fs::remove_dir_all(dir).expect("it is there");
        DescriptorPool::decode(files.encode_to_vec().as_slice()).expect("descriptors")
    }

    fn message<const N: usize>(name: &str, fields: [(&str, Value); N]) -> DynamicMessage {
        let mut message = DynamicMessage::new(pool().get_message_by_name(name).expect("it is described"));
        for (field, value) in fields {
            message.set_field_by_name(field, value);
        }
        message
    }

    #[test]
    fn columns_are_the_singular_fields_of_the_message_and_those_of_the_lists_elements() {
        let rows = SqlRows::of(&pool(), "t.Page", Some("items"), VIEW);
        let columns: Vec<_> = rows.columns.iter().map(|c| (c.name.as_str(), c.kind.name())).collect();
        let own = [("name", "text"), ("good", "boolean"), ("weight", "double precision"), ("many", "bigint"), ("colour", "text")];
        let inner = [("price_currency", "text"), ("price_minor_units", "bigint")];
        let of_items = [("sku", "text"), ("pieces", "bigint"), ("at", "timestamptz")];
        assert_eq!(columns, [&own[..], &inner, &of_items].concat());
        assert_eq!(SqlRows::of(&pool(), "t.Page", None, VIEW).columns.len(), 7);
    }

    #[test]
    fn a_row_has_the_values_of_its_part_and_null_where_a_field_that_could_say_so_is_not_there() {
        use SqlValue as V;
        let rows = SqlRows::of(&pool(), "t.Page", Some("items"), VIEW);
        let text = |text: &str| V::Text(text.to_owned());
        let price = message("t.Money", [("currency", Value::String("EUR".into())), ("minor_units", Value::I64(1999))]);
        let at = message("google.protobuf.Timestamp", [("seconds", Value::I64(1_796_032_800)), ("nanos", Value::I32(500_000_000))]);
        let item = message("t.Item", [("sku", Value::String("A-1".into())), ("pieces", Value::U32(0)), ("at", Value::Message(at))]);
        let full = message(
            "t.Page",
            [
                ("name", Value::String("a\0b".into())),
                ("good", Value::Bool(true)),
                ("weight", Value::F64(0.5)),
                ("many", Value::U64(u64::MAX)),
                ("colour", Value::EnumNumber(1)),
                ("price", Value::Message(price)),
                ("items", Value::List(vec![Value::Message(item)])),
            ],
        );
        let own = [text("ab"), V::Boolean(true), V::DoublePrecision(0.5), V::BigInt(i64::MAX), text("RED"), text("EUR"), V::BigInt(1999)];
        let of_item = [text("A-1"), V::BigInt(0), V::Timestamp(1_796_032_800_500_000)];
        assert_eq!(rows.row(&full.encode_to_vec()), [&own[..], &of_item].concat());
        let own = [text(""), V::Boolean(false), V::DoublePrecision(0.0), V::BigInt(0), text("NONE")];
        assert_eq!(rows.row(&[]), [&own[..], &[V::Null, V::Null, V::Null, V::Null, V::Null]].concat());
        assert_eq!(rows.row(&[0xff]), vec![V::Null; 10]);
    }

    #[test]
    fn a_time_that_postgres_would_not_take_is_the_first_or_the_last_that_it_does() {
        let rows = SqlRows::of(&pool(), "t.Item", None, VIEW);
        let at = |seconds: i64| {
            let time = prost_types::Timestamp { seconds, nanos: -1 };
            let bytes = [&[0x1a, time.encoded_len() as u8][..], &time.encode_to_vec()].concat();
            rows.row(&bytes).pop()
        };
        assert_eq!(at(i64::MAX), Some(SqlValue::Timestamp(253_402_300_799_000_000)));
        assert_eq!(at(i64::MIN), Some(SqlValue::Timestamp(-62_135_596_800_000_000)));
        assert_eq!(at(1), Some(SqlValue::Timestamp(1_000_000)));
    }

    #[test]
    #[should_panic(expected = "t.Bad can't have a column version")]
    fn a_field_with_the_name_of_a_column_that_is_there_anyhow_is_refused() {
        SqlRows::of(&pool(), "t.Bad", None, VIEW);
    }

    #[test]
    #[should_panic(expected = "lies too deep")]
    fn a_message_that_holds_itself_is_no_row() {
        SqlRows::of(&pool(), "t.Circle", None, VIEW);
    }

    #[test]
    #[should_panic(expected = "can't have a view \"pages_1\"")]
    fn a_view_whose_name_could_be_a_tables_is_refused() {
        SqlRows::of(&pool(), "t.Page", None, &[SqlView { name: "pages_1", select: "SELECT name FROM {rows}" }]);
    }
}
