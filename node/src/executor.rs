//! What executes the runtime, and where it keeps the machine code that it made of it.
//!
//! A runtime is compiled when a node starts, which takes seconds of all cores. The code is kept in a file, so that the
//! next start reads it instead. Whoever may write there decides what the node executes.

use std::{
    ffi::OsString,
    fs::DirBuilder,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use sc_executor::{HeapAllocStrategy, WasmExecutor, DEFAULT_HEAP_ALLOC_STRATEGY};
use sc_service::{config::ExecutorConfiguration, ChainType, Configuration};

/// What the runtime may ask of the node.
type HostFunctions = sp_io::SubstrateHostFunctions;
/// The executor.
pub type Executor = WasmExecutor<HostFunctions>;

/// The directory below the chain's, or below the one that development chains share.
const DIRECTORY: &str = "wasm";

/// As `sc_service::new_wasm_executor`, and with a place for machine code.
pub fn new(config: &Configuration) -> Executor {
    let ExecutorConfiguration {
        wasm_method,
        max_runtime_instances,
        default_heap_pages,
        runtime_cache_size,
    } = config.executor;
    let heap = default_heap_pages.map_or(DEFAULT_HEAP_ALLOC_STRATEGY, |pages| {
        HeapAllocStrategy::Static {
            extra_pages: u32::try_from(pages).unwrap_or(u32::MAX),
        }
    });
    let builder = Executor::builder()
        .with_execution_method(wasm_method)
        .with_onchain_heap_alloc_strategy(heap)
        .with_offchain_heap_alloc_strategy(heap)
        .with_max_runtime_instances(max_runtime_instances)
        .with_runtime_cache_size(runtime_cache_size);
    match place(config) {
        Some(place) => builder.with_cache_path(place).build(),
        None => builder.build(),
    }
}

/// Where machine code is kept, if there is a place for it: with the chain, and of a development chain, whose directory
/// is often a new one, with what all of them share. The compiler wants an absolute path.
fn place(config: &Configuration) -> Option<PathBuf> {
    let of_chain = || config.base_path.config_dir(config.chain_spec.id());
    let place = match config.chain_spec.chain_type() {
        ChainType::Development => shared(|name| std::env::var_os(name))
            .filter(|shared| is_ours(&shared.join(DIRECTORY)))
            .unwrap_or_else(of_chain),
        _ => of_chain(),
    };
    std::path::absolute(place.join(DIRECTORY)).ok()
}

/// Whether this directory is there, or can be made, and nobody but its owner, who runs this, may write in it: what lies
/// there is executed.
fn is_ours(directory: &Path) -> bool {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    let found = made.and_then(|()| std::fs::metadata(directory));
    let of_this_process = std::fs::metadata("/proc/self");
    let (Ok(found), Ok(own)) = (found, of_this_process) else {
        return false;
    };
    found.uid() == own.uid() && found.mode() & 0o022 == 0
}

/// The directory of what can be made anew.
fn shared(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let cairn = |directory: PathBuf| directory.join("cairn");
    named("CAIRN_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(cairn))
        .or_else(|| named("HOME").map(|home| cairn(home.join(Path::new(".cache")))))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_others_may_write_is_not_executed() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = place.path().join("cache/wasm");
        assert!(is_ours(&directory) && is_ours(&directory));
        for mode in [0o775, 0o757] {
            std::fs::set_permissions(&directory, Permissions::from_mode(mode)).expect("it is ours");
            assert!(!is_ours(&directory), "{mode:o}");
        }
        let file = place.path().join("file");
        std::fs::write(&file, "").expect("it can be written");
        assert!(!is_ours(&file.join("wasm")));
    }

    #[test]
    fn what_development_chains_share_is_where_the_user_keeps_such_things() {
        let with = |set: &[(&str, &str)]| {
            let set: Vec<(String, OsString)> = set
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            shared(|name| {
                let found = set.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            })
        };
        let home = ("HOME", "/home/ada");
        let all = [home, ("XDG_CACHE_HOME", "/cache"), ("CAIRN_CACHE", "/own")];
        assert_eq!(with(&all), Some("/own".into()));
        assert_eq!(with(&all[..2]), Some("/cache/cairn".into()));
        assert_eq!(with(&all[..1]), Some("/home/ada/.cache/cairn".into()));
        assert_eq!(with(&[("CAIRN_CACHE", ""), home]), with(&[home]));
        assert_eq!(with(&[]), None);
    }
}
