//! Any world as the node sees it, with everything that crosses the border written down for the judge. What leaves can be
//! the last thing a process does.

use crate::crossing::{Crossing, Sent};
use crate::shared::{Rpc, Shared};
use raas_core::allocation::DataCap;
use raas_core::cid::{Commitment, DataCid};
use raas_core::endpoint::EndpointSeen;
use raas_core::fleet::Ask;
use raas_core::gate::Hold;
use raas_core::ids::{ActorId, ContractAddress, DealId, ProviderId, SectorNumber};
use raas_core::observation::{
    DealSeen, LivesSeen, NotSeen, ProviderOnChain, ProviderSeen, Round, SectorSeen, TermSeen,
};
use raas_core::ports::{
    Balances, Broadcast, Bytes, Chain, ClaimSeen, CollateralBounds, DealEvents, DealMaker, DealTerms, Effect,
    Fees, Fetched, Imported, Inclusion, Lane, Look, NoQuote, Nonces, PieceSource, Pin, Proposed, Quote,
    SignedDeal, SignedTx, Taker, TxIntent, Wallet,
};
use raas_core::units::{AttoFil, Epoch, PaddedSize};
use raas_devnet::codec::{DealParams, Message, from_cbor};
use raas_devnet::fevm::Transaction;
use raas_node::world::World;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

pub struct Recorded<W> {
    pub inner: W,
    shared: Arc<Shared>,
    /// Deals that the node has been shown as active.
    shown: Mutex<BTreeSet<DealId>>,
}

impl<W: World> Recorded<W> {
    pub fn new(inner: W, shared: &Arc<Shared>) -> Self {
        Self { inner, shared: Arc::clone(shared), shown: Mutex::default() }
    }

    fn told_deal(&self, round: &Round, id: DealId, seen: &DealSeen) {
        match seen {
            DealSeen::Gone => self.shared.cross(Crossing::Gone { tipset: round.height.0, deal: id.0 }),
            DealSeen::Present(deal)
                if deal.activated.is_some() && self.shown.lock().expect("not poisoned").insert(id) =>
            {
                self.shared.cross(Crossing::Active { deal: id.0 });
            }
            _ => {}
        }
    }

    fn told_sector(&self, round: &Round, provider: ProviderId, sector: SectorNumber, seen: SectorSeen) {
        let (tipset, provider, sector) = (round.height.0, provider.number(), sector.0);
        match seen {
            SectorSeen::Faulty { .. } => self.shared.cross(Crossing::Faulty { tipset, provider, sector }),
            SectorSeen::Dead => self.shared.cross(Crossing::Dead { tipset, provider, sector }),
            _ => {}
        }
    }

    /// Whether the store has these very bytes as a signed order.
    async fn is_durable(&self, deal: &[u8]) -> bool {
        let Some(store) = self.shared.store() else { return false };
        let stored = store.open_orders().await.expect("readable");
        stored.iter().any(|order| {
            order.order.state.signed().is_some()
                && order.proposal.as_ref().is_some_and(|proposal| proposal.bytes == deal)
        })
    }

    /// The stored intent that has these very bytes.
    async fn durable_intent(&self, lane: Lane, tx: &SignedTx) -> Option<u64> {
        let stored = self.shared.store()?.open_txs(Some(lane)).await.expect("readable");
        let found = stored.iter().find(|stored| stored.signed.iter().any(|version| version.raw == tx.raw));
        found.map(|stored| stored.id.0)
    }

    /// What leaves, read from the bytes themselves.
    fn sent(&self, lane: Lane, tx: &SignedTx, intent: Option<u64>) -> Sent {
        let (hash, cancels) = (tx.hash.clone(), tx.cancels);
        match lane {
            Lane::Evm => {
                let chain_id = self.shared.act(|world| world.fevm.chain_id());
                let inner = Transaction::decode(&tx.raw, chain_id).expect("what was signed here");
                Sent {
                    lane: "evm",
                    nonce: inner.nonce,
                    hash,
                    premium: inner.premium,
                    to: inner.to.to().map(|to| to.to_checksum(None)).unwrap_or_default(),
                    value: inner.value.to(),
                    data: inner.input.to_vec(),
                    intent,
                    cancels,
                }
            }
            Lane::Native => Sent { hash, cancels, intent, ..native(&tx.raw) },
        }
    }
}

/// A native message, as JSON or as CBOR with its signature behind it.
fn native(raw: &[u8]) -> Sent {
    let (to, nonce, premium, value, data) = match serde_json::from_slice::<serde_json::Value>(raw) {
        Ok(signed) => {
            let message = &signed["Message"];
            let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
            let amount = |field: &str| text(field).parse().expect("a decimal number");
            let to = format!("{} method {}", text("To"), message["Method"]);
            let nonce = message["Nonce"].as_u64().expect("a nonce");
            (to, nonce, amount("GasPremium"), amount("Value"), text("Params").into_bytes())
        }
        Err(_) => {
            let message: Message = from_cbor(crate::wallet::halves(raw).0).expect("what was signed here");
            let to = format!("{} method {}", message.to, message.method);
            (to, message.nonce, message.gas_premium.0, message.value.0, message.params)
        }
    };
    let (hash, intent, cancels) = (String::new(), None, false);
    Sent { lane: "native", nonce, hash, premium, to, value, data, intent, cancels }
}

impl<W: World> Chain for Recorded<W> {
    async fn pin(&self, look: &Look) -> Result<Pin, Hold> {
        let pin = self.inner.chain().pin(look).await?;
        let truthful = self.shared.rpc() == Rpc::Normal;
        self.shared.cross(Crossing::Round { tipset: pin.round.height.0, truthful });
        Ok(pin)
    }

    fn endpoints(&self) -> Vec<EndpointSeen> {
        self.inner.chain().endpoints()
    }

    fn wanted(&self) -> u32 {
        self.inner.chain().wanted()
    }

    async fn deals(&self, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        let seen = self.inner.chain().deals(round, deals).await;
        deals.iter().zip(&seen).for_each(|(id, seen)| self.told_deal(round, *id, seen));
        seen
    }

    async fn removed(&self, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        let seen = self.inner.chain().removed(round, deals).await;
        deals.iter().zip(&seen).for_each(|(id, seen)| self.told_deal(round, *id, seen));
        seen
    }

    async fn provider_seen(
        &self,
        round: &Round,
        provider: ProviderId,
        watched: &[SectorNumber],
        known: &[SectorNumber],
    ) -> ProviderSeen {
        let seen = self.inner.chain().provider_seen(round, provider, watched, known).await;
        if let ProviderSeen::Except(rows) = &seen {
            rows.iter().for_each(|(number, seen)| self.told_sector(round, provider, *number, *seen));
        }
        seen
    }

    async fn lives(&self, round: &Round, provider: ProviderId, watched: &[SectorNumber]) -> LivesSeen {
        let seen = self.inner.chain().lives(round, provider, watched).await;
        if let LivesSeen::Except(dead) = &seen {
            dead.iter().for_each(|number| self.told_sector(round, provider, *number, SectorSeen::Dead));
        }
        seen
    }

    async fn sectors(
        &self,
        round: &Round,
        provider: ProviderId,
        sectors: &[SectorNumber],
    ) -> Vec<SectorSeen> {
        let seen = self.inner.chain().sectors(round, provider, sectors).await;
        sectors
            .iter()
            .zip(&seen)
            .for_each(|(number, seen)| self.told_sector(round, provider, *number, *seen));
        seen
    }

    async fn terms(&self, round: &Round, sectors: &[(ProviderId, SectorNumber)]) -> Vec<TermSeen> {
        self.inner.chain().terms(round, sectors).await
    }

    async fn claims(
        &self,
        round: &Round,
        provider: ProviderId,
        pieces: &BTreeSet<Commitment>,
    ) -> Result<Vec<ClaimSeen>, NotSeen> {
        self.inner.chain().claims(round, provider, pieces).await
    }

    async fn deal_events(&self, from: Epoch, to: Epoch) -> Result<DealEvents, NotSeen> {
        self.inner.chain().deal_events(from, to).await
    }

    async fn provider(&self, round: &Round, provider: ProviderId) -> Result<ProviderOnChain, NotSeen> {
        self.inner.chain().provider(round, provider).await
    }

    async fn collateral(&self, size: PaddedSize) -> Result<CollateralBounds, NotSeen> {
        self.inner.chain().collateral(size).await
    }

    async fn balances(&self) -> Result<Balances, NotSeen> {
        self.inner.chain().balances().await
    }

    async fn datacap(&self) -> Result<DataCap, NotSeen> {
        self.inner.chain().datacap().await
    }

    async fn next_deal(&self, round: &Round) -> Result<DealId, NotSeen> {
        self.inner.chain().next_deal(round).await
    }

    async fn client_id(&self) -> Result<Option<ActorId>, NotSeen> {
        self.inner.chain().client_id().await
    }
}

impl<W: World> DealMaker for Recorded<W> {
    async fn ask(&self, provider: &ProviderOnChain) -> Result<Option<Ask>, NotSeen> {
        self.inner.deal_maker().ask(provider).await
    }

    async fn propose(&self, provider: &ProviderOnChain, deal: &[u8]) -> Effect<Proposed> {
        let durable = self.is_durable(deal).await;
        self.shared.point().await;
        let params: DealParams = from_cbor(deal).expect("deal parameters");
        let uuid = hex::encode(params.deal_uuid.0);
        self.shared.cross(Crossing::Proposal { uuid, bytes: deal.to_vec(), durable });
        self.inner.deal_maker().propose(provider, deal).await
    }
}

impl<W: World> Bytes for Recorded<W> {
    async fn has(&self, piece: Commitment) -> bool {
        self.inner.bytes().has(piece).await
    }

    async fn fetch(&self, source: &PieceSource) -> Fetched {
        self.inner.bytes().fetch(source).await
    }

    async fn verify(&self, source: &PieceSource) -> Fetched {
        self.inner.bytes().verify(source).await
    }

    async fn import(&self, root: &DataCid, piece_max: PaddedSize) -> Imported {
        self.inner.bytes().import(root, piece_max).await
    }

    async fn evict(&self, piece: Commitment) -> Effect<()> {
        self.shared.point().await;
        self.shared.cross(Crossing::Evicted { piece: piece.to_string() });
        self.inner.bytes().evict(piece).await
    }
}

impl<W: World> Wallet for Recorded<W> {
    async fn sign_deal(&self, terms: &DealTerms) -> Result<SignedDeal, String> {
        let signed = self.inner.wallet().sign_deal(terms).await?;
        let epochs = u128::try_from(terms.end.0 - terms.start.0).map_err(|error| error.to_string())?;
        self.shared.cross(Crossing::Signed {
            proposal: signed.proposal_cid.clone(),
            piece: terms.piece.to_string(),
            cost: terms.price_per_epoch.0 * epochs,
        });
        Ok(signed)
    }

    async fn nonces(&self, lane: Lane) -> Result<Nonces, NotSeen> {
        self.inner.wallet().nonces(lane).await
    }

    async fn quote(&self, intent: &TxIntent, nonce: u64, bump: Option<Fees>) -> Result<Quote, NoQuote> {
        self.inner.wallet().quote(intent, nonce, bump).await
    }

    async fn sign(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<SignedTx, String> {
        self.inner.wallet().sign(intent, nonce, quote).await
    }

    async fn broadcast(&self, lane: Lane, tx: &SignedTx) -> Broadcast {
        let intent = self.durable_intent(lane, tx).await;
        self.shared.point().await;
        self.shared.cross(Crossing::Transaction(self.sent(lane, tx, intent)));
        self.inner.wallet().broadcast(lane, tx).await
    }

    async fn included(&self, lane: Lane, hash: &str) -> Result<Option<Inclusion>, NotSeen> {
        self.inner.wallet().included(lane, hash).await
    }

    async fn taker(&self, lane: Lane, nonce: u64, since: Epoch) -> Result<Taker, NotSeen> {
        self.inner.wallet().taker(lane, nonce, since).await
    }

    async fn balance(&self, lane: Lane) -> Result<AttoFil, NotSeen> {
        self.inner.wallet().balance(lane).await
    }

    fn address(&self, lane: Lane) -> String {
        self.inner.wallet().address(lane)
    }
}

impl<W: World> World for Recorded<W> {
    type Chain = Self;
    type Contract = W::Contract;
    type DealMaker = Self;
    type Bytes = Self;
    type Wallet = Self;
    type Clock = W::Clock;

    fn chain(&self) -> &Self {
        self
    }

    fn contract(&self, at: ContractAddress) -> Option<&W::Contract> {
        self.inner.contract(at)
    }

    fn deal_maker(&self) -> &Self {
        self
    }

    fn bytes(&self) -> &Self {
        self
    }

    fn wallet(&self) -> &Self {
        self
    }

    fn clock(&self) -> &W::Clock {
        self.inner.clock()
    }
}
