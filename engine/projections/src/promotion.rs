//! Promotion: another generation is served from now on. The switch is one transaction, forwards or back.

use std::time::{Duration, Instant};

use daybook_kernel::ReadModel;
use daybook_postgres::{Databases, OwnConnection};
use serde::Serialize;

use crate::lifecycle::{GenerationState, KnownGeneration, LifecycleError, locked_generations, sql};
use crate::rebuild::{Places, Tail};
use crate::{fingerprint, rows};

/// Between two attempts the new generation is folded up to the log's end, so an attempt seldom finds it behind twice.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest time that the live generation may be held where it is, so that the new one can reach it: under load it is always
/// an event or two further on. Its readers' tokens wait as long.
const HELD: Duration = Duration::from_secs(1);
/// Longest time that [`meet`] tries.
const MET: Duration = Duration::from_secs(5);
/// Longest time that whoever reads a view of it is waited for.
const READERS: Duration = Duration::from_secs(2);
/// So many events are folded in much less than a second.
const NEAR: i64 = 5_000;
/// Streams that a refusal names.
const NAMED: usize = 5;

/// A switch that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// The generation that was live, and is kept; none when there was none.
    pub from: Option<i32>,
    /// The generation that is live.
    pub to: i32,
}

enum Attempt {
    Done(Promotion),
    /// It must wait for this.
    Behind(String, KnownGeneration),
}

/// Makes a generation the live one, and keeps the one that was. Without a number: the newest that is ready. While it is behind the live one
/// it is folded on, for at most `patience`.
///
/// # Errors
/// [`LifecycleError::Refused`] when it was made by other folds than this build's, is behind when `patience` has ended, or
/// has streams parked that the live one has not; [`LifecycleError::Usage`] when there is nothing to promote; otherwise
/// when Postgres does not answer.
pub async fn promote(
    databases: &Databases,
    model: &ReadModel,
    number: Option<i32>,
    patience: Duration,
) -> Result<Promotion, LifecycleError> {
    let settings = [("lock_timeout", "10000")];
    let mut owner = OwnConnection::new(databases.read_url(), None, &settings, "daybook promote").await?;
    let until = Instant::now() + patience;
    let (mut tail, mut folded): (Option<Tail>, _) = (None, 0);
    loop {
        let (why, behind) = match attempt(&mut owner, model, number, tail.as_mut()).await? {
            Attempt::Done(promotion) => return Ok(promotion),
            Attempt::Behind(why, generation) => (why, generation),
        };
        if Instant::now() >= until {
            let waited = format!("it was folded on for {} s, by {folded} events", patience.as_secs());
            let advice = "where more than that is written, promote when less is, or wait longer";
            return Err(LifecycleError::Refused(format!("{why}; {waited}: {advice}")));
        }
        if tail.is_none() {
            tail = Some(Tail::of(databases, model, &behind).await?);
        }
        if let Some(tail) = &mut tail {
            folded += tail.catch_up_until(until).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The generation that is meant, if it may be served.
fn candidate<'a>(model: &ReadModel, all: &'a [KnownGeneration], number: Option<i32>) -> Result<&'a KnownGeneration, LifecycleError> {
    let name = model.name;
    let found = match number {
        Some(n) => all.iter().find(|g| g.number == n).ok_or_else(|| format!("{name} has no generation {n}")),
        None => all.iter().rfind(|g| g.state == GenerationState::Ready).ok_or_else(|| {
            format!("no generation of {name} is ready: make one with `daybook replay rebuild {name} --keep`, or name one with --generation")
        }),
    };
    let generation = found.map_err(LifecycleError::Usage)?;
    match generation.state {
        GenerationState::Ready | GenerationState::Kept => {}
        GenerationState::Live => return Err(LifecycleError::Usage(format!("{name} generation {} is live already", generation.number))),
        state => return Err(LifecycleError::Usage(format!("{name} generation {} is {state}", generation.number))),
    }
    if generation.fingerprint != fingerprint(model) {
        return Err(LifecycleError::Refused(format!(
            "{name} generation {} was filled by other folds than this build's: the build that made it can promote it",
            generation.number
        )));
    }
    Ok(generation)
}

/// Switches, unless the new generation is behind. A tail folds it on while the live one stands still.
async fn attempt(
    owner: &mut OwnConnection,
    model: &ReadModel,
    number: Option<i32>,
    tail: Option<&mut Tail>,
) -> Result<Attempt, LifecycleError> {
    let name = model.name;
    let transaction = owner.transaction().await?;
    // Nobody else switches, retires or finishes one meanwhile.
    let all = locked_generations(&transaction, name).await?;
    let new = candidate(model, &all, number)?;
    let live = all.iter().find(|g| g.state == GenerationState::Live);
    if let Some(live) = live {
        let must = hold(&transaction, name, live.number).await?;
        if let Some(tail) = tail {
            tail.catch_up_until(Instant::now() + HELD).await?;
        }
        let stands = hold(&transaction, name, new.number).await?;
        // Tokens of services that this build's folds do not read are not waited for.
        for ((service, n), (old, epoch)) in must.iter().filter(|((service, _), _)| model.services().contains(&service.as_str())) {
            let now = stands.get(&(service.clone(), *n)).copied().unwrap_or((0, 0));
            if now.0 < *old || now.1 < *epoch {
                let why = format!(
                    "{name} generation {} is behind the live one: at {service}/{n} it stands at offset {} of epoch {}, generation {} at \
                     {old} of epoch {epoch}",
                    new.number, now.0, now.1, live.number
                );
                return Ok(Attempt::Behind(why, new.clone()));
            }
        }
        let parked = transaction.query(sql::NEWLY_PARKED, &[&name, &new.number, &live.number]).await?;
        if !parked.is_empty() {
            let some: Vec<String> = parked.iter().take(NAMED).map(|r| format!("{} {}", r.get::<_, &str>(0), r.get::<_, &str>(1))).collect();
            let (n, some, number) = (parked.len(), some.join(", "), new.number);
            return Err(LifecycleError::Refused(format!(
                "{n} streams are parked in {name} generation {number} that are not in the live one ({some}{}): see `daybook replay \
                 diff {name}`; mend the fold, or skip their events",
                if n > NAMED { ", …" } else { "" }
            )));
        }
        let (kept, was) = (GenerationState::Kept.as_str(), [GenerationState::Live.as_str()]);
        transaction.execute(sql::SET_GENERATION_STATE, &[&name, &live.number, &kept, &was.as_slice()]).await?;
    }
    let (served, was) = (GenerationState::Live.as_str(), [new.state.as_str()]);
    transaction.execute(sql::SET_GENERATION_STATE, &[&name, &new.number, &served, &was.as_slice()]).await?;
    // Both generations' checkpoints are held: who reads a view for long must not hold them up.
    transaction.batch_execute(&format!("SET LOCAL lock_timeout = {}", READERS.as_millis())).await?;
    rows::show(&transaction, model, &new.parts).await?;
    let promotion = Promotion { from: live.map(|g| g.number), to: new.number };
    daybook_failpoint::reach("promote.before-switch");
    transaction.commit().await?;
    daybook_failpoint::reach("promote.after-switch");
    Ok(Attempt::Done(promotion))
}

/// Holds the live generation where it is, folds a newer one up to just there, and does something while both stand at the same place:
/// what is written all the time is compared in no other way. None: the live one does not come to where the newer one stands within
/// 5 s, or is moving too fast to be met.
///
/// # Errors
/// When Postgres does not answer, or a log is damaged.
pub async fn meet<T>(
    databases: &Databases,
    model: &ReadModel,
    live: i32,
    tail: &mut Tail,
    then: impl AsyncFnOnce() -> T,
) -> Result<Option<T>, LifecycleError> {
    let settings = [("lock_timeout", "10000")];
    let mut owner = OwnConnection::new(databases.read_url(), None, &settings, "daybook diff").await?;
    let until = Instant::now() + MET;
    while Instant::now() < until {
        let transaction = owner.transaction().await?;
        let places = hold(&transaction, model.name, live).await?;
        let events = tail.before(&places);
        if events.is_some_and(|events| events <= NEAR) {
            tail.catch_up_to(&places).await?;
            let outcome = then().await;
            transaction.rollback().await?;
            return Ok(Some(outcome));
        }
        transaction.rollback().await?;
        match events {
            // It must not stand still for as long as that takes.
            Some(_) => tail.catch_up_to(&places).await?,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
    Ok(None)
}

/// The places where a generation stands, by source: it stays there until the transaction ends.
async fn hold(transaction: &tokio_postgres::Transaction<'_>, name: &str, generation: i32) -> Result<Places, LifecycleError> {
    let rows = transaction.query(sql::LOCK_CHECKPOINTS, &[&name, &generation]).await?;
    Ok(rows.iter().map(|r| ((r.get(0), r.get(1)), (r.get(2), r.get(3)))).collect())
}
