//! One execution of the EVM over one state: what calls, estimates and transactions have in common.

use super::{
    actor_calls::{ActorCalls, masked},
    gas,
    precompiles::FvmPrecompiles,
    trace::{Frame, Tracer},
};
use crate::world::Chain;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};
use raas_core::ids::ActorId;
use revm::{
    Context, Database, ExecuteEvm, InspectEvm, MainBuilder,
    context::{BlockEnv, CfgEnv, Journal, TxEnv},
    context_interface::result::{ExecutionResult, HaltReason, OutOfGasError},
    primitives::hardfork::SpecId,
    state::EvmState,
};
use std::convert::Infallible;

/// The rules of the FEVM since network version 28, which has the instructions of Osaka. Its limit per transaction
/// (2^24 gas) is lifted, since Filecoin has none.
const SPEC: SpecId = SpecId::OSAKA;

/// Everything about the block that an execution runs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockContext<'a> {
    pub(super) chain: &'a Chain,
    pub(super) chain_id: u64,
    pub(super) height: i64,
    /// The miner of the block.
    pub(super) miner: ActorId,
}

/// A message before its cost is settled.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) from: Address,
    pub(super) to: TxKind,
    pub(super) value: U256,
    pub(super) data: Bytes,
    /// In Filecoin gas.
    pub(super) gas_limit: u64,
    /// The nonce it must have; `None` skips the check.
    pub(super) nonce: Option<u64>,
    pub(super) gas_price: u128,
}

/// What an execution did. Nothing of it is written anywhere yet.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) exit: Exit,
    /// In Filecoin gas.
    pub(super) gas_used: u64,
    /// Return data, or revert data.
    pub(super) output: Bytes,
    pub(super) logs: Vec<Log>,
    pub(super) contract: Option<Address>,
    pub(super) changes: EvmState,
}

/// How a message ended: an exit code of the EVM actor or of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u32);

impl Exit {
    /// Success.
    pub const OK: Self = Self(0);
    /// The sender cannot pay the value.
    pub const INSUFFICIENT_FUNDS: Self = Self(6);
    /// The gas limit was reached.
    pub const OUT_OF_GAS: Self = Self(7);
    /// The contract reverted.
    pub const REVERTED: Self = Self(33);

    /// Whether the message did what it should.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    fn of_halt(halt: &HaltReason) -> Self {
        use HaltReason as Halt;
        Self(match halt {
            Halt::OutOfGas(
                OutOfGasError::Memory | OutOfGasError::MemoryLimit | OutOfGasError::InvalidOperand,
            ) => 38,
            Halt::OutOfGas(_) => 7,
            Halt::OutOfFunds => 6,
            Halt::InvalidFEOpcode => 34,
            Halt::OpcodeNotFound | Halt::NotActivated => 35,
            Halt::StackUnderflow => 36,
            Halt::StackOverflow => 37,
            Halt::OutOfOffset => 38,
            Halt::InvalidJump => 39,
            Halt::StateChangeDuringStaticCall | Halt::CallNotAllowedInsideStatic => 25,
            Halt::CreateContractSizeLimit | Halt::CreateInitCodeSizeLimit => 16,
            _ => 24,
        })
    }
}

/// Runs `call` over `db`. Fees are not charged here; whoever writes the changes settles them.
pub(super) fn run<DB, A>(db: DB, block: BlockContext<'_>, actors: &A, call: &Call) -> Outcome
where
    DB: Database<Error = Infallible>,
    A: ActorCalls,
{
    let (context, tx) = environment(db, block, call);
    let mut evm = context.build_mainnet().with_precompiles(FvmPrecompiles::new(SPEC, actors));
    match evm.transact(tx) {
        Ok(done) => Outcome::new(done.result, done.state),
        Err(_) => Outcome::refused(Exit::OUT_OF_GAS, call.gas_limit),
    }
}

/// As [`run`], with the calls made in it.
pub(super) fn run_traced<DB, A>(
    db: DB,
    block: BlockContext<'_>,
    actors: &A,
    call: &Call,
) -> (Outcome, Vec<Frame>)
where
    DB: Database<Error = Infallible>,
    A: ActorCalls,
{
    let (context, tx) = environment(db, block, call);
    let evm = context.build_mainnet_with_inspector(Tracer::default());
    let mut evm = evm.with_precompiles(FvmPrecompiles::new(SPEC, actors));
    let outcome = match evm.inspect_tx(tx) {
        Ok(done) => Outcome::new(done.result, done.state),
        // What revm refuses before it runs: a limit below the intrinsic cost, or init code over the size limit.
        Err(_) => Outcome::refused(Exit::OUT_OF_GAS, call.gas_limit),
    };
    (outcome, evm.inspector.into_frames())
}

type Environment<DB> = Context<BlockEnv, TxEnv, CfgEnv, DB, Journal<DB>, ()>;

/// Where and what to run.
fn environment<DB>(db: DB, block: BlockContext<'_>, call: &Call) -> (Environment<DB>, TxEnv)
where
    DB: Database<Error = Infallible>,
{
    let mut cfg = CfgEnv::new_with_spec(SPEC).with_chain_id(block.chain_id);
    cfg.tx_gas_limit_cap = Some(u64::MAX);
    cfg.disable_nonce_check = call.nonce.is_none();
    cfg.disable_base_fee = true;
    cfg.disable_fee_charge = true;
    cfg.disable_eip3607 = true;
    let env = BlockEnv {
        number: U256::from(u64::try_from(block.height).unwrap_or(0)),
        beneficiary: masked(block.miner),
        timestamp: U256::from(block.chain.timestamp(block.height)),
        gas_limit: gas::BLOCK_LIMIT,
        basefee: block.chain.base_fee(block.height),
        prevrandao: Some(B256::from(block.chain.derive("beacon", block.height))),
        ..BlockEnv::default()
    };
    let tx = TxEnv {
        caller: call.from,
        kind: call.to,
        value: call.value,
        data: call.data.clone(),
        gas_limit: gas::to_evm(call.gas_limit),
        gas_price: call.gas_price,
        nonce: call.nonce.unwrap_or_default(),
        chain_id: Some(block.chain_id),
        ..TxEnv::default()
    };
    let context: Environment<DB> = Context::new(db, SPEC);
    (context.with_cfg(cfg).with_block(env), tx)
}

impl Outcome {
    /// A message that ended before any code ran.
    pub(super) fn refused(exit: Exit, gas_used: u64) -> Self {
        Self {
            exit,
            gas_used,
            output: Bytes::new(),
            logs: Vec::new(),
            contract: None,
            changes: EvmState::default(),
        }
    }

    fn new(result: ExecutionResult, changes: EvmState) -> Self {
        let gas_used = gas::from_evm(result.tx_gas_used());
        let exit = match &result {
            ExecutionResult::Success { .. } => Exit::OK,
            ExecutionResult::Revert { .. } => Exit::REVERTED,
            ExecutionResult::Halt { reason, .. } => Exit::of_halt(reason),
        };
        let contract = result.created_address();
        // Logs of a message that failed do not exist on chain.
        let logs = if exit.is_ok() { result.logs().to_vec() } else { Vec::new() };
        let output = result.into_output().unwrap_or_default();
        Self { exit, gas_used, output, logs, contract, changes }
    }
}
