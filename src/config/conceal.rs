//! Which parts of a configuration may be secrets, so that no message ever shows them.
//!
//! Works on the bare text, because a secret also stands in files that cannot be parsed, under keys that are
//! misspelt and in lines that are commented out. It hides too much rather than too little.

use std::ops::Range;

use super::keys;
use crate::mask::Mask;

/// The keys of a secret's table whose values say where the secret is, and are shown.
const WHERE: [&str; 4] = ["env", "file", "credential", "command"];

/// The parts of `text` that may be secrets, and `more`, in order and without overlaps.
pub(super) fn merged(text: &str, more: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut parts = more;
    parts.extend(values_of_secret_keys(text));
    parts.extend(queries(text));
    parts.extend(words(text).filter(|word| looks_secret(slice(text, word))));
    parts.sort_by_key(|part| part.start);
    let mut list: Vec<Range<usize>> = Vec::new();
    for part in parts {
        match list.last_mut() {
            Some(last) if part.start < last.end => last.end = last.end.max(part.end),
            _ => list.push(part),
        }
    }
    list
}

/// The shortest query of a URL that is sought in messages: a shorter one is found by chance.
const SHORTEST_QUERY: usize = 8;

/// A mask for what may be secret in `text` by its shape: a message may say it in another case of the letters.
pub(super) fn mask(text: &str) -> Mask {
    let shaped = words(text).filter(|word| looks_secret(slice(text, word)));
    let queries = queries(text).filter(|query| query.len() >= SHORTEST_QUERY);
    Mask::of(shaped.chain(queries).map(|part| slice(text, &part)))
}

/// The message with everything masked that has the shape of a secret.
pub(super) fn masked(message: &str) -> String {
    let mut masked = String::new();
    let mut from = 0;
    for word in words(message).filter(|word| looks_secret(slice(message, word))) {
        masked.push_str(slice(message, &(from..word.start)));
        masked.push_str("********");
        from = word.end;
    }
    masked.push_str(slice(message, &(from..message.len())));
    masked
}

/// The queries of URLs, which often hold a key.
fn queries(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    text.match_indices("://").filter_map(|(at, _)| {
        let ends = |char: char| char.is_whitespace() || matches!(char, '"' | '\'');
        let rest = slice(text, &(at..text.len()));
        let end = at + rest.find(ends).unwrap_or(rest.len());
        let query = at + slice(text, &(at..end)).find('?')? + 1;
        (query < end).then_some(query..end)
    })
}

/// Whether a word has the shape of a Cloudflare secret: a token of 40 characters, a global key of
/// 37 hexadecimal digits, or one of the newer prefixes. None has a slash, so a path is none.
pub(super) fn looks_secret(word: &str) -> bool {
    let prefixed = ["cfk_", "cfut_", "cfat_", "v1.0-"]
        .iter()
        .any(|prefix| word.len() > prefix.len() + 8 && word.starts_with(prefix));
    let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let hex = has(u8::is_ascii_digit) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    !word.contains('/') && (prefixed || word.len() >= 36 && (mixed || hex))
}

/// Whether a key is one that secrets are written under, correctly spelt or not.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', "-");
    let parts = ["token", "secret", "passw", "bearer", "apikey", "globalkey", "auth", "notify"];
    parts.iter().any(|part| key.contains(part))
        || key == "key"
        || key.ends_with("-key")
        || keys::distance(&key, "token") <= 2 && key.len() >= 4
        || keys::distance(&key, "global-key") <= 3
}

/// The values of keys that secrets are written under.
fn values_of_secret_keys(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut section_is_secret = false;
    let mut skip_to = 0;
    for line in lines(text) {
        if line.start < skip_to {
            continue;
        }
        let head = slice(text, &line).trim_start_matches([' ', '\t', '#', '\u{feff}']);
        if head.starts_with('[') {
            let name = head.trim_matches(|char: char| !char.is_ascii_alphanumeric());
            let last = name.rsplit('.').next().unwrap_or(name);
            let last = last.trim_matches(|char: char| !char.is_ascii_alphanumeric());
            let last = last.split(|char: char| !is_key_char(char)).next().unwrap_or(last);
            section_is_secret = is_secret_key(last);
        }
        let mut path_is_secret = section_is_secret;
        for key in words(slice(text, &line)) {
            let key = line.start + key.start..line.start + key.end;
            if key.start < skip_to {
                continue;
            }
            let name = slice(text, &key);
            let Some(value) = value_after(text, &key, line.end) else {
                let is_path =
                    slice(text, &(key.end..line.end)).trim_start_matches(['"', '\'']).starts_with('.');
                path_is_secret |= is_path && is_secret_key(name);
                continue;
            };
            let is_place =
                WHERE.contains(&name) || ["api", "email", "refresh", "requests", "per"].contains(&name);
            if is_secret_key(name) || path_is_secret && !is_place {
                skip_to = hide_value(text, value, &mut parts);
            }
        }
    }
    parts
}

/// Where the value of this key begins, if it is a key: after `=`, `:`, or only blanks where a key begins the line.
fn value_after(text: &str, key: &Range<usize>, line_end: usize) -> Option<usize> {
    let rest = slice(text, &(key.end..line_end));
    let unquoted = rest.trim_start_matches(['"', '\'', ']']);
    let after = unquoted.trim_start_matches([' ', '\t']);
    let after = match after.strip_prefix(['=', ':']) {
        Some(after) => after,
        None if after.len() < unquoted.len() && begins_line(text, key.start) => after,
        None => return None,
    };
    let after = after.trim_start_matches([' ', '\t', '=', '>']);
    (!after.is_empty()).then_some(line_end - after.len())
}

/// Whether a key at this place is the first on its line, or in its table; the path before a dotted one counts to it.
fn begins_line(text: &str, at: usize) -> bool {
    let before = slice(text, &(0..at)).trim_end_matches(['"', '\'']);
    let in_path = |char| is_key_char(char) || matches!(char, '.' | '"' | '\'');
    let before = if before.ends_with('.') { before.trim_end_matches(in_path) } else { before };
    let before = before.trim_end_matches([' ', '\t', '#']);
    before.is_empty() || before.ends_with(['\n', '{', ',', '\u{feff}'])
}

/// Hides the value that begins at `start`, and says where it ends. Of a table, only what is not a place is hidden.
fn hide_value(text: &str, start: usize, parts: &mut Vec<Range<usize>>) -> usize {
    let rest = slice(text, &(start..text.len()));
    if rest.starts_with('{') {
        return hide_in_table(text, start, parts);
    }
    let end = start + value_length(rest);
    // What else stands on the line, a comment too, may be the secret before, or a part of this one.
    let after = slice(text, &(end..text.len()));
    let ends = after.trim_start_matches([' ', '\t']);
    let goes_on = ends.strip_prefix(',').is_some_and(is_next_key);
    let end = if ends.is_empty() || ends.starts_with(['\n', '\r', '}']) || goes_on {
        end
    } else {
        end + after.find('\n').unwrap_or(after.len())
    };
    parts.push(start..end);
    end
}

/// Whether a key follows, or the end of the table; after a comma there may also be a second secret.
fn is_next_key(text: &str) -> bool {
    let next = text.trim_start_matches([' ', '\t']);
    let quote =
        next.chars().next().filter(|char| matches!(char, '"' | '\'')).map(String::from).unwrap_or_default();
    let key = next.strip_prefix(&quote).unwrap_or(next);
    let after = key.trim_start_matches(|char| is_key_char(char) || char == '.');
    let sign = after.strip_prefix(&quote).map(|rest| rest.trim_start_matches([' ', '\t']));
    let is_key = after.len() < key.len() && sign.is_some_and(|sign| sign.starts_with(['=', ':']));
    is_key || next.starts_with('}')
}

/// Hides in `{ … }` the values of the keys that do not say where a secret is.
fn hide_in_table(text: &str, start: usize, parts: &mut Vec<Range<usize>>) -> usize {
    let mut at = start + 1;
    let mut key = start..start;
    while let Some(char) = slice(text, &(at..text.len())).chars().next() {
        match char {
            '}' => return at + 1,
            '=' | ':' => {
                let blanks = slice(text, &(at + 1..text.len()));
                let value = text.len() - blanks.trim_start_matches([' ', '\t']).len();
                let rest = slice(text, &(value..text.len()));
                let quoted = if rest.starts_with(['"', '\'', '[']) { value_length(rest) } else { 0 };
                let to_next = |rest: &str| rest.find(['\n', ',', '}']).unwrap_or(rest.len());
                let length = quoted + to_next(slice(rest, &(quoted..rest.len())));
                let end = value + slice(rest, &(0..length)).trim_end().len();
                if !WHERE.contains(&slice(text, &key)) {
                    parts.push(value..end);
                }
                at = end.max(at + 1);
            }
            _ if is_key_char(char) => {
                let word = slice(text, &(at..text.len()));
                let length = word.find(|char| !is_key_char(char)).unwrap_or(word.len());
                key = at..at + length;
                at += length;
                // A word without a value is not a place either.
                let next = slice(text, &(at..text.len())).trim_start_matches([' ', '\t']);
                let is_key = next.starts_with(['=', ':', '.', '"', '\'']);
                if !is_key && !WHERE.contains(&slice(text, &key)) {
                    parts.push(key.clone());
                }
            }
            // A text without a key is not a place.
            '"' | '\'' => {
                let rest = slice(text, &(at..text.len()));
                let end = at + value_length(rest);
                let inner = rest.get(1..end - at - 1).unwrap_or_default();
                let is_key = slice(text, &(end..text.len())).trim_start().starts_with('=');
                if is_key && WHERE.contains(&inner) {
                    key = at + 1..end - 1;
                } else if is_key {
                    key = at..end;
                } else {
                    parts.push(at..end);
                }
                at = end;
            }
            _ => at += char.len_utf8(),
        }
    }
    text.len()
}

/// How long the value is that this text begins with: a quoted text in one or several lines, a list, or bare words
/// to the end of the line.
fn value_length(text: &str) -> usize {
    let to_line_end = || text.find('\n').unwrap_or(text.len());
    for quotes in ["\"\"\"", "'''"] {
        if let Some(rest) = text.strip_prefix(quotes) {
            return rest.find(quotes).map_or(text.len(), |at| at + 6);
        }
    }
    if text.starts_with('[') {
        return list_length(text).unwrap_or_else(to_line_end);
    }
    let Some(quote) = text.chars().next().filter(|char| matches!(char, '"' | '\'')) else {
        return to_line_end();
    };
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long the list is that this text begins with; `None` if it is never closed.
fn list_length(text: &str) -> Option<usize> {
    let mut at = 1;
    let mut depth = 1;
    while depth > 0 {
        let rest = slice(text, &(at..text.len()));
        let char = rest.chars().next()?;
        at += match char {
            '"' | '\'' => value_length(rest),
            _ => char.len_utf8(),
        };
        match char {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
    }
    Some(at)
}

fn is_key_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '-' || char == '_'
}

/// The runs of characters that keys and secrets are made of.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + rest.find(is_key_char)?;
        let word = slice(text, &(start..text.len()));
        at = start + word.find(|char| !is_key_char(char)).unwrap_or(word.len());
        Some(start..at)
    })
}

/// The lines of a text, without their breaks.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    text.split('\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end + 1;
        range
    })
}

fn slice<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    text.get(range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text as it would be shown.
    fn shown(text: &str) -> String {
        let mut shown = String::new();
        let mut from = 0;
        for part in merged(text, Vec::new()) {
            shown.push_str(&text[from..part.start]);
            shown.push_str("***");
            from = part.end;
        }
        shown + &text[from..]
    }

    #[test]
    fn values_under_keys_for_secrets_are_hidden_however_they_are_written() {
        for (text, expected) in [
            ("token = \"hunter2\" # hunter1", "token = ***"),
            ("tokn = 'hunter2'", "tokn = ***"),
            ("# token = \"hunter2\"", "# token = ***"),
            ("token = hunter2", "token = ***"),
            ("token: hunter2", "token: ***"),
            ("token hunter2", "token ***"),
            ("cloudflare.\"token\" 'hunter2'", "cloudflare.\"token\" ***"),
            ("token = \"hunter2", "token = ***"),
            ("token = \"hun\\\"ter2\", api = 5", "token = ***, api = 5"),
            ("\"global-key\" = \"hunter2\"", "\"global-key\" = ***"),
            ("global_key=hunter2", "global_key=***"),
            ("CLOUDFLARE_API_KEY=hunter2", "CLOUDFLARE_API_KEY=***"),
            ("cloudflare.token = \"hunter2\"", "cloudflare.token = ***"),
            (
                "cloudflare = { token = \"hunter2\", api = \"x\" }",
                "cloudflare = { token = ***, api = \"x\" }",
            ),
            ("token = { value = \"hunter2\" }", "token = { value = *** }"),
            ("token = { \"hunter2\" }", "token = { *** }"),
            ("token = { env \"hunter2\" }", "token = { env *** }"),
            ("token = { hunter2 }", "token = { *** }"),
            ("token = { file hunter2, hunter2 }", "token = { file ***, *** }"),
            ("token = \"hunter1\", \"hunter2\"", "token = ***"),
            ("token = \"hunter1\", \"hunter2=\"", "token = ***"),
            ("token = 'hunter1', hunter2 # hunter3\na = 1", "token = ***\na = 1"),
            ("token = [\"hunter2\"]", "token = ***"),
            ("token = [\"]hunter2\", ['hunter2']]\na = 1", "token = ***\na = 1"),
            ("token = \"hunter1\"hunter2", "token = ***"),
            ("token = \"hunter1\" \"hunter2\"", "token = ***"),
            ("token = hunter1,hunter2", "token = ***"),
            ("token = { value = hunter1 hunter2, file = \"/a\" }", "token = { value = ***, file = \"/a\" }"),
            ("token = \"\"\"\nhunter2\nhunter2\"\"\"\na = 1", "token = ***\na = 1"),
            ("[cloudflare.token]\nvalue = \"hunter2\"", "[cloudflare.token]\nvalue = ***"),
            (
                "[[notify]]\nurl = \"https://a.example/hunter2\"\n[address]\nevery = 5",
                "[[notify]]\nurl = ***\n[address]\nevery = 5",
            ),
            ("notify.url = 'hunter2'", "notify.url = ***"),
            ("\"token\".value = 'hunter2'", "\"token\".value = ***"),
            ("notify = [{ url = \"https://a.example/hunter2\" }]", "notify = ***"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn places_of_secrets_and_other_values_are_shown() {
        for text in [
            "token = { file = \"/etc/stayput/token\" }",
            "token = { env = \"CLOUDFLARE_API_TOKEN\" }",
            "token = { \"credential\" = \"token\", file = \"x\" }",
            "[cloudflare.token]\nfile = \"/run/token\"",
            "cloudflare.token.file = \"/run/token\"",
            "token = { file = \"/run/secrets/Kubernetes/stayput-v2/token\" }",
            "zone-id = \"372e67954025e0ba6aaa6d586b9e0b59\"",
            "name = \"a-very-long-label-without-anything-secret-in-it.example.com\"",
            "every = \"5m\"\nagree = 2",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_has_the_shape_of_a_secret_is_hidden_anywhere() {
        let token = "Abcdefghij0123456789-_bcdefghij012345678";
        let key = "0123456789abcdef0123456789abcdef01234";
        assert_eq!(shown(&format!("env = \"{token}\"")), "env = \"***\"");
        assert!(
            looks_secret(token)
                && looks_secret(key)
                && !looks_secret("/run/Secrets/of-the-house/stayput-2/token")
        );
        assert_eq!(masked(&format!("say {key} and cfk_0123456789.")), "say ******** and ********.");
        let pasted = format!("name = \"{token}\"");
        let message = format!("\"{}\" is a bare label", token.to_lowercase());
        assert_eq!(mask(&pasted).apply_to_text(&message), "\"***\" is a bare label");
    }

    #[test]
    fn the_query_of_a_url_is_hidden() {
        let text = "ipv4 = [\"https://ip.example.org/a?of=hunter2\", \"https://b.example/?\"]";
        let expected = "ipv4 = [\"https://ip.example.org/a?***\", \"https://b.example/?\"]";
        assert_eq!(shown(text), expected);
        assert_eq!(mask(text).apply_to_text("the query of=hunter2 is odd"), "the query *** is odd");
    }
}
