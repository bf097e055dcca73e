//! A private certificate authority, and a certificate for `localhost` that it has signed.

use crate::options::CONTAINERS_NAME;
use crate::process::chown_to_server_user;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The paths of the files, which are in PEM format.
pub(crate) struct Certificates {
    /// The authority's certificate, for clients to trust.
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    /// The certificate's private key, which only the servers can read.
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Creates a new authority and a new certificate in `folder`.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "TinyChat local authority");
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", CONTAINERS_NAME].map(str::to_owned);
        let server = CertificateParams::new(names)?;
        let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key))?;

        fs::create_dir_all(folder)?;
        let paths = Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&paths.authority, authority_certificate.pem())?;
        fs::write(&paths.certificate, certificate.pem())?;
        fs::write(&paths.key, "")?;
        fs::set_permissions(&paths.key, fs::Permissions::from_mode(0o600))?;
        fs::write(&paths.key, key.serialize_pem())?;
        chown_to_server_user(&paths.key)?;
        Ok(paths)
    }
}
