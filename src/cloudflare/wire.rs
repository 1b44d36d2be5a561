//! Requests as HTTP, and HTTP's answers as the engine's, as pure functions.
//!
//! Nothing here touches a socket, so that the same code serves the real client, the simulation and
//! the fuzzer. Deliberately unknown: credentials, the base URL, when to ask again.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::classify::{self, Refusal};
use super::json::{Envelope, Lenient, NoEnvelope, RawRecord, RawToken, RawWritten, RawZone};
use super::{foreign, headers, json, lists};
use crate::engine::api::{Answer, Batch, Found, Patch, Post, Request, Written, ZONES_PER_PAGE};
use crate::engine::failure::{Class, Failure};
use crate::engine::names::{Content, Name, RecordId, Ttl};

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
    /// Header names, in any case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, already cut to the cap.
    pub body: &'a [u8],
    /// How long it took.
    pub took: Duration,
}

/// Turns a request into HTTP.
///
/// Names are ASCII letters, digits, `-`, `_`, `.` and `*`, identifiers are hexadecimal: all of it
/// may stand in a query as it is (RFC 3986, section 3.4), so nothing is percent-encoded.
pub fn encode(request: &Request) -> HttpRequest {
    let get = |path| HttpRequest { method: "GET", path, body: None };
    let only = |key: &str, name: &Option<Name>| {
        let name = name.as_ref();
        name.map_or_else(String::new, |name| format!("&{key}={name}"))
    };
    match request {
        Request::Zones { page, name } => {
            get(format!("/zones?page={page}&per_page={ZONES_PER_PAGE}{}", only("name", name)))
        }
        Request::Zone(zone) => get(format!("/zones/{zone}")),
        Request::Records { zone, name, page, per_page } => get(format!(
            "/zones/{zone}/dns_records?page={page}&per_page={per_page}{}",
            only("name.exact", name)
        )),
        Request::NameServers { zone, page, per_page } => {
            get(format!("/zones/{zone}/dns_records?page={page}&per_page={per_page}&type=NS"))
        }
        Request::Batch { zone, batch } => HttpRequest {
            method: "POST",
            path: format!("/zones/{zone}/dns_records/batch"),
            body: Some(batch_body(batch)),
        },
        Request::Verify(None) => get("/user/tokens/verify".to_owned()),
        Request::Verify(Some(account)) => get(format!("/accounts/{account}/tokens/verify")),
    }
}

/// Turns an answer of HTTP into the engine's.
///
/// Answers that mean nothing are failures like others; no answer whatever makes this panic.
pub fn decode(request: &Request, answer: &HttpAnswer<'_>) -> Answer {
    judge(request, answer, json::envelope(answer.body))
}

/// An answer of which the body cannot be read, for this reason.
pub(super) fn without_body(request: &Request, answer: &HttpAnswer<'_>, why: String) -> Answer {
    judge(request, answer, Err(NoEnvelope::Unread(why)))
}

fn judge(request: &Request, answer: &HttpAnswer<'_>, envelope: Result<Envelope<'_>, NoEnvelope>) -> Answer {
    let asked_in_body = match &envelope {
        Err(NoEnvelope::Problem(problem)) => problem.retry_after.map(headers::seconds),
        _ => None,
    };
    Answer {
        limits: headers::limits(&answer.headers),
        retry_after: headers::retry_after(&answer.headers).max(asked_in_body),
        took: answer.took,
        outcome: outcome(request, answer, envelope),
    }
}

fn outcome(
    request: &Request,
    answer: &HttpAnswer<'_>,
    envelope: Result<Envelope<'_>, NoEnvelope>,
) -> Result<Found, Failure> {
    let status = answer.status;
    let success = (200..300).contains(&status);
    let refusal =
        |errors, detail| Refusal { status: Some(status), errors, detail, ray: headers::ray(&answer.headers) };
    match envelope {
        Ok(envelope) if envelope.success && success => found(request, &envelope).map_err(|why| {
            let detail = format!("the answer cannot be used: {why}");
            refusal(envelope.errors, detail).failure(classify::uncertain(request))
        }),
        Ok(envelope) if envelope.success => {
            let detail = "the answer says success, its status does not".to_owned();
            Err(refusal(envelope.errors, detail).failure(classify::of_status(request, status)))
        }
        Ok(envelope) => {
            let words = match (envelope.errors.is_empty(), envelope.words.is_empty()) {
                (true, true) => "Cloudflare gave no reason".to_owned(),
                (true, false) => envelope.words,
                (false, _) => String::new(),
            };
            let link = envelope.link.map(|link| format!("see {link}"));
            let told: Vec<String> = [Some(words), link].into_iter().flatten().collect();
            let told: Vec<&str> = told.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            Err(refusal(envelope.errors, told.join("; ")).judge(request))
        }
        Err(why) => {
            let cut_off = matches!(why, NoEnvelope::CutOff);
            let (class, detail) = foreign(request, answer, why);
            let failure = refusal(Vec::new(), detail).failure(class);
            Err(Failure { incomplete: failure.incomplete || cut_off, ..failure })
        }
    }
}

/// What an answer that is not the API's means and says.
fn foreign(request: &Request, answer: &HttpAnswer<'_>, why: NoEnvelope) -> (Class, String) {
    if (300..400).contains(&answer.status) {
        let location = headers::first(&answer.headers, "location");
        return (classify::uncertain(request), foreign::redirect(location));
    }
    let code = match &why {
        NoEnvelope::Problem(problem) => problem.code,
        _ => foreign::edge_code(&foreign::readable(answer.body)),
    };
    let class = match code {
        Some(1015) => Class::Throttled,
        _ => classify::of_status(request, answer.status),
    };
    let detail = match why {
        NoEnvelope::CutOff => format!("the answer is cut off after {} bytes", answer.body.len()),
        NoEnvelope::Problem(problem) => foreign::problem(&problem.title, problem.code),
        NoEnvelope::Unread(why) => why,
        NoEnvelope::OtherJson(words) if !words.is_empty() => {
            format!("the answer is not the API's: {words}")
        }
        NoEnvelope::OtherJson(_) | NoEnvelope::NoJson => foreign::sentence(answer.body),
    };
    (class, detail)
}

/// Reads what was asked for.
///
/// # Errors
/// Why the answer cannot be used.
fn found(request: &Request, envelope: &Envelope<'_>) -> Result<Found, String> {
    Ok(match request {
        Request::Zones { page, .. } => Found::Zones(lists::page(envelope, *page, |entry: Lenient<'_>| {
            let raw: RawZone<'_> = entry.object();
            (raw.id.text(), raw.zone())
        })?),
        Request::Zone(id) => {
            let raw: RawZone<'_> = envelope.result.object();
            let zone = raw.zone().ok_or("it has no zone in it")?;
            if zone.id != *id {
                return Err("it is about another zone".to_owned());
            }
            Found::Zone(zone)
        }
        Request::Records { page, .. } | Request::NameServers { page, .. } => {
            Found::Records(lists::page(envelope, *page, |entry: Lenient<'_>| {
                let raw: RawRecord<'_> = entry.object();
                (raw.id.text(), raw.listed())
            })?)
        }
        Request::Batch { batch, .. } => {
            let raw: Option<RawWritten<'_>> = envelope.result.strict()?;
            let written = raw.ok_or("it says success, but not what was changed")?.read()?;
            if !answers(&written, batch) {
                return Err("it is not about the changes that were sent".to_owned());
            }
            Found::Written(written)
        }
        Request::Verify(_) => {
            let raw: RawToken<'_> = envelope.result.object();
            Found::Token(raw.read()?)
        }
    })
}

/// Whether the answer is about exactly the changes of the batch, in whatever order.
fn answers(written: &Written, batch: &Batch) -> bool {
    fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
        let mut items: Vec<T> = items.collect();
        items.sort_unstable();
        items
    }
    let patched = written.patched.iter().map(|r| (&r.id, &r.name, &r.content));
    let patches = batch.patches.iter().map(|p| (&p.id, &p.name, &p.content));
    let posted = written.posted.iter().map(|r| (&r.name, &r.content));
    let posts = batch.posts.iter().map(|p| (&p.name, &p.content));
    sorted(written.deleted.iter()) == sorted(batch.deletes.iter())
        && sorted(patched) == sorted(patches)
        && sorted(posted) == sorted(posts)
}

#[derive(Serialize)]
struct BatchBody<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deletes: Vec<DeleteBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<RecordBody<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    posts: Vec<RecordBody<'a>>,
}

#[derive(Serialize)]
struct DeleteBody<'a> {
    id: &'a str,
}

/// A record to be changed or created; what is `None` is not sent.
#[derive(Serialize)]
struct RecordBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    #[serde(serialize_with = "as_text")]
    content: &'a Content,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxied: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [Box<str>]>,
}

fn as_text<S: Serializer>(content: &Content, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(content)
}

fn batch_body(batch: &Batch) -> String {
    let delete = |id| DeleteBody { id: RecordId::as_str(id) };
    let body = BatchBody {
        deletes: batch.deletes.iter().map(delete).collect(),
        patches: batch.patches.iter().map(patch_body).collect(),
        posts: batch.posts.iter().map(post_body).collect(),
    };
    // Text, numbers and lists always have a JSON form.
    serde_json::to_string(&body).unwrap_or_default()
}

fn patch_body(patch: &Patch) -> RecordBody<'_> {
    RecordBody {
        id: Some(patch.id.as_str()),
        kind: patch.content.kind().as_str(),
        name: patch.name.as_str(),
        content: &patch.content,
        ttl: patch.ttl.map(Ttl::to_api),
        proxied: patch.proxied,
        comment: patch.comment.as_deref(),
        tags: patch.tags.as_deref(),
    }
}

fn post_body(post: &Post) -> RecordBody<'_> {
    RecordBody {
        id: None,
        kind: post.content.kind().as_str(),
        name: post.name.as_str(),
        content: &post.content,
        ttl: Some(post.ttl.to_api()),
        proxied: Some(post.proxied),
        comment: Some(&*post.comment).filter(|comment| !comment.is_empty()),
        tags: Some(&*post.tags).filter(|tags| !tags.is_empty()),
    }
}

#[cfg(test)]
mod tests;
