//! Keys of the API: whose they are, what they allow, until when. Of a secret only the hash is stored; it is shown once.

use raas_core::ids::OwnerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::fmt;
use std::str::FromStr;

use super::error::Error;
use super::open::Store;
use super::schema::parse;

/// How every key begins, so that it is found where it should not be.
const PREFIX: &str = "raas_";

/// What a key allows; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyScope {
    /// To see what its tenant has.
    Read,
    /// To change what its tenant has.
    Write,
    /// To see and change the node, its money and what all tenants have.
    Admin,
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for KeyScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            other => Err(format!("{other:?} is none of read, write, admin")),
        }
    }
}

/// A key as it is shown: everything but its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub struct ApiKey {
    /// The part of it that may be told.
    pub id: String,
    /// Whose.
    #[schemars(with = "String")]
    pub tenant: OwnerId,
    /// What it allows.
    pub scope: KeyScope,
    /// What it is for, in its maker's words.
    pub name: String,
    /// When it was made, seconds since 1970.
    pub made_unix: i64,
    /// When it ends, seconds since 1970.
    pub expires_unix: Option<i64>,
    /// When it was revoked, seconds since 1970.
    pub revoked_unix: Option<i64>,
}

impl ApiKey {
    /// Whether it opens anything at this time.
    #[must_use]
    pub fn is_valid(&self, now_unix: i64) -> bool {
        self.revoked_unix.is_none() && self.expires_unix.is_none_or(|end| now_unix < end)
    }
}

/// A key that is wanted.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose.
    pub tenant: OwnerId,
    /// What it allows.
    pub scope: KeyScope,
    /// What it is for.
    pub name: String,
    /// When it is made, seconds since 1970.
    pub made_unix: i64,
    /// When it ends, seconds since 1970.
    pub expires_unix: Option<i64>,
}

/// Why a key cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// Other names could be taken for owners that are no tenants.
    #[error("tenant: 1 to 64 small letters, digits and hyphens are a tenant's name, a letter first")]
    Tenant,
    /// The node has one owner.
    #[error("scope: admin is for the tenant local, who runs the node; give others read or write")]
    Admin,
    /// It would open nothing.
    #[error("expires: it would have ended already")]
    Expired,
    /// For people, and in every list.
    #[error("name: 100 bytes at most")]
    Name,
}

impl NewKey {
    /// Refuses what cannot be.
    pub fn check(&self) -> Result<(), NoKey> {
        let Self { tenant: OwnerId(tenant), scope, name, made_unix, expires_unix } = self;
        let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = tenant.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || tenant.len() > 64 || !tenant.chars().all(of_name) {
            return Err(NoKey::Tenant);
        }
        if *scope == KeyScope::Admin && *tenant != OwnerId::local().0 {
            return Err(NoKey::Admin);
        }
        if expires_unix.is_some_and(|end| end <= *made_unix) {
            return Err(NoKey::Expired);
        }
        if name.len() > 100 { Err(NoKey::Name) } else { Ok(()) }
    }
}

impl Store {
    /// Makes a key; its text is told here and never again.
    pub async fn make_key(&self, wanted: &NewKey) -> Result<(ApiKey, String), Error> {
        #[expect(clippy::disallowed_methods, reason = "a new key")]
        let (id, secret) = (rand::random::<[u8; 8]>(), rand::random::<[u8; 32]>());
        let id = hex::encode(id);
        let text = format!("{PREFIX}{id}_{}", hex::encode(secret));
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO api_key (id, tenant, scope, hash, name, made_unix, expires_unix)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&id)
        .bind(&wanted.tenant.0)
        .bind(wanted.scope.to_string())
        .bind(hash(&text).as_slice())
        .bind(&wanted.name)
        .bind(wanted.made_unix)
        .bind(wanted.expires_unix)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let NewKey { tenant, scope, name, made_unix, expires_unix } = wanted.clone();
        Ok((ApiKey { id, tenant, scope, name, made_unix, expires_unix, revoked_unix: None }, text))
    }

    /// All keys, oldest first; revoked and ended ones, too.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, Error> {
        let rows = sqlx::query("SELECT * FROM api_key ORDER BY made_unix, id")
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(decode).collect()
    }

    /// Whether any key was ever made: from then on callers need one.
    pub async fn has_keys(&self) -> Result<bool, Error> {
        let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM api_key)")
            .fetch_one(&mut *self.read().await?)
            .await?;
        Ok(any)
    }

    /// Ends a key now; false when there is none of this id, or it was revoked before.
    pub async fn revoke_key(&self, id: &str, now_unix: i64) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let revoked =
            sqlx::query("UPDATE api_key SET revoked_unix = $2 WHERE id = $1 AND revoked_unix IS NULL")
                .bind(id)
                .bind(now_unix)
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(revoked.rows_affected() > 0)
    }

    /// The key with this text, if it opens anything now.
    pub async fn key_of(&self, text: &str, now_unix: i64) -> Result<Option<ApiKey>, Error> {
        let Some((id, _)) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')) else {
            return Ok(None);
        };
        let row = sqlx::query("SELECT * FROM api_key WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let stored: Vec<u8> = row.try_get("hash")?;
        // Of a hash the time of a comparison tells nothing that helps.
        if stored != hash(text) {
            return Ok(None);
        }
        let key = decode(&row)?;
        Ok(key.is_valid(now_unix).then_some(key))
    }
}

/// What is stored of a key's text.
fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn decode(row: &SqliteRow) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        id: row.try_get("id")?,
        tenant: OwnerId(row.try_get("tenant")?),
        scope: parse("key scope", row.try_get("scope")?)?,
        name: row.try_get("name")?,
        made_unix: row.try_get("made_unix")?,
        expires_unix: row.try_get("expires_unix")?,
        revoked_unix: row.try_get("revoked_unix")?,
    })
}
