//! The server of the daemon, for one connection, with the front and without it.

use std::{error::Error, path::Path, sync::Arc};

use futures_util::{StreamExt as _, stream};
use kms_plugin::{
    grpc::{Kms, MAX_MESSAGE_LEN},
    keyring::{Keyring, Member, SharedKeyring},
    metrics::Metrics,
    root::local::{KeyMaterial, Local},
    service::KmsService,
    socket::authority::Front,
};
use kms_proto::wire::v2::key_management_service_server::KeyManagementServiceServer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
};
use tonic::transport::{Server, server::Connected};

/// What is between the socket and tonic.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Bare,
    Front,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Front => "front",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Bare, Self::Front]
            .into_iter()
            .find(|side| side.name() == name)
    }
}

/// Serves the first connection, until the process is ended.
pub(crate) async fn serve(side: Side, socket: &Path) -> Result<(), Box<dyn Error>> {
    let (stream, _) = UnixListener::bind(socket)?.accept().await?;
    match side {
        Side::Bare => serve_on(stream).await,
        Side::Front => serve_on(Front::new(stream)).await,
    }
}

async fn serve_on<S>(stream: S) -> Result<(), Box<dyn Error>>
where
    S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let kek = Local::new(&KeyMaterial::new(Box::new([7; 32])), "bench", 1);
    let keyring = Keyring::new(vec![Member::local("bench".to_owned(), 1, Box::new(kek))])?;
    let service = KmsService::new(Arc::new(SharedKeyring::new(keyring)));
    let kms = Kms::new(service, Arc::new(Metrics::new()));
    let incoming = stream::iter([Ok::<_, std::io::Error>(stream)]).chain(stream::pending());
    Server::builder()
        .add_service(
            KeyManagementServiceServer::new(kms).max_decoding_message_size(MAX_MESSAGE_LEN),
        )
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
