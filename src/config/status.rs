//! `[status]`: where a running daemon is asked what it knows.
//!
//! Deliberately unknown: where else it may listen, and who may ask.

use std::ops::Range;
use std::path::PathBuf;

use toml::de::DeTable;

use super::keys::{self, Key, Place};
use super::mistake::Findings;
use super::section::{self, Section, Text, Value};

/// Bytes of a Unix socket's path that the kernel takes (`sun_path` without its NUL).
const MOST_BYTES: usize = 107;

/// Reads the place of the socket, if it is stated.
pub(super) fn socket(findings: &mut Findings<'_>, table: (&DeTable<'_>, Range<usize>)) -> Option<PathBuf> {
    let section = Section::new(findings, Place::Status, table, &|_| false);
    section.read(&keys::SOCKET, findings, place)
}

fn place(findings: &mut Findings<'_>, key: &Key, value: &Value<'_>) -> Option<PathBuf> {
    let Text { text, at } = section::text(findings, key, value)?;
    let path = PathBuf::from(text.trim());
    if !path.is_absolute() {
        let what = "the daemon and `stayput status` may run in different folders, so this path leads nowhere";
        return findings.reject(at, what, format!("write the whole path, such as {}", key.example()));
    }
    if text.trim().len() > MOST_BYTES {
        let what = format!("a socket's path has {MOST_BYTES} bytes at most; this has {}", text.trim().len());
        return findings.reject(at, what, "put it into a folder with a shorter path");
    }
    Some(path)
}
