//! What a recording says about itself.

use crate::{FORMAT_VERSION, PROFILE};
use mcap::records::Metadata;
use std::collections::BTreeMap;

/// Facts about the session that was recorded. None of them changes how the inputs are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Version of the program that recorded.
    pub program: String,
    /// Identity of the session.
    pub session: String,
    /// What was followed, as the user asked for it.
    pub selection: String,
    /// What was attached, in sentences.
    pub attached: Vec<String>,
    /// What the kernel could not tell, in sentences.
    pub missing: Vec<String>,
    /// Name of the host (uname(2), `nodename`).
    pub host: String,
    /// Release of its kernel.
    pub kernel: String,
    /// Its hardware.
    pub machine: String,
}

/// A metadata record that does not make a head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotAHead {
    /// The version is another than the one that is read.
    OtherVersion(u32),
    /// There is no version.
    Unversioned,
}

impl Head {
    /// The metadata record of this head.
    pub(crate) fn to_metadata(&self) -> Metadata {
        let Self { program, session, selection, attached, missing, host, kernel, machine } = self;
        let fields = [
            ("format", FORMAT_VERSION.to_string()),
            ("program", program.clone()),
            ("session", session.clone()),
            ("selection", selection.clone()),
            ("attached", attached.join("\n")),
            ("missing", missing.join("\n")),
            ("host", host.clone()),
            ("kernel", kernel.clone()),
            ("machine", machine.clone()),
        ];
        Metadata {
            name: PROFILE.to_owned(),
            metadata: fields.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(),
        }
    }

    /// Reads a metadata record; a fact that is missing is empty.
    pub(crate) fn from_fields(mut fields: BTreeMap<String, String>) -> Result<Self, NotAHead> {
        let version = fields.get("format").and_then(|text| text.parse().ok()).ok_or(NotAHead::Unversioned)?;
        if version != FORMAT_VERSION {
            return Err(NotAHead::OtherVersion(version));
        }
        let mut text = |key: &str| fields.remove(key).unwrap_or_default();
        Ok(Self {
            program: text("program"),
            session: text("session"),
            selection: text("selection"),
            attached: text("attached").lines().map(str::to_owned).collect(),
            missing: text("missing").lines().map(str::to_owned).collect(),
            host: text("host"),
            kernel: text("kernel"),
            machine: text("machine"),
        })
    }
}
