//! Takes the place of the crate `wasm-opt`, which compiles Binaryen (C++) for three
//! things that `substrate-wasm-builder` asks of it: lower sign extension, drop DWARF, write the module.
//!
//! The runtime is compiled for `wasm32v1-none`, whose code has no sign extension to lower. So lowering is a check:
//! a module that is not WebAssembly 1.0 is refused, by name of the instruction. Dropping DWARF copies the module
//! without its `.debug_*` sections. Nothing is optimised: level 0 is all that is asked for.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use wasmparser::{BinaryReaderError, Parser, Payload, Validator, WasmFeatures};

/// What is done to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Drops the custom sections of DWARF, whose names begin with `.debug_`.
    StripDwarf,
    /// Has nothing to do: every module that is written is WebAssembly 1.0, which has no sign extension.
    SignextLowering,
}

/// Why no module was written.
#[derive(Debug, thiserror::Error)]
pub enum OptimizationError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The module uses what WebAssembly 1.0 does not have, or is no module.
    #[error("{path} is not WebAssembly 1.0: {source}; build the runtime for wasm32v1-none")]
    NotVersion1 {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and where.
        source: BinaryReaderError,
    },
}

/// Passes, in the order in which they are added.
#[derive(Clone, Debug, Default)]
pub struct OptimizationOptions {
    passes: Vec<Pass>,
}

impl OptimizationOptions {
    /// No optimisation: the passes that are added are all that is done.
    pub fn new_opt_level_0() -> Self {
        Self::default()
    }

    /// Refuses what WebAssembly 1.0 does not have, which is done in any case.
    pub fn mvp_features_only(&mut self) -> &mut Self {
        self
    }

    /// Keeps the names of functions, which is done in any case.
    pub fn debug_info(&mut self, _keep: bool) -> &mut Self {
        self
    }

    /// Adds a pass.
    pub fn add_pass(&mut self, pass: Pass) -> &mut Self {
        self.passes.push(pass);
        self
    }

    /// Reads a module, checks it, and writes it to `to`, which may be the same file.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read or written, or the module is not WebAssembly 1.0. Then nothing is written.
    pub fn run(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> Result<(), OptimizationError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| OptimizationError::File { path, source }
        };
        let module = fs::read(from).map_err(at(from))?;
        let written = self
            .apply(&module)
            .map_err(|source| OptimizationError::NotVersion1 {
                path: from.to_owned(),
                source,
            })?;
        fs::write(to, written).map_err(at(to))
    }

    /// The module after all passes.
    fn apply(&self, module: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        Validator::new_with_features(WasmFeatures::WASM1).validate_all(module)?;
        let dropped = match self.passes.contains(&Pass::StripDwarf) {
            true => dwarf(module)?,
            false => Vec::new(),
        };
        let mut written = Vec::with_capacity(module.len());
        let mut kept_from = 0;
        for section in dropped {
            written.extend_from_slice(&module[kept_from..section.start]);
            kept_from = section.end;
        }
        written.extend_from_slice(&module[kept_from..]);
        Ok(written)
    }
}

/// Where the sections of DWARF lie, each with its header, in the order of the file.
fn dwarf(module: &[u8]) -> Result<Vec<Range<usize>>, BinaryReaderError> {
    let mut found = Vec::new();
    let mut end_of_last = HEADER;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload {
            if section.name().starts_with(".debug_") {
                found.push(end_of_last..section.range().end);
            }
        }
        // A section's header begins where the section before it ends.
        if let Some((_, range)) = payload.as_section() {
            end_of_last = range.end;
        }
    }
    Ok(found)
}

/// Length of `\0asm` and the version.
const HEADER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    /// A section with a body of fewer than 128 bytes.
    fn section(id: u8, body: &[u8]) -> Vec<u8> {
        [&[id, body.len() as u8], body].concat()
    }

    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        section(0, &[&[name.len() as u8], name.as_bytes(), data].concat())
    }

    /// A function from i32 to i32 with this instruction between `local.get 0` and `end`.
    fn with_instruction(instruction: &[u8]) -> Vec<u8> {
        let body = [&[0, 0x20, 0][..], instruction, &[0x0b]].concat();
        let code = [&[1, body.len() as u8][..], &body].concat();
        [
            EMPTY,
            &section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]),
            &custom(".debug_info", b"in the middle"),
            &section(3, &[1, 0]),
            &section(10, &code),
            &custom("name", &[]),
            &custom(".debug_line", b"at the end"),
        ]
        .concat()
    }

    fn run(passes: &[Pass], module: &[u8]) -> Result<Vec<u8>, OptimizationError> {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from.wasm"), dir.path().join("to.wasm"));
        fs::write(&from, module).unwrap();
        let mut options = OptimizationOptions::new_opt_level_0();
        options.mvp_features_only().debug_info(true);
        for pass in passes {
            options.add_pass(*pass);
        }
        let ran = options.run(&from, &to);
        assert_eq!(
            ran.is_ok(),
            to.exists(),
            "a module is written if and only if all went well"
        );
        ran.map(|()| fs::read(to).unwrap())
    }

    const NEGATE_TWICE: &[u8] = &[0x45, 0x45];
    const SIGN_EXTENSION: &[u8] = &[0xc0];

    #[test]
    fn without_passes_a_module_is_copied() {
        let module = with_instruction(NEGATE_TWICE);
        assert_eq!(run(&[], &module).unwrap(), module);
        assert_eq!(run(&[Pass::SignextLowering], &module).unwrap(), module);
    }

    #[test]
    fn dwarf_goes_and_all_else_stays() {
        let module = with_instruction(NEGATE_TWICE);
        let stripped = run(&[Pass::StripDwarf, Pass::SignextLowering], &module).unwrap();
        let gone = custom(".debug_info", b"in the middle").len()
            + custom(".debug_line", b"at the end").len();
        assert_eq!(stripped.len(), module.len() - gone);
        assert!(!stripped.windows(7).any(|bytes| bytes == b".debug_"));
        assert!(stripped.windows(4).any(|bytes| bytes == b"name"));
        Validator::new_with_features(WasmFeatures::WASM1)
            .validate_all(&stripped)
            .unwrap();
    }

    #[test]
    fn sign_extension_and_what_is_no_module_are_refused() {
        for module in [
            with_instruction(SIGN_EXTENSION),
            b"no module".to_vec(),
            Vec::new(),
        ] {
            let refused = run(&[Pass::SignextLowering], &module).unwrap_err();
            assert!(
                matches!(refused, OptimizationError::NotVersion1 { .. }),
                "{refused}"
            );
        }
        let refused = run(&[], &with_instruction(SIGN_EXTENSION))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("sign extension"), "{refused}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.wasm");
        let refused = OptimizationOptions::new_opt_level_0().run(&missing, dir.path().join("to"));
        assert!(refused.unwrap_err().to_string().contains("missing.wasm"));
    }
}
