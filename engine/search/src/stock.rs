//! Stock by place, of the places that have, or had, a product.

/// The stock of one place.
#[derive(Clone, Copy, Debug)]
struct Line {
    offset: i64,
    place: u32,
    /// Whether it has any. None: the place knows nothing of it any more.
    any: Option<bool>,
}

/// The stock of a key, whether it has a document or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock {
    /// Of most there is one place, which takes no allocation.
    first: Option<Line>,
    #[expect(clippy::box_collection, reason = "nearly all have none: a pointer is a third of a vector")]
    others: Option<Box<Vec<Line>>>,
}

impl Stock {
    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.first.iter().chain(self.others.iter().flat_map(|others| others.iter()))
    }

    /// The quantity that a place can give; whether that is news, and not older than the known one.
    pub(crate) fn set(&mut self, place: u32, quantity: Option<u32>, offset: i64) -> bool {
        let line = Line { offset, place, any: quantity.map(|n| n > 0) };
        let mut known = self.first.iter_mut().chain(self.others.iter_mut().flat_map(|others| others.iter_mut()));
        if let Some(known) = known.find(|line| line.place == place) {
            let news = known.offset <= offset;
            if news {
                *known = line;
            }
            return news;
        }
        if self.first.is_none() {
            self.first = Some(line);
        } else {
            let others = self.others.get_or_insert_default();
            others.reserve_exact(1);
            others.push(line);
        }
        true
    }

    /// The offset that a place's knowledge rests on.
    pub(crate) fn offset(&self, place: u32) -> Option<i64> {
        self.lines().find(|line| line.place == place).map(|line| line.offset)
    }

    /// The places that know of it.
    pub(crate) fn places(&self) -> impl Iterator<Item = u32> {
        self.lines().filter(|line| line.any.is_some()).map(|line| line.place)
    }

    /// Whether any place has any.
    pub(crate) fn any(&self) -> bool {
        self.lines().any(|line| line.any == Some(true))
    }
}
