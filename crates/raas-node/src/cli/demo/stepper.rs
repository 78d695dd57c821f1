//! Steps a node on a devnet whose time moves by command: to the next wake or the next event of the world,
//! whichever is first, and to rest there.
//!
//! For the demo and for tests; there is nothing to wait for by wall time.

use serde_json::{Value, json};

/// A message needs an epoch to be included and one more for its receipt; a node that waits for a round is looked
/// at again after so many epochs if nothing is known to happen before.
const ROUND_EPOCHS: i64 = 10;

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Node or devnet does not answer.
    #[error("{what} does not answer")]
    Http {
        /// Which call.
        what: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Node or devnet refuses.
    #[error("{what} is refused: {why}")]
    Refused {
        /// Which call.
        what: String,
        /// Its words.
        why: String,
    },
    /// Nothing wakes the node and nothing will happen.
    #[error(
        "at epoch {head} nothing wakes the node any more and nothing will happen, but not yet: {waited_for}"
    )]
    AtRest {
        /// The head.
        head: i64,
        /// What was waited for.
        waited_for: String,
    },
    /// The bound on steps was reached.
    #[error("after {steps} steps, at epoch {head}, still not: {waited_for}")]
    TooManySteps {
        /// How many.
        steps: u32,
        /// The head.
        head: i64,
        /// What was waited for.
        waited_for: String,
    },
}

/// A node at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The chain's head.
    pub head: i64,
    /// Height of the round's finalized tipset; `None` before the first round.
    pub finalized: Option<i64>,
    /// When something is due.
    pub next_wake: Option<i64>,
    /// Whether an order or a transaction waits for the next round.
    pub on_round: bool,
    /// Why the node only observes, if so.
    pub hold: Option<Value>,
}

/// Moves one devnet and one node.
#[derive(Clone, Debug)]
pub struct Stepper {
    http: reqwest::Client,
    admin: String,
    rpc: String,
}

impl Stepper {
    /// For the node whose API is at `admin` on the devnet whose RPC is at `rpc`.
    pub fn new(http: reqwest::Client, admin: impl Into<String>, rpc: impl Into<String>) -> Self {
        Self { http, admin: admin.into(), rpc: rpc.into() }
    }

    /// Calls a method of the devnet's endpoint.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value, StepError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.answer(method, self.http.post(&self.rpc).json(&request)).await?;
        match answer.get("error").filter(|error| !error.is_null()) {
            Some(error) => {
                let why = error["message"].as_str().unwrap_or("no message").to_owned();
                Err(StepError::Refused { what: method.to_owned(), why })
            }
            None => Ok(answer["result"].clone()),
        }
    }

    async fn answer(&self, what: &str, request: reqwest::RequestBuilder) -> Result<Value, StepError> {
        let failed = |source| StepError::Http { what: what.to_owned(), source };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if status.is_success() => Ok(value),
            Ok(value) if value["detail"].is_string() => {
                let why = value["detail"].as_str().unwrap_or_default().to_owned();
                Err(StepError::Refused { what: what.to_owned(), why })
            }
            _ => Err(StepError::Refused { what: what.to_owned(), why: format!("{status}: {text}") }),
        }
    }

    /// The devnet's true epoch.
    pub async fn now(&self) -> Result<i64, StepError> {
        Ok(self.rpc("devnet_now", json!([])).await?["height"].as_i64().unwrap_or_default())
    }

    /// Lets `epochs` pass; the node is not told.
    pub async fn advance(&self, epochs: i64) -> Result<i64, StepError> {
        let head = self.rpc("devnet_advance", json!([epochs])).await?;
        Ok(head.as_i64().unwrap_or_default())
    }

    /// Brings the node to rest at this head.
    pub async fn quiesce(&self) -> Result<Rest, StepError> {
        let request = self.http.post(format!("{}/v1/node/quiesce", self.admin));
        let answer = self.answer("the node's quiesce", request).await?;
        Ok(Rest {
            head: self.now().await?,
            finalized: answer["finalized"].as_i64(),
            next_wake: answer["next_wake"].as_i64(),
            on_round: answer["on_round"] == true,
            hold: Some(answer["hold"].clone()).filter(|hold| !hold.is_null()),
        })
    }

    /// Where to go next: `None` when nothing wakes the node and nothing will happen.
    pub async fn next(&self, rest: &Rest) -> Result<Option<i64>, StepError> {
        let event = self.rpc("devnet_nextEvent", json!([])).await?.as_i64();
        let round = rest.on_round.then_some(rest.head + ROUND_EPOCHS);
        Ok([rest.next_wake, event, round].into_iter().flatten().filter(|epoch| *epoch > rest.head).min())
    }

    /// Steps until `holds` gives something, at most `steps_max` times. It is asked after each time the node has
    /// come to rest, before time moves on.
    pub async fn until<T, E: From<StepError>>(
        &self,
        waited_for: &str,
        steps_max: u32,
        mut holds: impl AsyncFnMut(&Rest) -> Result<Option<T>, E>,
    ) -> Result<T, E> {
        let mut head = 0;
        for _ in 0..steps_max {
            let rest = self.quiesce().await?;
            head = rest.head;
            if let Some(found) = holds(&rest).await? {
                return Ok(found);
            }
            let Some(next) = self.next(&rest).await? else {
                return Err(StepError::AtRest { head, waited_for: waited_for.to_owned() }.into());
            };
            tracing::debug!(head, next, next_wake = rest.next_wake, on_round = rest.on_round, "step");
            self.advance(next - rest.head).await?;
        }
        Err(StepError::TooManySteps { steps: steps_max, head, waited_for: waited_for.to_owned() }.into())
    }
}
