//! Checks of connections: the host's name can be resolved, and the host listens, responds and has a valid certificate.

use super::Fault;
use shared::config;
use std::error::Error;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{self, CertificateError};

pub trait Connection: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

/// The host that a setting names.
pub struct Target {
    /// The setting with the address.
    pub setting: &'static str,
    /// The setting that a wrong certificate authority is corrected in.
    pub authority: &'static str,
    pub host: String,
    pub port: u16,
}

const SUPABASE_URL: &str = "SUPABASE_URL";

/// Returns the Supabase project's URL if there is a response, whatever its status.
pub async fn project() -> Result<(String, String), Fault> {
    let unfit = |error: String| Fault::new(SUPABASE_URL, error, "Correct it");
    let url = config::supabase_url().map_err(|error| unfit(error.to_string()))?;
    let (_, target) = parts(&url)?;
    connect(&url).await?;
    let http = super::http().map_err(|error| unfit(error.to_string()))?;
    target.within(http.get(&url).send()).await?.map_err(|_| target.silent())?;
    Ok((format!("{url} responds"), url))
}

/// Connects to the project, with TLS if its address is https.
pub async fn connect(url: &str) -> Result<Box<dyn Connection>, Fault> {
    let (secure, target) = parts(url)?;
    target.resolve().await?;
    let open = async {
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        if !secure {
            return anyhow::Ok(Box::new(stream) as Box<dyn Connection>);
        }
        let tls = shared::tls::public().map_err(|error| anyhow::anyhow!(error))?;
        let stream =
            TlsConnector::from(Arc::new(tls)).connect(target.host.clone().try_into()?, stream).await?;
        Ok(Box::new(stream) as Box<dyn Connection>)
    };
    target.within(open).await?.map_err(|error| target.blame(&*error))
}

/// Returns whether a project's address uses TLS, and its host.
fn parts(url: &str) -> Result<(bool, Target), Fault> {
    let parts = || {
        let url = reqwest::Url::parse(url).ok()?;
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default()?;
        Some((url.scheme() == "https", Target { setting: SUPABASE_URL, authority: SUPABASE_URL, host, port }))
    };
    parts().ok_or_else(|| Fault::new(SUPABASE_URL, "isn't a URL", "Correct it"))
}

impl Target {
    /// Fails unless the host's name can be resolved.
    pub async fn resolve(&self) -> Result<(), Fault> {
        let found = self.within(lookup_host((self.host.as_str(), self.port))).await?;
        found.map(|_| ()).map_err(|_| {
            Fault::new(self.setting, format!("has an unknown host, {}", self.host), "Correct the host")
        })
    }

    /// Returns the output of a step of connecting, or a fault if it takes too long.
    pub async fn within<T>(&self, step: impl Future<Output = T>) -> Result<T, Fault> {
        let limit = super::TIMEOUT.mul_f32(0.8); // shorter than that of the whole check
        timeout(limit, step).await.map_err(|_| self.silent())
    }

    fn silent(&self) -> Fault {
        let step = "Correct host and port, or allow this machine in the firewall there";
        Fault::new(self.setting, format!("points to {}, which doesn't respond", self.address()), step)
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the fault in the settings that a connection error points to.
    pub fn blame(&self, error: &(dyn Error + 'static)) -> Fault {
        let at = self.address();
        let fault = |seen: String, step: &str| Fault::new(self.setting, seen, step);
        let mut causes = std::iter::successors(Some(error), |&error| error.source());
        let Some(cause) = causes.find_map(|cause| cause.downcast_ref::<io::Error>()) else {
            return fault(
                format!("points to {at}, and the connection fails: {}", shared::db::Chain(error)),
                "Correct it",
            );
        };
        // `source` of an io::Error skips the error that it was made from.
        if let Some(cause) = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return self.blame_tls(cause);
        }
        match cause.kind() {
            io::ErrorKind::ConnectionRefused => fault(
                format!("points to {at}, where no server listens"),
                "Correct the port, or start the server",
            ),
            io::ErrorKind::TimedOut => self.silent(),
            _ => fault(format!("points to {at}, and the connection fails: {cause}"), "Correct host and port"),
        }
    }

    fn blame_tls(&self, error: &rustls::Error) -> Fault {
        let at = self.address();
        match error {
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Fault::new(
                self.setting,
                format!("points to {at}, and the certificate there is for other names"),
                "Correct the host",
            ),
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => Fault::new(
                self.authority,
                format!("isn't the authority that issued the certificate of {at}"),
                "Set it to that authority's certificate: in Supabase, Project Settings, Database, SSL",
            ),
            rustls::Error::InvalidMessage(_) => Fault::new(
                self.setting,
                format!("points to {at}, which doesn't support TLS"),
                "Correct the port",
            ),
            _ => Fault::new(
                self.setting,
                format!("points to {at}, where TLS fails: {error}"),
                "Correct host and port",
            ),
        }
    }
}
