//! The page's view of the API types, as one TypeScript file.

use crate::{answers, api, line::Line};
use std::collections::BTreeMap;
use ts_rs::{Config, TS, TypeVisitor};

/// Declarations of every type that the page exchanges with the server, by name. 64-bit integers are numbers there.
#[must_use]
pub fn declarations() -> String {
    // The order in which a type's dependencies are visited differs from build to build; a name has one place.
    let mut types = Types { config: Config::new().with_large_int("number"), by_name: BTreeMap::new() };
    types.visit::<api::ServerMessage>();
    types.visit::<api::ClientMessage>();
    types.visit::<api::Processes>();
    types.visit::<api::Sockets>();
    types.visit::<api::Descriptors>();
    types.visit::<api::Events>();
    types.visit::<api::Problem>();
    types.visit::<answers::fds::Fds>();
    types.visit::<answers::handover::Handovers>();
    types.visit::<answers::sockets::HeldSockets>();
    types.visit::<answers::leaks::Leaks>();
    types.visit::<answers::who::Who>();
    types.visit::<answers::queues::Queues>();
    types.visit::<answers::slow::Slow>();
    types.visit::<answers::balance::Balance>();
    types.visit::<answers::connections::Connections>();
    types.visit::<Line>();
    let head = "// Generated from tracer-user/wire by `BLESS=1 cargo test -p tracer-wire`; do not edit.\n";
    let declarations: String = types.by_name.into_values().collect();
    format!("{head}{declarations}").lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

struct Types {
    config: Config,
    by_name: BTreeMap<String, String>,
}

impl TypeVisitor for Types {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // A type without a path of its own is a primitive or a container; what is in it is visited as well.
        if T::output_path().is_none() {
            return;
        }
        let name = T::name(&self.config);
        if !self.by_name.contains_key(&name) {
            let docs = T::docs().unwrap_or_default();
            self.by_name.insert(name, format!("\n{docs}export {}\n", T::decl(&self.config)));
            T::visit_dependencies(self);
        }
    }
}
