//! Listens to the bytes of calls, one part of a call's memory after the other.

use crate::{
    ANSWER, Bytes, CHUNK, FIRST, INTERIM, LOOK, ORDINARY, SWITCHED, VERDICT,
    hello::{self, SESSION},
    verdict,
};
use tracer_abi::{PEEKED_ACCEPTED, Peeked, Protocol};

/// The automaton reads what the side that connected says.
const SPEAKS: u8 = 0;
/// HTTP/1 is spoken, and the side that connected has to say something.
const REQUEST: u8 = 1;
/// HTTP/1 is spoken, and the automaton reads the answer.
const RESPONSE: u8 = 2;

/// A part of a call's memory, and how far it was looked at.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Address of what is left.
    pub at: u64,
    /// Bytes that are left.
    pub len: u64,
    /// Bytes of the call that may still be looked at, in this part and others.
    pub left: u32,
    /// Set where the call has other bytes behind this part, which will not be given.
    pub more: u32,
}

impl Cursor {
    /// Passes over some bytes.
    #[inline(always)]
    pub(crate) const fn pass(&mut self, bytes: u64) {
        self.at += bytes;
        self.len -= bytes;
    }
}

/// What was heard of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What is spoken, once that is known.
    pub told: Option<Protocol>,
    /// It was concluded.
    pub inferred: bool,
    /// The server's name.
    pub named: Named,
    /// Nothing more is looked at of this call.
    pub enough: bool,
    /// Nothing more is looked at on this connection.
    pub done: bool,
}

/// Where the name is that a ClientHello asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its address.
    pub at: u64,
    /// Bytes of it that may be looked at; 0 where there is no name, or it is out of reach.
    pub len: u32,
    /// It goes on.
    pub cut: bool,
}

impl Named {
    /// No name.
    pub const NOT: Self = Self { at: 0, len: 0, cut: false };
}

impl Heard {
    /// Nothing yet.
    pub(crate) const NOTHING: Self =
        Self { told: None, inferred: false, named: Named::NOT, enough: false, done: false };

    /// Nothing of this call.
    const ENOUGH: Self = Self { enough: true, ..Self::NOTHING };

    /// The last word about a connection.
    #[inline(always)]
    pub(crate) const fn last(protocol: Protocol) -> Self {
        Self { told: Some(protocol), inferred: false, named: Named::NOT, enough: true, done: true }
    }
}

/// A connection begins.
#[must_use]
#[inline(always)]
pub const fn begin(ino: u64, accepted: bool) -> Peeked {
    Peeked {
        ino,
        said: 0,
        skip: 0,
        extent: 0,
        state: FIRST,
        stage: SPEAKS,
        seen: 0,
        flags: if accepted { PEEKED_ACCEPTED } else { 0 },
        reserved: 0,
    }
}

/// Whether a call's bytes are those of the side that connected.
#[inline(always)]
const fn is_first_side(peeked: &Peeked, incoming: bool) -> bool {
    incoming == (peeked.flags & PEEKED_ACCEPTED != 0)
}

/// Whether a call in that direction matters.
#[must_use]
#[inline(always)]
pub const fn hears(peeked: &Peeked, incoming: bool) -> bool {
    match peeked.stage {
        RESPONSE => !is_first_side(peeked, incoming),
        _ => is_first_side(peeked, incoming),
    }
}

/// Whether the place of the bytes in the stream matters: nobody must have taken any before.
#[must_use]
#[inline(always)]
pub const fn counts(peeked: &Peeked) -> bool {
    !matches!(peeked.stage, REQUEST | RESPONSE)
}

/// A call moved bytes that are nowhere to be looked at, or some were moved that no call told of.
#[must_use]
#[inline(always)]
pub const fn overheard(peeked: &mut Peeked) -> Heard {
    match peeked.stage {
        REQUEST => {
            expect(peeked);
            Heard::ENOUGH
        }
        RESPONSE => {
            peeked.stage = REQUEST;
            Heard::ENOUGH
        }
        _ => Heard::last(Protocol::UNKNOWN),
    }
}

/// The next that is said on the other side is an answer.
#[inline(always)]
const fn expect(peeked: &mut Peeked) {
    peeked.stage = RESPONSE;
    peeked.state = ANSWER;
    peeked.seen = 0;
}

/// Takes one step through a part of a call's memory: a chunk for the automaton, or a field of a ClientHello. `None`: take
/// another step.
#[must_use]
#[inline(always)]
pub fn hear(peeked: &mut Peeked, cursor: &mut Cursor, bytes: &mut impl Bytes) -> Option<Heard> {
    match peeked.stage {
        REQUEST => Some(overheard(peeked)),
        SPEAKS | RESPONSE => read(peeked, cursor, bytes),
        _ => hello::field(peeked, cursor, bytes),
    }
}

/// Lets the automaton read a chunk.
#[inline(always)]
fn read(peeked: &mut Peeked, cursor: &mut Cursor, bytes: &mut impl Bytes) -> Option<Heard> {
    let mut want = if cursor.len < u64::from(CHUNK) { cursor.len as u32 } else { CHUNK };
    for most in [cursor.left, LOOK.saturating_sub(peeked.seen.into())] {
        if most < want {
            want = most;
        }
    }
    let mut state = peeked.state;
    if want > 0 {
        let Some(chunk) = bytes.chunk(cursor.at, want) else { return Some(overheard(peeked)) };
        let mut read = 0_u8;
        for byte in chunk {
            if u32::from(read) >= want || state >= VERDICT {
                break;
            }
            state = bytes.next(state, byte);
            read += 1;
        }
        peeked.seen += read;
        cursor.left -= want;
        cursor.pass(read.into());
    }
    if state < VERDICT {
        let room = u32::from(peeked.seen) < LOOK;
        if room && (cursor.len > 0 && cursor.left > 0 || cursor.len == 0 && cursor.more == 0) {
            peeked.state = state;
            return if cursor.len > 0 { None } else { Some(Heard::NOTHING) };
        }
        state = bytes.cut(state);
    }
    peeked.state = state;
    if peeked.stage == RESPONSE {
        return Some(answered(peeked));
    }
    if state == verdict(Protocol::HTTP1) {
        expect(peeked);
        return Some(Heard { done: false, ..Heard::last(Protocol::HTTP1) });
    }
    if state != verdict(Protocol::TLS) {
        return Some(Heard::last(Protocol(state.wrapping_sub(VERDICT))));
    }
    peeked.stage = SESSION;
    peeked.skip = hello::BEFORE_SESSION;
    None
}

/// What an answer's beginning means.
#[inline(always)]
fn answered(peeked: &mut Peeked) -> Heard {
    match peeked.state {
        INTERIM => {
            expect(peeked);
            Heard::ENOUGH
        }
        ORDINARY => {
            peeked.stage = REQUEST;
            Heard::ENOUGH
        }
        SWITCHED => Heard { inferred: true, ..Heard::last(Protocol::WEBSOCKET) },
        state => Heard::last(Protocol(state.wrapping_sub(VERDICT))),
    }
}
