//! `cargo xtask tidy`: rules of the tree that no compiler checks.

use crate::shell::{output, root, timed};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::Path, process::Command};

/// From this many lines on a file has to be asked whether it is two.
const LONG_FILE_LINES: usize = 550;

/// Marks of unfinished work. Put together here, so that this file does not hold them.
const MARKS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("to", "do!"),
];

/// Directories of one machine. `/work` and `/root` are homes of nobody else.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// A library, and the only directory whose code names it.
const OWNERS: [(&str, &str); 2] = [("aya", "tracer-user/capture/"), ("axum", "tracer-user/serve/")];

/// Checks every file that git knows or would add.
pub(crate) fn run() -> Result<()> {
    timed("tidy", || {
        let listed = output(Command::new("git").current_dir(root()).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))
        .context("git cannot list the files")?;
        let mut faults = Vec::new();
        for path in listed.lines() {
            // A file that was just deleted is still listed, and a picture is no text.
            if let Ok(text) = fs::read_to_string(root().join(path)) {
                faults.extend(check(path, &text));
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        bail!("{} faults\n{}", faults.len(), faults.join("\n"))
    })
}

/// The faults of one file; a long file is only a warning.
fn check(path: &str, text: &str) -> Vec<String> {
    let generated =
        path.ends_with(".gen.ts") || path.ends_with("lock") || path.ends_with("package-lock.json");
    let code = ["rs", "ts", "css", "mjs", "html"].iter().any(|extension| is(path, extension));
    if generated || path.contains("LICENSE") {
        return Vec::new();
    }
    let lines = text.lines().count();
    if code && lines > LONG_FILE_LINES {
        eprintln!("warning: {path}: {lines} lines; is it two files?");
    }
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for found in MARKS.iter().chain(&MACHINE_PATHS).filter(|found| has_word(line, found)) {
            faults.push(format!("{path}:{number}: `{found}` has no place here"));
        }
        for (library, owner) in OWNERS {
            if is(path, "rs") && !path.starts_with(owner) && names_crate(line, library) {
                faults.push(format!("{path}:{number}: only {owner} names {library}"));
            }
        }
    }
    faults
}

fn is(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Whether `line` has `found` with no letter or digit before or after it.
fn has_word(line: &str, found: &str) -> bool {
    line.match_indices(found).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + found.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric)
            && (found.ends_with(['/', '!']) || !after.is_some_and(char::is_alphanumeric))
    })
}

/// Whether code in `line` reaches into that crate.
fn names_crate(line: &str, library: &str) -> bool {
    !line.trim_start().starts_with("//")
        && [format!("use {library}::"), format!("{library}::")].iter().any(|path| has_path(line, path))
}

fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_mark_is_found_as_a_word_only() {
        let mark = concat!("TO", "DO");
        assert_eq!(check("a.rs", &format!("// {mark}: later")).len(), 1);
        assert_eq!(check("a.rs", &format!("// {mark}S")).len(), 0);
    }

    #[test]
    fn a_machine_path_is_found_in_any_text() {
        let path = concat!("/wo", "rk/x");
        assert_eq!(check("README.md", &format!("see {path}")).len(), 1);
        assert_eq!(check("README.md", &format!("net{path}")).len(), 0);
    }

    #[test]
    fn only_its_owner_names_a_library() {
        let line = concat!("use ax", "um::Router;");
        assert_eq!(check("tracer-user/src/main.rs", line).len(), 1);
        assert_eq!(check("tracer-user/serve/src/lib.rs", line).len(), 0);
        assert_eq!(check("tracer-user/src/main.rs", concat!("// ax", "um::Router is there")).len(), 0);
        assert_eq!(check("tracer-user/src/main.rs", concat!("my_ax", "um::Router")).len(), 0);
    }
}
