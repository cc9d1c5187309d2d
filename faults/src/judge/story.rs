//! The log, folded by the judge itself: every state that a stream has ever been in.

use super::case::{Case, Written};
use super::decode::Token;

/// Every state of one stream.
#[derive(Debug)]
pub(crate) struct Story<'a, T> {
    pub(crate) service: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) partition: i32,
    /// Of each event.
    pub(crate) offsets: Vec<i64>,
    /// Before any event, and after each: one more than there are events.
    pub(crate) states: Vec<T>,
}

impl<'a, T: Default> Story<'a, T> {
    pub(crate) fn of(
        case: &Case<'a>,
        (service, stream): (&'a str, &'a str),
        places: &[usize],
        after: impl Fn(&T, &Written<'a>) -> T,
    ) -> Self {
        let (mut offsets, mut states, mut partition) = (Vec::new(), vec![T::default()], 0);
        for at in places.iter().map(|n| &case.written[*n]) {
            offsets.push(at.event.offset);
            partition = at.partition;
            states.push(after(&states[states.len() - 1], at));
        }
        Self { service, stream, partition, offsets, states }
    }

    /// As it is at the end.
    pub(crate) fn last(&self) -> &T {
        &self.states[self.states.len() - 1]
    }

    /// The number of its events that tokens cover.
    pub(crate) fn covered(&self, tokens: &[Token]) -> usize {
        let own = tokens.iter().filter(|token| token.service == self.service && token.partition == self.partition);
        own.map(|token| self.offsets.partition_point(|offset| *offset <= token.offset)).max().unwrap_or_default()
    }

    /// The states for which something holds.
    pub(crate) fn states_where(&self, holds: impl Fn(&T) -> bool) -> Vec<usize> {
        (0..self.states.len()).filter(|n| holds(&self.states[*n])).collect()
    }
}

impl<T> Story<'_, T> {
    /// Its versions as a line for the verdict.
    pub(crate) fn line(&self) -> String {
        let last = self.offsets.len().saturating_sub(20);
        format!("{} in {}/{}: its last offsets are {:?}", self.stream, self.service, self.partition, &self.offsets[last..])
    }
}
