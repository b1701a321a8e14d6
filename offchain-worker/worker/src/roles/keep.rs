//! Putting parameters in force: on disk first, then in the engine.

use cairn_engine::{Part, Version};
use cairn_primitives::Uid;
use cairn_round::Held;

use super::{
    driver::Desk,
    ledger::Line,
    setup::locked,
    state::{read, Change, OpenChange},
    RoleError,
};

/// A round that has been applied and is on disk.
pub(super) struct Kept {
    pub held: Held,
    pub line: Line,
    pub included: Vec<Uid>,
    /// Whether the error feedback changed.
    pub puts_back: bool,
    /// Whether the parameters before the round are still needed.
    pub keeps_base: bool,
}

/// Keeps what is pending in the engine.
///
/// # Errors
/// Those of the state directory and of the engine.
pub(super) async fn keep<C: Send + 'static>(desk: Desk<C>, kept: Kept) -> Result<Kept, RoleError> {
    tokio::task::spawn_blocking(move || {
        let mut engine = locked(&desk.engine);
        let mut parts = Vec::new();
        if !kept.included.is_empty() {
            parts.push(Part::Parameters);
        }
        if kept.puts_back {
            parts.push(Part::Feedback);
        }
        let change = Change {
            held: Some(kept.held),
            parts: read(engine.as_ref(), Version::Pending, &parts)?,
            open: OpenChange::Clear,
            last: Some(&kept.line),
            norm: engine.norm(Version::Pending)?,
            ..Change::default()
        };
        locked(&desk.state).save(&change)?;
        engine.keep()?;
        *locked(&desk.run.norm) = engine.norm(Version::Held)?;
        if !kept.keeps_base {
            engine.forget_base();
        }
        Ok(kept)
    })
    .await?
}
