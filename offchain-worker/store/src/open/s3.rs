//! `s3://bucket/prefix`: S3, R2 and what else speaks their protocol.
//!
//! | variable | is |
//! |---|---|
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | credentials; without them the bucket is read as anybody may |
//! | `AWS_SESSION_TOKEN` | the third part of temporary credentials |
//! | `AWS_REGION`, `AWS_DEFAULT_REGION` | the bucket's region; `us-east-1` |
//! | `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` | the server, if it is not Amazon's |
//! | `AWS_ALLOW_HTTP` | `true`: the server may be an `http://` one |
//! | `AWS_VIRTUAL_HOSTED_STYLE_REQUEST` | `true`: the bucket is part of the endpoint's name |
//!
//! No other variable, file or metadata service is asked.

use std::sync::Arc;

use object_store::{
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    prefix::PrefixStore,
    ClientOptions, ObjectStore,
};

use super::{client::Connector, retries};
use crate::{
    error::one_line,
    guard::{by_the_system, Origin},
    StoreError,
};

/// Opens a bucket with the variables that `variable` has.
pub(crate) fn open(
    url: &str,
    bucket: &str,
    prefix: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let wrong = |why: &str| StoreError::Settings {
        store: url.to_string(),
        why: why.to_string(),
    };
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
    if let Some(endpoint) = endpoint(variable).map_err(wrong)? {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")) {
        builder = builder.with_region(region);
    }
    let is_in_name = is_true(variable("AWS_VIRTUAL_HOSTED_STYLE_REQUEST"));
    builder = builder.with_virtual_hosted_style_request(is_in_name);
    builder = with_credentials(builder, variable).map_err(wrong)?;
    let connector = Connector {
        origin: Origin::Owner,
        lookup: by_the_system,
        is_bucket: true,
    };
    let files = builder
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retries())
        .with_http_connector(connector)
        .build()
        .map_err(|error| wrong(&one_line(&error.to_string())))?;
    Ok(match prefix {
        "" => Arc::new(files),
        _ => Arc::new(PrefixStore::new(files, prefix)),
    })
}

fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| value == "true" || value == "1")
}

/// The server, if one is named; else it is Amazon's.
fn endpoint(variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>, &'static str> {
    let named = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
    let Some(endpoint) = named else {
        return Ok(None);
    };
    let parsed = url::Url::parse(&endpoint)
        .ok()
        .filter(|url| url.username().is_empty() && url.password().is_none());
    match parsed.as_ref().map(url::Url::scheme) {
        Some("https") => Ok(Some(endpoint)),
        Some("http") if is_true(variable("AWS_ALLOW_HTTP")) => Ok(Some(endpoint)),
        Some("http") => Err("AWS_ENDPOINT_URL is http://; set AWS_ALLOW_HTTP=true"),
        _ => Err("AWS_ENDPOINT_URL is no URL like https://host"),
    }
}

/// With the key that is there, or as anybody if there is none.
fn with_credentials(
    builder: AmazonS3Builder,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<AmazonS3Builder, &'static str> {
    let key = (
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
    );
    match key {
        (Some(id), Some(secret)) => {
            let builder = builder
                .with_access_key_id(id)
                .with_secret_access_key(secret);
            Ok(match variable("AWS_SESSION_TOKEN") {
                Some(token) => builder.with_token(token),
                None => builder,
            })
        }
        (None, None) => Ok(builder.with_config(AmazonS3ConfigKey::SkipSignature, "true")),
        (Some(_), None) => Err("AWS_SECRET_ACCESS_KEY is not set"),
        (None, Some(_)) => Err("AWS_ACCESS_KEY_ID is not set"),
    }
}
