//! postgres, which refuses to run as root: a cluster of its own in a directory that its user can reach.

use super::free_port;
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

const AS_POSTGRES: [&str; 4] = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];

/// A cluster that is ready to be served.
pub(crate) struct Postgres {
    pub(crate) port: u16,
    /// The command and its arguments.
    pub(crate) argv: Vec<String>,
    /// Where its unix sockets are.
    pub(crate) sockets: PathBuf,
    programs: PathBuf,
    dir: TempDir,
}

impl Postgres {
    /// Makes a cluster.
    pub(crate) fn new() -> Result<Self> {
        let (dir, port) = (tempfile::tempdir()?, free_port()?);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
        let user = nix::unistd::User::from_name("postgres")?.context("no user postgres")?;
        let own = dir.path().join("own");
        fs::create_dir(&own)?;
        chown(&own, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        let programs = programs()?;
        let data = own.join("data");
        let made = Command::new(AS_POSTGRES[0])
            .args(&AS_POSTGRES[1..])
            .arg(programs.join("initdb"))
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "-D"])
            .arg(&data)
            .current_dir(&own)
            .output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut argv = AS_POSTGRES.map(str::to_owned).to_vec();
        let text = |path: PathBuf| path.into_os_string().into_string().ok().context("no UTF-8");
        argv.extend([text(programs.join("postgres"))?, "-D".into(), text(data)?, "-p".into()]);
        argv.extend([port.to_string(), "-h".into(), "127.0.0.1".into(), "-k".into()]);
        argv.extend([text(own.clone())?, "-F".into()]);
        Ok(Self { port, argv, sockets: own, programs, dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One of its own client programs, told where the server is and who asks.
    pub(crate) fn client(&self, program: &str, host: &Path) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-h").arg(host).args(["-p", &self.port.to_string(), "-U", "postgres"]);
        command
    }

    /// Asks it something at one of its sockets or addresses.
    pub(crate) fn query(&self, host: &Path) -> Result<()> {
        let answer = self.client("psql", host).args(["-Atc", "select 6 * 7"]).output()?;
        let text = String::from_utf8_lossy(&answer.stdout);
        ensure!(text.trim() == "42", "{text}{}", String::from_utf8_lossy(&answer.stderr));
        Ok(())
    }
}

/// The directory of the newest postgres' programs, as Debian lays them out.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().context("no postgres below /usr/lib/postgresql")
}
