//! What a person sees: log, errors, progress. Data has its own way, [`data`].
//!
//! No colour is used, so there is none to switch off; bars are drawn on terminals only.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Log to stderr; `-v` for details, `RUST_LOG` for everything, as levels by module: `debug,sqlx=warn`. `tells`: the command
/// tells in its own lines what its node would warn of.
pub fn start_log(verbose: u8, tells: bool) {
    let default = match verbose {
        0 if tells => "error",
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| default.to_owned());
    let (levels, unreadable) = match wanted.parse::<Targets>() {
        Ok(levels) => (levels, None),
        Err(why) => (Targets::new().with_default(LevelFilter::WARN), Some(why)),
    };
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(levels)).init();
    if let Some(why) = unreadable {
        tracing::warn!("RUST_LOG={wanted:?}: {why}; levels by module are written as debug,sqlx=warn");
    }
}

/// Whether anything was said on stdout.
static SAID: AtomicBool = AtomicBool::new(false);

/// An error for a program that reads stdout, unless it has its answer already.
pub fn json_error(text: &str, code: u8) {
    if !SAID.load(Ordering::Relaxed) {
        json(&serde_json::json!({ "error": text, "code": code }));
    }
}

/// Whether something that was to be on stdout is not.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether data got lost on its way to stdout: a disk is full, say.
pub fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// One line of data on stdout. A closed pipe ends the talk quietly.
pub fn data(text: &str) {
    SAID.store(true, Ordering::Relaxed);
    let written = writeln!(std::io::stdout(), "{text}");
    if written.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// One line of talk on stderr.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Why it did not work.
pub fn error(text: &str) {
    say(&format!("raas: {text}"));
}

/// JSON in full lines, for people and pipes.
pub fn json(value: &serde_json::Value) {
    data(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// JSON on one line, for programs that read a stream of them.
pub fn json_line(value: &serde_json::Value) {
    data(&value.to_string());
}

/// Rows with aligned columns, two blanks apart; the last column is not filled up.
#[must_use]
pub fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    rows.iter()
        .map(|row| {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

/// Aligned rows on stdout.
pub fn table<const N: usize>(rows: &[[String; N]]) {
    for line in columns(rows) {
        data(&line);
    }
}

/// A bar over bytes with rate and time left; hidden when stderr is no terminal.
pub fn bytes_bar(total: Option<u64>, what: &str) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{msg} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}")
        }
        None => (ProgressBar::no_length(), "{msg} {spinner} {bytes} {binary_bytes_per_sec} {elapsed}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_aligned_and_not_padded_at_the_end() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        assert_eq!(columns(&[row(["a", "long one"]), row(["bbb", "x"])]), ["a    long one", "bbb  x"]);
        assert!(columns::<2>(&[]).is_empty());
    }
}
