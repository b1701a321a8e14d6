//! Scores by commit and reveal, scene by scene.

use cairn_primitives::{BlockNumber, EpochIndex, Hotkey, Netuid, Round, Secret, Served, Uid, H256};
use cairn_round::hidden_row::{self, Committed, HiddenRow, HiddenRows, Scoring, Step};

/// Blocks between two epochs.
const TEMPO: BlockNumber = 10;
const LIMIT: BlockNumber = 3;

fn hidden_row(round: Round, epoch: EpochIndex) -> HiddenRow {
    let salt = H256::from_low_u64_be(u64::from(round) << 32 | u64::from(epoch));
    HiddenRow::new(
        (Netuid(1), Hotkey(H256([9; 32]))),
        round,
        epoch,
        vec![(Uid(1), 7)],
        Served::default(),
        Secret::new(salt.0),
    )
}

/// The chain in the tempo before `epoch`.
fn voting(epoch: EpochIndex, commits: &[Committed]) -> Scoring {
    Scoring {
        commit_reveal: true,
        epoch,
        due: (epoch + 1) * TEMPO,
        rate_limit: LIMIT,
        commits: commits.to_vec(),
    }
}

fn commit(hidden_row: &HiddenRow, at: BlockNumber) -> Committed {
    Committed {
        epoch: hidden_row.epoch,
        hash: hidden_row.hash,
        at,
        revealed: false,
    }
}

#[test]
fn a_row_is_weighed_committed_and_revealed_after_the_epoch() {
    let mut hidden_rows = HiddenRows::default();
    assert_eq!(hidden_rows.next(&voting(0, &[]), 2), None);
    hidden_rows.scored(5);
    let weigh = Some(Step::Weigh(5, Some(0)));
    assert_eq!(hidden_rows.next(&voting(0, &[]), 2), weigh);
    assert_eq!(
        hidden_rows.next(&voting(0, &[]), 3),
        None,
        "it is under way"
    );
    let row = hidden_row(5, 0);
    hidden_rows.weighed(Some(row.clone()));
    let send = Some(Step::Commit(row.clone()));
    assert_eq!(hidden_rows.next(&voting(0, &[]), 3), send);
    hidden_rows.sent(true);
    let committed = commit(&row, 4);
    assert_eq!(
        hidden_rows.next(&voting(0, std::slice::from_ref(&committed)), 4),
        None
    );
    assert_eq!(
        hidden_rows.next(&voting(0, std::slice::from_ref(&committed)), 9),
        None,
        "never early"
    );
    let reveal = Some(Step::Reveal(row.clone()));
    assert_eq!(
        hidden_rows.next(&voting(1, std::slice::from_ref(&committed)), 10),
        reveal
    );
    hidden_rows.sent(true);
    let revealed = Committed {
        revealed: true,
        ..committed
    };
    assert_eq!(hidden_rows.next(&voting(1, &[revealed]), 11), None);
    assert_eq!(hidden_rows.kept, [row]);
    assert_eq!(hidden_rows.next(&voting(2, &[]), 20), None);
    assert_eq!(hidden_rows.kept, []);
}

#[test]
fn nothing_is_sent_that_would_land_in_the_block_of_the_epoch() {
    let row = hidden_row(5, 0);
    let mut hidden_rows = HiddenRows::new(vec![row.clone()]);
    assert_eq!(hidden_rows.next(&voting(0, &[]), 9), None);
    // The epoch ran without it: the row is made again, for the next.
    assert_eq!(
        hidden_rows.next(&voting(1, &[]), 10),
        Some(Step::Weigh(5, Some(1)))
    );
}

#[test]
fn a_commitment_has_a_block_to_spare_and_a_reveal_needs_none() {
    let row = hidden_row(5, 0);
    let on_disk = HiddenRows::new(vec![row.clone()]);
    let send = Some(Step::Commit(row.clone()));
    // The epoch is in block 10. What is sent at 7 is in block 8, or 9 if it comes late; at 8 there is no second chance.
    assert_eq!(on_disk.clone().next(&voting(0, &[]), 7), send);
    let mut late = on_disk.clone();
    assert_eq!(late.next(&voting(0, &[]), 8), None);
    // Nor is one made that could not be sent any more.
    let mut scored = HiddenRows::default();
    scored.scored(5);
    let weigh = Some(Step::Weigh(5, Some(0)));
    assert_eq!(scored.clone().next(&voting(0, &[]), 7), weigh);
    assert_eq!(scored.next(&voting(0, &[]), 8), None);
    // It is made again for the next epoch.
    let again = Some(Step::Weigh(5, Some(1)));
    assert_eq!(late.next(&voting(1, &[]), 10), again);
    // What is on chain is revealed as long as there is a block for it: the second epoch is in block 20.
    let committed = [commit(&row, 4)];
    let reveal = Some(Step::Reveal(row));
    assert_eq!(on_disk.clone().next(&voting(1, &committed), 18), reveal);
    assert_eq!(on_disk.clone().next(&voting(1, &committed), 19), None);
}

#[test]
fn a_validator_that_was_killed_goes_on_with_what_is_on_its_disk() {
    let row = hidden_row(5, 0);
    // Before the commitment was sent.
    let mut hidden_rows = HiddenRows::new(vec![row.clone()]);
    let send = Some(Step::Commit(row.clone()));
    assert_eq!(hidden_rows.next(&voting(0, &[]), 3), send);
    // After it.
    let mut hidden_rows = HiddenRows::new(vec![row.clone()]);
    let committed = [commit(&row, 4)];
    assert_eq!(hidden_rows.next(&voting(0, &committed), 5), None);
    let reveal = Some(Step::Reveal(row));
    assert_eq!(hidden_rows.next(&voting(1, &committed), 12), reveal);
}

#[test]
fn a_commitment_that_a_reorganisation_dropped_is_sent_again() {
    let row = hidden_row(5, 0);
    let mut hidden_rows = HiddenRows::new(vec![row.clone()]);
    let send = Some(Step::Commit(row.clone()));
    assert_eq!(hidden_rows.next(&voting(0, &[]), 3), send);
    hidden_rows.sent(true);
    assert_eq!(hidden_rows.next(&voting(0, &[commit(&row, 4)]), 4), None);
    assert_eq!(hidden_rows.next(&voting(0, &[]), 4), send);
}

#[test]
fn newer_scores_replace_a_commitment_when_the_chain_takes_them() {
    let row = hidden_row(5, 0);
    let mut hidden_rows = HiddenRows::new(vec![row.clone()]);
    hidden_rows.scored(6);
    let committed = [commit(&row, 4)];
    assert_eq!(
        hidden_rows.next(&voting(0, &committed), 5),
        None,
        "too soon"
    );
    let weigh = Some(Step::Weigh(6, Some(0)));
    assert_eq!(hidden_rows.next(&voting(0, &committed), 6), weigh);
    let newer = hidden_row(6, 0);
    hidden_rows.weighed(Some(newer.clone()));
    let send = Some(Step::Commit(newer.clone()));
    assert_eq!(hidden_rows.next(&voting(0, &committed), 6), send);
    hidden_rows.sent(false);
    // Should the newer one not get there in time, the older one is revealed.
    let reveal = Some(Step::Reveal(row));
    let mut late = hidden_rows.clone();
    assert_eq!(late.next(&voting(1, &committed), 10), reveal);
    let reveal = Some(Step::Reveal(newer.clone()));
    assert_eq!(
        hidden_rows.next(&voting(1, &[commit(&newer, 8)]), 10),
        reveal
    );
}

#[test]
fn what_is_refused_is_tried_three_times() {
    let row = hidden_row(5, 0);
    let mut hidden_rows = HiddenRows::new(vec![row.clone()]);
    for now in 1..4 {
        let send = Some(Step::Commit(row.clone()));
        assert_eq!(hidden_rows.next(&voting(0, &[]), now), send);
        hidden_rows.sent(false);
    }
    assert_eq!(hidden_rows.next(&voting(0, &[]), 4), None);
}

#[test]
fn evidence_can_be_demanded_of_what_the_chain_has_seen_revealed_and_of_nothing_else() {
    let rows = [hidden_row(5, 0), hidden_row(6, 0), hidden_row(7, 1)];
    let hidden = rows.each_ref().map(|row| commit(row, 4));
    assert_eq!(hidden_row::revealed(&rows, &hidden).count(), 0);
    let out = Committed {
        revealed: true,
        ..hidden[1]
    };
    let found: Vec<_> = hidden_row::revealed(&rows, &[out, hidden[2]])
        .cloned()
        .collect();
    assert_eq!(found, rows[1..2]);
}

#[test]
fn nothing_to_say_is_not_asked_for_again() {
    let mut hidden_rows = HiddenRows::default();
    hidden_rows.scored(5);
    assert!(hidden_rows.next(&voting(0, &[]), 1).is_some());
    hidden_rows.weighed(None);
    assert_eq!(hidden_rows.next(&voting(0, &[]), 2), None);
}

#[test]
fn no_more_than_four_ballots_are_kept() {
    let mut hidden_rows = HiddenRows::default();
    for round in 0..9 {
        hidden_rows.weighed(Some(hidden_row(round, 0)));
    }
    let rounds: Vec<Round> = hidden_rows
        .kept
        .iter()
        .map(|hidden_row| hidden_row.round)
        .collect();
    assert_eq!(rounds, [5, 6, 7, 8]);
}
