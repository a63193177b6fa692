//! Who really sent a request, when our own proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::config::Networks;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address that a request came from; `None` where a trusted proxy passed on something else
/// than addresses.
///
/// Each proxy adds on the right the address that it was called from, so the list is believed from
/// the right, for as long as the callers are our own proxies. What stands further left was written
/// by a stranger, who may write anything.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &Networks) -> Option<IpAddr> {
    let mut client = peer.to_canonical();
    let lists = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
    for list in lists.into_iter().rev() {
        // Read only once it matters: a stranger's header may be any bytes.
        if !proxies.contain(client) {
            return Some(client);
        }
        for entry in list.to_str().ok()?.rsplit(',').map(str::trim) {
            if !proxies.contain(client) {
                return Some(client);
            }
            client = address(entry)?.to_canonical();
        }
    }
    Some(client)
}

/// Some proxies add the port.
fn address(entry: &str) -> Option<IpAddr> {
    entry.parse().or_else(|_| entry.parse::<SocketAddr>().map(|it| it.ip())).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(peer: &str, lists: &[&str], expected: Option<&str>) {
        let proxies: Networks = "10.0.0.0/8,fd00::/8".parse().unwrap();
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(list.as_bytes()).unwrap());
        }
        let found = client_address(peer.parse().unwrap(), &headers, &proxies);
        assert_eq!(found, expected.map(|it| it.parse().unwrap()), "{peer} {lists:?}");
    }

    #[test]
    fn only_our_proxies_are_believed_and_only_from_the_right() {
        check("203.0.113.9", &[], Some("203.0.113.9"));
        check("::ffff:203.0.113.9", &[], Some("203.0.113.9"));
        // A stranger who speaks to us directly is who he is.
        check("203.0.113.9", &["185.71.76.1"], Some("203.0.113.9"));
        check("203.0.113.9", &["\u{1}\u{fffd}".trim_start_matches('\u{1}')], Some("203.0.113.9"));
        check("10.0.0.1", &["185.71.76.1"], Some("185.71.76.1"));
        check("10.0.0.1", &["185.71.76.1:4711"], Some("185.71.76.1"));
        check("fd00::1", &["[2a02:5180::1]:4711"], Some("2a02:5180::1"));
        check("10.0.0.1", &["::ffff:185.71.76.1"], Some("185.71.76.1"));
        // A stranger's own list, with what our proxy added on the right.
        check("10.0.0.1", &["185.71.76.1, 203.0.113.9"], Some("203.0.113.9"));
        check("10.0.0.1", &["185.71.76.1", "203.0.113.9"], Some("203.0.113.9"));
        check("10.0.0.1", &["185.71.76.1, 203.0.113.9, 10.0.0.2"], Some("203.0.113.9"));
        check("10.0.0.1", &["203.0.113.9, 185.71.76.1", "10.0.0.2"], Some("185.71.76.1"));
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3"));
        check("10.0.0.1", &["185.71.76.1, unknown"], None);
        check("10.0.0.1", &[""], None);
        check("10.0.0.1", &[], Some("10.0.0.1"));
    }
}
