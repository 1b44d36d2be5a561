//! What a seed makes: a configuration, the zones, and when what goes wrong.
//!
//! Deliberately unknown: the engine, and what is right.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::{Value, json};
use stayput::engine::names::{Family, Key, Line, Name, Ttl, ZoneId};
use stayput::engine::settings::{
    Account, AccountName, Beside, Budget, OnExit, Options, Settings, Source, Wanted, ZoneHint,
};
use stayput::sandbox::{MADE_UP, NewZone, Plan, World, WorldOptions};

use super::trouble;

/// Faults last until here; then everything is well for two days.
pub const STORMY: Duration = Duration::from_secs(30 * 86_400);
/// The end.
pub const END: Duration = Duration::from_secs(32 * 86_400);

pub const OPERATORS: [&str; 3] = ["cloudflare", "amazon", "ipify"];
/// Another source of the first operator.
pub const SECOND_OF_CLOUDFLARE: &str = "cloudflare-2";

/// The mark of another instance that works in the same zones.
pub const OTHER_MARK: &str = "stayput/cellar";

/// Everything that a seed decides in advance.
pub struct Scenario {
    pub seed: u64,
    pub settings: Settings,
    pub world: World,
    /// Which secret each account has.
    pub secrets: BTreeMap<AccountName, usize>,
    pub script: Vec<(Duration, Happening)>,
    pub has_disk: bool,
}

/// Something that happens to the world, or to the program.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A fault begins; it is written as for `--fault`.
    Fault(String),
    /// A fault of this name ends.
    Over(&'static str),
    /// The home's address changes; `None`: the home has none of this family, and the kernel says so.
    Address(Family, Option<IpAddr>),
    /// The kernel tells of a change, so that it is looked at once.
    Hint,
    /// The kernel says that the way out with the published address is gone.
    WayOutGone(Family),
    /// A person adds something that is not ours to care about.
    Unrelated(String, Value),
    /// Somebody does something to a managed name.
    Deed(When, Key, Deed),
    /// A zone of this name appears, perhaps with a delegation in the one above it.
    ZoneAppears(String, Delegated),
    /// The zone of this name that appeared last is removed.
    ZoneGone(String),
    /// A zone is removed and made anew, under another identifier; with its records or empty.
    ZoneRecreated(String, Kept),
    /// A second zone of a name in another account, with this status.
    Twin(String, &'static str),
    /// The status of a zone changes.
    Status(String, &'static str),
    /// The process is killed.
    Crash,
    /// The process is stopped by SIGTERM, and another one begins.
    Restart,
    Reload(Reload),
    /// SIGUSR1.
    Refresh,
    DiskFull,
    DiskWell,
    /// Another program of the user has used up so much of the user's limit.
    OthersSpend(u32),
    /// The tokens are revoked, and some time later others are put in their place.
    Revoked,
    Rotated,
}

/// When a deed is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Now,
    /// Right after the next list of the zone was answered.
    AfterList,
    /// Right before the next write in the zone is carried out.
    BeforeWrite,
    /// After the next page of the zone that is not the last.
    BetweenPages,
}

/// What somebody does to the records of a name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Delete,
    Content(IpAddr),
    Proxied(bool),
    /// Gives the record this comment.
    Comment(&'static str),
    /// Gives the record the mark of the configured instance.
    Mark,
    /// Renames the record within its zone: this label before the zone's name.
    Rename(&'static str),
    /// Makes a CNAME of the record, and deletes what stands beside it.
    BecomeAlias,
    /// Makes a TXT record of the record.
    BecomeText,
    /// Adds a record beside it.
    Beside(IpAddr, Option<&'static str>),
    /// A Cloudflare product takes the record over.
    Manage,
    /// The product lets it go.
    Release,
    /// Deletes everything of this name, and delegates it.
    Delegate,
    /// Removes the CNAME and the delegation of this name, if it has one.
    Clear,
    /// Deletes some records of the zone that are not ours to care about, so that later pages move.
    Thin,
}

/// Whether the zone above a new one delegates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delegated {
    Not,
    InTheParent,
}

/// What becomes of the records of a zone that is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    Records,
}

/// A change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// A record is taken out.
    Less,
    /// All records are there again, as at the beginning.
    All,
    MoreDeletes,
    /// A record's options change.
    Options,
    Owner(Option<&'static str>),
    /// The account with the unnamed credential is called so from now on.
    Rename(&'static str),
    Every(u64),
    Nothing,
}

impl Scenario {
    pub fn of(seed: u64) -> Scenario {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5ca1_ab1e);
        let mut world = World::new(WorldOptions { seed, ..WorldOptions::default() });
        let mut zones = BTreeMap::new();
        for number in 0..rng.usize(1..4) {
            let name = format!("zone{number}.example");
            let plan = if rng.u8(0..4) == 0 { Plan::Pro } else { Plan::Free };
            let id = world.add_zone(NewZone { plan, ..NewZone::named(&name) });
            zones.insert(name, id);
        }
        for family in Family::ALL {
            world.addresses.change(family, Some(home(family, 0)));
        }
        if rng.u8(0..3) == 0 {
            world.quirks.unknown_zone_status = 404;
        }
        let (settings, secrets) = settings(&zones, &mut rng);
        // Where a list takes many requests, a small budget never allows all of them in one minute.
        let pages = rng.u8(0..3) == 0 && settings.accounts.values().all(|it| it.budget.requests >= 60);
        if pages {
            world.quirks.most_records_per_page = rng.usize(5..25);
        }
        populate(&mut world, &zones, &settings, &mut rng);
        let script = trouble::script(&settings, &zones, &mut rng);
        Scenario { seed, settings, world, secrets, script, has_disk: rng.u8(..) > 40 }
    }
}

/// The n-th address of the home.
pub fn home(family: Family, number: u16) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(203, 0, 113, u8::try_from(number % 250).unwrap() + 1).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, number + 1).into(),
    }
}

/// The n-th address that somebody else has.
pub fn foreign(family: Family, number: u16) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 51, 100, u8::try_from(number % 90).unwrap() + 1).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, number + 1).into(),
    }
}

/// What several operators say by mistake, and where a tunnel comes out.
pub fn elsewhere(family: Family, number: u16) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(198, 51, 100, u8::try_from(number % 90).unwrap() + 150).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0xe, 0, 0, 0, 0, number + 1).into(),
    }
}

fn settings(
    zones: &BTreeMap<String, String>,
    rng: &mut fastrand::Rng,
) -> (Settings, BTreeMap<AccountName, usize>) {
    let owner: Option<Box<str>> = rng.bool().then(|| "attic".into());
    let families: &[Family] = match rng.u8(0..6) {
        0 => &[Family::V4],
        1 => &[Family::V6],
        _ => &Family::ALL,
    };
    // One account, two with one secret, or two with a secret each.
    let second = AccountName("second".into());
    let secrets: BTreeMap<AccountName, usize> = match rng.u8(0..6) {
        0 => [(AccountName::default(), 0), (second, 0)].into(),
        1 => [(AccountName::default(), 0), (second, 1)].into(),
        _ => [(AccountName::default(), 0)].into(),
    };
    let mut records = BTreeMap::new();
    for (turn, (zone, id)) in zones.iter().enumerate() {
        let account = secrets.keys().nth(turn % secrets.len()).unwrap();
        let hint = match rng.u8(0..4) {
            0 => ZoneHint::Id(ZoneId::parse(id).unwrap(), None),
            1 => ZoneHint::Named(Name::parse(zone).unwrap()),
            _ => ZoneHint::Find,
        };
        let below = (0..rng.usize(..3)).map(|number| format!("b{number}.sub.{zone}"));
        let names: Vec<String> =
            (0..rng.usize(1..6)).map(|number| format!("n{number}.{zone}")).chain(below).collect();
        for name in names {
            let options = options(owner.is_some(), rng);
            for family in families {
                let key = Key { name: Name::parse(&name).unwrap(), kind: family.record_type() };
                let wanted =
                    Wanted { account: account.clone(), zone: hint.clone(), options: options.clone() };
                records.insert(key, wanted);
            }
        }
    }
    let budget = Budget { requests: [6, 20, 60, 300][rng.usize(..4)], per: Duration::from_secs(300) };
    let refresh = Duration::from_secs(3600 * [1, 6, 6, 6, 12, 24, 24, 24][rng.usize(..8)]);
    let account = Account { credential: Default::default(), budget, refresh };
    let source = |label: &str, operator: &str| Source {
        label: label.into(),
        operator: operator.into(),
        trace: operator == OPERATORS[0],
    };
    let mut sources: Vec<Source> = OPERATORS.iter().map(|operator| source(operator, operator)).collect();
    if rng.u8(0..3) == 0 {
        sources.insert(1, source(SECOND_OF_CLOUDFLARE, OPERATORS[0]));
    }
    let settings = Settings {
        accounts: secrets.keys().map(|name| (name.clone(), account.clone())).collect(),
        sources: families.iter().map(|family| (Line::only(*family), sources.clone())).collect(),
        every: Duration::from_secs(60 * [5, 5, 5, 10][rng.usize(..4)]),
        agree: 2,
        allow: MADE_UP.to_vec(),
        records,
        owner,
        max_deletes: rng.usize(0..8),
        on_exit: if rng.bool() { OnExit::Keep } else { OnExit::Delete },
        tunnel: Default::default(),
    };
    (settings, secrets)
}

pub fn options(owned: bool, rng: &mut fastrand::Rng) -> Options {
    let beside = match rng.u8(0..8) {
        0 => Beside::Nobody,
        1 if owned => Beside::Others,
        _ => Beside::Tolerated,
    };
    let rarely = |rng: &mut fastrand::Rng| rng.u8(0..4) == 0;
    // Most of the zones are on the free plan, which has no tags, no TTL below a minute, and short comments.
    let refused = rng.u8(0..40);
    let ttl = if rng.bool() { Ttl::Auto } else { Ttl::Seconds(rng.u32(60..600)) };
    Options {
        proxied: rarely(rng).then(|| rng.bool()),
        ttl: if refused == 1 { Some(Ttl::Seconds(30)) } else { rarely(rng).then_some(ttl) },
        comment: match refused {
            2 => Some("a very long comment, ".repeat(5).into()),
            _ => rarely(rng).then(|| "from the attic".into()),
        },
        tags: (refused == 0).then(|| vec!["door:front".into()]),
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
            [None, None, Some("stayput"), Some("stayput/attic"), Some(OTHER_MARK), Some("by hand")];
        for number in 0..[0, 0, 1, 1, 1, 1, 2, 3][rng.usize(..8)] {
            let content = if rng.u8(0..4) == 0 {
                home(key.kind.family(), 0)
            } else {
                foreign(key.kind.family(), 10 + number)
            };
            let body = json!({
                "type": key.kind.as_str(),
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

pub fn unrelated(name: &str, rng: &mut fastrand::Rng) -> Value {
    match rng.u8(0..4) {
        0 => json!({"type": "TXT", "name": name, "content": "\"v=spf1 -all\""}),
        1 => json!({"type": "CNAME", "name": name, "content": "elsewhere.example"}),
        2 => {
            json!({"type": "AAAA", "name": name, "content": foreign(Family::V6, 700).to_string(), "comment": "stayput"})
        }
        _ => json!({"type": "A", "name": name, "content": foreign(Family::V4, 70).to_string(), "ttl": 120}),
    }
}
