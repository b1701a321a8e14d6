//! What a miner and a validator do next, as pure functions.
//!
//! A worker follows the rounds of a run: train, commit, reveal, attest, settle. The network loses its
//! messages, the chain re-organises, somebody pulls the plug. This crate holds the decisions and nothing
//! else: each role is a [`Machine`] that is told what happened, with `now` a block number, and is asked for
//! actions until it has none left. It reads no clock, opens no file and knows no network, so every promise
//! below is tested with events and views in any order, and with whole networks of the real chain (`cairn-sim`).
//!
//! ```text
//!        chain ──▶ view ─┐                        ┌─▶ Look, Apply, Keep, Join, Send, Stop     (both)
//!                        ├─▶ handle … poll_action ┼─▶ Train, FetchAhead, Serve …            (miner)
//!   job ended ──▶ event ─┘                        └─▶ Fetch, Open, Pledge, Measure, Audit … (validator)
//! ```
//!
//! A *view* is what the chain says of one moment: the current round at the best block, and how the round
//! whose parameters the worker holds was settled at the finalised block. The machines act on the best block and
//! settle on the finalised one: a commitment that a re-organisation drops is simply made again with the same
//! content, while parameters only ever move along rounds that cannot be undone.
//!
//! What both decide alike ([`course`]): when the chain is looked at; whether to join, or to apply a settled round;
//! that parameters which contradict a final root are never kept; that whoever was away says when it is back; that what
//! was sent is not sent again before the chain could have shown it ([`outbox`]).
//!
//! What the miner's machine ([`miner`]) promises:
//! - in one round it commits to one content only, whatever happens in between;
//! - it reveals only the key of the contribution that the chain has from it;
//! - every settled round is applied once and in order;
//! - what others commit to it fetches before it needs it, within bounds, and nothing waits for that ([`ahead`]);
//! - what a contribution left, moments and error feedback, is carried on if it was included, and forgotten if not;
//! - where rounds overlap it trains the next one, and no later one, while a round is revealed and attested; what it
//!   made ahead it commits to once the contribution that this went on from is included, and makes anew if that was
//!   not;
//! - of a round in which its work was drawn it keeps what it needs to serve what is audited ([`audit`]);
//! - told to drain, it makes no more contributions, and ends once no audit of those that it made can be open
//!   ([`drain`]).
//!
//! What the validator's machine ([`validator`]) promises:
//! - it attests at most once per round, only while it holds that round's parameters, and only what it has committed to
//!   and has on disk ([`pledge`]);
//! - it vouches only for sealed files that it has opened and found good;
//! - scoring never delays an attestation;
//! - scores that it committed to are revealed once their epoch has run, and never before ([`hidden_row`]);
//! - of each audit for which it was drawn it commits to one finding at most, which it has on disk ([`audit`]).
//!
//! Beside them: who trains on what and what validators evaluate ([`plan`]), whether there is time for
//! another inner step ([`pace`]), since when a round can have been under way ([`heard`]), and how evidence becomes
//! values and scores ([`scoring`]).

pub mod ahead;
pub mod audit;
pub mod course;
pub mod drain;
pub mod heard;
pub mod hidden_row;
pub mod machine;
pub mod measure;
pub mod miner;
pub mod outbox;
pub mod pace;
pub mod pledge;
pub mod validator;
pub mod view;

/// Who trains on which windows, and on which ones validators measure the result.
pub mod plan {
    pub use cairn_protocol::assignment::{Plan, RoundData};
}
pub use cairn_protocol::value as scoring;

pub use machine::{Action, Event, Held, Machine};
pub use view::{Attester, Included, Named, Next, RoundView, Seen, Settlement, View};
