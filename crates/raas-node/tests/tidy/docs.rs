//! What pages must have: links that lead somewhere, decisions with their reasons.

use crate::tree::{files, nothing, root, rust, text};
use std::collections::BTreeSet;

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

/// Numbers of the faults that must have a test: those of chain, endpoints, money and bytes.
fn numbers_that_count() -> impl Iterator<Item = u32> {
    (1..=12).chain(14..=16).chain(20..=23).chain([25]).chain(27..=43).chain([50, 53, 59])
}

/// Every test that is named for a fault: number, file below `crates/`, name.
fn fault_tests() -> BTreeSet<(u32, String, String)> {
    let mut found = BTreeSet::new();
    for file in rust() {
        for line in text(&file).lines() {
            let Some((_, name)) = line.split_once("fn fault_") else { continue };
            let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let number = name.split('_').next().and_then(|digits| digits.parse().ok());
            if let Some(number) = number {
                let within = file.trim_start_matches("crates/").to_owned();
                found.insert((number, within, format!("fault_{name}")));
            }
        }
    }
    found
}

#[test]
fn every_fault_has_a_test_and_the_page_of_faults_names_it() {
    let tests = fault_tests();
    let mut named = BTreeSet::new();
    for line in text("docs/FAULTS.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(number) = cells.get(1).and_then(|cell| cell.parse::<u32>().ok()) else { continue };
        for test in cells.get(4).into_iter().flat_map(|cell| cell.split("<br>")) {
            let mut quoted = test.split('`').skip(1).step_by(2).map(str::to_owned);
            if let (Some(file), Some(name)) = (quoted.next(), quoted.next()) {
                named.insert((number, file, name));
            }
        }
    }
    let mut wrong: Vec<String> = tests
        .difference(&named)
        .map(|(_, file, name)| format!("docs/FAULTS.md lacks {file}: {name}"))
        .collect();
    let gone = named.difference(&tests);
    wrong.extend(gone.map(|(number, file, name)| format!("docs/FAULTS.md, {number}: {file} has no {name}")));
    let shown: BTreeSet<u32> = tests.iter().map(|(number, ..)| *number).collect();
    let missing = numbers_that_count().filter(|number| !shown.contains(number));
    wrong.extend(missing.map(|number| format!("fault {number} has no test")));
    nothing(&wrong);
}
