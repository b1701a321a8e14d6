//! Seeing a call into a block.
//!
//! A transaction is offered to the node and then looked for in the blocks themselves. That holds up where
//! a subscription to the transaction's fate would not: when the node restarts, when the chain
//! re-organises, and when it is unclear whether the node got the transaction before the connection broke.

use std::collections::HashSet;

use cairn_keys::Keypair;
use cairn_primitives::{blake2_256, H256};
use futures::{stream::FuturesOrdered, StreamExt};
use subxt::{
    config::{substrate::SubstrateConfig, RpcConfigFor},
    rpcs::{
        methods::legacy::{BlockDetails, Bytes},
        rpc_params,
    },
};
use tokio::time::{sleep, timeout, Instant};

use crate::{
    dispatch::Event,
    refusal::{judge, Next, INVALID},
    runtime::{Hand, Validity, MORTALITY},
    turn::Urgency,
    view::SYSTEM_EVENTS,
    AccountId, Block, BlockStream, Call, ChainError, Client, Signed,
};

/// How often a transaction is signed anew because its nonce was taken meanwhile.
const NONCE_ATTEMPTS: u32 = 5;
/// Blocks after which a free call that is in none of them is offered as one that pays: the first may have been made
/// before it came.
const FREE_BLOCKS: u32 = 2;
/// What it pays then beside the fee, in pebble: a tip is what tells it from a free one.
const TIP: u128 = 1;
/// Heads about which the node is asked at the same time: so many come while one answer is under way from a far node.
const HEADS_AT_ONCE: usize = 4;

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// The block. It was the best one or below it, and is not final yet.
    pub block: Block,
    /// The transaction's number in the block.
    pub index: u32,
    /// The transaction's hash.
    pub hash: H256,
    /// What it brought about, in order.
    pub events: Vec<Event>,
}

impl Included {
    /// The first event of this name.
    pub fn event(&self, pallet: &str, name: &str) -> Option<&Event> {
        self.events
            .iter()
            .find(|event| event.pallet == pallet && event.name == name)
    }
}

/// A transaction that was signed.
struct Offered {
    /// Pallet and call.
    call: String,
    /// Whether it costs a member nothing.
    free: bool,
    account: AccountId,
    bytes: Vec<u8>,
    /// The same as one that pays, of a call that may be free.
    paying: Option<Vec<u8>>,
    nonce: u64,
    /// The best block when it was signed.
    best: Block,
    /// Where neither that nor a block below it can have it, since it was signed here after it: its hash.
    after: Option<H256>,
    /// The last block that cannot have it.
    floor: u32,
    valid_until: u32,
}

impl Offered {
    /// Its number in this block, free or paying, if it is there.
    fn position(&self, body: &Body) -> Option<usize> {
        let is = |bytes: &[u8]| bytes == self.bytes || self.paying.as_deref() == Some(bytes);
        body.extrinsics.iter().position(|bytes| is(&bytes.0))
    }

    /// Makes sure that a block after `head`, which does not have it, can have it, by what the runtime says of it there.
    fn ensure_possible(
        &self,
        head: Block,
        invalidity: Option<&'static str>,
    ) -> Result<(), ChainError> {
        let Some(reason) = invalidity else {
            return Ok(());
        };
        match judge(INVALID, reason, false, self.free) {
            Ok(_) => Ok(()),
            Err(remedy) => Err(ChainError::Rejected {
                call: self.call.clone(),
                account: self.account,
                reason: format!("no block can take it after block {}: {reason}", head.number),
                remedy,
            }),
        }
    }

    /// Makes sure that it is not too late for it, by what is said of a head that neither has it nor comes after a block
    /// that does.
    fn ensure_waits(&self, head: Block, said: Said) -> Result<(), ChainError> {
        match said.nonce {
            Ok(nonce) if u64::from(nonce) > self.nonce => return Err(self.overtaken()),
            Ok(_) | Err(ChainError::UnknownBlock { .. }) => {}
            Err(error) => return Err(error),
        }
        self.ensure_possible(head, said.invalidity?)
    }

    /// Its nonce was taken by another one.
    fn overtaken(&self) -> ChainError {
        ChainError::Overtaken {
            call: self.call.clone(),
            account: self.account,
            nonce: self.nonce,
        }
    }
}

/// A block's transactions, and the block before it.
struct Body {
    parent: H256,
    extrinsics: Vec<Bytes>,
}

/// What the node says of a head that may have a transaction, and of the transaction there.
struct Said {
    /// If it may be in that block, and the node has it.
    body: Option<Body>,
    /// The account's; 0 if the transaction is in that block.
    nonce: Result<u32, ChainError>,
    /// Why no block after it can have it.
    invalidity: Result<Option<&'static str>, ChainError>,
}

/// What was found of a transaction in a head and the blocks below it.
enum Walked {
    /// It is there, and so it ended.
    Found(Result<Included, ChainError>),
    /// It is in none of them.
    Absent,
    /// The node does not have one of them, which says nothing: another node may have been asked for the head.
    Cut,
}

impl Client {
    /// Signs a call, sees it into a best block and gives its events.
    ///
    /// Transactions of one account are sent one after the other, in the order in which they were asked for,
    /// so that their nonces do not collide. Those of [`Client::submit_by`] that are urgent go before these. The
    /// transaction is valid for 128 blocks.
    ///
    /// A call that is free for members, and is not in one of the next two blocks, is offered as one that pays the fee
    /// and a tip of a pebble, for which no quota is too small. An account without money goes on waiting with the free
    /// one. What no block can take any more, since its phase is over, is given up at once: who waits for the account's
    /// turn gets it. What the account has no money for is not given up: it may come before a later block.
    ///
    /// # Errors
    /// [`ChainError::Dispatch`] if it was executed and failed, [`ChainError::Rejected`] if the node turned
    /// it away or no block can take it any more, [`ChainError::NotIncluded`] and [`ChainError::Overtaken`] if it
    /// did not get into a block, [`ChainError::UnknownCall`] if the runtime cannot take it, and those of the
    /// connection, after which it may be in a block or not.
    pub async fn submit(&self, call: &Call, signer: &Keypair) -> Result<Included, ChainError> {
        self.submit_by(call, signer, Urgency::MAX).await
    }

    /// The same of a call that goes before those of its account that wait and are less urgent.
    ///
    /// # Errors
    /// Those of [`Client::submit`].
    pub async fn submit_by(
        &self,
        call: &Call,
        signer: &Keypair,
        urgency: Urgency,
    ) -> Result<Included, ChainError> {
        let account = AccountId::of(signer);
        let turn = self.turns(account).take(urgency).await;
        let deadline = self.connection.settings.inclusion;
        let until = Instant::now() + deadline;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let signed = self
                .sign(call, Hand::Key(signer), account, turn.given_up())
                .await?;
            let left = until.saturating_duration_since(Instant::now());
            let (next, session, heads) = self.offer_and_listen(&signed).await?;
            match next {
                Next::Look => {
                    let followed = self.follow(&signed, (session, heads), until).await;
                    let rejected = matches!(followed, Err(ChainError::Rejected { .. }));
                    turn.gives_up(rejected.then_some(signed.nonce));
                    return followed;
                }
                Next::Again if attempts < NONCE_ATTEMPTS && !left.is_zero() => {
                    // Nobody looks at these any more.
                    drop(heads);
                    // The node's count goes on with the next block.
                    let _ = timeout(left, self.next_head(signed.best.hash)).await;
                }
                Next::Again => {
                    return Err(signed.overtaken());
                }
            }
        }
    }

    /// Looks for a transaction that the node has, until it is in a block or it is too late.
    async fn follow(
        &self,
        signed: &Offered,
        from: (u64, BlockStream),
        until: Instant,
    ) -> Result<Included, ChainError> {
        let late = |_| ChainError::NotIncluded {
            call: signed.call.clone(),
            account: signed.account,
            deadline: self.connection.settings.inclusion,
            valid_until: signed.valid_until,
        };
        let left = until.saturating_duration_since(Instant::now());
        let looking = self.look_for(signed, from);
        timeout(left, looking).await.map_err(late)?
    }

    /// Offers a transaction that was signed elsewhere, and sees it into a block.
    pub(crate) async fn see_into_a_block(&self, signed: &Signed) -> Result<Included, ChainError> {
        let until = Instant::now() + self.connection.settings.inclusion;
        let (best, finalized) = tokio::try_join!(self.best(), self.finalized())?;
        let signed = Offered {
            call: signed.call.clone(),
            free: false,
            account: signed.account,
            bytes: signed.transaction.clone(),
            paying: None,
            nonce: signed.nonce,
            best,
            after: None,
            floor: floor(best, finalized),
            valid_until: signed.valid_until,
        };
        let (next, session, heads) = self.offer_and_listen(&signed).await?;
        let found = match next {
            Next::Look => self.follow(&signed, (session, heads), until).await,
            Next::Again => Err(signed.overtaken()),
        };
        // It cannot be signed anew from here, and may be in a block that nobody looked at.
        found.map_err(|error| match error {
            ChainError::Overtaken {
                call,
                account,
                nonce,
            } => ChainError::NonceUsed {
                call,
                account,
                nonce,
            },
            error => error,
        })
    }

    /// Waits for a best block other than `known`.
    async fn next_head(&self, known: H256) {
        let mut heads = self.best_blocks();
        while let Some(Ok(head)) = heads.next().await {
            if head.hash != known {
                return;
            }
        }
    }

    /// Signs a call with the account's next nonce, transactions that wait in the node's pool included, but for one with
    /// the nonce `given_up`. What can be asked together is: it takes one answer's time if the runtime and the finalised
    /// block are known, two if not, and one more if a nonce was given up.
    async fn sign(
        &self,
        call: &Call,
        hand: Hand<'_>,
        account: AccountId,
        given_up: Option<u64>,
    ) -> Result<Offered, ChainError> {
        let ahead = async {
            let known = self.runtimes.now(&self.connection);
            let (best, known) = tokio::try_join!(self.best(), known)?;
            let runtime = match known {
                Some(runtime) => runtime,
                None => self.runtimes.at(&self.connection, best.hash).await?,
            };
            Ok::<_, ChainError>((best, runtime))
        };
        let ((best, runtime), finalized, next) =
            tokio::try_join!(ahead, self.finalized(), self.next_index(account))?;
        let anchor = anchor(best, finalized, MORTALITY);
        let nonce = self.nonce(account, (best, next), given_up).await?;
        let validity = |tip| Validity {
            nonce,
            anchor,
            period: MORTALITY,
            tip,
        };
        let free = call.is_free_for_members();
        let paying = free.then(|| runtime.sign(call, hand, validity(TIP)));
        Ok(Offered {
            call: call.title(),
            free,
            account,
            bytes: runtime.sign(call, hand, validity(0))?,
            paying: paying.transpose()?,
            nonce,
            best,
            after: Some(best.hash),
            floor: floor(best, finalized),
            valid_until: anchor.number.saturating_add(MORTALITY),
        })
    }

    /// The account's next nonce, as the node counts.
    async fn next_index(&self, account: AccountId) -> Result<u64, ChainError> {
        let (method, params) = ("system_accountNextIndex", rpc_params![account]);
        self.connection.request(method, params).await
    }

    /// The account's `next` nonce. One that came to nothing is used again, though the node may still count it.
    async fn nonce(
        &self,
        account: AccountId,
        (best, next): (Block, u64),
        given_up: Option<u64>,
    ) -> Result<u64, ChainError> {
        let Some(given_up) = given_up.filter(|nonce| *nonce < next) else {
            return Ok(next);
        };
        let unused = self.at(best.hash).nonce(&account).await?;
        match u64::from(unused) == given_up {
            true => Ok(given_up),
            false => Ok(next),
        }
    }

    /// A call as it would be sent now, but for its signature, and the best block.
    pub(crate) async fn priced(
        &self,
        call: &Call,
        account: AccountId,
    ) -> Result<(Vec<u8>, H256), ChainError> {
        let signed = self
            .sign(call, Hand::Nobody(account), account, None)
            .await?;
        Ok((signed.bytes, signed.best.hash))
    }

    /// Offers a transaction, and opens the stream of heads meanwhile in which it is looked for then. Also gives the
    /// number of the session in which it was offered.
    async fn offer_and_listen(
        &self,
        signed: &Offered,
    ) -> Result<(Next, u64, BlockStream), ChainError> {
        let (mut heads, mut first, mut listens) = (self.best_blocks(), None, true);
        let offered = {
            let offering = self.offer(signed);
            tokio::pin!(offering);
            loop {
                tokio::select! {
                    offered = &mut offering => break offered,
                    head = heads.next(), if listens => {
                        listens = false;
                        // Where there is none, whoever looks asks again.
                        first = head.filter(Result::is_ok);
                    }
                }
            }
        };
        let (next, session) = offered?;
        let heads = futures::stream::iter(first).chain(heads).boxed();
        Ok((next, session, heads))
    }

    /// Offers a transaction to the node until it has it or has turned it away. Also gives the number of the
    /// session in which that was.
    async fn offer(&self, signed: &Offered) -> Result<(Next, u64), ChainError> {
        let (began, patience) = (Instant::now(), self.connection.settings.patience);
        let mut failures = 0;
        loop {
            let (session, error) = match self.offer_once(&signed.bytes).await {
                Ok(session) => return Ok((Next::Look, session)),
                Err(failed) => failed,
            };
            if let ChainError::Refused { code, message, .. } = &error {
                let next = judge(*code, message, failures > 0, signed.free);
                let rejected = |remedy| ChainError::Rejected {
                    call: signed.call.clone(),
                    account: signed.account,
                    reason: message.clone(),
                    remedy,
                };
                return Ok((next.map_err(rejected)?, session));
            }
            if !error.is_transient() {
                return Err(error);
            }
            failures += 1;
            match patience.pause(failures, began.elapsed()) {
                Some(pause) => sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    /// Offers a transaction once. Gives the number of the session, of the error too.
    async fn offer_once(&self, bytes: &[u8]) -> Result<u64, (u64, ChainError)> {
        let (node, method) = (&self.connection, "author_submitExtrinsic");
        let session = node.session_number().await.map_err(|error| (0, error))?;
        let params = rpc_params![format!("0x{}", hex::encode(bytes))];
        match node.request_once::<H256>(method, params).await {
            Ok(_) => Ok(session),
            Err(error) => Err((session, error)),
        }
    }

    /// Follows the best chain, from the session and by the heads that there were when it was offered, until the
    /// transaction is in it. Heads are judged in their order, though the node is asked about several at once: so who is
    /// far from it does not fall behind.
    async fn look_for(
        &self,
        signed: &Offered,
        (mut session, mut heads): (u64, BlockStream),
    ) -> Result<Included, ChainError> {
        let mut seen: HashSet<H256> = signed.after.into_iter().collect();
        let mut paying = signed.paying.as_deref();
        let mut answers = FuturesOrdered::new();
        loop {
            let (head, said) = tokio::select! {
                head = heads.next(), if answers.len() < HEADS_AT_ONCE => {
                    let ended = || self.connection.down("the stream of blocks ended");
                    answers.push_back(self.said_of(signed, head.ok_or_else(ended)?));
                    continue;
                }
                Some(answer) = answers.next() => answer?,
            };
            if let Some(mut said) = said {
                let at_hand = said.body.take();
                match self.search(signed, (head, at_hand), &mut seen).await? {
                    Walked::Found(included) => return included,
                    Walked::Absent => signed.ensure_waits(head, said)?,
                    Walked::Cut => {}
                }
            }
            // A node that was restarted has forgotten what waited in its pool.
            let now = self.connection.session_number().await?;
            if now != session {
                session = now;
                self.offer(signed).await?;
            }
            let late = head.number >= signed.best.number.saturating_add(FREE_BLOCKS);
            if let Some(bytes) = paying.take_if(|_| late) {
                // If it is refused, for lack of money as a rule, the free one waits on.
                let _ = self.offer_once(bytes).await;
            }
        }
    }

    /// What the node says of a head, in one answer's time; nothing if it is the block after which the transaction was
    /// signed. If it is in that block, no answer but that is waited for.
    async fn said_of(
        &self,
        signed: &Offered,
        head: Result<Block, ChainError>,
    ) -> Result<(Block, Option<Said>), ChainError> {
        let head = head?;
        if signed.after == Some(head.hash) {
            return Ok((head, None));
        }
        let at = self.at(head.hash);
        let body = async {
            match head.number > signed.floor {
                true => self.body(head.hash).await,
                false => Ok(None),
            }
        };
        let invalidity = async {
            // A block that is not above the one by which it was signed says nothing of those that come: the node that
            // is asked now may be behind.
            match head.number <= signed.best.number {
                true => Ok(None),
                false => at.invalidity(&signed.bytes).await,
            }
        };
        let others = async { tokio::join!(at.nonce(&signed.account), invalidity) };
        tokio::pin!(body, others);
        let (body, (nonce, invalidity)) = tokio::select! {
            biased;
            body = &mut body => {
                let body = body?;
                let found = body.as_ref().and_then(|body| signed.position(body));
                let others = match found {
                    Some(_) => (Ok(0), Ok(None)),
                    None => others.await,
                };
                (body, others)
            }
            others = &mut others => (body.await?, others),
        };
        let said = Said {
            body,
            nonce,
            invalidity,
        };
        Ok((head, Some(said)))
    }

    /// What is in the block with this hash, if the node has it.
    async fn body(&self, hash: H256) -> Result<Option<Body>, ChainError> {
        let params = rpc_params![hash];
        let details: Option<BlockDetails<RpcConfigFor<SubstrateConfig>>> =
            self.connection.request("chain_getBlock", params).await?;
        Ok(details.map(|details| Body {
            parent: details.block.header.parent_hash,
            extrinsics: details.block.extrinsics,
        }))
    }

    /// Looks for the transaction in a head, of which the body may be at hand, and the blocks below it that have not been
    /// `seen`.
    async fn search(
        &self,
        signed: &Offered,
        (head, mut at_hand): (Block, Option<Body>),
        seen: &mut HashSet<H256>,
    ) -> Result<Walked, ChainError> {
        let mut block = head;
        // Only a walk that came to its end makes its blocks known: what lies below a block that has been
        // seen has been seen as well.
        let mut walked = Vec::new();
        while block.number > signed.floor && !seen.contains(&block.hash) {
            let body = match at_hand.take() {
                Some(body) => Some(body),
                None => self.body(block.hash).await?,
            };
            // A block that was dropped in the meantime; the next head will lead elsewhere.
            let Some(body) = body else {
                return Ok(Walked::Cut);
            };
            if let Some(index) = signed.position(&body) {
                let bytes = body.extrinsics.get(index);
                let hash = bytes.map(|bytes| blake2_256(&bytes.0));
                let (Ok(index), Some(hash)) = (u32::try_from(index), hash) else {
                    return Ok(Walked::Cut);
                };
                let place = (index, hash);
                let ended = self.outcome(signed, block, body.parent, place).await;
                return Ok(Walked::Found(ended));
            }
            walked.push(block.hash);
            block = Block {
                number: block.number.saturating_sub(1),
                hash: body.parent,
            };
        }
        seen.extend(walked);
        Ok(Walked::Absent)
    }

    /// How the transaction with number `index` in `block` ended.
    async fn outcome(
        &self,
        signed: &Offered,
        block: Block,
        parent: H256,
        (index, hash): (u32, H256),
    ) -> Result<Included, ChainError> {
        let at = self.at(block.hash);
        // The block was made by the runtime that its parent left behind.
        let runtime = self.runtimes.at(&self.connection, parent);
        let (bytes, runtime) = tokio::try_join!(at.storage(&SYSTEM_EVENTS), runtime)?;
        let bytes = bytes.unwrap_or_default();
        let malformed = |why: String| self.connection.malformed("System.Events", why);
        let events = runtime.events(bytes, index).map_err(malformed)?;
        let outcome = runtime
            .outcome(&events)
            .map_err(|error| malformed(error.to_string()))?;
        outcome.map_err(|error| ChainError::Dispatch {
            call: signed.call.clone(),
            account: signed.account,
            error: Box::new(error),
        })?;
        Ok(Included {
            block,
            index,
            hash,
            events,
        })
    }
}

/// The block that a transaction hangs on which is valid for so many. One that hangs on a block that is dropped is void,
/// so it hangs on a finalised one, unless finality is far behind.
pub(crate) fn anchor(best: Block, finalized: Block, period: u32) -> Block {
    let lag = best.number.saturating_sub(finalized.number);
    match lag <= period / 2 {
        true => finalized,
        false => best,
    }
}

/// The last block that cannot have a transaction which is offered now.
fn floor(best: Block, finalized: Block) -> u32 {
    finalized.number.max(best.number.saturating_sub(MORTALITY))
}
