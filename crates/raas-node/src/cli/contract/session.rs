//! One chain, and one key on it: what these commands have in common.
//!
//! Nothing is signed before the chain, the account and what it may cost were shown and agreed to.

use super::args::{Chain, Signer};
use crate::causes::chain as causes;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::config::Network;
use crate::node::read_key;
use alloy_primitives::{Address as EthAddress, Bytes};
use raas_clients::evm::created_address;
use raas_clients::rpc::{Call, EndpointConfig, Limits, Pool};
use raas_clients::wallet::{KeyWallet, WalletConfig};
use raas_core::ports::{Broadcast, Effect, Lane, SignedTx, Wallet};
use raas_core::units::AttoFil;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};
use std::time::Duration;

/// The most that one transaction's gas may cost.
const MAX_GAS_COST: AttoFil = AttoFil::fil(5);
/// Where `raas devnet` and `raas up --network devnet` serve their chain by default.
const DEVNET_RPC: &str = "http://127.0.0.1:1234/rpc/v1";
/// Between two looks for a receipt.
const POLL: Duration = Duration::from_millis(500);
/// Looks before it is said that a transaction is still not executed: an hour.
const LOOKS_MAX: u32 = 7_200;
const NO_NETWORK: &str = "--network: name devnet, calibration, mainnet or the URL of an endpoint; a guess could \
                          spend real money";

/// A chain.
pub struct Connection {
    /// Its endpoint.
    pub pool: Pool,
    /// EIP-155.
    pub chain_id: u64,
    /// For people: the name typed, and what is at stake.
    pub shown: String,
    /// Its time stands still until it is told to go.
    stepped: bool,
}

/// A chain with an account on it.
pub struct Session {
    /// The chain.
    pub connection: Connection,
    /// The account.
    pub wallet: KeyWallet,
    yes: bool,
}

/// A transaction that was executed.
pub struct Executed {
    /// Its hash.
    pub hash: String,
    /// Its block.
    pub block: i64,
}

impl Connection {
    /// Finds out which chain it is, and refuses another one than the name says.
    pub async fn open(chain: &Chain) -> Result<Self, Failure> {
        let name = chain.network.as_deref().ok_or_else(|| Failure::Usage(NO_NETWORK.to_owned()))?;
        let network: Network = name.parse().map_err(|error| Failure::Usage(causes(&error)))?;
        let mut urls = network.default_endpoints();
        if network == Network::Devnet {
            urls.push(DEVNET_RPC.to_owned());
        }
        let endpoints = urls
            .iter()
            .map(|url| Ok(EndpointConfig::new(url.parse()?)))
            .collect::<Result<Vec<_>, url::ParseError>>()?;
        let pool = Pool::new(&endpoints, Limits::default(), 1)?;
        let unreachable = |error| {
            let fix = match network {
                Network::Devnet => "; `raas devnet` starts one, and --network URL names another",
                _ => "",
            };
            Failure::Unreachable(format!("{}: {}{fix}", urls.join(", "), causes(&error)))
        };
        let text: String = pool.read(Call::new("eth_chainId", vec![])).await.map_err(unreachable)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        let chain_id = u64::from_str_radix(digits, 16)
            .map_err(|_| Failure::failed(format!("eth_chainId answers {text:?}, which is no number")))?;
        if let Some(wanted) = network.chain_id()
            && wanted != chain_id
        {
            return Err(Failure::failed(format!(
                "--network {network} has chain id {wanted}, but the endpoint serves {chain_id}"
            )));
        }
        let devnet: Option<Value> = pool.read(Call::new("devnet_now", vec![])).await.ok();
        let stepped = devnet.as_ref().is_some_and(|now| now["epoch_ms"] == json!(0));
        let stake = match (devnet.is_some(), chain_id) {
            (true, _) => "a devnet; all money here is play money",
            (false, 314) => "Filecoin mainnet; MONEY IS REAL",
            (false, 314_159) => "Filecoin calibration; money is from faucets",
            (false, _) => "not a known network",
        };
        Ok(Self { pool, chain_id, shown: format!("{name}, chain id {chain_id}: {stake}"), stepped })
    }

    /// The code at an address.
    pub async fn code(&self, address: EthAddress) -> Result<Bytes, Failure> {
        Ok(self.pool.read(Call::new("eth_getCode", vec![json!(address), json!("latest")])).await?)
    }

    /// Lets what was sent be executed, where time moves by command only; else waits.
    async fn pass(&self) -> Result<(), Failure> {
        if self.stepped {
            self.pool.read::<Value>(Call::new("devnet_advance", vec![json!(2)])).await?;
        } else {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

impl Session {
    /// A chain and the key that signs on it.
    pub async fn open(chain: &Chain, signer: &Signer) -> Result<Self, Failure> {
        let connection = Connection::open(chain).await?;
        let key = read_key(&signer.key_file, signer.passphrase_file.as_deref())
            .map_err(|error| Failure::Usage(causes(&error)))?;
        let config = WalletConfig {
            chain_id: connection.chain_id,
            genesis: None,
            contracts: Vec::new(),
            max_gas_cost: MAX_GAS_COST,
        };
        let wallet = KeyWallet::new(key, connection.pool.clone(), config);
        Ok(Self { connection, wallet, yes: signer.yes })
    }

    /// Refuses an address without a contract: a call of it would succeed, cost gas and do nothing.
    pub async fn require_contract(&self, address: EthAddress) -> Result<(), Failure> {
        if self.connection.code(address).await?.is_empty() {
            let shown = &self.connection.shown;
            return Err(Failure::failed(format!(
                "there is no contract at {address} on {shown}: check ADDRESS and --network"
            )));
        }
        Ok(())
    }

    /// Shows the chain, the account and `what`, and asks; `--yes` answers.
    pub async fn agree(&self, what: &[String]) -> Result<(), Failure> {
        let balance = self.wallet.balance(Lane::Evm).await.map_err(|why| {
            Failure::failed(format!("the balance of {} is not known: {why}", self.wallet.eth_address()))
        })?;
        output::say(&format!("chain    {}", self.connection.shown));
        output::say(&format!("account  {} with {balance} attoFIL", self.wallet.eth_address()));
        for line in what {
            output::say(line);
        }
        output::say(&format!("gas      at most {MAX_GAS_COST} attoFIL for each transaction"));
        if balance == AttoFil::ZERO {
            let account = self.wallet.eth_address();
            return Err(Failure::failed(format!(
                "{account} has nothing to pay gas with: send FIL to it first"
            )));
        }
        if self.yes {
            return Ok(());
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::Usage("nobody is there to agree; say --yes to spend money".to_owned()));
        }
        output::say("Type yes to send:");
        let mut answer = String::new();
        stdin.lock().read_line(&mut answer)?;
        if answer.trim() == "yes" { Ok(()) } else { Err(Failure::failed("nothing was sent")) }
    }

    /// Creates a contract; answers its address and what was executed.
    pub async fn create(&self, code: Bytes) -> Result<(EthAddress, Executed), Failure> {
        let nonce = self.nonce().await?;
        let executed = self.send(self.wallet.deploy(code, nonce).await).await?;
        Ok((created_address(self.wallet.eth_address(), nonce), executed))
    }

    /// Calls a contract.
    pub async fn call(&self, to: EthAddress, input: Bytes) -> Result<Executed, Failure> {
        let nonce = self.nonce().await?;
        self.send(self.wallet.call(to, input, nonce).await).await
    }

    async fn nonce(&self) -> Result<u64, Failure> {
        let nonce = self.wallet.chain_nonce(Lane::Evm).await;
        nonce.map_err(|why| Failure::failed(format!("the account's nonce could not be read: {why}")))
    }

    async fn send(&self, signed: Effect<SignedTx>) -> Result<Executed, Failure> {
        let signed = match signed {
            Effect::Done(signed) => signed,
            Effect::Failed(why) | Effect::Uncertain(why) => return Err(Failure::failed(why)),
        };
        match self.wallet.broadcast(Lane::Evm, &signed).await {
            Broadcast::Taken | Broadcast::AlreadyKnown => {}
            Broadcast::NonceTooLow => {
                let why = "the account has sent another transaction meanwhile; try again";
                return Err(Failure::failed(format!("{} was not taken: {why}", signed.hash)));
            }
            Broadcast::Refused(why) | Broadcast::Uncertain(why) => {
                return Err(Failure::failed(format!("{} was not taken: {why}", signed.hash)));
            }
        }
        for _ in 0..LOOKS_MAX {
            // A failed look is repeated: the transaction is out, and only the chain can say more.
            if let Ok(Some(found)) = self.wallet.included(Lane::Evm, &signed.hash).await {
                return if found.success {
                    Ok(Executed { hash: signed.hash, block: found.block.0 })
                } else {
                    Err(Failure::failed(format!("{} was executed and failed", signed.hash)))
                };
            }
            self.connection.pass().await?;
        }
        Err(Failure::failed(format!(
            "{} is sent, but no tipset has executed it; look for its hash",
            signed.hash
        )))
    }
}

/// An address that was typed.
pub fn address(what: &str, text: &str) -> Result<EthAddress, Failure> {
    text.parse().map_err(|_| Failure::Usage(format!("{what}: {text:?} is no 0x address of 40 hex digits")))
}
