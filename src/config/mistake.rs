//! What is wrong with a configuration, and how a person is shown it: the place, the line, the reason, the remedy.
//!
//! Deliberately unknown: TOML, keys, rules. Whoever finds something says where it is and what to write instead.

use std::fmt;
use std::ops::Range;

use serde_json::{Value, json};

use super::conceal;
use crate::mask::Mask;

/// One thing that is wrong, or (among the warnings) worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    source: Box<str>,
    spot: Option<Spot>,
    what: String,
    remedy: String,
}

/// A place in a text, ready to be shown: secrets are already hidden in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    shown: String,
    /// The columns of `shown` that are pointed at, from 0.
    caret: Range<usize>,
}

/// Everything that is wrong with one configuration: at least one mistake, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    source: Box<str>,
    list: Vec<Mistake>,
    /// How many there are beyond those in `list`.
    more: usize,
    tally: Tally,
}

/// Whether the number of mistakes is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tally {
    Said,
    /// It is one that kept everything else from being read.
    Unsaid,
}

/// So many are kept: nobody reads on, and a large file of nonsense must not cost more than it is worth.
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
        Mistakes {
            source: source.into(),
            list: vec![Mistake::about(source, what, remedy)],
            more: 0,
            tally: Tally::Unsaid,
        }
    }

    /// Mistakes of several places under one name. The list is not to be empty.
    pub(super) fn gathered(source: &str, list: Vec<Mistake>) -> Mistakes {
        Mistakes { source: source.into(), list, more: 0, tally: Tally::Said }
    }

    /// The kept mistakes.
    pub(super) fn into_list(self) -> Vec<Mistake> {
        self.list
    }

    /// How many there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one mistake")]
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// The first hundred of them, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    /// Every mistake with its line, and a last line with their number.
    #[must_use]
    pub fn render(&self, ink: Ink) -> String {
        let mut text = String::new();
        for mistake in &self.list {
            mistake.render(ink, &mut text);
            text.push('\n');
        }
        if self.more > 0 {
            text.push_str(&format!("… and {} more\n\n", self.more));
        }
        if self.tally == Tally::Unsaid {
            text.pop();
            return text;
        }
        let plural = if self.len() == 1 { "" } else { "s" };
        text.push_str(&format!("{} mistake{plural} in {}\n", self.len(), self.source));
        text
    }

    /// The same for programs, as the values of an array `mistakes`.
    #[must_use]
    pub fn as_json(&self) -> Vec<Value> {
        let mut values: Vec<Value> = self.list.iter().map(Mistake::as_json).collect();
        if self.more > 0 {
            let more = format!("… and {} more", self.more);
            values.push(Mistake::about(&self.source, &more, "").as_json());
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
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.spot.as_ref().map(|spot| spot.line)
    }

    /// The column in characters, from 1; `None` if it is about the whole.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.spot.as_ref().map(|spot| spot.column)
    }

    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The mistake for programs; what there is not is `null`.
    #[must_use]
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
    #[must_use]
    pub fn place(&self) -> String {
        match &self.spot {
            Some(spot) => format!("{}:{}:{}", self.source, spot.line, spot.column),
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
        if let Some(spot) = &self.spot {
            let number = spot.line.to_string();
            gutter = number.len() + 2;
            let blank = " ".repeat(gutter);
            let before = " ".repeat(spot.caret.start);
            let caret = "^".repeat(spot.caret.len());
            text.push_str(&format!("  {number} | {}\n", spot.shown).replace("| \n", "|\n"));
            text.push_str(&format!("{blank} | {before}{}\n", paint("31", &caret)));
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
    lines: Lines<'a>,
    mistakes: Vec<Draft>,
    warnings: Vec<Draft>,
    hidden: Vec<Range<usize>>,
}

/// What is wrong, and what to do.
struct Draft {
    at: Option<Range<usize>>,
    what: String,
    remedy: String,
    grade: Grade,
}

/// What a mistake rests on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// The text cannot be parsed here.
    Syntax,
    /// What stands here is wrong.
    Here,
    /// Something else is missing, which may only be unreadable.
    Elsewhere,
}

impl<'a> Findings<'a> {
    /// Nothing yet, in `text`, which is called `source`.
    pub(super) fn new(source: &'a str, text: &'a str) -> Findings<'a> {
        Findings {
            source,
            surroundings: Surroundings::Plain,
            lines: Lines::of(text),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            hidden: Vec::new(),
        }
    }

    fn note(&mut self, grade: Grade, at: Option<Range<usize>>, words: (String, String)) {
        let (what, remedy) = words;
        self.mistakes.push(Draft { at, what, remedy, grade });
    }

    /// Something is wrong at this place.
    pub(super) fn mistake(&mut self, at: Range<usize>, what: String, remedy: String) {
        self.note(Grade::Here, Some(at), (what, remedy));
    }

    /// Something is wrong because something else is missing. Not said while part of the text is unreadable,
    /// because what is missing may be there.
    pub(super) fn missing(&mut self, at: Range<usize>, what: String, remedy: String) {
        self.note(Grade::Elsewhere, Some(at), (what, remedy));
    }

    /// The whole lacks something. Not said while part of the text is unreadable.
    pub(super) fn lacking(&mut self, what: String, remedy: String) {
        self.note(Grade::Elsewhere, None, (what, remedy));
    }

    /// The text cannot be parsed at this place, so that what is missing may be there.
    pub(super) fn unreadable(&mut self, at: Option<Range<usize>>, words: (String, String)) {
        self.note(Grade::Syntax, at, words);
    }

    /// Something is worth knowing at this place.
    pub(super) fn warn(&mut self, at: Range<usize>, what: String, remedy: String) {
        self.warnings.push(Draft { at: Some(at), what, remedy, grade: Grade::Here });
    }

    /// This part of the text may be a secret, and is never shown.
    pub(super) fn hide(&mut self, part: Range<usize>) {
        self.hidden.push(part);
    }

    /// How the file says where a secret is that does not stand in it.
    pub(super) fn secret_elsewhere(&self, name: &str) -> String {
        match self.surroundings {
            Surroundings::Plain => format!("{name} = {{ file = \"/etc/stayput/{name}\" }}"),
            Surroundings::Unit => format!("{name} = {{ credential = \"{name}\" }}"),
        }
    }

    /// The line of a place, from 1.
    pub(super) fn line_of(&self, at: &Range<usize>) -> usize {
        self.lines.line_at(at.start).0 + 1
    }

    /// The warnings if nothing is wrong, else everything that is wrong.
    pub(super) fn judge(mut self) -> Result<Vec<Mistake>, Mistakes> {
        if self.mistakes.iter().any(|draft| draft.grade == Grade::Syntax) {
            self.mistakes.retain(|draft| draft.grade != Grade::Elsewhere);
        }
        let shown = Shown {
            source: self.source,
            hidden: conceal::merged(self.lines.text, self.hidden),
            mask: conceal::mask(self.lines.text),
            lines: self.lines,
        };
        if self.mistakes.is_empty() {
            return Ok(shown.first(self.warnings).0);
        }
        let (list, more) = shown.first(self.mistakes);
        Err(Mistakes { source: self.source.into(), list, more, tally: Tally::Said })
    }
}

/// A text as it may be shown.
struct Shown<'a> {
    source: &'a str,
    lines: Lines<'a>,
    hidden: Vec<Range<usize>>,
    mask: Mask,
}

impl Shown<'_> {
    /// The first of them in the order of their places, and the number of the others.
    fn first(&self, mut drafts: Vec<Draft>) -> (Vec<Mistake>, usize) {
        let place = |draft: &Draft| draft.at.as_ref().map_or(usize::MAX, |at| at.start);
        drafts.sort_by_key(place);
        drafts.dedup_by(|b, a| place(a) == place(b) && a.what == b.what);
        let more = drafts.len().saturating_sub(MOST_KEPT);
        let list = drafts.into_iter().take(MOST_KEPT).map(|draft| Mistake {
            source: self.source.into(),
            spot: draft.at.map(|at| self.spot(at)),
            what: self.mask.apply_to_text(&clean(&draft.what)),
            remedy: self.mask.apply_to_text(&clean(&draft.remedy)),
        });
        (list.collect(), more)
    }

    fn spot(&self, at: Range<usize>) -> Spot {
        let (index, line) = self.lines.line_at(at.start);
        let text = self.lines.text.get(line.clone()).unwrap_or_default();
        let before = at.start.clamp(line.start, line.end) - line.start;
        let column = text.char_indices().take_while(|(place, _)| *place < before).count() + 1;
        let (shown, caret) = self.drawn(line, at);
        Spot { line: index + 1, column, shown, caret }
    }

    /// The line as it is shown, and the columns under which the caret goes.
    fn drawn(&self, line: Range<usize>, at: Range<usize>) -> (String, Range<usize>) {
        const MASK: &str = "********";
        let part = near(self.lines.text, &line, at.start);
        let text = self.lines.text.get(part.clone()).unwrap_or_default();
        let mut cells: Vec<(char, usize)> = Vec::new();
        cells.extend((part.start > line.start).then_some(('…', 1)));
        let (mut start, mut end) = (None, None);
        let mut masked_until = 0;
        for (offset, char) in text.char_indices() {
            let place = part.start + offset;
            let after = self.hidden.partition_point(|part| part.end <= place);
            let secret = self.hidden.get(after).filter(|part| part.contains(&place));
            let begins = place >= masked_until;
            if begins || secret.is_none() {
                start = start.or((place >= at.start).then_some(cells.len()));
                end = end.or((place >= at.end).then_some(cells.len()));
            }
            match secret {
                Some(part) if begins => {
                    // What is pointed at inside of the mask is pointed at as the whole mask.
                    start = start.or((part.contains(&at.start)).then_some(cells.len()));
                    cells.extend(MASK.chars().map(|star| (star, 1)));
                    masked_until = part.end;
                }
                Some(_) => {}
                None => cells.extend(cell(char)),
            }
        }
        let start = start.unwrap_or(cells.len());
        let end = end.unwrap_or(cells.len()).max(start + 1);
        cells.extend((part.end < line.end).then_some(('…', 1)));
        window(&cells, start..end)
    }
}

/// The part of a line around a place that is more than can be shown, and not much more.
fn near(text: &str, line: &Range<usize>, at: usize) -> Range<usize> {
    const REACH: usize = 1_000;
    let mut start = at.saturating_sub(REACH).clamp(line.start, line.end);
    let mut end = at.saturating_add(REACH).clamp(start, line.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// At most this many columns of a line are shown.
const WIDTH: usize = 110;

/// The part of the cells around the caret that fits, with `…` where something was cut.
fn window(cells: &[(char, usize)], caret: Range<usize>) -> (String, Range<usize>) {
    let from =
        if cells.len() <= WIDTH { 0 } else { caret.start.saturating_sub(WIDTH / 3).min(cells.len() - WIDTH) };
    let to = cells.len().min(from + WIDTH);
    let mut shown = String::new();
    let mut column = 0;
    if from > 0 {
        shown.push('…');
        column = 1;
    }
    let (mut start, mut end) = (None, None);
    for (index, (char, width)) in cells.iter().enumerate().take(to).skip(from) {
        if index == caret.start {
            start = Some(column);
        }
        if index == caret.end {
            end = Some(column);
        }
        shown.push(*char);
        column += width;
    }
    if to < cells.len() {
        shown.push('…');
    }
    let start = start.unwrap_or(column);
    let end = end.unwrap_or(column).max(start + 1);
    (shown.trim_end().to_owned(), start..end)
}

/// A character as a terminal shows it, with its width in columns.
fn cell(char: char) -> Vec<(char, usize)> {
    match char {
        '\t' => vec![(' ', 1); 4],
        _ if disturbs(char) => vec![('\u{fffd}', 1)],
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}' => vec![(char, 2)],
        _ => vec![(char, 1)],
    }
}

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

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(breaks.filter(|at| *at < text.len()));
        Lines { text, starts: starts.collect() }
    }

    /// The line that holds this byte, from 0, and where it is, without the line break.
    fn line_at(&self, byte: usize) -> (usize, Range<usize>) {
        let index = self.starts.partition_point(|start| *start <= byte).saturating_sub(1);
        let start = self.starts.get(index).copied().unwrap_or(0);
        let line = self.text.get(start..).unwrap_or_default();
        let line = line.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        (index, start..start + line.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, at: Range<usize>) -> String {
        let mut findings = Findings::new("x.toml", text);
        findings.mistake(at, "wrong".into(), "do\nthis".into());
        findings.judge().unwrap_err().render(Ink::Plain)
    }

    #[test]
    fn a_mistake_shows_its_place_its_line_and_the_remedy() {
        assert_eq!(
            rendered("a = 1\n\tbcd = 2\r\n", 7..10),
            "x.toml:2:2: wrong\n  2 |     bcd = 2\n    |     ^^^\n    = do\n      this\n\n1 mistake in x.toml\n"
        );
    }

    #[test]
    fn a_program_is_told_the_place_the_words_and_the_remedy_of_each_mistake() {
        let text = "a = 1\n\tbcd = \"Abcdefghij0123456789-_bcdefghij012345678\"\n";
        let mut findings = Findings::new("x.toml", text);
        findings.mistake(7..10, "wrong".into(), "do\nthis".into());
        findings.lacking("too little: Abcdefghij0123456789-_bcdefghij012345678".into(), String::new());
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
            findings.mistake(at..at + 1, "wrong".into(), "do this".into());
        }
        let told = findings.judge().unwrap_err().as_json();
        assert_eq!(told.len(), 101);
        assert_eq!((&told[100]["text"], &told[100]["remedy"]), (&json!("… and 50 more"), &json!(null)));
    }

    #[test]
    fn wide_and_dangerous_characters_do_not_move_the_caret() {
        let text = "名前 = \u{1b}[31m x";
        let shown = rendered(text, text.len() - 1..text.len());
        let mut lines = shown.lines().skip(1);
        assert_eq!(lines.next().unwrap(), "  1 | 名前 = \u{fffd}[31m x");
        // Two characters are two columns wide.
        assert_eq!(lines.next().unwrap(), "    |              ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("{}X{}", "a".repeat(5_000), "b".repeat(5_000));
        let shown = rendered(&text, 5_000..5_001);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].chars().count() < 130, "{}", lines[1]);
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().nth(caret), Some('X'));
    }

    #[test]
    fn a_secret_is_never_drawn_wherever_the_caret_is() {
        let text = "a = 1, token = \"hunter2\", b = 2";
        for start in 0..text.len() {
            for end in start..text.len() {
                let shown = rendered(text, start..end);
                assert!(!shown.contains("hunter2"), "{shown}");
                assert!(shown.contains("token = "), "{shown}");
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
