//! Messages to the verified registry f06 and its token f07: how DataCap is given, set aside for pieces, and given back.
//!
//! Network version 29 freezes both actors (FIP-0118): every message is forbidden then, and reads go on.

use super::publish::Skipped;
use super::{
    actor_events::EventBuilder,
    calls::{read, write},
    command::{CommandError, Outcome},
    registry::{Allocation, Claim},
    state::{World, read_address},
    timeline::StateAt,
};
use crate::codec::{Address, DealProposal, TokenAmount, to_cbor};
use cid::Cid;
use raas_core::{
    ids::{ActorId, ProviderId, SectorNumber},
    units::{AttoFil, PaddedSize},
};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// The verified registry.
pub(super) const REGISTRY: ActorId = ActorId(6);
/// Its token.
pub(super) const DATACAP: ActorId = ActorId(7);
/// Who gives DataCap on this network.
pub(super) const VERIFIER: ActorId = ActorId(998);
/// What the verifier has to give when the world begins: 1 EiB.
pub(super) const VERIFIER_ALLOWANCE: u64 = 1 << 60;
/// The shortest and the longest term.
const TERM_MIN: i64 = 518_400;
const TERM_MAX: i64 = 5_259_485;
/// How far ahead an allocation may expire: 60 days.
const EXPIRATION_MAX: i64 = 172_800;
/// How much longer than its deal a verified deal's claim may last: 90 days.
const DEAL_TERM_BUFFER: i64 = 259_200;
/// The smallest verified piece.
const SIZE_MIN: u64 = 1 << 20;
/// f07 counts in units of 10^-18 bytes.
const PER_BYTE: u128 = 1_000_000_000_000_000_000;

/// f06 AddVerifiedClient.
const ADD_VERIFIED_CLIENT: u64 = 4;
/// f06 methods that everybody may call.
const EXTEND_CLAIM_TERMS: u64 = 1_752_273_514;
const REMOVE_EXPIRED_ALLOCATIONS: u64 = 2_421_068_268;
const REMOVE_EXPIRED_CLAIMS: u64 = 2_873_373_899;
/// f07 Transfer, and TransferFrom, which nobody has an allowance for.
const TRANSFER: u64 = 80_475_954;
const TRANSFER_FROM: u64 = 3_621_052_141;

const ILLEGAL_ARGUMENT: i64 = 16;
const NOT_FOUND: i64 = 17;
const FORBIDDEN: i64 = 18;
const INSUFFICIENT_FUNDS: i64 = 19;

/// Whether a method changes something at f06 or f07.
pub(super) const fn mutates(actor: ActorId, method: u64) -> bool {
    match actor {
        REGISTRY => matches!(
            method,
            ADD_VERIFIED_CLIENT | EXTEND_CLAIM_TERMS | REMOVE_EXPIRED_ALLOCATIONS | REMOVE_EXPIRED_CLAIMS
        ),
        DATACAP => matches!(method, TRANSFER | TRANSFER_FROM),
        _ => false,
    }
}

/// Bytes of DataCap as f07 counts them.
pub(super) fn tokens(bytes: u64) -> TokenAmount {
    TokenAmount(AttoFil(u128::from(bytes) * PER_BYTE))
}

/// `[provider, data, size, term_min, term_max, expiration]`
#[derive(Deserialize)]
struct Request(u64, Cid, u64, i64, i64, i64);

/// `[provider, claim, term_max]`
#[derive(Deserialize)]
struct Extension(u64, u64, i64);

/// What one message to the registry is about.
#[derive(Clone, Copy)]
struct Received {
    epoch: i64,
    from: ActorId,
    cid: Cid,
}

/// Failures of a batch by their place; how many went well.
fn batch(results: impl IntoIterator<Item = Result<(), i64>>) -> (u64, Vec<(u64, i64)>) {
    let (mut done, mut failed) = (0, Vec::new());
    for (index, result) in (0_u64..).zip(results) {
        match result {
            Ok(()) => done += 1,
            Err(exit) => failed.push((index, exit)),
        }
    }
    (done, failed)
}

impl World {
    /// A message to f06 or f07: its return, or the exit code.
    pub(super) fn registry_message(
        &mut self,
        epoch: i64,
        (from, to): (ActorId, ActorId),
        cid: Cid,
        method: u64,
        params: &[u8],
    ) -> Result<Vec<u8>, i64> {
        if mutates(to, method) && self.is_frozen(StateAt(epoch)) {
            return Err(FORBIDDEN);
        }
        let message = Received { epoch, from, cid };
        match (to, method) {
            (DATACAP, TRANSFER) => self.transfer_datacap(message, params),
            (DATACAP, TRANSFER_FROM) => Err(INSUFFICIENT_FUNDS),
            (REGISTRY, ADD_VERIFIED_CLIENT) => self.add_verified_client(message, params),
            (REGISTRY, EXTEND_CLAIM_TERMS) => self.extend_claims(message, params),
            (REGISTRY, REMOVE_EXPIRED_ALLOCATIONS) => self.remove_allocations(message, params),
            (REGISTRY, REMOVE_EXPIRED_CLAIMS) => self.remove_claims(message, params),
            _ => self.registry_read(StateAt(epoch), to, method, params),
        }
    }

    /// f07 Transfer: DataCap goes to the registry only, which sets it aside for the pieces that the operator data names.
    fn transfer_datacap(&mut self, message: Received, params: &[u8]) -> Result<Vec<u8>, i64> {
        let Received { epoch, from, cid } = message;
        let (to, amount, data): (Address, TokenAmount, ByteBuf) = read(params)?;
        let to = self.actors.lookup(&to, StateAt::NEWEST).ok_or(ILLEGAL_ARGUMENT)?;
        if to != REGISTRY {
            return Err(FORBIDDEN);
        }
        if !amount.0.0.is_multiple_of(PER_BYTE) {
            return Err(ILLEGAL_ARGUMENT);
        }
        let own = self.registry.datacap(from, StateAt::NEWEST);
        let sent = u64::try_from(amount.0.0 / PER_BYTE).ok().filter(|sent| *sent <= own);
        let sent = sent.ok_or(INSUFFICIENT_FUNDS)?;
        let (requests, extensions): (Vec<Request>, Vec<Extension>) = read(&data)?;
        let allocations = requests.into_iter().map(|request| self.requested(epoch, from, request));
        let allocations = allocations.collect::<Result<Vec<_>, _>>()?;
        let claims = extensions.into_iter().map(|extension| self.extended(epoch, &extension));
        let claims = claims.collect::<Result<Vec<_>, _>>()?;
        let allocated: u64 = allocations.iter().map(|allocation| allocation.size).sum();
        let spent: u64 = claims.iter().map(|claim| claim.size).sum();
        if allocated.checked_add(spent) != Some(sent) {
            return Err(ILLEGAL_ARGUMENT);
        }
        let results = (batch(allocations.iter().map(|_| Ok(()))), batch(claims.iter().map(|_| Ok(()))));
        let left = self.registry.change(from, epoch, |own| own - sent);
        let mut ids = Vec::with_capacity(allocations.len());
        for allocation in allocations {
            let made = self.registry.allocate(epoch, allocation);
            self.emit(epoch, REGISTRY, cid, EventBuilder::allocation("allocation", &made));
            ids.push(made.id);
        }
        for claim in claims {
            self.emit(epoch, REGISTRY, cid, EventBuilder::claim("claim-updated", &claim));
            self.registry.put_claim(epoch, claim);
        }
        // What the extensions cost is burnt; the rest waits with the registry until it is claimed or given back.
        let held = self.registry.change(REGISTRY, epoch, |held| held + allocated);
        let told = ByteBuf::from(write(&(results.0, results.1, ids))?);
        write(&(tokens(left), tokens(held), told))
    }

    fn requested(&self, epoch: i64, client: ActorId, request: Request) -> Result<Allocation, i64> {
        let Request(provider, data, size, term_min, term_max, expiration) = request;
        let provider = ProviderId::new(provider);
        let good = size >= SIZE_MIN
            && PaddedSize::new(size).is_ok()
            && (TERM_MIN..=term_max).contains(&term_min)
            && term_max <= TERM_MAX
            && (epoch..=epoch + EXPIRATION_MAX).contains(&expiration)
            && self.miners.contains_key(&provider);
        let allocation =
            Allocation { id: 0, client, provider, data, size, term: (term_min, term_max), expiration };
        if good { Ok(allocation) } else { Err(ILLEGAL_ARGUMENT) }
    }

    /// A claim with a longer term that somebody's DataCap pays for.
    fn extended(&self, epoch: i64, extension: &Extension) -> Result<Claim, i64> {
        let Extension(provider, id, term_max) = *extension;
        let claim = self.registry.claim(ProviderId::new(provider), id, StateAt::NEWEST).ok_or(NOT_FOUND)?;
        if term_max <= claim.term.1 || term_max > epoch + TERM_MAX - claim.start {
            return Err(ILLEGAL_ARGUMENT);
        }
        if epoch > claim.expiration() {
            return Err(FORBIDDEN);
        }
        Ok(Claim { term: (claim.term.0, term_max), ..claim.clone() })
    }

    /// AddVerifiedClient: the verifier gives DataCap.
    fn add_verified_client(&mut self, message: Received, params: &[u8]) -> Result<Vec<u8>, i64> {
        let Received { epoch, from, cid } = message;
        let (client, allowance): (Address, TokenAmount) = read(params)?;
        if from != VERIFIER {
            return Err(NOT_FOUND);
        }
        let client = self.actors.ensure(&client, epoch).ok_or(ILLEGAL_ARGUMENT)?;
        let bytes = u64::try_from(allowance.0.0).map_err(|_| ILLEGAL_ARGUMENT)?;
        let left = self.registry.allowance.latest().copied().unwrap_or_default();
        if bytes < SIZE_MIN || bytes > left || client == VERIFIER {
            return Err(ILLEGAL_ARGUMENT);
        }
        let left = left - bytes;
        self.registry.allowance.set(epoch, left);
        self.registry.change(client, epoch, |own| own + bytes);
        self.emit(epoch, REGISTRY, cid, EventBuilder::verifier(VERIFIER, left, client));
        Ok(Vec::new())
    }

    /// ExtendClaimTerms: the claim's own client makes its term longer, up to the longest there is.
    fn extend_claims(&mut self, message: Received, params: &[u8]) -> Result<Vec<u8>, i64> {
        let Received { epoch, from, cid } = message;
        let (terms,): (Vec<Extension>,) = read(params)?;
        let results = terms.into_iter().map(|Extension(provider, id, term_max)| {
            let claim = self.registry.claim(ProviderId::new(provider), id, StateAt::NEWEST);
            let claim = claim.ok_or(NOT_FOUND)?;
            if claim.client != from {
                return Err(FORBIDDEN);
            }
            if term_max > TERM_MAX || term_max < claim.term.1 {
                return Err(ILLEGAL_ARGUMENT);
            }
            let claim = Claim { term: (claim.term.0, term_max), ..claim.clone() };
            self.emit(epoch, REGISTRY, cid, EventBuilder::claim("claim-updated", &claim));
            self.registry.put_claim(epoch, claim);
            Ok(())
        });
        let results: Vec<_> = results.collect();
        write(&batch(results))
    }

    /// RemoveExpiredAllocations: anybody gives a client the DataCap back that no miner claimed. Without ids, all of it.
    fn remove_allocations(&mut self, message: Received, params: &[u8]) -> Result<Vec<u8>, i64> {
        let Received { epoch, cid, .. } = message;
        let (client, named): (u64, Vec<u64>) = read(params)?;
        let client = ActorId(client);
        let considered = if named.is_empty() {
            let own = self.registry.allocations(client, StateAt::NEWEST);
            own.filter(|allocation| epoch >= allocation.expiration).map(|allocation| allocation.id).collect()
        } else {
            named
        };
        let mut recovered = 0_u64;
        let results = considered.iter().map(|id| {
            let allocation = self.registry.allocation(client, *id, StateAt::NEWEST).ok_or(NOT_FOUND)?;
            if epoch < allocation.expiration {
                return Err(FORBIDDEN);
            }
            if let Some(gone) = self.registry.take_allocation(epoch, client, *id) {
                self.emit(epoch, REGISTRY, cid, EventBuilder::allocation("allocation-removed", &gone));
                recovered += gone.size;
            }
            Ok(())
        });
        let results = batch(results.collect::<Vec<_>>());
        if recovered > 0 {
            self.registry.change(REGISTRY, epoch, |held| held.saturating_sub(recovered));
            self.registry.change(client, epoch, |own| own + recovered);
        }
        write(&(considered, results, TokenAmount(AttoFil(u128::from(recovered)))))
    }

    /// RemoveExpiredClaims: anybody takes claims away whose longest term is over. Without ids, all of them.
    fn remove_claims(&mut self, message: Received, params: &[u8]) -> Result<Vec<u8>, i64> {
        let Received { epoch, cid, .. } = message;
        let (provider, named): (u64, Vec<u64>) = read(params)?;
        let provider = ProviderId::new(provider);
        let considered = if named.is_empty() {
            let own = self.registry.claims(provider, StateAt::NEWEST);
            own.filter(|claim| epoch >= claim.expiration()).map(|claim| claim.id).collect()
        } else {
            named
        };
        let results = considered.iter().map(|id| {
            let claim = self.registry.claim(provider, *id, StateAt::NEWEST).ok_or(NOT_FOUND)?;
            if epoch < claim.expiration() {
                return Err(FORBIDDEN);
            }
            if let Some(gone) = self.registry.take_claim(epoch, provider, *id) {
                self.emit(epoch, REGISTRY, cid, EventBuilder::claim("claim-removed", &gone));
            }
            Ok(())
        });
        let results = batch(results.collect::<Vec<_>>());
        write(&(considered, results))
    }

    /// ClaimAllocations, as a miner calls it when it proves a sector: the allocation becomes a claim, and its DataCap is
    /// burnt. Whether it may was settled before.
    pub(super) fn claim(&mut self, epoch: i64, allocation: &Allocation, sector: SectorNumber, cid: Cid) {
        let Allocation { id, client, provider, data, size, term, .. } = *allocation;
        self.registry.take_allocation(epoch, client, id);
        self.registry.change(REGISTRY, epoch, |held| held.saturating_sub(size));
        let claim = Claim { id, provider, client, data, size, term, start: epoch, sector };
        self.emit(epoch, REGISTRY, cid, EventBuilder::claim("claim", &claim));
        self.registry.put_claim(epoch, claim);
    }

    /// What the market does for a verified deal: as operator of the client's DataCap it has the registry set it aside for
    /// the deal's provider. Nothing for a deal that is not verified, or since version 29, where the flag means nothing.
    pub(super) fn set_aside(
        &mut self,
        epoch: i64,
        (client, provider): (ActorId, ProviderId),
        proposal: &DealProposal,
        cid: Cid,
    ) -> Result<Option<u64>, Skipped> {
        if !proposal.verified || self.is_frozen(StateAt(epoch)) {
            return Ok(None);
        }
        let (size, data) = (proposal.piece_size, proposal.piece_cid);
        if size < SIZE_MIN {
            return Err(Skipped::TooSmallToVerify(size));
        }
        let available = self.registry.datacap(client, StateAt::NEWEST);
        if available < size {
            return Err(Skipped::DataCap { available, needed: size });
        }
        let term = (proposal.duration(), TERM_MAX.min(proposal.duration() + DEAL_TERM_BUFFER));
        let expiration = proposal.start.0.min(epoch + EXPIRATION_MAX);
        self.registry.change(client, epoch, |own| own - size);
        self.registry.change(REGISTRY, epoch, |held| held + size);
        let asked = Allocation { id: 0, client, provider, data, size, term, expiration };
        let made = self.registry.allocate(epoch, asked);
        self.emit(epoch, REGISTRY, cid, EventBuilder::allocation("allocation", &made));
        Ok(Some(made.id))
    }

    /// A verified deal's allocation becomes a claim by a sector that ends at `ends`. False when that cannot be any more:
    /// then the deal cannot be activated either.
    pub(super) fn claim_for_deal(
        &mut self,
        epoch: i64,
        (client, id): (ActorId, u64),
        (sector, ends): (SectorNumber, i64),
        cid: Cid,
    ) -> bool {
        let waits = self.registry.allocation(client, id, StateAt::NEWEST).cloned();
        let Some(waits) = waits.filter(|waits| {
            epoch <= waits.expiration && (waits.term.0..=waits.term.1).contains(&(ends - epoch))
        }) else {
            return false;
        };
        self.claim(epoch, &waits, sector, cid);
        true
    }

    /// The verifier gives `bytes` of DataCap to `address` by a message in the head tipset.
    pub(super) fn grant_datacap(&mut self, address: &str, bytes: u64) -> Result<Outcome, CommandError> {
        let client = read_address(address).ok_or_else(|| CommandError::Address(address.to_owned()))?;
        let epoch = self.chain.head();
        let bad = |fix| CommandError::Bulk { field: "bytes", value: bytes.to_string(), fix };
        if self.is_frozen(StateAt(epoch)) {
            return Err(bad("give none: version 29 has frozen the registry"));
        }
        let params = to_cbor(&(client, TokenAmount(AttoFil(u128::from(bytes))))).unwrap_or_default();
        let nonce = self.actors.wallet(VERIFIER, StateAt::NEWEST).unwrap_or_default().nonce;
        let message = self.made_message(VERIFIER, nonce, REGISTRY, ADD_VERIFIED_CLIENT, params);
        let Some(message) = message else { return Err(bad("use 1048576 or more")) };
        let given = self.registry_message(
            epoch,
            (VERIFIER, REGISTRY),
            message.2,
            ADD_VERIFIED_CLIENT,
            &message.1.params,
        );
        let ret = given.map_err(|_| bad("use 1048576 or more, and no more than the verifier has left"))?;
        self.finish_made_message(epoch, message, 0, ret);
        Ok(Outcome::Done)
    }

    /// An allocation that waits in state `at`: none any more since version 29.
    #[must_use]
    pub fn allocation(&self, client: ActorId, id: u64, at: StateAt) -> Option<&Allocation> {
        self.registry.allocation(client, id, at).filter(|_| !self.is_frozen(at))
    }
}
