//! Commands that make much out of nothing: providers without servers, deals in bulk, and shares of both.

use super::{
    bulk::{Batch, BulkMade, BulkOrder},
    command::CommandError,
    market::Phase,
    publish::{MAX_DURATION, MIN_DURATION, clean_up_slot},
    queue::Event,
    state::{SECTOR_SIZE, World, read_address},
    timeline::Timeline,
};
use crate::{ProviderConfig, StatusStyle};
use raas_core::{
    ids::{ActorId, DealId, ProviderId, SectorNumber},
    units::{AttoFil, PaddedSize},
};

/// The most deals of one order.
const MOST_DEALS: u64 = 20_000_000;
/// The client of bulk deals when none is named.
const BULK_CLIENT: ActorId = ActorId(999);
/// The start epoch of pending deals lies this far ahead: three days.
const PENDING_LEAD: i64 = 8_640;
/// Where the ids of added miners, their operators and their workers begin.
const FIRST_MINER: u64 = 2_000;
const FIRST_OPERATOR: u64 = 4_700;
const FIRST_WORKER: u64 = 7_300;
/// How many can be added in all.
const MOST_PROVIDERS: u64 = 2_500;

const fn slip(field: &'static str, value: String, fix: &'static str) -> CommandError {
    CommandError::Bulk { field, value, fix }
}

impl World {
    /// Makes the deals of an order. They are in the state that native reads at the head see, and eth reads at `latest`;
    /// no message, no event and no fact tells of them.
    pub(super) fn order_bulk(&mut self, order: &BulkOrder) -> Result<BulkMade, CommandError> {
        check(order)?;
        let provider = order.provider;
        let miner = self.miners.get(&provider).ok_or(CommandError::UnknownProvider(provider))?;
        let first_sector = miner.next_number().0;
        let seen = self.chain.parent(self.chain.head());
        let client = self.bulk_client(order.client.as_deref(), seen)?;
        let proven = order.count - order.pending;
        let batch = Batch {
            provider,
            client,
            first_deal: self.market.next().0,
            deals: proven,
            first_sector,
            sectors: proven.div_ceil(order.deals_per_sector),
            per_sector: order.deals_per_sector,
            first_piece: order.first_piece,
            piece_size: order.piece_size,
            created: seen,
            end: seen + order.duration,
            base: Vec::new(),
            expired: Vec::new(),
        };
        let made = BulkMade {
            first_deal: DealId(batch.first_deal),
            proven,
            pending: order.pending,
            first_sector: SectorNumber(first_sector),
            sectors: batch.sectors,
            client,
            start: seen,
            end: batch.end,
        };
        if proven > 0 {
            self.market.bulk.insert(batch.first_deal, batch.clone());
            self.take_batch(batch.clone());
        }
        self.publish_pending(order, &batch);
        Ok(made)
    }

    fn take_batch(&mut self, batch: Batch) {
        let (provider, first, end, made) = (batch.provider, batch.first_sector, batch.end, batch.created);
        let Some(miner) = self.miners.get_mut(&provider) else { return };
        miner.add_batch(batch);
        let closes: Vec<(usize, i64)> = (0_usize..48)
            .zip(0..)
            .map(|(deadline, number)| (deadline, miner.next_close(number, end)))
            .collect();
        for (deadline, close) in closes {
            self.schedule_since(close, Event::BulkExpire { provider, first, deadline }, made);
        }
    }

    /// The last deals of an order, which are published and wait.
    fn publish_pending(&mut self, order: &BulkOrder, batch: &Batch) {
        if order.pending == 0 {
            return;
        }
        let (now, made) = (self.chain.clock(), batch.created);
        let (first, start) =
            (batch.first_deal + batch.deals, now + PENDING_LEAD.max(order.seal_in.unwrap_or(0)));
        let ids: Vec<DealId> = (first..first + order.pending).map(DealId).collect();
        for (id, index) in ids.iter().zip(batch.deals..) {
            let mut deal = batch.deal_in(*id, index, Timeline::since(batch.created, Phase::Published));
            deal.proposal.start = raas_core::units::Epoch(start);
            self.market.deals.insert(*id, deal);
            self.schedule_since(start + 1, Event::StartMissed { deal: *id }, made);
            self.schedule_since(clean_up_slot(*id, start), Event::CleanUp { deal: *id }, made);
            self.schedule_since(batch.end, Event::DealEnd { deal: *id }, made);
        }
        if let Some(seal_in) = order.seal_in {
            let seal = Event::SealBulk { provider: order.provider, deals: ids };
            self.schedule_since(now + seal_in, seal, made);
        }
    }

    fn bulk_client(&mut self, named: Option<&str>, seen: i64) -> Result<ActorId, CommandError> {
        let Some(text) = named else {
            if self.actors.get(BULK_CLIENT).is_none() {
                let key = crate::codec::SecretKey::from_seed(&self.chain.derive("bulk client", 0)).address();
                self.actors.add_genesis(BULK_CLIENT, Some(key), AttoFil::ZERO);
            }
            return Ok(BULK_CLIENT);
        };
        let bad = || CommandError::Address(text.to_owned());
        self.actors.ensure(&read_address(text).ok_or_else(bad)?, seen).ok_or_else(bad)
    }

    /// Adds miners without servers; they take no deals, but hold bulk ones.
    pub(super) fn add_providers(
        &mut self,
        count: u32,
        operators: Option<u32>,
    ) -> Result<Vec<ProviderId>, CommandError> {
        let there = self.miners.range(ProviderId::new(FIRST_MINER)..ProviderId::new(FIRST_OPERATOR)).count();
        let (there, count) = (there as u64, u64::from(count));
        if count == 0 || there + count > MOST_PROVIDERS {
            let fix = "use 1 to 2500 providers in all";
            return Err(slip("count", count.to_string(), fix));
        }
        let operators = operators.map_or(count, u64::from);
        if operators == 0 || operators > count {
            return Err(slip("operators", operators.to_string(), "use 1 to count"));
        }
        let size = |bytes| PaddedSize::new(bytes).expect("a power of two between 128 and 64 GiB");
        let added: Vec<ProviderConfig> = (there..there + count)
            .map(|index| ProviderConfig {
                id: ProviderId::new(FIRST_MINER + index),
                operator: ActorId(FIRST_OPERATOR + there + (index - there) % operators),
                worker: ActorId(FIRST_WORKER + index),
                ask: AttoFil(1_000_000_000),
                min_piece: size(128),
                max_piece: size(32 << 30),
                status: StatusStyle::Curio,
            })
            .collect();
        added.iter().for_each(|provider| self.add_provider(provider));
        Ok(added.into_iter().map(|provider| provider.id).collect())
    }

    /// Live sectors of a provider, one of every `1 / share`, evenly over their numbers. `per_million` is the share.
    pub fn share_of_sectors(
        &self,
        provider: ProviderId,
        per_million: u64,
    ) -> Result<Vec<SectorNumber>, CommandError> {
        let miner = self.miners.get(&provider).ok_or(CommandError::UnknownProvider(provider))?;
        let mut sum = 0;
        let drawn = |_: &SectorNumber| {
            sum += per_million;
            let hit = sum >= 1_000_000;
            sum %= 1_000_000;
            hit
        };
        Ok(miner.live_sectors().into_iter().filter(drawn).collect())
    }
}

fn check(order: &BulkOrder) -> Result<(), CommandError> {
    if !(1..=MOST_DEALS).contains(&order.count) {
        return Err(slip("count", order.count.to_string(), "use 1 to 20000000"));
    }
    if order.pending > order.count {
        return Err(slip("pending", order.pending.to_string(), "use at most count"));
    }
    if PaddedSize::new(order.piece_size).is_err() || order.piece_size > SECTOR_SIZE {
        return Err(slip("pieceSize", order.piece_size.to_string(), "use a power of two from 128 to 32 GiB"));
    }
    let fits = SECTOR_SIZE / order.piece_size;
    if !(1..=fits).contains(&order.deals_per_sector) {
        let fix = "use at least 1, and no more than pieceSize lets a 32 GiB sector hold";
        return Err(slip("dealsPerSector", order.deals_per_sector.to_string(), fix));
    }
    if !(MIN_DURATION..=MAX_DURATION).contains(&order.duration) {
        return Err(slip("duration", order.duration.to_string(), "use 518400 to 3680640 epochs"));
    }
    if order.seal_in.is_some_and(|epochs| epochs < 1) {
        let given = order.seal_in.unwrap_or_default().to_string();
        return Err(slip("sealIn", given, "use at least 1, or leave it out"));
    }
    Ok(())
}
