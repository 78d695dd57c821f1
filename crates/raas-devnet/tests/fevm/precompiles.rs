//! The traps of the actor-call precompiles, each reached by a contract of a few instructions.

use crate::bench::{Bench, HandDeal};
use alloy_primitives::{Address, Bytes, I256, U256, address};
use alloy_sol_types::SolValue;

pub const CALL_ACTOR_ID: Address = address!("fe00000000000000000000000000000000000005");
const CALL_ACTOR: Address = address!("fe00000000000000000000000000000000000003");
const RESOLVE: Address = address!("fe00000000000000000000000000000000000001");
const DELEGATED: Address = address!("fe00000000000000000000000000000000000002");
const GET_DEAL_ACTIVATION: u64 = 2_567_238_399;

const CALL: u8 = 0xf1;
pub const DELEGATECALL: u8 = 0xf4;
const STATICCALL: u8 = 0xfa;

/// Init code of a contract that forwards its calldata to `target` by `opcode` and answers a word that says whether
/// that worked, followed by what came back.
pub fn forwarder(target: Address, opcode: u8) -> Vec<u8> {
    let mut code = vec![0x36, 0x5f, 0x5f, 0x37, 0x5f, 0x5f, 0x36, 0x5f];
    if opcode == CALL {
        code.push(0x5f);
    }
    code.push(0x73);
    code.extend_from_slice(target.as_slice());
    code.extend_from_slice(&[0x5a, opcode, 0x5f, 0x52, 0x3d, 0x5f, 0x60, 0x20, 0x3e]);
    code.extend_from_slice(&[0x3d, 0x60, 0x20, 0x01, 0x5f, 0xf3]);
    let length = u8::try_from(code.len()).unwrap();
    [&[0x60, length, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3], code.as_slice()].concat()
}

struct Probe {
    bench: Bench,
    contract: Address,
}

impl Probe {
    fn new(target: Address, opcode: u8) -> Self {
        let mut bench = Bench::new();
        let deal = HandDeal {
            digest: [1; 32],
            size: 128,
            provider: 1_000,
            start: 10,
            duration: 20,
            activated: Some(5),
        };
        bench.market.deals.insert(3, deal);
        bench.market.next = 5;
        let contract = bench.deploy(forwarder(target, opcode));
        Self { bench, contract }
    }

    /// Whether the inner call succeeded, and what it answered.
    fn ask(&self, input: impl Into<Bytes>) -> (bool, Vec<u8>) {
        let output = self.bench.call_at(self.bench.height, self.contract, input).unwrap();
        let (success, answer) = output.split_at(32);
        (success.last() == Some(&1), answer.to_vec())
    }
}

pub fn input(method: u64, value: u64, flags: u64, codec: u64, params: &[u8], actor: u64) -> Vec<u8> {
    (method, U256::from(value), flags, codec, Bytes::copy_from_slice(params), actor).abi_encode_params()
}

pub fn answer(output: &[u8]) -> (i64, u64, Vec<u8>) {
    let (exit, codec, ret) = <(I256, u64, Bytes)>::abi_decode_params_validate(output).unwrap();
    (exit.as_i64(), codec, ret.to_vec())
}

#[test]
fn a_delegate_call_reads_the_market() {
    let probe = Probe::new(CALL_ACTOR_ID, DELEGATECALL);
    let (success, output) = probe.ask(input(GET_DEAL_ACTIVATION, 0, 1, 0x51, &[3], 5));
    assert!(success);
    // [5, -1]
    assert_eq!(answer(&output), (0, 0x51, vec![0x82, 0x05, 0x20]));
    // Three head words, a length, one padded word.
    assert_eq!(output.len(), 5 * 32);
}

#[test]
fn exit_codes_pass_and_carry_no_data() {
    let probe = Probe::new(CALL_ACTOR_ID, DELEGATECALL);
    for (params, actor, method, exit) in [
        (&[4][..], 5, GET_DEAL_ACTIVATION, 32),
        (&[9], 5, GET_DEAL_ACTIVATION, 17),
        (&[0x61, 0x61], 5, GET_DEAL_ACTIVATION, 21),
        (&[3], 5, 1_024, 22),
        (&[3], 5, 822_473_126, 25),
        (&[3], 77, GET_DEAL_ACTIVATION, -6),
    ] {
        let (success, output) = probe.ask(input(method, 0, 1, 0x51, params, actor));
        assert!(success);
        assert_eq!(answer(&output), (exit, 0, vec![]), "method {method} of actor {actor}");
    }
}

#[test]
fn malformed_calls_fail_with_nothing() {
    let probe = Probe::new(CALL_ACTOR_ID, DELEGATECALL);
    let failed = (false, Vec::new());
    for (what, input) in [
        ("unexported method", input(1_023, 0, 1, 0x51, &[3], 5)),
        ("unknown flag", input(GET_DEAL_ACTIVATION, 0, 2, 0x51, &[3], 5)),
        ("dag-cbor codec", input(GET_DEAL_ACTIVATION, 0, 1, 0x71, &[3], 5)),
        ("codec 0 with params", input(GET_DEAL_ACTIVATION, 0, 1, 0, &[3], 5)),
        ("nothing", Vec::new()),
        ("half a tuple", input(GET_DEAL_ACTIVATION, 0, 1, 0x51, &[3], 5)[..100].to_vec()),
    ] {
        assert_eq!(probe.ask(input), failed, "{what}");
    }
    // Codec 0 is right without parameters, and the bare send reaches any actor.
    let (success, output) = probe.ask(input(0, 0, 0, 0, &[], 5));
    assert!(success);
    assert_eq!(answer(&output), (0, 0, vec![]));
    // Value cannot be sent from here: read only.
    let (success, output) = probe.ask(input(GET_DEAL_ACTIVATION, 1, 0, 0x51, &[3], 5));
    assert!(success);
    assert_eq!(answer(&output).0, -13);
}

#[test]
fn other_kinds_of_call_fail_with_nothing() {
    for opcode in [CALL, STATICCALL] {
        for target in [CALL_ACTOR_ID, CALL_ACTOR] {
            let probe = Probe::new(target, opcode);
            assert_eq!(probe.ask(input(GET_DEAL_ACTIVATION, 0, 1, 0x51, &[3], 5)), (false, Vec::new()));
        }
    }
}

#[test]
fn actors_are_called_by_address_too() {
    let probe = Probe::new(CALL_ACTOR, DELEGATECALL);
    let by = |address: &[u8]| {
        let params = Bytes::from_static(&[3]);
        let address = Bytes::copy_from_slice(address);
        let call = (GET_DEAL_ACTIVATION, U256::ZERO, 1_u64, 0x51_u64, params, address);
        let (success, output) = probe.ask(call.abi_encode_params());
        assert!(success);
        answer(&output)
    };
    assert_eq!(by(&[0, 5]), (0, 0x51, vec![0x82, 0x05, 0x20]));
    assert_eq!(by(&[1, 2, 3]).0, -6);
}

#[test]
fn addresses_resolve_and_reverse() {
    let probe = Probe::new(RESOLVE, STATICCALL);
    assert_eq!(probe.ask(vec![0, 5]), (true, U256::from(5).to_be_bytes_vec()));
    assert_eq!(probe.ask(vec![1, 1]), (true, Vec::new()));
    let probe = Probe::new(DELEGATED, STATICCALL);
    let expected = [&[4, 10], [7; 20].as_slice()].concat();
    assert_eq!(probe.ask(U256::from(10_000).to_be_bytes_vec()), (true, expected));
    assert_eq!(probe.ask(U256::from(5).to_be_bytes_vec()), (true, Vec::new()));
}

#[test]
fn a_precompile_looks_like_an_account_without_code() {
    // EXTCODEHASH of the address in the first word of calldata: PUSH0 CALLDATALOAD EXTCODEHASH PUSH0 MSTORE ..
    let code = [0x5f, 0x35, 0x3f, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
    let init = [&[0x60, 0x09, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3][..], &code].concat();
    let mut bench = Bench::new();
    let contract = bench.deploy(init);
    let hash =
        |address: Address| bench.call_at(bench.height, contract, address.into_word().to_vec()).unwrap();
    assert_eq!(hash(CALL_ACTOR_ID), alloy_primitives::keccak256([]).to_vec());
    assert_eq!(hash(Address::repeat_byte(0x31)), vec![0; 32]);
}

#[test]
fn native_actors_have_no_contract_to_call() {
    let market = raas_devnet::fevm::masked(raas_core::ids::ActorId(5));
    let bench = Bench::new();
    assert!(bench.call_at(bench.height, market, vec![1, 2, 3, 4]).is_err());
    assert_eq!(bench.call_at(bench.height, market, vec![]), Ok(Bytes::new()));
    let nobody = raas_devnet::fevm::masked(raas_core::ids::ActorId(4_444));
    assert!(bench.call_at(bench.height, nobody, vec![]).is_err());
}
