//! Builds the driver of `tests/cuda-on-cpu` and puts it where cudarc looks for a real one.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use cairn_trainer::cuda::{compile::Source, compile::SOURCES, libraries::Library};
use libloading::os::unix::{Library as Handle, RTLD_GLOBAL, RTLD_NOW};

/// Kernels with faults, to see that they are found.
pub const PLANTED: Source = Source {
    name: "planted",
    text: include_str!("../cuda-on-cpu/planted.cu"),
    options: &[],
    kernels: &[
        ("reverse", 256),
        ("reverse_without_barrier", 256),
        ("read_outside", 32),
        ("diverge", 64),
        ("wait_for_half", 64),
        ("copy_without_waiting", 32),
    ],
};

/// The driver's own settings, each for the calling thread.
pub struct Fake {
    seed: unsafe extern "C" fn(u64),
    memory: unsafe extern "C" fn(u64),
    version: unsafe extern "C" fn(i32),
    fail_after: unsafe extern "C" fn(i64),
}

impl Fake {
    /// Chooses the schedule: 0 is in order; odd seeds guard the memory before an allocation, even ones that after.
    pub fn seed(&self, seed: u64) -> &Fake {
        // SAFETY: a function of the driver that takes a number.
        unsafe { (self.seed)(seed) };
        self
    }

    /// Bytes of memory that the card has.
    pub fn memory(&self, bytes: u64) -> &Fake {
        // SAFETY: as above.
        unsafe { (self.memory)(bytes) };
        self
    }

    /// The CUDA version that the driver speaks.
    pub fn version(&self, version: i32) -> &Fake {
        // SAFETY: as above.
        unsafe { (self.version)(version) };
        self
    }

    /// Launches after which the card fails; −1 for never.
    pub fn fail_after(&self, launches: i64) -> &Fake {
        // SAFETY: as above.
        unsafe { (self.fail_after)(launches) };
        self
    }
}

/// The driver, with a schedule in order.
pub fn driver() -> &'static Fake {
    static FAKE: OnceLock<Fake> = OnceLock::new();
    FAKE.get_or_init(|| {
        let directory = build();
        open(&directory.join("libcuda.so"));
        open(&directory.join("libcublasLt.so"));
        Library::Nvrtc
            .require()
            .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
        let library = open(&directory.join("libcuda.so"));
        // SAFETY: these are the functions' types in driver.cpp.
        unsafe {
            Fake {
                seed: *library.get(b"fake_cuda_seed").unwrap(),
                memory: *library.get(b"fake_cuda_memory").unwrap(),
                version: *library.get(b"fake_cuda_version").unwrap(),
                fail_after: *library.get(b"fake_cuda_fail_after").unwrap(),
            }
        }
    })
    .seed(0)
}

/// Opens a library to stay, so that it is found by its short name from now on.
fn open(path: &Path) -> &'static Handle {
    // SAFETY: our own library, which has no initialisers.
    let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_GLOBAL) };
    Box::leak(Box::new(handle.unwrap()))
}

const CXX_OPTIONS: &[&str] = &[
    "-O2",
    "-std=c++17",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unknown-pragmas",
    "-Wno-unused-function",
    "-Wno-unused-parameter",
    "-Wno-sign-compare",
    // A fused operation only where the source asks for one, as the kernels are compiled for a card.
    "-ffp-contract=off",
    "-mavx2",
    "-mfma",
];

/// Builds both libraries, unless the same were built before.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = root.join("tests/cuda-on-cpu");
    let table = table(root);
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.as_bytes());
    for option in CXX_OPTIONS {
        hasher.update(option.as_bytes());
    }
    for directory in [sources.clone(), root.join("src/cuda/kernels")] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            hasher.update(&std::fs::read(file).unwrap());
        }
    }
    let hash = hasher.finalize().to_hex();
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cuda-on-cpu-{}", &hash[..16]));
    if built.join("libcublasLt.so").exists() {
        return built;
    }
    let fresh = built.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&fresh).unwrap();
    std::fs::write(fresh.join("kernels.cpp"), table).unwrap();
    let source = |name: &str| sources.join(name);
    let driver = [
        fresh.join("kernels.cpp"),
        source("block.cpp"),
        source("driver.cpp"),
    ];
    compile(&sources, &driver, &fresh.join("libcuda.so"));
    compile(
        &sources,
        &[source("cublaslt.cpp")],
        &fresh.join("libcublasLt.so"),
    );
    if std::fs::rename(&fresh, &built).is_err() {
        // Another process was faster; its files are the same.
        std::fs::remove_dir_all(&fresh).unwrap();
    }
    built
}

fn compile(include: &Path, files: &[PathBuf], to: &Path) {
    let name = to.file_name().unwrap().to_str().unwrap();
    let output = Command::new(std::env::var("CXX").unwrap_or("c++".into()))
        .args(CXX_OPTIONS)
        .arg(format!("-Wl,-soname,{name}"))
        .arg("-I")
        .arg(include)
        .arg("-o")
        .arg(to)
        .args(files)
        .output()
        .expect("a C++ compiler is needed to test the CUDA backend: run `make setup`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the CUDA driver for tests does not compile: {said}"
    );
}

/// A source file that has all kernels, and the list of them.
fn table(root: &Path) -> String {
    let kernels = root.join("src/cuda/kernels");
    let mut text = format!(
        "#include \"driver.h\"\n#include \"{}\"\n",
        kernels.join("prelude.cu").display()
    );
    let mut list = String::new();
    for source in SOURCES.iter().chain([&PLANTED]) {
        let directory = if source.name == PLANTED.name {
            root.join("tests/cuda-on-cpu")
        } else {
            kernels.clone()
        };
        let path = directory.join(source.name).with_extension("cu");
        text += &format!(
            "namespace {}_source {{\n#include \"{}\"\n}}\n",
            source.name,
            path.display()
        );
        for (kernel, threads) in source.kernels {
            let function = format!("{}_source::{kernel}", source.name);
            list += &format!("    make_kernel(\"{kernel}\", {threads}, {function}),\n");
        }
    }
    text + &format!(
        "const std::vector<fake::Kernel>& fake::kernels() {{\n    static const std::vector<Kernel> all = {{\n{list}    }};\n    return all;\n}}\n"
    )
}
