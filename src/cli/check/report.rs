//! The findings of a check, as lines for people or as JSON for programs, and the exit code that they make.
//!
//! Deliberately unknown: what is checked.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::show::{self, Form, Ink, Tone};
use crate::daemon::status::FORMAT;

/// What was found, in its order.
pub struct Report {
    form: Form,
    ink: Ink,
    steps: Vec<Step>,
    /// The number of `steps` that are printed already.
    printed: usize,
    exit: Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Warn,
    /// It does not work so; the exit code that says it.
    Fail(Exit),
}

#[derive(Debug, Serialize)]
pub struct Step {
    /// What was looked at.
    pub step: &'static str,
    /// Which of them.
    pub subject: String,
    pub state: &'static str,
    /// What was found, with its subject.
    pub text: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// The findings as programs read them. The form is fixed.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    steps: &'a [Step],
}

impl Report {
    pub fn new(form: Form, ink: Ink) -> Report {
        Report { form, ink, steps: Vec::new(), printed: 0, exit: Exit::Done }
    }

    /// Adds a finding on a step's subject: what, and on the lines below what to do about it.
    pub fn line(&mut self, mark: Mark, (step, subject): (&'static str, &str), words: &str) {
        let (text, remedy) = match words.split_once('\n') {
            Some((text, remedy)) if !remedy.is_empty() => (text, Some(remedy.to_owned())),
            _ => (words.trim_end(), None),
        };
        let state = match mark {
            Mark::Ok => "ok",
            Mark::Warn => "warn",
            Mark::Fail(exit) => {
                self.exit = self.exit.or(exit);
                "fail"
            }
        };
        self.steps.push(Step { step, subject: subject.to_owned(), state, text: text.to_owned(), remedy });
    }

    /// Shows what was found so far: the rest may take a while. JSON is one document, and waits.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn print(&mut self) -> Result<(), Exit> {
        if self.form == Form::Json {
            return Ok(());
        }
        let text: String = self.steps[self.printed..].iter().map(|step| step.shown(self.ink)).collect();
        self.printed = self.steps.len();
        show::result(&text)
    }

    /// Shows the rest, and has the exit.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn end(mut self, exit: Exit) -> Result<Exit, Exit> {
        match self.form {
            Form::Text => self.print()?,
            Form::Json => show::json(&Document { format: FORMAT, steps: &self.steps })?,
        }
        Ok(self.exit(exit))
    }

    /// The exit of the worst finding, or `exit` if that is worse.
    pub fn exit(&self, exit: Exit) -> Exit {
        self.exit.or(exit)
    }

    #[cfg(test)]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Step {
    /// The lines for a person.
    pub fn shown(&self, ink: Ink) -> String {
        let (sign, tone) = match self.state {
            "ok" => ("ok  ", Tone::Good),
            "warn" => ("warn", Tone::Notable),
            _ => ("FAIL", Tone::Bad),
        };
        let mut text = format!("{}  {:<13}  {}\n", ink.paint(tone, sign), self.step, self.text);
        for line in self.remedy.iter().flat_map(|remedy| remedy.lines()) {
            let _infallible = writeln!(text, "{:21}{line}", "");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_was_found() {
        let mut report = Report::new(Form::Text, Ink::Plain);
        report.line(Mark::Warn, ("zone", "example.com"), "one\ntwo");
        assert_eq!(
            report.steps()[0].shown(Ink::Plain),
            "warn  zone           one\n                     two\n"
        );
        let json = serde_json::to_string(&Document { format: FORMAT, steps: report.steps() }).unwrap();
        let expected = r#"{"format":1,"steps":[{"step":"zone","subject":"example.com","state":"warn","text":"one","remedy":"two"}]}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn the_worst_finding_makes_the_exit() {
        let exit = |marks: &[Mark], exit| {
            let mut report = Report::new(Form::Text, Ink::Plain);
            marks.iter().for_each(|mark| report.line(*mark, ("clock", ""), "it is wrong"));
            report.exit(exit)
        };
        assert_eq!(exit(&[Mark::Ok, Mark::Warn], Exit::Done), Exit::Done, "a warning is 0");
        assert_eq!(exit(&[Mark::Fail(Exit::Partly)], Exit::Done), Exit::Partly);
        assert_eq!(exit(&[Mark::Fail(Exit::Partly)], Exit::Nothing), Exit::Nothing);
        assert_eq!(
            exit(&[Mark::Fail(Exit::Refused), Mark::Fail(Exit::Partly)], Exit::Nothing),
            Exit::Refused
        );
    }
}
