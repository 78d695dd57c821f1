//! The table: each figure beside its bar, in text and as one line of JSON.

use crate::Size;
use crate::measure::Figures;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Instant;

/// What the bars of time and calls are for.
const MILLION: u64 = 1_000_000;

pub struct Rows {
    rows: Vec<Value>,
    size: Size,
}

impl Rows {
    /// With the measure of the machine as its first row.
    pub fn begin(size: Size) -> Self {
        let bytes = vec![0_u8; 1 << 26];
        let began = Instant::now();
        let mut hash = Sha256::new();
        (0..16).for_each(|_| hash.update(&bytes));
        let digest = hash.finalize();
        let speed = 1.0 / began.elapsed().as_secs_f64();
        let mut rows = Self { rows: Vec::new(), size };
        assert_ne!(digest[..], [0; 32]);
        rows.push(
            "calibration: sha2, one core",
            "GiB/s",
            json!(round(speed)),
            None,
            Err("a measure of the machine"),
        );
        rows
    }

    fn push(&mut self, what: &str, unit: &str, ours: Value, bar: Option<String>, holds: Result<bool, &str>) {
        let (holds, skipped) = match holds {
            Ok(holds) => (Some(holds), None),
            Err(why) => (None, Some(why)),
        };
        self.rows.push(json!({
            "what": what, "unit": unit, "ours": ours, "peers": {}, "ratio": null, "bar": bar, "holds": holds,
            "skipped": skipped,
        }));
    }

    /// A figure that must not be above `bar`, which is stated for a million replicas.
    fn at_most(&mut self, what: &str, unit: &str, ours: f64, bar: f64) {
        let holds = match self.size.replicas {
            MILLION => Ok(ours <= bar),
            _ => Err("the bar is for 1,000,000 replicas"),
        };
        self.push(what, unit, json!(round(ours)), Some(format!("<= {bar}")), holds);
    }

    /// What was measured with `agree` endpoints; `quarter` are the calls with a quarter of the replicas.
    pub fn add(&mut self, agree: u32, figures: &Figures, quarter: f64) {
        let name = |what: &str| format!("k = {agree}: {what}");
        self.at_most(
            &name("RPC calls over a proving period at rest, all endpoints"),
            "per second",
            figures.calls_per_second,
            2.0,
        );
        let growth = figures.calls_per_second / quarter;
        self.push(
            &name("those calls over those for a quarter of the replicas"),
            "ratio",
            json!(round(growth)),
            Some("<= 1.5".to_owned()),
            Ok(growth <= 1.5),
        );
        let memory = figures.memory_mib as f64;
        match self.size.replicas {
            10_000_000 => self.push(
                &name("memory of the node"),
                "MiB",
                json!(memory),
                Some("<= 2048".to_owned()),
                Ok(memory <= 2_048.0),
            ),
            _ => self.at_most(&name("memory of the node"), "MiB", memory, 600.0),
        }
        self.at_most(
            &name("observe and plan of everything, on one core"),
            "s",
            figures.whole.as_secs_f64(),
            20.0,
        );
        self.at_most(
            &name(&format!("loss of a provider with {} deals, tipset to plan", figures.lost_deals)),
            "s",
            figures.loss_of_provider.as_secs_f64(),
            30.0,
        );
        let [faulty, lost] = figures.incidents_of_provider;
        self.push(
            &name("incidents of it: faults, loss"),
            "count",
            json!([faulty, lost]),
            Some("1 each".to_owned()),
            Ok((faulty, lost) == (1, 1)),
        );
        self.push(
            &name("the breaker holds its repairs while it is only faulty"),
            "",
            json!(figures.breaker_open),
            Some("yes".to_owned()),
            Ok(figures.breaker_open),
        );
        let delay = figures.job_during_loss.as_secs_f64() / figures.job_at_rest.as_secs_f64();
        self.push(
            &name("a new job is planned during that loss, over at rest"),
            "ratio",
            json!(round(delay)),
            Some("<= 2".to_owned()),
            Ok(delay <= 2.0),
        );
        let epochs = figures.loss_of_deal_epochs;
        self.push(
            &name("loss of one deal, first tipset that shows it to plan"),
            "epochs",
            json!(epochs),
            Some("<= 1".to_owned()),
            Ok(epochs <= 1),
        );
        self.at_most(&name("restart to ready"), "s", figures.restart.as_secs_f64(), 10.0);
        self.push(
            &name("a round at rest"),
            "s",
            json!(round(figures.round_at_rest.as_secs_f64())),
            None,
            Err("no bar"),
        );
    }

    pub fn print(&self, as_json: bool) {
        for row in &self.rows {
            let verdict = match &row["holds"] {
                Value::Bool(true) => "holds",
                Value::Bool(false) => "MISSED",
                _ => row["skipped"].as_str().unwrap_or_default(),
            };
            let bar = row["bar"].as_str().unwrap_or("");
            println!(
                "{:<76} {:>12} {:<10} {bar:<8} {verdict}",
                row["what"].as_str().unwrap(),
                row["ours"].to_string(),
                row["unit"].as_str().unwrap()
            );
        }
        if as_json {
            println!("{}", json!({ "bench": "watch", "rows": self.rows }));
        }
    }

    pub fn all_hold(&self) -> bool {
        self.rows.iter().all(|row| row["holds"] != json!(false))
    }
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
