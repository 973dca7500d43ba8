//! How far a pass has come: the place in the order of the areas and their keys behind which all is
//! done. What is in flight is answered in any order, so that place is found page by page.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::area::Area;

/// Everything before it was looked at in this pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cut {
    /// The index of the store.
    pub store: usize,
    /// The path of the area; all areas before it are done.
    pub area: String,
    /// The last key of which it and all before it in the area are done.
    pub key: Option<String>,
}

impl Cut {
    /// Whether it lies in this area.
    pub(super) fn is_in(&self, area: &Area) -> bool {
        self.store == area.store && self.area.as_bytes() == area.path
    }
}

/// The pages of an area that are being worked on, and the cut behind them.
#[derive(Debug, Default)]
pub(super) struct Front {
    cut: Option<Cut>,
    pages: VecDeque<Page>,
    /// The number of the first of `pages`.
    first: u64,
}

/// A page of which not all is done, or one behind such a page.
#[derive(Debug)]
struct Page {
    last_key: Vec<u8>,
    /// Objects that are not done.
    left: usize,
}

impl Front {
    /// A pass begins where nothing is done.
    pub(super) fn clear(&mut self) {
        self.cut = None;
        self.forget_pages();
    }

    /// All areas before this one are done, and so is what lies before this key.
    pub(super) fn enter(&mut self, area: &Area, key: Option<String>) {
        self.forget_pages();
        // What has another name cannot be written down; no resource of Kubernetes has one.
        if let Ok(path) = String::from_utf8(area.path.clone()) {
            self.cut = Some(Cut {
                store: area.store,
                area: path,
                key,
            });
        }
    }

    /// A page was read; gives the number by which its objects are [done](Self::done).
    pub(super) fn read(&mut self, last_key: &[u8], objects: usize) -> u64 {
        self.pages.push_back(Page {
            last_key: last_key.to_vec(),
            left: objects,
        });
        self.first + self.pages.len() as u64 - 1
    }

    /// One more object of a page is done.
    pub(super) fn done(&mut self, page: u64) {
        let index = page.checked_sub(self.first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        if let Some(page) = index.and_then(|index| self.pages.get_mut(index)) {
            page.left = page.left.saturating_sub(1);
        }
        while self.pages.front().is_some_and(|page| page.left == 0)
            && let Some(page) = self.pages.pop_front()
        {
            self.first += 1;
            // Behind an odd key the cut stays where it was.
            if let (Some(cut), Ok(key)) = (&mut self.cut, String::from_utf8(page.last_key)) {
                cut.key = Some(key);
            }
        }
    }

    pub(super) fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// Pages that were not finished are not done, whatever is heard of them later.
    fn forget_pages(&mut self) {
        self.first += self.pages.len() as u64;
        self.pages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::Content;

    fn area(path: &str) -> Area {
        Area {
            store: 0,
            path: path.into(),
            content: Content::LeftAlone(String::new()),
        }
    }

    fn key(front: &Front) -> Option<&str> {
        front.cut().and_then(|cut| cut.key.as_deref())
    }

    #[test]
    fn the_cut_is_behind_the_last_page_before_which_all_is_done() {
        let mut front = Front::default();
        front.enter(&area("/a/"), None);
        let [first, second, third] =
            ["/a/1", "/a/2", "/a/3"].map(|key| front.read(key.as_bytes(), 2));
        for page in [third, third, second, first] {
            front.done(page);
            assert_eq!(key(&front), None, "the first page is not done");
        }
        front.done(first);
        assert_eq!(key(&front), Some("/a/1"));
        front.done(second);
        assert_eq!(key(&front), Some("/a/3"));
    }

    #[test]
    fn what_was_not_finished_in_one_pass_is_not_done_in_the_next() {
        let mut front = Front::default();
        front.enter(&area("/a/"), Some("/a/7".to_owned()));
        let old = front.read(b"/a/8", 1);
        front.clear();
        assert_eq!(front.cut(), None);
        front.enter(&area("/b/"), None);
        let new = front.read(b"/b/1", 1);
        front.done(old);
        assert_eq!(key(&front), None);
        front.done(new);
        assert_eq!(key(&front), Some("/b/1"));
        assert!(front.cut().unwrap().is_in(&area("/b/")));
    }

    #[test]
    fn a_key_that_is_no_text_does_not_move_the_cut() {
        let mut front = Front::default();
        front.enter(&area("/a/"), None);
        let [odd, even] = [&b"/a/\xff"[..], b"/a/\xff\xff"].map(|key| front.read(key, 1));
        front.done(odd);
        front.done(even);
        assert_eq!(key(&front), None);
    }
}
