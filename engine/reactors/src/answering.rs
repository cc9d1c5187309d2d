//! One call, done: pages are read, and what they say becomes a command.

use daybook_kernel::{ErasedLookup, Instant, LookupError, PageKey, Pages, ServiceMessage};

use crate::call::Call;
use crate::pages::{Place, ReadError, Reader};

/// Why a call has no outcome yet. It is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("its outcome is addressed to {0}, and it asked for {1}")]
    OtherTarget(String, String),
}

/// Reads these pages, once more where the first pages name further ones, and answers.
pub(crate) async fn answer(
    lookup: &dyn ErasedLookup,
    call: &Call,
    first: &[PageKey],
    reader: &Reader,
    place: Place<'_>,
    now: Instant,
) -> Result<ServiceMessage, CallError> {
    let event = &call.event;
    let mut pages = Pages::default();
    reader.read(first, place, &mut pages).await?;
    let further = lookup.asks_further(&event.type_name, &event.payload, &event.decoded, &pages)?;
    if !further.is_empty() {
        reader.read(&further, place, &mut pages).await?;
    }
    let outcome = lookup.answer(&event.type_name, &event.payload, &event.decoded, &pages, now)?;
    if outcome.target != call.target || outcome.service != call.service {
        return Err(CallError::OtherTarget(outcome.target.as_str().to_owned(), call.target.as_str().to_owned()));
    }
    Ok(outcome)
}
