//! The verbs, one file each.

pub(crate) mod connections;
pub(crate) mod doctor;
pub(crate) mod dump;
pub(crate) mod fds;
pub(crate) mod handovers;
pub(crate) mod leaks;
pub(crate) mod listeners;
pub(crate) mod open;
pub(crate) mod serve;
pub(crate) mod sockets;
pub(crate) mod trace;
pub(crate) mod who;
