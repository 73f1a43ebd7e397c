//! Records as values of maps and globals.

use tracer_abi::{
    Asked, Config, Entry, Follow, InFlight, Listener, ListenerRow, LookWanted, Offsets, Phrase, Sleeping,
    Tracked,
};

/// A record that aya may copy byte for byte.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct PodOf<T>(pub(crate) T);

macro_rules! pods {
    ($($record:ty),*) => {$(
        // SAFETY: a record of `tracer-abi` is `repr(C)`, `Copy`, made of integers alone and has no padding, which that
        // crate asserts; any bytes are a valid value of it.
        unsafe impl aya::Pod for PodOf<$record> {}
    )*};
}

pods!(
    Asked,
    Config,
    Entry,
    Follow,
    InFlight,
    Listener,
    ListenerRow,
    LookWanted,
    Offsets,
    Phrase,
    Sleeping,
    Tracked
);
