//! News of the kernel that the host's address may have changed: a way out has appeared, moved or gone,
//! or the host does not have a family.
//!
//! Without the kernel's word (no descriptor left, a sandbox that forbids it) looks come at their time,
//! and no family is missing. Deliberately unknown: whether the address did change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::UdpSocket as Datagrams;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::routes::{Dump, GROUPS, List, Picture, Progress, Way, matters};
use crate::engine::names::Family;

/// Wait after the last netlink message of a burst.
const QUIET_PERIOD: Duration = Duration::from_millis(100);
/// Longest wait after the first message of a burst.
const LONGEST_WAIT: Duration = Duration::from_millis(300);
/// The least time between two hints.
const LEAST_BETWEEN: Duration = Duration::from_secs(5);
/// How long to wait before the socket is opened again; doubled each time, up to the longest.
const FIRST_REOPEN: Duration = Duration::from_secs(1);
const LONGEST_REOPEN: Duration = Duration::from_secs(300);
/// News come one at a time; what is longer is cut off and read as far as it goes.
const LONGEST_NEWS: usize = 4096;
/// How often the lists are read when they change meanwhile.
const TRIES: usize = 3;
/// A list is read up to here, in datagrams of 32 KiB: only the router of a provider has more routes.
const LONGEST_LIST: usize = 256;

/// The kernel's news. It costs nothing while there is none.
#[derive(Debug)]
pub struct Events {
    socket: Option<UdpSocket>,
    /// The ways out when a hint was last given (or found not to be due); `None`: not known.
    picture: Option<Picture>,
    /// When the first and the last message of the burst came that was not looked at yet.
    burst: Option<(Instant, Instant)>,
    hinted_at: Option<Instant>,
    missing: BTreeSet<Family>,
    /// The way out over which each family's published address was last heard.
    learned: BTreeMap<Family, Way>,
    reopen: Reopen,
    buffer: Box<[u8]>,
}

/// What the kernel told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A way out has appeared or moved: the address may be another one.
    pub moved: bool,
    /// The families of which the way out has gone over which their published address was heard.
    pub gone: BTreeSet<Family>,
    /// The families that the host does not have from now on, if they are others than before.
    pub missing: Option<BTreeSet<Family>>,
}

/// The families that the host does not have. None, if the kernel cannot be asked.
pub fn missing() -> BTreeSet<Family> {
    picture().map(|picture| picture.missing(&BTreeSet::new())).unwrap_or_default()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reopen {
    /// At this instant, after so long a wait.
    At(Instant, Duration),
    /// The system forbids it, and will tomorrow.
    Never,
}

impl Events {
    /// Begins to listen. Must be called within the runtime. It never fails: what cannot be had is said
    /// once in the log, as a detail, and done without.
    pub fn listen() -> Events {
        let mut events = Events {
            socket: None,
            picture: None,
            burst: None,
            hinted_at: None,
            missing: BTreeSet::new(),
            learned: BTreeMap::new(),
            reopen: Reopen::At(Instant::now(), FIRST_REOPEN),
            buffer: vec![0; LONGEST_NEWS].into_boxed_slice(),
        };
        match open() {
            Ok(socket) => {
                events.socket = Some(socket);
                events.picture = picture().ok();
                let missing = events.picture.as_ref().map(|picture| picture.missing(&BTreeSet::new()));
                events.missing = missing.unwrap_or_default();
            }
            Err(error) => {
                tracing::debug!("the kernel's news of routes cannot be had: {error}");
                events.try_again_later(&error);
            }
        }
        events
    }

    /// The families that the host does not have, as last told.
    pub fn missing(&self) -> &BTreeSet<Family> {
        &self.missing
    }

    /// The published address of this family was heard just now, over the way out that the kernel prefers.
    pub fn learned(&mut self, family: Family) {
        if let Some(best) = self.picture.as_ref().and_then(|picture| picture.best(family)) {
            if self.learned.get(&family) != Some(best) {
                self.learned.insert(family, best.clone());
            }
        }
    }

    /// Returns when there are news, at most once in five seconds. It may be dropped and called again;
    /// nothing is lost.
    pub async fn news(&mut self) -> News {
        loop {
            let Some(socket) = &self.socket else {
                self.open_again().await;
                continue;
            };
            let Some(due) = self.due() else {
                match ready(socket).await {
                    Ok(()) => self.drain(),
                    Err(error) => self.close(&error),
                }
                continue;
            };
            match timeout_at(due, ready(socket)).await {
                Ok(Ok(())) => self.drain(),
                Ok(Err(error)) => self.close(&error),
                Err(_elapsed) => {
                    if let Some(news) = self.end_burst() {
                        return news;
                    }
                }
            }
        }
    }

    /// When the burst is looked at; `None`: there is none.
    fn due(&self) -> Option<Instant> {
        let (first, last) = self.burst?;
        let over = (last + QUIET_PERIOD).min(first + LONGEST_WAIT);
        Some(self.hinted_at.map_or(over, |hinted| over.max(hinted + LEAST_BETWEEN)))
    }

    /// Ends the burst: what is other than when news were last told, if anything.
    fn end_burst(&mut self) -> Option<News> {
        self.burst = None;
        let picture = picture().ok();
        let moved = match (&picture, &self.picture) {
            (Some(now), Some(before)) => now.news_since(before),
            // What cannot be read may have changed.
            _ => true,
        };
        let mut news = News { moved, ..News::default() };
        let missing = picture.as_ref().map(|picture| picture.missing(&self.missing)).unwrap_or_default();
        if missing != self.missing {
            self.missing.clone_from(&missing);
            news.missing = Some(missing);
        }
        if let Some(picture) = &picture {
            let gone = self.learned.iter().filter(|(_, way)| !picture.still_has(way));
            news.gone = gone.map(|(family, _)| *family).collect();
            self.learned.retain(|family, _| !news.gone.contains(family));
        }
        self.picture = picture;
        if news == News::default() {
            return None;
        }
        self.hinted_at = Some(Instant::now());
        Some(news)
    }

    /// Reads what the kernel has to say, as far as it matters.
    fn drain(&mut self) {
        let mut relevant = false;
        loop {
            let Some(socket) = &self.socket else { return };
            let read = socket.try_io(Interest::READABLE, || receive(socket, &mut self.buffer));
            match read {
                Ok(length) => relevant |= self.buffer.get(..length).is_some_and(matters),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // More was said than there was room for: anything may have changed.
                Err(error) if is(&error, Errno::NOBUFS) => relevant = true,
                Err(error) => {
                    self.close(&error);
                    return;
                }
            }
        }
        if relevant {
            let now = Instant::now();
            let first = self.burst.map_or(now, |(first, _)| first);
            self.burst = Some((first, now));
        }
    }

    async fn open_again(&mut self) {
        let Reopen::At(when, _) = self.reopen else {
            return std::future::pending().await;
        };
        sleep_until(when).await;
        match open() {
            Ok(socket) => {
                self.socket = Some(socket);
                self.reopen = Reopen::At(when, FIRST_REOPEN);
                // Whatever happened meanwhile was not heard.
                let now = Instant::now();
                self.burst = Some((now, now));
            }
            Err(error) => self.try_again_later(&error),
        }
    }

    fn close(&mut self, error: &io::Error) {
        tracing::debug!("the kernel's news of routes ended: {error}");
        self.socket = None;
        self.try_again_later(error);
    }

    fn try_again_later(&mut self, error: &io::Error) {
        let forbidden = [Errno::ACCESS, Errno::PERM, Errno::AFNOSUPPORT, Errno::PROTONOSUPPORT, Errno::NOSYS];
        let Reopen::At(_, wait) = self.reopen else { return };
        self.reopen = if forbidden.iter().any(|errno| is(error, *errno)) {
            Reopen::Never
        } else {
            Reopen::At(Instant::now() + wait, (wait * 2).min(LONGEST_REOPEN))
        };
    }
}

fn open() -> io::Result<UdpSocket> {
    let socket = netlink()?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    // It is no UDP; the runtime only waits for it, and that is the same for every socket.
    UdpSocket::from_std(Datagrams::from(socket))
}

/// Asks the kernel for all addresses and routes. It answers at once, so nothing waits here.
fn picture() -> io::Result<Picture> {
    let mut picture = read();
    for _ in 1..TRIES {
        if picture.is_err() {
            picture = read();
        }
    }
    picture
}

fn read() -> io::Result<Picture> {
    let mut buffer = vec![0; 32 * 1024];
    let mut dump = Dump::default();
    for list in [List::Addresses, List::Routes] {
        // A socket for each: the rest of an answer that is given up goes with it.
        let socket = netlink()?;
        rustix::net::send(&socket, &list.request(), SendFlags::empty())?;
        read_list(&socket, &mut dump, &mut buffer)?;
    }
    Ok(dump.picture())
}

fn read_list(socket: &OwnedFd, dump: &mut Dump, buffer: &mut [u8]) -> io::Result<()> {
    for _ in 0..LONGEST_LIST {
        let length = receive(socket, buffer)?;
        match dump.take(buffer.get(..length).unwrap_or_default()) {
            Progress::More => {}
            Progress::Done => return Ok(()),
            Progress::Failed => break,
        }
    }
    Err(io::Error::other("the kernel's list cannot be read to its end"))
}

fn netlink() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // The protocol of routes is number zero, which stands for none.
    Ok(rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?)
}

fn receive(socket: impl std::os::fd::AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (length, _whole) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(length)
}

async fn ready(socket: &UdpSocket) -> io::Result<()> {
    socket.readable().await
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}
