//! The parameters of a query string.

use std::borrow::Cow;

use crate::Problem;

/// Reads a query string, in which each known parameter may stand once. The values are in the order of `known`.
///
/// # Errors
/// 400 that names the first parameter that is unknown, or stands twice.
pub fn parameters<'a, const N: usize>(query: Option<&'a str>, known: [&str; N]) -> Result<[Option<Cow<'a, str>>; N], Problem> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let Some(place) = known.iter().position(|known| *known == name) else {
            let name: String = name.chars().take(100).collect();
            let there = if N == 0 { "none is taken here".to_owned() } else { format!("there are {}", known.join(", ")) };
            return Err(Problem::invalid(&name, format!("is no parameter of this path: {there}")));
        };
        if values[place].replace(value).is_some() {
            return Err(Problem::invalid(known[place], "must stand once"));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_read_and_others_refused() {
        let [size, at] = parameters(Some("at=a%20b&page_size=2"), ["page_size", "at"]).expect("known");
        assert_eq!((size.as_deref(), at.as_deref()), (Some("2"), Some("a b")));
        assert!(parameters(None, ["at"]).is_ok_and(|[at]| at.is_none()));
        assert!(parameters(Some(""), []).is_ok());
        for bad in ["dry_run=true", "at=1&at=2", "AT=1", "=", "at=1&x"] {
            assert!(parameters(Some(bad), ["at"]).is_err(), "{bad}");
        }
    }
}
