//! A node in the test's own process: the real runtime in memory, with blocks that come when a test says so.
//!
//! What is set up is set up as people do it: a subnet is created, seats are bought, bonds and stakes are paid, a run is
//! started and stopped, all by signed calls.

use cairn_chain::{keypair, AccountId, Block, Keypair, RoundInfo, RunInfo};
use cairn_primitives::{Balance, BlockNumber, Netuid, Phases, Role, RunConfig, CRN, H256};
use cairn_round::machine::Transaction;
use cairn_sim::{
    chain::{calls::call_of, founding, keys::Key, readers, reads, Chain, RuntimeCall, MAIN},
    rng::Rng,
};
use codec::{Decode, Encode};
use tokio::sync::oneshot;

use super::state::State;

/// The first subnet that a chain has.
pub const NETUID: Netuid = Netuid(1);

/// The phases of the tests' runs: each round takes as long.
pub const PHASES: Phases = Phases {
    train: 6,
    reveal: 2,
    // Long enough for files to be opened before the machine's deadline, though blocks come in no time.
    attest: 8,
    floor: 100,
};

/// Blocks between two epochs: as many as a round has.
const TEMPO: BlockNumber = 16;
/// The block of a round in which the epoch comes: a block before the reveal phase.
const EPOCH: BlockNumber = 5;

/// Who may be a member.
const NAMES: [&str; 10] = [
    "Alice", "Bob", "Carol", "Victor", "Vera", "Mallory", "Noise", "Lazy", "Stranger", "Copier",
];
/// What each validator stakes, in pebble.
const STAKE: Balance = 1_000 * CRN;
/// What each miner bonds, in pebble.
pub const BOND: Balance = 10 * CRN;

/// Blocks behind the best one whose states are kept: workers look at blocks that are not the newest any more.
pub const KEPT: BlockNumber = 64;

/// What becomes of a transaction: the block that it is in, or why it is in none.
pub type Sent = Result<BlockNumber, String>;

/// A transaction that waits for a block.
struct Flight {
    id: H256,
    signer: AccountId,
    what: String,
    answer: oneshot::Sender<Sent>,
}

/// The node.
pub struct Node {
    chain: Chain,
    /// Owns the subnet, and is root.
    owner: Key,
    slot: u64,
    /// Hashes of all blocks, by their number.
    hashes: Vec<H256>,
    flights: Vec<Flight>,
    /// What was refused.
    refused: Vec<String>,
}

/// The key pair of a member.
pub fn hotkey(name: &str) -> Keypair {
    keypair(&format!("//{name}")).expect("a development key")
}

/// The key of whoever owns a member.
fn coldkey(name: &str) -> Key {
    Key::of(&format!("{name}'s coldkey"))
}

fn key_of(keypair: &Keypair) -> Key {
    let signer = keypair.clone();
    Key::brought(keypair.public_key(), move |bytes| signer.sign(bytes))
}

/// The same as another crate's type has it.
pub fn told<T: Decode>(value: impl Encode) -> T {
    T::decode(&mut value.encode().as_slice()).expect("both have the same SCALE")
}

impl Node {
    /// A node of a chain without subnets.
    pub fn new() -> Node {
        let owner = Key::of("the subnet's owner");
        let hotkeys = NAMES.map(|name| key_of(&hotkey(name)));
        let patch = founding::genesis(&owner, &NAMES.map(coldkey), &hotkeys);
        let chain = Chain::new(patch, Rng::new(1)).expect("a genesis");
        let hashes = vec![H256::zero(), chain.best().hash];
        Node {
            chain,
            owner,
            slot: 1,
            hashes,
            flights: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// The best block, which is final.
    pub fn best(&self) -> Block {
        let best = self.chain.best();
        Block {
            number: best.number,
            hash: best.hash,
        }
    }

    /// The hash of a block.
    pub fn hash_of(&self, number: BlockNumber) -> Option<H256> {
        self.hashes.get(number as usize).copied()
    }

    /// Makes a block of what waits for one.
    pub fn make(&mut self) {
        self.slot += 1;
        let made = self.chain.make(MAIN, self.slot);
        assert_eq!(made.audit, Ok(()), "the books after {:?}", made.id);
        self.chain.finalise(MAIN, KEPT);
        self.hashes.push(made.id.hash);
        for flight in std::mem::take(&mut self.flights) {
            self.look_for(flight);
        }
    }

    fn look_for(&mut self, flight: Flight) {
        match self.chain.find(flight.id, self.chain.best()) {
            // Nobody waits for it any more if its worker was killed.
            Some((number, None)) => drop(flight.answer.send(Ok(number))),
            Some((_, Some(failure))) => self.refuse(flight, failure),
            None => self.keep_waiting(flight),
        }
    }

    fn keep_waiting(&mut self, flight: Flight) {
        match self.chain.refusal(MAIN, flight.id).map(String::from) {
            Some(why) => self.refuse(flight, why),
            None => self.flights.push(flight),
        }
    }

    fn refuse(&mut self, flight: Flight, why: String) {
        let number = self.chain.best().number;
        let reason = format!("{} at block {number}: {why}", flight.what);
        self.refused.push(reason.clone());
        drop(flight.answer.send(Err(reason)));
    }

    /// Signs a transaction behind those of the same signer that wait, and puts it into the pool. The answer comes when
    /// it is in a block, or will be in none.
    pub fn submit(
        &mut self,
        netuid: Netuid,
        transaction: Transaction,
        signer: &Keypair,
        answer: oneshot::Sender<Sent>,
    ) {
        let (what, best) = (format!("{transaction:?}"), self.chain.best());
        let (key, signer) = (key_of(signer), AccountId::of(signer));
        let waiting = self.flights.iter().filter(|one| one.signer == signer);
        let ahead = u32::try_from(waiting.count()).expect("few");
        let call = call_of(netuid, transaction);
        let signed = self.chain.sign(best, &key, ahead, 0, call);
        let id = self.chain.submit(MAIN, signed.expect("it is signed"));
        self.keep_waiting(Flight {
            id,
            signer,
            what,
            answer,
        });
    }

    /// What the state after a block answers, encoded; `None` if it is no longer kept.
    pub fn read<T: Encode>(&mut self, at: H256, question: impl FnOnce() -> T) -> Option<Vec<u8>> {
        let id = self.chain.id_of(at)?;
        self.chain.ask(id, || question().encode())
    }

    /// The subnet's run at the best block.
    fn run(&mut self) -> Option<RunInfo> {
        let at = self.chain.best();
        let run = self.chain.ask(at, || readers::run(NETUID));
        told(run.expect("the best block's state is kept"))
    }

    /// The best block's number, and the round there.
    pub fn round(&mut self) -> (BlockNumber, RoundInfo) {
        let run = self.run().expect("a run");
        (self.chain.best().number, run.round)
    }

    /// Where the chain is: which block and round, by the best block; what was said, with all that waits for the next.
    pub fn state(&mut self) -> State {
        let (run, best) = (self.run(), self.chain.best());
        let subnet = self.chain.ask_best(|| readers::subnet(NETUID));
        let state = State {
            number: best.number,
            round: run.as_ref().map_or(0, |run| run.round.round),
            run,
            subnet: told(subnet),
            refused: self.refused.clone(),
            ..State::default()
        };
        let soon = self.chain.ask_next(MAIN, self.slot + 1, || state.soon());
        soon.expect("the best block's state is kept")
    }
}

/// What people do.
impl Node {
    /// Makes a block with these calls, which all have to succeed.
    fn do_all(&mut self, calls: &[(Key, RuntimeCall)]) {
        let sent = self.chain.send_all(calls).expect("they are signed");
        self.make();
        self.chain.expect_all(&sent).expect("they succeed");
    }

    /// The same with one of the subnet's owner.
    fn own(&mut self, call: RuntimeCall) {
        self.do_all(&[(self.owner.clone(), call)]);
    }

    /// Creates the subnet, with an epoch a round.
    pub fn found(&mut self) {
        self.own(founding::create_subnet());
        self.own(founding::set_rules(NETUID, founding::rules(TEMPO)));
        let subnets = self.chain.ask_best(readers::subnets);
        assert_eq!(subnets.len(), 1);
        assert_eq!(subnets[0].netuid, NETUID);
    }

    /// Buys seats, in this order, and pays what a miner bonds and what a validator stakes. It takes a block.
    pub fn register(&mut self, members: &[(String, Role)]) {
        let best = self.chain.best();
        let mut calls = Vec::new();
        for (name, role) in members {
            let (hotkey, coldkey) = (key_of(&hotkey(name)), coldkey(name));
            let seat = || hotkey.registers(NETUID, (&hotkey, *role), &coldkey);
            let seat = self.chain.ask(best, seat);
            calls.push((
                coldkey.clone(),
                seat.expect("the best block's state is kept"),
            ));
            let deposit = match role {
                Role::Miner => founding::add_bond(NETUID, &hotkey, BOND),
                Role::Validator => founding::add_stake(NETUID, &hotkey, STAKE),
            };
            calls.push((coldkey, deposit));
        }
        self.do_all(&calls);
    }

    /// Adds as much to a miner's bond as each has. It takes a block.
    pub fn bond(&mut self, name: &str) {
        let call = founding::add_bond(NETUID, &key_of(&hotkey(name)), BOND);
        self.do_all(&[(coldkey(name), call)]);
    }

    /// A miner's bond at the best block: what counts, and what is being withdrawn.
    pub fn bond_of(&mut self, name: &str) -> (Balance, Balance) {
        let key = key_of(&hotkey(name));
        self.chain.ask_best(|| reads::bond(NETUID, key.account()))
    }

    /// Asks for a miner's bond back. It takes a block.
    pub fn unbond(&mut self, name: &str) {
        let call = founding::unbond(NETUID, &key_of(&hotkey(name)));
        self.do_all(&[(coldkey(name), call)]);
    }

    /// Starts a run, once nothing is left of the last one. Where there are members for it, the best block is then the
    /// first one of its first round, and epochs come a block before reveal phases.
    pub fn start_run(&mut self, config: RunConfig) {
        let mut waited = 0;
        while !(self.is_cleared() && self.is_in_step()) {
            assert!(waited < 4 * TEMPO, "the last run is not cleared");
            waited += 1;
            self.make();
        }
        self.own(founding::start_run(NETUID, config));
        self.make();
    }

    fn is_cleared(&mut self) -> bool {
        let subnet = self.chain.ask_best(|| readers::subnet(NETUID));
        subnet.is_some_and(|subnet| !subnet.is_clearing_run)
    }

    /// Whether an epoch comes where it is to come in a round that begins after the next block.
    fn is_in_step(&mut self) -> bool {
        let (start, owner) = (self.chain.best().number + 2, self.owner.clone());
        let scoring = self
            .chain
            .ask_best(|| readers::voting(NETUID, owner.account()));
        let due = scoring.expect("there is a subnet").due;
        (due + TEMPO - start) % TEMPO == EPOCH
    }

    /// Stops the run.
    pub fn stop_run(&mut self) {
        self.own(founding::stop_run(NETUID));
    }

    /// Ends the subnet.
    pub fn dissolve(&mut self) {
        self.own(founding::dissolve_subnet(NETUID));
    }
}
