//! Waiting, said: at once, and again after a while, as long as there is something to wait for.

use cairn_chain::Block;
use cairn_primitives::{BlockNumber, Netuid};

use super::{chain::Chain, driver::wait_out, heads::Heads, RoleError};

/// Blocks after which what is still so is said again.
pub const SAY_AGAIN: BlockNumber = 50;

/// What was said last, and at which block.
#[derive(Debug, Default)]
pub struct Said(Option<(String, BlockNumber)>);

impl Said {
    /// Whether `text` is to be said at block `now`: it is another one, or was said long ago. If so, it has been said.
    pub fn is_due(&mut self, text: &str, now: BlockNumber) -> bool {
        let known = self
            .0
            .as_ref()
            .is_some_and(|(said, at)| said == text && now.saturating_sub(*at) < SAY_AGAIN);
        if !known {
            self.0 = Some((text.to_string(), now));
        }
        !known
    }

    /// What was waited for has come.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

/// Whether the run that was started in a block is gone for good by what a node says of its final block: one that is not
/// final may be dropped, and one before the run's first knows no run, whatever came since.
///
/// # Errors
/// Those of the chain that cannot be waited out.
pub async fn is_gone<C: Chain>(
    chain: &C,
    last: Block,
    (netuid, started_at): (Netuid, BlockNumber),
) -> Result<bool, RoleError> {
    if last.number < started_at {
        return Ok(false);
    }
    match chain.run(last.hash, netuid).await {
        Ok(found) => Ok(found.is_none_or(|found| found.started_at != started_at)),
        Err(error) => wait_out(error.into()).map(|()| false),
    }
}

/// Why the subnet has no run that a worker could take part in. `had_one` says that this worker was in one.
///
/// # Errors
/// [`RoleError::NoSubnet`] and [`RoleError::Dissolving`], where waiting would be in vain.
pub async fn why_no_run<C: Chain>(
    chain: &C,
    heads: Heads,
    netuid: Netuid,
    had_one: bool,
) -> Result<String, RoleError> {
    // What ends a worker must be final: a block that is dropped may have said it.
    let settled = chain.subnet(heads.finalized.hash, netuid).await?;
    if let Some(from) = settled.as_ref().and_then(|subnet| subnet.dissolves_from) {
        return Err(RoleError::Dissolving { netuid, from });
    }
    let Some(subnet) = chain.subnet(heads.best.hash, netuid).await? else {
        return match settled {
            None => Err(RoleError::NoSubnet { netuid }),
            Some(_) => Ok(format!("subnet {netuid} is about to end")),
        };
    };
    Ok(if let Some(from) = subnet.dissolves_from {
        format!("subnet {netuid} is being dissolved, from block {from} on")
    } else if subnet.has_run {
        format!("the run of subnet {netuid} has been started and is not final yet")
    } else if had_one {
        format!(
            "the run of subnet {netuid} was stopped; waiting for its owner to start the next one"
        )
    } else {
        format!("subnet {netuid} has no run yet; waiting for its owner to start one")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_at_the_interval() {
        let mut said = Said::default();
        let blocks: Vec<u32> = (7..200).filter(|now| said.is_due("no run", *now)).collect();
        assert_eq!(blocks, [7, 57, 107, 157]);
    }

    #[test]
    fn another_reason_is_said_at_once() {
        let mut said = Said::default();
        assert!(said.is_due("no run", 7));
        assert!(said.is_due("stopped", 8));
        assert!(!said.is_due("stopped", 9));
        said.clear();
        assert!(said.is_due("stopped", 10));
        // A reorganisation takes numbers back.
        assert!(!said.is_due("stopped", 3));
    }
}
