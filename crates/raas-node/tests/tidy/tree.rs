//! The files of the repository, without what tools put there.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold nothing of ours.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "out", "cache"];

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Paths below `folder`, relative to the repository, in order.
pub fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    let root = root();
    let mut names: Vec<String> = found
        .iter()
        .map(|path| path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                collect(&path, into);
            }
        } else {
            into.push(path);
        }
    }
}

/// The text of a file of [`files`]; empty when it is not text.
pub fn text(file: &str) -> String {
    String::from_utf8(fs::read(root().join(file)).unwrap_or_default()).unwrap_or_default()
}

/// Rust files of all crates, product and tests.
pub fn rust() -> Vec<String> {
    files("crates").into_iter().filter(|file| file.ends_with(".rs")).collect()
}

/// Rust files of the product, without its integration tests.
pub fn product() -> Vec<String> {
    rust().into_iter().filter(|file| file.split('/').nth(2) == Some("src")).collect()
}

/// Code lines with their numbers: no comments, and nothing from the unit tests at a file's end.
pub fn code(file: &str) -> Vec<(usize, String)> {
    let text = text(file);
    let lines: Vec<&str> = text.lines().collect();
    let is_test_module = |at: usize| {
        lines[at].trim() == "#[cfg(test)]"
            && lines[at + 1..]
                .iter()
                .find(|line| !line.trim_start().starts_with("#["))
                .is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    };
    let end = (0..lines.len()).find(|&at| is_test_module(at)).unwrap_or(lines.len());
    lines[..end]
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, (*line).to_owned()))
        .collect()
}

/// Code lines as one text, for what goes over several of them.
pub fn joined(lines: &[(usize, String)]) -> String {
    lines.iter().map(|(_, line)| format!("{line}\n")).collect()
}

/// The first names that code takes from `root`, with the byte where: `crate::a`, `crate::{a, b::{c, d}}`.
pub fn named(code: &str, root: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let rest = &code[at + root.len()..];
        let paths = if rest.starts_with('{') { members(rest) } else { vec![rest.to_owned()] };
        for path in paths {
            let name: String =
                path.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            found.push((at, name));
        }
    }
    found
}

/// The members of a braced group, nested groups whole.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut found = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (c, depth) {
            (_, 0) => break,
            (',', 1) => found.push(String::new()),
            ('{', 1) => {}
            _ => found.last_mut().expect("one at least").push(c),
        }
    }
    found.retain(|member| !member.trim().is_empty());
    found
}

/// Fails with the list when anything is wrong.
pub fn nothing(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
}
