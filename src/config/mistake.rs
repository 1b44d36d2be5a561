//! What is wrong with a configuration, and how a person is shown it: the place, the line, the reason, the remedy.
//!
//! Deliberately unknown: TOML, keys, rules. Whoever finds something says where it is and what to write instead.

use std::fmt;
use std::ops::Range;

use serde_json::{Value, json};

use super::conceal;

/// A part of a text, in bytes.
pub(super) type Span = Range<usize>;

/// One thing that is wrong, or (among the warnings) worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    source: Box<str>,
    spot: Option<Spot>,
    what: String,
    remedy: String,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    /// From 1.
    line: usize,
    /// In characters of the line, from 0.
    caret: Span,
    /// The line; none if a secret may stand in it, or if it is too long.
    drawn: Option<String>,
}

/// Everything that is wrong with one configuration: at least one mistake, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// What their number is said of; `None` for the one that kept everything else from being read.
    source: Option<Box<str>>,
    list: Vec<Mistake>,
    /// How many there are beyond those in `list`.
    more: usize,
}

/// Mistakes that are kept: nobody reads more, and each costs memory.
const MOST_KEPT: usize = 100;

/// Whether escape sequences for colours are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Text alone.
    Plain,
    /// For a terminal.
    Coloured,
}

impl Mistakes {
    /// A single mistake about a whole file, or about something that has no lines.
    pub(super) fn about(source: &str, what: &str, remedy: &str) -> Mistakes {
        Mistakes { source: None, list: vec![Mistake::about(source, what, remedy)], more: 0 }
    }

    /// Mistakes of several places under one name. The list is not to be empty.
    pub(super) fn gathered(source: &str, list: Vec<Mistake>) -> Mistakes {
        Mistakes { source: Some(source.into()), list, more: 0 }
    }

    pub(super) fn into_list(self) -> Vec<Mistake> {
        self.list
    }

    /// How many there are: at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one mistake")]
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// The first hundred of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    /// Every mistake with its line, and a last line with their number.
    pub fn render(&self, ink: Ink) -> String {
        let mut text = String::new();
        for mistake in &self.list {
            mistake.render(ink, &mut text);
            text.push('\n');
        }
        if self.more > 0 {
            text.push_str(&format!("… and {} more\n\n", self.more));
        }
        match &self.source {
            Some(source) => {
                let plural = if self.len() == 1 { "" } else { "s" };
                text.push_str(&format!("{} mistake{plural} in {source}\n", self.len()));
            }
            None => _ = text.pop(),
        }
        text
    }

    /// The same for programs, as the values of an array `mistakes`.
    pub fn as_json(&self) -> Vec<Value> {
        let mut values: Vec<Value> = self.list.iter().map(Mistake::as_json).collect();
        if self.more > 0 {
            let more = format!("… and {} more", self.more);
            let source = self.source.as_deref().unwrap_or_default();
            values.push(Mistake::about(source, &more, "").as_json());
        }
        values
    }
}

impl fmt::Display for Mistakes {
    /// As [`Mistakes::render`] without colours, and without the last line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(Ink::Plain).trim_end())
    }
}

impl std::error::Error for Mistakes {}

impl Mistake {
    /// A mistake about a whole file, or about something that has no lines.
    pub(super) fn about(source: &str, what: &str, remedy: &str) -> Mistake {
        Mistake { source: source.into(), spot: None, what: clean(what), remedy: clean(remedy) }
    }

    /// The same about variables: each line of the text is the value of one, which has a name, and says what a
    /// key of the file says.
    pub(super) fn in_variables(mut self, lines: &[(&str, &str)]) -> Mistake {
        if let Some(spot) = &mut self.spot {
            if let Some((variable, _)) = lines.get(spot.line - 1) {
                self.source = (*variable).into();
            }
            spot.line = 1;
        }
        for (variable, key) in lines {
            self.remedy = self.remedy.replace(&format!("{key} = "), &format!("{variable}="));
        }
        self
    }

    /// The line, from 1; `None` if it is about the whole.
    pub fn line(&self) -> Option<usize> {
        self.spot.as_ref().map(|spot| spot.line)
    }

    /// The column in characters, from 1; `None` if it is about the whole.
    pub fn column(&self) -> Option<usize> {
        self.spot.as_ref().map(|spot| spot.caret.start + 1)
    }

    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The mistake for programs; what there is not is `null`.
    pub fn as_json(&self) -> Value {
        json!({
            "file": &*self.source,
            "line": self.line(),
            "column": self.column(),
            "text": self.what,
            "remedy": (!self.remedy.is_empty()).then_some(&self.remedy),
        })
    }

    /// `FILE:LINE:COLUMN`, or what it is about as a whole.
    pub fn place(&self) -> String {
        match &self.spot {
            Some(spot) => format!("{}:{}:{}", self.source, spot.line, spot.caret.start + 1),
            None => self.source.to_string(),
        }
    }

    fn render(&self, ink: Ink, text: &mut String) {
        let paint = |code: &str, words: &str| match ink {
            Ink::Plain => words.to_owned(),
            Ink::Coloured => format!("\u{1b}[{code}m{words}\u{1b}[0m"),
        };
        let place = paint("1", &self.place());
        text.push_str(&format!("{place}: {}\n", paint("31", &self.what)));
        let mut gutter = 2;
        if let Some(Spot { line, caret, drawn: Some(drawn) }) = &self.spot {
            gutter = line.to_string().len() + 2;
            let arrow = format!("{}{}", " ".repeat(caret.start), paint("31", &"^".repeat(caret.len())));
            text.push_str(format!("  {line} | {drawn}").trim_end());
            text.push_str(&format!("\n{:gutter$} | {arrow}\n", ""));
        }
        let blank = " ".repeat(gutter);
        for (index, line) in self.remedy.lines().enumerate() {
            let sign = if index == 0 { '=' } else { ' ' };
            let line = paint("36", line);
            text.push_str(format!("{blank} {sign} {line}").trim_end());
            text.push('\n');
        }
    }
}

impl fmt::Display for Mistake {
    /// On one line, as a log wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = self.remedy.lines().collect::<Vec<_>>().join(" ");
        write!(f, "{}: {}; {remedy}", self.place(), self.what)
    }
}

/// Where the program runs, as far as advice depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// Anywhere.
    #[default]
    Plain,
    /// In a unit of systemd, which hands over secrets as credentials.
    Unit,
}

/// What was found while a text was read.
pub(super) struct Findings<'a> {
    source: &'a str,
    pub(super) surroundings: Surroundings,
    text: &'a str,
    /// Where its lines begin.
    starts: Vec<usize>,
    mistakes: Vec<Draft>,
    warnings: Vec<Draft>,
}

/// What is wrong, and what to do.
struct Draft {
    at: Option<Span>,
    what: String,
    remedy: String,
    grade: Grade,
}

/// What a mistake rests on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    /// Part of the text cannot be read.
    Unreadable,
    /// What stands here is wrong.
    Here,
    /// Something else is missing. Not said beside [`Grade::Unreadable`]: what is missing may be there.
    Missing,
}

impl<'a> Findings<'a> {
    /// Nothing yet, in `text`, which is called `source`.
    pub(super) fn new(source: &'a str, text: &'a str) -> Findings<'a> {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Findings {
            source,
            surroundings: Surroundings::Plain,
            text,
            starts: std::iter::once(0).chain(breaks.filter(|at| *at < text.len())).collect(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Something is wrong at this place, or with the whole.
    pub(super) fn note(
        &mut self,
        grade: Grade,
        at: Option<Span>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.mistakes.push(Draft { at, what: what.into(), remedy: remedy.into(), grade });
    }

    /// What stands at this place is wrong.
    pub(super) fn mistake(&mut self, at: Span, what: impl Into<String>, remedy: impl Into<String>) {
        self.note(Grade::Here, Some(at), what, remedy);
    }

    /// As [`Findings::mistake`], for a value that cannot be read.
    pub(super) fn reject<T>(
        &mut self,
        at: Span,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Option<T> {
        self.mistake(at, what, remedy);
        None
    }

    /// Something is worth knowing at this place.
    pub(super) fn warn(&mut self, at: Span, what: impl Into<String>, remedy: impl Into<String>) {
        let (what, remedy) = (what.into(), remedy.into());
        self.warnings.push(Draft { at: Some(at), what, remedy, grade: Grade::Here });
    }

    /// How the file says where a secret is that does not stand in it.
    pub(super) fn secret_elsewhere(&self, name: &str) -> String {
        match self.surroundings {
            Surroundings::Plain => format!("{name} = {{ file = \"/etc/stayput/{name}\" }}"),
            Surroundings::Unit => format!("{name} = {{ credential = \"{name}\" }}"),
        }
    }

    /// The line of a place, from 1.
    pub(super) fn line_of(&self, at: &Span) -> usize {
        self.starts.partition_point(|start| *start <= at.start).max(1)
    }

    /// The warnings if nothing is wrong, else everything that is wrong.
    pub(super) fn judge(mut self) -> Result<Vec<Mistake>, Mistakes> {
        if self.mistakes.iter().any(|draft| draft.grade == Grade::Unreadable) {
            self.mistakes.retain(|draft| draft.grade != Grade::Missing);
        }
        let is_good = self.mistakes.is_empty();
        let mut drafts = std::mem::take(if is_good { &mut self.warnings } else { &mut self.mistakes });
        let place = |draft: &Draft| draft.at.as_ref().map_or(usize::MAX, |at| at.start);
        drafts.sort_by_key(place);
        drafts.dedup_by(|b, a| place(a) == place(b) && a.what == b.what);
        let more = drafts.len().saturating_sub(MOST_KEPT);
        let (secret, mask) = (conceal::secret_lines(self.text), conceal::mask(self.text));
        let words = |words: &str| mask.apply_to_text(&clean(words));
        let kept = drafts.into_iter().take(MOST_KEPT).map(|draft| Mistake {
            source: self.source.into(),
            spot: draft.at.map(|at| self.spot(at, &secret)),
            what: words(&draft.what),
            remedy: words(&draft.remedy),
        });
        let list = kept.collect();
        if is_good {
            return Ok(list);
        }
        Err(Mistakes { more, ..Mistakes::gathered(self.source, list) })
    }

    fn spot(&self, at: Span, secret: &[bool]) -> Spot {
        let number = self.line_of(&at);
        let start = self.starts.get(number - 1).copied().unwrap_or_default();
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let column = |place| line.char_indices().take_while(|(index, _)| start + index < place).count();
        let from = column(at.start);
        let is_shown = secret.get(number - 1) == Some(&false) && line.chars().count() <= WIDTH;
        let drawn = is_shown.then(|| clean(&line.replace('\t', " ")));
        Spot { line: number, caret: from..column(at.end).max(from + 1), drawn }
    }
}

/// A longer line is not drawn.
const WIDTH: usize = 110;

/// Whether a character would change how the text around it is shown.
fn disturbs(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Words for a terminal: nothing that disturbs it, and nothing that looks like a secret.
fn clean(words: &str) -> String {
    let words: String =
        words.chars().map(|char| if char != '\n' && disturbs(char) { '\u{fffd}' } else { char }).collect();
    conceal::masked(&words)
}

/// A text of the file in quotation marks, cut to what fits into a sentence.
pub(super) fn quote(text: &str) -> String {
    const MOST: usize = 70;
    if text.chars().count() > MOST {
        let head: String = text.chars().take(MOST).collect();
        format!("\"{head}…\"")
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, at: Span) -> String {
        let mut findings = Findings::new("x.toml", text);
        findings.mistake(at, "wrong", "do\nthis");
        findings.judge().unwrap_err().render(Ink::Plain)
    }

    #[test]
    fn a_mistake_shows_its_place_its_line_and_the_remedy() {
        assert_eq!(
            rendered("a = 1\n\tbcd = 2\r\n", 7..10),
            "x.toml:2:2: wrong\n  2 |  bcd = 2\n    |  ^^^\n    = do\n      this\n\n1 mistake in x.toml\n"
        );
    }

    #[test]
    fn a_program_is_told_the_place_the_words_and_the_remedy_of_each_mistake() {
        let text = "a = 1\n\tbcd = \"Abcdefghij0123456789-_bcdefghij012345678\"\n";
        let mut findings = Findings::new("x.toml", text);
        findings.mistake(7..10, "wrong", "do\nthis");
        findings.note(Grade::Missing, None, "too little: Abcdefghij0123456789-_bcdefghij012345678", "");
        let told = findings.judge().unwrap_err().as_json();
        let expected = [
            json!({"file": "x.toml", "line": 2, "column": 2, "text": "wrong", "remedy": "do\nthis"}),
            json!({"file": "x.toml", "line": null, "column": null, "text": "too little: ********", "remedy": null}),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_program_is_told_how_many_mistakes_are_left_out() {
        let text = "a".repeat(150);
        let mut findings = Findings::new("x.toml", &text);
        for at in 0..150 {
            findings.mistake(at..at + 1, "wrong", "do this");
        }
        let told = findings.judge().unwrap_err().as_json();
        assert_eq!(told.len(), 101);
        assert_eq!((&told[100]["text"], &told[100]["remedy"]), (&json!("… and 50 more"), &json!(null)));
    }

    #[test]
    fn dangerous_characters_are_replaced_and_do_not_move_the_caret() {
        let text = "a\t= \u{1b}[31m x";
        let shown = rendered(text, text.len() - 1..text.len());
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1..3], ["  1 | a = \u{fffd}[31m x", "    |           ^"]);
    }

    #[test]
    fn a_long_line_is_named_and_not_drawn() {
        let text = format!("a = 1\n{}X", "a".repeat(WIDTH));
        let shown = rendered(&text, text.len() - 1..text.len());
        assert_eq!(shown.lines().next().unwrap(), "x.toml:2:111: wrong");
        assert!(!shown.contains("aaa"), "{shown}");
    }

    #[test]
    fn a_secret_is_never_drawn_wherever_the_caret_is() {
        let text = "a = 1\nb = 1, token = \"hunter2\", c = 2";
        for start in 0..text.len() {
            for end in start..text.len() {
                let shown = rendered(text, start..end);
                assert!(!shown.contains("hunter2") && shown.contains("a = 1") == (start < 6), "{shown}");
            }
        }
    }

    #[test]
    fn places_at_the_very_end_are_on_the_last_line() {
        for text in ["", "a", "a\n", "a\r\n"] {
            assert!(rendered(text, text.len()..text.len()).starts_with("x.toml:1:"));
        }
    }
}
