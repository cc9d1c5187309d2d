//! Ways on which a process dies.

use super::*;

pub(super) const ALL: [Way; 2] = [a_follower_dies, an_effect_dies];

/// The followers of the orders' log die when a piece that came back is on the shelf again.
pub(in crate::search) fn a_follower_dies(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], Left { crashes: 1, ..CALM })?;
    way.go(Move::Dispatch(1))?;
    way.all()?;
    way.go(Move::Delivered(1))?;
    way.all()?;
    way.go(Move::Return("A-1"))?;
    way.all()?;
    way.go(Move::Crash("order"))?;
    way.ends()
}

/// The effect dies when the provider has taken the money, or has given it back, and nobody has heard of it.
pub(in crate::search) fn an_effect_dies(search: &mut Search) -> Result<(), Found> {
    let mut way = Script::confirmed(search, TWO_WAREHOUSES, [2, 1], Left { crashes: 1, ..CALM })?;
    way.go(Move::Dispatch(1))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.go(Move::Die(0))?;
    way.all()?;
    way.ends()?;
    let mut way = Script::confirmed(search, ONE_WAREHOUSE, [2, 1], Left { crashes: 1, ..CALM })?;
    way.go(Move::Dispatch(1))?;
    way.go(Move::Delivered(1))?;
    way.all()?;
    way.go(Move::Return("A-1"))?;
    way.settle(&[("provider", "payment")], Says::Yes)?;
    way.go(Move::Die(0))?;
    way.all()?;
    way.ends()
}
