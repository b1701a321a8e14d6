//! Finds NVIDIA's libraries at run time: the same binary works with and without them.
//!
//! The driver comes with the system. NVRTC and cuBLASLt may lie in a CUDA toolkit, in a Python package, or where
//! `scripts/cuda-tools.sh` put them; what is not on the loader's path is opened by its full name first, after
//! which cudarc finds it by its short one.

use std::path::{Path, PathBuf};

use cudarc::{cublaslt, driver, nvrtc};
use libloading::os::unix::{Library as Handle, RTLD_GLOBAL, RTLD_NOW};

use super::error::{CudaError, Version};

/// What NCCL is called.
pub(super) const NCCL: &str = "libnccl.so.2";

/// One of NVIDIA's libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `libcuda.so.1`, part of the driver.
    Driver,
    /// `libnvrtc.so`, which compiles kernels.
    Nvrtc,
    /// `libcublasLt.so`, which multiplies matrices.
    CublasLt,
    /// `libnccl.so.2`, which moves numbers between cards.
    Nccl,
}

impl Library {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Library::Driver => "the NVIDIA driver (libcuda.so.1)",
            Library::Nvrtc => "NVRTC (libnvrtc.so.13 or 12)",
            Library::CublasLt => "cuBLASLt (libcublasLt.so.13 or 12)",
            Library::Nccl => "NCCL (libnccl.so.2)",
        }
    }

    /// Names of the files to open if the loader does not find the library by itself, a needed one first.
    fn stems(self) -> &'static [&'static str] {
        match self {
            Library::Driver => &[],
            Library::Nvrtc => &["libnvrtc-builtins.so", "libnvrtc.so"],
            Library::CublasLt => &["libcublasLt.so"],
            Library::Nccl => &[NCCL],
        }
    }

    fn is_loadable(self) -> bool {
        // SAFETY: opens and closes libraries whose initialisers are NVIDIA's own.
        unsafe {
            match self {
                Library::Driver => driver::sys::is_culib_present(),
                Library::Nvrtc => nvrtc::sys::is_culib_present(),
                Library::CublasLt => cublaslt::sys::is_culib_present(),
                // cudarc does not look for the one name that NCCL has.
                Library::Nccl => Handle::open(Some(NCCL), RTLD_NOW).is_ok(),
            }
        }
    }

    /// Makes sure that the library can be used. To be called before anything of cudarc, which panics without it.
    ///
    /// # Errors
    ///
    /// [`CudaError::NoDriver`], [`CudaError::NoLibrary`] or [`CudaError::NoNccl`].
    pub fn require(self) -> Result<(), CudaError> {
        if self.is_loadable() {
            return Ok(());
        }
        for directory in directories() {
            self.open_from(&directory);
            if self.is_loadable() {
                return Ok(());
            }
        }
        Err(match self {
            Library::Driver => CudaError::NoDriver,
            Library::Nccl => CudaError::NoNccl,
            _ => CudaError::NoLibrary {
                library: self.name(),
            },
        })
    }

    /// Opens the library's files in a directory, to stay.
    fn open_from(self, directory: &Path) {
        for stem in self.stems() {
            let Ok(entries) = std::fs::read_dir(directory) else {
                return;
            };
            let mut files: Vec<PathBuf> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| {
                    let name = path.file_name().and_then(|name| name.to_str());
                    name.is_some_and(|name| name.starts_with(stem))
                })
                .collect();
            // The newest version first.
            files.sort();
            for file in files.iter().rev() {
                // SAFETY: as above. Never closed: cudarc keeps using it.
                if let Ok(handle) = unsafe { Handle::open(Some(file), RTLD_NOW | RTLD_GLOBAL) } {
                    std::mem::forget(handle);
                    break;
                }
            }
        }
    }
}

/// Directories that are looked into, in order.
pub fn directories() -> Vec<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let cache = super::cache_directory().join("cuda/lib");
    let toolkits = ["CUDA_PATH", "CUDA_HOME"].map(|name| from(name).map(|path| path.join("lib64")));
    let mut directories: Vec<PathBuf> = from("CAIRN_CUDA_LIBRARIES").into_iter().collect();
    directories.push(cache);
    directories.extend(toolkits.into_iter().flatten());
    directories.push("/usr/local/cuda/lib64".into());
    directories
}

/// The CUDA version that the driver speaks.
///
/// # Errors
///
/// If there is no driver, or it does not answer.
pub fn driver_version() -> Result<Version, CudaError> {
    Library::Driver.require()?;
    let mut version = 0;
    // SAFETY: the library is there, and the pointer is to an int.
    unsafe { driver::sys::cuDriverGetVersion(&mut version) }
        .result()
        .map_err(|error| CudaError::driver("asking the driver for its version", error))?;
    Ok(Version(version))
}

/// The version of NVRTC.
///
/// # Errors
///
/// If there is none.
pub fn nvrtc_version() -> Result<Version, CudaError> {
    Library::Nvrtc.require()?;
    let (mut major, mut minor) = (0, 0);
    // SAFETY: the library is there, and the pointers are to ints.
    let status = unsafe { nvrtc::sys::nvrtcVersion(&mut major, &mut minor) };
    match status.result() {
        Ok(()) => Ok(Version(1000 * major + 10 * minor)),
        Err(_) => Err(CudaError::NoLibrary {
            library: Library::Nvrtc.name(),
        }),
    }
}

/// The version of cuBLASLt as it numbers itself: 130100 is 13.1.0.
///
/// # Errors
///
/// If there is none.
pub fn cublaslt_version() -> Result<usize, CudaError> {
    Library::CublasLt.require()?;
    // SAFETY: the library is there.
    Ok(unsafe { cublaslt::sys::cublasLtGetVersion() })
}
