//! The socket at which a running daemon tells what it knows: whoever connects gets one document.
//!
//! Nothing is ever read from it, so nobody can ask for anything else. It never holds up the loop: few
//! are served at a time, and each only for a while. Deliberately unknown: the document.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use crate::secret::redact;
use crate::state::place;

/// How many are served at a time; the others find the connection closed.
const MOST_AT_A_TIME: usize = 8;
/// How long one may take to read.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait after the system gave no connection, for want of descriptors.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest queue of those who wait to be accepted.
const BACKLOG: i32 = 16;

/// The place of the socket under the shipped unit, and of a daemon that root starts by hand.
pub const USUAL_PLACE: &str = "/run/stayput/stayput.sock";

/// The places that are named, the first of which a daemon takes: what the configuration says,
/// `$STAYPUT_SOCKET`, and `stayput.sock` in the first folder of `$RUNTIME_DIRECTORY` and in
/// `$XDG_RUNTIME_DIR`. [`USUAL_PLACE`] follows without being named.
pub fn places(stated: Option<PathBuf>, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let folder = |name: &str| {
        let folders = set(name)?;
        let first = place::first_folder(&folders);
        first.is_absolute().then(|| first.join("stayput.sock"))
    };
    let places = [
        stated,
        set("STAYPUT_SOCKET").map(PathBuf::from),
        folder("RUNTIME_DIRECTORY"),
        folder("XDG_RUNTIME_DIR"),
    ];
    places.into_iter().flatten().collect()
}

/// Where a daemon of this user listens: the first of `places`; without any, root has the usual place.
pub fn place(places: Vec<PathBuf>) -> Option<PathBuf> {
    let usual = || rustix::process::geteuid().is_root().then(|| PathBuf::from(USUAL_PLACE));
    places.into_iter().next().or_else(usual)
}

/// Listens at `place`, and says where that is, or why not: a daemon that cannot be asked works all the same.
pub fn open(place: Option<PathBuf>) -> Option<Socket> {
    const ELSEWHERE: &str = "[status] socket or $STAYPUT_SOCKET gives it a place";
    let Some(path) = place else {
        tracing::info!("`stayput status` has nowhere to ask: {ELSEWHERE}");
        return None;
    };
    let place = path.display().to_string();
    match Socket::listen(path) {
        Ok(socket) => {
            tracing::info!("`stayput status` is answered at {place}");
            Some(socket)
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            tracing::warn!(
                "another stayput answers at {place} already, so this one has no status: {ELSEWHERE} of its own"
            );
            None
        }
        Err(error) => {
            tracing::warn!("the status socket cannot be opened at {place}: {error}");
            None
        }
    }
}

/// The listening socket. Its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, so that another daemon's is not removed.
    file: Option<(u64, u64)>,
    resume_at: Option<Instant>,
    seats: Arc<Semaphore>,
}

impl Socket {
    /// Listens at `path`, readable and writable for the user and the group as far as the umask allows.
    /// What a daemon left there that was killed is removed. Must be called within the runtime.
    ///
    /// # Errors
    /// Another daemon listens there, something else is there, or the system refuses.
    pub fn listen(path: PathBuf) -> io::Result<Socket> {
        if path == Path::new(USUAL_PLACE) {
            make_folder(&path)?;
        }
        remove_stale(&path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // The file takes over the mode of the socket: it is never more open than this.
        rustix::fs::fchmod(&socket, Mode::from_raw_mode(0o660))?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path)?)?;
        rustix::net::listen(&socket, BACKLOG)?;
        let listener = UnixListener::from_std(socket.into())?;
        let file = std::fs::symlink_metadata(&path).ok().map(|there| (there.dev(), there.ino()));
        let seats = Arc::new(Semaphore::new(MOST_AT_A_TIME));
        Ok(Socket { listener, path, file, resume_at: None, seats })
    }

    /// Returns when somebody asks. It may be dropped and called again; nothing is lost.
    pub async fn next_client(&mut self) -> UnixStream {
        loop {
            if let Some(when) = self.resume_at {
                sleep_until(when).await;
                self.resume_at = None;
            }
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    tracing::debug!("somebody asked for the status and could not be heard: {error}");
                    self.resume_at = Some(Instant::now() + PAUSE);
                }
            }
        }
    }

    /// Sends a text and closes the connection. A reader that takes longer than `PATIENCE` gets a part of it.
    pub fn answer(&self, mut stream: UnixStream, text: impl FnOnce() -> String) {
        let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() else {
            return;
        };
        let text = redact::redact_text(&text()).into_owned();
        tokio::spawn(async move {
            let _gone = timeout(PATIENCE, async {
                stream.write_all(text.as_bytes()).await?;
                stream.shutdown().await
            })
            .await;
            drop(seat);
        });
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let there = std::fs::symlink_metadata(&self.path).ok().map(|there| (there.dev(), there.ino()));
        if there.is_some() && there == self.file {
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes the folder of the usual place as systemd makes it for the unit, if it is not there.
fn make_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    match std::fs::DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes a socket at which nobody listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    let there = match std::fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !there.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something else at this place"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tokio::io::AsyncReadExt;

    /// Begins no secret that a test beside this one has made known: to look for all of them at each place of
    /// a long text takes seconds.
    const FILLING: &str = "~";

    fn in_a_runtime<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn the_places_have_an_order_and_what_is_empty_or_no_place_names_none() {
        let all = |name: &str| match name {
            "STAYPUT_SOCKET" => Some("c/s".into()),
            "RUNTIME_DIRECTORY" => Some("/a:/b".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            _ => None,
        };
        let expected = ["/stated", "c/s", "/a/stayput.sock", "/run/user/7/stayput.sock"].map(PathBuf::from);
        assert_eq!(places(Some("/stated".into()), all), expected);
        assert_eq!(place(expected.to_vec()), Some("/stated".into()));
        let odd =
            |name: &str| Some(if name == "XDG_RUNTIME_DIR" { "relative".into() } else { OsString::new() });
        assert!(places(None, odd).is_empty());
    }

    #[test]
    fn whoever_connects_gets_the_text_and_the_end() {
        in_a_runtime(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s");
            let mut socket = Socket::listen(path.clone()).unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o007, 0, "nothing for others: {mode:o}");
            let mut client = UnixStream::connect(&path).await.unwrap();
            let stream = socket.next_client().await;
            let long = FILLING.repeat(1_000_000);
            socket.answer(stream, || long.clone());
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, long);
            drop(socket);
            assert!(!path.exists(), "the file goes with the daemon");
        });
    }

    #[test]
    fn those_who_do_not_read_take_no_more_than_their_seats() {
        in_a_runtime(async {
            let folder = tempfile::tempdir().unwrap();
            let mut socket = Socket::listen(folder.path().join("s")).unwrap();
            let mut idle = Vec::new();
            for _ in 0..MOST_AT_A_TIME + 1 {
                idle.push(UnixStream::connect(&socket.path).await.unwrap());
                let stream = socket.next_client().await;
                socket.answer(stream, || FILLING.repeat(300_000));
            }
            let mut last = idle.pop().unwrap();
            let mut text = String::new();
            last.read_to_string(&mut text).await.unwrap();
            assert_eq!(text.len(), 0, "the one too many is sent away");
        });
    }

    #[test]
    fn what_a_killed_daemon_left_is_replaced_and_a_living_one_is_not() {
        in_a_runtime(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s");
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            assert!(path.exists());
            let socket = Socket::listen(path.clone()).unwrap();
            let error = Socket::listen(path.clone()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            drop(socket);
            std::fs::write(&path, "precious").unwrap();
            let error = Socket::listen(path.clone()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        });
    }
}
