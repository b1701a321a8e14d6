//! The chains that genesis knows by name. Their keys are Substrate's well-known development keys: never put
//! value on such a chain.

use alloc::{format, string::String, vec, vec::Vec};

use cairn_primitives::{Balance, BlockNumber, CRN};
use frame_support::build_struct_json_patch;
use serde_json::Value;
use sp_genesis_builder::PresetId;
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};

use crate::{
    configs::consensus::BABE_GENESIS_EPOCH_CONFIG, AccountId, BabeConfig, BalancesConfig,
    BlockTimeConfig, CouncilConfig, EmissionsConfig, GovernanceConfig, RuntimeGenesisConfig,
    SessionConfig, SessionKeys, SubnetsConfig, SudoConfig,
};

/// One authority, a block every two seconds.
pub const DEVELOPMENT_PRESET: &str = sp_genesis_builder::DEV_RUNTIME_PRESET;
/// Four authorities, a block every six seconds.
pub const LOCAL_PRESET: &str = sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET;

/// What each well-known account has.
const ENDOWMENT: Balance = 100_000 * CRN;

/// A development network lives for minutes, and whoever tries it wants to see stake and bonds come back.
const AUDIT_OF_MINUTES: BlockNumber = 20;
/// What the subnets pallet takes if nothing is said.
const USUAL_AUDIT: BlockNumber = 0;

/// A referendum of five weeks is decided and enacted within three minutes.
const DELAYS_OF_MINUTES: u32 = 7_200;
/// And within an hour and a half.
const DELAYS_OF_HOURS: u32 = 720;

/// The names of all presets.
pub fn names() -> Vec<PresetId> {
    vec![
        PresetId::from(DEVELOPMENT_PRESET),
        PresetId::from(LOCAL_PRESET),
    ]
}

/// The preset of this name as JSON.
pub fn get(id: &PresetId) -> Option<Vec<u8>> {
    let preset = match id.as_ref() {
        DEVELOPMENT_PRESET => genesis(
            &[Sr25519Keyring::Alice],
            2_000,
            AUDIT_OF_MINUTES,
            DELAYS_OF_MINUTES,
        ),
        LOCAL_PRESET => genesis(
            &[
                Sr25519Keyring::Alice,
                Sr25519Keyring::Bob,
                Sr25519Keyring::Charlie,
                Sr25519Keyring::Dave,
            ],
            6_000,
            USUAL_AUDIT,
            DELAYS_OF_HOURS,
        ),
        _ => return None,
    };
    Some(String::into_bytes(format!("{preset}")))
}

/// A genesis with these authorities, this many milliseconds to a block, this many blocks for audits, and by this number
/// the delays of governance are divided.
fn genesis(
    authorities: &[Sr25519Keyring],
    milliseconds: u64,
    audit_window: BlockNumber,
    hurry: u32,
) -> Value {
    let wealthy = [
        Sr25519Keyring::Alice,
        Sr25519Keyring::Bob,
        Sr25519Keyring::Charlie,
        Sr25519Keyring::Dave,
        Sr25519Keyring::Eve,
        Sr25519Keyring::Ferdie,
    ];
    build_struct_json_patch!(RuntimeGenesisConfig {
        block_time: BlockTimeConfig { milliseconds },
        balances: BalancesConfig {
            balances: wealthy
                .iter()
                .map(|key| (key.to_account_id(), ENDOWMENT))
                .collect(),
        },
        subnets: SubnetsConfig { audit_window },
        // Whoever tries a run wants to see it paid. Elsewhere the list is governed.
        emissions: EmissionsConfig { open: true },
        babe: BabeConfig {
            epoch_config: BABE_GENESIS_EPOCH_CONFIG
        },
        session: SessionConfig {
            keys: authorities
                .iter()
                .map(|key| (key.to_account_id(), key.to_account_id(), session_keys(*key)))
                .collect::<Vec<(AccountId, AccountId, SessionKeys)>>(),
        },
        sudo: SudoConfig {
            key: Some(Sr25519Keyring::Alice.to_account_id())
        },
        council: CouncilConfig {
            members: wealthy
                .iter()
                .take(3)
                .map(|key| key.to_account_id())
                .collect(),
        },
        governance: GovernanceConfig {
            development: true,
            hurry,
        },
    })
}

/// The session keys that `--alice` and its like put into a node's keystore.
fn session_keys(key: Sr25519Keyring) -> SessionKeys {
    let ed25519 = match key {
        Sr25519Keyring::Bob => Ed25519Keyring::Bob,
        Sr25519Keyring::Charlie => Ed25519Keyring::Charlie,
        Sr25519Keyring::Dave => Ed25519Keyring::Dave,
        _ => Ed25519Keyring::Alice,
    };
    SessionKeys {
        babe: key.public().into(),
        grandpa: ed25519.public().into(),
    }
}
