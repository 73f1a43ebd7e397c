//! Numbers of the API: JSON numbers are doubles (RFC 8259, section 6), exact up to 2^53.

use tracer_model::ids::BootNs;

/// A count or a duration as a JSON number.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53: 104 days of nanoseconds, see `api`")]
pub const fn number(value: u64) -> f64 {
    value as f64
}

/// Nanoseconds from `t0` to a moment; negative where it lies before.
#[must_use]
pub fn offset(moment: BootNs, t0: BootNs) -> f64 {
    match moment.0.checked_sub(t0.0) {
        Some(after) => number(after),
        None => -number(t0.0 - moment.0),
    }
}
