//! Lists of the API: entries judged one by one as they come by, and whether a list contradicts
//! itself.
//!
//! A list that is believed decides what is created and deleted, so one whose own figures do not fit
//! what is on it is no answer. Figures that are absent contradict nothing. Deliberately unknown:
//! what an entry is, and whether several pages fit together, which is the engine's to say.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::shapes::{self, Atom, Fields, Object};
use crate::engine::api::Page;

/// The raw form of an entry of a list. Its `id` is one of its fields.
pub trait Entry<'a>: Fields<'a> {
    /// What it becomes.
    type Item;

    /// `None` for an entry that does not matter here.
    fn read(self) -> Option<Self::Item>;
}

/// Reads a page of a list; `page` is the one that was asked for.
///
/// # Errors
/// What is wrong with it, to be shown.
pub fn page<'a, E: Entry<'a>>(body: &'a [u8], page: u32) -> Result<Page<E::Item>, String> {
    let (list, paging) = shapes::result::<Option<List<'a, E>>>(body)?;
    let list = list.ok_or("the list is missing from the answer")?;
    if let Some(contradiction) = paging.contradiction(page, list.entries) {
        return Err(format!("the list contradicts itself: {contradiction}"));
    }
    let mut ids = list.ids.clone();
    ids.sort_unstable();
    if ids.windows(2).any(|two| two[0] == two[1]) {
        return Err("the list contradicts itself: an entry stands twice on one page".to_owned());
    }
    Ok(Page {
        items: list.items,
        entries: list.entries,
        total: paging.total(page, list.entries),
        per_page: paging.per_page.number(),
        ids: list.ids,
    })
}

/// `result_info`.
#[derive(Default)]
pub struct Paging<'a> {
    page: Atom<'a>,
    per_page: Atom<'a>,
    count: Atom<'a>,
    total_count: Atom<'a>,
    total_pages: Atom<'a>,
}

impl<'a> Fields<'a> for Paging<'a> {
    fn field(&mut self, name: &str) -> Option<&mut Atom<'a>> {
        Some(match name {
            "page" => &mut self.page,
            "per_page" => &mut self.per_page,
            "count" => &mut self.count,
            "total_count" => &mut self.total_count,
            "total_pages" => &mut self.total_pages,
            _ => return None,
        })
    }
}

impl Paging<'_> {
    /// Why this cannot be what is said of a page with so many entries.
    fn contradiction(&self, asked: u32, entries: u32) -> Option<String> {
        if let Some(page) = self.page.number().filter(|page| *page != asked) {
            return Some(format!("it says that it is page {page}, and page {asked} was asked for"));
        }
        if let Some(count) = self.count.number().filter(|count| *count != entries) {
            return Some(format!("it says that it has {count} entries here, and has {entries}"));
        }
        let total = self.total_count.number().filter(|total| *total < entries);
        let total = total.or_else(|| self.total(asked, entries).filter(|_| self.lacks(asked, entries)));
        total.map(|total| {
            format!("it says that there are {total} entries in all, and has {entries} on page {asked}")
        })
    }

    /// Whether there are fewer entries on the page than the total demands.
    fn lacks(&self, page: u32, entries: u32) -> bool {
        // Without a page size, only that a first page cannot be empty.
        let size = self.per_page.number().or((page == 1).then_some(1));
        let demanded = size.zip(self.total(page, entries)).map(|(size, total)| {
            let before = page.saturating_sub(1).saturating_mul(size);
            size.min(total.saturating_sub(before))
        });
        demanded.is_some_and(|demanded| entries < demanded)
    }

    /// How many entries there are on all pages, if the answer says so.
    ///
    /// Newer lists say `total_count`, some only `total_pages`; then it is exact on the last page,
    /// and as many as fit before.
    fn total(&self, page: u32, entries: u32) -> Option<u32> {
        let from_pages = || {
            let (pages, size) = (self.total_pages.number()?, self.per_page.number()?);
            let before = |pages: u32| pages.checked_mul(size);
            if pages > page { before(pages) } else { before(page.saturating_sub(1))?.checked_add(entries) }
        };
        self.total_count.number().or_else(from_pages)
    }
}

/// A list of which only some entries are kept.
struct List<'a, E: Entry<'a>> {
    items: Vec<E::Item>,
    entries: u32,
    ids: Vec<u64>,
}

impl<'de: 'a, 'a, E: Entry<'a>> Deserialize<'de> for List<'a, E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<'a, E>(PhantomData<(&'a (), E)>);

        impl<'de: 'a, 'a, E: Entry<'a>> Visitor<'de> for Entries<'a, E> {
            type Value = List<'a, E>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = List { items: Vec::new(), entries: 0, ids: Vec::new() };
                while let Some(Object { fields: mut raw, .. }) = seq.next_element::<Object<'a, E>>()? {
                    list.entries = list.entries.saturating_add(1);
                    let id = raw.field("id").and_then(|id| id.text());
                    list.ids.extend(id.map(hash));
                    list.items.extend(raw.read());
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Entries(PhantomData))
    }
}

/// The same in each process and at each time, since its keys are fixed.
fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
