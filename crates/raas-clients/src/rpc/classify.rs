//! Reads JSON-RPC error objects by method, code and text. Lotus and Forest give the same texts under different
//! codes (1 and -32603), so text decides wherever a code is not registered.

use super::error::{CallError, Evidence, Reached, Unknown};
use raas_core::ids::DealId;
use serde::Deserialize;
use serde_json::Value;

/// A JSON-RPC error object.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ErrorObject {
    #[serde(default)]
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: Option<Value>,
}

/// The only text that says the market lacks a deal; the number stands before it.
const DEAL_NOT_FOUND: &str = " not found - deal may not have completed sealing before deal proposal start epoch, \
                              or deal may have been slashed";

const BUSY: [&str; 7] = [
    "server busy",
    "server is busy",
    "connection limited",
    "rate limit",
    "too many requests",
    "f3 is disabled",
    "not ready",
];
const MISSING_STATE: [&str; 8] = [
    "bad tipset",
    "lookback",
    "failed to load",
    "could not find",
    "required historical state unavailable",
    "failed to find tipset",
    "tipset not found",
    "missing state",
];
const TOO_MUCH: [&str; 6] = [
    "block range exceeds",
    "matches too many events",
    "heights is too large",
    "query returned more than",
    "response is too big",
    "batch response was too large",
];
const FUTURE: [&str; 5] = [
    "requested a future epoch",
    "are not yet available",
    "range end is in the future",
    "tipset height in future",
    "height greater than start point",
];

/// What the error object of a call of `method` means.
pub(super) fn classify(method: &str, error: ErrorObject) -> CallError {
    let ErrorObject { code, message, data } = error;
    let text = message.to_ascii_lowercase();
    let has = |list: &[&str]| list.iter().any(|part| text.contains(part));
    match code {
        -32601 | -32001 => return CallError::Unknown(Unknown::NotOffered(method.to_owned())),
        4 | 10 => return busy(message),
        12 => return null_round(data.as_ref(), &text, message.clone()),
        // Servers of the jsonrpsee library, of which Forest is one: a request, an answer, or those of a batch are beyond
        // their cap.
        -32007 | -32008 | -32010 | -32011 => return CallError::TooMuch(message),
        // The same library's word that it takes no batches, whatever their size.
        -32005 if text.contains("batch") => return CallError::Unknown(Unknown::Other { code, message }),
        -32009 => return busy(message),
        -32002 => return CallError::Unknown(Unknown::Upgrade(message)),
        -32005 => {
            let limited = has(&BUSY) && !has(&TOO_MUCH);
            return if limited { busy(message) } else { CallError::TooMuch(message) };
        }
        3 => {
            let bytes = data.as_ref().and_then(Value::as_str).and_then(|text| text.strip_prefix("0x"));
            if let Some(Ok(bytes)) = bytes.map(hex::decode)
                && !bytes.is_empty()
            {
                return CallError::Evidence(Evidence::Reverted(bytes));
            }
            return CallError::Unknown(Unknown::Other { code, message });
        }
        _ => {}
    }
    if method == "Filecoin.StateMarketStorageDeal"
        && let Some(deal) = deal_not_found(&message)
    {
        return CallError::Evidence(Evidence::DealNotFound(deal));
    }
    // A simulated call names an absent sender with the same words, which says nothing of the callee.
    if method != "Filecoin.StateCall" && text.contains("actor not found") {
        return CallError::Evidence(Evidence::ActorNotFound);
    }
    if text.contains("was a null round") {
        return null_round(data.as_ref(), &text, message);
    }
    if text.contains("due to state fork") {
        return CallError::Unknown(Unknown::Upgrade(message));
    }
    if has(&TOO_MUCH) {
        return CallError::TooMuch(message);
    }
    if has(&FUTURE) {
        return CallError::Evidence(Evidence::Future(message));
    }
    if has(&BUSY) {
        return busy(message);
    }
    if has(&MISSING_STATE) {
        return CallError::Unknown(Unknown::MissingState(message));
    }
    if text.contains("not supported") {
        return CallError::Unknown(Unknown::NotOffered(method.to_owned()));
    }
    CallError::Unknown(Unknown::Other { code, message })
}

/// What an HTTP status other than success means, without a JSON-RPC body.
pub(super) fn classify_status(status: u16) -> CallError {
    let reached = if status == 429 { Reached::No } else { Reached::Perhaps };
    match status {
        413 => CallError::TooMuch(format!("HTTP status {status}")),
        408 | 425 | 429 | 500..=599 => CallError::Retry { reason: format!("HTTP status {status}"), reached },
        _ => CallError::Unknown(Unknown::Other {
            code: i64::from(status),
            message: format!("HTTP status {status}"),
        }),
    }
}

/// Turned away by load.
fn busy(message: String) -> CallError {
    CallError::Retry { reason: message, reached: Reached::No }
}

fn null_round(data: Option<&Value>, text: &str, message: String) -> CallError {
    let in_text = || {
        let (_, rest) = text.split_once('(')?;
        rest.split_once(')')?.0.trim().parse().ok()
    };
    match data.and_then(Value::as_i64).or_else(in_text) {
        Some(epoch) => CallError::Evidence(Evidence::NullRound(epoch)),
        None => CallError::Unknown(Unknown::Other { code: 12, message }),
    }
}

/// The id in the one text that counts. Wrappers may stand before it, nothing may change within.
fn deal_not_found(message: &str) -> Option<DealId> {
    let (before, _) = message.split_once(DEAL_NOT_FOUND)?;
    let (lead, number) = before.rsplit_once(' ')?;
    lead.ends_with("deal").then(|| number.parse().ok().map(DealId)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, code: i64, message: &str, data: Option<Value>) -> CallError {
        classify(method, ErrorObject { code, message: message.to_owned(), data })
    }

    const NOT_FOUND: &str = "deal 42 not found - deal may not have completed sealing before deal proposal start \
                             epoch, or deal may have been slashed";

    #[test]
    fn only_the_exact_text_of_the_right_method_says_a_deal_is_not_there() {
        for code in [1, -32603] {
            assert_eq!(
                read("Filecoin.StateMarketStorageDeal", code, NOT_FOUND, None),
                CallError::Evidence(Evidence::DealNotFound(DealId(42)))
            );
        }
        for (method, message) in [
            ("Filecoin.StateMinerInfo", NOT_FOUND),
            ("Filecoin.StateMarketStorageDeal", "deal 42 not found"),
            ("Filecoin.StateMarketStorageDeal", "not found"),
            ("Filecoin.StateMarketStorageDeal", "getting deal: ipld: could not find bafy"),
        ] {
            assert!(!matches!(read(method, 1, message, None), CallError::Evidence(_)), "{method}: {message}");
        }
    }

    #[test]
    fn registered_codes_and_known_texts_are_evidence() {
        let table: [(&str, i64, &str, Option<Value>, Evidence); 7] = [
            ("Filecoin.StateLookupID", 11, "actor not found", None, Evidence::ActorNotFound),
            (
                "Filecoin.StateGetActor",
                1,
                "failed to load: resolution lookup failed: actor not found",
                None,
                Evidence::ActorNotFound,
            ),
            (
                "eth_getBlockByNumber",
                12,
                "requested epoch was a null round (77)",
                Some(77.into()),
                Evidence::NullRound(77),
            ),
            (
                "eth_getBlockByNumber",
                1,
                "requested epoch was a null round (77)",
                None,
                Evidence::NullRound(77),
            ),
            (
                "eth_call",
                3,
                "message execution failed (exit=[33], revert reason=[..], vm error=[..])",
                Some("0x08c379a0".into()),
                Evidence::Reverted(vec![0x08, 0xc3, 0x79, 0xa0]),
            ),
            (
                "eth_getLogs",
                1,
                "events for the requested block are not yet available",
                None,
                Evidence::Future("events for the requested block are not yet available".to_owned()),
            ),
            (
                "eth_call",
                1,
                "requested a future epoch (beyond 'latest')",
                None,
                Evidence::Future("requested a future epoch (beyond 'latest')".to_owned()),
            ),
        ];
        for (method, code, message, data, evidence) in table {
            assert_eq!(read(method, code, message, data), CallError::Evidence(evidence), "{message}");
        }
    }

    #[test]
    fn what_is_too_much_at_once_is_a_class_of_its_own() {
        for (method, code, message) in [
            ("eth_getLogs", -32005, "block range exceeds maximum of 2880 (got 3000)"),
            ("eth_getLogs", 1, "filter matches too many events, try a more restricted filter"),
            (
                "Filecoin.GetActorEventsRaw",
                1,
                "invalid epoch range: range between to and 'from' heights is too large (maximum: 2880)",
            ),
            ("Filecoin.StateMinerPartitions", -32008, "Response is too big"),
            ("Filecoin.StateMinerPartitions", -32603, "Response is too big"),
            ("Filecoin.StateCall", -32010, "The batch request was too large"),
            ("Filecoin.StateCall", -32011, "The batch response was too large"),
        ] {
            let error = read(method, code, message, None);
            assert_eq!(error, CallError::TooMuch(message.to_owned()), "{message}");
            assert_eq!(error.not_seen(), raas_core::observation::NotSeen::RpcFailed);
        }
        assert!(matches!(classify_status(413), CallError::TooMuch(_)));
        let batchless = read("eth_call", -32005, "Batched requests are not supported by this server", None);
        assert!(matches!(batchless, CallError::Unknown(Unknown::Other { .. })), "{batchless:?}");
    }

    #[test]
    fn load_is_a_reason_to_come_back() {
        for (code, message) in [
            (1, "server busy. please retry"),
            (-32009, "Server is busy, try again later"),
            (-32603, "Server is busy, try again later"),
            (-32603, "connection limited. please retry"),
            (4, "f3 is disabled"),
            (10, "f3 is not ready"),
            (-32005, "rate limit reached"),
        ] {
            let error = read("Filecoin.F3GetLatestCertificate", code, message, None);
            assert!(matches!(error, CallError::Retry { reached: Reached::No, .. }), "{message}: {error:?}");
        }
        for status in [429, 500, 502, 503, 504] {
            assert!(matches!(classify_status(status), CallError::Retry { .. }), "{status}");
        }
        assert!(matches!(classify_status(401), CallError::Unknown(_)));
    }

    #[test]
    fn missing_state_and_strange_errors_are_unknown() {
        for message in [
            "bad tipset: lookbacks of more than 24h0m0s are disallowed",
            "bad tipset height: lookbacks of more than 24h0m0s are disallowed",
            "failed to load state tree",
            "ipld: could not find bafy2bzaced",
        ] {
            let error = read("Filecoin.StateMarketStorageDeal", 1, message, None);
            assert!(matches!(error, CallError::Unknown(Unknown::MissingState(_))), "{message}: {error:?}");
        }
        let fork =
            "required historical state unavailable: refusing explicit call due to state fork at epoch 9";
        for code in [-32002, 1] {
            let error = read("Filecoin.StateCall", code, fork, None);
            assert!(matches!(error, CallError::Unknown(Unknown::Upgrade(_))), "{code}: {error:?}");
        }
        let gone = read("Filecoin.StateMinerFaults", -32601, "method 'x' not found", None);
        assert_eq!(gone.not_seen(), raas_core::observation::NotSeen::NotOffered);
        for (method, code, message) in [
            ("eth_call", 3, "message execution failed"),
            ("eth_call", 2, "call ran out of gas"),
            ("Filecoin.StateCall", 1, "sender f099 not found on chain: actor not found"),
            ("Filecoin.StateMinerInfo", 1, "something new"),
        ] {
            let error = read(method, code, message, None);
            assert!(matches!(error, CallError::Unknown(Unknown::Other { .. })), "{message}: {error:?}");
        }
    }
}
