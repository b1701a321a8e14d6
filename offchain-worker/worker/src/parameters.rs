//! A model's parameters in a file or in a store, read and written a piece at a time: in memory they are once.

use std::{fs::File, path::Path};

use bytes::Bytes;
use cairn_engine::Shared;
use cairn_gradient::{bytes_in_place, read_vector, VectorMaker};
use cairn_primitives::ModelRoot;
use cairn_store::Store;

use crate::error::Failure;

/// Parameters, in the order of the model's layout, and their root, which was hashed while they were read.
pub(crate) type Rooted = (Vec<f32>, ModelRoot);

/// Those in a file, which has so many bytes if it is of this model.
///
/// # Errors
/// If it cannot be read, or has another length.
pub(crate) fn of_file(path: &Path, expected: u64) -> Result<Rooted, Failure> {
    let name = path.to_string_lossy();
    let cannot = |error: std::io::Error| {
        let what = format!("cannot read the checkpoint {name}: {error}");
        Failure::new(what, "name another with --checkpoint")
    };
    let file = File::open(path).map_err(cannot)?;
    check_length(&name, file.metadata().map_err(cannot)?.len(), expected)?;
    let (parameters, root) = read_vector(file, expected).map_err(cannot)?;
    Ok((parameters, ModelRoot(root)))
}

/// Those in a store's file, which has so many bytes if it is of this model.
///
/// # Errors
/// If it cannot be read, or has another length.
pub(crate) async fn of_store(store: &Store, path: &str, expected: u64) -> Result<Rooted, Failure> {
    let mut reading = store.read(path, expected).await?;
    // What is too short is found out before there is room for all of it.
    check_length(path, reading.length(), expected)?;
    let mut parameters = VectorMaker::new(expected)?;
    let mut came: u64 = 0;
    while let Some(bytes) = reading.next().await? {
        came = came.saturating_add(bytes.len() as u64);
        parameters.take(&bytes);
    }
    check_length(path, came, expected)?;
    let (parameters, root) = parameters.finish();
    Ok((parameters, ModelRoot(root)))
}

/// The parameters in a file of so many bytes, if they have this root. The file was checked while it came; from there
/// on a disk has had it.
pub(crate) fn fetched(file: &Path, length: u64, root: ModelRoot) -> Result<Vec<f32>, String> {
    let read = File::open(file).and_then(|file| read_vector(file, length));
    let (parameters, found) =
        read.map_err(|error| format!("cannot read {} ({error})", file.display()))?;
    match ModelRoot(found) == root {
        true => Ok(parameters),
        false => Err(format!("{} has the root {found:?} by now", file.display())),
    }
}

/// A vector that is read as bytes.
struct InPlace(Shared);

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        bytes_in_place(self.0.numbers()).unwrap_or_default()
    }
}

/// A vector's numbers as little-endian bytes: its own, without a copy, where the machine has them so.
pub(crate) fn as_bytes(vector: Shared) -> Bytes {
    if bytes_in_place(vector.numbers()).is_some() {
        return Bytes::from_owner(InPlace(vector));
    }
    let numbers = vector.numbers();
    let mut bytes = Vec::with_capacity(size_of_val(numbers));
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.into()
}

/// Makes sure that a checkpoint is as long as the model's.
fn check_length(path: &str, found: u64, expected: u64) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    let what = format!("the checkpoint {path} has {found} bytes, the model {expected}");
    Err(Failure::new(what, "name a checkpoint of this model"))
}

#[cfg(test)]
mod tests {
    use cairn_gradient::{model_root, READ_AT_ONCE};

    use super::*;

    #[tokio::test]
    async fn files_and_stores_give_the_same_parameters_and_their_root() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create_in(directory.path()).unwrap();
        let edge = READ_AT_ONCE / 4;
        for numbers in [0, 1, edge - 1, edge, edge + 1] {
            let parameters: Vec<f32> = (0..numbers).map(|at| (at as f32).sin()).collect();
            let bytes: Vec<u8> = parameters.iter().flat_map(|it| it.to_le_bytes()).collect();
            let length = bytes.len() as u64;
            store.put("one", bytes.into()).await.unwrap();
            let file = of_file(&directory.path().join("one"), length).unwrap();
            assert_eq!(file, (parameters.clone(), model_root(&parameters)));
            assert_eq!(of_store(&store, "one", length).await.unwrap(), file);
        }
    }

    #[tokio::test]
    async fn parameters_of_another_model_are_told_by_their_length() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create_in(directory.path()).unwrap();
        store.put("one", vec![0u8; 12].into()).await.unwrap();
        let file = directory.path().join("one");
        let short = of_file(&file, 16).unwrap_err().to_string();
        assert!(short.contains("one has 12 bytes, the model 16"), "{short}");
        let long = of_file(&file, 8).unwrap_err().to_string();
        assert!(long.contains("one has 12 bytes, the model 8"), "{long}");
        let short = of_store(&store, "one", 16).await.unwrap_err().to_string();
        assert!(short.contains("one has 12 bytes, the model 16"), "{short}");
        assert!(of_store(&store, "one", 8).await.is_err());
        // However long a model is said to be, there is room for what is there alone.
        for expected in [u64::MAX, u64::MAX - 3] {
            assert!(of_file(&file, expected).is_err());
            assert!(of_store(&store, "one", expected).await.is_err());
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_fetched_or_not_at_all() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("3");
        for numbers in [0, 1, 65_535, 65_536, 65_537] {
            let parameters: Vec<f32> = (0..numbers).map(|at| (at as f32).cos()).collect();
            let root = model_root(&parameters);
            let mut bytes = as_bytes(parameters.clone().into()).to_vec();
            let length = bytes.len() as u64;
            std::fs::write(&file, &bytes).expect("room");
            assert_eq!(fetched(&file, length, root), Ok(parameters));
            let longer = fetched(&file, length + 4, root);
            assert!(longer.expect_err("too short").contains("cannot read"));
            let Some(last) = bytes.last_mut() else {
                continue;
            };
            *last ^= 1;
            std::fs::write(&file, &bytes).expect("room");
            let other = fetched(&file, length, root).expect_err("damaged");
            assert!(other.contains("has the root 0x"), "{other}");
            let shorter = fetched(&file, length - 4, root);
            assert!(shorter.expect_err("too long").contains("more than"));
        }
        // Who read all of a file first would take very long over this one.
        let giant = File::create(&file).expect("room");
        giant.set_len(1 << 40).expect("holes take no room");
        let longer = fetched(&file, 8, ModelRoot::zero()).expect_err("too long");
        assert!(longer.contains("more than 8 bytes"), "{longer}");
        let gone = fetched(&directory.path().join("4"), 4, ModelRoot::zero());
        assert!(gone.expect_err("it is not there").contains("cannot read"));
    }

    #[test]
    fn a_checkpoint_is_published_out_of_the_vector_itself() {
        let vector = Shared::from(vec![1.0f32, -2.5, f32::NAN]);
        let bytes = as_bytes(vector.clone());
        let copied: Vec<u8> = (vector.numbers().iter())
            .flat_map(|it| it.to_le_bytes())
            .collect();
        assert_eq!(bytes, copied);
        let is_own = bytes.as_ptr() == vector.numbers().as_ptr().cast();
        assert_eq!(is_own, cfg!(target_endian = "little"));
        // It stays for as long as somebody reads it.
        drop(vector);
        assert_eq!(bytes.slice(4..8), (-2.5f32).to_le_bytes().as_slice());
    }
}
