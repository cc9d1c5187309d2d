//! The meaning of a read model's fields for a search: the query API knows no shop.

use prost_reflect::prost::bytes::Buf as _;
use prost_reflect::prost::encoding::{WireType, decode_key, decode_varint};
use prost_reflect::{Kind, MessageDescriptor};

use super::index::{SearchIndex, SearchItem};
use super::properties::words;

/// A schema and its message do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("searching: {message} has no field {path:?} of a fitting kind")]
pub struct SchemaError {
    /// The message.
    pub message: String,
    /// The path that the schema names.
    pub path: String,
}

/// A read model, as a search reads it. Fields are named by their protobuf names, those of messages within
/// separated by points: `price.minor_units`.
#[derive(Clone, Debug)]
pub struct SearchSchema {
    /// The read model, as URLs name it.
    pub model: String,
    /// The name of a key in answers.
    pub key: String,
    /// The part that a product's own fields stand in; without it nothing is found.
    pub root: String,
    /// The prefix of ids of parts that tell of a stock.
    pub stock: String,
    /// Text: its name.
    pub title: String,
    /// Text: its maker.
    pub brand: String,
    /// Text: its category.
    pub category: String,
    /// Text about it.
    pub description: String,
    /// A map of texts: its properties.
    pub attributes: String,
    /// An integer: its price in the smallest unit of the currency.
    pub price: String,
    /// Text: the currency.
    pub currency: String,
    /// Text: the language of its texts, as BCP 47 names it. None: no product says.
    pub language: Option<String>,
    /// A `google.protobuf.Timestamp`: when it was created.
    pub created: String,
    /// In a stock's part, an integer: the quantity that can be promised.
    pub quantity: String,
    /// Texts, single or repeated: codes that tell a product from all others, beside its key.
    pub identifiers: Vec<String>,
    /// Names of properties that can be filtered by and counted.
    pub filters: Vec<String>,
    /// Beginnings of the price facet's ranges, in hundredths of a currency, ascending; the first begins at 0. In a currency of
    /// more decimals they are so many times as high; one without decimals has a smaller unit, in which they are taken as they are.
    pub price_edges: Vec<i64>,
    /// Number of a currency's decimals. None: there is no such currency.
    pub decimals: fn(&str) -> Option<u32>,
    /// The currency of searches that name none.
    pub default_currency: String,
}

impl SearchSchema {
    /// Beginnings of the ranges of a currency's price facet, in its smallest unit.
    pub fn edges(&self, currency: &str) -> Vec<i64> {
        let more = (self.decimals)(currency).unwrap_or(2).saturating_sub(2);
        self.price_edges.iter().map(|edge| edge.saturating_mul(10_i64.saturating_pow(more))).collect()
    }
}

/// Numbers of fields, from the message inwards.
type Path = Vec<u32>;

/// A schema, resolved against its message: reads parts.
#[derive(Clone, Debug)]
pub struct SearchReader {
    schema: SearchSchema,
    title: Path,
    brand: Path,
    category: Path,
    description: Path,
    attributes: Path,
    price: Path,
    currency: Path,
    language: Option<Path>,
    created: Path,
    quantity: Path,
    identifiers: Vec<Path>,
}

impl SearchReader {
    /// Resolves a schema.
    ///
    /// # Errors
    /// When the message has no such field, or it is of another kind.
    pub fn new(schema: SearchSchema, message: &MessageDescriptor) -> Result<Self, SchemaError> {
        let text = |path: &str| resolve(message, path, |kind, map| *kind == Kind::String && !map);
        let whole = |path: &str| {
            let kinds = [Kind::Int32, Kind::Int64, Kind::Uint32, Kind::Uint64];
            resolve(message, path, move |kind, map| kinds.contains(kind) && !map)
        };
        Ok(Self {
            title: text(&schema.title)?,
            brand: text(&schema.brand)?,
            category: text(&schema.category)?,
            description: text(&schema.description)?,
            attributes: resolve(message, &schema.attributes, |_, map| map)?,
            price: whole(&schema.price)?,
            currency: text(&schema.currency)?,
            language: schema.language.as_deref().map(text).transpose()?,
            created: whole(&format!("{}.seconds", schema.created))?,
            quantity: whole(&schema.quantity)?,
            identifiers: schema.identifiers.iter().map(|path| text(path)).collect::<Result<_, _>>()?,
            schema,
        })
    }

    /// The meaning of fields.
    pub fn schema(&self) -> &SearchSchema {
        &self.schema
    }

    /// Puts a part into an index, or takes it out when there are no bytes. Parts that are neither the root nor a stock
    /// change nothing.
    pub fn apply(&self, index: &mut SearchIndex, key: &str, part: &str, bytes: Option<&[u8]>, offset: i64) {
        if part == self.schema.root {
            match bytes {
                Some(bytes) => index.put(key, &self.item(bytes), offset),
                None => index.remove(key, offset),
            }
        } else if let Some(place) = part.strip_prefix(&self.schema.stock) {
            index.stock(key, place, bytes.map(|b| self.available(b)), offset);
        }
    }

    /// The place that a part's id names; the root has none.
    pub fn place<'a>(&self, part: &'a str) -> Option<&'a str> {
        part.strip_prefix(&self.schema.stock)
    }

    /// Whether a part is the root or a stock.
    pub(crate) fn reads(&self, part: &str) -> bool {
        part == self.schema.root || part.starts_with(&self.schema.stock)
    }

    /// The id of the part that tells of a place's stock.
    pub(crate) fn part_of(&self, place: &str) -> String {
        format!("{}{place}", self.schema.stock)
    }

    fn item(&self, bytes: &[u8]) -> SearchItem {
        let (mut item, mut properties) = (SearchItem::default(), Vec::new());
        read(bytes, &mut Vec::new(), &mut |path, value| {
            match value {
                Wire::Bytes(bytes) if *path == self.title => item.title = text(bytes),
                Wire::Bytes(bytes) if *path == self.brand => item.brand = text(bytes),
                Wire::Bytes(bytes) if *path == self.category => item.category = text(bytes),
                Wire::Bytes(bytes) if *path == self.description => item.description = text(bytes),
                Wire::Bytes(bytes) if *path == self.currency => item.currency = text(bytes),
                Wire::Bytes(bytes) if Some(path) == self.language.as_ref() => item.language = text(bytes),
                Wire::Bytes(bytes) if self.identifiers.contains(path) => item.identifiers.push(text(bytes)),
                Wire::Bytes(bytes) if *path == self.attributes => {
                    let (name, value) = entry(bytes);
                    if self.schema.filters.contains(&name) && !value.trim().is_empty() {
                        item.properties.insert(name.clone(), value.clone());
                    }
                    properties.push((name, value));
                }
                Wire::Number(n) if *path == self.price => item.price = n.cast_signed(),
                Wire::Number(n) if *path == self.created => item.created = n.cast_signed().saturating_mul(1_000_000),
                // Only messages that a path leads through are gone into: a text could be mistaken for a message.
                Wire::Bytes(_) => {
                    let within = [&self.price, &self.currency, &self.created].into_iter().chain(&self.language).chain(&self.identifiers);
                    return within.into_iter().any(|to| to.len() > path.len() && to.starts_with(path));
                }
                Wire::Number(_) => {}
            }
            false
        });
        item.attributes = words(&properties);
        item
    }

    fn available(&self, bytes: &[u8]) -> u32 {
        let mut sum = 0_u64;
        read(bytes, &mut Vec::new(), &mut |path, value| match value {
            Wire::Number(n) => {
                if *path == self.quantity {
                    sum = sum.saturating_add(n);
                }
                false
            }
            Wire::Bytes(_) => self.quantity.starts_with(path),
        });
        u32::try_from(sum).unwrap_or(u32::MAX)
    }
}

/// A field's value as it stands in a message.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Walks through a message; `see` says of bytes whether they are a message to go into. What can't be read ends it: a part
/// that is no message has been told by whoever serves it.
fn read(mut bytes: &[u8], path: &mut Path, see: &mut impl FnMut(&Path, Wire<'_>) -> bool) {
    while !bytes.is_empty() {
        let Ok((number, wire_type)) = decode_key(&mut bytes) else { return };
        path.push(number);
        match wire_type {
            WireType::Varint => {
                let Ok(value) = decode_varint(&mut bytes) else { return };
                see(path, Wire::Number(value));
            }
            WireType::LengthDelimited => {
                let Some(length) = decode_varint(&mut bytes).ok().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= bytes.len())
                else {
                    return;
                };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                if see(path, Wire::Bytes(value)) {
                    read(value, path, see);
                }
            }
            WireType::SixtyFourBit if bytes.len() >= 8 => bytes.advance(8),
            WireType::ThirtyTwoBit if bytes.len() >= 4 => bytes.advance(4),
            _ => return,
        }
        path.pop();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Name and value of an entry of a map.
fn entry(bytes: &[u8]) -> (String, String) {
    let (mut name, mut value) = (String::new(), String::new());
    read(bytes, &mut Vec::new(), &mut |path, wire| {
        match (path.as_slice(), wire) {
            ([1], Wire::Bytes(bytes)) => name = text(bytes),
            ([2], Wire::Bytes(bytes)) => value = text(bytes),
            _ => {}
        }
        false
    });
    (name, value)
}

/// The numbers of a path of names.
fn resolve(message: &MessageDescriptor, path: &str, fits: impl Fn(&Kind, bool) -> bool) -> Result<Path, SchemaError> {
    let wrong = || SchemaError { message: message.full_name().to_owned(), path: path.to_owned() };
    let mut numbers = Vec::new();
    let mut within = Some(message.clone());
    let mut last = None;
    for name in path.split('.') {
        let field = within.as_ref().and_then(|m| m.get_field_by_name(name)).ok_or_else(wrong)?;
        numbers.push(field.number());
        let kind = field.kind();
        within = kind.as_message().cloned();
        last = Some((kind, field.is_map()));
    }
    match last {
        Some((kind, map)) if fits(&kind, map) => Ok(numbers),
        _ => Err(wrong()),
    }
}
