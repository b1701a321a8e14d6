//! NVRTC compiles every source for the architectures that there are, without spilling registers.

use cairn_trainer::cuda::{
    compile::{Source, SOURCES},
    libraries::Library,
    CudaError,
};

fn nvrtc() {
    Library::Nvrtc
        .require()
        .expect("NVRTC is needed to test the CUDA backend: run `make cuda-tools`");
}

/// What the compiler says of each kernel's spills, in bytes.
fn spills(source: &Source, arch: &str) -> Vec<(String, u64)> {
    let compiled = source.compile(arch, None, &["--ptxas-options=-v"]).unwrap();
    let mut kernels = Vec::new();
    let mut name = String::new();
    for line in compiled.log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            name = rest.split('\'').next().unwrap_or_default().to_string();
        }
        if let Some((stores, _)) = line.split_once(" bytes spill stores") {
            let bytes = stores.rsplit(' ').next().and_then(|n| n.parse().ok());
            kernels.push((name.clone(), bytes.expect("a number of bytes")));
        }
    }
    kernels
}

fn compiles_without_spills(arch: &str) {
    nvrtc();
    for source in SOURCES {
        let spills = spills(source, arch);
        for (kernel, _) in source.kernels {
            let found = spills.iter().find(|(name, _)| name == kernel);
            assert_eq!(
                found.map(|(_, bytes)| *bytes),
                Some(0),
                "{kernel} for {arch}"
            );
        }
    }
}

#[test]
fn all_compile_for_ampere() {
    compiles_without_spills("sm_80");
}

#[test]
fn all_compile_for_hopper() {
    compiles_without_spills("sm_90");
}

#[test]
fn all_compile_for_blackwell() {
    compiles_without_spills("sm_100");
}

#[test]
fn a_spill_would_be_seen() {
    nvrtc();
    // 64 numbers that live at once, in 32 registers.
    let greedy = Source {
        name: "greedy",
        text: "extern \"C\" __global__ void __launch_bounds__(1024, 2) greedy(float* x) {
            float kept[64];
            #pragma unroll
            for (int i = 0; i < 64; i++) kept[i] = x[i * 4096 + threadIdx.x];
            __syncthreads();
            #pragma unroll
            for (int i = 0; i < 64; i++) x[(63 - i) * 4096 + threadIdx.x] = kept[i] * kept[(i * 7) % 64];
        }",
        options: &[],
        kernels: &[("greedy", 1024)],
    };
    let found = spills(&greedy, "sm_90");
    assert!(
        found
            .iter()
            .any(|(name, bytes)| name == "greedy" && *bytes > 0),
        "{found:?}"
    );
}

#[test]
fn a_source_that_does_not_compile_is_named_with_the_compilers_words() {
    nvrtc();
    let wrong = Source {
        name: "wrong",
        text: "int x = ;",
        options: &[],
        kernels: &[],
    };
    let error = wrong.compile("sm_90", None, &[]).unwrap_err();
    assert!(
        matches!(
            &error,
            CudaError::Compile {
                source_name: "wrong",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("wrong.cu"), "{error}");
}
