//! Putting parameters in force: on disk first, then in the engine; or, where nobody waits for the disk, in the engine
//! while they are written.

use cairn_engine::{Part, Version};
use cairn_primitives::Uid;
use cairn_round::{audit::Demand, Held};

use super::{
    driver::Desk,
    ledger::Line,
    setup::locked,
    state::{Change, OpenChange, StateDir},
    RoleError,
};
use crate::metrics::Stage;

/// A round that has been applied, and is in force.
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
    /// Whether it is written to the disk beside all else.
    pub is_beside: bool,
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
            false => engine.shared(Version::Pending, Part::Parameters)?,
        };
        let ends = locked(&desk.run.next_ends).take();
        let config = &desk.run.config;
        let keeps_origin = config.overlaps() && config.audits.rate > 0;
        let norm = engine.norm(Version::Pending)?;
        let open = match kept.is_included {
            true => OpenChange::Included(kept.audited),
            false => OpenChange::NotIncluded,
        };
        let (held, line, kept_ends) = (kept.held, kept.line.clone(), ends.clone());
        let write = move |state: &mut StateDir| {
            state.save(&Change {
                held: Some(held),
                parameters,
                open,
                keeps_origin,
                last: Some(&line),
                norm,
                ends: kept_ends.as_ref(),
                ..Change::default()
            })
        };
        match kept.is_beside {
            true => desk.state.write_beside(write)?,
            false => desk.state.write(write)?,
        }
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
