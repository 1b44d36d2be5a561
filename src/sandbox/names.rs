//! Names of records and zones in the form in which Cloudflare keeps them.
//!
//! Deliberately unknown: whose they are, and what they hold.

/// The name as it is kept: completed with the zone's name where it does not end in it, which is no
/// error; lower case, punycode, without the trailing dot. `None` if it can be no name.
pub(super) fn full_name(text: &str, zone: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return None;
    }
    if text == "@" {
        return Some(zone.to_owned());
    }
    let ascii = to_ascii(text)?;
    let within = ascii.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let full = if within { ascii } else { format!("{ascii}.{zone}") };
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_graphic() && b != b'@' && b != b'/')
    };
    (full.len() <= 253 && full.split('.').all(label_fits)).then_some(full)
}

/// Label by label, so that a `*` or an underscore beside a Unicode label does no harm.
pub(super) fn to_ascii(name: &str) -> Option<String> {
    let ascii = |label: &str| {
        let plain = label.is_ascii().then(|| label.to_ascii_lowercase());
        plain.or_else(|| idna::domain_to_ascii(label).ok())
    };
    let labels: Option<Vec<String>> = name.split(['.', '。']).map(ascii).collect();
    labels.map(|labels| labels.join("."))
}
