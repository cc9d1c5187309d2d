//! Providers held to what the traits say, and the effects with a simulator as their outside.
//!
//! The contracts run against the simulators, and against a sandbox where `DAYBOOK_PAYMENT_SANDBOX_URL` or `DAYBOOK_CARRIER_SANDBOX_URL` names
//! one (with its key in `DAYBOOK_PAYMENT_SANDBOX_KEY`, `DAYBOOK_CARRIER_SANDBOX_KEY`). That of a provider has `tok_ok` and `tok_declined` as
//! tokens, that of a carrier goes to Germany and France and not to `AQ`. Where none is named, that part says that it did not run.

mod carrier;
mod contract;
mod effects;
mod support;
