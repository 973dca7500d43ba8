//! The running daemon: from a configuration to a served socket, and to its end.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kms_proto::{
    KeyId,
    wire::{
        ringfence::plugin_server::PluginServer,
        v2::key_management_service_server::KeyManagementServiceServer,
    },
};
use rustix::{
    fs::Mode,
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask},
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::timeout,
};
use tonic::transport::Server;
use tracing::{debug, info, warn};

use crate::{
    admin::Admin,
    grpc::{Kms, MAX_MESSAGE_LEN},
    http,
    keyring::{ProbeError, SharedKeyring},
    load::{LoadError, Loaded, Reading, Seen},
    metrics::Metrics,
    notify,
    roots::Roots,
    service::KmsService,
    socket::{BindError, Socket},
    state::State,
    watch::Watch,
};

/// How long calls in flight may take after a signal to stop.
const DRAIN: Duration = Duration::from_secs(5);
/// Calls that one connection may have in flight.
const MAX_CALLS: u32 = 128;
/// The headers of a call, in bytes: some hundred are usual.
const MAX_HEADERS_LEN: u32 = 16 * 1024;

/// Serves as the file at `config` says, until SIGTERM or SIGINT. With the file of its `identity`, a recovery root
/// opens as well as it wraps.
///
/// # Errors
/// The configuration is refused, the socket or the HTTP port cannot be had, or the server fails.
pub fn serve(config: &Path, identity: Option<PathBuf>) -> Result<(), ServeError> {
    harden();
    let Reading { seen, outcome } = Reading::of(config);
    let loaded = outcome?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?
        .block_on(run(config, seen, loaded, Roots::new(identity)))
}

async fn run(path: &Path, seen: Seen, loaded: Loaded, mut roots: Roots) -> Result<(), ServeError> {
    let config = loaded.config.clone();
    let metrics = Arc::new(Metrics::new());
    let under_roots = roots.prepare(&config).map_err(LoadError::Roots)?;
    let keyring = loaded
        .keyring(under_roots.as_ref())
        .map_err(LoadError::Keyring)?;
    keyring.probe().await?;
    roots.use_from_now(&config, under_roots);
    let primary = keyring.primary();
    let (name, key_id) = (primary.name.clone(), primary.kek.key_id().ok());

    // Signals first: one that comes while the rest is being set up is not lost.
    let listen = |kind| signal(kind).map_err(ServeError::Runtime);
    let hangups = listen(SignalKind::hangup())?;
    let ends = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
    );
    let socket = Socket::bind(&config.fixed.socket)?;
    let http = TcpListener::bind(config.fixed.http)
        .await
        .map_err(|source| ServeError::Http {
            address: config.fixed.http.to_string(),
            source,
        })?;
    let http_address = http.local_addr().map_err(ServeError::Runtime)?;

    let keyring = Arc::new(SharedKeyring::new(keyring));
    let state = Arc::new(State::new());
    let kms = Kms::new(KmsService::new(Arc::clone(&keyring)), Arc::clone(&metrics));
    let admin = Admin {
        context: config.fixed.context.clone(),
        keyring: Arc::clone(&keyring),
        state: Arc::clone(&state),
        metrics: Arc::clone(&metrics),
    };
    let socket_path = config.fixed.socket.path.clone();
    let incoming = socket.incoming(config.fixed.socket.peers.clone(), Arc::clone(&metrics));
    tokio::spawn(http::serve(
        http,
        Arc::clone(&keyring),
        Arc::clone(&state),
        Arc::clone(&metrics),
    ));
    tokio::spawn(
        Watch {
            path: path.to_owned(),
            fixed: config.fixed,
            judged: seen,
            roots,
            keyring,
            state: Arc::clone(&state),
            metrics,
        }
        .run(hangups),
    );

    let (stop, stopped) = oneshot::channel::<()>();
    // Frames and header tables keep the sizes that HTTP/2 begins with: the authority front counts on
    // them.
    let server = Server::builder()
        .max_concurrent_streams(MAX_CALLS)
        .http2_max_header_list_size(MAX_HEADERS_LEN)
        .add_service(
            KeyManagementServiceServer::new(kms).max_decoding_message_size(MAX_MESSAGE_LEN),
        )
        .add_service(PluginServer::new(admin).max_decoding_message_size(MAX_MESSAGE_LEN))
        .serve_with_incoming_shutdown(incoming, async {
            let _ = stopped.await;
        });
    tokio::pin!(server);

    info!(
        socket = %socket_path.display(),
        http = %http_address,
        primary = name,
        key_id = key_id.as_ref().map(KeyId::as_str),
        "serving"
    );
    notify::ready();
    tokio::select! {
        ended = &mut server => return ended.map_err(ServeError::Server),
        () = termination(ends) => {}
    }
    info!("stopping");
    notify::stopping();
    state.drain();
    let _ = stop.send(());
    match timeout(DRAIN, server).await {
        Ok(ended) => ended.map_err(ServeError::Server)?,
        Err(_) => warn!("calls were still in flight after {DRAIN:?} and are cut off"),
    }
    info!("stopped");
    Ok(())
}

async fn termination((mut terminate, mut interrupt): (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Keeps keys out of core dumps and of the hands of debuggers, and new files to ourselves. Best
/// effort: a daemon without it is better than none.
fn harden() {
    umask(Mode::RWXG | Mode::RWXO);
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, no_core) {
        debug!(%error, "cannot forbid core dumps");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        debug!(%error, "cannot forbid tracing of this process");
    }
}

/// Why the daemon did not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The HTTP port cannot be had.
    #[error("cannot listen on {address}; choose another `http.address`")]
    Http {
        /// The address.
        address: String,
        /// What happened.
        source: io::Error,
    },
    /// The files give no keyring.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The keyring does not work.
    #[error("the keyring is refused")]
    Probe(#[from] ProbeError),
    /// The operating system refused something basic.
    #[error("cannot set up the runtime")]
    Runtime(#[source] io::Error),
    /// The server failed.
    #[error("the server failed")]
    Server(#[source] tonic::transport::Error),
}
