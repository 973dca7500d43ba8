//! TLS files for an etcd and its clients.

use std::{fs, path::PathBuf};

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use tempfile::TempDir;

/// A CA, certificates for 127.0.0.1 and for a socket of the name `kine.sock`, and another CA that signed none.
///
/// `server` is for clients too, as kubeadm makes it: etcd's JSON gateway shows it to etcd itself. `client` and
/// `server-only` are for one purpose each.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn generate() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        let ca = this.authority("ca");
        this.authority("other-ca");
        this.leaf("server", &ca, &[ServerAuth, ClientAuth]);
        this.leaf("server-only", &ca, &[ServerAuth]);
        this.leaf("client", &ca, &[ClientAuth]);
        this
    }

    /// `ca.pem`, `other-ca.pem`, or `.pem` or `.key` of a certificate.
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
        purposes: &[rcgen::ExtendedKeyUsagePurpose],
    ) {
        let names = ["127.0.0.1", "kine.sock"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = purposes.to_vec();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, ca).unwrap();
        fs::write(self.path(&format!("{name}.pem")), cert.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
