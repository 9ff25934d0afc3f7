//! Names of files for people and for programs.

use std::fmt::{self, Write};
use std::path::Path;

/// A path in one line of plain text: line breaks, escape sequences and everything else that a terminal would obey are written
/// as `\n`, `\u{1b}` and so on, bytes that are no UTF-8 as `\xff`. Other characters stay as they are.
///
/// ```
/// use riptide_files::shown;
///
/// assert_eq!(shown("a/b.png").to_string(), "a/b.png");
/// assert_eq!(shown("a\n\u{1b}[31m.png").to_string(), "a\\n\\u{1b}[31m.png");
/// ```
pub fn shown<P: AsRef<Path> + ?Sized>(path: &P) -> Shown<'_> {
    Shown(path.as_ref())
}

/// What [`shown`] returns.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(&'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_os_str().as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_obeyed(c) {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    f.write_char(c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal acts on a character in place of showing it: control characters, line and paragraph separators, marks
/// that turn the direction of writing.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

/// The bytes of a path in lower-case hexadecimal if they are not UTF-8; `None` if the path can be written as text, as nearly
/// all can. JSON holds text only, so that results put these bytes beside the name.
///
/// ```
/// assert_eq!(riptide_files::bytes_beside("a/b.png"), None);
/// ```
pub fn bytes_beside<P: AsRef<Path> + ?Sized>(path: &P) -> Option<String> {
    let path = path.as_ref();
    match path.to_str() {
        Some(_) => None,
        None => Some(
            path.as_os_str()
                .as_encoded_bytes()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        let name = "x\r\n\u{1b}]0;title\u{7}\u{9b}\u{202e}\u{2028}é 画.png";
        assert_eq!(
            shown(name).to_string(),
            "x\\r\\n\\u{1b}]0;title\\u{7}\\u{9b}\\u{202e}\\u{2028}é 画.png"
        );
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_told() {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
        assert_eq!(shown(name).to_string(), "caf\\xe9.png");
        assert_eq!(bytes_beside(name).unwrap(), "636166e92e706e67");
    }
}
