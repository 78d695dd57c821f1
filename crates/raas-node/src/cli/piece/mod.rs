//! `raas piece …`: bytes and commitments on this machine alone; no node is asked.

mod args;
mod bytes;
mod car;
mod deal;
mod name;

pub use args::Piece;

use super::failure::Failure;

/// Runs one of them. They hash and read, so they have a thread of their own.
pub async fn piece(command: Piece, json: bool) -> Result<(), Failure> {
    let run = move || match command {
        Piece::Commp(args) => bytes::commp(&args, json),
        Piece::Car(args) => car::car(&args, json),
        Piece::Ls(args) => car::ls(&args, json),
        Piece::Aggregate(args) => deal::aggregate(&args, json),
        Piece::Prove(args) => deal::prove(&args, json),
        Piece::Verify(args) => deal::verify(&args, json),
        Piece::Cid(args) => name::cid(&args, json),
    };
    tokio::task::spawn_blocking(run).await?
}
