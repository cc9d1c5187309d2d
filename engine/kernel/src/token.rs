//! Consistency tokens: `service/partition:offset@epoch`.

use std::fmt;
use std::str::FromStr;

/// The last place in a log that a result rests on, inclusive. A query that carries it is answered from a state
/// that has got there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsistencyToken {
    /// For example `catalog`.
    pub service: String,
    /// The log partition.
    pub partition: i32,
    /// −1: the partition held nothing yet.
    pub offset: i64,
    /// The log's epoch, from 1.
    pub epoch: i32,
}

/// A text that is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no consistency token: it must be service/partition:offset@epoch, as a result's Consistency-Token gave it")]
pub struct TokenError(String);

impl ConsistencyToken {
    /// Several tokens, separated by commas; blanks around them are passed over.
    ///
    /// # Errors
    /// For the first that is not of the form, and for more than 64.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, TokenError> {
        let tokens: Vec<Self> =
            text.split(',').map(str::trim).filter(|t| !t.is_empty()).take(65).map(str::parse).collect::<Result<_, _>>()?;
        if tokens.is_empty() || tokens.len() > 64 { Err(TokenError(text.chars().take(100).collect())) } else { Ok(tokens) }
    }
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}@{}", self.service, self.partition, self.offset, self.epoch)
    }
}

impl FromStr for ConsistencyToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let parse = || {
            let (service, rest) = text.split_once('/')?;
            let (partition, rest) = rest.split_once(':')?;
            let (offset, epoch) = rest.split_once('@')?;
            let plain =
                !service.is_empty() && service.len() <= 63 && service.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'-');
            // `parse` would take "+1"; a token is only ever Display's text.
            let token = Self {
                service: service.to_owned(),
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
                epoch: epoch.parse().ok()?,
            };
            (plain && token.partition >= 0 && token.offset >= -1 && token.epoch >= 1 && token.to_string() == text).then_some(token)
        };
        parse().ok_or_else(|| TokenError(text.chars().take(100).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_read_back_as_it_was_written_and_nothing_else_is_one() {
        for good in ["catalog/3:17@1", "inventory/0:-1@2"] {
            assert_eq!(good.parse::<ConsistencyToken>().expect("valid").to_string(), good);
        }
        for bad in [
            "",
            "catalog",
            "catalog/3",
            "catalog/3:17",
            "catalog/-1:1@1",
            "catalog/1:-2@1",
            "catalog/1:1@0",
            "Catalog/1:1@1",
            "c/+1:1@1",
            "c/1:1@1 ",
        ] {
            assert!(bad.parse::<ConsistencyToken>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn several_tokens_are_separated_by_commas() {
        assert_eq!(ConsistencyToken::parse_list("a/1:2@1, b/3:4@1").expect("valid").len(), 2);
        assert!(ConsistencyToken::parse_list(" , ").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_text_is_a_token_only_as_it_would_be_written(text in "[a-c_]{0,3}/?[+-]?[0-9]{0,12}[:@]?-?[0-9]{0,21}@?[0-9]{0,11}|\\PC{0,80}") {
            match text.parse::<ConsistencyToken>() {
                Ok(token) => prop_assert_eq!(token.to_string(), text),
                Err(error) => prop_assert!(error.to_string().chars().count() < 2_000),
            }
        }

        #[test]
        fn a_list_is_what_was_put_together(
            tokens in prop::collection::vec(("[a-z_-]{1,63}", 0..=i32::MAX, -1..=i64::MAX, 1..=i32::MAX), 0..70),
        ) {
            let tokens: Vec<ConsistencyToken> =
                tokens.into_iter().map(|(service, partition, offset, epoch)| ConsistencyToken { service, partition, offset, epoch }).collect();
            let text = tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ,");
            let fits = (1..=64).contains(&tokens.len());
            prop_assert_eq!(ConsistencyToken::parse_list(&text).ok(), fits.then_some(tokens));
        }
    }
}
