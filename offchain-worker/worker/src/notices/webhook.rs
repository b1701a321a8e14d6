//! Posts JSON to an address that somebody chose, and to nobody else.
//!
//! The address is a secret: whoever has it can post there. It is in no log, no message and no list of settings; what
//! is said of it is its host.

use std::{fmt, str::FromStr, time::Duration};

use reqwest::{redirect::Policy, Client, StatusCode, Url};

use crate::error::Failure;

/// Where to post.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl FromStr for WebhookUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<WebhookUrl, String> {
        let url = Url::parse(text).map_err(|_| "write https://HOST/PATH")?;
        if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
            return Err("write https://HOST/PATH".into());
        }
        Ok(WebhookUrl(url))
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.host_str().unwrap_or("no host"))
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

/// How long and how often it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one try, from name to answer.
    pub deadline: Duration,
    /// Tries in all.
    pub tries: u32,
    /// After the first try; it doubles with each one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            deadline: Duration::from_secs(10),
            tries: 5,
            pause: Duration::from_secs(2),
        }
    }
}

/// Why nothing was posted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unposted {
    /// The address does not want it.
    #[error("{host} answers {status}: correct --notify")]
    Refused {
        /// Its host.
        host: String,
        /// Its answer.
        status: u16,
    },
    /// It was tried often enough.
    #[error("{host} took nothing in {tries} tries, at last: {last}")]
    GivenUp {
        /// Its host.
        host: String,
        /// How often.
        tries: u32,
        /// What went wrong at last.
        last: String,
    },
}

/// Posts.
pub struct Webhook {
    url: WebhookUrl,
    client: Client,
    patience: Patience,
}

impl Webhook {
    /// To an address, with patience.
    ///
    /// # Errors
    /// If the system has no certificates to check others by.
    pub fn new(url: WebhookUrl, patience: Patience) -> Result<Webhook, Failure> {
        // The first to name a provider wins, and all would name this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent("cairn")
            .timeout(patience.deadline)
            // Where else it is sent on to, nobody chose.
            .redirect(Policy::none())
            .build()
            .map_err(|error| Failure::during("cannot post notices", error.without_url()))?;
        Ok(Webhook {
            url,
            client,
            patience,
        })
    }

    /// Posts a JSON text.
    ///
    /// # Errors
    /// [`Unposted`].
    pub async fn post(&self, json: &str) -> Result<(), Unposted> {
        let host = || self.url.to_string();
        let (mut last, mut pause) = (String::new(), self.patience.pause);
        for done in 0..self.patience.tries {
            if done > 0 {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
            match self.try_once(json).await {
                Ok(status) if status.is_success() => return Ok(()),
                Ok(status) if is_final(status) => {
                    let status = status.as_u16();
                    let host = host();
                    return Err(Unposted::Refused { host, status });
                }
                Ok(status) => last = status.to_string(),
                Err(error) => last = causes(&error.without_url()),
            }
        }
        Err(Unposted::GivenUp {
            host: host(),
            tries: self.patience.tries,
            last,
        })
    }

    async fn try_once(&self, json: &str) -> reqwest::Result<StatusCode> {
        let request = self.client.post(self.url.0.clone());
        let request = request.header("content-type", "application/json");
        Ok(request.body(json.to_string()).send().await?.status())
    }
}

/// Whether the same request gets the same answer again.
fn is_final(status: StatusCode) -> bool {
    let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !may_pass.contains(&status)
}

/// An error with what led to it. None of them names the address.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
