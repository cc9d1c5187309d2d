//! A reader of `read.<projection>`, as a process of the query API is one: it believes a batch when its marker has come and
//! the count is right, and reads the tables where a marker does not join.

use std::collections::{BTreeMap, HashMap};

use daybook_bus::{Message, PartitionReader, StartAt, headers as h};
use daybook_kernel::ReadModel;
use daybook_proto::v1::{PartChange, PushMarker, part_change::Content};
use prost::Message as _;

use crate::support::{Parts, Shop};

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Part(PartChange),
    Tombstone(Vec<u8>),
    Marker(PushMarker),
}

fn said(m: &Message) -> Said {
    let Some(value) = m.value.clone() else { return Said::Tombstone(m.key.as_deref().unwrap_or_default().to_vec()) };
    match m.headers.get_str(h::CE_TYPE).expect("text").expect("each value says what it is") {
        "daybook.v1.PartChange" => Said::Part(PartChange::decode(value).expect("a change")),
        "daybook.v1.PushMarker" => Said::Marker(PushMarker::decode(value).expect("a marker")),
        other => panic!("{other} does not belong here"),
    }
}

pub(crate) struct Pod {
    readers: Vec<PartitionReader>,
    batches: HashMap<Vec<u8>, Vec<PartChange>>,
    /// By service and partition: how far it has come.
    pub(crate) reached: HashMap<(String, i32), i64>,
    pub(crate) parts: Parts,
    pub(crate) stale: Vec<(String, String)>,
    /// By service and partition: the streams that show nothing, as the last marker says.
    pub(crate) hidden: BTreeMap<(String, i32), Vec<String>>,
    /// Times that it had to read the tables.
    pub(crate) gaps: usize,
    model: ReadModel,
}

impl Pod {
    /// From the topic's beginning, which is the logs' beginning.
    pub(crate) async fn new(shop: &Shop, model: &ReadModel) -> Self {
        let mut readers = Vec::new();
        for n in 0..shop.partitions.cast_signed() {
            readers.push(PartitionReader::open(&shop.bus, &shop.bus.read(model.name), n, StartAt::Earliest).await.expect("it is there"));
        }
        let (batches, reached, parts, stale, hidden) = Default::default();
        Self { readers, batches, reached, parts, stale, hidden, gaps: 0, model: model.clone() }
    }

    /// Everything that has come since it was asked last.
    pub(crate) async fn hear(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        for reader in &mut self.readers {
            let end = reader.stable_end().await.expect("Kafka answers");
            while let Some(messages) = reader.recv_before(end, 1_000, 1 << 20).await {
                all.extend(messages.iter().map(said));
            }
        }
        all
    }

    /// Takes in all that has come.
    pub(crate) async fn follow(&mut self, shop: &Shop) {
        for said in self.hear().await {
            match said {
                Said::Part(change) => self.batches.entry(change.batch.clone()).or_default().push(change),
                Said::Tombstone(_) => {}
                Said::Marker(marker) => self.take(shop, marker).await,
            }
        }
    }

    /// Follows until it has just these parts.
    pub(crate) async fn comes_to(&mut self, shop: &Shop, parts: &Parts) {
        for _ in 0..1_500 {
            self.follow(shop).await;
            if self.parts == *parts {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(self.parts, *parts, "{}: what was pushed does not come to what stands", self.model.name);
    }

    async fn take(&mut self, shop: &Shop, marker: PushMarker) {
        let changes = self.batches.remove(&marker.batch).unwrap_or_default();
        let source = (marker.service.clone(), marker.partition);
        self.hidden.insert(source.clone(), marker.hidden.unwrap_or_default().streams);
        let reached = self.reached.entry(source).or_default();
        if marker.from > *reached || changes.len() != marker.changes as usize {
            *reached = marker.to;
            self.gaps += 1;
            self.parts = shop.parts(&self.model).await;
            return;
        }
        if marker.to < *reached {
            // Of a projector that was paused between its commit and its push: another one has pushed all of that.
            return;
        }
        *reached = marker.to;
        for change in changes {
            let place = (change.key, change.part);
            self.stale.retain(|p| *p != place);
            if change.stale {
                self.stale.push(place.clone());
            }
            match change.content.expect("each says what became of its part") {
                Content::Bytes(bytes) => _ = self.parts.insert(place, bytes),
                Content::Removed(_) => _ = self.parts.remove(&place),
                Content::TooLarge(_) => panic!("nothing here is that large"),
            }
        }
    }
}
