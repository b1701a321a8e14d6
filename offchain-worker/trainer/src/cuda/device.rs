//! A card: context, stream, kernels, memory, products.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use cudarc::{
    driver::{
        result::memset_d8_async,
        sys::CUdevice_attribute as Attribute,
        sys::CUfunction_attribute as FunctionAttribute,
        sys::{cuStreamQuery, CUresult},
        CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DeviceRepr, DriverError,
        ValidAsZeroBits,
    },
    nvrtc::Ptx,
};

use super::{
    compile::SOURCES,
    error::CudaError,
    gemm::Gemm,
    libraries::{driver_version, nvrtc_version, Library},
};

/// Shared memory that a block has without asking for more.
const USUAL_SHARED: usize = 48 << 10;

/// An address on the card of numbers of type `T`.
#[derive(Debug)]
#[repr(transparent)]
pub struct Ptr<T>(pub(crate) u64, PhantomData<*const T>);

impl<T> Clone for Ptr<T> {
    fn clone(&self) -> Ptr<T> {
        *self
    }
}
impl<T> Copy for Ptr<T> {}
// SAFETY: a pointer is what a kernel takes for a pointer.
unsafe impl<T> DeviceRepr for Ptr<T> {}

impl<T> Ptr<T> {
    /// No address.
    pub const NULL: Ptr<T> = Ptr(0, PhantomData);
}

/// Numbers on the card.
#[derive(Debug)]
pub struct Buffer<T> {
    slice: CudaSlice<T>,
    address: u64,
}

impl<T> Buffer<T> {
    /// Number of numbers.
    pub fn len(&self) -> usize {
        self.slice.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slice.is_empty()
    }

    /// Where they begin.
    pub fn ptr(&self) -> Ptr<T> {
        self.at(0)
    }

    /// Where number `offset` lies.
    pub fn at(&self, offset: usize) -> Ptr<T> {
        assert!(offset <= self.len(), "an address outside its buffer");
        Ptr(
            self.address + (offset * std::mem::size_of::<T>()) as u64,
            PhantomData,
        )
    }
}

/// What a card is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Its number, as in `cuda:N`.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Its compute capability.
    pub capability: (i32, i32),
    /// Its multiprocessors.
    pub multiprocessors: i32,
    /// Its memory in bytes.
    pub memory: usize,
    /// What is free of it.
    pub free: usize,
    /// Clock of the multiprocessors and of the memory in kHz, and width of the memory's bus in bits; 0 if the
    /// driver does not say.
    pub clocks: (i32, i32, i32),
}

impl Card {
    /// What the compiler calls its architecture.
    pub fn arch(&self) -> String {
        format!("sm_{}{}", self.capability.0, self.capability.1)
    }

    /// Bytes per second that its memory can move, by clock and bus width.
    pub fn bandwidth(&self) -> Option<f64> {
        let (_, clock, bits) = self.clocks;
        // Twice per clock.
        (clock > 0 && bits > 0).then(|| 2.0 * 1e3 * f64::from(clock) * f64::from(bits) / 8.0)
    }

    /// Operations per second of its tensor cores on bfloat16 with float accumulation, by clock and number, from
    /// NVIDIA's white papers for each architecture.
    pub fn tensor_flops(&self) -> Option<f64> {
        let per_clock = match self.capability {
            (8, 0) => 2048.0,
            (8, _) | (12, _) => 512.0,
            (9, _) => 4096.0,
            (10, _) => 8192.0,
            _ => return None,
        };
        let clock = 1e3 * f64::from(self.clocks.0);
        (clock > 0.0).then(|| per_clock * f64::from(self.multiprocessors) * clock)
    }

    /// The cards of this machine; looks without reserving anything.
    ///
    /// # Errors
    ///
    /// [`CudaError::NoDriver`], or what the driver says.
    pub fn all() -> Result<Vec<Card>, CudaError> {
        Library::Driver.require()?;
        let count = CudaContext::device_count()
            .map_err(|error| CudaError::driver("counting cards", error))?;
        (0..count.max(0) as usize)
            .map(|ordinal| Card::of(&*context(ordinal)?))
            .collect()
    }

    fn of(context: &CudaContext) -> Result<Card, CudaError> {
        let asking = |error| CudaError::driver("asking the GPU what it is", error);
        let (free, memory) = context.mem_get_info().map_err(asking)?;
        let clock = |attribute| context.attribute(attribute).unwrap_or_default();
        Ok(Card {
            ordinal: context.ordinal(),
            name: context.name().map_err(asking)?,
            capability: context.compute_capability().map_err(asking)?,
            multiprocessors: context
                .attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
                .map_err(asking)?,
            memory,
            free,
            clocks: (
                clock(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
                clock(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
                clock(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
            ),
        })
    }
}

fn context(ordinal: usize) -> Result<Arc<CudaContext>, CudaError> {
    Library::Driver.require()?;
    let count = CudaContext::device_count()
        .map_err(|error| CudaError::driver("counting cards", error))?
        .max(0) as usize;
    if ordinal >= count {
        return Err(CudaError::NoCard { ordinal, count });
    }
    CudaContext::new(ordinal).map_err(|error| CudaError::driver("opening the card", error))
}

/// An open card with its kernels loaded.
pub struct Device {
    card: Card,
    context: Arc<CudaContext>,
    pub(crate) stream: Arc<CudaStream>,
    functions: HashMap<&'static str, CudaFunction>,
    pub(crate) gemm: Gemm,
}

impl Device {
    /// Opens card `ordinal` and loads the kernels for heads of `head_width` numbers (16, 32, 64 or 128), which
    /// NVRTC compiles if no cache has them.
    ///
    /// # Errors
    ///
    /// [`CudaError`] says what is missing.
    pub fn open(ordinal: usize, head_width: usize) -> Result<Device, CudaError> {
        let found = driver_version()?;
        let needed = nvrtc_version()?;
        if found.0 / 1000 < needed.0 / 1000 {
            return Err(CudaError::OldDriver { found, needed });
        }
        Library::CublasLt.require()?;
        let context = context(ordinal)?;
        let card = Card::of(&context)?;
        let (major, minor) = card.capability;
        if major < 8 {
            let name = card.name;
            return Err(CudaError::OldCard { name, major, minor });
        }
        // SAFETY: everything runs on one stream, so that no order between streams has to be kept.
        unsafe { context.disable_event_tracking() };
        let stream = context
            .new_stream()
            .map_err(|error| CudaError::driver("making a stream", error))?;
        let functions = load(&context, &card, head_width)?;
        let gemm = Gemm::new(&stream)?;
        Ok(Device {
            card,
            context,
            stream,
            functions,
            gemm,
        })
    }

    /// What the card is.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Free memory and all memory, in bytes.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if the card does not answer.
    pub fn memory(&self) -> Result<(usize, usize), CudaError> {
        let asked = self.context.mem_get_info();
        asked.map_err(|error| CudaError::driver("asking for free memory", error))
    }

    /// Makes the card the calling thread's, for calls that do not do it themselves.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if the card does not answer.
    pub fn bind(&self) -> Result<(), CudaError> {
        let bound = self.context.bind_to_thread();
        bound.map_err(|error| CudaError::driver("turning to a GPU", error))
    }

    /// Whether the card has done all it was given. Does not wait.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if something that was launched failed.
    pub fn is_idle(&self, doing: &'static str) -> Result<bool, CudaError> {
        // SAFETY: the stream is open for as long as the device is.
        match unsafe { cuStreamQuery(self.stream.cu_stream()) } {
            CUresult::CUDA_SUCCESS => Ok(true),
            CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            error => Err(CudaError::driver(doing, DriverError(error))),
        }
    }

    /// Waits until the card has done all it was given.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if it could not.
    pub fn synchronize(&self, doing: &'static str) -> Result<(), CudaError> {
        let waited = self.stream.synchronize();
        waited.map_err(|error| CudaError::driver(doing, error))
    }

    /// Memory for `len` numbers, undefined.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`] says what it was `for_what` and how much there is.
    pub fn buffer<T: DeviceRepr>(
        &self,
        len: usize,
        for_what: &'static str,
    ) -> Result<Buffer<T>, CudaError> {
        // SAFETY: every kernel's numbers are plain; what reads a buffer is launched after what fills it.
        let slice = unsafe { self.stream.alloc(len.max(1)) };
        let slice = slice.map_err(|error| {
            self.allocation_error(
                for_what,
                len.saturating_mul(std::mem::size_of::<T>()),
                error,
            )
        })?;
        let address = slice.device_ptr(&self.stream).0;
        Ok(Buffer { slice, address })
    }

    fn allocation_error(
        &self,
        doing: &'static str,
        needed: usize,
        error: DriverError,
    ) -> CudaError {
        let memory = self.memory().unwrap_or_default();
        CudaError::allocation(doing, needed, error, memory)
    }

    /// Copies numbers to the beginning of a buffer.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if the card does not answer.
    pub fn upload<T: DeviceRepr>(&self, from: &[T], to: &mut Buffer<T>) -> Result<(), CudaError> {
        let copied = self.stream.memcpy_htod(from, &mut to.slice);
        copied.map_err(|error| CudaError::driver("copying to the GPU", error))
    }

    /// Copies numbers to a new buffer.
    ///
    /// # Errors
    ///
    /// [`CudaError::OutOfMemory`], or [`CudaError::Lost`].
    pub fn uploaded<T: DeviceRepr>(
        &self,
        from: &[T],
        for_what: &'static str,
    ) -> Result<Buffer<T>, CudaError> {
        let mut buffer = self.buffer(from.len(), for_what)?;
        self.upload(from, &mut buffer)?;
        Ok(buffer)
    }

    /// Copies a buffer's numbers to the beginning of another, on the card.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if the card does not answer.
    pub fn copy<T: DeviceRepr>(
        &self,
        from: &Buffer<T>,
        to: &mut Buffer<T>,
    ) -> Result<(), CudaError> {
        let copied = self.stream.memcpy_dtod(&from.slice, &mut to.slice);
        copied.map_err(|error| CudaError::driver("copying within the GPU", error))
    }

    /// Copies a buffer's numbers to `to`, which has as many, when all that was launched before is done.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if something launched before failed.
    pub fn download<T: DeviceRepr>(&self, from: &Buffer<T>, to: &mut [T]) -> Result<(), CudaError> {
        assert_eq!(from.len(), to.len(), "buffers of different lengths");
        let copied = self.stream.memcpy_dtoh(&from.slice, to);
        copied.map_err(|error| CudaError::driver("copying from the GPU", error))?;
        self.synchronize("waiting for the GPU")
    }

    /// The same of as many of its first numbers as `to` has.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if something launched before failed.
    pub fn download_first<T: DeviceRepr>(
        &self,
        from: &Buffer<T>,
        to: &mut [T],
    ) -> Result<(), CudaError> {
        assert!(to.len() <= from.len(), "more numbers than the buffer has");
        let copied = self.stream.memcpy_dtoh(&from.slice.slice(..to.len()), to);
        copied.map_err(|error| CudaError::driver("copying from the GPU", error))?;
        self.synchronize("waiting for the GPU")
    }

    /// All of it, into a new vector.
    ///
    /// # Errors
    ///
    /// [`CudaError::Lost`] if something launched before failed.
    pub fn downloaded<T: DeviceRepr + Default + Clone>(
        &self,
        from: &Buffer<T>,
    ) -> Result<Vec<T>, CudaError> {
        let mut numbers = vec![T::default(); from.len()];
        self.download(from, &mut numbers)?;
        Ok(numbers)
    }

    /// Fills a buffer with zeros, in its turn on the stream.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn clear<T: ValidAsZeroBits>(&self, buffer: &Buffer<T>) -> Result<(), CudaError> {
        self.bind()?;
        let stream = self.stream.cu_stream();
        // SAFETY: the memory is the buffer's own, and zeros are a value of `T`.
        let cleared =
            unsafe { memset_d8_async(buffer.address, 0, buffer.slice.num_bytes(), stream) };
        cleared.map_err(|error| CudaError::driver("clearing memory", error))
    }

    /// A kernel by its name.
    pub(crate) fn function(&self, name: &'static str) -> Result<&CudaFunction, CudaError> {
        self.functions.get(name).ok_or(CudaError::Shape {
            reason: "a kernel was not loaded for it",
        })
    }
}

/// Compiles, loads and looks up all kernels.
fn load(
    context: &Arc<CudaContext>,
    card: &Card,
    head_width: usize,
) -> Result<HashMap<&'static str, CudaFunction>, CudaError> {
    let loading = |error| CudaError::driver("loading kernels", error);
    let most_shared = context
        .attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
        .map_err(loading)?;
    let cache = super::cache_directory().join("kernels");
    let suffix = format!("_{head_width}");
    let mut functions = HashMap::new();
    for source in SOURCES {
        let attention = source.name == "attention";
        let cubin = source.cubin(&card.arch(), attention.then_some(head_width), &cache)?;
        let module = context
            .load_module(Ptx::from_binary(cubin))
            .map_err(loading)?;
        for (name, _) in source.kernels {
            let other_width = attention && *name != "attention_delta" && !name.ends_with(&suffix);
            if other_width {
                continue;
            }
            let function = module.load_function(name).map_err(loading)?;
            if attention && most_shared as usize > USUAL_SHARED {
                let attribute = FunctionAttribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                function
                    .set_attribute(attribute, most_shared)
                    .map_err(loading)?;
            }
            functions.insert(*name, function);
        }
    }
    Ok(functions)
}
