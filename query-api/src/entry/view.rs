//! Views: parts that are read from the database, held and changed by pushes as one. A key is one, a page of a list, or what its
//! items are filled with. All of them are entries, under the same rules; a view says which parts are its own.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daybook_kernel::digest;

use super::part::{Part, Parts};

/// No key has it, and no part's id: what stands between them is told apart.
pub(crate) const BETWEEN: char = '\0';
/// About what a key of a view costs in the index, beyond its bytes.
const KEY_OVERHEAD: usize = 120;
/// The index is looked through when it has grown to twice what was left the last time, and this.
const SLACK: usize = 1_024;

/// Some parts.
#[derive(Debug)]
pub(crate) struct View {
    /// The id that it is held under; no other view of the read model has it.
    pub(crate) id: Box<str>,
    /// The keys that it shows parts of, in order.
    pub(crate) keys: Vec<String>,
    of: Of,
}

/// The parts of its keys that a view shows.
#[derive(Debug)]
enum Of {
    All,
    /// Those behind a part, up to so many, and one more: that tells whether there is a next page.
    Page {
        after: String,
        most: usize,
    },
    /// Those whose ids begin with a text. Here their ids have the key in front.
    Beginning(String),
}

/// The query of a view's parts.
pub(crate) enum PartsQuery<'a> {
    All,
    /// Behind a part, up to a limit.
    Page {
        after: &'a str,
        limit: i64,
    },
    Beginning(&'a str),
}

impl View {
    /// All parts of a key; it is held under the key itself.
    pub(crate) fn all(key: &str) -> Self {
        Self { id: key.into(), keys: vec![key.to_owned()], of: Of::All }
    }

    /// A page of a list: up to `most` parts of a key, behind the part `after`.
    pub(crate) fn page(key: &str, after: Option<&str>, most: usize) -> Self {
        let after = after.unwrap_or_default();
        Self { id: page_id(key, after, most).into(), keys: vec![key.to_owned()], of: Of::Page { after: after.to_owned(), most } }
    }

    /// The parts of these keys whose ids begin with a text.
    pub(crate) fn beginning(keys: BTreeSet<String>, prefix: &str) -> Self {
        let mut named = Vec::new();
        for text in std::iter::once(prefix).chain(keys.iter().map(String::as_str)) {
            named.extend_from_slice(text.as_bytes());
            named.push(BETWEEN as u8);
        }
        let id = format!("{BETWEEN}{}", BASE64_URL_SAFE_NO_PAD.encode(digest::sha256(&named)));
        Self { id: id.into(), keys: keys.into_iter().collect(), of: Of::Beginning(prefix.to_owned()) }
    }

    pub(crate) fn query(&self) -> PartsQuery<'_> {
        match &self.of {
            Of::All => PartsQuery::All,
            Of::Page { after, most } => {
                PartsQuery::Page { after, limit: i64::try_from(*most).map_or(i64::MAX, |most| most.saturating_add(1)) }
            }
            Of::Beginning(prefix) => PartsQuery::Beginning(prefix),
        }
    }

    /// The id that a part of one of its keys has in this view; none: it is not shown there, whatever else is.
    pub(crate) fn part_id<'a>(&self, key: &str, part: &'a str) -> Option<Cow<'a, str>> {
        match &self.of {
            Of::All => Some(part.into()),
            Of::Page { after, .. } => (part.as_bytes() > after.as_bytes()).then(|| part.into()),
            Of::Beginning(prefix) => part.starts_with(prefix).then(|| in_front(key, part).into()),
        }
    }

    /// The most parts that it shows, beside the one that tells of a next page; none: all there are.
    pub(crate) fn most(&self) -> Option<usize> {
        if let Of::Page { most, .. } = self.of { Some(most) } else { None }
    }

    /// Whether a part lies behind all that these say something of: they are a page, and there is a next one.
    pub(crate) fn is_behind(&self, id: &str, parts: &Parts) -> bool {
        let next = |most| parts.len() > most && parts.last().is_some_and(|last| id.as_bytes() > last.id.as_bytes());
        self.most().is_some_and(next)
    }

    /// Whether what one view has shown and what another would show are at odds. A pushed change reaches all views at once,
    /// but what is read may be further: then the others must not go on to show what is older. (That a part became something
    /// else and the same again between the two is not seen; each view for itself never goes back.)
    pub(crate) fn is_at_odds(&self, mine: &Parts, other: &Self, theirs: &Parts) -> bool {
        self.says_otherwise(mine, other, theirs) || other.says_otherwise(theirs, self, mine)
    }

    /// Whether a part that this one shows is not shown so by another, which would show it.
    fn says_otherwise(&self, parts: &Parts, other: &Self, theirs: &Parts) -> bool {
        parts.iter().any(|mine| {
            let (key, part) = self.place(mine);
            let Some(id) = other.part_id(key, part) else { return false };
            match theirs.find(&id) {
                Some(their) => their.bytes != mine.bytes || their.stale != mine.stale,
                None => other.knows(key, &id, theirs),
            }
        })
    }

    /// Whether a part that these do not have is not there.
    pub(crate) fn knows(&self, key: &str, id: &str, parts: &Parts) -> bool {
        let is_mine = self.keys.binary_search_by(|mine| mine.as_str().cmp(key)).is_ok();
        is_mine && !self.is_behind(id, parts)
    }

    /// The key and the id of a part, which has another one here where there are several keys.
    fn place<'a>(&'a self, part: &'a Part) -> (&'a str, &'a str) {
        let own = (self.keys.first().map_or("", String::as_str), &*part.id);
        if let Of::Beginning(_) = self.of { part.id.split_once(BETWEEN).unwrap_or(own) } else { own }
    }

    /// Whether it is a key, which is found under itself. Others rest on every source: any could add a part, or take one away.
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.of, Of::All)
    }

    /// About how many bytes there are of it in the index.
    pub(crate) fn weight(&self) -> usize {
        if self.is_all() { 0 } else { self.keys.iter().map(|key| KEY_OVERHEAD + 2 * key.len()).sum() }
    }
}

/// The id that a page of a list is held under.
pub(crate) fn page_id(key: &str, after: &str, most: usize) -> String {
    format!("{key}{BETWEEN}{most}{BETWEEN}{after}")
}

/// The id of a part among those of several keys. In their byte order those of a key stand together.
pub(crate) fn in_front(key: &str, part: &str) -> String {
    format!("{key}{BETWEEN}{part}")
}

/// The views that show parts of a key, for pushes to find them. Those of whole keys are not among them.
#[derive(Default)]
pub(crate) struct Views {
    by_key: HashMap<Box<str>, Vec<Arc<View>>>,
    /// The number of views, one a view and key; and the number that were left the last time.
    count: usize,
    left: usize,
}

impl Views {
    /// Has pushes find a view, before it is read. `is_alive`: it is held, or being read.
    pub(crate) fn add(&mut self, view: &Arc<View>, is_alive: impl Fn(&View) -> bool) {
        if view.is_all() {
            return;
        }
        if self.count > 2 * self.left + SLACK {
            for views in self.by_key.values_mut() {
                views.retain(|view| is_alive(view));
            }
            self.by_key.retain(|_, views| !views.is_empty());
            self.count = self.by_key.values().map(Vec::len).sum();
            self.left = self.count;
        }
        for key in &view.keys {
            let views = match self.by_key.get_mut(key.as_str()) {
                Some(views) => views,
                None => self.by_key.entry(key.as_str().into()).or_default(),
            };
            if !views.iter().any(|known| known.id == view.id) {
                views.push(view.clone());
                self.count += 1;
            }
        }
    }

    /// Those that show parts of a key.
    pub(crate) fn of(&self, key: &str) -> &[Arc<View>] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Calls for each view that shows parts of a key; those for which it returns false are found no more.
    pub(crate) fn each(&mut self, key: &str, visit: impl FnMut(&mut Arc<View>) -> bool) {
        let Some(views) = self.by_key.get_mut(key) else { return };
        let before = views.len();
        views.retain_mut(visit);
        self.count -= before - views.len();
        if views.is_empty() {
            self.by_key.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn part(id: &str) -> Arc<Part> {
        Arc::new(Part { id: id.into(), bytes: Bytes::from_static(b"x"), source: 0, stale: None })
    }

    #[test]
    fn views_are_at_odds_about_what_both_would_show_and_nothing_else() {
        let entry = |ids: &[&str]| Parts::new(ids.iter().map(|id| part(id)).collect());
        let (all, page) = (View::all("k"), View::page("k", Some("b"), 1));
        assert!(!all.is_at_odds(&entry(&["a", "c", "d", "e"]), &page, &entry(&["c", "d"])), "it has what is before and behind");
        assert!(all.is_at_odds(&entry(&["a", "d", "e"]), &page, &entry(&["c", "d"])));
        assert!(page.is_at_odds(&entry(&["c", "d"]), &all, &entry(&["a", "c", "cc", "d"])));
        let stale = Arc::new(Part { stale: Some("a/1".into()), ..Part::clone(&part("c")) });
        assert!(all.is_at_odds(&Parts::new(vec![stale]), &page, &entry(&["c"])), "one says that it is old");
        let some = View::beginning(["k", "l"].map(str::to_owned).into(), "c");
        assert!(!some.is_at_odds(&entry(&["k\0c", "l\0c"]), &all, &entry(&["a", "c"])));
        assert!(some.is_at_odds(&entry(&["l\0c"]), &all, &entry(&["c"])));
        assert!(!some.is_at_odds(&entry(&["k\0c"]), &View::all("m"), &entry(&["c"])), "other keys");
    }

    #[test]
    fn views_have_ids_of_their_own() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        let all = [
            View::all("k"),
            View::page("k", None, 2),
            View::page("k", None, 3),
            View::page("k", Some("1"), 2),
            View::beginning(keys(&["k", "l"]), "stock/"),
            View::beginning(keys(&["k", "l"]), "stock"),
            View::beginning(keys(&["kl"]), "stock/"),
        ];
        assert_eq!(all.iter().map(|view| &view.id).collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn what_is_held_no_more_leaves_the_index() {
        let mut views = Views::default();
        for n in 0..10 * SLACK {
            views.add(&Arc::new(View::page("k", Some(&n.to_string()), 2)), |_| false);
            views.add(&Arc::new(View::all(&n.to_string())), |_| false);
        }
        assert!(views.count <= SLACK + 1 && views.by_key.len() == 1);
        views.each("k", |_| false);
        assert!(views.count == 0 && views.by_key.is_empty());
    }
}
