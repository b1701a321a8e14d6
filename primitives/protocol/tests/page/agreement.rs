//! What validators attest, what becomes of a round by it, and which root is final.

use std::collections::BTreeSet;

use cairn_primitives::{
    AuditRules, Combination, Commitment, Hotkey, Judgement, ModelRoot, Netuid, Standing, Uid,
    Verdicts, Witness, H256,
};
use cairn_protocol::{
    attestation::{self, Attestation, Statement, Tally},
    combination::{self, Brought},
    commitment::Contribution,
    exam, limits,
    lineage::{contradiction, penalties, percent_of, Ancestor},
    phase::Attesting,
    settlement::{settle, trusts, Room, Settled},
    value::{Evidence, Outcome},
};

use super::{a_commitment, model, root, Section, HOTKEY, KEY};

fn witness(gains: u8, loss: u32) -> Witness {
    let gains = root(gains);
    Witness { gains, loss }
}

fn attested(good: &[Uid]) -> Attestation {
    judged(good, &[])
}

fn judged(good: &[Uid], broken: &[Uid]) -> Attestation {
    Attestation {
        model_root: model(1),
        verdicts: Judgement::new(good.iter().copied(), broken.iter().copied()),
        witness: witness(2, 5),
        salt: [9; 32],
    }
}

/// A tally of validators with these stakes and of these revealed contributions.
fn tally(stakes: &[u64], revealed: &[Uid]) -> Tally {
    let mut tally = Tally::new(stakes.iter().copied());
    for uid in revealed {
        tally.reveal(*uid).expect("there is room");
    }
    tally
}

pub fn attestation(page: &Section) {
    page.says("commits once, in the first half of the attest phase, to a hash that is not zero");
    let commit = |half, known, hash| attestation::commit(half, known, hash).is_ok();
    let at = (Netuid(7), 4, &HOTKEY);
    let said = attested(&[Uid(1)]);
    let known = Statement::Committed(said.hash(at));
    assert!(commit(Attesting::Commit, None, root(1)));
    assert!(!commit(Attesting::Commit, Some(&known), root(1)));
    assert!(!commit(Attesting::Commit, None, H256::zero()));
    page.says("It attests once, in the second half: to a root that is not zero");
    let may = |half, known: &Statement, at, said: &Attestation| {
        attestation::check(half, Some(known), at, said).is_ok()
    };
    assert!(may(Attesting::Open, &known, at, &said));
    assert!(!may(
        Attesting::Open,
        &Statement::Attested(said.clone()),
        at,
        &said
    ));
    for half in [Attesting::NotYet, Attesting::Commit, Attesting::Over] {
        assert!(!may(half, &known, at, &said));
        assert_eq!(commit(half, None, root(1)), half == Attesting::Commit);
    }
    let zero = Attestation {
        model_root: ModelRoot::zero(),
        ..said.clone()
    };
    assert!(!may(
        Attesting::Open,
        &Statement::Committed(zero.hash(at)),
        at,
        &zero
    ));
    page.says("must be what it committed to, with its salt, for that subnet, round and hotkey");
    let salted = Attestation {
        salt: [8; 32],
        ..said.clone()
    };
    assert!(!may(Attesting::Open, &known, at, &salted));
    page.says("and what shows that it measured the round before");
    for witness in [witness(3, 5), witness(2, 6)] {
        let other = Attestation {
            witness,
            ..said.clone()
        };
        assert!(!may(Attesting::Open, &known, at, &other));
    }
    let (above, below) = page.fraction("Where more than ", " of the attesting stake gave the same");
    let decisive = |stake: u64| {
        let other = (witness(3, 5), below * 100 - stake);
        attestation::decisive_witness([(witness(2, 5), stake), other])
    };
    assert_eq!(
        (decisive(above * 100 + 1), decisive(above * 100)),
        (Some(witness(2, 5)), None)
    );
    page.says("whoever gave another, or none, has not attended the round");
    page.says("In a run that does not audit, nobody is asked for it, and no witness decides");
    let rules = |rate| AuditRules {
        rate,
        ..AuditRules::default()
    };
    assert_eq!(
        [0, 1].map(|rate| attestation::asks_for_witness(&rules(rate))),
        [false, true]
    );
    let piece = page.number("on the first ", " windows that its miner had to train on") as usize;
    assert_eq!(piece as u64, limits::EXAM_PIECE);
    let stated = page.number("began on ", " windows that nobody had to train on");
    assert_eq!(stated, limits::EXAM_LOSS);
    let shows = |changed: usize| {
        let mut assigned = vec![0.5; 2 * piece];
        assigned[changed] = 0.25;
        let evidence = Evidence {
            round: 3,
            uid: Uid(1),
            hotkey: HOTKEY,
            outcome: Outcome::Measured {
                steps: 1,
                of: 1,
                alike: 1,
                repeats: false,
                assigned,
                unassigned: vec![0.5; piece],
                settled: vec![],
                unseen: vec![],
            },
        };
        exam::witness((Netuid(7), 3), root(1), &[Uid(1)], &[evidence], Some(9))
    };
    assert_ne!(shows(piece - 1), shows(piece));
    assert_eq!(shows(piece), shows(2 * piece - 1));
    loss(page);
    broken(page);
    for other in [
        (Netuid(8), 4, &HOTKEY),
        (Netuid(7), 5, &HOTKEY),
        (Netuid(7), 4, &Hotkey(H256([4; 32]))),
    ] {
        assert!(!may(Attesting::Open, &known, other, &said));
    }
    page.says("counts for nothing");
    let mut tally = tally(&[40, 60], &[Uid(1), Uid(2)]);
    tally.miner_leaves(Uid(2));
    let mut same = tally.clone();
    same.add(&attested(&[Uid(1), Uid(2), Uid(3)]), 40)
        .expect("it fits");
    assert_eq!(same.support.keys().copied().collect::<Vec<Uid>>(), [Uid(1)]);
    page.says("counts the stake that the validator had");
    tally.add(&attested(&[Uid(1)]), 40).expect("it fits");
    assert_eq!((tally.attesting_stake, tally.support[&Uid(1)]), (40, 40));
    page.says("goes when the validator leaves");
    let left = tally.validator_leaves(Uid(9), 40, Some(&attested(&[Uid(1)])));
    assert_eq!(left, Ok(()));
    assert_eq!((tally.attesting_stake, tally.support[&Uid(1)]), (0, 0));
    assert_eq!(tally.total_stake, 60);
}

/// What was found broken, and who called that good.
fn broken(page: &Section) {
    page.says("to what it found good and what it found [broken]");
    page.says("Nothing may be both");
    let at = (Netuid(7), 4, &HOTKEY);
    for (said, may) in [
        (judged(&[Uid(1)], &[Uid(2)]), true),
        (judged(&[Uid(1)], &[Uid(1)]), false),
    ] {
        let known = Statement::Committed(said.hash(at));
        let found = attestation::check(Attesting::Open, Some(&known), at, &said);
        assert_eq!(found.is_ok(), may);
    }
    let (above, below) = page.fraction("What at least ", " of the attesting stake called broken");
    let found = |against: u64| {
        let mut tally = tally(&[below * 100], &[Uid(1)]);
        let added = tally.add(&judged(&[], &[Uid(1)]), against);
        assert_eq!(added, Ok(()));
        let added = tally.add(&attested(&[Uid(1)]), below * 100 - against);
        assert_eq!(added, Ok(()));
        tally.found_broken()
    };
    let broken = found(above * 100);
    assert!(broken.contains(Uid(1)) && !found(above * 100 - 1).contains(Uid(1)));
    page.says("a validator that called that good has not opened it");
    assert_eq!(attested(&[Uid(1)]).called_unseen(&broken), Some(Uid(1)));
    assert_eq!(attested(&[Uid(2)]).called_unseen(&broken), None);
    // What it loses, and that it has not attended, the training pallet's tests hold.
    page.says("It has not attended the round, and loses as much as for a [root that lost]");
}

/// What validators say of the loss, and what the chain keeps of it.
fn loss(page: &Section) {
    page.says("and the mean loss of the parameters with which that round began");
    page.says("each window's is rounded, then their mean, halves up");
    assert_eq!(exam::mean_loss([0.000_001, 0.000_002]), Some(2));
    let micros = page.number("in units of one ", "th of a nat");
    assert_eq!(exam::mean_loss([1.0]).map(u64::from), Some(micros));
    page.says("It is 0 if none is stated");
    page.says("as where one is no number");
    assert_eq!(exam::mean_loss([1.0, f32::NAN]), None);
    assert_eq!(witness(2, 0).stated_loss(), None);
    page.says("The chain keeps the stated loss with the root of the round before");
    // Where that is kept, the training pallet's tests hold.
    let half = [(witness(2, 5), 50), (witness(2, 6), 50)];
    assert_eq!(attestation::decisive_witness(half), None);
    page.says("Where no witness decides, none is kept");
}

pub fn settlement(page: &Section) {
    let (above, below) = page.fraction("with at least ", " of the round's stake");
    let quorum = |stake| {
        let mut tally = tally(&[below * 100], &[]);
        tally.add(&attested(&[]), stake).expect("it fits");
        tally.has_quorum()
    };
    assert!(quorum(above * 100) && !quorum(above * 100 - 1));
    let (above, below) = page.fraction("what at least ", " of the attesting stake");
    let drawn = |exam: u8, parent, support: u64, most, revealed: &[Uid]| {
        let mut tally = tally(&[below * 100], revealed);
        tally.add(&attested(revealed), support).expect("it fits");
        tally
            .add(&attested(&[]), below * 100 - support)
            .expect("it fits");
        let contribution = |uid: Uid| {
            Some(Contribution {
                hotkey: uid,
                commitment: Commitment {
                    parent_root: parent,
                    ..a_commitment(9)
                },
                key: Some(KEY),
            })
        };
        // The last epoch's incentive of uid 6 is the highest.
        let incentive = |uid: Uid| u16::from(uid == Uid(6));
        let nobody = Verdicts::default();
        let exam = H256([exam; 32]);
        let room = Room { most, exam };
        settle(&tally, None, None, room, &nobody, contribution, incentive)
    };
    let included =
        |parent, support, most, revealed: &[Uid]| drawn(0, parent, support, most, revealed);
    let of = |settled: Settled<Uid>| -> Vec<Uid> {
        let included = settled.included.iter();
        included.map(|one| one.uid).collect()
    };
    let uids =
        |parent, support, most, revealed: &[Uid]| of(included(parent, support, most, revealed));
    assert_eq!(uids(model(1), above * 100, 9, &[Uid(4)]), [Uid(4)]);
    assert!(uids(model(1), above * 100 - 1, 9, &[Uid(4)]).is_empty());
    page.says("what began from the final root");
    assert!(uids(model(2), above * 100, 9, &[Uid(4)]).is_empty());
    page.says("the highest incentive of the last epoch comes first. Among equals the lot decides");
    let two = |exam| of(drawn(exam, model(1), above * 100, 2, &[4, 5, 6].map(Uid)));
    let lots: BTreeSet<Vec<Uid>> = (0..16).map(two).collect();
    assert_eq!(
        lots,
        BTreeSet::from([[4, 6], [5, 6]].map(|two| two.map(Uid).to_vec()))
    );
    page.says("If nothing is included the round is null, and the parameters stay");
    let null = included(model(2), above * 100, 9, &[Uid(4)]);
    assert_eq!(null.expected, Some(model(1)));
    let best = page.number("earned most in the last epoch has ", ".");
    assert_eq!(u64::from(trusts(&[1_000, 500])[0]), best);
    page.says("in proportion to what they earned");
    assert_eq!(u64::from(trusts(&[1_000, 500])[1]), best / 2);
    let least = page.number("never less than a ", "th of the most");
    assert_eq!(u64::from(trusts(&[1_000, 1])[1]), best / least);
    page.says("no more than the least of these could");
    assert_eq!(u64::from(trusts(&[1_000, 0])[1]), best / least);
    let together = page.number("at most one ", "th of all trust");
    let newcomers = trusts(&[1_000, 0, 0, 0]);
    assert_eq!(u64::from(newcomers[1]), best / (together - 1) / 3);
    page.says("If nobody earned anything, all have the same");
    assert_eq!(trusts(&[0, 0]), [u16::MAX; 2]);
}

pub fn combination(page: &Section) {
    let one = |trust, is_proven, steps| Brought {
        standing: Standing { trust, is_proven },
        steps,
    };
    let by_tokens = |brought: &[Brought]| combination::counts(Combination::Tokens, brought);
    page.says("by trust, or by trust times tokens");
    let brought = [one(9, true, 30), one(8, true, 15)];
    assert_eq!(combination::counts(Combination::Trust, &brought), [9, 8]);
    assert_eq!(by_tokens(&brought), [9, 4]);
    // `RunConfig::check` refuses others: the training pallet's tests hold that, and that settlements note it.
    page.says("Only a run that audits may count tokens");
    page.says("A settlement notes whose makers are proven at that time");
    page.says("the least number such that the proven makers with no more have half of their trust");
    let proven = [10, 20, 40].map(|steps| one(100, true, steps));
    let beside = |other| by_tokens(&[&proven[..], &[other]].concat())[3];
    assert_eq!(beside(one(100, false, 40)), beside(one(100, true, 20)));
    assert_eq!(beside(one(100, false, 15)), beside(one(100, true, 15)));
    let least = page.number("to the nearest integer, and ", " at least");
    assert_eq!(
        u64::from(by_tokens(&[one(5, true, 0), one(5, true, 9)])[0]),
        least
    );
    let trust = page.number("With a trust of ", ", one of") as u16;
    let steps = page.number("one of ", " steps counts") as u32;
    let most = page.number("where the most are ", ".") as u32;
    let counts = page.number("steps counts ", " where the most");
    let found = by_tokens(&[one(trust, true, steps), one(1, true, most)]);
    assert_eq!(u64::from(found[0]), counts);
    page.says("So where all made the same number of steps, they count as they do by trust");
    assert_eq!(by_tokens(&[one(9, true, 7), one(8, false, 7)]), [9, 8]);
    page.says("Where nobody is proven, or nobody made a step, all count by trust alone");
    assert_eq!(by_tokens(&[one(9, false, 7), one(8, false, 1)]), [9, 8]);
    assert_eq!(by_tokens(&[one(9, true, 0), one(8, true, 0)]), [9, 8]);
}

pub fn lineage(page: &Section) {
    let (above, below) = page.fraction("a quorum and at least ", " of the attesting stake");
    let of = |expected, votes: &[(u8, u64)]| {
        let mut tally = tally(&[below * 100], &[]);
        for (number, stake) in votes {
            let attestation = Attestation {
                model_root: model(*number),
                ..attested(&[])
            };
            tally.add(&attestation, *stake).expect("it fits");
        }
        Ancestor::of(expected, &tally)
    };
    page.says("the most stake behind it leads, of equals the smallest");
    assert_eq!(of(None, &[(3, 90), (2, 100)]).model_root, model(2));
    assert_eq!(of(None, &[(3, 100), (2, 100)]).model_root, model(2));
    let split = |most: u64| of(None, &[(3, most), (2, below * 100 - most)]).final_root();
    assert_eq!(split(above * 100), Some(model(3)));
    assert_eq!(split(above * 100 - 1), None);
    page.says("unless the chain knows better. The chain knows the root of round 0");
    assert_eq!(of(Some(model(2)), &[(3, below * 100)]).final_root(), None);
    page.says("after a null round it knows that the parameters are those before it");
    let last = of(None, &[(3, below * 100)]);
    assert_eq!(last.expected_next(None, false), Some(model(3)));
    assert_eq!(last.expected_next(None, true), None);
    page.says("another root than the final one of its round has diverged");
    assert_eq!(contradiction(4, model(3), [(4, model(2))]), Some(model(2)));
    assert_eq!(contradiction(4, model(2), [(4, model(2))]), None);
    assert_eq!(contradiction(5, model(3), [(4, model(2))]), None);
    let low = page.number("final one loses ", " % of the bond");
    let high = page.number("on its hotkey, and ", " % if that root");
    let share = page.number("more than a ", "rd of the attesting stake");
    let loses = |stake| {
        let said = [(9, model(2), share * 100 - stake), (8, model(3), stake)];
        let found = penalties(model(2), &said);
        assert_eq!(found.len(), 1);
        u64::from(found[0].1)
    };
    assert_eq!((loses(100), loses(101)), (low, high));
    assert_eq!(percent_of(1_000, low as u8), 10 * low);
    page.says("Where no root is final nobody loses anything");
}
