//! Pieces on the disk: torn files, rot, any block of any piece, room that stays free, and a quick start.

use raas_core::cid::Commitment;
use raas_node::blocks::{NoRoom, PieceStore, Scrubbed, core_commitment};
use raas_piece::block::{Blocks, cid_v1};
use raas_piece::car::{Index, Limits, Seal, sealed};
use raas_piece::commp;
use raas_piece::pack::{PackOptions, pack_reader};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes that no other number has, of several blocks.
fn bytes(number: u64) -> Vec<u8> {
    let word =
        |at: u64| (at ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (0..400_000).flat_map(|at| word(at).to_le_bytes()).collect()
}

fn kept(store: &PieceStore, bytes: &[u8]) -> Commitment {
    let staged = store.stage().unwrap();
    let (packed, staged) = pack_reader(bytes, staged, &PackOptions::default()).unwrap();
    store.keep(staged, &packed).unwrap().piece()
}

fn file(folder: &Path, piece: Commitment, extension: &str) -> PathBuf {
    folder.join(format!("{piece}.{extension}"))
}

fn blocks_of(car: &Path) -> Vec<cid::Cid> {
    let mut reader = raas_piece::car::Reader::new(fs::File::open(car).unwrap(), Limits::default()).unwrap();
    let mut cids = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        cids.push(block.cid);
    }
    cids
}

/// After a start, as the node makes it: what was damaged, and whether it is whole again.
fn started(folder: &Path, recorded: &BTreeMap<Commitment, u64>) -> (PieceStore, Vec<(Commitment, bool)>) {
    let store = PieceStore::open(folder).unwrap();
    let damages = store.repair(recorded).unwrap();
    (store, damages.into_iter().map(|damage| (damage.piece, damage.mended)).collect())
}

#[test]
fn any_block_is_found_whichever_piece_it_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = PieceStore::open(folder.path()).unwrap();
    let pieces: Vec<Commitment> = (0..3).map(|number| kept(&store, &bytes(number))).collect();
    let later = PieceStore::open(folder.path()).unwrap();
    for store in [&store, &later] {
        let blocks = store.blocks();
        for piece in &pieces {
            let cids = blocks_of(&file(folder.path(), *piece, "car"));
            assert!(cids.len() > 2);
            for cid in cids {
                let block = blocks.get(&cid).unwrap().unwrap();
                raas_piece::block::verify(&cid, &block).unwrap();
                assert!(blocks.has(&cid).unwrap());
                assert_eq!(store.piece_with(&cid).unwrap().unwrap().commitment, *piece);
            }
        }
        let absent = cid_v1(0x55, b"nobody has this");
        assert!(blocks.get(&absent).unwrap().is_none() && !blocks.has(&absent).unwrap());
    }
    let gone = blocks_of(&file(folder.path(), pieces[1], "car"));
    store.remove(pieces[1]).unwrap();
    assert!(store.blocks().get(&gone[0]).unwrap().is_none(), "what is removed has no blocks");
}

#[test]
fn a_torn_car_is_put_aside_and_a_torn_index_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = PieceStore::open(folder.path()).unwrap();
    let names = ["good", "cut", "zeroed end", "longer", "no index", "cut index", "index of zeros", "neither"];
    let pieces: Vec<Commitment> =
        (0..names.len() as u64).map(|number| kept(&store, &bytes(number))).collect();
    let path = |at: usize, extension| file(folder.path(), pieces[at], extension);
    let length = |at: usize, extension| fs::metadata(path(at, extension)).unwrap().len();
    let recorded: BTreeMap<Commitment, u64> =
        pieces.iter().enumerate().map(|(at, piece)| (*piece, length(at, "car"))).collect();
    let open = |path: PathBuf| OpenOptions::new().write(true).append(false).open(path).unwrap();
    open(path(1, "car")).set_len(length(1, "car") / 2).unwrap();
    let end = length(2, "car");
    open(path(2, "car")).set_len(end - 1_000).unwrap();
    open(path(2, "car")).set_len(end).unwrap();
    open(path(3, "car")).set_len(length(3, "car") + 1).unwrap();
    fs::remove_file(path(4, "index")).unwrap();
    open(path(5, "index")).set_len(length(5, "index") - 1).unwrap();
    fs::write(path(6, "index"), vec![0; 500]).unwrap();
    fs::remove_file(path(7, "index")).unwrap();
    open(path(7, "car")).set_len(100).unwrap();

    let (store, damages) = started(folder.path(), &recorded);
    let mended: BTreeMap<Commitment, bool> = damages.into_iter().collect();
    let expected = [(1, false), (2, false), (3, false), (4, true), (5, true), (6, true), (7, false)];
    assert_eq!(
        mended,
        expected.iter().map(|(at, mended)| (pieces[*at], *mended)).collect::<BTreeMap<_, _>>()
    );
    for at in 0..names.len() {
        let whole = matches!(at, 0 | 4 | 5 | 6);
        assert_eq!(store.get(pieces[at]).unwrap().is_some(), whole, "{}", names[at]);
        assert_eq!(store.has(pieces[at]), whole, "{}", names[at]);
        assert_eq!(
            folder.path().join(format!("quarantine/{}.car", pieces[at])).exists(),
            !whole,
            "{}",
            names[at]
        );
    }
    assert_eq!(store.quarantined().unwrap(), 4);
    for at in [4, 5, 6] {
        let blocks = store.blocks();
        for cid in blocks_of(&path(at, "car")) {
            raas_piece::block::verify(&cid, &blocks.get(&cid).unwrap().unwrap()).unwrap();
        }
    }
    let (_, damages) = started(folder.path(), &recorded);
    assert_eq!(damages, [], "a second start finds nothing");
}

/// A file that is torn while the node runs is noticed where it is opened.
#[test]
fn what_is_torn_while_the_node_runs_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let store = PieceStore::open(folder.path()).unwrap();
    let (torn, unindexed) = (kept(&store, &bytes(1)), kept(&store, &bytes(2)));
    assert!(store.get(torn).unwrap().is_some());
    OpenOptions::new().write(true).open(file(folder.path(), torn, "car")).unwrap().set_len(5_000).unwrap();
    fs::remove_file(file(folder.path(), unindexed, "index")).unwrap();
    assert!(store.get(torn).unwrap().is_none() && !store.has(torn));
    assert_eq!(store.take_aside().into_keys().collect::<Vec<_>>(), [torn]);
    assert!(store.take_aside().is_empty(), "it is told once");
    assert!(store.get(unindexed).unwrap().is_some() && store.has(unindexed));
}

#[test]
fn an_index_of_the_first_version_is_read_and_gets_a_seal_when_its_car_was_hashed_again() {
    let folder = tempfile::tempdir().unwrap();
    let piece = kept(&PieceStore::open(folder.path()).unwrap(), &bytes(1));
    let (car, index) = (file(folder.path(), piece, "car"), file(folder.path(), piece, "index"));
    let old = Index::scan(fs::File::open(&car).unwrap(), Limits::default()).unwrap();
    fs::write(&index, old.to_bytes()).unwrap();
    let recorded = BTreeMap::from([(piece, fs::metadata(&car).unwrap().len())]);
    let (store, damages) = started(folder.path(), &recorded);
    assert_eq!(damages, []);
    let blocks = store.blocks();
    assert!(blocks_of(&car).iter().all(|cid| blocks.has(cid).unwrap()));
    assert!(matches!(scrubbed(&store, piece), Scrubbed::Sound));
    let seal = Seal::of(fs::File::open(&car).unwrap()).unwrap();
    assert_eq!(fs::read(&index).unwrap(), sealed(&old, &seal));
    // Without a seal it is the recorded length that tells.
    fs::write(&index, old.to_bytes()).unwrap();
    OpenOptions::new().write(true).open(&car).unwrap().set_len(recorded[&piece] - 1).unwrap();
    assert_eq!(started(folder.path(), &recorded).1, [(piece, false)]);
}

fn scrubbed(store: &PieceStore, piece: Commitment) -> Scrubbed {
    let mut scrub = store.scrub(piece).unwrap().expect("it is here");
    loop {
        match store.scrub_on(scrub).unwrap() {
            Scrubbed::Part(on, bytes) => {
                assert!(bytes > 0);
                scrub = on;
            }
            end => return end,
        }
    }
}

/// Changes one byte in the middle of a file, which no length and no end tells.
fn rot(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_scrub_finds_a_changed_byte_in_a_car_and_in_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = PieceStore::open(folder.path()).unwrap();
    let (car, index, good) = (kept(&store, &bytes(1)), kept(&store, &bytes(2)), kept(&store, &bytes(3)));
    rot(&file(folder.path(), car, "car"));
    rot(&file(folder.path(), index, "index"));
    assert!(matches!(scrubbed(&store, car), Scrubbed::Damaged(_)));
    assert!(!store.has(car) && store.get(car).unwrap().is_none() && store.quarantined().unwrap() == 1);
    assert!(matches!(scrubbed(&store, index), Scrubbed::Sound), "its CAR is");
    let blocks = store.blocks();
    for cid in blocks_of(&file(folder.path(), index, "car")) {
        raas_piece::block::verify(&cid, &blocks.get(&cid).unwrap().unwrap()).unwrap();
    }
    assert!(matches!(scrubbed(&store, good), Scrubbed::Sound));
    assert!(store.scrub(car).unwrap().is_none());
}

/// Whatever byte of an index changes, a block of another digest is never taken for the one asked for.
#[test]
fn an_index_that_leads_elsewhere_never_gives_another_block() {
    let folder = tempfile::tempdir().unwrap();
    let store = PieceStore::open(folder.path()).unwrap();
    let piece = kept(&store, &bytes(1));
    let cids = blocks_of(&file(folder.path(), piece, "car"));
    let index = file(folder.path(), piece, "index");
    let good = fs::read(&index).unwrap();
    let all: Vec<Vec<u8>> = cids.iter().map(|cid| store.blocks().get(cid).unwrap().unwrap()).collect();
    let right: BTreeMap<&cid::Cid, &Vec<u8>> = cids.iter().zip(&all).collect();
    let mut refused = 0;
    for at in 16..16 + cids.len() * 48 {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&index, &bad).unwrap();
        let blocks = PieceStore::open(folder.path()).unwrap().blocks();
        for cid in &cids {
            match blocks.get(cid) {
                Ok(Some(block)) => {
                    // Where only the length was changed, it is too much or too little of the right block.
                    let right = right[cid];
                    let common = block.len().min(right.len());
                    assert_eq!(block[..common], right[..common], "byte {at}");
                    refused += u32::from(block.len() != right.len());
                }
                Ok(None) | Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn what_is_to_stay_free_is_not_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = PieceStore::open_with_reserve(folder.path(), u64::MAX).unwrap();
    let error = store.stage().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let refusal = NoRoom::among(&error).expect("it says why");
    assert!(refusal.free_bytes > 0 && refusal.to_string().contains("store.reserve_mib"), "{refusal}");
    assert_eq!(fs::read_dir(folder.path().join("staging")).unwrap().count(), 0, "nothing is left of it");
}

#[test]
fn who_brings_a_piece_and_who_deletes_it_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let store = PieceStore::open(folder.path()).unwrap();
    let staged = store.stage().unwrap();
    let (packed, staged) = pack_reader(&bytes(1)[..], staged, &PackOptions::default()).unwrap();
    let claim = store.keep(staged, &packed).unwrap();
    let piece = claim.piece();
    assert!(store.claim(piece).is_none(), "it is being brought");
    store.remove(piece).unwrap();
    assert!(store.has(piece), "and nobody else deletes it");
    drop(claim);
    let deletes = store.claim(piece).expect("free now");
    let (other, again) = (store.clone(), bytes(1));
    let brings = std::thread::spawn(move || kept(&other, &again));
    store.remove_claimed(&deletes).unwrap();
    drop(deletes);
    assert_eq!(brings.join().unwrap(), piece);
    assert!(store.has(piece), "it was brought after it was deleted");
}

/// Ten thousand pieces are looked at by lengths and ends, not hashed.
#[test]
fn ten_thousand_pieces_are_looked_at_in_seconds() {
    const PIECES: u64 = 10_000;
    const MOST: Duration = Duration::from_secs(20);
    let folder = tempfile::tempdir().unwrap();
    let mut recorded = BTreeMap::new();
    let mut some = Vec::new();
    for number in 0..PIECES {
        let payload = number.to_le_bytes().repeat(64);
        let (packed, car) =
            pack_reader(&payload[..], Cursor::new(Vec::new()), &PackOptions::default()).unwrap();
        let (piece, car) = (core_commitment(packed.piece.commitment()), car.into_inner());
        let seal = Seal::of(Cursor::new(&car)).unwrap();
        recorded.insert(piece, car.len() as u64);
        fs::write(file(folder.path(), piece, "car"), car).unwrap();
        fs::write(file(folder.path(), piece, "index"), sealed(&packed.index, &seal)).unwrap();
        some.extend((number % 997 == 0).then_some((packed.root, payload)));
    }
    let began = Instant::now();
    let (store, damages) = started(folder.path(), &recorded);
    let took = began.elapsed();
    println!("{PIECES} pieces looked at in {} ms", took.as_millis());
    assert_eq!(damages, []);
    assert!(took < MOST, "{took:?}");
    let blocks = store.blocks();
    let began = Instant::now();
    for (root, payload) in &some {
        assert_eq!(blocks.get(root).unwrap().as_deref(), Some(&payload[..]));
    }
    println!("a block among them in {} us", began.elapsed().as_micros() / some.len() as u128);
    // The commitments are what the files say they are.
    let (piece, _) = recorded.first_key_value().unwrap();
    let found = commp::of_reader(fs::File::open(file(folder.path(), *piece, "car")).unwrap()).unwrap();
    assert_eq!(core_commitment(found.commitment()), *piece);
}
