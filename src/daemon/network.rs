//! What the kernel says of the ways out of this host, as the engine's events.
//!
//! Deliberately unknown: what the engine makes of it, and how the kernel is asked (`detect::events`).

use std::collections::BTreeSet;

use crate::config::Config;
use crate::detect::Source;
use crate::detect::events::{self, Events, News};
use crate::engine::names::{Family, Line};
use crate::engine::{Event, HintFrom, Mode};

/// The ways out of this host.
#[derive(Debug)]
pub(super) struct Network {
    /// `None`: a single pass, which hears no news.
    events: Option<Events>,
    missing: BTreeSet<Family>,
}

impl Network {
    /// Begins to listen, or for a single pass looks once.
    pub(super) fn listen(mode: Mode) -> Network {
        let events = (mode == Mode::Daemon).then(Events::listen);
        let missing = events.as_ref().map_or_else(events::missing, |events| events.missing().clone());
        Network { events, missing }
    }

    /// Returns when the kernel has news, or never.
    pub(super) async fn next_hint(&mut self) -> News {
        match &mut self.events {
            Some(events) => events.news().await,
            None => std::future::pending().await,
        }
    }

    /// The published address of this family was just heard.
    pub(super) fn learned(&mut self, family: Family) {
        if let Some(events) = &mut self.events {
            events.learned(family);
        }
    }

    /// What news mean to the engine.
    pub(super) fn events(&mut self, news: News, config: &Config) -> Vec<Event> {
        let mut told: Vec<Event> =
            news.gone.into_iter().map(|family| Event::WayOutGone(Line::only(family))).collect();
        if let Some(missing) = news.missing {
            self.missing = missing;
            told.push(self.missing(config));
        }
        if news.moved {
            told.push(Event::Hint { line: None, from: HintFrom::Kernel });
        }
        told
    }

    /// The families that are missing. One that can be asked for on this host needs no route.
    pub(super) fn missing(&self, config: &Config) -> Event {
        let asked_here = |family: &Family| {
            let sources = config.sources.get(&Line::only(*family));
            sources.is_some_and(|sources| sources.iter().any(Source::is_on_this_host))
        };
        Event::Missing(self.missing.iter().copied().filter(|family| !asked_here(family)).collect())
    }
}
