//! What MK12 providers answer, in CBOR maps. Unknown keys are passed over, absent ones keep the zero value, as
//! the reference does.

use crate::address::Address;
use crate::cbor::BigInt;
use raas_core::fleet::Ask;
use raas_core::units::PaddedSize;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DealResponse {
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) accepted: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AskRequest {
    pub(super) miner: Address,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AskResponse {
    #[serde(default)]
    ask: Option<SignedAsk>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SignedAsk {
    #[serde(default)]
    ask: Option<StorageAsk>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StorageAsk {
    miner: Address,
    price: BigInt,
    #[serde(default)]
    max_piece_size: u64,
    #[serde(default)]
    min_piece_size: u64,
}

impl AskResponse {
    /// The ask for `miner`; one for another miner is none.
    pub(super) fn ask(self, miner: &Address) -> Option<Ask> {
        let ask = self.ask?.ask.filter(|ask| ask.miner == *miner)?;
        // Sizes need not be powers of two; those within the bounds are.
        let size_min = PaddedSize::new(ask.min_piece_size.max(128).checked_next_power_of_two()?).ok()?;
        let top = ask.max_piece_size.min(PaddedSize::MAX.get());
        let size_max = PaddedSize::new(1 << top.checked_ilog2()?).ok()?;
        (size_min <= size_max).then_some(Ask { price: ask.price.0, size_min, size_max })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StatusResponse {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) deal_status: Option<DealStatus>,
    #[serde(default)]
    pub(super) transfer_size: u64,
    #[serde(rename = "NBytesReceived", default)]
    pub(super) received: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DealStatus {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) sealing_status: String,
}

/// Only for tests: the wire form of an ask.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use raas_core::units::AttoFil;
    use serde_bytes::ByteBuf;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        ask: Option<Signed>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Signed {
        ask: Option<Terms>,
        signature: Option<ByteBuf>,
    }

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Terms {
        miner: Address,
        price: BigInt,
        seq_no: u64,
        expiry: i64,
        timestamp: i64,
        max_piece_size: u64,
        min_piece_size: u64,
        verified_price: BigInt,
    }

    pub(crate) fn ask_answer(miner: Address, price: u128, min: u64, max: u64) -> Vec<u8> {
        let terms = Terms {
            miner,
            price: BigInt(AttoFil(price)),
            seq_no: 1,
            expiry: 9,
            timestamp: 1,
            max_piece_size: max,
            min_piece_size: min,
            verified_price: BigInt(AttoFil::ZERO),
        };
        let signed = Signed { ask: Some(terms), signature: Some(ByteBuf::from(vec![1; 66])) };
        crate::cbor::encode(&Answer { ask: Some(signed) })
    }

    pub(crate) fn no_ask() -> Vec<u8> {
        crate::cbor::encode(&Answer { ask: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raas_core::ids::ActorId;
    use raas_core::units::AttoFil;

    fn read(bytes: &[u8], miner: u64) -> Option<Ask> {
        let answer: AskResponse = serde_ipld_dagcbor::from_slice(bytes).expect("an answer");
        answer.ask(&Address::Id(ActorId(miner)))
    }

    #[test]
    fn sizes_are_brought_to_powers_of_two_within_the_bounds() {
        let answer = testing::ask_answer(Address::Id(ActorId(1000)), 50_000_000, 255, 34_359_738_369);
        let ask = read(&answer, 1000).expect("an ask");
        assert_eq!(ask.price, AttoFil(50_000_000));
        assert_eq!((ask.size_min.get(), ask.size_max.get()), (256, 34_359_738_368));
        assert_eq!(read(&answer, 1001), None, "for another miner");
        assert_eq!(read(&testing::no_ask(), 1000), None);
        for (min, max) in [(0, 0), (1 << 40, 1 << 41), (1 << 30, 1 << 20)] {
            let answer = testing::ask_answer(Address::Id(ActorId(1000)), 1, min, max);
            assert_eq!(read(&answer, 1000), None, "{min}..{max}");
        }
    }
}
