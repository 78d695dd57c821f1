//! A whole world in memory with one client, to get real deals and real blocks from.

use crate::bench::{Verifier, completeCall, direct, piece_cid, submitRaaSCall};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use raas_core::{
    ids::{DealId, ProviderId},
    units::{AttoFil, Epoch, PaddedSize},
};
use raas_devnet::{
    Config,
    codec::{
        Address as Filecoin, ClientDealProposal, CommP, DealParams, DealProposal, DealUuid, Label, Message,
        SecretKey, Transfer, dag_cbor_sha256, piece_cid_v1, to_cbor,
    },
    fevm::{EthKey, Executed, eth},
    provider::{self, TransferEnd},
    rpc::RpcError,
    world::{Command, Phase, World, collateral_bounds},
};
use serde_json::Value;

pub const CID: &[u8] = b"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

pub struct Network {
    pub world: World,
    pub key: EthKey,
    client: SecretKey,
    deals: u8,
}

/// A deal that is active, with what the contract needs to know of it.
#[derive(Clone, Copy, Debug)]
pub struct ActiveDeal {
    pub id: DealId,
    pub provider: ProviderId,
    pub digest: [u8; 32],
    pub size: PaddedSize,
}

impl Network {
    pub fn new() -> Self {
        let world = World::new(&Config { allow_private: true, ..Config::default() });
        let key = EthKey::from_bytes(&[7; 32]).unwrap();
        let client = SecretKey::from_seed(b"client");
        let mut network = Self { world, key, client, deals: 0 };
        let accounts = [format!("{:#x}", network.key.address()), network.client.address().to_string()];
        for address in accounts {
            let amount = AttoFil::fil(1_000);
            network.world.apply(Command::Fund { address, amount }).unwrap();
        }
        network.fill_escrow();
        network
    }

    fn fill_escrow(&mut self) {
        let from = self.client.address();
        let (gas_fee_cap, gas_premium) = World::suggested_fees();
        let message = Message {
            version: 0,
            to: Filecoin::id(5),
            from: from.clone(),
            nonce: 0,
            value: AttoFil::fil(100),
            gas_limit: 100_000_000,
            gas_fee_cap,
            gas_premium,
            method: 822_473_126,
            params: to_cbor(&from).unwrap(),
        };
        let signature = self.client.sign(&message.signing_bytes().unwrap());
        let (message, signature) =
            (hex::encode(to_cbor(&message).unwrap()), hex::encode(signature.to_bytes()));
        self.world.apply(Command::Push { message, signature }).unwrap();
        self.advance(2);
    }

    pub fn advance(&mut self, epochs: i64) {
        self.world.apply(Command::Advance { epochs }).unwrap();
    }

    pub fn head(&self) -> i64 {
        self.world.chain().head()
    }

    /// Asks as a client would, by method and parameters.
    pub fn rpc(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        eth::handle(&mut self.world, method, &params)
    }

    /// Sends a transaction and lets its receipt appear. Answers where it was executed, and what became of it.
    pub fn send(&mut self, to: Option<Address>, data: Vec<u8>) -> (i64, B256, Executed) {
        let hash = self.world.eth_send(&self.key, to, U256::ZERO, data).unwrap();
        self.advance(2);
        let (height, ..) = self.world.fevm.find(&hash).unwrap();
        (height, hash, self.world.eth_receipt(&hash).unwrap().clone())
    }

    /// DealStatus with one request of three copies.
    pub fn contract(&mut self) -> Address {
        let library = self.send(None, crate::bench::library_code().to_vec()).2.contract.unwrap();
        let code = crate::bench::deal_status(library, self.key.address());
        let contract = self.send(None, code.to_vec()).2.contract.unwrap();
        self.send(Some(contract), self.submit());
        contract
    }

    pub fn submit(&self) -> Vec<u8> {
        let call = submitRaaSCall {
            cid: CID.into(),
            target: U256::from(3),
            repair: U256::from(2_880),
            renew: U256::from(86_400),
        };
        call.abi_encode()
    }

    pub fn complete(deal: &ActiveDeal) -> Vec<u8> {
        let data = Verifier { commPc: piece_cid(&deal.digest).into(), sizePc: deal.size.get() };
        let provider = deal.provider.number();
        let call =
            completeCall { id: U256::from(1), dealId: deal.id.0, minerId: provider, proof: direct(), data };
        call.abi_encode()
    }

    /// Proposes a deal to the first provider, delivers its bytes, and waits until it is active.
    pub fn deal(&mut self) -> ActiveDeal {
        self.deals += 1;
        let provider = self.world.config().providers[0].clone();
        let piece = CommP::of(&[self.deals; 1_000]);
        let start = self.head() + 3 * 2_880;
        let proposal = DealProposal {
            piece_cid: piece_cid_v1(piece.commitment),
            piece_size: piece.padded_size.get(),
            verified: false,
            client: self.client.address(),
            provider: Filecoin::Id(provider.id.0),
            label: Label::Text("a label".to_owned()),
            start: Epoch(start),
            end: Epoch(start + 600_000),
            price_per_epoch: piece.padded_size.cost_per_epoch(provider.ask),
            provider_collateral: collateral_bounds(piece.padded_size.get()).0,
            client_collateral: AttoFil::ZERO,
        };
        let signature = self.client.sign(&proposal.signing_bytes().unwrap());
        let uuid = DealUuid([self.deals; 16]);
        let params = DealParams {
            deal_uuid: uuid,
            transfer: Transfer {
                size: piece.payload_size,
                r#type: "http".to_owned(),
                params: br#"{"URL":"http://127.0.0.1:1/piece"}"#.to_vec(),
                client_id: String::new(),
            },
            is_offline: false,
            deal_data_root: dag_cbor_sha256(b"root"),
            skip_ipni_announce: true,
            client_deal_proposal: ClientDealProposal { proposal, signature },
            remove_unsealed_copy: false,
        };
        let at = provider.id;
        let store = provider::Command::Store { at, params: Box::new(params) };
        self.world.apply(Command::Provider(store)).unwrap();
        let end = TransferEnd::received(&piece);
        let delivered = provider::Command::TransferEnded { at, uuid, end };
        self.world.apply(Command::Provider(delivered)).unwrap();
        let id = DealId(self.world.config().first_deal_id + u64::from(self.deals) - 1);
        for _ in 0..50 {
            if matches!(self.world.market().deal(id, self.world.at_head()), Ok((_, Phase::Active { .. }))) {
                return ActiveDeal { id, provider: at, digest: piece.commitment.0, size: piece.padded_size };
            }
            let next = self.world.next_event().expect("an unfinished deal has something to wait for");
            self.advance(next - self.world.chain().clock());
        }
        panic!("deal {id} did not become active; ledger: {:#?}", self.world.ledger.since(0));
    }
}
