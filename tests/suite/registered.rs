//! io_urings that have no number, against what the program that made them wrote down.

use crate::descriptors::Traced;
use anyhow::Result;

#[test]
fn a_ring_without_a_number_makes_no_descriptor() -> Result<()> {
    let traced = Traced::run("registered.py")?;
    traced.calls_are_as_logged()?;
    traced.table_is_as_logged()
}
