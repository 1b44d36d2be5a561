//! Whose each record is, as somebody knows who has watched the zones all the time; what a write may do
//! to it; and how a zone must look when all is well.
//!
//! Its history is its own: who made each record, whether it stood alone when we first listed it, and who
//! changed what since. Deliberately unknown: what the engine thinks of a record.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use stayput::engine::api::Batch;
use stayput::engine::names::{Content, Family, Key, Name, RecordType, Ttl};
use stayput::engine::settings::{Beside, Options, Settings};
use stayput::engine::{Snapshot, ZoneMemory};
use stayput::sandbox::{Plan, Record, Zone};

/// How old what a list shows may be: `stale-list` at its worst.
const STALEST: Duration = Duration::from_secs(10);

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Us,
    Others,
}

/// Why a record is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Bond {
    /// We created it, with this mark.
    Created(String),
    /// It had our mark when we listed it, or we added it.
    Marked(String),
    /// It was unmarked, and alone or with our address, when we listed it.
    Adopted,
    /// It had our mark, which we had not put there, and lost it: let go or adopted, both is right.
    Unsure,
}

/// The life of a record.
#[derive(Clone, Debug)]
struct Life {
    zone: String,
    record: Record,
    bond: Option<Bond>,
    /// Whether a program that remembers no more than what is on disk can know the bond.
    known: bool,
    /// Since when the bond is as it is.
    since: Duration,
    /// The last instant at which it was ours, or could have been taken as ours.
    last_ours: Duration,
    /// It stood beside ours with our address when ours was deleted for it.
    shunned: bool,
    /// When the program was first told of it as it is named now.
    told: Option<Duration>,
    /// When others last changed its comment.
    comment_edited: Duration,
    /// When it was let go: its mark was taken away.
    let_go: Option<Duration>,
    /// Whether we have changed it since it became ours, so that there is no doubt that we took it.
    taken: bool,
    /// The name that it had before it was renamed, and when that was: its mark may be taken as ours or not.
    renamed: Option<(String, Duration)>,
    /// What it was to us before it was renamed: a write that crosses the new name on its way takes it back.
    before: Option<Bond>,
}

/// What is known of a request that writes, when it arrives.
pub struct Write<'a> {
    pub settings: &'a Settings,
    pub zone: &'a str,
    pub batch: &'a Batch,
    /// When the list began on which it rests, and when that list had been wanted for its deletes.
    pub list_began: Duration,
    pub believed: &'a BTreeMap<Family, (IpAddr, Duration)>,
    pub stopped_at: Option<Duration>,
}

#[derive(Default)]
pub struct Oracle {
    lives: BTreeMap<String, Life>,
    /// Every state that a record ever had, as Cloudflare would have said it.
    history: HashSet<(String, String, u32, bool, Option<String>)>,
    /// The contents that the program was told last.
    contents: BTreeMap<String, Content>,
    /// When somebody else last changed anything in a zone.
    edited: BTreeMap<String, Duration>,
}

impl Oracle {
    // --- what it sees ---

    /// Notes how the records of a zone are now, and who has changed them since it last looked.
    pub fn see(&mut self, zone: &str, records: &BTreeMap<String, Record>, actor: Actor, now: Duration) {
        let gone: Vec<String> = self
            .lives
            .iter()
            .filter(|(id, life)| life.zone == zone && !records.contains_key(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.lives.remove(&id);
            self.note_edit(zone, actor, now);
        }
        for (id, record) in records {
            match self.lives.get_mut(id) {
                Some(life) if life.record == *record => continue,
                Some(life) => life.changed(record, actor, now),
                None => {
                    let life = Life::new(zone, record, actor, now);
                    self.lives.insert(id.clone(), life);
                }
            }
            self.note_edit(zone, actor, now);
            self.history.insert((
                id.clone(),
                record.content.clone(),
                record.ttl,
                record.proxied,
                record.comment.clone(),
            ));
        }
    }

    fn note_edit(&mut self, zone: &str, actor: Actor, now: Duration) {
        if actor == Actor::Others {
            self.edited.insert(zone.to_owned(), now);
        }
    }

    /// Records of zones that are gone are gone with them.
    pub fn keep_zones(&mut self, is_there: impl Fn(&str) -> bool) {
        self.lives.retain(|_, life| is_there(&life.zone));
    }

    /// The zone is listed, or about to be written because of a list that began at `list_began`: what can be
    /// taken as ours is ours from now on.
    pub fn consider(
        &mut self,
        zone: &str,
        settings: &Settings,
        believed: &BTreeMap<Family, (IpAddr, Duration)>,
        (list_began, now): (Duration, Duration),
    ) {
        let mut groups: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        for (id, life) in self.lives.iter().filter(|(_, life)| life.zone == zone) {
            if let Some(key) = managed(&life.record, settings) {
                groups.entry(key).or_default().push(id.clone());
            }
        }
        let mark = our_mark(settings);
        for (key, ids) in groups {
            for id in &ids {
                let life = self.lives.get_mut(id).unwrap();
                let marked = mark_in(life.record.comment.as_deref()) == Some(&mark);
                if marked && !is_read_only(&life.record) {
                    let unsure = life.renamed.is_some() || life.shunned;
                    let bond = if unsure { Bond::Unsure } else { Bond::Marked(mark.clone()) };
                    life.bind(bond, now);
                }
            }
            if ids.iter().any(|id| self.lives[id].is_taken()) {
                continue;
            }
            let ours = believed.get(&key.kind.family()).map(|(address, _)| address.to_string());
            for id in &ids {
                let life = self.lives.get_mut(id).unwrap();
                let free = mark_in(life.record.comment.as_deref()).is_none()
                    && !life.shunned
                    && life.let_go.is_none_or(|at| at <= list_began)
                    && !is_read_only(&life.record);
                let has_ours = ours.as_ref() == Some(&life.record.content);
                if free && (ids.len() == 1 || has_ours) {
                    life.bind(Bond::Adopted, now);
                }
            }
        }
    }

    /// The program was told of these records.
    pub fn told<'a>(
        &mut self,
        records: impl Iterator<Item = &'a stayput::engine::names::Record>,
        now: Duration,
    ) {
        for record in records {
            if let Some(life) = self.lives.get_mut(record.id.as_str()) {
                life.told.get_or_insert(now);
                self.contents.insert(record.id.to_string(), record.content.clone());
            }
        }
    }

    /// Whether the program was last told of a record that it has this address.
    pub fn has_told(&self, address: IpAddr) -> bool {
        self.contents.values().any(|content| content.address() == Some(address))
    }

    /// The process begins anew, and remembers what is on disk.
    pub fn forget(&mut self, disk: Option<&Snapshot>, settings: &Settings) {
        let remembers = |id: &str, known: fn(&ZoneMemory, &str) -> bool| {
            disk.into_iter().flat_map(|disk| disk.zones.values()).any(|memory| known(memory, id))
        };
        let mark = our_mark(settings);
        for (id, life) in &mut self.lives {
            let listed =
                remembers(id, |memory, id| memory.copy.records.keys().any(|known| known.as_str() == id));
            life.told = life.told.filter(|_| listed);
            life.known &= match &life.bond {
                Some(Bond::Created(own) | Bond::Marked(own)) => *own == mark || listed,
                Some(Bond::Adopted | Bond::Unsure) => {
                    remembers(id, |memory, id| memory.copy.ours.keys().any(|known| known.as_str() == id))
                }
                None => false,
            };
            life.shunned &= disk.is_some();
        }
        self.reload(settings);
    }

    /// Names that are no longer kept are not listed any more: only our mark still tells what was ours there.
    pub fn reload(&mut self, settings: &Settings) {
        let mark = our_mark(settings);
        for life in self.lives.values_mut().filter(|life| managed(&life.record, settings).is_none()) {
            life.known &= matches!(&life.bond, Some(Bond::Created(own) | Bond::Marked(own)) if *own == mark);
        }
    }

    /// The names of a zone lie in its parent by now, which is listed anew for them.
    pub fn zone_gone(&mut self, zone: &str) {
        let suffix = format!(".{zone}");
        for life in self.lives.values_mut() {
            life.shunned &= life.record.name != zone && !life.record.name.ends_with(&suffix);
        }
    }

    /// A record in the confirmed copy was so at some time.
    pub fn was_said(&self, record: &stayput::engine::names::Record) -> bool {
        self.history.contains(&(
            record.id.to_string(),
            record.content.to_string(),
            record.ttl.to_api(),
            record.proxied,
            record.comment.as_deref().map(str::to_owned),
        ))
    }

    /// Whether somebody else has changed anything in the zone since then.
    pub fn edited_since(&self, zone: &str, then: Duration) -> bool {
        self.edited.get(zone).is_some_and(|at| *at + STALEST >= then)
    }

    // --- what it judges ---

    /// What a request that has arrived asks for: whether or not Cloudflare does it.
    pub fn check_asked(&mut self, write: &Write<'_>) {
        let patched = write.batch.patches.iter().map(|patch| patch.id.as_str());
        for id in patched.chain(write.batch.deletes.iter().map(stayput::engine::names::RecordId::as_str)) {
            self.check_touched(id, write);
        }
        for id in &write.batch.deletes {
            self.check_delete_was_known(id.as_str(), write);
        }
        for patch in &write.batch.patches {
            self.check_content(&patch.content, write);
        }
        for post in &write.batch.posts {
            self.check_content(&post.content, write);
            let key = Key { name: post.name.clone(), kind: post.content.kind() };
            self.check_nothing_of_ours_is_there(&key, write);
        }
        self.note_shunned(write);
    }

    fn check_touched(&self, id: &str, write: &Write<'_>) {
        let Some(life) = self.lives.get(id).filter(|life| life.zone == write.zone) else {
            return;
        };
        let was = &life.record;
        let key = managed(was, write.settings);
        let exclusive =
            key.as_ref().is_some_and(|key| write.settings.records[key].options.beside == Beside::Nobody);
        let ours = key.is_some() && !is_read_only(was) && (life.bond.is_some() || exclusive);
        let excused = life.last_ours + STALEST >= write.list_began;
        // Under a name that is to hold nothing else, it may have become what it is after the list began.
        let is_exclusive = |name: &str| {
            let mut records = write.settings.records.iter();
            records.any(|(key, it)| key.name.as_str() == name && it.options.beside == Beside::Nobody)
        };
        let left = |(name, at): &(String, Duration)| {
            at.saturating_add(STALEST) >= write.list_began && is_exclusive(name)
        };
        let became = life.since >= write.list_began && is_exclusive(&was.name)
            || life.renamed.as_ref().is_some_and(left);
        assert!(
            ours || excused || became,
            "a foreign record is touched, which was last ours at {:?}, when the list began at {:?}: {life:?}",
            life.last_ours,
            write.list_began
        );
    }

    /// A delete rests on a list that was begun when it was already wanted.
    fn check_delete_was_known(&self, id: &str, write: &Write<'_>) {
        let Some(life) = self.lives.get(id).filter(|life| life.zone == write.zone) else {
            return;
        };
        let told = life.told.is_some_and(|told| told <= write.list_began);
        assert!(told, "deleted on the first list that showed it, of {:?}: {life:?}", write.list_began);
        let since = write.stopped_at.unwrap_or_default();
        assert!(since <= write.list_began, "deleted at the stop, on a list from before it: {life:?}");
        let Some(key) = managed(&life.record, write.settings) else { return };
        let Some((address, believed_at)) = write.believed.get(&key.kind.family()) else { return };
        let stands_for_it = self.at(write.zone, &key).any(|other| {
            other.record.id != id && other.bond.is_none() && other.record.content == address.to_string()
        });
        let tolerant = write.settings.records[&key].options.beside != Beside::Nobody;
        assert!(
            !(stands_for_it && tolerant) || *believed_at <= write.list_began,
            "deleted for another with our address, on a list from before it was our address: {life:?}"
        );
    }

    fn check_content(&self, content: &Content, write: &Write<'_>) {
        let believed =
            write.believed.get(&content.kind().family()).map(|(address, _)| Content::from(*address));
        assert_eq!(Some(content), believed.as_ref(), "an address is sent that nothing confirmed");
    }

    /// What is ours is changed, not created a second time.
    fn check_nothing_of_ours_is_there(&self, key: &Key, write: &Write<'_>) {
        let goes = |life: &Life| write.batch.deletes.iter().any(|id| id.as_str() == life.record.id);
        let long = |since: Duration| since + STALEST < write.list_began;
        for life in self.at(write.zone, key) {
            let ours = life.is_taken() && long(life.since) && !goes(life);
            assert!(!ours, "created beside one of ours: {key}, {life:?}");
        }
    }

    /// What stands there with our address is why ours is deleted: it is not to be adopted afterwards.
    fn note_shunned(&mut self, write: &Write<'_>) {
        let deleted = write.batch.deletes.iter().filter_map(|id| self.lives.get(id.as_str()));
        let keys: BTreeSet<Key> = deleted.filter_map(|life| managed(&life.record, write.settings)).collect();
        for key in keys {
            let Some((address, _)) = write.believed.get(&key.kind.family()) else { continue };
            let tolerant = write.settings.records[&key].options.beside != Beside::Nobody;
            let goes = |id: &str| write.batch.deletes.iter().any(|deleted| deleted.as_str() == id);
            for (id, life) in &mut self.lives {
                let there = life.zone == write.zone && is_at(&life.record, &key) && !goes(id);
                let theirs = life.bond.is_none() && life.record.content == address.to_string();
                life.shunned |= there && theirs && tolerant;
            }
        }
    }

    /// What one of our batches has done to a zone.
    pub fn check_done(
        &self,
        before: &BTreeMap<String, Record>,
        after: &BTreeMap<String, Record>,
        write: &Write<'_>,
    ) {
        for (id, is) in after {
            match before.get(id) {
                Some(was) if was != is => self.check_changed(was, is, write),
                Some(_) => {}
                None => check_created(is, write.settings),
            }
        }
        let deleted = before.keys().filter(|id| !after.contains_key(*id)).count();
        let most = write.settings.max_deletes;
        assert!(deleted <= most, "{deleted} records were deleted at once, max-deletes = {most}");
    }

    fn check_changed(&self, was: &Record, is: &Record, write: &Write<'_>) {
        let moved = (&was.name, &was.kind) != (&is.name, &is.kind);
        // Renamed between our list and our write: the life says whether that may be.
        let key = managed(is, write.settings);
        let Some(key) = key else { panic!("a record that nobody manages was changed: {was:?} to {is:?}") };
        let options = &write.settings.records[&key].options;
        let excused = self.lives.get(&is.id).is_some_and(|life| {
            life.last_ours + STALEST >= write.list_began || life.since >= write.list_began
        });
        assert!(!moved || excused, "a record became another: {was:?} to {is:?}");
        if was.proxied != is.proxied {
            assert_eq!(options.proxied, Some(is.proxied), "proxied was changed unasked: {is:?}");
        }
        if was.ttl != is.ttl {
            let asked = options.ttl.map(Ttl::to_api) == Some(is.ttl) || is.proxied;
            assert!(asked, "the TTL was changed unasked: {was:?} to {is:?}");
        }
        if was.tags != is.tags {
            assert!(options.tags.is_some(), "the tags were changed unasked: {is:?}");
        }
        self.check_comment(was, is, options, write);
    }

    /// Without a comment in the configuration, only our mark may come, or change with the owner.
    fn check_comment(&self, was: &Record, is: &Record, options: &Options, write: &Write<'_>) {
        let (old, new) = (was.comment.as_deref(), is.comment.as_deref());
        if old == new || options.comment.is_some() {
            return;
        }
        let edited = self.lives.get(&is.id).map_or(Duration::ZERO, |life| life.comment_edited);
        let kept = without_mark(old) == without_mark(new) || edited + STALEST >= write.list_began;
        let marked = mark_in(new) == Some(&our_mark(write.settings));
        let had_ours = mark_in(old).is_some_and(|mark| mark.starts_with("stayput"));
        let asked = options.beside == Beside::Others || had_ours;
        let right = kept && marked && asked;
        assert!(right, "the comment was changed unasked: {was:?} to {is:?}");
    }

    /// Names that had something and have nothing any more, though they are to have something.
    pub fn check_emptied<'a>(
        &self,
        before: &BTreeMap<String, Record>,
        after: &BTreeMap<String, Record>,
        keys: impl Iterator<Item = &'a Key>,
    ) {
        let count = |records: &BTreeMap<String, Record>, key: &Key| {
            records.values().filter(|record| is_at(record, key)).count()
        };
        for key in keys {
            assert!(!(count(before, key) > 0 && count(after, key) == 0), "{key} was emptied");
        }
    }

    /// Those of ours that the program can know of, at names that are managed.
    pub fn ours(&self, settings: &Settings) -> Vec<&Record> {
        let lives = self.lives.values().filter(|life| life.is_taken());
        lives.map(|life| &life.record).filter(|record| managed(record, settings).is_some()).collect()
    }

    /// What is known of the records of a name and type.
    pub fn told_of(&self, key: &Key) -> String {
        let lives = self.lives.values().filter(|life| is_at(&life.record, key));
        format!("{:#?}", lives.collect::<Vec<_>>())
    }

    fn at<'a>(&'a self, zone: &'a str, key: &'a Key) -> impl Iterator<Item = &'a Life> {
        self.lives.values().filter(move |life| life.zone == zone && is_at(&life.record, key))
    }

    /// Whether a name and type may rightly be left alone. What was let go before `long_ago` has been found
    /// by a refresh since.
    pub fn may_be_left(&self, zone: &Zone, key: &Key, settings: &Settings, long_ago: Duration) -> bool {
        let options = &settings.records[key].options;
        let here: Vec<&Life> = self.at(&zone.id, key).collect();
        let alias = zone.records().values().any(|r| r.kind == "CNAME" && r.name == key.name.as_str());
        let delegated = zone.records().values().any(|record| delegates(record, &zone.name, &key.name));
        let managed = zone.records().values().any(|r| is_read_only(r) && r.name == key.name.as_str());
        let alone =
            matches!(here.as_slice(), [life] if life.stands() && life.let_go.is_none_or(|at| at < long_ago));
        let clear = here.is_empty() || alone || here.iter().any(|life| life.is_taken());
        let unclear = options.beside == Beside::Tolerated && !clear;
        alias || delegated || managed || unclear
    }
}

impl Life {
    fn new(zone: &str, record: &Record, actor: Actor, now: Duration) -> Life {
        let mark = mark_in(record.comment.as_deref()).unwrap_or_default().to_owned();
        let ours = actor == Actor::Us;
        Life {
            zone: zone.to_owned(),
            record: record.clone(),
            bond: ours.then_some(Bond::Created(mark)),
            known: ours,
            since: now,
            last_ours: if ours { now } else { Duration::ZERO },
            shunned: false,
            told: None,
            comment_edited: now,
            let_go: None,
            taken: ours,
            renamed: None,
            before: None,
        }
    }

    /// Whether it is ours beyond doubt.
    fn is_taken(&self) -> bool {
        self.stands()
            && match self.bond {
                Some(Bond::Created(_) | Bond::Marked(_)) => true,
                Some(Bond::Adopted) => self.taken,
                Some(Bond::Unsure) | None => false,
            }
    }

    fn stands(&self) -> bool {
        self.bond.is_some() && self.known && !is_read_only(&self.record)
    }

    fn bind(&mut self, bond: Bond, now: Duration) {
        if self.bond.is_none() || !self.known || self.bond == Some(Bond::Unsure) {
            let created = matches!(self.bond, Some(Bond::Created(_)));
            if !created {
                self.bond = Some(bond);
            }
            self.since = now;
            self.known = true;
            self.taken = created;
        }
        self.last_ours = now;
    }

    fn changed(&mut self, record: &Record, actor: Actor, now: Duration) {
        let was = std::mem::replace(&mut self.record, record.clone());
        if actor == Actor::Us {
            self.changed_by_us(&was, now);
            return;
        }
        if self.bond.is_some() {
            self.last_ours = now;
        }
        let mark = mark_in(record.comment.as_deref());
        if was.comment != record.comment {
            self.comment_edited = now;
        }
        // What a product takes over is the product's, and may be adopted anew afterwards.
        self.known &= !is_read_only(record);
        let renamed = (&was.name, &was.kind) != (&record.name, &record.kind);
        if renamed {
            self.told = None;
            self.renamed = Some((was.name, now));
            self.before.clone_from(&self.bond);
        }
        let bond = match self.bond.take() {
            _ if renamed => None,
            Some(Bond::Created(own)) if mark == Some(&own) => Some(Bond::Created(own)),
            Some(Bond::Marked(own)) if mark == Some(&own) => Some(Bond::Marked(own)),
            Some(Bond::Marked(_) | Bond::Unsure) if mark.is_none() => Some(Bond::Unsure),
            Some(Bond::Adopted) if mark.is_none() => Some(Bond::Adopted),
            _ => None,
        };
        if matches!(bond, None | Some(Bond::Unsure)) {
            self.since = now;
            self.taken = false;
            self.let_go = Some(now);
        }
        self.bond = bond;
    }

    fn changed_by_us(&mut self, was: &Record, now: Duration) {
        // Under a name that was to hold nothing else: what we have changed may stay ours when that ends.
        if self.bond.is_none() && self.let_go.is_none() && self.renamed.is_none() {
            self.bind(Bond::Unsure, now);
        }
        self.taken = true;
        // A mark that was taken away while the write was on its way stays taken away.
        self.let_go.take_if(|_| !matches!(self.bond, None | Some(Bond::Unsure)));
        if (&was.name, &was.kind) != (&self.record.name, &self.record.kind) {
            self.bond = self.before.take();
        }
        let Some(mark) = mark_in(self.record.comment.as_deref()).map(str::to_owned) else { return };
        if was.comment == self.record.comment {
            return;
        }
        self.bond = match self.bond.take() {
            Some(Bond::Created(_)) => Some(Bond::Created(mark)),
            _ => Some(Bond::Marked(mark)),
        };
    }
}

fn check_created(record: &Record, settings: &Settings) {
    assert!(managed(record, settings).is_some(), "something was created that nobody wants: {record:?}");
    let mark = our_mark(settings);
    assert_eq!(mark_in(record.comment.as_deref()), Some(&*mark), "created without our mark: {record:?}");
}

/// Whether a name and type is as its options want it, as far as the zone's plan allows.
pub fn is_right(zone: &Zone, key: &Key, address: IpAddr, options: &Options) -> Result<(), String> {
    let here: Vec<&Record> = zone.records().values().filter(|record| is_at(record, key)).collect();
    let ours: Vec<&&Record> = here.iter().filter(|record| record.content == address.to_string()).collect();
    let Some(ours) = ours.first() else {
        return Err(format!("{key} should be {address}, but is {here:?}"));
    };
    if options.beside == Beside::Nobody && here.len() != 1 {
        return Err(format!("{key} should be alone: {here:?}"));
    }
    let theirs = mark_in(ours.comment.as_deref()).is_some_and(|mark| mark.contains("cellar"));
    if theirs && options.beside != Beside::Nobody || here.len() > 1 {
        return Ok(());
    }
    if options.proxied.is_some_and(|proxied| proxied != ours.proxied) {
        return Err(format!("{key} should be proxied = {:?}: {ours:?}", options.proxied));
    }
    let ttl = options.ttl.filter(|_| !ours.proxied).map(Ttl::to_api);
    if ttl.is_some_and(|ttl| ttl != ours.ttl) {
        return Err(format!("{key} should have the TTL {ttl:?}: {ours:?}"));
    }
    let comment = ours.comment.as_deref().unwrap_or("");
    if options.comment.as_deref().is_some_and(|wanted| !comment.starts_with(wanted)) {
        return Err(format!("{key} should have the comment {:?}: {ours:?}", options.comment));
    }
    Ok(())
}

/// Whether the plan of the zone refuses one of the options.
pub fn is_refused_by_the_plan(options: &Options, zone: &Zone) -> bool {
    let tags = options.tags.is_some() && zone.plan == Plan::Free;
    let ttl = matches!(options.ttl, Some(Ttl::Seconds(..60))) && zone.plan != Plan::Enterprise;
    let comment = options.comment.as_ref().is_some_and(|text| text.len() > 90) && zone.plan == Plan::Free;
    tags || ttl || comment
}

pub fn is_at(record: &Record, key: &Key) -> bool {
    record.name == key.name.as_str() && record.kind == key.kind.as_str()
}

/// Whether a record hands the name over to other servers.
fn delegates(record: &Record, zone: &str, name: &Name) -> bool {
    record.kind == "NS"
        && record.name != zone
        && Name::parse(&record.name).is_ok_and(|delegated| name.is_within(&delegated))
}

fn is_read_only(record: &Record) -> bool {
    record.meta["read_only"] == true
}

fn managed(record: &Record, settings: &Settings) -> Option<Key> {
    let kind = RecordType::parse(&record.kind)?;
    let key = Key { name: Name::parse(&record.name).ok()?, kind };
    settings.records.contains_key(&key).then_some(key)
}

pub fn our_mark(settings: &Settings) -> String {
    match &settings.owner {
        Some(owner) => format!("stayput/{owner}"),
        None => "stayput".to_owned(),
    }
}

/// The mark in a comment, alone or in brackets at its end.
pub fn mark_in(comment: Option<&str>) -> Option<&str> {
    let comment = comment?.trim();
    let word = match comment.strip_suffix(']') {
        Some(rest) => rest.rsplit_once('[')?.1,
        None => comment,
    };
    (word == "stayput" || word.starts_with("stayput/")).then_some(word)
}

/// What people have written in a comment.
fn without_mark(comment: Option<&str>) -> &str {
    let Some(comment) = comment.map(str::trim) else { return "" };
    match mark_in(Some(comment)) {
        None => comment,
        Some(mark) if mark == comment => "",
        Some(_) => comment.rsplit_once('[').map_or("", |(text, _)| text.trim()),
    }
}
