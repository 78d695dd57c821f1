//! Parameters and return of f07 Transfer: DataCap goes to the verified registry with what it is for.

use crate::address::Address;
use crate::cbor::{BigInt, encode};
use cid::Cid;
use raas_core::allocation::Allocation;
use raas_core::ids::ActorId;
use raas_core::units::AttoFil;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// FRC-42 number of Transfer.
pub(super) const TRANSFER: u64 = 80_475_954;
/// The verified registry.
const REGISTRY: Address = Address::Id(ActorId(6));
/// f07 counts in units of 10^-18 bytes.
const PER_BYTE: u64 = 1_000_000_000_000_000_000;

/// `[provider, data, size, term_min, term_max, expiration]`
#[derive(Serialize)]
struct Request(u64, Cid, u64, i64, i64, i64);

/// `[provider, claim, term_max]`; none are sent.
#[derive(Serialize)]
struct Extension(u64, u64, i64);

/// `[to, amount, operator data]`, the last as the bytes of `[[request, ...], [extension, ...]]`.
pub(super) fn transfer(allocation: &Allocation) -> Vec<u8> {
    let Allocation { provider, piece, size, term_min, term_max, expiration } = allocation;
    let request = Request(
        provider.number(),
        piece.piece_cid_v1(),
        size.get(),
        term_min.get(),
        term_max.get(),
        expiration.0,
    );
    let requests = encode(&([request], [] as [Extension; 0]));
    let amount = AttoFil(u128::from(size.get()) * u128::from(PER_BYTE));
    encode(&(REGISTRY, BigInt(amount), ByteBuf::from(requests)))
}

/// How many of a batch went well, and which failed with which exit code.
#[derive(Debug, Deserialize)]
struct Batch(#[expect(dead_code, reason = "the ids tell")] u64, Vec<(u64, i64)>);

/// `[from balance, to balance, recipient data]`
#[derive(Deserialize)]
struct Returned(BigInt, #[expect(dead_code, reason = "of the registry")] BigInt, ByteBuf);

/// What a Transfer to the registry returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// The sender's DataCap after it, in bytes.
    pub left: u128,
    /// The numbers of the allocations that were made, in the order of the requests.
    pub ids: Vec<u64>,
}

impl Allocated {
    /// Reads the return value of a Transfer's receipt.
    pub fn of_return(bytes: &[u8]) -> Result<Self, String> {
        let Returned(left, _, told) = read(bytes)?;
        let (made, _, ids): (Batch, Batch, Vec<u64>) = read(&told)?;
        match made.1.first() {
            Some((at, exit)) => Err(format!("request {at} failed with exit code {exit}")),
            None => Ok(Self { left: left.0.0 / u128::from(PER_BYTE), ids }),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_ipld_dagcbor::from_slice(bytes).map_err(|error| format!("no return of a Transfer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use raas_core::ids::ProviderId;
    use raas_core::units::{Epoch, Epochs, PaddedSize};

    /// Field by field as the reference of deal making has it.
    #[test]
    fn a_transfer_has_the_registrys_form() {
        let piece = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";
        let allocation = Allocation {
            provider: ProviderId::new(1_000),
            piece: piece.parse().expect("a piece CID"),
            size: PaddedSize::new(1 << 20).expect("a size"),
            term_min: Epochs::days(180),
            term_max: Epochs::days(540),
            expiration: Epoch(5_000_100),
        };
        // 2^20 bytes times 10^18, behind a sign.
        let amount = format!("4b00{:020x}", (1_u128 << 20) * 1_000_000_000_000_000_000);
        let request = concat!(
            "82",     // requests, extensions
            "81",     // one request
            "86",     // six fields
            "1903e8", // provider f01000
            "d82a5828000181e203922020077e5fde35c50a9303a55009e3498a4ebedff39c42b710b730d8ec7ac7afa63e", // the piece
            "1a00100000", // 1 MiB
            "1a0007e900", // 518,400 epochs
            "1a0017bb00", // 1,555,200 epochs
            "1a004c4ba4", // epoch 5,000,100
            "80",         // no extension
        );
        // To f06, so much, for this.
        let whole = format!("83420006{amount}58{:02x}{request}", request.len() / 2);
        assert_eq!(hex::encode(transfer(&allocation)), whole);
    }

    #[test]
    fn a_return_tells_the_numbers_and_what_is_left() {
        // [3 bytes, 5 bytes, bytes of [[2, []], [0, []], [8, 9]]]
        let told = "83820280820080820809";
        let three = format!("{:016x}", 3_000_000_000_000_000_000_u64);
        let five = format!("{:016x}", 5_000_000_000_000_000_000_u64);
        let whole = format!("834900{three}4900{five}{:02x}{told}", 0x40 + told.len() / 2);
        let read = |hex: &str| Allocated::of_return(&hex::decode(hex).expect("hex"));
        assert_eq!(read(&whole), Ok(Allocated { left: 3, ids: vec![8, 9] }));
        // [[0, [[0, 17]]], [0, []], []]
        let failed = "8382008182001182008080";
        let whole = format!("834040{:02x}{failed}", 0x40 + failed.len() / 2);
        assert_eq!(read(&whole), Err("request 0 failed with exit code 17".to_owned()));
        assert!(read("80").is_err());
    }
}
