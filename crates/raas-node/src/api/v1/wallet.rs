//! What the wallet has, owes and may spend, how long it lasts, and what is wrong with it. Reads only.

use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::store::StoredTx;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::amount::fil;
use raas_core::forecast::{Runway, Urgency};
use raas_core::gate::Hold;
use raas_core::ports::{Balances, Chain, Lane, Wallet};
use raas_core::spend::DAY;
use raas_core::units::{AttoFil, Epoch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// An amount for people and for programs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Amount {
    /// With its unit.
    fil: String,
    /// In attoFIL.
    attofil: String,
}

/// An amount for people and for programs.
pub(super) fn amount(amount: AttoFil) -> Amount {
    Amount { fil: fil(amount), attofil: amount.0.to_string() }
}

/// What is free of the escrow: neither held by deals nor promised to what is signed and can still be published.
pub(super) struct Escrow {
    pub(super) balances: Balances,
    pub(super) reserved: AttoFil,
}

impl Escrow {
    pub(super) async fn read<W: World>(app: &App<W>) -> Result<Self, ApiError> {
        let engine = &app.engine;
        let Ok(balances) = engine.world().chain().balances().await else {
            return Err(ApiError::Unavailable("no endpoint tells the balances now; try again".to_owned()));
        };
        let signed = engine.store().unsettled_orders().await?;
        let reserved = signed
            .iter()
            .filter(|stored| stored.order.state.signed().is_some())
            .fold(AttoFil::ZERO, |sum, stored| sum.plus(stored.order.cost()));
        Ok(Self { balances, reserved })
    }

    pub(super) fn free(&self) -> AttoFil {
        self.balances.escrow.minus(self.balances.locked).minus(self.reserved)
    }
}

/// What the wallet has, owes and may spend.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Wallet")]
pub struct Shown {
    network: String,
    accounts: Vec<Account>,
    escrow: ShownEscrow,
    limits: Vec<Limit>,
    /// How long the money lasts.
    runway: Option<Value>,
    /// What needs the admin.
    alarms: Vec<Value>,
}

/// One account of the node's key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Account {
    /// `native` or `evm`.
    #[schemars(with = "String")]
    account: Lane,
    address: String,
    /// `null` where no endpoint tells it now.
    balance: Option<Amount>,
    next_nonce: u64,
    chain_nonces: Option<Value>,
    /// Why nothing is sent from it, if so.
    halted: Option<Value>,
}

/// What lies at the market.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Escrow")]
pub struct ShownEscrow {
    total: Amount,
    locked_by_deals: Amount,
    /// Promised to what is signed and can still be published.
    reserved_for_signed: Amount,
    free: Amount,
}

/// A limit of the configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Limit {
    /// Its key there.
    key: &'static str,
    limit: Option<Amount>,
    used: Option<Amount>,
}

/// Accounts, escrow, limits, runway, alarms.
pub async fn show<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<Shown>, ApiError> {
    let engine = &app.engine;
    let (store, wallet, settings) = (engine.store(), engine.world().wallet(), engine.settings());
    let escrow = Escrow::read(&app).await?;
    let halts = store.halts().await?;
    let mut accounts = Vec::new();
    for lane in [Lane::Native, Lane::Evm] {
        let nonces = wallet.nonces(lane).await.ok();
        let balance = match lane {
            Lane::Native => Some(escrow.balances.wallet),
            Lane::Evm => wallet.balance(lane).await.ok(),
        };
        accounts.push(Account {
            account: lane,
            address: wallet.address(lane).to_string(),
            balance: balance.map(amount),
            next_nonce: store.floor(lane).await?.next(),
            chain_nonces: nonces.map(|nonces| json!(nonces)),
            halted: halts.get(&lane).map(|halt| json!(halt)),
        });
    }
    let round = engine.status().round;
    let outlook = engine.outlook().await?;
    let head = round.as_ref().map_or(Epoch(0), |round| round.head);
    let day = head.before(DAY);
    let gas = store.gas_since(day).await?.into_values().fold(AttoFil::ZERO, AttoFil::plus);
    let limits = settings.limits();
    let limit = |key, limit: Option<AttoFil>, used: Option<AttoFil>| Limit {
        key,
        limit: limit.map(amount),
        used: used.map(amount),
    };
    Ok(Json(Shown {
        network: app.network.clone(),
        accounts,
        escrow: ShownEscrow {
            total: amount(escrow.balances.escrow),
            locked_by_deals: amount(escrow.balances.locked),
            reserved_for_signed: amount(escrow.reserved),
            free: amount(escrow.free()),
        },
        limits: vec![
            limit("budget.total_attofil", limits.total, Some(store.spent_since(Epoch(i64::MIN)).await?)),
            limit("budget.per_day_attofil", limits.per_day, Some(store.spent_since(Epoch(day.0 + 1)).await?)),
            limit("budget.per_tenant_attofil", limits.per_tenant, None),
            limit("budget.per_holding_attofil", limits.per_holding, None),
            limit("budget.gas_per_day_attofil", settings.spending.gas_per_day, Some(gas)),
            limit("wallet.gas_max_attofil", settings.spending.gas_max, None),
            limit("budget.wallet_reserve_attofil", Some(settings.wallet_reserve), None),
        ],
        runway: outlook.map(|outlook| json!(outlook)),
        alarms: alarms(&app).await?,
    }))
}

/// DataCap and what it is set aside for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DataCap {
    network: String,
    address: String,
    /// Bytes that can be set aside, as text.
    bytes: String,
    /// Whether the network has no DataCap to spend any more.
    frozen: bool,
    /// What waits for a provider to claim it.
    allocations: Vec<Value>,
}

/// DataCap of the f1 account, and the allocations that wait for a provider.
pub async fn datacap<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<DataCap>, ApiError> {
    let world = app.engine.world();
    let Ok(datacap) = world.chain().datacap().await else {
        return Err(ApiError::Unavailable("no endpoint tells the DataCap now; try again".to_owned()));
    };
    Ok(Json(DataCap {
        network: app.network.clone(),
        address: world.wallet().address(Lane::Native).to_string(),
        bytes: datacap.bytes.to_string(),
        frozen: datacap.frozen,
        allocations: datacap.waiting.iter().map(|waiting| json!(waiting)).collect(),
    }))
}

/// What needs the admin: accounts halted, a store put back, gas that is too dear, money that ends.
pub(super) async fn alarms<W: World>(app: &App<W>) -> Result<Vec<Value>, ApiError> {
    let store = app.engine.store();
    let mut alarms = Vec::new();
    for (lane, halt) in store.halts().await? {
        alarms.push(json!({ "alarm": "account_halted", "account": lane, "why": halt.why, "since": halt.at }));
    }
    if let Some(restored) = store.restored().await? {
        let why = "the store was put back from a backup; the node only looks until the epoch named is final";
        alarms.push(json!({ "alarm": "store_restored", "why": why, "until": restored.until }));
    }
    if let Some(hold @ Hold::Rewritten { .. }) = app.engine.status().hold {
        let why = format!("{hold}; `raas chain rewind` shows what differs");
        alarms.push(json!({ "alarm": "history_rewritten", "why": why }));
    }
    for (step, why) in store.parked().await? {
        let why = format!("{why}; `raas job retry` tries it now");
        alarms.push(json!({ "alarm": "step_set_aside", "step": step.kind, "why": why }));
    }
    for (tx, why) in app.engine.dear() {
        alarms.push(json!({ "alarm": "gas_too_dear", "transaction": tx, "why": why }));
    }
    if let Some(outlook) = app.engine.status().outlook {
        let kinds = [
            ("escrow and f1 account, for deals", outlook.deals),
            ("0x account, for gas of the contract", outlook.contract),
            ("budget.total_attofil", outlook.budget),
        ];
        for (what, Runway { ends_at, days, urgency }) in kinds {
            if urgency > Urgency::Calm {
                let why = format!("{what}: lasts for {} days", days.unwrap_or_default());
                alarms.push(
                    json!({ "alarm": "money_ends", "urgency": urgency, "why": why, "ends_at": ends_at }),
                );
            }
        }
    }
    Ok(alarms)
}

/// All alarms, those of the endpoints behind the wallet's, for an admin; others are told of none.
pub(super) async fn told_to<W: World>(caller: &Caller, app: &App<W>) -> Result<Vec<Value>, ApiError> {
    if caller.only().is_some() {
        return Ok(Vec::new());
    }
    let mut all = alarms(app).await?;
    all.extend(app.alarms().iter().map(|alarm| json!(alarm)));
    Ok(all)
}

/// Which transactions to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Only this one.
    id: Option<u64>,
    /// How many, 20 unless said, 1000 at most.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}

/// Transactions of the node's key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TransactionList")]
pub struct Transactions {
    network: String,
    transactions: Vec<Transaction>,
}

/// A transaction.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Transaction {
    id: u64,
    /// What it does.
    intent: Value,
    /// `native` or `evm`.
    #[schemars(with = "String")]
    account: Lane,
    nonce: Option<u64>,
    /// How it stands.
    state: Value,
    /// The one that carries it with others, if so.
    carrier: Option<u64>,
    /// Of every version that was signed.
    hashes: Vec<String>,
    receipt: Option<Value>,
    /// The most that its gas can cost.
    gas_max: Option<Amount>,
    /// Why it is not sent yet, if so.
    waits: Option<String>,
}

/// The newest transactions, newest first, or one of them.
pub async fn transactions<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(listing): Query<Listing>,
) -> Result<Json<Transactions>, ApiError> {
    let store = app.engine.store();
    let found = match listing.id {
        Some(id) => {
            // The store could not hold a larger one.
            let tx = match i64::try_from(id) {
                Ok(_) => store.tx(crate::store::TxId(id)).await?,
                Err(_) => None,
            };
            vec![tx.ok_or_else(|| ApiError::NotFound(format!("there is no transaction {id}")))?]
        }
        None => match listing.limit.unwrap_or(20) {
            limit @ 1..=1_000 => store.last_txs(limit).await?,
            other => return Err(ApiError::field("limit", format!("{other} is not in 1..=1000"))),
        },
    };
    let waits = store.send_waits().await?;
    let transactions = found.iter().map(|tx| transaction(tx, waits.get(&tx.id))).collect();
    Ok(Json(Transactions { network: app.network.clone(), transactions }))
}

fn transaction(tx: &StoredTx, waits: Option<&String>) -> Transaction {
    Transaction {
        id: tx.id.0,
        intent: json!(tx.intent),
        account: tx.lane,
        nonce: tx.nonce,
        state: state(tx),
        carrier: tx.carrier.map(|carrier| carrier.0),
        hashes: tx.signed.iter().map(|signed| signed.hash.clone()).collect(),
        receipt: tx.state.get("receipt").cloned(),
        gas_max: tx.signed.iter().map(|signed| signed.gas_max).max().map(amount),
        waits: waits.cloned(),
    }
}

/// The sender machine's state; of what is closed without ever having been signed, why it is.
fn state(tx: &StoredTx) -> Value {
    match tx.carrier {
        Some(_) => json!("carried"),
        None if !tx.open && tx.signed.is_empty() => json!("dropped"),
        None => tx.state["state"].clone(),
    }
}
