//! Deals of the market actor f05.
//!
//! The text "not found" alone is no evidence: the actor's own exit code at the same tipset tells a removed deal
//! (32) from one that never was (17).

use super::wire::{Link, MARKET, actor_id, amount, key_of_text, number_param, receipt, state_call};
use crate::rpc::{Call, CallError, Evidence, Pool, Reply};
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use raas_core::observation::{DealSeen, NotSeen, OnChainDeal, Round};
use raas_core::units::{Epoch, PaddedSize};
use serde::Deserialize;
use serde_json::{Value, json};

/// FRC-42 number of GetDealActivation.
const GET_DEAL_ACTIVATION: u64 = 2_567_238_399;
/// EX_DEAL_EXPIRED: was in state and is removed.
const EXIT_REMOVED: i64 = 32;
/// USR_NOT_FOUND: this id was never given.
const EXIT_NEVER_ALLOCATED: i64 = 17;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MarketDeal {
    proposal: Proposal,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Proposal {
    #[serde(rename = "PieceCID")]
    piece_cid: Link,
    piece_size: PaddedSize,
    verified_deal: bool,
    client: String,
    provider: String,
    #[serde(default)]
    label: Value,
    start_epoch: i64,
    end_epoch: i64,
    storage_price_per_epoch: String,
    provider_collateral: String,
    client_collateral: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    sector_number: u64,
    sector_start_epoch: i64,
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    Present(Box<OnChainDeal>),
    NotFound,
}

/// One answer per deal, at the round's tipset.
pub(super) async fn deals(pool: &Pool, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
    let key = key_of_text(&round.tipset);
    let calls: Vec<Call> = deals
        .iter()
        .map(|deal| {
            let params = vec![json!(deal.0), key.clone()];
            Call::new("Filecoin.StateMarketStorageDeal", params).at_height(round.height.0)
        })
        .collect();
    let read = |at: usize, answer: Result<Reply, Evidence>| match answer {
        Ok(value) => parse(&value).map(|deal| Answer::Present(Box::new(deal))),
        Err(Evidence::DealNotFound(id)) if deals.get(at) == Some(&id) => Ok(Answer::NotFound),
        Err(evidence) => Err(CallError::Evidence(evidence)),
    };
    let answers = pool.votes(&calls, read, |answer| matches!(answer, Answer::Present(_))).await;
    let missing: Vec<DealId> = deals
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Ok(Answer::NotFound)))
        .map(|(deal, _)| *deal)
        .collect();
    let mut codes = exit_codes(pool, round, &missing).await.into_iter();
    answers
        .into_iter()
        .map(|answer| match answer {
            Ok(Answer::Present(deal)) => DealSeen::Present(deal),
            Ok(Answer::NotFound) => codes.next().unwrap_or(DealSeen::NotSeen(NotSeen::NotAsked)),
            Err(error) => DealSeen::NotSeen(error.not_seen()),
        })
        .collect()
}

/// Whether the market has removed `deals`, by the actor's exit codes alone.
pub(super) async fn removed(pool: &Pool, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
    exit_codes(pool, round, deals).await
}

/// Why the market does not have `deals`, by the actor's own exit codes.
async fn exit_codes(pool: &Pool, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
    let key = key_of_text(&round.tipset);
    let call = |deal: &DealId| state_call(MARKET, GET_DEAL_ACTIVATION, &number_param(deal.0), &key);
    let calls: Vec<Call> = deals.iter().map(|deal| call(deal).at_height(round.height.0)).collect();
    let read = |_, answer: Result<Reply, Evidence>| {
        answer.map_err(CallError::Evidence).and_then(|value| receipt(&value)).map(|receipt| receipt.exit_code)
    };
    pool.votes(&calls, read, |_| false)
        .await
        .into_iter()
        .map(|code| match code {
            Ok(EXIT_REMOVED) => DealSeen::Gone,
            Ok(EXIT_NEVER_ALLOCATED) => DealSeen::NeverAllocated,
            Ok(0) => DealSeen::NotSeen(NotSeen::Contradiction),
            Ok(_) => DealSeen::NotSeen(NotSeen::RpcFailed),
            Err(error) => DealSeen::NotSeen(error.not_seen()),
        })
        .collect()
}

/// The id that the market gives next, at the round's tipset.
pub(super) async fn next_deal(pool: &Pool, round: &Round) -> Result<DealId, CallError> {
    #[derive(Deserialize)]
    struct Actor {
        #[serde(rename = "State")]
        state: Market,
    }
    #[derive(Deserialize)]
    struct Market {
        #[serde(rename = "NextID")]
        next_id: u64,
    }
    let params = vec![json!("f05"), key_of_text(&round.tipset)];
    let actor: Actor =
        pool.read(Call::new("Filecoin.StateReadState", params).at_height(round.height.0)).await?;
    Ok(DealId(actor.state.next_id))
}

fn parse(value: &Reply) -> Result<OnChainDeal, CallError> {
    let MarketDeal { proposal, state } = value.read()?;
    let activated = (state.sector_start_epoch >= 0).then_some(Epoch(state.sector_start_epoch));
    Ok(OnChainDeal {
        piece: proposal.piece_cid.cid.parse().map_err(CallError::malformed)?,
        size: proposal.piece_size,
        verified: proposal.verified_deal,
        client: actor_id(&proposal.client)?,
        provider: ProviderId(actor_id(&proposal.provider)?),
        label: proposal.label.as_str().unwrap_or_default().to_owned(),
        start: Epoch(proposal.start_epoch),
        end: Epoch(proposal.end_epoch),
        price_per_epoch: amount(&proposal.storage_price_per_epoch)?,
        provider_collateral: amount(&proposal.provider_collateral)?,
        client_collateral: amount(&proposal.client_collateral)?,
        activated,
        sector: SectorNumber(state.sector_number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(state: Value, terms: [i64; 2]) -> Result<OnChainDeal, CallError> {
        let deal = json!({
            "Proposal": {
                "PieceCID": {"/": "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"},
                "PieceSize": 34_359_738_368_u64, "VerifiedDeal": true, "Client": "f01001", "Provider": "f017705",
                "Label": "", "StartEpoch": terms[0], "EndEpoch": terms[1], "StoragePricePerEpoch": "0",
                "ProviderCollateral": "1", "ClientCollateral": "0",
            },
            "State": state,
        });
        parse(&deal.into())
    }

    /// As Lotus writes them: -1 for never, sector 0 is one, the end is an epoch and no length.
    #[test]
    fn fault_08_epochs_and_sectors_at_their_edges() {
        let published =
            json!({"SectorNumber": 0, "SectorStartEpoch": -1, "LastUpdatedEpoch": -1, "SlashEpoch": -1});
        let deal = state(published, [6_300_000, 7_855_200]).expect("a published deal");
        assert_eq!((deal.activated, deal.start, deal.end), (None, Epoch(6_300_000), Epoch(7_855_200)));
        let active =
            json!({"SectorNumber": 0, "SectorStartEpoch": 0, "LastUpdatedEpoch": 9, "SlashEpoch": -1});
        let deal = state(active, [0, 1]).expect("active from the genesis on, in sector 0");
        assert_eq!((deal.activated, deal.sector), (Some(Epoch(0)), SectorNumber(0)));
        let far = json!({"SectorNumber": u64::MAX, "SectorStartEpoch": i64::MAX, "LastUpdatedEpoch": -1, "SlashEpoch": -1});
        let deal = state(far, [i64::MAX - 1, i64::MAX]).expect("whatever fits");
        assert_eq!((deal.sector, deal.end), (SectorNumber(u64::MAX), Epoch(i64::MAX)));
        for bad in [
            json!({"SectorNumber": -1, "SectorStartEpoch": -1}),
            json!({"SectorNumber": 0, "SectorStartEpoch": 9_223_372_036_854_775_808_u64}),
            json!({"SectorNumber": 0}),
            json!(null),
        ] {
            assert!(state(bad.clone(), [1, 2]).is_err(), "{bad}");
        }
    }
}
