//! What leaves sockreel. Wire types are not domain types: a change of the model does not change what others script
//! against unless a conversion here says so.
#![forbid(unsafe_code)]

pub mod api;
pub mod errno;
pub mod line;
pub mod number;
pub mod typescript;
