//! Reading the configuration file, and the file that its `ca-file` names: the only part of `config`
//! that touches the world.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::mistake::Mistakes;
use crate::http::{Authorities, BadPem};
use crate::small_file::{self, FileError};

/// No configuration is longer than this.
const MOST_BYTES: usize = 1 << 20;

/// Reads a configuration file: UTF-8 text of at most 1 MiB.
///
/// # Errors
/// It is missing, a folder, unreadable, too long or not text; with its path and the system's words.
pub fn read_file(path: &Path) -> Result<String, Mistakes> {
    let name = path.display().to_string();
    // A pipe is waited for.
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "create it, or name another with --config".to_owned(),
            io::ErrorKind::PermissionDenied => {
                format!("let the user that stayput runs as read it: chown or chmod {name}")
            }
            io::ErrorKind::IsADirectory => "name the file in it".to_owned(),
            _ => "see what is wrong with the file or its file system".to_owned(),
        };
        Mistakes::about(&name, &format!("the configuration cannot be read: {error}"), &remedy)
    })?;
    if bytes.len() > MOST_BYTES {
        let what = "the file is longer than 1 MiB, so it is not a configuration";
        return Err(Mistakes::about(&name, what, "name the right file with --config"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Mistakes::about(&name, "the file is saved as UTF-16", "save it as UTF-8"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let what = format!("the file is not UTF-8 text: line {line} has a byte that cannot be read");
        Mistakes::about(&name, &what, "save it as UTF-8")
    })
}

/// As [`read_file`], for a program that is at work already. A pipe may be read at the start, by one who waits
/// for its writer; here it could hold up the work for ever.
///
/// # Errors
/// As [`read_file`]; or there is something that has no end, or has been read.
pub fn reread_file(path: &Path) -> Result<String, Mistakes> {
    let kind = std::fs::metadata(path).map(|there| there.file_type());
    if kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device() || kind.is_socket()) {
        let name = path.display().to_string();
        let what = "the configuration cannot be read again: this is a pipe or a device";
        return Err(Mistakes::about(&name, what, "name a file to be able to reload it"));
    }
    read_file(path)
}

/// Reads a PEM file of certificate authorities.
///
/// # Errors
/// What is wrong with it, and what to do about it.
pub(super) fn authorities(path: &Path) -> Result<Authorities, (String, String)> {
    const OTHER: &str = "name a PEM file with the authorities' certificates";
    let bytes = small_file::read(path, MOST_BYTES).map_err(|error| {
        let name = path.display();
        let (why, remedy) = match error {
            FileError::TooLong => {
                let remedy = "leave only the certificates in it that are needed".to_owned();
                return (format!("{name} is longer than 1 MiB"), remedy);
            }
            FileError::NotAFile => ("it is no file".to_owned(), OTHER.to_owned()),
            FileError::System(error) => (
                error.to_string(),
                match error.kind() {
                    io::ErrorKind::NotFound => "name the file that has them, or take ca-file out".to_owned(),
                    io::ErrorKind::PermissionDenied => {
                        format!(
                            "let the user that stayput runs as read it: chmod a+r {name} (it holds no secret)"
                        )
                    }
                    _ => OTHER.to_owned(),
                },
            ),
        };
        (format!("{name} cannot be read: {why}"), remedy)
    })?;
    Authorities::with(&bytes).map_err(|bad| {
        let remedy = match bad {
            BadPem::Binary => format!("turn it into PEM: openssl x509 -inform der -in {} -out FILE", path.display()),
            _ => "put the authorities' certificates into it, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----".to_owned(),
        };
        (bad.to_string(), remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_writes_to_is_not_waited_for_when_it_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for endless in [path.as_path(), Path::new("/dev/null")] {
            let refusal = reread_file(endless).unwrap_err().to_string();
            assert!(refusal.contains(endless.to_str().unwrap()) && refusal.contains("a pipe"), "{refusal}");
        }
        let file = folder.path().join("x.toml");
        std::fs::write(&file, "text").unwrap();
        assert_eq!(reread_file(&file).unwrap(), "text");
    }

    fn refusal(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        std::fs::write(&path, content).unwrap();
        let refusal = read_file(&path).unwrap_err().to_string();
        assert!(refusal.contains("x.toml: "), "{refusal}");
        refusal
    }

    #[test]
    fn a_missing_file_and_a_folder_are_named_with_the_systems_number() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read_file(&folder.path().join("none.toml")).unwrap_err().to_string();
        assert!(missing.contains("none.toml") && missing.contains("(os error 2)"), "{missing}");
        let folder = read_file(folder.path()).unwrap_err().to_string();
        assert!(folder.contains("(os error 21)") && folder.contains("name the file in it"), "{folder}");
    }

    #[test]
    fn what_is_not_a_text_is_refused_in_words() {
        assert!(refusal(&[b'a', b'\n', 0xff]).contains("line 2"));
        assert!(refusal(&[0xff, 0xfe, b'a', 0]).contains("UTF-16"));
        assert!(refusal(&vec![b'#'; (1 << 20) + 1]).contains("1 MiB"));
    }

    #[test]
    fn a_file_of_the_greatest_length_is_read_and_no_byte_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        std::fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
        assert_eq!(read_file(&path).unwrap().len(), 1 << 20);
        // Endless, but read to the limit only.
        let endless = read_file(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(endless.contains("1 MiB"), "{endless}");
    }
}
