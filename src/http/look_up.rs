//! Looking up a name: the system's resolver is asked for the family that is wanted, for the name
//! itself before the search list, within a limit of its own.
//!
//! The resolver blocks, so each question has a thread while it lasts. The HTTP library's own does
//! the same by way of the runtime, but that asks for both families, panics where the system has no
//! thread to give, and waits at the end of the program for a look-up that hangs. Deliberately
//! unknown: who is asked for what, and connections.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::CAUSE_CHARACTERS;
use crate::engine::names::Family;
use crate::secret::redact::quote;

/// The limit for one look-up. glibc waits 5 s for each name server, so the third has its turn.
const LIMIT: Duration = Duration::from_secs(12);
/// How long the other family is waited for when one has answered. RFC 8305 wants 50 ms; what is
/// missed here cannot be added later.
const RESOLUTION_DELAY: Duration = Duration::from_millis(250);
/// A look-up cannot be called off. So many may hang at once before further ones fail.
pub(super) const LOOK_UPS: usize = 16;
static LOOKING_UP: AtomicUsize = AtomicUsize::new(0);
/// More addresses of a name than this are not tried.
const ADDRESSES: usize = 16;
const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Lists of what is to be blocked have some megabytes.
const MOST_HOSTS_BYTES: u64 = 16 << 20;

/// What a name with a dot can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Itself: it is a public name, which no search list may be added to.
    Public,
    /// Itself, else what the system's search list makes of it: somebody wrote it for this host.
    Local,
}

/// The addresses of a name: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub addresses: Vec<IpAddr>,
    pub by: Teller,
}

/// Who told the addresses of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Teller {
    Hosts,
    Resolver,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// It has none of the family that was asked for.
    NoAddress,
    NoSuchName,
    /// Nobody answered in time. musl also asks for so long where each answer is that the server fails.
    Silent,
    /// Nobody can be reached who knows, or who is asked fails.
    Failing,
    /// Something is wrong on this host.
    Here(String),
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::NoAddress => f.write_str("it has no address"),
            Missed::NoSuchName => f.write_str("there is no such name"),
            Missed::Silent => write!(f, "{} does not answer, or fails", name_server()),
            Missed::Failing => write!(f, "{} cannot be reached, or fails", name_server()),
            Missed::Here(why) => f.write_str(why),
        }
    }
}

/// The addresses of a name, of one family or of both. Those that there is a way to come first.
pub(super) async fn look_up(name: &str, family: Option<Family>, spelling: Spelling) -> Result<Found, Missed> {
    let wanted = family.map_or(Family::ALL.to_vec(), |family| vec![family]);
    let mut answers = JoinSet::new();
    for family in wanted {
        answers.spawn(ask(name.to_owned(), family, spelling));
    }
    let mut found = timeout(LIMIT, first(&mut answers)).await.unwrap_or(Err(Missed::Silent))?;
    if let Ok(Some(Ok(Ok(other)))) = timeout(RESOLUTION_DELAY, answers.join_next()).await {
        found.addresses.extend(other.addresses);
        // RFC 6724, rule 1.
        found.addresses.sort_by_key(|address| !has_way(*address));
    }
    Ok(found)
}

/// The first answer with an address; what is most worth telling if there is none.
async fn first(answers: &mut JoinSet<Result<Found, Missed>>) -> Result<Found, Missed> {
    let mut why = Missed::NoAddress;
    while let Some(answer) = answers.join_next().await {
        match answer {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(Missed::NoAddress)) | Err(_) => {}
            Ok(Err(other)) => why = other,
        }
    }
    Err(why)
}

/// Whether this host has a route to the address. Nothing is sent.
fn has_way(address: IpAddr) -> bool {
    let unspecified: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((unspecified, 0)).and_then(|socket| socket.connect((address, 443))).is_ok()
}

async fn ask(name: String, family: Family, spelling: Spelling) -> Result<Found, Missed> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let turn = Turn::take().ok_or_else(|| Missed::Here("too many look-ups are under way".to_owned()))?;
    std::thread::Builder::new()
        .name("look-up".to_owned())
        .spawn(move || {
            let answer = answer(&name, family, spelling);
            // Before the answer, so that whoever reads it can have the turn.
            drop(turn);
            // Nobody may be waiting any more.
            let _ = tell.send(answer);
        })
        .map_err(|error| Missed::Here(error.to_string()))?;
    told.await.unwrap_or_else(|_| Err(Missed::Here("the resolver failed".to_owned())))
}

fn answer(name: &str, family: Family, spelling: Spelling) -> Result<Found, Missed> {
    let bare = name.trim_end_matches('.');
    if !bare.contains('.') {
        return of_system(name, family);
    }
    // The resolver does not find a name with a final dot in this file.
    let listed =
        File::open(HOSTS).map(|file| in_hosts(BufReader::new(file.take(MOST_HOSTS_BYTES)), bare, family));
    if let Some(addresses) = listed.ok().filter(|listed| !listed.is_empty()) {
        return Ok(Found { addresses, by: Teller::Hosts });
    }
    let itself = of_system(&format!("{bare}."), family);
    match itself {
        Err(Missed::NoSuchName | Missed::NoAddress) if spelling == Spelling::Local && bare == name => {
            of_system(name, family).or(itself)
        }
        itself => itself,
    }
}

/// What the system's resolver says. An IPv4 address that is written as IPv6 would slip past the
/// pinned family, and is nothing that a name should have.
fn of_system(name: &str, family: Family) -> Result<Found, Missed> {
    /// An answer that takes longer was waited for in vain.
    const AT_ONCE: Duration = Duration::from_millis(900);
    let address = match family {
        Family::V4 => AddrFamily::Inet,
        Family::V6 => AddrFamily::Inet6,
    };
    let hints = AddrInfoHints {
        address: address.into(),
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let begun = Instant::now();
    let all = getaddrinfo(Some(name), None, Some(hints)).map_err(|error| match error.kind() {
        LookupErrorKind::NoName => Missed::NoSuchName,
        LookupErrorKind::NoData => Missed::NoAddress,
        LookupErrorKind::Again if begun.elapsed() > AT_ONCE => Missed::Silent,
        LookupErrorKind::Again => Missed::Failing,
        _ => {
            let words = std::io::Error::from(error).to_string();
            let words = words.trim_start_matches("failed to lookup address information: ");
            Missed::Here(quote(words, CAUSE_CHARACTERS))
        }
    })?;
    let disguised = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    let all = all.flatten().map(|info| info.sockaddr.ip());
    let addresses: Vec<_> = all.filter(|address| !disguised(address)).take(ADDRESSES).collect();
    match addresses.is_empty() {
        true => Err(Missed::NoAddress),
        false => Ok(Found { addresses, by: Teller::Resolver }),
    }
}

/// The addresses of a name in the form of /etc/hosts: an address, and the names that it has.
fn in_hosts(file: impl BufRead, name: &str, family: Family) -> Vec<IpAddr> {
    let of_line = |line: String| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        let is_it = words.any(|known| known.eq_ignore_ascii_case(name));
        (is_it && Family::of(address) == family).then_some(address)
    };
    file.lines().map_while(Result::ok).filter_map(of_line).take(ADDRESSES).collect()
}

/// The name server that is asked first, in words.
pub(super) fn name_server() -> String {
    let text = std::fs::read_to_string(RESOLV_CONF).unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| *word == "nameserver").and_then(|_| words.next())
    });
    let servers: Vec<&str> = servers.collect();
    match servers.as_slice() {
        [] => format!("the name server (there is none in {RESOLV_CONF})"),
        [only] => format!("the name server {}", quote(only, CAUSE_CHARACTERS)),
        [first, ..] => {
            let first = quote(first, CAUSE_CHARACTERS);
            format!("the name server {first} (the first of {} in {RESOLV_CONF})", servers.len())
        }
    }
}

/// The right to look up a name.
struct Turn;

impl Turn {
    fn take() -> Option<Turn> {
        let more = |now| (now < LOOK_UPS).then_some(now + 1);
        // A Turn that is made and not given out would take one away when it is dropped.
        match LOOKING_UP.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Some(Turn),
            Err(_) => None,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        LOOKING_UP.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_hosts_is_read_by_name_and_family() {
        let text = "# comment\n127.0.0.1 localhost\n192.0.2.1\tnas.lan  API.example.com # ours\n2001:db8::1 api.example.com\n\
            192.0.2.2 api.example.com.\n#192.0.2.3 api.example.com\nnonsense api.example.com\n192.0.2.4 x api.example.com y\n";
        let found = |name, family| in_hosts(text.as_bytes(), name, family);
        let v4 = |last| IpAddr::from([192, 0, 2, last]);
        assert_eq!(found("api.example.com", Family::V4), [v4(1), v4(4)]);
        assert_eq!(found("api.example.com", Family::V6), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(found("example.com", Family::V4), [] as [IpAddr; 0]);
        let many = "192.0.2.1 a.example\n".repeat(100);
        assert_eq!(in_hosts(many.as_bytes(), "a.example", Family::V4).len(), ADDRESSES);
        assert_eq!(in_hosts(&b"\xff\xfe 192.0.2.1 a\n"[..], "a", Family::V4), [] as [IpAddr; 0]);
    }

    #[tokio::test]
    async fn a_name_without_a_dot_is_asked_for_as_it_is() {
        let found = look_up("localhost", Some(Family::V4), Spelling::Public).await.unwrap();
        assert!(found.addresses.iter().all(IpAddr::is_loopback), "{found:?}");
        let either = look_up("localhost", None, Spelling::Local).await.unwrap();
        assert!(either.addresses.iter().all(IpAddr::is_loopback), "{either:?}");
    }

    #[test]
    fn loopback_has_a_way_and_a_multicast_source_route_is_not_asked_for() {
        assert!(has_way(Ipv4Addr::LOCALHOST.into()));
        assert!(!has_way(Ipv4Addr::BROADCAST.into()), "the system forbids it");
    }
}
