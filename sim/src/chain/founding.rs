//! Founding a network by the calls that people make: a subnet, its rules, its run, stakes and bonds. Seats are bought
//! by [`Key::registers`].

use std::collections::BTreeMap;

use cairn_primitives::{Balance, BlockNumber, Hyperparameters, Nano, Netuid, RunConfig, CRN, H256};
use cairn_runtime::{AccountId, RuntimeCall};
use serde_json::{json, Value};
use sp_core::crypto::Ss58Codec;
use sp_runtime::{traits::IdentifyAccount, MultiSigner};

use super::{keys::Key, Chain, MAIN};

/// What each coldkey has at genesis, in pebble.
pub const ENDOWMENT: Balance = 50_000 * CRN;
/// What each hotkey has: it exists.
const POCKET: Balance = CRN;

/// Why a call did not succeed that had to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Patches of a genesis in which a subnet's owner, who is root too, these coldkeys and these hotkeys have something.
pub fn genesis(owner: &Key, coldkeys: &[Key], hotkeys: &[Key]) -> Value {
    let author = author();
    let mut balances = vec![
        (owner.account().clone(), ENDOWMENT),
        (author.clone(), ENDOWMENT),
    ];
    balances.extend(
        coldkeys
            .iter()
            .map(|key| (key.account().clone(), ENDOWMENT)),
    );
    // Whoever makes the blocks may be a member, too.
    let others = hotkeys.iter().filter(|key| *key.account() != author);
    balances.extend(others.map(|key| (key.account().clone(), POCKET)));
    json!({
        "balances": { "balances": balances },
        "sudo": { "key": owner.account() },
        "emissions": { "open": true },
    })
}

/// The account that makes the blocks.
fn author() -> AccountId {
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    let public = sp_core::sr25519::Public::from_ss58check(alice).unwrap_or_default();
    MultiSigner::from(public).into_account()
}

/// The rules of a subnet with `tempo` blocks between two epochs: those of the development network, with seats at a
/// fixed price.
pub fn rules(tempo: BlockNumber) -> Hyperparameters {
    Hyperparameters {
        tempo,
        activity_cutoff: 2 * tempo,
        unbonding_period: 24,
        immunity_period: 5_000,
        registration_price_factor: Nano::ONE,
        ..Hyperparameters::default()
    }
}

/// Creates a subnet, whatever it costs.
pub fn create_subnet() -> RuntimeCall {
    let max_price = Balance::MAX;
    pallet_subnets::Call::create_subnet { max_price }.into()
}

/// Sets a subnet's rules by root: the owner's first change is still to come.
pub fn set_rules(netuid: Netuid, hyperparameters: Hyperparameters) -> RuntimeCall {
    let set = RuntimeCall::Subnets(pallet_subnets::Call::set_hyperparameters {
        netuid,
        hyperparameters,
    });
    let call = Box::new(set);
    pallet_sudo::Call::sudo { call }.into()
}

/// Ends a subnet.
pub fn dissolve_subnet(netuid: Netuid) -> RuntimeCall {
    pallet_subnets::Call::dissolve_subnet { netuid }.into()
}

/// Starts a subnet's run.
pub fn start_run(netuid: Netuid, config: RunConfig) -> RuntimeCall {
    pallet_training::Call::start_run { netuid, config }.into()
}

/// Stops it.
pub fn stop_run(netuid: Netuid) -> RuntimeCall {
    pallet_training::Call::stop_run { netuid }.into()
}

/// Stakes so much on a hotkey.
pub fn add_stake(netuid: Netuid, hotkey: &Key, amount: Balance) -> RuntimeCall {
    let hotkey = hotkey.account().clone();
    pallet_stake::Call::add_stake {
        netuid,
        hotkey,
        amount,
    }
    .into()
}

/// Bonds so much for a hotkey.
pub fn add_bond(netuid: Netuid, hotkey: &Key, amount: Balance) -> RuntimeCall {
    let hotkey = hotkey.account().clone();
    pallet_stake::Call::add_bond {
        netuid,
        hotkey,
        amount,
    }
    .into()
}

/// Asks for a hotkey's bond back.
pub fn unbond(netuid: Netuid, hotkey: &Key) -> RuntimeCall {
    let hotkey = hotkey.account().clone();
    pallet_stake::Call::unbond { netuid, hotkey }.into()
}

impl Chain {
    /// Signs these calls as of the best block, and sends them: of each key in this order. Gives their names.
    ///
    /// # Errors
    /// [`Refused`] if the runtime cannot say what is to be signed.
    pub fn send_all(&mut self, calls: &[(Key, RuntimeCall)]) -> Result<Vec<H256>, Refused> {
        let mut ahead = BTreeMap::new();
        let mut sent = Vec::new();
        for (key, call) in calls {
            let nonce = ahead.entry(key.id()).or_insert(0u32);
            let best = self.best();
            let signed = self.sign(best, key, *nonce, 0, call.clone());
            *nonce += 1;
            let signed = signed.ok_or_else(|| Refused("nothing to sign".into()))?;
            sent.push(self.submit(MAIN, signed));
        }
        Ok(sent)
    }

    /// Whether all of these are in the chain, and succeeded.
    ///
    /// # Errors
    /// [`Refused`] with what became of the first one of which that is not so.
    pub fn expect_all(&self, sent: &[H256]) -> Result<(), Refused> {
        sent.iter().try_for_each(|id| self.expect_success(*id))
    }

    fn expect_success(&self, id: H256) -> Result<(), Refused> {
        match self.find(id, self.best()) {
            Some((_, None)) => Ok(()),
            Some((_, Some(failure))) => Err(Refused(failure)),
            None => {
                let refusal = self.refusal(MAIN, id).unwrap_or("it found no room");
                Err(Refused(refusal.into()))
            }
        }
    }
}
