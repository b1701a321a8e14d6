//! Products of matrices by cuBLASLt: bfloat16 in, float accumulation, bfloat16 or float out.
//!
//! Each shape of product asks cuBLASLt for an algorithm once and keeps it, and the workspace is our own, so
//! that the same product has the same bits whenever it runs on the same card and version (cuBLAS manual,
//! "Results reproducibility"). Matrices here lie row by row; cuBLASLt counts column by column, so it is asked
//! for the transpose of the result.

use std::{
    collections::HashMap,
    ffi::c_void,
    sync::{Arc, Mutex, PoisonError},
};

use cudarc::{
    cublaslt::{
        result::{self as lt, CublasError},
        sys::{self, cudaDataType},
    },
    driver::{CudaSlice, CudaStream, DevicePtr},
};
use half::bf16;

use super::{device::Ptr, error::CudaError};

/// Bytes that an algorithm may use: what NVIDIA recommends for Hopper.
const WORKSPACE: usize = 32 << 20;
/// The largest alignment that is told apart, in bytes.
const MOST_ALIGNED: u64 = 256;

/// Which factors are transposed, seen row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `[m, k]` · `[k, n]`.
    Plain,
    /// `[m, k]` · `[n, k]`ᵀ: a linear layer's forward pass.
    RightTransposed,
    /// `[k, m]`ᵀ · `[k, n]`: a weight's gradient.
    LeftTransposed,
}

/// Where a product goes.
#[derive(Clone, Copy, Debug)]
pub enum Out {
    /// Rounded to bfloat16, overwriting.
    Rounded(Ptr<bf16>),
    /// As floats, overwriting.
    Floats(Ptr<f32>),
    /// As floats, added to what is there.
    Added(Ptr<f32>),
}

/// A product: `m`×`n`, with an inner dimension of `k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Inner dimension.
    pub k: usize,
}

/// cuBLASLt, and what it said about the products seen so far.
pub struct Gemm {
    handle: sys::cublasLtHandle_t,
    workspace: CudaSlice<u8>,
    stream: Arc<CudaStream>,
    plans: Mutex<HashMap<Key, Plan>>,
}

// SAFETY: a handle may be used by one thread at a time (cuBLAS manual, "Thread safety"); whoever uses it holds
// the lock of the plans.
unsafe impl Send for Gemm {}
// SAFETY: as above.
unsafe impl Sync for Gemm {}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    form: Form,
    sizes: Sizes,
    rounded: bool,
    /// Alignment of both factors and the result, in bytes.
    aligned: [u32; 3],
}

impl Gemm {
    /// Opens cuBLASLt, which must be there, for products on this stream.
    pub(crate) fn new(stream: &Arc<CudaStream>) -> Result<Gemm, CudaError> {
        // SAFETY: only cuBLASLt reads it, after writing it.
        let workspace = unsafe { stream.alloc(WORKSPACE) }.map_err(|error| {
            let memory = stream.context().mem_get_info().unwrap_or_default();
            CudaError::allocation("cuBLASLt's workspace", WORKSPACE, error, memory)
        })?;
        let handle = lt::create_handle().map_err(|error| CudaError::Driver {
            doing: "opening cuBLASLt",
            error: error.to_string(),
        })?;
        Ok(Gemm {
            handle,
            workspace,
            stream: stream.clone(),
            plans: Mutex::default(),
        })
    }

    /// Computes a product on the stream.
    ///
    /// # Errors
    ///
    /// [`CudaError::Product`] if cuBLASLt cannot.
    pub fn product(
        &self,
        form: Form,
        sizes: Sizes,
        a: Ptr<bf16>,
        b: Ptr<bf16>,
        out: Out,
    ) -> Result<(), CudaError> {
        let (to, rounded, beta) = match out {
            Out::Rounded(to) => (to.0, true, 0f32),
            Out::Floats(to) => (to.0, false, 0f32),
            Out::Added(to) => (to.0, false, 1f32),
        };
        let aligned = [a.0, b.0, to].map(|at| 1 << at.trailing_zeros().min(MOST_ALIGNED.ilog2()));
        let key = Key {
            form,
            sizes,
            rounded,
            aligned,
        };
        let Sizes { m, n, k } = sizes;
        let refused = |error| CudaError::Product { m, n, k, error };
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = match plans.entry(key) {
            std::collections::hash_map::Entry::Occupied(plan) => plan.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(Plan::new(self.handle, &key).map_err(refused)?)
            }
        };
        let alpha = 1f32;
        let (workspace, _kept) = self.workspace.device_ptr(&self.stream);
        // SAFETY: descriptors and algorithm belong together and live in the plan; the pointers are to buffers
        // of the sizes that the caller states; column by column the factors change places.
        unsafe {
            lt::matmul(
                self.handle,
                plan.description,
                std::ptr::from_ref(&alpha).cast(),
                std::ptr::from_ref(&beta).cast(),
                b.0 as *const c_void,
                plan.layouts[0],
                a.0 as *const c_void,
                plan.layouts[1],
                to as *const c_void,
                plan.layouts[2],
                to as *mut c_void,
                plan.layouts[2],
                &plan.algorithm,
                workspace as *mut c_void,
                WORKSPACE,
                self.stream.cu_stream().cast(),
            )
        }
        .map_err(refused)
    }
}

impl Drop for Gemm {
    fn drop(&mut self) {
        // SAFETY: made by us, and not used after this.
        let _ = unsafe { lt::destroy_handle(self.handle) };
    }
}

/// How a product is computed.
struct Plan {
    description: sys::cublasLtMatmulDesc_t,
    /// Of our right factor, our left factor, and the result.
    layouts: [sys::cublasLtMatrixLayout_t; 3],
    algorithm: sys::cublasLtMatmulAlgo_t,
}

impl Plan {
    fn new(handle: sys::cublasLtHandle_t, key: &Key) -> Result<Plan, CublasError> {
        let Sizes { m, n, k } = key.sizes;
        // Rows, columns and whether transposed, column by column.
        let (left_transposed, right_transposed) = match key.form {
            Form::Plain => (false, false),
            Form::RightTransposed => (false, true),
            Form::LeftTransposed => (true, false),
        };
        let b = if right_transposed { (k, n) } else { (n, k) };
        let a = if left_transposed { (m, k) } else { (k, m) };
        let result_type = if key.rounded {
            cudaDataType::CUDA_R_16BF
        } else {
            cudaDataType::CUDA_R_32F
        };
        let layout = |(rows, columns): (usize, usize), kind| {
            lt::create_matrix_layout(kind, rows as u64, columns as u64, rows as i64)
        };
        let layouts = [
            layout(b, cudaDataType::CUDA_R_16BF)?,
            layout(a, cudaDataType::CUDA_R_16BF)?,
            layout((n, m), result_type)?,
        ];
        let description = lt::create_matmul_desc(
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            cudaDataType::CUDA_R_32F,
        )?;
        let mut plan = Plan {
            description,
            layouts,
            algorithm: sys::cublasLtMatmulAlgo_t { data: [0; 8] },
        };
        plan.transpose(right_transposed, left_transposed)?;
        plan.algorithm = plan.choose(handle, key)?;
        Ok(plan)
    }

    fn transpose(&self, first: bool, second: bool) -> Result<(), CublasError> {
        use sys::cublasLtMatmulDescAttributes_t::{
            CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB,
        };
        for (attribute, transposed) in [
            (CUBLASLT_MATMUL_DESC_TRANSA, first),
            (CUBLASLT_MATMUL_DESC_TRANSB, second),
        ] {
            let operation = i32::from(transposed);
            // SAFETY: the attribute is an int.
            unsafe {
                lt::set_matmul_desc_attribute(
                    self.description,
                    attribute,
                    std::ptr::from_ref(&operation).cast(),
                    std::mem::size_of_val(&operation),
                )?;
            }
        }
        Ok(())
    }

    fn choose(
        &self,
        handle: sys::cublasLtHandle_t,
        key: &Key,
    ) -> Result<sys::cublasLtMatmulAlgo_t, CublasError> {
        use sys::cublasLtMatmulPreferenceAttributes_t::*;
        let preference = lt::create_matmul_pref()?;
        let set = |attribute, value: *const c_void, size| {
            // SAFETY: the callers below give the attributes' own types.
            unsafe { lt::set_matmul_pref_attribute(preference, attribute, value, size) }
        };
        let [a, b, out] = key.aligned;
        let chosen = set(
            CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
            std::ptr::from_ref(&WORKSPACE).cast(),
            std::mem::size_of::<usize>(),
        )
        .and_then(|()| {
            [
                (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b),
                (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a),
                (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out),
                (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out),
            ]
            .iter()
            .try_for_each(|(attribute, bytes)| set(*attribute, std::ptr::from_ref(bytes).cast(), 4))
        })
        .and_then(|()| {
            let [first, second, result] = self.layouts;
            // SAFETY: all are ours and alive.
            unsafe {
                lt::get_matmul_algo_heuristic(
                    handle,
                    self.description,
                    first,
                    second,
                    result,
                    result,
                    preference,
                )
            }
        });
        // SAFETY: made above.
        let _ = unsafe { lt::destroy_matmul_pref(preference) };
        chosen.map(|chosen| chosen.algo)
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: made by us, and not used after this.
        unsafe {
            let _ = lt::destroy_matmul_desc(self.description);
            for layout in self.layouts {
                let _ = lt::destroy_matrix_layout(layout);
            }
        }
    }
}
