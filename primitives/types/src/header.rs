//! What a contribution says of itself.

use core::fmt;

use codec::{Decode, Encode};

use crate::{Hotkey, ModelRoot, Netuid, Round, H256};

/// The head of a contribution's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The subnet that it is for.
    pub netuid: Netuid,
    /// The round that it is for.
    pub round: Round,
    /// The hotkey of the miner that made it.
    pub hotkey: Hotkey,
    /// Model root of the parameters that the miner began with: the round's base.
    pub parent_root: ModelRoot,
    /// [`crate::Layout::hash`] of the model.
    pub layout_hash: H256,
    /// Inner steps that were done.
    pub inner_steps: u32,
    /// Tokens that were trained on.
    pub tokens: u64,
    /// Mean cross-entropy over those steps, in nats; finite and not negative.
    pub mean_loss: f32,
    /// What a replay of those steps begins from, and has to lead to.
    pub work: Work,
}

impl Header {
    /// Whether the mean loss is one: finite, and without a sign (not even that of −0).
    pub fn has_a_loss(&self) -> bool {
        self.mean_loss.is_finite() && self.mean_loss.is_sign_positive()
    }

    /// What the miner carries into its next round, by this header.
    pub fn after(&self) -> Carried {
        Carried {
            steps: self
                .work
                .before
                .steps
                .saturating_add(u64::from(self.inner_steps)),
            ..self.work.after
        }
    }
}

/// What binds a contribution to the inner steps that it came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// What the steps were computed on.
    pub engine: EngineClass,
    /// What the miner had from earlier rounds. The file has its `steps`.
    pub before: Carried,
    /// What it has for the next one. Its `steps` are not in the file: see [`Header::after`].
    pub after: Carried,
    /// Root of the tree over the steps' states, as the rule `trace` of `cairn-protocol` has it.
    pub trace: H256,
}

/// What a miner carries from round to round, beside the parameters that all hold: the BLAKE3 of each vector's
/// little-endian bytes. A vector that does not exist yet has the hash zero, and stands for zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Carried {
    /// Of the inner optimizer's first moment.
    pub first_moment: H256,
    /// Of its second moment.
    pub second_moment: H256,
    /// Of the error feedback.
    pub feedback: H256,
    /// Inner steps that the optimizer has done.
    pub steps: u64,
}

impl Carried {
    /// Whether it is the state of a miner that has done nothing yet.
    pub fn is_zero(&self) -> bool {
        *self == Carried::default()
    }
}

/// What computes inner steps, as far as others can expect the same bits of it: `cpu`, `cuda ` and the card's model, or
/// `process ` and what a program of its own says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EngineClass([u8; EngineClass::LENGTH]);

impl EngineClass {
    /// Bytes that it takes in a file: its text, filled up with zeros.
    pub const LENGTH: usize = 32;

    /// The CPU's, whose bits are the same on every machine.
    pub const CPU: EngineClass =
        EngineClass(*b"cpu\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");

    /// What the name of a card's class begins with.
    const CUDA: &'static [u8] = b"cuda ";

    /// What the name of a program's class begins with.
    const PROCESS: &'static [u8] = b"process ";

    /// That of an NVIDIA card, by its model's name. What is not printable ASCII is left out, and what is too long
    /// cut; a name of which nothing is left becomes `?`.
    pub fn cuda(model: &str) -> EngineClass {
        EngineClass::named(Self::CUDA, model)
    }

    /// That of a program of its own, by what it says that it is; cut as a card's name is.
    pub fn process(program: &str) -> EngineClass {
        EngineClass::named(Self::PROCESS, program)
    }

    fn named(kind: &[u8], name: &str) -> EngineClass {
        let name = name.bytes().filter(|byte| (b' '..=b'~').contains(byte));
        let mut name = name.peekable();
        let unknown = name.peek().is_none().then_some(b'?');
        let mut bytes = [0; EngineClass::LENGTH];
        let text = kind.iter().copied().chain(name).chain(unknown);
        for (place, byte) in bytes.iter_mut().zip(text) {
            *place = byte;
        }
        EngineClass(bytes)
    }

    /// The class that these bytes of a file name, if they name one.
    pub fn from_bytes(bytes: [u8; EngineClass::LENGTH]) -> Option<EngineClass> {
        let class = EngineClass(bytes);
        let text = class.text().as_bytes();
        let name = [Self::CUDA, Self::PROCESS]
            .iter()
            .find_map(|kind| text.strip_prefix(*kind));
        let is_printable = |name: &[u8]| name.iter().all(|byte| (b' '..=b'~').contains(byte));
        let is_named = name.is_some_and(|name| !name.is_empty() && is_printable(name));
        let rest = bytes.iter().skip(class.text().len());
        let is_filled_up = rest.into_iter().all(|byte| *byte == 0);
        (class == Self::CPU || is_named && is_filled_up).then_some(class)
    }

    /// Its bytes in a file.
    pub fn bytes(&self) -> &[u8; EngineClass::LENGTH] {
        &self.0
    }

    /// Its name; empty if it is none.
    pub fn text(&self) -> &str {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }

    /// Whether it is that of an NVIDIA card, or of several.
    pub fn is_card(&self) -> bool {
        self.0.starts_with(Self::CUDA)
    }

    /// Whether a replay has to give the same bits on every machine.
    pub fn is_exact(&self) -> bool {
        *self == Self::CPU
    }
}

impl Default for EngineClass {
    fn default() -> EngineClass {
        EngineClass::CPU
    }
}

impl fmt::Debug for EngineClass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.text())
    }
}

impl fmt::Display for EngineClass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_class_is_the_cpu_or_a_card_of_some_model() {
        let card = EngineClass::cuda("NVIDIA H200");
        assert_eq!(card.text(), "cuda NVIDIA H200");
        assert!(EngineClass::CPU.is_exact() && !card.is_exact());
        assert!(card.is_card() && !EngineClass::CPU.is_card());
        let program = EngineClass::process("torch 2.15.0 2x cpu");
        assert!(!program.is_card() && !EngineClass::process("cuda card").is_card());
        assert_eq!(program.text(), "process torch 2.15.0 2x cpu");
        assert!(!program.is_exact());
        for class in [EngineClass::CPU, card, program, EngineClass::cuda("µ\n")] {
            assert_eq!(EngineClass::from_bytes(*class.bytes()), Some(class));
        }
        assert_eq!(EngineClass::cuda("µ\n").text(), "cuda ?");
        let long = EngineClass::cuda("NVIDIA RTX 6000 Ada Generation of 2022");
        assert_eq!(long.text(), "cuda NVIDIA RTX 6000 Ada Generat");
        assert_eq!(EngineClass::from_bytes(*long.bytes()), Some(long));
    }

    #[test]
    fn nothing_else_is_one() {
        let of = |text: &[u8]| {
            let mut bytes = [0; EngineClass::LENGTH];
            bytes[..text.len()].copy_from_slice(text);
            EngineClass::from_bytes(bytes)
        };
        for text in [
            &b""[..],
            b"cpu ",
            b"cpu\0x",
            b"cuda",
            b"cuda ",
            b"cuda A\0B",
            b"cuda \n",
            b"cuda \xFF",
            b"tpu",
        ] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_carried_on_has_the_steps_done() {
        let after = Carried {
            first_moment: H256([1; 32]),
            ..Carried::default()
        };
        let before = Carried { steps: 60, ..after };
        let header = Header {
            netuid: Netuid(1),
            round: 2,
            hotkey: Hotkey(H256([3; 32])),
            parent_root: ModelRoot::zero(),
            layout_hash: H256::zero(),
            inner_steps: 30,
            tokens: 1,
            mean_loss: 1.0,
            work: Work {
                before,
                after,
                ..Work::default()
            },
        };
        assert_eq!(header.after(), Carried { steps: 90, ..after });
        assert!(Carried::default().is_zero() && !before.is_zero());
    }

    proptest! {
        #[test]
        fn a_class_has_one_text(bytes: [u8; EngineClass::LENGTH]) {
            prop_assert!(EngineClass::from_bytes(bytes).is_none_or(|class| *class.bytes() == bytes));
        }

        #[test]
        fn any_card_has_a_class(model: String) {
            let class = EngineClass::cuda(&model);
            prop_assert_eq!(EngineClass::from_bytes(*class.bytes()), Some(class));
        }
    }
}
