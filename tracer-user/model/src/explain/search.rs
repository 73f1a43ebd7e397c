//! Looking for the sockets that have to do with an error: among those of followed processes, and in the look at the machine
//! that came with it.

use super::{Holder, MOST_HOLDERS, MOST_PARTIES, Party, Unseen};
use crate::{
    address::Address,
    entity::Socket,
    event::{Event, SocketKind},
    ids::{ProcessKey, SocketId},
    input::{HeldSock, Looked, Options, Sock},
    lifecycle,
    session::Session,
    sockets::kind_of,
};
use foldhash::HashMap;

/// The socket that failed.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) sk: u64,
    pub(super) kind: SocketKind,
    pub(super) netns: u32,
    pub(super) options: Options,
    pub(super) local: Address,
    pub(super) told: u64,
}

/// A socket that may explain it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) sk: u64,
    pub(super) party: Party,
    /// Event that told of it.
    pub(super) told: u64,
}

impl Session {
    /// The socket that an event is about.
    pub(super) fn own(&self, event: &Event) -> Option<Own> {
        let id = event.socket?;
        let kept = self.world.sockets.get(id)?;
        Some(Own {
            sk: kept.sk,
            kind: kept.socket.kind,
            netns: kept.socket.netns,
            options: kept.socket.options,
            local: kept.socket.local.clone(),
            told: kept.told,
        })
    }

    /// The look that came with an event.
    pub(super) fn looked(&self, event: &Event) -> Option<&Looked> {
        self.explaining.looked(event.ts, event.process, event.tid)
    }

    /// Sockets that somebody holds and that `wanted` picks by kind, local address and state; without the own one.
    pub(super) fn held(
        &self,
        event: &Event,
        own: u64,
        wanted: impl Fn(SocketKind, &Address, u16) -> bool,
    ) -> Vec<Candidate> {
        let living = self.world.sockets.iter().filter(|kept| {
            kept.sk != own
                && kept.socket.ended.is_none()
                && kept.socket.holders > 0
                && wanted(kept.socket.kind, &kept.socket.local, kept.state)
        });
        let mut found: Vec<Candidate> = living
            .map(|kept| Candidate {
                sk: kept.sk,
                party: party_of(&kept.socket, kept.state, Vec::new()),
                told: kept.told,
            })
            .collect();
        let mut holders = self.holders(found.iter().filter_map(|candidate| candidate.party.socket));
        for candidate in &mut found {
            let id = candidate.party.socket;
            candidate.party.holders = id.and_then(|id| holders.remove(&id)).unwrap_or_default();
        }
        let Some(looked) = self.looked(event) else { return found };
        for HeldSock { process, comm, fd, sock, .. } in &looked.held {
            let kind = kind_of(sock);
            // The look came after the error.
            let later = process.start_ns > event.ts.0;
            if later || sock.sk == own || !wanted(kind, &sock.local, sock.state) {
                continue;
            }
            let holder =
                Holder { process: *process, comm: String::from_utf8_lossy(comm).into_owned(), fd: *fd };
            match found.iter_mut().find(|candidate| candidate.sk == sock.sk) {
                Some(known) => add(&mut known.party.holders, holder),
                None => found.push(Candidate { sk: sock.sk, party: party_read(sock, vec![holder]), told: 0 }),
            }
        }
        found
    }

    /// Connections that nobody holds and that `wanted` picks: from the look, and of followed processes.
    pub(super) fn leftovers(&self, event: &Event, wanted: impl Fn(&Sock) -> bool) -> Vec<Candidate> {
        let Some(looked) = self.looked(event) else { return Vec::new() };
        let nobodys = looked
            .leftovers
            .iter()
            .filter(|sock| wanted(sock) && looked.held.iter().all(|held| held.sock.sk != sock.sk));
        nobodys
            .map(|sock| {
                let known = self.world.sockets.at(sock.sk).and_then(|id| self.world.sockets.get(id));
                let known = known.filter(|kept| kept.socket.local == sock.local);
                let party =
                    Party { socket: known.map(|kept| kept.socket.id), ..party_read(sock, Vec::new()) };
                Candidate { sk: sock.sk, party, told: known.map_or(0, |kept| kept.told) }
            })
            .collect()
    }

    /// Who holds these sockets, as far as followed processes go: one pass over the descriptors.
    pub(super) fn holders(&self, sockets: impl Iterator<Item = SocketId>) -> HashMap<SocketId, Vec<Holder>> {
        let mut held: HashMap<SocketId, Vec<Holder>> = sockets.map(|id| (id, Vec::new())).collect();
        if held.is_empty() {
            return held;
        }
        let open = self.world.tables.iter().filter(|descriptor| descriptor.closed.is_none());
        let mut in_tables = HashMap::default();
        for descriptor in open {
            if let Some(id) = descriptor.socket.filter(|id| held.contains_key(id)) {
                in_tables.entry(descriptor.table).or_insert_with(Vec::new).push((id, descriptor.fd));
            }
        }
        for kept in self.world.processes.iter().filter(|kept| kept.process.ended.is_none()) {
            for (id, fd) in kept.tables().filter_map(|table| in_tables.get(&table)).flatten() {
                if let Some(holders) = held.get_mut(id) {
                    add(holders, self.holder(kept.process.key, *fd));
                }
            }
        }
        held
    }

    pub(super) fn holder(&self, process: ProcessKey, fd: i32) -> Holder {
        let comm = self.world.process(process).map(|process| process.comm.clone()).unwrap_or_default();
        Holder { process, comm, fd }
    }

    /// What a search did not see of processes that are not followed.
    pub(super) fn unseen(&self, event: &Event) -> Option<Unseen> {
        match self.looked(event) {
            None => Some(Unseen::Unfollowed),
            Some(looked) => (!looked.whole).then_some(Unseen::CutShort),
        }
    }
}

/// A socket as an explanation shows it.
pub(super) fn party_of(socket: &Socket, state: u16, holders: Vec<Holder>) -> Party {
    Party {
        socket: Some(socket.id),
        kind: socket.kind,
        netns: socket.netns,
        local: socket.local.clone(),
        peer: lifecycle::shown(socket, &socket.peer).cloned(),
        state,
        options: socket.options,
        relation: None,
        holders,
    }
}

fn party_read(sock: &Sock, holders: Vec<Holder>) -> Party {
    Party {
        socket: None,
        kind: kind_of(sock),
        netns: sock.netns,
        local: sock.local.clone(),
        peer: Some(sock.peer.clone()).filter(|peer| !peer.is_unset()),
        state: sock.state,
        options: sock.options,
        relation: None,
        holders,
    }
}

/// The first parties, how many more there were, and the events that told of the first.
pub(super) fn first(candidates: Vec<Candidate>) -> (Vec<Party>, u64, Vec<u64>) {
    let more = candidates.len().saturating_sub(MOST_PARTIES) as u64;
    let first: Vec<Candidate> = candidates.into_iter().take(MOST_PARTIES).collect();
    let told = first.iter().map(|candidate| candidate.told).filter(|seq| *seq != 0).collect();
    (first.into_iter().map(|candidate| candidate.party).collect(), more, told)
}

fn add(holders: &mut Vec<Holder>, holder: Holder) {
    let known = holders.iter().any(|other| other.process == holder.process && other.fd == holder.fd);
    if !known && holders.len() < MOST_HOLDERS {
        holders.push(holder);
    }
}
