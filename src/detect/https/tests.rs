//! What servers and those in between can do to a look, with real sockets on loopback.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::*;
use crate::detect::{Detector, Source};
use crate::scripted::{Reply, Server, http};

/// Says the same to everybody, word for word, and hangs up.
fn saying(answer: impl Into<Vec<u8>>) -> Server {
    Server::repeating(Reply::Close(answer.into()))
}

/// Says this body with status 200.
fn with_body(body: &str) -> Server {
    saying(http("200 OK", "", body))
}

/// Never says a word.
fn silent() -> Server {
    Server::repeating(Reply::Hang(Vec::new()))
}

fn url(server: &Server) -> String {
    format!("http://{}/", server.address)
}

async fn ask_v4(server: &Server) -> Result<IpAddr, LookError> {
    ask_url(&url(server), Family::V4).await
}

const LIMIT: Duration = Duration::from_millis(600);

/// A detector in a hurry. Only for looks that are to end at the limit: on a busy machine the others
/// may need more.
fn hasty() -> Detector {
    Detector {
        limits: Limits { connect: LIMIT / 2, total: LIMIT },
        web: Clients::new(&Authorities::default()),
    }
}

fn source(url: &str) -> Source {
    Source::Url { label: url.into(), operator: "127.0.0.1".into(), url: url.into() }
}

async fn ask_url(url: &str, family: Family) -> Result<IpAddr, LookError> {
    Detector::new(&Authorities::default()).ask(&source(url), family).await
}

fn home() -> Result<IpAddr, LookError> {
    Ok("91.7.1.2".parse().unwrap())
}

fn is_no_address(answer: &Result<IpAddr, LookError>, beginning: &str) -> bool {
    matches!(answer, Err(LookError::NotAnAddress(excerpt)) if excerpt.starts_with(beginning))
}

#[tokio::test]
async fn an_address_and_a_trace_are_heard() {
    assert_eq!(ask_v4(&with_body("91.7.1.2\n")).await, home());
    let trace = "fl=1\nh=127.0.0.1\nip=91.7.1.2\nwarp=off\ngateway=off\n";
    assert_eq!(ask_v4(&with_body(trace)).await, home());
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n91.7\r\n4\r\n.1.2\r\n0\r\n\r\n";
    assert_eq!(ask_v4(&saying(chunked)).await, home());
}

#[tokio::test]
async fn a_page_an_error_and_a_redirect_say_nothing_even_with_an_address_in_them() {
    let page = "<!DOCTYPE html>\n<html><body>Welcome to Hotel WLAN, 91.7.1.2</body></html>";
    let page = ask_v4(&with_body(page)).await;
    assert!(is_no_address(&page, "<!DOCTYPE html> <html><body>Welcome"), "{page:?}");

    for (line, status) in [
        ("404 Not Found", 404),
        ("403 Forbidden", 403),
        ("429 Too Many Requests", 429),
        ("500 Internal Server Error", 500),
        ("522 Origin", 522),
        ("201 Created", 201),
        ("206 Partial Content", 206),
        ("511 Network Authentication Required", 511),
    ] {
        let server = saying(http(line, "retry-after: 1\r\n", "91.7.1.2"));
        assert_eq!(ask_v4(&server).await, Err(LookError::Status(status)));
        assert_eq!(server.connections(), 1, "nothing is asked again by itself");
    }

    let portal = with_body("91.7.1.2");
    for (line, status) in
        [("301 Moved Permanently", 301), ("302 Found", 302), ("307 Temporary", 307), ("308 P", 308)]
    {
        let to = format!("location: {}\r\n", url(&portal));
        let server = saying(http(line, &to, "91.7.1.2"));
        assert_eq!(ask_v4(&server).await, Err(LookError::Redirect(status)));
    }
    assert_eq!(portal.connections(), 0);
}

#[tokio::test]
async fn only_the_body_is_read_whatever_the_headers_hold() {
    let cookie = "set-cookie: __cf_bm=1.0.1.1-abc; path=/\r\nx-ip: 1.0.1.1\r\n";
    let server = saying(http("200 OK", cookie, "91.7.1.2\n"));
    assert_eq!(ask_v4(&server).await, home());
    let server = saying(http("200 OK", cookie, ""));
    assert!(is_no_address(&ask_v4(&server).await, "(nothing"));
}

#[tokio::test]
async fn the_answer_must_be_of_the_family_that_was_asked_for() {
    for other in ["2a02:8070::1", "::ffff:91.7.1.2"] {
        let answer = ask_v4(&with_body(other)).await;
        assert_eq!(answer, Err(LookError::WrongFamily(other.parse().unwrap())));
    }
}

#[tokio::test]
async fn a_trace_that_is_not_ours_is_refused() {
    let ask = async |body: &str| ask_v4(&with_body(body)).await;
    let elsewhere = ask("h=1.1.1.1\nip=91.7.1.2\nwarp=off\n").await;
    assert_eq!(elsewhere, Err(LookError::WrongHost("1.1.1.1".to_owned())));
    assert_eq!(
        ask("h=127.0.0.1\nip=91.7.1.2\nwarp=on\n").await,
        Err(LookError::Warp("91.7.1.2".parse().unwrap()))
    );
    assert!(is_no_address(&ask("h=127.0.0.1\nip=91.7.1.2\nip=91.7.1.3\n").await, "h=127.0.0.1 ip="));
}

#[tokio::test]
async fn an_answer_is_never_longer_than_4_kib() {
    let fits = format!("{:4096}", "91.7.1.2");
    assert_eq!(ask_v4(&with_body(&fits)).await, home());
    let long = format!("{:5120}", "91.7.1.2");
    assert_eq!(ask_v4(&with_body(&long)).await, Err(LookError::TooLong));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_at_once() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n280000000\r\n",
        // Endless headers, and one endless header.
        "HTTP/1.1 200 OK\r\nx:\r\n",
        "HTTP/1.1 200 OK\r\nx: ",
    ] {
        let piece = if head.ends_with("x:\r\n") { b"x:\r\n".repeat(1024) } else { b" ".repeat(4096) };
        let server = Server::repeating(Reply::Endless(head.into(), piece));
        let begin = Instant::now();
        let answer = ask_v4(&server).await;
        assert!(
            matches!(answer, Err(LookError::TooLong | LookError::Unreachable(_))),
            "{head:?}: {answer:?}"
        );
        assert!(begin.elapsed() < Duration::from_secs(5));
        let written = server.written();
        assert!(written < 50_000_000, "{head:?}: it took {written} bytes");
    }
}

#[tokio::test]
async fn a_server_that_is_slow_or_silent_is_given_up_in_time() {
    let drip = |head: &str, more: &str| Server::repeating(Reply::Drip(head.into(), more.into()));
    let drips = drip("HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n", " ");
    let drips_headers = drip("HTTP/1.1 200 OK\r\nx: ", "y");
    let stops = Reply::Hang("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n91.7.1.2".into());
    for server in [silent(), drips, drips_headers, Server::repeating(stops)] {
        let begin = Instant::now();
        let answer = hasty().ask(&source(&url(&server)), Family::V4).await;
        assert_eq!(answer, Err(LookError::TimedOut));
        let after = begin.elapsed();
        assert!((LIMIT..LIMIT * 8).contains(&after), "{after:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_nothing() {
    for broken in [
        "HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n91.7.1.2",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n91.7.1.2\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "91.7.1.2",
        "",
    ] {
        let answer = ask_v4(&saying(broken)).await;
        assert!(matches!(answer, Err(LookError::Unreachable(_))), "{broken:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_compressed_answer_was_not_asked_for_and_is_not_unpacked() {
    let gzip =
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xb3\x34\xd4\x33\xd7\x33\xd4\x33\xe2\x02\0\x91\x4d\xb2\x0f\x09\0\0\0";
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", gzip.len());
    let server = saying([head.as_bytes(), gzip].concat());
    assert!(is_no_address(&ask_v4(&server).await, ""));
}

#[tokio::test]
async fn each_look_has_a_connection_of_its_own() {
    // The server would be glad to go on.
    let server = Server::repeating(Reply::Keep(http("200 OK", "", "91.7.1.2")));
    let detector = Detector::new(&Authorities::default());
    for looks in 1..=4 {
        assert_eq!(detector.ask(&source(&url(&server)), Family::V4).await, home());
        assert_eq!(server.connections(), looks);
    }
}

#[tokio::test]
async fn looks_at_the_same_time_do_not_wait_for_each_other() {
    let silent = silent();
    let server = with_body("91.7.1.2");
    let (detector, hangs, answers) = (hasty(), source(&url(&silent)), source(&url(&server)));
    let begin = Instant::now();
    let both = async {
        let answer = detector.ask(&answers, Family::V4).await;
        (answer, begin.elapsed())
    };
    let (hung, (answer, after)) = tokio::join!(detector.ask(&hangs, Family::V4), both);
    assert_eq!((hung, answer), (Err(LookError::TimedOut), home()));
    assert!(after < LIMIT, "{after:?}");
}

#[tokio::test]
async fn a_source_without_an_address_of_the_family_is_not_asked_over_the_other_one() {
    let server = with_body("2a02:8070::1");
    assert_eq!(ask_url(&url(&server), Family::V6).await, Err(LookError::NoRoute));
    let by_name = url(&server).replace("127.0.0.1", "localhost");
    let answer = ask_url(&by_name, Family::V6).await;
    assert!(matches!(answer, Err(LookError::NoRoute | LookError::Unreachable(_))), "{answer:?}");
    assert_eq!(server.connections(), 0);
    let v6_alone = ask_url("http://[::1]:9/", Family::V4).await;
    assert_eq!(v6_alone, Err(LookError::NoRoute));
    // An IPv6 socket can be made to speak IPv4 by an address like this.
    let mapped = url(&server).replace("127.0.0.1", "[::ffff:127.0.0.1]");
    assert_eq!(ask_url(&mapped, Family::V6).await, Err(LookError::NoRoute));
}

#[tokio::test]
#[ignore = "needs IPv6, if only to itself"]
async fn over_ipv6_an_ipv6_address_is_heard() {
    let server = Server::at("[::1]:0", || Reply::Close(http("200 OK", "", "2a02:8070::1")));
    assert_eq!(ask_url(&url(&server), Family::V6).await, Ok("2a02:8070::1".parse().unwrap()));
    assert_eq!(ask_url(&url(&server), Family::V4).await, Err(LookError::NoRoute));
}

#[tokio::test]
async fn nobody_at_the_other_end_is_said_so() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let Err(LookError::Unreachable(why)) =
        ask_url(&format!("http://127.0.0.1:{port}/?key=hidden"), Family::V4).await
    else {
        panic!("somebody answered")
    };
    assert_eq!(why, "could not connect: Connection refused (os error 111)");
}

#[tokio::test]
async fn https_to_a_server_that_speaks_none_fails_closed() {
    let server = with_body("91.7.1.2");
    let answer = ask_url(&url(&server).replace("http:", "https:"), Family::V4).await;
    assert!(matches!(answer, Err(LookError::Unreachable(_))), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_url_is_a_local_failure() {
    let answer = ask_url("not a URL", Family::V4).await;
    assert!(matches!(answer, Err(LookError::Local(_))), "{answer:?}");
}

#[test]
fn a_bad_certificate_and_a_wrong_clock_keep_their_names() {
    let why = || "why".to_owned();
    assert_eq!(unheard(HttpError::Certificate(why())), LookError::Certificate(why()));
    assert_eq!(unheard(HttpError::Clock(why())), LookError::Clock(why()));
}
