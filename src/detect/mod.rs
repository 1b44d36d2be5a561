//! Learning the host's addresses: one file a kind of source.
//!
//! A source is asked once, within limits of time and bytes, and its answer is parsed strictly.
//! Deliberately unknown: whether the answer may be published and whether it is believed, which is
//! the engine's to say; and when to ask.

pub mod answer;
pub mod events;
mod https;
mod local;
mod routes;
mod source;

use std::net::IpAddr;

use crate::engine::names::Family;
use crate::engine::watch::LookError;
use crate::http::Authorities;
pub use source::{BuiltIn, Source};

/// Asks sources. Keeps no connection between two questions: a kept one goes on reporting the old
/// address after a change (its path is remembered on the way), a new one cannot.
#[derive(Debug)]
pub struct Detector {
    limits: https::Limits,
    web: https::Clients,
}

impl Detector {
    /// A detector that has asked nobody yet. Costs nothing until it is used.
    pub fn new(authorities: &Authorities) -> Detector {
        Detector { limits: https::Limits::default(), web: https::Clients::new(authorities) }
    }

    /// What the source says, over a connection of this family and of this family only. Takes 22 s
    /// at most, of which 12 s look up a name. Any number of questions may be asked at the same time.
    ///
    /// # Errors
    /// [`LookError`] says why there is no address. Whether it is public is not looked at.
    pub async fn ask(&self, source: &Source, family: Family) -> Result<IpAddr, LookError> {
        match source {
            Source::Url { url, .. } => {
                let client = self.web.of(family, self.limits)?;
                https::ask(&client, url, family).await
            }
            Source::Static(address) => answer::of_family(*address, family),
            Source::File(path) => answer::parse_address(&local::read(path)?, family),
            Source::Command { words, .. } => {
                let output = local::run(words, self.limits.total).await?;
                answer::parse_address(&output, family)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[tokio::test]
    async fn a_static_address_answers_for_its_own_family_only() {
        let address = IpAddr::from(Ipv4Addr::new(192, 168, 7, 1));
        let source = Source::Static(address);
        let detector = Detector::new(&Authorities::default());
        assert_eq!(detector.ask(&source, Family::V4).await, Ok(address));
        assert_eq!(detector.ask(&source, Family::V6).await, Err(LookError::WrongFamily(address)));
        let mapped = IpAddr::from(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x909, 0x909));
        assert_eq!(
            detector.ask(&Source::Static(mapped), Family::V6).await,
            Err(LookError::WrongFamily(mapped))
        );
    }
}
