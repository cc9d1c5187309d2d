//! Panics of what the shop brings: caught, and told.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The text that a panic was raised with, or that it had none.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a text".to_owned())
}

/// The outcome, or the text of the panic that it ended in. Callers throw half-done work of a panic away.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| panic_text(panic.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_whether_it_was_formatted_or_not() {
        let caught = |f: fn()| std::panic::catch_unwind(f).expect_err("it panics");
        assert_eq!(panic_text(caught(|| panic!("plain")).as_ref()), "plain");
        assert_eq!(panic_text(caught(|| panic!("{}", 7)).as_ref()), "7");
        assert_eq!(panic_text(caught(|| std::panic::panic_any(7_u8)).as_ref()), "without a text");
    }
}
