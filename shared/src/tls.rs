//! TLS for all connections that a function makes: rustls on ring, with Mozilla's root certificates compiled in, so that
//! a cold start reads no certificate store from disk.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::sync::Arc;

/// A configuration that trusts the public certificate authorities.
pub fn public() -> Result<ClientConfig, lambda_http::Error> {
    trusting(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect())
}

/// A configuration that trusts only the authorities in `pem`: PEM text, or the path of a PEM file.
pub(crate) fn private(pem: &str) -> Result<ClientConfig, lambda_http::Error> {
    let text = if pem.starts_with("-----BEGIN") { pem.to_owned() } else { std::fs::read_to_string(pem)? };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".into());
    }
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, lambda_http::Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
