//! What names a thing: subnet, member, hotkey, a model's parameters, a sealed contribution.
//!
//! Each is a type of its own around what it was before, so that two of them cannot be mixed up. To SCALE, to the
//! chain's metadata, to JSON and to the command line it is what it wraps.
//!
//! ```
//! use cairn_primitives::{Netuid, Uid};
//!
//! fn seat(netuid: Netuid, uid: Uid) -> (u16, u16) {
//!     (netuid.get(), uid.get())
//! }
//! assert_eq!(seat(Netuid(1), Uid(3)), (1, 3));
//! ```
//!
//! The other way round does not compile:
//!
//! ```compile_fail,E0308
//! use cairn_primitives::{Netuid, Uid};
//!
//! fn seat(netuid: Netuid, uid: Uid) -> (u16, u16) {
//!     (netuid.get(), uid.get())
//! }
//! seat(Uid(3), Netuid(1));
//! ```
//!
//! Nor do a plain number for a member, or a sum of two:
//!
//! ```compile_fail,E0308
//! let uid: cairn_primitives::Uid = 3;
//! ```
//!
//! ```compile_fail,E0369
//! use cairn_primitives::Uid;
//!
//! let sum = Uid(1) + Uid(2);
//! ```
//!
//! Nor does a contribution's root for a model's:
//!
//! ```compile_fail,E0308
//! use cairn_primitives::{ModelRoot, SealedRoot};
//!
//! let parent: ModelRoot = SealedRoot::zero();
//! ```

use core::fmt;

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::{Type, TypeInfo};
use serde::{Deserialize, Serialize};

use crate::H256;

/// Makes a type that names things out of the plain one that it wraps.
macro_rules! identity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone,
            Copy,
            Default,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            Encode,
            Decode,
            DecodeWithMemTracking,
            MaxEncodedLen,
            Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// What it wraps.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        // In the chain's metadata it is what it wraps, so clients that know nothing of it read it as before.
        impl TypeInfo for $name {
            type Identity = <$inner as TypeInfo>::Identity;

            fn type_info() -> Type {
                <$inner as TypeInfo>::type_info()
            }
        }

        impl From<$inner> for $name {
            fn from(inner: $inner) -> $name {
                $name(inner)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        // As short as the plain one: these stand in many a list.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

identity! {
    /// A subnet's number.
    Netuid(u16)
}

identity! {
    /// A member's number within its subnet.
    Uid(u16)
}

identity! {
    /// A member's working key: its sr25519 public key, which is also its account.
    Hotkey(H256)
}

impl Hotkey {
    /// Of an account, as the chain has it.
    pub fn of(account: &impl AsRef<[u8; 32]>) -> Hotkey {
        Hotkey(H256(*account.as_ref()))
    }

    /// Its 32 bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0 .0
    }
}

impl From<[u8; 32]> for Hotkey {
    fn from(bytes: [u8; 32]) -> Hotkey {
        Hotkey(H256(bytes))
    }
}

/// What a root of its own kind can do.
macro_rules! root {
    ($(#[$doc:meta])* $name:ident) => {
        identity! {
            $(#[$doc])*
            $name(H256)
        }

        impl $name {
            /// The root that names nothing.
            pub const fn zero() -> $name {
                $name(H256::zero())
            }

            /// Whether it names nothing.
            pub fn is_zero(&self) -> bool {
                self.0.is_zero()
            }

            /// Its 32 bytes.
            pub const fn bytes(&self) -> &[u8; 32] {
                &self.0 .0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> $name {
                $name(H256(bytes))
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.bytes()
            }
        }
    };
}

root! {
    /// Names a model's parameters: BLAKE3 of their bytes, as `cairn-gradient` computes it.
    ModelRoot
}

root! {
    /// Names a contribution's file as it is published: BLAKE3 of the sealed bytes.
    SealedRoot
}

impl Netuid {
    /// The number after this one; `None` after the last.
    pub fn next(self) -> Option<Netuid> {
        self.0.checked_add(1).map(Netuid)
    }
}

impl Uid {
    /// Its place in a list of all members.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeMap, format, string::ToString};
    use scale_info::MetaType;

    /// Holds an identity against what it wraps.
    macro_rules! is_as_plain {
        ($name:ident, $inner:ty, $plain:expr) => {{
            let plain: $inner = $plain;
            let identity = $name::from(plain);
            assert_eq!(identity.get(), plain);
            assert_eq!(identity.encode(), plain.encode());
            assert_eq!($name::decode(&mut &plain.encode()[..]), Ok(identity));
            assert_eq!($name::max_encoded_len(), <$inner>::max_encoded_len());
            // The registry of a chain's metadata tells types apart by this.
            assert_eq!(MetaType::new::<$name>(), MetaType::new::<$inner>());
            let json = serde_json::to_string(&plain).unwrap();
            assert_eq!(serde_json::to_string(&identity).unwrap(), json);
            assert_eq!(serde_json::from_str::<$name>(&json).unwrap(), identity);
            let keyed = BTreeMap::from([(plain, true)]);
            assert_eq!(
                serde_json::to_string(&BTreeMap::from([(identity, true)])).unwrap(),
                serde_json::to_string(&keyed).unwrap()
            );
            assert_eq!(identity.to_string(), plain.to_string());
            assert_eq!(format!("{identity:?}"), format!("{plain:?}"));
            assert_eq!($name::default().get(), <$inner>::default());
        }};
    }

    #[test]
    fn identities_look_like_what_they_wrap() {
        is_as_plain!(Netuid, u16, 513);
        is_as_plain!(Uid, u16, 255);
        is_as_plain!(Hotkey, H256, H256([7; 32]));
        is_as_plain!(ModelRoot, H256, H256([7; 32]));
        is_as_plain!(SealedRoot, H256, H256([7; 32]));
    }

    #[test]
    fn a_root_names_something_or_nothing() {
        assert!(ModelRoot::zero().is_zero() && SealedRoot::default().is_zero());
        let root = SealedRoot::from([7; 32]);
        assert!(!root.is_zero());
        assert_eq!(root.bytes(), &[7; 32]);
    }

    #[test]
    fn netuids_end() {
        assert_eq!(Netuid(7).next(), Some(Netuid(8)));
        assert_eq!(Netuid(u16::MAX).next(), None);
    }
}
