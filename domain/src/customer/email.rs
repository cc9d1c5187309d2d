//! Whose an e-mail address is: one customer's, from a claim until it is given up.

use std::convert::Infallible;

use daybook_kernel::{Context, Decider, Decision, EventAt, Reactor, ServiceMessage};
use daybook_proto::{TextForm, canonical};
use shop_proto::customer::v1::*;

/// An e-mail address, without any word of it. Stream `email/{email_key}`.
pub struct Email;

impl Decider for Email {
    type Command = EmailCommand;
    type Event = EmailEvent;
    type State = EmailState;
    type Refusal = Infallible;

    fn decide(state: &EmailState, command: &EmailCommand, _: &Context) -> Decision<Self> {
        match command {
            EmailCommand::ClaimEmail(c) => claim(state, c),
            EmailCommand::ReleaseEmail(c) if c.claim <= given_up(state, &c.customer_id) => Decision::nothing(),
            EmailCommand::ReleaseEmail(c) => Decision::event(EmailReleased::from(c)),
        }
    }

    fn evolve(state: &mut EmailState, event: &EmailEvent) {
        match event {
            EmailEvent::EmailClaimed(e) => {
                let before = if state.customer_id == e.customer_id { state.claim } else { 0 };
                state.claim = before.max(e.claim);
                state.customer_id.clone_from(&e.customer_id);
            }
            EmailEvent::EmailReleased(e) => {
                let given_up = state.released.entry(e.customer_id.clone()).or_default();
                *given_up = e.claim.max(*given_up);
                if state.customer_id == e.customer_id && state.claim <= e.claim {
                    state.customer_id.clear();
                    state.claim = 0;
                }
            }
            // For the customer who asked.
            EmailEvent::EmailTaken(_) | EmailEvent::EmailClaimLapsed(_) => {}
        }
    }
}

/// The last claim of a customer's that is over; 0: none is.
fn given_up(state: &EmailState, customer_id: &str) -> i64 {
    state.released.get(customer_id).copied().unwrap_or_default()
}

/// Whoever holds it already is told so, by whichever claim: an earlier one, too, is theirs until they give it up.
fn claim(state: &EmailState, c: &ClaimEmail) -> Decision<Email> {
    if c.claim <= given_up(state, &c.customer_id) {
        return Decision::event(EmailClaimLapsed::from(c));
    }
    if state.customer_id.is_empty() || state.customer_id == c.customer_id {
        return Decision::event(EmailClaimed::from(c));
    }
    Decision::event(EmailTaken::from(c))
}

/// Tells a customer the outcome of a claim.
pub struct EmailAnswers;

impl Reactor for EmailAnswers {
    const NAME: &'static str = "email-answers";
    type Event = EmailEvent;

    fn react(event: &EmailEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        let command: CustomerCommand = match event {
            EmailEvent::EmailClaimed(e) => {
                RecordEmailClaimed { customer_id: e.customer_id.clone(), email_key: e.email_key.clone(), claim: e.claim }.into()
            }
            EmailEvent::EmailTaken(e) => {
                RecordEmailTaken { customer_id: e.customer_id.clone(), email_key: e.email_key.clone(), claim: e.claim }.into()
            }
            // Nobody waits: the customer has given it up.
            EmailEvent::EmailClaimLapsed(_) | EmailEvent::EmailReleased(_) => return Vec::new(),
        };
        vec![ServiceMessage::of(&command)]
    }
}

/// The purpose of the hashes that are keys of addresses.
const PURPOSE: &str = "customer-email";

/// The key of an address: its stream's name.
pub(super) fn key(address: &str, context: &Context) -> String {
    context.keyed_hash(PURPOSE, &one_form(address))
}

/// The form in which two spellings of an address are the same: without blanks at its ends, in Unicode's NFC, in lower case from end to end. By
/// the letter (RFC 5321) capitals before the `@` may make another mailbox; no provider of today has two such, and two accounts
/// for one mailbox are worse. Nothing else is changed: `ann+shop@…` is another address than `ann@…`, for dots and plus signs mean what each
/// provider wants, and an international domain is not the same as its `xn--` spelling.
fn one_form(address: &str) -> String {
    let composed = canonical(address, TextForm::Trimmed);
    // Lower case can fall apart into letter and mark.
    canonical(&composed.to_lowercase(), TextForm::Trimmed).into_owned()
}

#[cfg(test)]
mod spec {
    use daybook_kernel::spec::{SPEC_TIME, context, given, given_nothing, in_turn};
    use daybook_kernel::{Instant, StreamId, Version};
    use daybook_proto::MessageSet as _;
    use proptest::prelude::*;
    use shop_proto::samples::email::{claim, claimed, lapsed, release, released, taken};

    use super::*;

    #[test]
    fn who_comes_first_has_the_address() {
        given_nothing::<Email>().when(claim("c-1", 1)).then([claimed("c-1", 1)]);
        given::<Email>([claimed("c-1", 1)]).when(claim("c-2", 1)).then([taken("c-2", 1)]);
        given::<Email>([claimed("c-1", 1), taken("c-2", 1)]).when(claim("c-2", 2)).then([taken("c-2", 2)]);
    }

    #[test]
    fn whoever_has_it_already_is_told_so() {
        given::<Email>([claimed("c-1", 1)]).when(claim("c-1", 1)).then([claimed("c-1", 1)]);
        given::<Email>([claimed("c-1", 1)]).when(claim("c-1", 3)).then([claimed("c-1", 3)]);
        given::<Email>([claimed("c-1", 3)]).when(claim("c-1", 1)).then([claimed("c-1", 1)]);
        given::<Email>([claimed("c-1", 3), claimed("c-1", 1)]).when(release("c-1", 1)).then_state(|state| {
            assert_eq!((state.customer_id.as_str(), state.claim), ("c-1", 3), "the later claim stands");
        });
    }

    #[test]
    fn an_address_that_is_given_up_is_anybodys() {
        given::<Email>([claimed("c-1", 1)]).when(release("c-1", 1)).then([released("c-1", 1)]);
        let free = || vec![claimed("c-1", 1), released("c-1", 1)];
        given::<Email>(free()).when(release("c-1", 1)).then_nothing();
        given::<Email>(free()).when(claim("c-2", 1)).then([claimed("c-2", 1)]);
        given::<Email>(free()).when(claim("c-1", 2)).then([claimed("c-1", 2)]);
    }

    #[test]
    fn giving_up_ends_earlier_claims_and_no_later_one() {
        given::<Email>([claimed("c-1", 1)]).when(release("c-1", 3)).then_state(|state| assert_eq!(state.customer_id, ""));
        given::<Email>([claimed("c-1", 3)]).when(release("c-1", 1)).then_state(|state| {
            assert_eq!((state.customer_id.as_str(), state.claim), ("c-1", 3));
        });
    }

    #[test]
    fn a_claim_that_comes_after_it_was_given_up_has_lapsed() {
        given_nothing::<Email>().when(release("c-1", 2)).then([released("c-1", 2)]);
        given::<Email>([released("c-1", 2)]).when(claim("c-1", 1)).then([lapsed("c-1", 1)]);
        given::<Email>([released("c-1", 2)]).when(claim("c-1", 2)).then([lapsed("c-1", 2)]);
        given::<Email>([released("c-1", 2), lapsed("c-1", 2)]).when(claim("c-1", 3)).then([claimed("c-1", 3)]);
        given::<Email>([released("c-1", 2)]).when(claim("c-2", 1)).then([claimed("c-2", 1)]);
        given::<Email>([released("c-1", 2)]).when(release("c-1", 1)).then_nothing();
    }

    #[test]
    fn nobody_gives_up_what_is_anothers() {
        given::<Email>([claimed("c-1", 1)]).when(release("c-2", 5)).then_state(|state| {
            assert_eq!((state.customer_id.as_str(), state.claim), ("c-1", 1));
        });
    }

    #[test]
    fn the_customer_who_asked_is_told_the_outcome() {
        let stream = StreamId::new("email", "k");
        let react = |event: EmailEvent| {
            let at = EventAt { stream: &stream, version: Version(7), recorded_at: Instant::default() };
            EmailAnswers::react(&event, &at)
        };
        let (customer_id, email_key) = ("c-1".to_owned(), shop_proto::samples::email::KEY.to_owned());
        let yes = RecordEmailClaimed { customer_id: customer_id.clone(), email_key: email_key.clone(), claim: 2 };
        assert_eq!(react(claimed("c-1", 2)), [ServiceMessage::of(&CustomerCommand::from(yes))]);
        let no = RecordEmailTaken { customer_id, email_key, claim: 2 };
        let sent = react(taken("c-1", 2));
        assert_eq!(sent, [ServiceMessage::of(&CustomerCommand::from(no))]);
        assert_eq!(sent[0].target.as_str(), "customer/c-1");
        assert_eq!(react(lapsed("c-1", 2)), []);
        assert_eq!(react(released("c-1", 2)), []);
        assert!(EmailEvent::TYPES.len() == 4, "all that happens to an address is tried here");
    }

    #[test]
    fn spellings_of_one_address_have_one_form() {
        for (spelling, form) in [
            ("ann@example.org", "ann@example.org"),
            (" \u{a0}Ann@Example.ORG\n", "ann@example.org"),
            ("Jose\u{301}@example.org", "josé@example.org"),
            ("JOS\u{c9}@example.org", "josé@example.org"),
            ("ann@BÜCHER.example", "ann@bücher.example"),
        ] {
            assert_eq!(one_form(spelling), form, "{spelling:?}");
        }
        for other in ["ann+shop@example.org", "a.nn@example.org", "ann@example.com", "ann@xn--bcher-kva.example", "ann@mail.example.org"] {
            assert_eq!(one_form(other), other);
        }
    }

    #[test]
    fn a_key_is_of_the_address_in_its_one_form_and_tells_nothing_of_it() {
        let key = |address: &str| super::key(address, &context(SPEC_TIME));
        assert_eq!(key("ann@example.org"), key("Ann@Example.org"));
        assert_ne!(key("ann@example.org"), key("bob@example.org"));
        assert_eq!(key("ann@example.org").len(), 64);
    }

    fn any_command() -> impl Strategy<Value = EmailCommand> {
        ("c-[1-3]", 1..6_i64, any::<bool>()).prop_map(|(customer, n, claims)| match claims {
            true => claim(&customer, n).into(),
            false => release(&customer, n).into(),
        })
    }

    proptest! {
        /// For all commands in any order.
        #[test]
        fn an_address_is_one_customers_until_they_give_it_up_and_each_claim_has_one_answer(
            commands in prop::collection::vec(any_command(), 1..60),
        ) {
            in_turn::<Email>(&commands, |step| {
                let (before, after) = (step.before, step.after);
                match step.command {
                    EmailCommand::ClaimEmail(c) => {
                        let [answer] = step.decision.events.as_slice() else { panic!("one answer: {:?}", step.decision.events) };
                        assert_eq!((answer.customer_id(), answer.claim()), (c.customer_id.as_str(), c.claim));
                        let is_theirs = after.customer_id == c.customer_id;
                        assert!(is_theirs || !matches!(answer, EmailEvent::EmailClaimed(_)));
                        assert!(before.customer_id.is_empty() || before.customer_id == after.customer_id, "taken away from its holder");
                    }
                    EmailCommand::ReleaseEmail(c) => {
                        assert!(after.customer_id == before.customer_id || before.customer_id == c.customer_id);
                        assert!(after.customer_id != c.customer_id || after.claim > c.claim, "held by a claim that is given up");
                    }
                }
                assert!(after.customer_id.is_empty() == (after.claim == 0));
                assert!(after.claim == 0 || after.claim > given_up(after, &after.customer_id));
            });
        }

        #[test]
        fn the_one_form_of_the_one_form_is_itself(address in "\\PC{0,20}@\\PC{0,20}") {
            prop_assert_eq!(one_form(&one_form(&address)), one_form(&address));
        }
    }
}
