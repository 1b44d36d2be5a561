//! Writing records: one by one, or as one transaction, with the rules about what else has the name.
//!
//! Deliberately unknown: tokens, HTTP, what a single record may look like.

use std::time::Duration;

use serde_json::{Value, json};

use super::faults::{Fault, Faults};
use super::http::{Refusal, Stamp};
use super::quirks::Quirks;
use super::records::{Draft, Record, bad_body, invalid};
use super::zones::Zone;

/// A zone, and everything that decides about a write to it. Whoever made it commits or rolls back.
pub(super) struct Transaction<'a> {
    pub(super) zone: &'a mut Zone,
    pub(super) quirks: &'a Quirks,
    pub(super) faults: &'a mut Faults,
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) now: Duration,
    pub(super) at: Stamp,
    /// Records that a product manages can be changed by it alone.
    pub(super) by_its_product: bool,
    pub(super) check: Check,
}

/// When the rules about other records of a name are applied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// With each write.
    Now,
    /// When a batch is done.
    Later,
}

impl Transaction<'_> {
    /// `POST …/dns_records/batch`: deletes, patches, puts, posts; all of it or, with the first error, nothing.
    pub(super) fn batch(&mut self, body: &Value) -> Result<Value, Refusal> {
        let object = body.as_object().ok_or_else(bad_body)?;
        let list = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Ok(&[][..]),
            Some(Value::Array(entries)) => Ok(entries.as_slice()),
            Some(_) => Err(bad_body()),
        };
        let (deletes, patches) = (list("deletes")?, list("patches")?);
        let (puts, posts) = (list("puts")?, list("posts")?);
        let count = deletes.len() + patches.len() + puts.len() + posts.len();
        let most = self.zone.plan.most_records();
        if count > most {
            let message = format!("request was invalid: {count} operations, at most {most} are allowed");
            return Err(Refusal::new(400, 1101, message));
        }
        if self.quirks.batch_checks_at_end {
            self.check = Check::Later;
        }
        let deletes = each(deletes, |entry| self.delete(id_of(entry)?))?;
        let patches = each(patches, |entry| self.patch(id_of(entry)?, entry))?;
        let puts = each(puts, |entry| self.overwrite(id_of(entry)?, entry))?;
        let posts = each(posts, |entry| self.create(entry))?;
        if self.check == Check::Later {
            for record in [&patches, &puts, &posts].into_iter().flatten() {
                self.check_alone(&Draft::of(record), Some(&record.id))?;
            }
        }
        let json = |records: &[Record]| -> Vec<Value> { records.iter().map(Record::to_json).collect() };
        Ok(json!({
            "deletes": json(&deletes),
            "patches": json(&patches),
            "puts": json(&puts),
            "posts": json(&posts),
        }))
    }

    /// `POST …/dns_records`.
    pub(super) fn create(&mut self, body: &Value) -> Result<Record, Refusal> {
        let draft = self.accept(Draft::fresh(body)?, None)?;
        let full = self.faults.fire(|fault| *fault == Fault::Full);
        if full || self.zone.records().len() >= self.zone.quota {
            return Err(Refusal::new(400, 81_045, "Record quota exceeded."));
        }
        let id = format!("{:032x}", self.rng.u128(..));
        let record = draft.into_record(id, self.at, None);
        self.zone.put(record.clone());
        Ok(record)
    }

    /// `PUT …/dns_records/{id}`: what is left out goes back to its default.
    pub(super) fn overwrite(&mut self, id: &str, body: &Value) -> Result<Record, Refusal> {
        let before = self.find(id)?;
        self.replace(&before, Draft::fresh(body)?)
    }

    /// `PATCH …/dns_records/{id}`: what is left out stays.
    pub(super) fn patch(&mut self, id: &str, body: &Value) -> Result<Record, Refusal> {
        let before = self.find(id)?;
        self.replace(&before, Draft::over(&before, body)?)
    }

    /// `DELETE …/dns_records/{id}`.
    pub(super) fn delete(&mut self, id: &str) -> Result<Record, Refusal> {
        let record = self.find(id)?;
        self.zone.take(id);
        Ok(record)
    }

    fn replace(&mut self, before: &Record, draft: Draft) -> Result<Record, Refusal> {
        let draft = self.accept(draft, Some(before))?;
        let mut record = draft.into_record(before.id.clone(), self.at, Some(before));
        if !self.quirks.idle_writes_touch {
            let untouched = Record { modified: before.modified, ..record.clone() };
            if untouched == *before {
                record = untouched;
            }
        }
        self.zone.put(record.clone());
        Ok(record)
    }

    /// The record that is to be changed or deleted.
    fn find(&self, id: &str) -> Result<Record, Refusal> {
        let record = self.zone.records().get(id).cloned().ok_or_else(|| missing(self.quirks))?;
        if record.is_read_only() && !self.by_its_product {
            let message = "This record is managed by another Cloudflare product and cannot be changed here.";
            return Err(Refusal::new(400, 81_062, message));
        }
        Ok(record)
    }

    /// Puts `meta` into a record, if the body has it: only Cloudflare itself does so.
    pub(super) fn mark(&mut self, record: Record, body: &Value) -> Record {
        let Some(meta) = body.get("meta").filter(|meta| meta.is_object()) else { return record };
        let marked = Record { meta: meta.clone(), ..record };
        self.zone.put(marked.clone());
        marked
    }

    /// The draft in the form in which it is kept, if nothing forbids it.
    fn accept(&mut self, draft: Draft, before: Option<&Record>) -> Result<Draft, Refusal> {
        let draft = draft.checked(&self.zone.name, self.zone.plan, self.quirks)?;
        let exposed = before.is_none_or(|old| !old.proxied);
        if draft.proxied && exposed && self.faults.fire(|fault| *fault == Fault::DnsOnly) {
            return Err(invalid(self.quirks, 9004, "This record cannot be proxied."));
        }
        if self.faults.fire(|fault| matches!(fault, Fault::Refuse(name) if *name == draft.name)) {
            let inner = (9000, "DNS name is invalid.");
            return Err(Refusal::chained(400, (1004, "DNS Validation Error"), inner));
        }
        if self.quirks.refuses_type_change && before.is_some_and(|old| old.kind != draft.kind) {
            let message = "Editing types after a record has been created is not allowed.";
            return Err(invalid(self.quirks, 1101, message));
        }
        if self.check == Check::Now {
            self.check_alone(&draft, before.map(|old| old.id.as_str()))?;
        }
        Ok(draft)
    }

    /// Whether the records beside it allow this one.
    fn check_alone(&self, draft: &Draft, own: Option<&str>) -> Result<(), Refusal> {
        let is_beside = |other: &&Record| other.name == draft.name && Some(&*other.id) != own;
        let beside: Vec<&Record> = self.zone.records().values().filter(is_beside).collect();
        let has = |kinds: &[&str]| beside.iter().any(|other| kinds.contains(&&*other.kind));
        let kind = &*draft.kind;
        let lingers = || self.zone.lingers(&draft.name, self.now, self.quirks.cname_lag);
        // The name servers of the zone itself stand beside everything.
        let delegates = draft.name != self.zone.name;
        let (code, message) = if beside.iter().any(|other| other.says_the_same(draft)) {
            match self.quirks.duplicate_code {
                81_057 => (81_057, "The record already exists."),
                code => (code, "An identical record already exists."),
            }
        } else if kind == "CNAME" && has(&["A", "AAAA", "CNAME"]) {
            (81_053, "An A, AAAA, or CNAME record with that host already exists.")
        } else if matches!(kind, "A" | "AAAA") && (has(&["CNAME"]) || lingers()) {
            (81_054, CNAME_THERE)
        } else if delegates && kind == "NS" && beside.iter().any(|other| other.kind != "NS") {
            (81_055, "Non-NS records with that host already exist.")
        } else if delegates && kind != "NS" && has(&["NS"]) {
            (81_056, "NS records with that host already exist.")
        } else {
            return Ok(());
        };
        Err(Refusal::new(400, code, message))
    }
}

const CNAME_THERE: &str = "A CNAME record with that host already exists. For more details, refer to <https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/>.";

/// The answer about a record that is not there.
pub(super) fn missing(quirks: &Quirks) -> Refusal {
    match quirks.missing_record {
        (status, 1002) => Refusal::new(status, 1002, "Invalid dns record identifier"),
        (status, code) => Refusal::new(status, code, "Record does not exist."),
    }
}

fn id_of(entry: &Value) -> Result<&str, Refusal> {
    entry.get("id").and_then(Value::as_str).ok_or_else(bad_body)
}

fn each(
    entries: &[Value],
    write: impl FnMut(&Value) -> Result<Record, Refusal>,
) -> Result<Vec<Record>, Refusal> {
    entries.iter().map(write).collect()
}
