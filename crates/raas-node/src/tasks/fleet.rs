//! The fleet snapshot that wants compete under: providers and what they ask, money, breaker, pace.

use crate::engine::{Engine, Error};
use crate::watch::{FleetIndex, Shelf};
use crate::world::World;
use raas_core::fleet::{Breaker, Fleet, Money, Pace, Provider};
use raas_core::observation::Round;
use raas_core::ports::{Chain, DealMaker};
use raas_core::spend::{DAY, Limits, Spent};
use raas_core::units::{AttoFil, EPOCHS_PER_DAY, Epoch};

/// Owners, addresses and asks are read again after this many epochs.
const PROVIDER_STALE_AFTER: i64 = EPOCHS_PER_DAY;
/// A provider without an ask is asked again sooner: an hour.
const ASK_MISSING_STALE_AFTER: i64 = 120;
/// Epochs in an hour, by which a released breaker ramps up.
const HOUR: i64 = 120;

/// The snapshot at `round`.
pub async fn fleet<W: World>(
    engine: &Engine<W>,
    index: &FleetIndex,
    round: &Round,
    breaker: Breaker,
) -> Result<Fleet, Error> {
    let settings = &engine.settings;
    let under_way = engine.store.under_way().await?;
    let providers = engine
        .store
        .providers()
        .await?
        .into_iter()
        .filter(|known| settings.providers.contains(&known.on_chain.provider))
        .map(|known| Provider {
            id: known.on_chain.provider,
            operator: known.on_chain.operator,
            ask: known.ask,
            in_flight: under_way.get(&known.on_chain.provider).copied().unwrap_or(0),
            capacity: settings.provider_capacity,
            failures: known.failures,
            backs_off_until: known.backs_off_until,
            healthy: index.shelves.get(&known.on_chain.provider).is_none_or(Shelf::is_healthy),
        })
        .collect();
    let window = settings.pace_window.get().max(1);
    let window_start = Epoch(round.head.0 - round.head.0.rem_euclid(window));
    let [started, released_started] =
        engine.store.repairs_since([window_start, Epoch(round.head.0 - HOUR)]).await?;
    Ok(Fleet {
        providers,
        money: available(engine, round).await?,
        breaker,
        pace: Pace { started, cap: settings.repairs_per_window, next_window: Epoch(window_start.0 + window) },
        released_started,
    })
}

/// Free escrow plus what wallet and budget allow to add, less what signed proposals may still take; and what binds.
async fn available<W: World>(engine: &Engine<W>, round: &Round) -> Result<Money, Error> {
    let Ok(balances) = engine.world.chain().balances().await else { return Ok(Money::default()) };
    let settings = &engine.settings;
    let free = balances.escrow.minus(balances.locked);
    let addable = balances.wallet.minus(settings.wallet_reserve);
    let unreserved = free.plus(addable).minus(engine.store.reserved().await?);
    let total = engine.store.spent_since(Epoch(i64::MIN)).await?;
    let day = match settings.spending.per_day {
        // Orders planned at the first epoch of the window count no more.
        Some(_) => engine.store.spent_since(Epoch(round.head.before(DAY).0.saturating_add(1))).await?,
        None => AttoFil::ZERO,
    };
    let node = Limits { per_tenant: None, per_holding: None, ..settings.limits() };
    let (limit, available) = node.tightest(&Spent { total, day, ..Spent::default() }, unreserved);
    Ok(Money { available, limit })
}

/// Reads owners, addresses and asks that are stale.
pub async fn refresh_providers<W: World>(engine: &Engine<W>, round: &Round) -> Result<(), Error> {
    let known = engine.store.providers().await?;
    for id in &engine.settings.providers {
        let stored = known.iter().find(|stored| stored.on_chain.provider == *id);
        let stale_after = match stored.map(|stored| stored.ask.is_some()) {
            Some(true) => PROVIDER_STALE_AFTER,
            _ => ASK_MISSING_STALE_AFTER,
        };
        if stored.is_some_and(|stored| round.head.0 - stored.read_at.0 < stale_after) {
            continue;
        }
        let Ok(on_chain) = engine.world.chain().provider(round, *id).await else { continue };
        let ask = engine.world.deal_maker().ask(&on_chain).await.unwrap_or_default();
        engine.store.put_provider(&on_chain, ask.as_ref(), round.head).await?;
    }
    Ok(())
}
