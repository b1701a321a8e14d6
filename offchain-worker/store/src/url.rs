//! What a URL names, and directories as URLs.
//!
//! A path may have blanks, `%`, `#` and `?` in it, which mean something in a URL; the `url` crate knows how each is
//! written. Nobody puts `file://` before a path by hand.

use std::path::{Path, PathBuf};

use url::Url;

use crate::StoreError;

/// The `file:///…` URL of an absolute directory.
///
/// # Errors
/// [`StoreError::InvalidUrl`] if the path is not absolute.
pub fn of_directory(path: &Path) -> Result<String, StoreError> {
    Url::from_file_path(path)
        .map(String::from)
        .map_err(|()| StoreError::InvalidUrl {
            url: path.display().to_string(),
            why: "it is not an absolute path".into(),
            write: HOW.into(),
        })
}

/// How the URL of a store looks.
const HOW: &str = "file:///absolute/path";

/// The stores that there are.
pub(crate) const KINDS: &str = "file:///absolute/path, s3://bucket/prefix and https://host/path";

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A bucket, and a prefix in it that may be empty.
    Bucket { bucket: String, prefix: String },
    /// A server that is only read.
    Mirror(Url),
}

/// The place that a URL names.
pub(crate) fn place(text: &str) -> Result<Place, StoreError> {
    match Url::parse(text) {
        Ok(url) if url.scheme() == "s3" => bucket(text, &url),
        Ok(url) if matches!(url.scheme(), "http" | "https") => mirror(text, url),
        _ => directory(text).map(Place::Directory),
    }
}

fn bucket(text: &str, url: &Url) -> Result<Place, StoreError> {
    let invalid = |why: &str| StoreError::InvalidUrl {
        url: without_user(text, url),
        why: why.to_string(),
        write: "s3://bucket/prefix".into(),
    };
    plain(url).map_err(invalid)?;
    let bucket = url.host_str().unwrap_or_default().to_string();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_plain) || url.port().is_some() {
        return Err(invalid("a bucket has 3 to 63 letters a-z, digits, - and ."));
    }
    let prefix = url.path().trim_matches('/').to_string();
    if !prefix.is_empty() {
        crate::paths::check(&prefix)
            .map_err(|_| invalid("only letters, digits and . _ - may be in the prefix"))?;
    }
    Ok(Place::Bucket { bucket, prefix })
}

fn mirror(text: &str, url: Url) -> Result<Place, StoreError> {
    let invalid = |why: &str| StoreError::InvalidUrl {
        url: without_user(text, &url),
        why: why.to_string(),
        write: "https://host/path".into(),
    };
    plain(&url).map_err(invalid)?;
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "http" && !is_loopback {
        return Err(invalid("http is for this machine only"));
    }
    Ok(Place::Mirror(url))
}

/// Credentials are taken from the environment only, and nothing else is understood.
fn plain(url: &Url) -> Result<(), &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong in a URL");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a ? or a #");
    }
    Ok(())
}

/// A URL to be shown.
fn without_user(text: &str, url: &Url) -> String {
    match url.username().is_empty() && url.password().is_none() {
        true => text.to_string(),
        false => format!(
            "{}://…@{}",
            url.scheme(),
            url.host_str().unwrap_or_default()
        ),
    }
}

/// The directory of a `file:///…` URL.
pub(crate) fn directory(text: &str) -> Result<PathBuf, StoreError> {
    let invalid = |why: &str| StoreError::InvalidUrl {
        url: text.to_string(),
        why: why.to_string(),
        write: suggestion(text),
    };
    // `C:\store` parses as a URL of the scheme `c`, `/srv/cairn` and `./store` as none.
    let parsed = match Url::parse(text) {
        Ok(parsed) if parsed.scheme().len() > 1 => parsed,
        Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => {
            return Err(invalid(if text.is_empty() {
                "it is empty"
            } else {
                "it is a path"
            }));
        }
        Err(error) => return Err(invalid(&error.to_string())),
    };
    if parsed.scheme() != "file" {
        let (url, scheme) = (text.to_string(), parsed.scheme().to_string());
        return Err(StoreError::UnsupportedScheme { url, scheme });
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(invalid("in a URL, ? is written %3F and # is written %23"));
    }
    parsed
        .to_file_path()
        .map_err(|()| invalid("it names a host, or no absolute path"))
}

/// The URL that was probably meant.
fn suggestion(text: &str) -> String {
    let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
    match of_path(path) {
        Some(url) => format!("{url} (in general {HOW})"),
        None => HOW.into(),
    }
}

fn of_path(path: &Path) -> Option<String> {
    if path.as_os_str().is_empty() || path.to_string_lossy().contains('\\') {
        return None;
    }
    // `file://host/x` has no slash in front, and what follows is no path of this machine.
    let absolute = path.is_absolute() || path.starts_with(".") || path.starts_with("..");
    let path = absolute.then(|| std::path::absolute(path).ok()).flatten()?;
    Url::from_file_path(path).map(String::from).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_survives_the_journey() {
        for path in [
            "/srv/cairn",
            "/tmp/k#1",
            "/tmp/what?",
            "/tmp/100%",
            "/tmp/100%25",
            "/tmp/a b/ c",
            "/tmp/größe/[x]{y}|`^\"<>",
            "/tmp/%2e%2e",
        ] {
            let url = of_directory(Path::new(path)).unwrap();
            assert_eq!(directory(&url).unwrap(), Path::new(path), "{url}");
        }
        assert!(of_directory(Path::new("relative")).is_err());
    }

    #[test]
    fn what_people_write_by_hand_is_read_or_gets_the_url_that_was_meant() {
        // Blanks, and a % that escapes nothing, can only mean one thing.
        assert_eq!(directory("file:///tmp/a b").unwrap(), Path::new("/tmp/a b"));
        assert_eq!(
            directory("file:///tmp/100%").unwrap(),
            Path::new("/tmp/100%")
        );
        for (text, meant) in [
            ("file:///tmp/k#1", "file:///tmp/k%231"),
            ("file:///tmp/k?", "file:///tmp/k%3F"),
            ("/tmp/k#1", "file:///tmp/k%231"),
            ("/srv/cairn", "file:///srv/cairn"),
        ] {
            let error = directory(text).unwrap_err().to_string();
            assert!(error.contains(&format!("write {meant} ")), "{error}");
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        let here = directory("./store").unwrap_err().to_string();
        assert!(here.contains("/store (in general"), "{here}");
    }
}
