//! A secret as a type that cannot be printed, and the judgement of a text that claims to be one.
//!
//! The text is trimmed and then taken or refused as a whole; nothing is repaired silently. What is
//! said about a text never quotes any of it. Deliberately unknown: where the text came from.

use std::fmt;

use zeroize::Zeroizing;

use super::redact;

/// What the systemd unit passes as long as there is no file with a token.
const NOT_YET: &str = "no-token-yet";
/// Below this many characters a secret is probably not a whole one.
const LEAST_CHARACTERS: usize = 20;
/// Characters of a token without a prefix, as they were made until 2025.
const OLD_TOKEN_CHARACTERS: usize = 40;
/// Hexadecimal digits of a Global API Key without a prefix.
const OLD_KEY_DIGITS: usize = 37;

/// A secret. From its making on, no text that leaves the process has it; `Debug` shows `…`; there is no `Display`.
#[derive(PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What a secret is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An API token, of a user or of an account.
    Token,
    /// The Global API Key.
    GlobalKey,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Token => "API token",
            Kind::GlobalKey => "Global API Key",
        })
    }
}

/// Why a text is no secret of its kind. The words say what to do; they never quote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// Nothing, or only blanks.
    Empty,
    /// What stands for a token that nobody has put in yet.
    NotYet,
    /// More than 64 KiB.
    TooLong,
    /// Not UTF-8, or a control character.
    Binary,
    /// Quotation marks around it.
    Quoted,
    /// `Bearer ` or `Authorization:` before it.
    Header,
    /// Several words or lines.
    InnerBlank,
    /// `NAME=value`, as in a file of environment variables.
    Assignment,
    /// `<…>`, `${…}`, `YOUR_TOKEN`, `changeme`, `xxxx`: to be filled in.
    Placeholder,
    /// `{"token": "…"}`.
    Json,
    /// Letters that are not ASCII.
    NotAscii,
    /// A character that neither tokens nor keys have.
    Character,
    /// The Global API Key where a token belongs.
    GlobalKeyAsToken,
    /// A token where the Global API Key belongs.
    TokenAsGlobalKey,
}

impl fmt::Display for BadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadSecret::Empty => "is empty: put the secret in, alone and on one line",
            BadSecret::NotYet => "is not there yet: put one in, alone and on one line",
            BadSecret::TooLong => {
                "is longer than 64 KiB, so this is something else: put the secret in, alone and on one line"
            }
            BadSecret::Binary => {
                "has control characters or is no text: put the secret in as plain text, alone and on one line"
            }
            BadSecret::Quoted => "has quotation marks: leave them out",
            BadSecret::Header => {
                "begins with \"Bearer\" or the name of a header: put in what stands after it, alone"
            }
            BadSecret::InnerBlank => {
                "has blanks or line breaks inside: put the secret in, alone and on one line"
            }
            BadSecret::Assignment => {
                "has an equals sign, as in NAME=value: put in the value alone"
            }
            BadSecret::Placeholder => {
                "is a placeholder that is still to be filled in: put the real secret in its place"
            }
            BadSecret::Json => {
                "is JSON: put in the value alone, without braces, key and quotation marks"
            }
            BadSecret::NotAscii => {
                "has characters that are not ASCII: copy it again from Cloudflare's dashboard"
            }
            BadSecret::Character => {
                "has a character other than A-Z, a-z, 0-9, - and _: copy it again from Cloudflare's dashboard"
            }
            BadSecret::GlobalKeyAsToken => {
                "is the Global API Key, not an API token: create a token with the permission Zone · DNS · Edit in the dashboard (My Profile, API Tokens), or use email and global-key for the key"
            }
            BadSecret::TokenAsGlobalKey => {
                "is an API token, not the Global API Key: use token for it, and leave email and global-key out"
            }
        })
    }
}

/// What is odd about a secret that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// Shorter than any token or key known.
    Short,
    /// Does not look like a Global API Key.
    UnlikeGlobalKey,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Odd::Short => "is shorter than any that Cloudflare gives out: is it the whole of it?",
            Odd::UnlikeGlobalKey => {
                "does not look like a Global API Key (37 hexadecimal digits, or cfk_…): is it a token?"
            }
        })
    }
}

impl Secret {
    /// Takes a text as a secret of this kind: without a byte order mark and surrounding ASCII blanks.
    ///
    /// # Errors
    /// [`BadSecret`] says what is wrong with it.
    pub fn parse(text: &[u8], kind: Kind) -> Result<Secret, BadSecret> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let text = std::str::from_utf8(text.trim_ascii()).map_err(|_| BadSecret::Binary)?;
        judge(text, kind)?;
        redact::learn(text);
        Ok(Secret(Zeroizing::new(text.to_owned())))
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is odd about it.
    pub fn oddities(&self, kind: Kind) -> Vec<Odd> {
        let short = self.0.len() < LEAST_CHARACTERS;
        let unlike = kind == Kind::GlobalKey && !short && !looks_like_key(&self.0);
        let short = short.then_some(Odd::Short);
        short.into_iter().chain(unlike.then_some(Odd::UnlikeGlobalKey)).collect()
    }
}

fn judge(text: &str, kind: Kind) -> Result<(), BadSecret> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let wrong = if text.is_empty() {
        BadSecret::Empty
    } else if text == NOT_YET {
        BadSecret::NotYet
    } else if text.starts_with(is_quote) || text.ends_with(is_quote) {
        BadSecret::Quoted
    } else if is_header(text) {
        BadSecret::Header
    } else if text.starts_with(['{', '[']) && text.contains('"') {
        BadSecret::Json
    } else if text.starts_with(['<', '$', '{', '%']) || is_placeholder(text) {
        BadSecret::Placeholder
    } else if text.contains([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']) {
        BadSecret::InnerBlank
    } else if text.contains(char::is_control) {
        BadSecret::Binary
    } else if !text.is_ascii() {
        BadSecret::NotAscii
    } else if text.contains('=') {
        BadSecret::Assignment
    } else if !text.bytes().all(plain) {
        BadSecret::Character
    } else if kind == Kind::Token && looks_like_key(text) {
        BadSecret::GlobalKeyAsToken
    } else if kind == Kind::GlobalKey && looks_like_new_token(text) {
        BadSecret::TokenAsGlobalKey
    } else {
        return Ok(());
    };
    Err(wrong)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '“' | '”' | '„' | '‘' | '’' | '«' | '»')
}

fn is_header(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let after_bearer = lower.strip_prefix("bearer");
    after_bearer.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ':']))
        || lower.starts_with("authorization:")
        || lower.starts_with("x-auth-key:")
}

/// Texts that examples are full of. A text of the length of a real token passes, unless it is one
/// character over and over: chance can spell a word.
fn is_placeholder(text: &str) -> bool {
    const BEGINNINGS: [&str; 8] =
        ["your", "xxx", "changeme", "change-me", "change_me", "replace", "insert", "placeholder"];
    let first = text.bytes().next();
    let monotonous = text.len() >= 4 && text.bytes().all(|b| Some(b) == first);
    let lower = text.to_ascii_lowercase();
    monotonous
        || text.len() != OLD_TOKEN_CHARACTERS
            && BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning))
}

/// Whether a word has the shape of a Cloudflare secret: a token of 40 characters, a global key of
/// 37 hexadecimal digits, or one of the newer prefixes. None has a slash, so a path is none.
pub fn looks_secret(word: &str) -> bool {
    let prefixed = ["cfk_", "cfut_", "cfat_", "v1.0-"]
        .iter()
        .any(|prefix| word.len() > prefix.len() + 8 && word.starts_with(prefix));
    let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let hex = has(u8::is_ascii_digit) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    !word.contains('/') && (prefixed || word.len() >= 36 && (mixed || hex))
}

fn looks_like_key(text: &str) -> bool {
    text.starts_with("cfk_") || text.len() == OLD_KEY_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn looks_like_new_token(text: &str) -> bool {
    text.starts_with("cfut_") || text.starts_with("cfat_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "Qm3xW8_pL2kT9-vR5sY1nB7cD4fG6hJ0aZEuXiOw";
    const KEY: &str = "1234567893feefc5f0q5000bfo0c38d90bbeb";
    const HEX_KEY: &str = "0123456789abcdef0123456789abcdef01234";

    fn token(text: &str) -> Result<Secret, BadSecret> {
        Secret::parse(text.as_bytes(), Kind::Token)
    }

    #[test]
    fn a_token_is_taken_without_the_blanks_around_it() {
        for text in [
            TOKEN.to_owned(),
            format!("{TOKEN}\n"),
            format!(" \t{TOKEN}\r\n\r\n"),
            format!("\u{feff}{TOKEN}\r\n"),
        ] {
            assert_eq!(token(&text).unwrap().expose(), TOKEN);
        }
        let new = "cfut_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcd1a2b3c4d";
        for text in [new, &new.replace("cfut", "cfat"), "sandbox-token_1"] {
            assert_eq!(token(text).unwrap().expose(), text);
        }
    }

    #[test]
    fn what_is_no_token_is_refused_for_its_reason() {
        let cases = [
            ("", BadSecret::Empty),
            (" \r\n", BadSecret::Empty),
            ("\u{feff}\n", BadSecret::Empty),
            ("\"0123456789\"", BadSecret::Quoted),
            ("'0123456789'\n", BadSecret::Quoted),
            ("“0123456789”", BadSecret::Quoted),
            ("0123456789\"", BadSecret::Quoted),
            ("Bearer 0123456789", BadSecret::Header),
            ("bearer\t0123456789", BadSecret::Header),
            ("Authorization: Bearer 0123456789", BadSecret::Header),
            ("01234 56789", BadSecret::InnerBlank),
            ("01234\n56789", BadSecret::InnerBlank),
            ("01234\r\n56789\r\n", BadSecret::InnerBlank),
            ("01234\u{7}56789", BadSecret::Binary),
            ("01234\u{0}56789", BadSecret::Binary),
            ("01234é56789", BadSecret::NotAscii),
            ("0123\u{a0}456789", BadSecret::NotAscii),
            ("0123\u{200b}456789", BadSecret::NotAscii),
            ("CLOUDFLARE_API_TOKEN=0123456789", BadSecret::Assignment),
            ("0123456789.abc", BadSecret::Character),
            ("no-token-yet\n", BadSecret::NotYet),
            (r#"{"token":"0123456789"}"#, BadSecret::Json),
            ("{\n  \"token\": \"0123456789\"\n}\n", BadSecret::Json),
            ("YOUR_TOKEN", BadSecret::Placeholder),
            ("your-api-token-here", BadSecret::Placeholder),
            ("changeme", BadSecret::Placeholder),
            ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", BadSecret::Placeholder),
            ("<token>", BadSecret::Placeholder),
            ("${CLOUDFLARE_API_TOKEN}", BadSecret::Placeholder),
            (HEX_KEY, BadSecret::GlobalKeyAsToken),
            ("cfk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcd", BadSecret::GlobalKeyAsToken),
        ];
        for (text, wrong) in cases {
            assert_eq!(token(text), Err(wrong), "{text:?}");
        }
        assert_eq!(Secret::parse(b"\xff\xfe0123", Kind::Token), Err(BadSecret::Binary));
    }

    #[test]
    fn a_real_token_that_spells_a_word_is_taken() {
        let chance = format!("your{}", &TOKEN[4..]);
        assert!(token(&chance).is_ok());
        assert!(token(&format!("Bearer{}", &TOKEN[6..])).is_ok());
    }

    #[test]
    fn a_token_is_no_global_key() {
        let key = |text: &str| Secret::parse(text.as_bytes(), Kind::GlobalKey);
        assert!(key(HEX_KEY).unwrap().oddities(Kind::GlobalKey).is_empty());
        assert_eq!(key("cfut_0123456789abcdef"), Err(BadSecret::TokenAsGlobalKey));
        assert_eq!(key("cfat_0123456789abcdef"), Err(BadSecret::TokenAsGlobalKey));
        assert_eq!(key(KEY).unwrap().oddities(Kind::GlobalKey), [Odd::UnlikeGlobalKey]);
        assert_eq!(key("abc").unwrap().oddities(Kind::GlobalKey), [Odd::Short]);
        assert_eq!(token("abc").unwrap().oddities(Kind::Token), [Odd::Short]);
        assert!(token(TOKEN).unwrap().oddities(Kind::Token).is_empty());
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        assert!(BadSecret::GlobalKeyAsToken.to_string().contains("Global API Key"));
        assert!(BadSecret::TokenAsGlobalKey.to_string().contains("use token"));
        for bad in [
            BadSecret::Empty,
            BadSecret::NotYet,
            BadSecret::TooLong,
            BadSecret::Binary,
            BadSecret::Quoted,
            BadSecret::Header,
            BadSecret::InnerBlank,
            BadSecret::Assignment,
            BadSecret::Placeholder,
            BadSecret::Json,
            BadSecret::NotAscii,
            BadSecret::Character,
        ] {
            assert!(bad.to_string().contains(": "), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_token_of_the_right_characters_is_taken_and_never_shown(text in "[A-Za-z0-9_-]{40}") {
            let monotonous = text.bytes().all(|b| b == text.as_bytes()[0]);
            prop_assume!(!monotonous && !text.starts_with("cfk_"));
            let secret = token(&format!(" {text}\r\n")).unwrap();
            prop_assert_eq!(secret.expose(), &text);
            let shown = format!("{secret:?} {:#?} {:?}", Some(&secret), secret.oddities(Kind::Token));
            for part in text.as_bytes().windows(8) {
                prop_assert!(!shown.contains(std::str::from_utf8(part).unwrap()));
            }
        }

        #[test]
        fn any_bytes_are_judged(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(secret) = Secret::parse(&text, Kind::Token) {
                prop_assert!(secret.expose().bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
