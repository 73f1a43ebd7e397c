//! Sockets with several owners over time: inherited, handed over at a reload, activated; and what went wrong with that.

use crate::{
    caveat::Caveat,
    holders::{Holder, How},
    moment::Moment,
    view::View,
    who::{Target, moment_of},
};
use std::{borrow::Cow, collections::HashMap};
use tracer_model::{
    entity::{Phase, Socket},
    event::EventKind,
    ids::ProcessKey,
};

/// Sockets that took connections or datagrams for several processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handovers<'a> {
    /// In the order in which they were first seen.
    pub sockets: Vec<Handover<'a>>,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// One socket and its owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover<'a> {
    /// The socket, as it was.
    pub socket: Cow<'a, Socket>,
    /// Since when it listens, where that was seen.
    pub listening: Option<Moment>,
    /// Its owners in the order in which they came by it, those that gave it up included.
    pub owners: Vec<Owner<'a>>,
    /// What is noteworthy.
    pub findings: Vec<Finding>,
}

/// An owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Who, since when, how, until when.
    pub holder: Holder<'a>,
    /// Connections that it accepted from the socket.
    pub accepted: u64,
}

/// Something that people look for when a port is not free, or answers from an old program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The process that made the socket, or of which others had it when tracing began, holds it no longer; one that it forked at
    /// least [`DAEMON_NS`] earlier does.
    KeptAlive {
        /// Who had it first, and when it ceased to hold it.
        maker: (ProcessKey, Moment),
        /// Who keeps it.
        by: Vec<ProcessKey>,
    },
    /// A reload left it behind: of the children that a process forked, those that are as old gave the socket up within
    /// [`RELOAD_NS`] after new ones were forked, as many as there were old ones, and this one did not.
    LeftBehind {
        /// The old one.
        process: ProcessKey,
        /// The ones that gave it up.
        gave_up: Vec<ProcessKey>,
        /// The new ones.
        replaced_by: Vec<ProcessKey>,
        /// When the last of those that gave it up did.
        since: Moment,
    },
    /// It inherited the socket and executed another program with it, and never accepted from it while others did, none of
    /// which runs the same program: close-on-exec is missing. Where its maker is gone and it keeps the socket alive, that is told
    /// instead.
    Stray {
        /// The process.
        process: ProcessKey,
        /// The program that it executed.
        path: Vec<u8>,
        /// When.
        exec: Moment,
    },
}

/// A parent that ends sooner after the fork made a daemon (daemon(3)).
pub const DAEMON_NS: u64 = 1_000_000_000;
/// How long after new workers were forked a reload lets old ones give a listener up.
pub const RELOAD_NS: u64 = 10_000_000_000;
/// So long after the last of them did, one that still holds it was left behind.
pub const SETTLED_NS: u64 = 1_000_000_000;

/// Sockets with several owners up to the view's instant; those that are gone too where a `target` is named.
#[must_use]
pub fn handovers<'a>(view: &View<'a>, target: Option<&Target>) -> Handovers<'a> {
    let fits = |socket: &&'a Socket| target.is_none_or(|target| target.fits_socket(socket)) && takes(socket);
    let here: Vec<_> = view.session().sockets().filter(fits).collect();
    let holders = view.holders(|id| here.iter().any(|socket| socket.id == id));
    let mut sockets = Vec::new();
    for socket in here {
        let as_of = match view.socket(socket) {
            Some(socket) => socket,
            None if target.is_some() && socket.ended.is_some_and(|ended| ended <= view.at()) => {
                Cow::Borrowed(socket)
            }
            None => continue,
        };
        let (now, before) = holders.of(view, socket.id);
        let mut owners: Vec<_> = before
            .into_iter()
            .chain(now)
            .map(|holder| {
                let accepted = view.tallies().accepting.of(socket.id);
                let accepted = accepted.map_or(0, |tally| tally.accepted_by(holder.process.key));
                Owner { holder, accepted }
            })
            .collect();
        owners.sort_by_key(|owner| {
            (owner.holder.since.ts, owner.holder.process.key, owner.holder.descriptor.fd)
        });
        // A program that hands the socket on by executing another is an owner of its own.
        let first = owners.first().map(|owner| owner.holder.process.key);
        let alone = |owner: &Owner<'_>| {
            Some(owner.holder.process.key) == first && owner.holder.kept_across.is_empty()
        };
        if owners.iter().all(alone) {
            continue;
        }
        let findings = findings(view, &owners);
        sockets.push(Handover {
            listening: moment_of(view, &as_of, Phase::Listening),
            socket: as_of,
            owners,
            findings,
        });
    }
    let owners = sockets.iter().flat_map(|socket| &socket.owners);
    let caveats = view.caveats(owners.map(|owner| owner.holder.process.key));
    Handovers { sockets, caveats }
}

/// Whether a socket takes connections, or datagrams under a name of its own.
pub(crate) fn takes(socket: &Socket) -> bool {
    let was = |phase| socket.steps.iter().any(|step| step.phase == phase);
    socket.listener.is_none() && (was(Phase::Listening) || (socket.kind.ty == DGRAM && was(Phase::Bound)))
}

/// `SOCK_DGRAM`.
const DGRAM: u16 = 2;

fn findings(view: &View<'_>, owners: &[Owner<'_>]) -> Vec<Finding> {
    let kept_alive = kept_alive(owners);
    let kept_by = match &kept_alive {
        Some(Finding::KeptAlive { by, .. }) => by.clone(),
        _ => Vec::new(),
    };
    kept_alive.into_iter().chain(left_behind(view, owners)).chain(strays(owners, &kept_by)).collect()
}

fn is_inherited(how: How) -> bool {
    matches!(how, How::Inherited { .. } | How::Concluded { .. })
}

fn kept_alive(owners: &[Owner<'_>]) -> Option<Finding> {
    let made = owners.iter().find(|owner| matches!(owner.holder.how, How::Made(EventKind::Socket)));
    let maker = made.or_else(|| lender(owners))?;
    let key = maker.holder.process.key;
    let holds = |owner: &&Owner<'_>| owner.holder.until.is_none();
    if owners.iter().filter(holds).any(|owner| owner.holder.process.key == key) {
        return None;
    }
    let of_maker = owners.iter().filter(|owner| owner.holder.process.key == key);
    let (gone, _) = of_maker.filter_map(|owner| owner.holder.until).max_by_key(|(gone, _)| gone.ts)?;
    let long = |owner: &&Owner<'_>| gone.ts.0.saturating_sub(owner.holder.since.ts.0) >= DAEMON_NS;
    let by: Vec<_> = owners
        .iter()
        .filter(holds)
        .filter(|owner| is_inherited(owner.holder.how))
        .filter(long)
        .map(|owner| owner.holder.process.key)
        .collect();
    (!by.is_empty()).then_some(Finding::KeptAlive { maker: (key, gone), by })
}

/// Who had a socket before tracing began, and those that have it from there.
fn lender<'o, 'a>(owners: &'o [Owner<'a>]) -> Option<&'o Owner<'a>> {
    let lends =
        |key| owners.iter().any(|owner| matches!(owner.holder.how, How::Concluded { from } if from == key));
    let found = |owner: &&Owner<'_>| owner.holder.how == How::Found;
    owners.iter().filter(found).find(|owner| lends(owner.holder.process.key))
}

fn left_behind(view: &View<'_>, owners: &[Owner<'_>]) -> Vec<Finding> {
    let mut siblings: HashMap<ProcessKey, Vec<&Holder<'_>>> = HashMap::new();
    for owner in owners {
        if let How::Inherited { from: Some(from) } | How::Concluded { from } = owner.holder.how {
            siblings.entry(from).or_default().push(&owner.holder);
        }
    }
    let mut families: Vec<_> = siblings.into_iter().collect();
    families.sort_by_key(|(parent, _)| *parent);
    families.iter().flat_map(|(_, family)| left_behind_in(view, family)).collect()
}

/// The newest reload of one family of workers that left somebody behind.
fn left_behind_in(view: &View<'_>, family: &[&Holder<'_>]) -> Vec<Finding> {
    let holding = |holder: &&&Holder<'_>| holder.until.is_none();
    let mut forks: Vec<_> = family.iter().filter(holding).map(|holder| holder.since.ts).collect();
    forks.sort_unstable();
    for fork in forks.into_iter().rev() {
        let old = || family.iter().filter(|holder| holder.since.ts < fork);
        let reload = fork.0..=fork.0.saturating_add(RELOAD_NS);
        let gave_up: Vec<_> = old()
            .filter(|holder| holder.until.is_some_and(|(until, _)| reload.contains(&until.ts.0)))
            .collect();
        let last = gave_up.iter().filter_map(|holder| holder.until).map(|(until, _)| until);
        let Some(since) = last.max_by_key(|until| until.ts) else { continue };
        // Those that came later are of another reload.
        let came = fork.0..=since.ts.0;
        let new: Vec<_> =
            family.iter().filter(holding).filter(|holder| came.contains(&holder.since.ts.0)).collect();
        let left: Vec<_> = old().filter(holding).collect();
        let settled = view.at().0.saturating_sub(since.ts.0) >= SETTLED_NS;
        let whole = new.len() >= gave_up.len() + left.len();
        if settled && !left.is_empty() && gave_up.len() >= left.len() && whole {
            let keys = |holders: &[&&Holder<'_>]| holders.iter().map(|holder| holder.process.key).collect();
            let finding = |holder: &&Holder<'_>| Finding::LeftBehind {
                process: holder.process.key,
                gave_up: keys(&gave_up),
                replaced_by: keys(&new),
                since,
            };
            return left.into_iter().map(finding).collect();
        }
    }
    Vec::new()
}

fn strays(owners: &[Owner<'_>], kept_by: &[ProcessKey]) -> Vec<Finding> {
    let program = |owner: &Owner<'_>| owner.holder.kept_across.last().map(|(_, path)| path.to_vec());
    let accepting: Vec<_> = owners.iter().filter(|owner| owner.accepted > 0).collect();
    let mut strays = Vec::new();
    for owner in owners.iter().filter(|owner| owner.holder.until.is_none() && is_inherited(owner.holder.how))
    {
        let Some((exec, _)) = owner.holder.kept_across.last().copied() else { continue };
        let Some(path) = program(owner).filter(|_| !kept_by.contains(&owner.holder.process.key)) else {
            continue;
        };
        let apart = accepting.iter().all(|other| program(other).as_ref() != Some(&path));
        if !accepting.is_empty() && apart && owner.accepted == 0 {
            strays.push(Finding::Stray { process: owner.holder.process.key, path, exec });
        }
    }
    strays
}
