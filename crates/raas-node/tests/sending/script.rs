//! The chain and its endpoint: one account, one mempool, tipsets that can be taken back.

use raas_core::observation::NotSeen;
use raas_core::ports::{
    Broadcast, DealTerms, Fees, Inclusion, Lane, NoQuote, Nonces, Quote, SignedDeal, SignedTx, Taker,
    TxIntent, Wallet,
};
use raas_core::units::{AttoFil, Epoch};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

/// Between the head and the finalized tipset.
pub const LAG: i64 = 30;
/// Gas of everything; of what does many things at once, of each.
const GAS: u64 = 1_000;
/// The premium proposed.
const PREMIUM: u128 = 100;

/// A transaction as the chain has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tx {
    pub nonce: u64,
    pub hash: String,
    pub what: String,
    pub cap: u128,
    pub premium: u128,
}

/// What one send meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// The endpoint takes it and its answer is lost.
    LoseReply,
    /// It never arrives.
    LoseRequest,
    /// The endpoint says this and does nothing.
    Say(Broadcast),
}

#[derive(Default)]
pub struct Chain {
    pub head: i64,
    pub base_fee: u128,
    pub pool: BTreeMap<u64, Tx>,
    pub blocks: BTreeMap<i64, Vec<Tx>>,
    /// How far behind the head nonces are read.
    pub nonces_lag: i64,
    /// Hashes are forgotten after so many epochs.
    pub forgets_after: Option<i64>,
    /// Of the next sends, in their order.
    pub quirks: VecDeque<Quirk>,
    /// What the contract refuses, or what nobody can estimate.
    pub refuses: Option<fn(&TxIntent) -> Option<NoQuote>>,
    /// What is mined without success, by its purpose in words.
    pub fails: Option<fn(&str) -> bool>,
    /// Hashes that reached the endpoint.
    pub received: Vec<String>,
}

/// Shared by the tests and the port.
#[derive(Default)]
pub struct Script(Mutex<Chain>);

impl Script {
    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        self.0.lock().expect("not poisoned")
    }
}

impl Chain {
    /// The account's next nonce after the tipset at `height`.
    fn nonce_at(&self, height: i64) -> u64 {
        self.blocks.range(..=height).map(|(_, txs)| txs.len() as u64).sum()
    }

    pub fn mined(&self) -> Vec<&Tx> {
        self.blocks.values().flatten().collect()
    }

    /// Lets one epoch pass: what pays the base fee is mined, in the order of nonces.
    pub fn advance(&mut self) {
        self.head += 1;
        let mut txs = Vec::new();
        while let Some(tx) = self.pool.get(&(self.nonce_at(self.head - 1) + txs.len() as u64)) {
            if tx.cap < self.base_fee {
                break;
            }
            let tx = tx.clone();
            self.pool.remove(&tx.nonce);
            txs.push(tx);
        }
        self.blocks.insert(self.head, txs);
    }

    /// Takes the last `depth` tipsets back; what they had waits again, unless `lost`.
    pub fn reorganise(&mut self, depth: i64, lost: bool) {
        let taken = self.blocks.split_off(&(self.head - depth + 1));
        self.head -= depth;
        if !lost {
            self.pool.extend(taken.into_values().flatten().map(|tx| (tx.nonce, tx)));
        }
    }

    /// Somebody else with the same key.
    pub fn foreign(&mut self, nonce: u64) {
        let hash = format!("foreign-{nonce}");
        let tx = Tx { nonce, hash, what: "theirs".to_owned(), cap: u128::MAX, premium: u128::MAX };
        self.pool.insert(nonce, tx);
    }

    /// The rules of a public mempool.
    fn push(&mut self, tx: Tx) -> Broadcast {
        let refused = |why: &str| Broadcast::Refused(why.to_owned());
        self.received.push(tx.hash.clone());
        let used = self.nonce_at(self.head);
        if tx.nonce < used {
            return Broadcast::NonceTooLow;
        }
        if tx.cap < 100 {
            return refused("gas fee cap too low");
        }
        let next = self.pool.keys().next_back().map_or(used, |last| (*last + 1).max(used));
        match self.pool.get(&tx.nonce) {
            Some(old) if old.hash == tx.hash => return Broadcast::AlreadyKnown,
            Some(old) if tx.premium < old.premium.saturating_mul(5) / 4 + 1 => {
                return refused("replace by fee has too low GasPremium");
            }
            Some(_) => {}
            None if tx.nonce > next || (used..tx.nonce).any(|nonce| !self.pool.contains_key(&nonce)) => {
                return refused("unfulfilled nonce gap");
            }
            None => {}
        }
        self.pool.insert(tx.nonce, tx);
        Broadcast::Taken
    }

    fn succeeds(&self, what: &str) -> bool {
        !self.fails.is_some_and(|fails| fails(what))
    }

    fn find(&self, wanted: impl Fn(&Tx) -> bool) -> Option<(i64, Tx)> {
        let all =
            self.blocks.iter().flat_map(|(height, txs)| txs.iter().map(move |tx| (*height, tx.clone())));
        all.into_iter().find(|(_, tx)| wanted(tx))
    }
}

const fn gas(intent: &TxIntent) -> u64 {
    match intent {
        TxIntent::SubmitMany { submissions } => GAS * submissions.len() as u64,
        _ => GAS,
    }
}

/// The wallet over it.
#[derive(Clone)]
pub struct ScriptWallet(pub std::sync::Arc<Script>);

impl Wallet for ScriptWallet {
    async fn sign_deal(&self, _: &DealTerms) -> Result<SignedDeal, String> {
        Err("no deals here".to_owned())
    }

    async fn nonces(&self, _: Lane) -> Result<Nonces, NotSeen> {
        let chain = self.0.chain();
        let head = chain.head - chain.nonces_lag;
        Ok(Nonces { head: chain.nonce_at(head), finalized: chain.nonce_at(head - LAG) })
    }

    async fn quote(&self, intent: &TxIntent, _: u64, bump: Option<Fees>) -> Result<Quote, NoQuote> {
        if matches!(intent, TxIntent::Withdraw { .. }) && bump.is_some() {
            return Err(NoQuote::Refused("the contract refuses: done meanwhile".to_owned()));
        }
        let refuses = self.0.chain().refuses;
        if let Some(why) = refuses.and_then(|refuses| refuses(intent)) {
            return Err(why);
        }
        let base = self.0.chain().base_fee;
        let (mut premium, mut cap) = (PREMIUM, base * 2 + PREMIUM);
        if let Some(old) = bump {
            premium = premium.max(old.premium.0 * 5 / 4 + 1);
            cap = cap.max(old.fee_cap.0 * 5 / 4 + 1).max(base * 2 + premium);
        }
        Ok(Quote { gas_limit: gas(intent), fees: Fees { fee_cap: AttoFil(cap), premium: AttoFil(premium) } })
    }

    async fn sign(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<SignedTx, String> {
        let (cap, premium) = (quote.fees.fee_cap.0, quote.fees.premium.0);
        let what = format!("{intent:?}");
        let hash = format!("{nonce}-{premium}-{what}");
        let tx = Tx { nonce, hash: hash.clone(), what, cap, premium };
        let raw = serde_json::to_vec(&tx).expect("JSON");
        let cancels = matches!(intent, TxIntent::Cancel { .. });
        Ok(SignedTx { raw, hash, fees: quote.fees, gas_max: quote.gas_max(), cancels })
    }

    async fn broadcast(&self, _: Lane, tx: &SignedTx) -> Broadcast {
        let mut chain = self.0.chain();
        let tx: Tx = serde_json::from_slice(&tx.raw).expect("what was signed");
        match chain.quirks.pop_front() {
            None => chain.push(tx),
            Some(Quirk::LoseRequest) => Broadcast::Uncertain("timed out".to_owned()),
            Some(Quirk::LoseReply) => {
                chain.push(tx);
                Broadcast::Uncertain("timed out".to_owned())
            }
            Some(Quirk::Say(words)) => words,
        }
    }

    async fn included(&self, _: Lane, hash: &str) -> Result<Option<Inclusion>, NotSeen> {
        let chain = self.0.chain();
        let oldest = chain.forgets_after.map_or(i64::MIN, |after| chain.head - after);
        // A receipt shows with the next tipset.
        let found = chain.find(|tx| tx.hash == hash).filter(|(height, _)| *height < chain.head);
        Ok(found
            .filter(|(height, _)| *height >= oldest)
            .map(|(height, tx)| Inclusion { block: Epoch(height), success: chain.succeeds(&tx.what) }))
    }

    async fn taker(&self, _: Lane, nonce: u64, _: Epoch) -> Result<Taker, NotSeen> {
        let chain = self.0.chain();
        let found = chain.find(|tx| tx.nonce == nonce).filter(|(height, _)| *height <= chain.head - LAG);
        Ok(found.map_or(Taker::Nobody, |(height, tx)| Taker::Tx {
            inclusion: Inclusion { block: Epoch(height), success: chain.succeeds(&tx.what) },
            hash: tx.hash,
        }))
    }

    async fn balance(&self, _: Lane) -> Result<AttoFil, NotSeen> {
        Ok(AttoFil::fil(1_000))
    }

    fn address(&self, _: Lane) -> String {
        "f1script".to_owned()
    }
}
