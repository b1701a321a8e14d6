//! From the kernels' sources to machine code: NVRTC at first use, and files that remember its work.
//!
//! The result is a cubin for the card's own architecture, not PTX: a driver refuses PTX that is newer than
//! itself, and would compile it again in every process.

use std::{ffi::CString, io::Write, path::Path};

use cudarc::nvrtc::{result as nvrtc, sys};

use super::{
    error::{CudaError, Version},
    libraries::{nvrtc_version, Library},
};

/// One source of kernels.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name: the file's without `.cu`.
    pub name: &'static str,
    /// Its text, without what all share.
    pub text: &'static str,
    /// What the compiler is told beside the architecture.
    pub options: &'static [&'static str],
    /// Its kernels, and the most threads that a block of each may have.
    pub kernels: &'static [(&'static str, u32)],
}

/// What all sources begin with.
pub const PRELUDE: &str = include_str!("kernels/prelude.cu");

/// All sources.
pub const SOURCES: &[Source] = &[
    Source {
        name: "norm",
        text: include_str!("kernels/norm.cu"),
        options: &[],
        kernels: &[
            ("residual_norm_forward", 256),
            ("norm_backward", 256),
            ("norm_weight_gradient", 256),
        ],
    },
    Source {
        name: "rope",
        text: include_str!("kernels/rope.cu"),
        options: &[],
        kernels: &[("rotate", 256)],
    },
    Source {
        name: "swiglu",
        text: include_str!("kernels/swiglu.cu"),
        options: &[],
        kernels: &[("swiglu_forward", 256), ("swiglu_backward", 256)],
    },
    Source {
        name: "head",
        text: include_str!("kernels/head.cu"),
        options: &[],
        kernels: &[("cross_entropy", 512), ("add_losses", 1024)],
    },
    Source {
        name: "embedding",
        text: include_str!("kernels/embedding.cu"),
        options: &[],
        kernels: &[("embedding_forward", 256), ("embedding_backward", 256)],
    },
    Source {
        name: "attention",
        text: include_str!("kernels/attention.cu"),
        options: &[],
        kernels: &[
            ("attention_delta", 256),
            ("attention_forward_16", 128),
            ("attention_forward_32", 128),
            ("attention_forward_64", 128),
            ("attention_forward_128", 128),
            ("attention_backward_keys_16", 128),
            ("attention_backward_keys_32", 128),
            ("attention_backward_keys_64", 128),
            ("attention_backward_keys_128", 128),
            ("attention_backward_queries_16", 128),
            ("attention_backward_queries_32", 128),
            ("attention_backward_queries_64", 128),
            ("attention_backward_queries_128", 128),
        ],
    },
    Source {
        name: "optimizer",
        text: include_str!("kernels/optimizer.cu"),
        options: &["--fmad=false"],
        kernels: &[
            ("squares", 256),
            ("gradient_norm", 1024),
            ("adamw", 256),
            ("round_floats", 256),
        ],
    },
    Source {
        name: "muon",
        text: include_str!("kernels/muon.cu"),
        options: &["--fmad=false"],
        kernels: &[
            ("nesterov", 256),
            ("begin_iteration", 256),
            ("polynomial", 256),
            ("descend", 256),
        ],
    },
    Source {
        name: "contribution",
        text: include_str!("kernels/contribution.cu"),
        options: &["--fmad=false"],
        kernels: &[("compress_blocks", 256), ("step_blocks", 256)],
    },
    Source {
        name: "ranks",
        text: include_str!("kernels/ranks.cu"),
        options: &["--fmad=false"],
        kernels: &[("add_ranks", 256), ("join_reports", 32)],
    },
    Source {
        name: "kept",
        text: include_str!("kernels/kept.cu"),
        options: &[],
        kernels: &[("keep_rows", 256), ("attend_kept", 128)],
    },
];

/// What the compiler made of a source.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// An ELF file of the card's machine code.
    pub cubin: Vec<u8>,
    /// What the compiler said.
    pub log: String,
}

impl Source {
    /// Compiles the source for `arch`, such as `sm_90`; of the attention kernels only those for heads of
    /// `head_width` numbers, if given. `extra` options come last.
    ///
    /// # Errors
    ///
    /// [`CudaError::NoLibrary`] without NVRTC, [`CudaError::Compile`] if it refuses.
    pub fn compile(
        &self,
        arch: &str,
        head_width: Option<usize>,
        extra: &[&str],
    ) -> Result<Compiled, CudaError> {
        Library::Nvrtc.require()?;
        let failed = |log: String| CudaError::Compile {
            source_name: self.name,
            arch: arch.to_string(),
            log,
        };
        let mut options = self.options(arch, head_width);
        options.extend(extra.iter().map(ToString::to_string));
        let (text, name) = (CString::new(self.whole()), CString::new(self.name));
        let (Ok(text), Ok(name)) = (text, name) else {
            return Err(failed("the source has a zero in it".into()));
        };
        let program =
            nvrtc::create_program(&text, Some(&name)).map_err(|error| failed(error.to_string()))?;
        // SAFETY: `program` is NVRTC's, and destroyed only at the end.
        let result = unsafe {
            let compiled = nvrtc::compile_program(program, &options);
            let log = nvrtc::get_program_log(program).unwrap_or_default();
            let log = text_of(&log);
            match compiled.and_then(|()| cubin_of(program)) {
                Ok(cubin) => Ok(Compiled { cubin, log }),
                Err(error) => Err(failed(format!("{error}: {log}"))),
            }
        };
        // SAFETY: nothing refers to it any more.
        let _ = unsafe { nvrtc::destroy_program(program) };
        result
    }

    /// The cubin, from a file of `cache` if the same was compiled before.
    ///
    /// # Errors
    ///
    /// As [`Source::compile`]. A cache that cannot be written is no error.
    pub fn cubin(
        &self,
        arch: &str,
        head_width: Option<usize>,
        cache: &Path,
    ) -> Result<Vec<u8>, CudaError> {
        let path = cache.join(self.file_name(arch, head_width, nvrtc_version()?));
        if let Some(cubin) = std::fs::read(&path).ok().and_then(checked) {
            return Ok(cubin);
        }
        let cubin = self.compile(arch, head_width, &[])?.cubin;
        let _ = store(&path, &cubin);
        Ok(cubin)
    }

    /// The name under which the cache has it: a hash of all that the result depends on.
    fn file_name(&self, arch: &str, head_width: Option<usize>, version: Version) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.whole().as_bytes());
        for option in self.options(arch, head_width) {
            hasher.update(&[0]).update(option.as_bytes());
        }
        hasher.update(&version.0.to_le_bytes());
        let hash = hasher.finalize().to_hex();
        format!("{}-{arch}-{}.cubin", self.name, &hash[..16])
    }

    fn options(&self, arch: &str, head_width: Option<usize>) -> Vec<String> {
        let mut options = vec![
            format!("--gpu-architecture={arch}"),
            "--std=c++17".to_string(),
            // What all sources share is not used by all.
            "--diag-suppress=177".to_string(),
        ];
        options.extend(self.options.iter().map(ToString::to_string));
        options.extend(head_width.map(|width| format!("--define-macro=HEAD_WIDTH={width}")));
        options
    }

    fn whole(&self) -> String {
        format!("{PRELUDE}\n#line 1 \"{}.cu\"\n{}", self.name, self.text)
    }
}

/// # Safety
///
/// `program` must be a compiled program of NVRTC.
unsafe fn cubin_of(program: sys::nvrtcProgram) -> Result<Vec<u8>, nvrtc::NvrtcError> {
    let mut size = 0;
    // SAFETY: by the caller.
    unsafe { sys::nvrtcGetCUBINSize(program, &mut size) }.result()?;
    let mut cubin = vec![0u8; size];
    // SAFETY: by the caller; there are as many bytes as NVRTC asked for.
    unsafe { sys::nvrtcGetCUBIN(program, cubin.as_mut_ptr().cast()) }.result()?;
    Ok(cubin)
}

fn text_of(log: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = log.iter().map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes)
        .trim_end_matches('\0')
        .to_string()
}

/// Bytes of the checksum at a cached file's end: BLAKE3 of what comes before.
const CHECKSUM: usize = 32;

/// The cubin in a cached file, unless it is damaged.
fn checked(mut file: Vec<u8>) -> Option<Vec<u8>> {
    let length = file.len().checked_sub(CHECKSUM)?;
    let whole = blake3::hash(file.get(..length)?).as_bytes() == file.get(length..)?;
    file.truncate(length);
    whole.then_some(file)
}

/// Writes a file that is either whole or not there.
fn store(path: &Path, cubin: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(cubin)?;
    file.write_all(blake3::hash(cubin).as_bytes())?;
    drop(file);
    std::fs::rename(temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_not_used() {
        let directory = std::env::temp_dir().join(format!("cairn-cubin-{}", std::process::id()));
        let path = directory.join("x.cubin");
        store(&path, b"machine code").unwrap();
        let mut file = std::fs::read(&path).unwrap();
        assert_eq!(checked(file.clone()).as_deref(), Some(&b"machine code"[..]));
        file[3] ^= 1;
        assert_eq!(checked(file.clone()), None);
        assert_eq!(checked(file[..20].to_vec()), None);
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_name_in_the_cache_depends_on_all_that_the_code_depends_on() {
        let source = &SOURCES[0];
        let name = source.file_name("sm_90", None, Version(13_000));
        assert_ne!(name, source.file_name("sm_80", None, Version(13_000)));
        assert_ne!(name, source.file_name("sm_90", Some(64), Version(13_000)));
        assert_ne!(name, source.file_name("sm_90", None, Version(13_010)));
        let changed = Source {
            text: "",
            ..*source
        };
        assert_ne!(name, changed.file_name("sm_90", None, Version(13_000)));
    }

    /// The list above is what the host launches and what the fake driver runs: it must name what the sources define.
    #[test]
    fn the_list_of_kernels_is_that_of_the_sources() {
        for source in SOURCES {
            for (kernel, threads) in source.kernels {
                let (stem, width) = kernel.rsplit_once('_').unwrap_or((kernel, ""));
                let defined = if width.parse::<u32>().is_ok() {
                    source
                        .text
                        .contains(&format!("KERNEL({threads}) {stem}_##WIDTH("))
                        && source.text.contains(&format!("ATTENTION({width})"))
                } else {
                    source
                        .text
                        .contains(&format!("KERNEL({threads}) {kernel}("))
                };
                assert!(
                    defined,
                    "{kernel} with {threads} threads in {}.cu",
                    source.name
                );
            }
        }
    }
}
