//! Percentiles.

use std::time::Duration;

/// p50, p95 and p99 in milliseconds, as cells of a table.
pub(crate) fn cells(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).map_or(0.0, |t| t.as_secs_f64() * 1e3)
    };
    format!("{:.2} | {:.2} | {:.2}", at(50), at(95), at(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_least_that_so_many_do_not_exceed() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(cells(times), "100.00 | 190.00 | 198.00");
        assert_eq!(cells(Vec::new()), "0.00 | 0.00 | 0.00");
    }
}
