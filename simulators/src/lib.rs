//! The outside, to try the shop with: a payment provider and a carrier. Real HTTP servers with an API like those of the large ones: objects,
//! idempotency keys that remember, signed notices; and faults on request ([`Faults`], and the test tokens of the payment provider).
//!
//! They share no code with what calls them: what they hold, they hold by themselves. No money moves and no parcel does.
//!
//! An answer is 200 with the object; 402 with `error.code`, where the answer is no for good; 400, 404, 422 (the key stands for another
//! request) where the request is wrong; 503 and the like where nothing is known.

mod books;
mod carrier;
mod desk;
mod faults;
mod notice;
mod payment;

pub use carrier::start_carrier;
pub use desk::{NoticesTo, Options, Running};
pub use faults::Faults;
pub use notice::signature;
pub use payment::{Captures, Least, Terms, start_payment_provider};
