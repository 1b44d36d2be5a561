//! Thirty days of trouble: what a seed lets go wrong, and when.
//!
//! Each kind of trouble is drawn by a generator of its own, so that leaving one out changes no other.
//! Deliberately unknown: what the program makes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use stayput::engine::names::{Family, Key};
use stayput::engine::settings::Settings;

use super::scenario::{
    Deed, Delegated, Happening, Kept, OPERATORS, OTHER_MARK, Reload, STORMY, When, elsewhere, foreign, home,
    unrelated,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What is drawn from.
struct Stage<'a> {
    keys: Vec<&'a Key>,
    zones: Vec<&'a str>,
    families: Vec<Family>,
    script: Vec<(Duration, Happening)>,
}

pub fn script<'a>(
    settings: &'a Settings,
    zones: &'a BTreeMap<String, String>,
    rng: &mut Rng,
) -> Vec<(Duration, Happening)> {
    let mut stage = Stage {
        keys: settings.records.keys().collect(),
        zones: zones.keys().map(String::as_str).collect(),
        families: settings.sources.keys().map(|line| line.family).collect(),
        script: Vec::new(),
    };
    let kinds: [fn(&mut Stage<'a>, &mut Rng); 14] = [
        Stage::moves,
        Stage::faults,
        Stage::ends_of_the_process,
        Stage::other_programs,
        Stage::small_edits,
        Stage::deeds,
        Stage::more_faults,
        Stage::reloads,
        Stage::flaps,
        Stage::wrong_agreements,
        Stage::tunnels,
        Stage::zones_come_and_go,
        Stage::rivals,
        Stage::missing_families,
    ];
    for draw in kinds {
        draw(&mut stage, &mut Rng::with_seed(rng.u64(..)));
    }
    stage.script.push((STORMY, Happening::DiskWell));
    stage.script.retain(|(at, _)| *at <= STORMY);
    stage.script.sort_by_key(|(at, _)| *at);
    stage.script
}

fn any_time(rng: &mut Rng) -> Duration {
    Duration::from_millis(rng.u64(1_000..1_000 * STORMY.as_secs()))
}

fn between(rng: &mut Rng, least: Duration, most: Duration) -> Duration {
    least + (most - least).mul_f64(rng.f64())
}

fn one<T: Copy>(of: &[T], rng: &mut Rng) -> T {
    of[rng.usize(..of.len())]
}

impl Stage<'_> {
    fn add(&mut self, at: Duration, what: Happening) {
        self.script.push((at.min(STORMY), what));
    }

    fn key(&self, rng: &mut Rng) -> Key {
        one(&self.keys, rng).clone()
    }

    fn moves(&mut self, rng: &mut Rng) {
        for number in 0..rng.u16(5..40) {
            let family = Family::ALL[usize::from(number % 2)];
            self.add(any_time(rng), Happening::Address(family, Some(home(family, number + 1))));
        }
    }

    /// The home gets a new address at some time in between.
    fn move_between(&mut self, begin: Duration, end: Duration, rng: &mut Rng) {
        let family = one(&Family::ALL, rng);
        let at = between(rng, begin, end.max(begin));
        self.add(at, Happening::Address(family, Some(home(family, rng.u16(50..250)))));
        if rng.bool() {
            self.add(at + Duration::from_millis(rng.u64(10..3_000)), Happening::Hint);
        }
    }

    fn faults(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(8..20) {
            let fault = fault(&self.keys, rng);
            self.fault(fault, rng);
        }
    }

    fn more_faults(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(4..16) {
            let zone = one(&self.zones, rng);
            let fault = fault_of_the_repairs(zone, rng);
            self.fault(fault, rng);
        }
    }

    fn fault(&mut self, (text, name, longest): (String, &'static str, u64), rng: &mut Rng) {
        let begin = any_time(rng);
        let end = (begin + Duration::from_secs(rng.u64(5..longest))).min(STORMY);
        self.add(begin, Happening::Fault(text));
        self.add(end, Happening::Over(name));
        // A fault matters most when something changes meanwhile.
        for _ in 0..(if name.starts_with("lost") { 6 } else { rng.usize(..3) }) {
            self.move_between(begin, end, rng);
        }
    }

    fn ends_of_the_process(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(2..6) {
            self.add(any_time(rng), Happening::Crash);
        }
        for _ in 0..rng.usize(..2) {
            self.add(any_time(rng), Happening::Restart);
        }
        if rng.u8(0..6) == 0 {
            let begin = any_time(rng);
            for turn in 0..rng.u32(10..60) {
                self.add(begin + MINUTE * turn / 4, Happening::Crash);
            }
            self.move_between(begin, begin + 15 * MINUTE, rng);
        }
        if rng.u8(0..3) == 0 {
            let begin = any_time(rng);
            self.add(begin, Happening::DiskFull);
            self.add(begin + Duration::from_secs(rng.u64(60..200_000)), Happening::DiskWell);
        }
    }

    fn other_programs(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(..4) {
            let at = any_time(rng);
            self.add(at, Happening::OthersSpend(rng.u32(1_000..1_200)));
            self.move_between(at, at + MINUTE, rng);
        }
        if rng.bool() {
            self.add(any_time(rng), Happening::Refresh);
        }
        if rng.u8(0..5) == 0 {
            let begin = any_time(rng);
            for turn in 0..45 {
                self.add(begin + Duration::from_secs(turn), Happening::Refresh);
            }
            self.move_between(begin, begin + MINUTE, rng);
        }
        if rng.u8(0..4) == 0 {
            let begin = any_time(rng);
            self.add(begin, Happening::Revoked);
            self.add(begin + Duration::from_secs(rng.u64(60..100_000)), Happening::Rotated);
        }
    }

    /// What happens to records that are not ours, and what a refresh repairs.
    fn small_edits(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(2..12) {
            let key = self.key(rng);
            let deed = match rng.u8(0..4) {
                0 => Deed::Delete,
                1 => Deed::Content(foreign(key.kind.family(), 50)),
                2 => Deed::Proxied(rng.bool()),
                _ => {
                    let zone = one(&self.zones, rng);
                    let name = format!("late{}.{zone}", rng.u32(..));
                    let body = unrelated(&name, rng);
                    self.add(any_time(rng), Happening::Unrelated(zone.to_owned(), body));
                    continue;
                }
            };
            self.add(any_time(rng), Happening::Deed(When::Now, key, deed));
        }
    }

    /// What people, products and other instances do to records under managed names.
    fn deeds(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(4..24) {
            let (key, at) = (self.key(rng), any_time(rng));
            let number = rng.u16(..300);
            let deed = match rng.u8(0..18) {
                0 | 1 => Deed::Rename("elsewhere"),
                2 => Deed::Rename("n0"),
                3 => Deed::BecomeAlias,
                4 => Deed::BecomeText,
                5 | 6 => Deed::Comment(OTHER_MARK),
                7 => Deed::Comment(""),
                8 => Deed::Comment("ask Kim before changing"),
                9 => Deed::Mark,
                10 | 11 => Deed::Beside(foreign(key.kind.family(), number), None),
                12 => Deed::Beside(foreign(key.kind.family(), number), Some("second line, by hand")),
                13 => Deed::Beside(home(key.kind.family(), number), None),
                14 => Deed::Manage,
                15 => Deed::Delegate,
                16 => Deed::Delete,
                _ => Deed::Thin,
            };
            let when = match deed {
                Deed::Thin => When::BetweenPages,
                _ => one(&[When::Now, When::Now, When::Now, When::AfterList, When::BeforeWrite], rng),
            };
            self.add(at, Happening::Deed(when, key.clone(), deed.clone()));
            if rng.bool() {
                self.move_between(at, at + HOUR * rng.u32(1..6), rng);
            }
            // Our address becomes the one that somebody has just given to a record beside ours.
            if let Deed::Beside(address, _) = deed {
                if rng.bool() {
                    let then = at + between(rng, MINUTE, 12 * HOUR);
                    self.add(then, Happening::Address(key.kind.family(), Some(address)));
                    self.move_between(then + MINUTE, then + 24 * HOUR, rng);
                }
            }
            let undone = match deed {
                Deed::Manage => Some(Deed::Release),
                Deed::Delegate | Deed::BecomeAlias => Some(Deed::Clear),
                _ => None,
            };
            if let Some(undone) = undone.filter(|_| rng.u8(0..4) > 0) {
                let then = at + between(rng, MINUTE, 48 * HOUR);
                self.add(then, Happening::Deed(When::Now, key, undone));
            }
        }
    }

    fn reloads(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(1..6) {
            let at = any_time(rng);
            let reload = match rng.u8(0..11) {
                0 | 1 => Reload::Less,
                2 => Reload::All,
                3 => Reload::MoreDeletes,
                4 | 5 => Reload::Options,
                6 => Reload::Owner(Some("attic")),
                7 => Reload::Owner(one(&[None, Some("cellar-2")], rng)),
                8 => Reload::Every(one(&[300, 600, 900], rng)),
                9 => Reload::Nothing,
                _ => Reload::Rename(""),
            };
            if reload != Reload::Rename("") {
                self.add(at, Happening::Reload(reload));
                continue;
            }
            let names = ["one", "two", "three"];
            for turn in 0..one(&[1, 2, 2, 30], rng) {
                let reload = Reload::Rename(names[turn % names.len()]);
                self.add(at + Duration::from_secs(turn as u64), Happening::Reload(reload));
            }
        }
    }

    /// A line that goes back and forth, and a fail-over that comes back.
    fn flaps(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(..4) {
            let (family, begin) = (one(&self.families, rng), any_time(rng));
            let (one_side, other_side) = (home(family, rng.u16(..120)), home(family, rng.u16(120..250)));
            let period = Duration::from_secs(one(&[20, 90, 240, 550, 700, 1_500], rng));
            let turns = one(&[2, 2, 3, 8, 40], rng);
            let gone = rng.u8(0..3) == 0;
            for turn in 0..turns {
                let at = begin + period * turn;
                let side = if turn % 2 == 0 { one_side } else { other_side };
                self.add(at, Happening::Address(family, Some(side)));
                self.add(at + Duration::from_millis(200), Happening::Hint);
                if gone {
                    self.add(at + Duration::from_millis(100), Happening::WayOutGone(family));
                }
            }
            let inside = period * turns.min(4);
            match rng.u8(0..4) {
                0 => self.add(begin + inside, Happening::Crash),
                1 => self.add(begin + inside, Happening::Refresh),
                _ => {}
            }
        }
    }

    fn wrong_agreements(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(..3) {
            let (family, begin) = (one(&self.families, rng), any_time(rng));
            let end = begin + between(rng, MINUTE, 3 * HOUR);
            let lie = elsewhere(family, rng.u16(..30));
            for operator in &OPERATORS[..2] {
                self.add(begin, Happening::Fault(format!("lie={operator}@{lie}")));
            }
            self.add(begin, Happening::Hint);
            self.add(end, Happening::Over("lie"));
            self.add(end, Happening::Hint);
        }
    }

    fn tunnels(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(..3) {
            let begin = any_time(rng);
            let end = begin + between(rng, MINUTE, 24 * HOUR);
            for family in Family::ALL {
                let exit = elsewhere(family, rng.u16(40..80));
                self.add(begin, Happening::Fault(format!("address={exit}")));
            }
            self.add(begin, Happening::Fault("warp".to_owned()));
            self.add(begin, Happening::Hint);
            self.add(end, Happening::Over("warp"));
            self.add(end, Happening::Over("address"));
            self.add(end, Happening::Hint);
        }
    }

    fn zones_come_and_go(&mut self, rng: &mut Rng) {
        let zone = one(&self.zones, rng).to_owned();
        let child = format!("sub.{zone}");
        for _ in 0..rng.usize(..3) {
            let begin = any_time(rng);
            match rng.u8(0..6) {
                0 | 1 => {
                    let delegated = one(&[Delegated::Not, Delegated::InTheParent], rng);
                    self.add(begin, Happening::ZoneAppears(child.clone(), delegated));
                    if rng.bool() {
                        let end = begin + between(rng, HOUR, 100 * HOUR);
                        self.add(end, Happening::ZoneGone(child.clone()));
                    }
                }
                2 | 3 => {
                    let kept = one(&[Kept::Nothing, Kept::Records], rng);
                    self.add(begin, Happening::ZoneRecreated(zone.clone(), kept));
                }
                4 => {
                    let status = one(&["moved", "pending"], rng);
                    self.add(begin, Happening::Twin(zone.clone(), status));
                }
                _ => {
                    self.add(begin, Happening::Status(zone.clone(), one(&["moved", "pending"], rng)));
                    let end = begin + between(rng, HOUR, 100 * HOUR);
                    self.add(end, Happening::Status(zone.clone(), "active"));
                }
            }
            self.move_between(begin, begin + 24 * HOUR, rng);
        }
        self.add(STORMY, Happening::Status(zone, "active"));
    }

    /// Another host with the same configuration writes its own address again and again.
    fn rivals(&mut self, rng: &mut Rng) {
        if rng.u8(0..3) > 0 {
            return;
        }
        let (key, begin) = (self.key(rng), any_time(rng));
        let theirs = foreign(key.kind.family(), 60);
        let pause = between(rng, 10 * MINUTE, 8 * HOUR);
        for turn in 0..rng.u32(3..30) {
            let deed = Deed::Content(theirs);
            self.add(begin + pause * turn, Happening::Deed(When::Now, key.clone(), deed));
        }
        self.move_between(begin, begin + 24 * HOUR, rng);
    }

    /// A host loses a family, and gets it back.
    fn missing_families(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(..2) {
            let (family, begin) = (one(&Family::ALL, rng), any_time(rng));
            let end = begin + between(rng, MINUTE, 72 * HOUR);
            self.script.retain(|(at, what)| {
                !(begin..=end).contains(at) || !matches!(what, Happening::Address(of, _) if *of == family)
            });
            self.add(begin, Happening::Address(family, None));
            self.add(end, Happening::Address(family, Some(home(family, rng.u16(..250)))));
            self.add(end, Happening::Hint);
        }
    }
}

/// A fault as text, its name, and how many seconds it lasts at most.
fn fault(keys: &[&Key], rng: &mut Rng) -> (String, &'static str, u64) {
    let percent = one(&[10, 30, 60, 100], rng);
    let operator = one(&OPERATORS, rng);
    let now_and_then = |name: &'static str, longest| (format!("{name}:{percent}%"), name, longest);
    match rng.u8(0..24) {
        0 => (format!("throttle:{percent}%=120"), "throttle", 7_200),
        1 => (format!("throttle:{percent}%=none"), "throttle", 7_200),
        2 => (format!("throttle:{percent}%=date"), "throttle", 7_200),
        3 => ("throttle:2=99999999999".to_owned(), "throttle", 7_200),
        4 => (format!("html:{percent}%=520"), "html", 36_000),
        5 => (format!("edge-code:{percent}%=1015"), "edge-code", 7_200),
        6 => now_and_then("redirect", 7_200),
        7 | 8 => now_and_then("lost-reply", 36_000),
        9 => now_and_then("lost-request", 36_000),
        10 => (format!("delay:{percent}%={}s", one(&[25, 90], rng)), "delay", 7_200),
        11 => now_and_then("garbage", 7_200),
        12 => now_and_then("truncated", 7_200),
        13 => now_and_then("cut", 7_200),
        14 => now_and_then("unsuccessful", 7_200),
        15 => now_and_then("null-result", 7_200),
        16 => now_and_then("spurious-403", 36_000),
        17 => (format!("refuse={}", keys[rng.usize(..keys.len())].name), "refuse", 400_000),
        18 => now_and_then("full", 36_000),
        19 => ("offline".to_owned(), "offline", 100_000),
        20 => {
            let liar = one(&OPERATORS, rng);
            (format!("lie={liar}@{}", elsewhere(one(&Family::ALL, rng), 31)), "lie", 200_000)
        }
        21 => ("echo-html".to_owned(), "echo-html", 100_000),
        22 => (format!("echo-down={operator}"), "echo-down", 200_000),
        _ => (format!("flap={}s", rng.u32(60..2_000)), "flap", 20_000),
    }
}

/// As [`fault`], what 0.1.0 did not stand.
fn fault_of_the_repairs(zone: &str, rng: &mut Rng) -> (String, &'static str, u64) {
    let percent = one(&[10, 30, 60, 100], rng);
    let seconds = one(&[30, 300, 1_800, 7_200], rng);
    match rng.u8(0..16) {
        0 | 1 => {
            let status = one(&[500, 502, 503, 504, 520, 522], rng);
            (format!("problem:{percent}%={status}@{seconds}"), "problem", 36_000)
        }
        2 => (format!("retry-after={seconds}"), "retry-after", 400_000),
        3 | 4 => ("lost-write".to_owned(), "lost-write", 36_000),
        5 => (format!("lost-write={}", one(&[200, 400, 1_400], rng)), "lost-write", 200_000),
        6..=10 => {
            let how = one(&["empty", "short", "twice", "overlap", "gap", "null"], rng);
            (format!("false-list:{percent}%={how}"), "false-list", 100_000)
        }
        11 => (format!("stale-list={}", rng.u8(1..6)), "stale-list", 200_000),
        12 => ("refuse-search".to_owned(), "refuse-search", 200_000),
        13 => (format!("refuse-zone={zone}"), "refuse-zone", 200_000),
        14 => ("revoked".to_owned(), "revoked", 100_000),
        _ => ("dns-only".to_owned(), "dns-only", 400_000),
    }
}
