//! The program: what was typed becomes a source, a session and what is done with its events.

mod ask;
mod cli;
mod command;
mod daemon;
mod engine;
mod exit;
mod live;
mod output;
mod privilege;
mod secret;
mod select;
mod source;
mod summary;
mod verbs;
mod watch;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match cli::Cli::parse().verb {
        cli::Verb::Trace(args) => verbs::trace::run(args),
        cli::Verb::Serve(args) => verbs::serve::run(args),
        cli::Verb::Open(args) => verbs::open::run(args),
        cli::Verb::Dump(args) => verbs::dump::run(args),
        cli::Verb::Fds(args) => verbs::fds::run(args),
        cli::Verb::Sockets(args) => verbs::sockets::run(args),
        cli::Verb::Handovers(args) => verbs::handovers::run(args),
        cli::Verb::Who(args) => verbs::who::run(args),
        cli::Verb::Leaks(args) => verbs::leaks::run(args),
        cli::Verb::Queues(args) => verbs::listeners::queues(args),
        cli::Verb::Slow(args) => verbs::listeners::slow(args),
        cli::Verb::Balance(args) => verbs::listeners::balance(args),
        cli::Verb::Connections(args) => verbs::connections::run(args),
        cli::Verb::Doctor(args) => verbs::doctor::run(&args),
    };
    outcome.unwrap_or_else(|error| exit::report(&error))
}
