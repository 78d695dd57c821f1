//! Native messages that call contracts: how built-in actors tell them something.
//!
//! The FEVM gives a contract the method's number, codec and parameters through `handle_filecoin_method`, and the
//! caller is the actor under its masked address. The message is shown as Lotus shows native messages: as a
//! transaction without a signature.

use super::{
    actor_calls::{ActorCalls, masked},
    gas::{self, Charge},
    receipt::{Executed, TipsetEffects},
    run::{BlockContext, Call, Exit, run},
    state::Fevm,
    tipset::Tipset,
    transaction::Transaction,
    view::View,
};
use crate::world::StateAt;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use alloy_sol_types::SolValue;
use raas_core::ids::ActorId;
use revm::database::WrapDatabaseRef;

/// `handle_filecoin_method(uint64,uint64,bytes)`
const SELECTOR: [u8; 4] = [0x86, 0x8e, 0x10, 0xc4];
/// CBOR.
const CODEC: u64 = 0x51;

/// A native message under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NativeMessage {
    /// The digest of its CID.
    pub(crate) hash: B256,
    /// Who sent it.
    pub(crate) sender: ActorId,
    /// The actor that executes it and calls the contracts.
    pub(crate) actor: ActorId,
}

/// What an actor tells one contract.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    /// Whom.
    pub(crate) contract: Address,
    /// FRC-0042 number.
    pub(crate) method: u64,
    /// Parameters, CBOR.
    pub(crate) params: Vec<u8>,
}

impl Fevm {
    /// Calls each contract in the state after the transactions of the tipset. The answers are in the same order; one
    /// that fails changes nothing and fails nobody else. All logs are the message's.
    pub(crate) fn tell(
        &mut self,
        tipset: Tipset<'_>,
        actors: &impl ActorCalls,
        message: NativeMessage,
        tellings: &[Telling],
    ) -> (Vec<(Exit, Bytes)>, TipsetEffects) {
        let mut effects = TipsetEffects::default();
        let mut answers = Vec::with_capacity(tellings.len());
        let mut logs: Vec<Log> = Vec::new();
        let mut gas_used: u64 = 0;
        for telling in tellings {
            let arguments = (telling.method, CODEC, Bytes::from(telling.params.clone())).abi_encode_params();
            let call = Call {
                from: masked(message.actor),
                to: TxKind::Call(telling.contract),
                value: U256::ZERO,
                data: [&SELECTOR, arguments.as_slice()].concat().into(),
                gas_limit: gas::BLOCK_LIMIT,
                nonce: None,
                gas_price: 0,
            };
            let view = View {
                fevm: self,
                at: StateAt::after(tipset.height),
                chain: tipset.chain,
                actors,
                credits: &effects.credits,
            };
            let block = BlockContext {
                chain: tipset.chain,
                chain_id: self.chain_id,
                height: tipset.height,
                miner: tipset.miner,
            };
            let outcome = run(WrapDatabaseRef(view), block, actors, &call);
            self.write(tipset.height, &outcome.changes, actors, &mut effects);
            gas_used = gas_used.saturating_add(outcome.gas_used);
            logs.extend(outcome.logs);
            answers.push((outcome.exit, outcome.output));
        }
        let block = self.blocks.entry(tipset.height).or_default();
        self.places.insert(message.hash, (tipset.height, block.len()));
        let first_log = block.iter().map(|executed| executed.logs.len()).sum();
        block.push(Executed {
            transaction: Transaction::native(message.hash, masked(message.sender), masked(message.actor)),
            exit: Exit::OK,
            gas_used,
            // What a worker's message costs is settled by the world, as for all native messages.
            charge: Charge::default(),
            contract: None,
            logs,
            trace: Vec::new(),
            output: Bytes::new(),
            first_log,
        });
        (answers, effects)
    }
}
