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
use crate::judge::{self, Verdict};

/// Events that only tell a process that it does not get what it asked for.
const TELLING: &[&str] = &[
    "ReservationRefused",
    "ExtendRefused",
    "ConfirmRefused",
    "CommitRefused",
    "ReleaseRefused",
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
    let case = Case::of(evidence, &SHOP, &mut findings);
    let (folded, reactions) = (Folded::of(&case), Reactions::of(&case));
    judge::judge(&case, &|row| reactions.asked_for(row) || reactions::is_a_targets(row) || processes::is_one(&case, row), &mut findings);
    processes::judge(&case, &mut findings);
    stock::judge(&case, &mut findings);
    reactions::judge(&case, &folded, &reactions, &mut findings);
    answers::judge(&case, &folded, &mut findings);
    effects::judge(&case, &folded, &mut findings);
    if evidence.orders {
        orders::judge(&case, &folded, &mut findings);
    }
    models::judge(&case, &folded, &mut findings);
    reads::judge(&case, &folded, &mut findings);
    findings.verdict(rules::not_yet(evidence.orders))
}
