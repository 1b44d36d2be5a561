//! The laws of the difference: it reaches the goal, twice is nothing, and others' records survive.

use super::*;
use crate::engine::api::Listed;
use crate::engine::cache::{Claim, Reading};
use crate::engine::names::RecordType;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn key(text: &str) -> Key {
    Key { name: name(text), kind: RecordType::A }
}

fn ip(text: &str) -> Content {
    text.parse().unwrap()
}

fn id(number: usize) -> RecordId {
    RecordId::parse(&format!("{number:032x}")).unwrap()
}

fn record(number: usize, content: &str, comment: Option<&str>) -> Record {
    Record {
        id: id(number),
        name: name("home.example.com"),
        content: ip(content),
        ttl: Ttl::Auto,
        proxied: false,
        comment: comment.map(Into::into),
        tags: Vec::new(),
    }
}

fn reading(mark: &OwnerMark) -> Reading<'_> {
    Reading { mark, apex: None, adopts: false }
}

/// A copy that nothing was known of before.
fn listed(names: BTreeSet<Name>, entries: Vec<Listed>) -> ZoneCache {
    ZoneCache::listed(names, entries, &ZoneCache::default(), reading(&OwnerMark::of(None))).0
}

fn copy(records: &[Record]) -> ZoneCache {
    let entries = records.iter().cloned().map(Listed::Record).collect();
    listed([name("home.example.com")].into(), entries)
}

fn to(records: &[Record], address: &str, options: &Options) -> Difference {
    let key = key("home.example.com");
    let goal = Goal::At(ip(address));
    difference(&copy(records), [(&key, goal, options)].into_iter(), &OwnerMark::of(None))
}

fn with(beside: Beside) -> Options {
    Options { beside, ..Options::default() }
}

fn steps(difference: &Difference) -> Vec<String> {
    let word = |operation: &Operation| match &operation.step {
        Step::Patch(patch) => {
            format!("patch {} to {}", patch.id.as_str().trim_start_matches('0'), patch.content)
        }
        Step::Post(post) => format!("post {} as {}", post.content, post.comment),
        Step::Delete(id) => format!("delete {}", id.as_str().trim_start_matches('0')),
    };
    difference.operations.iter().map(word).collect()
}

#[test]
fn a_missing_record_is_created_with_our_mark() {
    assert_eq!(steps(&to(&[], "203.0.113.7", &Options::default())), ["post 203.0.113.7 as stayput"]);
    let options = Options { comment: Some("the door".into()), ..Options::default() };
    assert_eq!(steps(&to(&[], "203.0.113.7", &options)), ["post 203.0.113.7 as the door [stayput]"]);
}

#[test]
fn a_single_unmarked_record_is_adopted_and_only_its_content_changes() {
    let stale = record(1, "203.0.113.1", Some("mine, by hand"));
    let difference = to(&[stale], "203.0.113.7", &Options::default());
    assert_eq!(steps(&difference), ["patch 1 to 203.0.113.7"]);
    assert_eq!(difference.adopt, [id(1)].into());
    let Step::Patch(patch) = &difference.operations[0].step else { panic!() };
    assert_eq!((patch.proxied, patch.ttl, &patch.comment, &patch.tags), (None, None, &None, &None));
}

#[test]
fn of_several_records_ours_is_the_marked_one() {
    let others = [record(1, "198.51.100.1", None), record(2, "203.0.113.1", Some("stayput"))];
    assert_eq!(steps(&to(&others, "203.0.113.7", &Options::default())), ["patch 2 to 203.0.113.7"]);
}

#[test]
fn of_several_unmarked_records_one_with_our_address_is_taken() {
    let both = [record(1, "198.51.100.1", None), record(2, "203.0.113.7", None)];
    let difference = to(&both, "203.0.113.7", &Options::default());
    assert_eq!(steps(&difference), [""; 0]);
    assert_eq!(difference.adopt, [id(2)].into());
}

#[test]
fn several_records_of_which_none_is_ours_are_left_alone_and_said() {
    let both = [record(1, "198.51.100.1", None), record(2, "198.51.100.2", Some("stayput/attic"))];
    let difference = to(&both, "203.0.113.7", &Options::default());
    assert_eq!(steps(&difference), [""; 0]);
    let contents = vec![ip("198.51.100.1"), ip("198.51.100.2")];
    assert_eq!(difference.obstacles[&key("home.example.com")], Obstacle::Several(contents));
}

#[test]
fn another_instances_record_is_left_alone_and_said() {
    let theirs = [record(1, "198.51.100.1", Some("cellar [stayput/cellar]"))];
    let difference = to(&theirs, "203.0.113.7", &Options::default());
    assert_eq!(difference.obstacles[&key("home.example.com")], Obstacle::Theirs("stayput/cellar".into()));
    assert_eq!(steps(&to(&theirs, "203.0.113.7", &with(Beside::Others))), ["post 203.0.113.7 as stayput"]);
}

#[test]
fn exclusive_leaves_nothing_else_and_the_name_is_never_empty() {
    let three = [
        record(1, "198.51.100.1", None),
        record(2, "198.51.100.2", None),
        record(3, "198.51.100.3", Some("stayput/x")),
    ];
    let difference = to(&three, "203.0.113.7", &with(Beside::Nobody));
    assert_eq!(steps(&difference), ["patch 1 to 203.0.113.7", "delete 2", "delete 3"]);
    let difference = to(&three, "198.51.100.2", &with(Beside::Nobody));
    assert_eq!(steps(&difference), ["delete 1", "delete 3"]);
}

#[test]
fn beside_others_a_taken_record_gets_the_mark() {
    let plain = [record(1, "203.0.113.7", Some("front")), record(2, "198.51.100.2", None)];
    let difference = to(&plain, "203.0.113.7", &with(Beside::Others));
    let Step::Patch(patch) = &difference.operations[0].step else { panic!() };
    assert_eq!(patch.comment.as_deref(), Some("front [stayput]"));
    assert_eq!(difference.operations.len(), 1);
}

#[test]
fn a_cname_in_the_way_is_said() {
    let key = key("home.example.com");
    let entries = vec![Listed::Other(name("home.example.com"), "CNAME".into())];
    let copy = listed([name("home.example.com")].into(), entries);
    let options = Options::default();
    let goals = [(&key, Goal::At(ip("203.0.113.7")), &options)].into_iter();
    let difference = difference(&copy, goals, &OwnerMark::of(None));
    assert_eq!(difference.obstacles[&key], Obstacle::Other("CNAME".into()));
    assert_eq!(steps(&difference), [""; 0]);
}

#[test]
fn a_setting_is_enforced_although_the_address_is_the_same() {
    let proxied = Options { proxied: Some(true), ttl: Some(Ttl::Seconds(300)), ..Options::default() };
    let here = record(1, "203.0.113.7", None);
    let difference = to(std::slice::from_ref(&here), "203.0.113.7", &proxied);
    let Step::Patch(patch) = &difference.operations[0].step else { panic!() };
    assert_eq!((patch.proxied, patch.ttl), (Some(true), None), "a proxied record's TTL is not sent");
    let now_proxied = Record { proxied: true, ..here };
    assert_eq!(steps(&to(&[now_proxied], "203.0.113.7", &proxied)), [""; 0]);
}

/// What Cloudflare would make of the batch, with its refusal of duplicates.
fn apply(copy: &ZoneCache, batch: Batch, serial: &mut usize) -> ZoneCache {
    let mut after = copy.clone();
    for id in &batch.deletes {
        assert!(after.records.remove(id).is_some(), "deletes what is not there");
    }
    for patch in batch.patches {
        let old = after.records.remove(&patch.id).expect("patches what is there");
        let new = Record {
            content: patch.content,
            proxied: patch.proxied.unwrap_or(old.proxied),
            ttl: patch.ttl.unwrap_or(old.ttl),
            comment: patch.comment.or(old.comment),
            tags: patch.tags.unwrap_or(old.tags),
            ..old
        };
        assert!(
            after.records.values().all(|r| r.key() != new.key() || r.content != new.content),
            "a duplicate"
        );
        after.records.insert(patch.id, new);
    }
    for post in batch.posts {
        *serial += 1;
        let new = Record {
            id: id(*serial),
            name: post.name,
            content: post.content,
            ttl: post.ttl,
            proxied: post.proxied,
            comment: Some(post.comment),
            tags: post.tags,
        };
        assert!(
            after.records.values().all(|r| r.key() != new.key() || r.content != new.content),
            "a duplicate"
        );
        after.records.insert(new.id.clone(), new);
    }
    after
}

/// What carries the mark is ours.
fn known_by(mut zone: ZoneCache, mark: &OwnerMark) -> ZoneCache {
    zone.ours.clear();
    zone.claim_marked(mark);
    zone
}

prop_compose! {
    fn a_zone()(rows in prop::collection::vec((0_usize..3, 1_u8..6, 0_usize..6, any::<bool>(), any::<bool>()), 0..12)) -> ZoneCache {
        let comments = [None, Some("stayput"), Some("stayput/attic"), Some("by hand"), Some("door [stayput/attic]"), Some("stayput/cellar")];
        let mut seen = BTreeSet::new();
        let entries = rows.into_iter().enumerate().filter(|(_, row)| seen.insert((row.0, row.1))).map(|(number, row)| {
            let (at, content, comment, proxied, _) = row;
            let mut record = record(number + 1, &format!("203.0.113.{content}"), comments[comment]);
            record.name = name(&format!("n{at}.example.com"));
            record.proxied = proxied;
            Listed::Record(record)
        });
        let names = (0..3).map(|at| name(&format!("n{at}.example.com"))).collect();
        listed(names, entries.collect())
    }
}

prop_compose! {
    fn some_options()(proxied: Option<bool>, ttl in prop::option::of(60_u32..90), comment in prop::option::of("[a-z]{1,5}"), beside in 0..3) -> Options {
        let beside = [Beside::Tolerated, Beside::Nobody, Beside::Others][usize::try_from(beside).unwrap()];
        Options { proxied, ttl: ttl.map(Ttl::Seconds), comment: comment.map(Into::into), tags: None, beside }
    }
}

proptest! {
    #[test]
    fn applying_the_difference_reaches_the_goal_and_twice_is_nothing(
        zone in a_zone(), options in prop::collection::vec(some_options(), 3), address in 1_u8..6,
        owner in prop::option::of(Just("attic")),
    ) {
        let mark = OwnerMark::of(owner);
        let zone = known_by(zone, &mark);
        let address = ip(&format!("203.0.113.{address}"));
        let keys: Vec<Key> = (0..3).map(|at| key(&format!("n{at}.example.com"))).collect();
        let goals = || keys.iter().zip(&options).map(|(key, options)| (key, Goal::At(address.clone()), options));
        let first = difference(&zone, goals(), &mark);
        let mut adopted = zone.clone();
        adopted.ours.extend(first.adopt.iter().map(|id| (id.clone(), Claim::Adopted)));
        adopted.foreign.extend(first.foreign.iter().cloned());
        let mut serial = 100;
        let after = apply(&adopted, batch(&first.operations), &mut serial);
        for (key, options) in keys.iter().zip(&options) {
            if first.obstacles.contains_key(key) {
                let untouched = |copy: &ZoneCache| copy.records.values().filter(|r| r.key() == *key).cloned().collect::<Vec<_>>();
                prop_assert_eq!(untouched(&zone), untouched(&after));
                continue;
            }
            let there: Vec<_> = after.records.values().filter(|r| r.key() == *key).collect();
            prop_assert!(there.iter().any(|record| record.content == address));
            if options.beside == Beside::Nobody {
                prop_assert_eq!(there.len(), 1);
            }
        }
        let second = difference(&after, goals(), &mark);
        prop_assert!(second.operations.is_empty(), "{:?}", second.operations);
    }

    #[test]
    fn what_belongs_to_others_survives(
        zone in a_zone(), mut options in prop::collection::vec(some_options(), 3), address in 1_u8..6, gone: bool,
    ) {
        let mark = OwnerMark::of(Some("attic"));
        let zone = known_by(zone, &mark);
        for options in &mut options {
            if options.beside == Beside::Nobody {
                options.beside = Beside::Tolerated;
            }
        }
        let goal = if gone { Goal::Gone } else { Goal::At(ip(&format!("203.0.113.{address}"))) };
        let keys: Vec<Key> = (0..3).map(|at| key(&format!("n{at}.example.com"))).collect();
        let goals = keys.iter().zip(&options).map(|(key, options)| (key, goal.clone(), options));
        let difference = difference(&zone, goals, &mark);
        for operation in &difference.operations {
            let Some(before) = &operation.before else { continue };
            let comment = before.comment.as_deref().unwrap_or_default();
            let beside = zone.records.values().filter(|r| r.key() == before.key()).count();
            let ours = comment.contains("stayput/attic");
            let adopted = beside == 1 && !comment.contains("stayput/") || difference.adopt.contains(&before.id);
            prop_assert!(ours || adopted && !matches!(operation.step, Step::Delete(_)), "{operation:?}");
        }
    }

    #[test]
    fn the_order_of_the_records_and_goals_does_not_matter(
        zone in a_zone(), options in prop::collection::vec(some_options(), 3), address in 1_u8..6,
    ) {
        let mark = OwnerMark::of(None);
        let address = ip(&format!("203.0.113.{address}"));
        let keys: Vec<Key> = (0..3).map(|at| key(&format!("n{at}.example.com"))).collect();
        let goals: Vec<_> = keys.iter().zip(&options).map(|(key, options)| (key, Goal::At(address.clone()), options)).collect();
        let forward = difference(&zone, goals.iter().cloned(), &mark);
        let mut backward = difference(&zone, goals.iter().rev().cloned(), &mark);
        backward.operations.sort_by_key(|op| forward.operations.iter().position(|other| other == op));
        prop_assert_eq!(forward, backward);
    }

    #[test]
    fn not_knowing_changes_nothing(zone in a_zone(), options in some_options()) {
        let key = key("n0.example.com");
        let difference = difference(&zone, [(&key, Goal::Leave, &options)].into_iter(), &OwnerMark::of(None));
        prop_assert_eq!(difference, Difference::default());
    }
}
