//! What is wanted of each name and type, by what is believed of the lines.
//!
//! Deliberately unknown: zones, what they hold, and how a belief came about.

use std::collections::BTreeMap;

use super::diff::Goal;
use super::names::{Content, Key, Line};
use super::settings::OnExit;

/// The line whose address a name and type holds.
pub fn line_of(key: &Key) -> Line {
    Line::only(key.kind.family())
}

/// The goal of each name and type. `stopping`: what becomes of our records, where the program is to end.
pub fn desired<'a>(
    keys: impl IntoIterator<Item = &'a Key>,
    beliefs: &BTreeMap<Line, Content>,
    stopping: Option<OnExit>,
) -> BTreeMap<&'a Key, Goal> {
    let goal = |key: &Key| match stopping {
        Some(OnExit::Keep) => Goal::Leave,
        Some(OnExit::Delete) => Goal::Gone,
        None => beliefs.get(&line_of(key)).cloned().map_or(Goal::Leave, Goal::At),
    };
    keys.into_iter().map(|key| (key, goal(key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::names::{Family, Name, RecordType};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn keys(names: &[u8]) -> Vec<Key> {
        let key = |number: &u8| {
            let kind = if number % 2 == 0 { RecordType::A } else { RecordType::Aaaa };
            Key { name: Name::parse(&format!("n{number}.example.com")).unwrap(), kind }
        };
        names.iter().map(key).collect()
    }

    fn beliefs(v4: Option<[u8; 4]>, v6: Option<[u8; 16]>) -> BTreeMap<Line, Content> {
        let addresses = v4.map(IpAddr::from).into_iter().chain(v6.map(IpAddr::from));
        addresses.map(|address| (Line::only(Family::of(address)), address.into())).collect()
    }

    proptest! {
        #[test]
        fn a_line_of_which_nothing_is_believed_is_left_alone_and_the_order_is_irrelevant(
            names in prop::collection::vec(any::<u8>(), 0..20),
            v4 in any::<Option<[u8; 4]>>(),
            v6 in any::<Option<[u8; 16]>>(),
        ) {
            let (keys, beliefs) = (keys(&names), beliefs(v4, v6));
            let goals = desired(&keys, &beliefs, None);
            for key in &keys {
                match beliefs.get(&line_of(key)) {
                    Some(content) => prop_assert_eq!(&goals[key], &Goal::At(content.clone())),
                    None => prop_assert_eq!(&goals[key], &Goal::Leave),
                }
            }
            prop_assert_eq!(desired(keys.iter().rev(), &beliefs, None), goals);
        }

        #[test]
        fn at_the_end_all_is_left_or_all_is_to_go_whatever_is_believed(
            names in prop::collection::vec(any::<u8>(), 0..20),
            v4 in any::<Option<[u8; 4]>>(),
            delete in any::<bool>(),
        ) {
            let (keys, beliefs) = (keys(&names), beliefs(v4, None));
            let (stopping, goal) =
                if delete { (OnExit::Delete, Goal::Gone) } else { (OnExit::Keep, Goal::Leave) };
            prop_assert!(desired(&keys, &beliefs, Some(stopping)).values().all(|it| *it == goal));
        }
    }
}
