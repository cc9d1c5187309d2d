//! Values that documents have one of, as they are filtered and counted: those that differ in case, blanks or normal form alone are one. A
//! value may have levels: a document is then of each value that its own is within.

use std::collections::HashMap;

use daybook_proto::levels;

use super::fold::written;
use super::names::Tally;

/// Stands for no value.
pub(crate) const NONE: u32 = u32::MAX;

/// A value, or a level of one.
#[derive(Clone, Debug)]
struct Node {
    /// As it is compared, with the levels above it.
    folded: Box<str>,
    above: u32,
    /// Its spellings in documents.
    spellings: Vec<u32>,
    /// Number of live documents of it.
    live: u32,
}

/// One way to write a node, without the levels above it.
#[derive(Clone, Debug)]
struct Spelling {
    node: u32,
    text: Box<str>,
    live: u32,
}

/// The values of a column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    /// As documents write them, with all levels.
    written: Tally,
    /// By value written: the spellings of its levels, the outermost first. None where it is blank.
    levels: Vec<Box<[u32]>>,
    spellings: Vec<Spelling>,
    nodes: Vec<Node>,
    by_folded: HashMap<Box<str>, u32>,
    /// Whether values have levels.
    tree: bool,
}

impl Values {
    /// Of values with levels.
    pub(crate) fn tree() -> Self {
        Self { tree: true, ..Self::default() }
    }

    /// One more live document wrote this; its number.
    pub(crate) fn add(&mut self, written: &str) -> u32 {
        let id = self.written.add(written);
        if self.levels.len() <= id as usize {
            let levels = self.read(written);
            self.levels.push(levels);
        }
        self.change(id, |live| *live += 1);
        id
    }

    /// A document that has it is dead.
    pub(crate) fn take(&mut self, id: u32) {
        self.written.take(id);
        self.change(id, |live| *live -= 1);
    }

    fn change(&mut self, id: u32, by: impl Fn(&mut u32)) {
        for spelling in &self.levels[id as usize] {
            let spelling = &mut self.spellings[*spelling as usize];
            by(&mut spelling.live);
            by(&mut self.nodes[spelling.node as usize].live);
        }
    }

    /// The text that a document wrote.
    pub(crate) fn name(&self, id: u32) -> &str {
        self.written.names.name(id)
    }

    fn parts<'a>(&self, written: &'a str) -> Vec<&'a str> {
        if self.tree { levels::of(written).collect() } else { Some(written.trim()).filter(|t| !t.is_empty()).into_iter().collect() }
    }

    /// The spellings of a written text, which are new or known.
    fn read(&mut self, written: &str) -> Box<[u32]> {
        let (mut folded, mut above, mut spellings) = (String::new(), NONE, Vec::new());
        for part in self.parts(written) {
            push_folded(&mut folded, part);
            let node = match self.by_folded.get(folded.as_str()) {
                Some(node) => *node,
                None => {
                    let node = self.nodes.len() as u32;
                    self.nodes.push(Node { folded: folded.as_str().into(), above, spellings: Vec::new(), live: 0 });
                    self.by_folded.insert(folded.as_str().into(), node);
                    node
                }
            };
            let known = self.nodes[node as usize].spellings.iter().find(|s| &*self.spellings[**s as usize].text == part).copied();
            let spelling = known.unwrap_or_else(|| {
                let spelling = self.spellings.len() as u32;
                self.spellings.push(Spelling { node, text: part.into(), live: 0 });
                self.nodes[node as usize].spellings.push(spelling);
                spelling
            });
            spellings.push(spelling);
            above = node;
        }
        spellings.into()
    }

    /// The value that somebody names, however it is written.
    pub(crate) fn find(&self, named: &str) -> Option<u32> {
        let mut folded = String::new();
        self.parts(named).into_iter().for_each(|part| push_folded(&mut folded, part));
        self.by_folded.get(folded.as_str()).copied()
    }

    /// The values of a written text, the outermost first.
    pub(crate) fn of(&self, written: u32) -> impl Iterator<Item = u32> {
        self.levels[written as usize].iter().map(|spelling| self.spellings[*spelling as usize].node)
    }

    /// A value and those that it is within, the innermost first.
    pub(crate) fn with_those_above(&self, value: u32) -> Vec<u32> {
        let above = |value: &u32| self.nodes.get(*value as usize).map(|node| node.above).filter(|above| *above != NONE);
        std::iter::successors(Some(value), above).collect()
    }

    /// Number of ways of writing values, live or not.
    pub(crate) fn written(&self) -> usize {
        self.levels.len()
    }

    /// Number of values, live or not.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// As it is compared.
    pub(crate) fn folded(&self, value: u32) -> &str {
        &self.nodes[value as usize].folded
    }

    /// Number of live documents of it.
    pub(crate) fn live(&self, value: u32) -> u32 {
        self.nodes[value as usize].live
    }

    /// Its levels, the outermost first, each as most live documents write it; of equals the first in the order of their bytes, so that it
    /// does not depend on which came first.
    pub(crate) fn path(&self, value: u32) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = value;
        while let Some(node) = self.nodes.get(at as usize) {
            let spellings = node.spellings.iter().map(|s| &self.spellings[*s as usize]);
            let most = spellings.max_by(|a, b| a.live.cmp(&b.live).then_with(|| b.text.cmp(&a.text)));
            path.extend(most.map(|s| &*s.text));
            at = node.above;
        }
        path.reverse();
        path
    }
}

/// Adds a level as it is compared: in one case and normal form, with one blank where there are some.
fn push_folded(to: &mut String, part: &str) {
    if !to.is_empty() {
        to.push_str(levels::SEPARATOR);
    }
    for (n, word) in written(part).split_whitespace().enumerate() {
        if n > 0 {
            to.push(' ');
        }
        to.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &Values, named: &str) -> Option<(String, u32)> {
        values.find(named).map(|value| (values.path(value).join(levels::SEPARATOR), values.live(value)))
    }

    #[test]
    fn what_differs_in_case_blanks_or_normal_form_is_one_value_shown_as_most_write_it() {
        let mut brands = Values::default();
        let written = ["Caf\u{e9}  Noir", "CAFE\u{301} NOIR", " Caf\u{e9}\u{a0}Noir", "Caf\u{e9} Noir", "Caf\u{e9} Noir", "Blanc", ""];
        let ids: Vec<u32> = written.iter().map(|w| brands.add(w)).collect();
        for named in written.iter().take(5) {
            assert_eq!(shown(&brands, named), Some(("Caf\u{e9} Noir".to_owned(), 5)), "{named:?}");
        }
        brands.take(ids[3]);
        brands.take(ids[4]);
        // Three ways, each once: the first in the order of bytes, whichever came first.
        assert_eq!(shown(&brands, "caf\u{e9} noir"), Some(("CAFE\u{301} NOIR".to_owned(), 3)));
        assert_eq!((brands.find(""), brands.find("noir"), brands.len()), (None, None, 2));
    }

    #[test]
    fn a_value_with_levels_is_of_each_that_it_is_within() {
        let mut categories = Values::tree();
        let lamp = categories.add("Home > Lamps");
        categories.add("HOME>lamps > Desk");
        categories.add("Home");
        categories.add("Audio/Video");
        assert_eq!(shown(&categories, "home"), Some(("Home".to_owned(), 3)));
        assert_eq!(shown(&categories, " home >  LAMPS"), Some(("Home > Lamps".to_owned(), 2)));
        assert_eq!(
            categories.of(lamp).collect::<Vec<_>>(),
            [categories.find("home").expect("a value"), categories.find("home>lamps").expect("a value")]
        );
        assert_eq!((categories.find("Audio"), shown(&categories, "audio/video")), (None, Some(("Audio/Video".to_owned(), 1))));
    }
}
