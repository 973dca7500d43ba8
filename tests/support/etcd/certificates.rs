//! TLS files for an etcd and its clients.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

/// A CA, a server certificate for 127.0.0.1 and for a socket of the name `kine.sock`, a client certificate, and another CA that signed neither.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn generate() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        let ca = this.authority("ca");
        this.authority("other-ca");
        this.leaf("server", &ca, rcgen::ExtendedKeyUsagePurpose::ServerAuth);
        this.leaf("client", &ca, rcgen::ExtendedKeyUsagePurpose::ClientAuth);
        this
    }

    /// `ca.pem`, `other-ca.pem`, `server.pem`, `server.key`, `client.pem` or `client.key`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn authority(&self, name: &str) -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        fs::write(self.path(&format!("{name}.pem")), ca.pem()).unwrap();
        ca
    }

    fn leaf(
        &self,
        name: &str,
        ca: &rcgen::CertifiedIssuer<'_, rcgen::KeyPair>,
        purpose: rcgen::ExtendedKeyUsagePurpose,
    ) {
        let names = ["127.0.0.1", "kine.sock"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![purpose];
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, ca).unwrap();
        fs::write(self.path(&format!("{name}.pem")), cert.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
