//! What pages must have: links that lead somewhere, decisions with their reasons.

use crate::tree::{files, nothing, root, text};

/// What every decision record tells, in this order.
const ADR_PARTS: &[&str] = &["## Context", "## Decision", "## Rejected", "## Consequences"];

fn pages() -> Vec<String> {
    files("").into_iter().filter(|file| file.ends_with(".md") && !file.contains("/vectors/")).collect()
}

/// Targets of the links of a page: `[text](target)`.
fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if !fenced {
            found.extend(
                line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned),
            );
        }
    }
    found
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        for link in links(&text(&page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, wanted) =
                link.split_once('#').map_or((link.as_str(), None), |(path, at)| (path, Some(at)));
            let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
            let target = if path.is_empty() { page.clone() } else { format!("{folder}/{path}") };
            let target = target.trim_start_matches('/');
            if !root().join(target).exists() {
                wrong.push(format!("{page}: {link} leads nowhere"));
            } else if let Some(wanted) = wanted
                && !text(target).lines().any(|line| line.starts_with('#') && anchor(line) == wanted)
            {
                wrong.push(format!("{page}: {link} has no such heading"));
            }
        }
    }
    nothing(&wrong);
}

#[test]
fn decisions_have_context_and_rejected_options() {
    let mut wrong = Vec::new();
    let records: Vec<String> =
        files("docs/adr").into_iter().filter(|file| !file.ends_with("README.md")).collect();
    let mut before = 0;
    for file in &records {
        let text = text(file);
        let number = file.strip_prefix("docs/adr/").and_then(|name| name.get(..4)?.parse::<u32>().ok());
        // Numbers are handed out in ranges, so there may be gaps.
        if number.is_none_or(|number| number <= before) {
            wrong.push(format!("{file}: records begin with a number of four digits that no other has"));
        }
        before = number.unwrap_or(before);
        let places: Vec<Option<usize>> = ADR_PARTS.iter().map(|part| text.find(part)).collect();
        if places.contains(&None) || !places.is_sorted() {
            wrong.push(format!("{file}: needs {} in this order", ADR_PARTS.join(", ")));
        }
    }
    assert!(!records.is_empty(), "docs/adr is empty");
    nothing(&wrong);
}

#[test]
fn the_house_has_its_pages() {
    let wanted = [
        "README.md",
        "CONTRIBUTING.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "docs/ARCHITECTURE.md",
        "docs/OPERATIONS.md",
        "deny.toml",
        "clippy.toml",
        "rustfmt.toml",
        "Cargo.lock",
    ];
    let missing: Vec<String> = wanted
        .iter()
        .filter(|file| !root().join(file).is_file())
        .map(|file| format!("{file} is missing"))
        .collect();
    nothing(&missing);
}
