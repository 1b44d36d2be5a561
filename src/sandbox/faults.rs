//! What can go wrong on purpose: the faults by name, and how often each still happens.
//!
//! Deliberately unknown: how a fault shows itself; that is written where it happens.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// Every fault: its name, what its value may be (empty: none), and what it does.
pub const FAULTS: [(&str, &str, &str); 36] = [
    (
        "throttle",
        "SECONDS|date|none|TEXT",
        "the API answers 429; the value is its Retry-After (default 300; date: in 60 s; none: without)",
    ),
    ("html", "STATUS", "the API answers with an HTML page (default 502)"),
    ("edge-code", "CODE", "the API answers `error code: CODE` as plain text (default 1010)"),
    (
        "problem",
        "STATUS[@SECONDS]",
        "the edge answers with RFC 9457 JSON and asks to wait so long (default 503@60)",
    ),
    (
        "retry-after",
        "SECONDS",
        "every answer of the API that is no success asks to wait so long (default 60)",
    ),
    ("redirect", "", "the API answers 302 to another host"),
    ("lost-reply", "", "a write is done, and the connection cut before its answer"),
    ("lost-request", "", "the connection is cut before anything is done"),
    (
        "lost-write",
        "BYTES",
        "the connection is cut before a write is done (with a value: only one whose body is longer)",
    ),
    ("delay", "DURATION", "the API answers so much later (default 15s)"),
    ("garbage", "", "the request is carried out, and the answer is no JSON"),
    ("truncated", "", "the request is carried out, and half of the answer sent as if it were all"),
    ("cut", "", "the request is carried out, and the connection cut in the middle of the answer"),
    ("unsuccessful", "", "nothing is done; the answer is HTTP 200 with success: false"),
    ("null-result", "", "the request is carried out; the answer is a success without a result"),
    ("revoked", "", "no credential is accepted"),
    ("spurious-403", "", "a good credential gets 403, code 10000"),
    ("refuse-search", "", "a good credential gets 403 for the list of zones"),
    ("refuse-zone", "ZONE", "a good credential gets 403 for the records of the zone of this name"),
    ("stale-list", "DURATION", "lists show what was there so long ago (default 5s)"),
    ("total-pages", "NUMBER", "lists claim to have so many pages (default 9999)"),
    (
        "false-list",
        "empty|short|twice|overlap|gap|null",
        "lists contradict their counts (default empty: the first page has no entry)",
    ),
    ("refuse", "NAME", "a record of this name is never accepted"),
    ("full", "", "no zone takes another record (81045)"),
    ("dns-only", "", "no record may be proxied that is not yet (9004)"),
    ("offline", "", "nothing can be reached, neither the API nor an echo"),
    ("address", "ADDRESS", "the echoes report this address"),
    ("flap", "DURATION", "the address changes back and forth, each for so long (default 60s)"),
    ("lie", "OPERATOR[@ADDRESS]", "one operator's echo reports another address"),
    ("echo-html", "OPERATOR", "an echo answers with a log-in page (no value: all of them)"),
    ("echo-redirect", "OPERATOR", "an echo answers with a redirect (no value: all of them)"),
    ("echo-error", "OPERATOR", "an echo answers 503 (no value: all of them)"),
    ("echo-down", "OPERATOR", "an echo cannot be reached (no value: all of them)"),
    ("echo-large", "OPERATOR", "an echo answers with a megabyte (no value: all of them)"),
    ("warp", "", "traces say warp=on"),
    ("wrong-host", "", "traces are answered for another host"),
];

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "FAULTS says of each what it does")]
pub enum Fault {
    Throttle(RetryAfter),
    Html(u16),
    EdgeCode(u16),
    /// The status, and the seconds that it asks to wait.
    Problem(u16, u32),
    RetryAfter(u32),
    Redirect,
    LostReply,
    LostRequest,
    /// Bodies that are longer than so many bytes.
    LostWrite(usize),
    Delay(Duration),
    Garbage,
    Truncated,
    Cut,
    Unsuccessful,
    NullResult,
    Revoked,
    Spurious403,
    RefuseSearch,
    /// The name in the form in which it is kept.
    RefuseZone(String),
    StaleList(Duration),
    TotalPages(u32),
    FalseList(Falsehood),
    /// The name in the form in which it is kept.
    Refuse(String),
    Full,
    DnsOnly,
    Offline,
    Address(IpAddr),
    Flap(Duration),
    /// `None`: an address that is never the world's.
    Lie(String, Option<IpAddr>),
    EchoHtml(Option<String>),
    EchoRedirect(Option<String>),
    EchoError(Option<String>),
    EchoDown(Option<String>),
    EchoLarge(Option<String>),
    Warp,
    WrongHost,
}

/// The header of a 429.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// None at all.
    Absent,
    /// An HTTP date, a minute from now.
    Date,
    /// Seconds, or whatever else.
    Text(String),
}

/// How a list contradicts its own counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Falsehood {
    /// The first page has no entry.
    Empty,
    /// A page lacks its last entry.
    Short,
    /// Every page after the first shows the page before it.
    Twice,
    /// Every page after the first begins with the last entry of the page before it.
    Overlap,
    /// Every page after the first begins one entry late.
    Gap,
    /// The result is `null`.
    Null,
}

impl Falsehood {
    fn parse(text: &str) -> Option<Falsehood> {
        Some(match text {
            "empty" => Falsehood::Empty,
            "short" => Falsehood::Short,
            "twice" => Falsehood::Twice,
            "overlap" => Falsehood::Overlap,
            "gap" => Falsehood::Gap,
            "null" => Falsehood::Null,
            _ => return None,
        })
    }
}

/// Why a text names no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadFault {
    /// There is no such fault.
    Unknown(String),
    /// The value does not fit; the second text says what would.
    Value(&'static str, &'static str),
    /// What follows the colon is neither a count nor a percentage.
    Count(String),
}

impl fmt::Display for BadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFault::Unknown(name) => {
                write!(f, "there is no fault \"{name}\"; there are:")?;
                for (name, value, what) in FAULTS {
                    let equals = if value.is_empty() { "" } else { "=" };
                    write!(f, "\n  {name}{equals}{value}: {what}")?;
                }
                Ok(())
            }
            BadFault::Value(name, "") => write!(f, "the fault \"{name}\" takes no value"),
            BadFault::Value(name, value) => {
                write!(f, "the fault \"{name}\" is written {name}={value}")
            }
            BadFault::Count(text) => write!(
                f,
                "\"{text}\" is neither a count nor a percentage; write for example throttle:3=60 or html:5%"
            ),
        }
    }
}

impl std::error::Error for BadFault {}

impl Fault {
    /// The fault of this name and value.
    ///
    /// # Errors
    /// [`BadFault`], which lists the names if this is none of them.
    pub fn parse(name: &str, value: Option<&str>) -> Result<Fault, BadFault> {
        let (name, form) = FAULTS
            .iter()
            .find(|(known, _, _)| *known == name)
            .map(|(known, form, _)| (*known, *form))
            .ok_or_else(|| BadFault::Unknown(name.to_owned()))?;
        let bad = || BadFault::Value(name, form);
        if form.is_empty() && value.is_some() {
            return Err(bad());
        }
        let number = |default| value.map_or(Some(default), |text| text.parse().ok());
        let status = |default| number(default).and_then(|number: u32| u16::try_from(number).ok());
        let span = |default| match value {
            None => Some(Duration::from_secs(default)),
            Some(text) => duration(text),
        };
        let operator = value.map(str::to_owned);
        let fault = match name {
            "throttle" => Some(Fault::Throttle(match value {
                None => RetryAfter::Text("300".to_owned()),
                Some("none") => RetryAfter::Absent,
                Some("date") => RetryAfter::Date,
                Some(text) => RetryAfter::Text(text.to_owned()),
            })),
            "html" => status(502).filter(|status| (200..600).contains(status)).map(Fault::Html),
            "edge-code" => status(1010).map(Fault::EdgeCode),
            "problem" => problem(value.unwrap_or("503@60")),
            "retry-after" => number(60).map(Fault::RetryAfter),
            "redirect" => Some(Fault::Redirect),
            "lost-reply" => Some(Fault::LostReply),
            "lost-request" => Some(Fault::LostRequest),
            "lost-write" => number(0).and_then(|bytes| usize::try_from(bytes).ok()).map(Fault::LostWrite),
            "delay" => span(15).map(Fault::Delay),
            "garbage" => Some(Fault::Garbage),
            "truncated" => Some(Fault::Truncated),
            "cut" => Some(Fault::Cut),
            "unsuccessful" => Some(Fault::Unsuccessful),
            "null-result" => Some(Fault::NullResult),
            "revoked" => Some(Fault::Revoked),
            "spurious-403" => Some(Fault::Spurious403),
            "refuse-search" => Some(Fault::RefuseSearch),
            "refuse-zone" => value.and_then(kept_name).map(Fault::RefuseZone),
            "stale-list" => span(5).map(Fault::StaleList),
            "total-pages" => number(9999).map(Fault::TotalPages),
            "false-list" => Falsehood::parse(value.unwrap_or("empty")).map(Fault::FalseList),
            "refuse" => value.and_then(kept_name).map(Fault::Refuse),
            "full" => Some(Fault::Full),
            "dns-only" => Some(Fault::DnsOnly),
            "offline" => Some(Fault::Offline),
            "address" => value.and_then(|text| text.parse().ok()).map(Fault::Address),
            "flap" => span(60).filter(|span| !span.is_zero()).map(Fault::Flap),
            "lie" => value.and_then(lie),
            "echo-html" => Some(Fault::EchoHtml(operator)),
            "echo-redirect" => Some(Fault::EchoRedirect(operator)),
            "echo-error" => Some(Fault::EchoError(operator)),
            "echo-down" => Some(Fault::EchoDown(operator)),
            "echo-large" => Some(Fault::EchoLarge(operator)),
            "warp" => Some(Fault::Warp),
            "wrong-host" => Some(Fault::WrongHost),
            _ => None,
        };
        fault.ok_or_else(bad)
    }

    /// The name, as in [`FAULTS`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Throttle(_) => "throttle",
            Fault::Html(_) => "html",
            Fault::EdgeCode(_) => "edge-code",
            Fault::Problem(..) => "problem",
            Fault::RetryAfter(_) => "retry-after",
            Fault::Redirect => "redirect",
            Fault::LostReply => "lost-reply",
            Fault::LostRequest => "lost-request",
            Fault::LostWrite(_) => "lost-write",
            Fault::Delay(_) => "delay",
            Fault::Garbage => "garbage",
            Fault::Truncated => "truncated",
            Fault::Cut => "cut",
            Fault::Unsuccessful => "unsuccessful",
            Fault::NullResult => "null-result",
            Fault::Revoked => "revoked",
            Fault::Spurious403 => "spurious-403",
            Fault::RefuseSearch => "refuse-search",
            Fault::RefuseZone(_) => "refuse-zone",
            Fault::StaleList(_) => "stale-list",
            Fault::TotalPages(_) => "total-pages",
            Fault::FalseList(_) => "false-list",
            Fault::Refuse(_) => "refuse",
            Fault::Full => "full",
            Fault::DnsOnly => "dns-only",
            Fault::Offline => "offline",
            Fault::Address(_) => "address",
            Fault::Flap(_) => "flap",
            Fault::Lie(..) => "lie",
            Fault::EchoHtml(_) => "echo-html",
            Fault::EchoRedirect(_) => "echo-redirect",
            Fault::EchoError(_) => "echo-error",
            Fault::EchoDown(_) => "echo-down",
            Fault::EchoLarge(_) => "echo-large",
            Fault::Warp => "warp",
            Fault::WrongHost => "wrong-host",
        }
    }
}

/// Seconds, or humantime text.
fn duration(text: &str) -> Option<Duration> {
    match text.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}

fn kept_name(text: &str) -> Option<String> {
    let name = text.trim_end_matches('.');
    if name.is_empty() { None } else { super::records::to_ascii(name) }
}

fn problem(text: &str) -> Option<Fault> {
    let (status, seconds) = text.split_once('@').unwrap_or((text, "60"));
    let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
    Some(Fault::Problem(status, seconds.parse().ok()?))
}

fn lie(text: &str) -> Option<Fault> {
    match text.split_once('@') {
        None => Some(Fault::Lie(text.to_owned(), None)),
        Some((operator, address)) => {
            let address = address.parse().ok()?;
            Some(Fault::Lie(operator.to_owned(), Some(address)))
        }
    }
}

/// A fault that is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Armed {
    /// What happens.
    pub fault: Fault,
    /// How often it still does; `None`: for ever.
    pub left: Option<u32>,
    /// How likely it is each time, in percent.
    pub percent: u8,
}

impl Armed {
    /// A fault that always happens.
    #[must_use]
    pub fn always(fault: Fault) -> Armed {
        Armed { fault, left: None, percent: 100 }
    }
}

impl FromStr for Armed {
    type Err = BadFault;

    /// `NAME[:COUNT|:PERCENT%][=VALUE]`.
    fn from_str(text: &str) -> Result<Armed, BadFault> {
        let (head, value) = match text.split_once('=') {
            Some((head, value)) => (head, Some(value)),
            None => (text, None),
        };
        let (name, often) = match head.split_once(':') {
            Some((name, often)) => (name, Some(often)),
            None => (head, None),
        };
        let mut armed = Armed::always(Fault::parse(name, value)?);
        let Some(often) = often else {
            return Ok(armed);
        };
        let bad = || BadFault::Count(often.to_owned());
        match often.strip_suffix('%') {
            Some(percent) => {
                let percent: u8 = percent.parse().map_err(|_| bad())?;
                armed.percent = Some(percent).filter(|percent| *percent <= 100).ok_or_else(bad)?;
            }
            None => {
                let count: u32 = often.parse().map_err(|_| bad())?;
                armed.left = Some(Some(count).filter(|count| *count > 0).ok_or_else(bad)?);
            }
        }
        Ok(armed)
    }
}

/// The faults that are switched on.
#[derive(Clone, Debug)]
pub struct Faults {
    armed: Vec<Armed>,
    rng: fastrand::Rng,
}

impl Faults {
    /// None; `seed` decides when those happen that only do so now and then.
    #[must_use]
    pub fn new(seed: u64) -> Faults {
        Faults { armed: Vec::new(), rng: fastrand::Rng::with_seed(seed) }
    }

    /// Switches one on. The same fault with the same value is not there twice.
    pub fn arm(&mut self, armed: Armed) {
        self.armed.retain(|other| other.fault != armed.fault);
        self.armed.push(armed);
    }

    /// Switches off all of this name, and says whether there were any.
    pub fn disarm(&mut self, name: &str) -> bool {
        let before = self.armed.len();
        self.armed.retain(|armed| armed.fault.name() != name);
        self.armed.len() < before
    }

    /// Switches all of them off.
    pub fn clear(&mut self) {
        self.armed.clear();
    }

    /// Those that are on.
    #[must_use]
    pub fn armed(&self) -> &[Armed] {
        &self.armed
    }

    /// Whether a fault that fits happens now.
    pub(super) fn fire(&mut self, fits: impl Fn(&Fault) -> bool) -> bool {
        self.pick(|fault| fits(fault).then_some(())).is_some()
    }

    /// What the first fault that fits and happens now has to say.
    pub(super) fn pick<T>(&mut self, read: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut picked = None;
        for armed in &mut self.armed {
            let Some(said) = read(&armed.fault) else {
                continue;
            };
            if armed.percent < 100 && self.rng.u8(..100) >= armed.percent {
                continue;
            }
            picked = Some(said);
            if let Some(left) = &mut armed.left {
                *left = left.saturating_sub(1);
            }
            break;
        }
        if picked.is_some() {
            self.armed.retain(|armed| armed.left != Some(0));
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(text: &str) -> Armed {
        text.parse().unwrap()
    }

    #[test]
    fn every_listed_fault_is_known_by_its_name() {
        for (name, form, _) in FAULTS {
            let value = match (name, form) {
                ("refuse" | "refuse-zone", _) => Some("nas.example.com"),
                ("address", _) => Some("192.0.2.1"),
                ("lie", _) => Some("ipify"),
                _ => None,
            };
            assert_eq!(Fault::parse(name, value).unwrap().name(), name);
        }
    }

    #[test]
    fn counts_percentages_and_values_are_read_together() {
        let three = armed("throttle:3=60");
        assert_eq!(three.left, Some(3));
        assert_eq!(three.fault, Fault::Throttle(RetryAfter::Text("60".to_owned())));
        let lie = armed("lie:5%=ipify@2001:db8::1");
        assert_eq!(lie.percent, 5);
        assert_eq!(lie.fault, Fault::Lie("ipify".to_owned(), Some("2001:db8::1".parse().unwrap())));
        assert_eq!(armed("delay=1m 5s").fault, Fault::Delay(Duration::from_secs(65)));
        assert_eq!(armed("refuse=NAS.Example.com.").fault, Fault::Refuse("nas.example.com".into()));
    }

    #[test]
    fn an_unknown_fault_is_told_the_names_of_all() {
        let error = "trottle".parse::<Armed>().unwrap_err().to_string();
        assert!(error.contains("\"trottle\""));
        assert_eq!(error.lines().count(), 1 + FAULTS.len());
        for bad in [
            "html=9000",
            "address=here",
            "full=yes",
            "flap=0",
            "refuse",
            "refuse-zone",
            "problem=200",
            "false-list=odd",
        ] {
            assert!(matches!(bad.parse::<Armed>(), Err(BadFault::Value(..))), "{bad}");
        }
        for bad in ["html:x", "html:101%", "html:-1", "html:0"] {
            assert!(matches!(bad.parse::<Armed>(), Err(BadFault::Count(_))), "{bad}");
        }
    }

    #[test]
    fn a_counted_fault_happens_so_often_and_then_is_gone() {
        let mut faults = Faults::new(1);
        faults.arm(armed("full:2"));
        let fired = (0..5).filter(|_| faults.fire(|fault| *fault == Fault::Full)).count();
        assert_eq!(fired, 2);
        assert!(faults.armed().is_empty());
    }

    #[test]
    fn a_fault_with_a_percentage_happens_about_that_often() {
        let mut faults = Faults::new(1);
        faults.arm(armed("full:20%"));
        let fired = (0..1_000).filter(|_| faults.fire(|fault| *fault == Fault::Full)).count();
        assert!((150..250).contains(&fired), "{fired}");
    }
}
