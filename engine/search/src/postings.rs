//! The documents that a term stands in, and its count in each of their fields.

use super::index::FIELDS;

/// Bits of a posting that count a term in each field; more than they hold are as many as they hold.
pub(crate) const BITS: [u32; FIELDS] = [3, 2, 2, 4, 3];

/// A document, and the term's count in each of its fields. Six bytes: there are some for each word of each document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(2))]
pub(crate) struct Posting {
    document: u32,
    counts: u16,
}

impl Posting {
    pub(crate) fn new(document: u32, counts: [u16; FIELDS]) -> Self {
        let mut packed = 0;
        let mut at = 0;
        for (count, bits) in counts.into_iter().zip(BITS) {
            packed |= count.min((1 << bits) - 1) << at;
            at += bits;
        }
        Self { document, counts: packed }
    }

    pub(crate) fn document(self) -> u32 {
        self.document
    }

    /// Occurrences in each field.
    pub(crate) fn counts(self) -> [u16; FIELDS] {
        let mut at = 0;
        BITS.map(|bits| {
            let count = self.counts >> at & ((1 << bits) - 1);
            at += bits;
            count
        })
    }
}

/// Postings of one term, in the order of documents. Most terms stand in one document alone (models, numbers): those take no
/// allocation.
#[derive(Clone, Debug, Default)]
pub(crate) enum Postings {
    #[default]
    None,
    One {
        posting: Posting,
        live: bool,
    },
    Many(Box<Many>),
}

/// Of a term that stands in several documents.
#[derive(Clone, Debug)]
pub(crate) struct Many {
    list: Vec<Posting>,
    live: u32,
}

impl Postings {
    /// One more, of a document behind all others.
    pub(crate) fn push(&mut self, posting: Posting) {
        match self {
            Self::None => *self = Self::One { posting, live: true },
            Self::One { posting: first, live } => {
                *self = Self::Many(Box::new(Many { list: vec![*first, posting], live: u32::from(*live) + 1 }));
            }
            Self::Many(many) => {
                many.list.push(posting);
                many.live += 1;
            }
        }
    }

    /// One of the documents is dead.
    pub(crate) fn bury(&mut self) {
        match self {
            Self::None => {}
            Self::One { live, .. } => *live = false,
            Self::Many(many) => many.live -= 1,
        }
    }

    /// Number of the documents that live.
    pub(crate) fn live(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::One { live, .. } => u32::from(*live),
            Self::Many(many) => many.live,
        }
    }

    /// All, dead ones among them.
    pub(crate) fn list(&self) -> &[Posting] {
        match self {
            Self::None => &[],
            Self::One { posting, .. } => std::slice::from_ref(posting),
            Self::Many(many) => &many.list,
        }
    }

    /// Those of live documents, by the documents' new numbers.
    pub(crate) fn kept(&self, moved: impl Fn(u32) -> Option<u32>) -> Self {
        let kept = |posting: &Posting| moved(posting.document).map(|document| Posting { document, ..*posting });
        match self.live() {
            0 => Self::None,
            1 => self.list().iter().find_map(kept).map_or(Self::None, |posting| Self::One { posting, live: true }),
            live => {
                let mut list = Vec::with_capacity(live as usize);
                list.extend(self.list().iter().filter_map(kept));
                Self::Many(Box::new(Many { list, live }))
            }
        }
    }

    pub(crate) fn shrink(&mut self) {
        if let Self::Many(many) = self {
            many.list.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_there_in_order_and_what_lives_is_counted() {
        let posting = |document: u32| Posting::new(document, [document as u16 % 8, 0, 1, 9, 700]);
        let mut postings = Postings::default();
        assert_eq!((postings.list(), postings.live()), (&[][..], 0));
        for (n, document) in (1..).zip([2, 3, 70_000]) {
            postings.push(posting(document));
            assert_eq!((postings.list().len(), postings.live()), (n, n as u32));
        }
        assert_eq!(postings.list().iter().map(|p| p.document()).collect::<Vec<_>>(), [2, 3, 70_000]);
        assert_eq!(postings.list()[1].counts(), [3, 0, 1, 9, 7], "no more than the bits hold");
        postings.bury();
        let kept = postings.kept(|d| (d != 3).then_some(d / 2));
        assert_eq!(
            (kept.list(), kept.live()),
            (&[Posting { document: 1, ..posting(2) }, Posting { document: 35_000, ..posting(70_000) }][..], 2)
        );
        postings.bury();
        assert_eq!(postings.kept(|d| (d == 3).then_some(0)).list(), [Posting { document: 0, ..posting(3) }]);
        postings.bury();
        assert_eq!((postings.live(), postings.kept(|_| None).list()), (0, &[][..]));
        let mut one = Postings::default();
        one.push(posting(5));
        one.bury();
        one.push(posting(6));
        assert_eq!((one.live(), one.list().len()), (1, 2), "the first is dead");
    }
}
