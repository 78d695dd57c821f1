//! Deal protocol and bytes over the world's own provider book. Every effect has a point after it at which the process can
//! die; the one before it is where it is recorded.

use crate::shared::Shared;
use raas_core::cid::{Commitment, DataCid};
use raas_core::fleet::Ask;
use raas_core::observation::{NotSeen, ProviderOnChain};
use raas_core::ports::{Bytes, DealMaker, Effect, Fetched, Imported, PieceSource, Proposed};
use raas_core::units::PaddedSize;
use raas_devnet::codec::{DealParams, from_cbor};
use raas_devnet::provider::{Command as ProviderCommand, Reply, Retrieval, StoreReply};
use raas_devnet::world::{Command, Outcome};
use raas_node::blocks::PieceStore;
use std::sync::Arc;

pub struct SimDeals {
    pub shared: Arc<Shared>,
}

impl DealMaker for SimDeals {
    async fn ask(&self, provider: &ProviderOnChain) -> Result<Option<Ask>, NotSeen> {
        let world = self.shared.world();
        let miner = world.miner(provider.provider).ok_or(NotSeen::MissingState)?;
        let config = &miner.config;
        Ok(Some(Ask { price: config.ask, size_min: config.min_piece, size_max: config.max_piece }))
    }

    async fn propose(&self, provider: &ProviderOnChain, deal: &[u8]) -> Effect<Proposed> {
        let params: DealParams = from_cbor(deal).expect("deal parameters");
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

pub struct SimBytes {
    pub shared: Arc<Shared>,
    /// Where uploads are kept; other pieces have no bytes here.
    pub pieces: PieceStore,
}

impl SimBytes {
    fn retrieve(&self, source: &PieceSource) -> Fetched {
        let world = self.shared.world();
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
        self.shared.local().contains(&piece)
    }

    async fn fetch(&self, source: &PieceSource) -> Fetched {
        self.shared.point().await;
        let fetched = self.retrieve(source);
        if fetched == Fetched::Verified {
            self.shared.local().insert(source.piece);
        }
        self.shared.point().await;
        fetched
    }

    async fn verify(&self, source: &PieceSource) -> Fetched {
        self.retrieve(source)
    }

    async fn import(&self, root: &DataCid, _: PaddedSize) -> Imported {
        self.shared.point().await;
        let packed = self.shared.gateway.lock().expect("not poisoned").get(&root.to_string()).cloned();
        let Some(packed) = packed else { return Imported::Unavailable("no gateway has it".to_owned()) };
        self.shared.local().insert(packed.commitment);
        self.shared.point().await;
        Imported::Packed(vec![packed])
    }

    async fn evict(&self, piece: Commitment) -> Effect<()> {
        self.shared.local().remove(&piece);
        self.pieces.remove(piece).expect("a disk that works");
        self.shared.point().await;
        Effect::Done(())
    }
}
