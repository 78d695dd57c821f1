//! The FVM's own precompiles at `0xfe00..01` to `..05`, beside those of Ethereum.
//!
//! `call_actor` and `call_actor_id` must be reached by DELEGATECALL, take a plain ABI tuple without selector
//! `(uint64 method, uint256 value, uint64 flags, uint64 codec, bytes params, uint64 id | bytes address)` and answer
//! `(int256 exit, uint64 codec, bytes ret)`: 0 is success, above zero the actor's exit code, below zero a system
//! error. A malformed call fails with empty output. Calls here never change an actor: value cannot be sent.

use super::actor_calls::{ActorCalls, unmasked};
use crate::world::CallResult;
use alloy_primitives::{Address, B256, Bytes, I256, U256};
use alloy_sol_types::SolValue;
use raas_core::ids::ActorId;
use revm::{
    context_interface::{Cfg, ContextTr},
    handler::{EthPrecompiles, PrecompileProvider},
    interpreter::{CallInputs, CallScheme, Gas, InstructionResult, InterpreterResult},
    primitives::{AddressSet, hardfork::SpecId},
};

/// EVM gas of one precompile call: cold access in Ethereum, some millions of Filecoin gas as there.
const CALL_GAS: u64 = 20_000;
/// Methods below are internal to actors; contracts reach only exported ones, and the bare send, 0.
const SEND: u64 = 0;
const FIRST_EXPORTED_METHOD: u64 = 1 << 10;
/// CBOR, the one codec of parameters and results.
const CBOR: u64 = 0x51;
/// "Send nothing, change nothing" is the only flag.
const READ_ONLY: u64 = 1;
/// Negated system errors.
const SYS_NOT_FOUND: i64 = -6;
const SYS_READ_ONLY: i64 = -13;

/// Whether `address` is one of the FVM's precompiles, which the state shows as accounts without code.
pub(super) fn is_fvm(address: &Address) -> bool {
    let bytes = address.as_slice();
    let (first, last) = (bytes.first(), bytes.last());
    first == Some(&0xfe)
        && last.is_some_and(|last| (1..=6).contains(last))
        && bytes.iter().skip(1).take(18).all(|byte| *byte == 0)
}

/// Ethereum's precompiles, as far as the FEVM has them, and the FVM's.
pub(super) struct FvmPrecompiles<'a, A> {
    eth: EthPrecompiles,
    warm: AddressSet,
    actors: &'a A,
}

impl<'a, A: ActorCalls> FvmPrecompiles<'a, A> {
    pub(super) fn new(spec: SpecId, actors: &'a A) -> Self {
        let eth = EthPrecompiles::new(spec);
        let mut warm = eth.warm_addresses().clone();
        warm.extend((1_u8..=6).map(|number| {
            let mut bytes = [0; 20];
            bytes[0] = 0xfe;
            bytes[19] = number;
            Address::from(bytes)
        }));
        Self { eth, warm, actors }
    }

    /// The output of an FVM precompile; `None` fails the call with empty output.
    fn answer(&self, number: u8, input: &[u8], scheme: CallScheme) -> Option<Vec<u8>> {
        match number {
            1 => Some(self.actors.resolve(input).map(|actor| word(actor.0)).unwrap_or_default()),
            2 => {
                let id = U256::try_from_be_slice(input.get(..32)?)?;
                let actor = u64::try_from(id).ok().map(ActorId);
                Some(actor.and_then(|actor| self.actors.delegated(actor)).unwrap_or_default())
            }
            3 if scheme == CallScheme::DelegateCall => self.call_by_address(input),
            5 if scheme == CallScheme::DelegateCall => self.call_by_id(input),
            // 4 is disabled. 6 (get_randomness) has no caller in this project and is refused, not invented.
            _ => None,
        }
    }

    fn call_by_id(&self, input: &[u8]) -> Option<Vec<u8>> {
        let (method, value, flags, codec, params, actor) =
            <(u64, U256, u64, u64, Bytes, u64)>::abi_decode_params_validate(input).ok()?;
        let call = Call { method, value, flags, codec, params };
        self.call(&call, Some(ActorId(actor)))
    }

    fn call_by_address(&self, input: &[u8]) -> Option<Vec<u8>> {
        let (method, value, flags, codec, params, address) =
            <(u64, U256, u64, u64, Bytes, Bytes)>::abi_decode_params_validate(input).ok()?;
        let call = Call { method, value, flags, codec, params };
        self.call(&call, self.actors.resolve(&address))
    }

    fn call(&self, call: &Call, actor: Option<ActorId>) -> Option<Vec<u8>> {
        let codec_fits = call.codec == CBOR || (call.codec == 0 && call.params.is_empty());
        let reachable = call.method == SEND || call.method >= FIRST_EXPORTED_METHOD;
        if !reachable || call.flags & !READ_ONLY != 0 || !codec_fits {
            return None;
        }
        let result = match actor {
            _ if !call.value.is_zero() => refused(SYS_READ_ONLY),
            None => refused(SYS_NOT_FOUND),
            Some(actor) if call.method == SEND => match self.actors.native_balance(actor) {
                Some(_) => CallResult::default(),
                None if self.actors.delegated(actor).is_some() => CallResult::default(),
                None => refused(SYS_NOT_FOUND),
            },
            Some(actor) => self.actors.call(actor, call.method, &call.params),
        };
        let exit = I256::try_from(result.exit).unwrap_or(I256::MINUS_ONE);
        // An abort carries no data.
        let (codec, ret) =
            if result.exit == 0 { (result.codec, Bytes::from(result.ret)) } else { (0, Bytes::new()) };
        Some((exit, codec, ret).abi_encode_params())
    }

    /// Whether plain calls to this address must fail: a built-in actor handles no `InvokeContract`, and value
    /// cannot be sent to an actor that does not exist.
    fn refuses(&self, inputs: &CallInputs, has_input: bool) -> bool {
        unmasked(&inputs.bytecode_address)
            .is_some_and(|actor| has_input || self.actors.native_balance(actor).is_none())
    }
}

struct Call {
    method: u64,
    value: U256,
    flags: u64,
    codec: u64,
    params: Bytes,
}

fn refused(exit: i64) -> CallResult {
    CallResult { exit, codec: 0, ret: Vec::new() }
}

fn word(number: u64) -> Vec<u8> {
    B256::from(U256::from(number)).to_vec()
}

/// Ethereum precompiles the FEVM lacks: KZG (0x0a) and BLS12-381 (0x0b to 0x11).
fn is_missing(address: &Address) -> bool {
    (0x0a..=0x11).contains(&U256::from_be_slice(address.as_slice()).saturating_to::<u64>())
}

impl<CTX, A> PrecompileProvider<CTX> for FvmPrecompiles<'_, A>
where
    CTX: ContextTr<Cfg: Cfg<Spec = SpecId>>,
    A: ActorCalls,
{
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<CTX>::set_spec(&mut self.eth, spec)
    }

    fn run(&mut self, context: &mut CTX, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let address = &inputs.bytecode_address;
        if is_missing(address) {
            return Ok(None);
        }
        if !is_fvm(address) {
            if self.refuses(inputs, !inputs.input.is_empty()) {
                let gas = Gas::new(inputs.gas_limit);
                return Ok(Some(InterpreterResult::new(InstructionResult::Revert, Bytes::new(), gas)));
            }
            return self.eth.run(context, inputs);
        }
        let mut gas = Gas::new(inputs.gas_limit);
        if !gas.record_regular_cost(CALL_GAS) {
            gas.spend_all();
            return Ok(Some(InterpreterResult::new(InstructionResult::PrecompileOOG, Bytes::new(), gas)));
        }
        let number = address.as_slice().last().copied().unwrap_or_default();
        let answer = self.answer(number, &inputs.input.as_bytes(context), inputs.scheme);
        // A refused call returns its unused gas, as a failed precompile does in the FEVM.
        let (result, output) = match answer {
            Some(output) => (InstructionResult::Return, Bytes::from(output)),
            None => (InstructionResult::Revert, Bytes::new()),
        };
        Ok(Some(InterpreterResult::new(result, output, gas)))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }
}
