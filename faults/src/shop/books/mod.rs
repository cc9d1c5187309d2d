//! The shop's books, kept by the judge: what its events mean, and what follows from that for answers, read models and reactions.

mod answers;
mod effects;
mod folded;
mod models;
mod orders;
mod processes;
mod product;
mod reactions;
mod reads;
mod reorder;
mod stock;

use folded::Folded;
use reactions::Reactions;

use super::{names, rules};
use crate::evidence::Evidence;
use crate::judge::case::{Case, Domain};
use crate::judge::verdict::Findings;
use crate::judge::{self, Verdict, past};

/// Events that only tell a process that it does not get what it asked for.
const TELLING: &[&str] = &[
    "ReservationRefused",
    "ExtendRefused",
    "ConfirmRefused",
    "CommitRefused",
    "ReleaseRefused",
    "WriteOffRefused",
    "StockPlaceClosed",
    "NotAllocated",
    "OrderOpeningRefused",
];

const SHOP: Domain = Domain {
    telling: TELLING,
    lists: &[names::CATEGORY_LISTINGS, names::SEARCH, names::REORDER_ALERTS, names::CUSTOMER_ORDERS, names::WAREHOUSES],
    newest_command: "raise-reorder-proposal",
};

/// Judges a run. The evidence must have been collected when all had caught up.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut findings = Findings::new(rules::of(evidence.orders));
    for n in 0..evidence.pasts.len() {
        findings.of_the_past(Some(n));
        judge_all(&past::as_it_was(evidence, n), &mut findings);
    }
    findings.of_the_past(None);
    judge_all(&past::what_remains(evidence), &mut findings);
    findings.verdict(rules::not_yet(evidence.orders))
}

fn judge_all(evidence: &Evidence, findings: &mut Findings) {
    let case = Case::of(evidence, &SHOP, findings);
    let (folded, reactions) = (Folded::of(&case), Reactions::of(&case));
    judge::judge(&case, &|row| reactions.asked_for(row) || reactions::is_a_targets(row) || processes::is_one(&case, row), findings);
    processes::judge(&case, findings);
    stock::judge(&case, findings);
    reactions::judge(&case, &folded, &reactions, findings);
    answers::judge(&case, &folded, findings);
    effects::judge(&case, &folded, findings);
    if evidence.orders {
        orders::judge(&case, &folded, findings);
    }
    models::judge(&case, &folded, findings);
    reads::judge(&case, &folded, findings);
}
