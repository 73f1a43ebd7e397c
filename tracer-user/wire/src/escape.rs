//! Hostile text for a terminal. Process names, paths and socket names are chosen by whoever is traced; a terminal
//! obeys control characters (ECMA-48) and reorders text at bidirectional ones (Unicode Annex 9).

use core::fmt::{self, Write as _};

/// Shows bytes so that a terminal only prints them: control and bidirectional characters, bytes that are no UTF-8,
/// and the backslash itself come as escapes.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(c))?,
                    _ if acts_on_terminals(c) => write!(f, "\\u{{{:04x}}}", u32::from(c))?,
                    _ => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// C1 controls, line separators, and the characters that change the direction of text.
const fn acts_on_terminals(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        for (bytes, text) in [
            (&b"nginx"[..], "nginx"),
            (b"\x1b[2J\x07\n\t\0", "\\x1b[2J\\x07\\x0a\\x09\\x00"),
            (b"\x7f", "\\x7f"),
            ("\u{9b}31m".as_bytes(), "\\u{009b}31m"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{61c}".as_bytes(), "a\\u{202e}b\\u{2066}c\\u{200f}d\\u{061c}"),
            ("\u{2028}\u{2029}".as_bytes(), "\\u{2028}\\u{2029}"),
            (b"\xff\xc3", "\\xff\\xc3"),
            (b"C:\\x1b", "C:\\\\x1b"),
            ("größe ← 日本".as_bytes(), "größe ← 日本"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), text);
        }
    }

    #[test]
    fn no_byte_gets_through_as_a_control() {
        for high in 0..=u8::MAX {
            for low in 0..=u8::MAX {
                let text = Escaped(&[high, low]).to_string();
                assert!(!text.chars().any(char::is_control), "{high:02x} {low:02x}");
            }
        }
    }
}
