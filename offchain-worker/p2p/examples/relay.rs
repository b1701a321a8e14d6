//! A relay without TLS, for networks that end on this machine: `relay 10.77.0.1:3340`. It relays until it is killed.

use std::net::SocketAddr;

use iroh_relay::server::{RelayConfig, Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let at = std::env::args().nth(1).ok_or("say where: IP:PORT")?;
    let at: SocketAddr = at.parse()?;
    let mut config = ServerConfig::default();
    config.relay = Some(RelayConfig::new(at));
    let relay = Server::spawn(config).await?;
    let bound = relay.http_addr().ok_or("it is bound nowhere")?;
    println!("http://{bound}");
    std::future::pending::<()>().await;
    relay.shutdown().await?;
    Ok(())
}
