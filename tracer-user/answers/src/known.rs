//! All there is to answer from: the model, and what is counted along the way.

use crate::tallies::Tallies;
use tracer_model::{
    event::Event,
    input::Input,
    session::{Limits, Session},
};

/// A session and its tallies: inputs go in, in order; both follow.
#[derive(Debug)]
pub struct Known {
    session: Session,
    /// `None` where nobody asks for what was ([`Limits::kept_events`] is 0).
    tallies: Option<Tallies>,
}

impl Known {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let tallies = (limits.kept_events > 0).then(Tallies::default);
        Self { session: Session::new(limits), tallies }
    }

    /// Takes the next input. Returns its events.
    pub fn ingest(&mut self, input: &Input) -> &[Event] {
        let events = self.session.ingest(input);
        if let Some(tallies) = &mut self.tallies {
            for event in events {
                tallies.take(event);
            }
        }
        events
    }

    /// The model.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The model, for what its owner has to take from it.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Everything that was counted up to the newest event.
    #[must_use]
    pub fn tallies(&self) -> Tallies {
        self.tallies.clone().unwrap_or_default()
    }
}
