//! Of a customer, `c-1`, Ann.

use crate::common::v1::Address;
use crate::customer::v1::*;

/// The customer that all is about, owned.
pub fn customer_id() -> String {
    "c-1".to_owned()
}

/// A claim of an address under this key.
pub fn claim_of(email_key: &str, claim: i64) -> EmailClaim {
    EmailClaim { email_key: email_key.to_owned(), claim }
}

/// Ann wants an account.
pub fn register(email: &str) -> RegisterCustomer {
    RegisterCustomer { customer_id: customer_id(), email: email.to_owned(), name: "Ann Other".into(), phone: "+49 30 901820".into() }
}

/// The event of [`register`].
pub fn registered(email: &str, asked: EmailClaim) -> CustomerEvent {
    CustomerRegistered { asked: Some(asked), ..(&register(email)).into() }.into()
}

/// The address is hers.
pub fn confirmed(email: &str, held: EmailClaim, given_up: Option<EmailClaim>) -> CustomerEvent {
    EmailConfirmed { customer_id: customer_id(), email: email.to_owned(), held: Some(held), given_up }.into()
}

/// The address of her registration is another's.
pub fn rejected(refused: EmailClaim) -> CustomerEvent {
    RegistrationRejected { customer_id: customer_id(), refused: Some(refused) }.into()
}

/// Changes nothing yet.
pub fn change() -> ChangeContact {
    ChangeContact { customer_id: customer_id(), ..Default::default() }
}

/// Wants to be reached at another address.
pub fn change_email(email: &str) -> ChangeContact {
    ChangeContact { email: Some(email.to_owned()), ..change() }
}

/// The event of [`change_email`].
pub fn change_asked(email: &str, asked: EmailClaim, given_up: Option<EmailClaim>) -> CustomerEvent {
    EmailChangeAsked { customer_id: customer_id(), email: email.to_owned(), asked: Some(asked), given_up }.into()
}

/// The address that stands will do.
pub fn change_withdrawn(given_up: EmailClaim) -> CustomerEvent {
    EmailChangeWithdrawn { customer_id: customer_id(), given_up: Some(given_up) }.into()
}

/// The other address is another's.
pub fn change_rejected(refused: EmailClaim) -> CustomerEvent {
    EmailChangeRejected { customer_id: customer_id(), refused: Some(refused) }.into()
}

/// The event of a change that changes each of its fields.
pub fn changed(change: &ChangeContact) -> CustomerEvent {
    ContactChanged::from(change).into()
}

/// Nobody waits for this claim.
pub fn late_given_up(given_up: EmailClaim) -> CustomerEvent {
    LateEmailGivenUp { customer_id: customer_id(), given_up: Some(given_up) }.into()
}

/// Where she lives.
pub fn address(line1: &str) -> Address {
    Address {
        name: "Ann Other".into(),
        line1: line1.to_owned(),
        line2: "2nd floor".into(),
        city: "Berlin".into(),
        region: "BE".into(),
        postal_code: "10115".into(),
        country: "DE".into(),
    }
}

/// Adds an address.
pub fn add_address(address_id: &str, line1: &str) -> AddAddress {
    AddAddress { customer_id: customer_id(), address_id: address_id.to_owned(), address: Some(address(line1)) }
}

/// The event of [`add_address`].
pub fn address_added(address_id: &str, line1: &str) -> CustomerEvent {
    AddressAdded::from(&add_address(address_id, line1)).into()
}

/// Says an address anew.
pub fn change_address(address_id: &str, line1: &str) -> ChangeAddress {
    ChangeAddress { customer_id: customer_id(), address_id: address_id.to_owned(), address: Some(address(line1)) }
}

/// The event of [`change_address`].
pub fn address_changed(address_id: &str, line1: &str) -> CustomerEvent {
    AddressChanged::from(&change_address(address_id, line1)).into()
}

/// Takes an address away.
pub fn drop_address(address_id: &str) -> DropAddress {
    DropAddress { customer_id: customer_id(), address_id: address_id.to_owned() }
}

/// The event of [`drop_address`].
pub fn address_dropped(address_id: &str) -> CustomerEvent {
    AddressDropped::from(&drop_address(address_id)).into()
}

/// She leaves.
pub fn close() -> CloseAccount {
    CloseAccount { customer_id: customer_id(), reason: "moved away".into() }
}

/// The event of [`close`].
pub fn closed(given_up: Vec<EmailClaim>) -> CustomerEvent {
    AccountClosed { given_up, ..(&close()).into() }.into()
}

/// A claim was heard, and the address is hers.
pub fn record_claimed(of: EmailClaim) -> RecordEmailClaimed {
    RecordEmailClaimed { customer_id: customer_id(), email_key: of.email_key, claim: of.claim }
}

/// A claim was heard, and the address is another's.
pub fn record_taken(of: EmailClaim) -> RecordEmailTaken {
    RecordEmailTaken { customer_id: customer_id(), email_key: of.email_key, claim: of.claim }
}
