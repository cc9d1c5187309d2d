//! Reads of the history: what each page shows must be one state of each of its streams, not older than its tokens, its positions
//! and what the same process has shown before. Sources: the protocol's "Projections" (tokens, push), the contract's "Queries over HTTP".

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::case::{Case, entry_line, moment};
use super::decode::{Token, tokens};
use super::folded::{Folded, Line, Shelves, Story, level_json, told_line};
use super::product::Product;
use super::rules;
use super::verdict::Findings;
use crate::history::{Asked, Entry, Told};

/// A page that was read.
struct Read<'a> {
    entry: &'a Entry,
    model: &'a str,
    key: &'a str,
    at: &'a str,
    tokens: Vec<Token>,
    status: u16,
    body: &'a Value,
    positions: Vec<Token>,
    /// The streams that it says are parked.
    stale: &'a [String],
}

impl<'a> Read<'a> {
    fn of(entry: &'a Entry) -> Option<Self> {
        let Asked::Read { model, key, tokens: asked, at, .. } = &entry.asked else { return None };
        let Told::Page { status, body, positions, stale } = &entry.told else { return None };
        let (tokens, positions) = (tokens(asked), tokens(positions));
        Some(Self { entry, model, key, at, tokens, status: *status, body, positions, stale })
    }

    /// Whether it says that what it shows of a stream, if anything, is older than the log. `*` stands for streams without names.
    fn tells_old(&self, stream: &str) -> bool {
        self.stale.iter().any(|name| name == stream || name == "*")
    }

    /// The elements of a repeated field.
    fn each(&self, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.body.get(field).and_then(Value::as_array).into_iter().flatten()
    }
}

/// What one process has shown of one stream under one key: when it was told, and the newest state so far.
type Shown<'a> = HashMap<(&'a str, &'a str, &'a str, &'a str), Vec<(u64, usize)>>;

/// Judges reads in the order in which they were told.
struct Reader<'c, 'a> {
    folded: &'c Folded<'a>,
    findings: &'c mut Findings,
    shown: Shown<'c>,
}

/// Every rule of reads.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, findings: &mut Findings) {
    let mut reads: Vec<Read<'_>> = case.evidence.history.iter().filter_map(Read::of).collect();
    // Whatever was told before a read was asked stands before it in this order.
    reads.sort_by_key(|read| read.entry.told_at);
    let mut reader = Reader { folded, findings, shown: HashMap::new() };
    for read in &reads {
        nothing_is_stale(case, read, reader.findings);
        reader.positions_reach_tokens(read);
        match read.model {
            "product-pages" => reader.product_page(read),
            "category-listings" => reader.listing(read),
            "stock-levels" => reader.level(read),
            "reorder-alerts" => reader.alerts(read),
            _ => {}
        }
    }
}

/// `stale-for-nothing`: a stream is named while it is parked, which where one build serves none ever is.
fn nothing_is_stale(case: &Case<'_>, read: &Read<'_>, findings: &mut Findings) {
    findings.check(rules::STALE_FOR_NOTHING, moment(read.entry), case.evidence.two_builds || read.stale.is_empty(), || {
        (format!("{} {}: {:?} are marked as stale", read.model, read.key, read.stale), vec![entry_line(read.entry)])
    });
}

impl<'c, 'a> Reader<'c, 'a> {
    /// `token-not-covered`, its first half: where a position is told for a token's partition, it is at or past the token.
    fn positions_reach_tokens(&mut self, read: &Read<'_>) {
        for token in &read.tokens {
            let same = |position: &&Token| (&position.service, position.partition) == (&token.service, token.partition);
            let Some(position) = read.positions.iter().find(same) else { continue };
            let holds = (position.epoch, position.offset) >= (token.epoch, token.offset);
            self.findings.check(rules::TOKEN_NOT_COVERED, moment(read.entry), holds, || {
                let what = format!("asked for {}/{}:{}, answered at {}", token.service, token.partition, token.offset, position.offset);
                (what, vec![entry_line(read.entry)])
            });
        }
    }

    /// `token-not-covered`, its second half: a page that shows a stream tells where that stream's partition stood.
    fn position_is_told(&mut self, read: &Read<'_>, service: &str, partition: i32) {
        let told = read.positions.iter().any(|position| position.service == service && position.partition == partition);
        self.findings.check(rules::TOKEN_NOT_COVERED, moment(read.entry), told, || {
            (format!("the page rests on {service}/{partition}, and its positions do not name it"), vec![entry_line(read.entry)])
        });
    }

    /// A page of `product-pages`: its details, and a line of each warehouse that has or had the product.
    fn product_page(&mut self, read: &'c Read<'_>) {
        let folded = self.folded;
        let story = folded.products.get(read.key);
        if read.status == 404 {
            if let Some(story) = story {
                self.state(read, story, &story.states_where(|product| !product.shown));
            }
            return;
        }
        if let Some(states) = self.details(read, story)
            && let Some(story) = story
        {
            self.position_is_told(read, story.service, story.partition);
            self.state(read, story, &states);
        }
        self.lines(read, read.key, read.each("stock").collect());
    }

    /// `mixed-page`, `from-nowhere`: the details are those of the version that they name. None where they are not.
    fn details(&mut self, read: &Read<'_>, story: Option<&Story<'_, Product>>) -> Option<Vec<usize>> {
        let version = read.body.get("version").and_then(Value::as_str).and_then(|version| version.parse::<usize>().ok());
        let product = story.zip(version).and_then(|(story, version)| story.states.get(version));
        let seen = || vec![entry_line(read.entry)];
        let known = product.is_some_and(|product| product.shown);
        let what = || format!("{}: the log has no such version, or it is not to be shown", read.key);
        if !self.findings.check(rules::FROM_NOWHERE, moment(read.entry), known, || (what(), seen())) {
            return None;
        }
        let holds = product.is_some_and(|product| product.is_page(read.body));
        let told = self.findings.check(rules::MIXED_PAGE, moment(read.entry), holds, || {
            let page = product.map(|product| Value::Object(product.page.clone()).to_string());
            let what = format!("{}: not all that the page shows is of its version", read.key);
            (what, seen().into_iter().chain(page.map(|page| format!("that version is {page}"))).collect())
        });
        if told { version.map(|version| vec![version]) } else { None }
    }

    /// Lines of stock of a product, in its page or in a list.
    fn lines(&mut self, read: &'c Read<'_>, sku: &str, rows: Vec<&Value>) {
        let folded = self.folded;
        let mut known = BTreeSet::new();
        for shelves in folded.stock_of(sku) {
            let mut of_this = rows.iter().filter(|row| row["warehouse"] == shelves.warehouse);
            let row = of_this.next();
            known.insert(shelves.warehouse);
            self.line(read, shelves, row.copied());
            // A list's stock comes from another read model, whose positions are not the list's own.
            if row.is_some() && read.model == "product-pages" {
                self.position_is_told(read, shelves.story.service, shelves.story.partition);
            }
        }
        let each_once = rows.len() == rows.iter().map(|row| row["warehouse"].as_str()).collect::<BTreeSet<_>>().len();
        let holds = each_once && rows.iter().all(|row| row["warehouse"].as_str().is_some_and(|name| known.contains(name)));
        self.findings.check(rules::FROM_NOWHERE, moment(read.entry), holds, || {
            (format!("{sku}: a line of a warehouse that never had it, or two of one"), vec![entry_line(read.entry)])
        });
    }

    /// `mixed-page`: a line has once been so.
    fn line(&mut self, read: &'c Read<'_>, shelves: &'c Shelves<'a>, row: Option<&Value>) {
        let line: Option<Line> = row.map_or(Some(None), |row| told_line(row).map(Some));
        let states = line.map(|line| shelves.showing(line)).unwrap_or_default();
        let told = self.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
            (format!("{}: its line was never so: {row:?}", shelves.story.stream), vec![entry_line(read.entry)])
        });
        if told {
            self.state(read, &shelves.story, states);
        }
    }

    /// A page of `stock-levels`.
    fn level(&mut self, read: &'c Read<'_>) {
        let Some(shelves) = self.folded.shelves.get(read.key) else {
            self.findings.check(rules::FROM_NOWHERE, moment(read.entry), read.status == 404, || {
                (format!("{}: the log has no such stock", read.key), vec![entry_line(read.entry)])
            });
            return;
        };
        let states = levels_shown(shelves, read);
        let told = self.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
            (format!("{}: its level was never so", read.key), vec![entry_line(read.entry)])
        });
        if told {
            if read.status == 200 {
                self.position_is_told(read, shelves.story.service, shelves.story.partition);
            }
            self.state(read, &shelves.story, &states);
        }
    }

    /// The first page of `category-listings`: its items, and, where there is no further page, what it does not list.
    fn listing(&mut self, read: &'c Read<'_>) {
        let folded = self.folded;
        let mut told = BTreeSet::new();
        for item in read.each("items") {
            let sku = item["sku"].as_str().unwrap_or_default();
            told.insert(sku);
            let story = folded.products.get(sku);
            let is_listed = |product: &Product| product.categories().contains(&read.key) && product.is_item(item);
            let states = story.map(|story| story.states_where(is_listed)).unwrap_or_default();
            let holds = self.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
                (format!("{}: its item {sku} was never so", read.key), vec![entry_line(read.entry)])
            });
            if let Some(story) = story.filter(|_| holds) {
                self.position_is_told(read, story.service, story.partition);
                self.state(read, story, &states);
                self.lines(read, sku, item["stock"].as_array().into_iter().flatten().collect());
            }
        }
        let is_last = read.body["nextPageToken"].as_str().is_none_or(str::is_empty);
        for sku in folded.listed(read.key).filter(|sku| is_last && !told.contains(sku)) {
            let story = &folded.products[sku];
            self.state(read, story, &story.states_where(|product| !product.categories().contains(&read.key)));
        }
    }

    /// The first page of `reorder-alerts`: its items, and, where there is no further page, what it does not list.
    fn alerts(&mut self, read: &'c Read<'_>) {
        let folded = self.folded;
        let mut told = BTreeSet::new();
        for item in read.each("items") {
            let sku = item["sku"].as_str().unwrap_or_default();
            told.insert(sku);
            let story = folded.reorderings.get(format!("{sku}@{}", read.key).as_str());
            let states = story.map(|story| story.states_where(|reordering| reordering.is_alert(item))).unwrap_or_default();
            let holds = self.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
                (format!("{}: its item {sku} was never so", read.key), vec![entry_line(read.entry)])
            });
            if let Some(story) = story.filter(|_| holds) {
                self.position_is_told(read, story.service, story.partition);
                self.state(read, story, &states);
            }
        }
        let is_last = read.body["nextPageToken"].as_str().is_none_or(str::is_empty);
        for (_, story) in folded.reorderings_for(read.key).filter(|(sku, _)| is_last && !told.contains(sku)) {
            self.state(read, story, &story.states_where(|reordering| reordering.alert.is_none()));
        }
    }

    /// `stale-read`, `behind-position`, `older-after-newer`: of the states that a page may show (in order, not empty), one is as
    /// new as its tokens, its positions, and what the same process told before this was asked.
    fn state<T: Default>(&mut self, read: &'c Read<'_>, story: &'c Story<'a, T>, states: &[usize]) {
        let Some(newest) = states.last().copied() else { return };
        let at = moment(read.entry);
        let say = |what: String| move || (what, vec![entry_line(read.entry), story.line()]);
        // What is shown of a stream that is parked is older than the log, and the page says so.
        let (wanted, reached) = match read.tells_old(story.stream) {
            true => (0, 0),
            false => (story.covered(&read.tokens), story.covered(&read.positions)),
        };
        if wanted > 0 {
            let what = format!("{}: shows at most version {newest}, its tokens cover {wanted}", story.stream);
            self.findings.check(rules::STALE_READ, at, newest >= wanted, say(what));
        }
        if reached > 0 && newest >= wanted {
            let what = format!("{}: shows at most version {newest}, its positions cover {reached}", story.stream);
            self.findings.check(rules::BEHIND_POSITION, at, newest >= reached, say(what));
        }
        let before = self.shown.entry((read.at, read.model, read.key, story.stream)).or_default();
        let told = before.partition_point(|(told_at, _)| *told_at <= read.entry.asked_at);
        let floor = told.checked_sub(1).map(|last| before[last].1);
        let chosen = states.iter().copied().find(|n| *n >= wanted.max(reached).max(floor.unwrap_or_default())).unwrap_or(newest);
        let highest = before.last().map_or(chosen, |(_, highest)| chosen.max(*highest));
        before.push((read.entry.told_at, highest));
        if let Some(floor) = floor {
            let what = format!("{}: {} shows at most version {newest}, and has shown {floor} before", story.stream, read.at);
            self.findings.check(rules::OLDER_AFTER_NEWER, at, newest >= floor, say(what));
        }
    }
}

/// The states in which a stream of stock shows this page of `stock-levels`.
fn levels_shown(shelves: &Shelves<'_>, read: &Read<'_>) -> Vec<usize> {
    if read.status == 404 {
        return shelves.story.states_where(|shelf| !shelf.has_level);
    }
    // Looked up by the line; what has a level and no line yet has nothing on hand.
    let line = told_line(read.body);
    let mut states = shelves.showing(line).to_vec();
    if line == Some((0, 0)) {
        states.extend(shelves.showing(None));
        states.sort_unstable();
    }
    states.retain(|n| level_json(read.key, &shelves.story.states[*n]).as_ref() == Some(read.body));
    states
}

impl<T> Story<'_, T> {
    /// Its versions as a line for the verdict.
    fn line(&self) -> String {
        let last = self.offsets.len().saturating_sub(20);
        format!("{} in {}/{}: its last offsets are {:?}", self.stream, self.service, self.partition, &self.offsets[last..])
    }
}
