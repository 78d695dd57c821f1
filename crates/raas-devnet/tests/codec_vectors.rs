//! The devnet's own decoders against vectors that other teams' software made.

use cid::Cid;
use raas_core::units::{AttoFil, Epoch, PaddedSize};
use raas_devnet::codec::{
    Address, ClientDealProposal, CommP, Commitment, DealParams, DealProposal, DealStatusRequest, DealUuid,
    Label, Message, PieceCid, SecretKey, Signature, SignedMessage, Transfer, expand_fr32, extend, from_cbor,
    method_number, piece_cid_v1, piece_cid_v2, to_cbor, zero_commitment,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const PROPOSAL: &str = "8bd82a5828000181e203922020077e5fde35c50a9303a55009e3498a4ebedff39c42b710b730d8ec7ac7afa63e1b0000000800000000f4550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde054300e807783b62616679626569676479727a74357366703775646d37687537367568377932366e6633656675796c71616266336f636c67747179353566627a64691a004c4b401a0054344045005f5e100048002714711487800040";
const SIGNATURE: &str = "8582a105ebc31a3cc72b63694958f9721bb05841123de2fdd79194a9363a73283056fbeaffc07e3407cdc2b52272eaaa66724f809b8355ba4b79253ddbbff77900";
const PROPOSAL_CID: &str = "bafy2bzacebyi3ybudg7faz2xr7opchuethuu6pguxkjwalebw2skoafqxwojq";
const SIGNED_CID: &str = "bafyreihb5jwsbykfuvrb67eyyfnzkxepy657rhlqjyygxu62mh3d34l434";
const STATUS_REQUEST: &str = "a2684465616c55554944500123456789abcdef0123456789abcdef695369676e6174757265584201f618f92c852383b15440c31d1a33251ba275425f9e8086ddc27e09c202a1537e1e92a537bebe4ff00b99b4f7f707106dddc5bb8cff1475a8387e6430f881faf001";
const PARAMS_SHA256: &str = "02b05ba587c065a79137761bab7bb070b5162dcdb63341bfa801329d44269f15";
const UUID: DealUuid = DealUuid([
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
]);
const ROOT: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

fn cid(text: &str) -> Cid {
    text.parse().expect("a CID")
}

fn key() -> SecretKey {
    SecretKey::from_bytes([1; 32]).expect("a key")
}

fn proposal() -> DealProposal {
    DealProposal {
        piece_cid: cid("baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"),
        piece_size: 34_359_738_368,
        verified: false,
        client: key().address(),
        provider: Address::id(1000),
        label: Label::Text(ROOT.to_owned()),
        start: Epoch(5_000_000),
        end: Epoch(5_518_400),
        price_per_epoch: AttoFil(1_600_000_000),
        provider_collateral: AttoFil(11_000_000_000_000_000),
        client_collateral: AttoFil::ZERO,
    }
}

fn signed() -> ClientDealProposal {
    let proposal = proposal();
    let signature = key().sign(&proposal.signing_bytes().expect("encodes"));
    ClientDealProposal { proposal, signature }
}

#[test]
fn the_proposal_has_the_golden_bytes_both_ways() {
    assert_eq!(key().address().to_string(), "f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi");
    assert_eq!(hex::encode(to_cbor(&proposal()).expect("encodes")), PROPOSAL);
    let decoded: DealProposal = from_cbor(&hex::decode(PROPOSAL).expect("hex")).expect("decodes");
    assert_eq!(decoded, proposal());
    assert_eq!(decoded.cid().expect("hashes").to_string(), PROPOSAL_CID);
}

#[test]
fn the_signature_is_the_golden_one_and_recovers_its_key() {
    let signed = signed();
    assert_eq!(hex::encode(&signed.signature.data), SIGNATURE);
    assert_eq!(signed.cid().expect("hashes").to_string(), SIGNED_CID);
    let bytes = hex::decode(PROPOSAL).expect("hex");
    assert_eq!(signed.signature.verify(&bytes, &key().address()), Ok(()));
    let roundtrip: ClientDealProposal = from_cbor(&to_cbor(&signed).expect("encodes")).expect("decodes");
    assert_eq!(roundtrip, signed);
}

#[test]
fn the_status_request_has_the_golden_bytes_both_ways() {
    let request = DealStatusRequest { deal_uuid: UUID, signature: key().sign(&UUID.0) };
    assert_eq!(hex::encode(to_cbor(&request).expect("encodes")), STATUS_REQUEST);
    let decoded: DealStatusRequest = from_cbor(&hex::decode(STATUS_REQUEST).expect("hex")).expect("decodes");
    assert_eq!(decoded, request);
    assert_eq!(UUID.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
}

#[test]
fn the_deal_parameters_have_the_golden_digest() {
    let params = DealParams {
        deal_uuid: UUID,
        transfer: Transfer {
            size: 34_091_302_912,
            r#type: "http".to_owned(),
            params: br#"{"URL":"https://example.com/piece.car","Headers":null}"#.to_vec(),
            client_id: String::new(),
        },
        is_offline: false,
        deal_data_root: cid(ROOT),
        skip_ipni_announce: false,
        client_deal_proposal: signed(),
        remove_unsealed_copy: false,
    };
    let bytes = to_cbor(&params).expect("encodes");
    assert_eq!(bytes.len(), 493);
    assert_eq!(hex::encode(Sha256::digest(&bytes)), PARAMS_SHA256);
    assert_eq!(from_cbor::<DealParams>(&bytes).expect("decodes"), params);
}

#[test]
fn damaged_proposals_do_not_decode() {
    let good = hex::decode(PROPOSAL).expect("hex");
    let mut short = good.clone();
    short.pop();
    let mut ten_fields = good.clone();
    ten_fields[0] = 0x8a;
    let mut trailing = good.clone();
    trailing.push(0);
    for bad in [short, ten_fields, trailing] {
        assert!(from_cbor::<DealProposal>(&bad).is_err());
    }
    assert!(from_cbor::<Signature>(&[0x41, 0x07]).is_err(), "an unknown signature type");
}

/// A message built, hashed and signed by npm iso-filecoin 7.4.7 with the same key.
#[test]
fn a_native_message_has_the_bytes_that_others_give_it() {
    let message = Message {
        version: 0,
        to: Address::id(5),
        from: key().address(),
        nonce: 7,
        value: AttoFil::fil(1),
        gas_limit: 50_000_000,
        gas_fee_cap: AttoFil(1_000_000),
        gas_premium: AttoFil(200_000),
        method: method_number("AddBalance"),
        params: to_cbor(&key().address()).expect("encodes"),
    };
    let bytes = "8a00420005550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde050749000de0b6b3a76400001a02faf08044000f42404400030d401a3105f1a656550154a9b54edcb9f0072e768f79e0ec8f2cbb6bde05";
    assert_eq!(hex::encode(to_cbor(&message).expect("encodes")), bytes);
    assert_eq!(from_cbor::<Message>(&hex::decode(bytes).expect("hex")).expect("decodes"), message);
    let name = "bafy2bzacebwbrmoc4tn5ubqoqqresrvbwyclznryakd6kufgh6flbmqjhpdgk";
    assert_eq!(message.cid().expect("hashes").to_string(), name);
    let signature = key().sign(&message.signing_bytes().expect("hashes"));
    assert_eq!(
        hex::encode(&signature.data),
        "0f0064c90c7dc5dc4415d284466e5ae0868184c41416003ec0a8ba03b547ce7a679b4dc230d5fb0168d6d1b78260860af4951ddaaee49121e2fee8d4ed52635d00"
    );
    let json = r#"{"Version":0,"To":"f05","From":"f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi","Nonce":7,"Value":"1000000000000000000","GasLimit":50000000,"GasFeeCap":"1000000","GasPremium":"200000","Method":822473126,"Params":"VQFUqbVO3LnwBy52j3ng7I8su2veBQ=="}"#;
    assert_eq!(serde_json::to_string(&message).expect("JSON"), json);
    assert_eq!(serde_json::from_str::<Message>(json).expect("JSON"), message);
    let signed = SignedMessage { message, signature };
    assert!(signed.verify(&key().address()).is_ok());
    assert!(signed.verify(&SecretKey::from_seed(b"other").address()).is_err());
    assert_ne!(signed.cid().expect("hashes"), signed.message.cid().expect("hashes"));
}

#[derive(Deserialize)]
struct CommPFile {
    vectors: Vec<CommPRow>,
}

#[derive(Deserialize)]
struct CommPRow {
    size: u64,
    sha256: String,
    commp: String,
    padded_piece_size: u64,
    piece_cid_v1: String,
    piece_cid_v2: String,
}

/// The stream of the recipe `sha256ctr`: blocks SHA-256(seed, counter as 8 bytes little-endian).
struct Stream {
    counter: u64,
    block: Vec<u8>,
}

impl Stream {
    fn new() -> Self {
        Self { counter: 0, block: Vec::new() }
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.block.len() < count {
            let block = Sha256::new().chain_update(b"raas-piece-v1").chain_update(self.counter.to_le_bytes());
            self.block.extend(block.finalize());
            self.counter += 1;
        }
        self.block.drain(..count).collect()
    }
}

/// All rows are prefixes of one stream, so one pass with a fork of the hasher at every size checks them all.
#[test]
fn the_commitments_of_113_sizes_agree() {
    let file: CommPFile = serde_json::from_str(include_str!("vectors/commp-generated.json")).expect("JSON");
    let mut rows = file.vectors;
    rows.sort_by_key(|row| row.size);
    assert_eq!(rows.len(), 113);
    let (mut stream, mut commp, mut sha256, mut at) = (Stream::new(), CommP::default(), Sha256::new(), 0);
    for row in rows {
        while at < row.size {
            let bytes = stream.take((row.size - at).min(1 << 20) as usize);
            commp.update(&bytes);
            sha256.update(&bytes);
            at += bytes.len() as u64;
        }
        assert_eq!(hex::encode(sha256.clone().finalize()), row.sha256, "the recipe at {}", row.size);
        let piece = commp.clone().finish().expect("a piece of at most 64 GiB");
        assert_eq!(hex::encode(piece.commitment.0), row.commp, "size {}", row.size);
        assert_eq!(piece.padded_size.get(), row.padded_piece_size);
        assert_eq!(piece.payload_size, row.size);
        assert_eq!(piece_cid_v1(piece.commitment).to_string(), row.piece_cid_v1);
        assert_eq!(piece_cid_v2(&piece).to_string(), row.piece_cid_v2);
        assert_eq!(PieceCid::try_from(&cid(&row.piece_cid_v2)), Ok(PieceCid::V2(piece)));
    }
}

#[derive(Deserialize)]
struct PieceCidFile {
    valid: Vec<ValidCid>,
    invalid: Vec<InvalidCid>,
}

#[derive(Deserialize)]
struct ValidCid {
    name: String,
    size: u64,
    padded_piece_size: u64,
    commp: String,
    piece_cid_v1: String,
    piece_cid_v2: String,
}

#[derive(Deserialize)]
struct InvalidCid {
    cid: String,
    why: String,
}

#[test]
fn piece_cids_decode_strictly() {
    let file: PieceCidFile = serde_json::from_str(include_str!("vectors/piece-cid.json")).expect("JSON");
    for row in file.valid {
        let PieceCid::V2(piece) = PieceCid::try_from(&cid(&row.piece_cid_v2)).expect(&row.name) else {
            panic!("{} is not read as v2", row.name)
        };
        assert_eq!((piece.payload_size, piece.padded_size.get()), (row.size, row.padded_piece_size));
        assert_eq!(hex::encode(piece.commitment.0), row.commp);
        assert_eq!(piece_cid_v2(&piece).to_string(), row.piece_cid_v2);
        assert_eq!(PieceCid::try_from(&cid(&row.piece_cid_v1)), Ok(PieceCid::V1(piece.commitment)));
    }
    for row in file.invalid {
        let refused = row.cid.parse::<Cid>().map_or(true, |cid| PieceCid::try_from(&cid).is_err());
        assert!(refused, "{}: {}", row.cid, row.why);
    }
}

#[derive(Deserialize)]
struct Fr32File {
    fr32: Vec<Fr32Row>,
    zero_commitments: Vec<ZeroRow>,
}

#[derive(Deserialize)]
struct Fr32Row {
    name: String,
    r#in: String,
    out: String,
}

#[derive(Deserialize)]
struct ZeroRow {
    level: usize,
    commitment: String,
}

#[test]
fn bits_expand_and_zeros_hash_as_published() {
    let file: Fr32File = serde_json::from_str(include_str!("vectors/fr32-and-zero.json")).expect("JSON");
    for row in &file.fr32 {
        let bytes = hex::decode(&row.r#in).expect("hex");
        let out: Vec<u8> = bytes
            .chunks(127)
            .flat_map(|group| expand_fr32(group.try_into().expect("whole groups")).concat())
            .collect();
        assert_eq!(hex::encode(out), row.out, "{}", row.name);
    }
    for row in &file.zero_commitments {
        assert_eq!(hex::encode(zero_commitment(row.level).0), row.commitment, "level {}", row.level);
    }
}

#[test]
fn a_commitment_extends_to_larger_pieces() {
    let size = |bytes| PaddedSize::new(bytes).expect("a piece size");
    let mut bytes = vec![7; 127];
    let small = CommP::of(&bytes);
    bytes.resize(127 * 8, 0);
    let large = CommP::of(&bytes);
    assert_eq!(extend(small.commitment, small.padded_size, size(1024)), large.commitment);
    assert_eq!(extend(small.commitment, size(128), size(128)), small.commitment);
    assert_eq!(extend(zero_commitment(2), size(128), PaddedSize::MAX), zero_commitment(31));
    assert_ne!(small.commitment, Commitment([0; 32]));
}
