//! What the headers of an answer say: how long to wait, how much is left, the answer's name.
//!
//! Everything here is lenient: a header that is absent, absurd or of a form not known yet says
//! nothing, and never makes an answer fail. Deliberately unknown: bodies, the time of day. A date is
//! only ever compared with the server's own `Date`, so a wrong local clock does no harm.

use std::time::{Duration, SystemTime};

use crate::engine::api::RateLimit;

/// The longest wait that a `Retry-After` can ask for; more is taken as this.
const MOST_WAIT: Duration = Duration::from_secs(3_600);
/// The longest window or reset that a rate limit can have; more is taken as this.
const MOST_WINDOW_SECONDS: u64 = 86_400;
/// Items of a rate-limit header that are read.
const MOST_ITEMS: usize = 16;
/// Bytes of a rate-limit header that are read.
const MOST_BYTES: usize = 2_048;

/// Header names and values of an answer.
pub type Headers = [(String, String)];

/// The values of a header, in order. Names are compared without regard to case.
fn values<'a>(headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
    headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The first value of a header.
pub fn first<'a>(headers: &'a Headers, name: &'a str) -> Option<&'a str> {
    values(headers, name).next()
}

/// The `cf-ray`, if it looks like one.
pub fn ray(headers: &Headers) -> Option<String> {
    let ray = first(headers, "cf-ray")?.trim();
    let plausible =
        (1..=64).contains(&ray.len()) && ray.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plausible.then(|| ray.to_owned())
}

/// How long `Retry-After` asks to wait, at most an hour. `None` if it does not say, or names a
/// date that cannot be compared with the answer's own or lies before it.
pub fn retry_after(headers: &Headers) -> Option<Duration> {
    let now = first(headers, "date").and_then(http_date);
    values(headers, "retry-after").filter_map(|value| wait(value.trim(), now)).max()
}

/// So many seconds to wait, at most an hour.
pub fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()).min(MOST_WAIT)
}

fn wait(value: &str, now: Option<SystemTime>) -> Option<Duration> {
    let seconds = match whole_seconds(value) {
        Some(seconds) => seconds,
        None => http_date(value)?.duration_since(now?).ok()?.as_secs(),
    };
    Some(Duration::from_secs(seconds).min(MOST_WAIT))
}

/// Seconds as a decimal number, a fraction rounded up; too many digits are the greatest number.
fn whole_seconds(value: &str) -> Option<u64> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|b| b != b'0'));
    Some(whole.parse().unwrap_or(u64::MAX).saturating_add(more))
}

/// A date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110).
pub fn http_date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value).ok()
}

/// The items of `Ratelimit`, each with the quota of the same name in `Ratelimit-Policy`.
pub fn limits(headers: &Headers) -> Vec<RateLimit> {
    let policies = items(headers, "ratelimit-policy");
    items(headers, "ratelimit")
        .into_iter()
        .filter_map(|item| {
            Some(RateLimit {
                remaining: item.capped('r')?,
                reset: item.span('t')?,
                quota: policies
                    .iter()
                    .find(|policy| policy.name == item.name)
                    .and_then(|policy| Some((policy.capped('q')?, policy.span('w')?)))
                    .filter(|(_, window)| !window.is_zero()),
            })
        })
        .collect()
}

/// One item of a structured list: a name with parameters of one letter and whole numbers.
struct Item<'a> {
    name: &'a str,
    numbers: Vec<(char, u64)>,
}

impl Item<'_> {
    fn number(&self, key: char) -> Option<u64> {
        let found = self.numbers.iter().find(|(known, _)| *known == key);
        found.map(|(_, number)| *number)
    }

    fn capped(&self, key: char) -> Option<u32> {
        let number = self.number(key)?;
        Some(u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn span(&self, key: char) -> Option<Duration> {
        let seconds = self.number(key)?.min(MOST_WINDOW_SECONDS);
        Some(Duration::from_secs(seconds))
    }
}

fn items<'a>(headers: &'a Headers, name: &'a str) -> Vec<Item<'a>> {
    values(headers, name)
        .filter(|value| value.len() <= MOST_BYTES)
        .flat_map(|value| outside_quotes(value, ','))
        .filter_map(item)
        .take(MOST_ITEMS)
        .collect()
}

fn item(text: &str) -> Option<Item<'_>> {
    let mut parts = outside_quotes(text, ';').map(str::trim);
    let name = parts.next()?.trim_matches('"');
    let numbers = parts.filter_map(|part| {
        let (key, value) = part.split_once('=')?;
        let mut letters = key.trim().chars();
        let key = letters.next().filter(|_| letters.next().is_none())?;
        let number = whole_seconds(value.trim().trim_matches('"'))?;
        Some((key.to_ascii_lowercase(), number))
    });
    let numbers: Vec<_> = numbers.take(MOST_ITEMS).collect();
    (!name.is_empty()).then_some(Item { name, numbers })
}

/// The pieces of a text between separators that are not inside double quotes.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    fn waits(value: &str) -> Option<u64> {
        let date = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        retry_after(&headers(&[date, ("Retry-After", value)])).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        assert_eq!(waits("30"), Some(30));
        assert_eq!(waits(" 0 "), Some(0));
        assert_eq!(waits("1.2"), Some(2));
        assert_eq!(waits("Mon, 23 Nov 2026 10:02:05 GMT"), Some(125));
    }

    #[test]
    fn an_absurd_retry_after_is_clamped_or_says_nothing() {
        assert_eq!(waits("99999999999999999999999999"), Some(3_600));
        assert_eq!(waits("86400"), Some(3_600));
        assert_eq!(waits("Tue, 23 Nov 2027 10:00:00 GMT"), Some(3_600));
        for nonsense in ["", "-1", "soon", "1e9", "0x10", "١٢", "1.", ".5", "30 s"] {
            assert_eq!(waits(nonsense), None, "{nonsense}");
        }
        assert_eq!(waits("Mon, 23 Nov 2026 09:59:59 GMT"), None, "in the past");
        assert_eq!(retry_after(&headers(&[])), None);
        let undated = headers(&[("retry-after", "Mon, 23 Nov 2026 10:02:05 GMT")]);
        assert_eq!(retry_after(&undated), None, "nothing to compare with");
    }

    #[test]
    fn of_two_retry_afters_the_longer_holds() {
        let two = headers(&[("retry-after", "5"), ("retry-after", "70")]);
        assert_eq!(retry_after(&two), Some(Duration::from_secs(70)));
    }

    #[test]
    fn a_date_is_read_and_what_is_none_says_nothing() {
        let days = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ];
        for (text, seconds) in days {
            assert_eq!(http_date(text), Some(UNIX_EPOCH + Duration::from_secs(seconds)), "{text}");
        }
        for wrong in [
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Thu, 29 Feb 2001 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT GMT",
            "1994-11-06T08:49:37Z",
            "",
        ] {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn limits_are_joined_with_the_policy_of_their_name() {
        let both = headers(&[
            ("Ratelimit", r#""default";r=50;t=30, "burst";r=9;t=1"#),
            ("ratelimit-policy", r#""burst";q=100;w=60,"default";q=1200;w=300"#),
        ]);
        let seconds = Duration::from_secs;
        assert_eq!(
            limits(&both),
            [
                RateLimit { remaining: 50, reset: seconds(30), quota: Some((1_200, seconds(300))) },
                RateLimit { remaining: 9, reset: seconds(1), quota: Some((100, seconds(60))) },
            ]
        );
    }

    #[test]
    fn limits_that_cannot_be_read_are_left_out_alone() {
        let mixed = headers(&[
            ("ratelimit", r#"limit=10, remaining=5, reset=3"#),
            ("ratelimit", r#""a,;b" ; R=1 ; t="2";x, "no-reset";r=3, ;r=1;t=1"#),
            ("ratelimit-policy", r#""a,;b";q=5;w=0"#),
        ]);
        let read = limits(&mixed);
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].remaining, read[0].reset.as_secs()), (1, 2));
        assert_eq!(read[0].quota, None, "a window of no length is none");
    }

    #[test]
    fn limits_have_a_limit() {
        let many = headers(&[("ratelimit", &r#""a";r=1;t=1,"#.repeat(100))]);
        assert_eq!(limits(&many).len(), MOST_ITEMS);
        let long = headers(&[("ratelimit", &format!(r#""{}";r=1;t=1"#, "a".repeat(9_999)))]);
        assert_eq!(limits(&long), []);
        let huge = headers(&[("ratelimit", r#""a";r=99999999999;t=99999999999999999999999"#)]);
        assert_eq!(limits(&huge)[0].remaining, u32::MAX);
        assert_eq!(limits(&huge)[0].reset.as_secs(), 86_400);
    }

    #[test]
    fn a_ray_that_is_none_is_not_shown() {
        let ray_of = |value| ray(&headers(&[("CF-Ray", value)]));
        assert_eq!(ray_of("8f2a1b3c4d5e6f70-FRA").as_deref(), Some("8f2a1b3c4d5e6f70-FRA"));
        assert_eq!(ray_of("a\u{1b}[31m"), None);
        assert_eq!(ray_of(""), None);
    }

    proptest! {
        #[test]
        fn any_headers_are_read_within_bounds(
            wait in ".{0,60}", date in ".{0,40}", limit in "[\"a-z0-9;=,. ]{0,200}", policy in ".{0,100}"
        ) {
            let any = headers(&[
                ("retry-after", &wait), ("date", &date), ("ratelimit", &limit), ("ratelimit-policy", &policy),
            ]);
            prop_assert!(retry_after(&any).is_none_or(|wait| wait <= MOST_WAIT));
            prop_assert!(limits(&any).len() <= MOST_ITEMS);
        }

        #[test]
        fn a_limit_that_is_written_is_read(
            name in "[a-z,;= ]{1,12}", r in any::<u32>(), t in 0u64..86_400, q in any::<u32>(), w in 1u64..86_400
        ) {
            let any = headers(&[
                ("ratelimit", &format!("\"{name}\";r={r};t={t}")),
                ("ratelimit-policy", &format!("\"{name}\";w={w};q={q}")),
            ]);
            prop_assert_eq!(limits(&any), [RateLimit {
                remaining: r,
                reset: Duration::from_secs(t),
                quota: Some((q, Duration::from_secs(w))),
            }]);
        }

        #[test]
        fn a_date_that_is_written_is_read(seconds in 0u64..4_000_000_000) {
            let date = UNIX_EPOCH + Duration::from_secs(seconds);
            prop_assert_eq!(http_date(&httpdate::fmt_http_date(date)), Some(date));
        }
    }
}
