//! The operator's own listener (`--admin-listen`): figures, sessions, and orders.
//!
//! An order is a POST with a header that no form of another site can send: `X-Broadtape-Order`, or
//! the content type JSON. Bodies are not read. Beyond loopback each request but for health carries
//! a token that gives `admin`.

use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::sync::Notify;

use super::http::{self, Refusal, Scope};
use super::reload;
use super::status::Running;
use crate::gate::security::Event;
use crate::gate::{Body, Caller, Pages};

/// The header that says that an order is meant.
const ORDER: &str = "x-broadtape-order";

/// What an operator may order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Disconnect(u64),
    Drain,
    Reload,
}

/// The operator's pages and orders.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) running: Running,
    /// Told when the server is to drain.
    pub(super) drain: Arc<Notify>,
}

impl Pages for Admin {
    async fn answer(&self, request: Request<()>, caller: &Caller) -> Response<Body> {
        if let Some((reason, answer)) = http::no_operator(&request) {
            self.running.security.note(Event::NoOperator, caller, &reason);
            return answer;
        }
        let Some(order) = order(request.uri().path()) else {
            return http::answer(&request, &self.running, Scope::Operator).await;
        };
        if let Err(refusal) = is_meant(&request) {
            self.running.security.note(Event::OrderRefused, caller, &refusal.reason);
            return http::refused(refusal);
        }
        self.running.security.note(Event::Order, caller, &said(order));
        self.obey(order).await
    }
}

impl Admin {
    async fn obey(&self, order: Order) -> Response<Body> {
        match order {
            Order::Disconnect(session) if self.running.disconnect(session).await => {
                http::told(&json!({"session": session.to_string(), "disconnected": true}))
            }
            Order::Disconnect(session) => {
                let says = format!("there is no session {session}");
                http::refused(Refusal::new(StatusCode::NOT_FOUND, "unknown_session", says))
            }
            Order::Drain => {
                self.drain.notify_one();
                http::told(&json!({"draining": true}))
            }
            // How it goes with each file is said in the log.
            Order::Reload => match reload::order() {
                Ok(()) => http::told(&json!({"reloading": true})),
                Err(error) => {
                    let (status, says) = (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
                    http::refused(Refusal::new(status, "internal", says))
                }
            },
        }
    }
}

/// The order that a path is.
fn order(path: &str) -> Option<Order> {
    match path {
        "/v1/drain" => Some(Order::Drain),
        "/v1/reload" => Some(Order::Reload),
        _ => {
            let session = path.strip_prefix("/v1/sessions/")?.strip_suffix("/disconnect")?;
            let plain = session.bytes().all(|b| b.is_ascii_digit());
            session.parse().ok().filter(|_| plain).map(Order::Disconnect)
        }
    }
}

fn said(order: Order) -> String {
    match order {
        Order::Disconnect(session) => format!("disconnect session {session}"),
        Order::Drain => "drain".to_owned(),
        Order::Reload => "reload".to_owned(),
    }
}

/// Is an order one that its sender means? Another site's page can send a POST, but not with these
/// headers: its browser would have to ask first, and is not answered.
fn is_meant(request: &Request<()>) -> Result<(), Refusal> {
    if request.method() != Method::POST {
        let says = format!("an order is a POST, not a {}", request.method());
        return Err(Refusal::method_not_allowed("POST", says));
    }
    let headers = request.headers();
    let said = headers.contains_key(ORDER) || is_json(headers);
    if !said || is_from_elsewhere(headers) {
        let says = format!("an order has the header {ORDER}, or the content type application/json");
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_meant", says));
    }
    // Who adds something means something by it, which would not be done.
    http::takes_no_query(request)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Does a browser say that another site's page has sent it?
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}
