//! Puts the kernel programs into the crate: the object that `SOCKREEL_EBPF_OBJECT` names (`cargo xtask build` sets it),
//! or an empty one, so that everything but tracing builds and is tested on the stable toolchain alone.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed=SOCKREEL_EBPF_OBJECT");
    let target = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("sockreel-ebpf");
    match env::var_os("SOCKREEL_EBPF_OBJECT") {
        Some(object) => {
            println!("cargo:rerun-if-changed={}", PathBuf::from(&object).display());
            fs::copy(&object, target).map_err(|cause| {
                format!("SOCKREEL_EBPF_OBJECT={}: {cause}", PathBuf::from(&object).display())
            })?;
        }
        None => fs::write(target, [])?,
    }
    Ok(())
}
