//! Reads what a method of ours is called with, and says in words what is wrong with it.

use cairn_primitives::{EpochIndex, Netuid, Round, Uid};
use cairn_runtime::Hash;
use jsonrpsee_substrate::types::{ErrorCode, ErrorObjectOwned, Params};
use serde_json::Value;
// Coherence does not see through the runtime's name for it.
use sp_runtime::AccountId32 as AccountId;

use super::{failure, read_account, schema};
use crate::address;

/// What a method says of one of its parameters.
pub struct Declared {
    /// Its name.
    pub name: &'static str,
    /// Whether it has to be there.
    pub is_required: bool,
    /// What is expected, in words.
    pub expected: &'static str,
    /// What is expected, as a JSON Schema.
    pub schema: fn() -> Value,
}

impl Declared {
    const fn needed<T: Parameter>(name: &'static str) -> Declared {
        Declared {
            name,
            is_required: true,
            expected: T::EXPECTED,
            schema: T::schema,
        }
    }

    const fn may<T: Parameter>(name: &'static str) -> Declared {
        Declared {
            is_required: false,
            ..Declared::needed::<T>(name)
        }
    }
}

/// The block to answer from: the last parameter of every method.
pub const AT: Declared = Declared::may::<Hash>("at");
/// A subnet.
pub const NETUID: Declared = Declared::needed::<Netuid>("netuid");
/// A member.
pub const UID: Declared = Declared::needed::<Uid>("uid");
/// A member, or none for the whole subnet.
pub const ANY_UID: Declared = Declared::may::<Uid>("uid");
/// A round.
pub const ROUND: Declared = Declared::needed::<u32>("round");
/// The round to begin with.
pub const FROM_ROUND: Declared = Declared::needed::<u32>("from");
/// The epoch to begin with.
pub const FROM_EPOCH: Declared = Declared::may::<u32>("from");
/// The subnet to begin with.
pub const FROM_NETUID: Declared = Declared::may::<Netuid>("from");
/// The member to begin with.
pub const FROM_UID: Declared = Declared::may::<Uid>("from");
/// The most of a page.
pub const LIMIT: Declared = Declared::may::<u32>("limit");
/// A hotkey.
pub const HOTKEY: Declared = Declared::needed::<AccountId>("hotkey");
/// A coldkey.
pub const COLDKEY: Declared = Declared::needed::<AccountId>("coldkey");
/// Any account.
pub const ACCOUNT: Declared = Declared::needed::<AccountId>("account");
/// The position after which a page begins.
pub const AFTER: Declared = Declared::may::<(Netuid, AccountId)>("after");

/// The hotkey after which a page begins.
pub const AFTER_HOTKEY: Declared = Declared::may::<AccountId>("after");

/// The audit after which a page begins.
pub const AFTER_AUDIT: Declared = Declared::may::<(Round, Uid)>("after");

/// The parameters of a call, by their place in a list or by name in an object.
pub struct Parameters {
    declared: &'static [Declared],
    values: Vec<Option<Value>>,
    next: usize,
}

/// Something that a method is called with.
pub trait Parameter: Sized {
    /// What is expected, in words.
    const EXPECTED: &'static str;

    /// What is expected, as a JSON Schema.
    fn schema() -> Value;

    /// Reads it; an error of its own, or `None` for one that says what is expected.
    fn read(value: &Value) -> Option<Result<Self, ErrorObjectOwned>>;
}

impl Parameters {
    /// Takes the parameters of a method that has these.
    pub fn new(
        params: &Params<'_>,
        declared: &'static [Declared],
    ) -> Result<Parameters, ErrorObjectOwned> {
        let text = params.as_str().unwrap_or("[]");
        let given = serde_json::from_str(text).unwrap_or_default();
        let values = match given {
            Value::Null => Vec::new(),
            Value::Array(values) if values.len() <= declared.len() => {
                values.into_iter().map(Some).collect()
            }
            Value::Array(values) => {
                let given = values.len();
                return Err(invalid(format!(
                    "{given} parameters are given; {}",
                    takes(declared)
                )));
            }
            Value::Object(mut object) => {
                let names = declared.iter().map(|parameter| parameter.name);
                let values = names.map(|name| object.remove(name)).collect();
                if let Some(name) = object.keys().next() {
                    let shown = shorten(name);
                    let takes = takes(declared);
                    return Err(invalid(format!("there is no parameter `{shown}`; {takes}")));
                }
                values
            }
            _ => {
                return Err(invalid(format!(
                    "parameters are a list; {}",
                    takes(declared)
                )))
            }
        };
        Ok(Parameters {
            declared,
            values,
            next: 0,
        })
    }

    /// The next parameter, which has to be there.
    pub fn required<T: Parameter>(&mut self) -> Result<T, ErrorObjectOwned> {
        let (name, value) = self.step();
        match value {
            Value::Null => Err(invalid(format!(
                "`{name}` is missing; expected {}",
                T::EXPECTED
            ))),
            value => read(name, &value),
        }
    }

    /// The next parameter, which may be null or left out.
    pub fn optional<T: Parameter>(&mut self) -> Result<Option<T>, ErrorObjectOwned> {
        let (name, value) = self.step();
        match value {
            Value::Null => Ok(None),
            value => read(name, &value).map(Some),
        }
    }

    /// The next two parameters: where a page begins, and how long it may be; `first` and `most` if nothing is said.
    pub fn page<T: Parameter>(
        &mut self,
        first: T,
        most: u32,
    ) -> Result<(T, u32), ErrorObjectOwned> {
        let (from, limit) = (self.optional()?, self.optional()?);
        Ok((from.unwrap_or(first), limit.unwrap_or(most)))
    }

    fn step(&mut self) -> (&'static str, Value) {
        let at = self.next;
        self.next = at.saturating_add(1);
        let value = self.values.get_mut(at).and_then(Option::take);
        let declared = self.declared.get(at);
        let name = declared.map_or("parameter", |parameter| parameter.name);
        (name, value.unwrap_or_default())
    }
}

fn read<T: Parameter>(name: &str, value: &Value) -> Result<T, ErrorObjectOwned> {
    T::read(value).unwrap_or_else(|| {
        let shown = shorten(&value.to_string());
        let expected = T::EXPECTED;
        Err(invalid(format!("`{name}` is {shown}; expected {expected}")))
    })
}

fn takes(declared: &[Declared]) -> String {
    let names: Vec<&str> = declared.iter().map(|parameter| parameter.name).collect();
    format!("this method takes: {}", names.join(", "))
}

/// What is quoted comes from outside: not at any length, and not with characters that move a cursor.
fn shorten(text: &str) -> String {
    let shown: String = text.chars().take(64).collect();
    shown.escape_debug().to_string().replace("\\\"", "\"")
}

fn invalid(message: String) -> ErrorObjectOwned {
    failure(ErrorCode::InvalidParams.code(), message)
}

macro_rules! numbers {
    ($($number:ty as $plain:ty: $expected:literal),+) => {$(
        impl Parameter for $number {
            const EXPECTED: &'static str = $expected;

            fn schema() -> Value {
                schema::of::<$number>()
            }

            fn read(value: &Value) -> Option<Result<Self, ErrorObjectOwned>> {
                let plain: $plain = value.as_u64()?.try_into().ok()?;
                Some(Ok(plain.into()))
            }
        }
    )+};
}

numbers!(
    Netuid as u16: "a number from 0 to 65535",
    Uid as u16: "a number from 0 to 65535",
    u32 as u32: "a number from 0 to 4294967295"
);
// Round, EpochIndex and BlockNumber are one type.
const _: [fn(Round) -> EpochIndex; 1] = [|n| n];

impl Parameter for AccountId {
    const EXPECTED: &'static str = address::EXPECTED;

    fn schema() -> Value {
        schema::of::<AccountId>()
    }

    fn read(value: &Value) -> Option<Result<Self, ErrorObjectOwned>> {
        value.as_str().map(read_account)
    }
}

impl Parameter for Hash {
    const EXPECTED: &'static str = "a block's hash: 0x and 64 hexadecimal digits";

    fn schema() -> Value {
        schema::of::<Hash>()
    }

    fn read(value: &Value) -> Option<Result<Self, ErrorObjectOwned>> {
        let text = value.as_str().filter(|text| text.starts_with("0x"))?;
        text.parse().ok().map(Ok)
    }
}

impl Parameter for (Round, Uid) {
    const EXPECTED: &'static str = "a list of a round's number and a uid";

    fn schema() -> Value {
        schema::of::<(Round, Uid)>()
    }

    fn read(value: &Value) -> Option<Result<Self, ErrorObjectOwned>> {
        let [round, uid] = value.as_array()?.as_slice() else {
            return None;
        };
        let (round, uid) = (Round::read(round)?, Uid::read(uid)?);
        Some(round.and_then(|round| Ok((round, uid?))))
    }
}

impl Parameter for (Netuid, AccountId) {
    const EXPECTED: &'static str = "a list of a subnet's number and a hotkey's address";

    fn schema() -> Value {
        schema::of::<(Netuid, AccountId)>()
    }

    fn read(value: &Value) -> Option<Result<Self, ErrorObjectOwned>> {
        let [netuid, hotkey] = value.as_array()?.as_slice() else {
            return None;
        };
        let (netuid, hotkey) = (Netuid::read(netuid)?, AccountId::read(hotkey)?);
        Some(netuid.and_then(|netuid| Ok((netuid, hotkey?))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    fn given(text: &str) -> Result<Parameters, ErrorObjectOwned> {
        Parameters::new(&Params::new(Some(text)), &[NETUID, HOTKEY, AT])
    }

    fn all(text: &str) -> Result<(Netuid, AccountId, Option<Hash>), ErrorObjectOwned> {
        let mut parameters = given(text)?;
        Ok((
            parameters.required()?,
            parameters.required()?,
            parameters.optional()?,
        ))
    }

    #[test]
    fn they_are_read_from_a_list_or_by_name() {
        let alice = read_account(ALICE).expect("an address");
        let at = Hash::repeat_byte(7);
        let listed = all(&format!(r#"[1, "{ALICE}", "{at:?}"]"#));
        assert_eq!(listed, Ok((Netuid(1), alice.clone(), Some(at))));
        let named = all(&format!(r#"{{"hotkey": "{ALICE}", "netuid": 1}}"#));
        assert_eq!(named, Ok((Netuid(1), alice.clone(), None)));
        assert_eq!(
            all(&format!(r#"[1, "{ALICE}", null]"#)),
            Ok((Netuid(1), alice, None))
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_expected() {
        let long = format!(r#"["{}"]"#, "x".repeat(10_000));
        for (text, words) in [
            ("[]", ["`netuid` is missing", "from 0 to 65535"]),
            (r#"["two"]"#, ["`netuid` is \"two\"", "from 0 to 65535"]),
            ("[70000]", ["`netuid` is 70000", "from 0 to 65535"]),
            ("[-1]", ["`netuid` is -1", "from 0 to 65535"]),
            ("[1.5]", ["`netuid` is 1.5", "from 0 to 65535"]),
            ("[1]", ["`hotkey` is missing", "SS58"]),
            ("[1, 2]", ["`hotkey` is 2", "SS58"]),
            ("[1, 2, 3, 4]", ["4 parameters", "netuid, hotkey, at"]),
            (r#"{"net": 1}"#, ["`net`", "netuid, hotkey, at"]),
            (r#"["\u001b[31m"]"#, ["`netuid` is", "from 0 to 65535"]),
            ("7", ["a list", "netuid, hotkey, at"]),
            (&long, ["`netuid` is", "from 0 to 65535"]),
        ] {
            let error = all(text).expect_err(text);
            let message = error.message();
            assert_eq!(error.code(), -32602, "{message}");
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
            assert!(message.len() < 300 && !message.contains(char::is_control));
        }
    }

    #[test]
    fn a_wrong_address_keeps_its_own_code_and_a_wrong_hash_is_told() {
        assert_eq!(all(r#"[1, "Alice"]"#).expect_err("no address").code(), 4);
        let error = all(&format!(r#"[1, "{ALICE}", "latest"]"#)).expect_err("no hash");
        assert!(error
            .message()
            .contains("`at` is \"latest\"; expected a block's hash"));
    }

    #[test]
    fn a_page_begins_at_the_first_and_is_as_long_as_may_be_if_nothing_is_said() {
        let page = |text| {
            let params = Params::new(Some(text));
            let mut parameters = Parameters::new(&params, &[FROM_UID, LIMIT, AT])?;
            let page = parameters.page(Uid(0), 256)?;
            // What follows is the next parameter's.
            parameters.optional::<Hash>().map(|_| page)
        };
        for (text, expected) in [
            ("[]", (Uid(0), 256)),
            ("[null, null]", (Uid(0), 256)),
            ("[3]", (Uid(3), 256)),
            ("[null, 5]", (Uid(0), 5)),
            (r#"{"limit": 0, "from": 7}"#, (Uid(7), 0)),
        ] {
            assert_eq!(page(text), Ok(expected), "{text}");
        }
        for (text, name) in [("[-1]", "`from`"), ("[1, \"all\"]", "`limit`")] {
            let error = page(text).expect_err(text);
            assert!(error.message().contains(name), "{}", error.message());
        }
    }

    #[test]
    fn pairs_are_read() {
        let mut parameters =
            Parameters::new(&Params::new(Some(r#"[[1, "nobody"]]"#)), &[AFTER]).expect("a list");
        let wrong = parameters.optional::<(Netuid, AccountId)>();
        assert_eq!(wrong.expect_err("no address").code(), 4);
    }
}
