//! What leaves sockreel. Wire types are not domain types: a change of the model does not change what others script
//! against unless a conversion here says so.
#![forbid(unsafe_code)]

pub mod answers;
pub mod api;
pub mod convert;
pub mod errno;
pub mod escape;
pub mod explained;
pub mod filter;
pub mod instant;
pub mod json;
pub mod line;
pub mod number;
#[cfg(test)]
mod sample;
mod sentence;
pub mod text;
pub mod typescript;
