//! What must never happen to a zone, and how it must look when all is well. Written without the
//! engine's own rules: from what a person would say is right.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use stayput::engine::names::{Family, Key, Name};
use stayput::engine::settings::{Beside, Options, Settings};
use stayput::sandbox::Record;

/// What the world knows and the engine does not.
#[derive(Default)]
pub struct Oracle {
    /// Every address that was ever the home's.
    pub truths: BTreeSet<IpAddr>,
    /// Records that were alone and unmarked under a managed name, or unmarked with our address.
    adoptable: BTreeSet<String>,
    /// Every state that a record ever had, as Cloudflare would have said it.
    history: BTreeSet<(String, String, u32, bool, Option<String>)>,
}

impl Oracle {
    /// Notes how the records of a zone are.
    pub fn see(&mut self, records: &[Record], settings: &Settings) {
        let mut groups: BTreeMap<Key, Vec<&Record>> = BTreeMap::new();
        for record in records {
            let comment = record.comment.clone();
            self.history.insert((
                record.id.clone(),
                record.content.clone(),
                record.ttl,
                record.proxied,
                comment,
            ));
            if let Some(key) = managed(record, settings) {
                groups.entry(key).or_default().push(record);
            }
        }
        for (key, group) in groups {
            for record in &group {
                let ours = self.truths.contains(&record.content.parse().unwrap());
                let theirs = owner_of(record).is_some_and(|mark| mark != our_mark(settings));
                let _ = &key;
                if !theirs && (group.len() == 1 || ours) {
                    self.adoptable.insert(record.id.clone());
                }
            }
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

    /// What one of our batches may do to a zone.
    pub fn check_write(&self, before: &[Record], after: &[Record], settings: &Settings, stopping: bool) {
        let old: BTreeMap<&str, &Record> = before.iter().map(|record| (record.id.as_str(), record)).collect();
        let new: BTreeMap<&str, &Record> = after.iter().map(|record| (record.id.as_str(), record)).collect();
        for (id, was) in &old {
            match new.get(id) {
                None => self.check_deleted(was, settings),
                Some(is) if is != was => self.check_changed(was, is, settings),
                Some(_) => {}
            }
        }
        for (id, is) in &new {
            if !old.contains_key(id) {
                self.check_created(is, settings);
            }
        }
        for key in settings.records.keys() {
            let count = |records: &[Record]| records.iter().filter(|record| is_at(record, key)).count();
            let emptied = count(before) > 0 && count(after) == 0;
            assert!(!emptied || stopping, "{key} was emptied");
        }
    }

    fn may_touch(&self, record: &Record, settings: &Settings) -> Option<Options> {
        let key = managed(record, settings)?;
        let options = settings.records[&key].options.clone();
        let ours = owner_of(record).as_deref() == Some(&our_mark(settings));
        (ours || options.beside == Beside::Nobody || self.adoptable.contains(&record.id)).then_some(options)
    }

    fn check_deleted(&self, record: &Record, settings: &Settings) {
        assert!(self.may_touch(record, settings).is_some(), "a foreign record was deleted: {record:?}");
    }

    fn check_changed(&self, was: &Record, is: &Record, settings: &Settings) {
        let Some(options) = self.may_touch(was, settings) else {
            panic!("a foreign record was changed: {was:?} to {is:?}");
        };
        assert_eq!((&was.name, &was.kind), (&is.name, &is.kind), "a record became another");
        if was.content != is.content {
            self.check_content(is);
        }
        if was.proxied != is.proxied {
            assert_eq!(options.proxied, Some(is.proxied), "proxied was changed unasked: {is:?}");
        }
        if was.ttl != is.ttl {
            let asked = options.ttl.map(stayput::engine::names::Ttl::to_api) == Some(is.ttl) || is.proxied;
            assert!(asked, "the TTL was changed unasked: {was:?} to {is:?}");
        }
        if was.comment != is.comment {
            let asked = options.comment.is_some() || options.beside == Beside::Others;
            assert!(asked, "the comment was changed unasked: {was:?} to {is:?}");
        }
        if was.tags != is.tags {
            assert!(options.tags.is_some(), "the tags were changed unasked: {is:?}");
        }
    }

    fn check_created(&self, record: &Record, settings: &Settings) {
        assert!(managed(record, settings).is_some(), "something was created that nobody wants: {record:?}");
        assert_eq!(
            owner_of(record).as_deref(),
            Some(&*our_mark(settings)),
            "created without our mark: {record:?}"
        );
        self.check_content(record);
    }

    fn check_content(&self, record: &Record) {
        let content: IpAddr = record.content.parse().unwrap();
        assert!(self.truths.contains(&content), "an address was published that never was ours: {record:?}");
    }
}

/// Whether a name and type is as its options want it.
pub fn is_right(records: &[Record], key: &Key, address: IpAddr, options: &Options) -> Result<(), String> {
    let here: Vec<&Record> = records.iter().filter(|record| is_at(record, key)).collect();
    let ours: Vec<&&Record> = here.iter().filter(|record| record.content == address.to_string()).collect();
    let Some(ours) = ours.first() else {
        return Err(format!("{key} should be {address}, but is {here:?}"));
    };
    if options.beside == Beside::Nobody && here.len() != 1 {
        return Err(format!("{key} should be alone: {here:?}"));
    }
    let theirs = owner_of(ours).is_some_and(|mark| mark.contains("cellar"));
    if theirs && options.beside != Beside::Nobody {
        return Ok(());
    }
    if options.proxied.is_some_and(|proxied| proxied != ours.proxied) {
        return Err(format!("{key} should be proxied = {:?}: {ours:?}", options.proxied));
    }
    let ttl = options.ttl.filter(|_| !ours.proxied).map(stayput::engine::names::Ttl::to_api);
    if ttl.is_some_and(|ttl| ttl != ours.ttl) {
        return Err(format!("{key} should have the TTL {ttl:?}: {ours:?}"));
    }
    let comment = ours.comment.as_deref().unwrap_or("");
    if options.comment.as_deref().is_some_and(|wanted| !comment.starts_with(wanted)) {
        return Err(format!("{key} should have the comment {:?}: {ours:?}", options.comment));
    }
    Ok(())
}

/// Why a name and type may rightly be left alone.
pub fn may_be_refused(records: &[Record], key: &Key, settings: &Settings) -> bool {
    let options = &settings.records[key].options;
    let here: Vec<&Record> = records.iter().filter(|record| is_at(record, key)).collect();
    let alias = records.iter().any(|record| record.kind == "CNAME" && record.name == key.name.as_str());
    let none_ours = here.iter().all(|record| owner_of(record).as_deref() != Some(&our_mark(settings)));
    let unclear = options.beside == Beside::Tolerated && none_ours && !here.is_empty();
    alias || options.tags.is_some() || unclear
}

pub fn is_at(record: &Record, key: &Key) -> bool {
    record.name == key.name.as_str() && record.kind == key.family.record_type()
}

fn managed(record: &Record, settings: &Settings) -> Option<Key> {
    let family = Family::of_record_type(&record.kind)?;
    let key = Key { name: Name::parse(&record.name).ok()?, family };
    settings.records.contains_key(&key).then_some(key)
}

pub fn our_mark(settings: &Settings) -> String {
    match &settings.owner {
        Some(owner) => format!("stayput/{owner}"),
        None => "stayput".to_owned(),
    }
}

/// The mark in a record's comment, alone or in brackets.
pub fn owner_of(record: &Record) -> Option<String> {
    let comment = record.comment.as_deref()?;
    let word = comment.rsplit(['[', ' ']).next()?.trim_end_matches(']');
    (word == "stayput" || word.starts_with("stayput/")).then(|| word.to_owned())
}
