//! Words of others, as our messages take them.

use daybook_kernel::{ServiceMessage, Unknown};
use daybook_proto::CommandSet;

/// At most so many characters, none of them a control character, no blanks around.
pub(crate) fn short(text: &str, most: usize) -> String {
    let printable: String = text.chars().filter(|c| !c.is_control()).collect();
    let cut: String = printable.trim().chars().take(most).collect();
    cut.trim_end().to_owned()
}

/// The message, where the command's rules hold; else what stands in the way.
pub(crate) fn message<C: CommandSet>(mut command: C) -> Result<ServiceMessage, Unknown> {
    let mut wrong = command.tidy();
    if wrong.is_empty() {
        wrong = command.violations();
    }
    match wrong.into_iter().next() {
        None => Ok(ServiceMessage::of(&command)),
        Some(first) => Err(Unknown::Unusable(format!("what was told can't be recorded: {} {}", first.field, first.message))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_tidied() {
        assert_eq!(short(" card\u{7}\ndeclined ", 200), "carddeclined");
        assert_eq!(short("äöü", 2), "äö");
        assert_eq!(short("a b", 2), "a");
    }
}
