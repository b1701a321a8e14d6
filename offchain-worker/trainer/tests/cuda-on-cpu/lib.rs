//! A CUDA driver that runs kernels on the CPU, for tests on machines without a card.
//!
//! Builds the driver of this directory's C++ sources with the kernels of the trainer in it. [`driver`] then opens it in
//! this process, so that cudarc finds it where it looks for NVIDIA's; [`directory`] is for the library path of another.
//! What it can find, and what not, is in the README beside this file.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use libloading::os::unix::{Library as Handle, RTLD_GLOBAL, RTLD_NOW};

/// A source of kernels of the trainer: its name, and the name and most threads of each of its kernels.
pub type Source = (&'static str, &'static [(&'static str, u32)]);

/// The source of kernels with faults, by which the driver itself is tested.
pub const PLANTED_SOURCE: &str = include_str!("planted.cu");
/// Its name and kernels.
pub const PLANTED: Source = (
    "planted",
    &[
        ("reverse", 256),
        ("reverse_without_barrier", 256),
        ("read_outside", 32),
        ("diverge", 64),
        ("wait_for_half", 64),
        ("copy_without_waiting", 32),
    ],
);

/// The driver's own settings, each for the calling thread.
pub struct Fake {
    seed: unsafe extern "C" fn(u64),
    memory: unsafe extern "C" fn(u64),
    version: unsafe extern "C" fn(i32),
    fail_after: unsafe extern "C" fn(i64),
    cards: unsafe extern "C" fn(i32),
    fail_card_after: unsafe extern "C" fn(i32, i64),
    broken: unsafe extern "C" fn(i32, i32),
    copied: unsafe extern "C" fn() -> u64,
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

    /// Bytes that the calling thread has copied from the card so far.
    pub fn copied(&self) -> u64 {
        // SAFETY: a function of the driver without arguments.
        unsafe { (self.copied)() }
    }

    /// Cards that the driver sees, 64 at most; the last of them would be of another model.
    pub fn cards(&self, cards: i32) -> &Fake {
        // SAFETY: as above.
        unsafe { (self.cards)(cards) };
        self
    }

    /// Launches after which one card fails, whichever thread uses it; −1 for never. Tests that run at once need cards
    /// of their own.
    pub fn fail_card_after(&self, card: i32, launches: i64) -> &Fake {
        // SAFETY: as above.
        unsafe { (self.fail_card_after)(card, launches) };
        self
    }

    /// Whether one card answers no call any more, whichever thread makes it, as after a fault that stays for as long as
    /// the process.
    pub fn broken(&self, card: i32, is_broken: bool) -> &Fake {
        // SAFETY: as above.
        unsafe { (self.broken)(card, i32::from(is_broken)) };
        self
    }

    /// Launches after which the card fails; −1 for never.
    pub fn fail_after(&self, launches: i64) -> &Fake {
        // SAFETY: as above.
        unsafe { (self.fail_after)(launches) };
        self
    }
}

/// NCCL's own settings.
pub struct FakeNccl {
    fault: unsafe extern "C" fn(i32, i64, i32),
    connection: unsafe extern "C" fn(u64),
}

impl FakeNccl {
    /// After so many more sends of a card what it sends does not arrive.
    pub fn mute(&self, card: i32, sends: i64) -> &FakeNccl {
        // SAFETY: a function of the library that takes numbers.
        unsafe { (self.fault)(card, sends, 0) };
        self
    }

    /// After so many more sends of a card its communicator fails with a status.
    pub fn fail(&self, card: i32, sends: i64, status: i32) -> &FakeNccl {
        // SAFETY: as above.
        unsafe { (self.fault)(card, sends, status) };
        self
    }

    /// Bytes of a card's memory that a rank of the calling thread takes for each other, when the two first exchange
    /// something.
    pub fn connection(&self, bytes: u64) -> &FakeNccl {
        // SAFETY: as above.
        unsafe { (self.connection)(bytes) };
        self
    }

    /// Nothing goes wrong with a card any more.
    pub fn mend(&self, card: i32) -> &FakeNccl {
        // SAFETY: as above.
        unsafe { (self.fault)(card, -1, 0) };
        self
    }
}

/// Opens an NCCL in this process, for as many cards as [`Fake::cards`] says. Without it there is none.
///
/// # Panics
///
/// If there is no C++ compiler.
pub fn nccl(sources: impl IntoIterator<Item = Source>) -> &'static FakeNccl {
    static FAKE: OnceLock<FakeNccl> = OnceLock::new();
    FAKE.get_or_init(|| {
        let library = open(&directory(sources).join("libnccl.so.2"));
        // SAFETY: these are the functions' types in nccl.cpp.
        unsafe {
            FakeNccl {
                fault: *library.get(b"fake_nccl_fault").unwrap(),
                connection: *library.get(b"fake_nccl_connection").unwrap(),
            }
        }
    })
}

/// Opens the driver, and a cuBLASLt to go with it, in this process; with a schedule in order and one card for the
/// calling thread.
///
/// # Panics
///
/// If there is no C++ compiler.
pub fn driver(sources: impl IntoIterator<Item = Source>) -> &'static Fake {
    static FAKE: OnceLock<Fake> = OnceLock::new();
    FAKE.get_or_init(|| {
        let directory = directory(sources);
        let library = open(&directory.join("libcuda.so"));
        open(&directory.join("libcublasLt.so"));
        // SAFETY: these are the functions' types in driver.cpp.
        unsafe {
            Fake {
                seed: *library.get(b"fake_cuda_seed").unwrap(),
                memory: *library.get(b"fake_cuda_memory").unwrap(),
                version: *library.get(b"fake_cuda_version").unwrap(),
                fail_after: *library.get(b"fake_cuda_fail_after").unwrap(),
                cards: *library.get(b"fake_cuda_cards").unwrap(),
                fail_card_after: *library.get(b"fake_cuda_fail_card_after").unwrap(),
                broken: *library.get(b"fake_cuda_broken").unwrap(),
                copied: *library.get(b"fake_cuda_copied").unwrap(),
            }
        }
    })
    .seed(0)
    .cards(1)
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

/// Builds both libraries, unless the same were built before, and gives the directory where they are.
///
/// # Panics
///
/// If there is no C++ compiler.
pub fn directory(of: impl IntoIterator<Item = Source>) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kernels = sources.join("../../src/cuda/kernels");
    let table = table(&kernels, of);
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.as_bytes());
    for option in CXX_OPTIONS {
        hasher.update(option.as_bytes());
    }
    for directory in [sources, &kernels] {
        let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            hasher.update(&std::fs::read(file).unwrap());
        }
    }
    let hash = hasher.finalize().to_hex();
    let built = target().join(format!("tmp/cuda-on-cpu-{}", &hash[..16]));
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
    compile(sources, &driver, &fresh.join("libcuda.so"));
    // It is the driver that runs its products, in their turn.
    let products = [source("cublaslt.cpp"), fresh.join("libcuda.so")];
    compile(sources, &products, &fresh.join("libcublasLt.so"));
    let ranks = [source("nccl.cpp"), fresh.join("libcuda.so")];
    compile(sources, &ranks, &fresh.join("libnccl.so.2"));
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
        .args([&format!("-Wl,-soname,{name}"), "-Wl,-rpath,$ORIGIN"])
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

/// Cargo's target directory: tests run from `debug/deps` in it.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_path_buf()
}

/// A source file that has all kernels, and the list of them.
fn table(kernels: &Path, sources: impl IntoIterator<Item = Source>) -> String {
    let mut text = format!(
        "#include \"driver.h\"\n#include \"{}\"\n",
        kernels.join("prelude.cu").display()
    );
    let mut list = String::new();
    for (source, names) in sources.into_iter().chain([PLANTED]) {
        let directory = if source == PLANTED.0 {
            Path::new(env!("CARGO_MANIFEST_DIR"))
        } else {
            kernels
        };
        let path = directory.join(source).with_extension("cu");
        text += &format!(
            "namespace {source}_source {{\n#include \"{}\"\n}}\n",
            path.display()
        );
        for (kernel, threads) in names {
            let function = format!("{source}_source::{kernel}");
            list += &format!("    make_kernel(\"{kernel}\", {threads}, {function}),\n");
        }
    }
    text + &format!(
        "const std::vector<fake::Kernel>& fake::kernels() {{\n    static const std::vector<Kernel> all = {{\n{list}    }};\n    return all;\n}}\n"
    )
}
