//! What became of a transaction: events and errors by name.

use std::fmt;

use codec::{Decode, DecodeAll};
use subxt::metadata::Metadata;

/// An event of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The pallet that it is of.
    pub pallet: String,
    /// Its name.
    pub name: String,
    /// SCALE of its fields.
    pub fields: Vec<u8>,
}

impl Event {
    /// All its fields as a tuple; `None` if they are not that.
    pub fn fields<T: Decode>(&self) -> Option<T> {
        T::decode_all(&mut &*self.fields).ok()
    }

    /// Its first fields; `None` if they are not that.
    pub fn first<T: Decode>(&self) -> Option<T> {
        T::decode(&mut &*self.fields).ok()
    }
}

/// An error of the runtime by name. Those that are not a pallet's are under the name of their kind:
/// `Token`, `Arithmetic`, `Transactional`, `Trie`, or `Runtime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchError {
    /// The pallet that it is of.
    pub pallet: String,
    /// Its name.
    pub name: String,
    /// What the pallet says about it; may be empty.
    pub explanation: String,
}

impl fmt::Display for DispatchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.pallet, self.name)?;
        match self.explanation.as_str() {
            "" => Ok(()),
            explanation => write!(formatter, " ({explanation})"),
        }
    }
}

impl std::error::Error for DispatchError {}

/// `sp_runtime::DispatchError` as it is on the wire.
#[derive(Decode, Debug)]
enum Wire {
    Other,
    CannotLookup,
    BadOrigin,
    Module { pallet: u8, error: [u8; 4] },
    ConsumerRemaining,
    NoProviders,
    TooManyConsumers,
    Token(Token),
    Arithmetic(Arithmetic),
    Transactional(Transactional),
    Exhausted,
    Corruption,
    Unavailable,
    RootNotAllowed,
    Trie(u8),
}

/// `sp_runtime::TokenError`.
#[derive(Decode, Debug)]
enum Token {
    FundsUnavailable,
    OnlyProvider,
    BelowMinimum,
    CannotCreate,
    UnknownAsset,
    Frozen,
    Unsupported,
    CannotCreateHold,
    NotExpendable,
    Blocked,
}

impl Token {
    fn explanation(&self) -> &'static str {
        match self {
            Token::FundsUnavailable => "the account does not have that much",
            Token::OnlyProvider | Token::NotExpendable => {
                "it would take the account below the existential deposit"
            }
            Token::BelowMinimum => "it would leave an account below the existential deposit",
            Token::CannotCreate | Token::CannotCreateHold => "the account cannot be created",
            Token::Frozen => "the funds are frozen",
            Token::Blocked => "the account cannot receive",
            Token::UnknownAsset | Token::Unsupported => "",
        }
    }
}

/// `sp_arithmetic::ArithmeticError`.
#[derive(Decode, Debug)]
enum Arithmetic {
    Underflow,
    Overflow,
    DivisionByZero,
}

/// `sp_runtime::TransactionalError`.
#[derive(Decode, Debug)]
enum Transactional {
    LimitReached,
    NoLayer,
}

/// Reads the error at the beginning of `bytes`; `name_of` knows the names of pallets' errors.
pub(crate) fn read_error(
    bytes: &[u8],
    name_of: impl Fn(u8, u8) -> Option<DispatchError>,
) -> Result<DispatchError, codec::Error> {
    let named = |pallet: &str, name: String, explanation: &str| DispatchError {
        pallet: pallet.to_string(),
        name,
        explanation: explanation.to_string(),
    };
    Ok(match Wire::decode(&mut &*bytes)? {
        Wire::Module {
            pallet,
            error: [error, ..],
        } => name_of(pallet, error).unwrap_or_else(|| {
            let name = format!("Error{error}");
            named(
                &format!("Pallet{pallet}"),
                name,
                "not in the metadata of the runtime",
            )
        }),
        Wire::Token(error) => named("Token", format!("{error:?}"), error.explanation()),
        Wire::Arithmetic(error) => named("Arithmetic", format!("{error:?}"), ""),
        Wire::Transactional(error) => named("Transactional", format!("{error:?}"), ""),
        Wire::Trie(error) => named("Trie", format!("Error{error}"), ""),
        Wire::BadOrigin => named(
            "Runtime",
            "BadOrigin".to_string(),
            "this key may not make this call",
        ),
        other => named("Runtime", format!("{other:?}"), ""),
    })
}

/// The name of a pallet's error, from the metadata.
pub(crate) fn name_in(metadata: &Metadata, pallet: u8, error: u8) -> Option<DispatchError> {
    let pallet = metadata.pallet_by_error_index(pallet)?;
    let variant = pallet.error_variant_by_index(error)?;
    Some(DispatchError {
        pallet: pallet.name().to_string(),
        name: variant.name.clone(),
        explanation: crate::error::reason(&variant.docs.join(" ")),
    })
}

/// What `MultisigExecuted` has before the result: who approved, the block and number of the first approval, the shared
/// account, the call's hash.
const BEFORE_RESULT: usize = 32 + 4 + 4 + 32 + 32;
/// What `RecoveredAccountControlled` has before the result: the account, who inherited it, the call's hash.
const BEFORE_INHERITED: usize = 32 + 32 + 32;

/// How a transaction ended, from its events.
pub(crate) fn outcome(
    events: &[Event],
    name_of: impl Fn(u8, u8) -> Option<DispatchError>,
) -> Result<Result<(), DispatchError>, codec::Error> {
    let mut executed = false;
    for event in events {
        match (event.pallet.as_str(), event.name.as_str()) {
            ("System", "ExtrinsicFailed") => return read_error(&event.fields, name_of).map(Err),
            ("System", "ExtrinsicSuccess") => executed = true,
            // These succeed even if what they do fails, and say so: Result<(), DispatchError>.
            ("Sudo", "Sudid" | "SudoAsDone") | ("Proxy", "ProxyExecuted") => {
                if let Some((1, error)) = event.fields.split_first() {
                    return read_error(error, name_of).map(Err);
                }
            }
            ("Multisig", "MultisigExecuted") | ("Recovery", "RecoveredAccountControlled") => {
                let before = match event.pallet.as_str() {
                    "Multisig" => BEFORE_RESULT,
                    _ => BEFORE_INHERITED,
                };
                let result = event.fields.get(before..).unwrap_or_default();
                if let Some((1, error)) = result.split_first() {
                    return read_error(error, name_of).map(Err);
                }
            }
            _ => {}
        }
    }
    if executed {
        return Ok(Ok(()));
    }
    Err("there is no event of how it ended".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::Encode;

    fn names(pallet: u8, error: u8) -> Option<DispatchError> {
        (pallet == 9 && error == 2).then(|| DispatchError {
            pallet: "Training".to_string(),
            name: "AlreadyCommitted".to_string(),
            explanation: "One commit per uid and round.".to_string(),
        })
    }

    fn read(bytes: &[u8]) -> String {
        read_error(bytes, names).map_or_else(|error| error.to_string(), |error| error.to_string())
    }

    fn event(pallet: &str, name: &str, fields: &[u8]) -> Event {
        Event {
            pallet: pallet.into(),
            name: name.into(),
            fields: fields.to_vec(),
        }
    }

    #[test]
    fn errors_are_read_as_the_runtime_writes_them() {
        // Variant numbers of sp_runtime::DispatchError.
        assert_eq!(
            read(&[3, 9, 2, 0, 0, 0]),
            "Training.AlreadyCommitted (One commit per uid and round.)"
        );
        assert!(read(&[3, 8, 1, 0, 0, 0]).starts_with("Pallet8.Error1"));
        assert!(read(&[7, 0]).starts_with("Token.FundsUnavailable"));
        assert!(read(&[7, 9]).starts_with("Token.Blocked"));
        assert_eq!(read(&[8, 1]), "Arithmetic.Overflow");
        assert_eq!(read(&[9, 0]), "Transactional.LimitReached");
        assert!(read(&[2]).starts_with("Runtime.BadOrigin"));
        assert_eq!(read(&[13]), "Runtime.RootNotAllowed");
        assert_eq!(read(&[14, 5]), "Trie.Error5");
    }

    #[test]
    fn what_is_no_error_is_refused() {
        for bytes in [&[][..], &[3], &[3, 9, 2], &[7], &[7, 10], &[15], &[255]] {
            assert!(read_error(bytes, names).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_events_say_how_it_ended() {
        let success = event("System", "ExtrinsicSuccess", &[0; 4]);
        let other = event("Training", "Committed", &[1, 0]);
        assert_eq!(
            outcome(&[other.clone(), success.clone()], names),
            Ok(Ok(()))
        );
        // The error is followed by the dispatch info.
        let failed = event("System", "ExtrinsicFailed", &[3, 9, 2, 0, 0, 0, 1, 2, 3, 4]);
        let error = outcome(&[other.clone(), failed], names)
            .unwrap()
            .unwrap_err();
        assert_eq!(
            (error.pallet.as_str(), error.name.as_str()),
            ("Training", "AlreadyCommitted")
        );
        assert!(outcome(&[other], names).is_err());
        assert!(outcome(&[event("System", "ExtrinsicFailed", &[])], names).is_err());
        let good = event("Sudo", "Sudid", &[0]);
        assert_eq!(outcome(&[good, success.clone()], names), Ok(Ok(())));
        let before = [7; BEFORE_RESULT];
        let of = |result: &[u8]| event("Multisig", "MultisigExecuted", &[&before, result].concat());
        assert_eq!(outcome(&[of(&[0]), success.clone()], names), Ok(Ok(())));
        let inherited = |result: &[u8]| {
            let before = [7; BEFORE_INHERITED];
            event(
                "Recovery",
                "RecoveredAccountControlled",
                &[&before, result].concat(),
            )
        };
        let good = inherited(&[0]);
        assert_eq!(outcome(&[good, success.clone()], names), Ok(Ok(())));
        for bad in [
            event("Sudo", "Sudid", &[1, 2]),
            event("Proxy", "ProxyExecuted", &[1, 2]),
            of(&[1, 2]),
            inherited(&[1, 2]),
        ] {
            let ended = outcome(&[bad, success.clone()], names).unwrap();
            assert_eq!(ended.unwrap_err().name, "BadOrigin");
        }
    }

    #[test]
    fn fields_are_read_whole_or_from_the_start() {
        let event = event(
            "Subnets",
            "SubnetCreated",
            &(3u16, [7u8; 32], 9u64).encode(),
        );
        assert_eq!(event.first::<u16>(), Some(3));
        assert_eq!(
            event.fields::<(u16, [u8; 32], u64)>(),
            Some((3, [7; 32], 9))
        );
        assert_eq!(event.fields::<u16>(), None);
        assert_eq!(event.first::<[u8; 64]>(), None);
    }
}
