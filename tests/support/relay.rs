//! A TCP relay to the functions' Postgres, with which a test can give it another address.

use crate::setting;
use reqwest::Url;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Relays connections to this address, such as `127.0.0.2:0`, to Postgres. Returns the port.
pub async fn relay(address: &str) -> u16 {
    let url = Url::parse(&setting("FUNCTION_DATABASE_URL")).unwrap();
    let postgres = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let postgres = postgres.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(postgres).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

/// Returns a port of this machine on which nothing listens.
pub async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Returns the functions' `DATABASE_URL` with another port.
pub fn database_url_at(port: u16) -> String {
    let mut url = Url::parse(&setting("FUNCTION_DATABASE_URL")).unwrap();
    url.set_port(Some(port)).unwrap();
    url.into()
}
