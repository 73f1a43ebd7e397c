//! Programs at random: what is tried how often.

use proptest::{arbitrary::any, collection::vec, prop_oneof, sample::select, strategy::Strategy};
use tracer_tests::program::{
    Address, Family, Flags, Forker, Maker, Op, Opener, Path, Pick, Program, Step, Type, Want,
};

/// A program of up to so many groups of steps.
pub(super) fn program(groups: usize) -> impl Strategy<Value = Program> {
    let group = prop_oneof![
        8 => op().prop_map(|op| vec![op]),
        1 => server(),
        2 => client(),
        1 => passing(),
        1 => getting(),
    ];
    let group = (any::<u8>(), proptest::bool::weighted(0.3), group).prop_map(|(actor, together, ops)| {
        ops.into_iter().map(move |op| Step { actor, together, op }).collect::<Vec<_>>()
    });
    vec(group, 1..groups).prop_map(|groups| Program { steps: groups.concat() })
}

/// What the actor made last but so many.
fn made(nth: u8) -> Pick {
    Pick { want: Want::Made, nth }
}

fn server() -> impl Strategy<Value = Vec<Op>> {
    (families(), flags(), 0..4_u8, any::<bool>(), -1..4_i8).prop_map(
        |(family, flags, number, named, backlog)| {
            let ty = Type::Stream;
            let to = match family {
                Family::Inet => Address::Inet(number),
                Family::Inet6 if named => Address::Any6(number),
                Family::Inet6 => Address::Inet6(number),
                Family::Unix if named => Address::Path(number),
                Family::Unix => Address::Abstract(number),
            };
            let fd = made(0);
            vec![Op::Socket { family, ty, flags }, Op::Bind { fd, to }, Op::Listen { fd, backlog }]
        },
    )
}

fn client() -> impl Strategy<Value = Vec<Op>> {
    let accept = (pick(Want::Listener), proptest::option::of(flags()));
    (families(), flags(), any::<u8>(), accept).prop_map(|(family, flags, nth, (listener, accept))| {
        let to = Address::Listening(nth);
        vec![
            Op::Socket { family, ty: Type::Stream, flags },
            Op::Connect { fd: made(0), to },
            Op::Accept { fd: listener, flags: accept },
        ]
    })
}

fn passing() -> impl Strategy<Value = Vec<Op>> {
    let ty = select(vec![Type::Stream, Type::Dgram, Type::Seqpacket]);
    (ty, flags(), vec(pick(Want::Any), 0..5), 0..6_u8, any::<[bool; 2]>()).prop_map(
        |(ty, flags, passed, room, [many, cloexec])| {
            let (from, to) = (made(0), made(1));
            let (send, receive) = if many {
                (Op::SendMany { fd: from, passed }, Op::ReceiveMany { fd: to, room, cloexec })
            } else {
                (Op::Send { fd: from, passed }, Op::Receive { fd: to, room, cloexec })
            };
            vec![Op::Socketpair { ty, flags }, send, receive]
        },
    )
}

fn getting() -> impl Strategy<Value = Vec<Op>> {
    let make = Op::Make { maker: Maker::PidfdOpen, cloexec: true };
    pick(Want::Any).prop_map(move |fd| vec![make.clone(), Op::GetFd { pidfd: made(0), fd }])
}

fn families() -> impl Strategy<Value = Family> {
    select(vec![Family::Inet, Family::Inet, Family::Inet6, Family::Unix, Family::Unix])
}

fn flags() -> impl Strategy<Value = Flags> {
    // Blocking calls are interrupted after a while, which takes its time.
    (any::<bool>(), proptest::bool::weighted(0.8)).prop_map(|(cloexec, nonblock)| Flags { cloexec, nonblock })
}

fn pick(want: Want) -> impl Strategy<Value = Pick> {
    let want = prop_oneof![12 => proptest::strategy::Just(want), 1 => proptest::strategy::Just(Want::Bad)];
    (want, any::<u8>()).prop_map(|(want, nth)| Pick { want, nth })
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Address::Inet),
        2 => (0..4_u8).prop_map(Address::Inet6),
        1 => (0..3_u8).prop_map(Address::Mapped),
        1 => (0..3_u8).prop_map(Address::Any6),
        2 => (0..4_u8).prop_map(Address::Abstract),
        2 => (0..4_u8).prop_map(Address::Path),
        1 => select(vec![Address::Autobind, Address::Unspecified]),
    ]
}

fn destination() -> impl Strategy<Value = Address> {
    prop_oneof![3 => any::<u8>().prop_map(Address::Listening), 1 => address()]
}

/// A number for `dup2`: mostly one that may be open.
fn number() -> impl Strategy<Value = i16> {
    prop_oneof![12 => 0..30_i16, 1 => select(vec![-1_i16, 255, 256, 3000])]
}

fn op() -> impl Strategy<Value = Op> {
    let types =
        || prop_oneof![4 => select(vec![Type::Stream]), 1 => select(vec![Type::Dgram, Type::Seqpacket])];
    let makers = select(vec![
        Maker::Eventfd,
        Maker::Eventfd2,
        Maker::EpollCreate,
        Maker::EpollCreate1,
        Maker::TimerfdCreate,
        Maker::Signalfd4,
        Maker::InotifyInit,
        Maker::InotifyInit1,
        Maker::MemfdCreate,
        Maker::PidfdOpen,
    ]);
    let forkers = select(vec![Forker::Fork, Forker::Clone, Forker::CloneFiles, Forker::Clone3]);
    let openers = select(vec![Opener::Open, Opener::Openat, Opener::Openat2]);
    let paths = select(vec![Path::Null, Path::Root, Path::Program, Path::Missing]);
    let any_fd = || pick(Want::Any);
    let flag = any::<bool>;
    let sockets = prop_oneof![
        8 => (families(), types(), flags()).prop_map(|(family, ty, flags)| Op::Socket { family, ty, flags }),
        3 => (types(), flags()).prop_map(|(ty, flags)| Op::Socketpair { ty, flags }),
        7 => (pick(Want::Socket), address()).prop_map(|(fd, to)| Op::Bind { fd, to }),
        7 => (pick(Want::Socket), -1..4_i8).prop_map(|(fd, backlog)| Op::Listen { fd, backlog }),
        7 => (pick(Want::Listener), proptest::option::of(flags())).prop_map(|(fd, flags)| Op::Accept { fd, flags }),
        8 => (pick(Want::Socket), destination()).prop_map(|(fd, to)| Op::Connect { fd, to }),
        2 => (pick(Want::Socket), 0..4_u8).prop_map(|(fd, how)| Op::Shutdown { fd, how }),
        4 => (pick(Want::Socket), vec(pick(Want::Any), 0..5)).prop_map(|(fd, passed)| Op::Send { fd, passed }),
        4 => (pick(Want::Socket), 0..5_u8, flag())
            .prop_map(|(fd, room, cloexec)| Op::Receive { fd, room, cloexec }),
        1 => (pick(Want::Socket), vec(pick(Want::Any), 0..5))
            .prop_map(|(fd, passed)| Op::SendMany { fd, passed }),
        1 => (pick(Want::Socket), 0..5_u8, flag())
            .prop_map(|(fd, room, cloexec)| Op::ReceiveMany { fd, room, cloexec }),
    ];
    let descriptors = prop_oneof![
        2 => any_fd().prop_map(|fd| Op::Dup { fd }),
        1 => (any_fd(), any_fd()).prop_map(|(pidfd, fd)| Op::GetFd { pidfd, fd }),
        4 => (any_fd(), number()).prop_map(|(fd, to)| Op::Dup2 { fd, to }),
        3 => (any_fd(), number(), flag()).prop_map(|(fd, to, cloexec)| Op::Dup3 { fd, to, cloexec }),
        2 => (any_fd(), number(), flag()).prop_map(|(fd, min, cloexec)| Op::DupFrom { fd, min, cloexec }),
        2 => (any_fd(), flag()).prop_map(|(fd, cloexec)| Op::SetFd { fd, cloexec }),
        2 => (any_fd(), flag()).prop_map(|(fd, cloexec)| Op::Ioctl { fd, cloexec }),
        6 => any_fd().prop_map(|fd| Op::Close { fd }),
        2 => (0..20_u16, 0..30_u16, flag(), flag())
            .prop_map(|(first, last, unshare, cloexec)| Op::CloseRange { first, last, unshare, cloexec }),
        4 => (makers, flag()).prop_map(|(maker, cloexec)| Op::Make { maker, cloexec }),
        3 => (openers, paths, flag()).prop_map(|(opener, path, cloexec)| Op::Open { opener, path, cloexec }),
        2 => proptest::option::of(flags()).prop_map(|flags| Op::Pipe { flags }),
    ];
    let processes = prop_oneof![
        3 => forkers.prop_map(|how| Op::Fork { how }),
        1 => select(vec![Op::Vfork]),
        3 => select(vec![Op::Thread]),
        1 => select(vec![Op::Exit]),
        1 => proptest::bool::weighted(0.2).prop_map(|missing| Op::Exec { missing }),
        1 => select(vec![Op::Unshare]),
        2 => select(vec![Op::Table]),
        2 => (0..5_u8).prop_map(|above| Op::Limit { above }),
    ];
    prop_oneof![10 => sockets, 9 => descriptors, 3 => processes]
}
