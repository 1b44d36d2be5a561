//! What the program says: nothing again and again, and nothing false.
//!
//! Deliberately unknown: what is wrong.

use std::collections::{BTreeMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::net::IpAddr;
use std::time::Duration;

use stayput::engine::notice::{Notice, Problem, Severity};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// What lasts is said again after this time, and then daily.
const FIRST_REMINDER: Duration = Duration::from_secs(6 * 3_600);
/// How often one thing may be said to be wrong, or well again, in an hour and in a day.
const MOST: (usize, usize) = (6, 60);

/// What a trouble is about: its kind, and the name, zone or account.
type Subject = (Discriminant<Problem>, String);

#[derive(Default)]
pub struct Messages {
    said: BTreeMap<String, VecDeque<Duration>>,
    reminded: Vec<(Subject, Duration)>,
    /// When a refused credential was last said, which stands for what its zones refuse.
    credential: Option<Duration>,
}

impl Messages {
    /// Takes in a message. `holds`: whether Cloudflare has last said that a record of ours has an address.
    pub fn take(&mut self, notice: &Notice, holds: impl Fn(IpAddr) -> bool, now: Duration) {
        let text = notice.to_string();
        if let Some(address) = stays_published(&text) {
            assert!(holds(address), "{address} is said to stay published, and is not: {text}");
        }
        match notice {
            Notice::StillWrong(trouble, age) => self.check_reminder(trouble, *age, now),
            Notice::Problem(trouble) | Notice::Again(trouble, _) | Notice::Well(trouble, _) => {
                let subject = subject(trouble);
                self.reminded.retain(|(known, _)| *known != subject);
                if matches!(trouble, Problem::Credential(..)) {
                    self.credential = Some(now);
                }
                let well = if matches!(notice, Notice::Well(..)) { "well" } else { "wrong" };
                self.check_often(format!("{subject:?} {well}"), &text, now);
            }
            _ if notice.severity() >= Severity::Warning => self.check_often(text.clone(), &text, now),
            _ => {}
        }
    }

    fn check_often(&mut self, kind: String, text: &str, now: Duration) {
        let times = self.said.entry(kind).or_default();
        times.push_back(now);
        times.retain(|at| now.saturating_sub(*at) <= DAY);
        let in_an_hour = times.iter().filter(|at| now.saturating_sub(**at) <= HOUR).count();
        assert!(in_an_hour <= MOST.0, "said {in_an_hour} times in an hour: {text}");
        assert!(times.len() <= MOST.1, "said {} times in a day: {text}", times.len());
    }

    fn check_reminder(&mut self, trouble: &Problem, age: Duration, now: Duration) {
        // What comes and goes is not said when it begins, and so after ten minutes.
        let least = FIRST_REMINDER.min(Duration::from_secs(600));
        assert!(age >= least, "reminded after {age:?}: {trouble}");
        let subject = subject(trouble);
        let before = self.reminded.iter().find(|(known, _)| *known == subject);
        let since = self.credential.filter(|_| matches!(trouble, Problem::ZoneRefused(..)));
        let often = before.is_some_and(|(_, at)| {
            now.saturating_sub(*at) < FIRST_REMINDER && since.is_none_or(|said| said < *at)
        });
        assert!(!often, "reminded twice within {FIRST_REMINDER:?}: {trouble}");
        self.reminded.retain(|(known, _)| *known != subject);
        self.reminded.push((subject, now));
    }

    /// The process begins anew, and has said nothing yet.
    pub fn forget(&mut self) {
        self.said.clear();
        self.reminded.clear();
        self.credential = None;
    }
}

fn subject(trouble: &Problem) -> Subject {
    let about = match trouble {
        Problem::Silence { line, .. }
        | Problem::Unconfirmed { line, .. }
        | Problem::Flapping { line, .. }
        | Problem::Tunnelled { line, .. }
        | Problem::Lost { line, .. } => line.to_string(),
        Problem::Obstacle(key, _) | Problem::Parked { key, .. } | Problem::Fight(key, _) => key.to_string(),
        Problem::NoZone(_, name) | Problem::Ambiguous(_, name, _) | Problem::Outside(name, _) => {
            name.to_string()
        }
        Problem::Contradictory(zone, _) | Problem::ZoneRefused(zone, _) => zone.to_string(),
        Problem::OddZone(zone) => zone.id.to_string(),
        Problem::Credential(account, ..)
        | Problem::SearchRefused(account, ..)
        | Problem::Api(account, _)
        | Problem::Throttled(account, _)
        | Problem::Spent(account, ..) => account.to_string(),
        Problem::Waits(account, zone, _) => format!("{account} {zone:?}"),
        Problem::TooManyDeletes { .. } => String::new(),
    };
    (discriminant(trouble), about)
}

/// The address of which a message says that it stays published.
fn stays_published(text: &str) -> Option<IpAddr> {
    let before = text.split_once(" stays published")?.0;
    before.rsplit(' ').next()?.parse().ok()
}
