//! Real servers under `strace -f` and under sockreel at once: every call of the covered set is compared.

mod compare;
mod compare_tests;
mod facts;
mod fields;
mod lines;
mod log;
mod nonblocking;
mod planted;
mod text;
mod traced;
mod workloads;
