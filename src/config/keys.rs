//! Every key of the configuration file: where it stands, what it takes, its default, and a sentence about it.
//!
//! The one source for reading, for unknown keys and their nearest known name, for the JSON Schema and for
//! `config/reference.toml`. Deliberately unknown: what the values do.

use toml::Spanned;
use toml::de::DeValue;

/// A key of the configuration file.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// The table that it stands in.
    pub place: Place,
    pub name: &'static str,
    pub kind: Kind,
    /// What it is when it is left out.
    pub preset: Preset,
    pub doc: &'static str,
}

/// A table of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file itself, before the first table.
    Top,
    /// `[cloudflare]`, and `[cloudflare.NAME]` for each further account.
    Account,
    /// The value of `budget`.
    Budget,
    /// The value of `token` and of `global-key`.
    Secret,
    /// `[address]`.
    Address,
    /// An entry of `ipv4` and `ipv6` that is a table.
    Source,
    /// `[[record]]`.
    Record,
    /// `[status]`.
    Status,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Choice(&'static [&'static str]),
    Switch,
    /// A whole number in these bounds.
    Count(u32, u32),
    /// A duration in these bounds, in seconds.
    Span(u64, u64),
    /// `"auto"` or a duration.
    Ttl,
    Texts,
    /// One text, or a list of them.
    OneOrMore,
    /// A program and its arguments.
    Command,
    Types,
    Sources,
    /// A table of [`Place::Secret`].
    Secret,
    /// A table of [`Place::Budget`].
    Budget,
    /// A table of the file.
    Table(Place),
    /// A table that may be there several times.
    Tables(Place),
}

/// What a key is when it is left out.
#[derive(Debug, PartialEq, Eq)]
pub enum Preset {
    /// This value, as it is written in TOML.
    Value(&'static str),
    /// Nothing, which differs from every value; with an example of a value.
    Unset(&'static str),
    /// It must be there; with an example of a value.
    Required(&'static str),
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

macro_rules! keys {
    ($($id:ident = $place:ident $name:literal, $kind:expr, $preset:expr, $doc:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`, see its `doc`.")]
            pub static $id: Key = Key {
                place: Place::$place,
                name: $name,
                kind: $kind,
                preset: $preset,
                doc: $doc,
            };
        )*
        /// Every key, in the order in which they are documented.
        pub static ALL: &[&Key] = &[$(&$id),*];
    };
}

keys! {
    OWNER = Top "owner", Kind::Text, Preset::Unset("\"attic\""),
        "This instance's name in the mark on its records; needed for shared = true.";
    ON_EXIT = Top "on-exit", Kind::Choice(&["keep", "delete"]), Preset::Value("\"keep\""),
        "What happens to our own records when the daemon is stopped: \"keep\" or \"delete\".";
    MAX_DELETES = Top "max-deletes", Kind::Count(0, 1_000_000), Preset::Value("5"),
        "A pass that would delete more of our records than this stops and asks.";
    CA_FILE = Top "ca-file", Kind::Text, Preset::Unset("\"/etc/stayput/authorities.pem\""),
        "A PEM file with certificate authorities that are trusted beside the built-in ones; read again on SIGHUP.";
    CLOUDFLARE = Top "cloudflare", Kind::Table(Place::Account), Preset::Value("{}"),
        "How Cloudflare is reached. Further accounts are [cloudflare.NAME] with the same keys.";
    ADDRESS = Top "address", Kind::Table(Place::Address), Preset::Value("{}"),
        "How the addresses of this host are found.";
    RECORD = Top "record", Kind::Tables(Place::Record), Preset::Required("[{ name = \"home.example.com\" }]"),
        "The names that are kept; at least one.";
    STATUS = Top "status", Kind::Table(Place::Status), Preset::Value("{}"),
        "How the running daemon is asked what it knows.";

    TOKEN = Account "token", Kind::Secret, Preset::Value("{ env = \"CLOUDFLARE_API_TOKEN\" }"),
        "Where the API token is, which needs one permission, Zone · DNS · Edit: { env = \"…\" }, { file = \"…\" }, { credential = \"…\" } (systemd) or { command = [\"…\"] }.";
    EMAIL = Account "email", Kind::Text, Preset::Unset("\"me@example.com\""),
        "The account's e-mail address, together with global-key: the legacy pair instead of a token.";
    GLOBAL_KEY = Account "global-key", Kind::Secret, Preset::Unset("{ file = \"/etc/stayput/global-key\" }"),
        "Where the Global API Key is. It can do everything in the account: prefer a token.";
    API = Account "api", Kind::Text, Preset::Value("\"https://api.cloudflare.com/client/v4\""),
        "The API's base URL; http is accepted for loopback hosts only.";
    BUDGET = Account "budget", Kind::Budget, Preset::Value("{ requests = 300, per = \"5m\" }"),
        "This daemon's share of the 1,200 requests per 5 minutes that Cloudflare allows.";
    REFRESH = Account "refresh", Kind::Span(MINUTE, 90 * DAY), Preset::Value("\"6h\""),
        "How long the cached copy of a zone is believed; 1m to 90d.";

    REQUESTS = Budget "requests", Kind::Count(1, 1_200), Preset::Value("300"),
        "So many requests at most, 1 to 1200.";
    PER = Budget "per", Kind::Span(1, DAY), Preset::Value("\"5m\""),
        "In any stretch of time of this length.";

    SECRET_ENV = Secret "env", Kind::Text, Preset::Unset("\"CLOUDFLARE_API_TOKEN\""),
        "The name of an environment variable.";
    SECRET_FILE = Secret "file", Kind::Text, Preset::Unset("\"/etc/stayput/token\""),
        "The path of a file.";
    SECRET_CREDENTIAL = Secret "credential", Kind::Text, Preset::Unset("\"token\""),
        "The name of a systemd credential, that is, of a file in $CREDENTIALS_DIRECTORY.";
    SECRET_COMMAND = Secret "command", Kind::Command, Preset::Unset("[\"pass\", \"cloudflare\"]"),
        "A program that prints the secret, and its arguments; run without a shell.";

    EVERY = Address "every", Kind::Span(10, 30 * DAY), Preset::Value("\"5m\""),
        "The longest time between two looks, 10s to 30d; events look sooner.";
    AGREE = Address "agree", Kind::Count(1, 8), Preset::Value("2"),
        "How many independent operators must say the same before a change is published, 1 to 8.";
    IPV4 = Address "ipv4", Kind::Sources, Preset::Value("[\"auto\"]"),
        "Where the IPv4 address is asked, in this order; [] turns the family off.";
    IPV6 = Address "ipv6", Kind::Sources, Preset::Value("[\"auto\"]"),
        "Where the IPv6 address is asked, in this order; [] turns the family off.";
    ALLOW = Address "allow", Kind::Texts, Preset::Value("[]"),
        "Ranges that are not public and may be published all the same, such as \"192.168.7.0/24\".";
    TUNNEL = Address "tunnel", Kind::Choice(&["hold", "allow"]), Preset::Value("\"hold\""),
        "What becomes of an address that was learned through a tunnel (warp=on in a trace): \"hold\" keeps what is published, \"allow\" publishes it.";

    SOURCE_URL = Source "url", Kind::Text, Preset::Unset("\"https://ip.example.org/\""),
        "A URL that answers with the address as the whole body.";
    SOURCE_COMMAND = Source "command", Kind::Command, Preset::Unset("[\"/usr/local/bin/my-address\"]"),
        "A program that prints the address, and its arguments; run without a shell.";
    SOURCE_FILE = Source "file", Kind::Text, Preset::Unset("\"/run/my-address\""),
        "The absolute path of a file that holds the address.";
    SOURCE_STATIC = Source "static", Kind::Text, Preset::Unset("\"198.51.100.7\""),
        "The address itself.";
    SOURCE_INTERFACE = Source "interface", Kind::Text, Preset::Unset("\"eth0\""),
        "A network interface of this host (not yet in this version).";
    SOURCE_STUN = Source "stun", Kind::Text, Preset::Unset("\"stun.example.org:3478\""),
        "A STUN server (not yet in this version).";

    NAME = Record "name", Kind::OneOrMore, Preset::Required("\"home.example.com\""),
        "The name, or a list of names; the zone is found by itself. \"*.example.com\" works; \"@\" beside zone is the zone itself.";
    TYPES = Record "types", Kind::Types, Preset::Unset("[\"A\", \"AAAA\"]"),
        "The record types; unset: of every family that [address] has on.";
    ZONE = Record "zone", Kind::Text, Preset::Unset("\"example.com\""),
        "The zone's name, if it is not the longest one that the name ends in.";
    ZONE_ID = Record "zone-id", Kind::Text, Preset::Unset("\"0123456789abcdef0123456789abcdef\""),
        "The zone's identifier; saves the look-up.";
    PROXIED = Record "proxied", Kind::Switch, Preset::Unset("true"),
        "Whether Cloudflare's proxy answers for the name; unset: kept as it is (a new record: false).";
    TTL = Record "ttl", Kind::Ttl, Preset::Unset("\"auto\""),
        "How long resolvers keep the answer: \"auto\" or 30s to 1d; unset: kept as it is.";
    COMMENT = Record "comment", Kind::Text, Preset::Unset("\"the house\""),
        "The record's comment; unset: kept as it is.";
    TAGS = Record "tags", Kind::Texts, Preset::Unset("[\"site:home\"]"),
        "The record's tags (not on free plans); unset: kept as they are.";
    EXCLUSIVE = Record "exclusive", Kind::Switch, Preset::Value("false"),
        "True: nothing else of this name and type is left beside ours.";
    SHARED = Record "shared", Kind::Switch, Preset::Value("false"),
        "True: ours stands beside other instances' records of this name; needs owner.";
    ACCOUNT = Record "account", Kind::Text, Preset::Unset("\"work\""),
        "The account whose credential reaches the zone: the NAME of a [cloudflare.NAME].";

    SOCKET = Status "socket", Kind::Text, Preset::Unset("\"/run/stayput/stayput.sock\""),
        "The Unix socket at which `stayput status` asks; unset: $STAYPUT_SOCKET, else stayput.sock in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR or (as root) /run/stayput, else none.";
}

/// Keys that are fixed, and that this version does not have yet.
const LATER: [(Place, &str); 8] = [
    (Place::Top, "notify"),
    (Place::Address, "probe"),
    (Place::Address, "interface"),
    (Place::Address, "ipv6-kind"),
    (Place::Address, "when-absent"),
    (Place::Address, "absent-after"),
    (Place::Record, "address"),
    (Place::Status, "listen"),
];

/// What people write who know the key from elsewhere, and the key that they mean.
const ALIASES: [(&str, &str); 16] = [
    ("api-key", "global-key"),
    ("api-token", "token"),
    ("domain", "name"),
    ("domains", "name"),
    ("fqdn", "name"),
    ("global-api-key", "global-key"),
    ("host", "name"),
    ("hostname", "name"),
    ("hosts", "name"),
    ("interval", "every"),
    ("path", "file"),
    ("period", "every"),
    ("proxy", "proxied"),
    ("user", "email"),
    ("variable", "env"),
    ("zone-name", "zone"),
];

impl Key {
    /// The default as a value; `None` if the key has none.
    pub(super) fn default(&self) -> Option<Spanned<DeValue<'static>>> {
        match self.preset {
            Preset::Value(text) => DeValue::parse(text).ok(),
            Preset::Unset(_) | Preset::Required(_) => None,
        }
    }

    /// The default as it is written, or an example of a value.
    pub fn example(&self) -> &'static str {
        match self.preset {
            Preset::Value(text) | Preset::Unset(text) | Preset::Required(text) => text,
        }
    }

    /// What it takes, in words.
    pub(super) fn expected(&self) -> String {
        match self.kind {
            Kind::Text => format!("text, such as {}", self.example()),
            Kind::Choice(words) => format!("\"{}\"", words.join("\" or \"")),
            Kind::Switch => "true or false".into(),
            Kind::Count(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Span(..) => format!("a duration as text, such as {}", self.example()),
            Kind::Ttl => "\"auto\", or a duration as text, such as \"5m\"".into(),
            Kind::Texts => "a list of texts: [\"…\", \"…\"]".into(),
            Kind::OneOrMore => "text, or a list of at least one text".into(),
            Kind::Command => format!("a list of a program and its arguments, such as {}", self.example()),
            Kind::Types => "a list of at least one record type, such as [\"A\", \"AAAA\"]".into(),
            Kind::Sources => {
                "a list of sources, such as [\"auto\"] (or [], which turns the family off)".into()
            }
            Kind::Secret => "a table that says where the secret is".into(),
            Kind::Budget => "a table, such as { requests = 300, per = \"5m\" }".into(),
            Kind::Table(_) => "a table".into(),
            Kind::Tables(_) => "tables in double brackets".into(),
        }
    }
}

impl Place {
    /// Where a key of the table stands, in words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Place::Top => "at the top of the file, before the first [table]",
            Place::Account => "in [cloudflare]",
            Place::Budget => "in budget",
            Place::Secret => "in a secret's table",
            Place::Address => "in [address]",
            Place::Source => "in a source's table",
            Place::Record => "in [[record]]",
            Place::Status => "in [status]",
        }
    }

    /// Whether this is the name of a key that a later version has.
    pub(super) fn is_for_later(self, name: &str) -> bool {
        LATER.contains(&(self, name))
    }

    /// The keys of this table.
    pub fn keys(self) -> impl Iterator<Item = &'static Key> {
        ALL.iter().copied().filter(move |key| key.place == self)
    }

    /// The key of this name.
    pub(super) fn key(self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name)
    }

    /// The key of this table that a misspelt name probably means.
    pub(super) fn nearest(self, name: &str) -> Option<&'static Key> {
        let name = folded(name);
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        self.key(&name).or_else(|| alias.and_then(|(_, key)| self.key(key))).or_else(|| {
            let nearest = nearest(&name, self.keys().map(|key| key.name));
            nearest.and_then(|name| self.key(name))
        })
    }
}

/// What to do about a key that `place` does not have.
pub(super) fn remedy_for_unknown(place: Place, name: &str) -> String {
    let name = folded(name);
    let tables = [Place::Top, Place::Account, Place::Address, Place::Record, Place::Status];
    let in_tables = || tables.into_iter().filter(|other| *other != place);
    if let (Place::Account, Some(key)) = (place, Place::Secret.key(&name)) {
        format!("write token = {{ {} = {} }}", key.name, key.example())
    } else if let Some(key) = in_tables().find_map(|place| place.key(&name)) {
        format!("{} belongs {}", bracketed(key), key.place.title())
    } else if let Some(key) = place.nearest(&name) {
        format!("did you mean {}?", bracketed(key))
    } else if let Some(key) = in_tables().find_map(|place| place.nearest(&name)) {
        format!("did you mean {}, which belongs {}?", bracketed(key), key.place.title())
    } else {
        format!("known here: {}", place.keys().map(bracketed).collect::<Vec<_>>().join(", "))
    }
}

/// A key's name; a table's in its brackets.
pub(super) fn bracketed(key: &Key) -> String {
    match key.kind {
        Kind::Table(_) => format!("[{}]", key.name),
        Kind::Tables(_) => format!("[[{}]]", key.name),
        _ => key.name.to_owned(),
    }
}

fn folded(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace([' ', '_'], "-")
}

/// The name that is nearest to a misspelt one, if one is near.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, known)| *distance <= (known.len().max(name.len()) + 1) / 3)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_and_every_example_is_toml() {
        for key in ALL {
            assert!(DeValue::parse(key.example()).is_ok(), "{}", key.name);
        }
    }

    #[test]
    fn a_name_stands_once_in_each_table() {
        for (index, key) in ALL.iter().enumerate() {
            let again =
                ALL[index + 1..].iter().any(|other| other.place == key.place && other.name == key.name);
            assert!(!again, "{}", key.name);
        }
    }

    #[test]
    fn every_alias_leads_to_a_key_and_is_none() {
        for (alias, name) in ALIASES {
            assert!(ALL.iter().any(|key| key.name == name), "{name}");
            assert!(ALL.iter().all(|key| key.name != alias), "{alias}");
        }
    }

    #[test]
    fn the_remedy_for_an_unknown_key_names_the_one_that_was_meant() {
        for (place, name, expected) in [
            (Place::Address, "evry", "did you mean every?"),
            (Place::Address, "interval", "did you mean every?"),
            (Place::Account, "global_key", "did you mean global-key?"),
            (Place::Address, "owner", "owner belongs at the top of the file, before the first [table]"),
            (Place::Top, "ipv4", "ipv4 belongs in [address]"),
            (Place::Top, "adress", "did you mean [address]?"),
            (Place::Top, "records", "did you mean [[record]]?"),
            (Place::Budget, "zzzzzz", "known here: requests, per"),
            (Place::Top, "interval", "did you mean every, which belongs in [address]?"),
            (Place::Top, "evry", "did you mean every, which belongs in [address]?"),
        ] {
            assert_eq!(remedy_for_unknown(place, name), expected);
        }
    }
}
