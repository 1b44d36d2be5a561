//! Requests and answers: the envelope of the API, its errors, and what becomes of the bytes.
//!
//! Deliberately unknown: how a request is answered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::engine::names::Family;

/// Where the API begins in a URL's path.
pub const API_PATH: &str = "/client/v4";

/// A request, as it would travel over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequest<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// The path with its query, from the first slash.
    pub path: &'a str,
    /// Header names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
    /// The family of the socket that the caller uses.
    pub over: Family,
}

impl<'a> HttpRequest<'a> {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What was asked of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is named after its request")]
pub enum Kind {
    ListZones,
    GetZone,
    ListRecords,
    GetRecord,
    CreateRecord,
    OverwriteRecord,
    PatchRecord,
    DeleteRecord,
    Batch,
    VerifyToken,
    Ips,
    /// Something that the API does not have.
    Unroutable,
}

impl Kind {
    /// Whether it changes anything.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Kind::CreateRecord | Kind::OverwriteRecord | Kind::PatchRecord | Kind::DeleteRecord | Kind::Batch
        )
    }
}

/// A request to the API that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, on the world's clock.
    pub at: Duration,
    /// What was asked.
    pub kind: Kind,
    /// The status of the answer; 0 if the request did not arrive.
    pub status: u16,
}

/// An answer, as it would travel over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Deliver,
    /// It arrives so much later.
    DeliverAfter(Duration),
    /// The connection is cut before a byte of it arrives; whatever the request asked for may be done.
    DropBeforeReply,
    /// Status, headers and the body arrive, but the body promised to be longer, and breaks off.
    Cut,
    /// There was no connection: nothing was done, nothing arrives.
    Unreachable,
}

impl Reply {
    /// An answer that arrives.
    pub(super) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.into(),
            fate: Fate::Deliver,
        }
    }

    /// Plain text.
    pub(super) fn text(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::new(status, "text/plain", body)
    }

    /// JSON, in the order in which the service writes it.
    pub(super) fn json(status: u16, body: &Value) -> Reply {
        // Text, numbers and lists always have a JSON form.
        let text = serde_json::to_string(&AsWritten(body)).unwrap_or_default();
        Reply::new(status, "application/json", text)
    }

    /// No answer at all.
    pub(super) fn nothing(fate: Fate) -> Reply {
        Reply { status: 0, headers: Vec::new(), body: Vec::new(), fate }
    }

    /// The same answer with one more header.
    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` if it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// JSON with `result` first in the envelope and `id` first in what is in it: programs that read the
/// service's answers as text rely on that.
struct AsWritten<'a>(&'a Value);

impl Serialize for AsWritten<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const FIRST: [&str; 2] = ["result", "id"];
        match self.0 {
            Value::Array(entries) => serializer.collect_seq(entries.iter().map(AsWritten)),
            Value::Object(object) => {
                let first = FIRST.iter().filter_map(|name| object.get_key_value(*name));
                let others = object.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
                serializer.collect_map(first.chain(others).map(|(name, value)| (name, AsWritten(value))))
            }
            other => other.serialize(serializer),
        }
    }
}

/// A success of the API.
#[derive(Clone, Debug)]
pub(super) struct Success {
    pub(super) result: Value,
    pub(super) paging: Option<Value>,
    pub(super) messages: Value,
}

impl Success {
    pub(super) fn of(result: Value) -> Success {
        Success { result, paging: None, messages: json!([]) }
    }

    pub(super) fn into_reply(self) -> Reply {
        let mut body = json!({
            "success": true,
            "errors": [],
            "messages": self.messages,
            "result": self.result,
        });
        if let Some(paging) = self.paging {
            body["result_info"] = paging;
        }
        Reply::json(200, &body)
    }
}

/// A refusal of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The entries of `errors`.
    pub errors: Vec<Value>,
}

impl Refusal {
    /// One code and text.
    pub(super) fn new(status: u16, code: i64, message: impl Into<String>) -> Refusal {
        Refusal { status, errors: vec![json!({"code": code, "message": message.into()})] }
    }

    /// A code whose meaning is in its `error_chain`.
    pub(super) fn chained(status: u16, outer: (i64, &str), inner: (i64, &str)) -> Refusal {
        Refusal {
            status,
            errors: vec![json!({
                "code": outer.0,
                "message": outer.1,
                "error_chain": [{"code": inner.0, "message": inner.1}],
            })],
        }
    }

    pub(super) fn into_reply(self) -> Reply {
        Reply::json(
            self.status,
            &json!({"success": false, "errors": self.errors, "messages": [], "result": null}),
        )
    }
}

/// An instant in microseconds since 1970, as Cloudflare writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

impl Stamp {
    /// So much later.
    pub(super) fn after(self, span: Duration) -> Stamp {
        Stamp(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }

    fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.0)
    }

    /// As in an HTTP header: `Wed, 21 Oct 2026 07:28:00 GMT`.
    pub(super) fn http_date(self) -> String {
        httpdate::fmt_http_date(self.time())
    }
}

impl std::fmt::Display for Stamp {
    /// RFC 3339 with microseconds whose trailing zeros are trimmed, so the length varies.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = humantime::format_rfc3339_micros(self.time()).to_string();
        write!(f, "{}Z", text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_have_microseconds_without_trailing_zeros() {
        let base = 1_738_001_472_000_000; // 2025-01-27T18:11:12Z
        assert_eq!(Stamp(base).to_string(), "2025-01-27T18:11:12Z");
        assert_eq!(Stamp(base + 123_450).to_string(), "2025-01-27T18:11:12.12345Z");
        assert_eq!(Stamp(base + 7).to_string(), "2025-01-27T18:11:12.000007Z");
        assert_eq!(Stamp(0).to_string(), "1970-01-01T00:00:00Z");
        // The last second of February in a leap year.
        assert_eq!(Stamp(1_709_251_199_000_000).to_string(), "2024-02-29T23:59:59Z");
    }

    #[test]
    fn dates_in_headers_name_the_right_day_of_the_week() {
        assert_eq!(Stamp(1_792_567_680_000_000).http_date(), "Wed, 21 Oct 2026 07:28:00 GMT");
    }

    #[test]
    fn a_refusal_keeps_its_chain_and_has_a_null_result() {
        let reply =
            Refusal::chained(400, (1004, "DNS Validation Error"), (9021, "Invalid TTL.")).into_reply();
        assert_eq!(
            reply.value(),
            json!({"success": false, "messages": [], "result": null, "errors": [{"code": 1004,
                "message": "DNS Validation Error",
                "error_chain": [{"code": 9021, "message": "Invalid TTL."}]}]})
        );
    }
}
