//! The difference between what a zone holds and what is wanted, as operations.
//!
//! A pure function from the confirmed copy and the goals to operations. Deliberately unknown: time,
//! requests, failures, and how the copy was come by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::api::{Batch, Patch, Post};
use super::cache::{Block, ZoneCache};
use super::names::{Content, Key, Name, Record, RecordId, Ttl};
use super::ownership::OwnerMark;
use super::settings::{Attributes, Beside, Options};

/// What is wanted of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Nothing is known: hands off.
    Leave,
    /// Our records are to go.
    Gone,
    /// This content.
    At(Content),
}

/// Owner a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Ours,
    /// It has no mark, and never stood beside ours.
    Unmarked,
    /// It has no mark, and is not to become ours.
    Foreign,
    /// It has another instance's mark.
    Theirs,
}

/// Why a name and type is left alone although something is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// There is a record of this type, which excludes others.
    Other(Box<str>),
    /// This name, or one above it, is delegated to that server.
    Delegated(Name, Box<str>),
    /// A Cloudflare product manages the name's records.
    Managed(Option<Box<str>>),
    /// An entry at this name cannot be read; its identifier.
    Unreadable(Box<str>),
    /// Several records, and none is marked as ours or has our address.
    Several(Vec<Content>),
    /// The only record belongs to another instance; its mark, and whether it is ours without `owner`.
    Theirs(Box<str>),
    /// The only record was ours until its mark was taken away.
    Released(Content),
}

impl Obstacle {
    /// What a block at `at` means for records of a name and type.
    fn of(key: &Key, at: &Name, block: &Block) -> Option<Obstacle> {
        Some(match block {
            Block::Other(kind) if !key.kind.excludes(kind) => return None,
            Block::Other(kind) => Obstacle::Other(kind.clone()),
            Block::Delegated(server) => Obstacle::Delegated(at.clone(), server.clone()),
            Block::Managed(product) => Obstacle::Managed(product.clone()),
            Block::Unreadable(id) => Obstacle::Unreadable(id.clone()),
        })
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Other(kind) => write!(
                f,
                "a {kind} record of this name is in the way; delete it in the dashboard, or take the name out of the configuration"
            ),
            Obstacle::Delegated(at, server) => write!(
                f,
                "{at} is delegated to {server}, so a record here is never answered; delete the NS records of {at} in the dashboard, keep the name in the zone {at} instead (the token must see it), or take it out of the configuration"
            ),
            Obstacle::Managed(product) => write!(
                f,
                "the records of this name are managed by {}; release the name there, or take another one",
                product.as_deref().unwrap_or("another Cloudflare product")
            ),
            Obstacle::Unreadable(id) => write!(
                f,
                "Cloudflare lists an entry of this name that cannot be read (id {id}); look at it in the dashboard, and delete it if it is not needed"
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
            Obstacle::Theirs(mark) if !mark.contains('/') => write!(
                f,
                "its record belongs to an instance without owner ({mark}); if that was this one: start once without owner, then add it and reload, or change the comment to \"stayput/OWNER\" in the dashboard; else set shared = true to stand beside it"
            ),
            Obstacle::Theirs(mark) => write!(
                f,
                "its record belongs to another instance ({mark}); set owner and shared = true to stand beside it, or stop that instance and remove the mark from the comment"
            ),
            Obstacle::Released(content) => write!(
                f,
                "somebody took stayput's mark out of the comment of its record ({content}), so it is left alone; put \"stayput\" back to give it up to stayput, or take the name out of the configuration"
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

impl Step {
    /// What it writes.
    pub fn content(&self) -> Option<&Content> {
        match self {
            Step::Patch(patch) => Some(&patch.content),
            Step::Post(post) => Some(&post.content),
            Step::Delete(_) => None,
        }
    }
}

impl Operation {
    /// What it sets and could do without. A new record that is to be proxied is never created without
    /// the proxy: that would show the address that the proxy is to hide.
    pub fn attributes(&self, mark: &OwnerMark) -> Attributes {
        match &self.step {
            Step::Patch(patch) => Attributes {
                proxied: patch.proxied.is_some(),
                ttl: patch.ttl.is_some(),
                comment: patch.comment.is_some(),
                tags: patch.tags.is_some(),
            },
            Step::Post(post) => Attributes {
                proxied: false,
                ttl: post.ttl != Ttl::Auto,
                comment: *post.comment != *mark.as_str(),
                tags: !post.tags.is_empty(),
            },
            Step::Delete(_) => Attributes::default(),
        }
    }

    /// The operation without some of what it sets; `None` if nothing is left to do.
    pub fn without(&self, refused: Attributes, mark: &OwnerMark) -> Option<Operation> {
        let mut operation = self.clone();
        match &mut operation.step {
            Step::Patch(patch) => {
                patch.proxied.take_if(|_| refused.proxied);
                patch.ttl.take_if(|_| refused.ttl);
                patch.comment.take_if(|_| refused.comment);
                patch.tags.take_if(|_| refused.tags);
                let same = self.before.as_ref().is_some_and(|before| before.content == patch.content);
                if same && !operation.attributes(mark).any() {
                    return None;
                }
            }
            Step::Post(post) => {
                if refused.ttl {
                    post.ttl = Ttl::Auto;
                }
                if refused.comment {
                    post.comment = mark.as_str().into();
                }
                if refused.tags {
                    post.tags.clear();
                }
            }
            Step::Delete(_) => {}
        }
        Some(operation)
    }

    /// Whether two operations ask for the same values of these attributes.
    pub fn asks_alike(&self, other: &Operation, attributes: Attributes) -> bool {
        let wanted = |operation: &Operation| {
            let (proxied, ttl, comment, tags) = match &operation.step {
                Step::Patch(patch) => (patch.proxied, patch.ttl, patch.comment.clone(), patch.tags.clone()),
                Step::Post(post) => {
                    (Some(post.proxied), Some(post.ttl), Some(post.comment.clone()), Some(post.tags.clone()))
                }
                Step::Delete(_) => (None, None, None, None),
            };
            (
                proxied.filter(|_| attributes.proxied),
                ttl.filter(|_| attributes.ttl),
                comment.filter(|_| attributes.comment),
                tags.filter(|_| attributes.tags),
            )
        };
        wanted(self) == wanted(other)
    }
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
    /// Those of them whose address is held by a record that is not ours.
    pub held_by_others: BTreeSet<Key>,
    /// Records without a mark that are taken as ours from now on.
    pub adopt: BTreeSet<RecordId>,
    /// Records that stand beside ours with our address: they never become ours.
    pub foreign: BTreeSet<RecordId>,
}

impl Difference {
    /// How many records it deletes.
    pub fn deletes(&self) -> usize {
        self.last_operations().len()
    }

    /// The operations that delete.
    pub fn last_operations(&self) -> &[Operation] {
        let deletes = |operation: &Operation| matches!(operation.step, Step::Delete(_));
        let first = self.operations.partition_point(|operation| !deletes(operation));
        self.operations.get(first..).unwrap_or_default()
    }

    /// The records that it deletes.
    pub fn doomed(&self) -> impl Iterator<Item = &RecordId> {
        self.last_operations().iter().filter_map(|operation| match &operation.step {
            Step::Delete(id) => Some(id),
            Step::Patch(_) | Step::Post(_) => None,
        })
    }
}

/// Puts operations into one batch.
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
pub fn difference<'a>(
    copy: &ZoneCache,
    goals: impl Iterator<Item = (&'a Key, Goal, &'a Options)>,
    mark: &OwnerMark,
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
            Goal::At(content) => place.settle(&content, &mut difference),
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
    mark: &'a OwnerMark,
    copy: &'a ZoneCache,
    records: &'a [&'a Record],
}

impl<'a> Place<'a> {
    fn whose(&self, record: &Record) -> Owner {
        if self.copy.ours.contains_key(&record.id) {
            Owner::Ours
        } else if record.mark().is_some_and(|mark| mark != self.mark.as_str()) {
            Owner::Theirs
        } else if self.copy.foreign.contains(&record.id) || self.copy.released.contains(&record.id) {
            Owner::Foreign
        } else {
            Owner::Unmarked
        }
    }

    fn only(&self, whose: Owner) -> Vec<&'a Record> {
        let mut records: Vec<&Record> = self.records.to_vec();
        records.retain(|record| self.whose(record) == whose);
        records
    }

    fn clear(&self, difference: &mut Difference) {
        let ours = self.only(Owner::Ours);
        if ours.is_empty() {
            difference.current.insert(self.key.clone());
        }
        for record in ours {
            self.delete(record, difference);
        }
    }

    fn settle(&self, content: &Content, difference: &mut Difference) {
        let block = self.copy.block(&self.key.name);
        if let Some(obstacle) = block.and_then(|(at, block)| Obstacle::of(self.key, at, block)) {
            difference.obstacles.insert(self.key.clone(), obstacle);
            return;
        }
        let before = difference.operations.len();
        let settled = match self.options.beside {
            Beside::Nobody => {
                self.take_all(content, difference);
                Ok(())
            }
            Beside::Tolerated | Beside::Others => match self.only(Owner::Ours).as_slice() {
                [] => self.begin(content, difference),
                ours => {
                    self.keep(ours, content, difference);
                    Ok(())
                }
            },
        };
        if let Err(obstacle) = settled {
            difference.obstacles.insert(self.key.clone(), obstacle);
        } else if difference.operations.len() == before {
            difference.current.insert(self.key.clone());
        }
    }

    /// `exclusive`: one record with our address, whosever it was, and nothing else.
    fn take_all(&self, content: &Content, difference: &mut Difference) {
        let rank = |record: &&&Record| (record.content != *content, self.whose(record), record.id.clone());
        let keeper = self.records.iter().min_by_key(rank);
        match keeper {
            Some(keeper) => self.take(keeper, content, difference),
            None => self.post(content, difference),
        }
        for record in self.records.iter().filter(|record| keeper.is_some_and(|keeper| keeper.id != record.id))
        {
            self.delete(record, difference);
        }
    }

    /// One of ours gets the address; further ones of ours go. Where a record that is not ours has the
    /// address already, all of ours go, because Cloudflare refuses a second one with it (81058).
    fn keep(&self, ours: &[&Record], content: &Content, difference: &mut Difference) {
        let ready = ours.iter().find(|record| record.content == *content);
        let keeper = ready.or_else(|| ours.first().filter(|_| !self.is_held(content, difference)));
        if let Some(keeper) = keeper {
            self.patch(keeper, content, difference);
        }
        for record in ours.iter().filter(|record| keeper.is_none_or(|keeper| keeper.id != record.id)) {
            self.delete(record, difference);
        }
    }

    /// Whether a record that is not ours has the address; it never becomes ours then.
    fn is_held(&self, content: &Content, difference: &mut Difference) -> bool {
        let holders: Vec<_> = self.records.iter().filter(|record| record.content == *content).collect();
        difference.foreign.extend(holders.iter().map(|record| record.id.clone()));
        if !holders.is_empty() {
            difference.held_by_others.insert(self.key.clone());
        }
        !holders.is_empty()
    }

    /// There is no record of ours yet.
    fn begin(&self, content: &Content, difference: &mut Difference) -> Result<(), Obstacle> {
        let stood_beside_ours = self.records.iter().any(|record| self.copy.foreign.contains(&record.id));
        let shared = self.options.beside == Beside::Others;
        let ready = self.records.iter().find(|record| record.content == *content);
        match (ready, self.records) {
            (Some(record), _) if self.whose(record) == Owner::Unmarked && !stood_beside_ours => {
                self.take(record, content, difference);
            }
            (Some(record), _) if self.whose(record) == Owner::Theirs => {
                difference.held_by_others.insert(self.key.clone());
            }
            (Some(_), _) if stood_beside_ours => {
                self.is_held(content, difference);
            }
            (None, []) => self.post(content, difference),
            (None, _) if shared || stood_beside_ours => self.post(content, difference),
            (None, [record]) if self.whose(record) == Owner::Unmarked => {
                self.take(record, content, difference);
            }
            (_, [record]) => {
                return Err(match record.mark() {
                    Some(mark) => Obstacle::Theirs(mark.into()),
                    None => Obstacle::Released(record.content.clone()),
                });
            }
            (_, several) => {
                return Err(Obstacle::Several(several.iter().map(|record| record.content.clone()).collect()));
            }
        }
        Ok(())
    }

    /// Makes a record ours, if it is not, and gives it the address.
    fn take(&self, record: &Record, content: &Content, difference: &mut Difference) {
        if self.whose(record) == Owner::Unmarked {
            difference.adopt.insert(record.id.clone());
        }
        self.patch(record, content, difference);
    }

    fn patch(&self, record: &Record, content: &Content, difference: &mut Difference) {
        let patch = Patch {
            id: record.id.clone(),
            name: record.name.clone(),
            content: content.clone(),
            proxied: self.options.proxied.filter(|proxied| *proxied != record.proxied),
            ttl: self.ttl_for(record),
            comment: self.comment_for(record),
            tags: self.tags_for(record),
        };
        let changes = *content != record.content
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
        let marked = OwnerMark::in_comment(has) == Some(self.mark.as_str());
        if let Some(text) = self.options.comment.as_deref() {
            let wanted = self.mark.added_to(Some(text));
            // What was adopted keeps a comment that already says just what is wanted.
            let enough = *wanted == *has || !marked && text == has && self.options.beside != Beside::Others;
            return (!enough).then_some(wanted);
        }
        // Beside others, only the mark tells which is ours; and an owner may have been set, or changed.
        let outdated = self.copy.ours.contains_key(&record.id) && record.mark().is_some();
        let needs_mark = (self.options.beside == Beside::Others || outdated) && !marked;
        needs_mark.then(|| self.mark.put_into(has))
    }

    fn tags_for(&self, record: &Record) -> Option<Vec<Box<str>>> {
        let folded =
            |tags: &[Box<str>]| -> BTreeSet<String> { tags.iter().map(|tag| tag.to_lowercase()).collect() };
        let wanted = self.options.tags.as_ref()?;
        (folded(wanted) != folded(&record.tags)).then(|| wanted.clone())
    }

    fn post(&self, content: &Content, difference: &mut Difference) {
        let proxied = self.options.proxied.unwrap_or(false);
        let post = Post {
            name: self.key.name.clone(),
            content: content.clone(),
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
