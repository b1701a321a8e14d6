//! A model's parameters in a file or in a store, read a piece at a time: in memory they are once.

use std::{fs::File, path::Path};

use cairn_gradient::{read_vector, VectorMaker};
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
}
