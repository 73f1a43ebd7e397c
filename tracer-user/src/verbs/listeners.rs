//! `sockreel queues`, `slow` and `balance`: what happens at listeners.

use crate::{
    ask::{self, Question},
    cli,
};
use anyhow::Result;
use jiff::tz::TimeZone;
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, process::ExitCode};
use tracer_answers::{view::View, who::Target};
use tracer_wire::answers::{balance::Balance, queues::Queues, slow::Slow};

/// An answer about listeners.
trait Answer: Serialize + DeserializeOwned {
    /// Where a daemon gives it.
    const ENDPOINT: &'static str;

    fn of(view: &View<'_>, target: Option<&Target>, scope: &str) -> Self;

    fn text(&self, zone: &TimeZone) -> String;
}

macro_rules! answers {
    ($($answer:ident $endpoint:literal),*) => {$(
        impl Answer for $answer {
            const ENDPOINT: &'static str = $endpoint;

            fn of(view: &View<'_>, target: Option<&Target>, scope: &str) -> Self {
                Self::new(view, target, scope)
            }

            fn text(&self, zone: &TimeZone) -> String {
                Self::text(self, zone)
            }
        }
    )*};
}

answers!(Queues "queues", Slow "slow", Balance "balance");

struct Asked<A> {
    of: Option<(String, Target)>,
    answer: PhantomData<A>,
}

impl<A: Answer> Question for Asked<A> {
    type Answer = A;

    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>) {
        (A::ENDPOINT, self.of.iter().map(|(text, _)| ("of", text.clone())).collect())
    }

    fn answer(&self, view: &View<'_>, scope: &str) -> Result<A> {
        Ok(A::of(view, self.of.as_ref().map(|(_, target)| target), scope))
    }

    fn text(answer: &A, zone: &TimeZone) -> String {
        answer.text(zone)
    }
}

fn run<A: Answer>(args: cli::Listeners) -> Result<ExitCode> {
    let cli::Listeners { of, asking } = args;
    ask::run(&Asked::<A> { of, answer: PhantomData }, &asking)
}

pub(crate) fn queues(args: cli::Listeners) -> Result<ExitCode> {
    run::<Queues>(args)
}

pub(crate) fn slow(args: cli::Listeners) -> Result<ExitCode> {
    run::<Slow>(args)
}

pub(crate) fn balance(args: cli::Listeners) -> Result<ExitCode> {
    run::<Balance>(args)
}
