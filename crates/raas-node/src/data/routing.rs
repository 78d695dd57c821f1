//! `GET /routing/v1/providers/{cid}`: who has a CID, in the form of delegated routing, for Kubo and others that fetch from gateways
//! they are told of. The answer is this gateway or nobody; nobody else is asked.

use super::gateway::{Gateway, Visitor};
use super::ipfs;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::world::World;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use cid::Cid;
use raas_core::cid::DataCid;
use raas_piece::block::cid_v1;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use url::{Host, Url};

/// What is spoken at the address: a trustless gateway.
const GATEWAY: &str = "transport-ipfs-gateway-http";
/// The codec of a peer's id.
const LIBP2P_KEY: u64 = 0x72;
const LINES: &str = "application/x-ndjson";
/// How long an answer may be kept, in seconds: that it is here, and that it is not, which the next upload changes.
const KEPT: u32 = 300;
const KEPT_NOTHING: u32 = 15;

/// The query. Other parameters are no business of ours.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Filters {
    #[serde(default)]
    filter_addrs: String,
    #[serde(default)]
    filter_protocols: String,
}

/// `/routing/v1/providers/{cid}`. Who has nothing answers 200 with nothing: 404 would say that there is no such route.
pub async fn providers<W: World>(
    State(gateway): State<Arc<Gateway<W>>>,
    visitor: Visitor,
    Path(cid): Path<String>,
    Query(filters): Query<Filters>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let _seat = gateway.clients.seat(Some(gateway.client(&visitor, &headers)))?;
    let cid: Cid = cid.parse().map_err(|error| ApiError::field("cid", format!("it is no CID: {error}")))?;
    let record = match DataCid::normalise(&cid) {
        Ok(root) if ipfs::knows(&gateway, &root).await? => {
            record(&gateway.app.engine.settings.public_url, &filters)
        }
        // What cannot be stored here is not stored here.
        _ => None,
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kept = if record.is_some() { KEPT } else { KEPT_NOTHING };
    let (kind, body) = if accept.contains(LINES) {
        (LINES, record.map(|record| format!("{record}\n")).unwrap_or_default())
    } else {
        ("application/json", json!({ "Providers": record.as_slice() }).to_string())
    };
    let kept = format!("public, max-age={kept}");
    let vary = "accept".to_owned();
    let headers =
        [(header::CONTENT_TYPE, kind.to_owned()), (header::CACHE_CONTROL, kept), (header::VARY, vary)];
    Ok((headers, body).into_response())
}

/// This gateway as a peer, unless it is filtered out.
fn record(public_url: &str, filters: &Filters) -> Option<Value> {
    let address = multiaddr(public_url)?;
    let wanted = |filter: &str| filter.split(',').any(|name| name.eq_ignore_ascii_case(GATEWAY));
    let protocols = filters.filter_protocols.is_empty() || wanted(&filters.filter_protocols);
    if !(protocols && passes(&filters.filter_addrs, &address)) {
        return None;
    }
    Some(json!({ "Schema": "peer", "ID": peer(&address), "Addrs": [address], "Protocols": [GATEWAY] }))
}

/// Whether one of the protocols that are named is in an address, and none of those with a `!` before them.
fn passes(filter: &str, address: &str) -> bool {
    let has = |name: &str| address.split('/').any(|part| part == name);
    let names: Vec<&str> = filter.split(',').filter(|name| !name.is_empty()).collect();
    let (not, of): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.starts_with('!'));
    !not.iter().any(|name| has(&name[1..])) && (of.is_empty() || of.iter().any(|name| has(name)))
}

/// A peer must have an id, and a gateway has no key: the id is the hash of its address, for which nobody has one.
fn peer(address: &str) -> String {
    cid_v1(LIBP2P_KEY, address.as_bytes()).to_string()
}

/// The address in the form of libp2p; none for what is below a path, which that form has no place for.
fn multiaddr(public_url: &str) -> Option<String> {
    let url = Url::parse(public_url).ok().filter(|url| url.path() == "/")?;
    let host = match url.host()? {
        Host::Ipv4(ip) => format!("ip4/{ip}"),
        Host::Ipv6(ip) => format!("ip6/{ip}"),
        Host::Domain(name) => format!("dns/{name}"),
    };
    let tls = if url.scheme() == "https" { "/tls" } else { "" };
    Some(format!("/{host}/tcp/{}{tls}/http", url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_libp2p() {
        let of = |url| multiaddr(url).unwrap_or_default();
        assert_eq!(of("http://127.0.0.1:1338"), "/ip4/127.0.0.1/tcp/1338/http");
        assert_eq!(of("https://data.example/"), "/dns/data.example/tcp/443/tls/http");
        assert_eq!(of("http://[::1]:80"), "/ip6/::1/tcp/80/http");
        assert_eq!(of("https://data.example/below"), "", "a path has no place in it");
        let [one, other] = ["http://127.0.0.1:1338", "http://127.0.0.1:1339"].map(|url| peer(&of(url)));
        assert!(one.starts_with("bafz") && one != other, "{one} {other}");
    }

    #[test]
    fn who_is_filtered_out_is_not_told() {
        let told = |addrs: &str, protocols: &str| {
            let filters = Filters { filter_addrs: addrs.to_owned(), filter_protocols: protocols.to_owned() };
            record("https://data.example", &filters).is_some()
        };
        assert!(
            told("", "") && told("", "unknown,Transport-IPFS-Gateway-HTTP") && !told("", "transport-bitswap")
        );
        assert!(told("http", "") && told("tls,quic", "") && told("!ip4", ""));
        assert!(!told("quic", "") && !told("http,!tls", "") && !told("!http", ""));
    }
}
