//! The list of places is true of the sources; and, with the feature, what happens at a place that is armed.

#[cfg(feature = "armed")]
mod armed;
mod sources;
