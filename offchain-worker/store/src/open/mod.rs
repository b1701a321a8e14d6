//! Stores by kind: what each needs to be opened.

mod client;
pub(crate) mod https;
pub(crate) mod s3;

use object_store::{BackoffConfig, RetryConfig};
use std::time::Duration;

/// Few retries within an operation: whoever asks has a deadline, and a fetch has other sources.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 2,
        retry_timeout: Duration::from_secs(30),
    }
}
