//! A decision's knowledge besides state and command.

use std::cell::Cell;
use std::sync::Arc;

use daybook_proto::v1::Caller;
use uuid::Uuid;

use crate::{Instant, Secret, Wait, Waits, ids};

/// Time, ids, caller and the install's secret: handed in, so that a command can be decided again later and compared.
#[derive(Debug)]
pub struct Context {
    now: Instant,
    command_id: Uuid,
    secret: Secret,
    caller: Caller,
    actor: String,
    reason: String,
    handed_out: Cell<u32>,
    waits: Arc<Waits>,
}

impl Context {
    /// `now` is the page's time, one for all its commands. `secret` is the install's: whoever decides again under another one gets other
    /// hashes.
    pub fn new(now: Instant, command_id: Uuid, secret: &Secret) -> Self {
        Self {
            now,
            command_id,
            secret: secret.clone(),
            caller: Caller::default(),
            actor: String::new(),
            reason: String::new(),
            handed_out: Cell::new(0),
            waits: Arc::default(),
        }
    }

    /// The caller, the actor and the reason, as the request said.
    pub fn with_request(mut self, caller: &Caller, actor: &str, reason: &str) -> Self {
        self.caller.clone_from(caller);
        actor.clone_into(&mut self.actor);
        reason.clone_into(&mut self.reason);
        self
    }

    /// The times that the install has set. Whoever decides again under others gets other deadlines.
    #[must_use]
    pub fn with_waits(mut self, waits: &Arc<Waits>) -> Self {
        self.waits.clone_from(waits);
        self
    }

    /// When a wait that begins now ends.
    pub fn after(&self, wait: &Wait) -> Instant {
        self.after_from(self.now, wait)
    }

    /// When a wait ends that began then.
    pub fn after_from(&self, begin: Instant, wait: &Wait) -> Instant {
        let micros = i64::try_from(self.waits.of(wait).as_micros()).unwrap_or(i64::MAX);
        Instant::from_micros(begin.micros().saturating_add(micros))
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

    /// A name for a text that tells nothing of it: HMAC-SHA-256 under the install's secret, 64 characters of hex, so an id. The same text
    /// has the same name for ever in one install, and another in every other. `purpose` is a label, as of a MAC: hashes of two purposes have
    /// nothing in common. The text is taken byte by byte: bring it into its one form first.
    pub fn keyed_hash(&self, purpose: &str, text: &str) -> String {
        hex::encode(self.secret.hash(purpose, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciding_again_hands_out_the_same_ids() {
        let context = || Context::new(Instant::from_micros(1), Uuid::from_u128(9), &Secret::new([7; 32]));
        let (first, again) = (context(), context());
        assert_eq!((first.new_id(), first.new_id()), (again.new_id(), again.new_id()));
        assert_ne!(first.new_id(), first.new_id());
    }

    #[test]
    fn deciding_again_hashes_to_the_same_name_and_another_install_to_another() {
        let hash = |now: i64, id: u128, secret: u8| {
            let context = Context::new(Instant::from_micros(now), Uuid::from_u128(id), &Secret::new([secret; 32]));
            context.keyed_hash("email", "ann@example.org")
        };
        let name = hash(1, 9, 7);
        assert_eq!(name, hash(1, 9, 7), "decided again");
        assert_eq!(name, hash(2, 8, 7), "asked by another command at another time");
        assert_ne!(name, hash(1, 9, 8), "of another install");
        assert!(name.len() == 64 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{name}");
    }

    #[test]
    fn a_wait_ends_so_long_after_the_pages_time() {
        let wait = Wait { name: "payment", by_default: std::time::Duration::from_secs(2) };
        let context = || Context::new(Instant::from_micros(5), Uuid::from_u128(9), &Secret::new([7; 32]));
        let with = |time| Arc::new(Waits::default().with("payment", time));
        assert_eq!(context().after(&wait), Instant::from_micros(2_000_005));
        assert_eq!(context().with_waits(&with(std::time::Duration::ZERO)).after(&wait), Instant::from_micros(5));
        assert_eq!(context().with_waits(&with(std::time::Duration::MAX)).after(&wait), Instant::from_micros(i64::MAX));
    }
}
