//! Files of the repository that are made from the code.

use std::path::Path;

/// Compares a file of the repository with what it is made from; with `RAAS_BLESS=1` it is written.
pub fn is_checked_in(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    if std::env::var_os("RAAS_BLESS").is_some() {
        std::fs::write(&path, made).expect("written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let at = stored.lines().zip(made.lines()).position(|(stored, made)| stored != made);
    assert!(
        stored == made,
        "{file} is not what the code says, from line {} on: run this test with RAAS_BLESS=1, and review the change",
        at.unwrap_or_else(|| stored.lines().count().min(made.lines().count())) + 1
    );
}
