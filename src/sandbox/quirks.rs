//! What nobody has seen Cloudflare do for certain, as switches with the likelier behaviour as default.

/// Behaviour that is not documented, or of which different reports exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The status for an unknown token on a zone's records, with code 10000. Default 401; 403 was seen.
    pub unknown_token_status: u16,
    /// Whether a token with DNS:Edit alone may list zones. Default: yes.
    pub dns_edit_lists_zones: bool,
    /// Whether verification calls a disabled or expired token unknown. Default: no, it says its status.
    pub verify_hides_inactive: bool,
    /// After so many bad credentials in 300 s all of them get "Max auth failures". Default: never.
    pub auth_failures: Option<u32>,
    /// The status for a zone that the caller does not see: 403, or 404 with code 7003. Default 403.
    pub unknown_zone_status: u16,
    /// The most records on a page. Default 5,000,000, as in the schema.
    pub most_records_per_page: usize,
}

impl Default for Quirks {
    fn default() -> Quirks {
        Quirks {
            unknown_token_status: 401,
            dns_edit_lists_zones: true,
            verify_hides_inactive: false,
            auth_failures: None,
            unknown_zone_status: 403,
            most_records_per_page: 5_000_000,
        }
    }
}
