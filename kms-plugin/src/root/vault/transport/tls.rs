//! The files of TLS, read again for each call: whoever renews them need not tell us.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    fields, file,
    root::{
        remote::RootError,
        vault::{
            config::{ClientCertificate, Config},
            unreadable,
        },
    },
};

/// The longest file, in bytes: more than the bundle of all CAs that a system trusts.
const MAX_FILE_LEN: u64 = 4 * 1024 * 1024;
/// Nobody else may write a certificate, nor read a key.
const CERTIFICATE: u32 = 0o022;
const KEY: u32 = 0o027;

pub(super) struct Files {
    ca: Option<PathBuf>,
    client: Option<ClientCertificate>,
}

/// What is in the files: nothing where there is none.
pub(super) struct Pem {
    ca: Zeroizing<Vec<u8>>,
    chain: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl Pem {
    pub(super) fn digest(&self) -> [u8; 32] {
        let Self { ca, chain, key } = self;
        Sha256::digest(fields::encode([&ca[..], chain, key])).into()
    }
}

impl Files {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            ca: config.ca_file.clone(),
            client: config.client_certificate.clone(),
        }
    }

    pub(super) fn read(&self) -> Result<Pem, RootError> {
        let read = |path: Option<&PathBuf>, forbidden| match path {
            Some(path) => file::read(path, forbidden, MAX_FILE_LEN).map_err(unreadable),
            None => Ok(Zeroizing::default()),
        };
        let client = self.client.as_ref();
        Ok(Pem {
            ca: read(self.ca.as_ref(), CERTIFICATE)?,
            chain: read(client.map(|client| &client.cert_file), CERTIFICATE)?,
            key: read(client.map(|client| &client.key_file), KEY)?,
        })
    }

    /// Trusts the CAs of the file and no others.
    pub(super) fn config(&self, pem: &Pem) -> Result<ClientConfig, RootError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            // Bundles of a system hold a few that no modern TLS takes.
            let (taken, _) = roots.add_parsable_certificates(certificates(&pem.ca, path)?);
            if taken == 0 {
                return Err(bad(path, "CA certificates"));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let Some(ClientCertificate {
            cert_file,
            key_file,
        }) = &self.client
        else {
            return Ok(tls.with_no_client_auth());
        };
        let chain = certificates(&pem.chain, cert_file)?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|_| bad(key_file, "a key"))?;
        tls.with_client_auth_cert(chain, key).map_err(|error| {
            RootError::unreachable(format!(
                "{} and {} are of no use together: {error}",
                cert_file.display(),
                key_file.display()
            ))
        })
    }
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, RootError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| bad(path, "certificates"))
}

fn bad(path: &Path, what: &str) -> RootError {
    RootError::unreachable(format!("{} does not hold {what} in PEM", path.display()))
}
