//! Of an e-mail address, as its stream knows it.

use crate::customer::v1::*;

/// The key of the address that all is about.
pub const KEY: &str = "6f3a";

/// A customer wants the address.
pub fn claim(customer: &str, claim: i64) -> ClaimEmail {
    ClaimEmail { email_key: KEY.into(), customer_id: customer.to_owned(), claim }
}

/// It is the customer's.
pub fn claimed(customer: &str, n: i64) -> EmailEvent {
    EmailClaimed::from(&claim(customer, n)).into()
}

/// It is another's.
pub fn taken(customer: &str, n: i64) -> EmailEvent {
    EmailTaken::from(&claim(customer, n)).into()
}

/// Nobody waits for the claim.
pub fn lapsed(customer: &str, n: i64) -> EmailEvent {
    EmailClaimLapsed::from(&claim(customer, n)).into()
}

/// The customer wants it no more.
pub fn release(customer: &str, claim: i64) -> ReleaseEmail {
    ReleaseEmail { email_key: KEY.into(), customer_id: customer.to_owned(), claim }
}

/// The event of [`release`].
pub fn released(customer: &str, n: i64) -> EmailEvent {
    EmailReleased::from(&release(customer, n)).into()
}
