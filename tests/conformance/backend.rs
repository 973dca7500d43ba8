//! What a control plane keeps its objects in.

use crate::support::{
    etcd::{Certificates, Etcd, gateway::Stored, members::Members},
    kine::Kine,
};

/// A store that an apiserver can be started on.
pub(crate) trait Backend {
    /// Client URLs, with commas.
    fn endpoints(&self) -> String;

    /// kube-apiserver's flags for the way there; `rewrap` takes the same words.
    fn flags(&self) -> Vec<String> {
        Vec::new()
    }

    /// Everything in a directory.
    fn list(&self, directory: &str) -> Vec<Stored>;
}

impl Backend for Etcd {
    fn endpoints(&self) -> String {
        self.endpoint()
    }

    fn list(&self, directory: &str) -> Vec<Stored> {
        Self::list(self, directory)
    }
}

impl Backend for Members {
    fn endpoints(&self) -> String {
        Self::endpoints(self).join(",")
    }

    fn list(&self, directory: &str) -> Vec<Stored> {
        Self::list(self, directory)
    }
}

impl Backend for Kine {
    fn endpoints(&self) -> String {
        self.endpoint()
    }

    fn list(&self, directory: &str) -> Vec<Stored> {
        Self::list(self, directory)
    }
}

/// An etcd that wants a client certificate and lets the user whom it names do what a control plane
/// must, and no more.
pub(crate) struct Guarded {
    etcd: Etcd,
    files: Certificates,
}

impl Guarded {
    /// One that `tests/servers` knows under this name.
    pub(crate) fn start(server: &'static str) -> Self {
        let files = Certificates::generate();
        let etcd = Etcd::tls_of(server, &files);
        // The name in the certificate of clients; etcd takes it for the user, so no password is
        // ever asked for.
        etcd.add_user(
            "client",
            "unused",
            "READWRITE",
            ["/registry/", "/registry0"],
        );
        etcd.permit("client", "READWRITE", ["compact_rev_key", ""]);
        etcd.permit(
            "client",
            "READWRITE",
            ["/ringfence.dev/", "/ringfence.dev0"],
        );
        etcd.enable_auth("toor");
        Self { etcd, files }
    }
}

impl Backend for Guarded {
    fn endpoints(&self) -> String {
        self.etcd.endpoint()
    }

    fn flags(&self) -> Vec<String> {
        [
            ("cafile", "ca.pem"),
            ("certfile", "client.pem"),
            ("keyfile", "client.key"),
        ]
        .map(|(flag, file)| format!("--etcd-{flag}={}", self.files.path(file).display()))
        .into()
    }

    fn list(&self, directory: &str) -> Vec<Stored> {
        self.etcd.list(directory)
    }
}
