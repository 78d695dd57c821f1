//! Calls over HTTP and JSON-RPC, as anybody can make them.

use super::scene::Scene;
use super::start::NODE_KEY;
use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolCall;
use raas_clients::evm::DealStatusAbi as Abi;
use raas_clients::key::Key;
use raas_core::cid::DataCid;
use serde_json::{Value, json};

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its JSON, or its text as a JSON string.
    pub body: Value,
}

impl Answer {
    /// Of a request that was sent.
    pub async fn of(sent: reqwest::Result<reqwest::Response>) -> Self {
        let response = sent.expect("an HTTP answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, body }
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A text of the body that must be there.
    #[track_caller]
    pub fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("{field} in {}", self.body)).to_owned()
    }

    /// What a refusal says, in either of its forms.
    #[track_caller]
    pub fn refusal(&self) -> String {
        self.text(if self.body["type"].is_string() { "detail" } else { "error" })
    }
}

impl Scene {
    /// A method of the devnet's endpoint.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        match self.try_rpc(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// A method that may be refused.
    pub async fn try_rpc(&self, method: &str, params: Value) -> Result<Value, Value> {
        if matches!(method, "devnet_reorg" | "devnet_revert") {
            self.forget_ledger();
        }
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = self.http.post(self.devnet.rpc_url()).json(&call).send().await;
        let answer: Value = sent.expect("the devnet answers").json().await.expect("JSON");
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].clone()),
        }
    }

    /// `devnet_setProvider`.
    pub async fn set_provider(&self, provider: u64, mode: &str, count: Option<u32>) {
        self.rpc("devnet_setProvider", json!([provider, mode, count])).await;
    }

    /// `devnet_setRpc` for all methods.
    pub async fn set_rpc(&self, mode: &str) {
        self.rpc("devnet_setRpc", json!([mode, null, null])).await;
    }

    /// GET at the admin listener.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.http.get(format!("{}{path}", self.admin())).send().await).await
    }

    /// Any call of a listener; the bytes are sent while the answer may come already.
    pub async fn call(
        &self,
        method: reqwest::Method,
        url: &str,
        content_type: Option<&str>,
        body: Vec<u8>,
    ) -> Answer {
        let mut request = self.http.request(method, url).body(body);
        if let Some(kind) = content_type {
            request = request.header("content-type", kind);
        }
        Answer::of(request.send().await).await
    }

    /// POST of JSON at the admin listener.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.http.post(format!("{}{path}", self.admin())).json(body).send().await).await
    }

    /// POST at the admin listener that moves money, as whoever can read the node's files may.
    pub async fn pay(&self, path: &str, key: &str, body: &Value) -> Answer {
        let token = std::fs::read_to_string(self.config.data_dir.join("wallet.token")).expect("a token");
        let request = self.http.post(format!("{}{path}", self.admin())).bearer_auth(token.trim());
        Answer::of(request.header("idempotency-key", key).json(body).send().await).await
    }

    /// POST of bytes at the admin listener.
    pub async fn post_bytes(&self, path: &str, bytes: Vec<u8>) -> Answer {
        Answer::of(self.http.post(format!("{}{path}", self.admin())).body(bytes).send().await).await
    }

    /// POST of a stream at the admin listener.
    pub async fn post_body(&self, path: &str, body: reqwest::Body) -> Answer {
        Answer::of(self.http.post(format!("{}{path}", self.admin())).body(body).send().await).await
    }

    /// Uploads bytes as a file; the node makes deals for it. CID and piece CID.
    pub async fn upload(&self, bytes: Vec<u8>) -> (String, String) {
        let answer = self.post_bytes("/api/uploadFile", bytes).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        (answer.text("cid"), answer.text("pieceCid"))
    }

    /// Uploads bytes without a job.
    pub async fn upload_only(&self, bytes: Vec<u8>) -> (String, String) {
        let answer = self.post_bytes("/api/uploadFile?deal=false", bytes).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        (answer.text("cid"), answer.text("pieceCid"))
    }

    /// The answer to a question about `/ipfs/{what}`.
    pub async fn gateway(&self, method: reqwest::Method, what: &str) -> reqwest::Response {
        let url = format!("{}/ipfs/{what}", self.data());
        self.http.request(method, url).send().await.expect("an answer")
    }

    /// Any question to the data listener.
    pub async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::Response {
        let mut request = self.http.request(method, format!("{}{path}", self.data()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    /// Bytes of `/ipfs/{cid}` with the answer's status.
    pub async fn ipfs(&self, cid: &str) -> (u16, Vec<u8>) {
        let sent = self.gateway(reqwest::Method::GET, cid).await;
        let status = sent.status().as_u16();
        (status, sent.bytes().await.expect("a whole body").to_vec())
    }

    /// `GET /v1/holdings/{cid}/why`.
    pub async fn why(&self, cid: &str) -> Value {
        self.get(&format!("/v1/holdings/{cid}/why")).await.expect(200)
    }

    /// How many copies the node counts, of the only holding of `cid`.
    pub async fn standing(&self, cid: &str) -> Value {
        let why = self.why(cid).await;
        why["holdings"][0]["standing"].clone()
    }

    /// Every wait of the only holding of `cid`, as `waiting_for` names it.
    pub async fn waits(&self, cid: &str) -> Vec<String> {
        let why = self.why(cid).await;
        let waits = why["holdings"][0]["waits"].as_array().expect("waits").clone();
        waits.iter().map(|wait| wait["for_"]["waiting_for"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// (deal, provider) pairs of `getActiveDeals` at the head, in order.
    pub async fn active_deals(&self, cid: &str) -> Vec<(u64, u64)> {
        let data: DataCid = cid.parse().expect("a CID");
        let call = Abi::getActiveDealsCall { _cid: Bytes::from(data.cid().to_bytes()) };
        let returned = self.eth_call(&call).await;
        let mut deals: Vec<(u64, u64)> = returned.iter().map(|deal| (deal.dealId, deal.minerId)).collect();
        deals.sort_unstable();
        deals
    }

    /// `requestCount` at the head.
    pub async fn request_count(&self) -> u64 {
        self.eth_call(&Abi::requestCountCall {}).await.try_into().expect("a small number")
    }

    /// The CAR of `cid` as the node gives it to anybody.
    pub async fn car(&self, cid: &str) -> Vec<u8> {
        let sent =
            self.http.get(format!("{}/ipfs/{cid}?format=car", self.data())).send().await.expect("an answer");
        assert!(sent.status().is_success());
        sent.bytes().await.expect("a whole CAR").to_vec()
    }

    /// The node's f1 address.
    pub fn node_account(&self) -> String {
        Key::from_hex(NODE_KEY).expect("a key").native_address().to_string()
    }

    /// The node's 0x address.
    pub fn node_eth_address(&self) -> Address {
        Key::from_hex(NODE_KEY).expect("a key").eth_address()
    }

    /// A view of the contract.
    pub async fn eth_call<C: SolCall>(&self, call: &C) -> C::Return {
        self.eth_call_at(&self.contract(), call).await
    }

    /// A view of any contract.
    pub async fn eth_call_at<C: SolCall>(&self, contract: &str, call: &C) -> C::Return {
        let data = format!("0x{}", hex::encode(call.abi_encode()));
        let result = self.rpc("eth_call", json!([{ "to": contract, "data": data }, "latest"])).await;
        let bytes = hex::decode(&result.as_str().expect("hex")[2..]).expect("hex");
        C::abi_decode_returns(&bytes).expect("the contract's own types")
    }
}
