//! `raas piece` as a person uses it: in pipes, with files, as JSON. No node runs.

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn raas(folder: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_raas"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = child.stdin.take().expect("a pipe");
    // A command that does not read its input has closed it.
    let _ = input.write_all(stdin);
    drop(input);
    child.wait_with_output().expect("it ends")
}

fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output, code: i32, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(word), "{word:?} is not in {said}");
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| u8::try_from(i * 7 % 251).expect("under 256")).collect()
}

#[test]
fn a_stream_has_its_commitment_and_a_cid_its_other_version() {
    let folder = tempfile::tempdir().expect("a folder");
    // The zero piece of upstream's table.
    let zeros = printed(&raas(folder.path(), &["--json", "piece", "commp"], &[0; 127]));
    let zeros: Value = serde_json::from_str(&zeros).expect("JSON");
    let v1 = "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";
    assert_eq!(zeros["pieceCidV1"], v1);
    assert_eq!(zeros["paddedBytes"], "128");
    std::fs::write(folder.path().join("file"), content(100_000)).expect("a file");
    let two =
        printed(&raas(folder.path(), &["piece", "commp", "file", "-", "--threads", "2"], &content(100_000)));
    let lines: Vec<&str> = two.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().take(3).collect::<Vec<_>>(),
        lines[1].split_whitespace().take(3).collect::<Vec<_>>()
    );
    let names: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(printed(&raas(folder.path(), &["piece", "cid", names[0]], &[])).trim(), names[1]);
    let back = raas(folder.path(), &["piece", "cid", names[1], "--payload-size", "100000"], &[]);
    assert_eq!(printed(&back).trim(), names[0]);
    refused(&raas(folder.path(), &["piece", "cid", names[1]], &[]), 2, "--payload-size");
    refused(&raas(folder.path(), &["piece", "cid", "bafy"], &[]), 2, "bafy");
    refused(&raas(folder.path(), &["piece", "commp", "nothing"], &[]), 2, "nothing");
}

#[test]
fn a_directory_a_tar_and_a_pipe_become_cars() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("in");
    std::fs::create_dir(&input).expect("a folder");
    std::fs::write(input.join("a"), content(3_000_000)).expect("a file");
    std::fs::write(input.join("b"), content(10)).expect("a file");
    let car = printed(&raas(folder.path(), &["--json", "piece", "car", "in", "-o", "out.car"], &[]));
    let car: Value = serde_json::from_str(&car).expect("JSON");
    let commp = printed(&raas(folder.path(), &["--json", "piece", "commp", "out.car"], &[]));
    let commp: Value = serde_json::from_str(&commp).expect("JSON");
    assert_eq!(car["cars"][0]["pieceCidV2"], commp["pieceCidV2"]);
    assert_eq!(car["contentBytes"], "3000010");
    refused(&raas(folder.path(), &["piece", "car", "in", "-o", "out.car"], &[]), 2, "--force");

    let mut tar = tar_of(&[("a", &content(3_000_000)), ("b", &content(10))]);
    let piped = raas(folder.path(), &["--json", "piece", "car", "--tar", "-", "-o", "-"], &tar);
    let said = String::from_utf8_lossy(&piped.stderr).into_owned();
    assert!(piped.status.success(), "{said}");
    let talk: Value = serde_json::from_str(said.lines().last().expect("a line")).expect("JSON");
    assert_eq!(talk["root"], car["root"]);
    assert!(piped.stdout == std::fs::read(folder.path().join("out.car")).expect("the CAR"));

    let listed = printed(&raas(folder.path(), &["--json", "piece", "ls"], &piped.stdout));
    let last: Value = serde_json::from_str(listed.lines().last().expect("a summary")).expect("JSON");
    assert_eq!(last["roots"][0], car["root"]);
    assert_eq!(last["blocks"].as_u64(), Some(listed.lines().count() as u64 - 1));
    let mut broken = piped.stdout;
    broken[100] ^= 1;
    refused(&raas(folder.path(), &["piece", "ls", "--summary"], &broken), 1, "hash");
    tar.truncate(1000);
    refused(&raas(folder.path(), &["piece", "car", "--tar", "-", "-o", "x.car"], &tar), 1, "tar");

    let limit = ["piece", "car", "in", "-o", "p.car", "--piece-limit", "2097152"];
    refused(&raas(folder.path(), &limit, &[]), 1, "piece limit");
    let split = [&["--json"], &limit[..], &["--split", "--force"]].concat();
    let split: Value = serde_json::from_str(&printed(&raas(folder.path(), &split, &[]))).expect("JSON");
    assert_eq!(split["root"], car["root"]);
    assert_eq!(split["cars"].as_array().map(Vec::len), Some(2));
    assert!(folder.path().join("p.car.1").is_file());
}

#[test]
fn pieces_become_a_deal_whose_proofs_verify() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("one"), content(5_000)).expect("a file");
    std::fs::write(folder.path().join("two"), content(900)).expect("a file");
    let run = |args: &[&str], stdin: &[u8]| raas(folder.path(), args, stdin);
    let deal = printed(&run(&["--json", "piece", "aggregate", "one", "two", "-o", "deal"], &[]));
    let deal: Value = serde_json::from_str(&deal).expect("JSON");
    // The bytes of the deal are the deal.
    let bytes: Value =
        serde_json::from_str(&printed(&run(&["--json", "piece", "commp", "deal"], &[]))).expect("JSON");
    assert_eq!(bytes["commitment"], deal["commitment"]);
    // From the names alone, through a pipe, it is the same.
    let names = printed(&run(&["piece", "commp", "one", "two"], &[]));
    let names: Vec<&str> = names.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let piped = printed(&run(&["--json", "piece", "aggregate", "-"], names.join("\n").as_bytes()));
    let piped: Value = serde_json::from_str(&piped).expect("JSON");
    assert_eq!(piped, deal);
    let wanted = deal["pieceCidV2"].as_str().expect("a CID");
    for form in ["json", "cbor", "abi"] {
        let proof = run(&["piece", "prove", "--entry", "1", "--form", form, "one", "two"], &[]);
        let proof = printed(&proof);
        let verify = ["piece", "verify", "--piece", names[1], "--deal", wanted];
        assert!(printed(&run(&verify, proof.as_bytes())).starts_with(wanted), "{form}");
        refused(&run(&["piece", "verify", "--piece", names[0]], proof.as_bytes()), 1, "deal");
        refused(
            &run(&["piece", "verify", "--piece", names[1], "--deal", names[0]], proof.as_bytes()),
            1,
            "deal",
        );
    }
    refused(&run(&["piece", "verify", "--piece", names[0]], b"nonsense"), 1, "neither");
    refused(&run(&["piece", "prove", "--entry", "2", "one", "two"], &[]), 2, "--entry");
    refused(&run(&["piece", "aggregate", "one", "--deal-size", "1000"], &[]), 2, "--deal-size");
    refused(&run(&["piece", "aggregate", names[0], "-o", "x"], &[]), 2, "--output");
}

/// A tar stream (ustar) with these files.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in files {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend(*bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[test]
fn what_could_not_be_finished_leaves_no_file_and_what_could_not_be_written_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = || -> Vec<String> {
        let names = std::fs::read_dir(folder.path()).expect("a folder").flatten();
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let mut broken = vec![0; 600];
    broken[..8].copy_from_slice(b"file.txt");
    let packed = raas(folder.path(), &["piece", "car", "--tar", "-", "-o", "out.car"], &broken);
    assert_eq!((packed.status.code(), names()), (Some(1), vec![]), "no half CAR");
    std::fs::write(folder.path().join("large"), content(3 << 20)).expect("a file");
    let args = ["piece", "car", "large", "--split", "--piece-limit", "524288", "-o", "out.car"];
    let packed = raas(folder.path(), &args, &[]);
    assert!(!packed.status.success());
    assert_eq!(names(), ["large"], "no parts");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let told = Command::new(env!("CARGO_BIN_EXE_raas"))
        .args(["piece", "commp", "large"])
        .current_dir(folder.path())
        .stdout(full)
        .output()
        .expect("it runs");
    refused(&told, 1, "stdout could not be written");
}

#[test]
fn what_cannot_be_meant_is_refused_by_field_before_anything_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("in")).expect("a folder");
    std::fs::write(at("in/a"), content(3_000_000)).expect("a file");
    std::fs::write(at("one"), content(900)).expect("a file");
    std::fs::write(at("precious"), b"kept").expect("a file");
    let run = |args: &[&str], stdin: &[u8]| raas(folder.path(), &[&["piece"], args].concat(), stdin);

    // Stdin is there once, and nothing in it is no piece.
    refused(&run(&["commp", "-", "-"], b"x"), 2, "FILES: stdin (-) can be read once");
    refused(&run(&["aggregate", "-", "-"], b""), 2, "PIECES: stdin (-) can be read once");
    refused(&run(&["aggregate", "-"], b"\n"), 2, "PIECES: nothing came on stdin");
    for threads in ["0", "100000"] {
        refused(&run(&["commp", "one", "--threads", threads], b""), 2, "from 1 to 1024");
    }
    // A CAR does not go into what it is made of, nor over it, and a wrong name costs no file.
    refused(&run(&["car", "in", "-o", "in/out.car"], b""), 2, "write it elsewhere");
    refused(&run(&["car", "in", "-o", "in/p.car", "--split"], b""), 2, "write it elsewhere");
    refused(&run(&["car", "one", "-o", "./one", "--force"], b""), 2, "write it elsewhere");
    refused(&run(&["aggregate", "one", "-o", "one", "--force"], b""), 2, "write it elsewhere");
    refused(&run(&["car", "nothing", "-o", "precious", "--force"], b""), 2, "nothing: No such file");
    assert_eq!(std::fs::read(at("one")).expect("the file"), content(900));
    assert_eq!(std::fs::read(at("precious")).expect("the file"), b"kept");
    assert_eq!(std::fs::read_dir(at("in")).expect("a folder").count(), 1);
    // Pieces that are none, and deals that hold none: where it was typed, and what would be right.
    let forms = "a piece is its CID v2";
    for (args, field) in [
        (&["aggregate", "nothing"][..], "PIECES: no such file"),
        (&["verify", "--piece", "nonsense"], "--piece: nonsense"),
        (&["cid", "nonsense"], "CID: nonsense"),
    ] {
        let output = run(args, b"");
        refused(&output, 2, field);
        refused(&output, 2, forms);
    }
    let name = printed(&run(&["commp", "one"], b""));
    let name = name.split_whitespace().next().expect("a CID");
    refused(&run(&["verify", "--piece", name, "--deal", "nonsense"], b""), 2, "--deal: nonsense");
    refused(&run(&["aggregate", "one", "--deal-size", "256"], b""), 2, "--deal-size: ");

    // Who closes the pipe has had enough; that is no failure.
    let mut child = Command::new(env!("CARGO_BIN_EXE_raas"))
        .args(["piece", "car", ".", "-o", "-"])
        .current_dir(at("in"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
