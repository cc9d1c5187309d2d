//! Parts of a key.

use std::ops::Deref;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::source::Position;

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) id: Box<str>,
    pub(crate) bytes: Bytes,
    /// The number of the source that writes it.
    pub(crate) source: u16,
    /// Its stream, where that is parked.
    pub(crate) stale: Option<Box<str>>,
}

/// A part after a change.
#[derive(Clone, Debug)]
pub(crate) struct PartNow {
    pub(crate) id: Box<str>,
    pub(crate) source: u16,
    /// None: it is gone.
    pub(crate) part: Option<Arc<Part>>,
    /// All changes of its source before it are in what it says.
    pub(crate) to: Position,
}

/// Parts in byte order of their ids. They never change; a clone shares them.
#[derive(Clone)]
pub(crate) struct Parts(Arc<[Arc<Part>]>);

/// Parts that were looked at, to be recognised: no others can be in their place while this is there.
pub(crate) struct SameParts(Weak<[Arc<Part>]>);

impl Parts {
    /// `parts` in any order.
    pub(crate) fn new(mut parts: Vec<Arc<Part>>) -> Self {
        parts.sort_unstable_by(|a, b| a.id.as_bytes().cmp(b.id.as_bytes()));
        Self::in_order(parts)
    }

    /// `parts` in byte order of their ids.
    pub(crate) fn in_order(parts: Vec<Arc<Part>>) -> Self {
        Self(parts.into())
    }

    /// The place of the part of this id, or the place where it would stand.
    pub(crate) fn place(&self, id: &str) -> Result<usize, usize> {
        self.binary_search_by(|p| p.id.as_bytes().cmp(id.as_bytes()))
    }

    /// The part of this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Part> {
        self.place(id).ok().and_then(|at| self.get(at)).map(Arc::as_ref)
    }

    /// The parts whose ids begin with this.
    pub(crate) fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Part> {
        // Parts are sorted: the first that is not before the prefix has it, or none has.
        let at = self.partition_point(|p| p.id.as_bytes() < prefix.as_bytes());
        self[at..].iter().map(Arc::as_ref).take_while(move |p| p.id.starts_with(prefix))
    }

    /// Their bytes, one after the other: a message.
    pub(crate) fn merged(&self) -> Bytes {
        match &**self {
            [] => Bytes::new(),
            [one] => one.bytes.clone(),
            many => {
                let mut bytes = Vec::with_capacity(many.iter().map(|p| p.bytes.len()).sum());
                for part in many {
                    bytes.extend_from_slice(&part.bytes);
                }
                bytes.into()
            }
        }
    }

    /// To recognise them by.
    pub(crate) fn remember(&self) -> SameParts {
        SameParts(Arc::downgrade(&self.0))
    }
}

impl SameParts {
    /// Whether these are the ones.
    pub(crate) fn are(&self, parts: &Parts) -> bool {
        std::ptr::addr_eq(self.0.as_ptr(), Arc::as_ptr(&parts.0))
    }
}

impl Deref for Parts {
    type Target = [Arc<Part>];

    fn deref(&self) -> &[Arc<Part>] {
        &self.0
    }
}
