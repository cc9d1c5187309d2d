//! Kinds of the suite that no command of the shop has, and texts that are no JSON. The table of the others is the shop's:
//! `json_mapping` in shop-proto.

use proptest::prelude::*;

use super::*;

/// Written by hand as `codegen` writes it.
#[derive(Debug, Default, PartialEq)]
struct All {
    big: u64,
    numbers: Vec<i32>,
    kinds: Vec<i32>,
    inner: Vec<Inner>,
    by_name: BTreeMap<String, Inner>,
    counts: BTreeMap<String, u32>,
}

#[derive(Debug, Default, PartialEq)]
struct Inner {
    a_number: i32,
}

/// No rules: what is read is all that is asked here.
impl Checked for All {
    fn check(&self, _: &Path<'_>, _: &mut Vec<Violation>) {}
    fn has_unknown_enum(&self) -> bool {
        false
    }
}

const KINDS: &[(&str, i32)] = &[("NONE", 0), ("RED", 1), ("BLUE", 2)];

impl ReadJson for All {
    const NAME: &'static str = "All";
    const MEMBERS: &'static [&'static str] = &["big", "numbers", "kinds", "inner", "byName", "counts"];

    fn member(name: &str) -> Option<usize> {
        let own = ["big", "numbers", "kinds", "inner", "by_name", "counts"];
        Self::MEMBERS.iter().position(|n| *n == name).or_else(|| own.iter().position(|n| *n == name))
    }

    fn read(&mut self, member: usize, value: Json<'_>, at: &Path<'_>, out: &mut Vec<Violation>) {
        let number = |v: Json<'_>, at: &Path<'_>, out: &mut Vec<Violation>| v.whole::<i32>(i32::MIN.into(), i32::MAX.into(), at, out);
        match member {
            0 => self.big = value.whole(0, u64::MAX.into(), at, out).unwrap_or_default(),
            1 => self.numbers = value.list(at, out, number),
            2 => self.kinds = value.list(at, out, |v, at, out| v.enumeration(KINDS, at, out)),
            3 => self.inner = value.list(at, out, |v, at, out| v.message(at, out)),
            4 => self.by_name = value.map(at, out, |v, at, out| v.message(at, out)),
            _ => self.counts = value.map(at, out, |v, at, out| v.whole(0, u32::MAX.into(), at, out)),
        }
    }
}

impl ReadJson for Inner {
    const NAME: &'static str = "Inner";
    const MEMBERS: &'static [&'static str] = &["aNumber"];

    fn member(name: &str) -> Option<usize> {
        ["aNumber", "a_number"].contains(&name).then_some(0)
    }

    fn read(&mut self, _: usize, value: Json<'_>, at: &Path<'_>, out: &mut Vec<Violation>) {
        self.a_number = value.whole(i32::MIN.into(), i32::MAX.into(), at, out).unwrap_or_default();
    }
}

fn read(json: &str) -> All {
    from_json(json.as_bytes()).unwrap_or_else(|all| panic!("{json}: {all:?}"))
}

/// The only fault's field and message.
fn told(json: impl AsRef<[u8]>) -> (String, String) {
    let json = json.as_ref();
    let mut all = from_json::<All>(json).expect_err(&String::from_utf8_lossy(json));
    assert_eq!(all.len(), 1, "{}: {all:?}", String::from_utf8_lossy(json));
    let one = all.remove(0);
    (one.field, one.message)
}

#[track_caller]
fn refused(json: &str, field: &str, part: &str) {
    let (at, message) = told(json);
    assert!(at == field && message.contains(part), "{json}: {at:?} {message}");
}

#[test]
fn numbers_of_64_bits_are_exact_in_every_form() {
    for (text, value) in [
        ("18446744073709551615", u64::MAX),
        ("\"18446744073709551615\"", u64::MAX),
        ("18446744073709549568", 18_446_744_073_709_549_568),
        ("1.8446744073709551615e19", u64::MAX),
        ("\"1e19\"", 10_000_000_000_000_000_000),
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("-0", 0),
    ] {
        assert_eq!(read(&format!("{{\"big\":{text}}}")).big, value, "{text}");
    }
    for text in [
        "18446744073709551616",
        "\"18446744073709551616\"",
        "-1",
        "\"1e536870000\"",
        "\"0.5\"",
        "\"\"",
        "\"3x3\"",
        "1e999",
        "[1]",
        "{}",
        "true",
    ] {
        refused(&format!("{{\"big\":{text}}}"), "big", &format!("must be a whole number, 0 to 18446744073709551615, is {text}"));
    }
}

#[test]
fn lists_of_numbers_enums_and_messages_are_lists_and_their_elements_have_places() {
    let all = read(r#"{"numbers":[1,2.0,"3",4e0],"kinds":["RED",2,"NONE"],"inner":[{"aNumber":1234},{},{"a_number":"5678"}]}"#);
    assert_eq!((all.numbers, all.kinds), (vec![1, 2, 3, 4], vec![1, 2, 0]));
    assert_eq!(all.inner.iter().map(|i| i.a_number).collect::<Vec<_>>(), [1234, 0, 5678]);
    assert_eq!(read(r#"{"numbers":null,"kinds":null,"inner":null,"byName":null,"counts":null,"big":null}"#), All::default());
    for (json, field, part) in [
        (r#"{"numbers":[1,false]}"#, "numbers[1]", "is false"),
        (r#"{"numbers":["name"]}"#, "numbers[0]", "is \"name\""),
        (r#"{"numbers":[1,2,{"a":4}]}"#, "numbers[2]", "is {\"a\":4}"),
        (r#"{"numbers":[1,null]}"#, "numbers[1]", "is null"),
        (r#"{"numbers":1}"#, "numbers", "must be a list, is 1"),
        (r#"{"numbers":{"0":1}}"#, "numbers", "must be a list"),
        (r#"{"inner":[{},2]}"#, "inner[1]", "must be an object, is 2"),
        (r#"{"inner":[false]}"#, "inner[0]", "must be an object"),
        (r#"{"inner":["2"]}"#, "inner[0]", "must be an object"),
        (r#"{"inner":[{},null]}"#, "inner[1]", "must be an object, is null"),
        (r#"{"inner":{"aNumber":1}}"#, "inner", "must be a list"),
        (r#"{"inner":[{"aNumber":1},{"aNumber":0.5}]}"#, "inner[1].aNumber", "is 0.5"),
        (r#"{"kinds":["GREEN"]}"#, "kinds[0]", "must be one of NONE, RED, BLUE, is \"GREEN\""),
        (r#"{"kinds":["red"]}"#, "kinds[0]", "one of NONE, RED, BLUE"),
        (r#"{"kinds":[true]}"#, "kinds[0]", "is true"),
    ] {
        refused(json, field, part);
    }
}

#[test]
fn maps_of_numbers_and_messages_are_objects_and_no_key_stands_twice() {
    let all = read(r#"{"byName":{"hello":{"aNumber":1234},"w\u006frld":{}},"counts":{"":7,"\u0031":2}}"#);
    assert_eq!(all.by_name.keys().collect::<Vec<_>>(), ["hello", "world"]);
    assert_eq!((all.by_name["hello"].a_number, all.counts[""], all.counts["1"]), (1234, 7, 2));
    for (json, field, part) in [
        (r#"{"counts":{"a":1,"b":2,"a":1}}"#, "counts[\"a\"]", "given twice"),
        (r#"{"counts":{"a":1,"\u0061":2}}"#, "counts[\"a\"]", "given twice"),
        (r#"{"counts":{"a":null}}"#, "counts[\"a\"]", "is null"),
        (r#"{"counts":[1]}"#, "counts", "must be an object, is [1]"),
        (r#"{"counts":{"\ud800":1}}"#, "counts", "whole characters"),
        (r#"{"byName":{"x":{"aNumber":1,"a_number":1}}}"#, "byName[\"x\"].aNumber", "as aNumber and as a_number"),
        (r#"{"byName":{"x":{"other":1}}}"#, "byName[\"x\"].other", "is no field of Inner, which has aNumber"),
    ] {
        refused(json, field, part);
    }
}

#[test]
fn all_faults_are_told_at_once_and_not_without_end() {
    let all = from_json::<All>(br#"{"big":-1,"numbers":[true,1,"x"],"other":0,"counts":{"a":"b"}}"#).expect_err("faults");
    let fields: Vec<_> = all.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["big", "numbers[0]", "numbers[2]", "other", "counts[\"a\"]"]);
    let many = format!("{{\"numbers\":[{}0]}}", "null,".repeat(50_000));
    let told = from_json::<All>(many.as_bytes()).expect_err("faults");
    assert_eq!((told.len(), told[100].message.as_str()), (101, "more is wrong than these 100 faults"));
    // The place where it breaks off is told before all, and takes the last one's place.
    let broken = from_json::<All>(many.trim_end_matches('}').as_bytes()).expect_err("faults");
    assert!(broken.len() == 101 && broken[0].message.contains("ends too early") && broken[100] == told[100], "{broken:?}");
    let long = format!("{{\"{}\":1,\"big\":\"{}\"}}", "n".repeat(100_000), "9".repeat(100_000));
    let all = from_json::<All>(long.as_bytes()).expect_err("faults");
    assert!(all.iter().all(|v| v.field.len() < 200 && v.message.len() < 300), "{all:?}");
}

#[test]
fn what_is_no_json_is_told_by_its_place_and_by_the_field_that_it_broke_off_in() {
    let mut wrong = Vec::new();
    for (json, field, part) in [
        ("", "", "is empty"),
        (" \n\t", "", "is empty"),
        ("\u{feff}", "", "is empty"),
        ("null", "", "must be a JSON object, is null"),
        ("[{\"big\":1}]", "", "must be a JSON object, is ["),
        ("7", "", "must be a JSON object, is 7"),
        ("\"{}\"", "", "must be a JSON object, is \"{}\""),
        ("big=1", "", "must be a JSON object, begins with \"big=1\""),
        ("<big>1</big>", "", "begins with"),
        ("\u{feff}\u{feff}{}", "", "begins with"),
        ("{", "", "ends too early"),
        ("{\"big", "", "ends too early"),
        ("{\"big\"", "big", "ends too early"),
        ("{\"big\":", "big", "ends too early"),
        ("{\"big\":1", "", "ends too early"),
        ("{\"big\":\"1\\", "big", "ends too early"),
        ("{\"inner\":[{\"aNumber\":1}", "inner", "ends too early"),
        ("{\n\"big\":1\n", "", "line 3"),
        ("{\"big\":1}}", "", "column 10, from \"}\" on"),
        ("{\"big\":1} x", "", "from \"x\" on"),
        ("{\"big\":1}{\"big\":1}", "", "from \"{\\\"big\\\":1}\" on"),
        ("{\"big\":1,}", "", "from \"}\" on"),
        ("{\"big\":1 , }", "", "is no JSON"),
        ("{\"numbers\":[1,]}", "numbers", "from \"]}\" on"),
        ("{\"numbers\":[1 , \n]}", "numbers", "line 2"),
        ("{\"big\":1 \"inner\":[]}", "", "is no JSON"),
        ("{big:1}", "", "from \"big:1}\" on"),
        ("{'big':1}", "", "is no JSON"),
        ("{\"big\":'1'}", "big", "is no JSON"),
        ("{1:1}", "", "is no JSON"),
        ("{null:1}", "", "is no JSON"),
        ("{\"counts\":{1:1}}", "counts", "is no JSON"),
        ("{\"big\":+1}", "big", "is no JSON"),
        ("{\"big\":01}", "big", "is no JSON"),
        ("{\"big\":-01}", "big", "is no JSON"),
        ("{\"big\":.5}", "big", "is no JSON"),
        ("{\"big\":5.}", "big", "is no JSON"),
        ("{\"big\":0x10}", "", "is no JSON"),
        ("{\"big\":NaN}", "big", "is no JSON"),
        ("{\"big\":Infinity}", "big", "is no JSON"),
        ("{\"big\":True}", "big", "is no JSON"),
        ("{\"kinds\":[RED]}", "kinds", "is no JSON"),
        ("{\"big\":1 // one\n}", "", "is no JSON"),
        ("{\"big\":/* one */1}", "big", "is no JSON"),
        ("{\"counts\":{\"a\nb\":1}}", "counts", "is no JSON"),
        ("{\"counts\":{\"a\0b\":1}}", "counts", "is no JSON"),
        ("{\"counts\":{\"\\U8C37\":1}}", "counts", "is no JSON"),
        ("{\"counts\":{\"\\uXXXX\":1}}", "counts", "is no JSON"),
        ("{\"counts\":{\"\\u8C3\":1}}", "counts", "is no JSON"),
    ] {
        let (at, message) = told(json);
        if at != field || !message.contains(part) {
            wrong.push(format!("{json}: {at:?} {message}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let (field, message) = told(b"{\"counts\":{\"\xff\":1}}");
    assert!(field == "counts" && message.contains("not UTF-8"), "{field} {message}");
    let utf16: Vec<u8> = "{\"big\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [utf16.clone(), [&[0xff, 0xfe][..], &utf16].concat(), "{}".encode_utf16().flat_map(u16::to_be_bytes).collect()] {
        assert!(told(&bytes).1.contains("UTF-16"), "{bytes:?}");
    }
    assert!(told(b"\x1f\x8b\x08\x00").1.contains("begins with"), "what was packed");
    assert_eq!(read("\u{feff} {\"big\":1}\n").big, 1, "a mark at the beginning is passed over");
}

#[test]
fn however_deep_a_text_is_nested_it_is_read_to_its_end() {
    let deep = 100_000;
    refused(&format!("{{\"big\":{}{}}}", "[".repeat(deep), "]".repeat(deep)), "big", "is [[[[");
    refused(&format!("{{\"other\":{}1{}}}", "{\"a\":".repeat(deep), "}".repeat(deep)), "other", "no field");
    refused(&format!("{{\"inner\":{}", "[".repeat(deep)), "inner", "ends too early");
    refused(&format!("{{\"inner\":[{}{}]}}", "[".repeat(deep), "]".repeat(deep)), "inner[0]", "must be an object");
}

#[test]
fn a_text_that_is_cut_off_anywhere_is_told_as_that() {
    let whole = r#"{"big":"1\u0032","numbers":[1,-2e3],"inner":[{"aNumber":1.5e1}],"byName":{"é":{}},"counts":{"a":7}}"#;
    assert!(from_json::<All>(whole.as_bytes()).is_ok());
    for end in 1..whole.len() {
        let all = from_json::<All>(&whole.as_bytes()[..end]).expect_err("cut off");
        let why = &all[0].message;
        assert!(why.contains("ends too early") || why.contains("is no JSON"), "{end}: {all:?}");
    }
}

/// Words that serde and its like say to those who program.
const INSIDES: [&str; 12] = [
    "untagged",
    "premature",
    "EOF",
    "invalid type",
    "invalid value",
    "expected",
    "trailing",
    "recursion",
    "at line",
    "control character",
    "lone",
    "`",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn any_bytes_are_read_or_refused_in_words_for_people(bytes in prop::collection::vec(prop_oneof![
        prop::sample::select(b"{}[]\",:\\u0123456789-+.eEtruefalsn \n".to_vec()), any::<u8>()], 0..60)) {
        let body = [b"{\"big\":", &bytes[..], b"}"].concat();
        for json in [&bytes, &body] {
            if let Err(all) = from_json::<All>(json) {
                for v in all {
                    prop_assert!(!v.message.is_empty() && INSIDES.iter().all(|inside| !v.message.contains(inside)) || v.message.contains('`'), "{:?}", v);
                }
            }
        }
    }
}
