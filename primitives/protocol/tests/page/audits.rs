//! Which contributions are replayed, by whom, and what follows.

use cairn_primitives::{
    finding_hash, AuditOutcome, AuditRules, Finding, Hotkey, InnerOptimizer, Nano, Netuid, Phases,
    Served, Uid, H256,
};
use cairn_protocol::{
    audit::{self as rule, Refusal, Said, Stage, Times},
    emission::Attendance,
    exam,
    tolerance::{are_moments_possible, Distances, Vectors, OF_PARAMETERS},
};

use super::{root, Section, HOTKEY, KEY};

pub fn audit(page: &Section) {
    page.says("from randomness that nobody knew at the reveals");
    assert_ne!(
        rule::seed(Netuid(7), 4, root(1)),
        rule::seed(Netuid(7), 4, root(2))
    );
    assert_ne!(
        rule::seed(Netuid(7), 4, root(1)),
        exam::exam(Netuid(7), 4, root(1))
    );
    let all = page.number("sets, so many of ", ".") as u32;
    let rules = AuditRules {
        rate: all,
        auditors: 1,
        blocks: 4,
        ..AuditRules::default()
    };
    let is_one = |rules: AuditRules| rules.check(&audited_phases(1_992, 100)).is_ok();
    let above = AuditRules {
        rate: all + 1,
        ..rules
    };
    assert!(is_one(rules) && !is_one(above));
    assert!((0..99).all(|uid| rule::draw(root(1), Uid(uid), all).is_some()));
    let steps = page.number("states: with ", " steps") as u32;
    let every = page.number("distance of ", ", the steps up to") as u16;
    let ends = |drawn| rule::interval(drawn, steps, every).map(|one| (one.begin, one.end));
    let first = page.number("the steps up to ", ", from there to") as u32;
    let second = page.number("from there to ", ", or the last") as u32;
    let three = [(0, first), (first, second), (second, steps)].map(Some);
    assert_eq!([0, 1, 2].map(ends), three);
    assert_eq!(ends(3), ends(0));
    let last = page.number(", or the last ", ".") as u32;
    assert_eq!(steps - second, last);
    page.says("A contribution of no steps has no interval: nothing can be served of it, so its audit fails");
    assert_eq!(rule::interval(0, 0, every), None);
    let most = page.number("an odd number of at most ", ".") as u8;
    let with = |auditors| is_one(AuditRules { auditors, ..rules });
    assert!(with(most) && !with(most + 2) && !with(most - 1));
    page.says("there are fewer if there are no more");
    assert_eq!(rule::auditors(root(1), Uid(3), &[1, 2], 3).len(), 2);
    stages(page, rules);
    who_decides(page);
    let pay = page.number("for a pay of ", " pebble at");
    let rate = page.number("pebble at ", " of 65,536") as u32;
    let of = page.number("pebble at 16,384 of ", ", it is");
    assert_eq!(u64::from(AuditRules::EACH), of);
    let bond = page.number("it is ", " pebble");
    assert_eq!(rule::least_bond(pay, rate), Some(bond));
    assert_eq!(rule::least_bond(pay, rate - 1), Some(bond + 1));
    page.says("missed one more final round, if it had attested the last");
    let mut attended = Attendance::default();
    attended.note(true);
    attended.miss();
    assert_eq!(attended.attended(), (0, 1));
}

pub fn tolerance(page: &Section) {
    let rules = AuditRules {
        rate: 1,
        auditors: 1,
        blocks: 4,
        ..AuditRules::default()
    };
    page.says("0, which is usual, admits no card");
    assert!(!rules.admits_cards());
    let each = page.number("The tolerance is so many of ", ": ");
    assert_eq!(each, u64::from(AuditRules::EACH));
    let usual = page.number("of 65,536: ", ", a 32nd, is what was measured");
    assert_eq!(usual, u64::from(AuditRules::USUAL_TOLERANCE));
    let part = page.number(", a ", "nd, is what was measured");
    assert_eq!(each, part * usual);
    let most = page.number("at most ", ", a 16th") as u16;
    let least = page.number("4,096, a ", "th. 0, which is usual");
    assert_eq!(each, least * u64::from(most));
    let with = |tolerance| {
        let rules = AuditRules { tolerance, ..rules };
        rules.check(&audited_phases(1_992, 100)).is_ok()
    };
    assert!(with(most) && !with(most + 1));
    page.says("Where nothing changed nothing may lie between");
    page.says("The second moment that was served is nowhere below the idle one");
    let one = [1.0f32];
    let state = |parameters, second_moment| Vectors {
        parameters,
        first_moment: &one,
        second_moment,
    };
    let idle = state(&one, &one);
    let found =
        |replayed, served, tolerance| Distances::of(idle, replayed, served).are_within(tolerance);
    assert!(found(idle, idle, 0) && !found(idle, state(&[1.000_001], &one), most));
    assert!(!found(state(&one, &[2.0]), state(&one, &[0.999_999]), most));
    page.says("a first moment longer than any gradients");
    let inner = optimizer();
    let is_possible = |of| are_moments_possible(&inner, of, 40);
    assert!(is_possible(state(&one, &one)) && !is_possible(state(&one, &[0.0])));
    let times = page.number("that of the parameters within ", " times the tolerance");
    assert_eq!(times, u64::from(OF_PARAMETERS));
    let part = page.number("of which a card serves ", " of 16, ") as f32;
    let passes = page.number("of 16, passes at a tolerance of ", " of 65,536") as u16;
    let (made, shown) = ([17.0f32], [1.0 + part]);
    let at = |tolerance| found(state(&made, &one), state(&shown, &one), tolerance);
    assert!(at(passes) && !at(passes - 1));
}

/// AdamW with the usual decays.
fn optimizer() -> InnerOptimizer {
    InnerOptimizer {
        steps: 10,
        sequences: 1,
        sequence_length: 1,
        learning_rate: Nano(1_000_000),
        final_rate: Nano(0),
        warmup_steps: 0,
        total_steps: 100,
        beta1: Nano(900_000_000),
        beta2: Nano(950_000_000),
        epsilon: Nano(10),
        weight_decay: Nano(0),
        clip_norm: Nano::ONE,
        trace_every: 1,
        matrices: Default::default(),
    }
}

/// Phases of a round of `train` and eight blocks, of which so many percent pass in any case.
fn audited_phases(train: u32, floor: u8) -> Phases {
    Phases {
        train,
        reveal: 4,
        attest: 4,
        floor,
    }
}

/// What may be said in which stage of an audit.
fn stages(page: &Section, rules: AuditRules) {
    let least = page.number("run sets: at least ", " blocks") as u32;
    let most = page.number("blocks, at most ", ", and no longer") as u32;
    let fits = |blocks, phases| AuditRules { blocks, ..rules }.check(&phases).is_ok();
    let short = audited_phases(2, 100);
    assert!(fits(least, short) && !fits(least - 1, short));
    let long = audited_phases(9_000, 100);
    assert!(fits(most, long) && !fits(most + 1, long) && !fits(11, short));
    page.says("of two stages more");
    page.says("Five of them");
    assert_eq!(AuditRules::STAGES, 5);
    let rounds = page.number("Five of them are over before ", " of the shortest rounds") as u32;
    let quick = audited_phases(292, 10);
    let longest = (rounds * quick.shortest() - 1) / AuditRules::STAGES;
    assert!(fits(longest, quick) && !fits(longest + 1, quick));
    let each = page.number("It has at most ", " bytes for each parameter");
    let more = page.number("each parameter and ", " more");
    assert_eq!(rule::longest(1_000, &rules), 1_000 * each + more);
    let of_cards = page.number("in a run that admits cards ", " in place");
    let replaced = page.number("in place of ", ".");
    let tolerant = AuditRules {
        tolerance: 1,
        ..rules
    };
    assert_eq!(rule::longest(1_000, &tolerant), 1_000 * of_cards + more);
    assert_eq!(replaced, each);
    let times = Times {
        start: 100,
        blocks: 5,
    };
    let at = [104, 105, 110, 115].map(|now| times.stage(now));
    let all = [Stage::Open, Stage::Commit, Stage::Reveal, Stage::Over];
    assert_eq!(at, all);
    page.says("They commit in the fourth stage and reveal in the fifth");
    let dispute = times.of_dispute(115);
    let at = [114, 115, 120, 125].map(|now| dispute.stage(now));
    assert_eq!(at, all);
    let served = Served {
        root: root(1),
        length: 9,
    };
    page.says("In the first the miner says");
    let open = |stage| rule::open(stage, None, &served, 9);
    assert_eq!(
        all.map(|stage| open(stage).is_ok()),
        [true, false, false, false]
    );
    page.says("In the second stage each auditor commits");
    let commit = |stage| rule::commit(stage, true, None, root(1)).is_ok();
    assert_eq!(all.map(commit), [false, true, false, false]);
    page.says("in the third it reveals that");
    let known = Said::Committed(finding_hash(
        (Netuid(7), 4, Uid(2)),
        &HOTKEY,
        Finding::Failed,
        &[1; 32],
    ));
    let reveal = |stage, at, hotkey| {
        rule::reveal(stage, Some(&known), (at, hotkey), Finding::Failed, &[1; 32])
    };
    let right = |stage| reveal(stage, (Netuid(7), 4, Uid(2)), &HOTKEY).is_ok();
    assert_eq!(all.map(right), [false, false, true, false]);
    page.says("bound to subnet, round, contribution and hotkey");
    for (at, hotkey) in [
        ((Netuid(8), 4, Uid(2)), &HOTKEY),
        ((Netuid(7), 5, Uid(2)), &HOTKEY),
        ((Netuid(7), 4, Uid(3)), &HOTKEY),
        ((Netuid(7), 4, Uid(2)), &Hotkey(H256(KEY))),
    ] {
        let wrong = reveal(Stage::Reveal, at, hotkey);
        assert_eq!(wrong, Err(Refusal::WrongHash));
    }
}

/// How an audit ends.
fn who_decides(page: &Section) {
    let (yes, no) = (Finding::Passed, Finding::Failed);
    page.says("If nobody found that the work is false, and somebody replayed it, it has passed");
    assert_eq!(rule::of_drawn([yes]), Some(AuditOutcome::Passed));
    page.says("Where an auditor finds that the work is false there is a *dispute*");
    assert_eq!(rule::of_drawn([yes, yes, no]), None);
    let of = |failed, passed, quiet| {
        rule::of_all([(failed, Some(no)), (passed, Some(yes)), (quiet, None)])
    };
    let all = page.number("Where 67 of ", " say so the work");
    let failing = page.number("half of it does. Where ", " of 100 say so");
    assert_eq!(of(failing, all - failing, 0), AuditOutcome::Failed);
    assert_eq!(
        of(failing - 1, all - failing + 1, 0),
        AuditOutcome::Undecided
    );
    let passing = page.number("the work is false, where ", " do not it has passed");
    assert_eq!(of(all - passing, passing, 0), AuditOutcome::Passed);
    assert_eq!(
        of(all - passing + 1, passing - 1, 0),
        AuditOutcome::Undecided
    );
    let more = page.number("it has passed. Where ", " say so and");
    let fewer = page.number("say so and ", " do not, nobody decides");
    assert_eq!(more + fewer, all);
    assert_eq!(of(more, fewer, 0), AuditOutcome::Undecided);
    page.says("Where less than half of the stake revealed something nobody decides either");
    assert_eq!(of(49, 0, 51), AuditOutcome::Undecided);
    assert_eq!(of(50, 0, 50), AuditOutcome::Failed);
    page.says("or something that a dispute did not bear out, has missed");
    assert!(rule::is_missed(Some(no), true, AuditOutcome::Passed));
    page.says("Who was not drawn misses nothing where nobody decides");
    assert!(!rule::is_missed(None, false, AuditOutcome::Undecided));
    assert!(rule::is_missed(None, false, AuditOutcome::Passed));
    page.says("nobody loses anything");
    assert_eq!(rule::of_drawn([]), Some(AuditOutcome::Undecided));
    assert!(!AuditOutcome::Undecided.is_lost());
    page.says("fails by its silence");
    assert!(AuditOutcome::Silent.is_lost());
}
