//! Encrypted key files: Web3 Secret Storage, version 3, as geth and ethers write and read it.
//!
//! The secret is encrypted with AES-128-CTR under a key that scrypt (or, in files of others, PBKDF2) derives from the
//! passphrase; a Keccak MAC tells a wrong passphrase from a right one. One file serves both addresses of a key, since
//! both come from one secp256k1 secret; the f1 address stands in a field of its own that others ignore. A file's
//! costs are bounded before anything is derived, so that a hostile one cannot take the machine's memory.

use crate::key::{Key, KeyError};
use aes::Aes128;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::keccak256;
use hmac::Hmac;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Cost of new files, the exponent of scrypt's N: 128 MiB and about half a second.
pub const LOG_N: u8 = 17;
const R: u32 = 8;
const P: u32 = 1;
/// Bytes of the derived key: half encrypts, half authenticates.
const DERIVED: usize = 32;
/// Most memory that a file may ask for, in bytes. geth's own files take a quarter of it.
const MEMORY_MAX: u64 = 1 << 30;
/// Most rounds of PBKDF2.
const ROUNDS_MAX: u32 = 10_000_000;
/// Most parallel runs of scrypt.
const P_MAX: u32 = 16;

/// A passphrase. It shows nothing and is wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Of a text as it was typed, or a file's first line.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether nothing was typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Passphrase {
    /// For the second time of typing only: not in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

/// Why a key file cannot be opened. Never says anything of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoreError {
    /// Not the JSON of a Web3 key file.
    #[error("this is no Web3 version 3 key file: {0}")]
    NotJson(String),
    /// Another version or cipher.
    #[error("key files of {0} are not supported; version 3 with aes-128-ctr and scrypt or pbkdf2 is")]
    Unsupported(String),
    /// Costs that no file needs.
    #[error("the key file asks for {0}, more than is granted")]
    TooCostly(String),
    /// The MAC does not match.
    #[error("the passphrase is wrong, or the key file is damaged")]
    WrongPassphrase,
    /// What was encrypted is no key.
    #[error("the key file holds no usable key")]
    NoKey(#[source] KeyError),
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    id: String,
    /// Hex without 0x. geth wants it; others leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, rename = "x-filecoin-address", skip_serializing_if = "Option::is_none")]
    filecoin_address: Option<String>,
    // Some old files write it with a capital.
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum KdfParams {
    Scrypt { dklen: u32, n: u64, r: u32, p: u32, salt: String },
    Pbkdf2 { dklen: u32, c: u32, prf: String, salt: String },
}

/// Fresh random bytes for one new file: salt, initial counter, id.
pub type Entropy = [u8; 64];

/// The text of a key file with `key`. `log_n` is the cost, [`LOG_N`] outside of tests.
#[must_use]
pub fn encrypt(key: &Key, passphrase: &Passphrase, log_n: u8, entropy: &Entropy) -> String {
    let (salt, rest) = entropy.split_at(32);
    let (iv, id) = rest.split_at(16);
    let n = 1_u64 << log_n.clamp(1, 20);
    let params = KdfParams::Scrypt { dklen: 32, n, r: R, p: P, salt: hex::encode(salt) };
    let derived = derive(&params, passphrase).expect("our own costs are granted");
    let mut text = key.secret_bytes();
    cipher(&derived, iv, text.as_mut_slice());
    let addresses = key.addresses();
    let file = File {
        version: 3,
        id: uuid(id),
        address: Some(hex::encode(addresses.eth)),
        filecoin_address: Some(addresses.native.to_string()),
        crypto: Crypto {
            cipher: "aes-128-ctr".to_owned(),
            cipherparams: CipherParams { iv: hex::encode(iv) },
            ciphertext: hex::encode(text.as_slice()),
            kdf: "scrypt".to_owned(),
            kdfparams: params,
            mac: hex::encode(mac(&derived, text.as_slice())),
        },
    };
    serde_json::to_string_pretty(&file).expect("texts and numbers are JSON")
}

/// The key in the text of a key file.
pub fn decrypt(text: &str, passphrase: &Passphrase) -> Result<Key, KeystoreError> {
    let file = parse(text)?;
    let crypto = &file.crypto;
    let bytes = |what: &str, text: &str| {
        hex::decode(text).map_err(|_| KeystoreError::NotJson(format!("{what} is no hex")))
    };
    let iv = bytes("iv", &crypto.cipherparams.iv)?;
    let mut secret = Zeroizing::new(bytes("ciphertext", &crypto.ciphertext)?);
    if iv.len() != 16 || secret.len() != 32 {
        return Err(KeystoreError::Unsupported("a key that has not 32 bytes".to_owned()));
    }
    let derived = derive(&crypto.kdfparams, passphrase)?;
    if mac(&derived, &secret).as_slice() != bytes("mac", &crypto.mac)? {
        return Err(KeystoreError::WrongPassphrase);
    }
    cipher(&derived, &iv, &mut secret);
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(secret.as_slice().try_into().unwrap_or_default());
    Key::from_bytes(&secret).map_err(KeystoreError::NoKey)
}

/// Whether a file's content looks like a key file, rather than a bare key.
#[must_use]
pub fn is_keystore(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// The addresses that a key file names, without its secret. They are not proven by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// f1, in files of this program.
    pub native: Option<String>,
    /// 0x.
    pub eth: Option<String>,
}

/// What a key file says of its addresses.
pub fn addresses_of(text: &str) -> Result<Named, KeystoreError> {
    let file = parse(text)?;
    let eth = file.address.map(|address| format!("0x{}", address.trim_start_matches("0x")));
    Ok(Named { native: file.filecoin_address, eth })
}

fn parse(text: &str) -> Result<File, KeystoreError> {
    let file: File = serde_json::from_str(text).map_err(|error| KeystoreError::NotJson(error.to_string()))?;
    if file.version != 3 {
        return Err(KeystoreError::Unsupported(format!("version {}", file.version)));
    }
    if file.crypto.cipher != "aes-128-ctr" {
        return Err(KeystoreError::Unsupported("another cipher".to_owned()));
    }
    Ok(file)
}

fn derive(params: &KdfParams, passphrase: &Passphrase) -> Result<Zeroizing<[u8; DERIVED]>, KeystoreError> {
    let mut derived = Zeroizing::new([0; DERIVED]);
    let secret = passphrase.0.as_bytes();
    let salt =
        |text: &str| hex::decode(text).map_err(|_| KeystoreError::NotJson("salt is no hex".to_owned()));
    let length = |dklen: &u32| match dklen {
        32 => Ok(()),
        other => Err(KeystoreError::Unsupported(format!("a derived key of {other} bytes"))),
    };
    match params {
        KdfParams::Scrypt { dklen, n, r, p, salt: text } => {
            length(dklen)?;
            let memory = n.saturating_mul(u64::from(*r)).saturating_mul(128);
            if memory > MEMORY_MAX || *p > P_MAX {
                return Err(KeystoreError::TooCostly(format!("{memory} bytes of memory, {p} times")));
            }
            let wrong = || KeystoreError::Unsupported(format!("scrypt with n {n}, r {r}, p {p}"));
            if !n.is_power_of_two() || *n < 2 {
                return Err(wrong());
            }
            let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| wrong())?;
            let params = scrypt::Params::new(log_n, *r, *p, DERIVED).map_err(|_| wrong())?;
            scrypt::scrypt(secret, &salt(text)?, &params, derived.as_mut_slice()).map_err(|_| wrong())?;
        }
        KdfParams::Pbkdf2 { dklen, c, prf, salt: text } => {
            length(dklen)?;
            if prf != "hmac-sha256" || *c == 0 {
                return Err(KeystoreError::Unsupported("another pseudo-random function".to_owned()));
            }
            if *c > ROUNDS_MAX {
                return Err(KeystoreError::TooCostly(format!("{c} rounds")));
            }
            pbkdf2::pbkdf2::<Hmac<Sha256>>(secret, &salt(text)?, *c, derived.as_mut_slice())
                .map_err(|_| KeystoreError::Unsupported("pbkdf2 of such a length".to_owned()))?;
        }
    }
    Ok(derived)
}

/// Encrypts and decrypts alike.
fn cipher(derived: &[u8; DERIVED], iv: &[u8], text: &mut [u8]) {
    let key = derived.get(..16).unwrap_or_default();
    let mut cipher = ctr::Ctr128BE::<Aes128>::new_from_slices(key, iv).expect("16 bytes each");
    cipher.apply_keystream(text);
}

fn mac(derived: &[u8; DERIVED], text: &[u8]) -> [u8; 32] {
    keccak256([derived.get(16..).unwrap_or_default(), text].concat()).0
}

/// 16 random bytes as a version 4 UUID.
fn uuid(bytes: &[u8]) -> String {
    let mut id: [u8; 16] = bytes.try_into().unwrap_or_default();
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    let hex = hex::encode(id);
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two examples of the Web3 Secret Storage definition, of one secret under "testpassword".
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
        "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256",
        "salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
        "kdfparams":{"dklen":32,"n":262144,"r":1,"p":8,
        "salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
        "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    fn word(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    #[test]
    fn of_the_definitions_examples_the_lawful_one_opens() {
        let key = Key::from_hex(SECRET).expect("a key");
        assert_eq!(decrypt(PBKDF2, &word("testpassword")).expect("open").addresses(), key.addresses());
        // RFC 7914 wants n below 2^(16 r), which the example of the definition is not; no wallet writes such files.
        let refused = decrypt(SCRYPT, &word("testpassword")).err();
        assert_eq!(refused, Some(KeystoreError::Unsupported("scrypt with n 262144, r 1, p 8".to_owned())));
        assert_eq!(decrypt(PBKDF2, &word("testpasswore")).err(), Some(KeystoreError::WrongPassphrase));
    }

    #[test]
    fn a_new_file_opens_with_its_passphrase_alone_and_does_not_show_the_secret() {
        let key = Key::from_hex(SECRET).expect("a key");
        let text = encrypt(&key, &word("päss wörd"), 10, &[7; 64]);
        assert!(is_keystore(&text) && !text.contains(SECRET));
        assert_eq!(decrypt(&text, &word("päss wörd")).expect("open").addresses(), key.addresses());
        assert_eq!(decrypt(&text, &word("pass word")).err(), Some(KeystoreError::WrongPassphrase));
        let named = addresses_of(&text).expect("a file");
        assert_eq!(named.eth.as_deref(), Some("0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b"));
        assert_eq!(named.native, Some(key.native_address().to_string()));
        assert_ne!(text, encrypt(&key, &word("päss wörd"), 10, &[8; 64]), "salted");
        assert!(!is_keystore(SECRET));
        assert_eq!(format!("{:?}", word("x")), "Passphrase(redacted)");
    }

    #[test]
    fn hostile_and_foreign_files_are_refused_before_anything_is_derived() {
        let refused = |from: &str, to: &str| {
            let text = SCRYPT.replace(from, to);
            assert_ne!(text, SCRYPT);
            decrypt(&text, &word("testpassword")).expect_err(to)
        };
        assert!(matches!(refused("\"n\":262144", "\"n\":1073741824"), KeystoreError::TooCostly(_)));
        assert!(matches!(refused("\"p\":8", "\"p\":4000000000"), KeystoreError::TooCostly(_)));
        assert!(matches!(refused("\"n\":262144", "\"n\":262143"), KeystoreError::Unsupported(_)));
        assert!(matches!(refused("\"dklen\":32", "\"dklen\":16"), KeystoreError::Unsupported(_)));
        assert!(matches!(refused("\"version\":3", "\"version\":1"), KeystoreError::Unsupported(_)));
        assert!(matches!(refused("aes-128-ctr", "aes-256-gcm"), KeystoreError::Unsupported(_)));
        assert!(matches!(refused("d172bf", "zz72bf"), KeystoreError::NotJson(_)));
        assert!(matches!(refused("d172bf", "d1"), KeystoreError::Unsupported(_)));
        assert!(matches!(decrypt("{}", &word("")), Err(KeystoreError::NotJson(_))));
        let many = PBKDF2.replace("\"c\":262144", "\"c\":4000000000");
        assert!(matches!(decrypt(&many, &word("")), Err(KeystoreError::TooCostly(_))));
    }
}
