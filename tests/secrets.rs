//! The secret is in no log at any level, no error, no debug text: with everything switched on that
//! can be, and with servers that send it back in every form.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "the steps of a test fail it by panicking")]

#[expect(dead_code, reason = "these tests use a part of it")]
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::future::Future;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, Once};

use scripted::{Reply, Server, http};
use stayput::cloudflare::client::Client;
use stayput::cloudflare::credential::{Credential, Login};
use stayput::engine::api::{Answer, Batch, Request};
use stayput::engine::names::{AccountId, RecordId, ZoneId};
use stayput::http::Authorities;
use stayput::secret::{Kind, Origin, Secret};
use support::{Cloud, HERE, Home, Running, Systemd, finish, stderr, stdout};

const TOKEN: &str = "Qm3xW8_pL2kT9-vR5sY1nB7cD4fG6hJ0aZEuXiOw";
const KEY: &str = "cfk_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3a1b2c3d4";
const EMAIL: &str = "somebody@mail.example";
const ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        log().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Everything that any part of the program says from now on goes to [`LOG`].
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(all).unwrap();
    });
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let six = ALPHABET[usize::try_from(number >> shift & 63).unwrap()];
            out.push(if at <= group.len() { char::from(six) } else { '=' });
        }
    }
    out
}

fn percent(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// The secret as a server might send it back.
fn echoes(secret: &str) -> Vec<String> {
    vec![
        secret.to_owned(),
        format!("Bearer {secret}"),
        percent(secret),
        percent(secret).to_lowercase(),
        base64(secret),
        base64(&format!("Bearer {secret}")),
        base64(&format!("{EMAIL}:{secret}")),
        base64(secret).replace('+', "-").replace('/', "_"),
        secret.bytes().map(|b| format!("{b:02x}")).collect(),
    ]
}

/// Whether a text has a piece of the secret that could be of use.
fn betrays(text: &str, secret: &str) -> Option<String> {
    let has = |form: &str, length: usize| {
        let pieces = form.as_bytes().windows(length);
        let pieces = pieces.filter_map(|piece| std::str::from_utf8(piece).ok());
        pieces.filter(|piece| text.contains(piece)).map(str::to_owned).next()
    };
    // Of a skewed base64, the first and the last letters are of other bytes, too.
    let core = |form: String| form.trim_end_matches('=').to_owned();
    let skewed = |before: &str| {
        let whole = core(base64(&format!("{before}{secret}")));
        whole[(before.len() * 4).div_ceil(3)..].to_owned()
    };
    has(secret, 8)
        .or_else(|| has(&percent(secret), 24))
        .or_else(|| has(&percent(secret).to_lowercase(), 24))
        .or_else(|| has(&core(base64(secret)), 12))
        .or_else(|| has(&skewed("Bearer "), 12))
        .or_else(|| has(&skewed(&format!("{EMAIL}:")), 12))
        .or_else(|| {
            let hex: String = secret.bytes().map(|b| format!("{b:02x}")).collect();
            has(&hex, 16)
        })
}

fn run<T>(task: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(task)
}

/// A server that answers every request with these bytes, whole, and then closes the connection.
fn serve(reply: Vec<u8>) -> (Server, Client) {
    let server = Server::repeating(Reply::Close(reply));
    let base = format!("http://{}/client/v4", server.address);
    (server, Client::new(&base, &Authorities::default()).unwrap())
}

fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    http(status, &format!("cf-ray: 8f2a1b3c4d5e6f70-FRA\r\n{headers}"), body)
}

/// Answers of every kind, each with the secret in it.
fn replies(echo: &str) -> Vec<Vec<u8>> {
    let header =
        format!("x-echo: {echo}\r\nset-cookie: a={echo}\r\nlocation: https://{echo}.example/{echo}\r\n");
    let filler = "x".repeat(150);
    let success = format!(
        r#"{{"success":true,"errors":[],"messages":["{echo}"],"result":[],"echo":"{echo}","meta":{{"a":"{}{echo}"}}}}"#,
        "x ".repeat(2_040)
    );
    let refusal = format!(
        r#"{{"success":false,"errors":[{{"code":9109,"message":"Invalid access token {echo}",
        "error_chain":[{{"code":6111,"message":"{echo}{echo}"}}]}}],"result":null}}"#
    );
    let page = format!("<html><h1>{filler} {echo}</h1></html>");
    let title = format!("<html><title>{filler}{echo} {echo}</title></html>");
    let malformed = format!(r#"{{"success":true,"result":"{echo}"}}"#);
    let mut cut = reply("200 OK", &header, &success);
    cut.truncate(cut.len() / 2);
    vec![
        reply("200 OK", &header, &success),
        reply("200 OK", &header, &malformed),
        reply("200 OK", &header, echo),
        reply("403 Forbidden", &header, &refusal),
        reply(
            "429 Too Many Requests",
            &format!("retry-after: {echo}\r\nratelimit: \"{echo}\";r=1;t=1\r\n{header}"),
            &refusal,
        ),
        reply("502 Bad Gateway", &header, &page),
        reply("520 Oh", &header, &title),
        reply("302 Found", &header, ""),
        reply("400 Bad Request", "", &format!("error code: 1010 {echo}")),
        cut,
        Vec::new(),
        format!("HTTP/1.1 {echo}\r\n\r\n").into_bytes(),
        format!("{echo}\r\n\r\n").into_bytes(),
    ]
}

fn requests() -> Vec<Request> {
    let zone = ZoneId::parse(ID).unwrap();
    let deletes = vec![RecordId::parse(ID).unwrap()];
    let batch = Batch { deletes, ..Batch::default() };
    vec![
        Request::Zones { page: 1, name: None },
        Request::Records { zone: zone.clone(), name: None, page: 1, per_page: 100 },
        Request::Batch { zone, batch },
        Request::Verify(AccountId::parse(ID)),
    ]
}

fn token() -> Credential {
    Credential::Token(Secret::parse(TOKEN.as_bytes(), Kind::Token).unwrap())
}

fn pair() -> Credential {
    Credential::GlobalKey {
        email: EMAIL.to_owned(),
        key: Secret::parse(KEY.as_bytes(), Kind::GlobalKey).unwrap(),
    }
}

fn everything_said(client: &Client, credential: &Credential, answer: &Answer) -> String {
    let mut said = format!("{client:?} {credential:#?} {answer:?}");
    if let Err(failure) = &answer.outcome {
        said += &format!(" {failure} {:?}", failure.remedy);
    }
    said
}

#[test]
fn no_answer_of_a_server_brings_the_secret_back() {
    listen();
    let mut asked = 0;
    for (credential, secret) in [(token(), TOKEN), (pair(), KEY)] {
        for echo in echoes(secret) {
            for bytes in replies(&echo) {
                run(async {
                    let (_server, client) = serve(bytes);
                    for request in requests() {
                        let answer = client.ask(&credential, &request).await;
                        let said = everything_said(&client, &credential, &answer);
                        assert_eq!(betrays(&said, secret), None, "{said}");
                        asked += 1;
                    }
                });
            }
        }
    }
    assert_eq!(asked, 2 * 9 * 13 * 4);
    let all = String::from_utf8_lossy(&log()).into_owned();
    for secret in [TOKEN, KEY] {
        let found = betrays(&all, secret);
        let line = found.as_ref().and_then(|piece| all.lines().find(|line| line.contains(piece)));
        assert_eq!(found, None, "{line:?}");
    }
    // It was really listening, and at the level that shows the most.
    for word in
        ["authorization: ***", "x-auth-key: ***", "x-auth-email: ***", "set-cookie: ***", "x-echo: ***"]
    {
        assert!(all.contains(word), "{word} is not in the log");
    }
    assert!(all.contains("DEBUG") && all.contains("TRACE"));
}

#[test]
fn each_request_is_one_line_at_debug() {
    listen();
    run(async {
        let body = r#"{"success":true,"errors":[],"result":[]}"#;
        let (_server, client) = serve(reply("200 OK", "", body));
        let zone = ZoneId::parse("0123456789abcdef0123456789abcdef").unwrap();
        let request = Request::Records { zone, name: None, page: 77, per_page: 100 };
        client.ask(&token(), &request).await.outcome.unwrap();
    });
    let all = String::from_utf8_lossy(&log()).into_owned();
    let lines: Vec<_> =
        all.lines().filter(|line| line.contains("page=77") && line.contains("DEBUG")).collect();
    let [line] = lines[..] else {
        panic!("not one line: {lines:?}");
    };
    for part in [
        "stayput::api",
        "GET",
        "/zones/0123456789abcdef0123456789abcdef/dns_records?page=77",
        "status=200",
        "ms=",
        "8f2a1b3c4d5e6f70-FRA",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn a_failed_connection_does_not_tell_the_secret() {
    listen();
    run(async {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", gone.local_addr().unwrap());
        drop(gone);
        let client = Client::new(&base, &Authorities::default()).unwrap();
        let answer = client.ask(&token(), &requests()[2]).await;
        assert!(answer.outcome.is_err());
        let said = everything_said(&client, &token(), &answer);
        assert_eq!(betrays(&said, TOKEN), None, "{said}");
    });
    let all = String::from_utf8_lossy(&log()).into_owned();
    assert!(all.contains("not answered"));
    assert_eq!(betrays(&all, TOKEN), None);
}

#[test]
fn reading_a_secret_tells_nothing_of_it_either() {
    listen();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let wrong = [
        "'{}'",
        "Bearer {}",
        "a b {}",
        "{}=x",
        "TOKEN={}",
        "{}\u{1}",
        "{}é",
        "{} \n second line",
        "cfk_{}",
        "{}",
    ];
    for text in wrong {
        std::fs::write(&path, text.replace("{}", TOKEN)).unwrap();
        let script = format!("cat {0}; cat {0} >&2; exit 1", path.display());
        let origins = [
            Origin::File(path.clone()),
            Origin::Command(vec!["cat".to_owned(), path.display().to_string()]),
            Origin::Command(vec!["sh".to_owned(), "-c".to_owned(), script]),
        ];
        for origin in origins {
            let said = match run(Login::Token(origin).read()) {
                Ok(reading) => format!("{reading:?} {:?}", reading.warnings),
                Err(error) => format!("{error} {error:?}"),
            };
            assert_eq!(betrays(&said, TOKEN), None, "{text}: {said}");
        }
    }
    let all = String::from_utf8_lossy(&log()).into_owned();
    assert_eq!(betrays(&all, TOKEN), None);
}

/// Words of the configuration that may be secret.
const ARGUMENT: &str = "hunter2-in-an-argument";
const QUERY: &str = "hunter2-in-a-query";

/// A program that tells all that it can find of the token, and fails.
fn tell_tale(home: &Home) -> String {
    let token = home.write("token", TOKEN).display().to_string();
    let finds = format!("printf 'no \"%s\" ' \"$MY_TOKEN\"; tr -d '\\n' <{token}; base64 -w0 {token}");
    let script = home.write("source", format!("{{ {finds}; }} >&2; exit 1"));
    format!("{{ command = [\"sh\", \"{}\", \"{ARGUMENT}\"] }}", script.display())
}

fn configure(home: &Home, cloud: &Cloud, origin: &str, sources: &[String]) {
    let text = format!(
        "[cloudflare]\napi = \"{}\"\ntoken = {origin}\n[address]\nevery = \"10s\"\nagree = 1\nipv6 = []\n\
         ipv4 = [{}]\n[[record]]\nname = \"a.example.com\"\n",
        cloud.api,
        sources.join(", ")
    );
    home.write("stayput.toml", text);
}

fn everything_said_by(home: &Home, arguments: &[&str]) -> String {
    let mut command = home.command(arguments);
    command.env("MY_TOKEN", TOKEN).env("STAYPUT_SOCKET", home.path("socket"));
    let output = finish(command);
    stdout(&output) + &stderr(&output)
}

#[test]
fn whatever_a_program_tells_of_the_token_leaves_ours_by_no_way() {
    let (cloud, home) = (Cloud::start(), Home::new());
    let tale = tell_tale(&home);
    let address = format!("\"{}?{QUERY}\"", cloud.echo);
    let file = format!("{{ file = \"{}\" }}", home.path("token").display());
    let both = [tale.clone(), address];
    for (origin, sources, until) in [
        (file.as_str(), &[tale][..], "sh ended with exit status 1: no \"***\" ***"),
        ("{ env = \"MY_TOKEN\" }", &both, "1 of 1 records are current"),
    ] {
        configure(&home, &cloud, origin, sources);
        let mut systemd = Systemd::at(&home.path("notify"));
        let mut run = home.command(&["run", "-v", "-v"]);
        run.env("MY_TOKEN", TOKEN).env("STAYPUT_SOCKET", home.path("socket"));
        run.env("NOTIFY_SOCKET", home.path("notify"));
        let daemon = Running::start(run);
        daemon.wait_for(until, 1);
        systemd.wait_for("STATUS=", 1);
        let mut said = vec![
            everything_said_by(&home, &["status"]),
            everything_said_by(&home, &["status", "--json"]),
            daemon.stop(),
            std::fs::read_to_string(home.path("state.json")).unwrap(),
            systemd.told("").into_iter().map(|(_, line)| line + "\n").collect(),
        ];
        for command in ["once", "plan", "check", "detect"] {
            said.push(everything_said_by(&home, &[command, "-v", "-v"]));
        }
        let all = said.join("\n");
        assert!(all.matches(" ended with exit status 1: no ").count() >= 2, "{all}");
        for secret in [ARGUMENT, QUERY] {
            assert_eq!(all.lines().find(|line| line.contains(secret)), None);
        }
        let found = betrays(&all, TOKEN);
        let line = found.as_ref().and_then(|piece| all.lines().find(|line| line.contains(piece)));
        assert_eq!(found, None, "{line:?}");
        std::fs::remove_file(home.path("notify")).unwrap();
        std::fs::remove_file(home.path("state.json")).unwrap();
    }
    assert_eq!(cloud.records(), [format!("a.example.com {HERE}")]);
}

#[test]
fn the_check_itself_finds_a_secret() {
    for echo in echoes(TOKEN) {
        let text = format!("some words {echo} more words");
        assert!(betrays(&text, TOKEN).is_some(), "{echo}");
    }
    assert_eq!(betrays("Invalid access token ***", TOKEN), None);
}
