//! The JSON mapping, held by a table: what the protobuf project's conformance suite covers for the types that commands use,
//! with inputs of our own. docs/json-mapping.md names each kind of the suite, and says which row of here covers it.

use std::collections::BTreeSet;

use daybook_proto::{CommandSet as _, JsonValue, MessageSet as _, bytes_as_json};
use prost::Message as _;
use prost_types::Timestamp;

use crate::catalog::v1::ProductCommand;
use crate::common::v1::Money;
use crate::descriptors;
use crate::inventory::v1::StockCommand;

/// The end of an input.
enum Want {
    /// It is read, and this is what is at the place.
    Is(&'static str, &'static str),
    /// It is refused: the field, and a part of what is said.
    Told(&'static str, &'static str),
}
use Want::{Is, Told};

/// Where the value of a row stands.
#[derive(Clone, Copy)]
enum At {
    /// `uint32`, with a rule: 1 to 1,000,000,000.
    Quantity,
    /// `sint32`, which JSON writes as `int32`.
    Delta,
    /// `int64`.
    Minor,
    /// `optional uint32`.
    Seconds,
    Bool,
    Enum,
    Text,
    /// `optional string`.
    Revised,
    Message,
    /// `map<string, string>`.
    Map,
    /// `repeated string`.
    List,
    Time,
    /// The whole body of a ReceiveStock.
    Body,
}

impl At {
    fn read(self, value: &str) -> Result<JsonValue, Vec<daybook_proto::Violation>> {
        let product =
            |name: &str, body: String| ProductCommand::from_json(&format!("shop.catalog.v1.{name}"), body.as_bytes()).map(|c| c.to_json());
        let stock =
            |name: &str, body: String| StockCommand::from_json(&format!("shop.inventory.v1.{name}"), body.as_bytes()).map(|c| c.to_json());
        match self {
            Self::Quantity => stock("ReceiveStock", format!(r#"{{"sku":"A-1","quantity":{value}}}"#)),
            Self::Delta => stock("AdjustStock", format!(r#"{{"sku":"A-1","delta":{value}}}"#)),
            Self::Seconds => stock("ReserveStock", format!(r#"{{"sku":"A-1","quantity":1,"expiresInSeconds":{value}}}"#)),
            Self::Body => stock("ReceiveStock", value.to_owned()),
            Self::Minor => product("RepriceProduct", format!(r#"{{"sku":"A-1","price":{{"minorUnits":{value}}}}}"#)),
            Self::Time => product("RepriceProduct", format!(r#"{{"sku":"A-1","sale":{{"minorUnits":1,"startsAt":{value}}}}}"#)),
            Self::Message => product("RepriceProduct", format!(r#"{{"sku":"A-1","price":{value}}}"#)),
            Self::Bool => product("CreateProduct", format!(r#"{{"sku":"A-1","draft":{value}}}"#)),
            Self::Text => product("CreateProduct", format!(r#"{{"sku":"A-1","title":{value}}}"#)),
            Self::Map => product("CreateProduct", format!(r#"{{"sku":"A-1","attributes":{value}}}"#)),
            Self::Revised => product("ReviseProduct", format!(r#"{{"sku":"A-1","title":{value}}}"#)),
            Self::List => product("ReviseProduct", format!(r#"{{"sku":"A-1","removedAttributes":{value}}}"#)),
            Self::Enum => product("AttachMedia", format!(r#"{{"sku":"A-1","media":{{"kind":{value}}}}}"#)),
        }
    }

    /// Where the value is found again; the field that a refusal names.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Quantity => ("/quantity", "quantity"),
            Self::Delta => ("/delta", "delta"),
            Self::Seconds => ("/expiresInSeconds", "expiresInSeconds"),
            Self::Body => ("", ""),
            Self::Minor => ("/price/minorUnits", "price.minorUnits"),
            Self::Time => ("/sale/startsAt", "sale.startsAt"),
            Self::Message => ("/price", "price"),
            Self::Bool => ("/draft", "draft"),
            Self::Text | Self::Revised => ("/title", "title"),
            Self::Map => ("/attributes", "attributes"),
            Self::List => ("/removedAttributes", "removedAttributes"),
            Self::Enum => ("/media/kind", "media.kind"),
        }
    }
}

const UINT32: &str = "must be a whole number, 1 to 1000000000, is ";
const SINT32: &str = "must be a whole number, -2000000000 to 2000000000, is ";
const INT64: &str = "must be a whole number, 0 to 9223372036854775807, is ";
const BOOL: &str = "must be true or false, is ";
const TEXT: &str = "must be a text, is ";
const KINDS: &str = "must be one of MEDIA_KIND_IMAGE, MEDIA_KIND_VIDEO, MEDIA_KIND_DOCUMENT, is ";
const TIME: &str = "must be a time such as ";
/// The value's own place; the field of a refusal the value's own.
const HERE: &str = "·";

/// The suite's names that a row covers, where its value stands, the value, and what becomes of it.
#[rustfmt::skip]
const TABLE: &[(&str, At, &str, Want)] = &[
    // ---- Names ----
    ("HelloWorld StringField", At::Text, r#""Lamp, with shade""#, Is(HERE, r#""Lamp, with shade""#)),
    ("FieldNameInSnakeCase OriginalProtoFieldName", At::Message, r#"{"minor_units":7}"#, Is("/price/minorUnits", r#""7""#)),
    ("FieldNameInLowerCamelCase", At::Message, r#"{"minorUnits":7}"#, Is("/price/minorUnits", r#""7""#)),
    ("FieldNameEscaped", At::Body, r#"{"quan\u0074ity":3}"#, Is("/quantity", "3")),
    ("OneLineNoSpaces", At::Body, r#"{"sku":"A-1","quantity":3}"#, Is("/quantity", "3")),
    ("OneLineWithSpaces", At::Body, r#"{ "sku" : "A-1" , "quantity" : 3 }"#, Is("/quantity", "3")),
    ("MultilineNoSpaces MultilineWithSpaces", At::Body, "{\n\t\"sku\"\n:\r\n\"A-1\" ,\n  \"quantity\"  :\n3\n}\n", Is("/quantity", "3")),
    ("FieldNameDuplicate", At::Body, r#"{"quantity":3,"sku":"A-1","quantity":3}"#, Told("quantity", "given twice")),
    ("FieldNameDuplicate", At::Body, r#"{"quantity":null,"quantity":3}"#, Told("quantity", "given twice")),
    ("FieldNameDuplicateDifferentCasing1", At::Message, r#"{"minor_units":1,"minorUnits":1}"#, Told("price.minorUnits", "given twice, as minor_units and as minorUnits")),
    ("FieldNameDuplicateDifferentCasing2", At::Message, r#"{"minorUnits":1,"minor_units":2}"#, Told("price.minorUnits", "given twice, as minorUnits and as minor_units")),
    ("IgnoreUnknownJsonNumber", At::Body, r#"{"quantities":1}"#, Told("quantities", "is no field of ReceiveStock, which has sku, warehouse, quantity")),
    ("IgnoreUnknownJsonString IgnoreUnknownJsonTrue IgnoreUnknownJsonFalse IgnoreUnknownJsonNull", At::Message, r#"{"minorunits":"1"}"#, Told("price.minorunits", "is no field of Money, which has currency, minorUnits")),
    ("IgnoreUnknownJsonObject", At::Body, r#"{"Quantity":{"a":[1]}}"#, Told("Quantity", "is no field")),
    ("RejectReservedFieldName", At::Body, r#"{"":1}"#, Told("\"\"", "is no field")),
    // ---- No JSON ----
    ("RejectTopLevelNull", At::Body, "null", Told("", "must be a JSON object, is null")),
    ("StringEndsWithEscapeChar", At::Body, "{\"sku\": \"A-1\\", Told("sku", "ends too early")),
    ("FieldNameNotQuoted", At::Body, "{quantity: 3}", Told("", "is no JSON: line 1, column 2, from \"quantity: 3}\" on")),
    ("TrailingCommaInAnObject", At::Body, r#"{"quantity":3,}"#, Told("", "is no JSON")),
    ("TrailingCommaInAnObjectWithSpace TrailingCommaInAnObjectWithSpaceCommaSpace", At::Body, r#"{"quantity":3 , }"#, Told("", "is no JSON")),
    ("TrailingCommaInAnObjectWithNewlines", At::Body, "{\n  \"quantity\":3,\n}", Told("", "is no JSON: line 3, column 1")),
    ("JsonWithComments", At::Body, "{\n// three\n\"quantity\":3}", Told("", "is no JSON: line 2")),
    ("MissingCommaOneLine", At::Body, r#"{ "quantity": 3 "sku": "A-1" }"#, Told("", "is no JSON")),
    ("MissingCommaMultiline", At::Body, "{\n  \"quantity\": 3\n  \"sku\": \"A-1\"\n}", Told("", "is no JSON: line 3")),
    ("StringFieldSingleQuoteKey StringFieldSingleQuoteBoth", At::Body, "{'sku': 'A-1'}", Told("", "is no JSON")),
    ("StringFieldSingleQuoteValue", At::Body, "{\"sku\": 'A-1'}", Told("sku", "is no JSON")),
    // ---- Whole numbers ----
    ("Int32FieldMaxValue", At::Delta, "2147483647", Is(HERE, "2147483647")),
    ("Int32FieldMinValue", At::Delta, "-2147483648", Is(HERE, "-2147483648")),
    ("Uint32FieldMaxValue", At::Quantity, "4294967295", Is(HERE, "4294967295")),
    ("Int64FieldMaxValue", At::Minor, r#""9223372036854775807""#, Is(HERE, r#""9223372036854775807""#)),
    ("Int64FieldMinValue", At::Minor, r#""-9223372036854775808""#, Is(HERE, r#""-9223372036854775808""#)),
    ("Int64FieldMaxValueNotQuoted", At::Minor, "9223372036854775807", Is(HERE, r#""9223372036854775807""#)),
    ("Int64FieldMinValueNotQuoted", At::Minor, "-9223372036854775808", Is(HERE, r#""-9223372036854775808""#)),
    ("Int64FieldBeString", At::Minor, "7", Is(HERE, r#""7""#)),
    ("Int32FieldStringValue", At::Delta, r#""-17""#, Is(HERE, "-17")),
    ("Int32FieldStringValueEscaped", At::Delta, r#""1\u0037""#, Is(HERE, "17")),
    ("Int32FieldStringValueZero", At::Delta, r#""0""#, Is(HERE, "0")),
    ("Int32FieldQuotedExponentialValue", At::Delta, r#""17e3""#, Is(HERE, "17000")),
    ("Int32FieldFloatTrailingZero", At::Delta, "17.000", Is(HERE, "17")),
    ("Int32FieldFloatTrailingZero", At::Quantity, "2.0", Is(HERE, "2")),
    ("Int32FieldExponentialFormat", At::Delta, "1e2", Is(HERE, "100")),
    ("Int32FieldExponentialFormat", At::Quantity, "1E+2", Is(HERE, "100")),
    ("Int32FieldMaxFloatValue", At::Delta, "2.147483647e9", Is(HERE, "2147483647")),
    ("Int32FieldMinFloatValue", At::Delta, "-2.147483648e9", Is(HERE, "-2147483648")),
    ("Uint32FieldMaxFloatValue", At::Quantity, "4.294967295e9", Is(HERE, "4294967295")),
    ("", At::Minor, "9007199254740993.0", Is(HERE, r#""9007199254740993""#)),
    ("", At::Minor, "1.000000000000000001e18", Is(HERE, r#""1000000000000000001""#)),
    ("Int32FieldTooLarge", At::Delta, "2147483648", Told(HERE, SINT32)),
    ("Int32FieldTooSmall", At::Delta, "-2147483649", Told(HERE, SINT32)),
    ("Uint32FieldTooLarge", At::Quantity, "4294967296", Told(HERE, UINT32)),
    ("Uint32FieldTooLarge", At::Quantity, "1e99", Told(HERE, "is 1e99")),
    ("", At::Quantity, "-1", Told(HERE, "1 to 1000000000, is -1")),
    ("Int64FieldTooLarge", At::Minor, r#""9223372036854775808""#, Told(HERE, INT64)),
    ("Int64FieldTooSmall", At::Minor, r#""-9223372036854775809""#, Told(HERE, INT64)),
    ("Int32FieldNotInteger", At::Delta, "0.5", Told(HERE, "is 0.5")),
    ("Uint32FieldNotInteger", At::Quantity, "25e-1", Told(HERE, "is 25e-1")),
    ("Int64FieldNotInteger", At::Minor, r#""19.99""#, Told(HERE, "is \"19.99\"")),
    ("Int32FieldTrueValue", At::Delta, "true", Told(HERE, "is true")),
    ("Int32FieldFalseValue", At::Quantity, "false", Told(HERE, "is false")),
    ("Int32FieldStringValuePartiallyNumeric", At::Delta, r#""12abc""#, Told(HERE, "is \"12abc\"")),
    ("Int32FieldStringValuePartiallyNumericSpace", At::Delta, r#""12 34""#, Told(HERE, SINT32)),
    ("Int32FieldStringValuePartiallyNumericComma", At::Delta, r#""12,34""#, Told(HERE, SINT32)),
    ("Int32FieldStringValuePartiallyNumericUnicode", At::Delta, r#""12двенадцать34""#, Told(HERE, SINT32)),
    ("Int32FieldStringValuePartiallyNumericUnicode", At::Delta, r#""١٢""#, Told(HERE, SINT32)),
    ("Int32FieldStringValueNonNumeric", At::Delta, r#""twelve""#, Told(HERE, SINT32)),
    ("Int32FieldEmptyString", At::Delta, r#""""#, Told(HERE, "is \"\"")),
    ("Uint32FieldEmptyString", At::Quantity, r#""""#, Told(HERE, "is \"\"")),
    ("Int64FieldEmptyString", At::Minor, r#""""#, Told(HERE, "is \"\"")),
    ("Int32FieldNotNumber", At::Delta, r#""3x3""#, Told(HERE, SINT32)),
    ("Uint32FieldNotNumber", At::Quantity, r#""0x10""#, Told(HERE, UINT32)),
    ("Int64FieldNotNumber", At::Minor, r#""1_000""#, Told(HERE, INT64)),
    ("Int32FieldPlusSign", At::Delta, "+1", Told("delta", "is no JSON")),
    ("Int32FieldPlusSign", At::Delta, r#""+1""#, Told(HERE, "is \"+1\"")),
    ("Int32FieldLeadingZero", At::Delta, "01", Told("delta", "is no JSON")),
    ("Int32FieldLeadingZero", At::Delta, r#""01""#, Told(HERE, SINT32)),
    ("Int32FieldNegativeWithLeadingZero", At::Delta, "-01", Told("delta", "is no JSON")),
    ("Int32FieldLeadingSpace", At::Delta, r#"" 1""#, Told(HERE, SINT32)),
    ("Int32FieldTrailingSpace", At::Delta, r#""1 ""#, Told(HERE, SINT32)),
    ("", At::Quantity, "[2]", Told(HERE, "is [2]")),
    ("", At::Quantity, "{}", Told(HERE, "is {}")),
    ("StoresDefaultPrimitive", At::Seconds, "0", Is(HERE, "0")),
    // ---- bool ----
    ("BoolFieldTrue", At::Bool, "true", Is(HERE, "true")),
    ("BoolFieldFalse", At::Bool, "false", Is(HERE, "false")),
    ("BoolFieldIntegerZero", At::Bool, "0", Told(HERE, BOOL)),
    ("BoolFieldIntegerOne", At::Bool, "1", Told(HERE, BOOL)),
    ("BoolFieldCamelCaseTrue BoolFieldAllCapitalTrue", At::Bool, "True", Told("draft", "is no JSON")),
    ("BoolFieldCamelCaseFalse BoolFieldAllCapitalFalse", At::Bool, "FALSE", Told("draft", "is no JSON")),
    ("BoolFieldDoubleQuotedTrue", At::Bool, r#""true""#, Told(HERE, "is \"true\"")),
    ("BoolFieldDoubleQuotedFalse", At::Bool, r#""false""#, Told(HERE, BOOL)),
    // ---- Enums ----
    ("EnumField", At::Enum, r#""MEDIA_KIND_VIDEO""#, Is(HERE, r#""MEDIA_KIND_VIDEO""#)),
    ("EnumFieldNumericValueZero", At::Enum, "0", Is(HERE, r#""MEDIA_KIND_UNSPECIFIED""#)),
    ("EnumFieldNumericValueNonZero", At::Enum, "1", Is(HERE, r#""MEDIA_KIND_IMAGE""#)),
    ("EnumFieldUnknownValue", At::Enum, "123", Is(HERE, "123")),
    ("EnumFieldNotQuoted", At::Enum, "MEDIA_KIND_VIDEO", Told("media", "is no JSON")),
    ("EnumFieldSingleElementArrayEnumName", At::Enum, r#"["MEDIA_KIND_VIDEO"]"#, Told(HERE, KINDS)),
    ("EnumFieldSingleElementArrayNumericValue", At::Enum, "[2]", Told(HERE, KINDS)),
    ("EnumFieldTrueValue", At::Enum, "true", Told(HERE, KINDS)),
    ("EnumFieldFalseValue", At::Enum, "false", Told(HERE, KINDS)),
    ("RejectUnknownEnumStringValueInOptionalField IgnoreUnknownEnumStringValueInOptionalField", At::Enum, r#""MEDIA_KIND_HOLOGRAM""#, Told(HERE, "is \"MEDIA_KIND_HOLOGRAM\"")),
    ("", At::Enum, r#""media_kind_video""#, Told(HERE, KINDS)),
    ("", At::Enum, r#""1""#, Told(HERE, KINDS)),
    ("", At::Enum, "1.5", Told(HERE, KINDS)),
    // ---- Texts ----
    ("StringFieldUnicode", At::Text, r#""灯 ламп 🛋""#, Is(HERE, r#""灯 ламп 🛋""#)),
    ("StringFieldEscape", At::Text, r#""\"\\\/\b\f\n\r\t""#, Is(HERE, r#""\"\\/\b\f\n\r\t""#)),
    ("StringFieldUnicodeEscape", At::Text, r#""\u706F\u00DF""#, Is(HERE, r#""灯ß""#)),
    ("StringFieldUnicodeEscapeWithLowercaseHexLetters", At::Text, r#""\u706f\u00df""#, Is(HERE, r#""灯ß""#)),
    ("StringFieldSurrogatePair", At::Text, r#""\uD83D\uDECB""#, Is(HERE, r#""🛋""#)),
    ("StringFieldEmbeddedNull", At::Text, r#""a\u0000b""#, Is(HERE, r#""a\u0000b""#)),
    ("StringFieldUppercaseEscapeLetter", At::Text, r#""\U706F""#, Told("title", "is no JSON")),
    ("StringFieldInvalidEscape", At::Text, r#""\u70GF""#, Told("title", "is no JSON")),
    ("StringFieldUnterminatedEscape", At::Text, r#""\u706""#, Told("title", "is no JSON")),
    ("StringFieldUnpairedHighSurrogate", At::Text, r#""a\uD83D""#, Told(HERE, "half of a pair), is \"a\\uD83D\"")),
    ("StringFieldUnpairedLowSurrogate", At::Text, r#""\uDECB""#, Told(HERE, "half of a pair")),
    ("StringFieldSurrogateInWrongOrder", At::Text, r#""\uDECB\uD83D""#, Told(HERE, "half of a pair")),
    ("StringFieldNotAString", At::Text, "12345", Told(HERE, "must be a text, is 12345")),
    ("", At::Text, "true", Told(HERE, TEXT)),
    ("", At::Text, r#"{"en":"Lamp"}"#, Told(HERE, TEXT)),
    ("", At::Text, "\"a\tb\"", Told("title", "is no JSON")),
    // ---- Messages ----
    ("MessageField", At::Message, r#"{"currency":"EUR","minorUnits":1999}"#, Is(HERE, r#"{"currency":"EUR","minorUnits":"1999"}"#)),
    ("MessageField", At::Message, "{}", Told("price.minorUnits", "is required: a whole number, 0 to 9223372036854775807; 0 is written out too")),
    ("MessageField", At::Message, r#"{"minorUnits":0}"#, Is(HERE, r#"{"currency":"","minorUnits":"0"}"#)),
    ("", At::Message, "1999", Told(HERE, "must be an object, is 1999")),
    ("", At::Message, r#""19.99 EUR""#, Told(HERE, "must be an object, is \"19.99 EUR\"")),
    ("", At::Message, "[]", Told(HERE, "must be an object")),
    // ---- Maps and lists ----
    ("Int32MapFieldKeyNotQuoted Uint32MapFieldKeyNotQuoted Int64MapFieldKeyNotQuoted Uint64MapFieldKeyNotQuoted", At::Map, r#"{1:"a"}"#, Told("attributes", "is no JSON")),
    ("BoolMapFieldKeyNotQuoted", At::Map, r#"{true:"a"}"#, Told("attributes", "is no JSON")),
    ("Int32MapEscapedKey Int64MapEscapedKey BoolMapEscapedKey", At::Map, r#"{"colou\u0072":"r\u0065d"}"#, Is(HERE, r#"{"colour":"red"}"#)),
    ("", At::Map, r#"{"colour":"red","size":"L","colour":"blue"}"#, Told("attributes[\"colour\"]", "given twice")),
    ("", At::Map, r#"{"colour":"red","c\u006flour":"red"}"#, Told("attributes[\"colour\"]", "given twice")),
    ("", At::Map, r#"{"watts":5}"#, Told("attributes[\"watts\"]", "must be a text, is 5")),
    ("", At::Map, r#"[["colour","red"]]"#, Told(HERE, "must be an object")),
    ("MapFieldKeyIsNull", At::Map, r#"{null:"a"}"#, Told("attributes", "is no JSON")),
    ("MapFieldValueIsNull", At::Map, r#"{"colour":null}"#, Told("attributes[\"colour\"]", "must be a text, is null")),
    ("StringRepeatedField", At::List, r#"["colour","größe"]"#, Is(HERE, r#"["colour","größe"]"#)),
    ("RepeatedFieldWrongElementTypeExpectingStringsGotInt", At::List, r#"["a",2]"#, Told("removedAttributes[1]", "must be a text, is 2")),
    ("RepeatedFieldWrongElementTypeExpectingStringsGotBool", At::List, "[false]", Told("removedAttributes[0]", "is false")),
    ("RepeatedFieldWrongElementTypeExpectingStringsGotMessage", At::List, r#"["a","b",{"a":4}]"#, Told("removedAttributes[2]", "must be a text, is {\"a\":4}")),
    ("", At::List, r#""colour""#, Told(HERE, "must be a list, is \"colour\"")),
    ("RepeatedFieldPrimitiveElementIsNull", At::List, r#"["a",null]"#, Told("removedAttributes[1]", "must be a text, is null")),
    ("RepeatedFieldTrailingComma RepeatedFieldTrailingCommaWithSpace RepeatedFieldTrailingCommaWithSpaceCommaSpace", At::List, r#"["a" , ]"#, Told("removedAttributes", "is no JSON")),
    ("RepeatedFieldTrailingCommaWithNewlines", At::List, "[\n\"a\",\n]", Told("removedAttributes", "is no JSON: line 3")),
    // ---- Null ----
    ("AllFieldAcceptNull", At::Quantity, "null", Told(HERE, "is required: a whole number")),
    ("AllFieldAcceptNull", At::Delta, "null", Told(HERE, "is required: a whole number")),
    ("AllFieldAcceptNull", At::Minor, "null", Told(HERE, "is required: a whole number")),
    ("AllFieldAcceptNull", At::Bool, "null", Is(HERE, "false")),
    ("AllFieldAcceptNull", At::Enum, "null", Is(HERE, r#""MEDIA_KIND_UNSPECIFIED""#)),
    ("AllFieldAcceptNull", At::Text, "null", Is(HERE, r#""""#)),
    ("AllFieldAcceptNull", At::Map, "null", Is(HERE, "{}")),
    ("AllFieldAcceptNull", At::List, "null", Is(HERE, "[]")),
    ("AllFieldAcceptNull", At::Message, "null", Is(HERE, "absent")),
    ("AllFieldAcceptNull", At::Revised, "null", Is(HERE, "absent")),
    ("AllFieldAcceptNull", At::Seconds, "null", Is(HERE, "absent")),
    ("TimestampNull", At::Time, "null", Is(HERE, "absent")),
    ("", At::Text, "nul", Told("title", "is no JSON")),
    // ---- Moments ----
    ("TimestampMinValue", At::Time, r#""0001-01-01T00:00:00Z""#, Is(HERE, r#""0001-01-01T00:00:00Z""#)),
    ("TimestampMaxValue", At::Time, r#""9999-12-31T23:59:59.999999999Z""#, Is(HERE, r#""9999-12-31T23:59:59.999999999Z""#)),
    ("TimestampEpochValue TimestampHasZeroFractionalDigit", At::Time, r#""1970-01-01T00:00:00.000000Z""#, Is(HERE, r#""1970-01-01T00:00:00Z""#)),
    ("TimestampNanoAfterEpochlValue TimestampHas9FractionalDigits", At::Time, r#""1970-01-01T00:00:00.000000001Z""#, Is(HERE, r#""1970-01-01T00:00:00.000000001Z""#)),
    ("TimestampNanoBeforeEpochValue", At::Time, r#""1969-12-31T23:59:59.999999999Z""#, Is(HERE, r#""1969-12-31T23:59:59.999999999Z""#)),
    ("TimestampLittleAfterEpochlValue", At::Time, r#""1970-01-01T00:00:02.000000003Z""#, Is(HERE, r#""1970-01-01T00:00:02.000000003Z""#)),
    ("TimestampLittleBeforeEpochValue", At::Time, r#""1969-12-31T23:59:57.999999998Z""#, Is(HERE, r#""1969-12-31T23:59:57.999999998Z""#)),
    ("TimestampTenAndHalfSecondsAfterEpochValue TimestampHas3FractionalDigits", At::Time, r#""1970-01-01T00:00:10.50Z""#, Is(HERE, r#""1970-01-01T00:00:10.500Z""#)),
    ("TimestampTenAndHalfSecondsBeforeEpochValue", At::Time, r#""1969-12-31T23:59:49.5Z""#, Is(HERE, r#""1969-12-31T23:59:49.500Z""#)),
    ("TimestampHas6FractionalDigits", At::Time, r#""1970-01-01T00:00:00.00001Z""#, Is(HERE, r#""1970-01-01T00:00:00.000010Z""#)),
    ("TimestampLeap TimestampJsonInputLeapFeb29", At::Time, r#""2024-02-29T12:00:00Z""#, Is(HERE, r#""2024-02-29T12:00:00Z""#)),
    ("TimestampWithPositiveOffset", At::Time, r#""2026-11-29T10:00:00+02:00""#, Is(HERE, r#""2026-11-29T08:00:00Z""#)),
    ("TimestampWithNegativeOffset", At::Time, r#""2026-11-29T03:00:00-05:00""#, Is(HERE, r#""2026-11-29T08:00:00Z""#)),
    ("TimestampZeroNormalized", At::Time, r#""1970-01-01T05:45:00+05:45""#, Is(HERE, r#""1970-01-01T00:00:00Z""#)),
    ("TimestampWithOffsetShiftsDay", At::Time, r#""2026-03-01T00:30:00+01:00""#, Is(HERE, r#""2026-02-28T23:30:00Z""#)),
    ("TimestampWithOffsetBoundaryInBoundsMin", At::Time, r#""0001-01-01T00:00:00-00:01""#, Is(HERE, r#""0001-01-01T00:01:00Z""#)),
    ("TimestampWithOffsetBoundaryInBoundsMax", At::Time, r#""9999-12-31T23:59:59+00:01""#, Is(HERE, r#""9999-12-31T23:58:59Z""#)),
    ("TimestampWithComplexOffset", At::Time, r#""2026-11-28T20:30:00-11:30""#, Is(HERE, r#""2026-11-29T08:00:00Z""#)),
    ("", At::Time, r#""2026-11-29\u005408:00:00Z""#, Is(HERE, r#""2026-11-29T08:00:00Z""#)),
    ("TimestampJsonInputTooSmall", At::Time, r#""0000-12-31T23:59:59Z""#, Told(HERE, "years are 0001 to 9999")),
    ("TimestampJsonInputTooLarge TimestampJsonInputYearTooLong", At::Time, r#""12026-01-01T00:00:00Z""#, Told(HERE, "year, month and day have 4, 2 and 2 digits")),
    ("TimestampJsonInputMissingZ", At::Time, r#""2026-11-29T08:00:00""#, Told(HERE, "it has no zone")),
    ("TimestampJsonInputMissingZ", At::Time, r#""2026-11-29T08:00:00.5""#, Told(HERE, "it has no zone")),
    ("TimestampJsonInputMissingT", At::Time, r#""2026-11-29 08:00:00Z""#, Told(HERE, TIME)),
    ("TimestampJsonInputLowercaseZ", At::Time, r#""2026-11-29T08:00:00z""#, Told(HERE, "the zone is Z")),
    ("TimestampJsonInputLowercaseT", At::Time, r#""2026-11-29t08:00:00Z""#, Told(HERE, "then come T")),
    ("TimestampWithMissingColonInOffset", At::Time, r#""2026-11-29T08:00:00+0200""#, Told(HERE, "such as +02:00")),
    ("TimestampJsonInputMonthTooLarge", At::Time, r#""2026-13-01T00:00:00Z""#, Told(HERE, "no such day")),
    ("TimestampJsonInputMonthZero", At::Time, r#""2026-00-01T00:00:00Z""#, Told(HERE, "no such day")),
    ("TimestampJsonInputDayTooLarge", At::Time, r#""2026-04-31T00:00:00Z""#, Told(HERE, "no such day")),
    ("TimestampJsonInputDayZero", At::Time, r#""2026-04-00T00:00:00Z""#, Told(HERE, "no such day")),
    ("TimestampJsonInputNonLeapFeb29", At::Time, r#""2026-02-29T00:00:00Z""#, Told(HERE, "no such day")),
    ("TimestampJsonInputHourTooLarge", At::Time, r#""2026-11-29T24:00:00Z""#, Told(HERE, "24:00 is 00:00 of the day after")),
    ("TimestampJsonInputHourTooLarge25", At::Time, r#""2026-11-29T25:00:00Z""#, Told(HERE, "no such time of day")),
    ("TimestampJsonInputMinuteTooLarge", At::Time, r#""2026-11-29T08:60:00Z""#, Told(HERE, "no such time of day")),
    ("TimestampJsonInputSecondTooLarge", At::Time, r#""2016-12-31T23:59:60Z""#, Told(HERE, "a leap second has no place here")),
    ("TimestampJsonInputSecondTooLarge", At::Time, r#""2016-12-31T23:59:61Z""#, Told(HERE, "no such time of day")),
    ("TimestampJsonInputInvalidOffsetHour", At::Time, r#""2026-11-29T08:00:00+24:00""#, Told(HERE, "such as +02:00")),
    ("TimestampJsonInputInvalidOffsetMinute", At::Time, r#""2026-11-29T08:00:00+02:60""#, Told(HERE, "such as +02:00")),
    ("TimestampJsonInputOffsetBoundaryUnderflow", At::Time, r#""0001-01-01T00:00:00+00:01""#, Told(HERE, "years are 0001 to 9999")),
    ("TimestampJsonInputOffsetBoundaryOverflow", At::Time, r#""9999-12-31T23:59:59-00:01""#, Told(HERE, "years are 0001 to 9999")),
    ("TimestampJsonInputInvalidNanos", At::Time, r#""2026-11-29T08:00:00.1234567890Z""#, Told(HERE, "1 to 9 digits")),
    ("TimestampJsonInputInvalidNanos", At::Time, r#""2026-11-29T08:00:00.Z""#, Told(HERE, "1 to 9 digits")),
    ("TimestampJsonInputInvalidCharsInNanos", At::Time, r#""2026-11-29T08:00:00.5sZ""#, Told(HERE, "the zone is Z")),
    ("TimestampJsonInputYearTooShort", At::Time, r#""926-11-29T08:00:00Z""#, Told(HERE, "4, 2 and 2 digits")),
    ("TimestampJsonInputMonthTooShort", At::Time, r#""2026-1-29T08:00:00Z""#, Told(HERE, "4, 2 and 2 digits")),
    ("TimestampJsonInputDayTooShort", At::Time, r#""2026-11-9T08:00:00Z""#, Told(HERE, "4, 2 and 2 digits")),
    ("", At::Time, r#""2026-11-29""#, Told(HERE, "is \"2026-11-29\"")),
    ("", At::Time, "1764403200", Told(HERE, "is 1764403200")),
    ("", At::Time, r#"{"seconds":1}"#, Told(HERE, TIME)),
    ("", At::Time, r#""""#, Told(HERE, TIME)),
];

#[test]
fn the_json_mapping_is_the_conformance_suites() {
    let mut wrong = Vec::new();
    for (names, at, value, want) in TABLE {
        let (pointer, own) = at.place();
        let read = at.read(value);
        let good = match (want, &read) {
            (Is(place, expected), Ok(json)) => {
                let found = json.pointer(if *place == HERE { pointer } else { place });
                match expected.parse::<JsonValue>() {
                    Ok(expected) => found == Some(&expected),
                    Err(_) => *expected == "absent" && found.is_none(),
                }
            }
            (Told(field, part), Err(all)) => {
                let field = if *field == HERE { own } else { field };
                // A number that is not there is told, and so are the rules then: neither is what a row is about, unless it says so.
                let told = |v: &&daybook_proto::Violation| !v.message.starts_with("is required") || part.starts_with("is required");
                let told: Vec<_> = all.iter().filter(told).collect();
                told.first().is_some_and(|v| v.field == field && v.message.contains(part))
                    && (told.len() == 1 || part.starts_with("is required"))
            }
            _ => false,
        };
        if !good {
            wrong.push(format!("{names} {value}: {read:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
}

/// The document names each kind of the suite once; what it says is covered by this table is, and nothing else.
#[test]
fn the_document_says_which_kinds_of_the_suite_the_table_covers() {
    let document = include_str!("../../../docs/json-mapping.md");
    let rows: Vec<(&str, &str)> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.trim_end_matches(" |").split_once("` | ")).collect();
    let named: BTreeSet<&str> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(named.len(), rows.len(), "a kind stands twice");
    assert!(rows.len() > 300 && rows.iter().all(|(_, how)| !how.is_empty()));
    let said: BTreeSet<&str> = rows.iter().filter(|(_, how)| how.starts_with("table")).map(|(name, _)| *name).collect();
    let covered: BTreeSet<&str> = TABLE.iter().flat_map(|(names, ..)| names.split_whitespace()).collect();
    assert_eq!(said.difference(&covered).collect::<Vec<_>>(), Vec::<&&str>::new(), "said, and not covered");
    assert_eq!(covered.difference(&said).collect::<Vec<_>>(), Vec::<&&str>::new(), "covered, and not said");
}

#[test]
fn what_is_written_has_its_zeros_its_64_bit_numbers_as_texts_and_its_enums_by_name() {
    use crate::catalog::v1::{Media, MediaKind, Price};
    use crate::read::v1::{ProductPage, StockLine};

    let written = |page: &ProductPage| {
        let descriptor = descriptors().get_message_by_name("shop.read.v1.ProductPage").expect("it is described");
        bytes_as_json(&descriptor, &page.encode_to_vec())
    };
    let media = |kind: i32| Media { url: "https://a/\"b\"\u{7}.jpg".into(), kind, alt: "灯".into() };
    let page = ProductPage {
        sku: "A-1".into(),
        price: Some(Money { currency: "EUR".into(), minor_units: i64::MAX }),
        prices: [("EUR".to_owned(), Price { list: Some(Money { currency: "EUR".into(), minor_units: -1 }), sale: None })].into(),
        media: vec![media(MediaKind::Video.into()), media(77)],
        stock: vec![StockLine { warehouse: "w".into(), on_hand: u32::MAX, ..Default::default() }],
        version: u64::MAX,
        ..Default::default()
    };
    let json = written(&page).expect("it can be written");
    for (place, text) in [
        ("/price", r#"{"currency":"EUR","minorUnits":"9223372036854775807"}"#),
        ("/prices/EUR/list/minorUnits", r#""-1""#),
        ("/version", r#""18446744073709551615""#),
        ("/stock", r#"[{"available":0,"onHand":4294967295,"reserved":0,"warehouse":"w"}]"#),
        ("/media/0", r#"{"alt":"灯","kind":"MEDIA_KIND_VIDEO","url":"https://a/\"b\"\u0007.jpg"}"#),
        ("/media/1/kind", "77"),
        ("/title", r#""""#),
        ("/attributes", "{}"),
    ] {
        assert_eq!(json.pointer(place).map(ToString::to_string).as_deref(), Some(text), "{place}");
    }
    assert!(json.get("sale").is_none() && json.get("updatedAt").is_none() && json.pointer("/prices/EUR/sale").is_none());
    for (seconds, nanos, text) in [
        (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        (0, 0, "1970-01-01T00:00:00Z"),
        (-1, 500_000_000, "1969-12-31T23:59:59.500Z"),
        (0, 10_000, "1970-01-01T00:00:00.000010Z"),
        (0, 10, "1970-01-01T00:00:00.000000010Z"),
    ] {
        let page = ProductPage { updated_at: Some(Timestamp { seconds, nanos }), ..Default::default() };
        assert_eq!(written(&page).expect("a moment")["updatedAt"], text);
    }
    for (seconds, nanos) in [(-62_135_596_801, 0), (253_402_300_800, 0)] {
        let page = ProductPage { updated_at: Some(Timestamp { seconds, nanos }), ..Default::default() };
        assert!(written(&page).is_err(), "{seconds} {nanos} is no moment, but {:?}", written(&page));
    }
}
