//! Measures contributions as a validator would if the settled parameters told it nothing: each by itself, on windows of
//! which both kinds are as many as that takes. What `bench score` is held against.

use cairn_protocol::exam::{self, Trial};
use cairn_round::{
    scoring::gains,
    validator::{Found, Measurement},
};

use super::network::Network;
use crate::{error::Failure, scoring::windows};

/// Windows of each kind that are measured at a time.
const PIECE: usize = 32;

/// Measures all contributions of a round; gives how many losses were computed.
pub fn measure(network: &mut Network, measurement: &Measurement) -> Result<usize, Failure> {
    let plan = &measurement.plan;
    let most = plan.most_windows();
    let seeds = exam::seeds(measurement.exam, Some(measurement.salt));
    let free = plan.sample_unassigned(&seeds, most);
    let (mut before, mut computed) = (Vec::new(), 0usize);
    for subject in &measurement.subjects {
        let Found::Good(root) = subject.found else {
            continue;
        };
        let Some(checked) = network.files.get(&root).cloned() else {
            continue;
        };
        let steps = checked.header().inner_steps;
        let own = plan.sample_assigned(measurement.exam, subject.slot, steps, most);
        let (mut assigned, mut unassigned) = (Vec::new(), Vec::new());
        for (number, (own, free)) in own.chunks(PIECE).zip(free.chunks(PIECE)).enumerate() {
            if before.len() <= number {
                before.push(losses(network, None, free)?);
                computed = computed.saturating_add(free.len());
            }
            let own_before = losses(network, None, own)?;
            let after = losses(network, Some(checked.as_ref()), &[own, free].concat())?;
            computed = computed.saturating_add(own.len().saturating_add(after.len()));
            let (own_after, free_after) = after.split_at(own.len().min(after.len()));
            assigned.extend(gains(&own_before, own_after));
            if let Some(free_before) = before.get(number) {
                unassigned.extend(gains(free_before, free_after));
            }
            let trial = Trial {
                assigned: &assigned,
                unassigned: &unassigned,
                settled: &[],
                part: 0.0,
                is_proven: false,
                most,
            };
            if trial.is_decided() {
                break;
            }
        }
    }
    Ok(computed)
}

/// The losses of windows with these numbers, before or after a contribution.
fn losses(
    network: &mut Network,
    contribution: Option<&cairn_gradient::Checked>,
    numbers: &[u64],
) -> Result<Vec<f32>, Failure> {
    let length = network.config.inner.sequence_length;
    let sequences = windows(&network.data, numbers, length);
    let found = network
        .engine
        .measure(contribution, &sequences, &mut || true)?;
    Ok(found.unwrap_or_default())
}
