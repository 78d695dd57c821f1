//! Inclusion proofs, judged twice: by `raas-piece` and by the contract's bytecode in the devnet's FEVM. Both must say
//! the same of the golden proofs, of the forged ones, and of ten thousand random ones, damaged or not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use raas_clients::evm::{
    Artifact, DealStatusAbi as Abi, DeploySettings, InclusionProof as SolProof, InclusionVerifierData,
    ProofData,
};
use raas_core::units::AttoFil;
use raas_devnet::Config;
use raas_devnet::fevm::EthKey;
use raas_devnet::world::{Command, World};
use raas_piece::inclusion::{Branch, InclusionProof};
use raas_piece::segment::Aggregate;
use raas_piece::{Commitment, PaddedSize};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::Value;

const RANDOM_PROOFS: u32 = 10_000;
const VECTORS: &str = include_str!("../../../contracts/test/vectors/podsi.json");

/// A statement: this piece, of this size, by this proof.
#[derive(Clone, Debug)]
struct Claim {
    piece: [u8; 32],
    size: u64,
    proof: InclusionProof,
}

/// The deal it leads to, or that it leads nowhere.
type Verdict = Option<([u8; 32], u64)>;

struct Chain {
    world: World,
    contract: Address,
}

impl Chain {
    fn new() -> Self {
        let mut world = World::new(&Config::default());
        let key = EthKey::from_bytes(&[7; 32]).unwrap();
        let address = format!("{:#x}", key.address());
        world.apply(Command::Fund { address, amount: AttoFil::fil(1_000) }).unwrap();
        world.apply(Command::Advance { epochs: 2 }).unwrap();
        let mut create = |code: Vec<u8>| {
            let hash = world.eth_send(&key, None, U256::ZERO, code).unwrap();
            world.apply(Command::Advance { epochs: 2 }).unwrap();
            world.eth_receipt(&hash).unwrap().contract.unwrap()
        };
        let artifact = Artifact::shipped().unwrap();
        let library = create(artifact.library().to_vec());
        let contract = create(artifact.contract(library, &DeploySettings::of(key.address())).to_vec());
        Self { world, contract }
    }

    fn judge(&self, claim: &Claim) -> Verdict {
        let branch = |branch: &Branch| ProofData {
            index: branch.index,
            path: branch.path.iter().map(|node| B256::from(*node)).collect(),
        };
        let call = Abi::computeExpectedAuxDataPublicCall {
            proof: SolProof {
                proofSubtree: branch(&claim.proof.subtree),
                proofIndex: branch(&claim.proof.index),
            },
            verifierData: InclusionVerifierData {
                commPc: [&[0x01, 0x81, 0xe2, 0x03, 0x92, 0x20, 0x20], claim.piece.as_slice()].concat().into(),
                sizePc: claim.size,
            },
        };
        let answer = self.world.eth_call(self.contract, call.abi_encode()).ok()?;
        let aux = Abi::computeExpectedAuxDataPublicCall::abi_decode_returns(&answer).unwrap();
        Some((aux.commPa[7..].try_into().unwrap(), aux.sizePa))
    }
}

fn judge_in_rust(claim: &Claim) -> Verdict {
    let piece = Commitment::new(claim.piece).ok()?;
    let deal = claim.proof.verify(piece, PaddedSize::new(claim.size).ok()?).ok()?;
    Some((*deal.commitment().as_bytes(), deal.padded().get()))
}

fn word(value: &Value) -> [u8; 32] {
    value.as_str().unwrap().parse::<B256>().unwrap().0
}

fn claim(row: &Value) -> Claim {
    let path = |key: &str| row[key].as_array().unwrap().iter().map(word).collect();
    let index = |key: &str| row[key].as_u64().unwrap();
    Claim {
        piece: word(&row["commitment"]),
        size: row["size"].as_u64().unwrap(),
        proof: InclusionProof {
            subtree: Branch { index: index("subtree_index"), path: path("subtree_path") },
            index: Branch { index: index("entry_index"), path: path("entry_path") },
        },
    }
}

#[test]
fn golden_and_forged_proofs_are_judged_alike_and_as_stated() {
    let chain = Chain::new();
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let golden = vectors["golden"].as_array().unwrap();
    for row in golden {
        let claim = claim(row);
        let stated = Some((word(&row["deal_commitment"]), row["deal_size"].as_u64().unwrap()));
        assert_eq!(judge_in_rust(&claim), stated, "{}", row["name"]);
        assert_eq!(chain.judge(&claim), stated, "{}", row["name"]);
    }
    let checks = vectors["checks"].as_array().unwrap();
    for row in checks {
        let claim = claim(row);
        let accepted = row["expect"] == "accept";
        assert_eq!(judge_in_rust(&claim).is_some(), accepted, "{}", row["name"]);
        if claim.proof.subtree.path.is_empty() && claim.proof.index.path.is_empty() {
            // To the contract this is no proof: it says that the piece is the deal, and leads to no other deal.
            assert_eq!(chain.judge(&claim), Some((claim.piece, claim.size)), "{}", row["name"]);
            continue;
        }
        assert_eq!(chain.judge(&claim).is_some(), accepted, "{}", row["name"]);
    }
    assert!(golden.len() > 30 && checks.len() == 16);
}

#[test]
fn ten_thousand_random_proofs_are_judged_alike() {
    let chain = Chain::new();
    let mut random = Random(ChaCha8Rng::seed_from_u64(0x7261_6173));
    let (mut accepted, mut refused) = (0, 0);
    let mut aggregate = random.aggregate();
    for number in 0..RANDOM_PROOFS {
        if number % 50 == 0 {
            aggregate = random.aggregate();
        }
        let position = random.below(aggregate.segments().len() as u64) as usize;
        let segment = aggregate.segments()[position];
        let mut claim = Claim {
            piece: *segment.commitment.as_bytes(),
            size: segment.size.get(),
            proof: aggregate.proof(position).unwrap(),
        };
        // One of three stays as it is.
        for _ in 0..random.below(3) {
            random.damage(&mut claim);
        }
        if claim.proof.subtree.path.is_empty() && claim.proof.index.path.is_empty() {
            // To the contract that says that the piece is the deal: another statement than a proof's.
            continue;
        }
        let (ours, theirs) = (judge_in_rust(&claim), chain.judge(&claim));
        assert_eq!(ours, theirs, "proof {number}: {claim:?}");
        if ours.is_some() { accepted += 1 } else { refused += 1 }
    }
    assert!(accepted > 2_000 && refused > 2_000, "{accepted} accepted, {refused} refused");
}

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn word(&mut self) -> [u8; 32] {
        let mut word = [0; 32];
        self.0.fill_bytes(&mut word);
        word[31] &= 0x3f;
        word
    }

    /// One to eight pieces of 128 bytes to 64 KiB in the deal that is large enough, or in a larger one.
    fn aggregate(&mut self) -> Aggregate {
        let pieces: Vec<(Commitment, PaddedSize)> = (0..=self.below(8))
            .map(|_| {
                let size = PaddedSize::new(128 << self.below(10)).unwrap();
                (Commitment::new(self.word()).unwrap(), size)
            })
            .collect();
        let mut deal = 1024 << self.below(4);
        loop {
            if let Ok(aggregate) = Aggregate::new(PaddedSize::new(deal).unwrap(), &pieces) {
                return aggregate;
            }
            deal *= 2;
        }
    }

    fn damage(&mut self, claim: &mut Claim) {
        let bit = self.below(64) as u32;
        let which = self.below(2) == 0;
        let kind = self.below(9);
        if kind == 0 {
            claim.piece[self.below(32) as usize] ^= 1 << (bit % 8);
            return;
        }
        if kind == 1 {
            claim.size = if which { claim.size ^ (1 << bit) } else { claim.size << (bit % 3) };
            return;
        }
        if kind == 2 {
            std::mem::swap(&mut claim.proof.subtree, &mut claim.proof.index);
            return;
        }
        let new_word = self.word();
        let at = self.below(64) as usize;
        let branch = if which { &mut claim.proof.subtree } else { &mut claim.proof.index };
        let length = branch.path.len();
        match kind {
            3 => branch.index ^= 1 << bit,
            4 => branch.index = branch.index.wrapping_add(1),
            5 if length > 0 => branch.path[at % length][bit as usize % 32] ^= 1 << (at % 8),
            6 => drop(branch.path.pop()),
            7 => branch.path.push(new_word),
            8 => branch.path.extend(std::iter::repeat_n([0; 32], at)),
            _ => branch.path.clear(),
        }
    }
}
