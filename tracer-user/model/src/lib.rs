//! The model: from ordered inputs to events, and to the state of every process, descriptor and socket.
//!
//! Purity is the invariant of this crate: no I/O, no clock, no logging, no panic on input of any kind; time is an
//! argument. The same inputs give the same events, byte for byte, live or replayed.
//!
//! The way through: [`decode`] turns a kernel record into an [`Input`](input::Input); [`Session::ingest`](session::Session::ingest)
//! takes inputs in order and returns [`Event`](event::Event)s; [`entity`] holds what can be asked in between.
#![forbid(unsafe_code)]

pub mod address;
pub mod decode;
pub mod entity;
pub mod event;
pub mod explain;
pub mod facing;
pub mod history;
pub mod ids;
pub mod input;
pub mod names;
pub mod phrases;
pub mod session;
pub mod stacks;
pub mod syscall;

mod acceptors;
mod calls;
mod cgroups;
mod contents;
mod emptied;
mod kinds;
mod lifecycle;
mod lives;
mod loss;
mod offcpu;
mod passes;
mod pending;
mod processes;
mod queues;
mod reconcile;
mod revisions;
mod socket_calls;
mod sockets;
mod spoken;
mod states;
mod store;
mod tables;
mod tell;
mod trust;
mod unconfirmed;
mod uring;
pub mod wall;
mod world;

#[cfg(test)]
mod tests;
