//! Lists of the API: entries judged one by one as they come by, and whether a list contradicts
//! itself.
//!
//! A list that is believed decides what is created and deleted, so one whose own figures do not fit
//! what is on it is no answer. Figures that are absent contradict nothing. Deliberately unknown:
//! what an entry is, and whether several pages fit together, which is the engine's to say.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;

use super::json::{Envelope, Lenient};
use crate::engine::api::Page;

/// The identifier of an entry, and what it is; `None` for one that does not matter here.
pub type Entry<T> = (Option<String>, Option<T>);

/// Reads a page of a list; `asked` is the number of the one that was asked for.
///
/// # Errors
/// What is wrong with it, to be shown.
pub fn page<T>(
    envelope: &Envelope<'_>,
    asked: u32,
    read: impl Fn(Lenient<'_>) -> Entry<T>,
) -> Result<Page<T>, String> {
    let list: Option<Vec<Lenient<'_>>> = envelope.result.strict()?;
    let list = list.ok_or("the list is missing from the answer")?;
    let entries = u32::try_from(list.len()).unwrap_or(u32::MAX);
    let paging: Paging<'_> = envelope.paging.object();
    if let Some(contradiction) = paging.contradiction(asked, entries) {
        return Err(format!("the list contradicts itself: {contradiction}"));
    }
    let (mut ids, mut items) = (Vec::new(), Vec::new());
    for (id, item) in list.into_iter().map(read) {
        ids.extend(id.as_deref().map(hash));
        items.extend(item);
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|two| two[0] == two[1]) {
        return Err("the list contradicts itself: an entry stands twice on one page".to_owned());
    }
    let total = paging.total(asked, entries);
    Ok(Page { items, entries, total, per_page: paging.per_page.number(), ids })
}

/// `result_info`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Paging<'a> {
    #[serde(borrow)]
    page: Lenient<'a>,
    per_page: Lenient<'a>,
    count: Lenient<'a>,
    total_count: Lenient<'a>,
    total_pages: Lenient<'a>,
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

/// The same in each process and at each time, since its keys are fixed.
fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
