//! Incidents: one row for one provider's trouble, however many replicas it concerns.

use raas_core::cid::DataCid;
use raas_core::ids::ProviderId;
use raas_core::units::{EPOCHS_PER_DAY, Epoch};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;
use super::schema::{int, parse, small, uint};
use super::watch::Mark;

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// Sectors are faulty.
    Faulty,
    /// Replicas are gone for good. Over when none was lost for a proving period.
    Lost,
    /// Its state could not be read.
    Unseen,
}

impl TroubleKind {
    /// What it says of copies.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Faulty => "faulty",
            Self::Lost => "lost",
            Self::Unseen => "out of sight",
        }
    }
}

/// A provider's trouble as a round found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Whose.
    pub provider: ProviderId,
    /// What.
    pub kind: TroubleKind,
    /// Replicas it concerns now, 0 when it is over; of a loss, those lost in this round.
    pub replicas: u32,
}

/// An incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// Whose trouble.
    #[schemars(with = "u64")]
    pub provider: ProviderId,
    /// What.
    pub kind: TroubleKind,
    /// Finalized height that opened it.
    #[schemars(with = "i64")]
    pub opened_at: Epoch,
    /// Finalized height of its last change.
    #[schemars(with = "i64")]
    pub last_at: Epoch,
    /// Finalized height at which it was over.
    #[schemars(with = "Option<i64>")]
    pub closed_at: Option<Epoch>,
    /// Replicas it concerns now; of a loss, all that were lost.
    pub replicas: u32,
    /// At its worst.
    pub worst: u32,
}

type Row = (i64, i64, String, i64, i64, Option<i64>, i64, i64);

/// In the order of [`Row`].
macro_rules! columns {
    () => {
        "id, provider, kind, opened_at, last_at, closed_at, replicas, worst"
    };
}

impl Store {
    /// At most `limit` incidents: open ones first, each with the most replicas first.
    pub async fn incidents(&self, limit: u32) -> Result<Vec<Incident>, Error> {
        let rows: Vec<Row> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM incident ORDER BY closed_at IS NOT NULL, closed_at DESC, worst DESC, id DESC LIMIT $1"
        ))
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(decode).collect()
    }

    /// One incident.
    pub async fn incident(&self, id: i64) -> Result<Option<Incident>, Error> {
        let row: Option<Row> = sqlx::query_as(concat!("SELECT ", columns!(), " FROM incident WHERE id = $1"))
            .bind(id)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map(decode).transpose()
    }

    /// What `provider` is in: its open incidents, and its last loss, which repairs outlast.
    pub async fn incidents_of(&self, provider: ProviderId) -> Result<Vec<Incident>, Error> {
        let rows: Vec<Row> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM incident WHERE provider = $1 AND (closed_at IS NULL OR id =
                 (SELECT MAX(id) FROM incident WHERE provider = $1 AND kind = 'lost')) ORDER BY id"
        ))
        .bind(int("provider", provider.number())?)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(decode).collect()
    }

    /// At most `limit` CIDs with an active copy at `provider`, of those with a faulty one if `faulty`; oldest holdings
    /// first.
    pub async fn cids_at(
        &self,
        provider: ProviderId,
        faulty: bool,
        limit: u32,
    ) -> Result<Vec<DataCid>, Error> {
        let marks = if faulty { (Mark::Suspect, Mark::Suspect) } else { (Mark::Proven, Mark::Doomed) };
        let rows: Vec<(String,)> = sqlx::query_as(
            "SELECT cid FROM holding WHERE id IN
                 (SELECT DISTINCT COALESCE(s.holding, o.holding) AS holding FROM orders o
                  LEFT JOIN order_slot s ON s.order_id = o.id
                  WHERE o.provider = $1 AND o.mark > 0 AND o.mark BETWEEN $2 AND $3 ORDER BY 1 LIMIT $4)
             ORDER BY id",
        )
        .bind(int("provider", provider.number())?)
        .bind(marks.0 as i64)
        .bind(marks.1 as i64)
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(|(cid,)| parse("cid", &cid)).collect()
    }
}

const fn name(kind: TroubleKind) -> &'static str {
    match kind {
        TroubleKind::Faulty => "faulty",
        TroubleKind::Lost => "lost",
        TroubleKind::Unseen => "unseen",
    }
}

/// Carries `troubles` into the incidents of the round at `height`; those that it opened or closed.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    troubles: &[Trouble],
    height: Epoch,
) -> Result<Vec<Incident>, Error> {
    let over: Vec<Row> = sqlx::query_as(concat!(
        "UPDATE incident SET closed_at = $1 WHERE closed_at IS NULL AND kind = 'lost' AND last_at < $2
         RETURNING ",
        columns!()
    ))
    .bind(height.0)
    .bind(height.0.saturating_sub(EPOCHS_PER_DAY))
    .fetch_all(&mut *connection)
    .await?;
    let mut turned: Vec<Incident> = over.into_iter().map(decode).collect::<Result<_, _>>()?;
    for trouble in troubles {
        let row = if trouble.replicas == 0 {
            close(connection, trouble, height).await?
        } else if update(connection, trouble, height).await? {
            None
        } else {
            Some(open(connection, trouble, height).await?)
        };
        turned.extend(row.map(decode).transpose()?);
    }
    Ok(turned)
}

async fn close(
    connection: &mut SqliteConnection,
    trouble: &Trouble,
    height: Epoch,
) -> Result<Option<Row>, Error> {
    let closed = sqlx::query_as(concat!(
        "UPDATE incident SET closed_at = $3, last_at = $3, replicas = 0
         WHERE provider = $1 AND kind = $2 AND closed_at IS NULL RETURNING ",
        columns!()
    ));
    let closed = closed.bind(int("provider", trouble.provider.number())?).bind(name(trouble.kind));
    Ok(closed.bind(height.0).fetch_optional(&mut *connection).await?)
}

/// False when none is open. Losses add up, anything else is a state.
async fn update(connection: &mut SqliteConnection, trouble: &Trouble, height: Epoch) -> Result<bool, Error> {
    let updated = sqlx::query(
        "UPDATE incident SET last_at = $3,
             replicas = $4 + CASE WHEN kind = 'lost' THEN replicas ELSE 0 END,
             worst = MAX(worst, $4 + CASE WHEN kind = 'lost' THEN replicas ELSE 0 END)
         WHERE provider = $1 AND kind = $2 AND closed_at IS NULL",
    )
    .bind(int("provider", trouble.provider.number())?)
    .bind(name(trouble.kind))
    .bind(height.0)
    .bind(i64::from(trouble.replicas))
    .execute(&mut *connection)
    .await?;
    Ok(updated.rows_affected() > 0)
}

async fn open(connection: &mut SqliteConnection, trouble: &Trouble, height: Epoch) -> Result<Row, Error> {
    let opened = sqlx::query_as(concat!(
        "INSERT INTO incident (provider, kind, opened_at, last_at, replicas, worst)
         VALUES ($1, $2, $3, $3, $4, $4) RETURNING ",
        columns!()
    ));
    let opened = opened.bind(int("provider", trouble.provider.number())?).bind(name(trouble.kind));
    Ok(opened.bind(height.0).bind(i64::from(trouble.replicas)).fetch_one(&mut *connection).await?)
}

fn decode(
    (id, provider, kind, opened_at, last_at, closed_at, replicas, worst): Row,
) -> Result<Incident, Error> {
    Ok(Incident {
        id,
        provider: ProviderId::new(uint("provider", provider)?),
        kind: match kind.as_str() {
            "faulty" => TroubleKind::Faulty,
            "lost" => TroubleKind::Lost,
            "unseen" => TroubleKind::Unseen,
            _ => return Err(Error::Unreadable { format: "incident kind", source: kind.into() }),
        },
        opened_at: Epoch(opened_at),
        last_at: Epoch(last_at),
        closed_at: closed_at.map(Epoch),
        replicas: small("replicas", replicas)?,
        worst: small("replicas", worst)?,
    })
}
