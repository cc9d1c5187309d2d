//! A page of a list as it is served: made of what is held of the list, and of what fills its items; kept until one of them
//! changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderValue;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::form::{Form, Forms, Representation};
use super::part::{Part, Parts, SameParts};
use super::render;
use super::view::{View, in_front};
use crate::model::{Fill, Items};

/// About what an item costs beyond its bytes, which are its part's.
const ITEM_OVERHEAD: usize = 96;

/// A page, as far as the list's own parts tell.
pub(crate) struct ListPage {
    items: Vec<Bytes>,
    /// The keys that each item is filled from; empty where nothing fills them.
    keys: Vec<String>,
    /// The token of the next page.
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
    forms: Forms,
}

impl ListPage {
    /// Of these parts, which are in order.
    ///
    /// # Errors
    /// When they are no parts of such a list.
    pub(crate) fn of(items: &Items, parts: &[Arc<Part>], next: Option<String>, fill: Option<&Fill>) -> Result<Self, String> {
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            all.extend(items.split(part.bytes.clone())?);
        }
        let keys = match fill {
            Some(fill) => all.iter().map(|item| items.text(item, &fill.by)).collect::<Result<Vec<String>, String>>()?,
            None => Vec::new(),
        };
        // No key has a zero in it, and Postgres would not be asked for one.
        let known: BTreeSet<String> = keys.iter().filter(|key| !key.contains('\0')).cloned().collect();
        let filled_by = fill.filter(|_| !known.is_empty()).map(|fill| Arc::new(View::beginning(known, &fill.parts)));
        let parked: BTreeSet<&str> = parts.iter().filter_map(|part| part.stale.as_deref()).collect();
        let stale = parked.into_iter().collect::<Vec<_>>().join(", ");
        Ok(Self {
            items: all,
            keys,
            next: next.and_then(|token| HeaderValue::try_from(token).ok()),
            stale: (!stale.is_empty()).then(|| HeaderValue::try_from(stale).ok()).flatten(),
            filled_by,
            filled: Mutex::default(),
        })
    }

    /// With its items filled from these parts: as it was the last time, where that is the same.
    pub(crate) fn filled(&self, from: Option<&Parts>) -> Arc<Filled> {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |filled: &&mut Arc<Filled>| match (&filled.from, from) {
            (Some(then), Some(now)) => then.are(now),
            (then, now) => then.is_none() && now.is_none(),
        };
        match filled.as_mut().filter(same) {
            Some(filled) => filled.clone(),
            None => filled.insert(Arc::new(Filled { from: from.map(Parts::remember), forms: Forms::default() })).clone(),
        }
    }

    /// Its body in a form, and whether that was made now: as [`Forms::get`].
    pub(crate) fn form<'a>(
        &self,
        filled: &'a Filled,
        from: Option<&Parts>,
        items: &Items,
        form: Form,
    ) -> (Result<&'a Representation, Arc<str>>, bool) {
        filled.forms.get(form, || {
            let next = self.next.as_ref().and_then(|token| token.to_str().ok());
            match from {
                Some(from) => represent(items, &self.with(from), next, form),
                None => represent(items, &self.items, next, form),
            }
            .map(Bytes::from)
        })
    }

    /// Each item, and behind it what stands under its key: merging is concatenating.
    fn with(&self, from: &Parts) -> Vec<Bytes> {
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
        let items = self.items.len() * ITEM_OVERHEAD + self.keys.iter().map(String::len).sum::<usize>();
        let filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = filled.as_ref().map_or(0, |filled| filled.forms.weight());
        items + filled + self.filled_by.as_ref().map_or(0, |view| view.weight())
    }
}

/// The body of a page.
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
