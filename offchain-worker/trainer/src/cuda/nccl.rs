//! What moves numbers from one card to another: NCCL's sends and receives, and nothing else of it.
//!
//! NCCL adds nothing up here: in which order its reductions add depends on the machine, its version and its settings.
//! Ranks send each other what each is to add, and add it with a kernel of ours, in the order of ranks.
//!
//! Nobody waits in NCCL: communicators do not block, and are asked how they are until they have done what they were
//! given, another rank failed, or the deadline is over. What ends a communicator that hangs is [`Comm`]'s drop.
//!
//! Its functions are opened by name: cudarc looks for `libnccl.so` and several others, of which a machine that has NCCL
//! without its headers has none. The types are cudarc's.

use std::{
    ffi::{c_char, c_int, c_void, CStr},
    ptr,
    sync::{
        atomic::{AtomicBool, Ordering},
        OnceLock,
    },
    time::{Duration, Instant},
};

use cudarc::nccl::sys::{ncclComm_t, ncclConfig_t, ncclUniqueId};
use libloading::os::unix::{Library as Handle, RTLD_NOW};

use super::{
    device::Device,
    error::CudaError,
    libraries::{Library, NCCL},
};

/// Statuses, which are not read as cudarc's type: a newer NCCL may have more of them.
const SUCCESS: c_int = 0;
const IN_PROGRESS: c_int = 7;
/// `ncclUint8`.
const BYTES: c_int = 1;
/// What a configuration that NCCL reads has in its head, by nccl.h.
const MAGIC: u32 = 0xcafe_beef;
/// `NCCL_VERSION(2, 18, 0)`, the oldest that is asked for. No field that came later is set.
const VERSION: u32 = 21_800;
/// What stands for a setting that is NCCL's to choose.
const UNDEFINED: c_int = c_int::MIN;
/// Looks between two that are not followed at once by another.
const BUSY_LOOKS: u32 = 1_000;
/// How long to rest between two looks from then on.
const REST: Duration = Duration::from_micros(100);

type Stream = *mut c_void;

/// NCCL's functions, as its header has them.
struct Functions {
    version: unsafe extern "C" fn(*mut c_int) -> c_int,
    get_unique_id: unsafe extern "C" fn(*mut ncclUniqueId) -> c_int,
    init: unsafe extern "C" fn(
        *mut ncclComm_t,
        c_int,
        ncclUniqueId,
        c_int,
        *mut ncclConfig_t,
    ) -> c_int,
    state: unsafe extern "C" fn(ncclComm_t, *mut c_int) -> c_int,
    abort: unsafe extern "C" fn(ncclComm_t) -> c_int,
    group_start: unsafe extern "C" fn() -> c_int,
    group_end: unsafe extern "C" fn() -> c_int,
    send: unsafe extern "C" fn(*const c_void, usize, c_int, c_int, ncclComm_t, Stream) -> c_int,
    receive: unsafe extern "C" fn(*mut c_void, usize, c_int, c_int, ncclComm_t, Stream) -> c_int,
    said: unsafe extern "C" fn(c_int) -> *const c_char,
}

/// NCCL, opened to stay.
fn functions() -> Result<&'static Functions, CudaError> {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    if let Some(functions) = FUNCTIONS.get() {
        return Ok(functions);
    }
    Library::Nccl.require()?;
    let opened = Functions::open().map_err(|_| CudaError::NoNccl)?;
    if !opened.is_new_enough() {
        return Err(CudaError::NoNccl);
    }
    Ok(FUNCTIONS.get_or_init(|| opened))
}

impl Functions {
    fn open() -> Result<Functions, libloading::Error> {
        // SAFETY: NVIDIA's own initialisers; the functions have these types in nccl.h since 2.14.
        unsafe {
            let library = Handle::open(Some(NCCL), RTLD_NOW)?;
            let functions = Functions {
                version: *library.get(b"ncclGetVersion")?,
                get_unique_id: *library.get(b"ncclGetUniqueId")?,
                init: *library.get(b"ncclCommInitRankConfig")?,
                state: *library.get(b"ncclCommGetAsyncError")?,
                abort: *library.get(b"ncclCommAbort")?,
                group_start: *library.get(b"ncclGroupStart")?,
                group_end: *library.get(b"ncclGroupEnd")?,
                send: *library.get(b"ncclSend")?,
                receive: *library.get(b"ncclRecv")?,
                said: *library.get(b"ncclGetErrorString")?,
            };
            // Never closed: the functions are in it.
            std::mem::forget(library);
            Ok(functions)
        }
    }

    /// Older ones end communicators that do not block in another way.
    fn is_new_enough(&self) -> bool {
        let mut version = 0;
        // SAFETY: the pointer is to an int.
        let status = unsafe { (self.version)(&mut version) };
        status == SUCCESS && version >= VERSION as c_int
    }

    /// What a status means; what is still in progress is asked for later.
    fn check(&self, doing: &'static str, status: c_int) -> Result<(), CudaError> {
        if matches!(status, SUCCESS | IN_PROGRESS) {
            return Ok(());
        }
        // SAFETY: the library's text for a status, which it keeps.
        let said = unsafe {
            let text = (self.said)(status);
            match text.is_null() {
                true => String::new(),
                false => CStr::from_ptr(text).to_string_lossy().into_owned(),
            }
        };
        Err(CudaError::Nccl {
            doing,
            status,
            said,
        })
    }
}

/// For how long ranks wait for each other.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// Set by a rank that failed: the others stop.
    pub stop: &'a AtomicBool,
    /// How long a rank waits for the others; none where it waits for itself.
    pub deadline: Option<Duration>,
}

impl Patience<'_> {
    /// Asks `is_done` until it is.
    ///
    /// # Errors
    ///
    /// What it says; [`CudaError::Stopped`], [`CudaError::Late`].
    pub fn until(
        &self,
        doing: &'static str,
        mut is_done: impl FnMut() -> Result<bool, CudaError>,
    ) -> Result<(), CudaError> {
        let begun = Instant::now();
        let mut looks = 0u32;
        while !is_done()? {
            if self.stop.load(Ordering::Acquire) {
                return Err(CudaError::Stopped);
            }
            if let Some(deadline) = self.deadline.filter(|most| begun.elapsed() > *most) {
                let seconds = deadline.as_secs_f32();
                return Err(CudaError::Late { doing, seconds });
            }
            looks = looks.saturating_add(1);
            match looks < BUSY_LOOKS {
                true => std::thread::yield_now(),
                false => std::thread::sleep(REST),
            }
        }
        Ok(())
    }
}

/// What a rank sends to another, or gets from it: so many bytes at an address of its card.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    /// The other rank.
    pub with: usize,
    /// Where the bytes are, or will be.
    pub at: u64,
    /// How many.
    pub bytes: usize,
    /// Whether they go or come.
    pub goes: bool,
}

/// One rank's end of what joins several.
pub struct Comm {
    functions: &'static Functions,
    handle: ncclComm_t,
}

// SAFETY: NCCL lets any thread use a communicator, one at a time; it is used through `&mut`.
unsafe impl Send for Comm {}

impl Comm {
    /// Joins cards, which are ranks in this order.
    ///
    /// # Errors
    ///
    /// [`CudaError::NoNccl`], [`CudaError::Nccl`], or [`CudaError::Late`] if they do not come together by the deadline.
    pub fn join(devices: &[&Device], deadline: Duration) -> Result<Vec<Comm>, CudaError> {
        let doing = "joining GPUs";
        let functions = functions()?;
        let ranks = devices.len();
        // Leaked: NCCL may write a handle after an error, too. So many pointers each time that cards are opened.
        let handles = Box::leak(vec![ptr::null_mut::<_>(); ranks].into_boxed_slice());
        let begun = begin(functions, doing, devices, handles);
        let still = AtomicBool::new(false);
        let patience = Patience {
            stop: &still,
            deadline: Some(deadline),
        };
        let mut comms = Vec::with_capacity(ranks);
        for handle in handles.iter() {
            // SAFETY: NCCL may have written it since.
            let handle = unsafe { ptr::read_volatile(handle) };
            if !handle.is_null() {
                comms.push(Comm { functions, handle });
            }
        }
        begun?;
        for comm in &mut comms {
            comm.settle(doing, patience)?;
        }
        match comms.len() == ranks {
            true => Ok(comms),
            false => Err(CudaError::Nccl {
                doing,
                status: SUCCESS,
                said: "a rank got no communicator".into(),
            }),
        }
    }

    /// Sends and receives, all at once, in their turn on the card's stream, and waits until they are done. Whoever
    /// launched something behind them would wait in the driver, with no deadline, if the other rank never came: for
    /// a place in the stream, or for a kernel to be loaded.
    ///
    /// # Errors
    ///
    /// [`CudaError::Nccl`], [`CudaError::Late`] or [`CudaError::Stopped`]; [`CudaError`] of the card.
    pub fn exchange(
        &mut self,
        device: &Device,
        doing: &'static str,
        moves: &[Move],
        patience: Patience,
    ) -> Result<(), CudaError> {
        let functions = self.functions;
        let stream: Stream = device.stream.cu_stream().cast();
        // SAFETY: opens a group on this thread, which is closed below in any case.
        functions.check(doing, unsafe { (functions.group_start)() })?;
        let mut given = Ok(());
        for Move {
            with,
            at,
            bytes,
            goes,
        } in moves.iter().filter(|one| one.bytes > 0)
        {
            let (peer, comm) = (*with as c_int, self.handle);
            // SAFETY: the address is of a buffer of the card with so many bytes, which is not given back before the
            // communicator is ended.
            let status = unsafe {
                match goes {
                    true => (functions.send)(*at as _, *bytes, BYTES, peer, comm, stream),
                    false => (functions.receive)(*at as _, *bytes, BYTES, peer, comm, stream),
                }
            };
            given = functions.check(doing, status);
            if given.is_err() {
                break;
            }
        }
        // SAFETY: closes the group.
        let closed = functions.check(doing, unsafe { (functions.group_end)() });
        given?;
        closed?;
        // Only what is queued can be seen on the stream.
        self.settle(doing, patience)?;
        self.finish(device, doing, patience)
    }

    /// Waits until the card has done all it was given.
    ///
    /// # Errors
    ///
    /// [`CudaError`] of the card, or as [`Comm::exchange`].
    pub fn finish(
        &mut self,
        device: &Device,
        doing: &'static str,
        patience: Patience,
    ) -> Result<(), CudaError> {
        patience.until(doing, || {
            let is_idle = device.is_idle(doing)?;
            if !is_idle {
                self.has_settled(doing)?;
            }
            Ok(is_idle)
        })
    }

    /// Waits until what was given is queued.
    fn settle(&mut self, doing: &'static str, patience: Patience) -> Result<(), CudaError> {
        patience.until(doing, || self.has_settled(doing))
    }

    fn has_settled(&self, doing: &'static str) -> Result<bool, CudaError> {
        let mut state = SUCCESS;
        // SAFETY: the communicator is open, and the pointer is to an int.
        let asked = unsafe { (self.functions.state)(self.handle, &mut state) };
        self.functions.check(doing, asked)?;
        self.functions.check(doing, state)?;
        Ok(state != IN_PROGRESS)
    }
}

impl Drop for Comm {
    /// Ends it at once, and with it what hangs on the card for want of another rank.
    fn drop(&mut self) {
        // SAFETY: the communicator is open, and not used after.
        unsafe { (self.functions.abort)(self.handle) };
    }
}

/// Tells NCCL to join cards, each with its handle.
fn begin(
    functions: &Functions,
    doing: &'static str,
    devices: &[&Device],
    handles: &mut [ncclComm_t],
) -> Result<(), CudaError> {
    let mut id = ncclUniqueId { internal: [0; 128] };
    let mut config = config();
    let ranks = devices.len() as c_int;
    // SAFETY: the pointer is to an id.
    functions.check(doing, unsafe { (functions.get_unique_id)(&mut id) })?;
    // SAFETY: opens a group on this thread, which is closed below in any case.
    functions.check(doing, unsafe { (functions.group_start)() })?;
    let mut begun = Ok(());
    for (rank, (device, handle)) in devices.iter().zip(handles.iter_mut()).enumerate() {
        begun = device.bind().and_then(|()| {
            // SAFETY: the handle is never freed, the configuration is read at once.
            let status = unsafe { (functions.init)(handle, ranks, id, rank as c_int, &mut config) };
            functions.check(doing, status)
        });
        if begun.is_err() {
            break;
        }
    }
    // SAFETY: closes the group.
    let closed = functions.check(doing, unsafe { (functions.group_end)() });
    begun.and(closed)
}

/// All as NCCL likes it, but that calls do not block.
fn config() -> ncclConfig_t {
    ncclConfig_t {
        size: std::mem::size_of::<ncclConfig_t>(),
        magic: MAGIC,
        version: VERSION,
        blocking: 0,
        cgaClusterSize: UNDEFINED,
        minCTAs: UNDEFINED,
        maxCTAs: UNDEFINED,
        netName: ptr::null(),
        splitShare: UNDEFINED,
        trafficClass: UNDEFINED,
        commName: ptr::null(),
        collnetEnable: UNDEFINED,
        CTAPolicy: UNDEFINED,
        shrinkShare: UNDEFINED,
        nvlsCTAs: UNDEFINED,
        nChannelsPerNetPeer: UNDEFINED,
        nvlinkCentricSched: UNDEFINED,
        graphUsageMode: UNDEFINED,
        numRmaCtx: UNDEFINED,
        maxP2pPeers: UNDEFINED,
    }
}
