//! The HTTP client under `s3://` and `https://`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::{
    client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService},
    ClientOptions,
};

use crate::guard::{check_host, Lookup, Origin, Resolver};

/// For a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// Between two reads.
const READ: Duration = Duration::from_secs(30);

/// How often a server may send us on.
const MOST_REDIRECTS: usize = 3;

/// Makes clients that keep to what the URL's origin allows.
#[derive(Debug)]
pub(crate) struct Connector {
    pub origin: Origin,
    pub lookup: Lookup,
    /// Whether what comes with an error is read: a bucket says there what is wrong.
    pub is_bucket: bool,
}

/// A client of servers that anybody may run: what they send with an error is not read, since it could be without end.
#[derive(Debug)]
struct Terse(reqwest::Client);

#[async_trait]
impl HttpService for Terse {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = HttpService::call(&self.0, request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, _) = answer.into_parts();
        Ok(HttpResponse::from_parts(head, Bytes::new().into()))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self
            .client()
            .map_err(|source| object_store::Error::Generic {
                store: "HTTP",
                source: Box::new(source),
            })?;
        Ok(match self.is_bucket {
            true => HttpClient::new(client),
            false => HttpClient::new(Terse(client)),
        })
    }
}

impl Connector {
    fn client(&self) -> reqwest::Result<reqwest::Client> {
        // The first to name a provider wins, and all would name this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let origin = self.origin;
        let redirects = reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > MOST_REDIRECTS {
                return attempt.stop();
            }
            match origin {
                Origin::Owner => attempt.follow(),
                Origin::Chain => match check_host(attempt.url()) {
                    Ok(()) => attempt.follow(),
                    Err(forbidden) => attempt.error(forbidden),
                },
            }
        });
        let builder = reqwest::Client::builder()
            .user_agent("cairn")
            .connect_timeout(CONNECT)
            .read_timeout(READ)
            .redirect(redirects);
        match origin {
            Origin::Owner => builder.build(),
            // Through a proxy, it would be the proxy that resolves and connects.
            Origin::Chain => builder
                .no_proxy()
                .https_only(true)
                .dns_resolver(Arc::new(Resolver(self.lookup)))
                .build(),
        }
    }
}
