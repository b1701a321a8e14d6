//! The protocol's rules, a file for each, in the order in which a round meets them.
//!
//! A rule is a pure function: from what is known it gives the new state, or a refusal with its reason. The pallets
//! keep the state and call these functions; workers, and whoever follows a run from outside, call the same ones. So
//! chain and worker cannot come to disagree about a rule, and none is written down twice.
//!
//! | rule | says |
//! |---|---|
//! | [`registration`] | what a hotkey signs before it becomes somebody's, and who makes room for it |
//! | [`eligibility`] | who validates, who mines |
//! | [`notice`] | from when on a decision holds |
//! | [`attendance`] | who is expected, and whose stake counts in full |
//! | [`assignment`] | who trains on what |
//! | [`overlap`] | what is trained ahead, and from which parameters |
//! | [`phase`] | what a block is there for, and until when something has to be done |
//! | [`turnout`] | for whom a round waits, and when a stage is over |
//! | [`commitment`] | when a miner may commit and reveal |
//! | [`trace`] | what a replay of inner steps begins from, and has to lead to |
//! | [`verdict`] | what makes a contribution good |
//! | [`attestation`] | when a validator may attest, and what its attestation adds |
//! | [`settlement`] | what a round includes |
//! | [`combination`] | what an included contribution counts in the next parameters |
//! | [`lineage`] | which root is final, and whose parameters contradict it |
//! | [`checkpoint`] | where a worker's parameters come from |
//! | [`exam`] | what a contribution is measured on, and when that is enough |
//! | [`audit`] | which work is replayed, by whom, and what follows |
//! | [`tolerance`] | how far a card's work may be from what a CPU makes of it again |
//! | [`value`] | what a contribution was worth |
//! | [`unseen`] | what a text that miners do not have says of a gain |
//! | [`emission`] | what a subnet is paid for, and when |
//! | [`wages`] | when a miner has what it earned |
//! | [`endpoint`] | where a member's files can be had, and whom to ask |
//! | [`limits`] | the constants that hold all of this together |
//!
//! `docs/protocol.md` states each rule in words, and a test holds the page against the code.
//!
//! Nothing here reads a clock, a file, a network or a chain's storage. Amounts are in pebble, times in blocks.

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

pub mod assignment;
pub mod attendance;
pub mod attestation;
pub mod audit;
pub mod checkpoint;
pub mod combination;
pub mod commitment;
pub mod eligibility;
pub mod emission;
pub mod endpoint;
pub mod exam;
pub mod limits;
pub mod lineage;
pub mod notice;
pub mod overlap;
pub mod phase;
pub mod registration;
pub mod settlement;
pub mod tolerance;
pub mod trace;
pub mod turnout;
pub mod unseen;
pub mod value;
pub mod verdict;
pub mod wages;
