//! `?at=` of the query API: what `replay as-of` folds, for those who ask over HTTP.

use std::sync::Arc;

use daybook_postgres::Databases;
use daybook_query_api::{Moment, Past, PastError, Was};
use daybook_replay::{At, ReplayError, as_of};
use shop_projectors::read_models;

/// Reads from these logs.
pub(crate) fn past(databases: Databases) -> Past {
    Arc::new(move |name, key, moment| {
        let databases = databases.clone();
        Box::pin(async move {
            let Some(model) = read_models().into_iter().find(|m| m.name == name) else { return Ok(None) };
            let at = match moment {
                Moment::Time(time) => At::Time(time),
                Moment::Tokens(tokens) => At::Tokens(tokens),
            };
            let was = as_of(&databases, &model, &key, &at).await.map_err(|error| match error {
                ReplayError::Usage(why) => PastError::Moment(why),
                other => PastError::Unreachable(other.to_string()),
            })?;
            Ok(was.map(|was| Was {
                bytes: was.bytes,
                positions: was.positions.into_iter().map(|p| p.token).collect(),
                stale: was.stopped.into_iter().map(|s| s.stream).collect(),
            }))
        })
    })
}
