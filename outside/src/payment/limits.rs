//! What a provider takes, as an install's settings say it.

use std::collections::BTreeMap;

use shop_proto::currency::decimals;
use shop_proto::order::v1::PaymentLimits;

/// Codes of ISO 4217 that are no money to pay with: metals, units of account, funds.
const NO_MONEY: &[&str] = &[
    "BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT",
    "XSU", "XUA",
];
/// The most that a payment may be, in minor units: twelve digits, as cards have it.
const MOST: i64 = 999_999_999_999;

/// The currencies that a provider takes, with the least amount in each, and the step where it takes fewer decimals than the currency has. By
/// default every currency of ISO 4217 that is money, from one minor unit on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakenCurrencies(Option<BTreeMap<String, Least>>);

/// In minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Least {
    minimum: i64,
    step: i64,
}

impl TakenCurrencies {
    /// These alone. Each is a code, and its least amount in minor units, after a `/` with the step that amounts have: `EUR` and `50`, or `HUF`
    /// and `17500/100`.
    ///
    /// # Errors
    /// What is wrong with one, for people.
    pub fn only<'s>(currencies: impl IntoIterator<Item = (&'s str, &'s str)>) -> Result<Self, String> {
        let mut taken = BTreeMap::new();
        for (currency, least) in currencies {
            if decimals(currency).is_none() || NO_MONEY.contains(&currency) {
                return Err(format!("{currency:?} is no currency of ISO 4217 in capitals that one can pay with, such as EUR"));
            }
            let (minimum, step) = least.split_once('/').unwrap_or((least, "1"));
            let units = |text: &str| text.trim().parse().ok().filter(|units| (1..=MOST).contains(units));
            let (Some(minimum), Some(step)) = (units(minimum), units(step)) else {
                return Err(format!(
                    "{currency}: {least:?} must be its least amount in minor units, such as 50, or with its step, such as 100/10"
                ));
            };
            taken.insert(currency.to_owned(), Least { minimum, step });
        }
        Ok(Self(Some(taken)))
    }

    /// What is taken in this currency.
    pub fn limits(&self, currency: &str) -> PaymentLimits {
        let least = match &self.0 {
            Some(taken) => taken.get(currency).copied(),
            None => (!NO_MONEY.contains(&currency) && decimals(currency).is_some()).then_some(Least { minimum: 1, step: 1 }),
        };
        least.map_or_else(PaymentLimits::default, |Least { minimum, step }| PaymentLimits { taken: true, minimum, maximum: MOST, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(minimum: i64, step: i64) -> PaymentLimits {
        PaymentLimits { taken: true, minimum, maximum: MOST, step }
    }

    #[test]
    fn an_install_says_what_is_taken_and_without_a_word_all_money_is() {
        let all = TakenCurrencies::default();
        assert_eq!(["EUR", "JPY", "XAU", "ABC", ""].map(|code| all.limits(code).taken), [true, true, false, false, false]);
        assert_eq!(all.limits("EUR"), limits(1, 1));
        let some = TakenCurrencies::only([("EUR", "50"), ("KWD", " 100 / 10 ")]).expect("they can be");
        assert_eq!((some.limits("EUR"), some.limits("KWD")), (limits(50, 1), limits(100, 10)));
        assert_eq!(some.limits("USD"), PaymentLimits::default());
        assert!(!TakenCurrencies::only([]).expect("none").limits("EUR").taken, "who names none takes none");
    }

    #[test]
    fn what_can_t_be_a_currency_or_its_least_amount_is_named() {
        for (currency, least, said) in [
            ("eur", "50", "\"eur\" is no currency"),
            ("XAU", "50", "\"XAU\" is no currency"),
            ("EUR", "0", "EUR: \"0\" must be"),
            ("EUR", "0.50", "EUR: \"0.50\" must be"),
            ("EUR", "50/", "EUR: \"50/\" must be"),
            ("EUR", "1000000000000", "EUR: \"1000000000000\" must be"),
        ] {
            let error = TakenCurrencies::only([(currency, least)]).expect_err(least);
            assert!(error.starts_with(said), "{error}");
        }
    }
}
