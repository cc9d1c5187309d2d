//! How far read models have got, and who waits for them to get further.
//!
//! Waiters name a place and are woken when it moves; feeders say what they saw. Today's feeder looks into the database
//! while somebody waits: one query for all waiters. What is pushed may feed it as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::store::{Place, Standing, Store};

/// How long the feeder rests when the database does not answer.
const REST: Duration = Duration::from_millis(250);

/// What is known of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nobody has looked yet.
    NotYet,
    /// There is no such partition.
    Nowhere,
    /// It stands there, or further.
    At(Standing),
}

#[derive(Default)]
struct Places {
    by_place: BTreeMap<Place, watch::Sender<Seen>>,
    /// How many looks have begun.
    begun: u64,
}

/// The positions of all read models.
pub(crate) struct Positions {
    places: Mutex<Places>,
    wanted: Notify,
    /// The last look that ended.
    looks: watch::Sender<u64>,
}

/// Waits for one place.
pub(crate) struct Waiter {
    seen: watch::Receiver<Seen>,
    looks: watch::Receiver<u64>,
    /// The last look that had begun when this began to wait: it may have missed what was asked for.
    before: u64,
}

impl Positions {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { places: Mutex::default(), wanted: Notify::new(), looks: watch::channel(0).0 })
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known already. It may have got further since.
    pub(crate) fn known(&self, place: &Place) -> Seen {
        self.lock().by_place.get(place).map_or(Seen::NotYet, |sender| *sender.borrow())
    }

    /// Begins to wait. Registers before it looks, so that nothing falls between.
    pub(crate) fn wait(&self, place: Place) -> Waiter {
        let mut places = self.lock();
        let seen = places.by_place.entry(place).or_insert_with(|| watch::channel(Seen::NotYet).0).subscribe();
        let waiter = Waiter { seen, looks: self.looks.subscribe(), before: places.begun };
        drop(places);
        self.wanted.notify_one();
        waiter
    }

    /// Says what was seen. A place never goes back: what is older is passed over.
    pub(crate) fn saw(&self, place: &Place, now: Seen) {
        let places = self.lock();
        let Some(sender) = places.by_place.get(place) else { return };
        sender.send_if_modified(|known| {
            let newer = match (&*known, now) {
                (Seen::At(before), Seen::At(after)) => (after.epoch, after.next) > (before.epoch, before.next),
                (before, after) => *before != after && after != Seen::NotYet,
            };
            if newer {
                *known = now;
            }
            newer
        });
    }

    /// How many waits are under way: one a request and position.
    pub(crate) fn waits(&self) -> usize {
        self.lock().by_place.values().map(watch::Sender::receiver_count).sum()
    }

    /// Begins a look: its number, and the places that somebody waits for.
    fn begin(&self) -> (u64, Vec<Place>) {
        let mut places = self.lock();
        // Who waits for a partition that does not exist must not leave anything behind.
        places.by_place.retain(|_, sender| sender.receiver_count() > 0 || matches!(*sender.borrow(), Seen::At(_)));
        places.begun += 1;
        let wanted = places.by_place.iter().filter(|(_, sender)| sender.receiver_count() > 0).map(|(place, _)| place.clone()).collect();
        (places.begun, wanted)
    }

    /// Looks into the database while somebody waits. Never returns.
    pub(crate) async fn feed(self: Arc<Self>, store: Store, every: Duration) {
        loop {
            self.wanted.notified().await;
            loop {
                let (look, wanted) = self.begin();
                metrics::gauge!("daybook_query_waits").set(self.waits() as f64);
                if wanted.is_empty() {
                    break;
                }
                match store.positions(&wanted).await {
                    Ok(found) => {
                        for (place, standing) in wanted.iter().zip(found) {
                            self.saw(place, standing.map_or(Seen::Nowhere, Seen::At));
                        }
                        self.looks.send_replace(look);
                        tokio::time::sleep(every).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "positions can't be read");
                        tokio::time::sleep(REST).await;
                    }
                }
            }
        }
    }
}

impl Waiter {
    /// Returns once a look has ended that began after the wait did.
    pub(crate) async fn fresh(&mut self) {
        let before = self.before;
        // The sender lives as long as the process; were it gone, nobody would look any more.
        if self.looks.wait_for(|look| *look > before).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What is known now.
    pub(crate) fn seen(&mut self) -> Seen {
        *self.seen.borrow_and_update()
    }

    /// Returns once something else is known.
    pub(crate) async fn moved(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32) -> Place {
        Place { projection: "p".into(), generation: 1, service: "s".into(), partition }
    }

    fn at(next: i64) -> Seen {
        Seen::At(Standing { next, epoch: 1 })
    }

    #[test]
    fn a_place_never_goes_back() {
        let positions = Positions::new();
        let mut waiter = positions.wait(place(0));
        for (saw, known) in
            [(at(3), at(3)), (at(2), at(3)), (Seen::At(Standing { next: 1, epoch: 2 }), Seen::At(Standing { next: 1, epoch: 2 }))]
        {
            positions.saw(&place(0), saw);
            assert_eq!(waiter.seen(), known);
        }
    }

    #[test]
    fn what_nobody_waits_for_is_not_looked_at_and_what_does_not_exist_leaves_nothing_behind() {
        let positions = Positions::new();
        let one = positions.wait(place(1));
        let two = positions.wait(place(2));
        assert_eq!(positions.begin().1, [place(1), place(2)]);
        positions.saw(&place(1), at(3));
        positions.saw(&place(2), Seen::Nowhere);
        drop((one, two));
        assert!(positions.begin().1.is_empty());
        assert_eq!(positions.known(&place(1)), at(3));
        assert_eq!(positions.known(&place(2)), Seen::NotYet);
    }

    #[tokio::test]
    async fn only_a_look_that_began_later_is_fresh() {
        let positions = Positions::new();
        let (running, _) = positions.begin();
        let mut waiter = positions.wait(place(0));
        positions.looks.send_replace(running);
        assert!(tokio::time::timeout(Duration::from_millis(20), waiter.fresh()).await.is_err());
        let (next, _) = positions.begin();
        positions.looks.send_replace(next);
        waiter.fresh().await;
    }
}
