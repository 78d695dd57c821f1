//! Deal protocol and bytes over the world's own provider book. Every effect has a point before and after it at
//! which the process can die.

use crate::shared::Shared;
use raas_core::cid::{Commitment, DataCid};
use raas_core::fleet::Ask;
use raas_core::observation::{NotSeen, ProviderOnChain};
use raas_core::ports::{Bytes, DealMaker, Effect, Fetched, Imported, PieceSource, Proposed};
use raas_devnet::codec::{DealParams, from_cbor};
use raas_devnet::provider::{Command as ProviderCommand, Reply, Retrieval, StoreReply};
use raas_devnet::world::{Command, Outcome};
use raas_node::store::Store;
use std::sync::{Arc, Mutex};

pub struct SimDeals {
    pub shared: Arc<Shared>,
    /// To see that the intent was stored before the effect.
    pub store: Mutex<Option<Store>>,
}

impl SimDeals {
    /// A4: what leaves the node must be in the store, byte for byte.
    async fn intent_is_stored(&self, deal: &[u8]) {
        let store = self.store.lock().expect("not poisoned").clone();
        let Some(store) = store else { return };
        let stored = store.open_orders().await.expect("readable");
        let known = stored.iter().any(|order| {
            order.order.state.signed().is_some()
                && order.proposal.as_ref().is_some_and(|proposal| proposal.bytes == deal)
        });
        if !known {
            self.shared.report("A4: a proposal left the node that is in no stored order".to_owned());
        }
    }
}

impl DealMaker for SimDeals {
    async fn ask(&self, provider: &ProviderOnChain) -> Result<Option<Ask>, NotSeen> {
        let world = self.shared.world();
        let miner = world.miner(provider.provider).ok_or(NotSeen::MissingState)?;
        let config = &miner.config;
        Ok(Some(Ask { price: config.ask, size_min: config.min_piece, size_max: config.max_piece }))
    }

    async fn propose(&self, provider: &ProviderOnChain, deal: &[u8]) -> Effect<Proposed> {
        self.intent_is_stored(deal).await;
        self.shared.point().await;
        let params: DealParams = from_cbor(deal).expect("deal parameters");
        let key = params.deal_uuid.0.to_vec();
        let before = self.shared.handed.lock().expect("not poisoned").insert(key, deal.to_vec());
        if before.is_some_and(|before| before != deal) {
            self.shared.report("A5: one deal UUID was handed over with two different bytes".to_owned());
        }
        let command = ProviderCommand::Store { at: provider.provider, params: Box::new(params) };
        let outcome = self.shared.world().apply(Command::Provider(command));
        self.shared.point().await;
        match outcome {
            Ok(Outcome::Provider(Reply::Store(StoreReply::Answered(answer)))) if answer.accepted => {
                Effect::Done(Proposed::Accepted)
            }
            Ok(Outcome::Provider(Reply::Store(StoreReply::Answered(answer)))) => {
                Effect::Done(Proposed::Rejected(answer.message))
            }
            Ok(Outcome::Provider(Reply::Store(StoreReply::AnswerLost(_)))) => {
                Effect::Uncertain("the answer was lost".to_owned())
            }
            Ok(_) => Effect::Failed("not reached".to_owned()),
            Err(error) => Effect::Failed(error.to_string()),
        }
    }
}

pub struct SimBytes(pub Arc<Shared>);

impl SimBytes {
    fn retrieve(&self, source: &PieceSource) -> Fetched {
        let world = self.0.world();
        let Some(provider) = world.book.get(source.provider.provider) else {
            return Fetched::Unavailable("no such provider".to_owned());
        };
        match provider.retrieval(raas_devnet::codec::Commitment(source.piece.0), &*world) {
            Retrieval::Right(_) => Fetched::Verified,
            Retrieval::Wrong(_) => Fetched::WrongBytes("other bytes".to_owned()),
            Retrieval::NoUnsealed => Fetched::Unavailable("no unsealed copy".to_owned()),
            Retrieval::NotFound | Retrieval::Unreachable => Fetched::Unavailable("not there".to_owned()),
        }
    }
}

impl Bytes for SimBytes {
    async fn has(&self, piece: Commitment) -> bool {
        self.0.local().contains(&piece)
    }

    async fn fetch(&self, source: &PieceSource) -> Fetched {
        self.0.point().await;
        let fetched = self.retrieve(source);
        if fetched == Fetched::Verified {
            self.0.local().insert(source.piece);
        }
        self.0.point().await;
        fetched
    }

    async fn verify(&self, source: &PieceSource) -> Fetched {
        self.retrieve(source)
    }

    async fn import(&self, _root: &DataCid) -> Imported {
        Imported::Unavailable("these runs upload".to_owned())
    }

    async fn evict(&self, piece: Commitment) -> Effect<()> {
        self.0.point().await;
        self.0.local().remove(&piece);
        self.0.point().await;
        Effect::Done(())
    }
}
