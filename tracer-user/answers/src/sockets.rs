//! Sockets at an instant, and who holds them.

use crate::{
    caveat::Caveat,
    holders::Holder,
    view::{View, phase},
};
use std::borrow::Cow;
use tracer_model::{
    address::family,
    entity::{Phase, Socket},
};

/// What is asked for; with nothing set, every socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, each by itself")]
pub struct Wanted {
    /// Only those that take connections, and datagram sockets without a peer.
    pub listening: bool,
    /// TCP.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
    /// AF_UNIX.
    pub unix: bool,
}

/// Sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sockets<'a> {
    /// In the order in which they were first seen.
    pub sockets: Vec<Row<'a>>,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// A socket and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The socket, as it was.
    pub socket: Cow<'a, Socket>,
    /// Who holds it; nobody while it waits in an accept queue, or is brought to an end by the kernel.
    pub holders: Vec<Holder<'a>>,
}

/// `IPPROTO_TCP`, `IPPROTO_UDP` (include/uapi/linux/in.h).
const TCP: u16 = 6;
const UDP: u16 = 17;
/// `SOCK_DGRAM`.
const DGRAM: u16 = 2;

impl Wanted {
    fn fits(self, socket: &Socket) -> bool {
        let kind = socket.kind;
        let internet = [family::INET, family::INET6].contains(&kind.family);
        let any = !self.tcp && !self.udp && !self.unix;
        let family = any
            || (self.tcp && internet && kind.protocol == TCP)
            || (self.udp && internet && kind.protocol == UDP)
            || (self.unix && kind.family == family::UNIX);
        let waits = match phase(socket) {
            Phase::Listening => true,
            Phase::Bound => kind.ty == DGRAM,
            _ => false,
        };
        family && (waits || !self.listening)
    }
}

/// The sockets at the view's instant.
#[must_use]
pub fn sockets<'a>(view: &View<'a>, wanted: Wanted) -> Sockets<'a> {
    let here = view.session().sockets().filter_map(|socket| view.socket(socket));
    let here: Vec<_> = here.filter(|socket| wanted.fits(socket)).collect();
    let holders = view.holders(|_| true);
    let rows = here.into_iter().map(|socket| Row { holders: holders.of(view, socket.id).0, socket });
    Sockets { sockets: rows.collect(), caveats: view.caveats([]) }
}
