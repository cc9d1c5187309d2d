//! Answers of the outside.

use std::pin::Pin;

use daybook_kernel::{Attempt, Unknown};
use uuid::Uuid;

/// A question under way. [`Unknown`]: no answer, or none that says what came of it; never a no.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unknown>> + Send + 'a>>;

/// What somebody outside has said, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<T> {
    /// It is done, now or before: how the thing stands.
    Done(T),
    /// No.
    Refused {
        /// Why, in their words.
        code: String,
        /// How the thing stands, where they told it.
        object: Option<T>,
    },
}

/// Does a thing as far as an attempt allows. None: it was too late to begin it, and they have never heard of it.
pub(crate) async fn attempted<'a, T>(
    attempt: Attempt,
    key: Uuid,
    asked: impl FnOnce(Uuid) -> Asking<'a, Option<Said<T>>>,
    done: impl FnOnce(Uuid) -> Asking<'a, Said<T>>,
) -> Result<Option<Said<T>>, Unknown> {
    if attempt != Attempt::First
        && let Some(said) = asked(key).await?
    {
        return Ok(Some(said));
    }
    if attempt == Attempt::AskOnly {
        return Ok(None);
    }
    done(key).await.map(Some)
}
