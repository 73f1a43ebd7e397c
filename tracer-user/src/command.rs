//! CMD: a process that is there, stopped right before its first instruction, until everything watches it.
//!
//! It is forked before anything is opened, loaded or started in this process, so that it inherits nothing of ours: no
//! descriptor, no signal handler, no privilege that was dropped. It runs with what the user gave it.

use crate::exit;
use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    sys::{
        signal::{SigHandler, Signal, kill, raise, signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{AccessFlags, ForkResult, Pid, access, execv, fork, getpid, getppid},
};
use std::{
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// A program that exists, with its arguments.
#[derive(Debug)]
pub(crate) struct Program {
    path: CString,
    arguments: Vec<CString>,
}

impl Program {
    /// Finds the program as execvp(3) does; `None` where there is nothing to run.
    pub(crate) fn resolve(words: &[OsString]) -> Result<Option<Self>> {
        let Some(name) = words.first() else { return Ok(None) };
        let path = find(name, std::env::var_os("PATH").as_deref())?;
        let c_string = |text: &OsStr| CString::new(text.as_bytes()).context("CMD contains a zero byte");
        Ok(Some(Self {
            path: c_string(path.as_os_str())?,
            arguments: words.iter().map(|word| c_string(word)).collect::<Result<_>>()?,
        }))
    }

    /// Forks; returns when the child has stopped itself.
    pub(crate) fn spawn_stopped(&self) -> Result<Command> {
        let parent = getpid();
        // SAFETY: no thread was started so far, so the child may call anything.
        let child = match unsafe { fork() }.context("cannot start CMD")? {
            ForkResult::Child => self.become_it(parent),
            ForkResult::Parent { child } => child,
        };
        let mut command = Command { pid: child, state: State::Stopped };
        match waitpid(child, Some(WaitPidFlag::WUNTRACED)).context("cannot wait for CMD")? {
            WaitStatus::Stopped(..) => Ok(command),
            other => {
                command.state = State::Ended(exit::FAILED);
                bail!("CMD did not wait to be traced: {other:?}")
            }
        }
    }

    /// The child's side: waits, and becomes the program.
    fn become_it(&self, parent: Pid) -> ! {
        // While it waits it must not outlive a parent that is killed: nobody would wake it.
        let orphaned = set_parent_death_signal(libc::SIGKILL).is_err() || getppid() != parent;
        if !orphaned && raise(Signal::SIGSTOP).is_ok() {
            let _ = set_parent_death_signal(0);
            // SAFETY: no handler is installed. The runtime ignores SIGPIPE, and execve(2) would pass that on.
            let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
            let Err(error) = execv(&self.path, &self.arguments);
            eprintln!("sockreel: cannot execute {}: {}", self.path.to_string_lossy(), error.desc());
        }
        // SAFETY: ends the process at once, as a child that shares its parent's buffers must.
        unsafe { libc::_exit(exit::NOT_EXECUTED.into()) }
    }
}

/// `PR_SET_PDEATHSIG`, prctl(2); 0 for none.
fn set_parent_death_signal(number: libc::c_int) -> nix::Result<()> {
    // SAFETY: this option takes a signal's number and touches no memory.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number) }).map(drop)
}

/// Where the program is. A name with a slash is a path; any other is looked for in PATH.
fn find(name: &OsStr, search: Option<&OsStr>) -> Result<PathBuf> {
    let shown = name.display();
    let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
        vec![name.into()]
    } else {
        let search = search.unwrap_or(OsStr::new("/bin:/usr/bin"));
        std::env::split_paths(search).map(|dir| dir.join(name)).collect()
    };
    let there: Vec<&PathBuf> = candidates.iter().filter(|path| path.exists()).collect();
    if let Some(path) = there.iter().find(|path| is_executable(path)) {
        return Ok((*path).clone());
    }
    match there.first() {
        Some(path) => bail!("cannot run {shown}: {} is not an executable file", path.display()),
        None if name.as_bytes().contains(&b'/') => bail!("cannot run {shown}: there is no such file"),
        None => bail!("cannot run {shown}: there is no such program in PATH"),
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stopped,
    Running,
    /// With the exit code that is passed on.
    Ended(u8),
}

/// The started command. Dropped before it was released, it ends without having run.
#[derive(Debug)]
pub(crate) struct Command {
    pid: Pid,
    state: State,
}

impl Command {
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Lets it run.
    pub(crate) fn release(&mut self) -> Result<()> {
        kill(self.pid, Signal::SIGCONT).context("cannot let CMD run")?;
        self.state = State::Running;
        Ok(())
    }

    /// Its exit code once it has ended: its own, or 128 and the number of the signal that ended it.
    pub(crate) fn ended(&mut self) -> Option<u8> {
        if self.state == State::Running {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => self.state = State::Ended(code.to_le_bytes()[0]),
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    self.state =
                        State::Ended(exit::SIGNALLED.saturating_add((signal as i32).to_le_bytes()[0]));
                }
                // ECHILD: somebody else reaped it. It is gone, and so is its status.
                Err(Errno::ECHILD) => self.state = State::Ended(exit::FAILED),
                Ok(_) | Err(_) => {}
            }
        }
        match self.state {
            State::Ended(code) => Some(code),
            State::Stopped | State::Running => None,
        }
    }

    /// Its exit code where it has ended, at the end of tracing; where it still runs, that is told.
    pub(crate) fn leave(&mut self) -> Option<u8> {
        let code = self.ended();
        if code.is_none() {
            eprintln!("sockreel: CMD is not traced any more and runs on as process {}", self.pid());
        }
        code
    }

    /// Asks it to end.
    pub(crate) fn terminate(&mut self) {
        if self.ended().is_none() {
            // It may end at this very moment, which is what is asked for.
            let _ = kill(self.pid, Signal::SIGTERM);
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if self.state == State::Stopped {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find;
    use std::{
        ffi::OsStr,
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt as _,
        path::Path,
    };

    fn file(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_executable_file_in_path_is_run() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b, c) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        file(&a.join("plain"), 0o644);
        fs::create_dir_all(a.join("tool")).unwrap();
        file(&b.join("tool"), 0o644);
        file(&c.join("tool"), 0o755);
        let path = std::env::join_paths([&a, &b, &c]).unwrap();
        let find = |name: &str| find(OsStr::new(name), Some(&path)).map_err(|error| error.to_string());

        assert_eq!(find("tool"), Ok(c.join("tool")));
        assert_eq!(
            find("plain"),
            Err(format!("cannot run plain: {} is not an executable file", a.join("plain").display()))
        );
        assert_eq!(find("none"), Err("cannot run none: there is no such program in PATH".to_owned()));
        assert_eq!(find("./none"), Err("cannot run ./none: there is no such file".to_owned()));
    }
}
