//! Plan: the rules over all holdings and the fleet, and the intents of the result in one transaction.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Committed, Refusal, StepKind, StoredPlan};
use crate::world::World;
use raas_core::fleet::{Fleet, Money, Pace, Provider};
use raas_core::gate::Hold;
use raas_core::holding::Holding;
use raas_core::ids::ProviderId;
use raas_core::observation::Round;
use raas_core::order::{Cause, OrderState};
use raas_core::plan::{Action, Plan, Wait, WaitFor, Wake};
use raas_core::ports::{Chain, DealMaker, Now};
use raas_core::spend::{DAY, Limit, Limits, Spending, Spent};
use raas_core::units::{AttoFil, EPOCHS_PER_DAY, Epoch};

/// Owners, addresses and asks are read again after this many epochs.
const PROVIDER_STALE_AFTER: i64 = EPOCHS_PER_DAY;
/// A provider without an ask is asked again sooner: an hour.
const ASK_MISSING_STALE_AFTER: i64 = 120;

/// Decides, stores the decision for `why`, and commits its intents. True when an intent was committed.
pub async fn plan<W: World>(
    engine: &Engine<W>,
    round: &Round,
    hold: Option<Hold>,
    now: Now,
) -> Result<bool, Error> {
    let holdings = engine.store.holdings().await?;
    let fleet = match hold {
        None => fleet(engine, round).await?,
        Some(_) => no_fleet(round),
    };
    if hold.is_none() {
        probe_before_evicting(engine, &holdings, round).await?;
    }
    let mut plan = raas_core::plan::plan(&holdings, &fleet, round, &engine.settings.rules, hold);
    let actions = plan.actions.clone();
    if actions.is_empty() {
        wake_when_day_frees(engine, round, &mut plan).await?;
        engine.save_plan(StoredPlan { plan, round: round.clone() }).await?;
        return Ok(false);
    }
    let spending = Spending { available: fleet.money.available, limits: engine.settings.limits() };
    let committed = failpoint::around(
        "plan.commit",
        engine.store.commit_intents(&actions, round.head, now.unix_seconds, spending),
    )
    .await?;
    for (action, outcome) in actions.iter().zip(&committed) {
        tracing::info!(?action, ?outcome, "intent");
    }
    // What the store refused is a wait like any other; the decision is stored with it.
    plan.waits.extend(short(&actions, &committed));
    wake_when_day_frees(engine, round, &mut plan).await?;
    engine.save_plan(StoredPlan { plan, round: round.clone() }).await?;
    Ok(committed.iter().any(|outcome| !matches!(outcome, Committed::Refused(_))))
}

/// What the store refused for money, as waits that name the limit.
fn short(actions: &[Action], committed: &[Committed]) -> Vec<Wait> {
    let refused = actions.iter().zip(committed).filter_map(|(action, outcome)| match (action, outcome) {
        (Action::Order { slots, .. }, Committed::Refused(Refusal::Budget { needed, available, limit })) => {
            Some((slots, WaitFor::Budget { needed: *needed, available: *available, limit: *limit }))
        }
        _ => None,
    });
    refused
        .flat_map(|(slots, for_)| {
            slots.iter().map(move |slot| Wait {
                holding: Some(slot.holding),
                slot: Some(*slot),
                for_: for_.clone(),
                wake: Wake::OnBudget,
            })
        })
        .collect()
}

/// What waits for the daily limit wakes when a part of it is free again.
async fn wake_when_day_frees<W: World>(
    engine: &Engine<W>,
    round: &Round,
    plan: &mut Plan,
) -> Result<(), Error> {
    let for_day = |wait: &Wait| matches!(wait.for_, WaitFor::Budget { limit: Limit::Day, .. });
    if !plan.waits.iter().any(for_day) {
        return Ok(());
    }
    let Some(first) = engine.store.first_order_since(round.head.before(DAY)).await? else { return Ok(()) };
    for wait in plan.waits.iter_mut().filter(|wait| for_day(wait)) {
        wait.wake = Wake::At(first.after(DAY));
    }
    Ok(())
}

/// Where a policy lets the local copy go, a provider first has to show that it serves the bytes.
async fn probe_before_evicting<W: World>(
    engine: &Engine<W>,
    holdings: &[Holding],
    round: &Round,
) -> Result<(), Error> {
    for holding in holdings {
        let Some(needed) = holding.policy.keep_local.evict_at(holding.policy.replicas.target) else {
            continue;
        };
        for slots in &holding.pieces {
            if !slots.piece.local || slots.piece.retrievable || slots.proven() < needed {
                continue;
            }
            let mark = format!("probe:{}", slots.piece.commitment);
            if engine.store.meta(&mark).await?.is_none() {
                let step = StepKind::Probe { holding: holding.id, piece: slots.piece.commitment };
                engine.store.wake_step(&step).await?;
                engine.store.put_meta(&mark, &round.height.to_string()).await?;
            }
        }
    }
    Ok(())
}

/// What a held round plans with: nothing can be bought.
fn no_fleet(round: &Round) -> Fleet {
    Fleet {
        providers: Vec::new(),
        money: Money::default(),
        breaker: raas_core::fleet::Breaker::default(),
        pace: Pace { started: 0, cap: 0, next_window: round.head },
        released_started: 0,
    }
}

async fn fleet<W: World>(engine: &Engine<W>, round: &Round) -> Result<Fleet, Error> {
    let settings = &engine.settings;
    refresh_providers(engine, round).await?;
    let open = engine.store.open_orders().await?;
    let in_flight = |id: ProviderId| {
        let on_their_way = open.iter().filter(|stored| {
            stored.order.provider == id
                && stored.order.state.occupies()
                && !matches!(stored.order.state, OrderState::Published(_))
        });
        u32::try_from(on_their_way.count()).unwrap_or(u32::MAX)
    };
    let faulty = |id: ProviderId| {
        open.iter().any(|stored| {
            stored.order.provider == id
                && stored.order.state.on_chain().is_some_and(|on_chain| on_chain.health.fault.is_some())
        })
    };
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
            in_flight: in_flight(known.on_chain.provider),
            capacity: settings.provider_capacity,
            failures: known.failures,
            backs_off_until: known.backs_off_until,
            healthy: !faulty(known.on_chain.provider),
        })
        .collect();
    let window = settings.pace_window.get().max(1);
    let window_start = Epoch(round.head.0 - round.head.0.rem_euclid(window));
    let repairs_since = |since: Epoch| {
        let started = open.iter().filter(|stored| {
            matches!(stored.order.cause, Cause::Repair { .. }) && stored.order.planned_at >= since
        });
        u32::try_from(started.count()).unwrap_or(u32::MAX)
    };
    let breaker = engine.store.breaker().await?;
    Ok(Fleet {
        providers,
        money: available(engine, round).await?,
        breaker,
        pace: Pace {
            started: repairs_since(window_start),
            cap: settings.repairs_per_window,
            next_window: Epoch(window_start.0 + window),
        },
        released_started: repairs_since(Epoch(round.head.0 - 120)),
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

async fn refresh_providers<W: World>(engine: &Engine<W>, round: &Round) -> Result<(), Error> {
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
