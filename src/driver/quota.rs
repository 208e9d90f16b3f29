//! The limits on the number of connections.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::sync::Lock;

/// The reason for which a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    ShuttingDown,
    /// The server has the maximum number of connections.
    TooMany,
    /// The address has the maximum number of connections.
    TooManyOfAddress,
}

#[derive(Debug)]
pub(super) struct Quota {
    max: usize,
    max_of_address: usize,
    counts: Lock<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Quota {
    pub(super) fn new(max: usize, max_of_address: usize) -> Self {
        Self {
            max,
            max_of_address,
            counts: Lock::default(),
        }
    }

    /// Counts a connection.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Result<(), TurnedAway> {
        let mut counts = self.counts.lock();
        if counts.all >= self.max {
            return Err(TurnedAway::TooMany);
        }
        if let Some(site) = address.map(site) {
            let count = counts.by_address.get(&site).copied().unwrap_or_default();
            if count >= self.max_of_address {
                return Err(TurnedAway::TooManyOfAddress);
            }
            counts.by_address.insert(site, count + 1);
        }
        counts.all += 1;
        Ok(())
    }

    /// Removes a connection that was counted.
    pub(super) fn give_back(&self, address: Option<IpAddr>) {
        let mut counts = self.counts.lock();
        counts.all -= 1;
        let Some(site) = address.map(site) else {
            return;
        };
        if let Some(count) = counts.by_address.get_mut(&site) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&site);
            }
        }
    }
}

/// Returns the address that is counted. Those of one IPv6 network are one: a customer of a provider has 2^64 of them.
/// An IPv4 address that is written as IPv6 is counted as IPv4.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn connections_are_counted_in_all_and_by_address() {
        let quota = Quota::new(4, 2);
        assert_eq!(quota.take(ip("10.0.0.1")), Ok(()));
        assert_eq!(quota.take(ip("10.0.0.1")), Ok(()));
        assert_eq!(
            quota.take(ip("10.0.0.1")),
            Err(TurnedAway::TooManyOfAddress)
        );
        assert_eq!(
            quota.take(ip("::ffff:10.0.0.1")),
            Err(TurnedAway::TooManyOfAddress)
        );
        assert_eq!(quota.take(ip("10.0.0.2")), Ok(()));
        assert_eq!(quota.take(None), Ok(()));
        assert_eq!(quota.take(ip("10.0.0.3")), Err(TurnedAway::TooMany));
        quota.give_back(ip("10.0.0.1"));
        assert_eq!(quota.take(ip("10.0.0.1")), Ok(()));
        for address in [ip("10.0.0.1"), ip("10.0.0.1"), ip("10.0.0.2"), None] {
            quota.give_back(address);
        }
        assert!(quota.counts.lock().by_address.is_empty());
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_are_one() {
        let quota = Quota::new(9, 1);
        assert_eq!(quota.take(ip("2001:db8::1")), Ok(()));
        assert_eq!(
            quota.take(ip("2001:db8::2")),
            Err(TurnedAway::TooManyOfAddress)
        );
        assert_eq!(quota.take(ip("2001:db8:0:1::1")), Ok(()));
        assert_eq!(quota.take(ip("10.0.0.1")), Ok(()));
        assert_eq!(quota.take(ip("10.0.0.2")), Ok(()));
    }
}
