//! Lists of networks: who is let in, who is kept out, which proxies are believed.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Networks in CIDR notation; an address alone is a network of one. None lies in another, and they
/// are sorted: a list of scanners is long, and asked for each connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// What is no network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network: write 192.0.2.0/24, 2001:db8::/32, or an address")]
pub struct NotANetwork(String);

impl Networks {
    /// Reads a list.
    ///
    /// # Errors
    /// [`NotANetwork`]: the first that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotANetwork> {
        let all = texts.into_iter().map(network).collect::<Result<Vec<_>, _>>()?;
        let mut all = IpNet::aggregate(&all);
        all.sort_unstable_by_key(IpNet::network);
        Ok(Self(all))
    }

    /// Reads a file's text: one a line, `#` begins a comment.
    ///
    /// # Errors
    /// [`NotANetwork`]: the first that is none.
    pub fn parse_lines(text: &str) -> Result<Self, NotANetwork> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        Self::parse(lines.filter(|line| !line.is_empty()))
    }

    /// Is an address in one of them? An IPv4 address that IPv6 wraps is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let before = self.0.partition_point(|network| network.network() <= address);
        self.0[..before].last().is_some_and(|network| network.contains(&address))
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are, those that make up another counted as that.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn network(text: &str) -> Result<IpNet, NotANetwork> {
    let text = text.trim();
    let network = match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address.to_canonical())),
        Err(_) => text.parse::<IpNet>(),
    };
    network.map_err(|_| NotANetwork(text.to_owned()))
}

/// What limits per address count by: an IPv4 address, or the /64 that one IPv6 host has whole.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_found_in_its_network_however_it_is_written() {
        let networks = Networks::parse(["10.0.0.0/8", " 192.0.2.7 ", "2001:db8::/32"]).unwrap();
        for inside in ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8:1::1"] {
            assert!(networks.contains(ip(inside)), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1", "::10.1.2.3"] {
            assert!(!networks.contains(ip(outside)), "{outside}");
        }
        assert!(!Networks::default().contains(ip("10.0.0.1")));
    }

    #[test]
    fn networks_may_lie_in_one_another() {
        let list = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "9.255.0.0/16", "::/0", "::1"];
        let networks = Networks::parse(list).unwrap();
        assert_eq!(networks.len(), 3);
        for inside in ["10.0.0.0", "10.1.2.3", "10.2.0.0", "10.255.255.255", "9.255.1.1", "::2"] {
            assert!(networks.contains(ip(inside)), "{inside}");
        }
        for outside in ["9.254.255.255", "11.0.0.0", "255.255.255.255", "0.0.0.0"] {
            assert!(!networks.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in ["10.0.0.0/33", "10.0.0", "localhost", "", "10.0.0.0/-1", "::/129"] {
            let said = Networks::parse([wrong]).unwrap_err().to_string();
            assert!(
                said.contains(&format!("{wrong:?}")) && said.contains("192.0.2.0/24"),
                "{said}"
            );
        }
        let file = "# scanners\n198.51.100.0/24 # of May\n\n  2001:db8:bad::/48\n";
        assert_eq!(Networks::parse_lines(file).unwrap().len(), 2);
        assert!(Networks::parse_lines("198.51.100.0/24\nnonsense\n").is_err());
    }

    #[test]
    fn a_household_is_an_ipv4_address_or_a_64() {
        assert_eq!(household(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(household(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_ne!(household(ip("192.0.2.1")), household(ip("192.0.2.2")));
    }
}
