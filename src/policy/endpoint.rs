//! Network targets of rules: `[tcp:|udp:]host:ports` and `unix:/path`.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::context::Address;
use super::pattern::{Anchor, Bound, Pattern};

/// Which addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Host {
    Any,
    Loopback,
    /// Addresses that are reached from inside some network only.
    Private,
    Public,
    Net {
        address: IpAddr,
        prefix: u8,
    },
}

/// A network target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Endpoint {
    Tcp { hosts: Vec<HostName>, ports: Vec<(u16, u16)> },
    Unix(Pattern),
}

/// Hides [`Host`] from other modules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct HostName(Host);

impl Endpoint {
    /// Any TCP address.
    pub(crate) fn anywhere() -> Self {
        Self::Tcp { hosts: vec![HostName(Host::Any)], ports: vec![(0, u16::MAX)] }
    }

    /// Reads a target. The error says what is wrong, and the right spelling.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Pattern::parse(path).map(Self::Unix);
        }
        if text.contains("://") {
            return Err("it is a URL; write host:port".into());
        }
        if text.starts_with("udp:") {
            return Err("UDP can't be granted; only TCP and unix sockets can".into());
        }
        let text = text.strip_prefix("tcp:").unwrap_or(text);
        let missing = "the port is missing; write host:port, or host:* for every port";
        let bare_v6 = text.matches(':').count() > 1 && !text.starts_with('[');
        if bare_v6 {
            return Err("an IPv6 address is written [address]:port".into());
        }
        let (host, ports) = text.rsplit_once(':').ok_or(missing)?;
        let ports = ports.split(',').map(range).collect::<Result<_, _>>()?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Self::Tcp { hosts: hosts(bare)?.into_iter().map(HostName).collect(), ports })
    }

    /// Whether a TCP address is covered.
    pub(crate) fn covers_tcp(&self, ip: IpAddr, port: u16) -> bool {
        let Self::Tcp { hosts, ports } = self else { return false };
        let ip = ip.to_canonical();
        ports.iter().any(|(from, to)| (from..=to).contains(&&port))
            && hosts.iter().any(|host| host.0.covers(ip))
    }

    /// Whether it is about internet addresses.
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }

    /// Whether it covers an address. `unix`: the pattern of a unix target, bound to its place.
    pub(crate) fn covers(&self, address: &Address, unix: Option<&Bound>, written: bool) -> bool {
        match address {
            Address::Inet(address) => self.covers_tcp(address.ip(), address.port()),
            Address::Unix(path) => unix.is_some_and(|bound| {
                bound.matches(&crate::plan::bytes(path.as_os_str()), false, written)
            }),
        }
    }

    pub(crate) fn bind(
        &self,
        place: impl Fn(Anchor) -> Option<Vec<u8>>,
        resolve: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Bound> {
        match self {
            Self::Unix(pattern) => pattern.bind(place, resolve),
            Self::Tcp { .. } => None,
        }
    }
}

impl Host {
    fn covers(&self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => ip.is_loopback(),
            Self::Private => is_private(ip),
            Self::Public => !is_private(ip),
            Self::Net { address, prefix } => within(ip, *address, *prefix),
        }
    }
}

/// RFC 1918, 6598, 3927, 4193, loopback, multicast, unspecified and reserved addresses.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            // NAT64 leads to IPv4 addresses.
            let nat64 = ip.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            let [.., a, b, c, d] = ip.octets();
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || (nat64 && is_private(Ipv4Addr::new(a, b, c, d).into()))
        }
    }
}

fn within(ip: IpAddr, net: IpAddr, prefix: u8) -> bool {
    let (ip, net, width) = match (ip, net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let ignored = u32::from(width - prefix.min(width));
    ip.checked_shr(ignored).unwrap_or(0) == net.checked_shr(ignored).unwrap_or(0)
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<u16>().ok().filter(|_| digits);
        number.ok_or_else(|| "a port is a number from 0 to 65535, a range 80-90, or *".to_owned())
    };
    if text == "*" {
        return Ok((0, u16::MAX));
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from)?, number(to)?);
    if from > to { Err("a range of ports is backwards".into()) } else { Ok((from, to)) }
}

fn hosts(text: &str) -> Result<Vec<Host>, String> {
    let single = |address: IpAddr| {
        let address = address.to_canonical();
        Host::Net { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    };
    Ok(match text {
        "" => return Err("the host is missing; write * for every address".into()),
        "*" => vec![Host::Any],
        "loopback" | "localhost" => vec![Host::Loopback],
        "private" => vec![Host::Private],
        "public" => vec![Host::Public],
        _ => match text.split_once('/') {
            Some((address, prefix)) => vec![network(address, prefix)?],
            None => vec![single(text.parse().map_err(|_| {
                "the host is an address, a network, loopback, private, public or *; names can't be looked up inside the sandbox".to_owned()
            })?)],
        },
    })
}

fn network(address: &str, prefix: &str) -> Result<Host, String> {
    let address: IpAddr = address.parse().map_err(|_| "the part before / is not an address")?;
    let (bits, width) = match address {
        IpAddr::V4(a) => (u128::from(a.to_bits()) << 96, 32),
        IpAddr::V6(a) => (a.to_bits(), 128),
    };
    let prefix = prefix.parse::<u8>().ok().filter(|prefix| *prefix <= width);
    let prefix = prefix.ok_or("the part after / is not a prefix length of this address")?;
    if bits.checked_shl(u32::from(prefix)).unwrap_or(0) != 0 {
        return Err("bits are set after the prefix".into());
    }
    Ok(Host::Net { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rule: &str, ip: &str, port: u16) -> bool {
        Endpoint::parse(rule).unwrap().covers_tcp(ip.parse().unwrap(), port)
    }

    #[test]
    fn targets_cover_what_they_say() {
        assert!(covers("10.0.0.0/8:5432", "::ffff:10.1.1.1", 5432));
        assert!(!covers("10.0.0.0/8:5432", "11.1.1.1", 5432));
        assert!(covers("127.0.0.1:80,443", "127.0.0.1", 443));
        assert!(covers("[::1]:8000-8010", "::1", 8010));
        assert!(!covers("[::1]:8000-8010", "::1", 8011));
        assert!(!covers("public:443", "169.254.169.254", 443));
        assert!(!covers("public:443", "127.0.0.1", 443));
        assert!(!covers("public:443", "64:ff9b::a00:1", 443));
        assert!(covers("public:443", "8.8.8.8", 443));
        assert!(covers("private:1", "100.64.0.1", 1) && covers("private:1", "fd00::1", 1));
        assert!(covers("*:*", "127.0.0.1", 1) && covers("localhost:1", "::1", 1));
        assert!(covers("tcp:1.2.3.4:5", "1.2.3.4", 5));
    }

    #[test]
    fn mistakes_are_told() {
        for text in [
            "pypi.org", "https://x.org:443", "pypi.org:443", "10.1.0.0/8:1", "1.2.3.4", ":1",
            "1.2.3.4:x", "1.2.3.4:90-80", "1.2.3.4:65536", "::1:80", "udp:1.2.3.4:53", "unix:",
            "10.0.0.0/33:1", "1.2.3.4:",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
