//! The observers of one read model, whichever of its generations answers: followers, those who subscribe to a key, counts.

mod follower;
mod hot;
mod meters;
mod subscriptions;

use std::sync::Arc;

pub(crate) use follower::{Change, Content, Follower};
pub(crate) use hot::Hot;
pub(crate) use meters::Meters;
pub(crate) use subscriptions::{Subscription, Subscriptions};

/// The observers of a read model.
pub(crate) struct Observers {
    pub(crate) followers: Vec<Arc<dyn Follower>>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) meters: Meters,
    pub(crate) hot: Hot,
}

impl Observers {
    /// Those of a read model that nobody subscribes to yet.
    pub(crate) fn new(model: &str, followers: Vec<Arc<dyn Follower>>) -> Self {
        Self { followers, subscriptions: Arc::default(), meters: Meters::new(model), hot: Hot::default() }
    }
}
