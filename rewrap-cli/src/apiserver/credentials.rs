//! Who we are to the apiservers.

use std::{fmt, path::Path, sync::Arc};

use hyper::header::HeaderValue;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use zeroize::Zeroizing;

use super::{ApiserverError, KubeconfigError, kubeconfig};
use crate::config::read;

/// Who we are to an apiserver, and whom we trust.
pub struct Credentials {
    pub(super) bearer: Option<HeaderValue>,
    pub(super) client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    pub(super) roots: Arc<RootCertStore>,
}

impl Credentials {
    /// A bearer token in a file of its own, and the CA of the apiservers.
    ///
    /// # Errors
    /// A file that cannot be read or does not hold what it should.
    pub fn from_token_file(token: &Path, ca: &Path) -> Result<Self, ApiserverError> {
        let token = read(token)?;
        Ok(Self {
            bearer: Some(bearer(&token)?),
            client: None,
            roots: roots(&read(ca)?)?,
        })
    }

    /// The current context of a kubeconfig; `ca` takes the place of its CA.
    ///
    /// # Errors
    /// What the file lacks. Contexts that need a program to be run are refused: give a token file.
    pub fn from_kubeconfig(path: &Path, ca: Option<&Path>) -> Result<Self, ApiserverError> {
        let context = kubeconfig::current_context(&read(path)?)?;
        let ca = match ca {
            Some(ca) => read(ca)?,
            None => context
                .ca
                .ok_or(KubeconfigError::Missing("certificate-authority"))?,
        };
        let client = match context.client {
            Some((cert, key)) => Some((
                certificates(&cert)?,
                PrivateKeyDer::from_pem_slice(&key).map_err(|_| ApiserverError::NoKey)?,
            )),
            None => None,
        };
        let bearer = context
            .token
            .as_deref()
            .map(|token| bearer(token))
            .transpose()?;
        Ok(Self {
            bearer,
            client,
            roots: roots(&ca)?,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

fn bearer(token: &[u8]) -> Result<HeaderValue, ApiserverError> {
    let mut text = Zeroizing::new(b"Bearer ".to_vec());
    text.extend_from_slice(token.trim_ascii());
    let mut value = HeaderValue::from_bytes(&text).map_err(|_| ApiserverError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ApiserverError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or(ApiserverError::NoCertificate)
}

fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, ApiserverError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(ApiserverError::Tls)?;
    }
    Ok(Arc::new(roots))
}
