//! Reads of the history: what a page shows of a stream is not older than its tokens, its positions and what the same process has shown before.
//! Sources: the protocol's "Projections" (tokens, push), the contract's "Queries over HTTP".

use std::collections::HashMap;

use serde_json::Value;

use super::case::{Case, entry_line, moment};
use super::decode::{Token, tokens};
use super::rules;
use super::story::Story;
use super::verdict::Findings;
use crate::history::{Answer, Asked, Entry};

/// A page that was read.
pub(crate) struct Read<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) model: &'a str,
    pub(crate) key: &'a str,
    at: &'a str,
    tokens: Vec<Token>,
    pub(crate) status: u16,
    pub(crate) body: &'a Value,
    positions: Vec<Token>,
    /// The streams that it says are parked.
    stale: &'a [String],
}

impl<'a> Read<'a> {
    fn of(entry: &'a Entry) -> Option<Self> {
        let Asked::Read { model, key, tokens: asked, at, .. } = &entry.asked else { return None };
        let Answer::Page { status, body, positions, stale } = &entry.told else { return None };
        let (tokens, positions) = (tokens(asked), tokens(positions));
        Some(Self { entry, model, key, at, tokens, status: *status, body, positions, stale })
    }

    /// Whether it says that what it shows of a stream, if anything, is older than the log. `*` stands for streams without names.
    fn tells_old(&self, stream: &str) -> bool {
        self.stale.iter().any(|name| name == stream || name == "*")
    }

    /// The elements of a repeated field.
    pub(crate) fn each(&self, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.body.get(field).and_then(Value::as_array).into_iter().flatten()
    }
}

/// States that one process has shown of one stream under one key: when each was told, and the newest state so far.
type ShownStates<'a> = HashMap<(&'a str, &'a str, &'a str, &'a str), Vec<(u64, usize)>>;

/// Judges reads in the order in which they were told.
pub(crate) struct Reader<'c> {
    pub(crate) findings: &'c mut Findings,
    shown: ShownStates<'c>,
}

/// Every read of the history, in the order in which they were told: what was told before a read was asked stands before it.
pub(crate) fn in_order<'a>(case: &Case<'a>) -> Vec<Read<'a>> {
    let mut reads: Vec<Read<'a>> = case.evidence.history.iter().filter_map(Read::of).collect();
    reads.sort_by_key(|read| read.entry.told_at);
    reads
}

/// `stale-for-nothing`: a stream is named while it is parked, which where one build serves none ever is.
fn nothing_is_stale(case: &Case<'_>, read: &Read<'_>, findings: &mut Findings) {
    findings.check(rules::STALE_FOR_NOTHING, moment(read.entry), case.evidence.two_builds || read.stale.is_empty(), || {
        (format!("{} {}: {:?} are marked as stale", read.model, read.key, read.stale), vec![entry_line(read.entry)])
    });
}

impl<'c> Reader<'c> {
    /// Has judged nothing yet.
    pub(crate) fn new(findings: &'c mut Findings) -> Self {
        Self { findings, shown: HashMap::new() }
    }

    /// Judges what holds of every page.
    pub(crate) fn page(&mut self, case: &Case<'_>, read: &Read<'_>) {
        nothing_is_stale(case, read, self.findings);
        self.positions_reach_tokens(read);
    }

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
    pub(crate) fn position_is_told(&mut self, read: &Read<'_>, service: &str, partition: i32) {
        let told = read.positions.iter().any(|position| position.service == service && position.partition == partition);
        self.findings.check(rules::TOKEN_NOT_COVERED, moment(read.entry), told, || {
            (format!("the page rests on {service}/{partition}, and its positions do not name it"), vec![entry_line(read.entry)])
        });
    }

    /// `stale-read`, `behind-position`, `older-after-newer`: of the states that a page may show (in order, not empty), one is as
    /// new as its tokens, its positions, and what the same process told before this was asked.
    pub(crate) fn state<T: Default>(&mut self, read: &'c Read<'_>, story: &'c Story<'_, T>, states: &[usize]) {
        let Some(newest) = states.last().copied() else { return };
        let at = moment(read.entry);
        let say = |what: String| move || (what, vec![entry_line(read.entry), story.line()]);
        // A stream that is parked is shown older than the log, and the page says so.
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
