//! `raas piece aggregate`, `prove` and `verify`.

use super::args::{Aggregate as Args, Form, Pieces, Prove, Verify};
use super::bytes::{Counted, apart, described, is_dash, no_terminal, open, pour, threads};
use super::car::{create, remove};
use super::name::parse;
use crate::cli::failure::Failure;
use crate::cli::output;
use anyhow::Context;
use raas_piece::commp::of_reader_on;
use raas_piece::inclusion::InclusionProof;
use raas_piece::segment::{Aggregate, Payload, VirtualDeal, minimum_deal_size};
use raas_piece::{PaddedSize, PieceInfo};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

/// A proof file is at most this long: 126 nodes as hex with names around.
const PROOF_BYTES_MAX: u64 = 64 << 10;

struct Given {
    info: PieceInfo,
    file: Option<PathBuf>,
}

/// Computes the deal piece; with `--output` writes its bytes.
pub fn aggregate(args: &Args, json: bool) -> Result<(), Failure> {
    let aside = args.output.as_ref().is_some_and(|path| is_dash(path));
    if aside {
        no_terminal()?;
    }
    let (aggregate, given) = build(&args.pieces)?;
    let deal = aggregate.piece();
    let line = if aside { output::say } else { output::data };
    if let Some(path) = &args.output {
        write(&aggregate, &given, path, args.force)?;
    }
    let proofs = args.proofs.then(|| aggregate.proofs());
    if json {
        let mut object = described(&deal);
        object["pieces"] = aggregate.segments().len().into();
        object["indexStart"] = aggregate.layout().index_start().to_string().into();
        line(&object.to_string());
        for (entry, proof) in proofs.into_iter().flatten().enumerate() {
            line(&entry_json(&aggregate, &given, entry, &proof)?.to_string());
        }
        return Ok(());
    }
    line(&format!("deal   {}  {}", raas_piece::cid::v2(&deal), deal.padded()));
    for (entry, (segment, given)) in aggregate.segments().iter().zip(&given).enumerate() {
        let piece = raas_piece::cid::v2(&given.info);
        line(&format!("{entry:>5}  {piece}  {}  at {}", segment.size, segment.offset));
    }
    for (entry, proof) in proofs.into_iter().flatten().enumerate() {
        line(&format!("proof  {entry}  {}", serde_json::to_string(&proof)?));
    }
    Ok(())
}

fn entry_json(
    aggregate: &Aggregate,
    given: &[Given],
    entry: usize,
    proof: &InclusionProof,
) -> Result<Value, Failure> {
    let piece = given.get(entry).map(|given| raas_piece::cid::v2(&given.info).to_string());
    let offset = aggregate.segments().get(entry).map(|segment| segment.offset.to_string());
    Ok(
        json!({ "entry": entry, "pieceCidV2": piece, "offset": offset, "proof": serde_json::to_value(proof)? }),
    )
}

/// The proof of one entry.
pub fn prove(args: &Prove, json: bool) -> Result<(), Failure> {
    let (aggregate, given) = build(&args.pieces)?;
    let proof = aggregate.proof(args.entry).map_err(|error| Failure::Usage(format!("--entry: {error}")))?;
    match args.form {
        Form::Json if json => output::json(&entry_json(&aggregate, &given, args.entry, &proof)?),
        Form::Json => output::data(&serde_json::to_string(&proof)?),
        Form::Cbor => output::data(&hex::encode(proof.to_cbor())),
        Form::Abi => output::data(&hex::encode(proof.to_abi())),
    }
    Ok(())
}

/// Checks a proof and prints the deal piece it leads to.
pub fn verify(args: &Verify, json: bool) -> Result<(), Failure> {
    let piece = parse("--piece", &args.piece)?;
    let deal = args.deal.as_deref().map(|deal| parse("--deal", deal)).transpose()?;
    let (reader, bar) = open(&args.proof, "reading")?;
    let mut bytes = Vec::new();
    reader.take(PROOF_BYTES_MAX).read_to_end(&mut bytes).context("could not read the proof")?;
    bar.finish_and_clear();
    let proof = proof_of(&bytes)?;
    let found = proof.verify(piece.commitment(), piece.padded())?;
    if let Some(deal) = deal {
        proof.verify_in(piece.commitment(), piece.padded(), deal.commitment(), deal.padded())?;
    }
    if json {
        output::json(&described(&found));
    } else {
        output::data(&format!("{}  {}", raas_piece::cid::v2(&found), found.padded()));
    }
    Ok(())
}

/// A proof in any form: JSON (alone, or in the field `proof`), CBOR or ABI, the last two as hex or as bytes.
fn proof_of(bytes: &[u8]) -> Result<InclusionProof, Failure> {
    if let Ok(mut value) = serde_json::from_slice::<Value>(bytes)
        && value.is_object()
    {
        let inner = value.get_mut("proof").map(Value::take).unwrap_or(value);
        return serde_json::from_value(inner).map_err(|error| Failure::failed(format!("the proof: {error}")));
    }
    let hex = str::from_utf8(bytes).ok().map(str::trim).map(|text| text.strip_prefix("0x").unwrap_or(text));
    let decoded = hex.and_then(|text| hex::decode(text).ok());
    let bytes = decoded.as_deref().unwrap_or(bytes);
    InclusionProof::from_cbor(bytes).or_else(|_| InclusionProof::from_abi(bytes)).map_err(|_| {
        Failure::failed("the proof is neither JSON, CBOR nor ABI, in the forms of raas piece prove")
    })
}

/// The aggregate, and what was given for each entry.
fn build(args: &Pieces) -> Result<(Aggregate, Vec<Given>), Failure> {
    let mut given = Vec::with_capacity(args.pieces.len());
    if args.pieces.iter().filter(|text| *text == "-").count() > 1 {
        return Err(Failure::Usage("PIECES: stdin (-) can be read once only".to_owned()));
    }
    for text in &args.pieces {
        if text == "-" {
            for line in io::stdin().lock().lines() {
                let line = line.context("could not read stdin")?;
                if !line.trim().is_empty() {
                    given.push(one(line.trim())?);
                }
            }
        } else {
            given.push(one(text)?);
        }
    }
    if given.is_empty() {
        return Err(Failure::Usage("PIECES: nothing came on stdin; name one piece a line".to_owned()));
    }
    if args.sort {
        given.sort_by_key(|given| std::cmp::Reverse(given.info.padded()));
    }
    let sizes: Vec<PaddedSize> = given.iter().map(|given| given.info.padded()).collect();
    let deal = match args.deal_size {
        Some(bytes) => {
            PaddedSize::new(bytes).map_err(|error| Failure::Usage(format!("--deal-size: {error}")))?
        }
        None => minimum_deal_size(&sizes)?,
    };
    let pieces: Vec<_> = given.iter().map(|given| (given.info.commitment(), given.info.padded())).collect();
    let named = || if args.deal_size.is_some() { "--deal-size" } else { "PIECES" };
    let aggregate = Aggregate::new(deal, &pieces);
    Ok((aggregate.map_err(|error| Failure::Usage(format!("{}: {error}", named())))?, given))
}

/// A piece by name, or by the file that is it.
fn one(text: &str) -> Result<Given, Failure> {
    let path = Path::new(text);
    if !path.is_file() {
        return Ok(Given { info: parse("PIECES: no such file", text)?, file: None });
    }
    let (reader, bar) = open(path, text)?;
    let info = of_reader_on(reader, threads(None)).with_context(|| format!("could not read {text}"))?;
    bar.finish_and_clear();
    Ok(Given { info, file: Some(path.to_owned()) })
}

fn write(aggregate: &Aggregate, given: &[Given], path: &Path, force: bool) -> Result<(), Failure> {
    let payloads = given.iter().map(|given| {
        let name = || Failure::Usage("--output: every piece must be given as a file".to_owned());
        let path = given.file.as_ref().ok_or_else(name)?;
        let file = File::open(path).with_context(|| format!("could not open {}", path.display()))?;
        Ok(Payload { file, bytes: given.info.payload_bytes() })
    });
    let payloads = payloads.collect::<Result<Vec<_>, Failure>>()?;
    let deal = VirtualDeal::new(aggregate, payloads)?;
    let mut bytes = deal.range(0, deal.bytes());
    let bar = output::bytes_bar(Some(deal.bytes()), "writing");
    let mut buffered = io::BufReader::with_capacity(1 << 20, Counted { inner: &mut bytes, bar: bar.clone() });
    if is_dash(path) {
        pour(buffered)?;
    } else {
        given.iter().filter_map(|given| given.file.as_ref()).try_for_each(|piece| apart(piece, path))?;
        let copied = io::copy(&mut buffered, &mut create(path, force)?);
        copied
            .inspect_err(|_| remove(path))
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    bar.finish_and_clear();
    Ok(())
}
