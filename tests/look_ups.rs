//! Name servers that are dead, deaf to one family, or lie, and search lists that get in the way. Each
//! test runs once more in a network and with an /etc of its own, where it is all name servers itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use stayput::detect::{BuiltIn, Detector, Source};
use stayput::engine::names::Family;
use stayput::engine::watch::LookError;
use stayput::http::{Authorities, Client, ClientOptions, HttpError, Sent, Spelling};

/// Names the folder whose files stand in /etc, to a test that is in its own network.
const INSIDE: &str = "STAYPUT_TEST_INSIDE";
/// Longer than an answer takes that is given at once, shorter than any time-out.
const AT_ONCE: Duration = Duration::from_secs(3);

/// What the files in /etc say.
struct Etc {
    resolv_conf: &'static str,
    hosts: &'static str,
}

const ONE_SERVER: Etc = Etc { resolv_conf: "nameserver 127.0.0.2\n", hosts: "127.0.0.1 localhost\n" };
const TWO_SERVERS: Etc =
    Etc { resolv_conf: "nameserver 127.0.0.2\nnameserver 127.0.0.3\n", hosts: "127.0.0.1 localhost\n" };

/// Runs a test: this program once more, with this test alone, which there does its work.
fn alone(test: &str, etc: &Etc, work: impl Future<Output = ()>) {
    if std::env::var_os(INSIDE).is_some() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("resolv.conf"), etc.resolv_conf).unwrap();
    std::fs::write(folder.path().join("hosts"), etc.hosts).unwrap();
    std::fs::write(folder.path().join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    let begin = "ip link set lo up && cd \"$STAYPUT_TEST_INSIDE\" && \
        for file in resolv.conf hosts nsswitch.conf; do mount --bind \"$file\" \"/etc/$file\" || exit; done && exec \"$@\"";
    let inside = Command::new("unshare")
        .env(INSIDE, folder.path())
        .args(["--user", "--map-root-user", "--net", "--mount", "--", "sh", "-c", begin, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--include-ignored", "--exact", test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    assert!(inside.status.success(), "{said}\n{}", String::from_utf8_lossy(&inside.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// What a name server says to a question.
enum Says {
    Address(&'static str),
    NoAddress,
    NoSuchName,
    Nothing,
}

/// A name server.
struct NameServer(Arc<Mutex<Vec<String>>>);

impl NameServer {
    /// At this address; it answers a name, in lower case and without a final dot, as `says` says.
    fn at(address: &str, says: impl Fn(&str, Family) -> Says + Send + 'static) -> NameServer {
        let socket = UdpSocket::bind((address, 53)).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                let (name, family, end) = question(&packet[..length]);
                let kind = family.map_or("?", |family: Family| family.record_type().as_str());
                log.lock().unwrap().push(format!("{name} {kind}"));
                let said = family.map_or(Says::NoAddress, |family| says(&name, family));
                if let Some(answer) = answer(&packet[..end], &said) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        NameServer(asked)
    }

    /// Nobody ever hears from it.
    fn dead_at(address: &str) -> NameServer {
        NameServer::at(address, |_, _| Says::Nothing)
    }

    /// The questions so far.
    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// The name, the family, and where the question ends (RFC 1035, section 4).
fn question(packet: &[u8]) -> (String, Option<Family>, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while packet[at] > 0 {
        let end = at + 1 + usize::from(packet[at]);
        labels.push(String::from_utf8_lossy(&packet[at + 1..end]).to_lowercase());
        at = end;
    }
    let family = match packet[at + 2] {
        1 => Some(Family::V4),
        28 => Some(Family::V6),
        _ => None,
    };
    (labels.join("."), family, at + 5)
}

fn answer(question: &[u8], says: &Says) -> Option<Vec<u8>> {
    let (code, address) = match says {
        Says::Nothing => return None,
        Says::NoSuchName => (3, None),
        Says::NoAddress => (0, None),
        Says::Address(text) => (0, Some(text.parse::<IpAddr>().unwrap())),
    };
    let mut packet = question.to_vec();
    packet[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    let (kind, bytes) = match address {
        Some(IpAddr::V4(v4)) => (1, v4.octets().to_vec()),
        Some(IpAddr::V6(v6)) => (28, v6.octets().to_vec()),
        None => return Some(packet),
    };
    packet.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(bytes.len()).unwrap()]);
    packet.extend(bytes);
    Some(packet)
}

/// A source at this name, which really is on loopback.
fn source(name: &str) -> Source {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{name}:{}/", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n91.7.1.2");
        }
    });
    Source::Url { label: "test".into(), operator: "test".into(), url: url.into() }
}

async fn ask(source: &Source) -> Result<IpAddr, LookError> {
    Detector::new(&Authorities::default()).ask(source, Family::V4).await
}

fn home() -> Result<IpAddr, LookError> {
    Ok("91.7.1.2".parse().unwrap())
}

/// By whichever family: as the API is asked.
async fn ask_either(name: &str) -> Result<(), (HttpError, Sent)> {
    let Source::Url { url, .. } = source(name) else { return Ok(()) };
    let (connect, total) = (Duration::from_secs(5), Duration::from_secs(10));
    let options = ClientOptions { family: None, keep: None, connect, total };
    let client = Client::new(&options, &Authorities::default()).unwrap();
    client.send(client.get(&*url), Spelling::Local).await.map(drop)
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_dead_first_name_server_leaves_time_for_the_second_and_for_the_answer() {
    alone("a_dead_first_name_server_leaves_time_for_the_second_and_for_the_answer", &TWO_SERVERS, async {
        let _dead = NameServer::dead_at("127.0.0.2");
        let second = NameServer::at("127.0.0.3", |_, _| Says::Address("127.0.0.1"));
        assert_eq!(ask(&source("ip.example.org")).await, home());
        assert_eq!(second.asked(), ["ip.example.org A"]);
        ask_either("ip.example.org").await.unwrap();
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn where_no_name_server_answers_the_first_is_named_in_time() {
    alone("where_no_name_server_answers_the_first_is_named_in_time", &TWO_SERVERS, async {
        let _dead = [NameServer::dead_at("127.0.0.2"), NameServer::dead_at("127.0.0.3")];
        let begun = Instant::now();
        let why = "the name could not be looked up: the name server 127.0.0.2 (the first of 2 in /etc/resolv.conf) does not answer, or fails";
        assert_eq!(ask(&source("ip.example.org")).await, Err(LookError::Unreachable(why.to_owned())));
        assert!(begun.elapsed() < Duration::from_secs(14), "{:?}", begun.elapsed());
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_name_server_that_is_not_there_is_named_at_once() {
    alone("a_name_server_that_is_not_there_is_named_at_once", &ONE_SERVER, async {
        let begun = Instant::now();
        let why = "the name could not be looked up: the name server 127.0.0.2 cannot be reached, or fails";
        assert_eq!(ask(&source("ip.example.org")).await, Err(LookError::Unreachable(why.to_owned())));
        assert!(begun.elapsed() < AT_ONCE);
    });
}

/// As in Kubernetes; stayput itself may keep the wildcard.
const SEARCH: Etc = Etc {
    resolv_conf: "nameserver 127.0.0.2\nsearch home.example.com\noptions ndots:5\n",
    hosts: "127.0.0.1 localhost\n",
};

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_search_list_with_a_wildcard_is_not_asked_before_the_name_itself() {
    alone("a_search_list_with_a_wildcard_is_not_asked_before_the_name_itself", &SEARCH, async {
        let server = NameServer::at("127.0.0.2", |name, _| match name {
            "ip.example.org" => Says::Address("127.0.0.1"),
            name if name.ends_with(".home.example.com") => Says::Address("192.0.2.1"),
            _ => Says::NoSuchName,
        });
        assert_eq!(ask(&source("ip.example.org")).await, home());
        assert_eq!(server.asked(), ["ip.example.org A"]);
        let built_in = Source::built_in(BuiltIn::Ipify, Family::V4).unwrap();
        let why = "the name could not be looked up: there is no such name";
        assert_eq!(ask(&built_in).await, Err(LookError::Unreachable(why.to_owned())));
        assert_eq!(server.asked().split_off(1), ["api4.ipify.org A"], "and nothing else");
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_name_that_somebody_wrote_may_be_one_of_the_search_list() {
    alone("a_name_that_somebody_wrote_may_be_one_of_the_search_list", &SEARCH, async {
        let server = NameServer::at("127.0.0.2", |name, _| match name {
            "ip.lan.home.example.com" | "ip.home.example.com" => Says::Address("127.0.0.1"),
            _ => Says::NoSuchName,
        });
        assert_eq!(ask(&source("ip.lan")).await, home());
        assert_eq!(server.asked()[0], "ip.lan A");
        assert_eq!(ask(&source("ip")).await, home(), "without a dot the list comes first");
    });
}

const LISTED: Etc =
    Etc { resolv_conf: ONE_SERVER.resolv_conf, hosts: "127.0.0.1 ip.example.org\n::1 ip.example.org\n" };

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_name_in_etc_hosts_is_found_there() {
    alone("a_name_in_etc_hosts_is_found_there", &LISTED, async {
        let server = NameServer::at("127.0.0.2", |_, _| Says::NoSuchName);
        assert_eq!(ask(&source("ip.example.org")).await, home());
        assert_eq!(server.asked(), Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_family_whose_questions_are_never_answered_holds_nobody_up() {
    alone("a_family_whose_questions_are_never_answered_holds_nobody_up", &ONE_SERVER, async {
        let server = NameServer::at("127.0.0.2", |_, family| match family {
            Family::V4 => Says::Address("127.0.0.1"),
            Family::V6 => Says::Nothing,
        });
        let begun = Instant::now();
        assert_eq!(ask(&source("ip.example.org")).await, home());
        assert_eq!(server.asked(), ["ip.example.org A"], "only the family that is wanted");
        ask_either("ip.example.org").await.unwrap();
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn an_address_that_there_is_no_way_to_is_not_tried_first() {
    alone("an_address_that_there_is_no_way_to_is_not_tried_first", &ONE_SERVER, async {
        let _server = NameServer::at("127.0.0.2", |_, family| match family {
            Family::V4 => Says::Address("127.0.0.1"),
            Family::V6 => Says::Address("2001:db8::1"),
        });
        ask_either("ip.example.org").await.unwrap();
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_name_server_that_blocks_a_public_name_is_named() {
    alone("a_name_server_that_blocks_a_public_name_is_named", &ONE_SERVER, async {
        let _blocker = NameServer::at("127.0.0.2", |name, _| match name {
            "api4.ipify.org" => Says::Address("0.0.0.0"),
            _ => Says::Address("127.0.0.1"),
        });
        for (which, address, name) in [
            (BuiltIn::Ipify, "0.0.0.0", "api4.ipify.org"),
            (BuiltIn::Amazon, "127.0.0.1", "checkip.amazonaws.com"),
        ] {
            let why = format!("the name server 127.0.0.2 answers {address} for {name}: an ad blocker?");
            let source = Source::built_in(which, Family::V4).unwrap();
            assert_eq!(ask(&source).await, Err(LookError::Unreachable(why)));
        }
    });
}

const BLOCKED: Etc = Etc { resolv_conf: ONE_SERVER.resolv_conf, hosts: "0.0.0.0 api4.ipify.org\n" };

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_file_of_hosts_that_blocks_a_public_name_is_named() {
    alone("a_file_of_hosts_that_blocks_a_public_name_is_named", &BLOCKED, async {
        let why = "/etc/hosts says 0.0.0.0 for api4.ipify.org: an ad blocker?".to_owned();
        let source = Source::built_in(BuiltIn::Ipify, Family::V4).unwrap();
        assert_eq!(ask(&source).await, Err(LookError::Unreachable(why)));
    });
}

#[test]
#[ignore = "needs ip(8), unshare(1) and user namespaces"]
fn a_name_without_an_address_of_the_family_is_told_from_one_that_does_not_exist() {
    alone(
        "a_name_without_an_address_of_the_family_is_told_from_one_that_does_not_exist",
        &ONE_SERVER,
        async {
            let _server = NameServer::at("127.0.0.2", |name, _| match name {
                "ip.example.org" => Says::NoAddress,
                _ => Says::NoSuchName,
            });
            assert_eq!(ask(&source("ip.example.org")).await, Err(LookError::NoRoute));
            let why = "the name could not be looked up: there is no such name".to_owned();
            assert_eq!(ask(&source("other.example.org")).await, Err(LookError::Unreachable(why.clone())));
            let (trouble, sent) = ask_either("ip.example.org").await.unwrap_err();
            let why = "the name could not be looked up: it has no address";
            assert_eq!((trouble.to_string().as_str(), sent), (why, Sent::Never));
        },
    );
}
