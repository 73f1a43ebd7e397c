//! Answers: the questions people bring to a server's sockets, answered from the model at an instant.
//!
//! Pure as the model is: no I/O, no clock. An answer is a function of a [`View`](view::View), which is a session at an
//! instant; what it needs of counts over time stands in the [`Tallies`](tallies::Tallies). The command line, the API and the
//! page ask the same functions, of a live session, a recording or a snapshot alike.
//!
//! Every answer names its evidence (the events that it rests on) and its [`Caveat`](caveat::Caveat)s (what it cannot know).
#![forbid(unsafe_code)]

pub mod accepting;
pub mod balance;
pub mod caveat;
pub mod connections;
mod far_ends;
pub mod fds;
pub mod growth;
pub mod handover;
pub mod holders;
pub mod ipc;
pub mod known;
pub mod leaks;
pub mod leftovers;
pub mod moment;
pub mod past;
pub mod queues;
pub mod slow;
pub mod sockets;
pub mod tallies;
pub mod view;
pub mod who;
