//! Questions to the engine, the one owner of the model.

use crate::counters::Counters;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracer_answers::{known::Known, view::Asked, who::Target};
use tracer_model::session::Session;

/// What answers a question.
pub type Answer = Box<dyn FnOnce(&Known) + Send>;

/// A question: answered by the engine between two batches of input.
pub enum Question {
    /// As it is known then.
    Known(Answer),
    /// Once the kernel has been asked what it counts of open connections, where the engine has a kernel to ask.
    Fresh(Answer),
    /// Once the kernel has been asked who holds sockets of an address, followed or not.
    Held(Target, HeldAnswer),
}

/// What answers a question with who holds sockets of an address, where that could be asked.
pub type HeldAnswer = Box<dyn FnOnce(&Known, Option<&Asked>) + Send>;

impl Question {
    /// What answers it, with what is known.
    #[must_use]
    pub fn answer(self) -> Answer {
        match self {
            Self::Known(answer) | Self::Fresh(answer) => answer,
            Self::Held(_, answer) => Box::new(move |known| answer(known, None)),
        }
    }
}

/// The way back to who asked.
struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    fn give(self, find: impl FnOnce() -> T) {
        // Whoever asked may have gone.
        if !self.0.is_closed() {
            let _ = self.0.send(find());
        }
    }
}

/// Questions that may wait at one time. Every client of the live stream has one at most, as has every request.
const QUEUE: usize = 64;

/// How long an answer may take, a place in the queue included.
const PATIENCE: Duration = Duration::from_secs(2);

/// Puts questions to the engine.
#[derive(Clone, Debug)]
pub struct Handle {
    questions: mpsc::Sender<Question>,
    pub(crate) counters: Arc<Counters>,
}

/// The engine did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It is too busy.
    #[error("the engine did not answer within 2 s because it is busy; try again, or select fewer processes")]
    Busy,
    /// It is gone.
    #[error("the engine has stopped; start sockreel again")]
    Stopped,
}

/// A handle for the server, and the questions for the engine. The queue is bounded: who finds it full waits.
#[must_use]
pub fn channel() -> (Handle, mpsc::Receiver<Question>) {
    let (questions, receiver) = mpsc::channel(QUEUE);
    (Handle { questions, counters: Arc::default() }, receiver)
}

impl Handle {
    /// Asks the model, and waits at most two seconds for the answer.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Session) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.ask_all(|known| question(known.session())).await
    }

    /// The same of all that is known.
    pub(crate) async fn ask_all<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Known) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.put(|reply| Question::Known(Box::new(|known| reply.give(|| question(known))))).await
    }

    /// The same, after the kernel has been asked for its counters of open connections.
    pub(crate) async fn ask_fresh<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Known) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.put(|reply| Question::Fresh(Box::new(|known| reply.give(|| question(known))))).await
    }

    /// The same, after the kernel has been asked what it has of an address.
    pub(crate) async fn ask_held<T: Send + 'static>(
        &self,
        target: Target,
        question: impl FnOnce(&Known, Option<&Asked>) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let form = |reply: Reply<T>| {
            Question::Held(target, Box::new(|known, asked| reply.give(|| question(known, asked))))
        };
        self.put(form).await
    }

    async fn put<T: Send + 'static>(
        &self,
        form: impl FnOnce(Reply<T>) -> Question,
    ) -> Result<T, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let question = form(Reply(answer));
        let exchange = async {
            self.questions.send(question).await.map_err(|_| Unavailable::Stopped)?;
            answered.await.map_err(|_| Unavailable::Stopped)
        };
        let result = timeout(PATIENCE, exchange).await.unwrap_or(Err(Unavailable::Busy));
        if result.is_err() {
            self.counters.refused_questions.add();
        }
        result
    }

    /// Questions that wait now.
    pub(crate) fn waiting(&self) -> usize {
        self.questions.max_capacity() - self.questions.capacity()
    }
}
