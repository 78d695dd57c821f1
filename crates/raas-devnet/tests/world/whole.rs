//! The whole devnet over its own protocols: a deal by HTTP, its bytes pulled, its history kept over a restart.

use crate::{network::Network, rpc::Endpoint, source::Source};
use raas_core::ids::ProviderId;
use raas_devnet::{
    Config,
    codec::{
        CommP, DealParams, DealResponse, DealUuid, Transfer, TransferParams, from_cbor, piece_cid_v1, to_cbor,
    },
};
use serde_json::{Value, json};
use std::path::Path;

const PROVIDER: ProviderId = ProviderId::new(1_003);

fn config(dir: &Path) -> Config {
    Config { allow_private: true, data_dir: Some(dir.to_owned()), ..Config::default() }
}

/// A CAR header and filler.
fn car() -> Vec<u8> {
    let mut bytes = hex::decode("19a265726f6f747381d82a4500015500006776657273696f6e01").unwrap();
    bytes.extend((0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()));
    bytes
}

async fn url_of(endpoint: &Endpoint) -> String {
    let providers = endpoint.ask("devnet_providers", json!([])).await;
    providers[3]["url"].as_str().unwrap().to_owned()
}

/// Whether the provider serves the CAR with the piece's zeros behind it.
async fn serves_the_car(endpoint: &Endpoint, cid: &cid::Cid) -> bool {
    let served = retrieve(endpoint, cid).await;
    served.strip_prefix(car().as_slice()).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

async fn retrieve(endpoint: &Endpoint, cid: &cid::Cid) -> Vec<u8> {
    let url = format!("{}/piece/{cid}", url_of(endpoint).await);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_deal_over_http_is_sealed_served_and_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::new(config(dir.path())).await;
    let source = Source::of(&car()).await;
    let piece = CommP::of(&car());

    // The client's money, by a signed message over the RPC.
    let mut client = Network::poor(&Config::default());
    let address = client.client.address();
    endpoint.ask("devnet_fund", json!([address.to_string(), "20000000000000000000"])).await;
    let add = raas_devnet::codec::method_number("AddBalance");
    let escrow = client.message(add, raas_core::units::AttoFil::fil(10), to_cbor(&address).unwrap());
    endpoint.ask("Filecoin.MpoolPush", json!([escrow])).await;
    endpoint.ask("devnet_advance", json!([2])).await;

    client.advance(2);
    let signed = client.sign(client.proposal(PROVIDER, &piece));
    let source_url = TransferParams { url: source.url(), headers: None };
    let params = DealParams {
        deal_uuid: DealUuid([9; 16]),
        transfer: Transfer {
            size: piece.payload_size,
            r#type: "http".to_owned(),
            params: serde_json::to_vec(&source_url).unwrap(),
            client_id: String::new(),
        },
        is_offline: false,
        deal_data_root: "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".parse().unwrap(),
        skip_ipni_announce: false,
        client_deal_proposal: signed,
        remove_unsealed_copy: false,
    };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http
        .post(format!("{}/market/mk12/store", url_of(&endpoint).await))
        .header("content-type", "application/cbor")
        .body(to_cbor(&params).unwrap())
        .send()
        .await
        .unwrap();
    let answer: DealResponse = from_cbor(&answer.bytes().await.unwrap()).unwrap();
    assert!(answer.accepted, "{}", answer.message);

    // One step over everything: the bytes are waited for, however fast they come.
    endpoint.ask("devnet_advance", json!([200])).await;
    let filter = json!([{ "fromHeight": 5_000_000, "toHeight": 5_000_250, "addresses": ["f05"] }]);
    let events = endpoint.ask("Filecoin.GetActorEventsRaw", filter).await;
    let ledger = endpoint.ask("devnet_ledger", json!([null])).await;
    assert_eq!(events.as_array().map(Vec::len), Some(2), "{ledger:#}");
    let deal = endpoint.ask("Filecoin.StateMarketStorageDeal", json!([100, null])).await;
    assert_eq!(deal["Proposal"]["Provider"], "t01003");
    // Published ten epochs after the bytes came, sealed sixty later.
    assert_eq!(deal["State"]["SectorStartEpoch"], 5_000_072);
    let cid = piece_cid_v1(piece.commitment);
    assert!(serves_the_car(&endpoint, &cid).await);

    let hash: Value = endpoint.ask("devnet_ledgerHash", json!([])).await;
    drop(endpoint);
    let again = Endpoint::new(config(dir.path())).await;
    assert_eq!(again.ask("devnet_ledgerHash", json!([])).await, hash);
    assert!(serves_the_car(&again, &cid).await);
    let shown = again.ask("Filecoin.StateMinerInfo", json!(["f01003", null])).await;
    assert_eq!(shown["Multiaddrs"].as_array().unwrap().len(), 1);
    again.devnet.shutdown().await;
}
