//! The work of operations' verbs. Each verb returns a value that can be serialised, and writes nothing to standard output: the command line
//! prints it ([`crate::answers`]). Verbs that are not here return such a value by themselves: `verify`, `show`, `reconcile`, `rebuild` and
//! `promote` of [`daybook_replay`].

pub(crate) mod calls;
pub(crate) mod deadlines;
pub(crate) mod parked;
pub(crate) mod read_models;
pub(crate) mod reconciling;
pub(crate) mod reports;

use daybook_reactors::Rule;
use daybook_replay::ReplayError;

use crate::roles::{registry, rules};
use crate::settings::usage;

/// The rules that follow this service's log; of all services, where none is named.
///
/// # Errors
/// Wrong usage: there is no such service.
fn rules_of(service: Option<&str>) -> anyhow::Result<Vec<Rule>> {
    let services = registry()?.services().into_iter().map(str::to_owned).collect::<Vec<_>>();
    if let Some(unknown) = service.filter(|service| !services.iter().any(|known| known == service)) {
        return Err(usage(format!("--service: this build has no service {unknown:?}; it has {}", services.join(", "))));
    }
    Ok(rules().into_iter().filter(|rule| service.is_none_or(|service| rule.service() == service)).collect())
}

/// An audit's error, told apart: a request for something that does not exist is wrong usage, not a failing infrastructure.
pub(crate) fn replay_error(error: impl Into<ReplayError>) -> anyhow::Error {
    let error = error.into();
    if error.is_usage() { usage(error.to_string()) } else { error.into() }
}
