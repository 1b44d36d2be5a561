//! Every message an operator can see, as a value; worded here and nowhere else.
//!
//! What goes wrong is said once when it begins, rarely while it lasts, and once when it is
//! resolved. Deliberately unknown: logs, terminals, colours.

use std::fmt;
use std::mem::discriminant;
use std::net::IpAddr;
use std::time::Duration;

use super::api::ZoneInfo;
use super::cache::{Happened, Surprise};
use super::diff::{Obstacle, Operation, Step};
use super::failure::Failure;
use super::names::{Key, Line, Moment, Name};
use super::settings::{AccountName, Attributes, Budget};
use super::watch::Heard;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Shown with `-v` only.
    Detail,
    /// Something changed, or is resolved.
    News,
    /// Something may be wrong; stayput goes on.
    Warning,
    /// Something does not work until somebody acts.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An address is believed that was not before.
    Address { line: Line, from: Option<IpAddr>, to: IpAddr, said_by: Vec<Box<str>> },
    /// One source says something that the others deny; how often it did since that was last said.
    Dissent { source: Box<str>, says: IpAddr, others: IpAddr, times: u32 },
    /// The host does not have this family.
    Missing(Line),
    /// A batch was carried out.
    Written { zone: Box<str>, operations: Vec<Operation> },
    /// A batch got no usable answer, and a list shows what was done of it.
    Found { zone: Box<str>, operations: Vec<Operation> },
    /// A zone was listed; `records` of its records have names that are kept.
    Listed { zone: Box<str>, records: usize },
    /// An entry under a name that is not kept cannot be read.
    Skipped { zone: Box<str>, entry: Name, id: Box<str> },
    /// Somebody else did something to a record of ours.
    Surprise(Surprise),
    /// A name lies in another zone than before.
    Moved { name: Name, from: Box<str>, to: Box<str> },
    /// The program ends, and these records could not be deleted.
    NotDeleted(Vec<Key>),
    /// For the first time since the start, nothing is left to do; `requests` were needed.
    Settled { current: usize, all: usize, requests: u64 },
    /// Something is wrong.
    Problem(Problem),
    /// A problem that comes and goes is back; how often it was since that was last said.
    Again(Problem, u32),
    /// A problem lasts, for this time.
    StillWrong(Problem, Duration),
    /// A problem is resolved, after this time.
    Well(Problem, Duration),
}

/// Something that is wrong and can be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No source gave a usable answer; `keeps` stays published. Without a route nobody could be asked.
    Silence { line: Line, keeps: Option<IpAddr>, heard: Vec<Heard>, no_route: bool },
    /// Sources disagree, or too few answered.
    Unconfirmed { line: Line, keeps: Option<IpAddr>, heard: Vec<Heard>, need: usize },
    /// The address goes back and forth: this one is held for `wait`. `holds` are those since it last was calm.
    Flapping { line: Line, keeps: Option<IpAddr>, address: IpAddr, until: Moment, wait: Duration, holds: u32 },
    /// A trace says that the address is a tunnel's.
    Tunnelled { line: Line, keeps: Option<IpAddr> },
    /// The host had this family, and has it no longer.
    Lost { line: Line, keeps: Option<IpAddr> },
    /// A record cannot be kept as the zone is.
    Obstacle(Key, Obstacle),
    /// A record is refused by Cloudflare, or some of its attributes are; so are `others`, which are not tried.
    Parked { key: Key, others: usize, attributes: Attributes, why: Reason },
    /// Somebody else writes the same record, which is left alone for this time.
    Fight(Key, Duration),
    /// A zone's list contradicts itself; how.
    Contradictory(Box<str>, &'static str),
    /// No zone for a name.
    NoZone(AccountName, Name),
    /// Several zones of one name.
    Ambiguous(AccountName, Name, Vec<ZoneInfo>),
    /// The zone with the configured identifier has a name that the record's name does not end in.
    Outside(Name, Name),
    /// A zone in which changes have no effect, or less than expected.
    OddZone(ZoneInfo),
    /// A zone is refused as a whole.
    ZoneRefused(Box<str>, Failure),
    /// The credential is refused; the wait until the next try.
    Credential(AccountName, Failure, Duration),
    /// The list of zones is refused, although zones are known.
    SearchRefused(AccountName, Failure, Duration),
    /// The API cannot be reached, or is down.
    Api(AccountName, Failure),
    /// Cloudflare asks to be left alone.
    Throttled(AccountName, Duration),
    /// Cloudflare asks not to be asked about this zone (`None`: for the list of zones).
    Waits(AccountName, Option<Box<str>>, Duration),
    /// What the budget allows has been sent, and more is to be.
    Spent(AccountName, Budget, Duration),
    /// Too many deletes in one pass.
    TooManyDeletes { wanted: usize, most: usize },
}

/// Why a record is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Cloudflare refused it.
    Refused(Failure),
    /// Cloudflare accepted it and answered with something else.
    NotKept,
}

impl Reason {
    /// Whether the same is wrong, as far as Cloudflare says.
    pub fn same_kind(&self, other: &Reason) -> bool {
        match (self, other) {
            (Reason::Refused(one), Reason::Refused(two)) => one.sort == two.sort,
            (Reason::NotKept, Reason::NotKept) => true,
            _ => false,
        }
    }
}

/// What a problem is about.
pub struct About {
    pub severity: Severity,
    /// `address`, `record`, `zone`, `credential` or `network`.
    pub kind: &'static str,
    /// The family, name, zone or account.
    pub subject: String,
    /// What is so once the problem is resolved.
    resolved: String,
}

impl Notice {
    /// The problem that begins, lasts or ends.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Notice::Problem(it) | Notice::Again(it, _) | Notice::StillWrong(it, _) | Notice::Well(it, _) => {
                Some(it)
            }
            _ => None,
        }
    }

    pub fn severity(&self) -> Severity {
        match self {
            Notice::Dissent { .. } | Notice::Listed { .. } => Severity::Detail,
            Notice::Surprise(surprise) if surprise.what == Happened::Readdressed => Severity::Detail,
            Notice::Surprise(_) | Notice::NotDeleted(_) => Severity::Warning,
            Notice::Problem(problem) | Notice::Again(problem, _) | Notice::StillWrong(problem, _) => {
                problem.about().severity
            }
            _ => Severity::News,
        }
    }
}

impl Problem {
    /// Whether it is the same problem still, with the same way out, though perhaps in other words.
    pub(super) fn is_like(&self, other: &Problem) -> bool {
        match (self, other) {
            (Problem::Obstacle(_, one), Problem::Obstacle(_, two)) => discriminant(one) == discriminant(two),
            (Problem::Parked { why: one, .. }, Problem::Parked { why: two, .. }) => one.same_kind(two),
            (Problem::ZoneRefused(_, one), Problem::ZoneRefused(_, two))
            | (Problem::Credential(_, one, _), Problem::Credential(_, two, _))
            | (Problem::SearchRefused(_, one, _), Problem::SearchRefused(_, two, _)) => {
                one.remedy == two.remedy
            }
            // Each hold is a problem of its own.
            (Problem::Flapping { until: one, .. }, Problem::Flapping { until: two, .. }) => one == two,
            (one, two) => discriminant(one) == discriminant(two),
        }
    }

    /// What it is about, and how much it matters.
    pub fn about(&self) -> About {
        use Severity::{Error, Warning};
        let about = |severity, kind, subject: &dyn fmt::Display, resolved| {
            let subject = subject.to_string();
            About { severity, kind, subject, resolved }
        };
        let address = |line: &Line, resolved| about(Warning, "address", line, resolved);
        let record = |severity, key: &Key, resolved| about(severity, "record", key, resolved);
        match self {
            Problem::Silence { line, .. }
            | Problem::Unconfirmed { line, .. }
            | Problem::Lost { line, .. } => address(line, format!("the {line} address is known")),
            Problem::Flapping { line, .. } => {
                address(line, format!("no {line} address is held back any more"))
            }
            Problem::Tunnelled { line, .. } => address(line, format!("{line} goes through no tunnel")),
            Problem::Obstacle(key, _) | Problem::Parked { key, .. } => {
                record(Error, key, format!("{key} is as it should be"))
            }
            Problem::Fight(key, _) => record(Warning, key, format!("nobody else writes {key}")),
            Problem::TooManyDeletes { .. } => {
                let resolved = "the number of deletions is within max-deletes".to_owned();
                about(Error, "record", &"max-deletes", resolved)
            }
            Problem::NoZone(_, name) | Problem::Ambiguous(_, name, _) | Problem::Outside(name, _) => {
                about(Error, "zone", name, format!("the zone of {name} is found"))
            }
            Problem::OddZone(ZoneInfo { name, .. }) => {
                about(Warning, "zone", name, format!("the zone {name} is active"))
            }
            Problem::ZoneRefused(zone, _) => {
                about(Error, "zone", zone, format!("the zone {zone} can be used"))
            }
            Problem::Contradictory(zone, _) => {
                about(Warning, "zone", zone, format!("the records of {zone} can be read"))
            }
            Problem::SearchRefused(account, ..) => {
                about(Warning, "zone", &account.label(), format!("the list of zones is given to {account}"))
            }
            Problem::Credential(account, ..) => {
                let resolved = format!("the credential of {account} is accepted");
                about(Error, "credential", &account.label(), resolved)
            }
            Problem::Api(account, _)
            | Problem::Throttled(account, _)
            | Problem::Waits(account, ..)
            | Problem::Spent(account, ..) => {
                about(Warning, "network", &account.label(), self.resolved_at_the_api(account))
            }
        }
    }

    fn resolved_at_the_api(&self, account: &AccountName) -> String {
        match self {
            Problem::Throttled(..) => format!("Cloudflare takes requests of {account}"),
            Problem::Waits(_, Some(zone), _) => format!("Cloudflare may be asked about the zone {zone}"),
            Problem::Waits(..) => "Cloudflare may be asked for the list of zones".to_owned(),
            Problem::Spent(..) => format!("the budget of {account} suffices"),
            _ => format!("Cloudflare answers {account}"),
        }
    }
}

/// In one sentence; `{:#}` puts the remedy on a line of its own.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Address { line, from, to, said_by } => {
                match from {
                    Some(from) => write!(f, "{line} address changed from {from} to {to}")?,
                    None => write!(f, "{line} address is {to}")?,
                }
                match said_by.as_slice() {
                    [] => Ok(()),
                    [one] => write!(f, " ({one} says so)"),
                    [some @ .., last] => write!(f, " ({} and {last} agree)", some.join(", ")),
                }
            }
            Notice::Dissent { source, says, others, times } => {
                write!(f, "{source} says {says}, but enough others say {others}; nothing changes")?;
                if *times > 1 {
                    write!(f, " (it dissented {times} times since this was last said)")
                } else {
                    Ok(())
                }
            }
            Notice::Missing(line) => write!(
                f,
                "this host has no {line}: its {} records are left alone{}if that is meant, {} = [] under [address] says so, and a container may need host networking for {line}",
                line.family.record_type(),
                before_remedy(f, "; "),
                line.family.key()
            ),
            Notice::Written { zone, operations } => {
                written(f, zone, operations)?;
                f.write_str(" (1 request)")
            }
            Notice::Found { zone, operations } => {
                written(f, zone, operations)?;
                f.write_str(" (done, as the list shows; the answer to it did not arrive)")
            }
            Notice::Skipped { zone, entry, id } => write!(
                f,
                "{zone}: Cloudflare lists an entry {entry} that cannot be read (id {id}); it is skipped, and so is any other of its kind"
            ),
            Notice::Surprise(Surprise { key, what }) => surprise(f, key, what),
            Notice::Moved { name, from, to } => write!(
                f,
                "{name} lies in the zone {to} by now, no longer in {from}: it is kept there, and our records of it in {from} are deleted"
            ),
            Notice::NotDeleted(keys) => {
                f.write_str("stopped before these records could be deleted: ")?;
                listed(f, keys)?;
                f.write_str("; delete them in the dashboard, or start and stop stayput once more")
            }
            Notice::Listed { zone, records } => {
                write!(f, "{zone}: listed, {records} A and AAAA records under our names")
            }
            Notice::Settled { current, all, requests } => {
                let requests = count(*requests, "request");
                write!(f, "{current} of {all} records are current, after {requests}")?;
                f.write_str(if current == all { "" } else { "; what is wrong with the others is said above" })
            }
            Notice::Problem(problem) => problem.fmt(f),
            Notice::Again(problem, times) => {
                write!(f, "again, {times} times since this was last said: ")?;
                problem.fmt(f)
            }
            Notice::StillWrong(problem, age) => {
                write!(f, "for {} now: ", rounded(*age))?;
                problem.fmt(f)
            }
            Notice::Well(problem, age) => {
                write!(f, "resolved after {}: {}", rounded(*age), problem.about().resolved)
            }
        }
    }
}

/// What was done in a zone.
fn written(f: &mut fmt::Formatter<'_>, zone: &str, operations: &[Operation]) -> fmt::Result {
    write!(f, "{zone}: ")?;
    for (index, operation) in operations.iter().take(NAMED).enumerate() {
        f.write_str(if index > 0 { "; " } else { "" })?;
        change(f, operation)?;
    }
    if operations.len() > NAMED {
        write!(f, "; and {}", count(operations.len() - NAMED, "other change"))?;
    }
    Ok(())
}

fn change(f: &mut fmt::Formatter<'_>, operation: &Operation) -> fmt::Result {
    let key = &operation.key;
    match (&operation.step, &operation.before) {
        (Step::Post(post), _) => write!(f, "{key} created as {}", post.content),
        (Step::Delete(_), Some(before)) => write!(f, "{key} {} deleted", before.content),
        (Step::Delete(_), None) => write!(f, "{key} deleted"),
        (Step::Patch(patch), before) => {
            write!(f, "{key}")?;
            match before {
                Some(before) if before.content != patch.content => {
                    write!(f, " {} → {}", before.content, patch.content)?
                }
                _ => write!(f, " {}", patch.content)?,
            }
            if let Some(proxied) = patch.proxied {
                write!(f, ", proxied = {proxied}")?;
            }
            if let Some(ttl) = patch.ttl {
                write!(f, ", ttl = {ttl}")?;
            }
            if let Some(comment) = &patch.comment {
                write!(f, ", comment = {comment:?}")?;
            }
            if let Some(tags) = &patch.tags {
                write!(f, ", tags = {tags:?}")?;
            }
            Ok(())
        }
    }
}

/// How many changes of a batch are named one by one.
const NAMED: usize = 4;

fn listed(f: &mut fmt::Formatter<'_>, keys: &[Key]) -> fmt::Result {
    for (index, key) in keys.iter().take(NAMED).enumerate() {
        write!(f, "{}{key}", if index > 0 { ", " } else { "" })?;
    }
    match keys.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

fn surprise(f: &mut fmt::Formatter<'_>, key: &Key, what: &Happened) -> fmt::Result {
    const GONE: &str = "our record is gone; somebody else deleted it, renamed it or changed its type";
    match what {
        Happened::Readdressed => return write!(f, "{key}: somebody else changed its address"),
        Happened::Gone => return write!(f, "{key}: {GONE}"),
        Happened::Renamed(to) => write!(f, "{key}: somebody else made our record {to}")?,
        Happened::Unmarked => write!(f, "{key}: somebody else took stayput's mark out of its comment")?,
        Happened::HandedOver(mark) => write!(f, "{key}: somebody else gave our record to {mark}")?,
    }
    f.write_str("; it is no longer ours and is left alone")
}

/// In one sentence; `{:#}` puts the remedy on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Silence { line, keeps, no_route: true, .. } => {
                let (kept, key) = (kept(*keeps), line.family.key());
                write!(
                    f,
                    "no {line} route in this network namespace{kept} (in a container, {line} may need host networking; to do without, set {key} = [] under [address])"
                )
            }
            Problem::Silence { line, keeps, heard, .. } => {
                write!(f, "the {line} address cannot be learned{}", kept(*keeps))?;
                each(f, heard)
            }
            Problem::Unconfirmed { line, keeps, heard, need } => {
                write!(f, "no {line} address that {} agree on{}", count(*need, "operator"), kept(*keeps))?;
                each(f, heard)
            }
            Problem::Flapping { line, keeps, address, wait, holds, .. } => {
                write!(f, "the {line} address goes back and forth")?;
                if *holds > 1 {
                    write!(f, " ({holds} holds in a row)")?;
                }
                let (wait, kept) = (rounded(*wait), kept(*keeps));
                write!(f, ": {address} is held back for {wait}{kept}; SIGUSR1 ends the hold")
            }
            Problem::Tunnelled { line, keeps } => write!(
                f,
                "{line} goes through Cloudflare WARP or Gateway (a trace says so), so the address that is seen is not this host's: \
                 nothing new is published for {line}{}; switch WARP off on this host, or set tunnel = \"allow\" under [address] to publish that address",
                kept(*keeps)
            ),
            Problem::Lost { line, keeps } => write!(
                f,
                "this host has lost {line}: it has no {line} address and no default route, and the other family has both{}; it is looked at again once it is back",
                kept(*keeps)
            ),
            Problem::Obstacle(key, obstacle) if f.alternate() => {
                write!(f, "{key}: {}", obstacle.to_string().replacen("; ", "\n", 1))
            }
            Problem::Obstacle(key, obstacle) => write!(f, "{key}: {obstacle}"),
            Problem::Parked { key, others, attributes, why } => parked(f, key, (*others, *attributes), why),
            Problem::Fight(key, wait) => write!(
                f,
                "{key}: somebody else keeps changing its address (another stayput, or another program); its address is not set again for {}{}\
                 give each its own name, or set owner and shared = true in both",
                rounded(*wait),
                before_remedy(f, "; ")
            ),
            Problem::Contradictory(zone, why) => write!(
                f,
                "Cloudflare's list of the records of {zone} contradicts itself ({why}); what is published stays, and it is read again"
            ),
            Problem::SearchRefused(account, failure, wait) => write!(
                f,
                "the list of zones is refused to {account}: {failure}; zones with a zone-id go on; for the others add the permission Zone · Zone · Read to the token, or set zone-id; it is tried again in {} at first, then less often",
                rounded(*wait)
            ),
            Problem::NoZone(account, name) => write!(
                f,
                "no zone for {name} is visible to the credential of {account}{}check the name, add the permission Zone · Zone · Read to the token, or set zone-id",
                before_remedy(f, ": ")
            ),
            Problem::Ambiguous(_, name, zones) => {
                let account =
                    |zone: &ZoneInfo| zone.account.as_ref().map(|account| format!(", account {account}"));
                let shown = |zone: &ZoneInfo| {
                    format!("{} ({}{})", zone.id, zone.status, account(zone).unwrap_or_default())
                };
                write!(
                    f,
                    "{name} lies in one of {} zones of the same name, and not just one of them is active{}set zone-id to one of {}",
                    zones.len(),
                    before_remedy(f, ": "),
                    zones.iter().map(shown).collect::<Vec<_>>().join(", ")
                )
            }
            Problem::Outside(name, zone) => {
                let sign = before_remedy(f, ": ");
                write!(
                    f,
                    "{name} does not lie in the zone that its zone-id names, {zone}{sign}correct zone-id"
                )
            }
            Problem::OddZone(zone) => odd(f, zone),
            Problem::ZoneRefused(zone, failure) => {
                write!(f, "the zone {zone} is refused: ")?;
                refused(f, failure, "; it is tried again later")
            }
            Problem::Credential(account, failure, wait) => {
                write!(f, "the credential of {account} is refused: ")?;
                let wait = rounded(*wait);
                refused(f, failure, &format!("; it is tried again in {wait} at first, then less often"))
            }
            Problem::Api(_, failure) => {
                f.write_str("Cloudflare's API does not answer as it should: ")?;
                refused(f, failure, "; what is published stays, and it is tried again")
            }
            Problem::Throttled(account, wait) => {
                let wait = rounded(*wait);
                write!(f, "Cloudflare asks for fewer requests: nothing is sent for {account} for {wait}")
            }
            Problem::Waits(_, zone, wait) => {
                write!(f, "Cloudflare asks to wait: for {} ", rounded(*wait))?;
                match zone {
                    Some(zone) => write!(f, "nothing is asked about the zone {zone}"),
                    None => f.write_str("the list of zones is not asked for"),
                }
            }
            Problem::Spent(account, budget, wait) => write!(
                f,
                "the request budget of {account} is spent ({} per {}, less where others use up Cloudflare's own limit): \
                 the next request leaves in {}{}if that is often so, raise budget",
                budget.requests,
                rounded(budget.per),
                rounded(*wait),
                before_remedy(f, "; ")
            ),
            Problem::TooManyDeletes { wanted, most } => write!(
                f,
                "{} would be deleted in one pass, more than max-deletes = {most}: none is{}if it is right, raise max-deletes",
                count(*wanted, "record"),
                before_remedy(f, "; ")
            ),
        }
    }
}

/// What is refused of a record, and what becomes of the rest.
fn parked(
    f: &mut fmt::Formatter<'_>,
    key: &Key,
    (others, attributes): (usize, Attributes),
    why: &Reason,
) -> fmt::Result {
    let rest = match attributes.any() {
        true => "the address is published without it",
        false => "the other records go on",
    };
    let others = match others {
        0 => String::new(),
        others => format!("; so it is for {}", count(others, "other record")),
    };
    let rest = format!("; {rest}, and this is tried again later{others}");
    match why {
        Reason::Refused(failure) => {
            match attributes.any() {
                true => write!(f, "{key}: {attributes} refused: ")?,
                false => write!(f, "{key} is refused: ")?,
            }
            refused(f, failure, &rest)
        }
        Reason::NotKept => write!(
            f,
            "{key}: Cloudflare accepts the change, but the record stays as it was{}check which of its settings the zone's plan allows{rest}",
            before_remedy(f, "; ")
        ),
    }
}

fn odd(f: &mut fmt::Formatter<'_>, zone: &ZoneInfo) -> fmt::Result {
    let name = &zone.name;
    if zone.paused {
        return write!(f, "the zone {name} is paused: names are answered, but nothing is proxied");
    }
    write!(f, "the zone {name} is ")?;
    match (&*zone.kind, &*zone.status) {
        ("secondary", _) => {
            f.write_str("a secondary zone: its records come from elsewhere and may not be editable")
        }
        ("partial", _) => f.write_str("a partial (CNAME) zone: only proxied records have an effect"),
        (_, status) => write!(
            f,
            "{status}, not active: changes may have no effect until its name servers point to Cloudflare"
        ),
    }
}

/// What stands between what is wrong and the remedy.
fn before_remedy(f: &fmt::Formatter<'_>, sign: &'static str) -> &'static str {
    if f.alternate() { "\n" } else { sign }
}

/// A failure, its remedy, and what becomes of it.
fn refused(f: &mut fmt::Formatter<'_>, failure: &Failure, rest: &str) -> fmt::Result {
    match failure.remedy {
        Some(remedy) if f.alternate() => write!(f, "{failure}{rest}\n{remedy}"),
        Some(remedy) => write!(f, "{failure}: {remedy}{rest}"),
        None => write!(f, "{failure}{rest}"),
    }
}

fn kept(keeps: Option<IpAddr>) -> String {
    match keeps {
        Some(address) => format!("; {address} stays published"),
        None => "; the records stay as they are".to_owned(),
    }
}

fn each(f: &mut fmt::Formatter<'_>, heard: &[Heard]) -> fmt::Result {
    for (index, Heard { source, answer }) in heard.iter().enumerate() {
        f.write_str(if index > 0 { "; " } else { ": " })?;
        match answer {
            Ok(address) => write!(f, "{source} says {address}")?,
            Err(why) => write!(f, "{source} {why}")?,
        }
    }
    Ok(())
}

/// `1 request`, `2 requests`.
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// A span as a person says it: two units at most.
pub(crate) fn rounded(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds % 86_400 / 3600, "h"),
        (seconds % 3600 / 60, "min"),
        (seconds % 60, "s"),
    ];
    let two = parts.iter().skip_while(|(number, _)| *number == 0).take(2).filter(|(number, _)| *number > 0);
    let shown: Vec<String> = two.map(|(number, unit)| format!("{number} {unit}")).collect();
    if shown.is_empty() { "0 s".to_owned() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_two_units() {
        let said = |seconds| rounded(Duration::from_secs(seconds));
        assert_eq!(said(0), "0 s");
        assert_eq!(said(61), "1 min 1 s");
        assert_eq!(said(3600), "1 h");
        assert_eq!(said(200_000), "2 d 7 h");
    }
}
