//! Numbers of the API.

use tracer_model::ids::BootNs;

/// Nanoseconds from `t0` to a moment; negative where it lies before.
#[must_use]
pub const fn offset(moment: BootNs, t0: BootNs) -> i64 {
    moment.0.wrapping_sub(t0.0).cast_signed()
}
