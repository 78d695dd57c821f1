//! `bench/run watch`: what watching a large fleet costs. Not a test: it prints figures beside the bars they must reach.
//!
//! Three processes: this one drives; a devnet on one core holds a synthetic network (`devnet_bulkDeals`); `raas up` on
//! another, stepped by `/v1/node/quiesce`, watches it. Memory is the node's VmHWM alone, calls are those that the devnet
//! counted. The node's store is filled beforehand through `Store::import`, as adopted copies.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark talks and fails by panicking"
)]

mod fleet;
mod measure;
mod net;
mod rows;

use std::io::Write as _;
use std::process::ExitCode;

/// Proving periods are this long.
pub const PERIOD: i64 = 2_880;
/// The devnet's finality lag, and a little.
pub const FINAL: i64 = 30;

/// A fleet.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub replicas: u64,
    pub providers: u64,
}

/// What is asked for on the command line.
struct Wanted {
    size: Size,
    agree: Vec<u32>,
    epochs: i64,
    stores: Option<std::path::PathBuf>,
    json: bool,
}

impl Wanted {
    fn read(args: &[String]) -> Self {
        let text = |name: &str| args.get(args.iter().position(|arg| arg == name)? + 1);
        let value = |name: &str| text(name)?.replace('_', "").parse::<u64>().ok();
        let agree = value("--agree").map_or(vec![1, 2], |agree| vec![u32::try_from(agree).unwrap()]);
        Self {
            size: Size {
                replicas: value("--replicas").unwrap_or(1_000_000),
                providers: value("--providers").unwrap_or(600),
            },
            agree,
            epochs: i64::try_from(value("--epochs").unwrap_or(2_880)).unwrap(),
            stores: text("--stores").map(Into::into),
            json: args.iter().any(|arg| arg == "--json"),
        }
    }
}

fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if args.first().map(String::as_str) == Some("devnet") {
        runtime.block_on(serve_devnet());
        return ExitCode::SUCCESS;
    }
    let wanted = Wanted::read(&args);
    let mut rows = rows::Rows::begin(wanted.size);
    let stores = measure::Stores::new(wanted.stores);
    for agree in &wanted.agree {
        let figures = runtime.block_on(measure::measure(wanted.size, *agree, wanted.epochs, &stores));
        // A quarter of the copies at as many providers: what is asked must hardly be less.
        let quarter = Size { replicas: wanted.size.replicas / 4, ..wanted.size };
        let small = runtime.block_on(measure::calls_at_rest(quarter, *agree, wanted.epochs, &stores));
        rows.add(*agree, &figures, small);
    }
    rows.print(wanted.json);
    if rows.all_hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn serve_devnet() {
    let config = raas_devnet::Config { allow_private: true, ..raas_devnet::Config::default() };
    let devnet = raas_devnet::spawn(config).await.unwrap();
    println!("{}", devnet.rpc_url());
    std::io::stdout().flush().unwrap();
    until_stdin_ends().await;
}

async fn until_stdin_ends() {
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
}
