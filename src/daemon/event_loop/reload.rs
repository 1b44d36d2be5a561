//! SIGHUP: the configuration and the secrets are read again, and what is wrong with them changes nothing.
//!
//! Deliberately unknown: what the engine makes of new settings.

use std::sync::Arc;
use std::time::Duration;

use super::{Loop, Reload, Work, hand_over, tell_authorities};
use crate::config::Config;
use crate::daemon::accounts::{self, Accounts, Readings};
use crate::detect::Detector;
use crate::engine::Event;
use crate::engine::names::Moment;

/// Wait after the last SIGHUP of a burst.
const QUIET_PERIOD: Duration = Duration::from_millis(100);
/// Longest wait after the first SIGHUP of a burst.
const LONGEST_WAIT: Duration = Duration::from_millis(1500);

impl Loop {
    pub(super) fn note_reload(&mut self, now: Moment) {
        self.reload = match self.reload {
            Reload::Idle => {
                // Whoever waits for it is told at once that it was heard.
                self.supervisor.reloading(now);
                Reload::Called(now, now)
            }
            Reload::Called(first, _) => Reload::Called(first, now),
            Reload::Reading | Reload::Stale => Reload::Stale,
        };
    }

    pub(super) fn reload_at(&self) -> Option<Moment> {
        match self.reload {
            Reload::Called(first, last) => Some((last + QUIET_PERIOD).min(first + LONGEST_WAIT)),
            Reload::Idle | Reload::Reading | Reload::Stale => None,
        }
    }

    pub(super) fn begin_reload(&mut self) {
        self.reload = Reload::Reading;
        let config = match (self.job.reread)() {
            Ok(config) => Some(Box::new(config)),
            Err(mistakes) => {
                tracing::error!("the new configuration is wrong; the old one stays in force\n{mistakes}");
                None
            }
        };
        let accesses = match &config {
            Some(config) => config.accounts.clone(),
            None => self.accounts.accesses(),
        };
        let secrets = self.job.secrets;
        self.work.spawn(async move { Work::Reload(config, accounts::read(accesses, secrets).await) });
    }

    pub(super) fn finish_reload(&mut self, config: Option<Box<Config>>, readings: Readings, now: Moment) {
        let accesses = match &config {
            Some(config) => config.accounts.clone(),
            None => self.accounts.accesses(),
        };
        accounts::warn(&readings);
        let authorities = &config.as_ref().map_or(&self.job.config, |config| config).authorities;
        match Accounts::open(&accesses, readings, &self.accounts, authorities) {
            Ok(accounts) => self.renew(config, accounts, now),
            Err(locked) => {
                tracing::error!("{locked}; the old configuration stays in force");
            }
        }
        self.supervisor.ready(now);
        if std::mem::replace(&mut self.reload, Reload::Idle) == Reload::Stale {
            self.note_reload(now);
        }
    }

    fn renew(&mut self, config: Option<Box<Config>>, accounts: Accounts, now: Moment) {
        let before = std::mem::replace(&mut self.accounts, accounts);
        if let Some(mut config) = config {
            for warning in &config.warnings {
                tracing::warn!("{warning}");
            }
            tracing::info!("the configuration was read again");
            if config.socket != self.job.config.socket {
                tracing::warn!("[status] socket has changed: it is heeded at the next start");
            }
            if config.authorities != self.job.config.authorities {
                self.detector = Arc::new(Detector::new(&config.authorities));
                tell_authorities(&config);
            }
            let settings = hand_over(&mut config, &self.accounts, self.hash_key);
            self.engine.reconfigure(settings, now);
            self.job.config = *config;
            self.engine.handle(self.network.missing(&self.job.config), now);
        }
        for account in self.accounts.changed_since(&before) {
            let id = self.credential_id(account);
            self.engine.handle(Event::SecretChanged(account.clone(), id), now);
        }
    }
}
