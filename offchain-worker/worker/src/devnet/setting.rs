//! What has to be there before a devnet's workers can start: data, accounts, a subnet, a run.

use std::path::Path;

use cairn_chain::{Call, Client, Keypair};
use cairn_primitives::{BlockNumber, Hyperparameters, Netuid, Phases, RunConfig, CRN};
use cairn_store::Store;

use super::{members::Member, options::Options};
use crate::{
    built_in::{CORPUS, HELD_OUT, RUN, SOURCE, TOKENIZER},
    data::{self, Corpus, Prepared, TextTokenizer},
    error::Failure,
    run_file::RunFile,
};

/// The audit window of a development chain, in blocks: nothing that is asked back can be released sooner.
const AUDIT_WINDOW: BlockNumber = 20;

/// The run's configuration as the options have it.
pub fn run_file(options: &Options) -> Result<RunFile, Failure> {
    match &options.run {
        Some(path) => RunFile::read(path),
        None => RunFile::parse(RUN),
    }
}

/// Prepares the data in a store under `directory`.
pub async fn prepare(
    options: &Options,
    directory: &Path,
    sequence_length: u32,
) -> Result<(Store, Prepared), Failure> {
    let path = directory.join("store");
    let store = Store::create_in(&path)?;
    let (corpus, tokenizer, description) = match (&options.corpus, &options.tokenizer) {
        (Some(corpus), Some(tokenizer)) => {
            let name = corpus.display().to_string();
            (
                Corpus::read(corpus, HELD_OUT)?,
                TextTokenizer::read(tokenizer)?,
                name,
            )
        }
        _ => (
            Corpus::compressed(CORPUS, HELD_OUT)?,
            TextTokenizer::parse(TOKENIZER)?,
            SOURCE.into(),
        ),
    };
    let prepared =
        data::prepare(&corpus, &tokenizer, &description, sequence_length, &store).await?;
    Ok((store, prepared))
}

/// Whose money it is, and who owns the subnet: a development key that is rich from the first block on, so that a block
/// less is waited for.
pub fn alice() -> Result<Keypair, Failure> {
    Ok(cairn_chain::keypair("//Alice")?)
}

/// In one block: gives everybody what they need, and creates the subnet, with hyperparameters that suit a network that
/// lives for minutes.
pub async fn found(
    client: &Client,
    members: &[Member],
    phases: &Phases,
) -> Result<Netuid, Failure> {
    let view = client.at_best().await?;
    let (price, subnets) = (view.creation_price().await?, view.subnets().await?);
    // They count from 1, and on a new chain none was given back.
    let last = subnets.last().map(|subnet| subnet.netuid);
    let next = last.unwrap_or_default().next();
    let netuid = next.ok_or_else(|| Failure::new("there is no netuid left", "start a new chain"))?;
    let mut calls: Vec<Call> = members.iter().map(Member::fund).collect();
    calls.push(Call::create_subnet(price));
    calls.push(Call::set_hyperparameters(netuid, &hyperparameters(phases)));
    client.submit(&Call::batch_all(calls), &alice()?).await?;
    Ok(netuid)
}

/// Gives a latecomer what it needs.
pub async fn fund_late(client: &Client, member: &Member) -> Result<(), Failure> {
    client
        .submit(&member.fund(), &alice()?)
        .await?;
    Ok(())
}

fn hyperparameters(phases: &Phases) -> Hyperparameters {
    // Some epochs a round, which is over long before its limits: scores are hidden for one and count in the next.
    let tempo = (phases.round() / 6).max(5);
    Hyperparameters {
        tempo,
        activity_cutoff: tempo.saturating_mul(2),
        min_validator_stake: 10 * CRN,
        min_miner_bond: CRN,
        unbonding_period: phases.round().saturating_mul(2).max(AUDIT_WINDOW),
        ..Hyperparameters::default()
    }
}

/// Starts the run.
pub async fn start_run(client: &Client, netuid: Netuid, config: &RunConfig) -> Result<(), Failure> {
    client
        .submit(&Call::start_run(netuid, config), &alice()?)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_that_is_built_in_can_be_read() {
        assert!(RunFile::parse(RUN).is_ok());
    }

    #[test]
    fn the_corpus_that_is_built_in_is_whole() {
        let corpus = Corpus::compressed(CORPUS, HELD_OUT).unwrap();
        assert_eq!(corpus.bytes(), 10_761_413);
        assert_eq!(
            (corpus.training().count(), corpus.held_out().count()),
            (221, 12)
        );
    }

    /// The tokenizer that is built in is the one that its README says how to make.
    #[test]
    fn the_tokenizer_that_is_built_in_can_be_made_again() {
        let corpus = Corpus::compressed(CORPUS, HELD_OUT).unwrap();
        assert!(data::train(&corpus, 1_024).unwrap().as_bytes() == TOKENIZER);
    }
}
