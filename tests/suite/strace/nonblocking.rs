//! Which sockets are non-blocking, from the calls in strace's log alone: of the calls that set `O_NONBLOCK` a line tells
//! those that change it. The flag is the open file's, and a socket has one open file, which its inode names here.

use super::{
    log::{Call, Outcome},
    text::inside,
};
use std::collections::BTreeMap;

/// The flag of every socket that was seen to be made.
#[derive(Clone, Debug, Default)]
pub(super) struct NonBlocking {
    sockets: BTreeMap<String, bool>,
}

/// What a call does to `O_NONBLOCK` of a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sets {
    /// Nothing, or of no socket.
    Nothing,
    /// It is set or cleared.
    To(bool),
    /// It is set or cleared, but may have been so before: who made the socket is not in the log.
    Perhaps(bool),
}

impl NonBlocking {
    /// Takes in a call, in the order of the log, and says what it does.
    pub(super) fn see(&mut self, call: &Call) -> Sets {
        let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
        let returned = matches!(call.outcome, Outcome::Returned(_));
        let flags = match call.name.as_str() {
            "socket" | "socketpair" => arg(1),
            "accept4" => arg(3),
            "accept" => "",
            "fcntl" if arg(1) == "F_SETFL" => {
                return self.set(arg(0), arg(2).contains("O_NONBLOCK"), returned);
            }
            "ioctl" if arg(1) == "FIONBIO" => return self.set(arg(0), arg(2) != "[0]", returned),
            _ => return Sets::Nothing,
        };
        if returned {
            let made = match call.name.as_str() {
                "socketpair" => inside(arg(3)).unwrap_or_default(),
                // `) = 7<socket:[123]>`
                _ => call.text.rsplit(" = ").next().map(str::to_owned).into_iter().collect(),
            };
            for socket in made.iter().filter_map(|text| inode(text)) {
                self.sockets.insert(socket.to_owned(), flags.contains("SOCK_NONBLOCK"));
            }
        }
        Sets::Nothing
    }

    fn set(&mut self, descriptor: &str, to: bool, returned: bool) -> Sets {
        let Some(socket) = inode(descriptor) else { return Sets::Nothing };
        let before = self.sockets.get(socket).copied();
        if returned {
            self.sockets.insert(socket.to_owned(), to);
        }
        match before {
            None => Sets::Perhaps(to),
            Some(before) if before == to => Sets::Nothing,
            Some(_) => Sets::To(to),
        }
    }
}

/// The inode in `3<socket:[123]>`.
pub(super) fn inode(descriptor: &str) -> Option<&str> {
    descriptor.split_once("<socket:[")?.1.strip_suffix("]>")
}

#[cfg(test)]
mod tests {
    use super::{super::log::Log, NonBlocking, Sets};

    #[test]
    fn a_call_that_leaves_the_flag_as_it_was_sets_nothing() {
        let log = "\
7 1.0 socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_IP) = 3<socket:[1]>
7 1.0 fcntl(3<socket:[1]>, F_SETFL, O_RDWR|O_NONBLOCK) = 0
8 1.0 ioctl(5<socket:[1]>, FIONBIO, [0]) = 0
7 1.0 fcntl(3<socket:[1]>, F_SETFL, O_RDWR|O_NONBLOCK) = 0
7 1.0 socketpair(AF_UNIX, SOCK_STREAM, 0, [4<socket:[2]>, 5<socket:[3]>]) = 0
7 1.0 ioctl(5<socket:[3]>, FIONBIO, [1]) = 0
7 1.0 fcntl(9<socket:[9]>, F_SETFL, O_RDWR) = 0
7 1.0 fcntl(1<pipe:[4]>, F_SETFL, O_RDWR|O_NONBLOCK) = 0
";
        let log = Log::read(log).unwrap();
        let mut sockets = NonBlocking::default();
        let sets: Vec<Sets> = log.calls.iter().map(|call| sockets.see(call)).collect();
        let nothing = || Sets::Nothing;
        assert_eq!(
            sets,
            [
                nothing(),
                nothing(),
                Sets::To(false),
                Sets::To(true),
                nothing(),
                Sets::To(true),
                Sets::Perhaps(false),
                nothing()
            ]
        );
    }
}
