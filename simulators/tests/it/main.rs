//! Simulators over real HTTP, and somebody who takes their notices.

mod carrier;
mod notices;
mod payments;
mod support;
