//! The judge: looks at all that a run left behind, and says which rule it broke. Pure, and shares no code with the engine: what it
//! knows is the contract, the protocol and `docs/digests.md`. A file a group of rules.

mod asked;
mod case;
mod course;
mod decided;
mod decode;
pub mod digest;
mod folded;
mod kafka;
mod log;
mod models;
mod once;
mod product;
mod reactions;
mod reads;
mod reorder;
pub mod rules;
mod stock;
mod told;
mod verdict;

pub use verdict::{Verdict, Violation};

use case::Case;
use folded::Folded;
use reactions::Reactions;
use verdict::Findings;

use crate::evidence::Evidence;

/// Judges a run. The evidence must have been collected when all had caught up.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut findings = Findings::default();
    let case = Case::of(evidence, &mut findings);
    log::judge(&case, &mut findings);
    once::judge(&case, &mut findings);
    stock::judge(&case, &mut findings);
    let (folded, reactions) = (Folded::of(&case), Reactions::of(&case));
    reactions::judge(&case, &folded, &reactions, &mut findings);
    decided::judge(&case, &folded, &mut findings);
    told::judge(&case, &mut findings);
    asked::judge(&case, &folded, &reactions, &mut findings);
    kafka::judge(&case, &mut findings);
    models::judge(&case, &folded, &mut findings);
    reads::judge(&case, &folded, &mut findings);
    course::judge(&case, &mut findings);
    findings.verdict()
}
