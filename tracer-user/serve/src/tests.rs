//! The server over a session that is fed by hand.

mod answers;
mod api;
mod auth;
mod bench;
mod live;
