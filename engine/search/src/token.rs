//! Page tokens: the next page's beginning, and the plan of the first. Opaque, and only this install's tokens for the
//! same query are taken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_kernel::Secret;

use super::index::FIELDS;
use super::plan::{Alternative, Group, Plan};
use super::run::{Cursor, SearchRequest};

const MAC_LABEL: &str = "search page";
/// Bytes of a MAC.
const MAC: usize = 16;
/// Longest token that is looked at, in characters.
const MAX_LENGTH: usize = 16_384;

/// The scope of a token: the query, its filters and its order. Page size and facets may change from page to page.
fn bound(model: &str, request: &SearchRequest) -> String {
    let SearchRequest { text, filter, sort, .. } = request;
    format!("{:?}", (model, text, filter, sort))
}

/// The token of the page after a cursor.
pub fn write(secret: &Secret, model: &str, request: &SearchRequest, plan: &Plan, cursor: &Cursor) -> String {
    let mut out = Writer(Vec::new());
    out.0.extend_from_slice(&cursor.rank.to_be_bytes());
    out.text(&cursor.title);
    out.text(&cursor.key);
    out.0.extend([u8::from(plan.everything), plan.need, plan.length]);
    out.float(plan.best);
    plan.averages.iter().for_each(|a| out.float(*a));
    out.length(plan.groups.len());
    for group in &plan.groups {
        out.float(group.weight);
        out.length(group.alternatives.len());
        for alternative in &group.alternatives {
            out.text(&alternative.term);
            out.float(alternative.weight);
        }
    }
    out.text(plan.corrected.as_deref().unwrap_or_default());
    let mut bytes = out.0;
    let mac = secret.sign(MAC_LABEL, &[bound(model, request).as_bytes(), &bytes]);
    bytes.extend_from_slice(&mac);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The content of a token. None: not a token of this query.
pub fn read(secret: &Secret, model: &str, request: &SearchRequest, token: &str) -> Option<(Plan, Cursor)> {
    let bytes = (token.len() <= MAX_LENGTH).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten()?;
    let (bytes, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC)?)?;
    if !secret.verify(MAC_LABEL, &[bound(model, request).as_bytes(), bytes], mac) {
        return None;
    }
    let mut from = Reader(bytes);
    let rank = u128::from_be_bytes(from.take()?);
    let cursor = Cursor { rank, title: from.text()?, key: from.text()? };
    let [everything, need, length] = from.take()?;
    let best = from.float()?;
    let mut averages = [0.0; FIELDS];
    for average in &mut averages {
        *average = from.float()?;
    }
    let mut plan = Plan { everything: everything == 1, need, length, best, averages, ..Plan::default() };
    for _ in 0..from.length()? {
        let mut group = Group { weight: from.float()?, alternatives: Vec::new() };
        for _ in 0..from.length()? {
            group.alternatives.push(Alternative { term: from.text()?, weight: from.float()? });
        }
        plan.groups.push(group);
    }
    plan.corrected = Some(from.text()?).filter(|c| !c.is_empty());
    Some((plan, cursor))
}

struct Writer(Vec<u8>);

impl Writer {
    fn length(&mut self, n: usize) {
        self.0.extend_from_slice(&u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend(text.bytes().take(usize::from(u16::MAX)));
    }

    fn float(&mut self, n: f32) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn length(&mut self) -> Option<usize> {
        self.take().map(u16::from_be_bytes).map(usize::from)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn float(&mut self) -> Option<f32> {
        self.take().map(f32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::facets::Filter;
    use super::*;

    /// Filters that differ from none in one field each.
    fn one_of_each() -> Vec<Filter> {
        let none = Filter::default;
        // Without the rest: a field that is new has to stand here, and below.
        let Filter { brands: _, categories: _, properties: _, currency: _, price_min: _, price_max: _, in_stock: _ } = none();
        let red = |name: &str, value: &str| [(name.to_owned(), vec![value.to_owned()])].into();
        vec![
            Filter { brands: vec!["Lux".into()], ..none() },
            Filter { categories: vec!["Home".into()], ..none() },
            Filter { properties: red("colour", "red"), ..none() },
            Filter { currency: Some("JPY".into()), ..none() },
            Filter { price_min: Some(1), ..none() },
            Filter { price_max: Some(1), ..none() },
            Filter { in_stock: Some(true), ..none() },
        ]
    }

    #[test]
    fn a_token_of_one_filter_is_of_no_other() {
        let secret = Secret::new([1; 32]);
        let cursor = Cursor { rank: 7, title: String::new(), key: "A-1".into() };
        let requests: Vec<SearchRequest> =
            one_of_each().into_iter().map(|filter| SearchRequest { filter, ..SearchRequest::default() }).collect();
        for (n, request) in requests.iter().enumerate() {
            let token = write(&secret, "products", request, &Plan::default(), &cursor);
            let taken: Vec<usize> = (0..requests.len()).filter(|m| read(&secret, "products", &requests[*m], &token).is_some()).collect();
            assert_eq!(taken, [n], "{:?}", request.filter);
        }
    }

    #[test]
    fn a_token_is_of_one_query_and_one_install_and_brings_its_plan_back() {
        let secret = Secret::new([1; 32]);
        let request = SearchRequest { text: "lamp".into(), limit: 10, ..SearchRequest::default() };
        let alternative = Alternative { term: "lamp".into(), weight: 1.0 / 3.0 };
        let plan = Plan {
            groups: vec![Group { alternatives: vec![alternative], weight: 0.1 }],
            need: 1,
            averages: [1.5; FIELDS],
            corrected: Some("lamp".into()),
            everything: false,
            length: 2,
            best: 1.5,
        };
        let cursor = Cursor { rank: 7, title: "ä".into(), key: "A-1".into() };
        let token = write(&secret, "products", &request, &plan, &cursor);
        assert_eq!(read(&secret, "products", &request, &token), Some((plan, cursor)));

        let smaller = SearchRequest { limit: 5, ..request.clone() };
        assert!(read(&secret, "products", &smaller, &token).is_some(), "the page size may change");
        let others = [
            SearchRequest { text: "lamps".into(), ..request.clone() },
            SearchRequest { sort: super::super::SearchSort::Newest, ..request.clone() },
        ];
        assert!(others.iter().all(|other| read(&secret, "products", other, &token).is_none()));
        for filter in one_of_each() {
            let other = SearchRequest { filter, ..request.clone() };
            assert!(read(&secret, "products", &other, &token).is_none(), "{:?}", other.filter);
        }
        assert!(read(&secret, "orders", &request, &token).is_none());
        assert!(read(&Secret::new([2; 32]), "products", &request, &token).is_none());
        let mut changed = token.clone();
        changed.replace_range(5..6, if &token[5..6] == "A" { "B" } else { "A" });
        for bad in [changed.as_str(), "", "x", "AAAA", &"A".repeat(20_000), "ü"] {
            assert!(read(&secret, "products", &request, bad).is_none(), "{bad:.20}");
        }
    }
}
