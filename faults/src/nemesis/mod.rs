//! Faults that are made on purpose. Each nemesis makes its fault, holds it, heals it, and says how often it really happened.

mod clock;
mod disk;
mod garbage;
mod groups;
mod kafka;
mod kills;
mod lanes;
mod marks;
mod net;
mod outside;
mod pauses;
mod points;
mod poison;
mod postgres;
mod postgres_log;
mod provoke;
mod repeats;
mod restore;
mod services;
mod takeovers;
mod transactions;

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::cluster::{Cluster, Member};
use crate::evidence::Past;
use crate::workload::Http;
pub use provoke::Asked;

/// A strike under way.
pub type Striking<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Struck>> + Send + 'a>>;

/// Something that can be broken.
pub trait Nemesis: Send + Sync {
    /// In kebab-case; never another.
    fn name(&self) -> &'static str;

    /// In a sentence, for people.
    fn about(&self) -> &'static str;

    /// # Errors
    /// Why it can't run here, for the list of what was NOT RUN.
    fn can_run(&self, cluster: &Cluster) -> Result<(), String>;

    /// The longest that everything may take to be as before, from the fault's end.
    fn within(&self) -> Duration;

    /// Whether it strikes once, alone, when all others have: what is behind it is another past.
    fn is_last(&self) -> bool {
        false
    }

    /// Makes the fault, holds it, heals it. A fault that did not happen is no error: it is fired 0 times.
    fn strike<'a>(&'a self, cluster: &'a Cluster, random: &'a mut StdRng, http: &'a Http) -> Striking<'a>;
}

/// The result of a strike.
#[derive(Debug)]
pub struct Struck {
    /// The number of times that the fault really happened.
    pub fired: u64,
    /// A remark.
    pub notes: Vec<String>,
    /// When the fault was over: from then on everything has to find its way back.
    pub over: Instant,
    /// Questions that were asked meanwhile.
    pub asked: Asked,
    /// The logs that it took away.
    pub past: Option<Box<Past>>,
}

impl Struck {
    /// Now over.
    fn times(fired: u64) -> Self {
        Self { fired, notes: Vec::new(), over: Instant::now(), asked: Asked::default(), past: None }
    }

    fn asked(self, asked: Asked) -> Self {
        Self { asked, ..self }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// Every nemesis, in the order of the list; those of the world outside where clients place `orders`.
pub fn all(orders: bool) -> Vec<Box<dyn Nemesis>> {
    let outside = if orders { points::of_orders().into_iter().chain(outside::all()).chain(restore::all()).collect() } else { Vec::new() };
    let lists = [
        kills::all(),
        points::all(),
        pauses::all(),
        services::all(),
        net::all(),
        postgres::all(),
        disk::all(),
        kafka::all(),
        groups::all(),
        takeovers::all(),
        clock::all(),
        poison::all(),
        repeats::all(),
        transactions::all(),
        outside,
    ];
    lists.into_iter().flatten().map(|fault| Box::new(fault) as Box<dyn Nemesis>).collect()
}

/// The field that a strike works in.
struct Field<'a> {
    cluster: &'a Cluster,
    random: &'a mut StdRng,
    http: &'a Http,
}

/// The longest that it may take until some process runs again.
const RUNS_AGAIN: Duration = Duration::from_secs(10);

type Strike = Box<dyn for<'a> Fn(Field<'a>) -> Striking<'a> + Send + Sync>;

/// A nemesis, as the lists have them.
struct Fault {
    name: &'static str,
    about: &'static str,
    within: Duration,
    can_run: fn(&Cluster) -> Result<(), String>,
    is_last: bool,
    strike: Strike,
}

impl Fault {
    /// One that can always run; `within` in seconds.
    fn new(
        name: &'static str,
        about: &'static str,
        within: u64,
        strike: impl for<'a> Fn(Field<'a>) -> Striking<'a> + Send + Sync + 'static,
    ) -> Self {
        Self { name, about, within: Duration::from_secs(within), can_run: |_| Ok(()), is_last: false, strike: Box::new(strike) }
    }

    fn when(self, can_run: fn(&Cluster) -> Result<(), String>) -> Self {
        Self { can_run, ..self }
    }

    fn last(self) -> Self {
        Self { is_last: true, ..self }
    }
}

impl Nemesis for Fault {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn can_run(&self, cluster: &Cluster) -> Result<(), String> {
        (self.can_run)(cluster)
    }

    fn within(&self) -> Duration {
        self.within
    }

    fn is_last(&self) -> bool {
        self.is_last
    }

    fn strike<'a>(&'a self, cluster: &'a Cluster, random: &'a mut StdRng, http: &'a Http) -> Striking<'a> {
        (self.strike)(Field { cluster, random, http })
    }
}

impl Field<'_> {
    /// One of these.
    fn any<T>(&mut self, mut these: Vec<T>) -> anyhow::Result<T> {
        anyhow::ensure!(!these.is_empty(), "there is nobody to choose from");
        Ok(these.swap_remove(self.random.random_range(0..these.len())))
    }

    /// One of these that runs, and that nobody else has paused: two faults on one process would undo each other. In company all of
    /// them may have been killed a moment ago.
    async fn any_running(&mut self, members: impl Fn(&Cluster) -> Vec<Member>) -> anyhow::Result<Member> {
        let runs = |member: &Member| member.pid.is_some() && !member.paused && !member.held_down;
        let running = || members(self.cluster).into_iter().filter(runs).collect::<Vec<_>>();
        until(RUNS_AGAIN, || !running().is_empty()).await;
        let running = running();
        self.any(running)
    }

    /// Milliseconds between these.
    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.random.random_range(from..to))
    }

    /// A moment that nobody can foresee.
    async fn any_moment(&mut self) {
        tokio::time::sleep(self.millis(0, 700)).await;
    }
}

/// Heals when it goes: whatever ends a strike ends its fault.
struct Heal<F: FnMut()>(F);

impl<F: FnMut()> Drop for Heal<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Looks until it is so, at most so long; whether it is.
async fn until(patience: Duration, mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !so() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_nemesis_has_a_name_of_its_own_and_every_point_a_nemesis() {
        let all = all(true);
        let names: BTreeSet<&str> = all.iter().map(|nemesis| nemesis.name()).collect();
        assert_eq!(names.len(), all.len());
        for point in daybook_failpoint::POINTS {
            assert!(names.contains(format!("point-{point}").as_str()), "{point}");
        }
        let kebab = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '.');
        assert!(names.iter().all(|name| kebab(name)), "{names:?}");
    }

    #[tokio::test]
    async fn whatever_ends_a_strike_heals_it() {
        let healed = std::cell::Cell::new(0);
        let strike = async {
            let _heal = Heal(|| healed.set(healed.get() + 1));
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(Duration::from_millis(1), strike).await;
        assert_eq!(healed.get(), 1);
    }
}
