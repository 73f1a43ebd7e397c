//! From where descriptors were made.

use super::Task;
use crate::{
    ids::{BootNs, StackId},
    stacks::Stack,
};
use serde::{Deserialize, Serialize};

/// The stack of a call that made descriptors, told when it has been read: after the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Who called.
    pub task: Task,
    /// A moment of the call, before the one at which it is told to have returned.
    pub taken: BootNs,
    /// The descriptors.
    pub fds: Vec<i32>,
    /// The stack.
    pub stack: StackId,
    /// What it is, where it was not told before.
    pub new: Option<Stack>,
}
