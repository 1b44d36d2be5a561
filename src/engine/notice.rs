//! Every message an operator can see, as a value; worded here and nowhere else.
//!
//! What goes wrong is said once when it begins, rarely while it lasts, and once when it is well
//! again. Deliberately unknown: logs, terminals, colours.

mod changes;

use std::fmt;
use std::mem::discriminant;
use std::net::IpAddr;
use std::time::Duration;

use super::account::Moved;
use super::api::ZoneInfo;
use super::cache::{Happened, Surprise};
use super::diff::{Obstacle, Operation};
use super::failure::Failure;
use super::names::{Key, Line, Moment, Name};
use super::settings::{AccountName, Attributes, Budget};
use super::watch::Heard;
use super::zone::Reason;
use changes::written;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Shown with `-v` only.
    Detail,
    /// Something changed, or is well again.
    News,
    /// Something may be wrong; stayput goes on.
    Warning,
    /// Something does not work until somebody acts.
    Error,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An address is believed that was not before.
    Address {
        /// The line.
        line: Line,
        /// What was believed before.
        from: Option<IpAddr>,
        /// What is believed now.
        to: IpAddr,
        /// The labels of the sources that say so.
        said_by: Vec<Box<str>>,
    },
    /// One source says something that the others deny.
    Dissent {
        /// The source.
        source: Box<str>,
        /// What it says.
        says: IpAddr,
        /// What the others say.
        others: IpAddr,
        /// How often that was so since it was last said.
        times: u32,
    },
    /// The host does not have this line.
    Missing(Line),
    /// A batch was carried out.
    Written {
        /// The zone.
        zone: Box<str>,
        /// What was done.
        operations: Vec<Operation>,
    },
    /// A batch got no usable answer, and a list shows what was done of it.
    Found {
        /// The zone.
        zone: Box<str>,
        /// What was done.
        operations: Vec<Operation>,
    },
    /// A zone was listed.
    Listed {
        /// The zone.
        zone: Box<str>,
        /// How many of its records are ours to keep.
        records: usize,
    },
    /// An entry under a name that is not kept cannot be read.
    Skipped {
        /// The zone.
        zone: Box<str>,
        /// The entry's name.
        entry: Name,
        /// Its identifier.
        id: Box<str>,
    },
    /// Somebody else did something to a record of ours.
    Surprise(Surprise),
    /// A name lies in another zone than before.
    Moved(Moved),
    /// The program ends, and these records could not be deleted.
    NotDeleted(Vec<Key>),
    /// For the first time since the start, nothing is left to do.
    Settled {
        /// Names and types that are as they should be.
        current: usize,
        /// Names and types that are kept.
        all: usize,
        /// Requests that it took.
        requests: u64,
    },
    /// Something is wrong.
    Problem(Problem),
    /// Something that comes and goes is wrong again, for so manieth time since it was last said.
    Again(Problem, u32),
    /// It still is.
    StillWrong(Problem, Duration),
    /// It is well again, after so long.
    Well(Problem, Duration),
}

/// Something that is wrong and can become well again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No source gave a usable answer.
    Silence {
        /// The line.
        line: Line,
        /// What stays published.
        keeps: Option<IpAddr>,
        /// What each source said.
        heard: Vec<Heard>,
        /// Whether the host has no route for the family at all.
        no_route: bool,
    },
    /// Sources disagree, or too few answered.
    Unconfirmed {
        /// The line.
        line: Line,
        /// What stays published.
        keeps: Option<IpAddr>,
        /// What each source said.
        heard: Vec<Heard>,
        /// How many operators must agree.
        need: usize,
    },
    /// The address goes back and forth.
    Flapping {
        /// The line.
        line: Line,
        /// What stays published.
        keeps: Option<IpAddr>,
        /// What is held.
        address: IpAddr,
        /// Until when.
        until: Moment,
        /// How long that is.
        wait: Duration,
        /// How many holds there were since it last was calm.
        holds: u32,
    },
    /// A trace says that the address is a tunnel's.
    Tunnelled {
        /// The line.
        line: Line,
        /// What stays published.
        keeps: Option<IpAddr>,
    },
    /// The host had this family, and has it no longer.
    Lost {
        /// The line.
        line: Line,
        /// What stays published.
        keeps: Option<IpAddr>,
    },
    /// A record cannot be kept as the zone is.
    Obstacle(Key, Obstacle),
    /// A record is refused by Cloudflare, or some of its attributes are.
    Parked {
        /// The record.
        key: Key,
        /// How many more of its kind are not tried for the same reason.
        others: usize,
        /// What is refused; without any attribute the record as a whole.
        attributes: Attributes,
        /// Why.
        why: Reason,
    },
    /// Somebody else writes the same record; it is left alone for so long.
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
    /// The credential is refused.
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
    TooManyDeletes {
        /// How many there would be.
        wanted: usize,
        /// How many may be.
        most: usize,
    },
}

impl Notice {
    /// Whether it says that something is wrong, or no longer.
    pub fn is_of_a_trouble(&self) -> bool {
        matches!(self, Notice::Problem(_) | Notice::Again(..) | Notice::StillWrong(..) | Notice::Well(..))
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Notice::Dissent { .. } | Notice::Listed { .. } => Severity::Detail,
            Notice::Address { .. }
            | Notice::Missing(_)
            | Notice::Written { .. }
            | Notice::Found { .. }
            | Notice::Skipped { .. }
            | Notice::Moved(_)
            | Notice::Settled { .. }
            | Notice::Well(..) => Severity::News,
            Notice::Surprise(surprise) => match surprise.what {
                Happened::Readdressed => Severity::Detail,
                Happened::Gone | Happened::Renamed(_) | Happened::Unmarked | Happened::HandedOver(_) => {
                    Severity::Warning
                }
            },
            Notice::NotDeleted(_) => Severity::Warning,
            Notice::Problem(trouble) | Notice::Again(trouble, _) | Notice::StillWrong(trouble, _) => {
                trouble.severity()
            }
        }
    }
}

impl Problem {
    fn severity(&self) -> Severity {
        match self {
            Problem::Silence { .. }
            | Problem::Unconfirmed { .. }
            | Problem::Flapping { .. }
            | Problem::Tunnelled { .. }
            | Problem::Lost { .. }
            | Problem::OddZone(_)
            | Problem::Api(..)
            | Problem::Throttled(..)
            | Problem::Fight(..)
            | Problem::Contradictory(..)
            | Problem::SearchRefused(..)
            | Problem::Waits(..)
            | Problem::Spent(..) => Severity::Warning,
            Problem::Obstacle(..)
            | Problem::Parked { .. }
            | Problem::NoZone(..)
            | Problem::Ambiguous(..)
            | Problem::Outside(..)
            | Problem::ZoneRefused(..)
            | Problem::Credential(..)
            | Problem::TooManyDeletes { .. } => Severity::Error,
        }
    }

    /// Whether it is the same trouble still, with the same way out, though perhaps in other words.
    pub(super) fn is_like(&self, other: &Problem) -> bool {
        match (self, other) {
            (Problem::Obstacle(_, one), Problem::Obstacle(_, two)) => discriminant(one) == discriminant(two),
            (Problem::Parked { why: one, .. }, Problem::Parked { why: two, .. }) => one.same_kind(two),
            (Problem::ZoneRefused(_, one), Problem::ZoneRefused(_, two))
            | (Problem::Credential(_, one, _), Problem::Credential(_, two, _))
            | (Problem::SearchRefused(_, one, _), Problem::SearchRefused(_, two, _)) => {
                one.remedy == two.remedy
            }
            // Each hold is a trouble of its own.
            (Problem::Flapping { until: one, .. }, Problem::Flapping { until: two, .. }) => one == two,
            (one, two) => discriminant(one) == discriminant(two),
        }
    }

    /// What it is about, for the message that it is well again.
    fn subject(&self) -> String {
        match self {
            Problem::Silence { line, .. }
            | Problem::Unconfirmed { line, .. }
            | Problem::Lost { line, .. } => {
                format!("the {line} address is known")
            }
            Problem::Flapping { line, .. } => format!("no {line} address is held back any more"),
            Problem::Tunnelled { line, .. } => format!("{line} goes through no tunnel"),
            Problem::Obstacle(key, _) | Problem::Parked { key, .. } => {
                format!("{key} is as it should be")
            }
            Problem::Fight(key, _) => format!("nobody else writes {key}"),
            Problem::Contradictory(zone, _) => format!("the records of {zone} can be read"),
            Problem::SearchRefused(account, ..) => format!("the list of zones is given to {account}"),
            Problem::NoZone(_, name) | Problem::Ambiguous(_, name, _) | Problem::Outside(name, _) => {
                format!("the zone of {name} is found")
            }
            Problem::OddZone(zone) => format!("the zone {} is active", zone.name),
            Problem::ZoneRefused(zone, _) => format!("the zone {zone} can be used"),
            Problem::Credential(account, ..) => format!("the credential of {account} is accepted"),
            Problem::Api(account, _) => format!("Cloudflare answers {account}"),
            Problem::Throttled(account, _) => format!("Cloudflare takes requests of {account}"),
            Problem::Waits(_, Some(zone), _) => format!("Cloudflare may be asked about the zone {zone}"),
            Problem::Waits(..) => "Cloudflare may be asked for the list of zones".to_owned(),
            Problem::Spent(account, ..) => format!("the budget of {account} suffices"),
            Problem::TooManyDeletes { .. } => "the number of deletions is within max-deletes".to_owned(),
        }
    }
}

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
                "this host has no {line}: its {} records are left alone; if that is meant, {} = [] under [address] says so, and a container may need host networking for {line}",
                line.family.record_type(),
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
            Notice::Moved(Moved { name, from, to }) => write!(
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
            Notice::Settled { current, all, requests } if current == all => {
                write!(f, "{all} of {all} records are current, after {}", count(*requests, "request"))
            }
            Notice::Settled { current, all, requests } => write!(
                f,
                "{current} of {all} records are current, after {}; what is wrong with the others is said above",
                count(*requests, "request")
            ),
            Notice::Problem(trouble) => write!(f, "{trouble}"),
            Notice::Again(trouble, times) => {
                write!(f, "again, {times} times since this was last said: {trouble}")
            }
            Notice::StillWrong(trouble, age) => write!(f, "for {} now: {trouble}", rounded(*age)),
            Notice::Well(trouble, age) => {
                write!(f, "well again after {}: {}", rounded(*age), trouble.subject())
            }
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
    match what {
        Happened::Readdressed => write!(f, "{key}: somebody else changed its address"),
        Happened::Gone => {
            write!(f, "{key}: our record is gone; somebody else deleted it, renamed it or changed its type")
        }
        Happened::Renamed(to) => {
            write!(f, "{key}: somebody else made our record {to}; it is no longer ours and is left alone")
        }
        Happened::Unmarked => write!(
            f,
            "{key}: somebody else took stayput's mark out of its comment; it is no longer ours and is left alone"
        ),
        Happened::HandedOver(mark) => {
            write!(
                f,
                "{key}: somebody else gave our record to {mark}; it is no longer ours and is left alone"
            )
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Silence { line, keeps, no_route: true, .. } => {
                write!(f, "no {line} route in this network namespace{}", kept(*keeps))?;
                write!(
                    f,
                    " (in a container, {line} may need host networking; to do without, set {} = [] under [address])",
                    line.family.key()
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
            Problem::Obstacle(key, obstacle) => write!(f, "{key}: {obstacle}"),
            Problem::Parked { key, others, attributes, why } => parked(f, key, (*others, *attributes), why),
            Problem::Fight(key, wait) => write!(
                f,
                "{key}: somebody else keeps changing its address (another stayput, or another program); its address is not set again for {}; \
                 give each its own name, or set owner and shared = true in both",
                rounded(*wait)
            ),
            Problem::Contradictory(zone, why) => write!(
                f,
                "Cloudflare's list of the records of {zone} contradicts itself ({why}); what is published stays, and it is read again"
            ),
            Problem::SearchRefused(account, failure, wait) => {
                write!(f, "the list of zones is refused to {account}: {failure}; ")?;
                write!(
                    f,
                    "zones with a zone-id go on; for the others add the permission Zone · Zone · Read to the token, or set zone-id; it is tried again in {} at first, then less often",
                    rounded(*wait)
                )
            }
            Problem::NoZone(account, name) => write!(
                f,
                "no zone for {name} is visible to the credential of {account}: check the name, add the permission Zone · Zone · Read to the token, or set zone-id"
            ),
            Problem::Ambiguous(_, name, zones) => {
                write!(
                    f,
                    "{name} lies in one of {} zones of the same name, and not just one of them is active: set zone-id to one of",
                    zones.len()
                )?;
                for (index, zone) in zones.iter().enumerate() {
                    write!(f, "{} {} ({}", if index > 0 { "," } else { "" }, zone.id, zone.status)?;
                    if let Some(account) = &zone.account {
                        write!(f, ", account {account}")?;
                    }
                    f.write_str(")")?;
                }
                Ok(())
            }
            Problem::Outside(name, zone) => {
                write!(f, "{name} does not lie in the zone that its zone-id names, {zone}: correct zone-id")
            }
            Problem::OddZone(zone) => odd(f, zone),
            Problem::ZoneRefused(zone, failure) => {
                write!(f, "the zone {zone} is refused: {failure}")?;
                remedy(f, failure)?;
                f.write_str("; it is tried again later")
            }
            Problem::Credential(account, failure, wait) => {
                write!(f, "the credential of {account} is refused: {failure}")?;
                remedy(f, failure)?;
                write!(f, "; it is tried again in {} at first, then less often", rounded(*wait))
            }
            Problem::Api(_, failure) => {
                write!(f, "Cloudflare's API does not answer as it should: {failure}")?;
                remedy(f, failure)?;
                f.write_str("; what is published stays, and it is tried again")
            }
            Problem::Throttled(account, wait) => {
                write!(
                    f,
                    "Cloudflare asks for fewer requests: nothing is sent for {account} for {}",
                    rounded(*wait)
                )
            }
            Problem::Waits(_, zone, wait) => {
                let wait = rounded(*wait);
                match zone {
                    Some(zone) => write!(
                        f,
                        "Cloudflare asks to wait: for {wait} nothing is asked about the zone {zone}"
                    ),
                    None => {
                        write!(f, "Cloudflare asks to wait: for {wait} the list of zones is not asked for")
                    }
                }
            }
            Problem::Spent(account, budget, wait) => write!(
                f,
                "the request budget of {account} is spent ({} per {}, less where others use up Cloudflare's own limit): \
                 the next request leaves in {}; if that is often so, raise budget",
                budget.requests,
                rounded(budget.per),
                rounded(*wait)
            ),
            Problem::TooManyDeletes { wanted, most } => write!(
                f,
                "{} would be deleted in one pass, more than max-deletes = {most}: none is; if it is right, raise max-deletes",
                count(*wanted, "record")
            ),
        }
    }
}

/// What is refused of a record, and what becomes of the rest.
pub(super) fn parked(
    f: &mut fmt::Formatter<'_>,
    key: &Key,
    (others, attributes): (usize, Attributes),
    why: &Reason,
) -> fmt::Result {
    let rest = match attributes.any() {
        true => "the address is published without it",
        false => "the other records go on",
    };
    match why {
        Reason::Refused(failure) => {
            match attributes.any() {
                true => write!(f, "{key}: {attributes} refused: {failure}")?,
                false => write!(f, "{key} is refused: {failure}")?,
            }
            remedy(f, failure)?;
        }
        Reason::NotKept => write!(
            f,
            "{key}: Cloudflare accepts the change, but the record stays as it was; check which of its settings the zone's plan allows"
        )?,
    }
    write!(f, "; {rest}, and this is tried again later")?;
    match others {
        0 => Ok(()),
        others => write!(f, "; so it is for {}", count(others, "other record")),
    }
}

fn odd(f: &mut fmt::Formatter<'_>, zone: &ZoneInfo) -> fmt::Result {
    let name = &zone.name;
    if zone.paused {
        return write!(f, "the zone {name} is paused: names are answered, but nothing is proxied");
    }
    match (&*zone.kind, &*zone.status) {
        ("secondary", _) => write!(
            f,
            "the zone {name} is a secondary zone: its records come from elsewhere and may not be editable"
        ),
        ("partial", _) => {
            write!(f, "the zone {name} is a partial (CNAME) zone: only proxied records have an effect")
        }
        (_, status) => write!(
            f,
            "the zone {name} is {status}, not active: changes may have no effect until its name servers point to Cloudflare"
        ),
    }
}

fn remedy(f: &mut fmt::Formatter<'_>, failure: &Failure) -> fmt::Result {
    match failure.remedy {
        Some(remedy) => write!(f, ": {remedy}"),
        None => Ok(()),
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
    let from = parts.iter().position(|(number, _)| *number > 0).unwrap_or(3);
    let shown: Vec<String> = parts
        .iter()
        .skip(from)
        .take(2)
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
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
