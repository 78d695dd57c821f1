//! The pool before servers that are slow, busy, garbled or gone.

use crate::server::{nowhere, serve};
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use raas_clients::filecoin::LotusChain;
use raas_clients::key::Key;
use raas_clients::rpc::{
    Call, CallError, EndpointConfig, Evidence, Limits, Pool, PoolError, Reached, Unknown,
};
use raas_core::ids::DealId;
use raas_core::observation::{DealSeen, NotSeen, Round};
use raas_core::ports::Chain as _;
use raas_core::units::Epoch;
use serde_json::{Value, json};
use std::future::Future;
use std::time::Duration;

fn limits() -> Limits {
    Limits { deadline: Duration::from_millis(500), response_bytes: 100_000, ..Limits::default() }
}

fn pool(urls: &[&str], wanted: usize) -> Pool {
    let endpoints: Vec<EndpointConfig> =
        urls.iter().map(|url| EndpointConfig::new(url.parse().expect("a URL"))).collect();
    Pool::new(&endpoints, limits(), wanted).expect("a pool")
}

/// A server whose answer is computed from the whole request body.
async fn answering<F, A>(answer: F) -> String
where
    F: Fn(Value) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send,
{
    serve(Router::new().fallback(move |body: Bytes| {
        let request = serde_json::from_slice(&body).expect("JSON-RPC");
        answer(request)
    }))
    .await
}

async fn saying(result: Value) -> String {
    answering(move |request| {
        let result = result.clone();
        async move { Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).into_response() }
    })
    .await
}

async fn failing(code: i64, message: &'static str) -> String {
    answering(move |request| async move {
        let error = json!({"code": code, "message": message});
        Json(json!({"jsonrpc": "2.0", "id": request["id"], "error": error})).into_response()
    })
    .await
}

async fn with_status(status: u16) -> String {
    answering(move |_| async move { StatusCode::from_u16(status).expect("a status").into_response() }).await
}

fn call() -> Call {
    Call::new("Filecoin.StateNetworkName", vec![])
}

#[tokio::test]
async fn failures_to_look_are_told_apart() {
    let gone = nowhere().await;
    let error = pool(&[&gone], 1).read::<String>(call()).await.expect_err("nobody there");
    assert!(matches!(error, CallError::Retry { reached: Reached::No, .. }), "{error:?}");

    for status in [500, 502, 503] {
        let error =
            pool(&[&with_status(status).await], 1).read::<String>(call()).await.expect_err("an error");
        assert!(matches!(error, CallError::Retry { reached: Reached::Perhaps, .. }), "{status}: {error:?}");
    }
    let error = pool(&[&with_status(429).await], 1).read::<String>(call()).await.expect_err("an error");
    assert!(matches!(error, CallError::Retry { reached: Reached::No, .. }), "{error:?}");

    let silent = answering(|_| std::future::pending()).await;
    let error = pool(&[&silent], 1).read::<String>(call()).await.expect_err("silence");
    assert!(matches!(error, CallError::Retry { reached: Reached::Perhaps, .. }), "{error:?}");

    let huge = saying(json!("x".repeat(200_000))).await;
    let error = pool(&[&huge], 1).read::<String>(call()).await.expect_err("too much");
    assert!(matches!(error, CallError::TooMuch(_)), "{error:?}");

    let page = answering(|_| async { "<html>sign in</html>".into_response() }).await;
    let error = pool(&[&page], 1).read::<String>(call()).await.expect_err("no JSON");
    assert!(matches!(error, CallError::Unknown(Unknown::Malformed(_))), "{error:?}");

    let text = saying(json!(5)).await;
    let error = pool(&[&text], 1).read::<String>(call()).await.expect_err("another type");
    assert!(matches!(error, CallError::Unknown(Unknown::Malformed(_))), "{error:?}");
}

#[tokio::test]
async fn the_next_endpoint_answers_for_one_that_cannot() {
    let good = saying(json!("testnet")).await;
    for bad in [nowhere().await, with_status(503).await, failing(-32601, "method not found").await] {
        assert_eq!(pool(&[&bad, &good], 1).read::<String>(call()).await, Ok("testnet".to_owned()));
    }
    // An error that is evidence is not passed over: it and the answer contradict each other.
    let denies = failing(1, "actor not found").await;
    let both = pool(&[&denies, &good], 2).read::<String>(call()).await;
    assert_eq!(both, Err(CallError::Unknown(Unknown::Contradiction)));
    let one = pool(&[&denies, &good], 1).read::<String>(call()).await;
    assert_eq!(one, Err(CallError::Evidence(Evidence::ActorNotFound)));
}

#[tokio::test]
async fn agreement_needs_equal_words() {
    let (a, b, c) = (saying(json!(1)).await, saying(json!(1)).await, saying(json!(2)).await);
    assert_eq!(pool(&[&a, &b], 2).agreed::<u64>(call()).await, Ok(1));
    assert_eq!(
        pool(&[&a, &c], 2).agreed::<u64>(call()).await,
        Err(CallError::Unknown(Unknown::Contradiction))
    );
    let gone = nowhere().await;
    assert!(pool(&[&a, &gone], 2).agreed::<u64>(call()).await.is_err(), "one voice where two are wanted");
    assert_eq!(pool(&[&gone, &a, &b], 2).agreed::<u64>(call()).await, Ok(1));
}

/// Says of every deal that it is gone: in the error text, then by its exit code.
fn gone(call: &Value) -> Value {
    let deal = &call["params"][0];
    let message = format!(
        "deal {deal} not found - deal may not have completed sealing before deal proposal start epoch, or deal \
         may have been slashed"
    );
    if call["method"] == "Filecoin.StateMarketStorageDeal" {
        json!({"jsonrpc": "2.0", "id": call["id"], "error": {"code": 1, "message": message}})
    } else {
        let receipt = json!({"MsgRct": {"ExitCode": 32, "Return": null}});
        json!({"jsonrpc": "2.0", "id": call["id"], "result": receipt})
    }
}

async fn deals_at(url: &str, count: u64) -> Vec<DealSeen> {
    let client = Key::from_bytes(&[7; 32]).expect("a key").native_address();
    let round = Round {
        tipset: "bafya".to_owned(),
        height: Epoch(9),
        eth_block: Epoch(8),
        head: Epoch(10),
        agreed: 1,
        asked: 1,
    };
    let deals: Vec<DealId> = (0..count).map(DealId).collect();
    LotusChain::new(pool(&[url], 1), client).deals(&round, &deals).await
}

#[tokio::test]
async fn a_batch_is_matched_by_id_and_bounded() {
    // Answers batches backwards, and leaves out the last call of full ones.
    let backwards = answering(|request| async move {
        let Value::Array(mut calls) = request else { return StatusCode::BAD_REQUEST.into_response() };
        assert!(calls.len() <= 50, "{}", calls.len());
        if calls.len() == 50 {
            calls.pop();
        }
        Json(calls.iter().rev().map(gone).collect::<Value>()).into_response()
    })
    .await;
    let seen = deals_at(&backwards, 120).await;
    assert_eq!(seen.len(), 120);
    // What has no answer was not seen: 49 and 99, and of the 118 exit codes the 50th and the 100th.
    assert_eq!(seen[49], DealSeen::NotSeen(NotSeen::RpcFailed));
    assert_eq!(seen[99], DealSeen::NotSeen(NotSeen::RpcFailed));
    assert_eq!(seen.iter().filter(|deal| **deal == DealSeen::Gone).count(), 116);
}

#[tokio::test]
async fn a_batch_turned_away_whole_is_not_seen_or_asked_call_by_call() {
    let refusing = |code: i64, message: &'static str| {
        answering(move |request| async move {
            let answer = if request.is_array() {
                json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}})
            } else {
                gone(&request)
            };
            Json(answer).into_response()
        })
    };
    let busy = refusing(-32603, "server busy. please retry").await;
    assert_eq!(deals_at(&busy, 2).await, vec![DealSeen::NotSeen(NotSeen::RpcFailed); 2]);
    let batchless = refusing(-32600, "no batches here").await;
    assert_eq!(deals_at(&batchless, 2).await, vec![DealSeen::Gone; 2]);
}

/// Each answer is small, and those of a batch are more than is read: over HTTP, and by a server's own cap.
#[tokio::test]
async fn a_batch_whose_answers_are_too_much_together_is_asked_in_parts() {
    let padded = |call: &Value| {
        let mut answer = gone(call);
        answer["padding"] = json!("x".repeat(9_000));
        answer
    };
    let long = answering(move |request| async move {
        let calls = request.as_array().cloned().unwrap_or_else(|| vec![request]);
        Json(calls.iter().map(padded).collect::<Value>()).into_response()
    })
    .await;
    assert_eq!(deals_at(&long, 40).await, vec![DealSeen::Gone; 40]);
    let capped = answering(|request| async move {
        let Value::Array(calls) = &request else { return Json(gone(&request)).into_response() };
        let answer = if calls.len() > 6 {
            let error = json!({"code": -32011, "message": "The batch response was too large"});
            json!({"jsonrpc": "2.0", "id": null, "error": error})
        } else {
            calls.iter().map(gone).collect()
        };
        Json(answer).into_response()
    })
    .await;
    assert_eq!(deals_at(&capped, 40).await, vec![DealSeen::Gone; 40]);
    // One alone that is too much costs itself only.
    let one = answering(|request| async move {
        let calls = request.as_array().cloned().unwrap_or_else(|| vec![request]);
        let answers = calls.iter().map(|call| {
            let mut answer = gone(call);
            if call["method"] == "Filecoin.StateMarketStorageDeal" && call["params"][0] == 5 {
                answer["padding"] = json!("x".repeat(200_000));
            }
            answer
        });
        Json(answers.collect::<Value>()).into_response()
    })
    .await;
    let seen = deals_at(&one, 8).await;
    assert_eq!(seen[5], DealSeen::NotSeen(NotSeen::RpcFailed));
    assert_eq!(seen.iter().filter(|deal| **deal == DealSeen::Gone).count(), 7);
}

/// What an endpoint finds too much is no word about the chain, so that the next one's answer contradicts nothing.
#[tokio::test]
async fn what_is_too_much_for_one_endpoint_the_next_one_answers() {
    let good = saying(json!("testnet")).await;
    let huge = saying(json!("x".repeat(200_000))).await;
    for bad in [huge, failing(-32008, "Response is too big").await, with_status(413).await] {
        assert_eq!(pool(&[&bad, &good], 1).read::<String>(call()).await, Ok("testnet".to_owned()));
        let both = pool(&[&bad, &good], 2).agreed::<String>(call()).await;
        assert!(matches!(both, Err(CallError::TooMuch(_))), "{both:?}");
    }
}

#[test]
fn a_pool_that_cannot_agree_is_refused() {
    let end = || EndpointConfig::new("http://127.0.0.1:1/rpc/v1".parse().expect("a URL"));
    let make = |ends: &[EndpointConfig], wanted| Pool::new(ends, limits(), wanted).err();
    assert_eq!(make(&[], 1), Some(PoolError::NoEndpoint));
    assert_eq!(make(&[end()], 2), Some(PoolError::Wanted { wanted: 2, endpoints: 1 }));
    assert_eq!(make(&[end()], 0), Some(PoolError::Wanted { wanted: 0, endpoints: 1 }));
    let ftp = EndpointConfig::new("ftp://127.0.0.1/".parse().expect("a URL"));
    assert!(matches!(make(&[ftp], 1), Some(PoolError::NotHttp(_))));
    let secret = EndpointConfig { token: Some("hunter2".to_owned()), ..end() };
    assert!(!format!("{secret:?}").contains("hunter2"));
}

/// Otherwise nothing that came after it would ever be told.
#[tokio::test]
async fn a_height_with_more_events_than_an_answer_may_hold_is_left_out_and_named() {
    const FULL: i64 = 1_234;
    let url = answering(|request| async move {
        let filter = &request["params"][0];
        let height = |name: &str| filter[name].as_i64().expect("a height");
        let (from, to) = (height("fromHeight"), height("toHeight"));
        let result = match (from..=to).contains(&FULL) {
            true => json!("x".repeat(200_000)),
            false => Value::Null,
        };
        Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})).into_response()
    })
    .await;
    let client = Key::from_bytes(&[7; 32]).expect("a key").native_address();
    let chain = LotusChain::new(pool(&[&url], 1), client);
    let events = chain.deal_events(Epoch(1_000), Epoch(2_000)).await.expect("all others are read");
    assert_eq!((events.told, events.left_out), (Vec::new(), vec![Epoch(FULL)]));
}
