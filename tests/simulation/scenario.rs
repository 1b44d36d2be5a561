//! What a seed makes: a configuration, the zones, and when what goes wrong.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Value, json};
use stayput::engine::names::{Family, Key, Name, Ttl, ZoneId};
use stayput::engine::settings::{
    Account, AccountName, Beside, Budget, OnExit, Options, Settings, Source, Wanted, ZoneHint,
};
use stayput::sandbox::{MADE_UP, NewZone, World, WorldOptions};

/// Faults last until here; then everything is well for two days.
pub const STORMY: Duration = Duration::from_secs(30 * 86_400);
/// The end.
pub const END: Duration = Duration::from_secs(32 * 86_400);

/// What a lying operator says.
pub const LIE: &str = "25.9.9.9";

const OPERATORS: [&str; 3] = ["cloudflare", "amazon", "ipify"];

/// Everything that a seed decides in advance.
pub struct Scenario {
    pub seed: u64,
    pub settings: Settings,
    pub world: World,
    /// Zone name → identifier.
    pub zones: BTreeMap<String, String>,
    pub script: Vec<(Duration, Happening)>,
    pub has_disk: bool,
}

/// Something that happens to the world, or to the program.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A fault begins; it is written as for `--fault`.
    Fault(String),
    /// A fault ends.
    Over(&'static str),
    Address(Family, IpAddr),
    /// A person adds something that is not ours to care about.
    Unrelated(String, Value),
    /// A person deletes the record of a managed name.
    Deleted(Key),
    /// A person changes the content of the record of a managed name.
    Edited(Key, IpAddr),
    /// A person turns the proxy on or off, or changes the comment of a record that is not marked.
    Decorated(Key, Value),
    Crash,
    Reload,
    Refresh,
    DiskFull,
    DiskWell,
    /// Another program of the user has used up most of the user's limit.
    OthersSpend(u32),
    /// The token is revoked, and some time later another is put in its place.
    Revoked,
    Rotated,
}

impl Scenario {
    pub fn of(seed: u64) -> Scenario {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5ca1_ab1e);
        let options = WorldOptions { seed, ..WorldOptions::default() };
        let mut world = World::new(options);
        let mut zones = BTreeMap::new();
        for number in 0..rng.usize(1..4) {
            let name = format!("zone{number}.example");
            let id = world.add_zone(NewZone::named(&name));
            zones.insert(name, id);
        }
        for family in Family::ALL {
            world.addresses.change(family, Some(address(family, 0)));
        }
        let settings = settings(&zones, &mut rng);
        populate(&mut world, &zones, &settings, &mut rng);
        let script = script(&settings, &zones, &mut rng);
        Scenario { seed, settings, world, zones, script, has_disk: rng.u8(..) > 40 }
    }
}

/// The n-th address of the home. Nobody's.
pub fn address(family: Family, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    match family {
        Family::V4 => Ipv4Addr::new(25, 1, high, low).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x1000 + number).into(),
    }
}

fn settings(zones: &BTreeMap<String, String>, rng: &mut fastrand::Rng) -> Settings {
    let owner = rng.bool().then(|| "attic".into());
    let families: &[Family] = match rng.u8(0..6) {
        0 => &[Family::V4],
        1 => &[Family::V6],
        _ => &Family::ALL,
    };
    let mut records = BTreeMap::new();
    for (zone, id) in zones {
        let hint = match rng.u8(0..4) {
            0 => ZoneHint::Id(ZoneId::parse(id).unwrap(), None),
            1 => ZoneHint::Named(Name::parse(zone).unwrap()),
            _ => ZoneHint::Find,
        };
        for number in 0..rng.usize(1..6) {
            let options = options(owner.is_some(), rng);
            let name = Name::parse(&format!("n{number}.{zone}")).unwrap();
            for family in families {
                let key = Key { name: name.clone(), family: *family };
                let wanted =
                    Wanted { account: AccountName::default(), zone: hint.clone(), options: options.clone() };
                records.insert(key, wanted);
            }
        }
    }
    let budget = Budget { requests: [6, 20, 60, 300][rng.usize(..4)], per: Duration::from_secs(300) };
    let refresh = Duration::from_secs(3600 * [1, 6, 6, 6, 12, 24, 24, 24][rng.usize(..8)]);
    let source =
        |operator: &&str| Source { label: (*operator).into(), operator: (*operator).into(), trace: false };
    let sources = families.iter().map(|family| (*family, OPERATORS.iter().map(source).collect()));
    Settings {
        accounts: [(AccountName::default(), Account { credential: Default::default(), budget, refresh })]
            .into(),
        sources: sources.collect(),
        every: Duration::from_secs(60 * [5, 5, 5, 10][rng.usize(..4)]),
        agree: 2,
        allow: MADE_UP.to_vec(),
        records,
        owner,
        max_deletes: rng.usize(0..8),
        on_exit: if rng.bool() { OnExit::Keep } else { OnExit::Delete },
        tunnel: Default::default(),
    }
}

pub fn options(owned: bool, rng: &mut fastrand::Rng) -> Options {
    let beside = match rng.u8(0..8) {
        0 => Beside::Nobody,
        1 if owned => Beside::Others,
        _ => Beside::Tolerated,
    };
    let rarely = |rng: &mut fastrand::Rng| rng.u8(0..4) == 0;
    Options {
        proxied: rarely(rng).then(|| rng.bool()),
        ttl: rarely(rng).then(|| if rng.bool() { Ttl::Auto } else { Ttl::Seconds(rng.u32(60..600)) }),
        comment: rarely(rng).then(|| "from the attic".into()),
        // The simulated zones are on the free plan, which has no tags: such a record is refused.
        tags: (rng.u8(0..40) == 0).then(|| vec!["door:front".into()]),
        beside,
    }
}

/// What the zones hold at the beginning.
fn populate(
    world: &mut World,
    zones: &BTreeMap<String, String>,
    settings: &Settings,
    rng: &mut fastrand::Rng,
) {
    for (zone, id) in zones {
        for number in 0..rng.usize(0..60) {
            let body = unrelated(&format!("u{number}.{zone}"), rng);
            let _ = world.add_record(id, &body);
        }
    }
    for key in settings.records.keys() {
        let zone = zones.iter().find(|(zone, _)| key.name.is_within(&Name::parse(zone).unwrap())).unwrap().1;
        let comments =
            [None, None, Some("stayput"), Some("stayput/attic"), Some("stayput/cellar"), Some("by hand")];
        for number in 0..[0, 0, 1, 1, 1, 1, 2, 3][rng.usize(..8)] {
            let content =
                if rng.u8(0..4) == 0 { address(key.family, 0) } else { address(key.family, 900 + number) };
            let body = json!({
                "type": key.family.record_type(),
                "name": key.name.as_str(),
                "content": content.to_string(),
                "proxied": rng.u8(0..4) == 0,
                "ttl": if rng.bool() { 1 } else { 300 },
                "comment": comments[rng.usize(..comments.len())],
            });
            let _ = world.add_record(zone, &body);
        }
        if rng.u8(0..30) == 0 {
            let body = json!({"type": "CNAME", "name": key.name.as_str(), "content": "elsewhere.example"});
            let _ = world.add_record(zone, &body);
        }
    }
}

fn unrelated(name: &str, rng: &mut fastrand::Rng) -> Value {
    match rng.u8(0..4) {
        0 => json!({"type": "TXT", "name": name, "content": "\"v=spf1 -all\""}),
        1 => json!({"type": "CNAME", "name": name, "content": "elsewhere.example"}),
        2 => {
            json!({"type": "AAAA", "name": name, "content": address(Family::V6, 700).to_string(), "comment": "stayput"})
        }
        _ => json!({"type": "A", "name": name, "content": address(Family::V4, 700).to_string(), "ttl": 120}),
    }
}

/// Thirty days of trouble.
fn script(
    settings: &Settings,
    zones: &BTreeMap<String, String>,
    rng: &mut fastrand::Rng,
) -> Vec<(Duration, Happening)> {
    let mut script = Vec::new();
    let keys: Vec<&Key> = settings.records.keys().collect();
    let any_time = |rng: &mut fastrand::Rng| Duration::from_secs(rng.u64(1..STORMY.as_secs()));
    for number in 0..rng.u16(5..40) {
        let family = Family::ALL[usize::from(number % 2)];
        script.push((any_time(rng), Happening::Address(family, address(family, number + 1))));
    }
    for _ in 0..rng.usize(8..25) {
        let (text, name, longest) = fault(&keys, rng);
        let begin = any_time(rng);
        let end = (begin + Duration::from_secs(rng.u64(5..longest))).min(STORMY);
        script.push((begin, Happening::Fault(text)));
        script.push((end, Happening::Over(name)));
        // A fault matters most when something changes meanwhile.
        for _ in 0..(if name == "lost-reply" { 6 } else { rng.usize(..2) }) {
            let family = Family::ALL[rng.usize(..2)];
            let inside = begin + (end.saturating_sub(begin)).mul_f64(rng.f64());
            script.push((inside, Happening::Address(family, address(family, rng.u16(100..800)))));
        }
    }
    for _ in 0..rng.usize(2..12) {
        let key = keys[rng.usize(..keys.len())].clone();
        let happening = match rng.u8(0..4) {
            0 => Happening::Deleted(key),
            1 => {
                let content = address(key.family, 950);
                Happening::Edited(key, content)
            }
            2 => Happening::Decorated(key, json!({"proxied": rng.bool()})),
            _ => {
                let zone = zones.keys().nth(rng.usize(..zones.len())).unwrap();
                let name = format!("late{}.{zone}", rng.u32(..));
                Happening::Unrelated(zone.clone(), unrelated(&name, rng))
            }
        };
        script.push((any_time(rng), happening));
    }
    for _ in 0..rng.usize(2..6) {
        script.push((any_time(rng), Happening::Crash));
    }
    for _ in 0..rng.usize(1..4) {
        script.push((any_time(rng), Happening::Reload));
    }
    for _ in 0..rng.usize(..3) {
        script.push((any_time(rng), Happening::OthersSpend(rng.u32(1_000..1_200))));
    }
    if rng.bool() {
        script.push((any_time(rng), Happening::Refresh));
    }
    if rng.u8(0..3) == 0 {
        let begin = any_time(rng);
        script.push((begin, Happening::DiskFull));
        script.push(((begin + Duration::from_secs(rng.u64(60..200_000))).min(STORMY), Happening::DiskWell));
    }
    if rng.u8(0..4) == 0 {
        let begin = any_time(rng);
        script.push((begin, Happening::Revoked));
        script.push(((begin + Duration::from_secs(rng.u64(60..100_000))).min(STORMY), Happening::Rotated));
    }
    script.push((STORMY, Happening::DiskWell));
    script.sort_by_key(|(at, _)| *at);
    script
}

/// A fault as text, its name, and how many seconds it lasts at most.
fn fault(keys: &[&Key], rng: &mut fastrand::Rng) -> (String, &'static str, u64) {
    let percent = [10, 30, 60, 100][rng.usize(..4)];
    let operator = OPERATORS[rng.usize(..3)];
    let one = |name: &'static str, longest| (format!("{name}:{percent}%"), name, longest);
    match rng.u8(0..24) {
        0 => (format!("throttle:{percent}%=120"), "throttle", 7_200),
        1 => (format!("throttle:{percent}%=none"), "throttle", 7_200),
        2 => (format!("throttle:{percent}%=date"), "throttle", 7_200),
        3 => ("throttle:2=99999999999".to_owned(), "throttle", 7_200),
        4 => (format!("html:{percent}%=520"), "html", 36_000),
        5 => (format!("edge-code:{percent}%=1015"), "edge-code", 7_200),
        6 => one("redirect", 7_200),
        7 | 8 => one("lost-reply", 36_000),
        9 => one("lost-request", 36_000),
        10 => (format!("delay:{percent}%=90s"), "delay", 7_200),
        11 => one("garbage", 7_200),
        12 => one("truncated", 7_200),
        13 => one("cut", 7_200),
        14 => one("unsuccessful", 7_200),
        15 => one("null-result", 7_200),
        16 => one("spurious-403", 36_000),
        17 => (format!("refuse={}", keys[rng.usize(..keys.len())].name), "refuse", 400_000),
        18 => one("full", 36_000),
        19 => ("offline".to_owned(), "offline", 100_000),
        20 => (format!("lie={}@{LIE}", OPERATORS[2]), "lie", 200_000),
        21 => ("echo-html".to_owned(), "echo-html", 100_000),
        22 => (format!("echo-down={operator}"), "echo-down", 200_000),
        _ => (format!("flap={}s", rng.u32(60..2_000)), "flap", 20_000),
    }
}
