//! SELECT: what to follow, as typed.

use clap::Args;
use std::path::PathBuf;
use tracer_capture::Selection;

/// Where these options stand in the help.
const HEADING: &str = "What to follow";

/// What to follow. Several kinds add up. Nothing selected and no CMD means every process.
#[derive(Args, Debug)]
pub(crate) struct Select {
    /// Follow the process PID and the children that it starts later; repeatable
    #[arg(help_heading = HEADING, short = 'p', long = "pid", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff))]
    pub(crate) pids: Vec<u32>,
    /// Follow processes with this name, as /proc/PID/comm has it
    #[arg(help_heading = HEADING, long, value_name = "NAME", value_parser = comm)]
    comm: Option<String>,
    /// Follow processes in this control group or below it
    #[arg(help_heading = HEADING, long, value_name = "PATH")]
    cgroup: Option<PathBuf>,
    /// Follow sockets with this local or peer port, from their bind, connect or accept on
    #[arg(help_heading = HEADING, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Follow every process, as without any selection and CMD
    #[arg(help_heading = HEADING, long)]
    all: bool,
}

impl Select {
    /// The selection; `command` is the process that was started for it.
    pub(crate) fn resolve(self, command: Option<u32>) -> Selection {
        let Self { mut pids, comm, cgroup, port, all } = self;
        pids.extend(command);
        let nothing = pids.is_empty() && comm.is_none() && cgroup.is_none() && port.is_none();
        Selection { pids, comm, cgroup, port, all: all || nothing }
    }
}

/// A name as the kernel keeps it: 1 to 15 bytes (`TASK_COMM_LEN` of include/linux/sched.h is 16 with the final zero).
fn comm(name: &str) -> Result<String, String> {
    match name.len() {
        1..=15 => Ok(name.to_owned()),
        length => Err(format!("the kernel keeps names of 1 to 15 bytes, this has {length}")),
    }
}

#[cfg(test)]
mod tests {
    use super::Select;
    use tracer_capture::Selection;

    fn select(pids: &[u32], port: Option<u16>) -> Select {
        Select { pids: pids.to_vec(), comm: None, cgroup: None, port, all: false }
    }

    #[test]
    fn nothing_selected_means_everything() {
        assert_eq!(select(&[], None).resolve(None), Selection { all: true, ..Selection::default() });
    }

    #[test]
    fn a_command_adds_to_the_selection() {
        let pids = vec![7, 9];
        assert_eq!(select(&[7], None).resolve(Some(9)), Selection { pids, ..Selection::default() });
        let port = Some(80);
        assert_eq!(
            select(&[], port).resolve(Some(9)),
            Selection { pids: vec![9], port, ..Selection::default() }
        );
    }
}
