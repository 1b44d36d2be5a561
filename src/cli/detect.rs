//! `stayput detect`: asks every configured source, and shows what each says, what is believed and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::cli::exit::Exit;
use crate::cli::loading;
use crate::cli::options::Everywhere;
use crate::cli::show::{self, Form, Ink, Tone};
use crate::config::Config;
use crate::daemon::status::FORMAT;
use crate::daemon::{Secrets, accounts};
use crate::detect::{Detector, Source, events};
#[cfg(feature = "sandbox")]
use crate::engine::Mode;
use crate::engine::names::{Family, Line};
use crate::engine::notice::count;
use crate::engine::ranges;
use crate::engine::settings::Tunnel;
use crate::engine::watch::{self, LookError};

/// Options of `detect`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Options {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Against the echoes of a simulated Cloudflare inside this process
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    sandbox: bool,
}

/// What one source said, as programs read it, too. The form is fixed.
#[derive(Debug, Serialize)]
struct Said {
    source: Box<str>,
    operator: Box<str>,
    /// An address that may be published.
    says: Option<IpAddr>,
    #[serde(serialize_with = "as_words")]
    error: Option<LookError>,
    ms: u64,
}

/// What was found out about one family.
#[derive(Debug)]
struct Finding {
    family: Family,
    /// How many operators must agree.
    needed: usize,
    said: Vec<Said>,
    /// Whether the kernel says that the host does not have the family.
    missing: bool,
}

/// The findings as programs read them. The form is fixed.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    /// `None`: the family is off.
    families: BTreeMap<&'static str, Option<Found<'a>>>,
}

#[derive(Serialize)]
struct Found<'a> {
    believed: Option<IpAddr>,
    why: String,
    sources: &'a [Said],
}

/// Asks, and prints what came of it.
///
/// # Errors
/// The configuration is wrong, or nobody takes the result.
pub async fn run(everywhere: &Everywhere, options: Options) -> Result<Exit, Exit> {
    let form = Form::asked(options.json);
    #[cfg(feature = "sandbox")]
    if options.sandbox {
        let (job, _server) = super::sandbox::job(everywhere, Mode::Plan, form, &[])?;
        return ask(everywhere, options, &job.config).await;
    }
    let config = if loading::is_nowhere(everywhere) {
        show::aside("no configuration: asking the built-in sources\n");
        loading::built_in("[[record]]\nname = \"home.example.com\"\n")?
    } else {
        loading::load(everywhere, form)?
    };
    // A program that is asked may print a secret: those are known first that cost nothing to read.
    let at_hand = config.accounts.iter().filter(|(_, access)| access.login.origin().is_at_hand());
    let at_hand = at_hand.map(|(name, access)| (name.clone(), access.clone())).collect();
    accounts::read(at_hand, Secrets::Real).await;
    ask(everywhere, options, &config).await
}

async fn ask(everywhere: &Everywhere, options: Options, config: &Config) -> Result<Exit, Exit> {
    let findings = ask_all(config).await;
    if options.json {
        show::json(&document(&findings))?;
    } else {
        show::result(&text(&findings, everywhere.ink()))?;
    }
    Ok(exit(&findings))
}

async fn ask_all(config: &Config) -> Vec<Finding> {
    let detector = Arc::new(Detector::new(&config.authorities));
    let ask = |line: Line, source: &Source| {
        let (detector, source) = (Arc::clone(&detector), source.clone());
        tokio::spawn(async move {
            let started = Instant::now();
            let answer = detector.ask(&source, line.family).await;
            (source, answer, started.elapsed())
        })
    };
    let ask_line = |(line, sources): (&Line, &Vec<Source>)| {
        (*line, sources.iter().map(|source| ask(*line, source)).collect::<Vec<_>>())
    };
    let asking: Vec<_> = config.sources.iter().map(ask_line).collect();
    let missing = events::missing();
    let mut findings = Vec::new();
    for (line, asking) in asking {
        let mut said = Vec::new();
        for answer in asking {
            said.extend(
                answer.await.map(|(source, answer, took)| Said::of(&source, judged(answer, config), took)),
            );
        }
        let sources = config.settings.sources.get(&line).map_or(&[][..], Vec::as_slice);
        let needed = watch::needed(sources, config.settings.agree);
        findings.push(Finding { family: line.family, needed, said, missing: missing.contains(&line.family) });
    }
    findings
}

fn judged(answer: Result<IpAddr, LookError>, config: &Config) -> Result<IpAddr, LookError> {
    let address = match answer {
        Err(LookError::Warp(address)) if config.settings.tunnel == Tunnel::Allow => address,
        answer => answer?,
    };
    match ranges::publishable(address, &config.settings.allow) {
        Ok(()) => Ok(address),
        Err(why) => Err(LookError::NotPublic(address, why)),
    }
}

impl Said {
    fn of(source: &Source, answer: Result<IpAddr, LookError>, took: Duration) -> Said {
        Said {
            source: source.label(),
            operator: source.operator(),
            says: answer.as_ref().ok().copied(),
            error: answer.err(),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn as_words<S: Serializer>(error: &Option<LookError>, to: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(ToString::to_string).serialize(to)
}

impl Finding {
    /// The first address that enough operators say, in the order of the sources.
    fn believed(&self) -> Option<IpAddr> {
        if self.is_tunnelled() {
            return None;
        }
        let mut heard = self.said.iter().filter_map(|said| said.says);
        heard.find(|address| self.operators_of(*address) >= self.needed)
    }

    fn operators_of(&self, address: IpAddr) -> usize {
        let said = self.said.iter().filter(|said| said.says == Some(address));
        said.map(|said| &said.operator).collect::<BTreeSet<_>>().len()
    }

    /// Why that is believed, or why nothing is.
    fn why(&self) -> String {
        let need = count(self.needed, "operator");
        if let Some(address) = self.believed() {
            let say = count(self.operators_of(address), "operator");
            let verb = if self.operators_of(address) == 1 { "says" } else { "say" };
            return format!("{say} {verb} so, {} needed", self.needed);
        }
        if self.is_tunnelled() {
            return "a trace says that the connection goes through a tunnel; tunnel = \"allow\" under [address] publishes its address".into();
        }
        let heard: BTreeSet<IpAddr> = self.said.iter().filter_map(|said| said.says).collect();
        match heard.len() {
            0 if self.is_missing() => format!("this host has no {}", self.family),
            0 => "no source gave an address that can be published".into(),
            1 => format!("{need} must say the same, and too few answered"),
            _ => format!("{need} must say the same, and they disagree"),
        }
    }

    /// A trace says that the address is a tunnel's, which outweighs every agreement.
    fn is_tunnelled(&self) -> bool {
        self.said.iter().any(|said| matches!(said.error, Some(LookError::Warp(_))))
    }

    /// Whether this host does not have the family, so that nothing is wrong with its sources.
    fn is_missing(&self) -> bool {
        let no_route = |said: &Said| said.error == Some(LookError::NoRoute);
        let nobody = self.said.iter().all(|said| said.says.is_none());
        nobody && (self.missing || self.said.iter().all(no_route))
    }
}

fn text(findings: &[Finding], ink: Ink) -> String {
    let mut text = String::new();
    let labels = findings.iter().flat_map(|finding| &finding.said);
    let width = labels.map(|said| said.source.chars().count()).max().unwrap_or(0);
    for finding in findings {
        let _infallible = writeln!(text, "{}", ink.paint(Tone::Strong, finding.family));
        for said in &finding.said {
            let (sign, tone) = match said.says {
                Some(_) => ("ok  ", Tone::Good),
                None if finding.is_missing() => ("--  ", Tone::Faint),
                None => ("FAIL", Tone::Bad),
            };
            let address = said.says.map(|address| address.to_string());
            let words = address.or(said.error.as_ref().map(ToString::to_string)).unwrap_or_default();
            let took = ink.paint(Tone::Faint, format!("({} ms)", said.ms));
            let sign = ink.paint(tone, sign);
            let _infallible = writeln!(text, "  {sign}  {:<width$}  {words}  {took}", said.source);
        }
        let believed = finding.believed().map_or("nothing".into(), |address| address.to_string());
        let believed = ink.paint(Tone::Strong, believed);
        let _infallible = writeln!(text, "  believed: {believed} ({})\n", finding.why());
    }
    if findings.is_empty() {
        text.push_str("both families are off in [address]\n");
    }
    text
}

fn document(findings: &[Finding]) -> Document<'_> {
    let of_family = |family| {
        let finding = findings.iter().find(|finding| finding.family == family)?;
        Some(Found { believed: finding.believed(), why: finding.why(), sources: &finding.said })
    };
    let families = Family::ALL.map(|family| (family.key(), of_family(family)));
    Document { format: FORMAT, families: families.into() }
}

/// A family that this host does not have is no failure, if it has the other.
fn exit(findings: &[Finding]) -> Exit {
    let believed = findings.iter().filter(|finding| finding.believed().is_some()).count();
    let failed = |finding: &&Finding| finding.believed().is_none() && !finding.is_missing();
    match (believed, findings.iter().filter(failed).count()) {
        (0, _) => Exit::Nothing,
        (_, 0) => Exit::Done,
        _ => Exit::Partly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(operator: &str, answer: Result<[u8; 4], LookError>) -> Said {
        let source = Source::Url { label: operator.into(), operator: operator.into(), url: "".into() };
        Said::of(&source, answer.map(IpAddr::from), Duration::from_millis(12))
    }

    fn finding(said: Vec<Said>) -> Finding {
        Finding { family: Family::V4, needed: 2, said, missing: false }
    }

    const HERE: [u8; 4] = [93, 184, 216, 34];
    const THERE: [u8; 4] = [93, 184, 216, 35];

    #[test]
    fn enough_operators_are_believed_and_it_is_said_how_many() {
        let finding = finding(vec![said("a", Ok(THERE)), said("b", Ok(HERE)), said("c", Ok(HERE))]);
        assert_eq!(finding.believed(), Some(HERE.into()));
        assert_eq!(finding.why(), "2 operators say so, 2 needed");
        assert_eq!(exit(&[finding]), Exit::Done);
    }

    #[test]
    fn two_sources_of_one_operator_are_one() {
        let finding = finding(vec![said("a", Ok(HERE)), said("a", Ok(HERE))]);
        assert_eq!(finding.believed(), None);
        assert_eq!(finding.why(), "2 operators must say the same, and too few answered");
        assert_eq!(exit(&[finding]), Exit::Nothing);
    }

    #[test]
    fn the_exit_of_a_tunnel_is_not_believed_whoever_says_it() {
        let warp = Err(LookError::Warp(HERE.into()));
        let finding = finding(vec![said("a", Ok(HERE)), said("b", Ok(HERE)), said("cloudflare", warp)]);
        assert_eq!(finding.believed(), None);
        assert!(finding.why().contains("tunnel = \"allow\""), "{}", finding.why());
    }

    #[test]
    fn a_family_that_is_not_there_fails_nothing() {
        let there = || finding(vec![said("a", Ok(HERE)), said("b", Ok(HERE))]);
        let without_route = finding(vec![said("a", Err(LookError::NoRoute))]);
        let silent = |missing| Finding { missing, ..finding(vec![said("a", Err(LookError::TimedOut))]) };
        assert_eq!(without_route.why(), "this host has no IPv4");
        assert_eq!(silent(true).why(), "this host has no IPv4");
        assert_eq!(exit(&[without_route, there()]), Exit::Done);
        assert_eq!(exit(&[silent(true), there()]), Exit::Done);
        assert_eq!(exit(&[silent(false), there()]), Exit::Partly);
    }

    #[test]
    fn a_program_gets_the_agreed_form_in_its_order() {
        let finding = finding(vec![said("cloudflare", Ok(HERE)), said("ipify", Err(LookError::TimedOut))]);
        let expected = concat!(
            r#"{"format":1,"families":{"ipv4":{"believed":null,"#,
            r#""why":"2 operators must say the same, and too few answered","sources":["#,
            r#"{"source":"cloudflare","operator":"cloudflare","says":"93.184.216.34","error":null,"ms":12},"#,
            r#"{"source":"ipify","operator":"ipify","says":null,"error":"no answer in time","ms":12}"#,
            r#"]},"ipv6":null}}"#,
        );
        assert_eq!(serde_json::to_string(&document(&[finding])).unwrap(), expected);
    }

    #[test]
    fn every_answer_is_shown_with_its_reason() {
        let finding = finding(vec![said("cloudflare", Ok(HERE)), said("ipify", Err(LookError::TimedOut))]);
        let expected = "\
IPv4
  ok    cloudflare  93.184.216.34  (12 ms)
  FAIL  ipify       no answer in time  (12 ms)
  believed: nothing (2 operators must say the same, and too few answered)

";
        assert_eq!(text(&[finding], Ink::Plain), expected);
    }
}
