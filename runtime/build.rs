//! Builds the WASM runtime that the node embeds, when it is built for the node.

fn main() {
    #[cfg(feature = "std")]
    {
        let mut wasm = substrate_wasm_builder::WasmBuilder::init_with_defaults();
        // A debug build is for development: its runtime can be asked whether its books are right.
        if std::env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
            wasm = wasm.enable_feature("audit");
            build_fast();
        }
        #[cfg(feature = "metadata-hash")]
        {
            // The symbol and the decimals of a chain specification's properties.
            wasm = wasm.enable_metadata_hash("CRN", 9);
        }
        wasm.build();
    }
}

/// Settings of the WASM that a debug build embeds: built at every change of a pallet, and run little.
#[cfg(feature = "std")]
const FAST: [(&str, &str); 2] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

/// Sets what the environment leaves open. Weights are measured with the code that a release has.
#[cfg(feature = "std")]
fn build_fast() {
    if std::env::var_os("CARGO_FEATURE_RUNTIME_BENCHMARKS").is_some() {
        return;
    }
    for (name, value) in FAST {
        println!("cargo:rerun-if-env-changed={name}");
        if std::env::var_os(name).is_none() {
            std::env::set_var(name, value);
        }
    }
}
