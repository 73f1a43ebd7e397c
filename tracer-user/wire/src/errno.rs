//! Names and meanings of error numbers (errno(3)), and of those that only the kernel and tracers see
//! (`include/linux/errno.h`).

use std::{borrow::Cow, io};
use syscalls::Errno;

/// Whether the number never reaches user space: the call ends as `EINTR` or runs again, and strace prints `?`.
#[must_use]
pub const fn is_internal(error: u32) -> bool {
    error >= 512
}

/// Name of an error number: `EADDRINUSE`; an unknown one is shown by number.
#[must_use]
pub fn name(error: u32) -> Cow<'static, str> {
    known(error).and_then(|errno| errno.name()).map_or_else(|| error.to_string().into(), Cow::from)
}

/// What an error number means, in strace's words: those of strerror(3), and its own for the internal ones.
#[must_use]
pub fn meaning(error: u32) -> Cow<'static, str> {
    match name(error).as_ref() {
        // strace's words: what it does depends on a signal that has not been delivered yet.
        "ERESTARTSYS" => "To be restarted if SA_RESTART is set".into(),
        "ERESTARTNOINTR" => "To be restarted".into(),
        "ERESTARTNOHAND" => "To be restarted if no handler".into(),
        "ERESTART_RESTARTBLOCK" => "Interrupted by signal".into(),
        _ => strerror(error).into(),
    }
}

fn strerror(error: u32) -> String {
    let text = io::Error::from_raw_os_error(i32::try_from(error).unwrap_or(i32::MAX)).to_string();
    // The standard library puts its own mark behind the C library's words.
    text.rsplit_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_owned()
}

fn known(error: u32) -> Option<Errno> {
    i32::try_from(error).ok().map(Errno::new)
}

#[cfg(test)]
mod tests {
    use super::{meaning, name};

    #[test]
    fn names_are_the_headers() {
        // /usr/include/asm-generic/errno.h and include/linux/errno.h.
        for (number, text) in [
            (11, "EAGAIN"),
            (98, "EADDRINUSE"),
            (104, "ECONNRESET"),
            (111, "ECONNREFUSED"),
            (115, "EINPROGRESS"),
            (512, "ERESTARTSYS"),
            (513, "ERESTARTNOINTR"),
            (514, "ERESTARTNOHAND"),
            (516, "ERESTART_RESTARTBLOCK"),
        ] {
            assert_eq!(name(number), text);
        }
        assert_eq!(name(4000), "4000");
        assert_eq!(name(u32::MAX), "4294967295");
    }

    #[test]
    fn meanings_are_strerrors() {
        assert_eq!(meaning(98), "Address already in use");
        assert_eq!(meaning(111), "Connection refused");
        assert_eq!(meaning(9), "Bad file descriptor");
        assert_eq!(meaning(512), "To be restarted if SA_RESTART is set");
        assert_eq!(meaning(4000), "Unknown error 4000");
    }
}
