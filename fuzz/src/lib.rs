//! What must hold for any bytes whatever that reach the program from outside: it does not panic, and
//! what it makes of them keeps its promises.
//!
//! Each function takes one input. libFuzzer calls them with inputs of its own making; the ordinary
//! tests call them with the seeds and with mutations of those. Deliberately unknown: where an input
//! came from.

use std::path::Path;
use std::time::{Duration, SystemTime};

use stayput::cloudflare::wire::{self, HttpAnswer};
use stayput::config::{self, Ink};
use stayput::detect::answer;
use stayput::engine::api::{Answer, Batch, Found, Patch, Post, Request};
use stayput::engine::failure::Class;
use stayput::engine::limiter::Limiter;
use stayput::engine::names::{AccountId, Content, Family, Line, Moment, Name, RecordId, Ttl, ZoneId};
use stayput::engine::settings::Budget;
use stayput::engine::time::ClockPair;
use stayput::engine::{Engine, Mode, Start};
use stayput::secret::{Kind, Secret};
use stayput::state::json;

/// A function that takes one input.
pub type Target = fn(&[u8]);

/// Every target, under the name that its seeds have.
pub const TARGETS: [(&str, Target); 5] = [
    ("configuration", configuration),
    ("address", address),
    ("api", api),
    ("state", state),
    ("secret", secret),
];

/// The longest wait that an answer can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// A configuration file.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match config::from_toml(&text, Path::new("input.toml")) {
        Ok(config) => {
            let settings = &config.settings;
            assert!(!settings.records.is_empty(), "a configuration without a record");
            for (family, sources) in &settings.sources {
                assert_eq!(sources.len(), config.sources[family].len());
                assert!(!sources.is_empty());
            }
            for (key, wanted) in &settings.records {
                assert!(settings.accounts.contains_key(&wanted.account));
                assert!(
                    settings.sources.contains_key(&Line::only(key.kind.family())),
                    "{key} can never be learned"
                );
            }
        }
        Err(mistakes) => {
            assert!(mistakes.len() > 0, "refused without a reason");
            let shown = mistakes.render(Ink::Plain);
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            for mistake in mistakes.iter() {
                assert!(!mistake.what().is_empty() && !mistake.remedy().is_empty());
            }
        }
    }
}

/// The body of a source's answer, asked for over either family.
pub fn address(bytes: &[u8]) {
    for family in Family::ALL {
        let heard = answer::parse(bytes, "echo.example", family);
        assert!(heard.is_ok() || !said(heard.clone().unwrap_err()).is_empty());
        if let Ok(address) = heard {
            assert_eq!(Family::of(address), family);
            let text = String::from_utf8_lossy(bytes);
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let whole = text.trim().parse() == Ok(address);
            let of_trace = text.lines().any(|line| {
                line.strip_prefix("ip=").is_some_and(|value| value.trim().parse() == Ok(address))
            });
            assert!(whole || of_trace, "{address} is not what the answer says");
        }
    }
}

/// An answer of Cloudflare, read as the answer to every kind of request.
pub fn api(bytes: &[u8]) {
    let noon = Moment::from_millis(43_200_000);
    for (request, answer) in answers(bytes) {
        let mut pace =
            Limiter::new(Budget { requests: 300, per: Duration::from_secs(300) }, Vec::new(), None, noon);
        pace.heed(&answer.limits, noon);
        assert!(pace.ready_at(noon) <= noon + LONGEST_WAIT, "a header can stop everything");
        assert!(answer.retry_after.is_none_or(|wait| wait <= LONGEST_WAIT), "{:?}", answer.retry_after);
        match answer.outcome {
            Ok(found) => check_found(&request, &found),
            Err(failure) => {
                assert!(!said(&failure).is_empty());
                let certain = !matches!(failure.class, Class::Unsure);
                assert!(certain || request.writes(), "only a write can have taken effect");
            }
        }
    }
}

/// What the bytes mean as an answer to each kind of request: the status on the first line, headers
/// until an empty line, the body.
pub fn answers(bytes: &[u8]) -> impl Iterator<Item = (Request, Answer)> {
    let (status, headers, body) = take_apart(bytes);
    let took = Duration::from_millis(1);
    requests().into_iter().map(move |request| {
        let answer = wire::decode(&request, &HttpAnswer { status, headers: headers.clone(), body, took });
        assert!(answer.outcome.is_err() || (200..300).contains(&status), "{status} is no success");
        (request, answer)
    })
}

/// A state file.
pub fn state(bytes: &[u8]) {
    let noon = Moment::from_millis(43_200_000);
    let clocks = ClockPair::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), noon);
    let kept = match json::read(bytes, clocks) {
        Ok(kept) => kept,
        Err(why) => return assert!(!why.is_empty(), "refused without a reason"),
    };
    let snapshot = &kept.snapshot;
    let confirmed = snapshot.addresses.values().map(|believed| believed.confirmed_at);
    let listed = snapshot.zones.values().filter_map(|zone| zone.listed_at);
    let memories = snapshot.credentials.values().chain(snapshot.by_account.values());
    let spent = memories.flat_map(|memory| memory.spent.iter().copied());
    assert!(confirmed.chain(listed).chain(spent).all(|stamp| stamp <= noon), "in the future: {snapshot:?}");
    for (line, believed) in &snapshot.addresses {
        assert_eq!(Family::of(believed.address), line.family);
    }
    let mut again = json::read(&json::file(&kept.snapshot.clone().into(), kept.hash_key, clocks), clocks)
        .expect("what was written is a state");
    // Only what is read of the first version knows budgets by account.
    again.snapshot.by_account.clone_from(&kept.snapshot.by_account);
    assert_eq!(again, kept);
    let config = "[[record]]\nname = \"home.example.com\"\n";
    let config = config::from_toml(config, Path::new("input.toml")).expect("the shortest configuration");
    let start = Start { mode: Mode::Daemon, seed: 1, eager: true, now: noon };
    let mut engine = Engine::new(config.settings, start, Some(kept.snapshot));
    let commands = std::iter::from_fn(|| engine.next_command(noon)).count();
    assert!(commands <= 4, "{commands} things to do at once");
    let _ = engine.snapshot(noon);
}

/// A text that claims to be a secret.
pub fn secret(bytes: &[u8]) {
    for kind in [Kind::Token, Kind::GlobalKey] {
        match Secret::parse(bytes, kind) {
            Ok(secret) => {
                let text = String::from_utf8_lossy(bytes);
                let text = text.trim_start_matches('\u{feff}').trim();
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                assert!(!text.is_empty() && text.bytes().all(plain), "{text:?} was taken");
                assert_eq!(format!("{secret:?}"), "…");
                let _ = secret.oddities(kind);
            }
            Err(bad) => assert!(!said(bad).is_empty()),
        }
    }
}

/// A message for people: on one line, without anything that moves a terminal's cursor.
fn said(message: impl std::fmt::Display) -> String {
    let message = message.to_string();
    assert!(!message.contains(char::is_control), "{message:?}");
    message
}

fn take_apart(bytes: &[u8]) -> (u16, Vec<(String, String)>, &[u8]) {
    let mut rest = bytes;
    let mut next = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = rest.get(end + 1..).unwrap_or_default();
        line
    };
    let status = next().trim().parse().unwrap_or(200);
    let mut headers = Vec::new();
    loop {
        let line = next();
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    (status, headers, rest)
}

fn check_found(request: &Request, found: &Found) {
    match (request, found) {
        (Request::Zones { .. }, Found::Zones(page)) => assert!(page.items.len() <= count(page.entries)),
        (Request::Records { .. } | Request::NameServers { .. }, Found::Records(page)) => {
            assert!(page.items.len() <= count(page.entries));
            assert!(page.ids.len() <= count(page.entries));
        }
        (Request::Zone(_), Found::Zone(_)) | (Request::Verify(_), Found::Token(_)) => {}
        (Request::Batch { batch, .. }, Found::Written(written)) => {
            assert_eq!(written.deleted.len(), batch.deletes.len());
            assert_eq!(written.patched.len(), batch.patches.len());
            assert_eq!(written.posted.len(), batch.posts.len());
        }
        (request, found) => panic!("{found:?} is no answer to {request:?}"),
    }
}

fn count(entries: u32) -> usize {
    usize::try_from(entries).unwrap_or(usize::MAX)
}

/// One request of each kind; the batch has one operation of each kind.
fn requests() -> [Request; 8] {
    let zone = || ZoneId::parse(&"a".repeat(32)).expect("a zone's identifier");
    let record = |digit: &str| RecordId::parse(&digit.repeat(32)).expect("a record's identifier");
    let name = || Name::parse("home.example.com").expect("a name");
    let patch = Patch {
        id: record("2"),
        name: name(),
        content: Content::A([25, 1, 1, 1].into()),
        proxied: None,
        ttl: None,
        comment: None,
        tags: None,
    };
    let post = Post {
        name: name(),
        content: Content::Aaaa([0x2a01, 1, 0, 0, 0, 0, 0, 1].into()),
        proxied: false,
        ttl: Ttl::Auto,
        comment: "stayput".into(),
        tags: Vec::new(),
    };
    let batch = Batch { deletes: vec![record("1")], patches: vec![patch], posts: vec![post] };
    [
        Request::Zones { page: 1, name: None },
        Request::Zone(zone()),
        Request::Records { zone: zone(), name: None, page: 1, per_page: 5_000 },
        Request::Records { zone: zone(), name: Some(name()), page: 2, per_page: 100 },
        Request::Batch { zone: zone(), batch },
        Request::Verify(None),
        Request::Verify(AccountId::parse(&"b".repeat(32))),
        Request::NameServers { zone: zone(), page: 1, per_page: 5_000 },
    ]
}
