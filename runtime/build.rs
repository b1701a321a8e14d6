//! Builds the WASM runtime that the node embeds, when it is built for the node.

fn main() {
    #[cfg(feature = "std")]
    {
        let mut wasm = substrate_wasm_builder::WasmBuilder::init_with_defaults();
        // A debug build is for development: its runtime can be asked whether its books are right.
        if std::env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
            wasm = wasm.enable_feature("audit");
        }
        wasm.build();
    }
}
