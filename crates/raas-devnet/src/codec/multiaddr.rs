//! The binary multiaddr of a plain HTTP server, as a miner writes it on chain.

use std::net::{IpAddr, SocketAddr};

const IP4: u8 = 4;
const IP6: u8 = 41;
const TCP: u8 = 6;
/// Code 480 as a varint.
const HTTP: [u8; 2] = [0xe0, 0x03];

/// `/ip4/A/tcp/P/http` or `/ip6/A/tcp/P/http` in binary.
#[must_use]
pub fn http_multiaddr(at: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(22);
    match at.ip() {
        IpAddr::V4(ip) => {
            bytes.push(IP4);
            bytes.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(IP6);
            bytes.extend(ip.octets());
        }
    }
    bytes.push(TCP);
    bytes.extend(at.port().to_be_bytes());
    bytes.extend(HTTP);
    bytes
}

#[cfg(test)]
mod tests {
    use super::http_multiaddr;

    #[test]
    fn an_http_server_has_its_binary_multiaddr() {
        let at = "127.0.0.1:8080".parse().expect("a socket address");
        assert_eq!(http_multiaddr(at), [4, 127, 0, 0, 1, 6, 0x1f, 0x90, 0xe0, 0x03]);
        let at = "[::1]:80".parse().expect("a socket address");
        assert_eq!(http_multiaddr(at)[..2], [41, 0]);
        assert_eq!(http_multiaddr(at)[15..], [0, 1, 6, 0, 80, 0xe0, 0x03]);
    }
}
