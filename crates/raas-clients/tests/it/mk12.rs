//! Proposals to the devnet's providers and to servers that misbehave.

use crate::server::{nowhere, serve};
use crate::support::{Net, PROVIDER, control};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use raas_clients::guard::Reach;
use raas_clients::provider::{Mk12, Mk12Config};
use raas_core::ids::{ActorId, OperatorId};
use raas_core::observation::ProviderOnChain;
use raas_core::ports::{DealMaker, Effect, Proposed};
use serde_json::json;
use std::time::Duration;

fn at(urls: &[&str]) -> ProviderOnChain {
    ProviderOnChain {
        provider: PROVIDER,
        operator: OperatorId(ActorId(1)),
        sector_bytes: 32 << 30,
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
    }
}

fn maker(reach: Reach) -> Mk12 {
    Mk12::new(Mk12Config { reach, deadline: Duration::from_secs(20) }).expect("a deal maker")
}

#[tokio::test]
async fn a_provider_takes_a_deal_once_and_tells_how_it_stands() {
    let net = Net::funded().await;
    net.escrow(raas_core::units::AttoFil::fil(1)).await;
    let stored = net.propose().await;
    let provider = net.provider().await;
    // The same bytes again are harmless, whatever the provider says to them.
    assert!(matches!(net.mk12.propose(&provider, &stored.signed.bytes).await, Effect::Done(_)));
    net.advance(200).await;
    let round = net.round().await;
    net.published(&round).await;
    let request = net.wallet.sign_status_request(stored.terms.uuid).await.expect("signed");
    let hint = net.mk12.status(&provider, request).await.expect("a status");
    assert!(!hint.status.is_empty(), "{hint:?}");
    let unknown = net.wallet.sign_status_request([1; 16]).await.expect("signed");
    let hint = net.mk12.status(&provider, unknown).await.expect("a status");
    assert!(hint.status.is_empty() && !hint.error.is_empty(), "{hint:?}");

    control(&net.pool, "devnet_setProvider", json!(["f01000", "reject", 1])).await;
    let other = net.wallet.clone();
    let mut terms = stored.terms.clone();
    terms.uuid = [10; 16];
    terms.start = raas_core::units::Epoch(terms.start.0 + 1);
    let deal = raas_core::ports::Wallet::sign_deal(&other, &terms).await.expect("signable");
    let answer = net.mk12.propose(&provider, &deal.bytes).await;
    assert!(matches!(&answer, Effect::Done(Proposed::Rejected(why)) if !why.is_empty()), "{answer:?}");

    control(&net.pool, "devnet_setProvider", json!(["f01000", "dropReply", 1])).await;
    terms.uuid = [11; 16];
    terms.start = raas_core::units::Epoch(terms.start.0 + 1);
    let deal = raas_core::ports::Wallet::sign_deal(&other, &terms).await.expect("signable");
    let answer = net.mk12.propose(&provider, &deal.bytes).await;
    assert!(matches!(answer, Effect::Uncertain(_)), "{answer:?}");
}

#[tokio::test]
async fn only_a_deal_that_was_never_sent_has_failed() {
    let refused = nowhere().await;
    let answer = maker(Reach::Everywhere).propose(&at(&[&refused]), b"deal").await;
    assert!(matches!(answer, Effect::Failed(_)), "{answer:?}");
    let answer = maker(Reach::Everywhere).propose(&at(&[]), b"deal").await;
    assert!(matches!(answer, Effect::Failed(_)), "{answer:?}");

    // Answers headers and then breaks.
    let cut = || async {
        let body =
            futures_util::stream::iter([Ok(bytes::Bytes::from("x")), Err(std::io::Error::other("cut"))]);
        (StatusCode::OK, [(header::CONTENT_LENGTH, "100")], Body::from_stream(body))
    };
    let broken = serve(Router::new().route("/market/mk12/store", post(cut))).await;
    let answer = maker(Reach::Everywhere).propose(&at(&[&broken]), b"deal").await;
    assert!(matches!(answer, Effect::Uncertain(_)), "{answer:?}");

    let yes = |headers: HeaderMap| async move {
        assert_eq!(headers.get(header::CONTENT_TYPE).map(|v| v.as_bytes()), Some(&b"application/cbor"[..]));
        hex::decode("a2674d65737361676560684163636570746564f5").expect("hex")
    };
    let good = serve(Router::new().route("/market/mk12/store", post(yes))).await;
    // The address that is not there was never sent to, so the next one is tried.
    let answer = maker(Reach::Everywhere).propose(&at(&[&refused, &good]), b"deal").await;
    assert_eq!(answer, Effect::Done(Proposed::Accepted));
    // One that broke may have it.
    let answer = maker(Reach::Everywhere).propose(&at(&[&broken, &good]), b"deal").await;
    assert!(matches!(answer, Effect::Uncertain(_)), "{answer:?}");
    // Private addresses are out of reach on a real network.
    let answer = maker(Reach::Public).propose(&at(&[&good]), b"deal").await;
    assert!(matches!(&answer, Effect::Failed(why) if why.contains("not a public address")), "{answer:?}");
    let named = good.replace("127.0.0.1", "localhost");
    let answer = maker(Reach::Public).propose(&at(&[&named]), b"deal").await;
    assert!(matches!(&answer, Effect::Failed(why) if why.contains("not a public address")), "{answer:?}");
}
