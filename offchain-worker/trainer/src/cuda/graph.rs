//! Launches that are recorded and replayed as one.

use cudarc::driver::{
    sys::{CUgraphInstantiate_flags, CUstreamCaptureMode},
    CudaGraph,
};

use super::{device::Device, error::CudaError};

/// A sequence of launches that is recorded the second time it is made, and replayed from then on. The first time
/// libraries load what they need, which a recording does not allow.
#[derive(Default)]
pub struct Captured {
    seen: bool,
    graph: Option<CudaGraph>,
}

// SAFETY: a graph may be used by one thread at a time, and is used through `&mut`.
unsafe impl Send for Captured {}

impl Captured {
    /// Makes the launches, records them, or replays them.
    ///
    /// # Errors
    ///
    /// Those of the launches, or what the driver says of recording and replaying.
    pub fn run(
        &mut self,
        device: &Device,
        launches: impl FnOnce() -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        let replaying = |error| CudaError::driver("replaying a graph", error);
        if let Some(graph) = &self.graph {
            return graph.launch().map_err(replaying);
        }
        if !self.seen {
            self.seen = true;
            return launches();
        }
        let capturing = |error| CudaError::driver("recording a graph", error);
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        device.stream.begin_capture(mode).map_err(capturing)?;
        let launched = launches();
        // Ended in any case, or the stream could not be used again.
        let graph = device.stream.end_capture(CUgraphInstantiate_flags(0));
        launched?;
        match graph.map_err(capturing)? {
            Some(graph) => {
                let launched = graph.launch();
                self.graph = Some(graph);
                launched.map_err(replaying)
            }
            None => Ok(()),
        }
    }
}
