//! The client against servers on loopback that answer as scripted, byte by byte.

use std::future::Future;
use std::io::Write as _;
use std::net::TcpListener;

use super::*;
use crate::engine::api::{Batch, Found};
use crate::engine::names::{Name, RecordId, ZoneId};
use crate::scripted::{Reply, Server, http};
use crate::secret::{Kind, Secret};

const TOKEN: &str = "Qm3xW8_pL2kT9-vR5sY1nB7cD4fG6hJ0aZEuXiOw";
const KEY: &str = "0123456789abcdef0123456789abcdef01234";
const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const EMPTY_LIST: &str = r#"{"success":true,"errors":[],"result":[]}"#;

fn base(server: &Server) -> String {
    format!("http://{}/client/v4", server.address)
}

fn fine() -> Reply {
    Reply::Keep(http("200 OK", "content-type: application/json\r\n", EMPTY_LIST))
}

fn run<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(task)
}

fn token() -> Credential {
    Credential::Token(Secret::parse(TOKEN.as_bytes(), Kind::Token).unwrap())
}

fn pair() -> Credential {
    Credential::GlobalKey {
        email: "me@example.com".to_owned(),
        key: Secret::parse(KEY.as_bytes(), Kind::GlobalKey).unwrap(),
    }
}

/// A client that waits as long as a busy machine may need.
fn client(base: &str) -> Client {
    client_within(Duration::from_secs(20), base)
}

fn client_within(total: Duration, base: &str) -> Client {
    let options = ClientOptions { family: None, keep: Some(IDLE_LIMIT), connect: total / 2, total };
    Client::by(options, base, &Authorities::default()).unwrap()
}

fn read() -> Request {
    Request::Records {
        zone: ZoneId::parse(ZONE).unwrap(),
        name: Some(Name::parse("*.example.com").unwrap()),
        page: 1,
        per_page: 100,
    }
}

fn write() -> Request {
    let deletes = vec![RecordId::parse(ZONE).unwrap()];
    Request::Batch { zone: ZoneId::parse(ZONE).unwrap(), batch: Batch { deletes, ..Batch::default() } }
}

#[test]
fn the_date_of_the_first_answer_is_kept_whatever_it_says() {
    run(async {
        let dated = |date: &str| Reply::Keep(http("502 Bad Gateway", &format!("date: {date}\r\n"), "<html>"));
        let first = dated("Sun, 06 Nov 1994 08:49:37 GMT");
        let server = Server::playing(vec![fine(), first, dated("Thu, 01 Jan 1970 00:00:00 GMT")]);
        let client = client(&base(&server));
        let mut seen = vec![client.dated()];
        for _ in 0..3 {
            client.ask(&token(), &read()).await;
            seen.push(client.dated());
        }
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(seen, [None, None, Some(date), Some(date)]);
    });
}

/// How a read and a write fail on the same reply.
fn failures(reply: impl Fn() -> Reply) -> [Failure; 2] {
    failures_within(Duration::from_secs(20), reply)
}

fn failures_within(total: Duration, reply: impl Fn() -> Reply) -> [Failure; 2] {
    run(async {
        let server = Server::playing(vec![reply(), reply()]);
        let client = client_within(total, &base(&server));
        let read = client.ask(&token(), &read()).await.outcome.unwrap_err();
        let write = client.ask(&token(), &write()).await.outcome.unwrap_err();
        [read, write]
    })
}

fn classes(reply: impl Fn() -> Reply) -> [Class; 2] {
    failures(reply).map(|failure| failure.class)
}

#[test]
fn a_request_arrives_as_it_was_meant() {
    run(async {
        let done = format!(r#"{{"success":true,"result":{{"deletes":[{{"id":"{ZONE}"}}]}}}}"#);
        let script = vec![fine(), Reply::Keep(http("200 OK", "", &done))];
        let server = Server::playing(script);
        let client = client(&base(&server));
        let found = client.ask(&token(), &read()).await.outcome.unwrap();
        assert!(matches!(found, Found::Records(page) if page.entries == 0));
        let found = client.ask(&token(), &write()).await.outcome.unwrap();
        assert!(matches!(found, Found::Written(written) if written.deleted.len() == 1));

        let [get, post] = &server.requests()[..] else {
            panic!("not two requests");
        };
        let path = format!("/client/v4/zones/{ZONE}/dns_records");
        assert_eq!(
            get.head.lines().next().unwrap(),
            format!("GET {path}?page=1&per_page=100&name.exact=*.example.com HTTP/1.1")
        );
        assert_eq!(get.header("content-type"), None);
        assert_eq!(get.header("accept"), Some("application/json"));
        assert!(get.header("user-agent").unwrap().starts_with("stayput/"));
        assert_eq!(post.head.lines().next().unwrap(), format!("POST {path}/batch HTTP/1.1"));
        assert_eq!(post.header("content-type"), Some("application/json"));
        assert_eq!(post.body, format!(r#"{{"deletes":[{{"id":"{ZONE}"}}]}}"#));
    });
}

#[test]
fn one_kind_of_credential_is_sent_and_never_both() {
    run(async {
        let server = Server::playing(vec![fine(), fine()]);
        let client = client(&base(&server));
        client.ask(&token(), &read()).await.outcome.unwrap();
        client.ask(&pair(), &read()).await.outcome.unwrap();
        let seen = server.requests();
        let sent =
            |at: usize| ["authorization", "x-auth-email", "x-auth-key"].map(|name| seen[at].header(name));
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(sent(0), [Some(bearer.as_str()), None, None]);
        assert_eq!(sent(1), [None, Some("me@example.com"), Some(KEY)]);
    });
}

#[test]
fn a_burst_shares_a_connection_until_it_is_forgotten() {
    run(async {
        let server = Server::playing(vec![fine(), fine(), fine(), fine()]);
        let client = client(&base(&server));
        for _ in 0..3 {
            client.ask(&token(), &read()).await.outcome.unwrap();
        }
        client.forget_connections();
        client.ask(&token(), &read()).await.outcome.unwrap();
        let used: Vec<_> = server.requests().iter().map(|seen| seen.connection).collect();
        assert_eq!(used, [0, 0, 0, 1]);
    });
}

/// A middlebox that forgets connections, and packets that are too long for the way up, look like this.
#[test]
fn after_a_write_that_was_lost_each_write_has_a_connection_of_its_own() {
    run(async {
        let written = || {
            Reply::Keep(http(
                "200 OK",
                "",
                &format!(r#"{{"success":true,"result":{{"deletes":[{{"id":"{ZONE}"}}]}}}}"#),
            ))
        };
        let lost = || Reply::Hang(Vec::new());
        let script = vec![fine(), lost(), fine(), written(), fine(), fine(), written()];
        let server = Server::playing(script);
        let client = client_within(Duration::from_millis(800), &base(&server));
        client.ask(&token(), &read()).await.outcome.unwrap();
        let failure = client.ask(&token(), &write()).await.outcome.unwrap_err();
        assert_eq!(failure.class, Class::Unsure);
        for request in [read(), write(), read(), read(), write()] {
            client.ask(&token(), &request).await.outcome.unwrap();
        }
        let used: Vec<_> = server.requests().iter().map(|seen| seen.connection).collect();
        assert_eq!(used, [0, 0, 1, 2, 2, 2, 3], "reads share one");
    });
}

#[test]
fn a_connection_that_the_server_closed_is_not_used_again() {
    run(async {
        let closes = || Reply::Close(http("200 OK", "", EMPTY_LIST));
        let server = Server::playing(vec![closes(), closes()]);
        let client = client(&base(&server));
        client.ask(&token(), &read()).await.outcome.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.ask(&token(), &read()).await.outcome.unwrap();
        assert_eq!(server.requests().len(), 2);
    });
}

#[test]
fn a_reply_that_is_lost_after_the_request_leaves_a_write_unsure() {
    let unsure = [Class::NotSent, Class::Unsure];
    assert_eq!(classes(|| Reply::Close(Vec::new())), unsure, "no byte of an answer");
    assert_eq!(classes(|| Reply::Close("HTTP/1.1 200 OK\r\ncontent-le".into())), unsure, "half a head");
    let cut = || Reply::Close("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"success\":true".into());
    assert_eq!(classes(cut), unsure, "half a body");
    let chunk =
        || Reply::Close("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"suc\r\n".into());
    assert_eq!(classes(chunk), unsure, "half the chunks");
    assert_eq!(classes(|| Reply::Close("SSH-2.0-OpenSSH_9.2\r\n".into())), unsure, "not HTTP");
}

#[test]
fn an_answer_that_never_ends_is_given_up() {
    let limit = Duration::from_millis(300);
    let started = Instant::now();
    let nothing = || Reply::Hang(Vec::new());
    let half = || Reply::Hang("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".into());
    for failures in [failures_within(limit, nothing), failures_within(limit, half)] {
        let [read, write] = failures;
        assert_eq!((read.class, write.class), (Class::NotSent, Class::Unsure));
        assert!(read.said.contains("in time"), "{read}");
    }
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn the_same_request_is_never_sent_twice() {
    run(async {
        let server = Server::playing(vec![fine(), Reply::Close(Vec::new()), fine()]);
        let client = client(&base(&server));
        client.ask(&token(), &read()).await.outcome.unwrap();
        let lost = client.ask(&token(), &write()).await.outcome.unwrap_err();
        assert_eq!(lost.class, Class::Unsure);
        assert_eq!(server.requests().len(), 2);
    });
}

#[test]
fn without_a_connection_nothing_was_sent() {
    run(async {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let refused = client(&format!("http://{address}"));
        let failure = refused.ask(&token(), &write()).await.outcome.unwrap_err();
        assert_eq!((failure.class, failure.answered), (Class::NotSent, false));
        assert!(failure.said.contains("connect"), "{failure}");

        // The far end of a secure connection that says nothing, and one that does not speak TLS.
        for words in ["", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let held = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(words.as_bytes()).unwrap();
                stream
            });
            let https = client_within(Duration::from_millis(800), &format!("https://{address}"));
            let failure = https.ask(&token(), &write()).await.outcome.unwrap_err();
            assert_eq!((failure.class, failure.answered), (Class::NotSent, false), "{failure}");
            drop(held.join());
        }
    });
}

#[test]
fn a_page_of_the_edge_is_told_with_its_ray() {
    let page = "<html><head><title>502 Bad Gateway</title></head></html>";
    let reply = || Reply::Keep(http("502 Bad Gateway", "CF-RAY: 8f2a1b3c4d5e6f70-FRA\r\n", page));
    let [read, write] = failures(reply);
    assert_eq!((read.class, write.class), (Class::NotSent, Class::Unsure));
    assert_eq!(
        write.to_string(),
        "the answer is not the API's: 502 Bad Gateway [HTTP 502, cf-ray 8f2a1b3c4d5e6f70-FRA]"
    );
}

#[test]
fn a_redirect_takes_the_secret_nowhere() {
    run(async {
        let elsewhere = Server::playing(vec![fine()]);
        let location = format!("location: {}/zones\r\n", base(&elsewhere));
        let moved = || Reply::Keep(http("307 Temporary Redirect", &location, ""));
        let server = Server::playing(vec![moved(), moved()]);
        let client = client(&base(&server));
        let read = client.ask(&token(), &read()).await.outcome.unwrap_err();
        assert_eq!(read.class, Class::NotSent);
        assert!(read.said.contains("redirect to 127.0.0.1:"), "{read}");
        let write = client.ask(&token(), &write()).await.outcome.unwrap_err();
        assert_eq!(write.class, Class::Unsure);
        assert_eq!(elsewhere.requests().len(), 0);
    });
}

#[test]
fn an_answer_of_any_length_is_read_up_to_its_cap() {
    let unsure = [Class::NotSent, Class::Unsure];
    let [said, _] = failures(|| Reply::Hang("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".into()));
    assert_eq!(said.said, "the answer is longer than 8 MiB [HTTP 200]");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(classes(|| Reply::Endless(chunked.into(), chunk.clone().into())), unsure);
    let until_closed = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    let [endless, _] = failures(|| Reply::Endless(until_closed.into(), "no end ".repeat(1_000).into()));
    assert_eq!(endless.said, "the answer is longer than 64 KiB [HTTP 503]");
    let head = "HTTP/1.1 200 OK\r\n";
    assert_eq!(
        classes(|| Reply::Endless(head.into(), "x-more: and more\r\n".repeat(100).into())),
        unsure,
        "endless headers"
    );
}

#[test]
fn a_large_list_is_read_whole() {
    run(async {
        let record = |at: usize| {
            format!(
                r#"{{"id":"{at:032x}","name":"h{at}.example.com","type":"A","content":"203.0.113.7","proxied":false,"ttl":1,
                "comment":"{}","tags":[],"created_on":"2025-01-27T10:11:12.12345Z"}}"#,
                "x".repeat(100)
            )
        };
        let all: Vec<_> = (0..5_000).map(record).collect();
        let body = format!(r#"{{"success":true,"result":[{}]}}"#, all.join(","));
        let server = Server::playing(vec![Reply::Keep(http("200 OK", "", &body))]);
        let way = Client::new(&base(&server), &Authorities::default()).unwrap();
        let found = way.ask(&token(), &read()).await.outcome.unwrap();
        assert!(matches!(found, Found::Records(page) if page.items.len() == 5_000));
    });
}

#[test]
fn a_throttled_answer_holds_even_if_it_breaks_off() {
    let cut = || {
        Reply::Close(
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 100\r\n\r\n{".into(),
        )
    };
    let [read, write] = failures(cut);
    let held = Class::Throttled;
    assert_eq!((read.class, write.class), (held, held));
    assert!(read.said.contains("broke"), "{read}");
}

#[test]
fn an_answer_that_echoes_the_secret_is_told_without_it() {
    let body =
        format!(r#"{{"success":false,"errors":[{{"code":9109,"message":"Invalid access token {TOKEN}"}}]}}"#);
    let [failure, _] = failures(|| Reply::Keep(http("403 Forbidden", "", &body)));
    assert_eq!(failure.class, Class::Credential);
    assert_eq!(failure.said, "Invalid access token *** (9109) [HTTP 403]");
    // The excerpt ends in the middle of the secret.
    let page = format!("<p>{} Bearer {TOKEN}</p>", "x".repeat(175));
    let [failure, _] = failures(|| Reply::Keep(http("500 Oh", "", &page)));
    assert!(!failure.said.contains(&TOKEN[..8]), "{failure}");
    let [failure, _] =
        failures(|| Reply::Keep(http("302 Found", &format!("location: https://{TOKEN}.example/\r\n"), "")));
    assert!(failure.said.contains("***") && !failure.said.contains(&TOKEN[..8]), "{failure}");
}

#[test]
fn a_word_that_is_also_the_secret_does_not_spoil_an_answer() {
    run(async {
        let body = format!(
            r#"{{"success":true,"result":[{{"id":"{ZONE}","type":"A","name":"sandbox.example.com","content":"203.0.113.7"}}]}}"#
        );
        let server = Server::playing(vec![Reply::Keep(http("200 OK", "", &body))]);
        let word = Credential::Token(Secret::parse(b"sandbox", Kind::Token).unwrap());
        let found = client(&base(&server)).ask(&word, &read()).await.outcome.unwrap();
        assert!(format!("{found:?}").contains("sandbox.example.com"));
    });
}

#[test]
fn a_wrong_clock_is_told_from_other_troubles_and_has_its_remedy() {
    // `http` has the certificates and the clocks that bring this about.
    let mask = Mask::of([TOKEN]);
    let judge = |error, sent| Unanswered { error, sent }.judge(&read(), &mask);
    let clock = judge(HttpError::Clock("here it is 1970".into()), Sent::Never);
    assert_eq!((clock.class, clock.answered), (Class::Clock, false));
    assert!(clock.to_string().contains("is the clock right? (here it is 1970)"), "{clock}");
    assert!(clock.remedy.unwrap().contains("set the clock"));
    let other = judge(HttpError::Certificate("it is for another clock".into()), Sent::Never);
    assert_eq!((other.class, other.remedy), (Class::NotSent, None));
}

#[test]
fn a_base_that_would_leak_the_secret_is_refused() {
    for base in [
        "http://api.cloudflare.com/client/v4",
        "http://192.0.2.1",
        "ftp://127.0.0.1",
        "http://localhost.example",
    ] {
        assert_eq!(
            Client::new(base, &Authorities::default()).unwrap_err(),
            HttpError::Setup(INSECURE.to_owned()),
            "{base}"
        );
    }
    for base in [
        "",
        "api.cloudflare.com",
        "https://",
        "https://a.example/v4?x=1",
        "https://u:p@a.example",
        "file:///x",
    ] {
        assert!(Client::new(base, &Authorities::default()).is_err(), "{base}");
    }
    for base in [
        "https://api.cloudflare.com/client/v4/",
        "http://127.0.0.1:1",
        "http://[::1]:1/v4",
        "http://localhost:1",
    ] {
        assert!(Client::new(base, &Authorities::default()).is_ok(), "{base}");
    }
}
