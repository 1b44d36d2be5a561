//! Where a request goes: to the API, to the controls, or to an echo.
//!
//! Deliberately unknown: sockets, and how any of the three answers.

use std::time::Duration;

use super::http::{API_PATH, HttpRequest, Reply};
use super::world::World;
use super::{addresses, control};

impl World {
    /// Answers a request that arrives so long after the world began.
    pub fn answer(&mut self, request: &HttpRequest<'_>, now: Duration) -> Reply {
        self.advance(now);
        let path = request.path.split('?').next().unwrap_or("");
        if let Some(below) = request.path.strip_prefix(API_PATH) {
            return self.api(request, below);
        }
        if path == "/sandbox" || path.starts_with("/sandbox/") {
            return control::answer(self, request);
        }
        match addresses::operator_of(path) {
            Some(operator) if request.method == "GET" => {
                *self.echoes.entry(operator.to_owned()).or_default() += 1;
                let clock = (self.now, self.stamp());
                addresses::answer(operator, request, &self.addresses, &mut self.faults, clock)
            }
            _ => Reply::text(404, "There is nothing here; see GET /sandbox.\n"),
        }
    }
}
