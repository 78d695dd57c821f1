//! [`LotusChain`]: the port's methods, each handed to the file that knows it.

use super::status::Locations;
use super::walk::Walker;
use super::wire::{TipSet, actor_id, amount, key_of_text, or_default};
use super::{deals, direct, events, multiaddr, partitions, pin, probe, sectors};
use crate::address::Address;
use crate::rpc::{Call, CallError, Evidence, Pool};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use raas_core::allocation::DataCap;
use raas_core::cid::Commitment;
use raas_core::endpoint::EndpointSeen;
use raas_core::gate::Hold;
use raas_core::ids::{ActorId, DealId, OperatorId, ProviderId, SectorNumber};
use raas_core::observation::{
    DealSeen, LivesSeen, NotSeen, ProviderOnChain, ProviderSeen, Round, SectorSeen, TermSeen,
};
use raas_core::ports::{Balances, Chain, ClaimSeen, CollateralBounds, DealEvents, Look, Pin};
use raas_core::units::{Epoch, PaddedSize};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The chain through a pool of Lotus or Forest endpoints, for one wallet.
#[derive(Clone, Debug)]
pub struct LotusChain {
    pub(super) pool: Pool,
    client: Address,
    walker: Arc<Walker>,
    locations: Arc<Locations>,
    pinned: Arc<pin::Pinned>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MarketBalance {
    escrow: String,
    locked: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MinerInfo {
    owner: String,
    sector_size: u64,
    #[serde(default, deserialize_with = "or_default")]
    multiaddrs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bounds {
    min: String,
    max: String,
}

impl LotusChain {
    /// Reads through `pool`; `client` is the wallet's f1 address, whose money and id are asked for.
    #[must_use]
    pub fn new(pool: Pool, client: Address) -> Self {
        Self { pool, client, walker: Arc::default(), locations: Arc::default(), pinned: Arc::default() }
    }

    /// The endpoints.
    #[must_use]
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Finds out what those endpoints can do of which that is not known. Only where it is settled which network they
    /// must serve: elsewhere nobody asks for it.
    async fn probe(&self) {
        if self.pool.expected_network().is_none() {
            return;
        }
        for at in 0..self.pool.len() {
            if let (Some(sight), None) = (self.pool.sight(at), self.pool.abilities(at)) {
                let abilities = probe::probe(&self.pool, at, sight.head.height).await;
                self.pool.note_abilities(at, abilities);
            }
        }
    }

    async fn read_provider(&self, round: &Round, provider: ProviderId) -> Result<ProviderOnChain, CallError> {
        let params = vec![json!(provider.to_string()), key_of_text(&round.tipset)];
        let info: MinerInfo = self.pool.read(Call::new("Filecoin.StateMinerInfo", params)).await?;
        let owner = actor_id(&info.owner)?;
        let mut urls: Vec<(u8, String)> = info
            .multiaddrs
            .iter()
            .filter_map(|text| BASE64.decode(text).ok())
            .filter_map(|bytes| multiaddr::ranked_url(&bytes))
            .collect();
        urls.sort_by_key(|(rank, _)| *rank);
        urls.dedup();
        Ok(ProviderOnChain {
            provider,
            operator: OperatorId(owner),
            sector_bytes: info.sector_size,
            urls: urls.into_iter().map(|(_, url)| url).collect(),
        })
    }

    async fn read_balances(&self) -> Result<Balances, CallError> {
        let address = json!(self.client.to_string());
        let market = Call::new("Filecoin.StateMarketBalance", vec![address.clone(), Value::Null]);
        let (escrow, locked) = match self.pool.read::<MarketBalance>(market).await {
            Ok(balance) => (amount(&balance.escrow)?, amount(&balance.locked)?),
            Err(CallError::Evidence(Evidence::ActorNotFound)) => Default::default(),
            Err(error) => return Err(error),
        };
        let wallet: String = self.pool.read(Call::new("Filecoin.WalletBalance", vec![address])).await?;
        Ok(Balances { escrow, locked, wallet: amount(&wallet)? })
    }
}

impl Chain for LotusChain {
    async fn pin(&self, look: &Look) -> Result<Pin, Hold> {
        let pin = pin::pin(&self.pool, &self.pinned, look).await?;
        self.probe().await;
        Ok(pin)
    }

    fn endpoints(&self) -> Vec<EndpointSeen> {
        self.pool.seen()
    }

    fn wanted(&self) -> u32 {
        u32::try_from(self.pool.wanted()).unwrap_or(u32::MAX)
    }

    async fn holds(&self, round: &Round, tipset: &str, height: Epoch) -> Result<bool, NotSeen> {
        let params = vec![json!(height.0), key_of_text(&round.tipset)];
        let found: TipSet = self.pool.agreed(Call::new("Filecoin.ChainGetTipSetByHeight", params)).await?;
        Ok(found.height == height.0 && found.key() == tipset)
    }

    async fn deals(&self, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        deals::deals(&self.pool, round, deals).await
    }

    async fn removed(&self, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        deals::removed(&self.pool, round, deals).await
    }

    async fn provider_seen(
        &self,
        round: &Round,
        provider: ProviderId,
        watched: &[SectorNumber],
        known: &[SectorNumber],
    ) -> ProviderSeen {
        sectors::provider_seen(&self.pool, (&self.walker, &self.locations), round, provider, watched, known)
            .await
    }

    async fn lives(&self, round: &Round, provider: ProviderId, watched: &[SectorNumber]) -> LivesSeen {
        partitions::lives(&self.pool, &self.walker, round, provider, watched).await
    }

    async fn sectors(
        &self,
        round: &Round,
        provider: ProviderId,
        sectors: &[SectorNumber],
    ) -> Vec<SectorSeen> {
        sectors::sectors(&self.pool, (&self.walker, &self.locations), round, provider, sectors).await
    }

    async fn terms(&self, round: &Round, sectors: &[(ProviderId, SectorNumber)]) -> Vec<TermSeen> {
        direct::terms(&self.pool, round, sectors).await
    }

    async fn claims(
        &self,
        round: &Round,
        provider: ProviderId,
        pieces: &BTreeSet<Commitment>,
    ) -> Result<Vec<ClaimSeen>, NotSeen> {
        direct::claims(&self.pool, round, provider, pieces).await
    }

    async fn deal_events(&self, from: Epoch, to: Epoch) -> Result<DealEvents, NotSeen> {
        Ok(events::deal_events(&self.pool, from, to).await?)
    }

    async fn provider(&self, round: &Round, provider: ProviderId) -> Result<ProviderOnChain, NotSeen> {
        Ok(self.read_provider(round, provider).await?)
    }

    async fn collateral(&self, size: PaddedSize) -> Result<CollateralBounds, NotSeen> {
        let params = vec![json!(size.get()), json!(false), Value::Null];
        let call = Call::new("Filecoin.StateDealProviderCollateralBounds", params);
        let bounds: Bounds = self.pool.read(call).await?;
        Ok(CollateralBounds { min: amount(&bounds.min)?, max: amount(&bounds.max)? })
    }

    async fn balances(&self) -> Result<Balances, NotSeen> {
        Ok(self.read_balances().await?)
    }

    async fn datacap(&self) -> Result<DataCap, NotSeen> {
        Ok(direct::datacap(&self.pool, &self.client).await?)
    }

    async fn next_deal(&self, round: &Round) -> Result<DealId, NotSeen> {
        Ok(deals::next_deal(&self.pool, round).await?)
    }

    async fn client_id(&self) -> Result<Option<ActorId>, NotSeen> {
        let params = vec![json!(self.client.to_string()), Value::Null];
        match self.pool.read::<String>(Call::new("Filecoin.StateLookupID", params)).await {
            Ok(text) => Ok(Some(actor_id(&text)?)),
            Err(CallError::Evidence(Evidence::ActorNotFound)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
