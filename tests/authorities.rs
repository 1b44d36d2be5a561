//! `ca-file` with the real program: a server whose certificate nobody else has signed is believed by
//! the API's client and by sources, from the start and after SIGHUP, and nobody else is.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::PrivatePkcs8KeyDer;
use support::{Cloud, HERE, Home, Running, finish, stdout};

const RECORD: &str = "[[record]]\nname = \"a.example.com\"\n";
const REFUSED: &str = "certificate is not accepted: ";

/// An authority, and a server's certificate that it signed.
struct Authority {
    pem: String,
    server: Arc<rustls::ServerConfig>,
}

impl Authority {
    fn new() -> Authority {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        Authority { pem, server: Arc::new(server) }
    }

    /// Speaks TLS in front of `cloud`, which then is reached by https alone.
    fn before(&self, mut cloud: Cloud) -> Cloud {
        let port = |url: &str| url.split(':').nth(2).unwrap().split('/').next().unwrap().to_owned();
        for url in [&mut cloud.api, &mut cloud.echo] {
            let (plain, server) = (port(url), Arc::clone(&self.server));
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let own = listener.local_addr().unwrap().port().to_string();
            *url = url.replace("http:", "https:").replace(&plain, &own);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (server, plain) = (Arc::clone(&server), plain.clone());
                    thread::spawn(move || pass_on(server, stream, &plain));
                }
            });
        }
        cloud
    }
}

/// Hands on one request, and its answer. Whoever does not like the certificate gets none.
fn pass_on(server: Arc<rustls::ServerConfig>, stream: TcpStream, port: &str) -> Option<()> {
    let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(server).ok()?, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        let bytes = tls.read(&mut buffer).ok().filter(|bytes| *bytes > 0)?;
        request.extend_from_slice(&buffer[..bytes]);
        let head = String::from_utf8_lossy(&request).to_lowercase();
        let Some(end) = head.find("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if request.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap()) {
            break end;
        }
    };
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}")).ok()?;
    plain.write_all(&request[..end]).ok()?;
    plain.write_all(b"\r\nconnection: close").ok()?;
    plain.write_all(&request[end..]).ok()?;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).ok()?;
    tls.write_all(&answer).ok()?;
    tls.conn.send_close_notify();
    tls.flush().ok()
}

fn trusting(home: &Home, cloud: &Cloud) {
    let file = home.path("authorities.pem");
    home.configure(cloud, &format!("ca-file = \"{}\"\n---{RECORD}", file.display()));
}

#[test]
fn an_added_authority_is_trusted_for_the_api_and_for_sources_and_said_once() {
    let authority = Authority::new();
    let (cloud, home) = (authority.before(Cloud::start()), Home::new());
    let file = home.write("authorities.pem", &authority.pem);
    trusting(&home, &cloud);
    let daemon = Running::start(home.command(&["run"]));
    cloud.wait_for_records(&[&format!("a.example.com {HERE}")]);
    daemon.signal(Signal::HUP);
    daemon.wait_for("was read again", 1);
    let log = daemon.stop();
    let said = format!("the certificate authority in {} is trusted beside the built-in ones", file.display());
    assert_eq!(log.matches(&said).count(), 1, "{log}");
}

#[test]
fn without_it_the_same_server_is_refused() {
    let (cloud, home) = (Authority::new().before(Cloud::start()), Home::new());
    home.configure(&cloud, RECORD);
    let detect = finish(home.command(&["detect"]));
    assert!(stdout(&detect).contains(REFUSED), "{}", stdout(&detect));
    assert_eq!(cloud.looks(), 0);
    home.write("authorities.pem", Authority::new().pem);
    trusting(&home, &cloud);
    let detect = finish(home.command(&["detect"]));
    assert!(stdout(&detect).contains(REFUSED), "by another authority: {}", stdout(&detect));
}

#[test]
fn the_file_is_read_again_on_sighup() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (cloud, home) = (authority.before(Cloud::start()), Home::new());
    home.write("authorities.pem", &other.pem);
    trusting(&home, &cloud);
    let daemon = Running::start(home.command(&["run"]));
    daemon.wait_for(REFUSED, 1);
    home.write("authorities.pem", "");
    daemon.signal(Signal::HUP);
    daemon.wait_for("the old one stays in force", 1);
    home.write("authorities.pem", format!("{}{}", authority.pem, other.pem));
    daemon.signal(Signal::HUP);
    daemon.wait_for("the 2 certificate authorities in ", 1);
    daemon.signal(Signal::USR1);
    cloud.wait_for_records(&[&format!("a.example.com {HERE}")]);
    daemon.stop();
}

#[test]
fn check_says_how_many_there_are_and_asks_by_them() {
    let authority = Authority::new();
    let (cloud, home) = (authority.before(Cloud::start()), Home::new());
    home.write("authorities.pem", authority.pem.repeat(3));
    trusting(&home, &cloud);
    let check = finish(home.command(&["check"]));
    assert!(stdout(&check).contains("the 3 certificate authorities in "), "{}", stdout(&check));
    assert!(cloud.requests() > 0 && cloud.looks() > 0, "{}", stdout(&check));
}
