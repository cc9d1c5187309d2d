//! Reactions that a reactor has sent: on their way to Kafka, and on their way to a result.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use daybook_bus::DeliveryError;
use daybook_kernel::StreamId;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use uuid::Uuid;

/// Most reactions that are remembered until they have come to an end; beyond it the log tells again which they were.
const REMEMBERED: usize = 10_000;

/// Messages on their way: Kafka's offset of each, or what went wrong.
pub(crate) type Delivery = BoxFuture<'static, Result<Vec<i64>, DeliveryError>>;

/// A command that was sent because of an event.
#[derive(Clone, Debug)]
pub(crate) struct Reaction {
    /// Of the event.
    pub(crate) offset: i64,
    /// The service that decides it.
    pub(crate) service: &'static str,
    /// Of that service's log and topic.
    pub(crate) partition: i32,
    /// The stream that it is addressed to.
    pub(crate) target: StreamId,
    pub(crate) command_id: Uuid,
    /// The message's offset in its topic, or a later one where that is not known: the topic's end when it was asked for.
    pub(crate) message_offset: i64,
    /// When it was acknowledged, or found in the log again.
    pub(crate) since: Instant,
}

/// The reactions of a run of events.
struct Sent {
    from: i64,
    to: i64,
    reactions: Vec<Reaction>,
    /// None: there was nothing to send. (Never locked: it makes its holder shareable.)
    delivery: Option<Mutex<Delivery>>,
}

impl Sent {
    /// A delivery that has failed says so whenever it is asked: its holder may come by more than once before it begins again.
    fn keep_failure(&mut self, arrived: Result<Vec<i64>, DeliveryError>) -> Result<Vec<i64>, DeliveryError> {
        if let Err(error) = &arrived {
            self.delivery = Some(Mutex::new(ready(Err(error.clone())).boxed()));
        }
        arrived
    }
}

/// Reactions that were sent, in the order of the events.
#[derive(Default)]
pub(crate) struct Queue {
    sent: VecDeque<Sent>,
    in_flight: usize,
    /// All before it was acknowledged.
    acknowledged: i64,
    /// Acknowledged, and not known to have come to an end: of the events from the settled mark up to `remembered`.
    open: VecDeque<Reaction>,
    /// Of the events before it, all open reactions are in `open`; of those from it up to `acknowledged` the log must tell.
    remembered: i64,
}

impl Queue {
    /// Nothing is on its way: acknowledged reactions end at `next`; those that have come to an end, at `settled`.
    pub(crate) fn at(settled: i64, next: i64) -> Self {
        Self { acknowledged: next, remembered: settled, ..Self::default() }
    }

    /// The events from `from` up to `to` were reacted to.
    pub(crate) fn sent(&mut self, from: i64, to: i64, reactions: Vec<Reaction>, delivery: Option<Delivery>) {
        self.in_flight += reactions.len();
        match self.sent.back_mut() {
            Some(last) if last.delivery.is_none() && last.reactions.is_empty() && reactions.is_empty() => last.to = to,
            _ => self.sent.push_back(Sent { from, to, reactions, delivery: delivery.map(Mutex::new) }),
        }
    }

    /// Reactions that Kafka has not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Behind the last event of which all reactions were acknowledged.
    pub(crate) fn acknowledged(&self) -> i64 {
        self.acknowledged
    }

    /// All before it has come to an end.
    pub(crate) fn settled(&self) -> i64 {
        self.open.front().map_or(self.remembered, |first| first.offset.min(self.remembered))
    }

    /// Whether some are open, or may be.
    pub(crate) fn is_open(&self) -> bool {
        !self.sent.is_empty() || !self.open.is_empty() || self.remembered < self.acknowledged
    }

    /// Notes the reactions that have arrived at Kafka by now, without waiting.
    ///
    /// # Errors
    /// When something was not delivered: it must be sent again.
    pub(crate) fn look(&mut self) -> Result<(), DeliveryError> {
        while let Some(first) = self.sent.front_mut() {
            let offsets = match &mut first.delivery {
                None => Vec::new(),
                Some(delivery) => match delivery.get_mut().unwrap_or_else(PoisonError::into_inner).now_or_never() {
                    None => return Ok(()),
                    Some(arrived) => first.keep_failure(arrived)?,
                },
            };
            self.arrived(&offsets);
        }
        Ok(())
    }

    /// Waits until fewer than so many reactions are on their way.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(crate) async fn has_room(&mut self, most: usize) -> Result<(), DeliveryError> {
        while self.in_flight >= most {
            self.next_arrives().await?;
        }
        Ok(())
    }

    /// Waits until the oldest that is on its way has arrived.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(crate) async fn next_arrives(&mut self) -> Result<(), DeliveryError> {
        let Some(first) = self.sent.front_mut() else { return Ok(()) };
        let offsets = match &mut first.delivery {
            None => Vec::new(),
            Some(delivery) => {
                let arrived = delivery.get_mut().unwrap_or_else(PoisonError::into_inner).await;
                first.keep_failure(arrived)?
            }
        };
        self.arrived(&offsets);
        Ok(())
    }

    fn arrived(&mut self, offsets: &[i64]) {
        let Some(first) = self.sent.pop_front() else { return };
        self.in_flight -= first.reactions.len();
        self.acknowledged = first.to;
        // If the log has to tell of events before, it tells of these too.
        if self.remembered == first.from && self.open.len() + first.reactions.len() <= REMEMBERED {
            let now = Instant::now();
            let known = first.reactions.into_iter().zip(offsets.iter().map(Some).chain(std::iter::repeat(None)));
            self.open.extend(known.map(|(reaction, offset)| Reaction {
                message_offset: offset.copied().unwrap_or(reaction.message_offset),
                since: now,
                ..reaction
            }));
            self.remembered = first.to;
        }
    }

    /// Which events the log has to tell of, and whether there is room.
    pub(crate) fn forgotten(&self) -> Option<(i64, i64)> {
        (self.remembered < self.acknowledged && self.open.len() < REMEMBERED).then_some((self.remembered, self.acknowledged))
    }

    /// The log has told of the events from the first forgotten one up to `to`.
    pub(crate) fn remember(&mut self, to: i64, reactions: Vec<Reaction>) {
        self.open.extend(reactions);
        self.remembered = to;
    }

    /// The oldest of those that are open, at most so many.
    pub(crate) fn oldest(&self, most: usize) -> Vec<Reaction> {
        self.open.iter().take(most).cloned().collect()
    }

    /// These have come to an end.
    pub(crate) fn ended(&mut self, ids: &HashSet<Uuid>) {
        self.open.retain(|reaction| !ids.contains(&reaction.command_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaction(offset: i64) -> Reaction {
        Reaction {
            offset,
            service: "s",
            partition: 0,
            target: StreamId::new("a", "1"),
            command_id: Uuid::from_u128(offset.unsigned_abs().into()),
            message_offset: -1,
            since: Instant::now(),
        }
    }

    fn ids(offsets: &[i64]) -> HashSet<Uuid> {
        offsets.iter().map(|o| reaction(*o).command_id).collect()
    }

    #[test]
    fn events_without_reactions_are_done_with_at_once_and_settled_with_those_before() {
        let mut queue = Queue::at(5, 5);
        queue.sent(5, 8, Vec::new(), None);
        queue.look().expect("nothing was sent");
        assert_eq!((queue.acknowledged(), queue.settled(), queue.is_open()), (8, 8, false));
    }

    #[test]
    fn a_run_that_asks_for_something_is_no_part_of_the_one_before_and_is_on_its_way_until_it_has_arrived() {
        let (arrives, arrived) = tokio::sync::oneshot::channel();
        let mut queue = Queue::at(0, 0);
        queue.sent(0, 1, Vec::new(), None);
        queue.sent(1, 2, vec![reaction(1)], Some(async { Ok(arrived.await.unwrap_or_default()) }.boxed()));
        queue.sent(2, 4, Vec::new(), None);
        queue.look().expect("nothing went wrong");
        assert_eq!((queue.acknowledged(), queue.in_flight(), queue.settled()), (1, 1, 1));
        arrives.send(vec![7]).expect("it is waited for");
        queue.look().expect("nothing went wrong");
        assert_eq!((queue.acknowledged(), queue.in_flight(), queue.settled()), (4, 0, 1));
        assert_eq!(queue.oldest(1)[0].message_offset, 7);
    }

    #[tokio::test]
    async fn what_was_not_delivered_is_said_each_time_and_holds_the_mark() {
        let failure =
            || DeliveryError { index_first_failed: 0, acknowledged: 0, fatal: false, queue_full: false, message: "no".to_owned() };
        let mut queue = Queue::at(0, 0);
        queue.sent(0, 1, vec![reaction(0)], Some(async move { Err(failure()) }.boxed()));
        assert_eq!(queue.look(), Err(failure()));
        assert_eq!(queue.next_arrives().await, Err(failure()));
        assert_eq!((queue.look(), queue.next_arrives().await), (Err(failure()), Err(failure())));
        assert_eq!((queue.acknowledged(), queue.in_flight()), (0, 1));
        // Whoever waits for room is told, too: there will be none.
        assert_eq!((queue.has_room(1).await, queue.has_room(2).await), (Err(failure()), Ok(())));
    }

    #[test]
    fn what_is_open_holds_the_settled_mark_at_its_event() {
        let mut queue = Queue::at(0, 0);
        queue.sent(0, 3, vec![reaction(1), reaction(2)], None);
        queue.look().expect("all has arrived");
        assert_eq!((queue.acknowledged(), queue.settled()), (3, 1));
        queue.ended(&ids(&[2]));
        assert_eq!(queue.settled(), 1);
        queue.ended(&ids(&[1]));
        assert_eq!((queue.settled(), queue.is_open()), (3, false));
    }

    #[test]
    fn what_was_sent_by_another_process_is_told_by_the_log_before_anything_later_is_settled() {
        let mut queue = Queue::at(2, 6);
        assert_eq!((queue.settled(), queue.forgotten()), (2, Some((2, 6))));
        queue.sent(6, 8, vec![reaction(7)], None);
        queue.look().expect("it has arrived");
        assert_eq!((queue.acknowledged(), queue.settled(), queue.forgotten()), (8, 2, Some((2, 8))));
        queue.remember(5, vec![reaction(4)]);
        assert_eq!((queue.settled(), queue.forgotten()), (4, Some((5, 8))));
        queue.remember(8, vec![reaction(7)]);
        queue.ended(&ids(&[4]));
        assert_eq!((queue.settled(), queue.forgotten()), (7, None));
    }

    #[test]
    fn no_more_is_remembered_than_fits() {
        let mut queue = Queue::at(0, 0);
        let many = i64::try_from(REMEMBERED).expect("fits");
        queue.sent(0, many, (0..many).map(reaction).collect(), None);
        queue.sent(many, many + 1, vec![reaction(many)], None);
        queue.look().expect("all has arrived");
        assert_eq!((queue.acknowledged(), queue.forgotten(), queue.oldest(usize::MAX).len()), (many + 1, None, REMEMBERED));
        queue.ended(&ids(&[0]));
        assert_eq!((queue.settled(), queue.forgotten()), (1, Some((many, many + 1))));
    }
}
