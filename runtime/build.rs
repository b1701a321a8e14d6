//! Builds the WASM runtime that the node embeds, when it is built for the node.

fn main() {
    #[cfg(feature = "std")]
    substrate_wasm_builder::WasmBuilder::build_using_defaults();
}
