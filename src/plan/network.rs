//! Which addresses a run may use.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::plan::escape;

/// The host part of an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Host {
    /// Every address.
    Any,
    /// One network; a single address has the full prefix length.
    Net {
        /// First address of the network.
        address: IpAddr,
        /// Leading bits that must agree.
        prefix: u8,
    },
}

/// Where a run may connect to, or bind: addresses and a port, or a unix socket's path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Endpoint {
    /// TCP. A port of `None` is every port.
    Tcp {
        /// Addresses.
        host: Host,
        /// Port, or every port.
        port: Option<u16>,
    },
    /// A unix stream socket, by its exact absolute path.
    Unix {
        /// The path.
        path: Vec<u8>,
    },
}

/// The network rules of a plan. Empty means no network at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Where TCP and unix connections may go.
    pub connect: Vec<Endpoint>,
    /// TCP ports that may be bound, and on which addresses.
    pub bind: Vec<Endpoint>,
}

impl Network {
    /// Whether internet sockets may be made at all.
    #[must_use]
    pub fn uses_tcp(&self) -> bool {
        let tcp = |e: &Endpoint| matches!(e, Endpoint::Tcp { .. });
        self.connect.iter().any(tcp) || self.bind.iter().any(tcp)
    }

    /// Whether a TCP connection to this address is granted. IPv4-mapped addresses count as IPv4.
    #[must_use]
    pub fn may_connect(&self, address: IpAddr, port: u16) -> bool {
        covers(&self.connect, address, port)
    }

    /// Whether binding this address is granted.
    #[must_use]
    pub fn may_bind(&self, address: IpAddr, port: u16) -> bool {
        covers(&self.bind, address, port)
    }

    /// The TCP ports of a list, or `None` if one entry allows every port.
    #[must_use]
    pub fn ports(list: &[Endpoint]) -> Option<Vec<u16>> {
        list.iter()
            .filter_map(|e| match e {
                Endpoint::Tcp { port, .. } => Some(*port),
                Endpoint::Unix { .. } => None,
            })
            .collect()
    }
}

fn covers(list: &[Endpoint], address: IpAddr, port: u16) -> bool {
    let address = address.to_canonical();
    list.iter().any(|endpoint| match endpoint {
        Endpoint::Tcp { host, port: allowed } => {
            allowed.is_none_or(|p| p == port)
                && match host {
                    Host::Any => true,
                    Host::Net { address: net, prefix } => in_net(address, *net, *prefix),
                }
        }
        Endpoint::Unix { .. } => false,
    })
}

fn in_net(address: IpAddr, net: IpAddr, prefix: u8) -> bool {
    let (a, n, width) = match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let ignored = u32::from(width - prefix.min(width));
    a.checked_shr(ignored).unwrap_or(0) == n.checked_shr(ignored).unwrap_or(0)
}

/// Reads `host:port`: host is `*`, `localhost`, an address, a CIDR network or `[v6]`; port is a
/// number or `*`. `unix:/path` names a unix socket. `localhost` becomes two endpoints.
pub(crate) fn parse(field: &'static str, text: &str) -> Result<Vec<Endpoint>, PlanError> {
    let wrong = |problem: &'static str| PlanError::Address {
        field: field.into(),
        value: escape(text.as_bytes()),
        problem: problem.into(),
    };
    if let Some(path) = text.strip_prefix("unix:") {
        if field == "bind" {
            return Err(wrong("a unix socket is bound by a write grant on its directory"));
        }
        if !path.starts_with('/') || path.contains('\0') || path.split('/').any(|c| c == "..") {
            return Err(wrong("a unix socket needs an absolute path without '..'"));
        }
        return Ok(vec![Endpoint::Unix { path: path.as_bytes().to_vec() }]);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("write it as address:port"))?;
    let port = match port {
        "*" => None,
        digits => match digits.parse::<u16>() {
            Ok(0) if field == "connect" => return Err(wrong("port 0 can't be connected to")),
            Ok(number) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(number),
            _ => return Err(wrong("the port is a number from 1 to 65535, or *")),
        },
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let hosts = match bare {
        "*" => vec![Host::Any],
        "localhost" => ["127.0.0.1", "::1"].iter().filter_map(|a| single(a)).collect(),
        _ => match bare.split_once('/') {
            Some((address, prefix)) => vec![network(address, prefix).map_err(wrong)?],
            None => vec![single(bare).ok_or_else(|| {
                wrong("the host is an address, a network, localhost or *; names can't be looked up inside the sandbox")
            })?],
        },
    };
    Ok(hosts.into_iter().map(|host| Endpoint::Tcp { host, port }).collect())
}

fn single(text: &str) -> Option<Host> {
    let address: IpAddr = text.parse().ok()?;
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    Some(Host::Net { address, prefix })
}

fn network(address: &str, prefix: &str) -> Result<Host, &'static str> {
    let address: IpAddr = address.parse().map_err(|_| "the part before / is not an address")?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = prefix.parse().map_err(|_| "the part after / is not a prefix length")?;
    if prefix > width {
        return Err("the prefix is longer than the address");
    }
    let bits = match address {
        IpAddr::V4(a) => u128::from(a.to_bits()) << 96,
        IpAddr::V6(a) => a.to_bits(),
    };
    if bits.checked_shl(u32::from(prefix)).unwrap_or(0) != 0 {
        return Err("bits are set after the prefix");
    }
    Ok(Host::Net { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(connect: &[&str]) -> Network {
        let connect = connect.iter().flat_map(|t| parse("connect", t).unwrap()).collect();
        Network { connect, bind: Vec::new() }
    }

    #[test]
    fn grants_cover_what_they_say_and_no_more() {
        let net = network(&["127.0.0.1:80", "10.0.0.0/8:*", "[::1]:443"]);
        let yes = [("127.0.0.1", 80), ("10.9.8.7", 1), ("::1", 443), ("::ffff:127.0.0.1", 80)];
        let no = [("127.0.0.2", 80), ("127.0.0.1", 81), ("11.0.0.1", 1), ("::2", 443), ("::1", 80)];
        for (host, port) in yes {
            assert!(net.may_connect(host.parse().unwrap(), port), "{host}:{port}");
        }
        for (host, port) in no {
            assert!(!net.may_connect(host.parse().unwrap(), port), "{host}:{port}");
        }
        assert_eq!(Network::ports(&net.connect), None);
    }

    #[test]
    fn everything_and_nothing() {
        let any = network(&["*:*"]);
        assert!(any.may_connect("8.8.8.8".parse().unwrap(), 1) && any.uses_tcp());
        let none = Network::default();
        assert!(!none.may_connect("8.8.8.8".parse().unwrap(), 1) && !none.uses_tcp());
        assert_eq!(Network::ports(&none.connect), Some(vec![]));
    }

    #[test]
    fn bad_addresses_say_what_is_wrong() {
        for text in [
            "", "nohost", "pypi.org:443", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:+80", "1.2.3.4:65536",
            "10.0.0.1/8:80", "10.0.0.0/33:80", "unix:relative", "unix:/a/../b",
        ] {
            let error = parse("connect", text).unwrap_err().to_string();
            assert!(error.starts_with("connect: "), "{text}: {error}");
        }
        assert!(parse("bind", "unix:/run/x").is_err());
        assert!(parse("bind", "127.0.0.1:0").is_ok());
    }
}
