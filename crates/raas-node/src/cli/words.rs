//! The API's JSON in words. What is not known here is shown as it came, so that a newer node hides nothing.

use raas_core::endpoint::Alarm;
use raas_core::gate::Hold;
use raas_core::health::UnknownReason;
use raas_core::holding::Unserved;
use raas_core::plan::{Action, Reason, Wait, WaitFor, Wake};
use raas_core::select::Unfit;
use raas_core::units::EPOCHS_PER_DAY;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A text without quotes, `-` for nothing, anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

/// A number of epochs with days beside it once there is at least one.
pub fn epochs(count: i64) -> String {
    match count / EPOCHS_PER_DAY {
        0 => format!("{count} epochs"),
        days => format!("{count} epochs ({days} d)"),
    }
}

/// `replicate, renew, repair` as far as they are asked for.
pub fn duties(duties: &Value) -> String {
    let asked: Vec<&str> =
        ["replicate", "renew", "repair"].into_iter().filter(|name| duties[*name] == true).collect();
    if asked.is_empty() { "none".to_owned() } else { asked.join("+") }
}

/// Why nothing is done for a job of the API, if so.
pub fn why_unserved(job: &Value) -> Option<String> {
    let why = job.get("unserved").filter(|why| !why.is_null())?;
    Some(serde_json::from_value(why.clone()).map_or_else(|_| plain(why), unserved))
}

/// Whether a job counts: `open`, `stopped`, or `waits` while it is open and nothing is done for it.
pub fn job_state(job: &Value) -> String {
    if !job["superseded"].is_null() {
        return "superseded: its request is on no chain any more".to_owned();
    }
    if why_unserved(job).is_some() { "waits".to_owned() } else { plain(&job["state"]) }
}

fn is_policy_unknown(job: &Value) -> bool {
    job["unserved"]["unserved"] == "policy_unknown"
}

/// How many copies a job asks for.
pub fn copies(job: &Value) -> String {
    if is_policy_unknown(job) { "unknown".to_owned() } else { plain(&job["policy"]["replicas"]["target"]) }
}

/// A job's policy on one line.
pub fn policy_of(job: &Value) -> String {
    if is_policy_unknown(job) { "unknown".to_owned() } else { policy(&job["policy"]) }
}

/// Why nothing is done for a job that is open.
pub fn unserved(why: Unserved) -> String {
    match why {
        Unserved::PolicyUnknown { at } => format!(
            "what {at} asks for is not known: its event is lost and its contract (reference ABI) stores no policies; \
             `raas job register` with its CID keeps the data under a policy of yours"
        ),
    }
}

/// Where a job came from.
pub fn source(source: &Value) -> String {
    match source["request"].as_u64() {
        Some(request) => format!("contract request {request}"),
        None => plain(&source["source"]),
    }
}

/// How a job stands on a contract: its request, and the transaction that registers it if this node sends one.
pub fn registration(answer: &Value) -> String {
    let request = answer["job"]["request"].as_u64().map(|id| format!("request {id}"));
    let transaction = answer["transaction"].as_u64().map(|id| format!("by transaction {id}"));
    let told: Vec<String> = request.into_iter().chain(transaction).collect();
    if told.is_empty() { "no".to_owned() } else { told.join(", ") }
}

/// A policy on one line.
pub fn policy(policy: &Value) -> String {
    let number = |name: &str| epochs(policy[name].as_i64().unwrap_or_default());
    let end = policy["ends_at"].as_i64().map(|end| format!(", until epoch {end}")).unwrap_or_default();
    format!(
        "{} copies, deals of {}, renewed {} before the end, repaired after {} of fault, local copy {}{end}",
        plain(&policy["replicas"]["target"]),
        number("duration"),
        number("renew_before"),
        number("repair_after"),
        keep_local(&policy["keep_local"]),
    )
}

fn keep_local(keep: &Value) -> String {
    match keep["until_proven"].as_u64() {
        Some(copies) => format!("until {copies} are proven"),
        None => plain(keep),
    }
}

/// `3 of 3 proven, 1 pending`; of data in parts the worst of them, `2 of 3 proven in each of 4 parts`.
pub fn standing(standing: &Value) -> String {
    if let Some(parts) = standing["parts"].as_array() {
        let (proven, target) = (plain(&standing["proven"]), plain(&standing["target"]));
        return format!("{proven} of {target} proven in each of {} parts", parts.len());
    }
    let mut text = format!("{} of {} proven", plain(&standing["proven"]), plain(&standing["target"]));
    for name in ["pending", "suspect", "unknown"] {
        if standing[name].as_u64().is_some_and(|count| count > 0) {
            text.push_str(&format!(", {} {name}", plain(&standing[name])));
        }
    }
    text
}

/// `part 2 of 4: ` where the data lies in parts and this concerns one of them.
pub fn part(piece: &Value, standing: &Value) -> String {
    let parts = standing["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = parts.iter().find(|part| !piece.is_null() && part["pieceCid"] == *piece);
    found.map(|part| format!("part {} of {}: ", plain(&part["part"]), parts.len())).unwrap_or_default()
}

/// A line for each part of data that lies in parts.
pub fn parts(standing: &Value) -> Vec<String> {
    let parts = standing["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |part: &Value| {
        let mut of = part.clone();
        of["target"] = standing["target"].clone();
        format!("part {}: {}, piece {}", plain(&part["part"]), self::standing(&of), plain(&part["pieceCid"]))
    };
    parts.iter().map(line).collect()
}

/// Orders with their places and deals, one row each under a head. Of data in parts, the place names the part before the slot.
pub fn deal_rows(orders: &Value) -> Vec<[String; 8]> {
    let head = ["SLOT", "STATE", "HEALTH", "DEAL", "PROVIDER", "OPERATOR", "END EPOCH", "WHY"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(orders.as_array().into_iter().flatten().map(|order| {
        let slots: Vec<String> = order["slots"].as_array().into_iter().flatten().map(plain).collect();
        [
            place(&order["part"], &slots),
            plain(&order["state"]),
            health(&order["health"]["health"]),
            deal(order),
            plain(&order["storageProvider"]),
            plain(&order["operator"]),
            plain(&order["endEpoch"]),
            cause(&order["cause"]),
        ]
    }));
    rows
}

fn place(part: &Value, slots: &[String]) -> String {
    let slots = if slots.is_empty() { "spare".to_owned() } else { slots.join(",") };
    if part.is_null() { slots } else { format!("{}/{slots}", plain(part)) }
}

/// The deal's id; of a copy that has none, its sector.
fn deal(order: &Value) -> String {
    match (&order["dealId"], &order["sector"]) {
        (Value::Null, Value::Number(sector)) => format!("in sector {sector}"),
        (id, _) => plain(id),
    }
}

fn health(health: &Value) -> String {
    match health {
        Value::Object(fields) if fields.contains_key("unknown") => {
            read::<UnknownReason>(&fields["unknown"], |why| format!("unknown: {why}"))
        }
        Value::Object(fields) => {
            fields.iter().next().map(|(name, why)| format!("{name}: {}", plain(why))).unwrap_or_default()
        }
        other => plain(other),
    }
}

/// `repair of 4`.
fn cause(cause: &Value) -> String {
    let kind = plain(&cause["cause"]);
    match cause["of"].as_u64() {
        Some(of) => format!("{kind} of order {of}"),
        None => kind,
    }
}

/// `incident 3: provider f01000, 100000 replicas faulty since epoch 5000`.
pub fn incident(incident: &Value) -> String {
    let kind = match incident["kind"].as_str() {
        Some("unseen") => "out of sight",
        Some(kind) => kind,
        None => "in trouble",
    };
    let provider =
        incident["provider"].as_u64().map_or_else(|| plain(&incident["provider"]), |id| format!("f0{id}"));
    let (id, opened) = (plain(&incident["id"]), plain(&incident["opened_at"]));
    match &incident["closed_at"] {
        Value::Null => format!(
            "incident {id}: provider {provider}, {} replicas {kind} since epoch {opened}",
            plain(&incident["replicas"])
        ),
        closed => format!(
            "incident {id}: provider {provider}, {} replicas {kind} from epoch {opened} to {}",
            plain(&incident["worst"]),
            plain(closed)
        ),
    }
}

/// Why the node only observes.
pub fn hold(hold: &Value) -> String {
    read::<Hold>(hold, |hold| hold.to_string())
}

/// What an admin should know.
pub fn alarm(alarm: &Value) -> String {
    read::<Alarm>(alarm, |alarm| alarm.to_string())
}

/// What happens now and why.
pub fn action(action: &Value) -> String {
    read::<Action>(action, |action| match action {
        Action::Order { slots, cause, provider, operator, reason, .. } => {
            let places: Vec<String> = slots.iter().map(|slot| slot.index.to_string()).collect();
            let kind = serde_json::to_value(cause).map(|cause| self::cause(&cause)).unwrap_or_default();
            format!(
                "order a copy for slot {} at {provider} (operator {operator}), {kind}: {}",
                places.join(","),
                self::reason(&reason)
            )
        }
        Action::Fill { slot, spare } => {
            format!("put the spare copy of order {spare} into slot {}", slot.index)
        }
        Action::Attest { at, deal, .. } => {
            format!("show deal {deal} on the contract for request {}", at.request)
        }
        Action::Evict { piece, reason, .. } => {
            format!("delete the local copy of {piece}: {}", self::reason(&reason))
        }
        Action::Cancel { order, .. } => format!("give up the unsigned order {order}"),
    })
}

/// Why something is wanted.
fn reason(reason: &Reason) -> String {
    match reason {
        Reason::SlotEmpty => "the slot has no copy".to_owned(),
        Reason::Lost { of, reason } => format!("the copy of order {of} is lost ({reason})"),
        Reason::Suspect { of, since, repair_after } => {
            format!("the copy of order {of} is faulty since epoch {since}, for {repair_after} epochs or more")
        }
        Reason::TermEnds { of, end, window } => {
            format!(
                "the copy of order {of} ends at epoch {end}, inside the window of {}",
                epochs(window.get())
            )
        }
        Reason::Hedge { of, silent } => {
            format!("the renewal of the last copy {of} by order {silent} is accepted but not published")
        }
        Reason::Recovered { of, proven_at } => {
            format!("the copy of order {of} was seen proven again at epoch {proven_at}")
        }
        Reason::SpareFits { spare } => format!("the spare copy of order {spare} fits"),
        Reason::NotAttested { at } => format!("request {} does not show it yet", at.request),
        Reason::CopiesProven { proven, needed } => format!("{proven} copies are proven, {needed} are enough"),
    }
}

/// What it waits for and until when.
pub fn wait(wait: &Value) -> String {
    read::<Wait>(wait, |wait| {
        let slot = wait.slot.map(|slot| format!("slot {}: ", slot.index)).unwrap_or_default();
        format!("{slot}{}, {}", waiting_for(&wait.for_), wake(wait.wake))
    })
}

fn waiting_for(waiting: &WaitFor) -> String {
    match waiting {
        WaitFor::Gate(hold) => format!("nothing is started: {hold}"),
        WaitFor::Bytes => "the bytes are not here yet".to_owned(),
        WaitFor::Unknown { order, reason } => {
            format!("the copy of order {order} could not be seen ({reason}), so nothing is done about it")
        }
        WaitFor::OrderUnderWay { order, provider } => format!("order {order} is on its way at {provider}"),
        WaitFor::Patience { order, since, until } => {
            format!(
                "the copy of order {order} is faulty since epoch {since}; repaired if still so at {until}"
            )
        }
        WaitFor::RenewalWindow { order, end, opens } => {
            format!("the copy of order {order} ends at epoch {end}; its renewal window opens at {opens}")
        }
        WaitFor::Budget { needed, available, limit } => {
            let what = match limit.key() {
                Some(key) => format!("left under {key}"),
                None => "available".to_owned(),
            };
            format!("{needed} attoFIL are needed, {available} are {what}")
        }
        WaitFor::Provider { rejected } => {
            let each: Vec<String> = rejected
                .iter()
                .map(|(provider, unfit)| format!("{provider} {}", self::unfit(*unfit)))
                .collect();
            format!("no provider fits: {}", each.join("; "))
        }
        WaitFor::Breaker { provider: Some(provider) } => {
            format!("the storm breaker of {provider} is open: too many of its copies turned suspect at once")
        }
        WaitFor::Breaker { provider: None } => {
            "the storm breaker of the fleet is open: too many copies turned suspect at once".to_owned()
        }
        WaitFor::Pace { started, cap } => {
            format!("repairs are paced: {started} of {cap} started in this window")
        }
        WaitFor::MaxReplicas { occupied, max } => format!("{occupied} slots are occupied, {max} is the most"),
        WaitFor::NotAsked => "no job asks for this".to_owned(),
        WaitFor::Unserved(why) => unserved(*why),
        WaitFor::InParts { at, whole } => format!(
            "{at} is shown no more deals of this part than there are copies of all parts, which are {whole}: another part \
             has fewer"
        ),
        WaitFor::CompletesInAggregate { at } => format!(
            "{at} cannot be shown this: its contract (reference ABI) takes only pieces in aggregates, and this was bought \
             as a whole deal; its successor will be in one"
        ),
        WaitFor::ContractNotFollowed { at } => {
            format!("{at} cannot be shown this: the contract is not in the configuration any more")
        }
        WaitFor::Stopped => "every job is stopped; what lives is only watched".to_owned(),
        WaitFor::LocalCopy { proven, needed, retrievable } => {
            let read = if *retrievable { "was" } else { "was not yet" };
            format!(
                "the local copy stays: {proven} of {needed} proven, and a provider's copy {read} read back"
            )
        }
        WaitFor::PolicyEnded { ends_at } => {
            format!("the policy ends at epoch {ends_at}, and nothing is renewed or repaired beyond it")
        }
        WaitFor::NotSeen { provider, reason } => format!("{provider} could not be read ({reason})"),
    }
}

fn unfit(unfit: Unfit) -> String {
    match unfit {
        Unfit::NotAllowed => "is not allowed by the policy".to_owned(),
        Unfit::OperatorInUse => "belongs to an operator that holds a copy already".to_owned(),
        Unfit::NoAsk => "tells no price".to_owned(),
        Unfit::TooSmall { size_min } => format!("takes nothing under {size_min} bytes"),
        Unfit::TooLarge { size_max } => format!("takes nothing over {size_max} bytes"),
        Unfit::TooDear { price } => {
            format!("asks {price} attoFIL per GiB and epoch, above the policy's limit")
        }
        Unfit::AtCapacity => "has all the orders it takes at once".to_owned(),
        Unfit::BacksOff { until } => format!("failed lately and is passed over until epoch {until}"),
    }
}

fn wake(wake: Wake) -> String {
    match wake {
        Wake::At(epoch) => format!("until epoch {epoch}"),
        Wake::OnRound => "looked at again every round".to_owned(),
        Wake::OnProvider => "until a provider changes".to_owned(),
        Wake::OnBudget => "until money arrives".to_owned(),
        Wake::OnRelease => "until the breaker is released".to_owned(),
        Wake::OnBytes => "until bytes arrive".to_owned(),
    }
}

fn read<T: DeserializeOwned>(value: &Value, say: impl FnOnce(T) -> String) -> String {
    serde_json::from_value(value.clone()).map_or_else(|_| plain(value), say)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raas_core::ids::{HoldingId, OrderId};
    use raas_core::units::Epoch;
    use serde_json::json;

    #[test]
    fn waits_say_what_for_and_until_when() {
        let waits = Wait {
            holding: Some(HoldingId(1)),
            slot: None,
            part: None,
            for_: WaitFor::Patience { order: OrderId(4), since: Epoch(100), until: Epoch(2_980) },
            wake: Wake::At(Epoch(3_000)),
        };
        let text = wait(&serde_json::to_value(waits).expect("JSON"));
        assert_eq!(
            text,
            "the copy of order 4 is faulty since epoch 100; repaired if still so at 2980, until epoch 3000"
        );
    }

    #[test]
    fn what_is_not_known_is_shown_as_it_came() {
        let newer = json!({ "action": "polish", "slot": 3 });
        assert_eq!(action(&newer), newer.to_string());
        assert_eq!(hold(&json!({ "hold": "no_endpoint" })), "no chain endpoint answers");
    }

    #[test]
    fn duties_and_standing_are_counted() {
        assert_eq!(duties(&json!({ "replicate": true, "renew": false, "repair": true })), "replicate+repair");
        let standing =
            self::standing(&json!({ "proven": 2, "target": 3, "pending": 1, "suspect": 0, "unknown": 0 }));
        assert_eq!(standing, "2 of 3 proven, 1 pending");
    }
}
