use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf, sync::Arc, time::Duration};

/// Does something to the plugin from outside; the error is shown as it is. May block.
pub(crate) type Hook = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The plugin that the rules are tried on.
pub(crate) struct Target {
    /// Its socket, as `connect(2)` takes it: the name of an abstract one begins with a zero byte.
    pub(crate) socket: PathBuf,
    /// Makes it change its key.
    pub(crate) rotate: Option<Hook>,
    /// Ends it, whichever way, and starts it again.
    pub(crate) restart: Option<Hook>,
    /// What kube-apiserver waits for one answer by default (`defaultTimeout`,
    /// `k8s.io/apiserver/pkg/apis/apiserver/v1/defaults.go`).
    pub(crate) budget: Duration,
    /// What every other wait ends after, so that a plugin that hangs ends a rule and not the run.
    /// A multiple of what a loaded machine needs.
    pub(crate) patience: Duration,
    /// How long it may take to see a changed key.
    pub(crate) rotation: Duration,
    /// The calls of a burst.
    pub(crate) burst: usize,
}

impl Target {
    /// The plugin behind `socket`: a path, or `@` and the name of an abstract socket.
    pub(crate) fn new(socket: impl Into<OsString>) -> Self {
        let mut socket = socket.into().into_vec();
        if let [first @ b'@', ..] = &mut socket[..] {
            *first = 0;
        }
        Self {
            socket: OsString::from_vec(socket).into(),
            rotate: None,
            restart: None,
            budget: Duration::from_secs(3),
            patience: Duration::from_secs(30),
            rotation: Duration::from_secs(120),
            burst: 4_000,
        }
    }

    /// Whether it listens on an abstract socket, which is no file.
    pub(crate) fn is_abstract(&self) -> bool {
        self.socket
            .as_os_str()
            .as_encoded_bytes()
            .starts_with(b"\0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_at_sign_names_an_abstract_socket() {
        let target = Target::new("@kms");
        assert_eq!(
            (
                target.socket.as_os_str().as_encoded_bytes(),
                target.is_abstract()
            ),
            (&b"\0kms"[..], true)
        );
        assert!(!Target::new("/run/@kms").is_abstract());
    }
}
