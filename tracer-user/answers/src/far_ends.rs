//! The other ends of connections, where this host has them and their process is followed.

use std::collections::HashMap;
use tracer_model::{entity::Socket, facing::Ends};

/// Sockets by their ends.
pub(crate) struct FarEnds<'a>(HashMap<Ends, &'a Socket>);

impl<'a> FarEnds<'a> {
    /// Looked for among these, in the order in which they came; of several with the same addresses the newest.
    pub(crate) fn among(sockets: impl Iterator<Item = &'a Socket>) -> Self {
        Self(sockets.filter_map(|socket| Some((Ends::of(socket)?, socket))).collect())
    }

    /// The socket whose addresses are this one's, the other way round.
    pub(crate) fn of(&self, socket: &Socket) -> Option<&'a Socket> {
        self.0.get(&Ends::of(socket)?.facing()).copied()
    }
}
