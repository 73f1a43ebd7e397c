//! What is kept, told whole: for a client that is so far behind that evictions it was not told of are forgotten.

use tracer_model::session::Session;
use tracer_wire::api::ServerMessage;

/// Runs of numbers in one message, which is a few hundred kilobytes then.
const RUNS: usize = 20_000;

/// Numbers of what is kept, in runs of consecutive ones, lowest first.
pub(crate) struct Kept {
    /// Revision at which it was.
    pub(crate) rev: u64,
    processes: Vec<String>,
    descriptors: Vec<[u32; 2]>,
    sockets: Vec<[u32; 2]>,
}

impl Kept {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            rev: session.rev(),
            processes: session.processes().map(|process| process.key.to_string()).collect(),
            descriptors: runs(session.descriptors().map(|descriptor| descriptor.id.0)),
            sockets: runs(session.sockets().map(|socket| socket.id.0)),
        }
    }

    /// The messages that tell it; the last one says so.
    pub(crate) fn messages(self) -> Vec<ServerMessage> {
        let rev = self.rev;
        let part = |processes, descriptors: &[[u32; 2]], sockets: &[[u32; 2]], more| ServerMessage::Kept {
            rev,
            processes,
            descriptors: descriptors.to_vec(),
            sockets: sockets.to_vec(),
            more,
        };
        let mut messages: Vec<_> =
            self.descriptors.chunks(RUNS).map(|runs| part(Vec::new(), runs, &[], true)).collect();
        messages.extend(self.sockets.chunks(RUNS).map(|runs| part(Vec::new(), &[], runs, true)));
        messages.push(part(self.processes, &[], &[], false));
        messages
    }
}

/// Runs of consecutive numbers, first and last of each, of numbers that grow.
fn runs(numbers: impl Iterator<Item = u32>) -> Vec<[u32; 2]> {
    let mut runs: Vec<[u32; 2]> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some([_, last]) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push([number, number]),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::{Kept, RUNS, runs};
    use std::collections::BTreeSet;
    use tracer_wire::api::ServerMessage;

    #[test]
    fn runs_hold_the_numbers_and_no_two_of_them_touch() {
        for set in 0_u32..1 << 10 {
            let numbers: BTreeSet<u32> = (0..10).filter(|number| set >> number & 1 == 1).collect();
            let runs = runs(numbers.iter().copied());
            let held: BTreeSet<u32> = runs.iter().flat_map(|[first, last]| *first..=*last).collect();
            assert_eq!(held, numbers);
            assert!(runs.windows(2).all(|pair| pair[0][1] + 1 < pair[1][0]), "{runs:?}");
        }
    }

    #[test]
    fn the_highest_number_ends_a_run() {
        assert_eq!(runs([u32::MAX - 1, u32::MAX].into_iter()), [[u32::MAX - 1, u32::MAX]]);
    }

    #[test]
    fn long_answers_come_in_parts_of_which_the_last_says_so() {
        let many: Vec<[u32; 2]> = (0..45_000).map(|n| [n * 2, n * 2]).collect();
        let kept =
            Kept { rev: 7, processes: vec!["1@1".into()], descriptors: many.clone(), sockets: vec![[1, 2]] };
        let mut told = Vec::new();
        let messages = kept.messages();
        assert_eq!(messages.len(), 5);
        for (number, message) in messages.into_iter().enumerate() {
            let ServerMessage::Kept { rev, processes, descriptors, sockets, more } = message else {
                panic!()
            };
            assert!(rev == 7 && descriptors.len() <= RUNS);
            assert_eq!((more, processes.len()), (number < 4, usize::from(number == 4)));
            assert_eq!(sockets.len(), usize::from(number == 3));
            told.extend(descriptors);
        }
        assert_eq!(told, many);
    }
}
