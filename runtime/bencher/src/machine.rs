//! Calls the runtime: as WASM, or as it is compiled into this program.

use std::borrow::Cow;

use codec::{Decode, Encode};
use sc_client_db::BenchmarkingState;
use sc_executor::WasmExecutor;
use sp_core::traits::{CallContext, RuntimeCode, WrappedRuntimeCode};
use sp_externalities::{set_and_run_with_externalities, Extensions};
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_runtime::{traits::BlakeTwo256, Storage};
use sp_state_machine::{Ext, OverlayedChanges, StateMachine};

type State = BenchmarkingState<BlakeTwo256>;
type HostFunctions = (
    sp_io::SubstrateHostFunctions,
    frame_benchmarking::benchmarking::HostFunctions,
);

/// Something that runs the runtime on a state, which no call changes for good.
pub struct Machine {
    /// For times.
    plain: State,
    /// For counts of reads and writes, which it slows down.
    tracking: State,
    wasm: Option<Wasm>,
}

struct Wasm {
    executor: WasmExecutor<HostFunctions>,
    code: &'static [u8],
    hash: Vec<u8>,
}

/// What a call is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Its time.
    Time,
    /// What it reads and writes.
    Storage,
}

impl Machine {
    /// Runs the WASM runtime on an empty state.
    pub fn wasm() -> Result<Machine, String> {
        Self::wasm_on(Storage::default())
    }

    /// Runs the WASM runtime.
    pub fn wasm_on(storage: Storage) -> Result<Machine, String> {
        let code = cairn_runtime::WASM_BINARY
            .ok_or("this was built without the WASM runtime: unset SKIP_WASM_BUILD")?;
        let wasm = Wasm {
            executor: WasmExecutor::builder().build(),
            code,
            hash: sp_io::hashing::blake2_256(code).to_vec(),
        };
        Self::with(storage, Some(wasm))
    }

    /// Runs the runtime that is compiled into this program on an empty state.
    pub fn native() -> Result<Machine, String> {
        Self::native_on(Storage::default())
    }

    /// Runs the runtime that is compiled into this program.
    pub fn native_on(storage: Storage) -> Result<Machine, String> {
        Self::with(storage, None)
    }

    fn with(storage: Storage, wasm: Option<Wasm>) -> Result<Machine, String> {
        Ok(Machine {
            plain: State::new(storage.clone(), None, false, false)?,
            tracking: State::new(storage, None, true, true)?,
            wasm,
        })
    }

    /// Calls a function of the runtime's API for its time.
    pub fn time<R: Decode>(&self, method: &str, arguments: impl Encode) -> Result<R, String> {
        self.call(For::Time, method, arguments)
    }

    /// Calls a function of the runtime's API.
    pub fn call<R: Decode>(
        &self,
        purpose: For,
        method: &str,
        arguments: impl Encode,
    ) -> Result<R, String> {
        let state = match purpose {
            For::Time => &self.plain,
            For::Storage => &self.tracking,
        };
        let arguments = arguments.encode();
        let answer = match &self.wasm {
            Some(wasm) => wasm.call(state, method, &arguments),
            None => native(state, method, &arguments),
        }?;
        R::decode(&mut answer.as_slice())
            .map_err(|error| format!("{method} answers nonsense: {error}"))
    }
}

impl Wasm {
    fn call(&self, state: &State, method: &str, arguments: &[u8]) -> Result<Vec<u8>, String> {
        let fetcher = WrappedRuntimeCode(Cow::Borrowed(self.code));
        let code = RuntimeCode {
            code_fetcher: &fetcher,
            heap_pages: None,
            hash: self.hash.clone(),
        };
        let (mut overlay, mut extensions) = (OverlayedChanges::default(), with_keys());
        let mut machine = StateMachine::new(
            state,
            &mut overlay,
            &self.executor,
            method,
            arguments,
            &mut extensions,
            &code,
            CallContext::Offchain,
        );
        let answer = machine.execute();
        answer.map_err(|error| format!("{method} failed: {error}"))
    }
}

/// What a benchmark makes keys with, for the signatures that a call takes.
fn with_keys() -> Extensions {
    let mut extensions = Extensions::default();
    extensions.register(KeystoreExt::new(MemoryKeystore::new()));
    extensions
}

fn native(state: &State, method: &str, arguments: &[u8]) -> Result<Vec<u8>, String> {
    let (mut overlay, mut extensions) = (OverlayedChanges::default(), with_keys());
    let mut externalities = Ext::new(&mut overlay, state, Some(&mut extensions));
    set_and_run_with_externalities(&mut externalities, || {
        cairn_runtime::apis::api::dispatch(method, arguments)
    })
    .ok_or_else(|| format!("the runtime has no {method}"))
}
