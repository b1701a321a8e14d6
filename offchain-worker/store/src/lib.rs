//! Where contributions, data and checkpoints live.
//!
//! A store is a tree of files that several workers share. The chain says *which* bytes count, by their
//! BLAKE3 hash; the store only has to keep them. So almost everything here is a *blob*: a file whose name
//! ends in the hash of its content. [`Store::get_blob`] hashes what it read, so nobody who can write to the
//! store can pass off other bytes, and a torn or flipped file is noticed where it is read.
//!
//! ```
//! # async fn example() -> Result<(), cairn_store::StoreError> {
//! use cairn_store::{paths, Store};
//!
//! # let directory = tempfile::tempdir().map_err(|_| ()).unwrap();
//! let store = Store::create_in(directory.path())?;
//! let root = store.put_blob(&paths::contributions(1, 7), b"sealed bytes".to_vec().into()).await?;
//! let bytes = store.get_blob(&paths::contributions(1, 7), &root, 1_024).await?;
//! assert_eq!(bytes.as_ref(), b"sealed bytes");
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
//! ```
//!
//! Three promises hold for every operation:
//!
//! - **Atomic.** A file is written beside its place and renamed into it, after it has reached the disk.
//!   A reader sees all of it or nothing, also when the writer is killed, and also from other processes.
//! - **Bounded.** Reading takes the most bytes that the caller is prepared to hold, and asks for the
//!   length before the content. What need not be held as a whole is read by [`Store::read`]. Lists end
//!   at [`MAX_LISTED`] entries.
//! - **Timely.** Each operation ends by its deadline, which grows with the size of what is moved
//!   ([`Deadlines`]).
//!
//! A store is a directory (`file:///…`), a bucket (`s3://bucket/prefix`) or a server that is only read (`https://…`).
//! Paths inside a store are those of [`paths`]. A URL that a chain named is opened by [`Store::open_named_by`].
//!
//! What is large is published by [`Store::publish`] and fetched by [`fetch`]: from several sources at once, checked in
//! groups of 16 KiB as it arrives, straight to a file, and resumed after a kill.

mod blob;
mod error;
pub mod guard;
mod open;
pub mod paths;
mod store;
pub mod url;

pub use blob::{
    fetch, fetch_metered, Blob, Content, Fault, FetchError, Meter, Outcome, Patience, Reply,
    Report, Source, GROUP, MAX_LENGTH, SMALL,
};
pub use error::StoreError;
pub use store::{Deadlines, Entry, Reading, Store, MAX_LISTED};
