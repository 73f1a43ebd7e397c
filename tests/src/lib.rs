//! What the tests and the programs that they trace both know: programs of descriptor calls, and the log of what came of
//! them.

pub mod log;
pub mod program;
