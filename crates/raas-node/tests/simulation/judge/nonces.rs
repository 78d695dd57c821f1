//! A6: each account's nonces leave in order and without a hole, no two intents share one, and an intent is mined at
//! most once.

use crate::crossing::Sent;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Nonces {
    /// The intent of each nonce that left, by account.
    left: BTreeMap<&'static str, BTreeMap<u64, u64>>,
    /// The nonce of each intent.
    of_intent: BTreeMap<u64, (&'static str, u64)>,
    by_hash: BTreeMap<String, (&'static str, u64)>,
    /// What was mined with each nonce, by account.
    mined: BTreeMap<&'static str, BTreeMap<u64, String>>,
}

impl Nonces {
    pub fn leaves(&mut self, sent: &Sent) -> Result<(), String> {
        let Sent { lane, nonce, intent: Some(intent), .. } = sent else { return Ok(()) };
        let left = self.left.entry(lane).or_default();
        // Accounts are new when a run begins: the first nonce is 0.
        if !left.contains_key(nonce) && left.len() as u64 != *nonce {
            return Err(format!("A6: {lane} nonce {nonce} left after {} others: {left:?}", left.len()));
        }
        if let Some(other) = left.insert(*nonce, *intent).filter(|other| other != intent) {
            return Err(format!("A6: intents {other} and {intent} share the {lane} nonce {nonce}"));
        }
        let place = self.of_intent.entry(*intent).or_insert((lane, *nonce));
        if *place != (*lane, *nonce) {
            return Err(format!("A6: intent {intent} has the nonces {} and {nonce}", place.1));
        }
        self.by_hash.insert(sent.hash.clone(), (lane, *nonce));
        Ok(())
    }

    /// A message or transaction was executed; those of strangers are none of ours. The nonce as the ledger tells it,
    /// where it does.
    pub fn mined(&mut self, hash: &str, nonce: Option<u64>) -> Result<(), String> {
        let Some((lane, own)) = self.by_hash.get(hash).copied() else {
            return match nonce {
                // The ledger names the sender only where it also tells the nonce.
                Some(nonce) => {
                    Err(format!("A6: {hash} was mined with nonce {nonce} and never left the node"))
                }
                None => Ok(()),
            };
        };
        if nonce.is_some_and(|nonce| nonce != own) {
            return Err(format!("A6: {lane} {hash} left with nonce {own} and was mined with {nonce:?}"));
        }
        match self.mined.entry(lane).or_default().insert(own, hash.to_owned()) {
            None => Ok(()),
            Some(other) => Err(format!("A6: {lane} nonce {own} was mined as {other} and as {hash}")),
        }
    }

    /// After whole epochs, since within one the ledger has no order: what was mined has no hole.
    pub fn no_hole(&self) -> Result<(), String> {
        for (lane, mined) in &self.mined {
            if let Some((hole, _)) = (0..).zip(mined.keys()).find(|(expected, nonce)| expected != *nonce) {
                return Err(format!(
                    "A6: the {lane} nonce {hole} is not mined, and later ones are: {mined:?}"
                ));
            }
        }
        Ok(())
    }

    /// A nonce that left and was never mined, which holds up all behind it.
    pub fn unmined(&self) -> Option<String> {
        self.left.iter().find_map(|(lane, left)| {
            let mined = self.mined.get(lane).map_or(0, BTreeMap::len);
            (mined < left.len())
                .then(|| format!("A6: of {} {lane} nonces that left, {mined} were mined", left.len()))
        })
    }
}
