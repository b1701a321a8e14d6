//! Where the node will listen, looked at before anything is written: a port that is in use is refused by name, or
//! another one is taken and announced. Substrate takes another one without a word, and commands then talk to whoever
//! has the first.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
};

use sc_network::multiaddr::{Multiaddr, Protocol};
use sc_service::Configuration;

use crate::cli::Cli;

/// Makes sure that the node can listen where it is to.
///
/// A port for JSON-RPC that is in use is always refused, and so is one that was named. Of the other two defaults, that
/// of the network gives way to any free port, and that of metrics to none; both are said in the log.
///
/// # Errors
/// What is in use, by whom it could be, and what to do.
pub fn check(config: &mut Configuration, cli: &Cli) -> Result<(), String> {
    let run = &cli.run;
    let network = &run.network_params;
    if network.listen_addr.is_empty() && !network.force_enable_webrtc {
        leave_webrtc_out(&mut config.network.listen_addresses);
    }
    differ(config)?;
    let own_rule = !run.rpc_params.experimental_rpc_endpoint.is_empty();
    for endpoint in config.rpc.addr.iter_mut().flatten() {
        // Who writes out an endpoint says what is to happen.
        endpoint.retry_random_port &= own_rule;
        if endpoint.retry_random_port {
            continue;
        }
        let listens = free_tcp(endpoint.listen_addr);
        if endpoint.is_optional && !listens.as_ref().is_err_and(is_in_use) {
            continue;
        }
        listens.map_err(|error| refused(&error, "JSON-RPC", endpoint.listen_addr, "--rpc-port"))?;
    }
    if let Some(address) = config
        .prometheus_config
        .as_ref()
        .map(|metrics| metrics.port)
    {
        if let Err(error) = free_tcp(address) {
            if run.prometheus_params.prometheus_port.is_some() {
                let flag = "--prometheus-port, or --no-prometheus";
                return Err(refused(&error, "metrics", address, flag));
            }
            let port = address.port();
            log::warn!("port {port} is in use: no metrics; pass --prometheus-port for another one");
            config.prometheus_config = None;
        }
    }
    let named = network.port.is_some() || !network.listen_addr.is_empty();
    check_network(&mut config.network.listen_addresses, named)
}

/// Substrate has who is no authority listen by WebRTC, too. What nobody asked for is left out; what somebody asked for
/// is refused when the node is put together.
fn leave_webrtc_out(addresses: &mut Vec<Multiaddr>) {
    addresses.retain(|address| !speaks_webrtc(address));
}

/// Whether peers would be reached there by WebRTC, which this node does not speak.
pub fn speaks_webrtc(address: &Multiaddr) -> bool {
    address
        .iter()
        .any(|part| matches!(part, Protocol::WebRTCDirect))
}

/// No two services are to listen on one port.
fn differ(config: &Configuration) -> Result<(), String> {
    let rpc = config.rpc.addr.iter().flatten();
    let rpc = rpc.map(|endpoint| ("--rpc-port", endpoint.listen_addr.port()));
    let metrics = config.prometheus_config.iter();
    let metrics = metrics.map(|metrics| ("--prometheus-port", metrics.port.port()));
    let network = config.network.listen_addresses.iter();
    let network = network
        .filter_map(tcp_or_udp)
        .filter(|(_, is_tcp)| *is_tcp)
        .map(|(address, _)| ("--port", address.port()));
    let all: Vec<(&str, u16)> = rpc.chain(metrics).chain(network).collect();
    for (at, (flag, port)) in all.iter().enumerate() {
        let other = all
            .iter()
            .take(at)
            .find(|(other, taken)| other != flag && taken == port && *port != 0);
        if let Some((other, _)) = other {
            return Err(format!(
                "{other} and {flag} are both {port}: give each its own port"
            ));
        }
    }
    Ok(())
}

fn check_network(addresses: &mut [Multiaddr], named: bool) -> Result<(), String> {
    let taken = addresses.iter().find_map(|address| {
        let (socket, is_tcp) = tcp_or_udp(address)?;
        let listens = match is_tcp {
            true => free_tcp(socket),
            false => UdpSocket::bind(socket).map(drop),
        };
        // Not every machine has every kind of address; the node listens on those that there are.
        let error = listens
            .err()
            .filter(|error| is_in_use(error) || is_forbidden(error))?;
        Some((socket, error))
    });
    let Some((socket, error)) = taken else {
        return Ok(());
    };
    if named || !is_in_use(&error) {
        return Err(refused(&error, "the network", socket, "--port"));
    }
    let port = socket.port();
    log::warn!("port {port} is in use: other nodes reach this one on any free port; pass --port to choose one");
    for address in addresses {
        *address = with_any_port(address);
    }
    Ok(())
}

/// Where a multiaddress is on this machine, and whether by TCP; `None` if it is no such place.
fn tcp_or_udp(address: &Multiaddr) -> Option<(SocketAddr, bool)> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::from(ip),
        Protocol::Ip6(ip) => IpAddr::from(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some((SocketAddr::new(ip, port), true)),
        Protocol::Udp(port) => Some((SocketAddr::new(ip, port), false)),
        _ => None,
    }
}

fn with_any_port(address: &Multiaddr) -> Multiaddr {
    let parts = address.iter().map(|part| match part {
        Protocol::Tcp(_) => Protocol::Tcp(0),
        Protocol::Udp(_) => Protocol::Udp(0),
        other => other,
    });
    parts.fold(Multiaddr::empty(), |address, part| address.with(part))
}

/// Whether somebody could listen there now.
fn free_tcp(address: SocketAddr) -> io::Result<()> {
    TcpListener::bind(address).map(drop)
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrInUse
}

fn is_forbidden(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

fn refused(error: &io::Error, what: &str, address: SocketAddr, flag: &str) -> String {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port}, for {what}, is in use; is another node running? stop it, or pass {flag}"
        ),
        ErrorKind::PermissionDenied => format!(
            "this user may not listen on port {port}, for {what}; pass {flag} with one above 1023"
        ),
        _ => format!("cannot listen on {address}, for {what}: {error}; pass {flag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multiaddr(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    #[test]
    fn a_port_that_is_in_use_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = taken.local_addr().expect("it listens");
        let error = free_tcp(address).expect_err("it is in use");
        assert!(is_in_use(&error));
        let text = refused(&error, "JSON-RPC", address, "--rpc-port");
        let port = address.port().to_string();
        for word in [port.as_str(), "JSON-RPC", "in use", "--rpc-port"] {
            assert!(text.contains(word), "{text}");
        }
        drop(taken);
        assert!(free_tcp(address).is_ok());
    }

    #[test]
    fn a_named_port_of_the_network_is_refused_and_a_default_gives_way() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = taken.local_addr().expect("it listens").port();
        let mut addresses = [
            multiaddr(&format!("/ip4/127.0.0.1/tcp/{port}")),
            multiaddr(&format!("/ip4/127.0.0.1/tcp/{port}/ws")),
        ];
        let before = addresses.clone();
        let error = check_network(&mut addresses, true).expect_err("it is in use");
        assert!(
            error.contains(&port.to_string()) && error.contains("--port"),
            "{error}"
        );
        assert_eq!(addresses, before);
        check_network(&mut addresses, false).expect("it gives way");
        assert_eq!(addresses[0], multiaddr("/ip4/127.0.0.1/tcp/0"));
        assert_eq!(addresses[1], multiaddr("/ip4/127.0.0.1/tcp/0/ws"));
        check_network(&mut addresses, true).expect("any free port is free");
    }

    #[test]
    fn of_what_the_client_listens_on_by_default_webrtc_is_left_out() {
        let mut addresses = vec![
            multiaddr("/ip6/::/tcp/30333/ws"),
            multiaddr("/ip6/::/udp/30333/webrtc-direct"),
            multiaddr("/ip4/0.0.0.0/tcp/30333/ws"),
            multiaddr("/ip4/0.0.0.0/udp/30333/webrtc-direct"),
        ];
        leave_webrtc_out(&mut addresses);
        let left = [
            multiaddr("/ip6/::/tcp/30333/ws"),
            multiaddr("/ip4/0.0.0.0/tcp/30333/ws"),
        ];
        assert_eq!(addresses, left);
    }

    #[test]
    fn places_are_read_from_multiaddresses() {
        let place =
            |text: &str| tcp_or_udp(&multiaddr(text)).map(|(at, tcp)| (at.to_string(), tcp));
        assert_eq!(
            place("/ip4/127.0.0.1/tcp/30333"),
            Some(("127.0.0.1:30333".into(), true))
        );
        assert_eq!(
            place("/ip6/::/udp/7/webrtc-direct"),
            Some(("[::]:7".into(), false))
        );
        assert_eq!(place("/dns/example.org/tcp/1"), None);
    }
}
