//! Why a connection was closed, as the other side reads it.

/// What a server tells a peer when it closes the connection, as QUIC's application error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Code {
    /// It is done, and nothing is wrong.
    Done = 0,
    /// This peer may not have anything: [`crate::Policy::admits`].
    NotAdmitted = 1,
    /// There is no room, or another connection took the place of this one.
    Full = 2,
    /// A request that no honest peer writes.
    Malformed = 3,
    /// A request did not come whole, or its reply was not taken, in time.
    Stalled = 4,
    /// Nothing was asked for too long.
    Idle = 5,
    /// The server stops.
    Leaving = 6,
    /// The disk failed after the reply had begun; closes one stream, not the connection.
    Failed = 7,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 8] = [
        Code::Done,
        Code::NotAdmitted,
        Code::Full,
        Code::Malformed,
        Code::Stalled,
        Code::Idle,
        Code::Leaving,
        Code::Failed,
    ];

    /// The code with this number.
    pub fn of(number: u64) -> Option<Code> {
        Code::ALL
            .into_iter()
            .find(|code| u64::from(*code as u32) == number)
    }

    /// What it says, as the end of a sentence about the server.
    pub fn said(self) -> &'static str {
        match self {
            Code::Done => "it closed the connection",
            Code::NotAdmitted => "it does not admit this peer",
            Code::Full => "it has no room",
            Code::Malformed => "it says that the request was malformed",
            Code::Stalled => "it says that this peer stalled",
            Code::Idle => "it closed an idle connection",
            Code::Leaving => "it stops serving",
            Code::Failed => "its disk failed",
        }
    }

    pub(crate) fn number(self) -> iroh::endpoint::VarInt {
        iroh::endpoint::VarInt::from_u32(self as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_part_of_the_protocol() {
        let numbers = Code::ALL.map(|code| code as u32);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
        for code in Code::ALL {
            assert_eq!(Code::of(code as u64), Some(code));
            assert_eq!(code.number().into_inner(), code as u64);
        }
        assert_eq!(Code::of(8), None);
    }
}
