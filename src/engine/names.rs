//! The vocabulary: names, families, records, identifiers, and the engine's idea of an instant.
//!
//! Everything that crosses a border between two folders is one of these types. A value that exists
//! is valid: text is parsed once, here. Deliberately unknown: where a value came from, JSON, TOML.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, published in A records.
    V4,
    /// IPv6, published in AAAA records.
    V6,
}

impl Family {
    /// Both families, in the order in which they are shown.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// The type of the records that carry its addresses.
    pub fn record_type(self) -> RecordType {
        match self {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::Aaaa,
        }
    }

    /// Its key in configurations and documents.
    pub fn key(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }

    /// The family of an address. An IPv4-mapped IPv6 address is IPv6: nothing is converted silently.
    pub fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// The type of a record that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
}

impl RecordType {
    /// Every type, in the order in which they are shown.
    pub const ALL: [RecordType; 2] = [RecordType::A, RecordType::Aaaa];

    /// The type's name in DNS and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
        }
    }

    /// The type of this name, in any case.
    pub fn parse(text: &str) -> Option<RecordType> {
        RecordType::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }

    /// The family whose addresses it carries.
    pub fn family(self) -> Family {
        match self {
            RecordType::A => Family::V4,
            RecordType::Aaaa => Family::V6,
        }
    }

    /// Whether no record of this type can be made where there is one of type `other`.
    /// Source: RFC 1034, section 3.6.2.
    pub fn excludes(self, other: &str) -> bool {
        match self {
            RecordType::A | RecordType::Aaaa => other.eq_ignore_ascii_case("CNAME"),
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a record holds, and so its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
}

impl Content {
    /// The content of a record of this type, as the API writes it.
    pub fn parse(kind: RecordType, text: &str) -> Option<Content> {
        match kind {
            RecordType::A => text.parse().ok().map(Content::A),
            RecordType::Aaaa => text.parse().ok().map(Content::Aaaa),
        }
    }

    /// The address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Content::A(address) => Some((*address).into()),
            Content::Aaaa(address) => Some((*address).into()),
        }
    }

    /// The type of the record that holds it.
    pub fn kind(&self) -> RecordType {
        match self {
            Content::A(_) => RecordType::A,
            Content::Aaaa(_) => RecordType::Aaaa,
        }
    }
}

impl From<IpAddr> for Content {
    fn from(address: IpAddr) -> Content {
        match address {
            IpAddr::V4(address) => Content::A(address),
            IpAddr::V6(address) => Content::Aaaa(address),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::A(address) => address.fmt(f),
            Content::Aaaa(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod in_tests {
    use super::*;

    impl PartialEq<IpAddr> for Content {
        fn eq(&self, address: &IpAddr) -> bool {
            self.address() == Some(*address)
        }
    }

    impl std::str::FromStr for Content {
        type Err = std::net::AddrParseError;

        fn from_str(text: &str) -> Result<Content, Self::Err> {
            text.parse::<IpAddr>().map(Content::from)
        }
    }
}

/// A fully qualified domain name: ASCII (punycode), lower case, no trailing dot.
///
/// `*` is allowed as the leftmost label, underscores anywhere. Its copies share one text: a name stands in
/// ten places, and there may be thousands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadName {
    /// Nothing, or only a dot.
    Empty,
    /// A single label such as `nas`: the zone is missing.
    Bare(String),
    /// A label is empty, longer than 63 bytes, or has a character that host names do not have.
    Label(String),
    /// Longer than 253 bytes.
    TooLong(usize),
    /// `*` somewhere other than alone in the leftmost label.
    Star,
    /// Not convertible to punycode.
    Unicode,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadName::Empty => f.write_str("the name is empty"),
            BadName::Bare(label) => write!(
                f,
                "\"{label}\" is a bare label; write the whole name, such as \"{label}.example.com\""
            ),
            BadName::Label(label) if label.is_empty() => {
                f.write_str("the name has an empty label (two dots in a row, or a leading dot)")
            }
            BadName::Label(label) if label.len() > 63 => {
                write!(f, "the label \"{label}\" is longer than 63 bytes")
            }
            BadName::Label(label) => write!(
                f,
                "the label \"{label}\" has a character that a host name cannot have, or begins or ends with \"-\""
            ),
            BadName::TooLong(bytes) => {
                write!(f, "the name is {bytes} bytes long; 253 is the most that DNS allows")
            }
            BadName::Star => {
                f.write_str("\"*\" can only be the whole leftmost label, as in \"*.example.com\"")
            }
            BadName::Unicode => {
                f.write_str("the name has characters that internationalised domain names do not allow")
            }
        }
    }
}

impl std::error::Error for BadName {}

impl Name {
    /// Parses a name as a person or Cloudflare writes it: any case, Unicode or punycode, with or
    /// without the trailing dot.
    ///
    /// # Errors
    /// [`BadName`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Name, BadName> {
        let text = text.trim();
        let text = text.strip_suffix(['.', '。']).unwrap_or(text);
        if text.is_empty() {
            return Err(BadName::Empty);
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            // The star is not an IDNA character; convert what follows it.
            let (star, rest) = match text.strip_prefix("*.") {
                Some(rest) => ("*.", rest),
                None => ("", text),
            };
            let rest = idna::domain_to_ascii(rest).map_err(|_| BadName::Unicode)?;
            format!("{star}{rest}")
        };
        for (index, label) in ascii.split('.').enumerate() {
            if label == "*" && index == 0 {
                continue;
            }
            if label.contains('*') {
                return Err(BadName::Star);
            }
            let fits = (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !fits {
                return Err(BadName::Label(label.to_owned()));
            }
        }
        if ascii.len() > 253 {
            return Err(BadName::TooLong(ascii.len()));
        }
        if !ascii.contains('.') {
            return Err(BadName::Bare(ascii));
        }
        Ok(Name(ascii.into()))
    }

    /// The name in the form that is sent and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name is `zone` or lies below it, on a label boundary.
    pub fn is_within(&self, zone: &Name) -> bool {
        self.0.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The names that could be this name's zone, the longest first: the name itself (unless it
    /// begins with `*`) and its parents that have at least two labels.
    pub fn zone_candidates(&self) -> impl Iterator<Item = Name> + '_ {
        let starts = std::iter::once(0).chain(self.0.match_indices('.').map(|(at, _)| at + 1));
        starts
            .map(|at| &self.0[at..])
            .filter(|rest| rest.contains('.') && !rest.starts_with('*'))
            .map(|rest| Name(rest.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the identifier: 32 lower-case hexadecimal digits.
            pub fn parse(text: &str) -> Option<$name> {
                let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                (text.len() == 32 && text.bytes().all(hex)).then(|| $name(text.into()))
            }

            /// The identifier as it stands in a path.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// Cloudflare's identifier of a zone.
    ZoneId
);
identifier!(
    /// Cloudflare's identifier of a record; it stays the same when the record is edited.
    RecordId
);
identifier!(
    /// Cloudflare's identifier of an account.
    AccountId
);

/// How long resolvers may keep a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ttl {
    /// Cloudflare chooses (300 s today); written as 1 in the API. The only one of a proxied record.
    Auto,
    /// So many seconds, 30 to 86,400 (below 60 on Enterprise plans only).
    Seconds(u32),
}

impl Ttl {
    /// The least number of seconds that any plan allows.
    pub const LEAST_SECONDS: u32 = 30;
    /// The greatest number of seconds that Cloudflare allows.
    pub const MOST_SECONDS: u32 = 86_400;

    /// The number in the API.
    pub fn to_api(self) -> u32 {
        match self {
            Ttl::Auto => 1,
            Ttl::Seconds(seconds) => seconds,
        }
    }

    /// The TTL that the API's number means. Whatever Cloudflare says is taken as it is.
    pub fn from_api(number: u32) -> Ttl {
        match number {
            0 | 1 => Ttl::Auto,
            seconds => Ttl::Seconds(seconds),
        }
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ttl::Auto => f.write_str("auto"),
            Ttl::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

/// A record of a type that is kept, as Cloudflare said it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its identifier.
    pub id: RecordId,
    /// Its name.
    pub name: Name,
    /// What it holds.
    pub content: Content,
    /// Its TTL.
    pub ttl: Ttl,
    /// Whether Cloudflare's proxy answers for it.
    pub proxied: bool,
    /// Its comment, if it has one.
    pub comment: Option<Box<str>>,
    /// Its tags.
    pub tags: Vec<Box<str>>,
}

impl Record {
    /// The record's name and type.
    pub fn key(&self) -> Key {
        Key { name: self.name.clone(), kind: self.content.kind() }
    }
}

/// A name and a record type: what one line of a configuration manages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The name.
    pub name: Name,
    /// The type.
    pub kind: RecordType,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// One address family of one internet connection: what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// The connection.
    pub wan: Wan,
    /// The family.
    pub family: Family,
}

impl Line {
    /// The line of the one connection that needs no name.
    pub const fn only(family: Family) -> Line {
        Line { wan: Wan::Only, family }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wan {
            Wan::Only => self.family.fmt(f),
        }
    }
}

/// An internet connection of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wan {
    /// The one that `[address]` is about.
    Only,
}

/// Tells a command, and what comes of it, from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// An instant on a clock that only moves forward and counts suspended time, in milliseconds.
///
/// Its origin means nothing; the shell takes it from `CLOCK_BOOTTIME`, a simulation from a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// The instant so many milliseconds after the clock's origin (before it, if negative).
    pub fn from_millis(millis: i64) -> Moment {
        Moment(millis)
    }

    /// Milliseconds after the clock's origin.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it is still to come.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// How long it is from this instant until `later`; zero if that is past.
    pub fn until(self, later: Moment) -> Duration {
        later.since(self)
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Moment(self.0.saturating_add(millis))
    }
}

impl std::ops::Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, span: Duration) -> Moment {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Moment(self.0.saturating_sub(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn names_are_folded_to_one_form() {
        for text in ["Home.Example.COM", "home.example.com.", " home.example.com "] {
            assert_eq!(name(text).as_str(), "home.example.com");
        }
        assert_eq!(name("bücher.example").as_str(), "xn--bcher-kva.example");
        assert_eq!(name("*.bücher.example").as_str(), "*.xn--bcher-kva.example");
        assert_eq!(name("_acme.x_y.example.com").as_str(), "_acme.x_y.example.com");
    }

    #[test]
    fn names_that_are_none_are_refused_with_the_reason() {
        assert_eq!(Name::parse("."), Err(BadName::Empty));
        assert_eq!(Name::parse("nas"), Err(BadName::Bare("nas".into())));
        assert_eq!(Name::parse("a.*.example.com"), Err(BadName::Star));
        assert_eq!(Name::parse("a*.example.com"), Err(BadName::Star));
        assert_eq!(Name::parse("a..example.com"), Err(BadName::Label(String::new())));
        assert_eq!(Name::parse("a b.example.com"), Err(BadName::Label("a b".into())));
        assert!(matches!(Name::parse(&format!("{}.com", "a".repeat(64))), Err(BadName::Label(_))));
        let long = format!("{}example.com", "abcdefg.".repeat(31));
        assert_eq!(Name::parse(&long), Err(BadName::TooLong(259)));
    }

    #[test]
    fn a_zone_matches_on_label_boundaries_only() {
        assert!(name("a.b.example.com").is_within(&name("example.com")));
        assert!(name("example.com").is_within(&name("example.com")));
        assert!(!name("badexample.com").is_within(&name("example.com")));
        let candidates: Vec<_> = name("*.a.example.com").zone_candidates().collect();
        assert_eq!(candidates, [name("a.example.com"), name("example.com")]);
    }

    proptest! {
        #[test]
        fn a_name_survives_being_written_and_read(text in "([a-z0-9_]{1,9}\\.){1,4}[a-z]{2,5}") {
            let once = name(&text);
            prop_assert_eq!(name(once.as_str()), once.clone());
            prop_assert_eq!(name(&once.as_str().to_uppercase()), once);
        }

        #[test]
        fn any_text_is_either_a_name_or_an_error(text in ".{0,300}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(name.as_str()), Ok(name));
            }
        }
    }
}
