//! `StateDecodeParams`: a message's CBOR in words, in the field names of the Go types.

use super::{RpcError, accounts, encode, params::Params, view::View};
use crate::codec::{Address, Bitfield, ClientDealProposal, TokenAmount, from_cbor};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use raas_core::ids::ActorId;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

/// `StateDecodeParams [to, method, params, key]`
pub(super) fn params(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 3)?;
    let to = view.actor(&params.address(0)?, at);
    let to = to.map_err(|error| RpcError::other(format!("getting actor: {}", error.message)))?;
    let method: u64 = params.get(1)?;
    let encoded: Option<String> = params.get(2)?;
    let bytes = STANDARD
        .decode(encoded.unwrap_or_default())
        .map_err(|error| RpcError::params("Filecoin.StateDecodeParams", error))?;
    let is_contract = matches!(view.world.actors.robust(to), Some(Address::Delegated { .. }));
    decoded((to, is_contract), method, &bytes)?.ok_or_else(|| {
        let code = accounts::code(view, to);
        RpcError::other(format!("getting params type: unknown method {method} for actor {code}"))
    })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RpcError> {
    from_cbor(bytes).map_err(|error| RpcError::other(format!("failed to unmarshal params: {error}")))
}

/// What the parameters say; `None` for a method whose parameters are not known here.
fn decoded((to, is_contract): (ActorId, bool), method: u64, bytes: &[u8]) -> Result<Option<Value>, RpcError> {
    let amount = |amount: TokenAmount| amount.to_string();
    Ok(Some(match (to.0, method) {
        (_, 0) => json!({}),
        // InvokeContract
        (_, 3_844_450_837) if is_contract => json!(encode::base64(&read::<ByteBuf>(bytes)?)),
        // AddBalance
        (5, 2 | 822_473_126) => json!(encode::address(&read(bytes)?)),
        // WithdrawBalance
        (5, 3 | 2_280_458_852) => {
            let (account, asked): (Address, TokenAmount) = read(bytes)?;
            json!({ "ProviderOrClientAddress": encode::address(&account), "Amount": amount(asked) })
        }
        // PublishStorageDeals
        (5, 4 | 2_236_929_350) => {
            let (deals,): (Vec<ClientDealProposal>,) = read(bytes)?;
            let deals = deals.iter().map(|deal| {
                json!({ "Proposal": encode::proposal(&deal.proposal), "ClientSignature": deal.signature })
            });
            json!({ "Deals": deals.collect::<Vec<_>>() })
        }
        // SettleDealPayments
        (5, 1_900_091_594) => json!(read::<Bitfield>(bytes)?.runs()),
        // AddVerifiedClient
        (6, 4) => {
            let (client, allowance): (Address, TokenAmount) = read(bytes)?;
            json!({ "Address": encode::address(&client), "Allowance": amount(allowance) })
        }
        // ExtendClaimTerms
        (6, 1_752_273_514) => {
            let (terms,): (Vec<(u64, u64, i64)>,) = read(bytes)?;
            let term =
                |(provider, claim, max)| json!({ "Provider": provider, "ClaimId": claim, "TermMax": max });
            json!({ "Terms": terms.into_iter().map(term).collect::<Vec<_>>() })
        }
        // RemoveExpiredAllocations
        (6, 2_421_068_268) => {
            let (client, ids): (u64, Vec<u64>) = read(bytes)?;
            json!({ "Client": client, "AllocationIds": ids })
        }
        // RemoveExpiredClaims
        (6, 2_873_373_899) => {
            let (provider, ids): (u64, Vec<u64>) = read(bytes)?;
            json!({ "Provider": provider, "ClaimIds": ids })
        }
        // Transfer
        (7, 80_475_954) => {
            let (to, sent, data): (Address, TokenAmount, ByteBuf) = read(bytes)?;
            json!({
                "To": encode::address(&to),
                "Amount": amount(sent),
                "OperatorData": encode::base64(&data),
            })
        }
        _ => return Ok(None),
    }))
}
