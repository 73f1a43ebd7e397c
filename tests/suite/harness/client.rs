//! A client whose ports are known, and who closes first.

use super::{Server, is_accepted, wait_for};
use anyhow::{Context as _, Result, ensure};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpStream},
    time::Duration,
};

/// A connection that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// The client's port.
    pub(crate) port: u16,
    /// Who closed first, as the server's side has it.
    pub(crate) closed_first: &'static str,
}

/// Connects and waits until the server has accepted and, where it can, has answered once.
pub(crate) fn hold(server: &Server) -> Result<(Visit, TcpStream)> {
    let mut stream = connect(server)?;
    let port = stream.local_addr()?.port();
    if let Some(ask) = server.ask {
        stream.write_all(ask)?;
        ensure!(stream.read(&mut [0; 4096])? > 0, "{} closed instead of answering", server.name);
    }
    wait_for("accept", || is_accepted(server.port, port))?;
    Ok((Visit { port, closed_first: "peer" }, stream))
}

/// Makes `number` connections, every second one closed by the server first.
pub(crate) fn visits(server: &Server, number: usize) -> Result<Vec<Visit>> {
    (0..number)
        .map(|turn| if turn % 2 == 0 { hold(server).map(|(visit, _)| visit) } else { served(server) })
        .collect()
}

/// Asks once; the server answers and closes.
fn served(server: &Server) -> Result<Visit> {
    let mut stream = connect(server)?;
    let port = stream.local_addr()?.port();
    stream.write_all(server.ask_and_close)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("{} does not close", server.name))?;
    ensure!(!answer.is_empty(), "{} closed without an answer", server.name);
    stream.shutdown(Shutdown::Both).ok();
    Ok(Visit { port, closed_first: "local" })
}

fn connect(server: &Server) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port))
        .with_context(|| format!("cannot connect to {}", server.name))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}
