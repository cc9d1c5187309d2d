//! The plan of an allocation: one warehouse that has all, the best one; else the fewest.

use std::collections::BTreeMap;

use shop_proto::inventory::v1::*;

use super::key;

/// Of so many warehouses, the best ones, all pairs and threes are looked at; where none of them suffice, the one that has most comes first.
const LOOKED_AT: usize = 24;

/// Lines by SKU, each once.
pub(super) fn added_up(lines: &[AllocatedLine]) -> Vec<AllocatedLine> {
    let mut sums: BTreeMap<&str, u32> = BTreeMap::new();
    for line in lines {
        let sum = sums.entry(&line.sku).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    sums.into_iter().map(|(sku, quantity)| AllocatedLine { sku: sku.to_owned(), quantity }).collect()
}

/// Pieces that a stock could give to the order: its own holds count.
fn capacity(stock: &KnownStock) -> u32 {
    match stock.status() {
        HoldStatus::Held | HoldStatus::Confirmed => stock.available.saturating_add(stock.quantity),
        _ => stock.available,
    }
}

/// Candidates, the best first; of each what it could give, by SKU.
type Warehouses<'s> = Vec<(&'s str, BTreeMap<&'s str, u32>)>;

fn warehouses(state: &AllocationState) -> Warehouses<'_> {
    let mut found: BTreeMap<&str, (u32, BTreeMap<&str, u32>)> = BTreeMap::new();
    for stock in state.stocks.values().filter(|stock| stock.priority > 0) {
        let (priority, gives) = found.entry(&stock.warehouse).or_insert((stock.priority, BTreeMap::new()));
        *priority = (*priority).min(stock.priority);
        gives.insert(&stock.sku, capacity(stock));
    }
    let mut all: Vec<_> = found.into_iter().map(|(warehouse, (priority, gives))| (priority, warehouse, gives)).collect();
    all.sort_by_key(|(priority, warehouse, _)| (*priority, *warehouse));
    all.into_iter().map(|(_, warehouse, gives)| (warehouse, gives)).collect()
}

/// Lines that all warehouses together have too few of.
pub(super) fn missing(state: &AllocationState) -> Vec<MissingLine> {
    let all = warehouses(state);
    let lacks = |line: &AllocatedLine| {
        let sum = all.iter().filter_map(|(_, gives)| gives.get(line.sku.as_str())).fold(0_u32, |sum, n| sum.saturating_add(*n));
        (sum < line.quantity).then(|| MissingLine { sku: line.sku.clone(), requested: line.quantity, available: sum })
    };
    state.lines.iter().filter_map(lacks).collect()
}

/// Pieces to hold, by stock; none: there is not enough.
pub(super) fn plan(state: &AllocationState) -> Option<BTreeMap<String, Hold>> {
    let all = warehouses(state);
    let (one, best): (Vec<usize>, Vec<usize>) = ((0..all.len()).collect(), (0..all.len().min(LOOKED_AT)).collect());
    let ones = one.iter().map(|a| vec![*a]);
    let pairs = best.iter().flat_map(|a| best.iter().filter(move |b| *b > a).map(|b| vec![*a, *b]));
    let threes = best.iter().flat_map(|a| {
        let best = &best;
        best.iter().filter(move |b| *b > a).flat_map(move |b| best.iter().filter(move |c| *c > b).map(|c| vec![*a, *b, *c]))
    });
    let found = ones.chain(pairs).chain(threes).find_map(|chosen| filled(state, &all, &chosen));
    found.or_else(|| filled(state, &all, &most_first(state, &all)))
}

/// All warehouses, each as the one that has most of what those before it lack.
fn most_first(state: &AllocationState, all: &Warehouses<'_>) -> Vec<usize> {
    let mut rest: BTreeMap<&str, u32> = state.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
    let (mut chosen, mut left): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..all.len()).collect());
    while let Some((at, _)) = left
        .iter()
        .enumerate()
        .map(|(at, n)| (at, rest.iter().map(|(sku, wants)| u64::from(*wants.min(all[*n].1.get(sku).unwrap_or(&0)))).sum::<u64>()))
        .filter(|(_, gives)| *gives > 0)
        // Of equal ones the first.
        .max_by_key(|(at, gives)| (*gives, std::cmp::Reverse(*at)))
    {
        let n = left.remove(at);
        for (sku, wants) in &mut rest {
            *wants = wants.saturating_sub(all[n].1.get(sku).copied().unwrap_or_default());
        }
        chosen.push(n);
    }
    chosen
}

/// The plan with these warehouses, each giving what it can in this order.
fn filled(state: &AllocationState, all: &Warehouses<'_>, chosen: &[usize]) -> Option<BTreeMap<String, Hold>> {
    let mut holds = BTreeMap::new();
    for line in &state.lines {
        let mut rest = line.quantity;
        for (warehouse, gives) in chosen.iter().map(|n| &all[*n]) {
            let quantity = rest.min(gives.get(line.sku.as_str()).copied().unwrap_or_default());
            if quantity > 0 {
                let hold = Hold { sku: line.sku.clone(), warehouse: (*warehouse).to_owned(), quantity };
                holds.insert(key(&line.sku, warehouse), hold);
            }
            rest -= quantity;
        }
        if rest > 0 {
            return None;
        }
    }
    Some(holds)
}
