//! Chain and clock over the world in memory. Native reads are pinned: state before the round's tipset.

use crate::shared::{Rpc, Shared};
use raas_core::allocation::DataCap;
use raas_core::cid::Commitment;
use raas_core::gate::Hold;
use raas_core::health::Term;
use raas_core::ids::{ActorId, DealId, OperatorId, ProviderId, SectorNumber};
use raas_core::observation::{
    DealSeen, LivesSeen, NotSeen, OnChainDeal, ProviderOnChain, ProviderSeen, Round, SectorSeen, TermSeen,
};
use raas_core::ports::{
    Balances, Chain, ClaimSeen, Clock, CollateralBounds, DealChange, DealEvent, DealEvents, Look, Now, Pin,
};
use raas_core::units::{AttoFil, Epoch, PaddedSize};
use raas_devnet::codec::{Address, Label, from_cbor};
use raas_devnet::world::{Deal, FAULT_MAX_AGE, Phase, SectorPhase, StateAt, collateral_bounds};
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct SimChain {
    pub shared: Arc<Shared>,
    pub client: Address,
}

impl SimChain {
    fn at(round: &Round) -> StateAt {
        StateAt::before(round.height.0)
    }

    fn deal(&self, round: &Round, id: DealId) -> DealSeen {
        self.shared.ask(1);
        match self.shared.rpc() {
            Rpc::Down => return DealSeen::NotSeen(NotSeen::RpcFailed),
            Rpc::Forget17 => return DealSeen::NeverAllocated,
            Rpc::Forget32 => return DealSeen::Gone,
            _ => {}
        }
        match self.shared.world().market().deal(id, Self::at(round)) {
            Ok((deal, phase)) => DealSeen::Present(Box::new(on_chain(&deal, phase))),
            Err(32) => DealSeen::Gone,
            Err(_) => DealSeen::NeverAllocated,
        }
    }
}

fn on_chain(deal: &Deal, phase: Phase) -> OnChainDeal {
    let proposal = &deal.proposal;
    let (activated, sector) = match phase {
        Phase::Active { sector, since, .. } => (Some(Epoch(since)), sector),
        _ => (None, SectorNumber(0)),
    };
    let piece = proposal.piece_cid.to_string().parse::<Commitment>().expect("a piece CID");
    OnChainDeal {
        piece,
        size: proposal.piece_size.try_into().expect("a padded size"),
        verified: proposal.verified,
        client: deal.client,
        provider: ProviderId(deal.provider),
        label: match &proposal.label {
            Label::Text(text) => text.clone(),
            Label::Bytes(_) => String::new(),
        },
        start: Epoch(proposal.start.0),
        end: Epoch(proposal.end.0),
        price_per_epoch: proposal.price_per_epoch,
        provider_collateral: proposal.provider_collateral,
        client_collateral: proposal.client_collateral,
        activated,
        sector,
    }
}

fn seen(phase: SectorPhase, early: Option<i64>) -> SectorSeen {
    match phase {
        SectorPhase::Faulty { .. } | SectorPhase::Recovering { .. } => {
            SectorSeen::Faulty { since: early.map(|early| Epoch(early - FAULT_MAX_AGE)) }
        }
        SectorPhase::Terminated | SectorPhase::Expired => SectorSeen::Dead,
        SectorPhase::Unproven | SectorPhase::Active => SectorSeen::Live,
    }
}

impl SimChain {
    fn sector(&self, round: &Round, provider: ProviderId, sector: SectorNumber) -> SectorSeen {
        self.shared.ask(1);
        if self.shared.rpc() == Rpc::Down {
            return SectorSeen::NotSeen(NotSeen::RpcFailed);
        }
        let world = self.shared.world();
        let found = world.miner(provider).and_then(|miner| miner.sector(sector, Self::at(round)));
        found.map_or(SectorSeen::Dead, |(sector, phase)| {
            let early = phase
                .faulty_since()
                .and_then(|since| raas_devnet::world::Miner::early_expiration(sector, since));
            seen(phase, early)
        })
    }
}

impl Chain for SimChain {
    async fn pin(&self, _look: &Look) -> Result<Pin, Hold> {
        let head = self.shared.head().ok_or(Hold::NoEndpoint)?;
        let world = self.shared.world();
        let chain = world.chain();
        let lag = world.config().finality_lag;
        let height = chain.at_or_before(head - lag);
        let tipset = chain.tipset(height).map_err(|_| Hold::NoEndpoint)?;
        let key: Vec<String> = tipset.key.iter().map(ToString::to_string).collect();
        let round = Round {
            tipset: key.join(","),
            height: Epoch(height),
            eth_block: Epoch(chain.parent(height)),
            head: Epoch(head),
            agreed: 1,
            asked: 1,
        };
        Ok(Pin { round, wanted: 1 })
    }

    async fn deals(&self, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        deals.iter().map(|id| self.deal(round, *id)).collect()
    }

    async fn removed(&self, round: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        let seen = deals.iter().map(|id| match self.deal(round, *id) {
            DealSeen::Present(_) => DealSeen::NotSeen(NotSeen::Contradiction),
            other => other,
        });
        seen.collect()
    }

    async fn lives(&self, round: &Round, provider: ProviderId, watched: &[SectorNumber]) -> LivesSeen {
        self.shared.ask(1);
        if self.shared.rpc() == Rpc::Down {
            return LivesSeen::NotSeen(NotSeen::RpcFailed);
        }
        let world = self.shared.world();
        let lives = |number: &SectorNumber| {
            let sector = world.miner(provider).and_then(|miner| miner.sector(*number, Self::at(round)));
            sector.is_some_and(|(_, phase)| phase.is_live())
        };
        let dead: Vec<SectorNumber> = watched.iter().filter(|number| !lives(number)).copied().collect();
        if dead.is_empty() { LivesSeen::All } else { LivesSeen::Except(dead) }
    }

    async fn provider_seen(
        &self,
        round: &Round,
        provider: ProviderId,
        watched: &[SectorNumber],
        known: &[SectorNumber],
    ) -> ProviderSeen {
        self.shared.ask(1);
        if self.shared.rpc() == Rpc::Down || self.shared.rpc() == Rpc::Blind(provider) {
            return ProviderSeen::NotSeen(NotSeen::RpcFailed);
        }
        let world = self.shared.world();
        let Some(miner) = world.miner(provider) else { return ProviderSeen::NotSeen(NotSeen::MissingState) };
        let counts = miner.counts(Self::at(round));
        let lost_some = counts.live < watched.len() as u64;
        if counts.faulty == 0 && !lost_some {
            return ProviderSeen::Clear;
        }
        let rows: Vec<(SectorNumber, SectorSeen)> = watched
            .iter()
            .filter_map(|number| {
                let (sector, phase) = miner.sector(*number, Self::at(round))?;
                if lost_some && !phase.is_live() {
                    return Some((*number, SectorSeen::Dead));
                }
                let since = phase.faulty_since()?;
                if known.binary_search(number).is_ok() {
                    return Some((*number, SectorSeen::Faulty { since: None }));
                }
                let early = raas_devnet::world::Miner::early_expiration(sector, since);
                Some((*number, seen(phase, early)))
            })
            .collect();
        ProviderSeen::Except(rows)
    }

    async fn sectors(
        &self,
        round: &Round,
        provider: ProviderId,
        sectors: &[SectorNumber],
    ) -> Vec<SectorSeen> {
        sectors.iter().map(|sector| self.sector(round, provider, *sector)).collect()
    }

    async fn terms(&self, round: &Round, sectors: &[(ProviderId, SectorNumber)]) -> Vec<TermSeen> {
        self.shared.ask(sectors.len());
        if self.shared.rpc() == Rpc::Down {
            return vec![TermSeen::NotSeen(NotSeen::RpcFailed); sectors.len()];
        }
        let world = self.shared.world();
        let term = |(provider, number): &(ProviderId, SectorNumber)| {
            let found = world.miner(*provider).and_then(|miner| miner.sector(*number, Self::at(round)));
            found.map_or(TermSeen::Gone, |(sector, _)| {
                TermSeen::Listed(Term { start: Epoch(sector.activation), end: Epoch(sector.expiration) })
            })
        };
        sectors.iter().map(term).collect()
    }

    async fn claims(
        &self,
        round: &Round,
        provider: ProviderId,
        pieces: &BTreeSet<Commitment>,
    ) -> Result<Vec<ClaimSeen>, NotSeen> {
        if self.shared.rpc() == Rpc::Down {
            return Err(NotSeen::RpcFailed);
        }
        let world = self.shared.world();
        let claims = world.registry.claims(provider, Self::at(round)).filter_map(|claim| {
            let piece = claim.data.to_string().parse().ok().filter(|piece| pieces.contains(piece))?;
            let size = PaddedSize::new(claim.size).ok()?;
            Some(ClaimSeen { claim: claim.id, piece, size, sector: claim.sector })
        });
        Ok(claims.collect())
    }

    async fn deal_events(&self, from: Epoch, to: Epoch) -> Result<DealEvents, NotSeen> {
        match self.shared.rpc() {
            Rpc::Down => return Err(NotSeen::RpcFailed),
            Rpc::EmptyLogs => return Ok(DealEvents::default()),
            _ => {}
        }
        let world = self.shared.world();
        let told = world.actor_events(from.0, to.0).filter_map(|(height, event)| {
            let entry = |key: &str| event.entries.iter().find(|entry| entry.key == key);
            let number = |key: &str| -> Option<u64> { from_cbor(&entry(key)?.value).ok() };
            let kind: String = from_cbor(&entry("$type")?.value).ok()?;
            let change = match kind.as_str() {
                "deal-published" => DealChange::Published,
                "deal-activated" => DealChange::Activated,
                "deal-terminated" => DealChange::Terminated,
                _ => return None,
            };
            Some(DealEvent {
                change,
                deal: DealId(number("id")?),
                client: ActorId(number("client")?),
                provider: ProviderId::new(number("provider")?),
                height: Epoch(height),
            })
        });
        Ok(DealEvents { told: told.collect(), left_out: Vec::new() })
    }

    async fn provider(&self, _round: &Round, provider: ProviderId) -> Result<ProviderOnChain, NotSeen> {
        if self.shared.rpc() == Rpc::Down {
            return Err(NotSeen::RpcFailed);
        }
        let world = self.shared.world();
        let miner = world.miner(provider).ok_or(NotSeen::MissingState)?;
        Ok(ProviderOnChain {
            provider,
            operator: OperatorId(miner.config.operator),
            sector_bytes: 32 << 30,
            urls: vec![format!("sim://{provider}")],
        })
    }

    async fn collateral(&self, size: PaddedSize) -> Result<CollateralBounds, NotSeen> {
        let (min, max) = collateral_bounds(size.get());
        Ok(CollateralBounds { min, max })
    }

    async fn balances(&self) -> Result<Balances, NotSeen> {
        let Some(head) = self.shared.head() else { return Err(NotSeen::RpcFailed) };
        let world = self.shared.world();
        let at = StateAt::before(head);
        let Some(id) = world.actors.lookup(&self.client, at) else { return Ok(Balances::default()) };
        let market = world.market().balance(id, at);
        let wallet = world.actors.wallet(id, at).map_or(AttoFil::ZERO, |wallet| wallet.balance);
        Ok(Balances { escrow: market.escrow, locked: market.locked, wallet })
    }

    async fn datacap(&self) -> Result<DataCap, NotSeen> {
        let Some(head) = self.shared.head() else { return Err(NotSeen::RpcFailed) };
        let (world, at) = (self.shared.world(), StateAt::before(head));
        let id = world.actors.lookup(&self.client, at);
        let bytes = id.map_or(0, |id| world.registry.datacap(id, at));
        // No allocation is made in these runs.
        Ok(DataCap { bytes: bytes.into(), frozen: world.is_frozen(at), waiting: Vec::new() })
    }

    async fn next_deal(&self, round: &Round) -> Result<DealId, NotSeen> {
        match self.shared.rpc() {
            Rpc::Down => Err(NotSeen::RpcFailed),
            _ => Ok(self.shared.world().market().next_id(Self::at(round))),
        }
    }

    async fn client_id(&self) -> Result<Option<ActorId>, NotSeen> {
        let world = self.shared.world();
        Ok(world.actors.lookup(&self.client, world.at_head()))
    }
}

pub struct SimClock(pub Arc<Shared>);

impl Clock for SimClock {
    async fn now(&self) -> Now {
        let world = self.0.world();
        let clock = world.chain().clock();
        let unix = i64::try_from(world.chain().timestamp(clock)).expect("a time before the year 2^63");
        Now { epoch: Epoch(clock), unix_seconds: unix }
    }
}
