//! End-to-end tests: sockreel as it is shipped, on real servers, compared with what the kernel and the clients know.
//!
//! They trace only what they start, on loopback ports that the kernel gives, and end only that. They take root and
//! `SOCKREEL_BIN`; `cargo xtask test` gives both.

mod bad_input;
mod both_ends;
mod broken;
mod calls;
mod check;
mod client_side;
mod compat;
mod descriptors;
mod ends;
mod explain;
mod families;
mod fds;
mod forms;
mod harness;
mod healthy;
mod holders;
mod instants;
mod kernels;
mod leaks;
mod listeners;
mod loss;
mod namespaces;
mod order;
mod page;
mod page_answers;
mod page_pictures;
mod pid_again;
mod programs;
mod queues;
mod real_servers;
mod records;
mod registered;
mod rounds;
mod selection;
mod slow;
mod spoken;
mod stacks;
mod strace;
mod tables;
mod uring;
mod verifier;
mod waits;
mod workers;
