//! What `check` says of what it has found: no process is needed for it.

use super::*;
use crate::cli::show::Ink;
use crate::engine::api::Answer;
use crate::engine::failure::Failure;
use crate::engine::settings::AccountName;

fn zone(plan: &str) -> ZoneInfo {
    let id = ZoneId::parse(&"a".repeat(32)).unwrap();
    let name = Name::parse("example.com").unwrap();
    ZoneInfo { plan: Some(plan.into()), ..ZoneInfo::active(id, name) }
}

/// The lines of a person, and the exit code.
fn said(fill: impl FnOnce(&mut Report)) -> (String, Exit) {
    let mut report = Report::new(Form::Text, Ink::Plain);
    fill(&mut report);
    let text = report.steps().iter().map(|step| step.shown(Ink::Plain)).collect();
    (text, report.exit(Exit::Done))
}

#[test]
fn a_token_that_may_only_read_is_told_what_it_lacks_and_none_is_told_that_it_may_edit() {
    let listed = |words: &[&str]| words.iter().map(|word| (*word).into()).collect::<Vec<Box<str>>>();
    let (text, exit) =
        said(|report| permissions(report, "example.com", Some(&listed(&["#dns_records:read"]))));
    assert!(text.starts_with("FAIL  zone"), "{text}");
    assert!(text.contains("give it Zone · DNS · Edit"), "{text}");
    assert_eq!(exit, Exit::Refused);
    for unsure in [None, Some(listed(&[])), Some(listed(&["#dns_records:read", "#dns_records:edit"]))] {
        let (text, exit) = said(|report| permissions(report, "example.com", unsure.as_deref()));
        assert!(text.starts_with("ok ") && text.contains("the first change shows"), "{text}");
        assert_eq!(exit, Exit::Done);
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_clock_is_judged_by_the_date_of_an_answer() {
    let now = BUILT_AT + 86_400;
    let seen = || Seen { dated: Some(at(now)), ..Seen::default() };
    let year = 365 * 86_400;
    for wrong in [0, now - 6 * year, now - 301, now + 301, now + 5 * year] {
        let (text, exit) = said(|report| clock(report, at(wrong), &seen()));
        assert!(text.starts_with("FAIL  clock") && text.contains("NTP"), "{text}");
        assert!(text.contains("the API dates its answers 2026-11-02T00:00:00Z"), "{text}");
        assert_eq!(exit, Exit::Partly);
    }
    for right in [now - 299, now, now + 299] {
        let (text, exit) = said(|report| clock(report, at(right), &seen()));
        assert!(text.starts_with("ok  ") && exit == Exit::Done, "{text}");
    }
}

#[test]
fn without_a_dated_answer_a_clock_is_wrong_or_not_known_to_be_right() {
    let (text, exit) = said(|report| clock(report, at(0), &Seen::default()));
    assert!(text.starts_with("FAIL  clock") && exit == Exit::Partly, "{text}");
    let later = at(BUILT_AT);
    let (text, exit) = said(|report| clock(report, later, &Seen::default()));
    assert!(text.starts_with("warn  clock") && text.contains("no answer came"), "{text}");
    assert_eq!(exit, Exit::Done);
    let failure = Failure::without_answer(Class::Clock, "it is not valid before 2027-01-01");
    let outcome = Err(failure);
    let answer = Answer { limits: Vec::new(), retry_after: None, took: Duration::ZERO, outcome };
    let answers = vec![(AccountName::default(), Request::Verify(None), answer)];
    let (text, exit) = said(|report| clock(report, later, &Seen { answers, ..Seen::default() }));
    assert!(text.starts_with("FAIL  clock") && exit == Exit::Partly, "{text}");
}

#[test]
fn sources_of_one_operator_are_named_together() {
    let source =
        |label: &str, operator: &str| Source { label: label.into(), operator: operator.into(), trace: false };
    let sources = [source("amazon", "amazon"), source("ipify", "ipify"), source("https://checkip", "amazon")];
    assert_eq!(alike(&sources), BTreeMap::from([("amazon", vec!["amazon", "https://checkip"])]));
}

#[test]
fn what_the_plan_of_a_zone_has_not_is_foreseen_once_for_all_names() {
    let text = "[[record]]\nname = [\"a.example.com\", \"b.example.com\"]\ntags = [\"x\"]\n\
                [[record]]\nname = \"c.example.com\"\nttl = \"30s\"\n\
                [[record]]\nname = \"d.example.com\"\ntags = []\nttl = \"60s\"\n";
    let config = crate::config::from_toml(text, std::path::Path::new("x.toml")).unwrap();
    let records: Vec<(&Key, &Wanted)> = config.settings.records.iter().collect();
    let lines = |plan: &str| {
        let (text, exit) = said(|report| beyond_the_plan(report, &zone(plan), &records));
        assert_eq!(exit, Exit::Done, "it is no more than a warning");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let free = lines("free");
    assert_eq!(free.len(), 4, "{free:?}");
    assert!(
        free[0].contains("a.example.com and 1 other name: example.com is a zone of the free plan"),
        "{free:?}"
    );
    assert!(free[0].contains("no tags") && free[2].contains("c.example.com: ") && free[2].contains("60s"));
    assert_eq!(lines("pro").len(), 2, "tags are in it");
    assert_eq!(lines("enterprise"), [""; 0]);
}
