//! Where rounds overlap: from which moments and error feedback the next contribution goes on.
//!
//! A contribution is made before it is known whether the one before it is included. So the engine holds moments and
//! error feedback as the newest contribution began with them, and what that left; on disk is beside them, until it is
//! settled, where the last included contribution ended ([`StateDir::last_included`]). Should a contribution not be
//! included, the engine is loaded with that again, and what was made since is void.

use cairn_engine::{Engine, Settlement, Version};

use super::{
    state::{Change, OpenChange, SharedState, StateDir},
    RoleError,
};

/// Has the engine train on from what the newest contribution left, if that is not settled yet; or, `anew`, from where
/// the last included one ended, and what was made since is void.
///
/// # Errors
/// Those of the state directory and of the engine.
pub(super) fn go_on(
    engine: &mut dyn Engine,
    state: &SharedState,
    anew: bool,
) -> Result<(), RoleError> {
    if anew {
        let mut state = state.lock()?;
        state.save(&Change {
            open: OpenChange::Void,
            ..Change::default()
        })?;
        return go_back(engine, &state);
    }
    if engine.root(Version::Sent).is_ok() {
        // A round that includes nobody else changes no parameters.
        engine.settle(&Settlement {
            included: &[],
            is_included: true,
        })?;
        engine.keep()?;
        engine.forget_base();
    }
    Ok(())
}

/// Whether the engine, which is to apply a round, carries on what the newest contribution left: that it was made for
/// this round, or went on from what was; unless that was made and is not included.
///
/// # Errors
/// Those of the state directory and of the engine.
pub(super) fn carries_on(
    engine: &mut dyn Engine,
    state: &SharedState,
    is_included: bool,
) -> Result<bool, RoleError> {
    if is_included {
        return Ok(true);
    }
    let state = state.lock()?;
    let is_void = state.has_open();
    if is_void {
        go_back(engine, &state)?;
    }
    Ok(!is_void)
}

/// Loads the engine with what is held, and with where the last included contribution ended.
fn go_back(engine: &mut dyn Engine, state: &StateDir) -> Result<(), RoleError> {
    if let Some(state) = state.last_included()? {
        engine.load(state)?;
    }
    Ok(())
}
