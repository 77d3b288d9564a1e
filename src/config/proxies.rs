//! The proxies whose word is taken for who a client is.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::Deserializer;

use super::value;

/// Addresses and networks of proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// One of them, as it is written.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Network(IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let address = || IpAddr::from_str(&text).map(IpNet::from);
        let network = IpNet::from_str(&text).or_else(|_| address()).map_err(|_| {
            let text = text.escape_debug();
            format!("`{text}` is no address and no network, such as 127.0.0.1 or 10.0.0.0/8")
        })?;
        // That would be everybody.
        if network.prefix_len() == 0 {
            return Err(format!("`{network}` is everybody: anybody could say to be anybody"));
        }
        Ok(Self(network))
    }
}

impl TrustedProxies {
    /// Whether this is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl<'de> Deserialize<'de> for TrustedProxies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let networks: Vec<Network> = value::list(from)?;
        Ok(Self(networks.into_iter().map(|Network(network)| network).collect()))
    }
}
