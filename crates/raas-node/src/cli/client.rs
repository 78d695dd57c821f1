//! The node's HTTP API as the command line uses it.

use super::Failure;
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// One node.
pub struct Client {
    http: reqwest::Client,
    admin: String,
    data: Option<String>,
    key: Option<String>,
}

impl Client {
    /// A client; nothing is sent yet.
    pub fn new(admin: &str, data: Option<&str>, key: Option<String>) -> Result<Self, Failure> {
        let admin = admin.trim_end_matches('/').to_owned();
        if !admin.starts_with("http://") && !admin.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "--node: {admin:?} is no http URL, such as http://127.0.0.1:1337"
            )));
        }
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { http, admin, data: data.map(|data| data.trim_end_matches('/').to_owned()), key })
    }

    /// A call of the API; its JSON, or what the node says is wrong.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.admin));
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await
    }

    /// Whether it shows a key of its own.
    pub const fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// A call that moves money: with the node's wallet token unless there is an admin's key, and a name so that it happens
    /// once.
    pub async fn pay(
        &self,
        path: &str,
        body: Option<&Value>,
        token: &str,
        key: &str,
    ) -> Result<Value, Failure> {
        let mut request = self.http.post(format!("{}{path}", self.admin));
        if self.key.is_none() {
            request = request.bearer_auth(token);
        }
        request = request.header("idempotency-key", key);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await
    }

    /// An upload with a streamed body.
    pub async fn upload(&self, query: &[(&str, String)], body: reqwest::Body) -> Result<Value, Failure> {
        let url = url::Url::parse_with_params(&format!("{}/api/uploadFile", self.admin), query)?;
        self.answer(self.http.post(url).body(body)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let response = request.send().await.map_err(|error| unreachable(&self.admin, "--node", &error))?;
        let status = response.status();
        let text = response.text().await?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        Err(refused(status, &value))
    }

    /// A stream of bytes from the data listener.
    pub async fn open(&self, path: &str) -> Result<reqwest::Response, Failure> {
        let base = match &self.data {
            Some(data) => data.clone(),
            None => {
                let node = self.call(Method::GET, "/v1/node", None).await?;
                let url = node["public_url"].as_str().unwrap_or_default();
                url.trim_end_matches('/').to_owned()
            }
        };
        let response = self
            .http
            .get(format!("{base}{path}"))
            .send()
            .await
            .map_err(|error| unreachable(&base, "--data-url", &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let value = response.json().await.unwrap_or(Value::Null);
        Err(refused(status, &value))
    }
}

fn unreachable(url: &str, flag: &str, error: &reqwest::Error) -> Failure {
    let why = if error.is_connect() { "nothing answers there" } else { "the connection broke" };
    Failure::Unreachable(format!(
        "the node at {url} could not be reached: {why}. Start one with `raas up --network devnet`, or name \
         another with {flag}"
    ))
}

fn refused(status: StatusCode, value: &Value) -> Failure {
    let said = value["detail"].as_str().or(value["error"].as_str());
    let text = said.map_or_else(|| format!("the node answers {status}"), str::to_owned);
    if status == StatusCode::BAD_REQUEST {
        Failure::Usage(text)
    } else {
        Failure::Failed(anyhow::anyhow!(text))
    }
}
