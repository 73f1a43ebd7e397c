//! Generated files that are checked in must be what their generator makes now; `BLESS=1` rewrites them.

use std::{env, fs, path::Path};

#[test]
fn typescript_of_the_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/src/protocol/types.gen.ts");
    let made = tracer_wire::typescript::declarations();
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, made).unwrap();
        return;
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == made, "{} is out of date; run BLESS=1 cargo test -p tracer-wire", path.display());
}
