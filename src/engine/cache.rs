//! What Cloudflare said about the names that we keep in one zone, and whose each record is.
//!
//! A record is ours because of what earlier lists and our own writes have shown, not by its look alone.
//! Deliberately unknown: what is wanted, requests, time.

use std::collections::{BTreeMap, BTreeSet};

use super::api::{Listed, Written};
use super::names::{Key, Name, Record, RecordId, RecordType};
use super::ownership::OwnerMark;

/// What Cloudflare said about the names that are ours to care about, in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneCache {
    /// The names that it covers: what is not in it does not exist.
    pub names: BTreeSet<Name>,
    /// Records of those names, of the types that are kept.
    pub records: BTreeMap<RecordId, Record>,
    /// What makes a record at a name useless or impossible; a delegation also stands for what lies below.
    pub blocks: BTreeMap<Name, Block>,
    /// The records that are ours, and since when they have been.
    pub ours: BTreeMap<RecordId, Claim>,
    /// Records that never become ours while they exist: they stood beside one of ours, or were ours and
    /// have been renamed.
    pub foreign: BTreeSet<RecordId>,
    /// Records whose mark was taken away: not ours, until a later refresh finds them alone.
    pub released: BTreeSet<RecordId>,
    /// What of it was not remembered yet.
    pub changed: Changed,
}

/// What of a copy differs from what was last remembered of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Changed {
    /// All of it may.
    #[default]
    All,
    /// These records, or whose they are; some may be gone.
    Records(BTreeSet<RecordId>),
}

impl Changed {
    /// Nothing.
    pub fn nothing() -> Changed {
        Changed::Records(BTreeSet::new())
    }

    fn add(&mut self, id: &RecordId) {
        if let Changed::Records(ids) = self {
            ids.insert(id.clone());
        }
    }
}

/// Why a record is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It carries our mark: we created it, or somebody gave it to us. Without the mark it is ours no longer.
    Marked,
    /// It had no mark and was the only one, or had our address already.
    Adopted,
}

/// What stands in the way of records at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A record of this type, which excludes others.
    Other(Box<str>),
    /// The name is delegated to this server.
    Delegated(Box<str>),
    /// A Cloudflare product manages the name's records; its name, where it is known.
    Managed(Option<Box<str>>),
    /// An entry that cannot be read; its identifier.
    Unreadable(Box<str>),
}

/// What a list shows that is not as we left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surprise {
    /// The name and type.
    pub key: Key,
    /// What happened to our record.
    pub what: Happened,
}

/// What somebody else did to a record of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It has another address: drift, which is repaired.
    Readdressed,
    /// It is not there any more: deleted, renamed, or of another type.
    Gone,
    /// It has another name or type that is managed here, too.
    Renamed(Key),
    /// Its comment has no mark any more.
    Unmarked,
    /// Its comment has the mark of another instance.
    HandedOver(Box<str>),
}

/// How a list becomes a copy.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Our mark.
    pub mark: &'a OwnerMark,
    /// The zone's name, where it is known: NS records at it delegate nothing.
    pub apex: Option<&'a Name>,
    /// Whether what was released may be adopted.
    pub adopts: bool,
}

impl ZoneCache {
    /// A copy of a freshly listed zone, with what the one before knew of whose the records are; and what
    /// has happened to ours since then.
    pub fn listed(
        names: BTreeSet<Name>,
        entries: Vec<Listed>,
        before: &ZoneCache,
        reading: Reading<'_>,
    ) -> (ZoneCache, Vec<Surprise>) {
        let mut copy = ZoneCache { names, ..ZoneCache::default() };
        let mut records = Vec::new();
        for entry in entries {
            match entry {
                Listed::Record(mut record) if copy.names.contains(&record.name) => {
                    copy.share_name(&mut record);
                    records.push((record.id.clone(), record));
                }
                Listed::Other(name, kind) if copy.names.contains(&name) => {
                    copy.blocks.insert(name, Block::Other(kind));
                }
                Listed::Managed(record, product) if copy.names.contains(&record.name) => {
                    copy.blocks.insert(record.name, Block::Managed(product));
                }
                Listed::Unreadable(name, id) if copy.names.contains(&name) => {
                    copy.blocks.entry(name).or_insert(Block::Unreadable(id));
                }
                Listed::Delegation(name, server) if copy.is_delegated(&name, reading.apex) => {
                    copy.blocks.entry(name).or_insert(Block::Delegated(server));
                }
                _ => {}
            }
        }
        // At once, because a tree that grows by single entries has half of its places empty.
        copy.records = records.into_iter().collect();
        let surprises = copy.inherit(before, reading);
        (copy, surprises)
    }

    /// Whether an NS record at `at` takes one of our names out of this zone.
    fn is_delegated(&self, at: &Name, apex: Option<&Name>) -> bool {
        apex.is_none_or(|apex| at != apex && at.is_within(apex))
            && self.names.iter().any(|name| name.is_within(at))
    }

    /// Takes over whose the records are, as far as that is still true.
    fn inherit(&mut self, before: &ZoneCache, reading: Reading<'_>) -> Vec<Surprise> {
        let mut surprises = Vec::new();
        for (id, record) in &self.records {
            let mark = record.mark();
            let marked = mark == Some(reading.mark.as_str());
            let old = before.records.get(id);
            let claim = before.ours.get(id).copied();
            let surprise = |what| Surprise { key: old.map_or_else(|| record.key(), Record::key), what };
            match (claim, old) {
                (Some(_), Some(old)) if old.key() != record.key() => {
                    self.foreign.insert(id.clone());
                    surprises.push(surprise(Happened::Renamed(record.key())));
                }
                (Some(claim), Some(old)) => {
                    let as_left = mark.is_some() && mark == old.mark();
                    let now = match (claim, mark) {
                        _ if marked || as_left => Ok(claim),
                        // It was ours without a mark, so it needs none, also where it got one since.
                        (Claim::Adopted, None) => Ok(Claim::Adopted),
                        (_, Some(other)) => Err(Happened::HandedOver(other.into())),
                        (Claim::Marked, None) => Err(Happened::Unmarked),
                    };
                    match now {
                        Ok(claim) => {
                            self.ours.insert(id.clone(), claim);
                            if old.content != record.content {
                                surprises.push(surprise(Happened::Readdressed));
                            }
                        }
                        Err(what) => {
                            if what == Happened::Unmarked {
                                self.released.insert(id.clone());
                            }
                            surprises.push(surprise(what));
                        }
                    }
                }
                // One that got our mark since is given to us.
                _ if before.foreign.contains(id)
                    && (!marked || old.is_some_and(|old| old.mark() == Some(reading.mark.as_str()))) =>
                {
                    self.foreign.insert(id.clone());
                }
                _ if marked => {
                    self.ours.insert(id.clone(), Claim::Marked);
                }
                _ if mark.is_none() && before.released.contains(id) && !reading.adopts => {
                    self.released.insert(id.clone());
                }
                _ => {}
            }
        }
        let covered = |record: &&Record| self.names.contains(&record.name);
        let lost = before.ours.keys().filter(|id| !self.records.contains_key(*id));
        let lost = lost.filter_map(|id| before.records.get(id)).filter(covered);
        surprises.extend(lost.map(|record| Surprise { key: record.key(), what: Happened::Gone }));
        surprises
    }

    /// The same text of the name serves the record and everything else that knows it.
    fn share_name(&self, record: &mut Record) {
        if let Some(name) = self.names.get(&record.name) {
            record.name = name.clone();
        }
    }

    /// Our records of a type.
    pub fn ours_of(&self, kind: RecordType) -> impl Iterator<Item = &Record> {
        let ours =
            move |record: &&Record| record.content.kind() == kind && self.ours.contains_key(&record.id);
        self.records.values().filter(ours)
    }

    /// What is to be remembered of it, beside what was of the copy before.
    pub fn changed_since(&self, before: &ZoneCache) -> Changed {
        let Changed::Records(unsaved) = &before.changed else { return Changed::All };
        if self.names != before.names || self.blocks != before.blocks {
            return Changed::All;
        }
        let mut ids = unsaved.clone();
        let all = self.records.keys().chain(before.records.keys());
        ids.extend(all.filter(|id| self.known(id) != before.known(id)).cloned());
        Changed::Records(ids)
    }

    /// All that is known of a record.
    fn known(&self, id: &RecordId) -> (Option<&Record>, Option<&Claim>, bool, bool) {
        let foreign = (self.foreign.contains(id), self.released.contains(id));
        (self.records.get(id), self.ours.get(id), foreign.0, foreign.1)
    }

    /// What is known of these records, and which of them are gone.
    pub fn part(&self, ids: &BTreeSet<RecordId>) -> (ZoneCache, Vec<RecordId>) {
        let (mut part, mut gone) = (ZoneCache::default(), Vec::new());
        for id in ids {
            let (Some(record), claim, foreign, released) = self.known(id) else {
                gone.push(id.clone());
                continue;
            };
            part.records.insert(id.clone(), record.clone());
            part.ours.extend(claim.map(|claim| (id.clone(), *claim)));
            part.foreign.extend(foreign.then(|| id.clone()));
            part.released.extend(released.then(|| id.clone()));
        }
        (part, gone)
    }

    /// Takes over what has become of some of its records.
    pub fn overlay(&mut self, part: ZoneCache, gone: &[RecordId]) {
        for id in part.records.keys().chain(gone) {
            self.records.remove(id);
            self.disown(id);
        }
        for (id, mut record) in part.records {
            self.share_name(&mut record);
            self.records.insert(id, record);
        }
        self.ours.extend(part.ours);
        self.foreign.extend(part.foreign);
        self.released.extend(part.released);
    }

    /// These records are ours from now on, without a mark.
    pub fn adopt<'a>(&mut self, ids: impl Iterator<Item = &'a RecordId>) {
        for id in ids {
            self.ours.insert(id.clone(), Claim::Adopted);
            self.changed.add(id);
        }
    }

    /// These records never become ours while they exist.
    pub fn shun<'a>(&mut self, ids: impl Iterator<Item = &'a RecordId>) {
        for id in ids {
            if self.foreign.insert(id.clone()) {
                self.changed.add(id);
            }
        }
    }

    /// Stores what Cloudflare says it did.
    pub fn confirm(&mut self, written: Written, mark: &OwnerMark) {
        for id in &written.deleted {
            self.records.remove(id);
            self.disown(id);
        }
        for mut record in written.patched.into_iter().chain(written.posted) {
            if !self.names.contains(&record.name) {
                continue;
            }
            self.share_name(&mut record);
            let before = self.records.get(&record.id).and_then(Record::mark);
            let claim = self.ours.get(&record.id).copied();
            let now = record.mark();
            let claim = match (claim, now) {
                _ if now == Some(mark.as_str()) => claim.or(Some(Claim::Marked)),
                (Some(claim), Some(_)) if now == before => Some(claim),
                // Marked, or unmarked, by somebody else between our list and this write.
                (_, Some(_)) | (Some(Claim::Marked), None) => None,
                (Some(Claim::Adopted) | None, None) => Some(Claim::Adopted),
            };
            self.disown(&record.id);
            if let Some(claim) = claim {
                self.ours.insert(record.id.clone(), claim);
            } else if now.is_none() {
                self.released.insert(record.id.clone());
            }
            self.records.insert(record.id.clone(), record);
        }
    }

    /// What carries our mark is ours: for a copy that was made under another mark, or by an older version.
    pub fn claim_marked(&mut self, mark: &OwnerMark) {
        for (id, record) in &self.records {
            let ours = record.mark() == Some(mark.as_str()) && !self.foreign.contains(id);
            if ours && !self.ours.contains_key(id) {
                self.ours.insert(id.clone(), Claim::Marked);
                self.changed.add(id);
            }
        }
    }

    fn disown(&mut self, id: &RecordId) {
        self.ours.remove(id);
        self.foreign.remove(id);
        self.released.remove(id);
        self.changed.add(id);
    }

    /// Whether any name is known to be delegated.
    pub fn has_delegations(&self) -> bool {
        self.blocks.values().any(|block| matches!(block, Block::Delegated(_)))
    }

    /// What stands in the way at a name: the name's own entries, or a delegation of a name above.
    pub fn block(&self, name: &Name) -> Option<(&Name, &Block)> {
        let own = self.blocks.get_key_value(name);
        own.or_else(|| {
            let above =
                |(at, block): &(&Name, &Block)| matches!(block, Block::Delegated(_)) && name.is_within(at);
            self.blocks.iter().find(above)
        })
    }
}
