//! Inclusion proofs in their three forms: one meaning each, the same in all, and no changed proof that holds.

use raas_piece::PaddedSize;
use raas_piece::commp::Commitment;
use raas_piece::inclusion::{AggregationProof, AuxData, Branch, InclusionProof, VerifierData};
use raas_piece::segment::{Aggregate, minimum_deal_size};

use crate::input::Input;

pub fn check(data: &[u8]) {
    decode(data);
    change(data);
}

fn decode(data: &[u8]) {
    let piece = Commitment::new([7; 32]).expect("two top bits of zero");
    let proofs = [
        InclusionProof::from_cbor(data).ok().inspect(|proof| assert_eq!(proof.to_cbor(), data)),
        InclusionProof::from_abi(data).ok().inspect(|proof| assert_eq!(proof.to_abi(), data)),
        serde_json::from_slice(data).ok(),
        AggregationProof::from_cbor(data).ok().map(|proof| {
            assert_eq!(proof.to_cbor(), data);
            proof.inclusion
        }),
    ];
    for proof in proofs.into_iter().flatten() {
        assert_eq!(InclusionProof::from_cbor(&proof.to_cbor()).as_ref(), Ok(&proof));
        assert_eq!(InclusionProof::from_abi(&proof.to_abi()).as_ref(), Ok(&proof));
        let json = serde_json::to_string(&proof).expect("text in memory");
        assert_eq!(serde_json::from_str::<InclusionProof>(&json).ok().as_ref(), Some(&proof));
        // A proof for this piece does not come about by chance.
        for height in [2, 5, 30, 58] {
            let size = PaddedSize::from_height(height).expect("a height of pieces");
            assert!(proof.verify(piece, size).is_err());
        }
    }
    if let Ok(branch) = Branch::from_cbor(data) {
        assert_eq!(branch.to_cbor(), data);
    }
    if let Ok(aux) = AuxData::from_cbor(data) {
        assert_eq!(aux.to_cbor(), data);
        assert_eq!(AuxData::from_abi(&aux.to_abi()), Ok(aux));
    }
    if let Ok(given) = VerifierData::from_cbor(data) {
        assert_eq!(given.to_cbor(), data);
        assert_eq!(VerifierData::from_abi(&given.to_abi()), Ok(given));
    }
    if let Ok(given) = VerifierData::from_abi(data) {
        assert_eq!(given.to_abi(), data);
    }
}

/// An aggregate of pieces the input chooses: its proofs hold, and with one change none does.
fn change(data: &[u8]) {
    let mut input = Input::new(data);
    let pieces: Vec<(Commitment, PaddedSize)> = (0..1 + input.below(6))
        .map(|_| {
            let mut root: [u8; 32] = [input.byte(); 32];
            root[31] &= 0x3f;
            let size = PaddedSize::from_height(2 + input.byte() % 8).expect("a height of pieces");
            (Commitment::new(root).expect("two top bits of zero"), size)
        })
        .collect();
    let sizes: Vec<PaddedSize> = pieces.iter().map(|(_, size)| *size).collect();
    let deal = minimum_deal_size(&sizes).expect("small pieces");
    let aggregate = Aggregate::new(deal, &pieces).expect("the size was asked for");
    let commitment = aggregate.piece().commitment();
    let position = input.below(pieces.len());
    let (piece, size) = pieces[position];
    let proof = aggregate.proof(position).expect("there is such an entry");
    assert_eq!(proof.verify_in(piece, size, commitment, deal), Ok(()));

    let mut abi = proof.to_abi();
    let (at, bit) = (input.below(abi.len()), input.byte() % 8);
    abi[at] ^= 1 << bit;
    if let Ok(changed) = InclusionProof::from_abi(&abi) {
        assert_ne!(changed, proof);
        assert!(changed.verify_in(piece, size, commitment, deal).is_err(), "bit {bit} of byte {at}");
    }
    // Of another piece, of another size, and of another deal.
    let mut other = *piece.as_bytes();
    other[input.below(31)] ^= 1;
    let other = Commitment::new(other).expect("the top bits are as before");
    assert!(proof.verify(other, size).is_err());
    assert!(proof.verify(piece, size.doubled().expect("small pieces")).is_err());
    assert!(proof.verify_in(piece, size, other, deal).is_err());
}
