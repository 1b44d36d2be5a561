//! A server on loopback that answers as scripted, byte by byte, for whole programs and for the tests beside the code.
//! Of HTTP it knows where a request ends.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What is sent after a request was read whole, and what follows.
#[derive(Clone)]
pub enum Reply {
    /// The next request of the connection is read.
    Keep(Vec<u8>),
    Close(Vec<u8>),
    /// Silence, for as long as the client stays.
    Hang(Vec<u8>),
    /// The same bytes for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// The same bytes for ever, every 20 ms.
    Drip(Vec<u8>, Vec<u8>),
}

/// A request as it arrived, and on which connection.
pub struct Seen {
    pub connection: usize,
    pub head: String,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Ends with the test.
pub struct Server {
    pub address: SocketAddr,
    count: Arc<Count>,
}

#[derive(Default)]
struct Count {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    written: AtomicUsize,
    ended: AtomicBool,
}

impl Server {
    /// One reply a request, on however many connections.
    pub fn playing(script: Vec<Reply>) -> Server {
        let script = Mutex::new(VecDeque::from(script));
        let next = move || script.lock().unwrap().pop_front();
        Server::at("127.0.0.1:0", move || next().unwrap())
    }

    pub fn repeating(reply: Reply) -> Server {
        Server::at("127.0.0.1:0", move || reply.clone())
    }

    pub fn at(address: &str, reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind(address).unwrap();
        let (address, count) = (listener.local_addr().unwrap(), Arc::new(Count::default()));
        let (counting, reply) = (count.clone(), Arc::new(reply));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if counting.ended.load(Ordering::SeqCst) {
                    return;
                }
                let connection = counting.connections.fetch_add(1, Ordering::SeqCst);
                let (count, reply) = (counting.clone(), reply.clone());
                thread::spawn(move || count.converse(stream, connection, &*reply));
            }
        });
        Server { address, count }
    }

    /// The requests since this was last asked.
    pub fn requests(&self) -> Vec<Seen> {
        std::mem::take(&mut self.count.seen.lock().unwrap())
    }

    pub fn connections(&self) -> usize {
        self.count.connections.load(Ordering::SeqCst)
    }

    /// Bytes of replies that a client, or the system on its behalf, took.
    pub fn written(&self) -> usize {
        self.count.written.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.count.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Count {
    fn converse(&self, mut stream: TcpStream, connection: usize, reply: &dyn Fn() -> Reply) {
        while let Some((head, body)) = read_request(&mut stream) {
            self.seen.lock().unwrap().push(Seen { connection, head, body });
            match reply() {
                Reply::Keep(bytes) if self.say(&mut stream, &bytes) => continue,
                Reply::Keep(bytes) | Reply::Close(bytes) => drop(self.say(&mut stream, &bytes)),
                Reply::Hang(bytes) => {
                    self.say(&mut stream, &bytes);
                    let _ = stream.read_to_end(&mut Vec::new());
                }
                Reply::Endless(bytes, more) => {
                    self.say(&mut stream, &bytes);
                    while self.say(&mut stream, &more) {}
                }
                Reply::Drip(bytes, more) => {
                    self.say(&mut stream, &bytes);
                    while self.say(&mut stream, &more) {
                        thread::sleep(Duration::from_millis(20));
                    }
                }
            }
            return;
        }
    }

    /// False: nobody listens any more.
    fn say(&self, stream: &mut TcpStream, bytes: &[u8]) -> bool {
        let said = stream.write_all(bytes).is_ok();
        self.written.fetch_add(if said { bytes.len() } else { 0 }, Ordering::SeqCst);
        said
    }
}

/// Head and body; none at the end of the connection. The greeting of TLS is a request without either.
fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        text.extend_from_slice(&buffer[..length]);
        if text[0] == 0x16 {
            return Some((String::new(), String::new()));
        }
        let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&text[..end]).into_owned();
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = lengths.next().map_or(0, |(_, value)| value.parse().unwrap());
        if text.len() >= end + 4 + length {
            let body = String::from_utf8_lossy(&text[end + 4..]).into_owned();
            return Some((head, body));
        }
    }
}

/// An answer with its length.
pub fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}
