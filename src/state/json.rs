//! The text of the state file: JSON, one value a line.
//!
//! The first line has the version. What follows are saves, one after the other: lines that say what has changed
//! since the one before, and `end`, which counts them. Lines after the last `end` are of a save that was cut
//! off, and count for nothing. The file grows until it is written anew. Deliberately unknown: files.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::rest::{self, Kept, Kind, Place, Rest, moment, name, record_id, stamp, unusable, zone_id};
use super::{version_1, version_2};
use crate::cloudflare::identity::HashKey;
use crate::engine::cache::{Block, Changed, Claim, ZoneCache};
use crate::engine::names::{self, Content, RecordId, RecordType, Ttl};
use crate::engine::settings::AccountName;
use crate::engine::time::ClockPair;
use crate::engine::{Changes, Extent, Snapshot, ZoneChange, ZoneKey, ZoneMemory};

/// A higher number is a later program's file.
const VERSION: u32 = 3;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    /// 32 hexadecimal digits.
    hash_key: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    /// Everything but the zones, in place of what it was.
    Rest(Rest),
    /// A zone, of which the lines up to the next zone are.
    Zone(Zone<'a>),
    /// What a whole copy covers; nothing that was told of it before counts any more.
    Covers(Covers<'a>),
    #[serde(borrow)]
    Record(Record<'a>),
    /// A record that is gone.
    Gone(Cow<'a, str>),
    /// A zone that is kept no longer.
    Left(Zone<'a>),
    /// So many lines make a save.
    End(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Zone<'a> {
    account: Cow<'a, str>,
    id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Cow<'a, str>>,
    /// `None`: the copy is doubted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leaving: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Covers<'a> {
    names: Vec<Cow<'a, str>>,
    blocks: Vec<Obstacle<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Obstacle<'a> {
    name: Cow<'a, str>,
    #[serde(with = "By")]
    by: Block,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Block", rename_all = "snake_case")]
enum By {
    #[serde(rename = "record")]
    Other(Box<str>),
    Delegated(Box<str>),
    Managed(Option<Box<str>>),
    Unreadable(Box<str>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(with = "Kind")]
    r#type: RecordType,
    content: String,
    ttl: u32,
    proxied: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    tags: Cow<'a, [Box<str>]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ours: Option<Ours>,
    #[serde(default, skip_serializing_if = "is_false")]
    foreign: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    released: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ours {
    Marked,
    Adopted,
}

fn is_empty(tags: &[Box<str>]) -> bool {
    tags.is_empty()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A whole file.
pub fn file(changes: &Changes, hash_key: Option<HashKey>, clocks: ClockPair) -> Vec<u8> {
    let mut text = Vec::new();
    put(&mut text, &Header { version: VERSION, hash_key: hash_key.map(HashKey::to_hex) });
    text.extend(save(changes, clocks));
    text
}

/// The lines that are added to a file.
pub fn save(changes: &Changes, clocks: ClockPair) -> Vec<u8> {
    let mut text = Vec::new();
    let mut lines = 1;
    put(&mut text, &Line::Rest(Rest::of(&changes.rest, clocks)));
    let mut add = |line: &Line<'_>| {
        put(&mut text, line);
        lines += 1;
    };
    let nothing = ZoneMemory::default();
    for key in &changes.left {
        add(&Line::Left(Zone::of(key, &nothing, clocks)));
    }
    for (key, ZoneChange { zone, extent }) in &changes.zones {
        add(&Line::Zone(Zone::of(key, zone, clocks)));
        match extent {
            Extent::Whole => add(&Line::Covers(Covers::of(&zone.copy))),
            Extent::Part(gone) => gone.iter().for_each(|id| add(&Line::Gone(id.as_str().into()))),
        }
        for record in zone.copy.records.values() {
            add(&Line::Record(Record::of(record, &zone.copy)));
        }
    }
    put(&mut text, &Line::End(lines));
    text
}

fn put(text: &mut Vec<u8>, line: &impl Serialize) {
    // Text, numbers, lists and maps with text as keys always have a JSON form.
    let _infallible = serde_json::to_writer(&mut *text, line);
    text.push(b'\n');
}

/// What is in a file's bytes.
///
/// # Errors
/// Why it is none: it is damaged, of another version, or has a value that is not what it should be.
pub fn read(bytes: &[u8], clocks: ClockPair) -> Result<Kept, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let Versioned { version } = serde_json::from_slice(first).map_err(|error| unusable(&error))?;
    match version {
        1 => version_1::read(bytes, clocks),
        2 => version_2::read(bytes, clocks),
        VERSION => {
            let header: Header = serde_json::from_slice(first).map_err(|error| unusable(&error))?;
            let snapshot = saves(lines, clocks)?;
            Ok(Kept { snapshot, hash_key: rest::hash_key(header.hash_key)? })
        }
        _ => Err(format!("it is of version {version}, and this program knows 1 to {VERSION}")),
    }
}

/// What all whole saves come to.
fn saves<'a>(lines: impl Iterator<Item = &'a [u8]>, clocks: ClockPair) -> Result<Snapshot, String> {
    let mut snapshot = None;
    let (mut save, mut count) = (Changes::default(), 0);
    let mut damage = None;
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(Line::End(lines)) => {
                if let Some(why) = damage.or((lines != count).then(|| "a line of it is missing".to_owned())) {
                    return Err(why);
                }
                snapshot.get_or_insert_with(Snapshot::default).apply(std::mem::take(&mut save));
                (count, damage) = (0, None);
            }
            Ok(line) => {
                count += 1;
                damage = damage.or(take(&mut save, line, clocks).err());
            }
            Err(error) => damage = damage.or(Some(unusable(&error))),
        }
    }
    snapshot.ok_or_else(|| damage.unwrap_or_else(|| "it ends too early".to_owned()))
}

/// Takes in a line of a save.
fn take(save: &mut Changes, line: Line<'_>, clocks: ClockPair) -> Result<(), String> {
    const NO_ZONE: &str = "a line of it belongs to no zone";
    match line {
        Line::Rest(rest) => save.rest = rest.meaning(clocks)?,
        Line::Left(zone) => save.left.push(zone.key()?),
        Line::Zone(zone) => {
            let key = zone.key()?;
            let change = ZoneChange { zone: zone.meaning(clocks)?, extent: Extent::Part(Vec::new()) };
            save.zones.push((key, change));
        }
        Line::Covers(covers) => {
            let (_, change) = save.zones.last_mut().ok_or(NO_ZONE)?;
            change.extent = Extent::Whole;
            change.zone.copy = covers.meaning()?;
        }
        Line::Gone(id) => match save.zones.last_mut() {
            Some((_, ZoneChange { extent: Extent::Part(gone), .. })) => gone.push(record_id(&id)?),
            _ => return Err(NO_ZONE.to_owned()),
        },
        Line::Record(record) => {
            let (_, change) = save.zones.last_mut().ok_or(NO_ZONE)?;
            record.put_into(&mut change.zone.copy)?;
        }
        Line::End(_) => {}
    }
    Ok(())
}

impl<'a> Zone<'a> {
    fn of((account, id): &'a ZoneKey, zone: &'a ZoneMemory, clocks: ClockPair) -> Zone<'a> {
        Zone {
            account: (*account.0).into(),
            id: id.as_str().into(),
            name: zone.name.as_ref().map(|name| name.as_str().into()),
            plan: zone.plan.as_deref().map(Into::into),
            listed_at: zone.listed_at.map(|moment| stamp(moment, clocks)),
            leaving: zone.leaving.iter().map(Place::of).collect(),
        }
    }

    fn key(&self) -> Result<ZoneKey, String> {
        Ok((AccountName((*self.account).into()), zone_id(&self.id)?))
    }

    fn meaning(self, clocks: ClockPair) -> Result<ZoneMemory, String> {
        Ok(ZoneMemory {
            name: self.name.as_deref().map(name).transpose()?,
            plan: self.plan.map(|plan| plan.into_owned().into()),
            listed_at: self.listed_at.map(|stamp| moment(stamp, clocks)),
            leaving: self.leaving.into_iter().map(Place::meaning).collect::<Result<_, _>>()?,
            copy: ZoneCache::default(),
        })
    }
}

impl<'a> Covers<'a> {
    fn of(copy: &'a ZoneCache) -> Covers<'a> {
        let block = |(name, block): (&'a names::Name, &Block)| Obstacle {
            name: name.as_str().into(),
            by: block.clone(),
        };
        Covers {
            names: copy.names.iter().map(|name| name.as_str().into()).collect(),
            blocks: copy.blocks.iter().map(block).collect(),
        }
    }

    fn meaning(self) -> Result<ZoneCache, String> {
        let block = |Obstacle { name: text, by }: Obstacle<'_>| Ok::<_, String>((name(&text)?, by));
        Ok(ZoneCache {
            names: self.names.iter().map(|text| name(text)).collect::<Result<_, _>>()?,
            blocks: self.blocks.into_iter().map(block).collect::<Result<_, _>>()?,
            changed: Changed::nothing(),
            ..ZoneCache::default()
        })
    }
}

impl<'a> Record<'a> {
    fn of(record: &'a names::Record, copy: &ZoneCache) -> Record<'a> {
        Record {
            id: record.id.as_str().into(),
            name: record.name.as_str().into(),
            r#type: record.content.kind(),
            content: record.content.to_string(),
            ttl: record.ttl.to_api(),
            proxied: record.proxied,
            comment: record.comment.as_deref().map(Into::into),
            tags: record.tags.as_slice().into(),
            ours: copy.ours.get(&record.id).map(|claim| match claim {
                Claim::Marked => Ours::Marked,
                Claim::Adopted => Ours::Adopted,
            }),
            foreign: copy.foreign.contains(&record.id),
            released: copy.released.contains(&record.id),
        }
    }

    fn put_into(self, copy: &mut ZoneCache) -> Result<(), String> {
        let id: RecordId = record_id(&self.id)?;
        let claim = self.ours.map(|ours| match ours {
            Ours::Marked => Claim::Marked,
            Ours::Adopted => Claim::Adopted,
        });
        let name = name(&self.name)?;
        let record = names::Record {
            id: id.clone(),
            // The same text serves all that knows the name.
            name: copy.names.get(&name).cloned().unwrap_or(name),
            content: Content::parse(self.r#type, &self.content).ok_or("a record's content is none")?,
            ttl: Ttl::from_api(self.ttl),
            proxied: self.proxied,
            comment: self.comment.map(|comment| comment.into_owned().into()),
            tags: self.tags.into_owned(),
        };
        copy.ours.extend(claim.map(|claim| (id.clone(), claim)));
        copy.foreign.extend(self.foreign.then(|| id.clone()));
        copy.released.extend(self.released.then(|| id.clone()));
        copy.records.insert(id, record);
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
