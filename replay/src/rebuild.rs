//! `rebuild`: a read model folded again, beside the live generation; compared with it; and then dropped, kept, or served.

use std::fmt;
use std::sync::Arc;

use daybook_bus::BusConfig;
use daybook_kernel::ReadModel;
use daybook_postgres::{Databases, OwnConnection, Role};
use daybook_projections::lifecycle::{Building, LifecycleError, known_generations, live_generation};
use daybook_projections::rebuild::{Filled, RebuildOptions, RebuildPhase, RebuildProgress, Tail};
use daybook_proto::DescriptorPool;
use serde::Serialize;

use crate::ReplayError;
use crate::diff::{DiffOptions, DiffReport, compare};
use crate::promote::{PromoteOptions, Promoted, promote, switch};
use crate::report::Counted;

/// The end of a generation that was rebuilt.
#[derive(Clone, Debug, Default)]
pub enum Then {
    /// It is dropped: the comparison was all that was wanted.
    #[default]
    Drop,
    /// It stays, `ready`.
    Keep,
    /// It is served, unless it differs from the live one.
    Promote {
        /// Kafka, to tell the query API's processes.
        bus: BusConfig,
        /// The longest that it may take.
        options: PromoteOptions,
        /// It may differ: the fold was changed.
        accept_differences: bool,
        /// Fields that may differ, as [`crate::FieldDifference::field`] names them, each with all that lies below it.
        expect: Vec<String>,
    },
}

/// Settings of a rebuild.
#[derive(Clone, Debug, Default)]
pub struct RebuildRequest {
    /// Settings of reading and folding.
    pub options: RebuildOptions,
    /// Settings of the comparison.
    pub diff: DiffOptions,
    /// The end of the new generation.
    pub then: Then,
}

/// The end of the new generation, as it came to pass.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum RebuildOutcome {
    /// It is gone.
    Dropped,
    /// It is ready.
    Ready,
    /// It is served.
    Promoted(Promoted),
    /// It is ready, and was not to be served as it is.
    Refused {
        /// Why.
        why: String,
    },
}

/// The report of a rebuild.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildReport {
    /// The read model.
    pub projection: String,
    /// The new generation.
    pub generation: i32,
    /// The events and streams that it was filled with.
    pub filled: Filled,
    /// Its comparison with the live generation.
    pub diff: DiffReport,
    /// The end of it.
    pub outcome: RebuildOutcome,
    /// The time that folding, filling and indexing took, in seconds.
    pub seconds: f64,
}

impl RebuildReport {
    /// Whether nothing needs a look: it is identical to the live one, or is served.
    pub fn is_good(&self) -> bool {
        match self.outcome {
            RebuildOutcome::Dropped | RebuildOutcome::Ready => self.diff.is_identical(),
            RebuildOutcome::Promoted(_) => true,
            RebuildOutcome::Refused { .. } => false,
        }
    }
}

/// Folds a read model from its logs into a new generation, and compares that with the live one. When it is dropped half-way the
/// new generation is dead: `daybook_projections::lifecycle::clear_dead` or the next rebuild clears it away.
///
/// # Errors
/// When it was never migrated, somebody else rebuilds it, a log is damaged, or a database does not answer. What was begun is cleared away.
pub async fn rebuild(
    databases: &Databases,
    model: &ReadModel,
    pool: &DescriptorPool,
    request: &RebuildRequest,
    progress: &Arc<RebuildProgress>,
) -> Result<RebuildReport, ReplayError> {
    // A read model that was never migrated has nothing to compare with: it is refused before a number is taken for ever.
    let owner = OwnConnection::new(databases.read_url(), None, &[], "daybook rebuild").await?;
    live_generation(&owner, model.name).await?;
    drop(owner);
    // Partitions that are read at once, and one that is asked for its end.
    let mut building = Building::begin(databases, model).await?;
    match fill_and_compare(databases, model, pool, request, progress, &mut building).await {
        Ok((filled, diff, seconds)) => {
            let generation = building.number();
            let outcome = conclude(databases, model, pool, request, building, &diff).await?;
            Ok(RebuildReport { projection: model.name.to_owned(), generation, filled, diff, outcome, seconds })
        }
        Err(error) => {
            // The first error is worth more than one of clearing up: the next rebuild clears up then.
            if let Err(left) = building.discard().await {
                tracing::warn!(%left, "the unfinished generation could not be dropped; the next rebuild drops it");
            }
            Err(error)
        }
    }
}

async fn fill_and_compare(
    databases: &Databases,
    model: &ReadModel,
    pool: &DescriptorPool,
    request: &RebuildRequest,
    progress: &Arc<RebuildProgress>,
    building: &mut Building,
) -> Result<(Filled, DiffReport, f64), ReplayError> {
    let begun = std::time::Instant::now();
    let filled = building.fill(&request.options, progress).await?;
    let seconds = begun.elapsed().as_secs_f64();
    progress.enter(RebuildPhase::CatchingUp);
    let mut tail = building.tail().await?;
    catch_up(&mut tail).await?;
    progress.enter(RebuildPhase::Comparing);
    let session = OwnConnection::new(databases.read_url(), Some(Role::Reader), &[], "daybook rebuild").await?;
    let live = live_generation(&session, model.name).await?;
    let all = known_generations(&session, model.name).await?;
    let new = all.iter().find(|g| g.number == building.number());
    let new = new.ok_or_else(|| LifecycleError::Refused(format!("generation {} of {} is gone", building.number(), model.name)))?;
    let diff = compare(databases, model, pool, (&live, new), &request.diff, Some(&mut tail)).await?;
    catch_up(&mut tail).await?;
    Ok((filled, diff, seconds))
}

/// Until a round has found next to nothing: what comes then is what is being written this moment. A round that finds no less
/// than the one before is the last, too: more is written than can be folded, and further rounds would only grow. What the new
/// generation is behind by then the comparison calls unsettled, and a promotion waits for it as long as it may.
async fn catch_up(tail: &mut Tail) -> Result<(), ReplayError> {
    const NEXT_TO_NOTHING: i64 = 100;
    const ROUNDS: u32 = 20;
    let mut before = i64::MAX;
    for _ in 0..ROUNDS {
        let found = tail.catch_up().await?;
        if found < NEXT_TO_NOTHING {
            break;
        }
        if found >= before {
            tracing::warn!(found, before, "more is written than can be folded; the new generation stays behind");
            break;
        }
        before = found;
    }
    Ok(())
}

async fn conclude(
    databases: &Databases,
    model: &ReadModel,
    pool: &DescriptorPool,
    request: &RebuildRequest,
    building: Building,
    diff: &DiffReport,
) -> Result<RebuildOutcome, ReplayError> {
    let (bus, options, accept, expect) = match &request.then {
        Then::Drop => {
            building.discard().await?;
            return Ok(RebuildOutcome::Dropped);
        }
        Then::Keep => {
            building.finish().await?;
            return Ok(RebuildOutcome::Ready);
        }
        Then::Promote { bus, options, accept_differences, expect } => (bus, options, *accept_differences, expect),
    };
    let number = building.finish().await?;
    let refused = |why: String| Ok(RebuildOutcome::Refused { why });
    if diff.undecodable > 0 {
        return refused(format!("{} parts are no message of the read model", diff.undecodable));
    }
    if !accept && !diff.is_identical() && !diff.is_expected(expect) {
        let all_the_same = "--accept-differences promotes it all the same";
        return refused(match diff.unsettled {
            0 => format!("it differs from the live one: {all_the_same}, when the fold was changed"),
            n => format!("{n} parts could not be compared with the live one's, whose projectors are behind: try again; {all_the_same}"),
        });
    }
    // Parts that could not be compared have not been decoded either.
    let promoted = match diff.unsettled {
        0 => switch(databases, bus, model, Some(number), options).await,
        _ => promote(databases, bus, model, pool, Some(number), options).await,
    };
    match promoted {
        Ok(promoted) => Ok(RebuildOutcome::Promoted(promoted)),
        Err(error) if error.is_refusal() => refused(error.to_string()),
        Err(error) => Err(error),
    }
}

impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { projection, generation, filled, seconds, .. } = self;
        writeln!(
            f,
            "{projection} generation {generation}: {} of {} in {seconds:.1} s ({:.0} a second), {} over partitions",
            Counted(filled.events, "event"),
            Counted(filled.streams, "stream"),
            filled.events as f64 / seconds.max(1e-6),
            Counted(filled.passes, "pass")
        )?;
        for p in &filled.parked {
            writeln!(f, "  parked: {} {} at {}/{}:{}: {}", p.service, p.stream, p.service, p.partition, p.offset, p.reason)?;
        }
        write!(f, "{}", self.diff)?;
        match &self.outcome {
            RebuildOutcome::Dropped => writeln!(f, "generation {generation} was dropped again"),
            RebuildOutcome::Ready => {
                writeln!(f, "generation {generation} is ready: daybook replay promote {projection} --generation {generation}")
            }
            RebuildOutcome::Promoted(promoted) => write!(f, "{promoted}"),
            RebuildOutcome::Refused { why } => writeln!(
                f,
                "generation {generation} was NOT promoted: {why}\nit is ready; daybook replay retire {projection} --generation {generation} drops it"
            ),
        }
    }
}

impl fmt::Display for Promoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.promotion.from.map_or_else(String::new, |from| format!("; generation {from} is kept"));
        writeln!(f, "generation {} is live{kept}", self.promotion.to)?;
        if let Some(why) = &self.unannounced {
            writeln!(f, "  processes of the query API could not be told ({why}): they find it in the database")?;
        }
        let Some(pods) = &self.pods else { return Ok(()) };
        if pods.moved.is_empty() && pods.elsewhere.is_empty() {
            return writeln!(f, "  no process of the query API says that it is alive");
        }
        let serve = if pods.moved.len() == 1 { "serves" } else { "serve" };
        writeln!(f, "  {} of the query API {serve} it", Counted(pods.moved.len(), "process"))?;
        pods.elsewhere.iter().try_for_each(|(pod, on)| writeln!(f, "  NOT moved yet: {pod}, which serves generation {on}"))
    }
}
