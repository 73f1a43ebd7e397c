//! The stack of a call.

use crate::{escape::Escaped, line::lossy};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_model::stacks;
use ts_rs::TS;
use utoipa::ToSchema;

/// The stack of a call in the caller's own program.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Stack {
    /// The innermost first.
    pub frames: Vec<Frame>,
    /// Why it has no more: `no_frame_pointer` (the function of the last frame keeps none, so that its caller is unknown), `long`
    /// (it goes on behind what is kept), `unread` (the process had ended, or may not be looked into: frames are bare addresses).
    /// Absent where it is whole.
    pub cut: Option<String>,
}

/// A place in a program.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Frame {
    /// Path of the mapped file; absent for code that is no file's.
    pub file: Option<String>,
    /// Place in the file, bytes; without a file the address. In hexadecimal digits: a JSON number is exact up to 2^53 only.
    pub offset: String,
    /// The function, where the file has a symbol for it.
    pub symbol: Option<String>,
    /// Place in the function, bytes.
    pub symbol_offset: Option<u64>,
}

impl Stack {
    pub(crate) fn new(stack: &stacks::Stack) -> Self {
        let frame = |frame: &stacks::Frame| Frame {
            file: frame.file.as_deref().map(lossy),
            offset: format!("{:#x}", frame.offset),
            symbol: frame.symbol.as_ref().map(|(name, _)| name.clone()),
            symbol_offset: frame.symbol.as_ref().map(|(_, offset)| *offset),
        };
        Self {
            frames: stack.frames.iter().map(frame).collect(),
            cut: stack.cut.map(|cut| cut.name().to_owned()),
        }
    }

    /// A line a frame, as strace -k prints it; why there are no more at its end.
    pub(crate) fn text(&self, indent: usize) -> String {
        let mut text = String::new();
        for Frame { file, offset, symbol, symbol_offset } in &self.frames {
            let function = symbol.as_ref().map_or_else(String::new, |symbol| {
                format!("({}+{:#x})", Escaped(symbol.as_bytes()), symbol_offset.unwrap_or_default())
            });
            let file = file.as_deref().unwrap_or("[no file]");
            let _ = writeln!(text, "{:indent$}{}{function} [{offset}]", "", Escaped(file.as_bytes()));
        }
        let last = self.frames.last().and_then(|frame| frame.file.as_deref()).unwrap_or("this code");
        let cut = match self.cut.as_deref() {
            Some("no_frame_pointer") => {
                format!("no more is known: {} keeps no frame pointer there", Escaped(last.as_bytes()))
            }
            Some("long") => "there is more".to_owned(),
            Some("unread") => "addresses alone: the process had ended, or may not be looked into".to_owned(),
            Some(_) | None => return text,
        };
        let _ = writeln!(text, "{:indent$}{cut}", "");
        text
    }
}
