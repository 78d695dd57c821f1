//! Packing in one pass, reading back, and the bounds of memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use raas_piece::car::{CarStore, Index, Limits};
use raas_piece::commp::of_reader;
use raas_piece::pack::{PackError, PackOptions, Packed, Packer, pack_car, pack_path, pack_reader};
use raas_piece::unixfs::{FileReader, Profile, resolve};

use crate::support::sha256_counter;

fn fresh(dir: &Path, name: &str) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(dir.join(name)).unwrap()
}

/// The one pass must agree with reading the finished file again.
fn check(packed: &Packed, mut file: File) -> CarStore<File> {
    assert_eq!(file.metadata().unwrap().len(), packed.car_bytes);
    file.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(of_reader(&file).unwrap(), packed.piece);
    assert_eq!(packed.piece.payload_bytes(), packed.car_bytes);
    file.seek(SeekFrom::Start(0)).unwrap();
    let index = Index::scan(&file, Limits::default()).unwrap();
    assert_eq!(index, packed.index);
    assert_eq!(Index::from_bytes(&index.to_bytes()).unwrap(), index);
    CarStore::new(file, Arc::new(index))
}

#[test]
fn a_pushed_file_a_read_file_and_a_file_on_disk_are_the_same_piece() {
    let dir = tempfile::tempdir().unwrap();
    for profile in Profile::ALL {
        let bytes = sha256_counter(profile.name(), 5_000_000);
        let options = PackOptions { profile, ..PackOptions::default() };
        let name = |kind: &str| format!("{}-{kind}.car", profile.name());
        std::fs::write(dir.path().join(profile.name()), &bytes).unwrap();

        let (read, file) = pack_reader(&bytes[..], fresh(dir.path(), &name("read")), &options).unwrap();
        let store = check(&read, file);
        let mut back = Vec::new();
        FileReader::open(&store, read.root).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == bytes);
        assert_eq!(read.payload_bytes, 5_000_000);

        let mut packer = Packer::new(fresh(dir.path(), &name("push")), &options).unwrap();
        packer.begin_file("").unwrap();
        bytes.chunks(100_001).for_each(|chunk| packer.write(chunk).unwrap());
        packer.end_file().unwrap();
        assert!(matches!(packer.begin_file("x"), Err(PackError::Nameless)));
        let (pushed, _) = packer.finish().unwrap();
        let (disk, _) =
            pack_path(&dir.path().join(profile.name()), fresh(dir.path(), &name("disk")), &options).unwrap();
        assert_eq!((pushed.root, pushed.piece), (read.root, read.piece));
        assert_eq!((disk.root, disk.piece), (read.root, read.piece));
    }
}

#[test]
fn a_pushed_directory_and_a_car_of_it_are_the_same_piece() {
    let dir = tempfile::tempdir().unwrap();
    let mut packer = Packer::new(fresh(dir.path(), "dir.car"), &PackOptions::default()).unwrap();
    for i in 0..40 {
        packer.begin_file(&format!("some/deep/file-{i}")).unwrap();
        packer.write(&sha256_counter("twice", 1000 * (i / 2))).unwrap();
        packer.end_file().unwrap();
    }
    packer.add_dir("empty").unwrap();
    packer.add_symlink("link", "some/deep").unwrap();
    assert!(packer.begin_file("").is_err());
    let (packed, file) = packer.finish().unwrap();
    let store = check(&packed, file);
    let found = resolve(&store, &packed.root, "some/deep/file-7").unwrap();
    let mut back = Vec::new();
    FileReader::open(&store, found.cid).unwrap().read_to_end(&mut back).unwrap();
    assert_eq!(back, sha256_counter("twice", 3000));

    let car = std::fs::read(dir.path().join("dir.car")).unwrap();
    // As a provider serves it: the whole piece, zeros behind the CAR.
    let zeros = io::repeat(0).take(packed.piece.padding_bytes());
    let copy = fresh(dir.path(), "copy.car");
    let (copied, mut copy) =
        pack_car((&car[..]).chain(zeros), copy, Some(&packed.root), Limits::default()).unwrap();
    assert_eq!((copied.root, copied.piece, copied.blocks), (packed.root, packed.piece, packed.blocks));
    let mut bytes = Vec::new();
    copy.seek(SeekFrom::Start(0)).unwrap();
    copy.read_to_end(&mut bytes).unwrap();
    assert!(bytes == car);
}

#[test]
fn the_piece_limit_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = PackOptions { max_car_bytes: 1 << 20, ..PackOptions::default() };
    let bytes = sha256_counter("limit", 2 << 20);
    let refused = pack_reader(&bytes[..], fresh(dir.path(), "full.car"), &options);
    assert!(refused.unwrap_err().to_string().contains("1048576"));
    assert!(dir.path().join("full.car").metadata().unwrap().len() <= 1 << 20);
}
