//! Follows what is pushed, for as long as the process lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daybook_bus::{BusConfig, BusError, Message, ReaderOptions, Tail, headers};
use daybook_proto::Named;
use daybook_proto::v1::{GenerationSwitched, PartChange, PushMarker};
use prost::{DecodeError, Message as _};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::generations::Generations;
use super::staging::Staging;
use crate::QueryError;
use crate::memory::{Memory, PushedBatch};
use crate::store::{Generation, Store, stamps};

/// Time before the first try to follow again, and the longest before any.
const REST: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// The least and the most time between two beginnings because nothing was pushed that should have been.
const BEGIN_AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Messages that are taken at once.
const AT_ONCE: usize = 4_096;

/// Follows the topics of read models.
pub(crate) struct Feed {
    bus: BusConfig,
    /// By the topic's full name.
    models: HashMap<String, String>,
    generations: Arc<Generations>,
    store: Store,
    /// Pushes don't come: begin again.
    pub(crate) again: Notify,
    /// The reason why pushes are not followed; none: they are.
    pub(crate) problem: watch::Sender<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("nothing was pushed that the database has")]
    Silent,
}

impl Feed {
    pub(crate) fn new(bus: BusConfig, models: impl Iterator<Item = String>, generations: Arc<Generations>, store: Store) -> Self {
        let models = models.map(|model| (bus.read(&model), model)).collect();
        let problem = watch::channel(Some("pushes are not followed yet".to_owned())).0;
        Self { bus, models, generations, store, again: Notify::new(), problem }
    }

    /// Where a read model's changes are pushed.
    pub(crate) fn topic(&self, model: &str) -> String {
        self.bus.read(model)
    }

    /// Never returns.
    pub(crate) async fn run(self: Arc<Self>) {
        let (mut rest, mut patience) = (REST.0, BEGIN_AGAIN.0);
        loop {
            let began = Instant::now();
            let Err(ended) = self.follow(patience).await;
            self.ended();
            tracing::warn!(error = %ended, "pushes are not followed: queries are answered from the database meanwhile");
            // Where pushes stay away they are followed all the same: that read models are behind is told by them.
            self.problem.send_replace((!matches!(ended, Ended::Silent)).then(|| ended.to_string()));
            if began.elapsed() > BEGIN_AGAIN.1 {
                (rest, patience) = (REST.0, BEGIN_AGAIN.0);
            }
            if matches!(ended, Ended::Silent) {
                // Where nobody pushes, beginning again helps only until the next event.
                patience = (patience * 2).min(BEGIN_AGAIN.1);
            } else {
                tokio::time::sleep(rest).await;
                rest = (rest * 2).min(REST.1);
            }
        }
    }

    /// Pushes are not followed any more.
    fn ended(&self) {
        // In this order: a generation that begins meanwhile finds that they are not, or is among those that are told.
        self.generations.following.store(false, Ordering::SeqCst);
        self.set_connected(false);
    }

    /// Kafka was lost, or is there again.
    pub(crate) fn connection(&self, stands: bool) {
        self.problem.send_replace((!stands).then(|| "Kafka can't be reached".to_owned()));
        self.set_connected(stands);
    }

    fn set_connected(&self, yes: bool) {
        for memory in self.generations.followed() {
            memory.connected(yes);
        }
    }

    /// Follows from now on, until something is wrong; not shorter than `patience` when nothing comes.
    async fn follow(&self, patience: Duration) -> Result<std::convert::Infallible, Ended> {
        let topics: Vec<String> = self.models.keys().cloned().collect();
        let mut tail = Tail::open(&self.bus, &topics, ReaderOptions::default()).await?;
        // From here on nothing that is pushed is missed; what was pushed before is in the checkpoints that are read now.
        self.generations.following.store(true, Ordering::SeqCst);
        self.sync().await?;
        self.problem.send_replace(None);
        let mut connection = tail.connection();
        let mut staging: HashMap<String, Staging> = HashMap::new();
        let begun = Instant::now();
        loop {
            tokio::select! {
                messages = tail.recv(AT_ONCE) => self.take(&mut staging, messages?),
                _ = connection.changed() => {
                    let stands = *connection.borrow_and_update();
                    self.connection(stands);
                }
                () = self.again.notified() => {
                    if begun.elapsed() >= patience {
                        return Err(Ended::Silent);
                    }
                }
            }
        }
    }

    async fn sync(&self) -> Result<(), QueryError> {
        let followed = self.generations.followed();
        let asked: Vec<(&str, &Generation)> = followed.iter().map(|m| (&*m.model, &*m.generation)).collect();
        for (memory, checkpoints) in followed.iter().zip(self.store.checkpoints(&asked).await?) {
            memory.learn(&checkpoints);
            if let Some(stamps) = stamps(&memory.sources, &checkpoints) {
                memory.sync(&stamps);
            }
        }
        Ok(())
    }

    fn take(&self, staging: &mut HashMap<String, Staging>, messages: Vec<Message>) {
        let followed = self.generations.followed();
        for message in messages {
            let Some(model) = self.models.get(&*message.topic) else { continue };
            // A tombstone is for the compaction.
            let Some(value) = &message.value else { continue };
            let Ok(Some(name)) = message.headers.get_str(headers::CE_TYPE) else { continue };
            let read = take_one(&followed, model, staging.entry(model.clone()).or_default(), name, value);
            match read {
                Ok(false) => {}
                Ok(true) => self.generations.hint.notify_one(),
                // What it would have said is missing now: the marker counts it, or the next one does not join.
                Err(error) => {
                    tracing::warn!(topic = &*message.topic, partition = message.partition, offset = message.offset, %error, "a push can't be read");
                }
            }
        }
    }
}

/// Takes one pushed value of this type; says whether it tells that another generation is live.
///
/// # Errors
/// When it is no such message; nothing has changed then.
pub(crate) fn take_one(
    followed: &[Arc<Memory>],
    model: &str,
    staging: &mut Staging,
    name: &str,
    value: &[u8],
) -> Result<bool, DecodeError> {
    match name {
        PartChange::TYPE => {
            let change = PartChange::decode(value)?;
            // What no marker would ever be applied for must not be held: anybody could fill the memory with it.
            let at = |m: &Memory| *m.model == *model && m.generation.number == change.generation;
            if followed.iter().any(|m| at(m) && m.sources.find(&change.service, change.partition).is_some()) {
                staging.change(change);
            }
        }
        PushMarker::TYPE => apply(followed, model, staging, PushMarker::decode(value)?),
        GenerationSwitched::TYPE => return Ok(true),
        _ => {}
    }
    Ok(false)
}

fn apply(followed: &[Arc<Memory>], model: &str, staging: &mut Staging, marker: PushMarker) {
    let marked = staging.marker(marker);
    for memory in followed.iter().filter(|m| *m.model == *model && m.generation.number == marked.at.generation) {
        if let Some(source) = memory.sources.find(&marked.at.service, marked.at.partition) {
            memory.apply(&PushedBatch {
                source,
                epoch: marked.epoch,
                from: marked.from,
                to: marked.to,
                changes: marked.changes.clone(),
                complete: marked.complete,
                hidden: marked.hidden.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use daybook_bus::{Headers, Producer, ProducerOptions, Record};
    use daybook_testkit::eventually;

    use super::*;
    use crate::prepared::{MODEL, Prepared, observers};
    use crate::source::Position;

    fn feed(prepared: &Prepared, generations: &Arc<Generations>) -> Feed {
        Feed::new(prepared.bus.clone(), [MODEL.to_owned()].into_iter(), generations.clone(), prepared.store.clone())
    }

    #[tokio::test]
    async fn what_is_pushed_while_checkpoints_are_read_is_not_missed_and_only_then_it_is_told_that_pushes_are_followed() {
        let prepared = Prepared::new().await;
        let generations = prepared.generations(observers());
        let memory = prepared.answering(&generations).await;
        let feed = Arc::new(feed(&prepared, &generations));
        let told = || (feed.problem.borrow().is_none(), memory.is_trusted());
        let held = prepared.store.connection().await.expect("it answers");
        let following = tokio::spawn(feed.clone().run());
        eventually("topics to be open", || async { generations.following.load(Ordering::SeqCst).then_some(()) }).await;
        assert_eq!(told(), (false, false), "checkpoints can't be read yet");

        let marker = PushMarker { generation: 1, service: "catalog".into(), partition: 1, epoch: 1, to: 1, ..Default::default() };
        let record = Record {
            topic: feed.topic(MODEL).into(),
            partition: 1,
            key: "k".into(),
            headers: Headers::new().with(headers::CE_TYPE, PushMarker::TYPE),
            value: Some(marker.encode_to_vec().into()),
        };
        let producer = Producer::new(&prepared.bus, ProducerOptions::default()).expect("a producer");
        producer.send(vec![record]).await.expect("Kafka answers");
        drop(held);
        eventually("the push", || async { (memory.batches.load(Ordering::SeqCst) == 1).then_some(()) }).await;
        assert_eq!(told(), (true, true));
        let source = memory.sources.find("catalog", 1).expect("there is one");
        assert_eq!(memory.sources[usize::from(source)].reached(), Position::new(1, 1));
        following.abort();
    }

    #[tokio::test]
    async fn when_pushes_are_not_followed_any_more_that_is_known_before_those_that_answer_are_told() {
        let prepared = Prepared::new().await;
        let generations = prepared.generations(observers());
        generations.following.store(true, Ordering::SeqCst);
        let memory = prepared.answering(&generations).await;
        let feed = feed(&prepared, &generations);
        let is = |following: bool| generations.following.load(Ordering::SeqCst) == following;
        assert!(is(true) && memory.is_trusted());
        std::thread::scope(|scope| {
            // Nobody can be told as long as this is held.
            let core = memory.lock();
            let ending = scope.spawn(|| feed.ended());
            let begun = std::time::Instant::now();
            while !is(false) && begun.elapsed() < Duration::from_secs(60) {
                std::thread::yield_now();
            }
            let known = is(false);
            drop(core);
            ending.join().expect("it ends");
            assert!(known, "a generation that begins now would be told of it by nobody");
        });
        assert!(!memory.is_trusted());
    }
}
