//! From where descriptors were made: which one a stack is about.

use super::make::{Bench, file, input, task};
use crate::{
    ids::{BootNs, StackId},
    input::{Body, Made},
    stacks::{Cut, Frame, Stack},
};

fn stack(function: &str) -> Stack {
    let file = Some(b"/usr/bin/server".to_vec());
    Stack {
        frames: vec![Frame { file, offset: 16, symbol: Some((function.to_owned(), 4)) }],
        cut: Some(Cut::NoFramePointer),
    }
}

fn made(taken: u64, fds: &[i32], id: u32, new: Option<Stack>) -> Body {
    Body::Made(Box::new(Made {
        task: task(1),
        taken: BootNs(taken),
        fds: fds.to_vec(),
        stack: StackId(id),
        new,
    }))
}

#[test]
fn a_stack_is_about_the_descriptor_that_was_made_when_it_was_taken() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 10);
    bench.closes(200, 3, file(10));
    bench.opens(300, 3, 11);
    bench.closes(400, 3, file(11));
    bench.opens(500, 3, 12);
    // Told when the number has been used again.
    assert_eq!(bench.tell(&input(600, made(290, &[3, 9], 0, Some(stack("leak"))))).len(), 0);
    let of = |bench: &Bench, n: u64| bench.descriptor(file(n).ino).stack;
    assert_eq!([10, 11, 12].map(|n| of(&bench, n)), [None, Some(StackId(0)), None]);
    bench.tell(&input(700, made(490, &[3], 0, None)));
    assert_eq!(of(&bench, 12), Some(StackId(0)));
    assert_eq!(bench.session.stack(StackId(0)), Some(&stack("leak")));
    // One of nothing that is known.
    bench.tell(&input(800, made(900, &[3, -1], 1, None)));
    assert_eq!((of(&bench, 12), bench.session.stack(StackId(1))), (Some(StackId(0)), None));
    // What a stack is does not change.
    bench.tell(&input(900, made(950, &[], 0, Some(stack("other")))));
    assert_eq!(bench.session.stack(StackId(0)), Some(&stack("leak")));
}
