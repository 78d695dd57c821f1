//! What may stand in a source file, and where.

use crate::tree::{code, files, nothing, product, rust, text};

/// A pattern that stands only in adapters, and those adapters with the reason.
struct Ban {
    pattern: &'static str,
    instead: &'static str,
    but: &'static [(&'static str, &'static str)],
}

const BANS: &[Ban] = &[
    Ban {
        pattern: "SystemTime::now",
        instead: "ask the Clock port",
        but: &[
            ("crates/raas-clients/src/clock.rs", "the adapter of the Clock port"),
            ("crates/raas-devnet/src/spawn.rs", "the genesis of a devnet whose time follows the wall"),
        ],
    },
    Ban {
        pattern: "Instant::now",
        instead: "ask the Clock port; only rates and time-outs of connections are measured",
        but: &[
            ("crates/raas-clients/src/source/download.rs", "minimum rate of a transfer"),
            ("crates/raas-clients/src/rpc/endpoint.rs", "rates and time-outs of an endpoint"),
            ("crates/raas-devnet/src/provider/fleet.rs", "how long a caller waits for providers to rest"),
            ("crates/raas-devnet/src/spawn.rs", "epochs by wall time"),
            ("crates/raas-devnet/src/rpc/endpoints.rs", "calls per second of a limited endpoint"),
            ("crates/raas-devnet/src/rpc/socket.rs", "pings of a socket"),
            ("crates/raas-node/src/cli/demo/run.rs", "how long the demo took, for people"),
            ("crates/raas-node/src/node/doctor/look/chain.rs", "how long an endpoint takes, for people"),
            ("crates/raas-node/src/data/limit.rs", "requests per second of a client"),
            ("crates/raas-node/src/data/patience.rs", "time-outs of connections whose readers do not read"),
        ],
    },
    Ban {
        pattern: "tokio::spawn",
        instead: "keep the task in a JoinSet, so that a stop waits for it",
        but: &[],
    },
    Ban {
        pattern: "rand::",
        instead: "derive it, or take it as an argument",
        but: &[
            ("crates/raas-node/src/node/key.rs", "a new key, salt and id of a new key file"),
            ("crates/raas-node/src/node/token.rs", "who may spend, made once"),
            ("crates/raas-node/src/cli/wallet.rs", "the name of one payment"),
            ("crates/raas-node/src/api/spec/upload.rs", "the name of an upload, before its CID is known"),
            ("crates/raas-node/src/store/open.rs", "the id of a store, made once"),
            ("crates/raas-node/src/store/keys.rs", "a new key"),
            (
                "crates/raas-node/src/node/start.rs",
                "the id of a store, unless a run is to be repeated; the name of a listener",
            ),
            ("crates/raas-node/src/node/doctor/look/listener.rs", "a name that nobody else knows"),
        ],
    },
    Ban {
        pattern: "env::var",
        instead: "add it to the configuration",
        but: &[
            ("crates/raas-node/src/node/key.rs", "a passphrase where neither file nor terminal can give it"),
            ("crates/raas-node/src/cli/run.rs", "a key of the API where no file can give it"),
            ("crates/raas-node/src/failpoint.rs", "tests arm a failpoint of a process from outside"),
            ("crates/raas-node/src/cli/output.rs", "the log begins before the configuration is read"),
            (
                "crates/raas-node/src/cli/demo/subject.rs",
                "where cargo runs the demo, to find a file of the project",
            ),
        ],
    },
    Ban {
        pattern: "sleep(",
        instead: "wait for what is meant",
        but: &[
            ("crates/raas-devnet/src/provider/connection.rs", "a slow provider is slow"),
            ("crates/raas-devnet/src/rpc/server.rs", "a slow endpoint is slow"),
            ("crates/raas-devnet/src/provider/pull.rs", "the pause of a provider between two tries"),
            ("crates/raas-node/src/cli/demo/run.rs", "the pace of the devnet while the demo stays up"),
            ("crates/raas-clients/src/rpc/endpoint.rs", "a caller waits for its turn at a busy endpoint"),
            ("crates/raas-clients/src/rpc/socket.rs", "the pause before a lost connection is made again"),
            ("crates/raas-node/src/node/driver.rs", "the poll behind the wake-ups"),
            ("crates/raas-node/src/node/keeper.rs", "the pause between two looks"),
            ("crates/raas-node/src/keeping/scrub.rs", "the pace at which bytes are hashed again"),
            ("crates/raas-node/src/node/establish.rs", "the pause before endpoints are asked again at start"),
            ("crates/raas-node/src/node/bootstrap.rs", "a receipt is polled before the loop runs"),
            ("crates/raas-node/src/cli/contract/session.rs", "a receipt is polled where no node runs"),
        ],
    },
    Ban {
        pattern: "collections::Hash",
        instead: "use a BTreeMap or BTreeSet: the order of a hash map is chance",
        but: &[
            ("crates/raas-piece/src/block/memory.rs", "looked up by hash, never walked"),
            ("crates/raas-piece/src/block/walk.rs", "asked for membership only"),
            ("crates/raas-piece/src/car/visits.rs", "asked for membership only"),
            ("crates/raas-devnet/src/ipld/blocks.rs", "looked up by CID, never walked"),
        ],
    },
    Ban { pattern: "process::exit", instead: "return an exit code", but: &[] },
    Ban { pattern: "todo!", instead: "do it", but: &[] },
    Ban { pattern: "unimplemented!", instead: "do it", but: &[] },
];

/// Sleeps of tests: a server that is slow on purpose, or the pause of a loop that waits for a condition.
const TEST_SLEEPS: &[(&str, &str)] = &[];

/// Longest source file without a reason.
const LINES_MAX: usize = 600;
/// Longer ones, with the reason.
const LONG: &[(&str, &str)] = &[];

#[test]
fn clock_chance_environment_and_spawn_stand_at_the_edges() {
    let mut wrong = Vec::new();
    for ban in BANS {
        let mut unused: Vec<&str> = ban.but.iter().map(|(file, _)| *file).collect();
        for file in product() {
            let excused = ban.but.iter().any(|(name, _)| *name == file);
            for (line, code) in code(&file) {
                if !code.contains(ban.pattern) {
                    continue;
                }
                unused.retain(|name| *name != file);
                if !excused {
                    wrong.push(format!("{file}:{line}: {}: {}", ban.pattern, ban.instead));
                }
            }
        }
        wrong.extend(
            unused.iter().map(|file| format!("{file}: excused for {}, which it does not have", ban.pattern)),
        );
    }
    nothing(&wrong);
}

#[test]
fn the_rules_touch_no_machine() {
    let mut wrong = Vec::new();
    for file in product().iter().filter(|file| file.starts_with("crates/raas-core/")) {
        for (line, code) in code(file) {
            for path in
                ["std::fs", "std::net", "std::env", "std::process", "std::thread", "std::time::Instant"]
            {
                if code.contains(path) {
                    wrong.push(format!("{file}:{line}: the rules must not use {path}"));
                }
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn tests_wait_for_conditions() {
    let mut wrong = Vec::new();
    for file in rust().iter().filter(|file| file.split('/').nth(2) == Some("tests")) {
        if file.contains("/tests/tidy/") || TEST_SLEEPS.iter().any(|(name, _)| name == file) {
            continue;
        }
        for (line, code) in code(file) {
            if code.contains("sleep(") {
                wrong.push(format!("{file}:{line}: step, or wait for a condition"));
            }
        }
    }
    for (file, _) in TEST_SLEEPS {
        if !text(file).contains("sleep(") {
            wrong.push(format!("{file}: excused for a sleep that it does not have"));
        }
    }
    nothing(&wrong);
}

#[test]
fn unsafe_code_is_in_the_hashing_alone() {
    let mut wrong = Vec::new();
    for file in product() {
        let within = file.splitn(4, '/').nth(3).unwrap_or_default();
        let piece = file.starts_with("crates/raas-piece/");
        let attribute = if piece { "#![deny(unsafe_code)]" } else { "#![forbid(unsafe_code)]" };
        if matches!(within, "lib.rs" | "main.rs") && !text(&file).contains(attribute) {
            wrong.push(format!("{file}: {attribute} is missing"));
        }
        let unsafe_blocks = code(&file).iter().filter(|(_, line)| line.contains("unsafe {")).count();
        if unsafe_blocks > 0 && !file.starts_with("crates/raas-piece/src/sha/") {
            wrong.push(format!("{file}: unsafe code outside crates/raas-piece/src/sha"));
        }
        // With it every block has its reason.
        let documented = "#![deny(clippy::undocumented_unsafe_blocks)]";
        if piece && within == "lib.rs" && !text(&file).contains(documented) {
            wrong.push(format!("{file}: {documented} is missing"));
        }
    }
    nothing(&wrong);
}

#[test]
fn source_files_say_what_they_are_for() {
    let wrong: Vec<String> = product()
        .into_iter()
        .filter(|file| !text(file).starts_with("//! "))
        .map(|file| format!("{file}: begins without a //! header"))
        .collect();
    nothing(&wrong);
}

#[test]
fn names_are_imported_one_by_one() {
    let mut wrong = Vec::new();
    for file in rust() {
        for (line, code) in code(&file) {
            let import = code.trim_start().trim_start_matches("pub ").starts_with("use ");
            if import && code.contains("::*") && !code.contains("proptest::prelude::*") {
                wrong.push(format!("{file}:{line}: name what is imported"));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn files_stay_short() {
    let mut sizes: Vec<(usize, String)> =
        product().into_iter().map(|file| (text(&file).lines().count(), file)).collect();
    sizes.sort();
    let (median, _) = &sizes[sizes.len() / 2];
    let (longest, name) = sizes.last().expect("there are files");
    println!("{} source files, median {median} lines, longest {longest} ({name})", sizes.len());
    let mut wrong: Vec<String> = sizes
        .iter()
        .filter(|(lines, file)| *lines > LINES_MAX && !LONG.iter().any(|(name, _)| name == file))
        .map(|(lines, file)| format!("{file}: {lines} lines; look for the second subject"))
        .collect();
    wrong.extend(
        LONG.iter()
            .filter(|(file, _)| text(file).lines().count() <= LINES_MAX)
            .map(|(file, _)| format!("{file}: not long")),
    );
    nothing(&wrong);
}

/// A path of somebody's machine would work nowhere else.
#[test]
fn no_file_names_a_machine() {
    let places: Vec<String> =
        ["work", "root", "home", "var/cache"].iter().map(|name| format!("/{name}/")).collect();
    let mut wrong = Vec::new();
    for file in files("") {
        if file.contains("/vectors/") {
            continue;
        }
        for (at, line) in text(&file).lines().enumerate() {
            if let Some(place) = places.iter().find(|place| starts_a_path(line, place)) {
                wrong.push(format!("{file}:{}: the path {place} of some machine", at + 1));
            }
        }
    }
    nothing(&wrong);
}

/// Whether `place` stands where a path begins, not inside another one or a URL.
fn starts_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !line[..at]
            .ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')' | '$'))
    })
}

/// Lock files hold names, versions and hashes; where a package comes from is the machine's business.
#[test]
fn lock_files_name_no_host() {
    let mut wrong = Vec::new();
    for file in files("") {
        if file.ends_with("package-lock.json") {
            if text(&file).contains("\"resolved\":") {
                wrong.push(format!("{file}: has resolved addresses; npm install with the .npmrc beside it"));
            }
            let npmrc = file.replace("package-lock.json", ".npmrc");
            if !text(&npmrc).contains("omit-lockfile-registry-resolved=true") {
                wrong.push(format!("{npmrc}: omit-lockfile-registry-resolved=true is missing"));
            }
        }
    }
    for host in [["registry", "npmjs"], ["static.crates", "io"], ["index.crates", "io"], ["pypi", "org"]] {
        let host = host.join(".");
        for file in files("") {
            if text(&file).contains(&host) {
                wrong.push(format!("{file}: names the host {host}"));
            }
        }
    }
    nothing(&wrong);
}
