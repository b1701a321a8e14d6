//! Directories as URLs and URLs as directories.
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
