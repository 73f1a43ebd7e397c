//! Random names, and the daemon's token.

use crate::cli::Door;
use anyhow::{Context as _, Result, ensure};
use std::{fs::File, io::Read as _, path::Path};

/// Length below which a token could be guessed.
const TOKEN_MIN: usize = 16;
/// Length above which a file holds something else.
const TOKEN_MAX: usize = 256;

/// Identity of a session: no two are alike.
pub(crate) fn identity() -> Result<String> {
    Ok(format!("{:016x}", u64::from_ne_bytes(random()?)))
}

/// What opens the door.
pub(crate) struct Token {
    pub(crate) text: String,
    /// Nobody but us knows it, so it is printed.
    pub(crate) made_up: bool,
}

impl Token {
    /// The token in the user's file, or a new one.
    pub(crate) fn new(door: &Door) -> Result<Self> {
        match &door.token_file {
            Some(path) => Self::read(path),
            None => Ok(Self { text: format!("{:032x}", u128::from_ne_bytes(random()?)), made_up: true }),
        }
    }

    /// The token in a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(TOKEN_MAX as u64 + 2).read_to_string(&mut text))
            .with_context(|| format!("cannot read the token file {shown}"))?;
        let text = text.trim_end();
        let fits = (TOKEN_MIN..=TOKEN_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        ensure!(
            fits,
            "the token file {shown} does not hold {TOKEN_MIN} to {TOKEN_MAX} letters, digits or -._~: \
             `openssl rand -hex 16 > {shown}` makes one"
        );
        Ok(Self { text: text.to_owned(), made_up: false })
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the kernel gives no random bytes")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Token, identity};
    use crate::cli::Door;
    use std::fs;

    #[test]
    fn names_are_long_and_never_the_same() {
        let (a, b) = (identity().unwrap(), identity().unwrap());
        assert_eq!((a.len(), b.len()), (16, 16));
        assert_ne!(a, b);
        let door = Door { token_file: None };
        let (a, b) = (Token::new(&door).unwrap(), Token::new(&door).unwrap());
        assert_eq!((a.text.len(), a.made_up), (32, true));
        assert_ne!(a.text, b.text);
    }

    #[test]
    fn a_token_file_holds_one_word_that_cannot_be_guessed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let token = |content: &str| {
            fs::write(&file, content).unwrap();
            Token::new(&Door { token_file: Some(file.clone()) }).map(|token| (token.text, token.made_up)).ok()
        };
        assert_eq!(token("0123456789abcdef\n"), Some(("0123456789abcdef".to_owned(), false)));
        assert_eq!(token("0123456789abcde\n"), None);
        assert_eq!(token("0123456789 abcdef"), None);
        assert_eq!(token(&"a".repeat(257)), None);
        assert_eq!(token(""), None);
    }
}
