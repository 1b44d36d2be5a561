//! A world behind a server, on loopback only: what a reply means for the connection, and the clock.
//!
//! Deliberately unknown: what is asked.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::HOST;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::http::{API_PATH, Fate, HttpRequest, Reply};
use super::world::World;
use crate::engine::names::Family;
use crate::http::server::serve;

/// A running server. Dropping it ends it and cuts its connections.
#[derive(Debug)]
pub struct Server {
    port: u16,
    has_ipv6: bool,
    started: Instant,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves a world on `127.0.0.1` and, where the host has it, on `[::1]` at the same port (0: any
    /// free one). Must be called inside a tokio runtime. The world's clock begins now.
    ///
    /// # Errors
    /// What the system says if the port cannot be had.
    pub fn start(world: Arc<Mutex<World>>, port: u16) -> io::Result<Server> {
        let (first, second) = bind(port)?;
        let port = first.local_addr()?.port();
        let has_ipv6 = second.is_some();
        let served = Served { world, started: Instant::now() };
        let tasks = [Some((first, Family::V4)), second.map(|it| (it, Family::V6))]
            .into_iter()
            .flatten()
            .map(|(listener, family)| tokio::spawn(served.clone().serve(listener, family)))
            .collect();
        Ok(Server { port, has_ipv6, started: served.started, tasks })
    }

    /// The base URL of the API, as a configuration's `api`.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}{API_PATH}", self.port)
    }

    /// Where an operator's echo is asked over a family; `None` if the host has no `::1`.
    pub fn echo_url(&self, operator: &str, family: Family) -> Option<String> {
        let path = match operator {
            "cloudflare" => "/cdn-cgi/trace".to_owned(),
            other => format!("/echo/{other}"),
        };
        match family {
            Family::V4 => Some(format!("http://127.0.0.1:{}{path}", self.port)),
            Family::V6 if self.has_ipv6 => Some(format!("http://[::1]:{}{path}", self.port)),
            Family::V6 => None,
        }
    }

    /// Where the state is seen and faults are switched.
    pub fn control_url(&self) -> String {
        format!("http://127.0.0.1:{}/sandbox", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the world's clock says.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Both listeners at one port. Where the port was free to choose, a few are tried until both families
/// have it.
fn bind(port: u16) -> io::Result<(TcpListener, Option<TcpListener>)> {
    let mut tries = if port == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        let first = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let same = first.local_addr()?.port();
        match listen(SocketAddr::from((Ipv6Addr::LOCALHOST, same))) {
            Ok(second) => return Ok((first, Some(second))),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // No IPv6 here.
            Err(_) => return Ok((first, None)),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A world that is served, and when its clock began.
#[derive(Clone)]
struct Served {
    world: Arc<Mutex<World>>,
    started: Instant,
}

impl Served {
    async fn serve(self, listener: TcpListener, family: Family) {
        let answer = move |request| {
            let reply = self.reply(&request, family);
            async move {
                match reply.fate {
                    Fate::DropBeforeReply | Fate::Unreachable => return Err(cut_off()),
                    Fate::DeliverAfter(span) => tokio::time::sleep(span).await,
                    Fate::Deliver | Fate::Cut => {}
                }
                Ok(response(reply))
            }
        };
        serve(listener, answer).await;
    }

    fn reply(&self, request: &Request<Bytes>, over: Family) -> Reply {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers = request.headers().iter();
        let mut headers: Vec<(String, String)> =
            headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        // A request to a proxy names its host in the target instead.
        if let (None, Some(host)) = (request.headers().get(HOST), request.uri().host()) {
            headers.push(("host".to_owned(), host.to_owned()));
        }
        let path = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let (method, body) = (request.method().as_str(), request.body());
        let request = HttpRequest { method, path, headers: &headers, body, over };
        // A panic elsewhere leaves the world as it was.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.answer(&request, self.started.elapsed())
    }
}

/// The connection is to be cut.
fn cut_off() -> io::Error {
    io::Error::other("cut off on purpose")
}

fn response(reply: Reply) -> Response<Payload> {
    let cut = if reply.fate == Fate::Cut { Cut::Soon } else { Cut::Never };
    let payload = Payload { bytes: Some(reply.body.into()).filter(|bytes: &Bytes| !bytes.is_empty()), cut };
    let mut builder = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    // A fault may ask for a header value that HTTP does not have.
    builder.body(payload).unwrap_or_else(|_| response(Reply::text(500, "")))
}

/// A body that is all there, or promises more than there is.
#[derive(Default)]
struct Payload {
    bytes: Option<Bytes>,
    cut: Cut,
}

/// What stands between the bytes and the end of the body.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Cut {
    #[default]
    Never,
    /// After a pause in which what there is leaves.
    Soon,
    Now,
}

impl Payload {
    /// How many bytes a body that is cut promises and never sends.
    const MISSING: u64 = 64;
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.cut {
            Cut::Never => Poll::Ready(None),
            Cut::Soon => {
                self.cut = Cut::Now;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Cut::Now => Poll::Ready(Some(Err(cut_off()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && self.cut == Cut::Never
    }

    fn size_hint(&self) -> SizeHint {
        let there = self.bytes.as_ref().map_or(0, Bytes::len);
        let there = u64::try_from(there).unwrap_or(u64::MAX);
        let missing = match self.cut {
            Cut::Never => 0,
            Cut::Soon | Cut::Now => Payload::MISSING,
        };
        SizeHint::with_exact(there.saturating_add(missing))
    }
}
