//! The work of operations' verbs. Each verb returns a value that can be serialised, and writes nothing to standard output: the command line
//! prints it ([`crate::answers`]). Verbs that are not here return such a value by themselves: `verify`, `show`, `reconcile`, `rebuild` and
//! `promote` of [`daybook_replay`].

pub(crate) mod deadlines;
pub(crate) mod parked;
pub(crate) mod read_models;
pub(crate) mod reports;

use daybook_replay::ReplayError;

use crate::settings::usage;

/// An audit's error, told apart: a request for something that does not exist is wrong usage, not a failing infrastructure.
pub(crate) fn replay_error(error: impl Into<ReplayError>) -> anyhow::Error {
    let error = error.into();
    if error.is_usage() { usage(error.to_string()) } else { error.into() }
}
