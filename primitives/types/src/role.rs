//! What a member is there for.

use core::{fmt, str::FromStr};

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;
use serde::{Deserialize, Serialize};

/// What a member is there for, as its coldkey chose.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    MaxEncodedLen,
    TypeInfo,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It trains, and is paid by incentive.
    #[default]
    Miner,
    /// It checks and scores, and is paid by dividends.
    Validator,
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Role::Miner => "miner",
            Role::Validator => "validator",
        })
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRole;

impl fmt::Display for UnknownRole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a role is miner or validator")
    }
}

impl core::error::Error for UnknownRole {}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Role, UnknownRole> {
        match text {
            "miner" => Ok(Role::Miner),
            "validator" => Ok(Role::Validator),
            _ => Err(UnknownRole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in [Role::Miner, Role::Validator] {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(
                serde_json::to_value(role).expect("plain data"),
                role.to_string()
            );
        }
        for text in ["", "Miner", "validators", "idle"] {
            assert_eq!(text.parse::<Role>(), Err(UnknownRole));
        }
    }
}
