//! The synthetic fleet: bulk deals on the devnet, and the same copies in the node's store.

use crate::net::Net;
use crate::{FINAL, PERIOD, Size};
use raas_core::cid::{Commitment, DataCid};
use raas_core::health::{Health, HealthRecord, Term};
use raas_core::ids::{ActorId, DealId, OperatorId, OrderId, OwnerId, ProviderId, SectorNumber};
use raas_core::order::{Cause, OnChain, Order, OrderState, ReplicaRef};
use raas_core::policy::{Duties, KeepLocal, Placement, Policy, Replicas};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use raas_node::store::{Import, JobSource, NewJob, NewPiece, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Pieces of one bulk order.
const STRIPE: u64 = 500;
const PIECE_BYTES: u64 = 32 << 30;

/// Deals of one bulk order.
pub struct Made {
    pub provider: ProviderId,
    pub operator: OperatorId,
    pub first_piece: u64,
    pub first_deal: u64,
    pub first_sector: u64,
    pub count: u64,
    pub pending: u64,
    pub start: i64,
    pub end: i64,
}

/// Three layers of stripes over all providers, and a fourth of a third of the pieces at one provider more.
pub async fn build(net: &Net, size: Size) -> Vec<Made> {
    let answer = net.call("devnet_addProviders", json!([size.providers + 1])).await;
    let ids: Vec<u64> = answer.as_array().unwrap().iter().map(number).collect();
    // 10/3 replicas of each piece.
    let stripe = STRIPE.min(size.replicas / 10 * 3 / size.providers).max(1);
    let pieces = size.replicas / 10 * 3 / stripe * stripe;
    let stripes = pieces / stripe;
    let mut made = Vec::new();
    for layer in 0..3 {
        for at in 0..stripes {
            let provider = ids[usize::try_from((at + layer * 151) % size.providers).unwrap()];
            let pending = if layer == 2 { stripe * 3 / 1_000 } else { 0 };
            made.push(order(net, provider, at * stripe, stripe, pending).await);
        }
    }
    let big = *ids.last().unwrap();
    made.push(order(net, big, 0, pieces / 3, 0).await);
    made
}

async fn order(net: &Net, provider: u64, first_piece: u64, count: u64, pending: u64) -> Made {
    let options = json!({ "firstPiece": first_piece, "pieceSize": PIECE_BYTES, "pending": pending });
    let made = net.call("devnet_bulkDeals", json!([provider, count, options])).await;
    Made {
        provider: ProviderId::new(provider),
        operator: OperatorId(ActorId(1_000_000 + provider)),
        first_piece,
        first_deal: made["firstDeal"].as_u64().unwrap(),
        first_sector: made["firstSector"].as_u64().unwrap(),
        count,
        pending,
        start: made["startEpoch"].as_i64().unwrap(),
        end: made["endEpoch"].as_i64().unwrap(),
    }
}

/// `"f01000"` or `1000`, bare or as the `id` of an object.
fn number(value: &Value) -> u64 {
    let value = value.get("id").unwrap_or(value);
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap()[2..].parse().unwrap())
}

/// The holdings of all pieces in the node's store.
pub async fn fill(folder: &Path, net: &Net, made: &[Made]) -> usize {
    let store = Store::open(&folder.join("raas.sqlite"), "bench").await.unwrap();
    let now = net.call("devnet_now", json!([])).await;
    let head = now["height"].as_i64().unwrap();
    let mut by_piece: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
    for (at, made) in made.iter().enumerate() {
        for offset in 0..made.count {
            by_piece.entry(made.first_piece + offset).or_default().push((at, offset));
        }
    }
    let pieces: Vec<u64> = by_piece.keys().copied().collect();
    let mut holdings = 0;
    for page in pieces.chunks(1_000) {
        let cids = net.call("devnet_bulkPieces", json!([page[0], page.len()])).await;
        let imports: Vec<Import> = page
            .iter()
            .zip(cids.as_array().unwrap())
            .map(|(piece, cid)| {
                let text = cid["/"].as_str().unwrap();
                import(text, by_piece[piece].iter().map(|(at, offset)| (&made[*at], *offset)), head)
            })
            .collect();
        holdings += store.import(&imports).await.unwrap().len();
    }
    store.close().await;
    holdings
}

fn import<'a>(cid: &str, copies: impl Iterator<Item = (&'a Made, u64)>, head: i64) -> Import {
    let commitment: Commitment = cid.parse().unwrap();
    let size = PaddedSize::new(PIECE_BYTES).unwrap();
    let cid: DataCid = cid.parse().unwrap();
    let copies: Vec<Order> =
        copies.map(|(made, offset)| copy(made, offset, commitment, size, head)).collect();
    let target = u32::try_from(copies.len()).unwrap();
    Import {
        job: NewJob {
            owner: OwnerId::local(),
            cid: cid.clone(),
            duties: Duties::ALL,
            policy: policy(target),
            source: JobSource::Api,
            on_chain: None,
            position: None,
            at: Epoch(head),
            at_unix: 0,
            idempotency_key: None,
        },
        piece: NewPiece {
            root: cid,
            commitment,
            size,
            car_bytes: PIECE_BYTES / 128 * 127,
            payload_bytes: PIECE_BYTES / 2,
        },
        copies,
    }
}

fn copy(made: &Made, offset: u64, piece: Commitment, size: PaddedSize, head: i64) -> Order {
    let is_pending = offset >= made.count - made.pending;
    let term = Term { start: Epoch(made.start), end: Epoch(made.end) };
    let replica = ReplicaRef::Deal(DealId(made.first_deal + offset));
    let proven = HealthRecord {
        health: Health::Proven,
        fault: None,
        proven_at: Some(Epoch(head)),
        at: Epoch(head - FINAL),
    };
    let state = if is_pending {
        // Never sealed: it stays pending for as long as the measurement takes.
        let term = Term { start: Epoch(made.start + 20 * PERIOD), ..term };
        OrderState::Published(OnChain {
            replica,
            term,
            sector: None,
            health: HealthRecord::pending(Epoch(head)),
        })
    } else {
        let sector = Some(SectorNumber(made.first_sector + offset));
        OrderState::Active(OnChain { replica, term, sector, health: proven })
    };
    Order {
        id: OrderId(0),
        piece,
        size,
        within: None,
        provider: made.provider,
        operator: made.operator,
        cause: Cause::Adopt,
        price_per_epoch: AttoFil::ZERO,
        duration: Epochs::new(made.end - made.start).unwrap(),
        planned_at: Epoch(head),
        state,
    }
}

/// Patient enough that a fleet with faults is at rest.
fn policy(target: u32) -> Policy {
    Policy {
        replicas: Replicas { min: 1, target, max: target + 1 },
        renew_before: Epochs::days(30),
        repair_after: Epochs::days(14),
        duration: Epochs::days(540),
        start_delay: Epochs::days(3),
        ends_at: None,
        placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil::fil(1) },
        keep_local: KeepLocal::Always,
    }
}
