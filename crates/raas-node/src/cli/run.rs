//! Parses, runs, and maps the outcome to an exit code.

use super::args::{Args, Command, DEFAULT_NODE};
use super::client::Client;
use super::failure::Failure;
use super::{
    chain, contract, doctor, explain, get, incidents, job, key, kubo, output, piece, proof, up, upload,
    wallet, wallet_keys,
};
use clap::Parser;
use std::process::ExitCode;

/// The whole command line.
pub fn run() -> ExitCode {
    let args = Args::parse();
    output::start_log(args.verbose, tells(&args.command));
    // The first provider wins; a second call says that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), args.json),
    };
    let json = args.json;
    let outcome = runtime.block_on(dispatch(args));
    // A thread that waits for stdin or a disk does not hold the end up.
    runtime.shutdown_background();
    match outcome {
        Ok(()) if output::lost() => {
            fail(&Failure::failed("stdout could not be written; is its disk full?"), json)
        }
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure, json),
    }
}

/// Whether the command's own lines are the story, in which its node's warnings would be told twice.
const fn tells(command: &Command) -> bool {
    #[cfg(feature = "devnet")]
    if matches!(command, Command::Demo(_)) {
        return true;
    }
    let _ = command;
    false
}

async fn dispatch(args: Args) -> Result<(), Failure> {
    let json = args.json;
    let node = || {
        let key = match &args.key_file {
            Some(file) => Some(key::read(file)?),
            None => std::env::var("RAAS_KEY").ok().filter(|key| !key.is_empty()),
        };
        Client::new(&args.node, args.data_url.as_deref(), key)
    };
    match args.command {
        Command::Up(up) => up::up(&up, json).await,
        #[cfg(feature = "devnet")]
        Command::Demo(demo) => super::demo::demo(&demo, json).await,
        #[cfg(feature = "devnet")]
        Command::Devnet(devnet) => super::devnet::devnet(devnet, json).await,
        Command::Upload(upload) => upload::upload(&node()?, &upload, json).await,
        Command::Get(get) => get::get(&node()?, &get, json).await,
        Command::Job(job) => job::job(&node()?, &job, json).await,
        Command::Wallet(command) => match wallet_keys::keys(&command, json).await {
            Some(outcome) => outcome,
            None => wallet::wallet(&node()?, &command, json).await,
        },
        Command::Pin(command) => super::pin::pin(&node()?, &command, json).await,
        Command::Store(command) => super::store::store(&node()?, &command, json).await,
        Command::Kubo(wanted) => kubo::kubo(node, &wanted, json).await,
        Command::Piece(command) => piece::piece(command, json).await,
        Command::Key(command) => key::key(&command, json).await,
        Command::Chain(command) => chain::chain(&node()?, &command, json).await,
        Command::Contract(command) => contract::contract(command, json).await,
        Command::Proof(wanted) => proof::proof(&node()?, &wanted, json).await,
        Command::Plan { cid } => explain::plan(&node()?, &cid, json).await,
        Command::Doctor(wanted) => {
            let named = (args.node != DEFAULT_NODE).then_some(args.node);
            doctor::doctor(&wanted, named, json).await
        }
        Command::Incidents(wanted) => incidents::incidents(&node()?, &wanted, json).await,
        Command::Why { cid } => explain::why(&node()?, &cid, json).await,
    }
}

fn fail(failure: &Failure, json: bool) -> ExitCode {
    let (code, text) = failure.explain();
    if json {
        output::json_error(&text, code);
    }
    output::error(&text);
    ExitCode::from(code)
}
