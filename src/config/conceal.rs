//! Which lines of a configuration may hold secrets, so that no message ever shows them.
//!
//! Works on the bare text, because a secret also stands in files that cannot be parsed, under keys that are
//! misspelt and in lines that are commented out. It hides too much rather than too little.

use super::keys::{self, Kind, Place};
use crate::secret::looks_secret;
use crate::secret::redact::Mask;

/// Whether each line of `text` may hold a secret: by its words, because it stands in a table of secrets, or
/// because it may belong to the value of a line that does.
pub(super) fn secret_lines(text: &str) -> Vec<bool> {
    let (mut in_table, mut in_value) = (false, false);
    let mut is_secret = |line: &str| {
        let first = words(line).next().unwrap_or_default();
        if line.trim_start_matches([' ', '\t', '#', '\u{feff}']).starts_with('[') {
            let meant = Place::Top.nearest(first);
            let of_secrets = meant == Some(&keys::CLOUDFLARE) || words(line).any(is_secret_key);
            if of_secrets || meant.is_some() {
                (in_table, in_value) = (of_secrets, false);
                return holds_secret(line) || of_secrets && !line.trim_end().ends_with(']');
            }
        }
        let is_other = |key: &&keys::Key| key.name == first && is_harmless(key, in_table);
        in_value = (in_value || in_table) && !keys::ALL.iter().any(is_other);
        in_value |= holds_secret(line) || first == keys::CLOUDFLARE.name;
        in_value
    };
    text.split('\n').map(&mut is_secret).collect()
}

/// Whether a line that begins with this key ends the value of a secret, and is none itself.
fn is_harmless(key: &keys::Key, in_table_of_secrets: bool) -> bool {
    match key.place {
        Place::Secret => false,
        Place::Account | Place::Budget => key.kind != Kind::Secret,
        _ => !in_table_of_secrets && key != &keys::CLOUDFLARE,
    }
}

fn holds_secret(line: &str) -> bool {
    let keys = line.rsplit_once(['=', ':']).map_or(line, |(before, _)| before);
    words(keys).any(is_secret_key)
        || words(line).any(looks_secret)
        || line.contains("://") && line.contains(['?', '@'])
}

/// The shortest query of a URL that is sought in messages: a shorter one is found by chance.
const SHORTEST_QUERY: usize = 8;

/// A mask for what may be secret in `text` by its shape: a message may say it in another case of the letters.
pub(super) fn mask(text: &str) -> Mask {
    let urls = text
        .split(|char: char| char.is_whitespace() || matches!(char, '"' | '\''))
        .filter(|part| part.contains("://"));
    let queries =
        urls.filter_map(|url| Some(url.split_once('?')?.1)).filter(|query| query.len() >= SHORTEST_QUERY);
    Mask::of(words(text).filter(|word| looks_secret(word)).chain(queries))
}

/// The message with everything masked that has the shape of a secret.
pub(super) fn masked(message: &str) -> String {
    let secrets = words(message).filter(|word| looks_secret(word));
    secrets.fold(message.to_owned(), |masked, secret| masked.replace(secret, "********"))
}

/// Whether a key is one that secrets are written under, correctly spelt or not.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', "-");
    let parts = ["token", "secret", "passw", "bearer", "apikey", "globalkey", "auth", "notify"];
    parts.iter().any(|part| key.contains(part))
        || key == "key"
        || key.ends_with("-key")
        || strsim::osa_distance(&key, "token") <= 2 && key.len() >= 4
        || strsim::osa_distance(&key, "global-key") <= 3
}

fn is_key_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '-' || char == '_'
}

/// The runs of characters that keys and secrets are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char| !is_key_char(char)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are drawn.
    fn drawn(text: &str) -> String {
        let lines = text.split('\n').zip(secret_lines(text)).filter(|(_, secret)| !secret);
        lines.map(|(line, _)| line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn lines_with_keys_for_secrets_are_not_drawn_however_they_are_written() {
        for text in [
            "token = \"hunter2\" # hunter1",
            "tokn = 'hunter2'",
            "# token = \"hunter2\"",
            "token = hunter2",
            "token: hunter2",
            "token hunter2",
            "cloudflare.\"token\" 'hunter2'",
            "token = \"hunter2",
            "token = \"hun\\\"ter2\", api = 5",
            "\"global-key\" = \"hunter2\"",
            "global_key=hunter2",
            "CLOUDFLARE_API_KEY=hunter2",
            "cloudflare.token = \"hunter2\"",
            "cloudflare = { token = \"hunter2\", api = \"x\" }",
            "token = { value = \"hunter2\" }",
            "token = { \"hunter2\" }",
            "token = { env \"hunter2\" }",
            "token = { hunter2 }",
            "token = { file hunter2, hunter2 }",
            "token = \"hunter1\", \"hunter2\"",
            "token = \"hunter1\", \"hunter2=\"",
            "token = 'hunter1', hunter2 # hunter3\na = 1",
            "token = [\"hunter2\"]",
            "token = [\"]hunter2\", ['hunter2']]\na = 1",
            "token = \"hunter1\"hunter2",
            "token = \"hunter1\" \"hunter2\"",
            "token = hunter1,hunter2",
            "token = { value = hunter1 hunter2, file = \"/a\" }",
            "token = \"\"\"\nhunter2\nhunter2\"\"\"\na = 1",
            "[cloudflare.token]\nvalue = \"hunter2\"",
            "[[notify]]\nurl = \"https://a.example/hunter2\"\n[address]\nevery = 5",
            "notify.url = 'hunter2'",
            "\"token\".value = 'hunter2'",
            "notify = [{ url = \"https://a.example/hunter2\" }]",
            "[cloudflare]\nvalu = \"hunter2\"",
            "[cloudflar]\n# hunter2",
            "cloudflare = { valu = \"hunter2\" }",
            "cloudflare = [\n\"hunter2\"\n]",
            "[cloudflare\nhunter2",
            "[cloudflare] hunter2",
            "[address]\ntoken = [\n['hunter1'],\n'hunter2'\n]",
            "token = \"\"\"\nvalue = hunter2\n[x]hunter2\"\"\"",
        ] {
            assert!(!drawn(text).contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn lines_with_other_values_are_drawn_those_behind_a_secret_too() {
        for text in [
            "zone-id = \"372e67954025e0ba6aaa6d586b9e0b59\"",
            "name = \"a-very-long-label-without-anything-secret-in-it.example.com\"",
            "every = \"5m\"\nagree = 2",
            "[[record]]\nname = [\n  \"a.example.com\"]\nnam = 5",
            "name = [\"auth.example.com\", \"token.example.com\"]",
            "ipv4 = [\"cloudflare\", \"https://ip.example.com/\", { file = \"/run/Address\" }]",
        ] {
            assert_eq!(drawn(text), text);
            let hidden = "[cloudflare]\ntoken = [\n'hunter2'\n]\n[[notify]]\nurl = 'hunter2'";
            assert_eq!(
                drawn(&format!("{hidden}\n[address]\n{text}")),
                format!("[cloudflare]\n[address]\n{text}")
            );
        }
        let text = "[cloudflare]\napi = \"x\"\nrefresh = \"1s\"\nbudget = {}";
        assert_eq!(drawn(text), text);
    }

    #[test]
    fn what_has_the_shape_of_a_secret_is_hidden_anywhere() {
        let token = "Abcdefghij0123456789-_bcdefghij012345678";
        let key = "0123456789abcdef0123456789abcdef01234";
        assert_eq!(drawn(&format!("name = \"{token}\"")), "");
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
    fn what_may_be_secret_in_a_url_is_hidden() {
        let text =
            "ipv4 = [\"https://ip.example.org/a?of=hunter2\"]\nipv6 = [\"https://me:hunter2@b.example/\"]";
        assert_eq!(drawn(text), "");
        assert_eq!(mask(text).apply_to_text("the query of=hunter2 is odd"), "the query *** is odd");
    }
}
