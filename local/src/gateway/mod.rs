//! API Gateway: converts requests to events for the functions, and their results to responses, as an HTTP API does.

mod cors;
mod event;
mod response;
mod routes;

pub(crate) use routes::Routes;

use crate::console::Console;
use crate::lambda::{Failure, Functions, Start};
use crate::template::Cors;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use chrono::Utc;
use futures_util::StreamExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use uuid::Uuid;

const MEGABYTE: usize = 1024 * 1024;
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(30);
/// The quotas of HTTP APIs and Lambda, in bytes.
const MAX_HEADERS: usize = 10_240;
const MAX_BODY: usize = 10 * MEGABYTE;
const MAX_EVENT: usize = 6_291_556;
const MAX_RESPONSE: usize = 6_291_556;
/// The limits in bytes if the quotas aren't enforced. Larger bodies are read up to `MAX_DRAINED` and refused.
const MAX_BODY_UNLIMITED: usize = 16 * MEGABYTE;
const MAX_DRAINED: usize = 64 * MEGABYTE;

/// The API.
pub(crate) struct Gateway {
    pub(crate) routes: Routes,
    pub(crate) cors: Option<Cors>,
    pub(crate) stage: String,
    pub(crate) functions: Arc<Functions>,
    pub(crate) console: Arc<Console>,
    /// Whether the quotas are enforced.
    pub(crate) limits: bool,
}

/// Serves the API and `pages` until the program ends.
pub(crate) async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    pages: Router<Arc<Gateway>>,
) -> std::io::Result<()> {
    let app = pages.method_not_allowed_fallback(handle).fallback(handle).with_state(gateway);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
}

async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let preflight = gateway.cors.is_some() && Cors::is_preflight(&parts.method, &parts.headers);
    let (mut response, by) = if preflight {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        (response, "gateway".to_owned())
    } else {
        let responded = match gateway.read(&parts, body).await {
            Ok(body) => gateway.respond(&parts, &body, peer).await,
            Err(status) => Err(status),
        };
        responded.unwrap_or_else(|status| (response::from_gateway(status), "gateway".to_owned()))
    };
    if let Some(cors) = &gateway.cors {
        cors.apply(&parts.headers, preflight, response.headers_mut());
    }
    gateway.console.request(&format!(
        "{} {:6} {} {} ms {by}",
        response.status().as_u16(),
        parts.method.as_str(),
        parts.uri.path(),
        began.elapsed().as_millis(),
    ));
    response
}

impl Gateway {
    async fn read(&self, parts: &Parts, body: Body) -> Result<Bytes, StatusCode> {
        if self.limits && headers_size(&parts.headers) > MAX_HEADERS {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let limit = if self.limits { MAX_BODY } else { MAX_BODY_UNLIMITED };
        let mut received = BytesMut::new();
        let mut size = 0;
        let mut chunks = body.into_data_stream();
        // A body that is too large is read to its end, because a client that is still sending doesn't read the response.
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
            size += chunk.len();
            if size <= limit {
                received.extend_from_slice(&chunk);
            } else if size > MAX_DRAINED {
                break;
            }
        }
        if size > limit { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(received.freeze()) }
    }

    /// Returns the response, and the function and kind of start for the log.
    async fn respond(
        &self,
        parts: &Parts,
        body: &Bytes,
        peer: SocketAddr,
    ) -> Result<(Response<Body>, String), StatusCode> {
        let path = self.without_stage(parts.uri.path());
        let (route, path_parameters) =
            self.routes.find(parts.method.as_str(), path).ok_or(StatusCode::NOT_FOUND)?;
        let request_id = Uuid::new_v4().to_string();
        let context = event::Context {
            route_key: &route.key,
            path_parameters,
            stage: &self.stage,
            source_ip: peer.ip(),
            request_id: &request_id,
            time: Utc::now(),
        };
        let event = event::build(parts, body, &context).to_string();
        if self.limits && event.len() > MAX_EVENT {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let invocation = self.functions.invoke(&route.function, &request_id, event.into());
        let invoked = tokio::time::timeout(INTEGRATION_TIMEOUT, invocation)
            .await
            .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        let start = match invoked.start {
            Start::Cold => "cold",
            Start::Warm => "warm",
        };
        let response = match invoked.outcome {
            Ok(Ok(response)) if !(self.limits && response.len() > MAX_RESPONSE) => {
                response::from_function(&response)
            }
            Ok(_) | Err(Failure::Died) => None,
            Err(Failure::TimedOut) => Some(response::from_gateway(StatusCode::SERVICE_UNAVAILABLE)),
        };
        let mut response =
            response.unwrap_or_else(|| response::from_gateway(StatusCode::INTERNAL_SERVER_ERROR));
        if let Ok(id) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        Ok((response, format!("{} {start}", route.function)))
    }

    /// Removes the stage from a path. A path has it at the API's own address, but not at a custom domain.
    fn without_stage<'a>(&self, path: &'a str) -> &'a str {
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(self.stage.as_str()));
        rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
    }
}

fn headers_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
