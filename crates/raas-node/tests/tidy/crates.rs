//! Direction of the crates, and what each manifest must say.

use crate::tree::{code, files, joined, named, nothing, product, text};
use std::collections::BTreeSet;

/// A crate, the crates of ours it may use, and those its tests may use besides.
const ALLOWED: &[(&str, &[&str], &[&str])] = &[
    ("raas-piece", &[], &[]),
    ("raas-core", &[], &[]),
    // The clients are tried on the devnet, which is not made of them.
    ("raas-clients", &["raas-core", "raas-piece"], &["raas-devnet"]),
    // An oracle is worth something only if it cannot call the code it judges: never clients, piece or node.
    ("raas-devnet", &["raas-core"], &[]),
    ("raas-node", &["raas-core", "raas-piece", "raas-clients", "raas-devnet"], &[]),
];

/// What would bring clock, network, files or chance into the rules.
const NOT_IN_CORE: &[&str] =
    &["tokio", "futures-util", "reqwest", "axum", "hyper", "sqlx", "jiff", "rand", "tracing", "tempfile"];

/// Names below the headings of a manifest that `wanted` accepts.
fn names(manifest: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[') {
            inside = wanted(heading.trim_end_matches(']'));
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    names(manifest, |heading| heading == "dependencies" || heading.ends_with(".dependencies"))
}

fn ours(names: BTreeSet<String>) -> BTreeSet<String> {
    names.into_iter().filter(|name| name.starts_with("raas-")).collect()
}

fn manifest(name: &str) -> String {
    text(&format!("crates/{name}/Cargo.toml"))
}

#[test]
fn crates_use_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for (name, allowed, in_tests) in ALLOWED {
        let manifest = manifest(name);
        for used in ours(dependencies(&manifest)) {
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("crates/{name}/Cargo.toml: {name} must not use {used}"));
            }
        }
        for used in ours(names(&manifest, |heading| heading.ends_with("dev-dependencies"))) {
            if !allowed.contains(&used.as_str()) && !in_tests.contains(&used.as_str()) {
                wrong.push(format!("crates/{name}/Cargo.toml: tests of {name} must not use {used}"));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn every_crate_is_known_here() {
    let there: BTreeSet<String> = files("crates")
        .iter()
        .filter(|file| file.ends_with("/Cargo.toml") && file.split('/').count() == 3)
        .filter_map(|file| file.split('/').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(there, ALLOWED.iter().map(|(name, ..)| (*name).to_owned()).collect());
}

#[test]
fn the_rules_are_pure() {
    let used = dependencies(&manifest("raas-core"));
    let wrong: Vec<String> = NOT_IN_CORE
        .iter()
        .filter(|name| used.contains(**name))
        .map(|name| format!("crates/raas-core/Cargo.toml: the rules must not use {name}"))
        .collect();
    nothing(&wrong);
}

#[test]
fn the_devnet_takes_only_ids_and_units_of_the_core() {
    let mut wrong = Vec::new();
    for file in product().iter().filter(|file| file.starts_with("crates/raas-devnet/")) {
        for (_, module) in named(&joined(&code(file)), "raas_core::") {
            if module != "ids" && module != "units" {
                wrong.push(format!("{file}: the devnet takes ids and units only, not {module}"));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn manifests_take_lints_and_versions_from_the_workspace() {
    let mut wrong = Vec::new();
    for (name, ..) in ALLOWED {
        let manifest = manifest(name);
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("crates/{name}/Cargo.toml: [lints] workspace = true is missing"));
        }
        if manifest.contains("[[test]]") {
            wrong.push(format!(
                "crates/{name}/Cargo.toml: ./test finds tests by their files, not by [[test]]"
            ));
        }
        for line in manifest.lines().filter(|line| line.contains("version = \"")) {
            wrong.push(format!("crates/{name}/Cargo.toml: '{line}': versions stand in the root manifest"));
        }
    }
    nothing(&wrong);
}
