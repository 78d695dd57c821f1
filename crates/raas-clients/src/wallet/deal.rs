//! MK12 1.2.1 deals in CBOR, signed. Market types are tuples, the protocol's own types maps in canonical order.

use crate::address::Address;
use crate::cbor::{BigInt, blake2b_cid, encode};
use crate::key::Key;
use cid::Cid;
use raas_core::ports::{DealTerms, SignedDeal};
use raas_core::units::AttoFil;
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest label the market takes.
const LABEL_MAX: usize = 256;

/// Why terms cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DealError {
    /// The term is empty or begins before the chain did.
    #[error("a deal must start at 0 or later and end after its start; got {start}..{end}")]
    Term {
        /// First epoch.
        start: i64,
        /// First epoch after.
        end: i64,
    },
    /// The root's text is too long to be the label.
    #[error("the label has {0} bytes; the market takes at most 256")]
    Label(usize),
    /// No URL that a provider can pull from.
    #[error("the provider must be given an http or https URL to pull from; got {0:?}")]
    Url(String),
}

/// The proposal that goes on chain.
#[derive(Serialize)]
struct Proposal(Cid, u64, bool, Address, Address, String, i64, i64, BigInt, BigInt, BigInt);

#[derive(Serialize)]
struct ClientDealProposal<'a>(&'a Proposal, #[serde(with = "serde_bytes")] Vec<u8>);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DealParams<'a> {
    #[serde(rename = "DealUUID", with = "serde_bytes")]
    deal_uuid: [u8; 16],
    transfer: Transfer,
    is_offline: bool,
    deal_data_root: Cid,
    #[serde(rename = "SkipIPNIAnnounce")]
    skip_ipni_announce: bool,
    client_deal_proposal: ClientDealProposal<'a>,
    remove_unsealed_copy: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Transfer {
    size: u64,
    r#type: &'static str,
    #[serde(with = "serde_bytes")]
    params: Vec<u8>,
    #[serde(rename = "ClientID")]
    client_id: &'static str,
}

#[derive(Serialize)]
struct TransferParams<'a> {
    #[serde(rename = "URL")]
    url: &'a str,
    #[serde(rename = "Headers")]
    headers: Option<BTreeMap<&'a str, &'a str>>,
}

#[derive(Serialize)]
struct StatusRequest {
    #[serde(rename = "DealUUID", with = "serde_bytes")]
    deal_uuid: [u8; 16],
    #[serde(rename = "Signature", with = "serde_bytes")]
    signature: Vec<u8>,
}

/// A deal that lacks its signature only.
pub(super) struct Draft<'a> {
    proposal: Proposal,
    terms: &'a DealTerms,
    /// The proposal in CBOR: what is signed.
    pub(super) payload: Vec<u8>,
}

/// The deal of `terms` for `client`: an unverified online deal that the provider pulls over HTTP, whose unsealed copy
/// it keeps.
pub(super) fn draft<'a>(client: &Address, terms: &'a DealTerms) -> Result<Draft<'a>, DealError> {
    let label = terms.root.to_string();
    if terms.start.0 < 0 || terms.end <= terms.start {
        return Err(DealError::Term { start: terms.start.0, end: terms.end.0 });
    }
    if label.len() > LABEL_MAX {
        return Err(DealError::Label(label.len()));
    }
    match url::Url::parse(&terms.url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {}
        _ => return Err(DealError::Url(terms.url.clone())),
    }
    let proposal = Proposal(
        terms.piece.piece_cid_v1(),
        terms.size.get(),
        false,
        client.clone(),
        Address::Id(terms.provider.0),
        label,
        terms.start.0,
        terms.end.0,
        BigInt(terms.price_per_epoch),
        BigInt(terms.provider_collateral),
        BigInt(AttoFil::ZERO),
    );
    let payload = encode(&proposal);
    Ok(Draft { proposal, terms, payload })
}

impl Draft<'_> {
    /// The deal with its signature, in Filecoin's form.
    pub(super) fn signed(self, signature: Vec<u8>) -> SignedDeal {
        let terms = self.terms;
        let headers: BTreeMap<&str, &str> =
            terms.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let params = TransferParams { url: &terms.url, headers: (!headers.is_empty()).then_some(headers) };
        let deal = DealParams {
            deal_uuid: terms.uuid,
            transfer: Transfer {
                size: terms.bytes,
                r#type: "http",
                params: serde_json::to_vec(&params).expect("texts are JSON"),
                client_id: "",
            },
            is_offline: false,
            deal_data_root: *terms.root.cid(),
            skip_ipni_announce: false,
            client_deal_proposal: ClientDealProposal(&self.proposal, signature),
            remove_unsealed_copy: false,
        };
        let proposal_cid = blake2b_cid(&self.payload).to_string();
        SignedDeal { proposal_cid, bytes: encode(&deal) }
    }
}

/// The deal of `terms`, signed with `key`.
pub fn sign_deal(key: &Key, terms: &DealTerms) -> Result<SignedDeal, DealError> {
    let draft = draft(&key.native_address(), terms)?;
    let signature = key.sign_native(&draft.payload);
    Ok(draft.signed(signature))
}

/// The request that asks a provider how the deal with `uuid` stands, in CBOR. The signature is of the UUID, as Boost
/// wants it.
pub(super) fn status_request(uuid: [u8; 16], signature: Vec<u8>) -> Vec<u8> {
    encode(&StatusRequest { deal_uuid: uuid, signature })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raas_core::ids::ProviderId;
    use raas_core::units::{Epoch, PaddedSize};
    use sha2::{Digest as _, Sha256};

    const PROPOSAL: &str = "8bd82a5828000181e203922020077e5fde35c50a9303a55009e3498a4ebedff39c42b710b730d8ec7ac7afa63e1b0000000800000000f4550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde054300e807783b62616679626569676479727a74357366703775646d37687537367568377932366e6633656675796c71616266336f636c67747179353566627a64691a004c4b401a0054344045005f5e100048002714711487800040";
    const SIGNATURE: &str = "8582a105ebc31a3cc72b63694958f9721bb05841123de2fdd79194a9363a73283056fbeaffc07e3407cdc2b52272eaaa66724f809b8355ba4b79253ddbbff77900";

    fn key() -> Key {
        Key::from_bytes(&[1; 32]).expect("a key")
    }

    fn terms() -> DealTerms {
        let uuid = hex::decode("0123456789abcdef0123456789abcdef").expect("hex");
        DealTerms {
            uuid: uuid.try_into().expect("16 bytes"),
            piece: "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"
                .parse()
                .expect("a piece"),
            size: PaddedSize::new(34_359_738_368).expect("a size"),
            bytes: 34_091_302_912,
            root: "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".parse().expect("a root"),
            provider: ProviderId::new(1000),
            start: Epoch(5_000_000),
            end: Epoch(5_518_400),
            price_per_epoch: AttoFil(1_600_000_000),
            provider_collateral: AttoFil(11_000_000_000_000_000),
            url: "https://example.com/piece.car".to_owned(),
            headers: vec![],
        }
    }

    fn contains(bytes: &[u8], hex: &str) -> bool {
        let part = hex::decode(hex).expect("hex");
        bytes.windows(part.len()).any(|window| window == part)
    }

    /// The vector was made with the Rust market actor and checked with JavaScript libraries.
    #[test]
    fn the_golden_deal_has_its_bytes() {
        let deal = sign_deal(&key(), &terms()).expect("signable");
        assert!(contains(&deal.bytes, PROPOSAL), "proposal");
        assert!(contains(&deal.bytes, &format!("584201{SIGNATURE}")), "signature");
        assert_eq!(deal.proposal_cid, "bafy2bzacebyi3ybudg7faz2xr7opchuethuu6pguxkjwalebw2skoafqxwojq");
        assert_eq!(deal.bytes.len(), 493);
        assert_eq!(
            hex::encode(Sha256::digest(&deal.bytes)),
            "02b05ba587c065a79137761bab7bb070b5162dcdb63341bfa801329d44269f15"
        );
    }

    #[test]
    fn the_golden_status_request_has_its_bytes() {
        let uuid = terms().uuid;
        let request = status_request(uuid, key().sign_native(&uuid));
        assert_eq!(
            hex::encode(request),
            "a2684465616c55554944500123456789abcdef0123456789abcdef695369676e6174757265584201f618f92c852383b15440c31d1a33251ba275425f9e8086ddc27e09c202a1537e1e92a537bebe4ff00b99b4f7f707106dddc5bb8cff1475a8387e6430f881faf001"
        );
    }

    #[test]
    fn the_same_terms_give_the_same_bytes_whatever_the_order_of_headers() {
        let with = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            sign_deal(&key(), &DealTerms { headers, ..terms() }).expect("signable")
        };
        let one = with(&[("Authorization", "Bearer s"), ("X-Order", "7")]);
        assert_eq!(one, with(&[("X-Order", "7"), ("Authorization", "Bearer s")]));
        assert!(contains(
            &one.bytes,
            &hex::encode(r#""Headers":{"Authorization":"Bearer s","X-Order":"7"}"#)
        ));
        let golden = sign_deal(&key(), &terms()).expect("signable");
        assert_eq!(one.proposal_cid, golden.proposal_cid, "headers are no part of the proposal");
    }

    #[test]
    fn terms_that_no_market_takes_are_not_signed() {
        let backwards = DealTerms { end: Epoch(5_000_000), ..terms() };
        assert!(matches!(sign_deal(&key(), &backwards), Err(DealError::Term { .. })));
        let file = DealTerms { url: "file:///etc/passwd".to_owned(), ..terms() };
        assert!(matches!(sign_deal(&key(), &file), Err(DealError::Url(_))));
    }
}
