//! Money that is shared: to lines, and to the pieces of a line. Amounts are in minor units of one currency, 0 or more; sums that are shared
//! add up to the cent, in whatever order their parts are counted. What a piece costs is the contract's matter: read models count it too.

pub use shop_proto::pieces::{cost_of as piece, costs_of as pieces};

/// So many pieces at this price; none where that is more than can be counted.
pub fn times(price: i64, quantity: u32) -> Option<i64> {
    price.checked_mul(i64::from(quantity))
}

/// A sum shared by weights, by largest remainder: each share is its exact part, rounded up or down, and they add up to the sum. Of equal
/// remainders the first is rounded up. Weights below 0 count as 0; where all are 0, all are equal. Without weights there are no shares.
pub fn shares(sum: i64, weights: &[i64]) -> Vec<i64> {
    let weights: Vec<i128> = match weights.iter().any(|weight| *weight > 0) {
        true => weights.iter().map(|weight| i128::from(*weight).max(0)).collect(),
        false => vec![1; weights.len()],
    };
    let all: i128 = weights.iter().sum();
    // Both factors have 63 bits, so the product fits.
    let exact: Vec<i128> = weights.iter().map(|weight| i128::from(sum.max(0)) * weight).collect();
    let mut shares: Vec<i64> = exact.iter().map(|exact| amount(exact / all.max(1))).collect();
    let mut by_remainder: Vec<usize> = (0..shares.len()).collect();
    by_remainder.sort_by_key(|line| std::cmp::Reverse(exact[*line] % all.max(1)));
    let rest = sum.max(0) - shares.iter().sum::<i64>();
    for line in by_remainder.into_iter().take(usize::try_from(rest).unwrap_or_default()) {
        shares[line] += 1;
    }
    shares
}

/// A part of an amount is an amount.
fn amount(part: i128) -> i64 {
    i64::try_from(part).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_go_to_the_largest_remainders_and_then_to_the_first_lines() {
        assert_eq!(shares(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(shares(101, &[1, 1, 1]), [34, 34, 33]);
        assert_eq!(shares(10, &[1, 2, 3, 4]), [1, 2, 3, 4]);
        assert_eq!(shares(5, &[3, 3, 4]), [2, 1, 2], "exactly 1.5, 1.5 and 2");
        assert_eq!(shares(7, &[1, 1, 8]), [1, 1, 5], "exactly 0.7, 0.7 and 5.6: two of them are rounded up");
        assert_eq!(shares(1, &[0, 0, 5]), [0, 0, 1]);
    }

    #[test]
    fn what_weighs_nothing_gets_nothing_unless_nothing_weighs() {
        assert_eq!(shares(3, &[0, 0]), [2, 1]);
        assert_eq!(shares(3, &[-7, 1]), [0, 3]);
        assert_eq!(shares(3, &[]), [0; 0]);
        assert_eq!(shares(-3, &[1, 1]), [0, 0]);
        assert_eq!(shares(i64::MAX, &[i64::MAX, i64::MAX]), [i64::MAX / 2 + 1, i64::MAX / 2]);
    }

    #[test]
    fn a_line_whose_total_does_not_divide_has_pieces_that_differ_by_one_unit() {
        assert_eq!((1..=3).map(|n| piece(1000, 3, n)).collect::<Vec<_>>(), [333, 333, 334]);
        assert_eq!([0, 4, u32::MAX].map(|n| piece(1000, 3, n)), [0, 0, 0]);
        assert_eq!((piece(1000, 0, 1), piece(-5, 2, 1), piece(i64::MAX, 1, 1)), (0, 0, i64::MAX));
    }

    #[test]
    fn more_than_can_be_counted_is_no_amount() {
        assert_eq!(
            (times(1999, 2), times(0, u32::MAX), times(i64::MAX, 1), times(i64::MAX, 2)),
            (Some(3998), Some(0), Some(i64::MAX), None)
        );
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_sum_and_each_is_its_part_rounded_up_or_down(
            sum in prop_oneof![0..100_000_i64, 0..=i64::MAX],
            weights in prop::collection::vec(prop_oneof![0..1_000_i64, 0..=i64::MAX], 1..40),
        ) {
            let shares = shares(sum, &weights);
            prop_assert_eq!(shares.iter().map(|s| i128::from(*s)).sum::<i128>(), i128::from(sum));
            let all: i128 = weights.iter().map(|w| i128::from(*w)).sum();
            for (share, weight) in shares.iter().zip(&weights).filter(|_| all > 0) {
                let exact = i128::from(sum) * i128::from(*weight);
                prop_assert!((i128::from(*share) * all - exact).abs() < all, "{share} of {exact}/{all}");
            }
        }

        /// Captured, refunded, cancelled by piece: in whatever order pieces have their fates, these add up to the line.
        #[test]
        fn the_pieces_of_a_line_add_up_to_its_total_in_any_order_and_any_groups(
            total in prop_oneof![0..100_000_i64, 0..=i64::MAX],
            fates in prop::collection::vec(0..4_usize, 1..200),
        ) {
            let of = u32::try_from(fates.len()).expect("few");
            let mut books = [0_i128; 4];
            for (before, fate) in (0..of).zip(&fates).rev() {
                let piece = piece(total, of, before + 1);
                prop_assert!((piece - total / i64::from(of)).abs() <= 1);
                books[*fate] += i128::from(piece);
            }
            prop_assert_eq!(books.iter().sum::<i128>(), i128::from(total));
        }

        /// A discount is shared to lines, and each line to pieces: nothing is lost on the way.
        #[test]
        fn what_is_shared_to_lines_and_then_to_pieces_adds_up(
            sum in 0..1_000_000_i64,
            lines in prop::collection::vec((0..10_000_i64, 1..30_u32), 1..10),
        ) {
            let weights: Vec<i64> = lines.iter().map(|(weight, _)| *weight).collect();
            let pieces = shares(sum, &weights).into_iter().zip(&lines).flat_map(|(share, (_, of))| (1..=*of).map(move |n| piece(share, *of, n)));
            prop_assert_eq!(pieces.sum::<i64>(), sum);
        }

        #[test]
        fn nothing_panics(sum: i64, weights: Vec<i64>, of: u32, n: u32) {
            let _ = (shares(sum, &weights), piece(sum, of, n), times(sum, of));
        }
    }
}
