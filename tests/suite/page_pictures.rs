//! The README's pictures, of a real browser over a real daemon. With `BLESS` they replace those in `docs/`.

use crate::harness::{Script, Sockreel};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use std::{env, fs, path::Path};

#[test]
fn pictures_of_a_server_that_has_visitors() -> Result<()> {
    // Its path is on the pictures.
    let dir = tempfile::Builder::new().prefix("demo-").tempdir()?;
    let program = dir.path().join("demo-server");
    fs::copy(env!("CARGO_BIN_EXE_demo-server"), &program)?;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let into = if env::var_os("BLESS").is_some() { docs.as_path() } else { dir.path() };
    let program = program.to_str().context("a program without a name")?;
    let server = ["serve", "--listen", "127.0.0.1:0", "--", program];
    let mut serve = Sockreel::start(dir.path(), "serve", server)?;
    let url = serve.url()?;
    let report =
        Script::start("pictures.mjs", &[&url, into.to_str().context("a directory without a name")?])?
            .answer()?;
    println!("on the pictures: {report:#}");
    ensure!(report["faults"] == json!([]), "{report}");
    ensure!(report["children"].as_u64() > Some(30), "{report}");
    ensure!(report["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{report}");
    for picture in ["page.png", "lesson.png"] {
        let bytes = fs::read(into.join(picture))?;
        ensure!(bytes.starts_with(b"\x89PNG") && bytes.len() > 50_000, "{picture}: {} bytes", bytes.len());
    }
    serve.insist()?;
    Ok(())
}
