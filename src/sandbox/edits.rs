//! Writing records: one by one, or as one transaction, with the rules about what else has the name.
//!
//! Deliberately unknown: tokens, HTTP, what a single record may look like.

use serde_json::{Value, json};

use super::faults::{Fault, Faults};
use super::http::{Refusal, Stamp};
use super::records::{Record, bad_body, invalid};
use super::zones::Zone;

/// A zone, and everything that decides about a write to it. Whoever made it commits or rolls back.
pub(super) struct Transaction<'a> {
    pub(super) zone: &'a mut Zone,
    pub(super) faults: &'a mut Faults,
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) at: Stamp,
    /// Records that a product manages can be changed by it alone.
    pub(super) by_its_product: bool,
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
        let deletes = each(deletes, |entry| self.delete(id_of(entry)?))?;
        let patches = each(patches, |entry| self.patch(id_of(entry)?, entry))?;
        let puts = each(puts, |entry| self.overwrite(id_of(entry)?, entry))?;
        let posts = each(posts, |entry| self.create(entry))?;
        Ok(json!({"deletes": deletes, "patches": patches, "puts": puts, "posts": posts}))
    }

    /// `POST …/dns_records`.
    pub(super) fn create(&mut self, body: &Value) -> Result<Record, Refusal> {
        let asked = self.accept(Record::fresh(body)?, None)?;
        let full = self.faults.fire(|fault| *fault == Fault::Full);
        if full || self.zone.records().len() >= self.zone.quota {
            return Err(Refusal::new(400, 81_045, "Record quota exceeded."));
        }
        let id = format!("{:032x}", self.rng.u128(..));
        let record = asked.dated(id, self.at, None);
        self.zone.put(record.clone());
        Ok(record)
    }

    /// `PUT …/dns_records/{id}`: what is left out goes back to its default.
    pub(super) fn overwrite(&mut self, id: &str, body: &Value) -> Result<Record, Refusal> {
        let before = self.find(id)?;
        self.replace(&before, Record::fresh(body)?)
    }

    /// `PATCH …/dns_records/{id}`: what is left out stays.
    pub(super) fn patch(&mut self, id: &str, body: &Value) -> Result<Record, Refusal> {
        let before = self.find(id)?;
        self.replace(&before, before.patched(body)?)
    }

    /// `DELETE …/dns_records/{id}`.
    pub(super) fn delete(&mut self, id: &str) -> Result<Record, Refusal> {
        let record = self.find(id)?;
        self.zone.take(id);
        Ok(record)
    }

    fn replace(&mut self, before: &Record, asked: Record) -> Result<Record, Refusal> {
        let record = self.accept(asked, Some(before))?.dated(before.id.clone(), self.at, Some(before));
        self.zone.put(record.clone());
        Ok(record)
    }

    /// The record that is to be changed or deleted.
    fn find(&self, id: &str) -> Result<Record, Refusal> {
        let record = self.zone.records().get(id).cloned().ok_or_else(missing)?;
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

    /// What is asked for in the form in which it is kept, if nothing forbids it.
    fn accept(&mut self, asked: Record, before: Option<&Record>) -> Result<Record, Refusal> {
        let record = asked.checked(&self.zone.name, self.zone.plan)?;
        let exposed = before.is_none_or(|old| !old.proxied);
        if record.proxied && exposed && self.faults.fire(|fault| *fault == Fault::DnsOnly) {
            return Err(invalid(9004, "This record cannot be proxied."));
        }
        if self.faults.fire(|fault| matches!(fault, Fault::Refuse(name) if *name == record.name)) {
            return Err(invalid(9000, "DNS name is invalid."));
        }
        self.check_alone(&record, before.map(|old| old.id.as_str()))?;
        Ok(record)
    }

    /// Whether the records beside it allow this one.
    fn check_alone(&self, record: &Record, own: Option<&str>) -> Result<(), Refusal> {
        let is_beside = |other: &&Record| other.name == record.name && Some(&*other.id) != own;
        let beside: Vec<&Record> = self.zone.records().values().filter(is_beside).collect();
        let has = |kinds: &[&str]| beside.iter().any(|other| kinds.contains(&&*other.kind));
        let kind = &*record.kind;
        // The name servers of the zone itself stand beside everything.
        let delegates = record.name != self.zone.name;
        let (code, message) = if beside.iter().any(|other| other.says_the_same(record)) {
            (81_058, "An identical record already exists.")
        } else if kind == "CNAME" && has(&["A", "AAAA", "CNAME"]) {
            (81_053, "An A, AAAA, or CNAME record with that host already exists.")
        } else if matches!(kind, "A" | "AAAA") && has(&["CNAME"]) {
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
pub(super) fn missing() -> Refusal {
    Refusal::new(404, 81_044, "Record does not exist.")
}

fn id_of(entry: &Value) -> Result<&str, Refusal> {
    entry.get("id").and_then(Value::as_str).ok_or_else(bad_body)
}

/// Writes the entries of one list of a batch, and shows what became of them.
fn each(entries: &[Value], write: impl FnMut(&Value) -> Result<Record, Refusal>) -> Result<Value, Refusal> {
    let records: Vec<Record> = entries.iter().map(write).collect::<Result<_, _>>()?;
    Ok(records.iter().map(Record::to_json).collect())
}
