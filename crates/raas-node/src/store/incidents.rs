//! Incidents: one row for one provider's trouble, however many replicas it concerns.

use raas_core::ids::ProviderId;
use raas_core::units::{EPOCHS_PER_DAY, Epoch};
use serde::Serialize;
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;
use super::schema::{int, small, uint};

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// Sectors are faulty.
    Faulty,
    /// Replicas are gone for good. Over when none was lost for a proving period.
    Lost,
    /// Its state could not be read.
    Unseen,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// Whose trouble.
    pub provider: ProviderId,
    /// What.
    pub kind: TroubleKind,
    /// Finalized height that opened it.
    pub opened_at: Epoch,
    /// Finalized height of its last change.
    pub last_at: Epoch,
    /// Finalized height at which it was over.
    pub closed_at: Option<Epoch>,
    /// Replicas it concerns now; of a loss, all that were lost.
    pub replicas: u32,
    /// At its worst.
    pub worst: u32,
}

type Row = (i64, i64, String, i64, i64, Option<i64>, i64, i64);

impl Store {
    /// At most `limit` incidents: open ones first, each with the most replicas first.
    pub async fn incidents(&self, limit: u32) -> Result<Vec<Incident>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, provider, kind, opened_at, last_at, closed_at, replicas, worst FROM incident
             ORDER BY closed_at IS NOT NULL, closed_at DESC, worst DESC, id DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(decode).collect()
    }
}

const fn name(kind: TroubleKind) -> &'static str {
    match kind {
        TroubleKind::Faulty => "faulty",
        TroubleKind::Lost => "lost",
        TroubleKind::Unseen => "unseen",
    }
}

/// Carries `troubles` into the incidents of the round at `height`.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    troubles: &[Trouble],
    height: Epoch,
) -> Result<(), Error> {
    if !troubles.is_empty() {
        sqlx::query(
            "UPDATE incident SET closed_at = $1 WHERE closed_at IS NULL AND kind = 'lost' AND last_at < $2",
        )
        .bind(height.0)
        .bind(height.0.saturating_sub(EPOCHS_PER_DAY))
        .execute(&mut *connection)
        .await?;
    }
    for trouble in troubles {
        let provider = int("provider", trouble.provider.number())?;
        if trouble.replicas == 0 {
            sqlx::query(
                "UPDATE incident SET closed_at = $3, last_at = $3, replicas = 0
                 WHERE provider = $1 AND kind = $2 AND closed_at IS NULL",
            )
            .bind(provider)
            .bind(name(trouble.kind))
            .bind(height.0)
            .execute(&mut *connection)
            .await?;
            continue;
        }
        sqlx::query(
            "INSERT INTO incident (provider, kind, opened_at, last_at, replicas, worst)
             VALUES ($1, $2, $3, $3, $4, $4) ON CONFLICT (provider, kind) WHERE closed_at IS NULL
             DO UPDATE SET last_at = excluded.last_at,
             replicas = excluded.replicas + CASE WHEN incident.kind = 'lost' THEN incident.replicas ELSE 0 END,
             worst = MAX(incident.worst, excluded.replicas
                 + CASE WHEN incident.kind = 'lost' THEN incident.replicas ELSE 0 END)",
        )
        .bind(provider)
        .bind(name(trouble.kind))
        .bind(height.0)
        .bind(i64::from(trouble.replicas))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
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
