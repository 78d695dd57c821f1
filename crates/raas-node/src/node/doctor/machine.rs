//! This machine and what is the node's own: clock, disk, key and money, providers, listeners.

use super::{Findings, Patient};
use crate::config::Config;
use crate::node::key;
use alloy_primitives::Address as EthAddress;
use raas_clients::clock::{DevnetClock, WallClock};
use raas_clients::filecoin::{Identity, LotusChain};
use raas_clients::rpc::EndpointConfig;
use raas_clients::wallet::{KeyWallet, WalletConfig};
use raas_core::observation::Round;
use raas_core::ports::{Chain, Clock, Lane, Now, Wallet};
use raas_core::units::{AttoFil, Epoch};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Less free space than this stops uploads sooner or later.
const DISK_LOW: u64 = 10 << 30;
/// And less than this stops the store.
const DISK_EMPTY: u64 = 256 << 20;
/// A wallet with less is at its end.
const MONEY_LOW: AttoFil = AttoFil::fil(1);

/// The data directory: whether it can be written, and how much room there is.
pub(super) fn disk(config: &Config, findings: &mut Findings) {
    const AREA: &str = "disk";
    let folder = config.data_dir.as_path();
    let name = folder.display().to_string();
    // What is not there yet is made below the nearest folder that is.
    let existing = folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    // Rights alone say nothing of a disk that is mounted read-only, or of a superuser.
    let trial = existing.join(format!(".raas-doctor-{}", std::process::id()));
    match std::fs::OpenOptions::new().write(true).create_new(true).open(&trial) {
        Ok(_) => {
            // What is left of it is empty and names itself.
            let _ = std::fs::remove_file(&trial);
        }
        Err(error) => {
            let fix = "give this user the right to write there, or name another data_dir";
            findings.problem(AREA, &name, format!("cannot be written: {error}"), fix);
        }
    }
    match rustix::fs::statvfs(existing) {
        Ok(room) => {
            let free = room.f_bavail.saturating_mul(room.f_frsize);
            let reserve = config.store.reserve_mib << 20;
            let found = format!("{} GiB free", free >> 30);
            let fix = "make room, or name a data_dir on a larger disk";
            if free < DISK_EMPTY {
                findings.problem(AREA, &name, found, fix);
            } else if free < reserve {
                let found = format!("{found}, less than store.reserve_mib = {}", config.store.reserve_mib);
                let fix = "make room, name a data_dir on a larger disk, or lower store.reserve_mib: nothing is taken in";
                findings.problem(AREA, &name, found, fix);
            } else if free < DISK_LOW {
                findings.warning(AREA, &name, found, fix);
            } else {
                findings.ok(AREA, &name, found);
            }
        }
        Err(error) => {
            findings.problem(
                AREA,
                &name,
                format!("cannot be looked at: {error}"),
                "see that the disk is there",
            );
        }
    }
    let aside = std::fs::read_dir(folder.join("pieces/quarantine")).into_iter().flatten().flatten();
    let damaged = aside.filter(|entry| entry.path().extension().is_some_and(|of| of == "car")).count();
    if damaged > 0 {
        let quarantine = folder.join("pieces/quarantine");
        let found = format!("{damaged} damaged CARs were put aside");
        let fix = "look after the disk; GET /v1/store tells what is not back yet; then delete the folder";
        findings.warning(AREA, &quarantine.display().to_string(), found, fix);
    }
    let store = folder.join("raas.sqlite");
    if let Ok(meta) = std::fs::metadata(&store)
        && meta.mode() & 0o077 != 0
    {
        let fix = "chmod 600 it: it holds the secrets of deals";
        findings.warning(AREA, &store.display().to_string(), "can be read by other users", fix);
    }
}

/// The time by which everything is judged; told against the heads of all endpoints.
pub(super) async fn clock(patient: &Patient<'_>, identity: &Identity, findings: &mut Findings) -> Now {
    const AREA: &str = "clock";
    let wall = WallClock::new(identity.genesis_unix, identity.block_delay_secs);
    if patient.devnet
        && let Some(first) = patient.first.clone()
        && let Ok(clock) = DevnetClock::connect(EndpointConfig::new(first)).await
    {
        findings.ok(AREA, "", "the devnet's own");
        return clock.now().await;
    }
    let now = wall.now().await;
    let heads: Vec<Epoch> = patient.pool.heads_now().await.into_iter().map(Epoch).collect();
    let off = |head: &Epoch| head.0.saturating_sub(now.epoch.0);
    let (Some(best), Some(worst)) = (heads.iter().map(off).max(), heads.iter().map(off).min()) else {
        return now;
    };
    let seconds = |epochs: i64| epochs.unsigned_abs().saturating_mul(identity.block_delay_secs);
    let fix = "set this machine's clock right and keep it so with a time service such as chrony";
    if best > raas_core::gate::HEAD_AHEAD_MAX {
        findings.problem(AREA, "", format!("is {} s behind the chain's newest head", seconds(best)), fix);
    } else if heads.len() > 1 && best < -raas_core::gate::HEAD_AGE_MAX && best == worst {
        let found = format!(
            "is {} s ahead of all {} endpoints, or the chain stands still",
            seconds(best),
            heads.len()
        );
        findings.problem(AREA, "", found, fix);
    } else {
        findings.ok(AREA, "", format!("epoch {}, the newest head is {best:+} epochs from it", now.epoch));
    }
    now
}

/// The node's key and what is on it. Its 0x account, when there is a key.
pub(super) async fn wallet(patient: &Patient<'_>, findings: &mut Findings) -> Option<EthAddress> {
    const AREA: &str = "wallet";
    let section = &patient.config.wallet;
    let own = patient.config.data_dir.join("wallet.key");
    let path = match (&section.key_file, &section.signer_socket) {
        (_, Some(socket)) => socket.as_path(),
        (Some(path), None) => path.as_path(),
        (None, None) if patient.devnet => own.as_path(),
        (None, None) => {
            let fix = "name the file with the node's key in wallet.key_file, or wallet.signer_socket";
            findings.problem(AREA, "", "no key is named", fix);
            return None;
        }
    };
    let name = path.display().to_string();
    if patient.devnet && !path.exists() {
        findings.ok(AREA, &name, "is made at the first start on a devnet");
        return None;
    }
    let signer = match key::signer(section, &patient.config.data_dir, patient.devnet).await {
        Ok(Some(signer)) => signer,
        Ok(None) => return None,
        Err(error) => {
            let fix = "a key file of mode 600 is needed, as `raas wallet new` makes it, with its passphrase in \
                       wallet.passphrase_file";
            findings.problem(AREA, &name, crate::causes::chain(&error), fix);
            return None;
        }
    };
    let identity = patient.identity.as_ref()?;
    let settings = WalletConfig {
        chain_id: identity.chain_id,
        genesis: Some(identity.genesis_cid.clone()),
        contracts: Vec::new(),
        max_gas_cost: AttoFil::fil(1),
    };
    let wallet = KeyWallet::new(signer, patient.pool.clone(), settings);
    let accounts = [
        (Lane::Native, wallet.native_address().to_string(), "pays for deals"),
        (Lane::Evm, format!("{:#x}", wallet.eth_address()), "pays the gas of the contract"),
    ];
    for (lane, address, purpose) in accounts {
        if lane == Lane::Evm && patient.config.contract.address.is_none() && !patient.devnet {
            continue;
        }
        match wallet.balance(lane).await {
            Ok(balance) if balance < MONEY_LOW => {
                let fix = format!("send FIL to {address}");
                findings.problem(AREA, &address, format!("{purpose} and has {balance} attoFIL"), &fix);
            }
            Ok(balance) => findings.ok(AREA, &address, format!("{purpose} and has {balance} attoFIL")),
            Err(why) => {
                let fix = "mend the endpoints above";
                findings.problem(AREA, &address, format!("its balance could not be read: {why}"), fix);
            }
        }
    }
    Some(wallet.eth_address())
}

/// The providers that may be used: whether they exist, and how many operators they are.
pub(super) async fn providers(patient: &Patient<'_>, round: &Round, findings: &mut Findings) {
    const AREA: &str = "providers";
    let Ok(named) = patient.config.providers() else { return };
    if named.is_empty() {
        if patient.devnet {
            findings.ok(AREA, "", "all of the devnet's");
        } else {
            let fix = "name the miner actors this node may use in deals.providers, such as [\"f01000\"]";
            findings.problem(AREA, "", "none is named", fix);
        }
        return;
    }
    let address = raas_clients::address::Address::Id(raas_core::ids::ActorId(0));
    let chain = LotusChain::new(patient.pool.clone(), address);
    let mut operators = BTreeSet::new();
    for provider in named {
        let name = provider.to_string();
        match chain.provider(round, provider).await {
            Ok(found) => {
                operators.insert(found.operator);
                if found.urls.is_empty() {
                    let fix = "ask its operator to announce an HTTP address, or leave it out";
                    findings.warning(AREA, &name, "announces no HTTP address to propose deals at", fix);
                } else {
                    findings.ok(
                        AREA,
                        &name,
                        format!("operator {}, {}", found.operator, found.urls.join(", ")),
                    );
                }
            }
            Err(why) => {
                let fix = "see that this miner actor exists on this network";
                findings.problem(AREA, &name, format!("could not be read: {why}"), fix);
            }
        }
    }
    let wanted = patient.config.policy.replicas_target as usize;
    if operators.len() < wanted {
        let found = format!("{} operators for {wanted} copies on distinct ones", operators.len());
        let fix = "name providers of more operators in deals.providers, or lower policy.replicas_target";
        findings.problem(AREA, "operators", found, fix);
    }
}

/// Where providers fetch the bytes.
pub(super) fn listeners(patient: &Patient<'_>, findings: &mut Findings) {
    const AREA: &str = "data listener";
    if patient.devnet {
        return;
    }
    let url = patient.config.listen.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let fix = "set listen.public_url to an address of listen.data that providers can reach from outside";
    match url.as_ref().and_then(url::Url::host) {
        None => {
            findings.problem(AREA, "", "listen.public_url is not set: providers cannot fetch pieces", fix)
        }
        Some(url::Host::Ipv4(ip)) if ip.is_loopback() || ip.is_private() || ip.is_link_local() => {
            findings.problem(AREA, &ip.to_string(), "is no address that others can reach", fix);
        }
        Some(url::Host::Domain("localhost")) => {
            findings.problem(AREA, "localhost", "is no address that others can reach", fix);
        }
        Some(host) => findings.ok(AREA, &host.to_string(), "is where providers are told to fetch pieces"),
    }
}
