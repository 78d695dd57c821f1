//! Direction inside the node: tasks -> execute -> store, api -> store, and client commands over HTTP alone.

use crate::tree::{code, joined, named, nothing, product};
use std::collections::BTreeSet;

const NODE: &str = "crates/raas-node/src/";

/// A module and the modules of the node that it may name. `api`'s types are what the client commands read and write.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("causes", &[]),
    ("failpoint", &[]),
    ("settings", &[]),
    ("world", &[]),
    ("store", &["failpoint"]),
    ("blocks", &["failpoint"]),
    ("upload", &["blocks", "failpoint", "store"]),
    ("watch", &["store"]),
    ("engine", &["execute", "settings", "store", "tasks", "watch", "world"]),
    ("execute", &["engine", "failpoint", "settings", "store", "world"]),
    ("tasks", &["engine", "execute", "failpoint", "settings", "store", "watch", "world"]),
    ("keeping", &["blocks", "engine", "execute", "failpoint", "store", "world"]),
    ("api", &["blocks", "engine", "failpoint", "keeping", "settings", "store", "upload", "world"]),
    // The data listener shares the application's state with the API, fetches what is gone by execute's path, and has what it
    // finds wrong looked into.
    ("data", &["api", "blocks", "engine", "execute", "failpoint", "keeping", "settings", "store", "world"]),
    ("config", &["settings"]),
    (
        "node",
        &["api", "blocks", "config", "data", "engine", "failpoint", "keeping", "settings", "store", "world"],
    ),
    ("cli", &[]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Commands that run a node in this process, or speak to a chain themselves, or are configured by the node's file, and so are wiring; every other command is
/// a client.
const WIRING: &[&str] = &[
    "up.rs",
    "serve.rs",
    "devnet.rs",
    "demo.rs",
    "demo/",
    "contract/",
    "doctor.rs",
    "failure.rs",
    "key.rs",
    "kubo.rs",
    "run.rs",
    "wallet_keys.rs",
];
/// What wiring may name.
const WIRED: &[&str] = &["config", "node", "engine"];

fn module_of(file: &str) -> Option<(&str, &str)> {
    let path = file.strip_prefix(NODE)?;
    Some(path.split_once('/').unwrap_or((path.strip_suffix(".rs")?, "")))
}

#[test]
fn modules_of_the_node_use_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for file in product() {
        let Some((module, within)) = module_of(&file) else { continue };
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{file}: module {module} has no rule in this test"));
            continue;
        };
        let wiring = module == "cli" && WIRING.iter().any(|name| within.starts_with(name));
        let lines = code(&file);
        let joined = joined(&lines);
        for (at, used) in named(&joined, "crate::") {
            let ok = used == module
                // Words for errors, which everybody has.
                || used == "causes"
                || allowed.contains(&used.as_str())
                || (wiring && WIRED.contains(&used.as_str()));
            if !ok {
                let line = lines[joined[..at].matches('\n').count()].0;
                wrong.push(format!("{file}:{line}: {module} must not name crate::{used}"));
            }
        }
    }
    nothing(&wrong);
}

/// `super` out of a top module would be a way around the rule above.
#[test]
fn nobody_climbs_to_the_crate_root_by_super() {
    let mut wrong = Vec::new();
    for file in product() {
        let Some((_, within)) = module_of(&file) else { continue };
        let depth = if within.is_empty() || within == "mod.rs" {
            0
        } else {
            within.matches('/').count() + usize::from(!within.ends_with("/mod.rs"))
        };
        let climb = "super::".repeat(depth + 1);
        for (line, code) in code(&file) {
            if code.contains(&climb) {
                wrong.push(format!("{file}:{line}: say crate:: instead of {climb}"));
            }
        }
    }
    nothing(&wrong);
}

/// Effects of the ports and of the store that a test must be able to be killed before and after.
const EFFECTS: &[&str] = &[
    "().propose(",
    "wallet.broadcast(",
    "wallet().broadcast(",
    "().sign_deal(",
    "wallet.sign(",
    "().evict(",
    "().import(",
    "().fetch(",
    "().verify(",
    "commit_intents(",
    "apply_round(",
    "apply_whole_window(",
    "register_job(",
    "record_pieces(",
    "sign_order(",
    "set_order(",
    "finish_step(",
    "plan_tx_once(",
    ".set_local(",
    ".set_retrieved(",
    "put_upload(",
    "store_signed_tx(",
    "set_tx(",
];
/// Where that is done by somebody who is neither the loop nor a route.
const NO_LOOP: &[&str] = &["cli", "store", "blocks", "failpoint", "world"];
/// What every start does again, before the loop.
const AT_START: &str = "crates/raas-node/src/node/leftovers.rs";

/// A statement that awaits an effect does so between the two sides of a failpoint; one that only makes the future may
/// stand by itself.
#[test]
fn every_effect_is_awaited_at_a_failpoint() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in product() {
        let Some((module, _)) = module_of(&file) else { continue };
        if NO_LOOP.contains(&module) || file == AT_START {
            continue;
        }
        let lines = code(&file);
        let text = joined(&lines);
        let mut begin = 0;
        for (end, _) in text.match_indices([';', '{', '}']) {
            let statement = &text[begin..end];
            begin = end + 1;
            let Some(effect) = EFFECTS.iter().find(|effect| statement.contains(**effect)) else { continue };
            if statement.contains("fn ") {
                continue;
            }
            seen.insert(*effect);
            if statement.contains(".await") && !statement.contains("failpoint::around(") {
                let line = lines[text[..end].matches('\n').count()].0;
                wrong.push(format!("{file}:{line}: {effect} is awaited outside of failpoint::around"));
            }
        }
    }
    let unseen = EFFECTS.iter().filter(|effect| !seen.contains(*effect));
    wrong.extend(unseen.map(|effect| format!("{effect} is nowhere: take it from the list")));
    nothing(&wrong);
}

#[test]
fn names_are_found_in_paths_and_groups() {
    let found = |code| named(code, "crate::").into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(found("use crate::store::Store;"), ["store"]);
    assert_eq!(found("use crate::{\n    api,\n    store::{self, Store},\n};"), ["api", "store"]);
    assert_eq!(found("fn a(_: crate::world::X, _: crate::engine::Y)"), ["world", "engine"]);
    assert!(found("use raas_core::units::Epoch;").is_empty());
}
