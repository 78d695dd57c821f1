//! What a provider checks before it takes a deal, as Boost and Curio do.

use super::terms::Terms;
use super::view::ChainView;
use crate::StatusStyle;
use crate::codec::{CborError, DealParams, PieceCid, PieceCidError, SignatureError, TransferParams};
use raas_core::units::{AttoFil, Epoch, NotPadded, PaddedSize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// 180 days.
const DURATION_MIN: i64 = 518_400;
/// 1278 days, also how far ahead a deal may end.
const DURATION_MAX: i64 = 3_680_640;
/// Bytes of the label.
const LABEL_MAX: usize = 256;
/// The most collateral a provider offers, as a multiple of the least.
const COLLATERAL_FACTOR: u64 = 2;

/// Why a provider does not take a deal. The text is what it answers.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum Rejection {
    #[error("proposal is for provider {found}, this is {expected}")]
    OtherProvider { found: String, expected: String },
    #[error("piece CID: {0}")]
    PieceCid(#[from] PieceCidError),
    #[error("piece CID must be v1 in a proposal (baga6ea4seaq…)")]
    PieceCidV2,
    #[error("piece size: {0}")]
    PieceSize(#[from] NotPadded),
    #[error("piece size {found} is below the minimum of {least} this provider takes")]
    PieceTooSmall { found: PaddedSize, least: PaddedSize },
    #[error("piece size {found} is above the maximum of {most} this provider takes")]
    PieceTooLarge { found: PaddedSize, most: PaddedSize },
    #[error("offline deals are not taken: send an http transfer")]
    Offline,
    #[error("transfer type {0:?} is not taken: use http")]
    TransferType(String),
    #[error("transfer params are not JSON of the form {{\"URL\", \"Headers\"}}: {0}")]
    TransferParams(String),
    #[error("transfer URL {url}: {why}")]
    TransferUrl { url: String, why: &'static str },
    #[error("transfer size {size} does not fit piece size {piece}")]
    TransferTooLarge { size: u64, piece: PaddedSize },
    #[error("transfer size is 0")]
    TransferEmpty,
    #[error(
        "piece size {piece} is not the smallest for transfer size {size}: online deals must not be over-padded"
    )]
    OverPadded { size: u64, piece: PaddedSize },
    #[error("label has {0} bytes: at most {LABEL_MAX} are taken")]
    LabelTooLong(usize),
    #[error("start epoch {start} is too soon: at the head {head} the deal must start at {least} or later")]
    StartTooSoon { start: Epoch, head: Epoch, least: Epoch },
    #[error("duration {0} epochs is outside {DURATION_MIN}..={DURATION_MAX}")]
    Duration(i64),
    #[error("end epoch {end} is more than {DURATION_MAX} epochs ahead of the head {head}")]
    EndTooFar { end: Epoch, head: Epoch },
    #[error("provider collateral {found} is outside {least}..={most}")]
    Collateral { found: AttoFil, least: AttoFil, most: AttoFil },
    #[error("verified deal: client {0} has not enough DataCap")]
    DataCap(String),
    #[error("storage price per epoch {found} is below the ask of {least} for this piece")]
    Price { found: AttoFil, least: AttoFil },
    #[error("client {0} has no key: use an f1 address that is on chain or its id")]
    ClientKey(String),
    #[error("client signature: {0}")]
    Signature(#[from] SignatureError),
    #[error("client {client} has {available} attoFIL available in market escrow, the deal needs {needed}")]
    Escrow { client: String, available: AttoFil, needed: AttoFil },
    #[error("proposal: {0}")]
    Encoding(#[from] CborError),
    #[error("deal UUID {0} is already used for another deal")]
    UuidTaken(String),
    #[error("proposal {proposal} is already proposed under deal UUID {uuid}")]
    DuplicateProposal { proposal: String, uuid: String },
    #[error("deal rejected: this provider does not take deals at the moment")]
    NotNow,
}

/// Every check of a new deal, cheapest first. The transfer's parameters come out parsed.
pub(super) fn check(
    params: &DealParams,
    terms: &Terms,
    chain: &dyn ChainView,
) -> Result<TransferParams, Rejection> {
    let proposal = &params.client_deal_proposal.proposal;
    let expected = crate::codec::Address::id(terms.id.number());
    if proposal.provider != expected {
        let (found, expected) = (proposal.provider.to_string(), expected.to_string());
        return Err(Rejection::OtherProvider { found, expected });
    }
    let PieceCid::V1(_) = PieceCid::try_from(&proposal.piece_cid)? else { return Err(Rejection::PieceCidV2) };
    let piece = PaddedSize::new(proposal.piece_size)?;
    let transfer = check_transfer(params, piece, terms)?;
    if piece < terms.min_piece {
        return Err(Rejection::PieceTooSmall { found: piece, least: terms.min_piece });
    }
    if piece > terms.max_piece {
        return Err(Rejection::PieceTooLarge { found: piece, most: terms.max_piece });
    }
    if proposal.label.len() > LABEL_MAX {
        return Err(Rejection::LabelTooLong(proposal.label.len()));
    }
    check_epochs(params, terms, chain.head())?;
    check_money(params, piece, terms, chain)?;
    Ok(transfer)
}

fn check_transfer(
    params: &DealParams,
    piece: PaddedSize,
    terms: &Terms,
) -> Result<TransferParams, Rejection> {
    if params.is_offline {
        return Err(Rejection::Offline);
    }
    let transfer = &params.transfer;
    if transfer.r#type != "http" {
        return Err(Rejection::TransferType(transfer.r#type.clone()));
    }
    let parsed: TransferParams = serde_json::from_slice(&transfer.params)
        .map_err(|error| Rejection::TransferParams(error.to_string()))?;
    check_url(&parsed.url, terms.allow_private)?;
    let size = transfer.size;
    if size == 0 {
        return Err(Rejection::TransferEmpty);
    }
    if size > piece.get() - piece.get() / 128 {
        return Err(Rejection::TransferTooLarge { size, piece });
    }
    let half = piece.get() / 2;
    let over_padded = piece.get() > 128 && size <= half - half / 128;
    if over_padded && terms.style == StatusStyle::Curio {
        return Err(Rejection::OverPadded { size, piece });
    }
    Ok(parsed)
}

/// Checks a URL as far as that goes without resolving a name.
pub(super) fn check_url(text: &str, allow_private: bool) -> Result<Url, Rejection> {
    let refuse = |why| Rejection::TransferUrl { url: text.to_owned(), why };
    let url = Url::parse(text).map_err(|_| refuse("it is not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("only http and https are fetched"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("user and password must go into a header"));
    }
    let private = match url.host() {
        None => return Err(refuse("it names no host")),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => is_private(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => is_private(IpAddr::V6(ip)),
    };
    if private && !allow_private {
        return Err(refuse("loopback and private addresses are not fetched from (allow_private lifts this)"));
    }
    Ok(url)
}

/// Whether an address is not of the public internet.
pub(super) fn is_private(ip: IpAddr) -> bool {
    fn v4(ip: Ipv4Addr) -> bool {
        let shared = matches!(ip.octets(), [100, 64..=127, ..]);
        ip.is_loopback()
            || ip.is_private()
            || ip.is_link_local()
            || ip.is_unspecified()
            || ip.is_broadcast()
            || shared
    }
    fn v6(ip: Ipv6Addr) -> bool {
        ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
    }
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| v6(ip), v4),
    }
}

fn check_epochs(params: &DealParams, terms: &Terms, head: Epoch) -> Result<(), Rejection> {
    let proposal = &params.client_deal_proposal.proposal;
    let least = Epoch(head.0.saturating_add(terms.publish_delay).saturating_add(terms.seal_delay));
    if proposal.start < least {
        return Err(Rejection::StartTooSoon { start: proposal.start, head, least });
    }
    if !(DURATION_MIN..=DURATION_MAX).contains(&proposal.duration()) {
        return Err(Rejection::Duration(proposal.duration()));
    }
    if proposal.end.0 > head.0.saturating_add(DURATION_MAX) {
        return Err(Rejection::EndTooFar { end: proposal.end, head });
    }
    Ok(())
}

fn check_money(
    params: &DealParams,
    piece: PaddedSize,
    terms: &Terms,
    chain: &dyn ChainView,
) -> Result<(), Rejection> {
    let signed = &params.client_deal_proposal;
    let proposal = &signed.proposal;
    let (least, _) = chain.provider_collateral_bounds(piece, proposal.verified);
    let most = least.times(COLLATERAL_FACTOR);
    if !(least..=most).contains(&proposal.provider_collateral) {
        return Err(Rejection::Collateral { found: proposal.provider_collateral, least, most });
    }
    if proposal.verified && chain.datacap(&proposal.client) < piece.get() {
        return Err(Rejection::DataCap(proposal.client.to_string()));
    }
    let asked = AttoFil(terms.ask.0.saturating_mul(u128::from(piece.get())) >> 30);
    if proposal.price_per_epoch < asked {
        return Err(Rejection::Price { found: proposal.price_per_epoch, least: asked });
    }
    let client = || proposal.client.to_string();
    let key = chain.account_key(&proposal.client).ok_or_else(|| Rejection::ClientKey(client()))?;
    signed.signature.verify(&proposal.signing_bytes()?, &key)?;
    let (available, needed) = (chain.available_escrow(&proposal.client), proposal.client_balance_needed());
    if available < needed {
        return Err(Rejection::Escrow { client: client(), available, needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_into_private_networks_are_refused() {
        for url in [
            "http://127.0.0.1:1/x",
            "http://localhost/x",
            "http://a.localhost/x",
            "http://10.1.2.3/x",
            "http://172.16.0.1/x",
            "http://192.168.0.1/x",
            "http://169.254.169.254/x",
            "http://100.64.0.1/x",
            "http://0.0.0.0/x",
            "http://[::1]/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://[fd00::1]/x",
            "http://[fe80::1]/x",
            "http://2130706433/x",
        ] {
            assert!(check_url(url, false).is_err(), "{url}");
            assert!(check_url(url, true).is_ok(), "{url}");
        }
        assert!(check_url("https://example.com/x", false).is_ok());
        for url in ["ftp://example.com/x", "/x", "http://user:word@example.com/x", "data:,x"] {
            assert!(check_url(url, true).is_err(), "{url}");
        }
    }
}
