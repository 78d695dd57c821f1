//! Who asks for what: the node's own user by its API, with bytes at hand, and a client of the contract.

use crate::contract;
use crate::run::{Ground, Run};
use crate::setting::{RENEW_BEFORE, REPAIR_AFTER};
use crate::shared::Rpc;
use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::OwnerId;
use raas_core::policy::{Duties, KeepLocal};
use raas_core::ports::Packed;
use raas_core::units::PaddedSize;
use raas_node::store::{JobSource, NewJob, NewPiece, TxSubmit};
use raas_node::world::World;
use rand_chacha::rand_core::RngCore;

/// Requests that a run makes at most.
const REQUESTS_MAX: usize = 8;
/// Holdings of the contract's client.
const WISHES_MAX: usize = 3;

impl<W: World> Run<W> {
    /// A payload that nobody has asked for yet.
    fn payload(&mut self) -> Result<(DataCid, Packed), String> {
        let number = self.pieces.len() as u8;
        let mut root = [number; 32];
        root[0] = self.setting.seed as u8;
        root[31] = 1;
        let hash = cid::multihash::Multihash::wrap(0x12, &root).map_err(|error| error.to_string())?;
        let cid = DataCid::normalise(&cid::Cid::new_v1(0x55, hash)).map_err(|error| error.to_string())?;
        let size = PaddedSize::new(1 << (20 + self.below(6))).map_err(|error| error.to_string())?;
        let commitment = Commitment(root);
        let packed =
            Packed { commitment, size, car_bytes: size.get() / 128 * 127 - 5, payload_bytes: size.get() / 2 };
        self.judge.offers(&cid.cid().to_bytes(), &commitment.to_string());
        self.pieces.push(commitment);
        Ok((cid, packed))
    }

    /// A holding with bytes at hand; of some the node is to register the job on the contract.
    pub async fn store_something(&mut self) -> Result<(), String> {
        match self.ground {
            Ground::Memory => self.store(None).await,
            // Bytes that providers fetch have to be there.
            Ground::Served(_) => self.store_a_file().await,
        }
    }

    /// A holding with bytes at hand, registered on the contract or not, or as chance has it.
    pub async fn store(&mut self, registers: Option<bool>) -> Result<(), String> {
        let (cid, packed) = self.payload()?;
        let Packed { commitment, size, car_bytes, payload_bytes } = packed;
        let piece = NewPiece { root: cid.clone(), commitment, size, car_bytes, payload_bytes };
        let evicts = self.below(3) == 0 && self.setting.may_evict();
        let keep =
            if evicts { KeepLocal::UntilProven(crate::setting::KEEP_UNTIL) } else { KeepLocal::Always };
        let bytes = cid.cid().to_bytes();
        let registers = registers.unwrap_or_else(|| self.below(4) == 0);
        let on_chain = registers.then(|| TxSubmit {
            cid: bytes.clone(),
            target: self.setting.target,
            repair: REPAIR_AFTER,
            renew: RENEW_BEFORE,
        });
        if on_chain.is_some() {
            self.judge.registers(&bytes);
            self.judge.met.push("the node registered a job of its own");
        }
        let job = NewJob {
            owner: OwnerId::local(),
            cid,
            duties: Duties::ALL,
            policy: self.setting.policy(keep),
            source: JobSource::Upload,
            on_chain,
            position: None,
            at: self.shared.clock(),
            at_unix: 0,
            idempotency_key: None,
        };
        let store = self.engine.store();
        store.record_piece(&piece).await.map_err(|error| error.to_string())?;
        store.register_job(&job).await.map_err(|error| error.to_string())?;
        self.shared.local().insert(commitment);
        Ok(())
    }

    /// A client asks by the contract, whatever the node and its RPC are doing: for something new that a gateway has, for
    /// the same once more, or for what is no CID.
    pub fn somebody_asks(&mut self) {
        if self.requests.len() >= REQUESTS_MAX {
            return;
        }
        let cid = match self.below(5) {
            0 => vec![self.requests.len() as u8; 9],
            1 | 2 if self.requests.len() > 1 => {
                let again = self.below(self.requests.len() as u64) as usize;
                self.requests[again].clone()
            }
            _ if let Ground::Served(served) = &self.ground => {
                let some = self.rng.next_u64() as usize % served.kept.len();
                served.kept[some].clone()
            }
            _ if self.at_gateway.len() < WISHES_MAX => {
                let (cid, packed) = self.payload().expect("a payload");
                self.at_gateway.insert(packed.commitment);
                let root = cid.to_string();
                self.shared.gateway.lock().expect("not poisoned").insert(root.clone(), packed.clone());
                self.judge.offers(root.as_bytes(), &packed.commitment.to_string());
                if self.below(3) == 0 { root.into_bytes() } else { cid.cid().to_bytes() }
            }
            _ => return,
        };
        let epochs = [REPAIR_AFTER, RENEW_BEFORE].map(|epochs| epochs.unsigned_abs());
        let wish = (self.below(3) > 0).then_some([self.setting.target.into(), epochs[0], epochs[1]]);
        self.say(&format!("a client asks for {}", hex::encode(&cid)));
        if self.shared.rpc() != Rpc::Normal {
            self.judge.met.push("a request was made while the RPC lied");
        }
        let at = self.contract.address;
        let seed = self.setting.seed;
        self.shared.act(|world| contract::request(world, seed, at, &cid, wish));
        self.requests.push(cid);
    }
}
