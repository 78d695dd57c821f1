//! Moving money by the admin's hand: send, escrow in and out, settling, DataCap for a piece, releasing an account.
//!
//! A payment is planned in the same account lanes as the node's own transactions, so that nobody sends beside them.
//! The caller shows an admin's secret, and names each payment by an `Idempotency-Key`.

use super::wallet::{Amount, Escrow, amount as shown};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, Query};
use crate::failpoint;
use crate::store;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use raas_core::allocation::{Allocation, Waiting};
use raas_core::amount::{self, fil};
use raas_core::ids::DealId;
use raas_core::ports::{Chain, Lane, TxIntent, Wallet};
use raas_core::units::AttoFil;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Most deals settled by one transaction.
const SETTLE_MAX: usize = 1_000;
/// Longest key of a payment.
const KEY_MAX: usize = 128;

/// What to do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    r#do: Do,
    /// With its unit: `"1.5 FIL"` or `"7 attoFIL"`.
    amount: Option<String>,
    /// Whom to send to.
    to: Option<String>,
    /// From which account to send; the f1 account unless named.
    #[schemars(with = "Option<Account>")]
    from: Option<Lane>,
    /// Deals to settle; all that ended when none are named.
    #[schemars(with = "Option<Vec<u64>>")]
    deals: Option<Vec<DealId>>,
    /// What to set DataCap aside for.
    #[schemars(with = "Option<Value>")]
    allocation: Option<Allocation>,
    /// Only say what it would cost.
    #[serde(default)]
    dry_run: bool,
}

/// One of the node's two accounts.
#[derive(JsonSchema)]
#[schemars(rename = "Lane", rename_all = "snake_case")]
#[expect(dead_code, reason = "the shape of `Lane`")]
enum Account {
    Native,
    Evm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Do {
    Send,
    MarketAdd,
    MarketWithdraw,
    Settle,
    Allocate,
}

/// What a payment costs at most, and its transaction once it is planned.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Paid {
    network: String,
    intent: Value,
    #[schemars(with = "Account")]
    account: Lane,
    address: String,
    amount: Amount,
    gas_limit: Value,
    fee_cap_attofil: Value,
    premium_attofil: Value,
    gas_max: Amount,
    total_max: Amount,
    balance: Amount,
    dry_run: bool,
    /// What an allocation takes, who may claim it, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    datacap: Option<Value>,
    /// The transaction's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<u64>,
    /// False when the same key named it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<bool>,
    /// Why nothing is sent now, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Option<Value>>,
}

/// Quotes a payment and, unless it is a dry run, plans it.
pub async fn pay<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(payment): JsonBody<Payment>,
) -> Result<Json<Paid>, ApiError> {
    caller.pays()?;
    let intent = intent(&app, &payment).await?;
    // First, since the registry's own refusal would say less.
    let taken = match &intent {
        TxIntent::Allocate(allocation) => Some(datacap(&app, allocation).await?),
        _ => None,
    };
    let wallet = app.engine.world().wallet();
    let lane = intent.lane();
    let unread = |what: &str| ApiError::Unavailable(format!("no endpoint tells {what} now; try again"));
    let nonces = wallet.nonces(lane).await.map_err(|_| unread("the account's nonce"))?;
    let nonce = app.engine.store().floor(lane).await?.next().max(nonces.head);
    let quoted = wallet.quote(&intent, nonce, None).await;
    let quote = quoted.map_err(|why| ApiError::Bad(why.to_string()))?;
    let balance = wallet.balance(lane).await.map_err(|_| unread("the account's balance"))?;
    let total = intent.value().plus(quote.gas_max());
    let mut answer = Paid {
        network: app.network.clone(),
        intent: json!(intent),
        account: lane,
        address: wallet.address(lane).to_string(),
        amount: shown(intent.value()),
        gas_limit: json!(quote.gas_limit),
        fee_cap_attofil: json!(quote.fees.fee_cap),
        premium_attofil: json!(quote.fees.premium),
        gas_max: shown(quote.gas_max()),
        total_max: shown(total),
        balance: shown(balance),
        dry_run: payment.dry_run,
        datacap: taken,
        transaction: None,
        new: None,
        hold: None,
    };
    if balance < total {
        let why = format!(
            "the account {} has {}; {} are needed, gas of at most {} with it",
            wallet.address(lane),
            fil(balance),
            fil(total),
            fil(quote.gas_max())
        );
        return Err(ApiError::Conflict(why));
    }
    if !payment.dry_run {
        let key = key(&headers)?;
        let planned = failpoint::around("pay.store", app.engine.store().plan_tx_once(&intent, &key)).await;
        let (tx, new) = planned.map_err(|error| match error {
            store::Error::IntentChanged { .. } => ApiError::Conflict(error.to_string()),
            other => other.into(),
        })?;
        app.wake.notify_one();
        answer.transaction = Some(tx.0);
        answer.new = Some(new);
        answer.hold = Some(app.engine.status().hold.map(|hold| json!(hold)));
    }
    Ok(Json(answer))
}

async fn intent<W: World>(app: &App<W>, payment: &Payment) -> Result<TxIntent, ApiError> {
    let unused = |field: &str, is_there: bool| match is_there {
        true => Err(ApiError::field(field, "it says nothing here; leave it out")),
        false => Ok(()),
    };
    unused("to", payment.to.is_some() && payment.r#do != Do::Send)?;
    unused("from", payment.from.is_some() && payment.r#do != Do::Send)?;
    unused("deals", payment.deals.is_some() && payment.r#do != Do::Settle)?;
    unused("amount", payment.amount.is_some() && matches!(payment.r#do, Do::Settle | Do::Allocate))?;
    unused("allocation", payment.allocation.is_some() && payment.r#do != Do::Allocate)?;
    let amount = || -> Result<AttoFil, ApiError> {
        let text = payment.amount.as_deref().ok_or_else(|| ApiError::field("amount", "how much?"))?;
        let amount = amount::parse(text).map_err(|error| ApiError::field("amount", error.to_string()))?;
        if amount == AttoFil::ZERO {
            Err(ApiError::field("amount", "nothing moves nothing"))
        } else {
            Ok(amount)
        }
    };
    Ok(match payment.r#do {
        Do::Send => {
            let to =
                payment.to.clone().ok_or_else(|| ApiError::field("to", "an f or 0x address is needed"))?;
            TxIntent::Transfer { from: payment.from.unwrap_or(Lane::Native), to, amount: amount()? }
        }
        Do::MarketAdd => TxIntent::AddBalance { amount: amount()? },
        Do::MarketWithdraw => {
            let (amount, free) = (amount()?, Escrow::read(app).await?.free());
            if amount > free {
                let why = format!(
                    "{} of the escrow are free; the rest is held by deals, or promised to deals that are signed",
                    fil(free)
                );
                return Err(ApiError::Conflict(why));
            }
            TxIntent::Withdraw { amount }
        }
        Do::Settle => {
            let deals = match &payment.deals {
                Some(deals) => deals.clone(),
                None => app.engine.store().ended_deals(SETTLE_MAX as u32).await?,
            };
            if deals.is_empty() || deals.len() > SETTLE_MAX {
                let why =
                    format!("from 1 to {SETTLE_MAX} deals are settled at once; there are {}", deals.len());
                return Err(ApiError::field("deals", why));
            }
            TxIntent::Settle { deals }
        }
        Do::Allocate => {
            let allocation = payment.allocation.ok_or_else(|| ApiError::field("allocation", "for what?"))?;
            let head = app.engine.status().round.ok_or_else(datacap_unread)?.head;
            allocation
                .check(head)
                .map_err(|refused| ApiError::field(format!("allocation.{}", refused.field), refused.why))?;
            TxIntent::Allocate(allocation)
        }
    })
}

fn datacap_unread() -> ApiError {
    ApiError::Unavailable("no endpoint tells the DataCap now; try again".to_owned())
}

/// What an allocation takes of this account's DataCap, who may claim it, and until when: whatever its owner should know
/// before it is sent. An error where the registry would refuse it.
async fn datacap<W: World>(app: &App<W>, allocation: &Allocation) -> Result<Value, ApiError> {
    let chain = app.engine.world().chain();
    let status = app.engine.status();
    let round = status.round.as_ref().ok_or_else(datacap_unread)?;
    let datacap = chain.datacap().await.map_err(|_| datacap_unread())?;
    if datacap.frozen {
        let why = "since version 29 the network has no DataCap to spend: every sector counts as much";
        return Err(ApiError::Conflict(why.to_owned()));
    }
    let (has, needed) = (datacap.bytes, u128::from(allocation.size.get()));
    let Some(left) = has.checked_sub(needed) else {
        let why = format!("the f1 account has {has} bytes of DataCap, {needed} are needed: ask an allocator");
        return Err(ApiError::Conflict(why));
    };
    let provider = chain.provider(round, allocation.provider).await.map_err(|why| {
        let why = format!("{} could not be read as a provider: {why}", allocation.provider);
        ApiError::field("allocation.provider", why)
    })?;
    let piece = allocation.piece.to_string();
    let same = |waiting: &&Waiting| waiting.provider == allocation.provider && waiting.piece == piece;
    let claimable = allocation.expiration.0.saturating_sub(round.head.0);
    Ok(json!({
        "has": has.to_string(),
        "takes": needed.to_string(),
        "leaves": left.to_string(),
        "provider": allocation.provider.to_string(),
        "operator": format!("f0{}", provider.operator),
        "piece": piece,
        "size": allocation.size,
        "term_min": allocation.term_min,
        "term_max": allocation.term_max,
        "head": round.head,
        "claim_by": allocation.expiration,
        "claim_within": claimable,
        "same_waiting": datacap.waiting.iter().filter(same).map(|waiting| waiting.id).collect::<Vec<_>>(),
    }))
}

fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if key.is_empty() || key.len() > KEY_MAX {
        let why =
            format!("name the payment by a key of its own, up to {KEY_MAX} bytes, so that it happens once");
        return Err(ApiError::field("Idempotency-Key", why));
    }
    Ok(format!("wallet:{key}"))
}

/// What to release.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReleaseAccount")]
pub struct Release {
    /// A halted account.
    #[schemars(with = "Option<Account>")]
    account: Option<Lane>,
    /// A store that was put back, before it has caught up.
    restored: Option<bool>,
}

/// What was released.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReleasedAccounts")]
pub struct Released {
    network: String,
    #[schemars(with = "Vec<Account>")]
    released: Vec<Lane>,
    /// Whether a store that was put back may act again.
    restored: bool,
}

/// Lets a halted account go on from the chain's nonce, or a restored store act before its time.
pub async fn release<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Query(release): Query<Release>,
) -> Result<Json<Released>, ApiError> {
    caller.pays()?;
    let store = app.engine.store();
    let lanes: Vec<Lane> = match (release.account, release.restored) {
        (Some(lane), None) => vec![lane],
        (None, Some(true)) => vec![Lane::Native, Lane::Evm],
        _ => return Err(ApiError::field("account", "name native or evm, or restored=true")),
    };
    let mut released = Vec::new();
    for lane in lanes {
        let nonces = app.engine.world().wallet().nonces(lane).await;
        let nonces = nonces.map_err(|_| {
            ApiError::Unavailable("no endpoint tells the account's nonce now; try again".to_owned())
        })?;
        if store.release_lane(lane, nonces.head).await? {
            released.push(lane);
        }
    }
    let was_restored = release.restored == Some(true) && store.restored().await?.is_some();
    if was_restored {
        store.end_restored().await?;
    }
    app.wake.notify_one();
    Ok(Json(Released { network: app.network.clone(), released, restored: was_restored }))
}
