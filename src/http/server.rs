//! A small HTTP/1.1 server: whole requests, within limits on head, body, time and connections.
//!
//! Deliberately unknown: who asks, what is asked, and what an answer holds.

use std::error::Error;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The most connections at a time; further ones wait.
const MOST_CONNECTIONS: usize = 64;
/// The largest request line with its headers, in bytes.
const LARGEST_HEAD: usize = 64 << 10;
/// The largest request body, in bytes.
const LARGEST_BODY: usize = 1 << 20;
/// How long a client may take to send its request line and headers, and as long again for the body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers what arrives at a listener, until the future is dropped, which cuts the connections. An error of
/// `answer` cuts the connection of the request.
pub async fn serve<A, F, B>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<Response<B>>> + Send + 'static,
    B: Body<Data = Bytes, Error: Error + Send + Sync> + Default + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD);
    let service = service_fn(move |request| {
        let answer = answer.clone();
        async move {
            match read(request).await {
                Ok(request) => answer(request).await,
                Err(status) => {
                    let mut refusal = Response::new(B::default());
                    *refusal.status_mut() = status;
                    Ok(refusal)
                }
            }
        }
    });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            // An error of a connection is a client that went away, or an answer that cuts it.
            Ok((stream, _)) => {
                connections.spawn(http.serve_connection(TokioIo::new(stream), service.clone()));
            }
            // Out of descriptors, most likely: some will be free soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The request with its whole body, or the status that refuses it.
async fn read(request: Request<Incoming>) -> Result<Request<Bytes>, StatusCode> {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(PATIENCE, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    /// Runs a client beside a server that answers with the path, and cuts the connection at `/cut`.
    fn beside_a_server<C: Future<Output = ()>>(client: impl FnOnce(SocketAddr) -> C) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let answer = |request: Request<Bytes>| async move {
                let path = request.uri().path().to_owned();
                if path == "/cut" { Err(io::Error::other(path)) } else { Ok(Response::new(Full::from(path))) }
            };
            tokio::select! {
                () = serve(listener, answer) => {}
                () = client(address) => {}
            }
        });
    }

    /// Sends bytes on a connection of their own: all that comes back.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        String::from_utf8(heard).unwrap()
    }

    #[test]
    fn a_request_within_the_limits_is_answered_and_one_beyond_them_refused() {
        beside_a_server(|address| async move {
            let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            assert!(ask(address, &get("/here")).await.ends_with("\r\n\r\n/here"));
            assert_eq!(ask(address, &get("/cut")).await, "");
            let long = get(&format!("/{}", "x".repeat(LARGEST_HEAD)));
            let heard = ask(address, &long).await;
            assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 4"), "{heard}");
            let length = LARGEST_BODY + 1;
            let head = format!("Host: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            let large = format!("POST / HTTP/1.1\r\n{head}{}", "x".repeat(length));
            assert!(ask(address, &large).await.starts_with("HTTP/1.1 413 "));
        });
    }

    #[test]
    fn one_connection_too_many_waits_until_another_ends() {
        beside_a_server(|address| async move {
            let mut idle = Vec::new();
            for _ in 0..MOST_CONNECTIONS {
                idle.push(TcpStream::connect(address).await.unwrap());
            }
            let request = "GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let mut late = Box::pin(ask(address, request));
            assert!(timeout(Duration::from_millis(200), &mut late).await.is_err());
            drop(idle.pop());
            assert!(late.await.ends_with("/late"));
        });
    }
}
