//! The page's view of the API types, as one TypeScript file.

use crate::{api, line::Line};
use std::fmt::Write as _;
use ts_rs::{Config, TS, TypeVisitor};

/// Declarations of every type that the page exchanges with the server. 64-bit integers are numbers there.
#[must_use]
pub fn declarations() -> String {
    let mut file = File {
        config: Config::new().with_large_int("number"),
        names: Vec::new(),
        text: "// Generated from tracer-user/wire by `BLESS=1 cargo test -p tracer-wire`; do not edit.\n"
            .to_owned(),
    };
    file.visit::<api::ServerMessage>();
    file.visit::<api::ClientMessage>();
    file.visit::<api::Processes>();
    file.visit::<api::Sockets>();
    file.visit::<api::Descriptors>();
    file.visit::<api::Events>();
    file.visit::<api::Problem>();
    file.visit::<Line>();
    file.text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

struct File {
    config: Config,
    names: Vec<String>,
    text: String,
}

impl TypeVisitor for File {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // A type without a path of its own is a primitive or a container; what is in it is visited as well.
        if T::output_path().is_none() {
            return;
        }
        let name = T::name(&self.config);
        if self.names.contains(&name) {
            return;
        }
        self.names.push(name);
        T::visit_dependencies(self);
        let docs = T::docs().unwrap_or_default();
        // Writing to a String does not fail.
        let _ = write!(self.text, "\n{}export {}\n", docs, T::decl(&self.config));
    }
}
