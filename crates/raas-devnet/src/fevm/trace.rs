//! Who calls whom in an execution: what `trace_*` shows.

use super::gas;
use alloy_primitives::{Address, Bytes, U256};
use revm::{
    Inspector,
    context_interface::ContextTr,
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, InstructionResult,
        InterpreterResult,
    },
};

/// One call or creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Which kind of call; `None` for a creation.
    pub call: Option<&'static str>,
    /// Who calls.
    pub from: Address,
    /// Who is called, or what was created.
    pub to: Option<Address>,
    /// attoFIL that goes with it.
    pub value: U256,
    /// What it may use, in Filecoin gas.
    pub gas: u64,
    /// Calldata or init code.
    pub input: Bytes,
    /// What it used, in Filecoin gas.
    pub gas_used: u64,
    /// Return data, revert data or code.
    pub output: Bytes,
    /// Why it failed.
    pub error: Option<&'static str>,
    /// Its place among the calls of its caller, that one's before it.
    pub place: Vec<usize>,
    /// How many calls it made itself.
    pub calls: usize,
}

/// Notes frames in the order in which they begin.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    frames: Vec<Frame>,
    /// The frames under way; `None` for a precompile of Ethereum, which counts as no call.
    open: Vec<Option<usize>>,
}

impl Tracer {
    pub(super) fn into_frames(self) -> Vec<Frame> {
        self.frames
    }

    fn begin(&mut self, frame: Frame) {
        let parent = self.open.last().copied().flatten().and_then(|parent| self.frames.get_mut(parent));
        let place = parent.map_or_else(Vec::new, |parent| {
            parent.calls += 1;
            parent.place.iter().copied().chain([parent.calls - 1]).collect()
        });
        self.open.push(Some(self.frames.len()));
        self.frames.push(Frame { place, ..frame });
    }

    fn end(&mut self, result: &InterpreterResult, created: Option<Address>) {
        let open = self.open.pop().flatten();
        let Some(frame) = open.and_then(|open| self.frames.get_mut(open)) else { return };
        frame.gas_used = gas::from_evm(result.gas.total_gas_spent());
        frame.output = result.output.clone();
        frame.error = (!result.result.is_ok()).then(|| failure(result.result));
        if frame.call.is_none() {
            frame.to = created;
        }
    }
}

/// In the words of a node.
const fn failure(result: InstructionResult) -> &'static str {
    use InstructionResult as Ended;
    match result {
        Ended::Revert => "Reverted",
        Ended::OutOfGas | Ended::MemoryOOG | Ended::PrecompileOOG => "out of gas",
        Ended::InvalidFEOpcode => "invalid instruction",
        Ended::OpcodeNotFound | Ended::NotActivated => "undefined instruction",
        Ended::StackUnderflow => "stack underflow",
        Ended::StackOverflow => "stack overflow",
        Ended::InvalidJump => "invalid jump destination",
        _ => "unknown error",
    }
}

/// Precompiles of Ethereum are functions, not contracts.
fn is_function(address: &Address) -> bool {
    (1..=0x11).contains(&U256::from_be_slice(address.as_slice()).saturating_to::<u64>())
}

impl<CTX: ContextTr> Inspector<CTX> for Tracer {
    fn call(&mut self, context: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        if is_function(&inputs.bytecode_address) {
            self.open.push(None);
            return None;
        }
        // Code that is borrowed runs as its borrower, who is the one that calls.
        let (call, from) = match inputs.scheme {
            CallScheme::Call => ("call", inputs.caller),
            CallScheme::CallCode => ("callcode", inputs.caller),
            CallScheme::DelegateCall => ("delegatecall", inputs.target_address),
            CallScheme::StaticCall => ("staticcall", inputs.caller),
        };
        self.begin(Frame {
            call: Some(call),
            from,
            to: Some(inputs.bytecode_address),
            value: inputs.value.get(),
            gas: gas::from_evm(inputs.gas_limit),
            input: inputs.input.bytes(context),
            ..Frame::default()
        });
        None
    }

    fn call_end(&mut self, _context: &mut CTX, _inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.end(&outcome.result, None);
    }

    fn create(&mut self, _context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.begin(Frame {
            call: None,
            from: inputs.caller(),
            to: None,
            value: inputs.value(),
            gas: gas::from_evm(inputs.gas_limit()),
            input: inputs.init_code().clone(),
            ..Frame::default()
        });
        None
    }

    fn create_end(&mut self, _context: &mut CTX, _inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(&outcome.result, outcome.address);
    }
}
