//! Parameters in one or several safetensors files, read tensor by tensor: nothing is in memory twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

use cairn_primitives::{Layout, Tensor};
use cairn_trainer::hugging_face;
use safetensors::{tensor::Metadata, Dtype};
use serde_json::Value;

use crate::files::{length, unreadable, unsuitable, FilesError};

/// The longest header of a file, in bytes: what the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The largest index that is read, in bytes.
const MAX_INDEX_BYTES: u64 = 100_000_000;
/// Bytes that are read at once, whole numbers.
const AT_ONCE: usize = 1 << 16;

/// Reads the parameters in a directory, in the order of the layout.
///
/// # Errors
///
/// [`FilesError`] names the file and what is wrong with it.
pub(crate) fn read(directory: &Path, layout: &Layout) -> Result<Vec<f32>, FilesError> {
    let (said, places) = Places::of(directory)?;
    let mut parts = BTreeMap::new();
    for name in places.files() {
        parts.insert(name, Part::open(directory.join(name))?);
    }
    let found: usize = parts.values().map(Part::tensors).sum();
    let expected = layout.0.len();
    if found != expected {
        let what = format!("it has {found} tensors, the model {expected}");
        return Err(unsuitable(&said, what));
    }
    let mut of_tensors = Vec::with_capacity(expected);
    for tensor in &layout.0 {
        let part = places
            .file_of(&tensor.name)
            .and_then(|name| parts.get(name));
        let missing = || unsuitable(&said, format!("it has no {}", tensor.name));
        let part = part.ok_or_else(missing)?;
        of_tensors.push((part, part.place(tensor)?));
    }
    // All is there, by headers and lengths of files: what a configuration claims, they have.
    let mut parameters = Vec::new();
    let room = parameters.try_reserve_exact(layout.parameters());
    room.map_err(|error| unreadable(&said)(error.into()))?;
    for (part, (begin, bytes)) in of_tensors {
        part.add(begin, bytes, &mut parameters)?;
    }
    Ok(parameters)
}

/// In which file each tensor is.
enum Places {
    /// All are in this one.
    One(String),
    /// As an index says: the file of each tensor.
    Several(BTreeMap<String, String>),
}

impl Places {
    /// What a directory says, and the file that says it.
    fn of(directory: &Path) -> Result<(PathBuf, Places), FilesError> {
        let (one, index) = (
            directory.join(hugging_face::WEIGHTS),
            directory.join(hugging_face::INDEX),
        );
        if one.exists() || !index.exists() {
            return Ok((one, Places::One(hugging_face::WEIGHTS.into())));
        }
        let bytes = length(&index)?;
        if bytes > MAX_INDEX_BYTES {
            return Err(unsuitable(&index, format!("it has {bytes} bytes")));
        }
        let content = std::fs::read(&index).map_err(unreadable(&index))?;
        let places = of_index(&content).map_err(|what| unsuitable(&index, what))?;
        Ok((index, Places::Several(places)))
    }

    /// The files, each once.
    fn files(&self) -> BTreeSet<&str> {
        match self {
            Places::One(name) => BTreeSet::from([name.as_str()]),
            Places::Several(files) => files.values().map(String::as_str).collect(),
        }
    }

    /// The file of a tensor.
    fn file_of(&self, tensor: &str) -> Option<&str> {
        match self {
            Places::One(name) => Some(name),
            Places::Several(files) => files.get(tensor).map(String::as_str),
        }
    }
}

/// The file of each tensor by an index: plain names, which lead nowhere else.
fn of_index(content: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let index: Value = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or("it has no `weight_map`")?;
    let named = map.iter().map(|(tensor, file)| {
        let file = file.as_str().filter(|name| is_plain(name));
        let file = file.ok_or_else(|| format!("the file of {tensor} is no plain name"))?;
        Ok((tensor.clone(), file.to_string()))
    });
    named.collect()
}

/// Whether it is the name of a file beside the index.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let plain = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    plain && parts.next().is_none()
}

/// A file whose header was read.
struct Part {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where its tensors begin, in bytes.
    begin: u64,
}

impl Part {
    /// Opens a file that is as long as its header says.
    fn open(path: PathBuf) -> Result<Part, FilesError> {
        let all = length(&path)?;
        let mut file = File::open(&path).map_err(unreadable(&path))?;
        let mut size = [0u8; 8];
        file.read_exact(&mut size).map_err(unreadable(&path))?;
        let header = u64::from_le_bytes(size);
        if header > MAX_HEADER_BYTES || header > all {
            let what = format!("it has {all} bytes, and its header would have {header}");
            return Err(unsuitable(&path, what));
        }
        let mut json = Vec::new();
        let read = file.by_ref().take(header).read_to_end(&mut json);
        read.map_err(unreadable(&path))?;
        let metadata: Metadata = serde_json::from_slice(&json)
            .map_err(|error| unsuitable(&path, format!("its header: {error}")))?;
        let begin = header.saturating_add(8);
        let expected = begin.saturating_add(metadata.data_len() as u64);
        if expected != all {
            let what = format!("it has {all} bytes and should have {expected}");
            return Err(unsuitable(&path, what));
        }
        Ok(Part {
            path,
            file,
            metadata,
            begin,
        })
    }

    /// How many tensors are in it.
    fn tensors(&self) -> usize {
        self.metadata.offset_keys().len()
    }

    /// Where a tensor begins, and how many bytes it has, if it is what the model has there.
    fn place(&self, tensor: &Tensor) -> Result<(u64, usize), FilesError> {
        let name = &tensor.name;
        let info = self.metadata.info(name);
        let info = info.ok_or_else(|| unsuitable(&self.path, format!("it has no {name}")))?;
        let expected: Vec<usize> = tensor.shape.iter().map(|n| *n as usize).collect();
        if info.dtype != Dtype::F32 || info.shape != expected {
            let (kind, shape) = (info.dtype, &info.shape);
            let what = format!("{name} is {kind:?} {shape:?}, and should be F32 {expected:?}");
            return Err(unsuitable(&self.path, what));
        }
        let (from, to) = info.data_offsets;
        Ok((
            self.begin.saturating_add(from as u64),
            to.saturating_sub(from),
        ))
    }

    /// Adds the numbers of a place to what was read before.
    fn add(&self, begin: u64, bytes: usize, numbers: &mut Vec<f32>) -> Result<(), FilesError> {
        let mut file = &self.file;
        let sought = file.seek(SeekFrom::Start(begin));
        sought.map_err(unreadable(&self.path))?;
        let mut room = [0u8; AT_ONCE];
        let mut left = bytes;
        while left > 0 {
            let some = left.min(AT_ONCE);
            let (part, _) = room.split_at_mut(some);
            file.read_exact(part).map_err(unreadable(&self.path))?;
            let found = part.as_chunks::<4>().0;
            numbers.extend(found.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            left -= some;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_files_beside_it() {
        let index = |file: &str| {
            let index = serde_json::json!({ "weight_map": { "a": "one", "b": file } });
            of_index(index.to_string().as_bytes())
        };
        assert_eq!(index("two").unwrap()["b"], "two");
        for file in ["", ".", "..", "../two", "/two", "below/two", "two/"] {
            let error = index(file).unwrap_err();
            assert!(error.contains("the file of b"), "{file}: {error}");
        }
        assert!(of_index(b"{}").unwrap_err().contains("weight_map"));
    }
}
