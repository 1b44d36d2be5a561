//! The sandbox's server over real sockets: what the world means arrives, and nothing goes on after it
//! is dropped. Also asked by Cloudflare's own Python package, where there is one.

#![cfg(feature = "sandbox")]
#![expect(clippy::unwrap_used, reason = "all of this file is a test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stayput::engine::names::Family;
use stayput::sandbox::{NewZone, Server, World, WorldOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What arrived of an answer.
#[derive(Debug)]
struct Heard {
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or("none")
    }

    fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn promised(&self) -> usize {
        let length = self.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.map_or(0, |text| text.parse().unwrap())
    }
}

/// One request on a connection of its own.
async fn ask(method: &str, url: &str, body: &str) -> Heard {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer t\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let whole = timeout(Duration::from_secs(10), async {
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // A connection that is reset has nothing more to say.
        let _ = stream.read_to_end(&mut bytes).await;
        bytes
    });
    let whole = whole.await.unwrap();
    let end = whole.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.map_or(whole.len(), |end| end + 4);
    Heard { head: String::from_utf8(whole[..end].to_vec()).unwrap(), body: whole[end..].to_vec() }
}

fn world() -> Arc<Mutex<World>> {
    let mut world = World::new(WorldOptions::default());
    world.add_zone(NewZone::named("example.com"));
    Arc::new(Mutex::new(world))
}

fn on_one_thread(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

#[test]
fn the_api_the_echoes_and_the_controls_are_served_on_loopback() {
    on_one_thread(async {
        let world = world();
        let server = Server::start(Arc::clone(&world), 0).unwrap();
        let base = server.base_url();
        assert_eq!(base, format!("http://127.0.0.1:{}/client/v4", server.port()));
        let zones = ask("GET", &format!("{base}/zones?per_page=50"), "").await;
        assert_eq!(zones.status(), "200");
        assert!(zones.head.contains("ratelimit: \"default\";r=1199;t=300"));
        let zone = zones.value()["result"][0]["id"].as_str().unwrap().to_owned();
        let record = json!({"type": "A", "name": "x", "content": "192.0.2.1"}).to_string();
        let made = ask("POST", &format!("{base}/zones/{zone}/dns_records"), &record).await;
        assert_eq!(made.value()["result"]["name"], "x.example.com");
        assert_eq!(world.lock().unwrap().records("example.com").len(), 1);

        for family in Family::ALL {
            // A host without IPv6 has no second URL.
            let Some(url) = server.echo_url("ipify", family) else {
                continue;
            };
            let told = String::from_utf8(ask("GET", &url, "").await.body).unwrap();
            let truth = world.lock().unwrap().addresses.get(family).unwrap();
            assert_eq!(told, truth.to_string());
            let url = server.echo_url("cloudflare", family).unwrap();
            let trace = String::from_utf8(ask("GET", &url, "").await.body).unwrap();
            let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
            assert!(trace.contains(&format!("h={host}\n")), "{trace}");
            assert!(trace.contains(&format!("ip={truth}\n")), "{trace}");
        }

        let control = server.control_url();
        let armed = ask("PUT", &format!("{control}/faults/html:1"), "503").await;
        assert_eq!(armed.status(), "204");
        let broken = ask("GET", &format!("{base}/zones"), "").await;
        assert_eq!((broken.status(), broken.value()), ("503", Value::Null));
        let state = ask("GET", &control, "").await.value();
        assert_eq!(state["requests"]["total"], 3);
        assert_eq!(state["faults"], json!([]));
    });
}

#[test]
fn what_becomes_of_an_answer_happens_on_the_wire() {
    on_one_thread(async {
        let world = world();
        let server = Server::start(Arc::clone(&world), 0).unwrap();
        let url = format!("{}/zones", server.base_url());
        let arm = |text: &str| {
            let mut world = world.lock().unwrap();
            world.faults.clear();
            world.faults.arm(text.parse().unwrap());
        };
        arm("lost-request:1");
        assert_eq!(ask("GET", &url, "").await.head, "");
        arm("offline:1");
        assert_eq!(ask("GET", &url, "").await.head, "");
        arm("cut:1");
        let cut = ask("GET", &url, "").await;
        assert_eq!(cut.status(), "200");
        assert!(!cut.body.is_empty() && cut.body.len() < cut.promised(), "{cut:?}");
        arm("truncated:1");
        let short = ask("GET", &url, "").await;
        assert_eq!((short.body.len(), short.value()), (short.promised(), Value::Null));
        arm("delay:1=300ms");
        let before = server.now();
        assert_eq!(ask("GET", &url, "").await.status(), "200");
        assert!(server.now() - before >= Duration::from_millis(300));
        arm("throttle:1=nothing\u{7} good");
        assert_eq!(ask("GET", &url, "").await.status(), "500");
        let large = "x".repeat((1 << 20) + 1);
        assert_eq!(ask("POST", &url, &large).await.status(), "413");
        assert_eq!(ask("GET", &url, "").await.status(), "200");
    });
}

#[test]
fn a_server_that_is_dropped_is_gone_and_its_port_free() {
    on_one_thread(async {
        let server = Server::start(world(), 0).unwrap();
        let port = server.port();
        assert!(Server::start(world(), port).is_err());
        let mut idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tokio::task::yield_now().await;
        drop(server);
        let mut byte = [0];
        let end = timeout(Duration::from_secs(5), idle.read(&mut byte)).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)));
        let again = Server::start(world(), port).unwrap();
        assert_eq!(again.port(), port);
    });
}

/// `$STAYPUT_PYTHON` names an interpreter that has the package `cloudflare`.
#[test]
#[ignore = "needs $STAYPUT_PYTHON, a Python with Cloudflare's package"]
fn the_official_python_package_works_with_the_sandbox() {
    let python = std::env::var_os("STAYPUT_PYTHON").expect("$STAYPUT_PYTHON is not set");
    on_one_thread(async {
        let world = Arc::new(Mutex::new(World::example(WorldOptions::default())));
        let server = Server::start(Arc::clone(&world), 0).unwrap();
        let output = tokio::process::Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sandbox_python.py"))
            .arg(server.base_url())
            .output();
        let output = timeout(Duration::from_secs(120), output).await.unwrap().unwrap();
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}{complained}");
        print!("{said}");
        // What it did is there.
        let names: Vec<String> = world
            .lock()
            .unwrap()
            .records("example.com")
            .into_iter()
            .filter(|record| record.name.starts_with("py"))
            .map(|record| format!("{} {}", record.name, record.content))
            .collect();
        assert_eq!(names, ["py-batch.example.com 192.0.2.41", "py-new.example.com 2001:db8::41"]);
    });
}
