//! The configuration from outside: files, and what people are told about them.
//!
//! `STAYPUT_BLESS=1 cargo test --test configuration` writes the expected texts and the reference anew; whoever
//! does that reads the difference.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on stops, and says what it saw"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value as Json;
use stayput::cloudflare::credential::Login;
use stayput::config::keys::{self, Key, Kind, Place, Preset};
use stayput::config::{
    Config, Environment, Ink, Location, Mistakes, SCHEMA, from_environment, from_toml, read_file, unquoted,
};
use stayput::detect::Source;
use stayput::engine::names::{Family, Line, Name, Ttl};
use stayput::engine::settings::{AccountName, Beside, OnExit, Tunnel, ZoneHint};
use stayput::secret::Origin;
use toml::de::{DeTable, DeValue};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn toml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    files
}

fn parse(text: &str) -> Result<Config, Mistakes> {
    from_toml(text, Path::new("x.toml"))
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The file's text and what `from_toml` says of it under its bare name.
fn said_of(path: &Path) -> (String, Result<Config, Mistakes>) {
    let text = read_file(path).unwrap();
    let name = path.file_name().unwrap();
    let said = from_toml(&text, Path::new(name));
    (text, said)
}

/// Compares with the file, or writes it when that is asked for.
fn holds(path: &Path, actual: &str) -> bool {
    if std::env::var_os("STAYPUT_BLESS").is_some() {
        fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != actual {
        println!("--- {} is not\n{actual}", path.display());
    }
    expected == actual
}

#[test]
fn every_bad_file_is_answered_as_expected() {
    let files = toml_files("tests/config");
    assert!(files.len() >= 60, "only {} files were seen", files.len());
    let mut wrong = Vec::new();
    for path in &files {
        let mistakes = match said_of(path) {
            (_, Err(mistakes)) => mistakes,
            (_, Ok(_)) => panic!("{} was accepted", path.display()),
        };
        if !holds(&path.with_extension("expected"), &mistakes.render(Ink::Plain)) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_expected_text_belongs_to_a_file() {
    for folder in ["tests/config", "tests/config/good"] {
        for entry in fs::read_dir(repository(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "expected") {
                assert!(path.with_extension("toml").exists(), "{}", path.display());
            }
        }
    }
}

#[test]
fn every_good_file_is_accepted_with_the_expected_warnings() {
    let files = toml_files("tests/config/good");
    assert!(files.len() >= 8, "only {} files were seen", files.len());
    let mut wrong = Vec::new();
    for path in &files {
        let config = match said_of(path) {
            (_, Ok(config)) => config,
            (_, Err(mistakes)) => panic!("{mistakes}"),
        };
        let warnings: String = config.warnings.iter().map(|warning| format!("{warning}\n")).collect();
        if !holds(&path.with_extension("expected"), &warnings) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn no_secret_of_any_file_is_shown() {
    // Every file that has a secret in it spells it with this word.
    let mut seen = 0;
    for path in toml_files("tests/config") {
        let (text, said) = said_of(&path);
        let mistakes = said.unwrap_err();
        seen += usize::from(text.contains("hunter2"));
        for shown in [mistakes.render(Ink::Plain), mistakes.render(Ink::Coloured), format!("{mistakes:?}")] {
            assert!(!shown.contains("hunter2"), "{}\n{shown}", path.display());
        }
    }
    assert!(seen >= 5, "only {seen} files hold a secret");
}

#[test]
fn colours_add_nothing_but_colours() {
    let (_, said) = said_of(&toml_files("tests/config")[0]);
    let mistakes = said.unwrap_err();
    let coloured = mistakes.render(Ink::Coloured);
    assert!(coloured.contains("\u{1b}[31m"));
    let mut plain = String::new();
    for (index, part) in coloured.split("\u{1b}[").enumerate() {
        plain.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(plain, mistakes.render(Ink::Plain));
}

#[test]
fn six_lines_are_a_whole_configuration() {
    let text = fs::read_to_string(repository("config/stayput.toml")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 6);
    let config = good(&text);
    assert_eq!(config.warnings, []);
    assert_eq!(config.settings.records.len(), 2);
    // The same lines are shown to those who have no configuration yet.
    let nothing = Environment::default().locate(None, |_| false).unwrap_err().to_string();
    let shown: Vec<&str> = nothing.lines().map(str::trim).collect();
    for line in lines {
        assert!(shown.contains(&line), "{line}");
    }
}

#[test]
fn the_permission_has_one_name_wherever_it_is_asked_for() {
    let mut asked = 0;
    for file in ["README.md", "config/stayput.toml", "config/reference.toml", "systemd/stayput.toml"] {
        let text = fs::read_to_string(repository(file)).unwrap();
        asked += usize::from(text.contains("Zone · DNS · Edit"));
        for other in ["DNS:Edit", "DNS Edit", "Zone:Read", "Zone Read", "DNS / Edit", "DNS.Edit"] {
            assert!(!text.contains(other), "{file} says {other}");
        }
    }
    assert!(asked >= 3, "only {asked} files ask for it");
}

#[test]
fn defaults_are_those_of_the_handbook() {
    let config = good("[[record]]\nname = \"home.example.com\"\n");
    let settings = &config.settings;
    assert_eq!(settings.owner, None);
    assert_eq!(settings.on_exit, OnExit::Keep);
    assert_eq!(settings.max_deletes, 5);
    assert_eq!(settings.every.as_secs(), 300);
    assert_eq!(settings.agree, 2);
    assert_eq!(settings.allow, []);
    assert_eq!(settings.tunnel, Tunnel::Hold);
    let account = settings.accounts[&AccountName::default()].clone();
    assert_eq!((account.budget.requests, account.budget.per.as_secs()), (300, 300));
    assert_eq!(account.refresh.as_secs(), 6 * 3_600);
    let access = &config.accounts[&AccountName::default()];
    assert_eq!(access.api, "https://api.cloudflare.com/client/v4");
    assert_eq!(access.login, Login::Token(Origin::Env("CLOUDFLARE_API_TOKEN".into())));
    let labels = |family| -> Vec<String> {
        config.sources[&Line::only(family)].iter().map(|source| source.label().to_string()).collect()
    };
    assert_eq!(labels(Family::V4), ["cloudflare", "amazon", "ipify"]);
    assert_eq!(labels(Family::V6), ["cloudflare", "ipify"]);
    assert_eq!(settings.records.len(), 2);
    for wanted in settings.records.values() {
        assert_eq!(wanted.account, AccountName::default());
        assert_eq!(wanted.zone, ZoneHint::Find);
        assert_eq!(wanted.options, Default::default());
        assert_eq!(wanted.options.beside, Beside::Tolerated);
    }
}

#[test]
fn everything_that_is_written_arrives() {
    let (_, said) = said_of(&repository("tests/config/good/everything.toml"));
    let config = said.unwrap();
    let settings = &config.settings;
    assert_eq!(settings.owner.as_deref(), Some("attic.2"));
    assert_eq!(settings.on_exit, OnExit::Delete);
    assert_eq!(settings.max_deletes, 50);
    assert_eq!(settings.every.as_secs(), 90);
    assert_eq!(settings.agree, 1);
    let allowed: Vec<String> = settings.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["192.168.7.0/24", "fd00::/8", "100.64.1.2/32"]);
    assert_eq!(settings.tunnel, Tunnel::Allow);
    let work = AccountName("work".into());
    assert_eq!(config.accounts[&work].login, Login::Token(Origin::Credential("work".into())));
    assert_eq!(config.accounts[&work].api, "http://127.0.0.1:8787/client/v4");
    assert_eq!(settings.accounts[&work].budget.requests, 10);
    assert_eq!(settings.accounts[&work].budget.per.as_secs(), 300);
    let main = AccountName::default();
    assert_eq!(
        config.accounts[&main].login,
        Login::Token(Origin::Command(vec!["pass".into(), "cf token".into()]))
    );
    let kinds: Vec<&Source> = config.sources[&Line::only(Family::V4)].iter().collect();
    assert!(matches!(kinds[0], Source::Url { label, .. } if &**label == "ipify"));
    assert!(
        matches!(kinds[1], Source::Url { operator, url, .. } if &**operator == "example.net" && &**url == "https://ip.example.net/")
    );
    assert_eq!(kinds[2], &Source::command(vec!["my-address".into(), "-4".into(), String::new().into()]));
    assert_eq!(kinds[3], &Source::File("/run/address".into()));
    assert_eq!(kinds[4], &Source::Static("192.168.7.9".parse().unwrap()));
    let record = |name: &str, family: Family| {
        let name = Name::parse(name).unwrap();
        settings.records.get(&stayput::engine::names::Key { name, kind: family.record_type() })
    };
    let wild = record("*.büro.example.com", Family::V4).unwrap();
    assert_eq!(wild.options.proxied, Some(true));
    assert_eq!(wild.options.ttl, Some(Ttl::Auto));
    assert_eq!(wild.options.comment.as_deref(), Some("the house"));
    assert_eq!(wild.options.tags, Some(vec!["alone".into(), "site:home".into()]));
    assert_eq!(wild.options.beside, Beside::Others);
    assert_eq!(wild.zone, ZoneHint::Named(Name::parse("example.com").unwrap()));
    let host = record("_srv.example.org", Family::V6).unwrap();
    assert_eq!(host.account, work);
    assert_eq!(host.options.ttl, Some(Ttl::Seconds(300)));
    assert_eq!(host.options.proxied, Some(false));
    assert_eq!(host.options.comment.as_deref(), Some(""));
    assert_eq!(host.options.tags, Some(Vec::new()));
    assert_eq!(host.options.beside, Beside::Nobody);
    assert!(
        matches!(&host.zone, ZoneHint::Id(id, None) if id.as_str() == "372e67954025e0ba6aaa6d586b9e0b59")
    );
    assert_eq!(record("_srv.example.org", Family::V4), None);
    assert_eq!(config.socket.as_deref(), Some(Path::new("/run/attic/stayput.sock")));
    assert_eq!(settings.records.len(), 3);
}

#[test]
fn the_zone_itself_is_written_as_in_the_dashboard() {
    let config = good(
        "[[record]]\nname = [\"@\", \"home.example.com\"]\nzone = \"example.com\"\n\
         [[record]]\nname = \"@\"\nzone = \"example.org\"\nzone-id = \"372e67954025e0ba6aaa6d586b9e0b59\"\n",
    );
    let names: Vec<String> = config.settings.records.keys().map(ToString::to_string).collect();
    let expected = ["example.com A", "example.com AAAA", "example.org A", "example.org AAAA"];
    for name in expected {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    let twice = "[[record]]\nname = [\"@\", \"example.com\"]\nzone = \"example.com\"\n";
    assert!(parse(twice).unwrap_err().to_string().contains("is the same name as \"@\""));
}

#[test]
fn sources_are_named_without_what_may_be_secret_and_told_apart() {
    let text = "[[record]]\nname = \"a.example.org\"\n[address]\nipv6 = []\nipv4 = [\"https://ip.example.org/v4/?key=hunter2\", \
        \"https://ip.example.org/v4/?key=hunter3\", \"http://127.0.0.1:8080\", { command = [\"curl\", \"-H\", \"hunter4\"] }, \
        { command = [\"curl\", \"hunter5\"] }]\n";
    let config = from_toml(text, Path::new("x.toml")).unwrap();
    let labels: Vec<&str> =
        config.settings.sources[&Line::only(Family::V4)].iter().map(|source| &*source.label).collect();
    let expected = [
        "ip.example.org/v4?***",
        "ip.example.org/v4?*** (2)",
        "127.0.0.1:8080",
        "command curl",
        "command curl (2)",
    ];
    assert_eq!(labels, expected);
    let operators: Vec<&str> =
        config.settings.sources[&Line::only(Family::V4)].iter().map(|source| &*source.operator).collect();
    assert_eq!(operators[3..], expected[3..], "each program speaks for itself");
}

#[test]
fn every_variable_that_a_secret_comes_from_is_known_that_of_an_unused_account_too() {
    let text = "[cloudflare]\ntoken = { env = \"ONE\" }\n[cloudflare.two]\ntoken = { env = \"TWO\" }\n[[record]]\nname = \"a.example.org\"\n";
    let config = from_toml(text, Path::new("x.toml")).unwrap();
    assert_eq!(config.secret_variables, ["ONE", "TWO"].map(String::from).into());
}

#[test]
fn the_engines_sources_are_those_that_are_asked() {
    for path in toml_files("tests/config/good") {
        let config = said_of(&path).1.unwrap();
        assert_eq!(
            config.sources.keys().collect::<Vec<_>>(),
            config.settings.sources.keys().collect::<Vec<_>>()
        );
        for (family, sources) in &config.sources {
            let named = &config.settings.sources[family];
            assert!(!sources.is_empty());
            assert_eq!(sources.len(), named.len());
            for (source, named) in sources.iter().zip(named) {
                assert_eq!(source.label(), named.label);
                assert_eq!(source.operator(), named.operator);
            }
        }
        let accounts: Vec<_> = config.settings.accounts.keys().collect();
        assert_eq!(config.accounts.keys().collect::<Vec<_>>(), accounts);
        for wanted in config.settings.records.values() {
            assert!(config.accounts.contains_key(&wanted.account));
        }
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_make_no_difference() {
    let text = fs::read_to_string(repository("tests/config/good/everything.toml")).unwrap();
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(good(&windows), good(&text));
    let bad = "\u{feff}[[record]]\r\nname = \"nas\"\r\n";
    assert_eq!(parse(bad).unwrap_err(), parse(&bad.replace(['\u{feff}', '\r'], "")).unwrap_err());
}

#[test]
fn very_deep_and_very_many_nonsense_is_answered() {
    let many = "x = 1\n".repeat(20_000);
    let mistakes = parse(&many).unwrap_err();
    assert_eq!(mistakes.len(), 50);
    let many: String = (0..5_000).map(|number| format!("x{number} = 1\n")).collect();
    let said = parse(&many).unwrap_err().to_string();
    assert!(said.ends_with("… and 4901 more\n\n5001 mistakes in x.toml"), "{}", &said[said.len() - 60..]);
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a = ".repeat(100_000)),
        format!("a{} = 1", ".a".repeat(100_000)),
        format!("[a{}]", ".a".repeat(100_000)),
        format!("token = {}", "{".repeat(100_000)),
        "\"".repeat(100_000),
    ] {
        assert!(parse(&text).is_err());
    }
}

/// TOML as JSON, for the schema.
fn as_json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).unwrap().into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().unwrap().into(),
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(list) => list.iter().map(|item| as_json(item.get_ref())).collect(),
        DeValue::Table(table) => table_as_json(table),
    }
}

fn table_as_json(table: &DeTable<'_>) -> Json {
    let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), as_json(value.get_ref())));
    Json::Object(entries.collect())
}

#[test]
fn the_schema_agrees_with_the_reader() {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut seen = 0;
    for path in toml_files("tests/config/good").into_iter().chain(toml_files("config")) {
        let text = fs::read_to_string(&path).unwrap();
        let json = table_as_json(DeTable::parse(&text).unwrap().get_ref());
        let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} files were seen");
    // What a schema can know, it knows.
    for text in [
        "",
        "[[record]]\nnam = \"home.example.com\"",
        "evry = 5\n[[record]]\nname = \"home.example.com\"",
        "[address]\nevery = 5\n[[record]]\nname = \"home.example.com\"",
        "[address]\nagree = 9\n[[record]]\nname = \"home.example.com\"",
        "[address]\nipv4 = [\"stun\"]\n[[record]]\nname = \"home.example.com\"",
        "[address]\nipv4 = [{ url = \"https://a.example\", file = \"/b\" }]\n[[record]]\nname = \"home.example.com\"",
        "[cloudflare]\ntoken = \"x\"\n[[record]]\nname = \"home.example.com\"",
        "[cloudflare.work]\nevery = \"5m\"\n[[record]]\nname = \"home.example.com\"",
        "[[record]]\nname = \"home.example.com\"\ntypes = [\"CNAME\"]",
        "[[record]]\nname = \"home.example.com\"\nproxied = \"yes\"",
    ] {
        let json = table_as_json(DeTable::parse(text).unwrap().get_ref());
        assert!(!validator.is_valid(&json), "{text}");
        assert!(parse(text).is_err(), "{text}");
    }
}

/// `config/reference.toml` as the keys say it.
fn reference() -> String {
    let mut text = String::from(
        "# Every key of stayput.toml.\n\
         #\n\
         # A line #key = value states the default: taking its # away changes nothing.\n\
         # A line #example: key = value has no default; what it does unset is said above it.\n\n",
    );
    for place in [Place::Top, Place::Account, Place::Address, Place::Status, Place::Record] {
        match place {
            Place::Account => text.push_str(
                "[cloudflare]\n# Further accounts are tables [cloudflare.NAME] with the same keys; a record then says\n# account = \"NAME\".\n\n",
            ),
            Place::Address => text.push_str(
                "[address]\n# A source is a word (\"auto\", \"cloudflare\", \"ipify\", \"amazon\"), an https URL, or a table: { url = \"…\" },\n# { command = [\"…\"] }, { file = \"…\" }, { static = \"…\" }. \"auto\" is all of the words that have the family.\n\n",
            ),
            Place::Status => text.push_str("[status]\n"),
            Place::Record => text.push_str("# The names that are kept: at least one [[record]], as many as you like.\n[[record]]\n"),
            _ => {}
        }
        for key in place.keys().filter(|key| !matches!(key.kind, Kind::Table(_) | Kind::Tables(_))) {
            text.push_str(&wrapped(key.doc));
            text.push_str(&match key.preset {
                Preset::Value(value) => format!("#{} = {value}\n\n", key.name),
                Preset::Unset(value) => format!("#example: {} = {value}\n\n", key.name),
                Preset::Required(value) => format!("{} = {value}\n\n", key.name),
            });
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// Lines of a comment; what stands in braces stays together.
fn wrapped(sentence: &str) -> String {
    let mut text = String::new();
    let mut line = String::from("#");
    let mut unit = String::new();
    for word in sentence.split(' ') {
        unit.push(' ');
        unit.push_str(word);
        if unit.matches('{').count() > unit.matches('}').count() {
            continue;
        }
        if line.chars().count() + unit.chars().count() > 100 {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push_str(&std::mem::take(&mut unit));
    }
    text + &line + "\n"
}

#[test]
fn the_reference_states_every_key() {
    let path = repository("config/reference.toml");
    assert!(holds(&path, &reference()));
    let text = fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for key in keys::ALL.iter().filter(|key| !matches!(key.kind, Kind::Table(_) | Kind::Tables(_))) {
        let stated = |text: &str| match key.preset {
            Preset::Value(value) => text.contains(&format!("\n#{} = {value}\n", key.name)),
            Preset::Unset(_) => text.contains(&format!("\n#example: {} = ", key.name)),
            Preset::Required(_) => text.contains(&format!("\n{} = ", key.name)),
        };
        // The keys of small tables stand within the lines of others.
        let nested = matches!(key.place, Place::Budget | Place::Secret | Place::Source)
            && (text.contains(&format!("{} = ", key.name)) || matches!(key.name, "interface" | "stun"));
        assert!(stated(&text) || nested, "{}", key.name);
        seen += 1;
    }
    assert!(seen >= 35, "only {seen} keys were seen");
}

#[test]
fn uncommenting_the_reference_changes_nothing() {
    let text = fs::read_to_string(repository("config/reference.toml")).unwrap();
    let is_default = |line: &&str| {
        line.starts_with('#') && !line.starts_with("# ") && !line.starts_with("#example:") && line.len() > 1
    };
    assert!(text.lines().filter(is_default).count() >= 13);
    let mut stated = String::new();
    for line in text.lines() {
        stated.push_str(if is_default(&line) { &line[1..] } else { line });
        stated.push('\n');
    }
    let config = good(&stated);
    assert_eq!(config, good(&text));
    assert_eq!(config, good("[[record]]\nname = \"home.example.com\"\n"));
}

fn ca_file(path: &Path) -> Result<Config, Mistakes> {
    parse(&format!("ca-file = \"{}\"\n[[record]]\nname = \"home.example.com\"\n", path.display()))
}

#[test]
fn the_authorities_of_ca_file_are_counted_and_named() {
    let path = repository("tests/config/authority.pem");
    let config = ca_file(&path).unwrap();
    assert_eq!((config.authorities.added(), config.ca_file.as_ref()), (1, Some(&path)));
    assert_ne!(config, good("[[record]]\nname = \"home.example.com\"\n"));
    let folder = tempfile::tempdir().unwrap();
    let twice = folder.path().join("two.pem");
    let pem = fs::read_to_string(&path).unwrap();
    fs::write(&twice, format!("What follows is ours.\n{pem}\r\n# and\n{pem}")).unwrap();
    let config = ca_file(&twice).unwrap();
    assert_eq!(
        config.told_authorities().unwrap(),
        format!("the 2 certificate authorities in {} are trusted beside the built-in ones", twice.display())
    );
    assert_eq!(good("[[record]]\nname = \"home.example.com\"\n").told_authorities(), None);
}

#[test]
fn a_ca_file_without_an_authority_is_a_mistake_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let said = |path: &Path| {
        let mistakes = ca_file(path).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes}");
        let mistake = mistakes.iter().next().unwrap();
        assert_eq!(mistake.line(), Some(1));
        (mistake.what().to_owned(), mistake.remedy().to_owned())
    };
    let (what, remedy) = said(&path);
    assert!(what.contains(&format!("{} cannot be read: No such file", path.display())), "{what}");
    assert_eq!(remedy, "name the file that has them, or take ca-file out");
    assert!(said(folder.path()).0.contains("it is no file"));
    assert!(said(Path::new("/dev/null")).0.contains("it is no file"), "not even opened: it might be a pipe");
    assert!(said(Path::new("ca.pem")).1.starts_with("write the whole path"));

    let pem = fs::read_to_string(repository("tests/config/authority.pem")).unwrap();
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let half = &pem[..pem.len() / 2];
    let broken = pem.replacen("MII", "M!I", 1);
    let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, expected) in [
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ("hello", "there is no certificate in PEM in the file"),
        (key, "there is no certificate in PEM in the file"),
        ("0\u{82}", "there is no certificate in PEM in the file"),
        (half, "certificate 1 in the file cannot be read: its last line is missing"),
        (&broken, "certificate 1 in the file cannot be read: there are characters in it that are no base64"),
        (&format!("{pem}{other}"), "certificate 2 in the file cannot be read: "),
    ] {
        fs::write(&path, content).unwrap();
        let (what, remedy) = said(&path);
        assert!(what.starts_with(expected), "{content:?}: {what}");
        assert!(remedy.contains("-----BEGIN CERTIFICATE-----"), "{remedy}");
    }
    fs::write(&path, [0x30, 0x82, 1, 10, 0xff]).unwrap();
    let (what, remedy) = said(&path);
    assert!(what.contains("(DER), not in PEM"), "{what}");
    assert!(remedy.contains("openssl x509 -inform der -in "), "{remedy}");
    fs::write(&path, vec![b'x'; (1 << 20) + 1]).unwrap();
    assert!(said(&path).0.contains("is longer than 1 MiB"));
}

#[test]
fn every_example_of_the_reference_is_accepted() {
    let examples: Vec<&&Key> =
        keys::ALL.iter().filter(|key| matches!(key.preset, Preset::Unset(_))).collect();
    assert!(examples.len() >= 20, "only {} examples", examples.len());
    for key in examples {
        let line = match key.name {
            // The one example that must be there to be accepted.
            "ca-file" => format!("ca-file = \"{}\"", repository("tests/config/authority.pem").display()),
            _ => format!("{} = {}", key.name, key.example()),
        };
        let record = "[[record]]\nname = \"home.example.com\"";
        let text = match (key.place, key.name) {
            (Place::Top, _) => format!("{line}\n{record}"),
            (Place::Account, "email" | "global-key") => format!(
                "[cloudflare]\nemail = {}\nglobal-key = {}\n{record}",
                keys::EMAIL.example(),
                keys::GLOBAL_KEY.example()
            ),
            (Place::Secret, _) => format!("[cloudflare]\ntoken = {{ {line} }}\n{record}"),
            (Place::Source, "interface" | "stun") => continue,
            (Place::Source, _) => {
                format!("[address]\nallow = [\"198.51.100.7\"]\nipv4 = [{{ {line} }}]\n{record}")
            }
            (Place::Status, _) => format!("[status]\n{line}\n{record}"),
            (Place::Record, "account") => format!("[cloudflare.work]\n{record}\n{line}"),
            (Place::Record, _) => format!("{record}\n{line}"),
            (place, name) => panic!("{name} of {place:?} has no example here"),
        };
        good(&text);
    }
}

#[test]
fn an_account_may_have_a_name_that_is_nearly_a_key() {
    let config = good(
        "[cloudflare.tokyo]\ntoken = { file = \"/a\" }\n[[record]]\nname = \"a.example.com\"\naccount = \"tokyo\"\n",
    );
    assert_eq!(config.accounts.keys().map(|name| &*name.0).collect::<Vec<_>>(), ["tokyo"]);
    for text in ["tokn = { file = \"/a\" }", "tokn = {}", "budgt = { requests = 5 }", "Token = { x = 1 }"] {
        let text = format!("[cloudflare]\n{text}\n[[record]]\nname = \"a.example.com\"\n");
        let said = parse(&text).unwrap_err().to_string();
        assert!(said.contains("there is no key") && said.contains("1 mistake in"), "{said}");
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

#[test]
fn two_variables_are_a_whole_configuration() {
    let names = "home.example.com, *.home.example.com\n nas.example.org,";
    let config =
        from_environment(&environment(&[("CLOUDFLARE_API_TOKEN", "hunter2"), ("STAYPUT_RECORDS", names)]))
            .unwrap();
    let same =
        good("[[record]]\nname = [\"home.example.com\", \"*.home.example.com\", \"nas.example.org\"]\n");
    assert_eq!(config, same);
    let config = from_environment(&environment(&[
        ("CLOUDFLARE_API_TOKEN_FILE", "/run/secrets/token"),
        ("STAYPUT_RECORDS", "home.example.com"),
        ("STAYPUT_STATE", "/state"),
        ("CLOUDFLARE_API_TOKEN", ""),
        ("PATH", "/bin"),
    ]))
    .unwrap();
    let access = &config.accounts[&AccountName::default()];
    assert_eq!(access.login, Login::Token(Origin::File("/run/secrets/token".into())));
    assert_eq!(config.warnings, []);
}

#[test]
fn a_wrong_environment_is_told_all_of_its_mistakes_and_no_value() {
    let wrong = environment(&[
        ("CLOUDFLARE_API_TOKEN", "hunter2"),
        ("CLOUDFLARE_API_TOKEN_FILE", "/run/secrets/token"),
        ("STAYPUT_RECORDS", "home.example.com,nas,Home.Example.COM."),
        ("STAYPUT_RECORD", "a.example.com"),
        ("STAYPUT_INTERVAL", "5m"),
        ("STAYPUT_API_TOKEN", "hunter2"),
    ]);
    let said = from_environment(&wrong).unwrap_err().render(Ink::Plain);
    assert!(holds(&repository("tests/config/environment.txt"), &said));
    assert!(!said.contains("hunter2"));
    for (variables, expected) in [
        (&[("STAYPUT_RECORDS", "home.example.com")][..], "CLOUDFLARE_API_TOKEN: there is no token"),
        (
            &[("STAYPUT_RECORDS", " , "), ("CLOUDFLARE_API_TOKEN", "hunter2")][..],
            "STAYPUT_RECORDS: it holds no name",
        ),
    ] {
        let said = from_environment(&environment(variables)).unwrap_err().to_string();
        assert!(said.contains(expected) && said.ends_with("1 mistake in the environment"), "{said}");
    }
}

#[test]
fn a_few_variables_say_what_keys_of_the_file_say() {
    let names = ("STAYPUT_RECORDS", "home.example.com,nas.example.org");
    let token = ("CLOUDFLARE_API_TOKEN", "hunter2");
    let said = |more: &[(&str, &str)]| {
        from_environment(&environment(&[&[names, token], more].concat()))
            .unwrap_or_else(|said| panic!("{said}"))
    };
    let record = "[[record]]\nname = [\"home.example.com\", \"nas.example.org\"]\n";
    assert_eq!(
        said(&[("STAYPUT_PROXIED", "false"), ("STAYPUT_TTL", "5m"), ("STAYPUT_EVERY", "1m 30s")]),
        good(&format!("[address]\nevery = \"1m 30s\"\n{record}proxied = false\nttl = \"5m\"\n"))
    );
    assert_eq!(said(&[("STAYPUT_PROXIED", "TRUE")]), good(&format!("{record}proxied = true\n")));
    assert_eq!(said(&[("STAYPUT_TTL", "auto")]), good(&format!("{record}ttl = \"auto\"\n")));
    assert_eq!(said(&[("STAYPUT_IPV4", "off")]), good(&format!("[address]\nipv4 = []\n{record}")));
    assert_eq!(said(&[("STAYPUT_IPV6", "off")]), good(&format!("[address]\nipv6 = []\n{record}")));
    let warned = said(&[("STAYPUT_PROXIED", "true"), ("STAYPUT_TTL", "5m")]).warnings;
    assert!(warned[0].to_string().starts_with("STAYPUT_TTL:1:1: a proxied record's TTL"), "{}", warned[0]);
    assert!(warned[0].remedy().ends_with("or write STAYPUT_PROXIED=false"), "{}", warned[0]);
}

#[test]
fn wrong_values_of_variables_are_told_under_their_names() {
    let wrong = environment(&[
        ("CLOUDFLARE_API_TOKEN", "hunter2"),
        ("STAYPUT_RECORDS", "home.example.com\nnas"),
        ("STAYPUT_PROXIED", "hunter2"),
        ("STAYPUT_TTL", "300"),
        ("STAYPUT_IPV4", "off"),
        ("STAYPUT_IPV6", "off"),
        ("STAYPUT_EVERY", "1s"),
        ("STAYPUT_LISTEN", "127.0.0.1:9814"),
        ("STAYPUT_NOTIFY", "https://hooks.example.org/hunter2"),
    ]);
    let said = from_environment(&wrong).unwrap_err().render(Ink::Plain);
    assert!(holds(&repository("tests/config/environment-values.txt"), &said));
    assert!(!said.contains("hunter2"));
    let alone = from_environment(&environment(&[
        ("CLOUDFLARE_API_TOKEN", "hunter2"),
        ("STAYPUT_RECORDS", "home.example.com"),
        ("STAYPUT_IPV4", "on"),
    ]));
    let said = alone.unwrap_err().to_string();
    assert!(said.starts_with("STAYPUT_IPV4: it takes off and nothing else"), "{said}");
}

/// What Kubernetes and Docker set for services that are called stayput, stayput-web and so on.
const LINKS: [(&str, &str); 22] = [
    ("STAYPUT_SERVICE_HOST", "10.0.0.11"),
    ("STAYPUT_SERVICE_PORT", "9814"),
    ("STAYPUT_SERVICE_PORT_HTTP", "9814"),
    ("STAYPUT_SERVICE_PORT_WEB_UI", "80"),
    ("STAYPUT_PORT", "tcp://10.0.0.11:9814"),
    ("STAYPUT_PORT_9814_TCP", "tcp://10.0.0.11:9814"),
    ("STAYPUT_PORT_9814_TCP_PROTO", "tcp"),
    ("STAYPUT_PORT_9814_TCP_PORT", "9814"),
    ("STAYPUT_PORT_9814_TCP_ADDR", "10.0.0.11"),
    ("STAYPUT_PORT_53_UDP", "udp://10.0.0.11:53"),
    ("STAYPUT_PORT_5060_SCTP_ADDR", "10.0.0.11"),
    ("STAYPUT_WEB_SERVICE_HOST", "10.0.0.12"),
    ("STAYPUT_WEB_SERVICE_PORT", "80"),
    ("STAYPUT_WEB_PORT", "udp://10.0.0.12:80"),
    ("STAYPUT_WEB_PORT_80_TCP", "tcp://10.0.0.12:80"),
    ("STAYPUT_RECORDS_UI_SERVICE_HOST", "10.0.0.13"),
    ("STAYPUT_STATUS_PORT_80_TCP_START", "tcp://172.17.0.5:80"),
    ("STAYPUT_NAME", "/web/stayput"),
    ("STAYPUT_ENV_STAYPUT_RECORDS", "other.example.com"),
    ("STAYPUT_ENV_PATH", "/usr/bin"),
    ("STAYPUT_DB_NAME", "/web/stayput-db"),
    ("STAYPUT_DB_ENV_VERSION", "1"),
];

#[test]
fn the_variables_of_service_links_are_passed_over_in_silence() {
    let with = |more: &[(&str, &str)]| environment(&[&LINKS[..], more].concat());
    assert!(with(&[]).is_silent());
    assert_eq!(with(&[]).beside_file().unwrap(), []);
    assert_eq!(with(&[]).locate(None, |_| false), Environment::default().locate(None, |_| false));
    let own = [("CLOUDFLARE_API_TOKEN", "hunter2"), ("STAYPUT_RECORDS", "home.example.com")];
    assert_eq!(from_environment(&with(&own)).unwrap(), good("[[record]]\nname = \"home.example.com\"\n"));
    // What only begins like one is a mistake as before.
    for (name, value) in [
        ("STAYPUT_PORT", "8080"),
        ("STAYPUT_PORT_HTTP", "80"),
        ("STAYPUT_PORT_80_HTTP", "80"),
        ("STAYPUT_SERVICE", "stayput"),
        ("STAYPUT_NAME", "home.example.com"),
        ("STAYPUT_ENV_FILE", "/etc/stayput/env"),
        ("STAYPUTS_PORT", ""),
    ] {
        let alone = environment(&[(name, value)]);
        assert_eq!(alone.beside_file().is_err(), !value.is_empty(), "{name}");
    }
}

#[test]
fn quotation_marks_around_the_value_of_a_variable_are_taken_off() {
    let quoted = from_environment(&environment(&[
        ("CLOUDFLARE_API_TOKEN_FILE", "'/run/secrets/token'"),
        ("CLOUDFLARE_API_TOKEN", "\"\""),
        ("STAYPUT_RECORDS", "\"home.example.com, nas.example.com\""),
        ("STAYPUT_TTL", "'5m'"),
        ("STAYPUT_IPV6", " \"off\" "),
        ("STAYPUT_STAT", "\"\""),
    ]));
    let plain = from_environment(&environment(&[
        ("CLOUDFLARE_API_TOKEN_FILE", "/run/secrets/token"),
        ("STAYPUT_RECORDS", "home.example.com, nas.example.com"),
        ("STAYPUT_TTL", "5m"),
        ("STAYPUT_IPV6", "off"),
    ]));
    assert_eq!(quoted.unwrap(), plain.unwrap());
    let file = environment(&[("STAYPUT_CONFIG", "\"/b.toml\"")]).locate(None, |_| false);
    assert_eq!(file.unwrap(), Location::File("/b.toml".into()));
    for (value, expected) in
        [("\"/a b\"", "/a b"), ("'/a'", "/a"), ("\"/a'", "\"/a'"), ("\"", "\""), ("/a", "/a")]
    {
        assert_eq!(unquoted(value.into()), expected);
    }
}

#[test]
fn under_systemd_a_secret_in_the_file_is_to_become_a_credential() {
    let text = "[cloudflare]\ntoken = \"hunter2\"\n[[record]]\nname = \"home.example.com\"\n";
    let said = |variables: &[(&str, &str)], text: &str| {
        environment(variables).from_toml(text, Path::new("x.toml")).unwrap_err().to_string()
    };
    let credential = "write token = { credential = \"token\" }";
    for variable in ["CREDENTIALS_DIRECTORY", "INVOCATION_ID"] {
        let told = said(&[(variable, "/run/credentials/stayput.service")], text);
        assert!(told.contains(credential) && !told.contains("file ="), "{told}");
    }
    let told = said(&[], text);
    assert!(told.contains("write token = { file = \"/etc/stayput/token\" }"), "{told}");
    // However it stands there.
    for token in [
        "token = hunter2",
        "token = { }",
        "token = \"hunter2",
        "token = { file = \"v1.0-0123456789abcdef\" }",
    ] {
        let told = said(&[("INVOCATION_ID", "0")], &text.replace("token = \"hunter2\"", token));
        assert!(told.contains("credential = \"token\"") && !told.contains("= { file = \"/etc"), "{told}");
    }
    let key = text.replace("token =", "email = \"me@example.com\"\nglobal-key =");
    let told = said(&[("INVOCATION_ID", "0")], &key);
    assert!(told.contains("LoadCredential=global-key:/etc/stayput/global-key"), "{told}");
}

#[test]
fn the_configuration_is_looked_for_in_this_order() {
    let full = environment(&[("STAYPUT_CONFIG", "/b.toml"), ("STAYPUT_RECORDS", "home.example.com")]);
    let file = |path: &str| Location::File(path.into());
    assert_eq!(full.locate(Some("/a.toml".into()), |_| true).unwrap(), file("/a.toml"));
    assert_eq!(full.locate(None, |_| true).unwrap(), file("/b.toml"));
    let records = environment(&[("STAYPUT_CONFIG", ""), ("STAYPUT_RECORDS", "home.example.com")]);
    let there = |path: &Path| path == Path::new("/etc/stayput/stayput.toml");
    assert_eq!(records.locate(None, there).unwrap(), file("/etc/stayput/stayput.toml"));
    assert_eq!(records.locate(None, |_| false).unwrap(), Location::Environment);
    let nothing = environment(&[("CLOUDFLARE_API_TOKEN", "hunter2")]).locate(None, |_| false).unwrap_err();
    assert!(holds(&repository("tests/config/nothing.txt"), &nothing.render(Ink::Plain)));
    // A misspelt variable is the likelier reason than no configuration at all.
    let stray = environment(&[("STAYPUT_RECRODS", "home.example.com")]).locate(None, |_| false).unwrap_err();
    assert!(stray.to_string().contains("did you mean STAYPUT_RECORDS?"), "{stray}");
}

#[test]
fn beside_a_file_only_known_variables_may_stand() {
    assert_eq!(environment(&[("STAYPUT_STATE", "/s"), ("STAYPUT_CONFIG", "/c")]).beside_file().unwrap(), []);
    let warned = environment(&[("STAYPUT_RECORDS", "home.example.com")]).beside_file().unwrap();
    assert!(warned[0].to_string().starts_with("STAYPUT_RECORDS: it has no effect"), "{}", warned[0]);
    let warned = environment(&[("CLOUDFLARE_API_TOKEN_FILE", "/run/secrets/token")]).beside_file().unwrap();
    assert!(warned[0].to_string().contains("token = { file ="), "{}", warned[0]);
    let form = ["RECORDS", "PROXIED", "TTL", "IPV4", "IPV6", "EVERY", "LISTEN", "NOTIFY", "NOTIFY_FILE"];
    for name in form.map(|name| format!("STAYPUT_{name}")) {
        let warned = environment(&[(&name, "hunter2")]).beside_file().unwrap();
        assert_eq!(warned.len(), 1);
        assert!(warned[0].to_string().starts_with(&format!("{name}: it has no effect")), "{}", warned[0]);
        assert!(!warned[0].to_string().contains("hunter2"));
    }
    let refused =
        environment(&[("STAYPUT_INTERVAL", "5m"), ("STAYPUT_STAT", "/s")]).beside_file().unwrap_err();
    assert_eq!(refused.len(), 2);
    assert!(
        refused.to_string().contains("there are STAYPUT_RECORDS, ")
            && refused.to_string().contains("STAYPUT_EVERY"),
        "{refused}"
    );
    assert!(refused.to_string().contains("did you mean STAYPUT_STATE?"), "{refused}");
}

/// Lines that a configuration may hold, right and wrong ones.
fn line() -> impl Strategy<Value = String> {
    let known = keys::ALL.iter().map(|key| format!("{} = {}", key.name, key.example()));
    let headers = [
        "[address]",
        "[cloudflare]",
        "[cloudflare.work]",
        "[[record]]",
        "[record]",
        "[adress]",
        "[[records]]",
    ];
    let odd = [
        "name = \"*.example.com\"",
        "name = [\"a.example.com\", \"A.example.com.\", 5]",
        "account = \"work\"",
        "ipv4 = []",
        "ipv6 = [{ static = \"2001:db8::1\" }, \"https://ip.example/\"]",
        "token = \"hunter2\"",
        "every = 5m",
        "ttl = 300",
        "x = [\"",
        "x = '''",
        "a: b",
    ];
    let lines: Vec<String> = known.chain(headers.map(String::from)).chain(odd.map(String::from)).collect();
    prop_oneof![6 => proptest::sample::select(lines), 1 => "\\PC{0,30}", 1 => any::<String>()]
}

/// What must hold of every text.
fn is_answered(text: &str) -> Result<(), TestCaseError> {
    match parse(text) {
        Ok(config) => {
            prop_assert!(!config.settings.records.is_empty());
            prop_assert!(!config.sources.is_empty());
            prop_assert!(config.sources.values().all(|list| !list.is_empty()));
            prop_assert!(config.settings.every.as_secs() >= 10);
            prop_assert!(config.settings.agree >= 1);
        }
        Err(mistakes) => {
            let lines = text.split('\n').count();
            prop_assert!(mistakes.len() >= 1);
            for mistake in mistakes.iter() {
                prop_assert!(!mistake.what().is_empty() && !mistake.remedy().is_empty());
                prop_assert!(mistake.line().is_none_or(|line| (1..=lines).contains(&line)));
            }
            let shown = mistakes.render(Ink::Plain);
            prop_assert!(!shown.contains(|char: char| char.is_control() && char != '\n'), "{shown:?}");
        }
    }
    // The same text, the same answer.
    prop_assert_eq!(parse(text), parse(text));
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_has_mistakes(text in any::<String>()) {
        is_answered(&text)?;
    }

    #[test]
    fn any_lines_are_a_configuration_or_have_mistakes(lines in proptest::collection::vec(line(), 0..12)) {
        is_answered(&lines.join("\n"))?;
    }

    #[test]
    fn any_environment_is_a_configuration_or_has_mistakes(
        values in proptest::collection::vec(
            (
                proptest::sample::select(vec!["RECORDS", "PROXIED", "TTL", "IPV4", "IPV6", "EVERY", "NAME", "PORT_80_TCP"]),
                prop_oneof!["(home|nas)\\.example\\.com[, \n]?", "(off|true|5m|auto|\"5m\"|'|tcp://a)", any::<String>()],
            ),
            0..8,
        ),
    ) {
        let token = [(OsString::from("CLOUDFLARE_API_TOKEN"), OsString::from("hunter2"))];
        let ours = values.into_iter().map(|(name, value)| (format!("STAYPUT_{name}").into(), value.into()));
        let environment = Environment::of(ours.chain(token));
        match from_environment(&environment) {
            Ok(config) => prop_assert!(!config.settings.records.is_empty() && !config.sources.is_empty()),
            Err(mistakes) => {
                let shown = mistakes.render(Ink::Plain);
                prop_assert!(mistakes.len() >= 1);
                prop_assert!(!shown.contains(|char: char| char.is_control() && char != '\n'), "{shown:?}");
            }
        }
    }

    #[test]
    fn a_good_file_with_one_slip_is_answered(at in any::<proptest::sample::Index>(), with in any::<Option<char>>()) {
        let text = fs::read_to_string(repository("tests/config/good/everything.toml")).unwrap();
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        match with {
            Some(char) => chars[at] = char,
            None => { chars.remove(at); }
        }
        is_answered(&chars.into_iter().collect::<String>())?;
    }

    #[test]
    fn a_secret_in_the_file_is_never_shown(
        key in proptest::sample::select(vec!["token", "tokn", "global-key", "global_key", "api-token", "api_key", "key", "password", "\"token\"", "cloudflare.token"]),
        sign in proptest::sample::select(vec![" = ", "=", ": ", " "]),
        quotes in proptest::sample::select(vec![("\"", "\""), ("'", "'"), ("", ""), ("\"", ""), ("{ value = \"", "\" }"), ("[\"", "\"]"), ("{ \"", "\" }"), ("\"\"\"\n", "\"\"\""), ("'''\n", ""), ("[\n'", "'\n]")]),
        before in line(),
        after in line(),
    ) {
        let value = format!("{}hunter2{}", quotes.0, quotes.1);
        for text in [
            format!("[cloudflare]\n{before}\n{key}{sign}{value}\n{after}\n"),
            // In the table of secrets, also under a key that there is not.
            format!("[cloudflare]\nvalu{sign}{value}\n{after}\n"),
        ] {
            if let Err(mistakes) = parse(&text) {
                let shown = format!("{}{mistakes:?}", mistakes.render(Ink::Coloured));
                prop_assert!(!shown.contains("hunter2"), "{text}\n{shown}");
            }
        }
    }

    #[test]
    fn the_order_of_tables_makes_no_difference(swap in any::<bool>()) {
        let parts = ["[address]\nagree = 1\n", "[cloudflare]\nrefresh = \"1h\"\n"];
        let text = if swap { format!("{}{}", parts[1], parts[0]) } else { parts.concat() };
        let config = good(&format!("{text}[[record]]\nname = \"home.example.com\"\n"));
        prop_assert_eq!(config.settings.agree, 1);
    }
}

#[test]
fn mistakes_are_sorted_by_their_place() {
    for path in toml_files("tests/config") {
        let mistakes = said_of(&path).1.unwrap_err();
        let places: Vec<_> =
            mistakes.iter().filter_map(|mistake| Some((mistake.line()?, mistake.column()?))).collect();
        assert!(places.is_sorted(), "{}", path.display());
    }
}

#[test]
fn a_configuration_does_not_depend_on_the_order_of_its_records() {
    let records =
        ["[[record]]\nname = \"a.example.com\"\nttl = \"5m\"\n", "[[record]]\nname = \"b.example.com\"\n"];
    let forth = good(&records.concat());
    let back = good(&[records[1], records[0]].concat());
    assert_eq!(forth, back);
    let names: BTreeMap<_, _> = forth.settings.records.keys().map(|key| (key.to_string(), ())).collect();
    assert_eq!(names.len(), 4);
}
