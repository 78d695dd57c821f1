//! A4: nothing leaves the node that its store does not hold, byte for byte. A5: the same key always has the same bytes.

use crate::crossing::Sent;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Intents {
    /// Bytes handed over by deal UUID.
    handed: BTreeMap<String, Vec<u8>>,
    /// Proposals that providers received by deal UUID.
    received: BTreeMap<String, String>,
    /// What an intent does, by its number: all its versions do the same or only take the nonce.
    calls: BTreeMap<u64, (String, u128, Vec<u8>)>,
    /// Premiums of an intent's versions, by hash.
    versions: BTreeMap<u64, BTreeMap<String, u128>>,
}

impl Intents {
    pub fn proposal(&mut self, uuid: &str, bytes: &[u8], durable: bool) -> Result<(), String> {
        if !durable {
            return Err(format!("A4: the proposal of deal {uuid} left the node and is in no stored order"));
        }
        let before = self.handed.insert(uuid.to_owned(), bytes.to_vec());
        if before.is_some_and(|before| before != bytes) {
            return Err(format!("A5: deal {uuid} was handed over with two different bytes"));
        }
        Ok(())
    }

    pub fn received(&mut self, uuid: &str, proposal: &str) -> Result<(), String> {
        let first = self.received.entry(uuid.to_owned()).or_insert_with(|| proposal.to_owned());
        if first != proposal {
            return Err(format!("A5: deal {uuid} was signed twice with different bytes"));
        }
        Ok(())
    }

    pub fn transaction(&mut self, sent: &Sent) -> Result<(), String> {
        let Some(intent) = sent.intent else {
            return Err(format!("A4: transaction {} left the node and is in no stored intent", sent.hash));
        };
        let versions = self.versions.entry(intent).or_default();
        let known = versions.contains_key(&sent.hash);
        if !known && versions.values().any(|premium| *premium >= sent.premium) {
            return Err(format!(
                "A5: intent {intent} left as {} although a version that pays as much has left: {versions:?}",
                sent.hash
            ));
        }
        versions.insert(sent.hash.clone(), sent.premium);
        if sent.cancels {
            return Ok(());
        }
        let call = (sent.to.clone(), sent.value, sent.data.clone());
        let first = self.calls.entry(intent).or_insert_with(|| call.clone());
        if *first != call {
            return Err(format!("A5: intent {intent} was sent with two different calls"));
        }
        Ok(())
    }
}
