//! The files of the repository.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Directories that hold what is built or installed, and nothing that anybody wrote.
const NOT_OURS: [&str; 4] = ["target", "node_modules", "corpus", "__pycache__"];

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file, by its path in the repository.
///
/// # Errors
/// The file is not there, or not UTF-8; the path is in the message.
pub fn read(path: &str) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    fs::read_to_string(root().join(path)).map_err(named)
}

/// Paths in the repository below `directory` (all of it: the empty one) that end in one of `endings`, in order.
///
/// # Errors
/// A directory cannot be read.
pub fn files(directory: &str, endings: &[&str]) -> io::Result<Vec<String>> {
    let (mut found, mut left) = (Vec::new(), vec![directory.to_string()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(root().join(&directory))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = match directory.as_str() {
                "" => name.clone(),
                above => format!("{above}/{name}"),
            };
            let kind = entry.file_type()?;
            if kind.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                left.push(path);
            } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
