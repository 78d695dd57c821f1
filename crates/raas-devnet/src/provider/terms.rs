//! What a provider works by: its price, its limits, its pace.

use crate::codec::{Address, AskResponse, CborError, SecretKey, SignedAsk, StorageAsk, TokenAmount, to_cbor};
use crate::{Config, ProviderConfig, StatusStyle};
use raas_core::ids::ProviderId;
use raas_core::units::{AttoFil, Epoch, PaddedSize};

/// How long a signed ask holds, in epochs: 30 days.
const ASK_EPOCHS: i64 = 86_400;

/// The terms of one provider; they do not change.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Its miner actor.
    pub id: ProviderId,
    /// Price per GiB and epoch.
    pub ask: AttoFil,
    /// The smallest padded piece.
    pub min_piece: PaddedSize,
    /// The largest padded piece.
    pub max_piece: PaddedSize,
    /// Whose habits it has.
    pub style: StatusStyle,
    /// Epochs from the first verified transfer to the publish message.
    pub publish_delay: i64,
    /// Epochs from publication to activation.
    pub seal_delay: i64,
    /// Whether it fetches from loopback and private addresses.
    pub allow_private: bool,
}

impl Terms {
    /// The terms `provider` has on a devnet of this configuration.
    #[must_use]
    pub fn new(config: &Config, provider: &ProviderConfig) -> Self {
        Self {
            id: provider.id,
            ask: provider.ask,
            min_piece: provider.min_piece,
            max_piece: provider.max_piece,
            style: provider.status,
            publish_delay: config.publish_delay,
            seal_delay: config.seal_delay,
            allow_private: config.allow_private,
        }
    }

    /// The answer to an ask request for `miner`, signed by its worker: nothing when that is another miner.
    pub fn ask(&self, miner: &Address, worker: &SecretKey, now: Epoch) -> Result<AskResponse, CborError> {
        if *miner != Address::id(self.id.number()) {
            return Ok(AskResponse { ask: None });
        }
        let ask = StorageAsk {
            miner: miner.clone(),
            price: TokenAmount(self.ask),
            verified_price: TokenAmount(AttoFil::ZERO),
            min_piece_size: self.min_piece.get(),
            max_piece_size: self.max_piece.get(),
            timestamp: now,
            expiry: Epoch(now.0.saturating_add(ASK_EPOCHS)),
            seq_no: 0,
        };
        let signature = Some(worker.sign(&to_cbor(&ask)?));
        Ok(AskResponse { ask: Some(SignedAsk { ask: Some(ask), signature }) })
    }
}
