//! The edges of the providers' HTTP interface.

use crate::support::{BOOST, Net};

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let net = Net::start().await;
    let http = net.http();
    let cbor = "application/cbor";
    let store = net.url(BOOST, "/market/mk12/store");
    let piece = net.url(BOOST, "/piece/bafkqaaa");
    let cases = [
        (http.post(&store).body("x"), 415),
        (http.post(&store).header("content-type", "application/json").body("{}"), 415),
        (http.post(&store).header("content-type", cbor).body("x"), 400),
        (http.post(&store).header("content-type", cbor).body(vec![0; (4 << 20) + 1]), 413),
        (http.get(&store), 405),
        (http.post(net.url(BOOST, "/market/mk12/ask")), 405),
        (http.get(net.url(BOOST, "/market/mk12/status")).header("content-type", cbor).body("x"), 400),
        (http.get(net.url(BOOST, "/")), 404),
        (http.get(&piece), 400),
        (http.get(net.url(BOOST, "/piece/nonsense")), 400),
        (http.put(&piece), 405),
    ];
    for (request, status) in cases {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{}", response.url());
    }
    net.stop().await;
}
