//! What is on the disk: migrations, the version of every stored JSON format, and numbers to and from columns.

use raas_core::ids::DealId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqliteConnection};
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use super::error::Error;

/// All migrations, oldest first. A released one is never changed: its checksum is compared at each start.
pub(super) fn migrator() -> Migrator {
    let migration = |number, name, sql: &'static str| {
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        migration(1, "first", include_str!("migrations/0001_first.sql")),
        migration(21, "watch", include_str!("migrations/0021_watch.sql")),
        migration(22, "spending", include_str!("migrations/0022_spending.sql")),
        migration(23, "deployments", include_str!("migrations/0023_deployments.sql")),
        migration(24, "aggregates", include_str!("migrations/0024_aggregates.sql")),
        migration(25, "batches", include_str!("migrations/0025_batches.sql")),
        migration(26, "leads", include_str!("migrations/0026_leads.sql")),
        migration(27, "sectors", include_str!("migrations/0027_sectors.sql")),
        migration(28, "history", include_str!("migrations/0028_history.sql")),
        migration(29, "keeping", include_str!("migrations/0029_keeping.sql")),
        migration(30, "piece aggregates", include_str!("migrations/0030_piece_aggregates.sql")),
        migration(32, "wholes", include_str!("migrations/0032_wholes.sql")),
        migration(33, "packing", include_str!("migrations/0033_packing.sql")),
        migration(35, "keys", include_str!("migrations/0035_keys.sql")),
        migration(36, "figures", include_str!("migrations/0036_figures.sql")),
    ])
}

/// Refuses a store whose schema is not the one of this program: a process beside the node does not change it.
pub(super) async fn is_current(connection: &mut SqliteConnection) -> Result<(), Error> {
    let found: i64 = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await?;
    let known = migrator().iter().map(|migration| migration.version).max().unwrap_or_default();
    if found == known { Ok(()) } else { Err(Error::OtherSchema { found, known }) }
}

/// One JSON format with the version written now. Older versions stay readable for ever.
pub(super) struct Format {
    name: &'static str,
    version: u32,
}

#[derive(Serialize)]
struct Write<'a, T> {
    v: u32,
    d: &'a T,
}

#[derive(Deserialize)]
struct Read<'a> {
    v: u32,
    #[serde(borrow)]
    d: &'a RawValue,
}

impl Format {
    const fn v1(name: &'static str) -> Self {
        Self { name, version: 1 }
    }

    /// `value` in its envelope.
    pub(super) fn encode<T: Serialize>(&self, value: &T) -> Result<String, Error> {
        serde_json::to_string(&Write { v: self.version, d: value }).map_err(|error| self.unreadable(error))
    }

    /// The value in `text`; a version newer than this program's is refused.
    pub(super) fn decode<T: DeserializeOwned>(&self, text: &str) -> Result<T, Error> {
        let stored: Read<'_> = serde_json::from_str(text).map_err(|error| self.unreadable(error))?;
        if stored.v > self.version {
            return Err(Error::NewerFormat { format: self.name, found: stored.v, known: self.version });
        }
        serde_json::from_str(stored.d.get()).map_err(|error| self.unreadable(error))
    }

    /// The value in a nullable column.
    pub(super) fn decode_option<T: DeserializeOwned>(&self, text: Option<&str>) -> Result<Option<T>, Error> {
        text.map(|text| self.decode(text)).transpose()
    }

    fn unreadable(&self, error: serde_json::Error) -> Error {
        Error::Unreadable { format: self.name, source: Box::new(error) }
    }
}

pub(super) static DUTIES: Format = Format::v1("job duties");
pub(super) static POLICY: Format = Format::v1("job policy");
pub(super) const SOURCE: Format = Format::v1("job source");
pub(super) const ON_CHAIN: Format = Format::v1("job registration");
pub(super) static CAUSE: Format = Format::v1("order cause");
pub(super) const ORDER_STATE: Format = Format::v1("order state");
pub(super) const HALT: Format = Format::v1("account's halt");
pub(super) const RESTORED: Format = Format::v1("note of a restored store");
pub(super) const TX_INTENT: Format = Format::v1("transaction intent");
pub(super) const TX_STATE: Format = Format::v1("transaction state");
pub(super) const CURSOR: Format = Format::v1("event cursor");
pub(super) const PROVIDER: Format = Format::v1("provider");
pub(super) const ASK: Format = Format::v1("ask");
pub(super) const UPLOAD_STATE: Format = Format::v1("upload state");
pub(super) const ROUND: Format = Format::v1("round");
pub(super) const BREAKER: Format = Format::v1("breaker");
pub(super) const VIEW: Format = Format::v1("provider view");
pub(super) const EVENT: Format = Format::v1("event");
pub(super) const PROPOSAL: Format = Format::v1("deal proposal as seen");

/// Decodes a column in which one text follows upon itself in row after row, once for each that is new.
pub(super) struct Repeated<T> {
    format: &'static Format,
    last: Option<(String, T)>,
}

impl<T: DeserializeOwned + Clone> Repeated<T> {
    /// Of `format`.
    pub(super) const fn of(format: &'static Format) -> Self {
        Self { format, last: None }
    }

    /// The value in `text`.
    pub(super) fn decode(&mut self, text: &str) -> Result<T, Error> {
        match &self.last {
            Some((known, value)) if known == text => Ok(value.clone()),
            _ => {
                let value: T = self.format.decode(text)?;
                self.last = Some((text.to_owned(), value.clone()));
                Ok(value)
            }
        }
    }
}

/// An unsigned number as a column holds it.
pub(super) fn int(what: &'static str, value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::OutOfRange { what, value: value.to_string() })
}

/// A column's number, which is never negative.
pub(super) fn uint(what: &'static str, value: i64) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| Error::OutOfRange { what, value: value.to_string() })
}

/// A deal's id as a column holds it: a contract's own ids begin at 2^63, and are the same bits with a sign.
pub(super) const fn deal_int(deal: DealId) -> i64 {
    deal.0.cast_signed()
}

/// A column's deal.
pub(super) const fn deal_id(value: i64) -> DealId {
    DealId(value.cast_unsigned())
}

/// A column's small number.
pub(super) fn small(what: &'static str, value: i64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::OutOfRange { what, value: value.to_string() })
}

/// A column's text as what it stands for.
pub(super) fn parse<T>(what: &'static str, text: &str) -> Result<T, Error>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| Error::Unreadable { format: what, source: error.to_string().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_reads_what_it_wrote_and_refuses_a_newer_one() {
        let text = BREAKER.encode(&raas_core::fleet::Breaker::default()).expect("serialisable");
        assert_eq!(text, r#"{"v":1,"d":{"providers":{},"fleet":null}}"#);
        assert_eq!(
            BREAKER.decode::<raas_core::fleet::Breaker>(&text).expect("readable"),
            raas_core::fleet::Breaker::default()
        );
        let newer = text.replace("\"v\":1", "\"v\":2");
        let error = BREAKER.decode::<raas_core::fleet::Breaker>(&newer).expect_err("newer");
        assert!(matches!(error, Error::NewerFormat { format: "breaker", found: 2, known: 1 }), "{error}");
        assert!(matches!(BREAKER.decode::<u8>("{}"), Err(Error::Unreadable { format: "breaker", .. })));
    }

    #[test]
    fn numbers_at_the_edges() {
        assert_eq!(int("deal", i64::MAX as u64).expect("fits"), i64::MAX);
        assert!(matches!(int("order", 1 << 63), Err(Error::OutOfRange { what: "order", .. })));
        for deal in [DealId(0), DealId((1 << 63) - 1), DealId::FIRST_OF_SECTORS, DealId(u64::MAX)] {
            assert_eq!(deal_id(deal_int(deal)), deal);
            assert_eq!(deal_int(deal) < 0, deal.is_of_sector());
        }
        assert!(uint("deal", -1).is_err());
        assert!(small("slot", 1 << 32).is_err());
    }
}
