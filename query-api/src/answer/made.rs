//! Pages that are made of more than the bytes of their parts: a list's, and those of keys that are filled or finished.
//!
//! A page is a [view](View) of its read model, and what its items are filled with is one of another read model: both are held in
//! memory under the rules of all entries, and the page that they make together until one of them changes.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use chrono::Utc;
use daybook_http::Problem;
use tokio::time::Instant;

use super::consistency::{self, POSITION};
use super::response::{STALE, held, unreadable};
use super::serving::{LOAD, Serving, unread};
use crate::entry::{Entry, Filled, Form, MadePage, Parts, Representation, View};
use crate::memory::{EntryAt, LoadError, Memory};
use crate::model::ServedModel;
use crate::source::{HIDDEN, all_positions_text};

/// The token of the next page of a list, for those who take protobuf; in JSON it is `nextPageToken`.
pub(crate) const NEXT: HeaderName = HeaderName::from_static("next-page-token");

/// A page as it was seen, and what fills its items.
pub(crate) struct Sight {
    view: Arc<View>,
    own: Viewed,
    filling: Option<Viewed>,
}

/// A view that was read.
struct Viewed {
    memory: Arc<Memory>,
    /// None where nothing was asked for.
    seen: Option<EntryAt>,
    /// It was in memory.
    held: bool,
}

impl Viewed {
    fn entry(&self) -> Option<&Arc<Entry>> {
        self.seen.as_ref().map(|seen| &seen.entry)
    }
}

/// The page of a key, of its parts. Where its root is not there, there is none, and nothing fills it.
pub(crate) fn of_key(served: &ServedModel, parts: &Parts) -> Result<MadePage, String> {
    MadePage::of_key(served.filled.as_ref(), parts, served.model.fill.as_ref())
}

impl Sight {
    /// Reads a page, as far as the request's tokens want it, and what fills it. `make`: of its parts.
    pub(crate) async fn of(
        serving: &Serving,
        served: &ServedModel,
        view: Arc<View>,
        headers: &HeaderMap,
        make: impl FnOnce(&Parts) -> Result<MadePage, String>,
    ) -> Result<Self, Problem> {
        let model = &served.model;
        // One wait for both.
        let deadline = consistency::is_wanted(headers).then(|| serving.deadline(headers));
        let own = see(serving, served, Some(&view), headers, deadline).await?;
        let mut sight = Self { view, own, filling: None };
        let page = sight.make(make).map_err(|error| unreadable(&model.name, sight.key(), &error))?;
        let filled_by = if sight.is_there(served) { page.filled_by.clone() } else { None };
        if let Some(filling) = model.fill.as_ref().and_then(|fill| serving.model(&fill.model)) {
            sight.filling = Some(see(serving, filling, filled_by.as_ref(), headers, deadline).await?);
        }
        let meters = &served.observers.meters;
        if sight.is_held() { &meters.hits } else { &meters.misses }.increment(1);
        if sight.view.is_all() {
            let hot = &served.observers.hot;
            if sight.own.held { hot.hit(sight.key()) } else { hot.missed(sight.key()) }
        }
        Ok(sight)
    }

    /// Looks for the page of a key in memory. None: it must be read, or what fills it.
    pub(crate) fn held(serving: &Serving, served: &ServedModel, key: &str) -> Option<Self> {
        let viewed = |memory: Arc<Memory>, seen| Viewed { memory, seen, held: true };
        let memory = serving.generations.answering(&served.model.name)?;
        let seen = memory.hit(key, &[])?;
        let mut sight = Self { view: Arc::new(View::all(key)), own: viewed(memory, Some(seen)), filling: None };
        let filled_by = sight.make(|parts| of_key(served, parts)).ok()?.filled_by.clone();
        if let Some(fill) = &served.model.fill {
            let memory = serving.generations.answering(&fill.model)?;
            let filled_by = filled_by.filter(|_| sight.is_there(served));
            let seen = match &filled_by {
                Some(view) => Some(memory.hit(&view.id, &[])?),
                None => None,
            };
            sight.filling = Some(viewed(memory, seen));
        }
        Some(sight)
    }

    fn key(&self) -> &str {
        self.view.keys.first().map_or("", String::as_str)
    }

    /// Whether nothing was read from the database for it.
    fn is_held(&self) -> bool {
        self.own.held && self.filling.as_ref().is_none_or(|filling| filling.held)
    }

    fn make(&self, make: impl FnOnce(&Parts) -> Result<MadePage, String>) -> Result<&MadePage, String> {
        let entry = self.own.entry().ok_or("there is nothing of it")?;
        let page = entry.page.get_or_init(|| make(entry.parts()).map(Box::new).map_err(Arc::from));
        page.as_deref().map_err(ToString::to_string)
    }

    fn page(&self) -> Option<&MadePage> {
        self.own.entry().and_then(|entry| entry.page.get()).and_then(|page| page.as_deref().ok())
    }

    /// The keys that fill it, of the read model that does.
    pub(crate) fn filled_from(&self) -> &[String] {
        self.page().and_then(|page| page.filled_by.as_ref()).map_or(&[], |view| &view.keys)
    }

    /// Whether there is anything under its key: a list always is.
    pub(crate) fn is_there(&self, served: &ServedModel) -> bool {
        served.model.root.as_ref().is_none_or(|root| self.own.entry().is_some_and(|entry| entry.is_rooted(root)))
    }

    /// The page, filled as it is now.
    ///
    /// # Errors
    /// When what was read is no such page.
    pub(crate) fn filled(&self, served: &ServedModel) -> Result<Arc<Filled>, Problem> {
        let from = self.filling.as_ref().and_then(Viewed::entry).map(|entry| entry.parts());
        let page = self.page().ok_or_else(|| unreadable(&served.model.name, self.key(), "there is nothing of it"))?;
        Ok(page.filled(served, from, Utc::now().into()))
    }

    /// A form of it.
    ///
    /// # Errors
    /// When what was read is no such page, or can't be finished.
    pub(crate) fn form<'a>(&self, served: &ServedModel, filled: &'a Filled, form: Form) -> Result<&'a Representation, Problem> {
        let problem = |error: &str| unreadable(&served.model.name, self.key(), error);
        let from = self.filling.as_ref().and_then(Viewed::entry).map(|entry| entry.parts());
        let page = self.page().ok_or_else(|| problem("there is nothing of it"))?;
        let (shown, made) = page.form(served, filled, from, form);
        if made {
            self.weigh_again();
        }
        shown.map_err(|error| problem(&error))
    }

    /// The encoded event of it for those who subscribe: made once.
    pub(crate) fn event(&self, filled: &Filled, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut made = false;
        let event = filled.event.get_or_init(|| {
            made = true;
            make()
        });
        if made {
            self.weigh_again();
        }
        event.clone()
    }

    fn weigh_again(&self) {
        if let Some(entry) = self.own.entry() {
            self.own.memory.weigh_again(&self.view.id, entry);
        }
    }

    /// All positions that it rests on, as `Consistency-Position` writes them.
    pub(crate) fn positions(&self) -> String {
        let all = [Some(&self.own), self.filling.as_ref()].into_iter().flatten();
        all_positions_text(all.flat_map(|viewed| viewed.seen.iter().flat_map(|seen| viewed.memory.positions(seen))))
    }

    /// The streams that show nothing, as each of the read models names them.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &HeaderValue> {
        let seen = [self.own.seen.as_ref(), self.filling.as_ref().and_then(|filling| filling.seen.as_ref())];
        seen.into_iter().flatten().filter_map(|seen| seen.hidden.as_ref())
    }

    /// The answer that shows it.
    ///
    /// # Errors
    /// When what was read is no such page, or can't be finished.
    pub(crate) fn response(&self, served: &ServedModel, headers: &HeaderMap, form: Form) -> Result<Response, Problem> {
        let filled = self.filled(served)?;
        let mut response = held(headers, form, self.form(served, &filled, form)?);
        let page = self.page();
        let extra = [
            (NEXT, page.and_then(|page| page.next.clone())),
            (POSITION, HeaderValue::try_from(self.positions()).ok().filter(|all| !all.is_empty())),
            (STALE, page.and_then(|page| page.stale.clone())),
        ];
        let out = response.headers_mut();
        out.extend(extra.into_iter().filter_map(|(name, value)| Some((name, value?))));
        if let Some(stale) = self.filling.as_ref().and_then(Viewed::entry).and_then(|from| from.stale()) {
            out.append(STALE, stale.clone());
        }
        for streams in self.hidden() {
            out.append(HIDDEN, streams.clone());
        }
        Ok(response)
    }
}

/// Reads a view, as far as the request's tokens want it. Without a view they are waited for all the same.
async fn see(
    serving: &Serving,
    served: &ServedModel,
    view: Option<&Arc<View>>,
    headers: &HeaderMap,
    deadline: Option<Instant>,
) -> Result<Viewed, Problem> {
    loop {
        let memory = serving.memory(&served.model.name)?;
        let needs = match deadline {
            Some(deadline) => Box::pin(serving.reach(&memory, &served.model, headers, deadline)).await?,
            None => Vec::new(),
        };
        let Some(view) = view else { return Ok(Viewed { memory, seen: None, held: true }) };
        if let Some(seen) = memory.hit(&view.id, &needs) {
            return Ok(Viewed { memory, seen: Some(seen), held: true });
        }
        match Box::pin(memory.load(&serving.store, view, &needs, Instant::now() + LOAD)).await {
            Ok(seen) => return Ok(Viewed { memory, seen: Some(seen), held: false }),
            // It was begun on a generation that does not answer any more.
            Err(LoadError::Retired) => {}
            Err(error) => return Err(unread(error)),
        }
    }
}
