//! The judge: looks at all that a run left behind, and says which rule it broke. Pure, and shares no code with the engine: what it
//! knows is the contract, the protocol and `docs/digests.md`. A file a group of rules.
//!
//! Here stands what holds for any services: the log, the ledger, Kafka, answers, and the way back from faults. What the services' events mean
//! is judged beside it, by books of their own ([`crate::shop`]), which bring both together.

pub(crate) mod asked;
pub(crate) mod case;
mod decided;
pub(crate) mod decode;
pub mod digest;
mod kafka;
pub(crate) mod log;
pub(crate) mod models;
mod once;
pub(crate) mod past;
pub(crate) mod reads;
pub mod rules;
pub(crate) mod story;
mod told;
pub(crate) mod verdict;
mod watched;

pub use verdict::{Verdict, Violation};

use case::{Case, Row};
use verdict::Findings;

/// Every rule that holds for any services. `is_reactors`: of a ledger row that a reactor has rules of its own for.
pub(crate) fn judge(case: &Case<'_>, is_reactors: &dyn Fn(&Row<'_>) -> bool, findings: &mut Findings) {
    log::judge(case, findings);
    once::judge(case, findings);
    decided::judge(case, findings);
    told::judge(case, findings);
    asked::judge(case, is_reactors, findings);
    if !case.evidence.under_way {
        kafka::judge(case, findings);
    }
    past::judge(case, findings);
    models::judge(case, findings);
    watched::judge(case, findings);
}
