//! Takes secrets out of texts before they leave the process.
//!
//! A server, a proxy on the way or a program can echo what it was given. So every text that goes outside
//! (log, results, status) passes [`redact`], which knows each secret that was read. Known forms of a secret:
//! itself, percent-encoded and hexadecimal, all in any case of the letters; base64 at each of its three
//! alignments. Deliberately unknown: where texts and secrets come from.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use zeroize::Zeroizing;

/// What stands in the place of a secret.
const MASK: &[u8] = b"***";
/// A shorter secret is not looked for everywhere, nor an encoded form of it anywhere: it would be found
/// where it is not meant. Cloudflare's have at least 37 characters.
const LEAST_BYTES: usize = 8;
/// So many secrets are known at a time; the oldest goes first. A program may print a new one each time.
const MOST_KNOWN: usize = 64;

/// The secrets that were read since the start.
static KNOWN: RwLock<Known> = RwLock::new(Known::NONE);

/// Hides this secret in every text from now on.
pub fn learn(secret: &str) {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).learn(secret);
}

/// The bytes without any secret that is known; borrowed if there is none.
pub fn redact(text: &[u8]) -> Cow<'_, [u8]> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).mask.apply(text)
}

/// [`redact`] for a text.
pub fn redact_text(text: &str) -> Cow<'_, str> {
    match redact(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(hidden) => Cow::Owned(String::from_utf8_lossy(&hidden).into_owned()),
    }
}

/// A secret that begins within a quotation is read to its end, in any of its forms, to be recognized.
const LONGEST_SECRET: usize = 1024;

/// The beginning of a foreign text on one line: at most `most` printable characters, runs of
/// everything else shown as one blank, known secrets as `***`.
pub fn quote(text: impl AsRef<[u8]>, most: usize) -> String {
    let text = text.as_ref();
    // Four bytes a character; a little more, because blanks are merged and secrets are replaced.
    let text = &text[..text.len().min(most.saturating_mul(8).saturating_add(LONGEST_SECRET))];
    let text = redact(text);
    let text = String::from_utf8_lossy(&text);
    let printable = |c: &char| !c.is_whitespace() && (c.is_ascii_graphic() || is_printable(*c));
    let mut out = String::new();
    let mut room = most;
    for word in text.split(|c| !printable(&c)).filter(|word| !word.is_empty()) {
        if !out.is_empty() && room > 0 {
            out.push(' ');
            room -= 1;
        }
        out.extend(word.chars().take(room));
        room = room.saturating_sub(word.chars().count());
        if room == 0 {
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Beyond ASCII: what the standard library would show as it is, which excludes control characters,
/// invisible ones and those that turn the direction of writing.
fn is_printable(c: char) -> bool {
    !c.is_ascii() && c.escape_debug().count() == 1
}

struct Known {
    secrets: VecDeque<Zeroizing<String>>,
    mask: Mask,
}

impl Known {
    const NONE: Known = Known { secrets: VecDeque::new(), mask: Mask { forms: [const { Vec::new() }; 256] } };

    fn learn(&mut self, secret: &str) {
        if secret.len() < LEAST_BYTES || self.secrets.iter().any(|old| **old == secret) {
            return;
        }
        self.secrets.push_back(Zeroizing::new(secret.to_owned()));
        if self.secrets.len() > MOST_KNOWN {
            self.secrets.pop_front();
        }
        self.mask = Mask::of(self.secrets.iter().map(|secret| secret.as_str()));
    }
}

/// Secrets in all the forms that are looked for.
pub struct Mask {
    /// By their first byte, of which the case does not count; the longest first.
    forms: [Vec<Form>; 256],
}

#[derive(PartialEq, Eq)]
enum Form {
    /// Found as it is.
    Exact(Zeroizing<Vec<u8>>),
    /// Found in any case of its ASCII letters.
    AnyCase(Zeroizing<Vec<u8>>),
}

impl Form {
    fn bytes(&self) -> &[u8] {
        match self {
            Form::Exact(bytes) | Form::AnyCase(bytes) => bytes,
        }
    }

    fn begins(&self, text: &[u8]) -> bool {
        let bytes = self.bytes();
        match (self, text.get(..bytes.len())) {
            (Form::Exact(_), Some(beginning)) => beginning == bytes,
            (Form::AnyCase(_), Some(beginning)) => beginning.eq_ignore_ascii_case(bytes),
            (_, None) => false,
        }
    }
}

impl Mask {
    /// A mask for these secrets.
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Mask {
        let mut mask = Mask { forms: [const { Vec::new() }; 256] };
        for form in secrets.into_iter().flat_map(forms_of) {
            if let Some(first) = form.bytes().first() {
                let forms = &mut mask.forms[usize::from(first.to_ascii_lowercase())];
                if !forms.contains(&form) {
                    forms.push(form);
                }
            }
        }
        for forms in &mut mask.forms {
            forms.sort_by_key(|form| Reverse(form.bytes().len()));
        }
        mask
    }

    /// The text with every form of the secret replaced; borrowed if there is none.
    pub fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let mut out = Vec::new();
        let (mut at, mut kept) = (0, 0);
        while at < text.len() {
            let here = &self.forms[usize::from(text[at].to_ascii_lowercase())];
            let Some(form) = here.iter().find(|form| form.begins(&text[at..])) else {
                at += 1;
                continue;
            };
            out.extend_from_slice(&text[kept..at]);
            out.extend_from_slice(MASK);
            at += form.bytes().len();
            kept = at;
        }
        if kept == 0 {
            return Cow::Borrowed(text);
        }
        out.extend_from_slice(&text[kept..]);
        Cow::Owned(out)
    }

    /// [`Mask::apply`] for a text.
    pub fn apply_to_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.apply(text.as_bytes())).into_owned()
    }
}

fn forms_of(secret: &str) -> Vec<Form> {
    let raw = secret.as_bytes();
    let mut forms = vec![Form::AnyCase(Zeroizing::new(raw.to_vec()))];
    if raw.len() >= LEAST_BYTES {
        let joined =
            |each: fn(&u8) -> String| Zeroizing::new(raw.iter().map(each).collect::<String>().into_bytes());
        forms.push(Form::AnyCase(joined(|b| format!("%{b:02x}"))));
        forms.push(Form::AnyCase(joined(|b| format!("{b:02x}"))));
        for alphabet in [STANDARD, URL_SAFE] {
            forms.extend((0..3).map(|skew| Form::Exact(base64_core(raw, skew, alphabet))));
        }
    }
    forms
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters of the base64 of a text that holds `raw` after `skew` other bytes (modulo 3)
/// which depend on `raw` alone.
fn base64_core(raw: &[u8], skew: usize, alphabet: &[u8; 64]) -> Zeroizing<Vec<u8>> {
    let bits = |index: usize| -> Option<u8> {
        // The bit `index` of `raw`, counted from the start of the first group of three bytes.
        let at = index.checked_sub(skew * 8)?;
        raw.get(at / 8).map(|byte| byte >> (7 - at % 8) & 1)
    };
    let characters = (skew + raw.len()) * 8 / 6 + 1;
    let six = |index: usize| -> Option<u8> {
        (0..6).try_fold(0u8, |number, bit| Some(number << 1 | bits(index * 6 + bit)?))
    };
    let core = (0..characters).filter_map(six);
    Zeroizing::new(core.map(|number| alphabet[usize::from(number)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "cfut_0123456789abcdefABCDEF-_0123456789abcd";

    fn masked(text: &str) -> String {
        Mask::of([SECRET]).apply_to_text(text)
    }

    #[test]
    fn the_secret_is_replaced_wherever_it_stands() {
        assert_eq!(masked(SECRET), "***");
        assert_eq!(masked(&format!("a {SECRET}{SECRET} b")), "a ****** b");
        assert_eq!(masked("nothing to see"), "nothing to see");
        assert!(matches!(Mask::of([SECRET]).apply(b"nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn encoded_forms_are_replaced_too() {
        let percent: String = SECRET.bytes().map(|b| format!("%{b:02x}")).collect();
        assert_eq!(masked(&format!("x={percent}&")), "x=***&");
        let hex: String = SECRET.bytes().map(|b| format!("{b:02X}")).collect();
        assert_eq!(masked(&hex), "***");
        // base64 of "Bearer hunter2-hunter2", made elsewhere.
        let mask = Mask::of(["hunter2-hunter2"]);
        let left = mask.apply_to_text("QmVhcmVyIGh1bnRlcjItaHVudGVyMg==");
        assert!(left.len() < 20, "{left}");
        assert!(left.starts_with("QmVhcmVyI"), "{left}");
    }

    #[test]
    fn a_secret_is_hidden_in_every_case_of_its_letters() {
        for text in [SECRET.to_lowercase(), SECRET.to_uppercase()] {
            assert_eq!(masked(&format!("no zone for {text}.example.com")), "no zone for ***.example.com");
        }
    }

    #[test]
    fn a_secret_that_was_learnt_is_hidden_everywhere_and_the_oldest_are_forgotten() {
        let secret = |number: usize| format!("learnt-{number:04}-Zx9_");
        let mut known = Known::NONE;
        for number in [0, 0, 1] {
            known.learn(&secret(number));
        }
        known.learn("short");
        let text = format!("{} short {}", secret(0), secret(1));
        assert_eq!(known.mask.apply_to_text(&text), "*** short ***");
        for number in 2..=MOST_KNOWN {
            known.learn(&secret(number));
        }
        assert_eq!(known.mask.apply_to_text(&secret(0)), secret(0));
        assert_eq!(known.mask.apply_to_text(&secret(1)), "***");
        assert_eq!(known.secrets.len(), MOST_KNOWN);
    }

    #[test]
    fn what_the_process_has_learnt_is_hidden_in_texts_and_bytes() {
        // The other tests learn so much that it may be forgotten again.
        let hidden = (0..100).any(|_| {
            learn("learnt-by-the-process");
            *redact(b"a LEARNT-by-the-process!") == *b"a ***!"
        });
        assert!(hidden);
        assert!(matches!(redact_text("nothing"), Cow::Borrowed("nothing")));
    }

    #[test]
    fn a_short_secret_is_masked_as_it_stands_only() {
        assert_eq!(Mask::of(["abc"]).apply_to_text("abc YWJj"), "*** YWJj");
        assert_eq!(Mask::of([""]).apply_to_text("abc"), "abc");
    }

    /// A plain encoder to compare with.
    fn base64(bytes: &[u8]) -> String {
        let mut out = String::new();
        for group in bytes.chunks(3) {
            let mut three = [0; 3];
            three[..group.len()].copy_from_slice(group);
            let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
            for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
                let six = usize::try_from(number >> shift & 63).unwrap();
                out.push(if index <= group.len() { char::from(STANDARD[six]) } else { '=' });
            }
        }
        out
    }

    proptest! {
        #[test]
        fn base64_of_any_text_around_the_secret_is_masked(
            before in ".{0,20}", secret in "[A-Za-z0-9_-]{20,60}", after in ".{0,20}"
        ) {
            let encoded = base64(format!("{before}{secret}{after}").as_bytes());
            let left = Mask::of([secret.as_str()]).apply_to_text(&encoded);
            // At most the characters that share bits with the neighbours stay.
            prop_assert!(left.len() + secret.len() * 4 / 3 <= encoded.len() + 3 + 3);
            prop_assert!(left.contains("***"));
        }

        #[test]
        fn no_text_keeps_the_secret(
            before in "[ -~]{0,40}", secret in "[A-Za-z0-9_-]{8,60}", after in "[ -~]{0,40}"
        ) {
            let left = Mask::of([secret.as_str()]).apply_to_text(&format!("{before}{secret}{after}"));
            prop_assert!(!left.contains(&secret));
        }

        #[test]
        fn any_bytes_can_be_masked(text in proptest::collection::vec(any::<u8>(), 0..300), secret in ".{0,20}") {
            let mask = Mask::of([secret.as_str()]);
            let left = mask.apply(&text);
            prop_assert!(left.len() <= text.len() * 3);
        }

        #[test]
        fn an_excerpt_is_one_short_printable_line(text in proptest::collection::vec(any::<u8>(), 0..400), most in 0..100_usize) {
            let excerpt = quote(&text, most);
            prop_assert!(excerpt.chars().count() <= most);
            prop_assert!(!excerpt.chars().any(|c| c.is_control() || c.is_whitespace() && c != ' '));
            prop_assert_eq!(excerpt.trim(), &excerpt);
        }

        #[test]
        fn an_excerpt_of_plain_words_is_the_words(words in "[!-~]{1,5}( [!-~]{1,5}){0,5}", most in 0..60_usize) {
            let expected: String = words.chars().take(most).collect();
            prop_assert_eq!(quote(&words, most), expected.trim_end());
        }
    }
}
