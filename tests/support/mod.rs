//! What the tests of the real binary share: a simulated Cloudflare that they can look into, and the
//! program as a child whose words they can wait for. Both end with the test.

#![cfg(feature = "sandbox")]
#![expect(dead_code, reason = "each test binary uses its own part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stayput::engine::names::Family;
use stayput::sandbox::{Kind, NewZone, Record, Server, World, WorldOptions};

/// A token that has the form of one.
pub const TOKEN: &str = "tests-token-0123456789abcdefghijklmnopqr";
/// The address that the world begins with.
pub const HERE: &str = "93.184.216.34";
/// The one that it moves to.
pub const THERE: &str = "93.184.216.35";
/// One that is nobody's.
pub const ELSEWHERE: &str = "93.184.216.99";

/// A simulated Cloudflare on loopback, served by a thread of its own.
pub struct Cloud {
    world: Arc<Mutex<World>>,
    pub api: String,
    pub echo: String,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Cloud {
    /// A world with the zone example.com, empty, and the address [`HERE`].
    pub fn start() -> Cloud {
        let mut world = World::new(WorldOptions::default());
        world.add_zone(NewZone::named("example.com"));
        world.addresses.change(Family::V4, Some(HERE.parse().unwrap()));
        world.addresses.change(Family::V6, None);
        Cloud::serve(world)
    }

    pub fn serve(world: World) -> Cloud {
        let world = Arc::new(Mutex::new(world));
        let served = Arc::clone(&world);
        let (end, ended) = tokio::sync::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::start(served, 0).unwrap();
                let echo = server.echo_url("ipify", Family::V4).unwrap();
                tell.send((server.base_url(), echo)).unwrap();
                let _ = ended.await;
            });
        });
        let (api, echo) = told.recv().unwrap();
        Cloud { world, api, echo, end: Some(end), thread: Some(thread) }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn move_to(&self, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        self.world().addresses.change(Family::of(address), Some(address));
    }

    pub fn add(&self, body: &serde_json::Value) -> Record {
        self.world().add_record("example.com", body).unwrap()
    }

    /// The address records of example.com, as `name content`, sorted.
    pub fn records(&self) -> Vec<String> {
        let records = self.world().records("example.com");
        let addresses = records.iter().filter(|r| r.kind == "A" || r.kind == "AAAA");
        let mut lines: Vec<String> = addresses.map(|r| format!("{} {}", r.name, r.content)).collect();
        lines.sort();
        lines
    }

    /// API requests so far.
    pub fn requests(&self) -> u64 {
        self.world().total()
    }

    pub fn count(&self, kind: Kind) -> u64 {
        self.world().count(kind)
    }

    pub fn looks(&self) -> u64 {
        self.world().echoes().values().sum()
    }

    pub fn arm(&self, fault: &str) {
        self.world().faults.arm(fault.parse().unwrap());
    }

    /// Waits until the records are these.
    pub fn wait_for_records(&self, expected: &[&str]) {
        eventually(|| self.records() == expected, || format!("{:?} instead of {expected:?}", self.records()));
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A folder with a configuration, a token and room for the state.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        home.write("token", TOKEN);
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// Writes a configuration for `cloud` that keeps IPv4 only, looks every ten seconds, and goes on with
    /// `rest`.
    pub fn configure(&self, cloud: &Cloud, rest: &str) -> PathBuf {
        let token = self.path("token");
        let text = format!(
            "{}\n[cloudflare]\napi = \"{}\"\ntoken = {{ file = \"{}\" }}\n[address]\nevery = \"10s\"\nipv4 = [{{ url = \"{}\" }}]\nipv6 = []\n{}",
            rest.split_once("---").map_or("", |(top, _)| top),
            cloud.api,
            token.display(),
            cloud.echo,
            rest.split_once("---").map_or(rest, |(_, rest)| rest),
        );
        self.write("stayput.toml", text)
    }

    /// The program with this home's configuration, state and socket.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = stayput(arguments);
        command.arg("--config").arg(self.path("stayput.toml"));
        command.env("STAYPUT_STATE", self.path("state.json"));
        command.env("STAYPUT_SOCKET", self.path("stayput.sock"));
        command
    }

    /// The last of each kind of line in the state file.
    pub fn state(&self) -> serde_json::Value {
        let mut state = serde_json::json!({});
        for line in std::fs::read_to_string(self.path("state.json")).unwrap().lines() {
            let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            line.into_iter().for_each(|(kind, value)| state[kind] = value);
        }
        state
    }
}

/// The program with an environment that says nothing.
pub fn stayput(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stayput"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// Runs a command to its end, which must come soon.
pub fn finish(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (tell, told) = mpsc::channel();
    let watchdog = thread::spawn(move || {
        if told.recv_timeout(Duration::from_secs(40)).is_err() {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    tell.send(()).unwrap();
    watchdog.join().unwrap();
    output
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program while it runs.
pub struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Ends with the log.
    reader: thread::JoinHandle<()>,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, into) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&log));
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = into.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Running { child, log, reader }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds this text so many times.
    pub fn wait_for(&self, text: &str, times: usize) {
        eventually(
            || self.log().matches(text).count() >= times,
            || format!("{text:?} is not in the log {times} times:\n{}", self.log()),
        );
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end; says how long it took.
    pub fn end(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        let mut status = None;
        eventually(
            || {
                status = self.child.try_wait().unwrap();
                status.is_some()
            },
            || "it does not end".to_owned(),
        );
        let took = began.elapsed();
        eventually(|| self.reader.is_finished(), || "its log does not end".to_owned());
        (status.unwrap(), took)
    }

    /// Stops it with SIGTERM, which must end it with 0 within a second.
    pub fn stop(mut self) -> String {
        self.signal(Signal::TERM);
        let (status, took) = self.end();
        assert_eq!(status.code(), Some(0), "{}", self.log());
        assert!(took < Duration::from_secs(1) + SLACK, "took {took:?}");
        self.log()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket on which systemd would listen.
pub struct Systemd {
    socket: UnixDatagram,
    /// Every line, and when it was read.
    told: Vec<(Instant, String)>,
}

impl Systemd {
    pub fn at(path: &Path) -> Systemd {
        Systemd::on(UnixDatagram::bind(path).unwrap())
    }

    /// Without a file, under a name that begins with `@` in `$NOTIFY_SOCKET`.
    pub fn in_the_abstract(name: &str) -> Systemd {
        Systemd::on(UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap())
    }

    fn on(socket: UnixDatagram) -> Systemd {
        socket.set_nonblocking(true).unwrap();
        Systemd { socket, told: Vec::new() }
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(bytes) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..bytes]);
            self.told.extend(text.lines().map(|line| (Instant::now(), line.to_owned())));
        }
    }

    /// The lines so far that begin like this, and when they were read.
    pub fn told(&mut self, beginning: &str) -> Vec<(Instant, String)> {
        self.read();
        self.told.iter().filter(|(_, line)| line.starts_with(beginning)).cloned().collect()
    }

    /// Waits until it was told something that begins like this, so many times.
    pub fn wait_for(&mut self, beginning: &str, times: usize) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.told(beginning).len() < times {
            assert!(Instant::now() < until, "{beginning} is not in {:?} {times} times", self.told);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// When it was ready, reloading and stopping, in the order in which it was told.
    pub fn phases(&mut self) -> Vec<String> {
        let mut lines = self.told("");
        lines.retain(|(_, line)| ["READY=1", "RELOADING=1", "STOPPING=1"].contains(&line.as_str()));
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

/// What a machine with other things to do may add.
pub const SLACK: Duration = Duration::from_secs(1);

/// Waits until `reached`, for twenty seconds at most.
pub fn eventually(mut reached: impl FnMut() -> bool, otherwise: impl Fn() -> String) {
    let until = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < until, "{}", otherwise());
        thread::sleep(Duration::from_millis(10));
    }
}

/// The files in a folder of the repository with this ending, sorted.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    files.sort();
    files
}
