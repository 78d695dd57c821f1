//! The checked-in contract artifact belongs to the checked-in sources, so that `cargo` alone builds a node that
//! deploys what the repository says. The contracts' own tests rebuild it and compare every byte.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts")
}

/// As `sha256sum src/*.sol foundry.toml package-lock.json | sha256sum` in the contracts folder.
fn source_hash() -> String {
    let mut names: Vec<String> = std::fs::read_dir(contracts().join("src"))
        .expect("the sources")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".sol"))
        .map(|name| format!("src/{name}"))
        .collect();
    names.sort();
    names.extend(["foundry.toml".to_owned(), "package-lock.json".to_owned()]);
    let mut lines = String::new();
    for name in names {
        let bytes = std::fs::read(contracts().join(&name)).expect("a source");
        lines.push_str(&format!("{}  {name}\n", hex::encode(Sha256::digest(bytes))));
    }
    hex::encode(Sha256::digest(lines))
}

#[test]
fn the_artifact_is_of_these_sources() {
    let text = std::fs::read_to_string(contracts().join("artifacts/DealStatus.json")).expect("the artifact");
    let artifact: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        artifact["sourceHash"].as_str(),
        Some(source_hash().as_str()),
        "contracts/export.sh makes the artifact anew"
    );
    assert!(artifact["bytecode"].as_str().is_some_and(|code| code.starts_with("0x60")));
}
