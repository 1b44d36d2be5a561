//! What an answer says that is not the API's: Cloudflare's edge, a proxy, a log-in page.
//!
//! An answer that is not the API's is shown to the operator as a sentence or an excerpt. Nothing
//! here concludes anything from it but what to say. Deliberately unknown: requests, classes.

use crate::secret::redact::quote;

/// Characters of an excerpt.
const MOST_CHARACTERS: usize = 200;
/// Bytes of a body that are looked at.
const MOST_BYTES: usize = 65_536;

/// What a body that is not the API's says, in a sentence.
pub fn sentence(body: &[u8]) -> String {
    let text = readable(body);
    let known = edge_code(&text).and_then(edge_words);
    match known {
        Some(words) => format!("{words} ({text})"),
        None if body.iter().all(u8::is_ascii_whitespace) => "the answer is empty".to_owned(),
        None if text.is_empty() => format!("the answer is {} bytes that are no text", body.len()),
        None => format!("the answer is not the API's: {text}"),
    }
}

/// What a problem that Cloudflare's edge tells as JSON says, in a sentence.
pub fn problem(title: &str, code: Option<u32>) -> String {
    let number = code.map(|code| format!("error {code}")).filter(|number| {
        // Many a title has its number in it.
        !title.to_ascii_lowercase().contains(number)
    });
    let number = number.map_or_else(String::new, |number| format!(", {number}"));
    match code.and_then(edge_words) {
        Some(words) => format!("{words} ({title}{number})"),
        None => format!("Cloudflare's edge says: {title}{number}"),
    }
}

/// Where a redirect points: the host alone.
pub fn redirect(location: Option<&str>) -> String {
    let host = location
        .and_then(|location| location.split_once("//"))
        .map(|(_, rest)| rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest))
        // What stands before an @ can be a password.
        .map(|host| host.rsplit('@').next().unwrap_or(host))
        .map(|host| quote(host, 100))
        .filter(|host| !host.is_empty());
    match host {
        Some(host) => format!("the answer is a redirect to {host}, which is not followed"),
        None => "the answer is a redirect, which is not followed".to_owned(),
    }
}

/// The number in a text such as `error code: 1015`, which Cloudflare's edge answers with.
pub fn edge_code(text: &str) -> Option<u32> {
    const MARK: &str = "error code:";
    let lower = text.to_ascii_lowercase();
    let rest = lower[lower.find(MARK)? + MARK.len()..].trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn edge_words(code: u32) -> Option<&'static str> {
    Some(match code {
        1010 => "Cloudflare's edge refuses this program by its signature",
        1015 => "Cloudflare's edge limits the rate of requests from here",
        1020 => "a firewall rule in front of the API refuses this host",
        1034 => "Cloudflare's edge does not serve the API at this address; does DNS give the right one here?",
        _ => return None,
    })
}

/// The first printable characters of a body; of HTML the first words between tags, which are the title.
/// Empty if it is no text.
pub fn readable(body: &[u8]) -> String {
    let body = &body[..body.len().min(MOST_BYTES)];
    let text = String::from_utf8_lossy(body);
    let strange = |c: &char| *c == '\u{fffd}' || c.is_control() && !c.is_ascii_whitespace();
    let odd = text.chars().filter(strange).count();
    if odd * 10 > text.chars().count() {
        return String::new();
    }
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        return quote(&*text, MOST_CHARACTERS);
    }
    let behind_tags = text.split('<').filter_map(|piece| piece.split_once('>'));
    let mut words = behind_tags.map(|(_, words)| quote(words, MOST_CHARACTERS));
    words.find(|words| !words.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_a_page_the_title_is_said() {
        let page = b"<!DOCTYPE html>\n<html><head><TITLE lang=en>502 Bad\n Gateway</TITLE></head><body>x</body></html>";
        assert_eq!(sentence(page), "the answer is not the API's: 502 Bad Gateway");
    }

    #[test]
    fn of_a_page_without_a_title_the_first_words_are_said() {
        let page = b"<!--[if lt IE 7]> <html class=old> <![endif]-->\n<h1>502 Bad Gateway</h1><hr><center>cloudflare-lb</center></html>";
        assert_eq!(readable(page), "502 Bad Gateway");
    }

    #[test]
    fn the_edges_codes_are_explained() {
        for (code, word) in [(1010, "signature"), (1015, "rate"), (1020, "firewall"), (1034, "DNS")] {
            let said = sentence(format!("error code: {code}").as_bytes());
            assert!(said.contains(word) && said.contains(&code.to_string()), "{said}");
        }
        assert_eq!(sentence(b"error code: 502"), "the answer is not the API's: error code: 502");
        assert_eq!(edge_code("Error code:1015<br>"), Some(1015));
        assert_eq!(edge_code("error code: "), None);
        assert_eq!(edge_code("error code: 99999999999999"), None);
    }

    #[test]
    fn what_is_no_text_is_not_shown() {
        assert_eq!(sentence(b""), "the answer is empty");
        assert_eq!(sentence(b" \r\n"), "the answer is empty");
        let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xfe, 0xff, 0x9c];
        assert_eq!(sentence(&gzip), "the answer is 14 bytes that are no text");
        let utf16: Vec<u8> = "{\"success\":true}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(sentence(&utf16).contains("no text"));
        assert_eq!(readable(b"red\x1b[31m alert\r\nforged line"), "red [31m alert forged line");
        assert_eq!(quote("a\u{202e}b", 9), "a b");
    }

    #[test]
    fn a_redirect_says_the_host_and_nothing_else() {
        let said = redirect(Some("https://user:word@evil.example:8443/a?token=secret"));
        assert_eq!(said, "the answer is a redirect to evil.example:8443, which is not followed");
        assert!(!redirect(Some("/client/v5?a=b")).contains("v5"));
        assert!(!redirect(None).contains("to "));
    }

    proptest! {
        #[test]
        fn any_body_gives_a_short_line(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let said = sentence(&body);
            prop_assert!(said.chars().count() <= 400);
            prop_assert!(!said.chars().any(char::is_control));
        }

        #[test]
        fn any_page_gives_a_short_line(page in "<(<|>|script|</|title|style|<!--|-->|é|x| ){0,80}") {
            let said = readable(page.as_bytes());
            prop_assert!(said.chars().count() <= MOST_CHARACTERS);
            prop_assert!(!redirect(Some(&page)).is_empty());
        }
    }
}
