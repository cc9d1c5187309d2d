//! As much of Postgres's protocol as it takes to see a page being appended, and its acknowledgement.

use std::collections::BTreeSet;

/// The part of a message that is looked at, in bytes: a page's statement names its table near its beginning.
const LOOKED_AT: usize = 4096;
/// The code of a start-up message of protocol 3; other messages before it ask for encryption or end a statement.
const PROTOCOL_3: i32 = 3 << 16;

/// Watches what a client sends, for the execution of the statement that appends a page.
#[derive(Debug, Default)]
pub(super) struct Appends {
    started: bool,
    /// The message that is arriving: its head and the beginning of its body.
    message: Vec<u8>,
    /// The bytes of its body that are still to come.
    rest: usize,
    /// Names of prepared statements that append.
    statements: BTreeSet<Vec<u8>>,
}

impl Appends {
    /// Whether a page's values begin or end in these bytes, which follow those that were given before.
    pub(super) fn seen_in(&mut self, mut bytes: &[u8]) -> bool {
        let mut seen = false;
        while !bytes.is_empty() {
            let head = if self.started { 5 } else { 8 };
            if self.message.len() < head {
                self.take(&mut bytes, head);
                if self.message.len() == head {
                    let length = &self.message[if self.started { 1..5 } else { 0..4 }];
                    let length = length.try_into().map_or(0, u32::from_be_bytes) as usize;
                    // The length counts itself, but not the kind before it.
                    self.rest = length.saturating_sub(head - usize::from(self.started));
                }
            } else {
                let taken = bytes.len().min(self.rest);
                let looked_at = taken.min(LOOKED_AT.saturating_sub(self.message.len()));
                self.message.extend_from_slice(&bytes[..looked_at]);
                self.rest -= taken;
                bytes = &bytes[taken..];
            }
            if self.message.len() >= head && self.rest == 0 {
                seen |= self.finish();
                self.message.clear();
            }
        }
        seen
    }

    fn take(&mut self, bytes: &mut &[u8], up_to: usize) {
        let taken = bytes.len().min(up_to - self.message.len());
        self.message.extend_from_slice(&bytes[..taken]);
        *bytes = &bytes[taken..];
    }

    /// A message is complete: what is it?
    fn finish(&mut self) -> bool {
        if !self.started {
            self.started = self.message[4..8] == PROTOCOL_3.to_be_bytes();
            return false;
        }
        let mut texts = self.message[5..].split(|&byte| byte == 0);
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        match self.message[0] {
            b'P' => {
                if appends(second) {
                    self.statements.insert(first.to_vec());
                } else {
                    self.statements.remove(first);
                }
                false
            }
            b'B' => self.statements.contains(second),
            _ => false,
        }
    }
}

fn appends(sql: &[u8]) -> bool {
    contains(sql, b"INSERT INTO ") && contains(sql, b".page_")
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// Watches what a server sends, for the word that an insert is done.
#[derive(Debug, Default)]
pub(super) struct Acknowledgement {
    last: Vec<u8>,
}

impl Acknowledgement {
    /// Whether it stands in these bytes, or ends there.
    pub(super) fn seen_in(&mut self, bytes: &[u8]) -> bool {
        const DONE: &[u8] = b"INSERT 0 ";
        self.last.extend_from_slice(bytes);
        let seen = contains(&self.last, DONE);
        let kept = self.last.len().saturating_sub(DONE.len() - 1);
        self.last.drain(..kept);
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    fn startup() -> Vec<u8> {
        let body = [&PROTOCOL_3.to_be_bytes()[..], b"user\0daybook\0\0"].concat();
        [&u32::try_from(body.len() + 4).expect("short").to_be_bytes()[..], &body].concat()
    }

    #[test]
    fn a_page_is_seen_when_its_prepared_statement_is_bound_however_the_bytes_come() {
        let prepared = [
            startup(),
            message(b'P', b"s0\0SELECT 1\0\0\0"),
            message(b'P', b"s1\0WITH page AS (INSERT INTO catalog.page_3 (partition) VALUES (1))\0\0\0"),
            message(b'B', b"\0s0\0\0\0\0\0"),
            message(b'S', b""),
        ]
        .concat();
        let bound = message(b'B', &[&b"\0s1\0"[..], &[7; 9000]].concat());
        for step in [1, 3, 7, 100_000] {
            let mut appends = Appends::default();
            assert!(!prepared.chunks(step).any(|chunk| appends.seen_in(chunk)), "in steps of {step}");
            assert_eq!(bound.chunks(step).filter(|chunk| appends.seen_in(chunk)).count(), 1, "in steps of {step}");
            assert!(!appends.seen_in(&message(b'E', b"\0\0\0\0\0")));
        }
    }

    #[test]
    fn an_acknowledgement_is_seen_across_two_chunks() {
        let mut acknowledgement = Acknowledgement::default();
        assert!(!acknowledgement.seen_in(b"2\0\0\0\x04C\0\0\0\x0fINSE"));
        assert!(acknowledgement.seen_in(b"RT 0 1\0"));
        assert!(!acknowledgement.seen_in(b"Z\0\0\0\x05I"));
    }
}
