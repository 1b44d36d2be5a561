//! The one loop: it waits, tells the engine what happened, and does what the engine says.
//!
//! One place waits, for finished work, a save, a signal or the time; what came of it is a value, and one
//! function decides. At most one look is under way for a source and one request for an account.
//! Deliberately unknown: why anything is to be done. `run`, `once`, `plan` and `check` are this loop
//! with engines in different modes.

mod disk;
mod reload;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::UnixStream;
use tokio::task::{JoinError, JoinSet};

use super::accounts::{self, Accounts, Locked, Readings, Renewal, Secrets};
use super::clock::{self, Alarm};
use super::network::Network;
use super::signals::{Signal, Signals};
use super::socket::{self, Socket};
use super::status::{self, Document};
use super::systemd::{self, Supervisor};
use crate::cloudflare::credential::Reading;
use crate::cloudflare::identity::HashKey;
use crate::config::Config;
use crate::detect::Detector;
use crate::detect::events::News;
use crate::engine::api::{Answer, Request};
use crate::engine::failure::{Class, Failure};
use crate::engine::names::{Line, Moment, Ticket};
use crate::engine::notice::{Notice, count};
use crate::engine::settings::{AccountName, CredentialId, OnExit, Settings};
use crate::engine::watch::LookError;
use crate::engine::{Command, Engine, Event, Mode, Start};
use crate::report::reporter::{Output, Reporter};
use crate::secret::SecretError;
use crate::state::Kept;
use crate::state::file;
use crate::state::saving::{Saved, Saver};

/// How long a request that is under way when the program is stopped may take to end.
const GRACE: Duration = Duration::from_millis(700);
/// How long deleting our records (`on-exit = "delete"`) may take.
const GRACE_TO_DELETE: Duration = Duration::from_secs(8);
/// What the loop is to do.
pub struct Job {
    /// For ever, once, or only to see.
    pub mode: Mode,
    /// Where notices go.
    pub output: Output,
    /// What is wanted.
    pub config: Config,
    /// Reads the configuration again, for SIGHUP; its mistakes as text.
    pub reread: Box<dyn Fn() -> Result<Config, String>>,
    /// What is remembered across a restart.
    pub state: StateMode,
    /// Where secrets come from.
    pub secrets: Secrets,
    /// Where a running daemon is asked what it knows; `None`: nowhere.
    pub socket: Option<PathBuf>,
}

/// What is remembered across a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateMode {
    /// Nothing.
    None,
    /// The state file, read and not touched.
    ReadOnly(PathBuf),
    /// The state file, read, locked and written.
    Locked(PathBuf),
}

/// How the loop ended.
pub struct Outcome {
    /// What it knew at the end.
    pub engine: Engine,
    /// For [`Output::CollectProblems`] and [`Output::Collect`]: what was kept for them.
    pub seen: Seen,
}

/// What the loop heard and said, in the order in which it happened.
#[derive(Debug, Default)]
pub struct Seen {
    /// The notices.
    pub notices: Vec<Notice>,
    /// What the sources said, by their labels.
    pub heard: Vec<(Line, Box<str>, Result<IpAddr, LookError>)>,
    /// What Cloudflare said.
    pub answers: Vec<(AccountName, Request, Answer)>,
    /// The `Date` of one of its answers.
    pub dated: Option<SystemTime>,
}

/// Why the loop did not begin, or broke off.
#[derive(Debug)]
pub enum RunError {
    /// A secret cannot be had.
    Locked(Locked),
    /// The system lacks something that nothing works without.
    System(io::Error),
    /// A part of the program panicked; its words went to standard error.
    Panicked,
    /// Stopped by a signal before it had begun, or a single pass before it was over.
    Stopped,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Locked(locked) => locked.fmt(f),
            RunError::System(error) => write!(f, "cannot listen for signals: {error}"),
            RunError::Panicked => f.write_str("a part of stayput failed; please report it"),
            RunError::Stopped => f.write_str("stopped before it was done"),
        }
    }
}

/// Runs the loop to its end: the stop of a daemon, the outcome of a single pass.
///
/// # Errors
/// [`RunError`] says why there is no outcome.
pub async fn run(job: Job) -> Result<Outcome, RunError> {
    // A daemon that is stopped is done, a single pass is not.
    let second_stop = if job.mode == Mode::Daemon { 0 } else { 75 };
    let mut signals = Signals::listen(second_stop).map_err(RunError::System)?;
    if job.mode == Mode::Daemon && !signals.heed_hangups() {
        tracing::info!(
            "SIGHUP was ignored at the start, as nohup does it, and stays so: a new configuration needs a restart"
        );
    }
    let mut alarm = Alarm::unset();
    let readings = tokio::select! {
        readings = accounts::read(job.config.accounts.clone(), job.secrets) => readings,
        () = signals.stopped() => return Err(RunError::Stopped),
    };
    let mut shell = Loop::new(job, readings).map_err(RunError::Locked)?;
    let mut socket =
        if shell.job.mode == Mode::Daemon { socket::open(shell.job.socket.clone()) } else { None };
    shell.supervisor.ready(clock::now());
    loop {
        shell.step();
        if shell.is_over() {
            return shell.end();
        }
        let due = shell.wake_at();
        let input = tokio::select! {
            biased;
            signal = signals.next() => Input::Signal(signal),
            Some(work) = shell.work.join_next() => Input::Finished(Box::new(work)),
            saved = or_never(shell.state.as_mut().map(Saver::saved)) => Input::Saved(saved),
            news = shell.network.next_hint() => Input::News(news),
            stream = or_never(socket.as_mut().map(Socket::next_client)) => Input::Client(stream),
            () = alarm.rings_at(due) => Input::Due,
        };
        match (input, &socket) {
            (Input::Client(stream), Some(socket)) => socket.answer(stream, || shell.document()),
            (input, _) => shell.decide(input)?,
        }
    }
}

/// What comes of a future, or never anything where there is none.
async fn or_never<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// What ended the wait.
enum Input {
    Signal(Signal),
    Finished(Box<Result<Work, JoinError>>),
    Saved(Saved),
    /// The kernel told of the ways out.
    News(News),
    /// Somebody wants to know what is known.
    Client(UnixStream),
    Due,
}

/// A piece of work that is finished, with its result.
enum Work {
    Look(Ticket, Line, Box<str>, Result<IpAddr, LookError>),
    Request(Ticket, AccountName, Request, Answer),
    Secret(Ticket, AccountName, Result<Reading, SecretError>),
    /// SIGHUP: the new configuration, if it is one, and all secrets.
    Reload(Option<Box<Config>>, Readings),
}

/// A request that waits for the disk.
struct Waiting {
    /// The snapshot that must be on disk before it leaves.
    snapshot: u64,
    since: Moment,
    ticket: Ticket,
    account: AccountName,
    request: Request,
}

/// How far a reload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    Idle,
    /// SIGHUP came, for the first and for the last time; others may follow.
    Called(Moment, Moment),
    Reading,
    /// SIGHUP came once more while reading: read again afterwards.
    Stale,
}

struct Loop {
    job: Job,
    engine: Engine,
    network: Network,
    /// Makes the names of credentials that the engine and the state know.
    hash_key: Option<HashKey>,
    detector: Arc<Detector>,
    accounts: Accounts,
    work: JoinSet<Work>,
    writing: BTreeSet<Ticket>,
    /// How many requests are on their way.
    asking: usize,
    state: Option<Saver>,
    /// Requests that leave when a snapshot is on disk, the oldest first.
    waiting: Vec<Waiting>,
    supervisor: Supervisor,
    reload: Reload,
    /// The program is to end, at the latest at this instant.
    end_by: Option<Moment>,
    /// When `step` last ran: the least time between two turns is counted from it.
    stepped_at: Moment,
    reporter: Reporter,
    seen: Seen,
    started_at: Moment,
}

impl Loop {
    fn new(mut job: Job, readings: Readings) -> Result<Loop, Locked> {
        if job.output != Output::Collect {
            accounts::warn(&readings);
            job.config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        let authorities = &job.config.authorities;
        let accounts = Accounts::open(&job.config.accounts, readings, &Accounts::default(), authorities)?;
        let now = clock::now();
        let opened = match std::mem::replace(&mut job.state, StateMode::None) {
            StateMode::None => file::Opened::default(),
            StateMode::ReadOnly(path) => file::look(&path, clock::read()),
            StateMode::Locked(path) => file::open(path, clock::read()),
        };
        if let Some(trouble) = opened.trouble {
            tracing::warn!("{trouble}");
        }
        if job.mode == Mode::Daemon {
            tracing::info!("{}", beginning(&job.config.settings));
            tell_authorities(&job.config);
        }
        let start = Start {
            mode: job.mode,
            seed: seed(),
            eager: job.output != Output::Log || job.mode != Mode::Daemon,
            now,
        };
        let network = Network::listen(job.mode);
        let Kept { snapshot, hash_key } = opened.remembered.unwrap_or_default();
        let hash_key = hash_key.or_else(HashKey::random);
        let settings = hand_over(&mut job.config, &accounts, hash_key);
        let mut engine = Engine::new(settings, start, Some(snapshot));
        engine.handle(network.missing(&job.config), now);
        Ok(Loop {
            engine,
            network,
            hash_key,
            detector: Arc::new(Detector::new(&job.config.authorities)),
            accounts,
            work: JoinSet::new(),
            writing: BTreeSet::new(),
            asking: 0,
            state: opened.saver,
            waiting: Vec::new(),
            supervisor: Supervisor::from_environment(now),
            reload: Reload::Idle,
            end_by: None,
            stepped_at: now,
            reporter: Reporter::new(job.output),
            seen: Seen::default(),
            started_at: now,
            job,
        })
    }

    /// What is known, for whoever asks: the document, and on the next line whether all is well.
    fn document(&self) -> String {
        let status = self.engine.status(clock::now());
        let health = status::health(&status);
        let document = Document::of(status, self.started_at, clock::read());
        format!("{}\n{health}\n", serde_json::to_string(&document).unwrap_or_default())
    }

    /// Does what the engine says, until it has nothing more to say for now.
    fn step(&mut self) {
        let now = clock::now();
        self.stepped_at = now;
        if self.reload_at().is_some_and(|due| due <= now) {
            self.begin_reload();
        }
        if self.save_limit().is_some_and(|limit| limit <= now) {
            self.give_up_state();
        }
        if self.end_by.is_none() || self.job.mode == Mode::Daemon {
            self.carry_out(now);
        }
        self.save_if_needed(now);
        self.send_waiting();
        self.publish(now);
        self.supervisor.beat(now);
    }

    fn carry_out(&mut self, now: Moment) {
        while let Some(command) = self.engine.next_command(now) {
            match command {
                Command::Look { ticket, line, source } => self.look(ticket, line, source),
                Command::Ask { ticket, account, request } => self.let_wait(ticket, account, request, now),
                Command::ReadSecret { ticket, account } => self.read_secret(ticket, account, now),
            }
        }
    }

    /// Takes in what ended the wait.
    fn decide(&mut self, input: Input) -> Result<(), RunError> {
        let now = clock::now();
        match input {
            Input::Due | Input::Client(_) => {}
            Input::News(news) => {
                tracing::debug!("the kernel tells of the ways out: {news:?}");
                for event in self.network.events(news, &self.job.config) {
                    self.engine.handle(event, now);
                }
            }
            Input::Signal(signal) => self.handle_signal(signal, now),
            Input::Saved(saved) => self.finish_save(saved),
            Input::Finished(work) => match *work {
                Ok(work) => self.finish(work, now),
                Err(error) if error.is_panic() => return Err(RunError::Panicked),
                Err(_cancelled) => {}
            },
        }
        self.drain_notices();
        Ok(())
    }

    fn finish(&mut self, work: Work, now: Moment) {
        match work {
            Work::Look(ticket, line, source, heard) => {
                if !self.engine.is_open(ticket) {
                    return;
                }
                let says = heard.as_ref().ok().copied();
                if self.job.output == Output::Collect {
                    self.seen.heard.push((line, source, heard.clone()));
                }
                self.engine.handle(Event::Heard(ticket, heard), now);
                if says.is_some() && says == self.engine.believed(line) {
                    self.network.learned(line.family);
                }
            }
            Work::Request(ticket, account, request, answer) => {
                self.writing.remove(&ticket);
                self.asking -= 1;
                if self.job.output == Output::Collect {
                    self.seen.answers.push((account, request, answer.clone()));
                }
                self.engine.handle(Event::Answered(ticket, answer), now);
            }
            Work::Secret(ticket, account, read) => {
                if !self.engine.is_open(ticket) {
                    return;
                }
                let different = self.accounts.renew(&account, read, now) == Renewal::Different;
                let id = different.then(|| self.credential_id(&account));
                self.engine.handle(Event::SecretRead(ticket, id), now);
            }
            Work::Reload(config, readings) => self.finish_reload(config, readings, now),
        }
    }

    fn handle_signal(&mut self, signal: Signal, now: Moment) {
        match signal {
            Signal::Stop => self.stop(now),
            Signal::Refresh => {
                tracing::info!("SIGUSR1: looking, and asking Cloudflare afresh");
                self.engine.handle(Event::RefreshNow, now);
            }
            Signal::Reload if self.end_by.is_none() => self.note_reload(now),
            Signal::Reload => {}
        }
    }

    /// Lets the engine finish what must be finished. A second stop does not come here: see `signals`.
    fn stop(&mut self, now: Moment) {
        let grace = match self.job.config.settings.on_exit {
            OnExit::Delete if self.job.mode == Mode::Daemon => GRACE_TO_DELETE,
            _ => {
                self.waiting.clear();
                GRACE
            }
        };
        self.end_by = Some(now + grace);
        if matches!(self.reload, Reload::Called(..)) {
            self.reload = Reload::Idle;
        }
        self.supervisor.stopping(now);
        if self.job.mode == Mode::Daemon {
            self.engine.handle(Event::Stop, now);
        }
    }

    fn is_over(&self) -> bool {
        let now = clock::now();
        match self.end_by {
            Some(end_by) if end_by <= now => true,
            Some(_) if self.job.mode != Mode::Daemon => self.writing.is_empty() && self.is_saved(),
            Some(_) => self.engine.settled(now) && self.writing.is_empty() && self.is_saved(),
            None => self.job.mode != Mode::Daemon && self.engine.settled(now) && self.is_saved(),
        }
    }

    fn end(mut self) -> Result<Outcome, RunError> {
        self.publish(clock::now());
        if self.job.mode != Mode::Daemon && self.end_by.is_some() {
            return Err(RunError::Stopped);
        }
        if self.job.mode == Mode::Daemon {
            self.engine.take_leave();
            self.drain_notices();
            tracing::info!("stopped");
        }
        let seen = Seen { notices: self.reporter.into_kept(), dated: self.accounts.dated(), ..self.seen };
        Ok(Outcome { engine: self.engine, seen })
    }

    /// When the loop must turn again by itself.
    fn wake_at(&self) -> Option<Moment> {
        let due = [
            self.engine.wake_at(clock::now()),
            self.supervisor.beat_at(),
            self.reload_at(),
            self.save_limit(),
            self.end_by,
        ];
        // An engine that is always due would keep the processor busy for nothing.
        let soonest = self.stepped_at + Duration::from_millis(1);
        due.into_iter().flatten().min().map(|due| due.max(soonest))
    }

    fn look(&mut self, ticket: Ticket, line: Line, label: Box<str>) {
        let mut sources = self.job.config.sources.get(&line).into_iter().flatten();
        let Some(source) = sources.find(|source| source.label() == label).cloned() else {
            tracing::error!("there is no source {label} of {line}; please report it");
            return;
        };
        let detector = Arc::clone(&self.detector);
        self.work.spawn(async move {
            let heard = detector.ask(&source, line.family).await;
            Work::Look(ticket, line, label, heard)
        });
    }

    /// Sends a request; `limit` is how long a write may still take.
    fn ask(&mut self, (ticket, name, request): (Ticket, AccountName, Request), limit: Duration) {
        let Some(account) = self.accounts.get(&name).cloned() else {
            // A reload took it away while the request waited for the disk.
            let gone = Failure::without_answer(Class::NotSent, "its account is gone");
            let answer = Answer::failed(gone, Duration::ZERO);
            return self.engine.handle(Event::Answered(ticket, answer), clock::now());
        };
        if request.writes() {
            self.writing.insert(ticket);
        }
        self.asking += 1;
        self.work.spawn(async move {
            let limit = if request.writes() { limit } else { Duration::MAX };
            let asked = account.client.ask(&account.credential, &request);
            let answer = tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
                Answer::failed(Failure::without_answer(Class::Unsure, "no answer in time"), limit)
            });
            Work::Request(ticket, name, request, answer)
        });
    }

    fn read_secret(&mut self, ticket: Ticket, name: AccountName, now: Moment) {
        let Some(login) = self.accounts.get(&name).map(accounts::Account::login) else {
            return self.engine.handle(Event::SecretRead(ticket, None), now);
        };
        let secrets = self.job.secrets;
        self.work.spawn(async move { Work::Secret(ticket, name, secrets.read(&login).await) });
    }

    fn credential_id(&self, name: &AccountName) -> CredentialId {
        self.accounts.credential_id(name, self.hash_key)
    }

    /// Passes on what the engine has to say.
    fn drain_notices(&mut self) {
        let notices = self.engine.take_notices();
        let moved = |notice: &Notice| matches!(notice, Notice::Address { from: Some(_), .. });
        if notices.iter().any(moved) {
            // Connections from before an address change are dead without knowing it.
            self.accounts.forget_connections();
        }
        notices.into_iter().for_each(|notice| self.reporter.tell(notice));
    }

    /// Passes on what is new, and at rest the status.
    fn publish(&mut self, now: Moment) {
        self.drain_notices();
        if self.work.is_empty() && (self.supervisor.is_there() || self.reporter.tells_cost()) {
            let status = self.engine.status(now);
            self.reporter.publish(&status);
            self.supervisor.status(&systemd::line(&status, clock::read()));
        }
    }
}

/// The settings for the engine. The records go with them: thousands of them are not kept twice.
fn hand_over(config: &mut Config, accounts: &Accounts, hash_key: Option<HashKey>) -> Settings {
    let records = std::mem::take(&mut config.settings.records);
    let mut settings = Settings { records, ..config.settings.clone() };
    for (name, account) in &mut settings.accounts {
        account.credential = accounts.credential_id(name, hash_key);
    }
    settings
}

/// The first line of a daemon.
fn beginning(settings: &Settings) -> String {
    let records = count(settings.records.len(), "record");
    format!(
        "stayput {} keeps {records}; it looks at the address every {}",
        env!("CARGO_PKG_VERSION"),
        humantime::format_duration(settings.every)
    )
}

/// Whoever can add an authority can read what is sent, so it is said.
fn tell_authorities(config: &Config) {
    if let Some(words) = config.told_authorities() {
        tracing::info!("{words}");
    }
}

/// A number that differs from start to start: for jitter, never for secrets.
pub fn seed() -> u64 {
    // The standard library seeds its hashers from the system's entropy.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_i64(clock::now().as_millis());
    hasher.finish()
}
