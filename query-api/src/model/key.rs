//! Keys, as paths name them.

use std::borrow::Cow;

use daybook_http::Problem;
use daybook_proto::{TextForm, canonical};

/// The longest key, in characters.
pub(crate) const MAX_KEY: usize = 512;
/// The name of a path's segment.
pub(crate) const KEY: &str = "key";

/// A key of a path, in its canonical form: the one place where that is given to what is asked for.
pub(crate) fn key(segment: &str, form: TextForm) -> Result<Cow<'_, str>, Problem> {
    let key = match daybook_http::segment(segment, KEY)? {
        Cow::Borrowed(key) => canonical(key, form),
        Cow::Owned(key) => Cow::Owned(canonical(&key, form).into_owned()),
    };
    // Bytes bound characters from above: the common case is decided without counting.
    let long = key.len() > MAX_KEY && key.chars().count() > MAX_KEY;
    if key.is_empty() || long || key.contains('\0') {
        return Err(Problem::invalid(KEY, format!("must be 1 to {MAX_KEY} characters, without U+0000, is {}", daybook_proto::shown(&key))));
    }
    Ok(key)
}
