//! A page as it is made to be served: of a list's parts, or of those of a key that is filled or finished; and of what fills its items.
//! Kept until one of them changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::http::HeaderValue;
use bytes::Bytes;
use daybook_kernel::{Finished, Finisher, Instant};
use serde_json::{Map, Value};

use super::form::{Form, Forms, Representation};
use super::part::{Part, Parts, SameParts};
use super::render;
use super::view::{View, in_front};
use crate::model::{Fill, Items, ServedModel};

/// About what an item costs beyond its bytes, which are its part's.
const ITEM_OVERHEAD: usize = 96;

/// A page, as far as its own parts tell.
pub(crate) struct MadePage {
    /// All but the items, where it is the page of a key; none: a page of a list has nothing else.
    others: Option<Vec<u8>>,
    items: Vec<Bytes>,
    /// The keys that each item is filled from; empty where nothing fills them.
    keys: Vec<String>,
    /// The token of a list's next page.
    pub(crate) next: Option<HeaderValue>,
    /// The parked streams that it shows.
    pub(crate) stale: Option<HeaderValue>,
    /// The view that fills its items; none where nothing does, or there are none.
    pub(crate) filled_by: Option<Arc<View>>,
    /// As it was filled last.
    filled: Mutex<Option<Arc<Filled>>>,
}

/// A page with its items filled.
pub(crate) struct Filled {
    /// From these parts.
    from: Option<SameParts>,
    /// The message of the page of a key, finished; none: of a list.
    message: Option<Result<Bytes, Arc<str>>>,
    /// When another one is to be made, though no part changes.
    pub(crate) until: Option<Instant>,
    forms: Forms,
    /// The encoded event for those who subscribe.
    pub(crate) event: OnceLock<Bytes>,
}

impl MadePage {
    /// A page of a list, of these parts, which are in order.
    ///
    /// # Errors
    /// When they are no parts of such a list.
    pub(crate) fn of_list(items: &Items, parts: &[Arc<Part>], next: Option<String>, fill: Option<&Fill>) -> Result<Self, String> {
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            all.extend(items.split(part.bytes.clone())?);
        }
        let next = next.and_then(|token| HeaderValue::try_from(token).ok());
        Ok(Self { next, ..Self::of(None, all, parts, fill.map(|fill| (items, fill)))? })
    }

    /// The page of a key, of its parts.
    ///
    /// # Errors
    /// When they are no parts of such a page.
    pub(crate) fn of_key(items: Option<&Items>, parts: &Parts, fill: Option<&Fill>) -> Result<Self, String> {
        let merged = parts.merged();
        match (items, fill) {
            (Some(items), Some(fill)) => {
                let (all, others) = items.split_off(merged)?;
                Self::of(Some(others), all, parts, Some((items, fill)))
            }
            _ => Self::of(Some(merged.to_vec()), Vec::new(), parts, None),
        }
    }

    fn of(others: Option<Vec<u8>>, items: Vec<Bytes>, parts: &[Arc<Part>], fill: Option<(&Items, &Fill)>) -> Result<Self, String> {
        let keys = match fill {
            Some((of, fill)) => items.iter().map(|item| of.text(item, &fill.by)).collect::<Result<Vec<String>, String>>()?,
            None => Vec::new(),
        };
        // No key has a zero in it, and Postgres would not be asked for one.
        let known: BTreeSet<String> = keys.iter().filter(|key| !key.contains('\0')).cloned().collect();
        let filled_by = fill.filter(|_| !known.is_empty()).map(|(_, fill)| Arc::new(View::beginning(known, &fill.parts)));
        let parked: BTreeSet<&str> = parts.iter().filter_map(|part| part.stale.as_deref()).collect();
        let stale = parked.into_iter().collect::<Vec<_>>().join(", ");
        let stale = (!stale.is_empty()).then(|| HeaderValue::try_from(stale).ok()).flatten();
        Ok(Self { others, items, keys, next: None, stale, filled_by, filled: Mutex::default() })
    }

    /// With its items filled from these parts: as it was the last time, where that is the same and its time is not over.
    pub(crate) fn filled(&self, served: &ServedModel, from: Option<&Parts>, now: Instant) -> Arc<Filled> {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |filled: &&mut Arc<Filled>| match (&filled.from, from) {
            _ if filled.until.is_some_and(|until| until <= now) => false,
            (Some(then), Some(now)) => then.are(now),
            (then, now) => then.is_none() && now.is_none(),
        };
        match filled.as_mut().filter(same) {
            Some(filled) => filled.clone(),
            None => filled.insert(Arc::new(self.fill(served, from, now))).clone(),
        }
    }

    fn fill(&self, served: &ServedModel, from: Option<&Parts>, now: Instant) -> Filled {
        let finished = self.others.as_ref().map(|others| {
            let mut bytes = others.clone();
            if let Some(items) = &served.filled {
                bytes.extend(items.join(&self.items(from)));
            }
            finish(served.model.finisher.as_ref(), bytes, now)
        });
        let (message, until) = match finished {
            // A time that has come already would have it made again and again.
            Some(Ok(Finished { message, until })) => {
                (Some(Ok(message.into())), until.map(|until| if until > now { until } else { soonest(now) }))
            }
            Some(Err(error)) => (Some(Err(error.into())), None),
            None => (None, None),
        };
        Filled { from: from.map(Parts::remember), message, until, forms: Forms::default(), event: OnceLock::new() }
    }

    /// Its body in a form, and whether that was made now: as [`Forms::get`].
    pub(crate) fn form<'a>(
        &self,
        served: &ServedModel,
        filled: &'a Filled,
        from: Option<&Parts>,
        form: Form,
    ) -> (Result<&'a Representation, Arc<str>>, bool) {
        filled.forms.get(form, || match (&filled.message, &served.items) {
            (Some(message), _) => {
                let message = message.as_ref().map_err(|error| error.to_string())?;
                match form {
                    Form::Protobuf => Ok(message.clone()),
                    Form::Json => Ok(render::json(&served.message, message)?.into()),
                }
            }
            (None, Some(items)) => {
                let next = self.next.as_ref().and_then(|token| token.to_str().ok());
                represent(items, &self.items(from), next, form).map(Bytes::from)
            }
            (None, None) => Err("it is no list".to_owned()),
        })
    }

    /// Each item, and behind it what stands under its key: merging is concatenating.
    fn items(&self, from: Option<&Parts>) -> Vec<Bytes> {
        let Some(from) = from else { return self.items.clone() };
        let with = |(item, key): (&Bytes, &String)| {
            let prefix = in_front(key, "");
            let mut merged = item.to_vec();
            for part in from.beginning(&prefix) {
                merged.extend_from_slice(&part.bytes);
            }
            merged.into()
        };
        self.items.iter().zip(&self.keys).map(with).collect()
    }

    /// About how many bytes it holds, the forms that were made of it included.
    pub(crate) fn weight(&self) -> usize {
        let others = self.others.as_ref().map_or(0, Vec::len);
        let items = self.items.len() * ITEM_OVERHEAD + self.keys.iter().map(String::len).sum::<usize>();
        let filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = filled.as_ref().map_or(0, |filled| filled.weight());
        others + items + filled + self.filled_by.as_ref().map_or(0, |view| view.weight())
    }
}

impl Filled {
    fn weight(&self) -> usize {
        let message = self.message.as_ref().and_then(|message| message.as_ref().ok()).map_or(0, Bytes::len);
        message + self.forms.weight() + self.event.get().map_or(0, Bytes::len)
    }
}

/// The soonest time at which a page that is made now is made again.
fn soonest(now: Instant) -> Instant {
    Instant::from_micros(now.micros().saturating_add(1_000_000))
}

/// The page of a key as it is served, where its read model finishes it.
///
/// # Errors
/// When it can't be finished.
pub(crate) fn finish(finisher: Option<&Finisher>, merged: Vec<u8>, now: Instant) -> Result<Finished<Vec<u8>>, String> {
    match finisher {
        Some(finisher) => finisher.finish(&merged, now).map_err(|error| error.to_string()),
        None => Ok(Finished { message: merged, until: None }),
    }
}

/// The body of a list's page.
///
/// # Errors
/// When an item is no such message.
pub(crate) fn represent(items: &Items, page: &[Bytes], next: Option<&str>, form: Form) -> Result<Vec<u8>, String> {
    match form {
        Form::Protobuf => Ok(items.join(page)),
        Form::Json => {
            let values: Result<Vec<Value>, String> = page.iter().map(|item| render::value(items.message(), item)).collect();
            let mut list = Map::new();
            list.insert(items.name().to_owned(), values?.into());
            list.insert("nextPageToken".to_owned(), next.unwrap_or_default().into());
            serde_json::to_vec(&list).map_err(|e| e.to_string())
        }
    }
}
