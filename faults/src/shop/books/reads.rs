//! Pages of the history: what each shows is one state of each of its streams. Sources: the contract's "Queries over HTTP", and the comments of
//! `proto/shop/read/v1`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::folded::{Folded, Line, Shelves, level_json, told_line};
use super::product::Product;
use crate::judge::case::{Case, entry_line, moment};
use crate::judge::reads::{Read, Reader, in_order};
use crate::judge::rules;
use crate::judge::story::Story;
use crate::judge::verdict::Findings;
use crate::shop::names::{CATEGORY_LISTINGS, ORDERS, PRODUCT_PAGES, REORDER_ALERTS, STOCK_LEVELS};

/// Judges the pages of each read model.
struct Pages<'c, 'a> {
    folded: &'c Folded<'a>,
    reader: Reader<'c>,
}

/// Every rule of reads.
pub(super) fn judge(case: &Case<'_>, folded: &Folded<'_>, findings: &mut Findings) {
    let reads = in_order(case);
    let mut pages = Pages { folded, reader: Reader::new(findings) };
    for read in &reads {
        pages.reader.page(case, read);
        match read.model {
            PRODUCT_PAGES => pages.product_page(read),
            CATEGORY_LISTINGS => pages.listing(read),
            STOCK_LEVELS => pages.level(read),
            REORDER_ALERTS => pages.alerts(read),
            ORDERS => pages.order(read),
            _ => {}
        }
    }
}

impl<'c, 'a> Pages<'c, 'a> {
    /// A page of `product-pages`: its details, and a line of each warehouse that has or had the product.
    fn product_page(&mut self, read: &'c Read<'_>) {
        let folded = self.folded;
        let story = folded.products.get(read.key);
        if read.status == 404 {
            if let Some(story) = story {
                self.reader.state(read, story, &story.states_where(|product| !product.shown));
            }
            return;
        }
        if let Some(states) = self.details(read, story)
            && let Some(story) = story
        {
            self.reader.position_is_told(read, story.service, story.partition);
            self.reader.state(read, story, &states);
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
        if !self.reader.findings.check(rules::FROM_NOWHERE, moment(read.entry), known, || (what(), seen())) {
            return None;
        }
        let holds = product.is_some_and(|product| product.is_page(read.body));
        let told = self.reader.findings.check(rules::MIXED_PAGE, moment(read.entry), holds, || {
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
            if row.is_some() && read.model == PRODUCT_PAGES {
                self.reader.position_is_told(read, shelves.story.service, shelves.story.partition);
            }
        }
        let each_once = rows.len() == rows.iter().map(|row| row["warehouse"].as_str()).collect::<BTreeSet<_>>().len();
        let holds = each_once && rows.iter().all(|row| row["warehouse"].as_str().is_some_and(|name| known.contains(name)));
        self.reader.findings.check(rules::FROM_NOWHERE, moment(read.entry), holds, || {
            (format!("{sku}: a line of a warehouse that never had it, or two of one"), vec![entry_line(read.entry)])
        });
    }

    /// `mixed-page`: a line has once been so.
    fn line(&mut self, read: &'c Read<'_>, shelves: &'c Shelves<'a>, row: Option<&Value>) {
        let line: Option<Line> = row.map_or(Some(None), |row| told_line(row).map(Some));
        let states = line.map(|line| shelves.showing(line)).unwrap_or_default();
        let told = self.reader.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
            (format!("{}: its line was never so: {row:?}", shelves.story.stream), vec![entry_line(read.entry)])
        });
        if told {
            self.reader.state(read, &shelves.story, states);
        }
    }

    /// A page of `stock-levels`.
    fn level(&mut self, read: &'c Read<'_>) {
        let Some(shelves) = self.folded.shelves.get(read.key) else {
            self.reader.findings.check(rules::FROM_NOWHERE, moment(read.entry), read.status == 404, || {
                (format!("{}: the log has no such stock", read.key), vec![entry_line(read.entry)])
            });
            return;
        };
        let states = levels_shown(shelves, read);
        let told = self.reader.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
            (format!("{}: its level was never so", read.key), vec![entry_line(read.entry)])
        });
        if told {
            if read.status == 200 {
                self.reader.position_is_told(read, shelves.story.service, shelves.story.partition);
            }
            self.reader.state(read, &shelves.story, &states);
        }
    }

    /// A page of `orders`.
    fn order(&mut self, read: &'c Read<'_>) {
        let Some(story) = self.folded.orders.get(read.key) else {
            self.reader.findings.check(rules::FROM_NOWHERE, moment(read.entry), read.status == 404, || {
                (format!("{}: the log has no such order", read.key), vec![entry_line(read.entry)])
            });
            return;
        };
        let states = match read.status {
            404 => story.states_where(|order| !order.is_there()),
            _ => story.states_where(|order| order.is_page(read.body)),
        };
        let told = self.reader.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
            (format!("{}: the order was never so", read.key), vec![entry_line(read.entry)])
        });
        if told {
            if read.status == 200 {
                self.reader.position_is_told(read, story.service, story.partition);
            }
            self.reader.state(read, story, &states);
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
            let holds = self.reader.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
                (format!("{}: its item {sku} was never so", read.key), vec![entry_line(read.entry)])
            });
            if let Some(story) = story.filter(|_| holds) {
                self.reader.position_is_told(read, story.service, story.partition);
                self.reader.state(read, story, &states);
                self.lines(read, sku, item["stock"].as_array().into_iter().flatten().collect());
            }
        }
        let is_last = read.body["nextPageToken"].as_str().is_none_or(str::is_empty);
        for sku in folded.listed(read.key).filter(|sku| is_last && !told.contains(sku)) {
            let story = &folded.products[sku];
            self.reader.state(read, story, &story.states_where(|product| !product.categories().contains(&read.key)));
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
            let holds = self.reader.findings.check(rules::MIXED_PAGE, moment(read.entry), !states.is_empty(), || {
                (format!("{}: its item {sku} was never so", read.key), vec![entry_line(read.entry)])
            });
            if let Some(story) = story.filter(|_| holds) {
                self.reader.position_is_told(read, story.service, story.partition);
                self.reader.state(read, story, &states);
            }
        }
        let is_last = read.body["nextPageToken"].as_str().is_none_or(str::is_empty);
        for (_, story) in folded.reorderings_for(read.key).filter(|(sku, _)| is_last && !told.contains(sku)) {
            self.reader.state(read, story, &story.states_where(|reordering| reordering.alert.is_none()));
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
