//! Dropping a generation that is of no more use.

use daybook_bus::BusConfig;
use daybook_kernel::ReadModel;
use daybook_postgres::{Databases, OwnConnection};
use tokio_postgres::Transaction;

use super::list::locked_generations;
use super::{GenerationState, LifecycleError, PodsView, sql};
use crate::sql as tables;

/// Drops the tables of a generation that is ready or kept; its number is never given again.
///
/// # Errors
/// [`LifecycleError::Usage`] when there is no such generation; [`LifecycleError::Refused`] when it is live, is being built, or a pod
/// of the query API still answers from it; otherwise when Postgres or Kafka does not answer.
pub async fn retire(databases: &Databases, bus: &BusConfig, model: &ReadModel, number: i32) -> Result<(), LifecycleError> {
    let name = model.name;
    let mut owner = OwnConnection::new(databases.read_url(), None, &[("lock_timeout", "30000")], "daybook retire").await?;
    let transaction = owner.transaction().await?;
    // Nobody makes it live meanwhile.
    let all = locked_generations(&transaction, name).await?;
    let generation = all.into_iter().find(|g| g.number == number);
    let generation = generation.ok_or_else(|| LifecycleError::Usage(format!("{name} has no generation {number}")))?;
    match generation.state {
        GenerationState::Ready | GenerationState::Kept => {}
        GenerationState::Retired => return Err(LifecycleError::Usage(format!("{name} generation {number} is retired already"))),
        GenerationState::Live => {
            return Err(LifecycleError::Refused(format!("{name} generation {number} is live: promote another one first")));
        }
        GenerationState::Building => {
            return Err(LifecycleError::Refused(format!(
                "{name} generation {number} is being built: end the rebuild, it clears up behind itself"
            )));
        }
    }
    let serving: Vec<String> =
        PodsView::open(bus).await?.alive(name).await?.into_iter().filter(|(_, on)| *on == number).map(|(id, _)| id).collect();
    if !serving.is_empty() {
        let pods = serving.join(", ");
        return Err(LifecycleError::Refused(format!("{name} generation {number} is still served by {pods}: wait until they have moved")));
    }
    erase(&transaction, name, number, &generation.parts, generation.state).await?;
    Ok(transaction.commit().await?)
}

/// Drops a generation's tables and all that is kept of it but its row: were its number given again, a watcher of its
/// checkpoints, or hears of its pushes late, would take the one for the other.
pub(super) async fn erase(
    transaction: &Transaction<'_>,
    model: &str,
    number: i32,
    parts: &str,
    was: GenerationState,
) -> Result<(), LifecycleError> {
    // The tables first: a projector's statement has them locked before it asks for the checkpoint.
    transaction.batch_execute(&tables::at(sql::DROP_GENERATION, parts)).await?;
    transaction.execute(sql::FORGET_GENERATION, &[&model, &number]).await?;
    let (retired, was) = (GenerationState::Retired.as_str(), [was.as_str()]);
    transaction.execute(sql::SET_GENERATION_STATE, &[&model, &number, &retired, &was.as_slice()]).await?;
    Ok(())
}
