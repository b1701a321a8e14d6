//! `https://host/path`: any server that knows ranges. It is only read.

use std::sync::Arc;

use object_store::{http::HttpBuilder, ClientOptions, ObjectStore};

use super::{client::Connector, retries};
use crate::{
    error::one_line,
    guard::{Lookup, Origin},
    StoreError,
};

/// Opens a mirror. `lookup` resolves names if the URL is from a chain.
pub(crate) fn open(
    url: &url::Url,
    origin: Origin,
    lookup: Lookup,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let files = HttpBuilder::new()
        .with_url(url.as_str())
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries())
        .with_http_connector(Connector {
            origin,
            lookup,
            is_bucket: false,
        })
        .build()
        .map_err(|error| StoreError::Settings {
            store: url.to_string(),
            why: one_line(&error.to_string()),
        })?;
    Ok(Arc::new(files))
}
