//! The HTTP API under `/api/v1/`, the live stream, and the page. The only crate that names axum.
//!
//! Handlers own nothing of the model: they put questions ([`Handle`]) to the engine, which answers them between two
//! batches of input. The questions' queue is bounded; who finds it full waits at most two seconds and is refused, and
//! `/metrics` counts it.
//!
//! Safe by default: loopback addresses only ([`bind`]), and every request passes the gate in `auth`.
#![forbid(unsafe_code)]

mod api;
mod assets;
mod auth;
mod counters;
mod handle;
mod health;
mod kept;
mod live;
mod problem;
mod server;
#[cfg(test)]
mod tests;

pub use handle::{Answer, Handle, HeldAnswer, Question, Unavailable, channel};
pub use server::{ServeError, Settings, bind, run};
