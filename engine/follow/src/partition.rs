//! The task that owns one assigned partition: it reads each event once, for all followers.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daybook_bus::{Inbox, Inspector, Message, StartAt, headers};
use daybook_log::{Log, Page, PartitionLog};
use daybook_process::metrics::{self, Counter};
use daybook_process::{Shutdown, shutdown};
use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::alone::{self, Member, RingStart, Shared, Why, guarded};
use crate::board::FollowerKey;
use crate::config::Limits;
use crate::event::Event;
use crate::feed::Feed;
use crate::follower::{Kind, Roster};
use crate::head::{Head, Looks};
use crate::pass::Pass;
use crate::ring::{Added, Ring};

/// Between two attempts to begin with Kafka.
const PAUSE: Duration = Duration::from_millis(100);

/// Parts that all partitions of a process share.
pub(crate) struct Common {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inspector: Inspector,
    /// The process' end.
    pub(crate) ending: Shutdown,
    /// Pages of lanes of the process.
    pub(crate) feed: Feed,
}

struct Meters {
    repeats: Counter,
    gaps: Counter,
    unreadable: Counter,
    transactions: Counter,
}

impl Meters {
    fn new(service: &str) -> Self {
        Self {
            repeats: metrics::FOLLOW_REPEATS.with([service]),
            gaps: metrics::FOLLOW_GAPS.with([service]),
            unreadable: metrics::FOLLOW_UNREADABLE.with([service]),
            transactions: metrics::FOLLOW_TRANSACTIONS.with([service]),
        }
    }
}

/// Runs until the partition is revoked. Takes and gives back followers that have nothing to forget.
pub(crate) async fn run(common: Arc<Common>, log: Log, inbox: Inbox, roster: watch::Receiver<Roster>, rested: Vec<Member>) -> Vec<Member> {
    let partition = match log.partition(inbox.partition) {
        Ok(partition) => partition,
        Err(error) => {
            tracing::error!(topic = %inbox.topic, partition = inbox.partition, %error, "a partition that the log has not");
            return Vec::new();
        }
    };
    let limits = &common.shared.limits;
    let mut looks = Looks::begin(partition.clone(), limits.idle);
    let mut owned = Owned {
        ring: Ring::new(limits.ring_events, limits.ring_bytes),
        meters: Meters::new(partition.service()),
        together: Vec::new(),
        alone: JoinSet::new(),
        stops: BTreeMap::new(),
        start: RingStart::default(),
        sees_the_log: false,
        follows: false,
        partitions: log.partitions(),
        pages: common.feed.open(&partition),
        fed: 0,
        log: partition,
        inbox,
        roster,
        rested,
        common,
    };
    owned.follow(&mut looks.head).await;
    drop(looks);
    owned.rest().await
}

struct Owned {
    common: Arc<Common>,
    log: PartitionLog,
    partitions: u32,
    inbox: Inbox,
    /// What lanes of this process have committed.
    pages: mpsc::Receiver<Arc<Page>>,
    /// Behind the last event that came that way: Kafka brings it once more.
    fed: i64,
    roster: watch::Receiver<Roster>,
    ring: Ring,
    /// Whether the log has answered: before that nobody knows which epoch it is in.
    sees_the_log: bool,
    /// Whether Kafka is followed.
    follows: bool,
    /// Those that go with the ring.
    together: Vec<Member>,
    /// Those that work alone, and what stops them.
    alone: JoinSet<(FollowerKey, Option<Member>)>,
    stops: BTreeMap<FollowerKey, watch::Sender<bool>>,
    start: RingStart,
    /// Of an earlier assignment.
    rested: Vec<Member>,
    meters: Meters,
}

impl Owned {
    async fn follow(&mut self, head: &mut watch::Receiver<Head>) {
        self.enrol();
        let mut start = pin!(stable_end(self.common.clone(), self.inbox.topic.clone(), self.inbox.partition));
        let mut rests = Rests::default();
        loop {
            if self.inbox.is_ended() {
                return;
            }
            // One time for a turn: a rest that ends within it is waited for all the same.
            let now = Instant::now();
            if self.pass(&mut rests, now).await {
                self.look_whom_to_move();
                self.take_waiting();
                continue;
            }
            let limits = &self.common.shared.limits;
            let rest = rests.next_end(now);
            let resting = rest.is_some() && self.together.iter().all(|member| rests.is_resting(member.home.name, now));
            tokio::select! {
                messages = self.inbox.recv(limits.batch_events, limits.batch_bytes), if self.follows && !resting => match messages {
                    Some(messages) => self.take(&messages),
                    None => return,
                },
                Some(page) = self.pages.recv(), if !resting => { self.take_page(&page); }
                () = tokio::time::sleep_until(rest.unwrap_or_else(Instant::now)), if rest.is_some() => self.take_waiting(),
                offset = &mut start, if self.sees_the_log && !self.follows => match self.inbox.start(StartAt::Offset(offset)).await {
                    Ok(()) => self.follows = true,
                    Err(error) => {
                        if !self.inbox.is_ended() {
                            tracing::warn!(partition = self.log.name(), %error, "Kafka can't be followed yet; the log is read meanwhile");
                        }
                        start.set(stable_end(self.common.clone(), self.inbox.topic.clone(), self.inbox.partition));
                    }
                },
                Some(back) = self.alone.join_next(), if !self.alone.is_empty() => match back {
                    Ok((place, member)) => self.came_back(&place, member),
                    Err(error) => tracing::error!(partition = self.log.name(), %error, "a follower's task has ended"),
                },
                Ok(()) = head.changed() => {
                    let head = head.borrow_and_update().clone();
                    self.looked(&head, &rests);
                }
                Ok(()) = self.roster.changed() => self.enrol(),
            }
        }
    }

    /// Takes in the pages and messages that have arrived while the partition rested or wrote.
    fn take_waiting(&mut self) {
        let limits = self.common.shared.limits.clone();
        // No more than about a batch: a ring that is filled faster than its followers read would leave them behind.
        let (mut events, mut bytes) = (limits.batch_events, limits.batch_bytes);
        while events > 0
            && bytes > 0
            && let Ok(page) = self.pages.try_recv()
        {
            let taken = self.take_page(&page);
            (events, bytes) = (events.saturating_sub(taken.0), bytes.saturating_sub(taken.1));
        }
        if self.follows
            && events > 0
            && bytes > 0
            && let Some(messages) = self.inbox.try_recv(events, bytes)
        {
            self.take(&messages);
        }
    }

    /// Takes in a page that a lane of this process has committed, where it goes on from what is here: so many events, and their bytes. Else Kafka
    /// brings it.
    fn take_page(&mut self, page: &Page) -> (usize, usize) {
        let (head, mut taken) = (page.head(), (0, 0));
        if (self.ring.end(), self.ring.epoch()) != (Some(head.first_offset), head.epoch) {
            return taken;
        }
        for stored in page.stored_events() {
            // One that can't be read comes from the log, which says why.
            let Ok(event) = Event::stored(stored) else { break };
            self.fed = event.offset + 1;
            taken = (taken.0 + 1, taken.1 + event.size());
            self.ring.add(event);
        }
        self.start.set(self.ring.start());
        self.look_whom_to_move();
        taken
    }

    /// Whether this is an event that has come by the short way already: it is not read again.
    fn was_fed(&self, message: &Message) -> bool {
        let offset = message.headers.get_parsed::<i64>(headers::OFFSET).ok().flatten();
        offset.is_some_and(|offset| offset < self.fed) && message.headers.get_parsed(headers::EPOCH) == Ok(Some(self.ring.epoch()))
    }

    fn take(&mut self, messages: &[Message]) {
        for message in messages {
            if self.was_fed(message) {
                continue;
            }
            match Event::arrived(message, self.partitions) {
                Ok(event) => {
                    let (offset, before) = (event.offset, self.ring.end());
                    match self.ring.add(event) {
                        Added::Next => {}
                        Added::Repeat | Added::Over => self.meters.repeats.increment(1),
                        Added::Anew => {
                            if let Some(from) = before {
                                self.meters.gaps.increment(1);
                                tracing::warn!(partition = self.log.name(), from, to = offset, "a gap on Kafka; the log is read");
                            }
                        }
                    }
                }
                Err(why) => {
                    // The next event shows the gap; where none comes, the next look does.
                    self.meters.unreadable.increment(1);
                    let (partition, kafka_offset) = (self.log.name(), message.offset);
                    tracing::warn!(partition, kafka_offset, %why, "a message is no event; the log is read");
                }
            }
        }
        self.start.set(self.ring.start());
        self.look_whom_to_move();
    }

    /// A follower that stands before the ring reads the log.
    fn look_whom_to_move(&mut self) {
        let start = self.ring.start();
        self.move_out(|member| start.is_some_and(|start| member.follower.next() < start).then_some(Why::IsBehind));
    }

    /// Has members with a reason to do so work alone.
    fn move_out(&mut self, mut reason: impl FnMut(&mut Member) -> Option<Why>) {
        let mut n = 0;
        while n < self.together.len() {
            match reason(&mut self.together[n]) {
                Some(why) => {
                    let member = self.together.swap_remove(n);
                    self.works_alone(member, why);
                }
                None => n += 1,
            }
        }
    }

    fn works_alone(&mut self, member: Member, why: Why) {
        let (sender, stop) = shutdown();
        let place = member.place.clone();
        self.stops.insert(place.clone(), sender);
        let (shared, start) = (self.common.shared.clone(), self.start.clone());
        self.alone.spawn(async move { (place, alone::run(member, why, shared, start, stop).await) });
    }

    fn came_back(&mut self, place: &FollowerKey, member: Option<Member>) {
        self.stops.remove(place);
        match member {
            Some(member) if self.is_wanted(place) => self.together.push(member),
            _ => self.common.shared.board.gave_up(place),
        }
    }

    fn is_wanted(&self, place: &FollowerKey) -> bool {
        self.roster.borrow().0.iter().any(|kind| (kind.name(), kind.generation()) == (place.0, place.1))
    }

    /// Takes on those that are new on the roster, and dismisses those that are not there any more.
    fn enrol(&mut self) {
        let kinds = self.roster.borrow_and_update().0.clone();
        let service = self.log.service().clone();
        let kinds: Vec<&Arc<dyn Kind>> = kinds.iter().filter(|kind| kind.follows(&service)).collect();
        let place = |kind: &Arc<dyn Kind>| (kind.name(), kind.generation(), service.to_string(), self.log.number());
        let wanted: Vec<FollowerKey> = kinds.iter().map(|kind| place(kind)).collect();
        for (place, stop) in &self.stops {
            if !wanted.contains(place) {
                stop.send_replace(true);
            }
        }
        let board = self.common.shared.board.clone();
        self.together.retain(|member| {
            let stays = wanted.contains(&member.place);
            if !stays {
                board.gave_up(&member.place);
            }
            stays
        });
        for (kind, place) in kinds.into_iter().zip(wanted) {
            if self.stops.contains_key(&place) || self.together.iter().any(|member| member.place == place) {
                continue;
            }
            board.took(&place);
            let rested = self.rested.iter().position(|member| member.place == place).map(|n| self.rested.swap_remove(n));
            let member = rested.unwrap_or_else(|| Member {
                home: kind.home(&self.log),
                follower: kind.open(self.log.clone()),
                place,
                waited_at: None,
            });
            self.works_alone(member, Why::Begins);
        }
        self.rested.clear();
    }

    /// The end of the log was seen: moves out members that Kafka lacks something for, and those that have something else to do.
    fn looked(&mut self, head: &Head, rests: &Rests) {
        let board = self.common.shared.board.clone();
        let (end, epoch) = match &head.end {
            Ok(found) => *found,
            Err(why) => {
                for member in &self.together {
                    board.stands_still(&member.place, format!("its log can't be read: {why}"));
                }
                return;
            }
        };
        if epoch > self.ring.epoch() {
            self.fed = 0;
        }
        self.ring.begin(epoch);
        self.start.set(self.ring.start());
        self.sees_the_log = true;
        let (ring_end, now) = (self.ring.end().unwrap_or(i64::MIN), Instant::now());
        self.move_out(|member| {
            let next = member.follower.next();
            member.follower.heard(end);
            board.works(&member.place);
            // The news of a follower that rests waits for the end of its rest, not for Kafka.
            let is_resting = rests.is_resting(member.home.name, now);
            let waits = (next < end && next >= ring_end && !is_resting).then_some(next);
            let in_vain = waits.is_some() && waits == member.waited_at;
            member.waited_at = waits;
            if next > end || in_vain || (next == end && epoch > member.follower.epoch()) {
                return Some(Why::IsBehind);
            }
            member.follower.wants_tending().then_some(Why::Tends)
        });
    }

    /// One batch for each follower that has something to do and does not rest: those of one database together, and those of different
    /// ones side by side. False: nobody had anything to do.
    async fn pass(&mut self, rests: &mut Rests, now: Instant) -> bool {
        let limits = self.common.shared.limits.clone();
        let mut passes: BTreeMap<&'static str, Pass> = BTreeMap::new();
        for member in std::mem::take(&mut self.together) {
            let events = match rests.is_resting(member.home.name, now) {
                true => None,
                false => self.ring.from(member.follower.next(), limits.batch_events, limits.batch_bytes).filter(|e| !e.is_empty()),
            };
            match events {
                Some(events) => passes.entry(member.home.name).or_insert_with(|| Pass::of(member.home.clone())).add(member, events),
                None => self.together.push(member),
            }
        }
        if passes.is_empty() {
            return false;
        }
        let passes: Vec<Pass> = passes.into_values().collect();
        for passed in join_all(passes.into_iter().map(|pass| pass.run(&limits, &self.meters.transactions))).await {
            // After a full batch there is more; after a single event nothing says that company comes.
            if passed.home.rests && passed.largest < limits.batch_events {
                rests.begin(passed.home.name, if passed.largest > 1 { passed.took } else { Duration::ZERO }, &limits);
            }
            self.together.extend(passed.stay);
            for (member, why) in passed.leave {
                self.works_alone(member, why);
            }
        }
        true
    }

    /// Ends what works alone, and keeps the followers for the next assignment. At the process' end there is none: they give up what they hold. At
    /// a rebalance they don't: a member of this group takes over anyhow, and another group's would only come between.
    async fn rest(mut self) -> Vec<Member> {
        for stop in self.stops.values() {
            stop.send_replace(true);
        }
        while let Some(back) = self.alone.join_next().await {
            if let Ok((_, Some(member))) = back {
                self.together.push(member);
            }
        }
        let lets_go = self.together.iter_mut().map(|member| guarded(member.follower.let_go()));
        for error in join_all(lets_go).await.into_iter().filter_map(Result::err) {
            tracing::debug!(partition = self.log.name(), %error, "a follower could not note how far it has come");
        }
        if self.common.ending.is_requested() {
            let gives_up = self.together.iter_mut().map(|member| guarded(member.follower.give_up()));
            for error in join_all(gives_up).await.into_iter().filter_map(Result::err) {
                tracing::debug!(partition = self.log.name(), %error, "a follower could not give its checkpoint up");
            }
        }
        for place in self.together.iter().map(|member| &member.place).chain(self.stops.keys()) {
            self.common.shared.board.gave_up(place);
        }
        self.together
    }
}

/// Kafka's present stable end. What was published before it was in the log before, so nothing falls between the two; what a transaction
/// holds back comes again, and is dropped.
async fn stable_end(common: Arc<Common>, topic: Arc<str>, partition: i32) -> i64 {
    loop {
        match common.inspector.readable(&topic, partition).await {
            Ok(readable) => return readable.stable_end.offset(),
            Err(error) => tracing::warn!(%topic, partition, %error, "Kafka can't be followed yet; the log is read meanwhile"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The rests of the followers of each database, by its name.
#[derive(Default)]
struct Rests(BTreeMap<&'static str, Rest>);

#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    length: Duration,
}

impl Rests {
    /// After a batch that took so long; zero: after one that calls for no rest.
    fn begin(&mut self, home: &'static str, took: Duration, limits: &Limits) {
        let before = self.0.get(home).map_or(Duration::ZERO, |rest| rest.length);
        let length = next_rest(before, took, limits);
        self.0.insert(home, Rest { until: Instant::now() + length, length });
    }

    fn is_resting(&self, home: &str, now: Instant) -> bool {
        self.0.get(home).is_some_and(|rest| rest.until > now)
    }

    /// When the first of those that rest has rested.
    fn next_end(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|rest| rest.until).filter(|until| *until > now).min()
    }
}

/// The rest after a batch that took so long. Beyond [`Limits::ordinary_rest`] it is at most twice the one before: a machine that has no time
/// left gets there in a few batches, and one batch that Postgres kept waiting does not.
fn next_rest(before: Duration, took: Duration, limits: &Limits) -> Duration {
    let grown = limits.ordinary_rest.max(before * 2);
    (took * limits.rest).min(grown).min(limits.longest_rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_the_longest_under_saturation_and_one_slow_batch_is_followed_by_an_ordinary_one() {
        let limits =
            Limits { rest: 4, ordinary_rest: Duration::from_millis(20), longest_rest: Duration::from_millis(250), ..Limits::default() };
        let ms = Duration::from_millis;
        assert_eq!(next_rest(ms(4), ms(1), &limits), ms(4), "four times as long as it took");
        assert_eq!(next_rest(ms(4), ms(900), &limits), ms(20), "one slow batch");
        let mut lengths = vec![ms(0)];
        for _ in 0..6 {
            lengths.push(next_rest(lengths[lengths.len() - 1], ms(100), &limits));
        }
        assert_eq!(lengths[1..], [20, 40, 80, 160, 250, 250].map(ms));
        assert_eq!(next_rest(ms(250), ms(2), &limits), ms(8), "the load is gone");
        assert_eq!(next_rest(ms(250), Duration::ZERO, &limits), Duration::ZERO, "a single event is to be seen at once");
    }
}
