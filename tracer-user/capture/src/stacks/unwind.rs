//! From where a call came: the frames of functions that keep none, which is those of the C library for the most part, by the
//! tables of their file, then frame pointers. Pure.
//!
//! Frame pointers alone leave out who called a function without one, and lead anywhere where such a function uses their
//! register for something else. A file's tables (`.eh_frame`) tell for each place where its function keeps the caller, so that every
//! frame here is one, and where frame pointers end is known.

use tracer_abi::{Chain, STACK_FRAMES, Stack};
use tracer_model::stacks::Cut;

/// How a function keeps its caller at some place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Its frame ends so many bytes above the stack pointer, right behind the return address; so many bytes below that end it
    /// keeps its caller's frame pointer, if it uses the register for something else.
    Stack {
        /// Bytes.
        above: u64,
        /// Bytes.
        kept: Option<u64>,
    },
    /// By a frame pointer.
    Frame,
    /// It has no caller.
    Outermost,
    /// Its file does not tell, or it is in none.
    Unknown,
}

/// Frames by tables that are followed before the first frame pointer.
const STEPS: usize = 32;
/// Bytes of a word.
const WORD: u64 = 8;

/// The places that a call came from, innermost first, each inside the instruction that called, and why there are no more.
/// `rule` is asked for each place.
pub(crate) fn unwind(stack: &Stack, mut rule: impl FnMut(u64) -> Rule) -> (Vec<u64>, Option<Cut>) {
    let (mut places, mut at, mut sp) = (Vec::new(), stack.ip, stack.sp);
    // The frame pointer of the function that is looked at.
    let mut pointer = Some(stack.chain.from);
    for _ in 0..STEPS {
        places.push(at);
        match rule(at) {
            Rule::Outermost => return (places, None),
            Rule::Stack { above, kept } => {
                let end = sp.wrapping_add(above);
                if let Some(below) = kept {
                    pointer = word(stack, end.wrapping_sub(below));
                }
                let Some(back) = word(stack, end.wrapping_sub(WORD)) else {
                    return (places, Some(Cut::NoFramePointer));
                };
                (at, sp) = (call(back), end);
            }
            Rule::Frame | Rule::Unknown => {
                let chain = [&stack.chain, &stack.kept].into_iter().find(|chain| Some(chain.from) == pointer);
                let cut = match chain {
                    Some(chain) => by_chain(chain, &mut places, &mut rule),
                    None => by_words(stack, pointer, &mut places, &mut rule),
                };
                return (places, cut);
            }
        }
    }
    (places, Some(Cut::Long))
}

/// The place of the call that returns to an address.
const fn call(back: u64) -> u64 {
    back.wrapping_sub(1)
}

/// The word at an address, where it was kept and can be an address itself.
fn word(stack: &Stack, address: u64) -> Option<u64> {
    let place = address.checked_sub(stack.sp)?;
    let place = usize::try_from(place / WORD).ok().filter(|_| place.is_multiple_of(WORD))?;
    stack.words.get(place).copied().filter(|word| *word != 0)
}

/// Follows the return addresses that frame pointers led to, as long as their functions have one.
fn by_chain(chain: &Chain, places: &mut Vec<u64>, rule: &mut impl FnMut(u64) -> Rule) -> Option<Cut> {
    let count = usize::try_from(chain.count).unwrap_or(usize::MAX);
    let backs = chain.backs.get(..count).unwrap_or(&chain.backs);
    for (place, back) in backs.iter().enumerate() {
        let at = call(*back);
        places.push(at);
        match rule(at) {
            Rule::Frame | Rule::Unknown => {}
            Rule::Outermost => return None,
            // Whether there were no more because there is no more is unknown; what follows behind this is no frame.
            Rule::Stack { .. } => return Some(Cut::NoFramePointer).filter(|_| place + 1 < backs.len()),
        }
    }
    (backs.len() == STACK_FRAMES).then_some(Cut::Long)
}

/// Follows frame pointers from the first one on, in what was kept of the stack.
fn by_words(
    stack: &Stack,
    mut pointer: Option<u64>,
    places: &mut Vec<u64>,
    rule: &mut impl FnMut(u64) -> Rule,
) -> Option<Cut> {
    for _ in 0..STACK_FRAMES {
        let Some(at) = pointer else { return Some(Cut::Long) };
        let Some(back) = word(stack, at.wrapping_add(WORD)) else { return Some(Cut::Long) };
        places.push(call(back));
        match rule(call(back)) {
            Rule::Frame | Rule::Unknown => pointer = word(stack, at),
            Rule::Outermost => return None,
            Rule::Stack { .. } => return Some(Cut::NoFramePointer),
        }
    }
    Some(Cut::Long)
}

#[cfg(test)]
mod tests {
    use super::{Rule, unwind};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use tracer_abi::{Chain, Header, STACK_FRAMES, STACK_WORDS, Stack};
    use tracer_model::stacks::Cut;

    const SP: u64 = 0x7ffd_0000_1000;

    /// Frame pointers begin here.
    const BP: u64 = SP + 4096;

    fn chain(from: u64, addresses: &[u64]) -> Chain {
        let mut backs = [0; STACK_FRAMES];
        backs[..addresses.len()].copy_from_slice(addresses);
        Chain { from, count: addresses.len() as u64, backs }
    }

    /// A stack: where the caller goes on and what its frame pointers lead to, and what lies at its top.
    fn stack(addresses: &[u64], words: &[(usize, u64)]) -> Stack {
        let header =
            Header { kind: 0, len: 0, cpu: 0, cpu_seq: 0, ts: 0, pid: 0, tid: 0, start: 0, files: 0 };
        let mut stack = Stack {
            header,
            fds: [3, -1],
            ip: addresses[0],
            sp: SP,
            chain: chain(BP, &addresses[1..]),
            kept: chain(0, &[]),
            words: [0; STACK_WORDS],
        };
        for (place, word) in words {
            stack.words[*place] = *word;
        }
        stack
    }

    /// Rules by place; others are unknown.
    fn told(stack: &Stack, rules: &[(u64, Rule)]) -> (Vec<u64>, Option<Cut>) {
        let rules: BTreeMap<u64, Rule> = rules.iter().copied().collect();
        unwind(stack, |place| rules.get(&place).copied().unwrap_or(Rule::Unknown))
    }

    const fn on_stack(above: u64) -> Rule {
        Rule::Stack { above, kept: None }
    }

    /// A library's `open` with 24 bytes of its own, called by `leak`, which has a frame pointer. The kernel's list lacks
    /// `leak`.
    #[test]
    fn who_calls_a_function_without_a_frame_pointer_is_told() {
        let stack = stack(&[0x7f01, 0x5011, 0x5021], &[(3, 0x5001)]);
        let rules =
            [(0x7f01, on_stack(32)), (0x5000, Rule::Frame), (0x5010, Rule::Frame), (0x5020, Rule::Outermost)];
        assert_eq!(told(&stack, &rules), (vec![0x7f01, 0x5000, 0x5010, 0x5020], None));
    }

    #[test]
    fn where_frame_pointers_end_is_told() {
        let stack = stack(&[0x7f01, 0x5011, 0x5021, 0x6666], &[(3, 0x5001)]);
        let rules = [(0x7f01, on_stack(32)), (0x5000, Rule::Frame), (0x5010, on_stack(16))];
        assert_eq!(told(&stack, &rules), (vec![0x7f01, 0x5000, 0x5010], Some(Cut::NoFramePointer)));
        // The last that the kernel found: nothing says that there is more.
        let stack = self::stack(&[0x7f01, 0x5011], &[(3, 0x5001)]);
        assert_eq!(told(&stack, &rules), (vec![0x7f01, 0x5000, 0x5010], None));
    }

    #[test]
    fn without_frame_pointers_the_kept_words_lead_as_far_as_they_go() {
        // What the kernel found is not used: no function on the way has a frame pointer.
        let stack = stack(&[0x7f01, 0x6666, 0x6667], &[(3, 0x5001), (5, 0x5011)]);
        let rules = [(0x7f01, on_stack(32)), (0x5000, on_stack(16)), (0x5010, on_stack(1 << 20))];
        assert_eq!(told(&stack, &rules), (vec![0x7f01, 0x5000, 0x5010], Some(Cut::NoFramePointer)));
    }

    #[test]
    fn a_register_that_was_used_for_something_else_is_restored() {
        // The library's function keeps the caller's frame pointer 16 bytes below its end; that frame is among the words.
        let kept = Rule::Stack { above: 32, kept: Some(16) };
        let words = [(2, SP + 64), (3, 0x5001), (8, SP + 1024), (9, 0x5011)];
        let stack = stack(&[0x7f01, 0x6666], &words);
        let rules = [(0x7f01, kept), (0x5000, Rule::Frame), (0x5010, Rule::Frame)];
        assert_eq!(told(&stack, &rules), (vec![0x7f01, 0x5000, 0x5010], Some(Cut::Long)));
    }

    #[test]
    fn a_register_that_is_restored_leads_beyond_the_kept_words() {
        let kept = Rule::Stack { above: 32, kept: Some(16) };
        let mut stack = stack(&[0x7f01, 0x6666], &[(2, BP), (3, 0x5001)]);
        stack.chain.from = 1;
        stack.kept = chain(BP, &[0x5011, 0x5021]);
        let rules = [(0x7f01, kept), (0x5000, Rule::Frame), (0x5010, Rule::Frame), (0x5020, Rule::Outermost)];
        assert_eq!(told(&stack, &rules), (vec![0x7f01, 0x5000, 0x5010, 0x5020], None));
        // It is not the one that the function kept.
        stack.kept.from = BP + 8;
        assert_eq!(told(&stack, &rules), (vec![0x7f01, 0x5000], Some(Cut::Long)));
    }

    #[test]
    fn compiled_code_has_frame_pointers_or_ends() {
        let stack = stack(&[0x1001, 0x2001, 0x3001], &[]);
        assert_eq!(told(&stack, &[]), (vec![0x1001, 0x2000, 0x3000], None));
    }

    fn any_address() -> impl Strategy<Value = u64> {
        prop_oneof![0_u64..64, SP..SP + 1024]
    }

    proptest! {
        #[test]
        fn any_stack_ends(
            chains in proptest::collection::vec((any_address(), any::<u64>()), 2),
            backs in proptest::collection::vec(0_u64..64, STACK_FRAMES),
            words in proptest::collection::vec(any_address(), STACK_WORDS),
            sp in prop_oneof![Just(SP), any::<u64>()],
            rules in proptest::collection::vec((0_u64..600, proptest::option::of(0_u64..600)), 64),
        ) {
            let mut stack = stack(&[backs[0]], &[]);
            (stack.words, stack.sp) = (words.try_into().unwrap(), sp);
            let [chain, kept] = [0, 1].map(|place| {
                let (from, count) = chains[place];
                Chain { from, count, backs: backs.clone().try_into().unwrap() }
            });
            (stack.chain, stack.kept) = (chain, kept);
            let rule = |place: u64| match rules.get(usize::try_from(place).unwrap_or(64)) {
                Some((above, None)) if *above < 100 => Rule::Frame,
                Some((above, kept)) => Rule::Stack { above: *above, kept: *kept },
                None => Rule::Unknown,
            };
            let (places, _) = unwind(&stack, rule);
            prop_assert!(places.len() <= super::STEPS + STACK_FRAMES);
        }
    }
}
