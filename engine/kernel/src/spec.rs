//! Given/when/then: a specification of a decider reads as a sentence, and a failing one points at itself.
//!
//! ```text
//! given::<Stock>([received(5)]).when(reserve("o-1", 9)).then_refused(InsufficientStock { requested: 9, available: 5 });
//! ```

use daybook_proto::{MessageSet as _, decode_as};
use prost::Message as _;
use uuid::Uuid;

use crate::decider::{Decider, Decision, fold};
use crate::{Context, Instant, Secret};

/// The time of every spec, unless it says another: 2026-01-01T00:00:00Z.
pub const SPEC_TIME: Instant = Instant::from_micros(1_767_225_600_000_000);

/// The context of a spec: this time, one id, and a secret that no install has. For deciders alone that a test calls by itself.
pub fn context(now: Instant) -> Context {
    Context::new(now, Uuid::from_u128(1), &Secret::new([7; 32]))
}

/// A stream's history.
pub struct Given<D: Decider> {
    history: Vec<D::Event>,
    now: Instant,
}

/// A command that was decided.
pub struct When<D: Decider> {
    state: D::State,
    decision: Decision<D>,
}

/// A stream with this history.
pub fn given<D: Decider>(history: impl IntoIterator<Item = D::Event>) -> Given<D> {
    Given { history: history.into_iter().collect(), now: SPEC_TIME }
}

/// A stream that does not exist yet.
pub fn given_nothing<D: Decider>() -> Given<D> {
    given([])
}

impl<D: Decider> Given<D> {
    /// At this time instead of [`SPEC_TIME`].
    pub fn at(mut self, now: Instant) -> Self {
        self.now = now;
        self
    }

    /// The command, decided. It must pass its own field rules, or the spec would show a thing that no client can do.
    #[track_caller]
    pub fn when(self, command: impl Into<D::Command>) -> When<D> {
        use daybook_proto::CommandSet as _;
        let mut command = command.into();
        let mut violations = command.tidy();
        violations.extend(command.violations());
        assert!(violations.is_empty(), "the command breaks its field rules: {violations:?}");
        let state = fold::<D>(&self.history);
        let context = context(self.now).with_request(&daybook_proto::v1::Caller::anonymous(), "spec", "");
        let decision = D::decide(&state, &command, &context);
        When { state, decision }
    }
}

impl<D: Decider> When<D> {
    /// Exactly these events follow.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = D::Event>) {
        assert_eq!(self.decision.refusal, None, "refused");
        assert_eq!(self.decision.events, events.into_iter().collect::<Vec<_>>());
    }

    /// Already done: nothing follows.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// Refused, and nothing follows.
    #[track_caller]
    pub fn then_refused(self, refusal: impl Into<D::Refusal>) {
        self.then_refused_with(refusal, []);
    }

    /// Refused, and these facts follow.
    #[track_caller]
    pub fn then_refused_with(self, refusal: impl Into<D::Refusal>, events: impl IntoIterator<Item = D::Event>) {
        assert_eq!(self.decision.refusal, Some(refusal.into()));
        assert_eq!(self.decision.events, events.into_iter().collect::<Vec<_>>());
    }

    /// The state that then holds.
    #[track_caller]
    pub fn then_state(mut self, check: impl FnOnce(&D::State)) {
        for event in &self.decision.events {
            D::evolve(&mut self.state, event);
        }
        check(&self.state);
    }
}

/// One command of several: the state before it, the decision, and the state after it.
pub struct Step<'a, D: Decider> {
    /// The command.
    pub command: &'a D::Command,
    /// When, a second after the command before.
    pub context: &'a Context,
    /// The state in which it was decided.
    pub before: &'a D::State,
    /// The decision.
    pub decision: &'a Decision<D>,
    /// The state that then holds.
    pub after: &'a D::State,
}

/// Decides commands in turn, a second apart from [`SPEC_TIME`] on, and shows each step to `check`. For every decider: the events, encoded
/// and decoded, fold to the last state, and that state survives its encoding.
///
/// # Panics
/// When that does not hold.
pub fn in_turn<D: Decider>(commands: &[D::Command], mut check: impl FnMut(Step<'_, D>)) {
    let (mut state, mut stored) = (D::State::default(), Vec::new());
    for (second, command) in (0..).zip(commands) {
        let context = context(Instant::from_micros(SPEC_TIME.micros() + second * 1_000_000));
        let (before, decision) = (state.clone(), D::decide(&state, command, &context));
        for event in &decision.events {
            D::evolve(&mut state, event);
            stored.push(D::Event::decode(event.type_name(), &event.encode_to_vec()).expect("as it was encoded"));
        }
        check(Step { command, context: &context, before: &before, decision: &decision, after: &state });
    }
    assert!(fold::<D>(&stored) == state, "the events fold to another state than {state:?}");
    assert!(
        decode_as::<D::State>(&state.encode_to_vec()).expect("as it was encoded") == state,
        "the encoding of {state:?} loses something"
    );
}
