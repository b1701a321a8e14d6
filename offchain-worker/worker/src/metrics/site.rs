//! `/metrics` and `/healthz`.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode};

use super::Metrics;
use crate::http::{self, Site, TEXT};

/// As Prometheus is told of it.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves one worker's metrics.
pub struct MetricsSite(pub Arc<Metrics>);

impl Site for MetricsSite {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let text = |status, line: String| http::answer(status, TEXT, format!("{line}\n").into());
        if !http::is_reading(method) {
            let line = "metrics can only be read".into();
            return text(StatusCode::METHOD_NOT_ALLOWED, line);
        }
        match path {
            "/metrics" => match self.0.exposition() {
                Ok(shown) => http::answer(StatusCode::OK, EXPOSITION, shown.into()),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            "/healthz" => {
                let health = self.0.health(Instant::now());
                let status = match health.is_good() {
                    true => StatusCode::OK,
                    false => StatusCode::SERVICE_UNAVAILABLE,
                };
                text(status, health.to_string())
            }
            _ => {
                let line = "there is no such thing here; there are /metrics and /healthz";
                text(StatusCode::NOT_FOUND, line.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::Netuid;

    #[test]
    fn health_follows_the_chain_and_the_rest_is_refused() {
        let metrics = Arc::new(Metrics::new("miner", Netuid(1)).unwrap());
        let site = MetricsSite(metrics.clone());
        let status = |path: &str| site.answer(&Method::GET, path).status().as_u16();
        assert_eq!((status("/healthz"), status("/metrics")), (503, 200));
        metrics.beat(7, Instant::now(), std::time::UNIX_EPOCH);
        assert_eq!(status("/healthz"), 200);
        for path in ["/", "", "/metrics/", "/healthz?x", "/../metrics"] {
            assert_eq!(status(path), 404, "{path}");
        }
        let posted = site.answer(&Method::POST, "/metrics");
        assert_eq!(posted.status().as_u16(), 405);
        assert_eq!(posted.headers()["allow"], "GET, HEAD");
        let answer = site.answer(&Method::GET, "/metrics");
        assert!(answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .contains("version=0.0.4"));
    }
}
