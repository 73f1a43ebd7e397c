//! One event as one JSON object: the line of `--json` and of `/api/v1/events`.

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// One event as scripts see it. A field that has no meaning for an event is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Line {
    /// Number of the line.
    #[ts(type = "number")]
    pub seq: u64,
    /// Nanoseconds since the Unix epoch. Beyond 2^53: scripts that need it exact read it as an integer; the page uses
    /// `t`.
    #[ts(type = "number")]
    pub ts_ns: u64,
    /// Nanoseconds since the session's `t0`; only in the API.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[ts(optional)]
    pub t: Option<f64>,
    /// `pid@start`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[ts(optional)]
    pub process: Option<String>,
    // The fields of the contract follow here in its order: see ../../../ARCHITECTURE.md.
}
