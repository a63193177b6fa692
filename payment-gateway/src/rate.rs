//! How often one address may ask: beyond that it is answered 429, before anything is read or looked
//! up. YooKassa sends again what was answered so.
//!
//! Invariant: what is remembered is bounded. While more addresses ask at once than are remembered,
//! those that are not are let in: who has so many is not held up by any limit for each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::client_address::client_address;
use crate::config::Networks;

/// So many seconds' worth may come at once.
const BURST: Duration = Duration::from_secs(10);
/// Addresses that are remembered: some hundred kilobytes.
const ADDRESSES_MAX: usize = 10_000;
/// Addresses that ask no more are looked for no more often than this.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How often each address may ask.
#[derive(Debug)]
pub struct Rates {
    /// What one request uses up.
    cost: Duration,
    asked: Mutex<Asked>,
}

#[derive(Debug)]
struct Asked {
    /// Until when an address has used up what it may ask; the past where it has used up nothing.
    until: HashMap<IpAddr, Instant>,
    swept: Instant,
}

impl Rates {
    /// Lets in so many requests a second of each address, and ten seconds' worth of them at once.
    pub fn new(per_second: NonZeroU32) -> Self {
        let asked = Asked { until: HashMap::new(), swept: Instant::now() };
        Self { cost: Duration::from_secs(1) / per_second.get(), asked: Mutex::new(asked) }
    }

    /// Whether a request is let in.
    fn lets_in(&self, address: IpAddr, now: Instant) -> bool {
        let address = party(address);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.until.len() >= ADDRESSES_MAX && !asked.until.contains_key(&address) {
            if now.saturating_duration_since(asked.swept) < SWEEP_EVERY {
                return true;
            }
            asked.swept = now;
            asked.until.retain(|_, until| *until > now);
            if asked.until.len() >= ADDRESSES_MAX {
                return true;
            }
        }
        let until = asked.until.entry(address).or_insert(now);
        let next = (*until).max(now) + self.cost;
        if next > now + BURST {
            return false;
        }
        *until = next;
        true
    }
}

/// Who counts as one: an IPv6 network of 64 bits is one line.
fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// Where rates are kept to.
#[derive(Clone, Debug)]
pub struct Door {
    /// As it is counted.
    pub name: &'static str,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Networks,
    /// How often.
    pub rates: Arc<Rates>,
}

/// Lets a request in, or answers that there were too many.
pub async fn limit(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    // Whom a proxy does not name is counted with it.
    let client = client_address(peer.ip(), request.headers(), &door.proxies).unwrap_or(peer.ip());
    if door.rates.lets_in(client, Instant::now()) {
        return next.run(request).await;
    }
    // Not logged: it is what a flood would fill the log with.
    metrics::counter!("payments_requests_limited_total", "door" => door.name).increment(1);
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn rates() -> Rates {
        Rates::new(NonZeroU32::new(10).unwrap())
    }

    fn let_in(rates: &Rates, address: &str, now: Instant, times: usize) -> usize {
        let address = address.parse().unwrap();
        (0..times).filter(|_| rates.lets_in(address, now)).count()
    }

    #[test]
    fn each_address_has_a_burst_and_then_its_rate() {
        let (rates, start) = (rates(), Instant::now());

        assert_eq!(let_in(&rates, "185.71.76.1", start, 1_000), 100);
        assert_eq!(let_in(&rates, "185.71.76.2", start, 50), 50);
        let later = start + Duration::from_secs(1);
        assert_eq!(let_in(&rates, "185.71.76.1", later, 1_000), 10);
        assert_eq!(let_in(&rates, "::ffff:185.71.76.1", later, 1), 0);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(let_in(&rates, "185.71.76.1", much_later, 1_000), 100);
    }

    #[test]
    fn the_addresses_of_one_line_are_one() {
        let (rates, now) = (rates(), Instant::now());

        assert_eq!(let_in(&rates, "2a02:5180:0:1509::1", now, 60), 60);
        assert_eq!(let_in(&rates, "2a02:5180:0:1509::2", now, 60), 40);
        assert_eq!(let_in(&rates, "2a02:5180:0:2655::1", now, 60), 60);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_holds_up_nobody() {
        let (rates, start) = (rates(), Instant::now());
        for number in 0..20_000_u32 {
            assert!(rates.lets_in(Ipv4Addr::from_bits(number).into(), start));
        }
        let remembered = || rates.asked.lock().unwrap().until.len();
        assert_eq!(remembered(), ADDRESSES_MAX);

        let later = start + Duration::from_secs(60);
        assert!(rates.lets_in("185.71.76.1".parse().unwrap(), later));

        assert_eq!(remembered(), 1, "who asked long ago is forgotten");
    }
}
