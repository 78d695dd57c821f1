//! What the ports share: the world, the faults of its RPC, and the crash that is to come.

use raas_core::cid::Commitment;
use raas_core::ids::ProviderId;
use raas_core::units::Epoch;
use raas_devnet::world::World;
use std::collections::BTreeSet;
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
    /// One provider's state cannot be read.
    Blind(ProviderId),
}

/// State behind all ports of one run.
pub struct Shared {
    world: Mutex<World>,
    rpc: Mutex<Rpc>,
    local: Mutex<BTreeSet<Commitment>>,
    crash: Mutex<Option<u32>>,
    /// Told when the process is to die.
    pub crashed: Notify,
    /// Bytes handed over by deal UUID: the same key must always give the same bytes.
    pub handed: Mutex<std::collections::BTreeMap<Vec<u8>, Vec<u8>>>,
    /// What a port saw that must never be.
    pub broken: Mutex<Vec<String>>,
}

impl Shared {
    /// A run's beginning.
    pub fn new(world: World) -> Arc<Self> {
        Arc::new(Self {
            world: Mutex::new(world),
            rpc: Mutex::new(Rpc::Normal),
            local: Mutex::default(),
            crash: Mutex::default(),
            crashed: Notify::new(),
            handed: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("not poisoned")
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
        let dies = {
            let mut crash = self.crash.lock().expect("not poisoned");
            match *crash {
                Some(0) => {
                    *crash = None;
                    true
                }
                Some(count) => {
                    *crash = Some(count - 1);
                    false
                }
                None => false,
            }
        };
        if dies {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
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

    pub fn report(&self, what: String) {
        self.broken.lock().expect("not poisoned").push(what);
    }

    pub fn clock(&self) -> Epoch {
        Epoch(self.world().chain().clock())
    }
}
