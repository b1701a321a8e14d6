//! What can go wrong with a store, in words that say what to do.

use std::{io::ErrorKind, time::Duration};

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL is none.
    #[error("`{url}` is not the URL of a store ({why}): write {write}")]
    InvalidUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
        /// What to write instead.
        write: String,
    },
    /// There is no such directory, and it is not for the reader to make it.
    #[error("there is no store at {store}: the directory {} does not exist; correct --store, or make the store with `cairn data prepare --out`", .directory.display())]
    Missing {
        /// The store's URL, as it was given.
        store: String,
        /// The directory.
        directory: std::path::PathBuf,
    },
    /// The URL's scheme is not supported.
    #[error(
        "`{url}`: stores of the kind `{scheme}://` are not supported; {} are",
        crate::url::KINDS
    )]
    UnsupportedScheme {
        /// What was given.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// The store's directory cannot be used.
    #[error(
        "cannot open the store {store}: {why}; name a directory that this user may read and write"
    )]
    CannotOpen {
        /// The store's URL.
        store: String,
        /// What the system said.
        why: String,
    },
    /// The settings of a store beyond this machine are not right.
    #[error("cannot open the store {store}: {why}")]
    Settings {
        /// The store's URL.
        store: String,
        /// What is wrong, and what to set.
        why: String,
    },
    /// A URL from a chain names something that only this machine's owner may name.
    #[error(
        "{what} may not be named by a chain: {why}; if you trust it, name it yourself with --store"
    )]
    Forbidden {
        /// The URL, or the host behind it.
        what: String,
        /// What it is.
        why: String,
    },
    /// The store is one that is only read.
    #[error(
        "cannot write {path}: the store {store} is only read; write to a file:// or s3:// store"
    )]
    ReadOnly {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
    },
    /// The store does not let this user in.
    #[error(
        "the store {store} refuses {operation} {path}: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
         and what its owner lets them do"
    )]
    Refused {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
        /// What was done.
        operation: &'static str,
    },
    /// The credentials were good until some time.
    #[error(
        "the credentials for the store {store} have expired: set new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and \
         AWS_SESSION_TOKEN, and start again"
    )]
    Expired {
        /// The store's URL.
        store: String,
    },
    /// What is in the store is not what the name promises, as of some byte.
    #[error("{path} in the store {store} is damaged in the 16 KiB at byte {at}; publish it again")]
    Damaged {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
        /// Where the bad group begins.
        at: u64,
    },
    /// A file to be published cannot be read.
    #[error("cannot read {} to publish it: {why}", .file.display())]
    Unreadable {
        /// The file.
        file: std::path::PathBuf,
        /// What the system said.
        why: String,
    },
    /// A path that no store has.
    #[error("`{path}` is not a path in a store: {why}")]
    InvalidPath {
        /// What was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing there.
    #[error("{path} is not in the store {store}: wait for its owner to upload it, or check that this is the run's store")]
    NotFound {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
    },
    /// More bytes than the caller takes.
    #[error("{path} in the store {store} has {length} bytes, at most {limit} are taken: it is not what its name says")]
    TooLarge {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
        /// Bytes found; a lower bound if the file grew while it was read.
        length: u64,
        /// Bytes that the caller takes.
        limit: u64,
    },
    /// The content is not what the name promises.
    #[error("{path} in the store {store} is damaged: its content hashes to {found}; delete it and have it uploaded again")]
    RootMismatch {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
        /// BLAKE3 of the content, in hexadecimal.
        found: String,
    },
    /// More files than a list holds.
    #[error("{prefix} in the store {store} has more than {limit} files: delete old ones")]
    TooMany {
        /// The store's URL.
        store: String,
        /// What was listed.
        prefix: String,
        /// The most files that a list holds.
        limit: usize,
    },
    /// The store takes nothing.
    #[error("cannot write {path} to the store {store}: {why}; make it writable for this user, or use another store")]
    NotWritable {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
        /// What the system said.
        why: String,
    },
    /// No room.
    #[error("no room for {path} in the store {store}: free disk space (old contributions and checkpoints may go), then try again")]
    DiskFull {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
    },
    /// The operation did not end in time.
    #[error("{operation} {path} in the store {store} took longer than {} s: check the disk or the network under it", .deadline.as_secs_f32())]
    TimedOut {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
        /// What was done.
        operation: &'static str,
        /// How long it was given.
        deadline: Duration,
    },
    /// Anything else that the system said.
    #[error("{operation} {path} in the store {store} failed: {why}")]
    Failed {
        /// The store's URL.
        store: String,
        /// The path.
        path: String,
        /// What was done.
        operation: &'static str,
        /// What the system said.
        why: String,
    },
}

/// What was being done to what, for errors.
#[derive(Clone, Copy)]
pub(crate) struct Doing<'a> {
    pub store: &'a str,
    pub path: &'a str,
    pub operation: &'static str,
}

impl Doing<'_> {
    /// Names an error of the library underneath.
    pub fn explain(&self, error: object_store::Error) -> StoreError {
        let (store, path) = (self.store.to_string(), self.path.to_string());
        if matches!(error, object_store::Error::NotFound { .. }) {
            return StoreError::NotFound { store, path };
        }
        use object_store::Error;
        if let Some(Forbidden { what, why }) = cause::<Forbidden>(&error).cloned() {
            return StoreError::Forbidden { what, why };
        }
        if let Some(known) = self.by_code(&error.to_string()) {
            return known;
        }
        let system = cause::<std::io::Error>(&error);
        let is_local = self.store.starts_with("file:");
        let why = system.map_or_else(|| in_short(&error), |error| error.to_string());
        let is_refusal = match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => true,
            _ => {
                why.starts_with("the server answers 403")
                    || why.starts_with("the server answers 401")
            }
        };
        if is_refusal && !is_local {
            return StoreError::Refused {
                store,
                path,
                operation: self.operation,
            };
        }
        let writing = matches!(self.operation, "writing" | "deleting");
        match system.map(std::io::Error::kind) {
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) => {
                StoreError::DiskFull { store, path }
            }
            Some(
                ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::NotADirectory
                | ErrorKind::NotFound,
            ) if writing => StoreError::NotWritable { store, path, why },
            // A file where a directory should be: whatever lies below it does not exist.
            Some(ErrorKind::NotADirectory) => StoreError::NotFound { store, path },
            _ => StoreError::Failed {
                store,
                path,
                operation: self.operation,
                why,
            },
        }
    }

    /// Names an error by the code that a bucket's server gave it, or by its status, where the message of
    /// `object_store` has one. A mirror that a chain named has no credentials of this user, and says nothing of them.
    fn by_code(&self, text: &str) -> Option<StoreError> {
        if !self.store.starts_with("s3:") {
            return None;
        }
        let (store, path) = (self.store.to_string(), self.path.to_string());
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0));
        match code {
            Some("ExpiredToken" | "TokenRefreshRequired") => Some(StoreError::Expired { store }),
            Some("QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded") => {
                Some(StoreError::DiskFull { store, path })
            }
            _ if text.contains("status code: 507") => Some(StoreError::DiskFull { store, path }),
            _ => None,
        }
    }

    /// The operation did not end in time.
    pub fn late(&self, deadline: Duration) -> StoreError {
        StoreError::TimedOut {
            store: self.store.to_string(),
            path: self.path.to_string(),
            operation: self.operation,
            deadline,
        }
    }
}

/// What a guard says through the layers of an HTTP client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} may not be named by a chain: {why}")]
pub(crate) struct Forbidden {
    pub what: String,
    pub why: String,
}

/// The error of a kind underneath, if there is one.
fn cause<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    // Chains of causes are short; the bound only guards against one that loops.
    for _ in 0..16 {
        let error = next?;
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>() {
            // Its `source` is that of what it wraps, not what it wraps.
            Some(io) => io
                .get_ref()
                .map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// The most characters of what another machine said.
const MOST_SAID: usize = 200;

/// What an error of a server comes down to. Its own text is left out: it may hold the key of who asked.
fn in_short(error: &object_store::Error) -> String {
    let text = one_line(&error.to_string());
    let status = text.split_once("status code: ").map(|(_, rest)| rest);
    if let Some(status) = status {
        let status = status.split_once(':').map_or(status, |(status, _)| status);
        return format!("the server answers {}", cut(status));
    }
    let mut deepest: &dyn std::error::Error = error;
    for _ in 0..16 {
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    cut(&one_line(&deepest.to_string()))
}

fn cut(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MOST_SAID)
        .collect()
}

/// Errors are one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(kind: ErrorKind, operation: &'static str) -> StoreError {
        let doing = Doing {
            store: "file:///s",
            path: "a/b",
            operation,
        };
        let source = Box::new(std::io::Error::from(kind));
        doing.explain(object_store::Error::Generic {
            store: "LocalFileSystem",
            source,
        })
    }

    #[test]
    fn a_full_disk_is_named_and_says_what_to_do() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let error = explain(kind, "writing");
            assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("a/b") && text.contains("file:///s") && text.contains("free"));
        }
    }

    /// What is made of an answer of a bucket's server.
    fn answered(store: &'static str, said: &'static str) -> StoreError {
        let doing = Doing {
            store,
            path: "a/b",
            operation: "writing",
        };
        let said = format!(
            "Error performing PUT http://host/a/b in 1ms - Server returned non-2xx status code: {said}"
        );
        doing.explain(object_store::Error::Generic {
            store: "S3",
            source: said.into(),
        })
    }

    #[test]
    fn credentials_that_have_expired_and_buckets_that_are_full_are_named() {
        let expired = "400 Bad Request: <?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>The provided \
                       token has expired.</Message><Token-0>my-token</Token-0></Error>";
        let error = answered("s3://s", expired);
        assert!(matches!(error, StoreError::Expired { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("AWS_SESSION_TOKEN") && !text.contains("my-token"));
        for full in [
            "403 Forbidden: <Error><Code>QuotaExceeded</Code></Error>",
            "400 Bad Request: <Error><Code>XMinioAdminBucketQuotaExceeded</Code></Error>",
            "507 Insufficient Storage: ",
        ] {
            let error = answered("s3://s", full);
            assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
        }
        // Another code is what it was, and a file may hold any text, as a mirror may say any.
        let other = "400 Bad Request: <Error><Code>InvalidArgument</Code></Error>";
        let error = answered("s3://s", other);
        assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
        for store in ["file:///s", "https://mirror.example/s"] {
            let error = answered(store, expired);
            assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
        }
    }

    #[test]
    fn a_store_that_takes_nothing_is_not_writable_but_can_fail_to_read() {
        let error = explain(ErrorKind::ReadOnlyFilesystem, "writing");
        assert!(matches!(error, StoreError::NotWritable { .. }), "{error:?}");
        let error = explain(ErrorKind::PermissionDenied, "reading");
        assert!(
            matches!(
                error,
                StoreError::Failed {
                    operation: "reading",
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn errors_are_one_line() {
        assert_eq!(one_line("a\n  b\t c"), "a b c");
        assert!(!explain(ErrorKind::Other, "reading")
            .to_string()
            .contains('\n'));
    }
}
