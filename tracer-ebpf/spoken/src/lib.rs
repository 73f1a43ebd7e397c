//! What is spoken on a connection, told from its first bytes.
//!
//! The kernel programs run this code on the caller's memory, tests run it on byte vectors. Of a call it looks at
//! [`LOOK`] bytes at most, and what it keeps between two calls is a state: numbers that say how far it has come, never a byte
//! that it saw.
//!
//! - The side that connected says first what is spoken, in what it writes or what the other side reads. An automaton
//!   reads these bytes; its states are rows ([`Phrase`](tracer_abi::Phrase)) that user space makes.
//! - Of a TLS record with a ClientHello the fields that lead to the server's name are read, and nothing between them.
//! - On an HTTP/1 connection the same automaton reads the beginning of what is said first after each request.
#![no_std]
#![forbid(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "in the kernel a call is a function of its own to the verifier, which then forgets what it knew of the arguments"
)]
#![expect(clippy::cast_possible_truncation, reason = "every narrowed length was bounded right before")]

mod ear;
mod hello;

pub use ear::{Cursor, Heard, Named, begin, counts, hear, hears, overheard};

use tracer_abi::Protocol;

/// Bytes that are looked at of a call, at most.
pub const LOOK: u32 = 64;

/// Bytes that are read at once, at most.
pub const CHUNK: u32 = 8;

/// Steps through a part of a call, at most: chunks of the automaton, and fields, each of a byte or more.
pub const STEPS: u32 = 32;

/// States from here on end the automaton.
pub const VERDICT: u8 = 224;
/// Its first state for what the side that connected says.
pub const FIRST: u8 = 0;
/// Its first state for an answer in HTTP/1.
pub const ANSWER: u8 = 1;

/// The state that says which protocol it is.
#[must_use]
pub const fn verdict(protocol: Protocol) -> u8 {
    VERDICT + protocol.0
}

/// An answer that does not end the request (RFC 9110, section 15.2): another follows.
pub const INTERIM: u8 = VERDICT + 16;
/// An answer that switches nothing, or none.
pub const ORDINARY: u8 = VERDICT + 17;
/// An answer that switches the connection, to what is not within the bytes that are looked at.
pub const SWITCHED: u8 = VERDICT + 18;

/// The bytes of a call, and the automaton's rows.
pub trait Bytes {
    /// Reads `len` bytes, [`CHUNK`] at most, at an address; the rest is 0. `None` where they cannot be read.
    fn chunk(&mut self, at: u64, len: u32) -> Option<[u8; 8]>;

    /// The state after a byte.
    fn next(&self, state: u8, byte: u8) -> u8;

    /// The state where no further byte will be looked at.
    fn cut(&self, state: u8) -> u8;
}
