//! Answers of the outside.

use std::pin::Pin;

use daybook_kernel::Unknown;

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
