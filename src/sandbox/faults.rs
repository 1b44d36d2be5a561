//! What can go wrong on purpose: the faults by name, and how often each still happens.
//!
//! Deliberately unknown: how a fault shows itself; that is written where it happens.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::names::to_ascii;

/// Makes a fault of its value, if that fits.
type Reader = fn(Option<&str>) -> Option<Fault>;

/// Each row: the name, what the value may be (nothing: none), the fault, what it does, how the value is read.
macro_rules! faults {
    ($($name:literal $($form:literal)? $fault:ident $(($($part:ty),+))?: $effect:literal $(=> $read:expr)?;)+) => {
        /// A fault.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Fault {
            $(#[doc = $effect] $fault $(($($part),+))?,)+
        }

        /// Every fault: its name, what its value may be (empty: none), what it does, and how the value is read.
        pub const FAULTS: &[(&str, &str, &str, Reader)] =
            &[$(($name, concat!($($form)?), $effect, faults!(@ $fault $($read)?))),+];
    };
    (@ $fault:ident) => { |_| Some(Fault::$fault) };
    (@ $fault:ident $read:expr) => { $read };
}

faults! {
    "throttle" "SECONDS|date|none|TEXT" Throttle(String):
        "the API answers 429; the value is its Retry-After (default 300; date: in 60 s; none: without)"
        => |text| Some(Fault::Throttle(text.unwrap_or("300").to_owned()));
    "html" "STATUS" Html(u16): "the API answers with an HTML page (default 502)"
        => |text| number(text, 502).filter(|status| (200..600).contains(status)).map(Fault::Html);
    "edge-code" "CODE" EdgeCode(u16): "the API answers `error code: CODE` as plain text (default 1010)"
        => |text| number(text, 1010).map(Fault::EdgeCode);
    "problem" "STATUS[@SECONDS]" Problem(u16, u32):
        "the edge answers with RFC 9457 JSON and asks to wait so long (default 503@60)"
        => |text| problem(text.unwrap_or("503@60"));
    "retry-after" "SECONDS" RetryAfter(u32):
        "every answer of the API that is no success asks to wait so long (default 60)"
        => |text| number(text, 60).map(Fault::RetryAfter);
    "redirect" Redirect: "the API answers 302 to another host";
    "lost-reply" LostReply: "a write is done, and the connection cut before its answer";
    "lost-request" LostRequest: "the connection is cut before anything is done";
    "lost-write" "BYTES" LostWrite(usize):
        "the connection is cut before a write is done (with a value: only one whose body is longer)"
        => |text| number(text, 0).map(Fault::LostWrite);
    "delay" "DURATION" Delay(Duration): "the API answers so much later (default 15s)"
        => |text| span(text, 15).map(Fault::Delay);
    "garbage" Garbage: "the request is carried out, and the answer is no JSON";
    "truncated" Truncated: "the request is carried out, and half of the answer sent as if it were all";
    "cut" Cut: "the request is carried out, and the connection cut in the middle of the answer";
    "unsuccessful" Unsuccessful: "nothing is done; the answer is HTTP 200 with success: false";
    "null-result" NullResult: "the request is carried out; the answer is a success without a result";
    "revoked" Revoked: "no credential is accepted";
    "spurious-403" Spurious403: "a good credential gets 403, code 10000";
    "refuse-search" RefuseSearch: "a good credential gets 403 for the list of zones";
    "refuse-zone" "ZONE" RefuseZone(String):
        "a good credential gets 403 for the records of the zone of this name"
        => |text| name(text).map(Fault::RefuseZone);
    "stale-list" "DURATION" StaleList(Duration): "lists show what was there so long ago (default 5s)"
        => |text| span(text, 5).map(Fault::StaleList);
    "total-pages" "NUMBER" TotalPages(u32): "lists claim to have so many pages (default 9999)"
        => |text| number(text, 9999).map(Fault::TotalPages);
    "false-list" "empty|short|twice|overlap|gap|null" FalseList(Falsehood):
        "lists contradict their counts (default empty: the first page has no entry)"
        => |text| serde_json::from_value(text.unwrap_or("empty").into()).ok().map(Fault::FalseList);
    "refuse" "NAME" Refuse(String): "a record of this name is never accepted"
        => |text| name(text).map(Fault::Refuse);
    "full" Full: "no zone takes another record (81045)";
    "dns-only" DnsOnly: "no record may be proxied that is not yet (9004)";
    "offline" Offline: "nothing can be reached, neither the API nor an echo";
    "address" "ADDRESS" Address(IpAddr): "the echoes report this address"
        => |text| text?.parse().ok().map(Fault::Address);
    "flap" "DURATION" Flap(Duration): "the address changes back and forth, each for so long (default 60s)"
        => |text| span(text, 60).filter(|span| !span.is_zero()).map(Fault::Flap);
    "lie" "OPERATOR[@ADDRESS]" Lie(String, Option<IpAddr>): "one operator's echo reports another address"
        => |text| lie(text?);
    "echo-html" "OPERATOR" EchoHtml(Operator): "an echo (default: all) answers with a log-in page"
        => |text| Some(Fault::EchoHtml(text.map(str::to_owned)));
    "echo-redirect" "OPERATOR" EchoRedirect(Operator): "an echo (default: all) redirects"
        => |text| Some(Fault::EchoRedirect(text.map(str::to_owned)));
    "echo-error" "OPERATOR" EchoError(Operator): "an echo (default: all) answers 503"
        => |text| Some(Fault::EchoError(text.map(str::to_owned)));
    "echo-down" "OPERATOR" EchoDown(Operator): "an echo (default: all) cannot be reached"
        => |text| Some(Fault::EchoDown(text.map(str::to_owned)));
    "echo-large" "OPERATOR" EchoLarge(Operator): "an echo (default: all) answers with a megabyte"
        => |text| Some(Fault::EchoLarge(text.map(str::to_owned)));
    "warp" Warp: "traces say warp=on";
    "wrong-host" WrongHost: "traces are answered for another host";
}

/// Whose echo; `None`: every one.
type Operator = Option<String>;

/// How a list contradicts its own counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
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

fn number<T: FromStr>(text: Option<&str>, default: T) -> Option<T> {
    text.map_or(Some(default), |text| text.parse().ok())
}

/// Seconds, or humantime text.
fn span(text: Option<&str>, default: u32) -> Option<Duration> {
    match number(text, default) {
        Some(seconds) => Some(Duration::from_secs(seconds.into())),
        None => humantime::parse_duration(text?).ok(),
    }
}

/// A name in the form in which it is kept.
fn name(text: Option<&str>) -> Option<String> {
    let name = text?.trim_end_matches('.');
    if name.is_empty() { None } else { to_ascii(name) }
}

fn problem(text: &str) -> Option<Fault> {
    let (status, seconds) = text.split_once('@').unwrap_or((text, "60"));
    let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
    Some(Fault::Problem(status, seconds.parse().ok()?))
}

fn lie(text: &str) -> Option<Fault> {
    let (operator, address) = match text.split_once('@') {
        None => (text, None),
        Some((operator, address)) => (operator, Some(address.parse().ok()?)),
    };
    Some(Fault::Lie(operator.to_owned(), address))
}

/// A fault that is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Armed {
    /// Its name in [`FAULTS`].
    pub name: &'static str,
    /// What happens.
    pub fault: Fault,
    /// How often it still does; `None`: for ever.
    pub left: Option<u32>,
    /// How likely it is each time, in percent.
    pub percent: u8,
}

impl FromStr for Armed {
    type Err = String;

    /// `NAME[:COUNT|:PERCENT%][=VALUE]`.
    fn from_str(text: &str) -> Result<Armed, String> {
        let (head, value) = text.split_once('=').map_or((text, None), |(head, value)| (head, Some(value)));
        let (name, often) = head.split_once(':').map_or((head, None), |(name, often)| (name, Some(often)));
        let row = FAULTS.iter().find(|(known, ..)| *known == name);
        let (name, form, _, read) = row.ok_or_else(|| unknown(name))?;
        let fault = match (*form, value) {
            ("", Some(_)) => return Err(format!("the fault \"{name}\" takes no value")),
            _ => read(value).ok_or_else(|| format!("the fault \"{name}\" is written {name}={form}"))?,
        };
        let (left, percent) = match often {
            None => (None, 100),
            Some(often) => how_often(often).ok_or_else(|| {
                format!(
                    "\"{often}\" is neither a count nor a percentage; write for example throttle:3=60 or html:5%"
                )
            })?,
        };
        Ok(Armed { name, fault, left, percent })
    }
}

fn how_often(text: &str) -> Option<(Option<u32>, u8)> {
    match text.strip_suffix('%') {
        Some(percent) => Some((None, percent.parse().ok().filter(|percent| *percent <= 100)?)),
        None => Some((Some(text.parse().ok().filter(|count| *count > 0)?), 100)),
    }
}

fn unknown(name: &str) -> String {
    let mut lines = String::new();
    for (name, form, effect, _) in FAULTS {
        let equals = if form.is_empty() { "" } else { "=" };
        lines.push_str(&format!("\n  {name}{equals}{form}: {effect}"));
    }
    format!("there is no fault \"{name}\"; there are:{lines}")
}

/// The faults that are switched on.
#[derive(Clone, Debug)]
pub struct Faults {
    armed: Vec<Armed>,
    rng: fastrand::Rng,
}

impl Faults {
    /// None; `seed` decides when those happen that only do so now and then.
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
        self.armed.retain(|armed| armed.name != name);
        self.armed.len() < before
    }

    /// Switches all of them off.
    pub fn clear(&mut self) {
        self.armed.clear();
    }

    /// Those that are on.
    pub fn armed(&self) -> &[Armed] {
        &self.armed
    }

    /// Whether a fault that fits happens now.
    pub(super) fn fire(&mut self, fits: impl Fn(&Fault) -> bool) -> bool {
        self.pick(|fault| fits(fault).then_some(())).is_some()
    }

    /// What the first fault that fits and happens now has to say.
    pub(super) fn pick<T>(&mut self, read: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let rng = &mut self.rng;
        let (at, said) = self.armed.iter().enumerate().find_map(|(at, armed)| {
            let said = read(&armed.fault)?;
            (armed.percent >= 100 || rng.u8(..100) < armed.percent).then_some((at, said))
        })?;
        let left = &mut self.armed[at].left;
        *left = left.map(|left| left.saturating_sub(1));
        if *left == Some(0) {
            self.armed.remove(at);
        }
        Some(said)
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
        for (name, ..) in FAULTS {
            let text = match *name {
                "refuse" | "refuse-zone" => format!("{name}=nas.example.com"),
                "address" => format!("{name}=192.0.2.1"),
                "lie" => format!("{name}=ipify"),
                name => name.to_owned(),
            };
            assert_eq!(armed(&text).name, *name);
        }
    }

    #[test]
    fn counts_percentages_and_values_are_read_together() {
        let three = armed("throttle:3=60");
        assert_eq!(three.left, Some(3));
        assert_eq!(three.fault, Fault::Throttle("60".to_owned()));
        let lie = armed("lie:5%=ipify@2001:db8::1");
        assert_eq!(lie.percent, 5);
        assert_eq!(lie.fault, Fault::Lie("ipify".to_owned(), Some("2001:db8::1".parse().unwrap())));
        assert_eq!(armed("delay=1m 5s").fault, Fault::Delay(Duration::from_secs(65)));
        assert_eq!(armed("refuse=NAS.Example.com.").fault, Fault::Refuse("nas.example.com".into()));
    }

    #[test]
    fn an_unknown_fault_is_told_the_names_of_all() {
        let error = "trottle".parse::<Armed>().unwrap_err();
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
            let error = bad.parse::<Armed>().unwrap_err();
            assert!(error.contains("is written") || error.contains("takes no value"), "{bad}: {error}");
        }
        for bad in ["html:x", "html:101%", "html:-1", "html:0"] {
            let error = bad.parse::<Armed>().unwrap_err();
            assert!(error.contains("neither a count nor a percentage"), "{bad}: {error}");
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
