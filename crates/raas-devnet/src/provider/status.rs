//! How a provider answers the question of how a deal is doing.

use super::book::Provider;
use super::deal::{Deal, Intent, Stage};
use super::mode::Mode;
use super::view::ChainView;
use crate::StatusStyle;
use crate::codec::{CborError, DealStatus, DealStatusRequest, DealStatusResponse};
use cid::Cid;
use raas_core::ids::DealId;

impl Provider {
    /// The answer, or `Ok(None)` when the provider says nothing: it is offline, or wants nothing to do with this
    /// deal any more.
    /// `bytes_received` is how many bytes of its transfer have come so far.
    pub fn status(
        &self,
        request: &DealStatusRequest,
        bytes_received: u64,
        chain: &dyn ChainView,
    ) -> Result<Option<DealStatusResponse>, CborError> {
        if self.mood().mode() == Mode::Offline {
            return Ok(None);
        }
        let uuid = request.deal_uuid;
        let unknown = |error: String| DealStatusResponse {
            error,
            deal_uuid: uuid,
            is_offline: false,
            deal_status: None,
            transfer_size: 0,
            bytes_received: 0,
        };
        let Some(deal) = self.deal(uuid).filter(|deal| !matches!(deal.intent, Intent::PublishUnasked { .. }))
        else {
            return Ok(Some(unknown(format!("no deal with UUID {uuid} is known here"))));
        };
        if deal.intent == Intent::Vanish {
            return Ok(None);
        }
        let curio = self.terms().style == StatusStyle::Curio;
        if !curio {
            let client = &deal.params.client_deal_proposal.proposal.client;
            let verified =
                chain.account_key(client).is_some_and(|key| request.signature.verify(&uuid.0, &key).is_ok());
            if !verified {
                return Ok(Some(unknown(format!(
                    "the signature of the UUID is not that of client {client}"
                ))));
            }
        }
        let status = if curio { curio_status(deal)? } else { boost_status(deal, chain)? };
        Ok(Some(DealStatusResponse {
            error: String::new(),
            deal_uuid: uuid,
            is_offline: deal.params.is_offline,
            deal_status: Some(status),
            transfer_size: if curio { 1 } else { deal.params.transfer.size },
            bytes_received: match (curio, deal.has_bytes) {
                (true, _) => 1,
                (false, true) => deal.params.transfer.size,
                (false, false) => bytes_received,
            },
        }))
    }
}

/// A status with everything both styles report.
fn common(
    deal: &Deal,
    status: &str,
    sealing: &str,
    published: Option<(DealId, Cid)>,
) -> Result<DealStatus, CborError> {
    let signed = &deal.params.client_deal_proposal;
    let error = match &deal.stage {
        Stage::Failed { error, .. } => error.clone(),
        _ => String::new(),
    };
    Ok(DealStatus {
        error,
        status: status.to_owned(),
        proposal: signed.proposal.clone(),
        publish_cid: published.map(|(_, message)| message),
        chain_deal_id: published.map_or(0, |(deal, _)| deal.0),
        sealing_status: sealing.to_owned(),
        signed_proposal_cid: signed.cid()?,
    })
}

/// Checkpoints. The deal id is known one epoch after the message.
fn boost_status(deal: &Deal, chain: &dyn ChainView) -> Result<DealStatus, CborError> {
    match &deal.stage {
        Stage::Fetching { .. } => common(deal, "Accepted", "", None),
        Stage::Fetched { .. } => common(deal, "Transferred", "", None),
        Stage::Published { deal: id, message, at } if chain.head() > *at => {
            common(deal, "AddedPiece", "Sealing", Some((*id, *message)))
        }
        Stage::Published { message, .. } => common(deal, "Published", "", Some((DealId(0), *message))),
        Stage::Sealed { deal: id, message, .. } => common(deal, "Complete", "Proving", Some((*id, *message))),
        Stage::Failed { published: None, .. } if deal.has_bytes => common(deal, "Transferred", "", None),
        Stage::Failed { published: None, .. } => common(deal, "Accepted", "", None),
        Stage::Failed { published, .. } => common(deal, "AddedPiece", "", *published),
    }
}

/// One word until sealed, and never an id.
fn curio_status(deal: &Deal) -> Result<DealStatus, CborError> {
    match &deal.stage {
        Stage::Sealed { .. } => common(deal, "Sealed", "Sealed", None),
        Stage::Failed { .. } => common(deal, "Failed", "Not assigned to sector", None),
        _ => common(deal, "Processing", "Not assigned to sector", None),
    }
}
