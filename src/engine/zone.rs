//! The difference between what a zone holds and what is wanted, as operations; and whose is what.
//!
//! A pure function from the confirmed copy and the goals to operations. Deliberately unknown: time,
//! requests, failures, and how the copy was come by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::names::{Family, Key, Name, Record, RecordId, Ttl};
use super::request::{Batch, Listed, Patch, Post, Written};
use super::settings::{Beside, Options};

/// What Cloudflare said about the names that are ours to care about, in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// The names that it covers: what is not in it does not exist.
    pub names: BTreeSet<Name>,
    /// A and AAAA records of those names.
    pub records: BTreeMap<RecordId, Record>,
    /// Names that have a CNAME.
    pub aliases: BTreeSet<Name>,
    /// Records without our mark that are ours all the same.
    pub adopted: BTreeSet<RecordId>,
}

impl Copy {
    /// A copy of a freshly listed zone; of what was adopted, what still exists stays adopted.
    #[must_use]
    pub fn listed(names: BTreeSet<Name>, entries: Vec<Listed>, adopted: &BTreeSet<RecordId>) -> Copy {
        let mut copy = Copy { names, ..Copy::default() };
        let mut records = Vec::new();
        for entry in entries {
            match entry {
                Listed::Address(mut record) if copy.names.contains(&record.name) => {
                    copy.share_name(&mut record);
                    if adopted.contains(&record.id) {
                        copy.adopted.insert(record.id.clone());
                    }
                    records.push((record.id.clone(), record));
                }
                Listed::Alias(name) if copy.names.contains(&name) => {
                    copy.aliases.insert(name);
                }
                _ => {}
            }
        }
        // At once, because a tree that grows by single entries has half of its places empty.
        copy.records = records.into_iter().collect();
        copy
    }

    /// The same text of the name serves the record and everything else that knows it.
    fn share_name(&self, record: &mut Record) {
        if let Some(name) = self.names.get(&record.name) {
            record.name = name.clone();
        }
    }

    /// Our records of a family.
    pub fn ours<'a>(&'a self, family: Family, mark: &'a Mark) -> impl Iterator<Item = &'a Record> {
        let ours = move |record: &&Record| {
            Family::of(record.content) == family && self.whose(record, mark) == Whose::Ours
        };
        self.records.values().filter(ours)
    }

    fn whose(&self, record: &Record, mark: &Mark) -> Whose {
        match record.comment.as_deref().and_then(Mark::in_comment) {
            Some(found) if found == mark.as_str() => Whose::Ours,
            // Also what was adopted: somebody has handed it over since.
            Some(_) => Whose::Theirs,
            None if self.adopted.contains(&record.id) => Whose::Ours,
            None => Whose::Nobodys,
        }
    }

    /// Stores what Cloudflare says it did.
    pub fn confirm(&mut self, written: Written) {
        for id in &written.deleted {
            self.records.remove(id);
            self.adopted.remove(id);
        }
        for mut record in written.patched.into_iter().chain(written.posted) {
            if self.names.contains(&record.name) {
                self.share_name(&mut record);
                self.records.insert(record.id.clone(), record);
            }
        }
    }
}

/// What is wanted of one name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Nothing is known: hands off.
    Leave,
    /// Our records are to go.
    Gone,
    /// This address.
    At(IpAddr),
}

/// The words in a comment by which we, and other tools, know our records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(Box<str>);

impl Mark {
    const PROGRAM: &'static str = "stayput";

    /// The mark of an instance: `stayput`, or `stayput/OWNER`.
    #[must_use]
    pub fn of(owner: Option<&str>) -> Mark {
        Mark(match owner {
            Some(owner) => format!("{}/{owner}", Mark::PROGRAM).into(),
            None => Mark::PROGRAM.into(),
        })
    }

    /// The mark alone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A comment with the mark added.
    #[must_use]
    pub fn added_to(&self, comment: Option<&str>) -> Box<str> {
        match comment.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => format!("{text} [{}]", self.0).into(),
            None => self.0.clone(),
        }
    }

    /// The mark of whichever instance is in this comment: alone, or in brackets at its end.
    fn in_comment(comment: &str) -> Option<&str> {
        let comment = comment.trim();
        let candidate = match comment.strip_suffix(']') {
            Some(rest) => rest.rsplit_once('[')?.1,
            None => comment,
        };
        let rest = candidate.strip_prefix(Mark::PROGRAM)?;
        let is_mark =
            rest.is_empty() || rest.len() > 1 && rest.starts_with('/') && !rest.contains(char::is_whitespace);
        is_mark.then_some(candidate)
    }
}

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Ours,
    Nobodys,
    Theirs,
}

/// Why a name and type is left alone although something is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is a CNAME of this name.
    Alias,
    /// Several records, and none is marked as ours or has our address.
    Several(Vec<IpAddr>),
    /// The only record belongs to another instance.
    Theirs(Box<str>),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Alias => f.write_str(
                "a CNAME record of this name is in the way; delete it in the dashboard, or take the name out of the configuration",
            ),
            Obstacle::Several(contents) => {
                f.write_str("there are several records (")?;
                for (index, content) in contents.iter().enumerate() {
                    write!(f, "{}{content}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str(
                    ") and none is known to be ours; delete all but one in the dashboard, or set its comment to \"stayput\" (with your owner: \"stayput/OWNER\"), or set exclusive = true (the others are deleted) or shared = true (ours is added)",
                )
            }
            Obstacle::Theirs(mark) => write!(
                f,
                "its record belongs to another instance ({mark}); set owner and shared = true to stand beside it, or stop that instance and remove the mark from the comment"
            ),
        }
    }
}

/// One operation, with what is there before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The name and type.
    pub key: Key,
    /// What to do.
    pub step: Step,
    /// The record as it is, unless it is created.
    pub before: Option<Record>,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Change a record of ours.
    Patch(Patch),
    /// Create one.
    Post(Post),
    /// Delete one of ours.
    Delete(RecordId),
}

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What to do: first patches, then posts, then deletes, each sorted by name and type.
    pub operations: Vec<Operation>,
    /// What is left alone, and why.
    pub obstacles: BTreeMap<Key, Obstacle>,
    /// Names and types that are as they should be.
    pub current: BTreeSet<Key>,
    /// Records without a mark that are taken as ours from now on.
    pub adopt: BTreeSet<RecordId>,
}

impl Difference {
    /// How many records it deletes.
    #[must_use]
    pub fn deletes(&self) -> usize {
        let is_delete = |operation: &&Operation| matches!(operation.step, Step::Delete(_));
        self.operations.iter().filter(is_delete).count()
    }
}

/// Puts operations into one batch.
#[must_use]
pub fn batch(operations: &[Operation]) -> Batch {
    let mut batch = Batch::default();
    for operation in operations {
        match &operation.step {
            Step::Patch(patch) => batch.patches.push(patch.clone()),
            Step::Post(post) => batch.posts.push(post.clone()),
            Step::Delete(id) => batch.deletes.push(id.clone()),
        }
    }
    batch
}

/// What must be done so that each goal is reached: nothing for what is reached, and nothing at all
/// to a record that is not ours.
#[must_use]
pub fn difference<'a>(
    copy: &Copy,
    goals: impl Iterator<Item = (&'a Key, Goal, &'a Options)>,
    mark: &Mark,
) -> Difference {
    let mut by_key: BTreeMap<Key, Vec<&Record>> = BTreeMap::new();
    for record in copy.records.values() {
        by_key.entry(record.key()).or_default().push(record);
    }
    let mut difference = Difference::default();
    for (key, goal, options) in goals {
        let place = Place { key, options, mark, copy, records: by_key.get(key).map_or(&[], Vec::as_slice) };
        match goal {
            Goal::Leave => {}
            Goal::Gone => place.clear(&mut difference),
            Goal::At(address) => place.settle(address, &mut difference),
        }
    }
    let rank = |operation: &Operation| match operation.step {
        Step::Patch(_) => 0,
        Step::Post(_) => 1,
        Step::Delete(_) => 2,
    };
    difference.operations.sort_by_key(rank);
    difference
}

/// One name and type, and what is there.
struct Place<'a> {
    key: &'a Key,
    options: &'a Options,
    mark: &'a Mark,
    copy: &'a Copy,
    records: &'a [&'a Record],
}

impl<'a> Place<'a> {
    fn whose(&self, record: &Record) -> Whose {
        self.copy.whose(record, self.mark)
    }

    fn only(&self, whose: Whose) -> Vec<&'a Record> {
        let mut records: Vec<&Record> = self.records.to_vec();
        records.retain(|record| self.whose(record) == whose);
        records
    }

    fn clear(&self, difference: &mut Difference) {
        let ours = self.only(Whose::Ours);
        if ours.is_empty() {
            difference.current.insert(self.key.clone());
        }
        for record in ours {
            self.delete(record, difference);
        }
    }

    fn settle(&self, address: IpAddr, difference: &mut Difference) {
        let mine = match self.mine(address) {
            Ok(mine) => mine,
            Err(obstacle) => {
                difference.obstacles.insert(self.key.clone(), obstacle);
                return;
            }
        };
        let before = difference.operations.len();
        // A record that already has the address cannot be had twice (81058), whosever it is.
        let there = self.records.iter().copied().filter(|record| record.content == address);
        let keeper = there.min_by_key(|record| (self.whose(record), record.id.clone()));
        let target = keeper
            .or_else(|| mine.iter().copied().min_by_key(|record| (self.whose(record), record.id.clone())));
        match target {
            Some(record) if self.may_take(record, &mine) => {
                if self.whose(record) == Whose::Nobodys {
                    difference.adopt.insert(record.id.clone());
                }
                self.patch(record, address, difference);
            }
            Some(_) => {}
            None => self.post(address, difference),
        }
        for record in mine {
            if target.is_none_or(|target| target.id != record.id) {
                self.delete(record, difference);
            }
        }
        if difference.operations.len() == before {
            difference.current.insert(self.key.clone());
        }
    }

    /// Ours; or nobody's, which can only be one that has our address already.
    fn may_take(&self, record: &Record, mine: &[&Record]) -> bool {
        mine.iter().any(|own| own.id == record.id) || self.whose(record) == Whose::Nobodys
    }

    /// The records that we may change and delete.
    fn mine(&self, address: IpAddr) -> Result<Vec<&'a Record>, Obstacle> {
        if self.copy.aliases.contains(&self.key.name) {
            return Err(Obstacle::Alias);
        }
        let ours = self.only(Whose::Ours);
        match self.options.beside {
            Beside::Nobody => return Ok(self.records.to_vec()),
            Beside::Others => return Ok(ours),
            Beside::Tolerated if !ours.is_empty() => return Ok(ours),
            Beside::Tolerated => {}
        }
        match self.records {
            [] => Ok(Vec::new()),
            [record] if self.whose(record) == Whose::Nobodys => Ok(vec![*record]),
            [record] if record.content == address => Ok(Vec::new()),
            [record] => {
                let mark = record.comment.as_deref().and_then(Mark::in_comment);
                Err(Obstacle::Theirs(mark.unwrap_or_default().into()))
            }
            several => {
                let ready = several
                    .iter()
                    .any(|record| record.content == address && self.whose(record) == Whose::Nobodys);
                if ready {
                    return Ok(Vec::new());
                }
                Err(Obstacle::Several(several.iter().map(|record| record.content).collect()))
            }
        }
    }

    fn patch(&self, record: &Record, address: IpAddr, difference: &mut Difference) {
        let patch = Patch {
            id: record.id.clone(),
            name: record.name.clone(),
            content: address,
            proxied: self.options.proxied.filter(|proxied| *proxied != record.proxied),
            ttl: self.ttl_for(record),
            comment: self.comment_for(record),
            tags: self.tags_for(record),
        };
        let changes = address != record.content
            || patch.proxied.is_some()
            || patch.ttl.is_some()
            || patch.comment.is_some()
            || patch.tags.is_some();
        if changes {
            self.push(Step::Patch(patch), Some(record), difference);
        }
    }

    /// A proxied record's TTL is Cloudflare's affair: neither compared nor sent.
    fn ttl_for(&self, record: &Record) -> Option<Ttl> {
        let proxied = self.options.proxied.unwrap_or(record.proxied);
        self.options.ttl.filter(|ttl| !proxied && *ttl != record.ttl)
    }

    fn comment_for(&self, record: &Record) -> Option<Box<str>> {
        let has = record.comment.as_deref().unwrap_or_default();
        let marked = Mark::in_comment(has) == Some(self.mark.as_str());
        if let Some(text) = self.options.comment.as_deref() {
            let wanted = self.mark.added_to(Some(text));
            // What was adopted keeps a comment that already says just what is wanted.
            let enough = *wanted == *has || !marked && text == has && self.options.beside != Beside::Others;
            return (!enough).then_some(wanted);
        }
        // Beside others, only the mark tells which is ours.
        let needs_mark = self.options.beside == Beside::Others && !marked;
        needs_mark.then(|| self.mark.added_to(Some(has)))
    }

    fn tags_for(&self, record: &Record) -> Option<Vec<Box<str>>> {
        let folded =
            |tags: &[Box<str>]| -> BTreeSet<String> { tags.iter().map(|tag| tag.to_lowercase()).collect() };
        let wanted = self.options.tags.as_ref()?;
        (folded(wanted) != folded(&record.tags)).then(|| wanted.clone())
    }

    fn post(&self, address: IpAddr, difference: &mut Difference) {
        let proxied = self.options.proxied.unwrap_or(false);
        let post = Post {
            name: self.key.name.clone(),
            content: address,
            proxied,
            ttl: self.options.ttl.filter(|_| !proxied).unwrap_or(Ttl::Auto),
            comment: self.mark.added_to(self.options.comment.as_deref()),
            tags: self.options.tags.clone().unwrap_or_default(),
        };
        self.push(Step::Post(post), None, difference);
    }

    fn delete(&self, record: &Record, difference: &mut Difference) {
        self.push(Step::Delete(record.id.clone()), Some(record), difference);
    }

    fn push(&self, step: Step, before: Option<&Record>, difference: &mut Difference) {
        difference.operations.push(Operation { key: self.key.clone(), step, before: before.cloned() });
    }
}

#[cfg(test)]
mod tests;
