//! Writing records: one by one, or as one transaction, with the rules about what else has the name.
//!
//! Deliberately unknown: tokens, HTTP, what a single record may look like.

use std::time::Duration;

use serde_json::{Value, json};

use super::faults::{Fault, Faults};
use super::quirks::Quirks;
use super::records::{Draft, Fields, Record, bad_body, invalid};
use super::reply::{Refusal, Stamp};
use super::zones::Zone;

/// A zone, and everything that decides about a write to it.
pub(super) struct Desk<'a> {
    pub(super) zone: &'a mut Zone,
    pub(super) quirks: &'a Quirks,
    pub(super) faults: &'a mut Faults,
    pub(super) rng: &'a mut fastrand::Rng,
    pub(super) now: Duration,
    pub(super) at: Stamp,
    /// Records that a product manages can be changed by it alone.
    pub(super) by_its_product: bool,
}

/// Whether the rules about other records of a name are applied at once or when a batch is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    Now,
    Later,
}

impl Desk<'_> {
    /// `POST …/dns_records`.
    pub(super) fn create(&mut self, body: &Value) -> Result<Record, Refusal> {
        let outcome = self.step_create(body, Check::Now);
        self.close(outcome)
    }

    /// `PUT …/dns_records/{id}`: what is left out goes back to its default.
    pub(super) fn overwrite(&mut self, id: &str, body: &Value) -> Result<Record, Refusal> {
        let outcome = self.step_overwrite(id, body, Check::Now);
        self.close(outcome)
    }

    /// `PATCH …/dns_records/{id}`: what is left out stays.
    pub(super) fn patch(&mut self, id: &str, body: &Value) -> Result<Record, Refusal> {
        let outcome = self.step_patch(id, body, Check::Now);
        self.close(outcome)
    }

    /// `DELETE …/dns_records/{id}`.
    pub(super) fn delete(&mut self, id: &str) -> Result<Record, Refusal> {
        let outcome = self.step_delete(id);
        self.close(outcome)
    }

    /// `POST …/dns_records/batch`: deletes, patches, puts, posts; all of it or, with the first error, nothing.
    pub(super) fn batch(&mut self, body: &Value) -> Result<Value, Refusal> {
        let outcome = self.steps(body);
        self.close(outcome)
    }

    fn close<T>(&mut self, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        if outcome.is_ok() {
            self.zone.commit(self.now, self.quirks.cname_lag);
        } else {
            self.zone.roll_back();
        }
        outcome
    }

    fn steps(&mut self, body: &Value) -> Result<Value, Refusal> {
        let object = body.as_object().ok_or_else(bad_body)?;
        let list = |name: &str| match object.get(name) {
            None | Some(Value::Null) => Ok(&[][..]),
            Some(Value::Array(entries)) => Ok(entries.as_slice()),
            Some(_) => Err(bad_body()),
        };
        let (deletes, patches) = (list("deletes")?, list("patches")?);
        let (puts, posts) = (list("puts")?, list("posts")?);
        let count = deletes.len() + patches.len() + puts.len() + posts.len();
        let most = self.zone.plan.most_operations();
        if count > most {
            return Err(Refusal::new(
                400,
                self.quirks.batch_too_large_code,
                format!("request was invalid: {count} operations, at most {most} are allowed"),
            ));
        }
        let check = if self.quirks.batch_checks_at_end { Check::Later } else { Check::Now };
        let mut done: [Vec<Record>; 4] = Default::default();
        for entry in deletes {
            done[0].push(self.step_delete(id_of(entry)?)?);
        }
        for entry in patches {
            done[1].push(self.step_patch(id_of(entry)?, entry, check)?);
        }
        for entry in puts {
            done[2].push(self.step_overwrite(id_of(entry)?, entry, check)?);
        }
        for entry in posts {
            done[3].push(self.step_create(entry, check)?);
        }
        if check == Check::Later {
            for record in done[1..].iter().flatten() {
                self.check_alone(&draft_of(record), Some(&record.id))?;
            }
        }
        let [deletes, patches, puts, posts] =
            done.map(|records| -> Vec<Value> { records.iter().map(Record::to_json).collect() });
        Ok(json!({"deletes": deletes, "patches": patches, "puts": puts, "posts": posts}))
    }

    fn step_create(&mut self, body: &Value, check: Check) -> Result<Record, Refusal> {
        let draft = Draft::fresh(Fields::read(body)?);
        let draft = self.accept(draft, None, check)?;
        let full = self.faults.fire(|fault| *fault == Fault::Full);
        if full || self.zone.records().len() >= self.zone.quota {
            return Err(Refusal::new(400, 81_045, "Record quota exceeded."));
        }
        let id = format!("{:032x}", self.rng.u128(..));
        let record = draft.settle(id, self.at, None);
        self.zone.put(record.clone());
        Ok(record)
    }

    fn step_overwrite(&mut self, id: &str, body: &Value, check: Check) -> Result<Record, Refusal> {
        let before = self.find(id)?;
        let draft = Draft::fresh(Fields::read(body)?);
        self.replace(&before, draft, check)
    }

    fn step_patch(&mut self, id: &str, body: &Value, check: Check) -> Result<Record, Refusal> {
        let before = self.find(id)?;
        let draft = Draft::over(&before, Fields::read(body)?);
        self.replace(&before, draft, check)
    }

    fn step_delete(&mut self, id: &str) -> Result<Record, Refusal> {
        self.find(id)?;
        self.zone.take(id).ok_or_else(|| self.missing())
    }

    fn replace(&mut self, before: &Record, draft: Draft, check: Check) -> Result<Record, Refusal> {
        let draft = self.accept(draft, Some(before), check)?;
        let mut record = draft.settle(before.id.clone(), self.at, Some(before));
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
        let record = self.zone.records().get(id).cloned().ok_or_else(|| self.missing())?;
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
        self.zone.commit(self.now, self.quirks.cname_lag);
        marked
    }

    fn missing(&self) -> Refusal {
        missing(self.quirks)
    }

    /// The draft in the form in which it is kept, if nothing forbids it.
    fn accept(&mut self, draft: Draft, before: Option<&Record>, check: Check) -> Result<Draft, Refusal> {
        let draft = draft.checked(&self.zone.name, self.zone.plan, self.quirks)?;
        let exposed = before.is_none_or(|old| !old.proxied);
        if draft.proxied && exposed && self.faults.fire(|fault| *fault == Fault::DnsOnly) {
            return Err(invalid(self.quirks, 9004, "This record cannot be proxied."));
        }
        if self.faults.fire(|fault| matches!(fault, Fault::Refuse(name) if *name == draft.name)) {
            return Err(Refusal::chained(
                400,
                (1004, "DNS Validation Error"),
                (9000, "DNS name is invalid."),
            ));
        }
        if self.quirks.refuses_type_change && before.is_some_and(|old| old.kind != draft.kind) {
            let message = "Editing types after a record has been created is not allowed.";
            return Err(invalid(self.quirks, 1101, message));
        }
        if check == Check::Now {
            self.check_alone(&draft, before.map(|old| old.id.as_str()))?;
        }
        Ok(draft)
    }

    /// Whether the records beside it allow this one.
    fn check_alone(&self, draft: &Draft, own: Option<&str>) -> Result<(), Refusal> {
        let beside = || {
            self.zone
                .records()
                .values()
                .filter(|other| other.name == draft.name && Some(other.id.as_str()) != own)
        };
        let refuse = |code, message: &str| Err(Refusal::new(400, code, message));
        if beside().any(|other| other.says_the_same(draft)) {
            return match self.quirks.duplicate_code {
                81_057 => refuse(81_057, "The record already exists."),
                code => refuse(code, "An identical record already exists."),
            };
        }
        let is_address = |kind: &str| matches!(kind, "A" | "AAAA");
        let is_cname = |kind: &str| kind == "CNAME";
        if is_cname(&draft.kind) && beside().any(|other| is_address(&other.kind) || is_cname(&other.kind)) {
            let message = "An A, AAAA, or CNAME record with that host already exists.";
            return refuse(81_053, message);
        }
        let lingers = || self.zone.lingers(&draft.name, self.now, self.quirks.cname_lag);
        if is_address(&draft.kind) && (beside().any(|other| is_cname(&other.kind)) || lingers()) {
            return refuse(81_054, CNAME_THERE);
        }
        // The name servers of the zone itself stand beside everything.
        if draft.name != self.zone.name {
            if draft.kind == "NS" && beside().any(|other| other.kind != "NS") {
                return refuse(81_055, "Non-NS records with that host already exist.");
            }
            if draft.kind != "NS" && beside().any(|other| other.kind == "NS") {
                return refuse(81_056, "NS records with that host already exist.");
            }
        }
        Ok(())
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

fn draft_of(record: &Record) -> Draft {
    Draft::over(record, Fields::default())
}
