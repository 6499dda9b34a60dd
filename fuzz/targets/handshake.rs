//! Requests as they come: what the gate takes for a handshake has all that RFC 6455 asks of one.
#![no_main]

use std::convert::Infallible;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broadtape::gate::Sites;
use broadtape::gate::handshake::{Verdict, check_form, judge};
use broadtape::gate::strict::Strict;
use broadtape::limits::{REQUEST_HEAD_MAX, REQUEST_HEADERS_MAX};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, ORIGIN, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    if data.len() <= 2 * REQUEST_HEAD_MAX {
        RUNTIME.block_on(serve(data));
    }
});

/// Serves a connection that brings these bytes and ends.
async fn serve(data: &[u8]) {
    let (mut client, server) = tokio::io::duplex(4 * REQUEST_HEAD_MAX);
    client.write_all(data).await.expect("room for the input");
    client.shutdown().await.expect("an end");
    let service = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
    let connection = http1::Builder::new()
        .max_buf_size(REQUEST_HEAD_MAX)
        .max_headers(REQUEST_HEADERS_MAX)
        .serve_connection(TokioIo::new(Strict::new(server)), service);
    let mut answers = Vec::new();
    let (served, _) = tokio::join!(connection, client.read_to_end(&mut answers));
    if served.is_ok() {
        assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."));
    }
}

fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    if let Err(refusal) = check_form(request) {
        return refusal.response().map(|_| Full::default());
    }
    match judge(request, &Sites::default(), true, None) {
        Verdict::Page => Response::default(),
        Verdict::Refused(refusal) => {
            let response = refusal.response();
            assert!(response.status().is_client_error());
            response.map(|_| Full::default())
        }
        Verdict::Accepted { .. } => {
            check(request);
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
    }
}

/// Has it all that RFC 6455, 4.2.1 asks for, once each? Does a page of another host stay out?
fn check<B>(request: &Request<B>) {
    let all = |name: &str| -> Vec<&str> {
        let values = request.headers().get_all(name).iter();
        values.map(|value| value.to_str().unwrap_or("?").trim()).collect()
    };
    let lists = |name: &str, token: &str| {
        all(name).join(",").split(',').any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    assert!(request.method() == Method::GET && request.version() == Version::HTTP_11);
    assert!(["/v1/stream", "/v1/echo"].contains(&request.uri().path()));
    assert!(lists(UPGRADE.as_str(), "websocket") && lists(CONNECTION.as_str(), "upgrade"));
    assert_eq!(all("sec-websocket-version"), ["13"]);
    let [key] = all("sec-websocket-key")[..] else { panic!("one key") };
    assert_eq!(STANDARD.decode(key).map(|key| key.len()), Ok(16));
    let [host] = all(HOST.as_str())[..] else { panic!("one host") };
    match all(ORIGIN.as_str())[..] {
        [] => {}
        [origin] => {
            let (_, site) = origin.split_once("://").expect("a scheme");
            assert_eq!(plain(site), plain(host), "{origin}");
        }
        _ => panic!("one origin"),
    }
}

/// A site's name without what makes no difference.
fn plain(site: &str) -> String {
    let site = site.to_ascii_lowercase();
    let short = site.strip_suffix(":80").or_else(|| site.strip_suffix(":443"));
    short.unwrap_or(&site).to_owned()
}
