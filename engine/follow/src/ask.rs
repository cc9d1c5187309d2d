//! An operator's request to the process that has a partition, for a stream that is parked there.

/// The requests of an operator. The process that follows the partition fulfils them, so that a follower has one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Take the stream up again: what kept its event from being handled is gone.
    Retry,
    /// Do without the event that can't be handled; then take the stream up again.
    Skip,
}

impl Ask {
    /// As the database writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }

    /// As the database has written it; none: nothing that this build knows.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Retry, Self::Skip].into_iter().find(|ask| ask.as_str() == text)
    }
}
