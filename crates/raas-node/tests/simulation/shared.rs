//! What the ports share: the world, the faults of its RPC, and the crash that is to come.

use crate::crossing::Crossing;
use raas_core::cid::Commitment;
use raas_core::ids::ProviderId;
use raas_core::ports::Packed;
use raas_core::units::Epoch;
use raas_devnet::host::Host;
use raas_devnet::world::World;
use raas_node::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;

/// How the RPC lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rpc {
    /// It does not.
    Normal,
    /// No answer.
    Down,
    /// The head stands still.
    Stale(i64),
    /// Deals were never allocated.
    Forget17,
    /// Deals are gone.
    Forget32,
    /// Events are missing.
    EmptyLogs,
    /// Logs and state of old blocks are not kept any more: only the contract's views tell of requests.
    Forgetful,
    /// What is sent arrives, but its answer is lost.
    DropReply,
    /// One provider's state cannot be read.
    Blind(ProviderId),
}

/// Where the world is.
enum Place {
    /// Here, and the ports in memory read it.
    Here(Box<Mutex<World>>),
    /// In a devnet that serves it.
    Served(Arc<Host>),
}

/// State behind all ports of one run.
pub struct Shared {
    place: Place,
    rpc: Mutex<Rpc>,
    local: Mutex<BTreeSet<Commitment>>,
    crash: Mutex<Option<u32>>,
    /// Told when the process is to die.
    pub crashed: Notify,
    /// What crossed the node's border, with its epoch.
    crossed: Mutex<Vec<(i64, Crossing)>>,
    /// The node's store, to see that an intent was durable before its effect.
    store: Mutex<Option<Store>>,
    /// What was asked of the chain: deals, sectors and providers, each by itself.
    asked: AtomicU64,
    /// Payloads that a gateway has, by their CIDs.
    pub gateway: Mutex<BTreeMap<String, Packed>>,
}

impl Shared {
    /// A run's beginning.
    pub fn new(world: World) -> Arc<Self> {
        Self::at(Place::Here(Box::new(Mutex::new(world))))
    }

    /// The same over a world that is served.
    pub fn served(host: &Arc<Host>) -> Arc<Self> {
        Self::at(Place::Served(Arc::clone(host)))
    }

    fn at(place: Place) -> Arc<Self> {
        Arc::new(Self {
            place,
            rpc: Mutex::new(Rpc::Normal),
            local: Mutex::default(),
            crash: Mutex::default(),
            crashed: Notify::new(),
            crossed: Mutex::default(),
            store: Mutex::default(),
            asked: AtomicU64::new(0),
            gateway: Mutex::default(),
        })
    }

    /// The world of the ports in memory.
    pub fn world(&self) -> MutexGuard<'_, World> {
        match &self.place {
            Place::Here(world) => world.lock().expect("not poisoned"),
            Place::Served(_) => panic!("only its servers hold a world that is served"),
        }
    }

    /// Looks at the world or changes it, wherever it is.
    pub fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        match &self.place {
            Place::Here(_) => act(&mut self.world()),
            Place::Served(host) => host.act(act).expect("a world without a journal"),
        }
    }

    pub fn rpc(&self) -> Rpc {
        *self.rpc.lock().expect("not poisoned")
    }

    pub fn set_rpc(&self, rpc: Rpc) {
        *self.rpc.lock().expect("not poisoned") = rpc;
    }

    pub fn local(&self) -> MutexGuard<'_, BTreeSet<Commitment>> {
        self.local.lock().expect("not poisoned")
    }

    /// The process dies at the `count`th point from now.
    pub fn crash_in(&self, count: Option<u32>) {
        *self.crash.lock().expect("not poisoned") = count;
    }

    /// A point at which a process can die: before or after an effect on the outside.
    pub async fn point(&self) {
        if self.dies_here() {
            std::future::pending::<()>().await;
        }
    }

    /// Counts a point, and tells whether the process dies at it.
    pub fn dies_here(&self) -> bool {
        let mut crash = self.crash.lock().expect("not poisoned");
        match *crash {
            Some(0) => {
                *crash = None;
                self.crashed.notify_one();
                true
            }
            Some(count) => {
                *crash = Some(count - 1);
                false
            }
            None => false,
        }
    }

    /// The head as the RPC tells it.
    pub fn head(&self) -> Option<i64> {
        match self.rpc() {
            Rpc::Down => None,
            Rpc::Stale(head) => Some(head),
            _ => Some(self.world().chain().head()),
        }
    }

    /// Counts something that is asked of the chain.
    pub fn ask(&self, count: usize) {
        self.asked.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What was asked since the last time.
    pub fn take_asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    /// The store of the process that runs now.
    pub fn set_store(&self, store: &Store) {
        *self.store.lock().expect("not poisoned") = Some(store.clone());
    }

    pub fn store(&self) -> Option<Store> {
        self.store.lock().expect("not poisoned").clone()
    }

    /// Writes down what crosses the border now.
    pub fn cross(&self, crossing: Crossing) {
        let now = self.clock().0;
        self.crossed.lock().expect("not poisoned").push((now, crossing));
    }

    pub fn crossed(&self) -> MutexGuard<'_, Vec<(i64, Crossing)>> {
        self.crossed.lock().expect("not poisoned")
    }

    pub fn clock(&self) -> Epoch {
        Epoch(self.act(|world| world.chain().clock()))
    }
}
