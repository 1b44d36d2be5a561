//! Keeping a zone, against a pretended Cloudflare: how many requests it takes, and to what end.

use std::net::IpAddr;

use super::*;
use crate::engine::api::{Listed, Page};
use crate::engine::failure::Class;
use crate::engine::names::{Content, Record, RecordId, RecordType, Ttl};

const REFRESH: Duration = Duration::from_secs(6 * 3600);

fn at(seconds: i64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn zone_id() -> ZoneId {
    ZoneId::parse(&"a".repeat(32)).unwrap()
}

fn refusal(class: Class) -> Failure {
    Failure { answered: true, ..Failure::without_answer(class, "no") }
}

/// Cloudflare's side: records by name, and names that it refuses.
struct Far {
    records: BTreeMap<RecordId, Record>,
    refuses: Vec<Name>,
    requests: usize,
    serial: usize,
}

/// Both sides.
struct Rig {
    zone: Zone,
    far: Far,
    keys: BTreeMap<Key, Options>,
    address: IpAddr,
    rng: fastrand::Rng,
    now: Moment,
}

impl Rig {
    /// So many names, all stale at Cloudflare, and listed.
    fn stale(count: usize) -> Rig {
        let names: Vec<Name> = (0..count).map(|n| name(&format!("n{n:03}.example.com"))).collect();
        let keys = names.iter().map(|name| Key { name: name.clone(), kind: RecordType::A });
        let keys: BTreeMap<Key, Options> = keys.map(|key| (key, Options::default())).collect();
        let mut zone = Zone::new(zone_id(), None, at(0));
        zone.is_called(&ZoneInfo::active(zone_id(), name("example.com")));
        zone.keep(keys.keys().cloned().collect(), BTreeSet::new());
        let mut far = Far { records: BTreeMap::new(), refuses: Vec::new(), requests: 0, serial: 0 };
        for name in names {
            far.create(name, "203.0.113.1".parse().unwrap(), Some("by hand"));
        }
        let address = "203.0.113.2".parse().unwrap();
        Rig { zone, far, keys, address, rng: fastrand::Rng::with_seed(5), now: at(0) }
    }

    fn compare(&mut self) {
        let goals = self.keys.iter().map(|(key, options)| (key, Goal::At(self.address.into()), options));
        self.zone.compare(goals, &OwnerMark::of(None), self.now);
    }

    /// Carries out what is due until nothing is, for at most this long. Returns how many requests.
    fn work(&mut self, span: Duration) -> usize {
        let (begin, end) = (self.far.requests, self.now + span);
        while let Some((due, job)) = self.zone.job(Writing::Allowed, false, &OwnerMark::of(None), self.now) {
            if due > end || job == Job::Refresh {
                break;
            }
            self.now = self.now.max(due);
            let request = self
                .zone
                .begin(job, (Writing::Allowed, &OwnerMark::of(None)), 1, self.now)
                .expect("a job that is due is a request");
            self.far.requests += 1;
            assert!(self.far.requests < 10_000, "never ends");
            match self.far.answer(&request) {
                Ok(Found::Page(page)) => {
                    self.zone.listed(page, &OwnerMark::of(None), REFRESH, self.now);
                    self.compare();
                }
                Ok(Found::Written(written)) => {
                    let sent = self.zone.wrote(written, &OwnerMark::of(None), self.now);
                    self.compare();
                    self.zone.park_unkept(&sent, &OwnerMark::of(None), self.now, &mut self.rng);
                }
                Err(failure) => {
                    self.zone.failed(&failure, &OwnerMark::of(None), self.now, &mut self.rng);
                    self.compare();
                }
            }
        }
        self.now = end;
        self.far.requests - begin
    }

    fn reached(&self) -> usize {
        self.far.records.values().filter(|record| record.content == self.address).count()
    }
}

enum Found {
    Page(Page<Listed>),
    Written(Written),
}

impl Far {
    fn create(&mut self, name: Name, content: Content, comment: Option<&str>) -> Record {
        self.serial += 1;
        let record = Record {
            id: RecordId::parse(&format!("{:032x}", self.serial)).unwrap(),
            name,
            content,
            ttl: Ttl::Auto,
            proxied: false,
            comment: comment.map(Into::into),
            tags: Vec::new(),
        };
        self.records.insert(record.id.clone(), record.clone());
        record
    }

    fn answer(&mut self, request: &Request) -> Result<Found, Failure> {
        match request {
            Request::Records { name, page, per_page, .. } => {
                let matching =
                    self.records.values().filter(|r| name.as_ref().is_none_or(|name| r.name == *name));
                let all: Vec<Listed> = matching.cloned().map(Listed::Record).collect();
                let per_page = usize::try_from(*per_page).unwrap();
                let skip = per_page * (usize::try_from(*page).unwrap() - 1);
                let total = Some(u32::try_from(all.len()).unwrap());
                let items: Vec<Listed> = all.into_iter().skip(skip).take(per_page).collect();
                Ok(Found::Page(Page {
                    entries: u32::try_from(items.len()).unwrap(),
                    items,
                    total,
                    per_page: None,
                    ids: Vec::new(),
                }))
            }
            Request::Batch { batch, .. } => {
                let named = batch.patches.iter().map(|patch| &patch.name);
                let mut named = named.chain(batch.posts.iter().map(|post| &post.name));
                if named.any(|name| self.refuses.contains(name)) {
                    return Err(refusal(Class::Content));
                }
                let mut written = Written { deleted: batch.deletes.clone(), ..Written::default() };
                for id in &batch.deletes {
                    self.records.remove(id);
                }
                for patch in &batch.patches {
                    let Some(record) = self.records.get_mut(&patch.id) else {
                        return Err(refusal(Class::CopyWrong));
                    };
                    record.content = patch.content.clone();
                    written.patched.push(record.clone());
                }
                for post in &batch.posts {
                    let record = self.create(post.name.clone(), post.content.clone(), Some(&post.comment));
                    written.posted.push(record);
                }
                Ok(Found::Written(written))
            }
            Request::NameServers { .. } => Ok(Found::Page(Page {
                entries: 0,
                items: Vec::new(),
                total: Some(0),
                per_page: None,
                ids: Vec::new(),
            })),
            other => panic!("not asked for: {other:?}"),
        }
    }
}

#[test]
fn two_hundred_names_cost_one_list_and_one_batch() {
    let mut rig = Rig::stale(200);
    assert_eq!(rig.work(Duration::ZERO), 2);
    assert_eq!(rig.reached(), 200);
    let mut rig = Rig::stale(201);
    assert_eq!(rig.work(Duration::ZERO), 3);
}

#[test]
fn one_refused_record_among_many_does_not_hold_back_the_others() {
    for guilty in [0, 1, 77, 198, 199] {
        let mut rig = Rig::stale(200);
        rig.far.refuses = vec![name(&format!("n{guilty:03}.example.com"))];
        let requests = rig.work(Duration::ZERO);
        assert_eq!(rig.reached(), 199, "guilty: {guilty}");
        assert!(requests <= 22, "{requests} requests to find number {guilty}");
        assert_eq!(rig.zone.parked().len(), 1);
    }
}

#[test]
fn a_refused_record_is_tried_again_rarely_and_recovers() {
    let mut rig = Rig::stale(20);
    rig.far.refuses = vec![name("n007.example.com")];
    rig.work(Duration::ZERO);
    let day = rig.work(Duration::from_secs(86_400));
    assert!((1..=30).contains(&day), "{day} requests in a day for one refused record");
    rig.far.refuses.clear();
    rig.work(Duration::from_secs(86_400));
    assert_eq!(rig.reached(), 20);
    assert!(rig.zone.parked().is_empty());
}

#[test]
fn where_everything_is_refused_one_try_stands_for_all_of_it() {
    let mut rig = Rig::stale(50);
    rig.far.refuses = (0..50).map(|n| name(&format!("n{n:03}.example.com"))).collect();
    let first = rig.work(Duration::ZERO);
    assert!(first <= 60, "{first} requests to find that all 50 are refused");
    rig.work(Duration::from_secs(3600));
    let day = rig.work(Duration::from_secs(86_400));
    assert!(day <= 60, "{day} requests in a day for 50 that are refused for one reason");
    rig.far.refuses.clear();
    rig.work(Duration::from_secs(86_400));
    assert_eq!(rig.reached(), 50);
}

#[test]
fn another_address_is_tried_at_once_where_the_old_one_was_refused() {
    let mut rig = Rig::stale(3);
    rig.far.refuses = vec![name("n001.example.com")];
    rig.work(Duration::ZERO);
    rig.far.refuses.clear();
    rig.address = "203.0.113.3".parse().unwrap();
    rig.compare();
    let requests = rig.work(Duration::ZERO);
    assert_eq!(rig.reached(), 3);
    assert!(requests <= 2, "{requests}");
}

#[test]
fn a_record_deleted_by_hand_is_made_anew_after_a_fresh_list() {
    let mut rig = Rig::stale(3);
    rig.work(Duration::ZERO);
    let gone = rig.far.records.keys().next().unwrap().clone();
    rig.far.records.remove(&gone);
    rig.address = "203.0.113.3".parse().unwrap();
    rig.compare();
    assert_eq!(
        rig.work(Duration::from_secs(60)),
        4,
        "a batch, a list, another one because it is gone, a batch"
    );
    assert_eq!(rig.reached(), 3);
}

#[test]
fn a_single_name_is_asked_for_by_name_and_many_by_the_page() {
    let mut one = Rig::stale(1);
    let (_, job) = one.zone.job(Writing::Allowed, false, &OwnerMark::of(None), at(0)).unwrap();
    let request = one.zone.begin(job, (Writing::Allowed, &OwnerMark::of(None)), 1, at(0)).unwrap();
    assert!(matches!(request, Request::Records { name: Some(_), page: 1, .. }));
    let mut two = Rig::stale(2);
    let request = two.zone.begin(Job::List, (Writing::Allowed, &OwnerMark::of(None)), 1, at(0)).unwrap();
    assert!(matches!(request, Request::Records { name: None, page: 1, per_page: 5000, .. }));
}

#[test]
fn few_names_in_a_huge_zone_are_asked_for_one_by_one_after_the_first_page() {
    let mut rig = Rig::stale(3);
    for n in 0..30_000 {
        rig.far.create(name(&format!("u{n}.example.com")), "198.51.100.1".parse().unwrap(), None);
    }
    let requests = rig.work(Duration::ZERO);
    assert_eq!(requests, 1 + 3 + 1 + 1, "a page, three names, the name servers, a batch");
    assert_eq!(rig.reached(), 3);
}

#[test]
fn pages_get_smaller_where_large_ones_fail() {
    let mut zone = Rig::stale(5).zone;
    let mut rng = fastrand::Rng::with_seed(1);
    let mut sizes = Vec::new();
    for turn in 0..4 {
        let request = zone.begin(Job::List, (Writing::Allowed, &OwnerMark::of(None)), turn, at(0)).unwrap();
        let Request::Records { per_page, page, .. } = request else { panic!() };
        sizes.push((page, per_page));
        let late = Failure { incomplete: true, ..refusal(Class::NotSent) };
        zone.failed(&late, &OwnerMark::of(None), at(0), &mut rng);
    }
    assert_eq!(sizes, [(1, 5000), (1, 1000), (1, 100), (1, 100)]);
}

#[test]
fn a_list_that_contradicts_itself_is_read_again_at_once_and_then_later() {
    for lie in [0, 1, u32::MAX] {
        let mut zone = Rig::stale(5).zone;
        for turn in 0..10 {
            zone.begin(Job::List, (Writing::Allowed, &OwnerMark::of(None)), 1, at(0));
            let page = Page {
                items: Vec::new(),
                entries: 3,
                total: Some(lie),
                per_page: Some(5000),
                ids: Vec::new(),
            };
            let progress = zone.listed(page, &OwnerMark::of(None), REFRESH, at(0));
            assert_eq!(matches!(progress, Progress::Contradictory(_)), turn > 0, "a total of {lie}");
            assert!(zone.copy().is_none() && zone.waits_until().is_some() == (turn > 0));
        }
    }
}

#[test]
fn a_list_that_moves_while_it_is_read_is_read_again() {
    let page = |ids: &[u64], total| Page {
        items: Vec::new(),
        entries: u32::try_from(ids.len()).unwrap(),
        total: Some(total),
        per_page: Some(2),
        ids: ids.to_vec(),
    };
    let moved = [
        [page(&[1, 2], 4), page(&[3], 3)],
        [page(&[1, 2], 4), page(&[2, 3], 4)],
        [page(&[1, 2], 4), page(&[], 4)],
        [page(&[1, 1], 4), page(&[1, 2], 4)],
    ];
    for pages in moved {
        let mut zone = Rig::stale(5).zone;
        let mut began_anew = false;
        for page in pages {
            zone.begin(Job::List, (Writing::Allowed, &OwnerMark::of(None)), 1, at(0));
            if began_anew {
                continue;
            }
            let progress = zone.listed(page, &OwnerMark::of(None), REFRESH, at(0));
            assert_eq!(progress, Progress::More);
            let next = zone.begin(Job::List, (Writing::Allowed, &OwnerMark::of(None)), 1, at(0)).unwrap();
            began_anew |= matches!(next, Request::Records { page: 1, .. });
        }
        assert!(began_anew && zone.copy().is_none());
    }
}

#[test]
fn a_list_without_end_is_refused() {
    let mut zone = Rig::stale(5).zone;
    for page in 1..=MOST_PAGES {
        zone.begin(Job::List, (Writing::Allowed, &OwnerMark::of(None)), 1, at(0));
        let ids = (0..5000).map(|entry| u64::from(page) * 10_000 + entry).collect();
        let full = Page { items: Vec::new(), entries: 5000, total: None, per_page: Some(5000), ids };
        let progress = zone.listed(full, &OwnerMark::of(None), REFRESH, at(0));
        let expected = if page == MOST_PAGES { Progress::TooLong } else { Progress::More };
        assert_eq!(progress, expected, "page {page}");
    }
    assert!(zone.copy().is_none());
}
