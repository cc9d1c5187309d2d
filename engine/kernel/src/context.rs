//! A decision's knowledge besides state and command.

use std::cell::Cell;

use daybook_proto::v1::Caller;
use uuid::Uuid;

use crate::{Instant, ids};

/// Time, ids and caller: handed in, so that a command can be decided again later and compared.
#[derive(Debug)]
pub struct Context {
    now: Instant,
    command_id: Uuid,
    caller: Caller,
    actor: String,
    reason: String,
    handed_out: Cell<u32>,
}

impl Context {
    /// `now` is the page's time, one for all its commands.
    pub fn new(now: Instant, command_id: Uuid) -> Self {
        Self { now, command_id, caller: Caller::default(), actor: String::new(), reason: String::new(), handed_out: Cell::new(0) }
    }

    /// The caller, the actor and the reason, as the request said.
    pub fn with_request(mut self, caller: &Caller, actor: &str, reason: &str) -> Self {
        self.caller.clone_from(caller);
        actor.clone_into(&mut self.actor);
        reason.clone_into(&mut self.reason);
        self
    }

    /// The page's time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The command's id.
    pub fn command_id(&self) -> Uuid {
        self.command_id
    }

    /// The caller, as the install has found out.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The actor that the caller asks for; may be empty.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Why; may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// A new id: UUIDv5 of the command's id and the number of ids asked for before, so deciding again gives it again.
    pub fn new_id(&self) -> Uuid {
        let n = self.handed_out.get();
        self.handed_out.set(n + 1);
        ids::new_id(self.command_id, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciding_again_hands_out_the_same_ids() {
        let context = || Context::new(Instant::from_micros(1), Uuid::from_u128(9));
        let (first, again) = (context(), context());
        assert_eq!((first.new_id(), first.new_id()), (again.new_id(), again.new_id()));
        assert_ne!(first.new_id(), first.new_id());
    }
}
