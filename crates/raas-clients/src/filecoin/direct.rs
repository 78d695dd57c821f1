//! Pieces that are onboarded directly, without a deal: their sectors in the miners' tables, the claims of f06, and the
//! DataCap that a client sets aside for them.

use super::sectors::on_miner;
use super::wire::{Link, key_of_text};
use crate::address::Address;
use crate::rpc::{Call, CallError, Evidence, Pool, Reply};
use raas_core::allocation::{DataCap, FROZEN_SINCE, Waiting};
use raas_core::cid::Commitment;
use raas_core::health::Term;
use raas_core::ids::{ProviderId, SectorNumber};
use raas_core::observation::{NotSeen, Round, TermSeen};
use raas_core::ports::ClaimSeen;
use raas_core::units::{Epoch, PaddedSize};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The entries of `sectors` in their miners' tables, as enough endpoints have them: a later end is money not spent.
pub(super) async fn terms(
    pool: &Pool,
    round: &Round,
    sectors: &[(ProviderId, SectorNumber)],
) -> Vec<TermSeen> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sector {
        activation: i64,
        expiration: i64,
    }
    let key = key_of_text(&round.tipset);
    let calls: Vec<Call> = sectors
        .iter()
        .map(|(provider, sector)| on_miner("Filecoin.StateSectorGetInfo", *provider, Some(*sector), &key))
        .collect();
    let read = |_, answer: Result<Reply, Evidence>| match answer {
        Ok(value) => Ok(match value.read::<Option<Sector>>()? {
            Some(found) => {
                TermSeen::Listed(Term { start: Epoch(found.activation), end: Epoch(found.expiration) })
            }
            None => TermSeen::Gone,
        }),
        Err(Evidence::ActorNotFound) => Ok(TermSeen::Gone),
        Err(evidence) => Err(CallError::Evidence(evidence)),
    };
    let answers = pool.votes(&calls, read, |_| false).await.into_iter();
    answers.map(|answer| answer.unwrap_or_else(|error| TermSeen::NotSeen(error.not_seen()))).collect()
}

/// The claims of `provider` on any of `pieces`, by piece and number. Networks from version 29 on make no new ones and
/// keep serving the old.
pub(super) async fn claims(
    pool: &Pool,
    round: &Round,
    provider: ProviderId,
    pieces: &BTreeSet<Commitment>,
) -> Result<Vec<ClaimSeen>, NotSeen> {
    let call = on_miner("Filecoin.StateGetClaims", provider, None, &key_of_text(&round.tipset));
    let read = |_, answer: Result<Reply, Evidence>| match answer {
        Ok(value) => read_claims(&value, provider, pieces),
        Err(Evidence::ActorNotFound) => Ok(Vec::new()),
        Err(evidence) => Err(CallError::Evidence(evidence)),
    };
    let mut answers = pool.votes(&[call], read, |_| false).await;
    Ok(answers.pop().unwrap_or_else(|| Err(CallError::malformed("no answer")))?)
}

fn read_claims(
    value: &Reply,
    provider: ProviderId,
    pieces: &BTreeSet<Commitment>,
) -> Result<Vec<ClaimSeen>, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Claim {
        provider: u64,
        data: Link,
        size: u64,
        sector: u64,
    }
    let claims: Option<BTreeMap<String, Claim>> = value.read()?;
    let mut found = Vec::new();
    for (claim, told) in claims.unwrap_or_default() {
        // The registry takes any CID and size for a piece's: what is none of ours need not be readable.
        let (Ok(piece), Ok(size)) = (told.data.cid.parse::<Commitment>(), PaddedSize::new(told.size)) else {
            continue;
        };
        if told.provider == provider.number() && pieces.contains(&piece) {
            let claim = claim.parse().map_err(CallError::malformed)?;
            found.push(ClaimSeen { claim, piece, size, sector: SectorNumber(told.sector) });
        }
    }
    found.sort_unstable_by_key(|claim| (claim.piece, claim.claim));
    Ok(found)
}

/// What `client` has of DataCap at the head.
pub(super) async fn datacap(pool: &Pool, client: &Address) -> Result<DataCap, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Allocation {
        provider: u64,
        data: Link,
        size: u64,
        term_min: i64,
        term_max: i64,
        expiration: i64,
    }
    let of_client = |method| Call::new(method, vec![json!(client.to_string()), Value::Null]);
    let version: u64 = pool.read(Call::new("Filecoin.StateNetworkVersion", vec![Value::Null])).await?;
    let frozen = version >= FROZEN_SINCE;
    let bytes = match pool.read::<Option<String>>(of_client("Filecoin.StateVerifiedClientStatus")).await {
        Ok(told) => told.map_or(Ok(0), |bytes| bytes.parse()).map_err(CallError::malformed)?,
        Err(CallError::Evidence(Evidence::ActorNotFound)) => {
            return Ok(DataCap { frozen, ..DataCap::default() });
        }
        Err(error) => return Err(error),
    };
    let told: Option<BTreeMap<String, Allocation>> =
        pool.read(of_client("Filecoin.StateGetAllocations")).await?;
    let mut waiting = Vec::new();
    for (id, one) in told.unwrap_or_default() {
        waiting.push(Waiting {
            id: id.parse().map_err(CallError::malformed)?,
            provider: ProviderId::new(one.provider),
            piece: one.data.cid,
            size: one.size,
            term_min: one.term_min,
            term_max: one.term_max,
            expiration: Epoch(one.expiration),
        });
    }
    waiting.sort_unstable_by_key(|one| one.id);
    Ok(DataCap { bytes, waiting, frozen })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: &str = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";

    fn claim(provider: u64, cid: &str, size: u64) -> Value {
        json!({"Provider": provider, "Client": 100, "Data": {"/": cid}, "Size": size, "TermMin": 518_400,
               "TermMax": 5_259_485, "TermStart": 7, "Sector": 3})
    }

    #[test]
    fn only_claims_of_this_provider_on_a_wanted_piece_are_read() {
        let piece: Commitment = PIECE.parse().expect("a piece CID");
        let wanted = BTreeSet::from([piece]);
        let answer = json!({
            "9": claim(1_000, PIECE, 2_048), "10": claim(1_000, PIECE, 2_048), "11": claim(1_001, PIECE, 2_048),
            "12": claim(1_000, "bafkqaaa", 2_048), "13": claim(1_000, PIECE, 2_047),
        });
        let read = |value: Value, pieces: &BTreeSet<Commitment>| {
            read_claims(&value.into(), ProviderId::new(1_000), pieces)
        };
        let found = read(answer.clone(), &wanted).expect("claims");
        assert_eq!(found.iter().map(|claim| claim.claim).collect::<Vec<_>>(), [9, 10]);
        assert!(found.iter().all(|claim| claim.piece == piece && claim.sector == SectorNumber(3)));
        assert_eq!(read(answer, &BTreeSet::new()), Ok(Vec::new()));
        assert_eq!(read(Value::Null, &wanted), Ok(Vec::new()));
        assert!(read(json!({"x": claim(1_000, PIECE, 2_048)}), &wanted).is_err());
        assert!(read(json!({"1": {"Provider": 1_000}}), &wanted).is_err());
    }
}
