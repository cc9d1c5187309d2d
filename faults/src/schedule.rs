//! The order of strikes: each nemesis alone, or in random company.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

/// The thing that a nemesis breaks; two that share something are not in one company, for one would undo the other.
fn resources(name: &str) -> Vec<&str> {
    let first = name.split('-').next().unwrap_or(name);
    match first {
        "disk" | "connections" | "swallow" => vec!["postgres"],
        // It holds a lane up where it is to append.
        "pause" if name == "pause-lane" => vec!["pause", "append"],
        "pause" | "slow" => vec!["pause"],
        "rebalance" | "two" => vec!["members"],
        // The same process may not be waited for at two points, and a point is armed with one thing.
        "point" | "panic" => vec![name.split(['-', '.']).nth(1).unwrap_or(name)],
        other => vec![other],
    }
}

fn share_nothing(one: &str, other: &str) -> bool {
    let theirs = resources(other);
    resources(one).iter().all(|what| !theirs.contains(what))
}

/// All of them once, in random order, in companies of at most `size`.
pub fn companies(names: &[&'static str], size: usize, random: &mut StdRng) -> Vec<Vec<&'static str>> {
    let mut left: Vec<&'static str> = names.to_vec();
    left.shuffle(random);
    let mut all = Vec::new();
    while let Some(first) = left.pop() {
        let mut company = vec![first];
        let wanted = if size > 1 { random.random_range(2..=size) } else { 1 };
        let mut n = left.len();
        while company.len() < wanted && n > 0 {
            n -= 1;
            if company.iter().all(|other| share_nothing(other, left[n])) {
                company.push(left.remove(n));
            }
        }
        all.push(company);
    }
    all
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn everyone_comes_once_and_nobody_meets_who_breaks_the_same() {
        let names = [
            "kafka-kill",
            "kafka-pause",
            "postgres-kill",
            "disk-full-wal",
            "kill-handlers",
            "point-append.after",
            "panic-append.after",
            "pause-lane",
            "slow-consumer",
        ];
        for seed in 0..50 {
            let companies = companies(&names, 3, &mut StdRng::seed_from_u64(seed));
            let mut all: Vec<&str> = companies.iter().flatten().copied().collect();
            all.sort_unstable();
            let mut expected = names.to_vec();
            expected.sort_unstable();
            assert_eq!(all, expected);
            for company in companies {
                let all: Vec<&str> = company.iter().flat_map(|n| resources(n)).collect();
                let apart: std::collections::BTreeSet<&str> = all.iter().copied().collect();
                assert_eq!(all.len(), apart.len(), "{company:?}");
            }
        }
    }

    #[test]
    fn alone_is_a_company_of_one() {
        assert!(companies(&["a", "b"], 1, &mut StdRng::seed_from_u64(1)).iter().all(|c| c.len() == 1));
    }
}
