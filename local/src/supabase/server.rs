//! The HTTP server of the stand-in. It applies the requested faults, which includes closing connections.

use crate::faults::Faults;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// The pause after a failed `accept`, for example when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `app`, with the requested faults, until the program ends.
pub(crate) async fn serve(listener: TcpListener, app: Router, faults: Arc<Faults>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        tokio::spawn(serve_connection(connection, app.clone(), faults.clone()));
    }
}

async fn serve_connection(connection: TcpStream, app: Router, faults: Arc<Faults>) {
    let _late_packets = connection.set_nodelay(true);
    let app = TowerToHyperService::new(app);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (app, fault) = (app.clone(), faults.of_path(request.uri().path()));
        async move {
            match fault.apply().await? {
                Some(response) => Ok::<_, io::Error>(response),
                None => app.call(request).await.map_err(|never| match never {}),
            }
        }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
    // An error is a client that has closed its connection, or a connection that a fault closes.
    let _ended = served.with_upgrades().await;
}
