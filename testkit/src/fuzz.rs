//! Bad input by the thousand: strategies that make it up, and that damage what was good.

mod schema;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

pub use schema::{decoded, valid};

/// How deep what is nested goes: far beyond what a reader may follow, for a stack has an end.
const DEEP: usize = 5_000;

/// What readers stumble over: bad UTF-8, zeros, numbers without end, lengths beyond all bounds, beginnings without an end.
const NASTY: &[&[u8]] = &[
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x0a\xff\xff\xff\xff\x0f",
    b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x0b\x0b\x0b",
    b"\x0c",
    b"\x07",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"\"\"",
    b"'",
    b"{",
    b"]",
    b",",
    b";",
    b"=",
    b"&",
    b"%00",
    b"%",
    b"%ff",
    b"@",
    b"/",
    b":",
    b"-",
    b"+1",
    b"-1",
    b"1e999",
    b"-0",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"NaN",
    b"null",
    b"\r\n",
    b"\xe2\x80\xae",
    b"\xcc\x81",
];

#[derive(Clone, Debug)]
enum Damage {
    Truncate(Index),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    Repeat(Index, Index, usize),
    Move(Index, Index, Index),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let at = || any::<Index>();
        let chunk = prop_oneof![
            3 => prop::sample::select(NASTY).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 1..8),
        ];
        prop_oneof![
            1 => at().prop_map(Self::Truncate),
            2 => (at(), 1..=255_u8).prop_map(|(at, bits)| Self::Flip(at, bits)),
            3 => (at(), chunk).prop_map(|(at, chunk)| Self::Insert(at, chunk)),
            1 => (at(), at()).prop_map(|(from, to)| Self::Cut(from, to)),
            1 => (at(), at(), 1..200_usize).prop_map(|(from, to, times)| Self::Repeat(from, to, times)),
            1 => (at(), at(), at()).prop_map(|(from, to, at)| Self::Move(from, to, at)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let end = bytes.len() + 1;
        let range = |from: &Index, to: &Index| {
            let (a, b) = (from.index(end), to.index(end));
            a.min(b)..a.max(b)
        };
        match self {
            Self::Truncate(at) => bytes.truncate(at.index(end)),
            Self::Flip(at, bits) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Flip(..) => {}
            Self::Insert(at, chunk) => drop(bytes.splice(at.index(end)..at.index(end), chunk.iter().copied())),
            Self::Cut(from, to) => drop(bytes.drain(range(from, to))),
            Self::Repeat(from, to, times) => {
                let piece = bytes[range(from, to)].repeat(*times);
                bytes.extend(piece.into_iter().take(8 << 10));
            }
            Self::Move(from, to, at) => {
                let piece: Vec<u8> = bytes.drain(range(from, to)).collect();
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// Bytes near to good ones: cut off, flipped, spliced, repeated, with what readers stumble over put in. Some are wholly made up.
pub fn damaged(good: impl Strategy<Value = Vec<u8>> + 'static) -> BoxedStrategy<Vec<u8>> {
    let near = (good, prop::collection::vec(Damage::any(), 1..5)).prop_map(|(mut bytes, all)| {
        all.iter().for_each(|damage| damage.apply(&mut bytes));
        bytes
    });
    prop_oneof![8 => near, 1 => prop::collection::vec(any::<u8>(), 0..300), 1 => deep()].boxed()
}

/// Texts near to a good one; see [`damaged`].
pub fn damaged_text(good: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    damaged(good.prop_map(String::into_bytes)).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).boxed()
}

/// What is nested beyond all bounds: JSON, protobuf messages (by the lengths of what is inside) and groups.
fn deep() -> impl Strategy<Value = Vec<u8>> {
    (1..DEEP, 0..6_u8, 1..12_u8).prop_map(|(depth, kind, field)| match kind {
        0 => b"[".repeat(depth),
        1 => [b"[".repeat(depth), b"]".repeat(depth)].concat(),
        2 => [b"{\"price\":".repeat(depth), b"1".to_vec(), b"}".repeat(depth)].concat(),
        3 => [b"{\"price\":".to_vec(), b"[".repeat(depth), b"]".repeat(depth), b"}".to_vec()].concat(),
        4 => vec![field << 3 | 3; depth],
        _ => nested(field << 3 | 2, depth.min(2_000)),
    })
}

/// A message in a message in a message: the innermost is empty.
fn nested(tag: u8, depth: usize) -> Vec<u8> {
    let mut reversed = Vec::new();
    for _ in 0..depth {
        let mut length = reversed.len();
        let mut varint = Vec::new();
        loop {
            let more = length >= 0x80;
            varint.push((length & 0x7f) as u8 | u8::from(more) << 7);
            length >>= 7;
            if !more {
                break;
            }
        }
        reversed.extend(varint.iter().rev());
        reversed.push(tag);
    }
    reversed.reverse();
    reversed
}

/// Values that fit no field, or nearly none.
fn odd() -> impl Strategy<Value = Value> {
    let deep = (100..500_usize).prop_map(|depth| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner])));
    let fixed = vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("\0"),
        json!(" "),
        json!("\u{202e}\u{301}"),
        json!("9999999999999999999999"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "": 1 }),
        json!("0001-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:60Z"),
        json!("2026-02-30T00:00:00Z"),
    ];
    prop_oneof![
        40 => prop::sample::select(fixed),
        1 => (1..70_000_usize).prop_map(|n| Value::String("x".repeat(n))),
        1 => (1..11_000_usize).prop_map(|n| Value::Array(vec![json!({}); n])),
        1 => (1..400_usize).prop_map(|n| (0..n).map(|i| (i.to_string(), json!(i))).collect::<Map<_, _>>().into()),
        1 => deep,
    ]
}

#[derive(Clone, Debug)]
enum Twist {
    Replace(Index, Value),
    Remove(Index),
    Rename(Index, String),
    Copy(Index, Index),
}

/// JSON near to a good value: other types, fields that are missing, unknown, doubled or without end. One in four is
/// [damaged](damaged) as a text on top.
pub fn damaged_json(good: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Vec<u8>> {
    let at = || any::<Index>();
    let twist = prop_oneof![
        4 => (at(), odd()).prop_map(|(at, value)| Twist::Replace(at, value)),
        1 => at().prop_map(Twist::Remove),
        1 => (at(), "\\PC{0,12}").prop_map(|(at, name)| Twist::Rename(at, name)),
        1 => (at(), at()).prop_map(|(from, to)| Twist::Copy(from, to)),
    ];
    let twisted = (good, prop::collection::vec(twist, 1..4), any::<Option<Index>>()).prop_map(|(mut value, twists, double)| {
        twists.iter().for_each(|t| t.apply(&mut value));
        doubled(&value, double).into_bytes()
    });
    let twisted = twisted.boxed();
    prop_oneof![3 => twisted.clone(), 1 => damaged(twisted)].boxed()
}

/// The text of a value; of an object perhaps with one of its members twice.
fn doubled(value: &Value, which: Option<Index>) -> String {
    let text = value.to_string();
    match (value.as_object().filter(|o| !o.is_empty()), which) {
        (Some(object), Some(which)) => {
            let (name, member) = object.iter().nth(which.index(object.len())).expect("an index of it");
            format!("{{{}:{member},{}", Value::from(name.as_str()), &text[1..])
        }
        _ => text,
    }
}

impl Twist {
    fn apply(&self, root: &mut Value) {
        let count = size(root);
        match self {
            Self::Replace(at, value) => *nth(root, &mut at.index(count)).expect("counted") = value.clone(),
            Self::Copy(from, to) => {
                let copy = nth(root, &mut from.index(count)).expect("counted").clone();
                *nth(root, &mut to.index(count)).expect("counted") = copy;
            }
            Self::Remove(at) => {
                if let Some((object, name)) = member(root, at) {
                    object.remove(&name);
                }
            }
            Self::Rename(at, to) => {
                if let Some((object, name)) = member(root, at)
                    && let Some(value) = object.remove(&name)
                {
                    object.insert(to.clone(), value);
                }
            }
        }
    }
}

/// How many values there are, nested ones included. What is nested too deep for a walk counts as one.
fn size(value: &Value) -> usize {
    walk(value, 0)
}

fn walk(value: &Value, depth: usize) -> usize {
    1 + match value {
        _ if depth > 20 => 0,
        Value::Array(items) => items.iter().map(|v| walk(v, depth + 1)).sum(),
        Value::Object(members) => members.values().map(|v| walk(v, depth + 1)).sum(),
        _ => 0,
    }
}

fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|v| nth(v, left)),
        Value::Object(members) => members.values_mut().find_map(|v| nth(v, left)),
        _ => None,
    }
}

/// A member of the outermost object.
fn member<'a>(root: &'a mut Value, at: &Index) -> Option<(&'a mut Map<String, Value>, String)> {
    let object = root.as_object_mut().filter(|o| !o.is_empty())?;
    let name = object.keys().nth(at.index(object.len()))?.clone();
    Some((object, name))
}
