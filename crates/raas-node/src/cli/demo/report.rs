//! One line per step: what happened and why, for a person or as JSON with every fact.

use crate::cli::failure::Failure;
use crate::cli::output;
use serde_json::{Value, json};
use std::time::Instant;

/// What has been shown.
#[derive(Debug)]
pub struct Report {
    json: bool,
    network: String,
    began: Instant,
}

impl Report {
    /// Nothing shown yet.
    pub fn new(json: bool, network: &str, began: Instant) -> Self {
        Self { json, network: network.to_owned(), began }
    }

    /// One step that was verified. Details are lines of their own below it.
    pub fn step(&self, step: &str, text: &str, details: &[String], facts: Value) {
        if self.json {
            let mut line = json!({
                "step": step,
                "text": text,
                "network": self.network,
                "elapsed_ms": u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
            if let (Some(line), Value::Object(facts)) = (line.as_object_mut(), facts) {
                line.extend(facts);
            }
            output::json_line(&line);
            return;
        }
        output::data(&format!("{:>5.1} s  {step:<14} {text}", self.began.elapsed().as_secs_f64()));
        for detail in details {
            output::data(&format!("{:24}{detail}", ""));
        }
    }
}

/// A claim that the demo makes must hold, or the demo fails with its words.
pub fn ensure(holds: bool, claim: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::failed(format!("not verified: {}", claim()))) }
}
