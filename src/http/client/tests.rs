//! What errors mean and what is never followed, with real sockets on loopback. The certificates
//! are made here and checked at a time that the test chooses.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};

use super::*;
use crate::http::authorities::trusting;
use crate::scripted::{Reply, Server};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

fn options() -> ClientOptions {
    ClientOptions {
        family: Some(Family::V4),
        keep: None,
        connect: Duration::from_millis(1500),
        total: Duration::from_millis(2000),
    }
}

/// A server that reads a request and says `answer`.
fn saying(answer: &str) -> Server {
    Server::repeating(Reply::Close(answer.into()))
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

async fn get(client: &Client, url: String) -> Result<Vec<u8>, (HttpError, Sent)> {
    let response = client.send(client.get(url), Spelling::Local).await?;
    read_capped(response, 4096).await.map_err(|unread| match unread {
        Unread::TooLong => panic!("too long"),
        Unread::Http(error) => (error, Sent::Maybe),
    })
}

async fn plain(server: &Server) -> Result<Vec<u8>, (HttpError, Sent)> {
    let client = Client::new(&options(), &Authorities::default()).unwrap();
    get(&client, url(server) + "/p?key=hidden").await
}

#[tokio::test]
async fn an_answer_arrives_and_we_say_who_we_are() {
    let server = saying(OK);
    assert_eq!(plain(&server).await, Ok(b"hi".to_vec()));
    let [request] = &server.requests()[..] else { panic!("not one request") };
    assert!(request.head.starts_with("GET /p?key=hidden HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("user-agent"), Some("stayput/0.1.0"));
    assert_eq!((request.header("accept-encoding"), request.header("cookie")), (None, None));
}

#[tokio::test]
async fn what_never_left_is_told_from_what_may_have_arrived() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let client = Client::new(&options(), &Authorities::default()).unwrap();
    let refused = get(&client, format!("http://127.0.0.1:{nobody}")).await.unwrap_err();
    assert!(
        matches!(&refused, (HttpError::Connect(why), Sent::Never) if why.contains("refused")),
        "{refused:?}"
    );

    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le", "SSH-2.0-OpenSSH_9.2\r\n"] {
        let broken = plain(&saying(answer)).await.unwrap_err();
        assert!(matches!(broken, (HttpError::Transfer(_), Sent::Maybe)), "{broken:?}");
    }

    let cut = saying("HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n91.7.1.2");
    let cut = plain(&cut).await.unwrap_err();
    assert!(matches!(cut, (HttpError::Transfer(_), Sent::Maybe)), "{cut:?}");
}

#[tokio::test]
async fn silence_ends_at_the_limit_and_counts_as_unsent_only_while_connecting() {
    let server = Server::repeating(Reply::Hang(Vec::new()));
    let short =
        ClientOptions { connect: Duration::from_millis(150), total: Duration::from_millis(300), ..options() };
    let client = Client::new(&short, &Authorities::default()).unwrap();
    let plain = get(&client, url(&server)).await;
    assert_eq!(plain, Err((HttpError::TimedOut, Sent::Maybe)));
    let tls = get(&client, url(&server).replace("http:", "https:")).await;
    assert_eq!(tls, Err((HttpError::TimedOut, Sent::Never)));
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_is_said_and_asks_nobody() {
    // Longer than DNS allows for a label: the resolver refuses by itself.
    let url = format!("http://{}.invalid/?key=hidden", "a".repeat(70));
    let (error, sent) =
        get(&Client::new(&options(), &Authorities::default()).unwrap(), url).await.unwrap_err();
    assert_eq!(sent, Sent::Never);
    assert!(matches!(error, HttpError::Dns(_)), "{error:?}");
    assert!(!error.to_string().contains("hidden"));
}

#[tokio::test]
async fn many_look_ups_at_once_are_answered_or_refused_and_leave_nothing_behind() {
    let server = saying(OK);
    let port = server.address.port();
    let client = Client::new(&options(), &Authorities::default()).unwrap();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let client = client.clone();
        all.spawn(async move { get(&client, format!("http://localhost:{port}")).await });
    }
    let mut answered = 0;
    while let Some(answer) = all.join_next().await {
        match answer.unwrap() {
            Ok(body) => {
                assert_eq!(body, b"hi");
                answered += 1;
            }
            Err(why) => {
                assert_eq!(why, (HttpError::Dns("too many look-ups are under way".to_owned()), Sent::Never))
            }
        }
    }
    // Other tests of this process may look something up at the same time.
    assert!(answered >= look_up::LOOK_UPS / 2, "only {answered} were answered");
    assert_eq!(get(&client, format!("http://localhost:{port}")).await, Ok(b"hi".to_vec()));
}

#[tokio::test]
async fn a_url_that_is_none_fails_before_anything_is_sent() {
    let answer =
        get(&Client::new(&options(), &Authorities::default()).unwrap(), "http://?key=hidden".to_owned())
            .await;
    let (HttpError::Setup(why), Sent::Never) = answer.unwrap_err() else { panic!("it was sent") };
    assert!(!why.contains("hidden"), "{why}");
}

#[tokio::test]
async fn a_redirect_is_shown_and_not_followed() {
    let server = saying("HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n");
    let client = Client::new(&options(), &Authorities::default()).unwrap();
    let response = client.send(client.get(url(&server)), Spelling::Local).await.unwrap();
    assert_eq!(response.status().as_u16(), 302);
}

#[tokio::test]
async fn a_cap_holds_whether_the_length_is_announced_or_not() {
    let client = Client::new(&options(), &Authorities::default()).unwrap();
    let announced = saying("HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\nx");
    let until_the_end = saying("HTTP/1.1 200 OK\r\n\r\n0123456789");
    let in_chunks =
        saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n");
    for (server, cap, expected) in [
        (&announced, 10, Err(Unread::TooLong)),
        (&until_the_end, 10, Ok(b"0123456789".to_vec())),
        (&until_the_end, 9, Err(Unread::TooLong)),
        (&in_chunks, 10, Ok(b"0123456789".to_vec())),
        (&in_chunks, 9, Err(Unread::TooLong)),
    ] {
        let response = client.send(client.get(url(server)), Spelling::Local).await.unwrap();
        assert_eq!(read_capped(response, cap).await, expected);
    }
}

#[tokio::test]
async fn a_kept_connection_serves_the_next_request_and_an_unkept_one_does_not() {
    for (keep, connections) in [(Some(Duration::from_secs(60)), 1), (None, 3)] {
        let server = Server::repeating(Reply::Keep(OK.into()));
        let client = Client::new(&ClientOptions { keep, ..options() }, &Authorities::default()).unwrap();
        for _ in 0..3 {
            let answer = get(&client, url(&server)).await;
            assert_eq!(answer, Ok(b"hi".to_vec()));
        }
        assert_eq!(server.connections(), connections, "{keep:?}");
    }
}

/// A certificate's subject and years, and the year in which it is looked at.
struct Case {
    host: &'static str,
    valid: (i32, i32),
    now: i32,
}

#[derive(Debug)]
struct Year(i32);

impl rustls::time_provider::TimeProvider for Year {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = date_time_ymd(self.0, 6, 1).unix_timestamp();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds.try_into().unwrap())))
    }
}

/// An authority, and a certificate that it signed.
fn issue(case: &Case) -> (CertificateDer<'static>, rustls::ServerConfig) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "the test's authority");
    let key = KeyPair::generate().unwrap();
    let root = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);

    let mut leaf = CertificateParams::new([case.host.to_owned()]).unwrap();
    leaf.not_before = date_time_ymd(case.valid.0, 1, 1);
    leaf.not_after = date_time_ymd(case.valid.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    (root.der().clone(), showing(leaf.der(), &key))
}

/// A server that shows this certificate.
fn showing(certificate: &CertificateDer<'static>, key: &KeyPair) -> rustls::ServerConfig {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap()
}

/// Serves one answer over TLS to each who likes the certificate.
fn serve_tls(server: rustls::ServerConfig) -> u16 {
    let server = Arc::new(server);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = rustls::ServerConnection::new(server.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, stream);
            if stream.read(&mut [0; 4096]).is_ok() {
                stream.write_all(OK.as_bytes()).unwrap();
            }
        }
    });
    port
}

/// Asks a server with this certificate, whose authority is trusted.
async fn over_tls(case: Case) -> Result<Vec<u8>, (HttpError, Sent)> {
    let (root, server) = issue(&case);
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let mut tls = trusting(roots).unwrap();
    tls.time_provider = Arc::new(Year(case.now));
    let client = Client::with(&options(), tls).unwrap();
    get(&client, format!("https://127.0.0.1:{}", serve_tls(server))).await
}

#[tokio::test]
async fn a_good_certificate_is_accepted() {
    let case = Case { host: "127.0.0.1", valid: (2026, 2028), now: 2027 };
    assert_eq!(over_tls(case).await, Ok(b"hi".to_vec()));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_and_both_names_are_said() {
    let case = Case { host: "other.example", valid: (2026, 2028), now: 2027 };
    let (error, sent) = over_tls(case).await.unwrap_err();
    assert_eq!(sent, Sent::Never);
    let HttpError::Certificate(why) = error else { panic!("{error:?}") };
    assert!(why.contains("127.0.0.1") && why.contains("other.example"), "{why}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let case = Case { host: "127.0.0.1", valid: (2000, 2100), now: 2027 };
    let port = serve_tls(issue(&case).1);
    let answer =
        get(&Client::new(&options(), &Authorities::default()).unwrap(), format!("https://127.0.0.1:{port}"))
            .await;
    let (error, sent) = answer.unwrap_err();
    assert_eq!(sent, Sent::Never);
    assert!(matches!(&error, HttpError::Certificate(why) if why.contains("signed by nobody")), "{error:?}");
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_refused_in_plain_words() {
    let mut own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let port = serve_tls(showing(own.self_signed(&key).unwrap().der(), &key));
    let answer =
        get(&Client::new(&options(), &Authorities::default()).unwrap(), format!("https://127.0.0.1:{port}"))
            .await;
    let (error, sent) = answer.unwrap_err();
    assert_eq!(sent, Sent::Never);
    assert!(matches!(&error, HttpError::Certificate(why) if why.contains("signed itself")), "{error:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_the_servers_fault_unless_it_expired_long_ago_or_the_clock_is_behind() {
    let expired =
        |now| over_tls(Case { host: "127.0.0.1", valid: (2001, if now < 2027 { 2003 } else { 2027 }), now });
    let why = "it expired on 2027-01-01T00:00:00Z, and here it is 2027-06-01T00:00:00Z; is the clock right?";
    assert_eq!(expired(2027).await, Err((HttpError::Certificate(why.to_owned()), Sent::Never)));
    for now in [2010, 2028, 2031, 2090] {
        let (error, sent) = expired(now).await.unwrap_err();
        assert_eq!(sent, Sent::Never);
        assert!(matches!(&error, HttpError::Clock(_)), "{error:?}");
        assert!(error.to_string().contains("clock"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_from_the_future_is_a_question_to_the_clock() {
    for now in [1971, 2027] {
        let case = Case { host: "127.0.0.1", valid: (2029, 2031), now };
        let why =
            format!("it is not valid before 2029-01-01T00:00:00Z, and here it is {now}-06-01T00:00:00Z");
        assert_eq!(over_tls(case).await, Err((HttpError::Clock(why), Sent::Never)));
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_from_one_with_a_bad_certificate() {
    let answer = get(
        &Client::new(&options(), &Authorities::default()).unwrap(),
        url(&saying(OK)).replace("http:", "https:"),
    )
    .await;
    assert!(matches!(answer, Err((HttpError::Tls(_), Sent::Never))), "{answer:?}");
}
