//! The fields of a registration, from any of its encodings to a validated job. Pure.
//!
//! Every field is text here: JSON numbers, form values and multipart parts read the same. A field that is not
//! known is an error, since a misspelt `replicationTarget` would silently buy the default number of copies.

use super::super::error::ApiError;
use raas_core::cid::DataCid;
use raas_core::policy::{Duties, KeepLocal, Policy, PolicyError, Replicas};
use raas_core::ports::Now;
use raas_core::units::{Epoch, Epochs};
use std::collections::BTreeMap;

/// Fields by name, as sent.
pub type Fields = BTreeMap<String, String>;

/// A registration as it is sent. Every value may be a text; an empty one is as good as absent.
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "the shape of a registration")]
pub struct WantedJob {
    /// What is to be kept.
    cid: String,
    /// Until when: RFC 3339, a date, or milliseconds since 1970.
    end_date: Option<String>,
    /// Which of the three R's; all unless named.
    job_type: Option<JobType>,
    /// How many copies.
    #[schemars(range(min = 1, max = 64))]
    replication_target: Option<u32>,
    /// The same; it wins over `replicationTarget`.
    #[schemars(range(min = 1, max = 64))]
    replicas: Option<u32>,
    /// This node makes deals itself: leave it out, or say `self`.
    aggregator: Option<String>,
    /// The threshold of the job's type, in epochs of 30 s: of renewals where only they are asked for, else of repairs.
    epochs: Option<u64>,
    /// A copy is renewed when no more than so many epochs are left of its term.
    renew_before: Option<u64>,
    /// A faulty copy is replaced after so many epochs.
    repair_after: Option<u64>,
    /// Term of new deals, epochs.
    duration: Option<u64>,
    /// The node's own copy: `always`, `never`, or a number of proven copies after which it goes.
    keep_local: Option<String>,
    /// Whether it is registered on the contract, too.
    on_chain: Option<bool>,
}

#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "the shape of a field")]
enum JobType {
    All,
    Replication,
    Renew,
    Repair,
}

const KNOWN: &[&str] = &[
    "cid",
    "endDate",
    "jobType",
    "replicationTarget",
    "replicas",
    "aggregator",
    "epochs",
    "renewBefore",
    "repairAfter",
    "duration",
    "keepLocal",
    "onChain",
];

/// A registration that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// What.
    pub cid: DataCid,
    /// Which R's.
    pub duties: Duties,
    /// How.
    pub policy: Policy,
    /// Whether it is to be submitted to the contract; `None` when the caller does not say.
    pub on_chain: Option<bool>,
}

/// Reads and validates all fields against the node's `defaults`.
pub fn parse(fields: &Fields, defaults: &Policy, now: Now) -> Result<Registration, ApiError> {
    if let Some(unknown) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        let known = KNOWN.join(", ");
        return Err(ApiError::field(unknown.clone(), format!("unknown field; known are {known}")));
    }
    let reader = Reader { fields, now };
    let cid = reader.cid()?;
    let duties = reader.duties()?;
    let mut policy = defaults.clone();
    if let Some(target) = reader.target()? {
        policy.replicas = band(target, defaults.replicas);
    }
    let epochs = reader.epochs("epochs")?;
    if duties.repair {
        policy.repair_after = epochs.unwrap_or(policy.repair_after);
    } else if duties.renew {
        policy.renew_before = epochs.unwrap_or(policy.renew_before);
    }
    policy.renew_before = reader.epochs("renewBefore")?.unwrap_or(policy.renew_before);
    policy.repair_after = reader.epochs("repairAfter")?.unwrap_or(policy.repair_after);
    policy.duration = reader.epochs("duration")?.unwrap_or(policy.duration);
    policy.ends_at = reader.end_date()?.or(policy.ends_at);
    policy.keep_local = reader.keep_local()?.unwrap_or(policy.keep_local);
    reader.aggregator()?;
    let policy = policy.validated(now.epoch).map_err(refused)?;
    Ok(Registration { cid, duties, policy, on_chain: reader.on_chain()? })
}

/// A band around the wished number of copies that keeps the node's own margins.
fn band(target: u32, defaults: Replicas) -> Replicas {
    let margin = defaults.max - defaults.target;
    Replicas { min: defaults.min.min(target), target, max: target.saturating_add(margin).min(64).max(target) }
}

fn refused(error: PolicyError) -> ApiError {
    let text = error.to_string();
    let (field, why) = text.split_once(": ").unwrap_or(("policy", &text));
    let field = if field == "replicas" { "replicationTarget" } else { field };
    ApiError::field(field, why)
}

struct Reader<'a> {
    fields: &'a Fields,
    now: Now,
}

impl Reader<'_> {
    /// A field's text; empty is as good as absent, since HTML forms send every field.
    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn cid(&self) -> Result<DataCid, ApiError> {
        let text = self.text("cid").ok_or_else(|| ApiError::field("cid", "CID cannot be empty"))?;
        text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))
    }

    fn duties(&self) -> Result<Duties, ApiError> {
        let only = Duties::default();
        match self.text("jobType").unwrap_or("all") {
            "all" => Ok(Duties::ALL),
            "replication" => Ok(Duties { replicate: true, ..only }),
            "renew" => Ok(Duties { renew: true, ..only }),
            "repair" => Ok(Duties { repair: true, ..only }),
            other => {
                let why = format!("{other:?} is none of all, replication, renew, repair");
                Err(ApiError::field("jobType", why))
            }
        }
    }

    fn target(&self) -> Result<Option<u32>, ApiError> {
        let one = |name: &'static str| match self.text(name).map(|text| (text, text.parse())) {
            None => Ok(None),
            Some((_, Ok(target @ 1..=64))) => Ok(Some(target)),
            Some((text, _)) => {
                Err(ApiError::field(name, format!("{text:?} is no whole number from 1 to 64")))
            }
        };
        // The named field wins, and the other is checked all the same.
        let (general, named) = (one("replicationTarget")?, one("replicas")?);
        Ok(named.or(general))
    }

    fn epochs(&self, name: &str) -> Result<Option<Epochs>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse().ok().and_then(Epochs::new) {
            Some(epochs) => Ok(Some(epochs)),
            None => Err(ApiError::field(
                name,
                format!("{text:?} is no number of epochs (30 s each, 2880 a day), zero or more"),
            )),
        }
    }

    /// An RFC 3339 time, a date, or milliseconds since 1970 as the starter kit sends them.
    fn end_date(&self) -> Result<Option<Epoch>, ApiError> {
        let Some(text) = self.text("endDate") else { return Ok(None) };
        let seconds = if let Ok(milliseconds) = text.parse::<i64>() {
            milliseconds.div_euclid(1_000)
        } else if let Ok(time) = text.parse::<jiff::Timestamp>() {
            time.as_second()
        } else if let Ok(date) = text.parse::<jiff::civil::Date>() {
            let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| unreadable_date(text))?;
            midnight.timestamp().as_second()
        } else {
            return Err(unreadable_date(text));
        };
        let ahead = seconds - self.now.unix_seconds;
        if ahead <= 0 {
            return Err(ApiError::field("endDate", format!("{text} is in the past")));
        }
        Ok(Some(Epoch(self.now.epoch.0.saturating_add(ahead / 30).saturating_add(1))))
    }

    fn keep_local(&self) -> Result<Option<KeepLocal>, ApiError> {
        let Some(text) = self.text("keepLocal") else { return Ok(None) };
        match (text, text.parse()) {
            ("always", _) => Ok(Some(KeepLocal::Always)),
            ("never", _) => Ok(Some(KeepLocal::Never)),
            (_, Ok(copies @ 1..=64)) => Ok(Some(KeepLocal::UntilProven(copies))),
            _ => Err(ApiError::field(
                "keepLocal",
                format!("{text:?} is none of always, never, or a number of proven copies from 1 to 64"),
            )),
        }
    }

    /// This node makes the deals itself. The starter kit's forms always send its aggregator's name, so that
    /// name is taken; a name nobody knows is an error.
    fn aggregator(&self) -> Result<(), ApiError> {
        match self.text("aggregator") {
            None | Some("self" | "lighthouse") => Ok(()),
            Some(other) => Err(ApiError::field(
                "aggregator",
                format!("{other:?} is not known; this node makes deals itself: leave it out or say self"),
            )),
        }
    }

    fn on_chain(&self) -> Result<Option<bool>, ApiError> {
        match self.text("onChain") {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::field("onChain", format!("{other:?} is neither true nor false"))),
        }
    }
}

fn unreadable_date(text: &str) -> ApiError {
    ApiError::field(
        "endDate",
        format!("{text:?} is no time such as 2030-01-31, 2030-01-31T12:00:00Z or milliseconds since 1970"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use raas_core::policy::Placement;
    use raas_core::units::AttoFil;

    const CID: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

    fn defaults() -> Policy {
        Policy {
            replicas: Replicas { min: 2, target: 3, max: 4 },
            renew_before: Epochs::days(30),
            repair_after: Epochs::days(1),
            duration: Epochs::days(540),
            start_delay: Epochs::days(3),
            ends_at: None,
            placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil(1) },
            keep_local: KeepLocal::Always,
        }
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Registration, ApiError> {
        let fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        parse(&fields, &defaults(), Now { epoch: Epoch(5_000_000), unix_seconds: 1_800_000_000 })
    }

    fn wrong(pairs: &[(&str, &str)]) -> (String, String) {
        match read(pairs) {
            Err(ApiError::Field { field, why }) => (field, why),
            other => panic!("{pairs:?} gave {other:?}"),
        }
    }

    #[test]
    fn the_described_fields_are_the_known_ones() {
        let schema = schemars::schema_for!(WantedJob).to_value();
        let described: Vec<&String> = schema["properties"].as_object().expect("properties").keys().collect();
        let mut known: Vec<&str> = KNOWN.to_vec();
        known.sort_unstable();
        assert_eq!(described, known);
    }

    #[test]
    fn only_a_cid_is_needed() {
        let registration =
            read(&[("cid", CID), ("endDate", ""), ("aggregator", "lighthouse")]).expect("valid");
        assert_eq!(registration.policy, defaults());
        assert_eq!(registration.duties, Duties::ALL);
    }

    #[test]
    fn epochs_means_the_threshold_of_the_job_type_and_named_fields_win() {
        let policy = |pairs: &[(&str, &str)]| read(pairs).expect("valid").policy;
        assert_eq!(policy(&[("cid", CID), ("epochs", "7")]).repair_after.get(), 7);
        assert_eq!(policy(&[("cid", CID), ("epochs", "7"), ("jobType", "repair")]).repair_after.get(), 7);
        let renew = policy(&[("cid", CID), ("epochs", "7"), ("jobType", "renew")]);
        assert_eq!((renew.renew_before.get(), renew.repair_after), (7, Epochs::days(1)));
        let named = policy(&[("cid", CID), ("epochs", "7"), ("repairAfter", "9"), ("renewBefore", "11")]);
        assert_eq!((named.repair_after.get(), named.renew_before.get()), (9, 11));
        assert_eq!(policy(&[("cid", CID), ("replicationTarget", "2"), ("replicas", "5")]).replicas.target, 5);
        assert_eq!(
            policy(&[("cid", CID), ("replicas", "1")]).replicas,
            Replicas { min: 1, target: 1, max: 2 }
        );
    }

    #[test]
    fn every_wrong_field_is_named() {
        let cases: &[(&str, &str)] = &[
            ("cid", "hello"),
            ("cid", ""),
            ("replicationTarget", "0"),
            ("replicationTarget", "-1"),
            ("replicationTarget", "18446744073709551616"),
            ("replicationTarget", "2.5"),
            ("epochs", "-5"),
            ("epochs", "soon"),
            ("renewBefore", "-1"),
            ("renewBefore", "99999999"),
            ("repairAfter", "x"),
            ("duration", "10"),
            ("endDate", "2001-01-01"),
            ("endDate", "tomorrow"),
            ("jobType", "magic"),
            ("aggregator", "nobody"),
            ("keepLocal", "0"),
            ("onChain", "maybe"),
            ("replicationTargte", "3"),
        ];
        for (name, value) in cases {
            let pairs = [("cid", CID), (*name, *value)];
            let pairs = if *name == "cid" { &pairs[1..] } else { &pairs[..] };
            let (field, why) = wrong(pairs);
            assert_eq!(field, *name, "{value}: {why}");
            assert!(!why.is_empty());
        }
        assert_eq!(wrong(&[]).0, "cid");
    }

    #[test]
    fn an_end_date_becomes_an_epoch() {
        let ends_at = |text| read(&[("cid", CID), ("endDate", text)]).expect("valid").policy.ends_at;
        // 1,800,000,000 s is 2027-01-15T08:00:00Z; an hour has 120 epochs.
        assert_eq!(ends_at("2027-01-15T09:00:00Z"), Some(Epoch(5_000_121)));
        assert_eq!(ends_at("1800003600000"), Some(Epoch(5_000_121)));
        assert_eq!(ends_at("2027-01-16"), Some(Epoch(5_001_921)));
    }
}
