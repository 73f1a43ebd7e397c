//! Makes the table of the page's files: those of the directory in `SOCKREEL_WEB_DIST`, or a notice that the page was
//! left out.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const WITHOUT_PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>sockreel</title>\n\
    <h1>sockreel was built without its page</h1>\n\
    <p>Run <code>cargo xtask build</code> and start it again. The API answers all the same: \
    <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p>\n</html>\n";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=SOCKREEL_WEB_DIST");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut files = Vec::new();
    if let Some(dist) = env::var_os("SOCKREEL_WEB_DIST").map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", dist.display());
        collect(&dist, &mut files).map_err(|error| {
            format!("SOCKREEL_WEB_DIST={}: {error}; build the page first", dist.display())
        })?;
        if !files.contains(&dist.join("index.html")) {
            return Err(format!(
                "SOCKREEL_WEB_DIST={} has no index.html; build the page first",
                dist.display()
            )
            .into());
        }
        write_table(&out, &dist, &files)
    } else {
        let notice = out.join("notice");
        fs::create_dir_all(&notice)?;
        fs::write(notice.join("index.html"), WITHOUT_PAGE)?;
        write_table(&out, &notice, &[notice.join("index.html")])
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn write_table(out: &Path, root: &Path, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let mut table = "&[\n".to_owned();
    for file in files {
        let path =
            file.strip_prefix(root)?.to_str().ok_or("a file of the page has a name that is no UTF-8")?;
        let content_type =
            content_type(path).ok_or_else(|| format!("{path}: no content type for it is known here"))?;
        let absolute = fs::canonicalize(file)?;
        let absolute = absolute.to_str().ok_or("the page lies in a directory whose name is no UTF-8")?;
        writeln!(table, "    ({:?}, {content_type:?}, include_bytes!({:?})),", format!("/{path}"), absolute)?;
    }
    table.push_str("]\n");
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

fn content_type(path: &str) -> Option<&'static str> {
    Some(match Path::new(path).extension()?.to_str()? {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => return None,
    })
}
