//! A customer: how to reach them, where to send things, and which e-mail address is theirs.

use daybook_kernel::{Context, Decider, Decision, EventAt, Reactor, ServiceMessage};
use shop_proto::customer::v1::*;

use super::email;

/// A customer. Stream `customer/{customer_id}`.
pub struct Customer;

/// The most addresses that a customer may have.
const MAX_ADDRESSES: u32 = 50;

impl Decider for Customer {
    type Command = CustomerCommand;
    type Event = CustomerEvent;
    type State = CustomerState;
    type Refusal = CustomerRefusal;

    fn decide(state: &CustomerState, command: &CustomerCommand, context: &Context) -> Decision<Self> {
        use CustomerCommand as C;
        match command {
            // What other streams answer is never refused: a refusal would stay, and be the answer to every repeat.
            C::RecordEmailClaimed(c) => return claimed(state, c),
            C::RecordEmailTaken(c) => return taken(state, c),
            C::RegisterCustomer(c) => return register(state, c, context),
            _ => {}
        }
        let customer_id = || command.customer_id().to_owned();
        match (state.status(), command) {
            (CustomerStatus::Unspecified | CustomerStatus::Rejected, _) => Decision::refuse(CustomerUnknown { customer_id: customer_id() }),
            (CustomerStatus::Closed, C::CloseAccount(_)) => Decision::nothing(),
            (CustomerStatus::Closed, _) => Decision::refuse(AccountIsClosed { customer_id: customer_id() }),
            (CustomerStatus::Pending | CustomerStatus::Active, command) => match command {
                C::ChangeContact(c) => change(state, c, context),
                C::AddAddress(c) => add_address(state, c),
                C::ChangeAddress(c) => change_address(state, c),
                C::DropAddress(c) if has_address(state, &c.address_id) => Decision::event(AddressDropped::from(c)),
                C::CloseAccount(c) => {
                    let given_up = [&state.email, &state.asked].into_iter().flatten().map(claim_of).collect();
                    Decision::event(AccountClosed { given_up, ..c.into() })
                }
                C::DropAddress(_) | C::RegisterCustomer(_) | C::RecordEmailClaimed(_) | C::RecordEmailTaken(_) => Decision::nothing(),
            },
        }
    }

    fn evolve(state: &mut CustomerState, event: &CustomerEvent) {
        use CustomerEvent as E;
        match event {
            E::CustomerRegistered(e) => {
                *state = CustomerState { customer_id: e.customer_id.clone(), name: e.name.clone(), phone: e.phone.clone(), ..left(state) };
                state.set_status(CustomerStatus::Pending);
                ask(state, &e.email, e.asked.as_ref());
            }
            E::EmailChangeAsked(e) => ask(state, &e.email, e.asked.as_ref()),
            E::EmailConfirmed(_) => {
                state.email = state.asked.take();
                state.set_status(CustomerStatus::Active);
            }
            E::EmailChangeWithdrawn(_) | E::EmailChangeRejected(_) => state.asked = None,
            E::RegistrationRejected(_) => end(state, CustomerStatus::Rejected),
            E::AccountClosed(_) => end(state, CustomerStatus::Closed),
            E::ContactChanged(e) => {
                if let (Some(spelling), Some(wanted)) = (&e.email, state.asked.as_mut().or(state.email.as_mut())) {
                    wanted.email.clone_from(spelling);
                }
                for (field, new) in [(&mut state.name, &e.name), (&mut state.phone, &e.phone)] {
                    if let Some(new) = new {
                        field.clone_from(new);
                    }
                }
            }
            E::AddressAdded(e) => {
                state.addresses.push(CustomerAddress { address_id: e.address_id.clone(), address: e.address.clone() });
            }
            E::AddressChanged(e) => {
                if let Some(known) = state.addresses.iter_mut().find(|a| a.address_id == e.address_id) {
                    known.address.clone_from(&e.address);
                }
            }
            E::AddressDropped(e) => state.addresses.retain(|a| a.address_id != e.address_id),
            // For the address alone.
            E::LateEmailGivenUp(_) => {}
        }
    }
}

/// An address that is being claimed from now on.
fn ask(state: &mut CustomerState, email: &str, asked: Option<&EmailClaim>) {
    let Some(EmailClaim { email_key, claim }) = asked else { return };
    state.claims = *claim;
    state.asked = Some(ClaimedEmail { email: email.to_owned(), email_key: email_key.clone(), claim: *claim });
}

/// All that outlasts an account: whose the stream is, and how many claims were made, for their numbers must never come again.
fn left(state: &CustomerState) -> CustomerState {
    CustomerState { customer_id: state.customer_id.clone(), claims: state.claims, ..Default::default() }
}

fn end(state: &mut CustomerState, status: CustomerStatus) {
    *state = left(state);
    state.set_status(status);
}

/// The next claim, of this address.
fn next_claim(state: &CustomerState, email_key: String) -> EmailClaim {
    EmailClaim { email_key, claim: state.claims.saturating_add(1) }
}

fn claim_of(email: &ClaimedEmail) -> EmailClaim {
    EmailClaim { email_key: email.email_key.clone(), claim: email.claim }
}

fn is_of(known: Option<&ClaimedEmail>, email_key: &str) -> bool {
    known.is_some_and(|known| known.email_key == email_key)
}

/// Whether this very claim is under way, or has come true.
fn is_claim(known: Option<&ClaimedEmail>, email_key: &str, claim: i64) -> bool {
    known.is_some_and(|known| known.email_key == email_key && known.claim == claim)
}

/// After a rejected registration another one may come: with the address spelled right, for one.
fn register(state: &CustomerState, c: &RegisterCustomer, context: &Context) -> Decision<Customer> {
    let customer_id = c.customer_id.clone();
    match state.status() {
        CustomerStatus::Unspecified | CustomerStatus::Rejected => {
            let asked = Some(next_claim(state, email::key(&c.email, context)));
            Decision::event(CustomerRegistered { asked, ..c.into() })
        }
        CustomerStatus::Pending | CustomerStatus::Active => {
            let wanted = state.asked.as_ref().or(state.email.as_ref());
            let is_same = wanted.is_some_and(|wanted| wanted.email == c.email) && state.name == c.name && state.phone == c.phone;
            if is_same { Decision::nothing() } else { Decision::refuse(CustomerExists { customer_id }) }
        }
        CustomerStatus::Closed => Decision::refuse(AccountIsClosed { customer_id }),
    }
}

fn change(state: &CustomerState, c: &ChangeContact, context: &Context) -> Decision<Customer> {
    let mut events: Vec<CustomerEvent> = Vec::new();
    let mut changed = ContactChanged { customer_id: c.customer_id.clone(), ..Default::default() };
    if let Some(email) = &c.email {
        let (now, asked) = (state.email.as_ref(), state.asked.as_ref());
        let (email_key, given_up) = (email::key(email, context), asked.map(claim_of));
        let spelled = match asked {
            Some(asked) if asked.email_key == email_key => Some(&asked.email),
            Some(_) if is_of(now, &email_key) => {
                events.push(EmailChangeWithdrawn { given_up, ..c.into() }.into());
                now.map(|now| &now.email)
            }
            None if is_of(now, &email_key) => now.map(|now| &now.email),
            _ => {
                let asked = Some(next_claim(state, email_key));
                events.push(EmailChangeAsked { customer_id: c.customer_id.clone(), email: email.clone(), asked, given_up }.into());
                None
            }
        };
        changed.email = spelled.filter(|spelled| *spelled != email).map(|_| email.clone());
    }
    changed.name = c.name.clone().filter(|name| *name != state.name);
    changed.phone = c.phone.clone().filter(|phone| *phone != state.phone);
    if changed.email.is_some() || changed.name.is_some() || changed.phone.is_some() {
        events.push(changed.into());
    }
    Decision::events(events)
}

/// A claim that came true is the customer's where they still want it. One that they don't wait for is given up: also where that was said
/// before, for it costs nothing, and an address that nobody gives up is lost.
fn claimed(state: &CustomerState, c: &RecordEmailClaimed) -> Decision<Customer> {
    let held = EmailClaim { email_key: c.email_key.clone(), claim: c.claim };
    match &state.asked {
        Some(asked) if is_claim(Some(asked), &c.email_key, c.claim) => {
            let given_up = state.email.as_ref().map(claim_of);
            Decision::event(EmailConfirmed { email: asked.email.clone(), held: Some(held), given_up, ..c.into() })
        }
        _ if is_claim(state.email.as_ref(), &c.email_key, c.claim) => Decision::nothing(),
        _ => Decision::event(LateEmailGivenUp { given_up: Some(held), ..c.into() }),
    }
}

fn taken(state: &CustomerState, c: &RecordEmailTaken) -> Decision<Customer> {
    if !is_claim(state.asked.as_ref(), &c.email_key, c.claim) {
        return Decision::nothing();
    }
    let refused = Some(EmailClaim { email_key: c.email_key.clone(), claim: c.claim });
    match state.email {
        Some(_) => Decision::event(EmailChangeRejected { refused, ..c.into() }),
        None => Decision::event(RegistrationRejected { refused, ..c.into() }),
    }
}

fn has_address(state: &CustomerState, address_id: &str) -> bool {
    state.addresses.iter().any(|a| a.address_id == address_id)
}

fn add_address(state: &CustomerState, c: &AddAddress) -> Decision<Customer> {
    match state.addresses.iter().find(|a| a.address_id == c.address_id) {
        Some(known) if known.address == c.address => Decision::nothing(),
        Some(_) => Decision::refuse(AddressExists { address_id: c.address_id.clone() }),
        None if state.addresses.len() >= MAX_ADDRESSES as usize => Decision::refuse(AddressLimit { limit: MAX_ADDRESSES }),
        None => Decision::event(AddressAdded::from(c)),
    }
}

fn change_address(state: &CustomerState, c: &ChangeAddress) -> Decision<Customer> {
    match state.addresses.iter().find(|a| a.address_id == c.address_id) {
        None => Decision::refuse(UnknownAddress { address_id: c.address_id.clone() }),
        Some(known) if known.address == c.address => Decision::nothing(),
        Some(_) => Decision::event(AddressChanged::from(c)),
    }
}

/// Claims the addresses that customers want, and gives up those that they want no more.
pub struct EmailClaims;

impl Reactor for EmailClaims {
    const NAME: &'static str = "email-claims";
    type Event = CustomerEvent;

    fn react(event: &CustomerEvent, _: &EventAt<'_>) -> Vec<ServiceMessage> {
        use CustomerEvent as E;
        let customer_id = event.customer_id();
        let claim = |of: &Option<EmailClaim>| {
            let of = of.clone()?;
            Some(ClaimEmail { email_key: of.email_key, customer_id: customer_id.to_owned(), claim: of.claim }.into())
        };
        let release =
            |of: &EmailClaim| ReleaseEmail { email_key: of.email_key.clone(), customer_id: customer_id.to_owned(), claim: of.claim }.into();
        let commands: Vec<EmailCommand> = match event {
            E::CustomerRegistered(e) => claim(&e.asked).into_iter().collect(),
            E::EmailChangeAsked(e) => e.given_up.iter().map(release).chain(claim(&e.asked)).collect(),
            E::EmailConfirmed(e) => e.given_up.iter().map(release).collect(),
            E::EmailChangeWithdrawn(e) => e.given_up.iter().map(release).collect(),
            E::LateEmailGivenUp(e) => e.given_up.iter().map(release).collect(),
            E::AccountClosed(e) => e.given_up.iter().map(release).collect(),
            E::RegistrationRejected(_)
            | E::EmailChangeRejected(_)
            | E::ContactChanged(_)
            | E::AddressAdded(_)
            | E::AddressChanged(_)
            | E::AddressDropped(_) => Vec::new(),
        };
        commands.iter().map(ServiceMessage::of).collect()
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod spec;
