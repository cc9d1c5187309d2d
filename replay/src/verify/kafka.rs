//! `<service>.events` against the log: every event at least once, with the same bytes, in order, and nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use daybook_bus::{BusConfig, Inspector, Message, PartitionReader, StartAt, headers as h};
use daybook_kernel::digest;
use daybook_log::{LogError, PartitionLog, StoredEvent};

use crate::ReplayError;
use crate::report::PartitionReport;
use crate::window::Window;

/// Messages taken at once.
const MESSAGES: usize = 1_000;
const BYTES: usize = 8 << 20;
/// The longest that events may take from their commit to their topic.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows one partition of the topic.
struct Follow<'a> {
    log: &'a PartitionLog,
    report: &'a mut PartitionReport,
    window: Window<'a>,
    /// Where the log ends, as far as that was asked.
    end: i64,
    /// The offset behind the highest one that came.
    next: i64,
    /// Ranges below `next` that did not come: from, to (exclusive).
    missing: BTreeMap<i64, i64>,
    repeats: u64,
}

/// Reads the topic's partition from its beginning; every event below `end` must be in it.
pub(super) async fn compare(
    log: &PartitionLog,
    bus: &BusConfig,
    end: i64,
    report: &mut PartitionReport,
    tell: &mut (dyn FnMut(i64, i64) + Send),
) -> Result<(), ReplayError> {
    let mut reader = PartitionReader::open(bus, &bus.events(log.service()), log.number(), StartAt::Earliest).await?;
    let mut follow = Follow { log, report, window: Window::of(log), end, next: 0, missing: BTreeMap::new(), repeats: 0 };
    let mut caught_up: Option<Instant> = None;
    loop {
        let stable_end = reader.stable_end().await?;
        while let Some(messages) = reader.recv_before(stable_end, MESSAGES, BYTES).await {
            for message in &messages {
                follow.take(message).await?;
            }
            tell(reader.position(), stable_end.offset());
        }
        if follow.next >= end || caught_up.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if follow.next < end {
        // Messages that a client's open transaction hides are not missing, nor proven to be there.
        Inspector::new(bus)?.decided(&reader.topic, reader.partition).await?;
    }
    follow.finish(end);
    Ok(())
}

impl Follow<'_> {
    async fn take(&mut self, message: &Message) -> Result<(), LogError> {
        let offset = match message.headers.get_parsed::<i64>(h::OFFSET) {
            Ok(Some(offset)) if offset >= 0 => offset,
            _ => {
                let place = format!("{}/{} message {}", self.report.service, self.report.partition, message.offset);
                self.report.find(place, "message on Kafka", "an event of the log, with its daybook-offset", "none that says its place");
                return Ok(());
            }
        };
        // Events that an operator has discarded stay on the topic, and are void.
        if self.window.is_void(message).await? {
            return Ok(());
        }
        let Some(event) = self.window.at(offset).await? else {
            if offset >= self.end {
                // The log may have grown since, and the message with it: the message came after its page.
                self.end = self.end.max(self.log.last_page().await?.next_offset());
            }
            let place = self.report.at(offset);
            let expected = if offset < self.end {
                "an event in the log too".to_owned()
            } else {
                format!("nothing beyond the log, which ends before {}", self.end)
            };
            self.report.find(place, "message on Kafka", expected, format!("one, at Kafka's offset {}", message.offset));
            return Ok(());
        };
        for (what, expected, found) in differences(event, message) {
            let place = self.report.at(offset);
            self.report.find(place, &format!("{what} on Kafka (its offset {})", message.offset), expected, found);
        }
        self.place(offset, message.offset);
        Ok(())
    }

    /// First arrivals must be in order; what came before is a repeat.
    fn place(&mut self, offset: i64, at: i64) {
        if offset >= self.next {
            if offset > self.next {
                self.missing.insert(self.next, offset);
            }
            self.next = offset + 1;
            return;
        }
        let range = self.missing.range(..=offset).next_back().map(|(from, to)| (*from, *to)).filter(|(_, to)| offset < *to);
        let Some((from, to)) = range else {
            self.repeats += 1;
            return;
        };
        self.missing.remove(&from);
        if from < offset {
            self.missing.insert(from, offset);
        }
        if offset + 1 < to {
            self.missing.insert(offset + 1, to);
        }
        let place = self.report.at(offset);
        self.report.find(place, "order on Kafka", format!("before {}", self.report.at(to)), format!("behind it, at Kafka's offset {at}"));
    }

    fn finish(mut self, end: i64) {
        if self.next < end {
            self.missing.insert(self.next, end);
        }
        for (from, to) in std::mem::take(&mut self.missing) {
            let (place, count) = (self.report.at(from), to - from);
            let found = if count == 1 { "none".to_owned() } else { format!("none for {count} offsets, up to {}", self.report.at(to - 1)) };
            self.report.find(place, "message on Kafka", "one at least", found);
        }
        self.report.repeats_on_kafka = Some(self.repeats);
    }
}

/// The fields in which a message differs from the log.
fn differences(event: &StoredEvent, message: &Message) -> Vec<(&'static str, String, String)> {
    let header = |name: &str| message.headers.get_str(name).ok().flatten().unwrap_or("none").to_owned();
    let text = |bytes: Option<&[u8]>| bytes.map_or_else(|| "none".to_owned(), |b| String::from_utf8_lossy(b).into_owned());
    let told = |bytes: &[u8]| format!("{} bytes, SHA-256 {}", bytes.len(), hex::encode(digest::sha256(bytes)));
    let mut all = vec![
        ("type", event.type_name.clone(), header(h::CE_TYPE)),
        ("key", event.stream_id.clone(), text(message.key.as_deref())),
        ("version", event.version.to_string(), header(h::VERSION)),
        ("epoch", event.epoch.to_string(), header(h::EPOCH)),
        ("digest of the page", hex::encode(&event.page_digest), header(h::PAGE_DIGEST)),
    ];
    all.retain(|(_, expected, found)| expected != found);
    if message.value.as_deref() != Some(event.payload.as_slice()) {
        all.push(("payload", told(&event.payload), message.value.as_deref().map_or_else(|| "none".to_owned(), told)));
    }
    all
}
