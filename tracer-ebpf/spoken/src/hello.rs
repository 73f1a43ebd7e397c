//! The way to the server's name in a ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3): lengths are read, what they
//! count is passed over.

use crate::{
    Bytes,
    ear::{Cursor, Heard, Named},
};
use tracer_abi::{Peeked, Protocol};

/// Bytes between the type of the handshake message, at which the automaton knows it, and the session's length: the message's
/// length, the version and the random.
pub(crate) const BEFORE_SESSION: u32 = 3 + 2 + 32;

/// Which field is next.
pub(crate) const SESSION: u8 = 3;
const CIPHERS: u8 = 4;
const COMPRESSION: u8 = 5;
const EXTENSIONS: u8 = 6;
const EXTENSION: u8 = 7;
const NAME: u8 = 8;

/// Type of the extension with the name, and of a name that is a host's.
const SERVER_NAME: u32 = 0;
const HOST_NAME: u32 = 0;

/// TLS, without a name.
const NAMELESS: Heard = Heard::last(Protocol::TLS);

/// Reads the next field.
#[inline(always)]
pub(crate) fn field(peeked: &mut Peeked, cursor: &mut Cursor, bytes: &mut impl Bytes) -> Option<Heard> {
    let size = match peeked.stage {
        CIPHERS | EXTENSIONS => 2,
        EXTENSION => 4,
        NAME => 3,
        _ => 1,
    };
    let skip = u64::from(peeked.skip);
    if skip >= cursor.len {
        if cursor.more != 0 {
            return Some(NAMELESS);
        }
        // The field is in what follows.
        peeked.skip -= cursor.len as u32;
        cursor.pass(cursor.len);
        return Some(Heard::NOTHING);
    }
    cursor.pass(skip);
    if cursor.len < u64::from(size) || cursor.left < size {
        return Some(NAMELESS);
    }
    let Some([a, b, c, d, ..]) = bytes.chunk(cursor.at, size) else { return Some(NAMELESS) };
    cursor.left -= size;
    cursor.pass(size.into());
    let (high, low) = (u32::from(a) << 8 | u32::from(b), u32::from(c) << 8 | u32::from(d));
    match peeked.stage {
        SESSION => (peeked.skip, peeked.stage) = (a.into(), CIPHERS),
        CIPHERS => (peeked.skip, peeked.stage) = (high, COMPRESSION),
        COMPRESSION => (peeked.skip, peeked.stage) = (a.into(), EXTENSIONS),
        EXTENSIONS => {
            (peeked.skip, peeked.stage) = (0, EXTENSION);
            peeked.extent = high;
        }
        // Of a list of names the first counts; before it is the list's length.
        EXTENSION if high == SERVER_NAME => (peeked.skip, peeked.stage) = (2, NAME),
        EXTENSION => {
            peeked.skip = low;
            peeked.extent = peeked.extent.saturating_sub(4 + low);
        }
        _ if u32::from(a) == HOST_NAME => {
            let name = u32::from(b) << 8 | u32::from(c);
            let here = if cursor.len < u64::from(cursor.left) { cursor.len as u32 } else { cursor.left };
            let len = if name < here { name } else { here };
            return Some(Heard { named: Named { at: cursor.at, len, cut: len < name }, ..NAMELESS });
        }
        _ => return Some(NAMELESS),
    }
    // An extension takes four bytes at least.
    (peeked.stage == EXTENSION && peeked.extent < 4).then_some(NAMELESS)
}
