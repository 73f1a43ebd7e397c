//! Tests of the model: inputs made by hand, events and tables as the man pages say they must be.

mod any;
mod calls;
mod connections;
mod contents;
mod explain;
mod lives;
mod make;
mod passes;
mod phrases;
mod properties;
mod queues;
mod record;
mod rounds;
mod snapshots;
mod spoken;
mod stacks;
mod standings;
mod tables;
mod unix;
mod uring;
