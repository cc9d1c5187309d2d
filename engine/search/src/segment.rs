//! Words of scripts that put no blanks between them: Chinese and Japanese by ICU's dictionary, Thai, Lao, Khmer and Burmese
//! by its model.

use std::sync::LazyLock;

use super::fold::is_unspaced;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};

static SEGMENTER: LazyLock<WordSegmenterBorrowed<'static>> = LazyLock::new(|| WordSegmenter::new_auto(Default::default()));

/// The words of a run of letters.
pub(crate) fn segments(run: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    SEGMENTER.segment_str(run).filter_map(move |end| {
        let word = run.get(begin..end).filter(|w| !w.is_empty());
        begin = end;
        word
    })
}

/// The beginning of a run's last word.
pub(crate) fn last(run: &str) -> usize {
    match run.chars().next_back().and_then(is_unspaced) {
        Some(true) => {
            let begin = run.char_indices().rev().take_while(|(_, c)| is_unspaced(*c) != Some(false)).last().map_or(0, |(at, _)| at);
            begin + segments(&run[begin..]).last().map_or(0, |word| run.len() - begin - word.len())
        }
        _ => 0,
    }
}
