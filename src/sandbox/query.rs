//! Query strings, and the paging that all lists of the API share.
//!
//! Deliberately unknown: what is listed.

use std::ops::RangeInclusive;

use reqwest::Url;
use serde_json::{Value, json};

use super::faults::Falsehood;
use super::http::Refusal;

/// The parameters of a request, decoded, in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits a target into its path (as sent) and its parameters.
    pub(super) fn split(target: &str) -> (&str, Query) {
        let (path, text) = target.split_once('?').unwrap_or((target, ""));
        let pairs = Url::parse("http://sandbox").map(|mut url| {
            url.set_query(Some(text));
            url.query_pairs().into_owned().collect()
        });
        (path, Query(pairs.unwrap_or_default()))
    }

    /// The value of a parameter; the last one counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What the parameters that are filters say of an entry.
    pub(super) fn filters(&self, holds: impl Fn(&str, &str) -> Option<bool>) -> Vec<bool> {
        self.0.iter().filter_map(|(name, value)| holds(name, value)).collect()
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) page: usize,
    pub(super) per_page: usize,
}

impl Paging {
    /// A `per_page` outside of `sizes` is taken as the nearest one.
    pub(super) fn of(query: &Query, sizes: RangeInclusive<usize>, default: usize) -> Result<Paging, Refusal> {
        let refused = |what: &str| Refusal::new(400, 1101, format!("request was invalid: {what}"));
        let number = |name: &str, default: usize| match query.get(name) {
            None => Ok(default),
            Some(text) => text.parse::<usize>().map_err(|_| refused(name)),
        };
        let page = number("page", 1)?;
        let per_page = number("per_page", default)?.clamp(*sizes.start(), *sizes.end());
        if page == 0 { Err(refused("page")) } else { Ok(Paging { page, per_page }) }
    }

    /// The entries of the page, and the `result_info` that goes with it. Past the end there are none.
    /// A falsehood leaves the counts as they should be.
    pub(super) fn cut<T>(self, all: &[T], falsehood: Option<Falsehood>) -> (&[T], Value) {
        let start = (self.page - 1).saturating_mul(self.per_page).min(all.len());
        let end = start.saturating_add(self.per_page).min(all.len());
        let later = self.page > 1;
        let shift = |by: usize| all.get(by..(by + self.per_page).min(all.len())).unwrap_or(&[]);
        let part = match falsehood {
            Some(Falsehood::Empty) if !later => &[],
            Some(Falsehood::Short) => &all[start..end.saturating_sub(1).max(start)],
            Some(Falsehood::Twice) if later => shift(start.saturating_sub(self.per_page)),
            Some(Falsehood::Overlap) if later => shift(start.saturating_sub(1)),
            Some(Falsehood::Gap) if later => shift(start + 1),
            _ => &all[start..end],
        };
        let info = json!({
            "page": self.page,
            "per_page": self.per_page,
            "count": end - start,
            "total_count": all.len(),
            "total_pages": all.len().div_ceil(self.per_page),
        });
        (part, info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_broken_escapes_are_left_alone() {
        let (path, query) = Query::split("/zones?name=b%C3%BCcher+x&flag&bad=%zz&cut=%4");
        assert_eq!(path, "/zones");
        assert_eq!(query.get("name"), Some("bücher x"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("bad"), Some("%zz"));
        assert_eq!(query.get("cut"), Some("%4"));
    }

    #[test]
    fn pages_past_the_end_are_empty_and_the_counts_add_up() {
        let all: Vec<u32> = (0..45).collect();
        let paging = |page| Paging { page, per_page: 20 };
        let (last, info) = paging(3).cut(&all, None);
        assert_eq!(last, [40, 41, 42, 43, 44]);
        assert_eq!(info["count"], 5);
        assert_eq!(info["total_count"], 45);
        assert_eq!(info["total_pages"], 3);
        let (none, info) = paging(4).cut(&all, None);
        assert!(none.is_empty());
        assert_eq!(info["count"], 0);
        assert!(paging(usize::MAX).cut(&all, None).0.is_empty());
    }

    #[test]
    fn a_page_size_out_of_range_is_clamped_and_a_page_that_is_none_refused() {
        let paging = |text: &str| Paging::of(&Query::split(text).1, 5..=50, 20);
        for bad in ["?page=0", "?page=x", "?per_page=x"] {
            assert_eq!(paging(bad).unwrap_err().status, 400);
        }
        for (asked, given) in [("?per_page=1000", 50), ("?per_page=4", 5), ("", 20)] {
            assert_eq!(paging(asked).unwrap(), Paging { page: 1, per_page: given });
        }
    }
}
