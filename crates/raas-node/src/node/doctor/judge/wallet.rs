//! The key and what is on it.

use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Account, Key, KeyTrouble, Looked};
use raas_core::ports::Lane;
use raas_core::units::AttoFil;

/// A wallet with less is at its end.
const MONEY_LOW: AttoFil = AttoFil::fil(1);

/// Key and accounts.
pub(super) fn judge(looked: &Looked, findings: &mut Findings) {
    match &looked.wallet.key {
        Key::Unnamed => {
            let fix = "name the file with the node's key in wallet.key_file (`raas wallet new --to FILE` makes one), or \
                       wallet.signer_socket";
            findings.bad(Code::KeyUnnamed, "", "no key is named", fix);
        }
        Key::ToBeMade { path } => {
            findings.ok(Code::KeyToBeMade, path, "is made at the first start on a devnet");
        }
        Key::File { path, opens: Ok(encrypted) } => opened(path, *encrypted, looked.devnet, findings),
        Key::File { path, opens: Err(trouble) } => locked(path, trouble, findings),
        Key::Signer { path, answers: Ok(()) } => {
            findings.ok(Code::KeyOpens, path, "a signer has the key");
        }
        Key::Signer { path, answers: Err(why) } => {
            let fix = "start it: `raas wallet signer --key-file FILE --socket PATH`, under a user whose socket this one may open";
            findings.bad(Code::SignerAway, path, why, fix);
        }
    }
    let uses_contract = looked.devnet || !looked.contracts.list.is_empty();
    for account in &looked.wallet.accounts {
        if account.lane == Lane::Native || uses_contract {
            funds(account, findings);
        }
    }
}

fn opened(path: &str, encrypted: bool, devnet: bool, findings: &mut Findings) {
    if encrypted || devnet {
        findings.ok(Code::KeyOpens, path, "holds the key");
    } else {
        let fix = format!("`raas wallet import {path} --to FILE` makes an encrypted file of it");
        findings.bad(Code::KeyPlain, path, "holds the key, and is not encrypted", fix);
    }
}

fn locked(path: &str, trouble: &KeyTrouble, findings: &mut Findings) {
    match trouble {
        KeyTrouble::OpenToOthers(open) => {
            findings.bad(
                Code::KeyOpenToOthers,
                open,
                "can be read by other users",
                format!("chmod 600 {open}"),
            );
        }
        KeyTrouble::Unreadable(why) => {
            let fix = "see that the file is there and that this user may read it";
            findings.bad(Code::KeyUnreadable, path, why, fix);
        }
        KeyTrouble::NoKey(why) => {
            let fix =
                "name a key file as `raas wallet new` or `raas wallet import` makes it in wallet.key_file";
            findings.bad(Code::KeyNone, path, why, fix);
        }
        KeyTrouble::Locked(why) => {
            let fix = "put the passphrase into the first line of a file of mode 600 and name it in wallet.passphrase_file";
            findings.bad(Code::KeyLocked, path, why, fix);
        }
    }
}

fn funds(account: &Account, findings: &mut Findings) {
    let Account { lane, address, balance } = account;
    let purpose = match lane {
        Lane::Native => "pays for deals",
        Lane::Evm => "pays the gas of the contract",
    };
    match balance {
        Ok(balance) if *balance < MONEY_LOW => {
            let fix = format!("send FIL to {address}");
            findings.bad(Code::MoneyLow, address, format!("{purpose} and has {balance} attoFIL"), fix);
        }
        Ok(balance) => {
            findings.ok(Code::Funded, address, format!("{purpose} and has {balance} attoFIL"));
        }
        Err(why) => {
            let found = format!("its balance could not be read: {why}");
            findings.bad(Code::BalanceUnread, address, found, "mend the endpoints above");
        }
    }
}
