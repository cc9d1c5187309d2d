//! Currencies, as ISO 4217 has them.

use daybook_proto::{Checked as _, Path};

use crate::common::v1::Money;

/// The decimals of a currency: its smallest unit as a power of ten. None: it is not among those that prices
/// may have. Those of ISO 4217 without a minor unit (gold, special drawing rights) have 0. Source: ISO 4217, list one as of January 2026.
pub fn decimals(currency: &str) -> Option<u32> {
    let mut violations = Vec::new();
    Money { currency: currency.to_owned(), minor_units: 0 }.check(&Path::Root, &mut violations);
    violations.is_empty().then_some(match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF"
        | "XPF" => 0,
        "XAG" | "XAU" | "XBA" | "XBB" | "XBC" | "XBD" | "XDR" | "XPD" | "XPT" | "XSU" | "XUA" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_has_the_decimals_of_iso_4217_and_what_is_none_has_none() {
        assert_eq!(["EUR", "JPY", "KWD", "CLF", "XAU"].map(decimals), [Some(2), Some(0), Some(3), Some(4), Some(0)]);
        assert_eq!(["", "eur", "EURO", "XXX", "XTS", "ABC"].map(decimals), [None; 6]);
    }
}
