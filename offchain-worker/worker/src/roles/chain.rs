//! What a role needs of the chain.

use std::{future::Future, time::Duration};

use cairn_chain::{
    AccountId, AuditInfo, BlockStream, Call, ChainError, Client, ContributionInfo, Keypair,
    MemberEndpoints, MemberInfo, RoundInfo, RunInfo, SubnetInfo, Urgency,
};
use cairn_primitives::{
    api::{LineageEntry, Scoring, SettledRound},
    BlockNumber, Netuid, Round, H256,
};
use cairn_round::machine::Transaction;
use futures::{
    stream::{BoxStream, FuturesUnordered},
    StreamExt,
};

/// The call of a transaction.
fn call(transaction: &Transaction, netuid: Netuid) -> Call {
    match transaction {
        Transaction::Commit(round, commitment) => Call::commit(netuid, *round, commitment),
        Transaction::Reveal(round, key) => Call::reveal(netuid, *round, key.expose()),
        Transaction::CommitAttestation(pledge) => {
            Call::commit_attestation(netuid, pledge.round, pledge.hash)
        }
        Transaction::Attest(pledge) => {
            let salt = pledge.salt.expose();
            let (round, root) = (pledge.round, pledge.root);
            Call::attest(
                netuid,
                round,
                root,
                &pledge.judgement(),
                pledge.witness,
                salt,
            )
        }
        Transaction::Here(_) => Call::here(netuid),
        Transaction::SetEndpoints(endpoints) => Call::set_endpoints(netuid, endpoints),
        Transaction::OpenAudit(uid, shown) => {
            Call::open_audit(netuid, shown.round, *uid, shown.served)
        }
        Transaction::CommitVerdict(verdict) => {
            let (round, uid) = verdict.of();
            Call::commit_verdict(netuid, round, uid, verdict.hash)
        }
        Transaction::RevealVerdict(verdict) => {
            let ((round, uid), salt) = (verdict.of(), verdict.salt.expose());
            Call::reveal_verdict(netuid, round, uid, verdict.finding, salt)
        }
        Transaction::SetScores(_, scores) => Call::set_scores(netuid, scores),
        Transaction::CommitScores(hidden_row) => {
            Call::commit_scores(netuid, hidden_row.epoch, hidden_row.hash)
        }
        Transaction::RevealScores(hidden_row) => {
            let salt = hidden_row.salt.expose();
            let (epoch, evidence) = (hidden_row.epoch, hidden_row.evidence);
            Call::reveal_scores(netuid, epoch, &hidden_row.scores, evidence, salt)
        }
    }
}

/// An answer of the chain.
pub type Answer<T> = Result<T, ChainError>;

/// What other nodes say of a subnet's run, each at its own best block, of which this has the number, as they answer.
pub type Elsewhere = BoxStream<'static, (BlockNumber, Option<RunInfo>)>;

/// How long another node may take to say that.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// The chain, as a role sees it. Reads are of the state after the block `at`.
pub trait Chain: Clone + Send + Sync + 'static {
    /// Hash of block 0.
    fn genesis(&self) -> H256;
    /// New best blocks.
    fn best_blocks(&self) -> BlockStream;
    /// New finalised blocks.
    fn finalized_blocks(&self) -> BlockStream;
    /// The hash of the best chain's block with this number.
    fn block_hash(&self, number: BlockNumber) -> impl Future<Output = Answer<Option<H256>>> + Send;
    /// The subnet.
    fn subnet(
        &self,
        at: H256,
        netuid: Netuid,
    ) -> impl Future<Output = Answer<Option<SubnetInfo>>> + Send;
    /// The subnet's run.
    fn run(&self, at: H256, netuid: Netuid)
        -> impl Future<Output = Answer<Option<RunInfo>>> + Send;
    /// Milliseconds from one block to the next, if all goes well.
    fn block_time(&self, at: H256) -> impl Future<Output = Answer<u64>> + Send;
    /// What other nodes than the one that is asked say of the subnet's run; nothing of those that do not answer.
    fn elsewhere(&self, netuid: Netuid) -> Elsewhere;
    /// A round that is still kept.
    fn round(
        &self,
        at: H256,
        netuid: Netuid,
        round: Round,
    ) -> impl Future<Output = Answer<Option<RoundInfo>>> + Send;
    /// A round's commitments, ascending by uid.
    fn contributions(
        &self,
        at: H256,
        netuid: Netuid,
        round: Round,
    ) -> impl Future<Output = Answer<Vec<ContributionInfo>>> + Send;
    /// How a round ended.
    fn settled(
        &self,
        at: H256,
        netuid: Netuid,
        round: Round,
    ) -> impl Future<Output = Answer<Option<SettledRound>>> + Send;
    /// The audits that are not over.
    fn audits(
        &self,
        at: H256,
        netuid: Netuid,
    ) -> impl Future<Output = Answer<Vec<AuditInfo>>> + Send;
    /// What those of these hotkeys that are members have named as their endpoints; of the first 16.
    fn endpoints_of(
        &self,
        at: H256,
        netuid: Netuid,
        hotkeys: &[AccountId],
    ) -> impl Future<Output = Answer<Vec<MemberEndpoints>>> + Send;
    /// The lineage from a round on, at most 256 entries.
    fn lineage(
        &self,
        at: H256,
        netuid: Netuid,
        from: Round,
    ) -> impl Future<Output = Answer<Vec<LineageEntry>>> + Send;
    /// The member with this hotkey.
    fn member(
        &self,
        at: H256,
        netuid: Netuid,
        hotkey: AccountId,
    ) -> impl Future<Output = Answer<Option<MemberInfo>>> + Send;
    /// All members.
    fn members(
        &self,
        at: H256,
        netuid: Netuid,
    ) -> impl Future<Output = Answer<Vec<MemberInfo>>> + Send;
    /// What the validator with this hotkey has to know to set its scores.
    fn voting(
        &self,
        at: H256,
        netuid: Netuid,
        hotkey: AccountId,
    ) -> impl Future<Output = Answer<Option<Scoring>>> + Send;
    /// Signs, sends, and sees it into a block, of which it gives the number.
    fn submit(
        &self,
        netuid: Netuid,
        transaction: Transaction,
        signer: &Keypair,
    ) -> impl Future<Output = Answer<BlockNumber>> + Send;
}

/// What one node says of a subnet's run.
async fn of_one(node: &Client, netuid: Netuid) -> Answer<(BlockNumber, Option<RunInfo>)> {
    let best = node.best().await?;
    Ok((best.number, node.at(best.hash).run(netuid).await?))
}

impl Chain for Client {
    fn genesis(&self) -> H256 {
        self.genesis_hash()
    }

    fn best_blocks(&self) -> BlockStream {
        Client::best_blocks(self)
    }

    fn finalized_blocks(&self) -> BlockStream {
        Client::finalized_blocks(self)
    }

    async fn block_hash(&self, number: BlockNumber) -> Answer<Option<H256>> {
        Client::block_hash(self, number).await
    }

    async fn subnet(&self, at: H256, netuid: Netuid) -> Answer<Option<SubnetInfo>> {
        self.at(at).subnet(netuid).await
    }

    async fn block_time(&self, at: H256) -> Answer<u64> {
        self.at(at).block_time().await
    }

    async fn run(&self, at: H256, netuid: Netuid) -> Answer<Option<RunInfo>> {
        self.at(at).run(netuid).await
    }

    fn elsewhere(&self, netuid: Netuid) -> Elsewhere {
        let asked = self.others().map(|other| {
            let other = other.clone();
            async move {
                match tokio::time::timeout(ELSEWHERE, of_one(&other, netuid)).await {
                    Ok(Ok(said)) => Some(said),
                    silent => {
                        tracing::debug!("{} does not answer: {silent:?}", other.url());
                        other.pass_over();
                        None
                    }
                }
            }
        });
        let asked: FuturesUnordered<_> = asked.collect();
        asked.filter_map(std::future::ready).boxed()
    }

    async fn round(&self, at: H256, netuid: Netuid, round: Round) -> Answer<Option<RoundInfo>> {
        self.at(at).round(netuid, round).await
    }

    async fn contributions(
        &self,
        at: H256,
        netuid: Netuid,
        round: Round,
    ) -> Answer<Vec<ContributionInfo>> {
        self.at(at).contributions(netuid, round).await
    }

    async fn settled(
        &self,
        at: H256,
        netuid: Netuid,
        round: Round,
    ) -> Answer<Option<SettledRound>> {
        self.at(at).settled(netuid, round).await
    }

    async fn audits(&self, at: H256, netuid: Netuid) -> Answer<Vec<AuditInfo>> {
        self.at(at).open_audits(netuid).await
    }

    async fn endpoints_of(
        &self,
        at: H256,
        netuid: Netuid,
        hotkeys: &[AccountId],
    ) -> Answer<Vec<MemberEndpoints>> {
        self.at(at).endpoints_of(netuid, hotkeys).await
    }

    async fn lineage(&self, at: H256, netuid: Netuid, from: Round) -> Answer<Vec<LineageEntry>> {
        self.at(at).lineage(netuid, from).await
    }

    async fn member(
        &self,
        at: H256,
        netuid: Netuid,
        hotkey: AccountId,
    ) -> Answer<Option<MemberInfo>> {
        self.at(at).member(netuid, &hotkey).await
    }

    async fn members(&self, at: H256, netuid: Netuid) -> Answer<Vec<MemberInfo>> {
        self.at(at).members(netuid).await
    }

    async fn voting(&self, at: H256, netuid: Netuid, hotkey: AccountId) -> Answer<Option<Scoring>> {
        self.at(at).voting(netuid, &hotkey).await
    }

    async fn submit(
        &self,
        netuid: Netuid,
        transaction: Transaction,
        signer: &Keypair,
    ) -> Answer<BlockNumber> {
        let (urgency, call) = (transaction.kind() as Urgency, call(&transaction, netuid));
        let included = self.submit_by(&call, signer, urgency).await?;
        Ok(included.block.number)
    }
}
