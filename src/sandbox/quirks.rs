//! What nobody has seen Cloudflare do for certain, as switches with the likelier behaviour as default.

use std::time::Duration;

/// Behaviour that is not documented, or of which different reports exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// How validation errors are shaped. Default: each as it was last reported.
    pub error_shape: ErrorShape,
    /// Status and code for a record that is not there. Default 404 and 81044; 400 and 1002 in 2017.
    pub missing_record: (u16, i64),
    /// The code for a record that is there already. Default 81058; 81057 in older answers.
    pub duplicate_code: i64,
    /// The status for a path that leads nowhere. Default 400; one recorded answer has 404.
    pub unroutable_status: u16,
    /// The status for an unknown token on a zone's records, with code 10000. Default 401; 403 was seen.
    pub unknown_token_status: u16,
    /// Whether a token with DNS:Edit alone may list zones. Default: yes.
    pub dns_edit_lists_zones: bool,
    /// Whether verification calls a disabled or expired token unknown. Default: no, it says its status.
    pub verify_hides_inactive: bool,
    /// After so many bad credentials in 300 s all of them get "Max auth failures". Default: never.
    pub auth_failures: Option<u32>,
    /// Whether a wrong content type is refused before the DNS service sees it (6003, 6105). Default: no, 9207.
    pub content_type_at_gateway: bool,
    /// The status for a zone that the caller does not see: 403, or 404 with code 7003. Default 403.
    pub unknown_zone_status: u16,
    /// Whether a page size out of range is taken as the nearest one. Default: yes; the schema refuses it.
    pub clamps_page_size: bool,
    /// The most records on a page. Default 5,000,000, as in the schema.
    pub most_records_per_page: usize,
    /// Whether an IPv4-mapped AAAA content is refused. Default: no.
    pub refuses_mapped_ipv6: bool,
    /// Whether a record's type is fixed, as in 2016. Default: no.
    pub refuses_type_change: bool,
    /// Whether a write that changes nothing moves `modified_on`. Default: yes.
    pub idle_writes_touch: bool,
    /// Whether a batch is checked for duplicates only when all of it is done, so that two records can swap
    /// their contents. Default: no, step by step.
    pub batch_checks_at_end: bool,
    /// How old what lists show may be. Default: not at all.
    pub stale_list: Duration,
    /// How long a CNAME deleted by an earlier request is still in the way. Default: not at all.
    pub cname_lag: Duration,
}

/// How a validation error is shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorShape {
    /// Each as it was last reported: some plain, some inside the chain of 1004.
    AsRecorded,
    /// All plain.
    Plain,
    /// All inside the chain of 1004.
    Wrapped,
}

impl Default for Quirks {
    fn default() -> Quirks {
        Quirks {
            error_shape: ErrorShape::AsRecorded,
            missing_record: (404, 81_044),
            duplicate_code: 81_058,
            unroutable_status: 400,
            unknown_token_status: 401,
            dns_edit_lists_zones: true,
            verify_hides_inactive: false,
            auth_failures: None,
            content_type_at_gateway: false,
            unknown_zone_status: 403,
            clamps_page_size: true,
            most_records_per_page: 5_000_000,
            refuses_mapped_ipv6: false,
            refuses_type_change: false,
            idle_writes_touch: true,
            batch_checks_at_end: false,
            stale_list: Duration::ZERO,
            cname_lag: Duration::ZERO,
        }
    }
}
