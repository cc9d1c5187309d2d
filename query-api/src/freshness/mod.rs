//! Keeping memory fresh: which generation answers, what is pushed of it, looks into the database, and what the processes of the
//! query API tell each other.

pub(crate) mod feed;
mod generations;
mod pods;
mod staging;
mod watch;

pub(crate) use feed::Feed;
#[cfg(test)]
pub(crate) use feed::take_one;
pub(crate) use generations::Generations;
#[cfg(test)]
pub(crate) use generations::is_as_far;
pub(crate) use pods::Pods;
#[cfg(test)]
pub(crate) use staging::Staging;
pub(crate) use watch::Watch;
