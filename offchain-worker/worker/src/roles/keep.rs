//! Putting parameters in force: on disk first, then in the engine.

use cairn_engine::{Part, Version};
use cairn_primitives::Uid;
use cairn_round::{audit::Demand, Held};

use super::{
    driver::Desk,
    ledger::Line,
    setup::locked,
    state::{read, Change, OpenChange},
    RoleError,
};
use crate::metrics::Stage;

/// A round that has been applied and is on disk.
pub(super) struct Kept {
    pub held: Held,
    pub line: Line,
    pub included: Vec<Uid>,
    /// Whether its own contribution is one of them.
    pub is_included: bool,
    /// What was drawn of that.
    pub audited: Option<Demand>,
    /// Whether the parameters before the round are still needed.
    pub keeps_base: bool,
}

/// Keeps what is pending in the engine.
///
/// # Errors
/// Those of the state directory and of the engine.
pub(super) async fn keep<C: Send + 'static>(desk: Desk<C>, kept: Kept) -> Result<Kept, RoleError> {
    let _timer = desk.time(Stage::Keep);
    tokio::task::spawn_blocking(move || {
        let mut engine = locked(&desk.engine);
        let parameters = match kept.included.is_empty() {
            true => None,
            false => read(engine.as_ref(), Version::Pending, Part::Parameters)?,
        };
        let ends = locked(&desk.run.next_ends).take();
        let config = &desk.run.config;
        let change = Change {
            held: Some(kept.held),
            parameters,
            open: match kept.is_included {
                true => OpenChange::Included(kept.audited),
                false => OpenChange::NotIncluded,
            },
            keeps_origin: config.overlaps() && config.audits.rate > 0,
            last: Some(&kept.line),
            norm: engine.norm(Version::Pending)?,
            ends: ends.as_ref(),
            ..Change::default()
        };
        locked(&desk.state).save(&change)?;
        engine.keep()?;
        *locked(&desk.run.norm) = engine.norm(Version::Held)?;
        *locked(&desk.run.ends) = ends.unwrap_or_default();
        if !kept.keeps_base {
            engine.forget_base();
        }
        Ok(kept)
    })
    .await?
}
