//! `stayput sandbox`, and `--sandbox` of the commands that ask Cloudflare: a simulated one on loopback.
//!
//! With `--sandbox` the configuration is the user's own (or an example, where there is none), bent so
//! that nothing leaves this machine: the API and the sources are the simulation's, the secret is made
//! up, and the state file is not touched.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cli::exit::Exit;
use crate::cli::options::Everywhere;
use crate::cli::show::Form;
use crate::cli::{loading, show};
use crate::config::{self, Config};
use crate::daemon::{Job, Secrets, StateMode, signals::Signals};
use crate::detect::Source;
use crate::engine::Mode;
use crate::engine::names::{Family, Name};
use crate::report::reporter::Output;
use crate::sandbox::{Armed, MADE_UP, NewZone, Server, World, WorldOptions};

/// Options of `sandbox`.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// The port on loopback [default: any free one]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// A zone that it holds; may be said again [default: three examples]
    #[arg(long = "zone", value_name = "NAME", value_parser = Name::parse)]
    zones: Vec<Name>,
    /// Something that goes wrong: NAME[:COUNT|:PERCENT%][=VALUE]; may be said again
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Armed>,
    /// The address that its echoes tell; may be said again for the other family
    #[arg(long = "address", value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
}

/// How often the simulated addresses are looked at: often enough to be watched.
const EVERY: Duration = Duration::from_secs(2);

/// Three operators, as many as the real default has.
const OPERATORS: [&str; 3] = ["cloudflare", "ipify", "amazon"];

/// What `--sandbox` runs where there is no configuration: two zones, both families.
const EXAMPLE: &str = r#"
[[record]]
name = ["home.example.com", "nas.example.com", "*.lab.example.com"]

[[record]]
name = "office.example.net"
proxied = true
"#;

/// Serves until it is stopped.
///
/// # Errors
/// The port is not free, or nobody takes the base URL.
pub async fn run(options: Options) -> Result<Exit, Exit> {
    let mut signals = Signals::listen(0).map_err(|error| failed("cannot listen for signals", &error))?;
    let world = Arc::new(Mutex::new(world(&options)));
    let server = serve(world, options.port)?;
    show::result(&format!("{}\n", server.base_url()))?;
    show::aside(&hints(&server));
    signals.stopped().await;
    Ok(Exit::Done)
}

/// A loop over the user's configuration, in a world that is made for it. The server ends when it is
/// dropped.
///
/// # Errors
/// The configuration is wrong, or there is no port.
pub fn job(everywhere: &Everywhere, mode: Mode, form: Form, faults: &[Armed]) -> Result<(Job, Server), Exit> {
    let is_example = loading::is_nowhere(everywhere);
    let (mut config, origin) = match is_example {
        true => (loading::built_in(EXAMPLE)?, "an example configuration"),
        false => (loading::load(everywhere, form)?, "your configuration"),
    };
    let options = WorldOptions { seed: crate::daemon::seed(), ..WorldOptions::default() };
    let mut world = World::for_settings(&config.settings, options);
    faults.iter().for_each(|fault| world.faults.arm(fault.clone()));
    let server = serve(Arc::new(Mutex::new(world)), 0)?;
    tracing::info!(
        "sandbox: {origin} against a simulated Cloudflare inside this process; nothing leaves this machine"
    );
    let stage = Stage::of(&server);
    stage.set(&mut config);
    let reread = loading::reread(everywhere);
    let job = Job {
        mode,
        output: Output::Demo,
        reread: Box::new(move || {
            let mut config = match is_example {
                true => loading::built_in(EXAMPLE).map_err(|_| "the example is wrong".to_owned())?,
                false => reread()?,
            };
            stage.set(&mut config);
            Ok(config)
        }),
        socket: loading::socket(&config),
        config,
        state: StateMode::None,
        secrets: Secrets::MadeUp,
    };
    Ok((job, server))
}

struct Stage {
    api: String,
    sources: BTreeMap<Family, Vec<Source>>,
}

impl Stage {
    fn of(server: &Server) -> Stage {
        let source = |family, operator: &str| {
            let url = server.echo_url(operator, family)?.into();
            Some(Source::Url { label: operator.into(), operator: operator.into(), url })
        };
        let of_family = |family| OPERATORS.iter().filter_map(|operator| source(family, operator)).collect();
        let sources = Family::ALL.map(|family| (family, of_family(family)));
        Stage { api: server.base_url(), sources: sources.into() }
    }

    /// Bends a configuration so that it talks to the simulation and to nothing else.
    fn set(&self, config: &mut Config) {
        for access in config.accounts.values_mut() {
            access.api.clone_from(&self.api);
        }
        config.sources.retain(|line, sources| {
            *sources = self.sources.get(&line.family).cloned().unwrap_or_default();
            !sources.is_empty()
        });
        let sources = config.sources.iter();
        config.settings.sources =
            sources.map(|(line, sources)| (*line, config::as_settings(sources))).collect();
        config.settings.every = config.settings.every.min(EVERY);
        config.settings.allow.extend(MADE_UP);
    }
}

fn world(options: &Options) -> World {
    let mut world = match options.zones.is_empty() {
        true => World::example(WorldOptions::default()),
        false => World::new(WorldOptions::default()),
    };
    for zone in &options.zones {
        world.add_zone(NewZone::named(zone.as_str()));
    }
    options.faults.iter().for_each(|fault| world.faults.arm(fault.clone()));
    for address in &options.addresses {
        world.addresses.change(Family::of(*address), Some(*address));
    }
    world
}

fn serve(world: Arc<Mutex<World>>, port: u16) -> Result<Server, Exit> {
    Server::start(world, port)
        .map_err(|error| failed(&format!("cannot serve on loopback, port {port}"), &error))
}

fn hints(server: &Server) -> String {
    let mut hints = format!(
        "A simulated Cloudflare; any token is accepted. SIGINT ends it.\n  see and change it: {}\n",
        server.control_url()
    );
    for family in Family::ALL {
        if let Some(url) = server.echo_url("ipify", family) {
            hints.push_str(&format!("  its {family} echo:     {url}\n"));
        }
    }
    let ranges = MADE_UP.map(|range| format!("\"{range}\"")).join(", ");
    hints.push_str(&format!("  its addresses are made up; to publish them: [address] allow = [{ranges}]\n"));
    hints
}

fn failed(what: &str, error: &std::io::Error) -> Exit {
    show::aside(&format!("stayput: {what}: {error}\n"));
    Exit::Unexpected
}
