//! The API's JSON and its error classes, as pure functions. The shapes never leave this folder.

#![expect(clippy::todo, reason = "skeleton")]

use std::time::Duration;

use crate::engine::request::{Answer, Request};

/// A request as HTTP sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path and query below the base URL, such as `/zones?page=1&per_page=50`.
    pub path: String,
    /// The JSON body.
    pub body: Option<String>,
}

/// An answer as HTTP sees it.
#[derive(Clone, Debug)]
pub struct HttpAnswer<'a> {
    /// The status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, already cut to the cap.
    pub body: &'a [u8],
    /// How long it took.
    pub took: Duration,
}

/// Turns a request into HTTP.
#[must_use]
pub fn encode(_request: &Request) -> HttpRequest {
    todo!()
}

/// Turns an answer of HTTP into the engine's.
#[must_use]
pub fn decode(_request: &Request, _answer: &HttpAnswer<'_>) -> Answer {
    todo!()
}
