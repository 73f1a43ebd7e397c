//! The server's life: an address, the routes, and an orderly end.

use crate::{api, assets, auth, handle::Handle, health, live, problem};
use axum::{Router, middleware, routing::get};
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};
use tracer_wire::api::Source;

/// What is served.
#[derive(Clone)]
pub struct Settings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Secret of this server: in the printed URL, where it works once, and as `Authorization: Bearer`. Characters
    /// that a URL carries as they are.
    pub token: String,
    /// Where the events come from.
    pub source: Source,
    /// What is followed, as the user asked for it.
    pub selection: String,
    /// What is attached.
    pub attached: Vec<String>,
    /// What this kernel cannot tell.
    pub missing: Vec<String>,
    /// Identity of the session: another for every start of the daemon and for every recording.
    pub session: String,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address that others reach.
    #[error(
        "refusing to listen on {0}: there is no TLS yet, so the token and everything traced would cross the network in \
         clear; listen on 127.0.0.1 and reach it through `ssh -L`"
    )]
    NotLoopback(SocketAddr),
    /// The kernel did not give the address.
    #[error("cannot listen on {address}: {source}; `--listen 127.0.0.1:0` takes any free port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The kernel gave no random bytes.
    #[error("no random bytes for a secret: {0}")]
    Random(getrandom::Error),
    /// Serving failed.
    #[error("the server failed: {0}")]
    Serve(#[from] io::Error),
}

/// Listens on a loopback address; port 0 takes a free one.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// What handlers share.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) handle: Handle,
    pub(crate) gate: auth::Gate,
    pub(crate) pace: live::Pace,
    /// True once the server ends.
    pub(crate) ending: watch::Receiver<bool>,
    /// Held by every live stream: the server's end waits until all are gone.
    pub(crate) alive: mpsc::WeakSender<()>,
}

/// How long streams and requests may take to end.
const FAREWELL: Duration = Duration::from_secs(3);

/// Serves until `shutdown`; live streams are closed with code 1001.
pub async fn run(
    listener: TcpListener,
    settings: Settings,
    handle: Handle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve(listener, settings, handle, live::Pace::default(), shutdown).await
}

pub(crate) async fn serve(
    listener: TcpListener,
    settings: Settings,
    handle: Handle,
    pace: live::Pace,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let gate =
        auth::Gate::new(settings.token.clone(), listener.local_addr()?.port()).map_err(ServeError::Random)?;
    let (end, ending) = watch::channel(false);
    let (alive, mut gone) = mpsc::channel(1);
    let app = App { settings, handle, gate, pace, ending: ending.clone(), alive: alive.downgrade() };
    let mut ended = ending.clone();
    let server = axum::serve(listener, router(Arc::new(app))).with_graceful_shutdown(async move {
        shutdown.await;
        end.send_replace(true);
    });
    let farewell = async {
        // An error means that `end` is gone, which it is after the server only.
        let _ = ended.wait_for(|ending| *ending).await;
        drop(alive);
        let _ = timeout(FAREWELL, gone.recv()).await;
    };
    let overdue = async {
        let mut ended = ending;
        let _ = ended.wait_for(|ending| *ending).await;
        tokio::time::sleep(FAREWELL).await;
    };
    let serving = async {
        tokio::select! {
            result = server => result,
            () = overdue => Ok(()),
        }
    };
    let (result, ()) = tokio::join!(serving, farewell);
    Ok(result?)
}

/// Every route, behind the gate.
pub(crate) fn router(app: Arc<App>) -> Router {
    api::router()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .fallback(assets::page)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), auth::gate))
        .with_state(app)
}
