//! Providers held to what the traits say, and the effects with a simulator as their outside.
//!
//! The contract runs against the simulator, and against a sandbox where `DAYBOOK_PAYMENT_SANDBOX_URL` names one (with its key in
//! `DAYBOOK_PAYMENT_SANDBOX_KEY`, and `tok_ok`, `tok_declined` as its tokens). Where it names none, that part says that it did not run.

mod carrier;
mod contract;
mod effects;
mod support;
