//! What a node's refusal of a transaction means. Pure.

/// The code by which a node's `author` namespace calls a transaction invalid.
pub(crate) const INVALID: i32 = 1010;

/// What to do with a transaction that was offered to the node.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The node has it, or had it: look for it in the blocks.
    Look,
    /// Its nonce was taken: sign it anew.
    Again,
}

/// What to make of the refusal of a transaction. `unclear` says that the node may have got it before, when the
/// connection broke, `free` that the call may cost nothing. The error is the remedy. The codes are those of the
/// `author` namespace of every Substrate node.
pub(crate) fn judge(
    code: i32,
    message: &str,
    unclear: bool,
    free: bool,
) -> Result<Next, &'static str> {
    const UNKNOWN: i32 = 1011;
    const BANNED: i32 = 1012;
    const ALREADY_IMPORTED: i32 = 1013;
    const LOW_PRIORITY: i32 = 1014;
    const DROPPED: i32 = 1016;
    let says = |words: &str| message.contains(words);
    match code {
        ALREADY_IMPORTED => Ok(Next::Look),
        INVALID if says("outdated") && unclear => Ok(Next::Look),
        BANNED | LOW_PRIORITY if unclear => Ok(Next::Look),
        INVALID if says("outdated") => Ok(Next::Again),
        BANNED | LOW_PRIORITY => Ok(Next::Again),
        // What is free costs a fee where it would fail, and hotkeys seldom have anything to pay it with.
        INVALID if free && (says("pay some fees") || says("call is not expected")) => Err(
            "it is free once a round, in its phase, for members in its role: check the round and the role",
        ),
        INVALID if says("pay some fees") => Err("send the account some CRN"),
        INVALID if says("bad signature") || says("birth block") => {
            Err("the chain moved on meanwhile; try again")
        }
        INVALID if says("exhaust") => Err("the block was full; try again"),
        // What the chain says of an account that has as many waiting as it may, 64.
        UNKNOWN if says("Custom(1)") => Err(
            "64 transactions of this account wait for a block: try again once one of them is in one",
        ),
        DROPPED => Err("the node's pool is full; try again later"),
        _ => Err("check what the account may do now, then try again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_the_node_has_is_looked_for() {
        assert_eq!(
            judge(1013, "Transaction Already Imported", false, false),
            Ok(Next::Look)
        );
    }

    #[test]
    fn a_nonce_that_was_taken_is_drawn_again() {
        let outdated = "Invalid Transaction: Transaction is outdated";
        assert_eq!(judge(1010, outdated, false, false), Ok(Next::Again));
        assert_eq!(
            judge(1014, "Priority is too low: (1 vs 1)", false, false),
            Ok(Next::Again)
        );
        assert_eq!(
            judge(1012, "Transaction is temporarily banned", false, false),
            Ok(Next::Again)
        );
    }

    #[test]
    fn after_a_broken_connection_a_taken_nonce_may_be_our_own() {
        let outdated = "Invalid Transaction: Transaction is outdated";
        for (code, message) in [(1010, outdated), (1012, ""), (1013, ""), (1014, "")] {
            assert_eq!(judge(code, message, true, false), Ok(Next::Look), "{code}");
        }
    }

    #[test]
    fn what_will_not_do_is_refused_with_a_remedy() {
        let poor = "Invalid Transaction: Inability to pay some fees (e.g. account balance too low)";
        assert_eq!(
            judge(1010, poor, false, false),
            Err("send the account some CRN")
        );
        assert_eq!(
            judge(1010, poor, true, false),
            Err("send the account some CRN")
        );
        let free = judge(1010, poor, false, true).unwrap_err();
        assert!(free.contains("free once a round"), "{free}");
        for (code, message) in [
            (1016, "Immediately Dropped"),
            (1011, "Unknown Transaction Validity: Custom(1)"),
            (1010, "Custom error: 1"),
            (-1, ""),
        ] {
            assert!(judge(code, message, false, false).is_err(), "{code}");
        }
    }
}
