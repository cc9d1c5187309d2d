//! The live read models at the end, beside a fold of the log. Source: the protocol's "Projections", the contract's "Queries over HTTP".

use std::collections::BTreeMap;

use serde_json::Value;

use super::case::Case;
use super::decode;
use super::rules;
use super::verdict::Findings;
use crate::evidence::{Part, Served};

/// After every read of the history.
const AT_THE_END: i64 = i64::MAX;

/// The rules that need no fold: Daybook's own audits found nothing, and all processes serve the same.
pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    for (model, differences) in &case.evidence.differences {
        findings.check(rules::FOLD_DIFFERS, 0, differences.is_empty(), || {
            (
                format!("{model}: Daybook's own audit has {} lines to tell", differences.len()),
                differences.iter().take(50).cloned().collect(),
            )
        });
    }
    processes_agree(&case.evidence.served, findings);
}

/// Holds the parts of a read model against those that are expected. A run that collected none of a model says nothing of it.
pub(crate) fn judge_parts(case: &Case<'_>, model: &Model<'_>, findings: &mut Findings) {
    if let Some(parts) = case.evidence.parts.get(model.name) {
        parts_are_the_folds(model, parts, findings);
    }
}

/// `served-differs`: what a process serves at the end.
pub(crate) fn judge_served(served: &Served, holds: bool, wanted: &str, findings: &mut Findings) {
    let (key, body) = (served.key.as_str(), &served.body);
    findings.check(rules::SERVED_DIFFERS, AT_THE_END, holds, || {
        let seen = vec![format!("served {} {body}", served.status), format!("the log gives {wanted}")];
        (format!("{} {key}, as {} serves it, is not what the log folds to", served.model, served.at), seen)
    });
}

/// The name of a part: its key, and its id or what stands for that.
pub(crate) type PartName = (String, String);

/// The parts that are expected of a read model.
pub(crate) struct Model<'f> {
    pub(crate) name: &'static str,
    /// Full protobuf name of the parts' message.
    pub(crate) message: &'static str,
    pub(crate) parts: BTreeMap<PartName, Expected<'f>>,
    /// A text in place of a part's id, where that is a matter of sorting; none: the id itself.
    pub(crate) stands_for_id: fn(&Value) -> Option<String>,
}

/// `part-missing`, `part-unexpected`, `part-differs`: a key's parts exist if and only if the fold shows them, and say the same.
fn parts_are_the_folds(model: &Model<'_>, parts: &[Part], findings: &mut Findings) {
    let (expected, model_name) = (&model.parts, model.name);
    let mut there: BTreeMap<PartName, Value> = BTreeMap::new();
    for part in parts {
        let told = decode::json(model.message, &part.bytes).unwrap_or_else(Value::String);
        let name = (part.key.clone(), (model.stands_for_id)(&told).unwrap_or_else(|| part.part.clone()));
        // A list has each of its items once, whatever it is sorted by.
        let holds = expected.contains_key(&name) && !there.contains_key(&name);
        findings.check(rules::PART_UNEXPECTED, 0, holds, || {
            (format!("{model_name} {} has a part {} that the log does not give", name.0, part.part), vec![told.to_string()])
        });
        there.insert(name, told);
    }
    for (name, is_it) in expected {
        let told = there.get(name);
        findings.check(rules::PART_MISSING, 0, told.is_some(), || {
            (format!("{model_name} {} lacks the part {}", name.0, name.1), vec![is_it.1.to_string()])
        });
        let Some(told) = told else { continue };
        findings.check(rules::PART_DIFFERS, 0, (is_it.0)(told), || {
            let seen = vec![format!("is {told}"), format!("folds to {}", is_it.1)];
            (format!("{model_name} {}: the part {} is not what the log folds to", name.0, name.1), seen)
        });
    }
}

/// Whether a part is what is expected, and that as text.
pub(crate) type Expected<'f> = (Box<dyn Fn(&Value) -> bool + 'f>, Value);

/// `processes-disagree`: all processes, asked when all is quiet, say the same of a key.
fn processes_agree(served: &[Served], findings: &mut Findings) {
    let mut first: BTreeMap<(&str, &str), &Served> = BTreeMap::new();
    for one in served {
        let other = *first.entry((&one.model, &one.key)).or_insert(one);
        if std::ptr::eq(one, other) {
            continue;
        }
        findings.check(rules::PROCESSES_DISAGREE, AT_THE_END, one.status == other.status && one.body == other.body, || {
            let seen = [other, one].map(|s| format!("{} {} {}", s.at, s.status, s.body));
            (format!("{} and {} serve {} {} differently", other.at, one.at, one.model, one.key), seen.to_vec())
        });
    }
}
