use std::{error::Error, ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};

use super::{KmsError, is_absence};
use crate::{chain::Chain, config::encryption::SocketAddress};

/// One plugin's socket: a connection that is made at the first call and again after it broke.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    pub(super) address: SocketAddress,
    timeout: Duration,
    channel: Channel,
}

impl Socket {
    pub(super) fn new(address: SocketAddress, timeout: Duration) -> Self {
        let path = path(&address);
        // The authority that kube-apiserver 1.32 and newer sends; a socket's path would be none.
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(
            tower::service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            }),
        );
        Self {
            address,
            timeout,
            channel,
        }
    }

    /// One call, its connection included, within the timeout.
    pub(super) async fn call<A, F>(
        &self,
        call: &'static str,
        rpc: impl FnOnce(Channel) -> F,
    ) -> Result<A, KmsError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        match tokio::time::timeout(self.timeout, rpc(self.channel.clone())).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.error(call, &status)),
            Err(_) => Err(KmsError::Timeout {
                socket: self.address.clone(),
                call,
                timeout: self.timeout,
            }),
        }
    }

    fn error(&self, call: &'static str, status: &Status) -> KmsError {
        let socket = self.address.clone();
        match status.source() {
            // A status with a source was made on this side of the socket.
            Some(source) => KmsError::Unreachable {
                socket,
                cause: Chain(source).to_string(),
            },
            None if is_absence(status.code()) => KmsError::Unreachable {
                socket,
                cause: super::Excerpt::from(status.message()).to_string(),
            },
            None => KmsError::Refused {
                socket,
                call,
                code: status.code(),
                message: status.message().into(),
            },
        }
    }
}

/// What `connect(2)` wants: an abstract name begins with a NUL byte.
pub(super) fn path(address: &SocketAddress) -> PathBuf {
    match address {
        SocketAddress::Path(path) => path.clone(),
        SocketAddress::Abstract(name) => {
            let name = [b"\0", name.as_slice()].concat();
            OsStr::from_bytes(&name).into()
        }
    }
}
