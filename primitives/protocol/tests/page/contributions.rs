//! What a miner commits to and reveals, and when a validator vouches for it.

use std::collections::{BTreeMap, BTreeSet};

use cairn_primitives::{
    AuditRules, Carried, Commitment, EngineClass, Header, Hotkey, Netuid, Phase, SealedRoot, Uid,
    Work, H256,
};
use cairn_protocol::{
    commitment::{self, Contribution},
    trace,
    value::{fruitless, Evidence, Outcome},
    verdict::{
        check_card_bond, check_carried, check_header, check_length, check_norm, Engines, Field,
        Last, Owed, Refusal,
    },
};

use super::{a_commitment, evidence, model, root, Section, HOTKEY, KEY};

pub fn commitment(page: &Section) {
    let commit = |phase, known: Option<&Contribution<Hotkey>>, commitment| {
        commitment::commit(phase, known, HOTKEY, commitment, 100)
    };
    page.says("may commit once, in the train phase");
    let known = commit(Phase::Train, None, a_commitment(9)).expect("it may");
    assert!(commit(Phase::Reveal, None, a_commitment(9)).is_err());
    assert!(commit(Phase::Train, Some(&known), a_commitment(9)).is_err());
    let least = page.number("a file of at least ", " byte and");
    assert!(commit(Phase::Train, None, a_commitment(least)).is_ok());
    assert!(commit(Phase::Train, None, a_commitment(least - 1)).is_err());
    page.says("no hash that is zero");
    let zero = Commitment {
        sealed_root: SealedRoot::zero(),
        ..a_commitment(9)
    };
    assert!(commit(Phase::Train, None, zero).is_err());
    page.says("may reveal once, in the reveal phase, the key that it committed to");
    let reveal = |phase, known: &Contribution<Hotkey>, hotkey, key| {
        commitment::reveal(phase, Some(known.clone()), (Netuid(7), 4, hotkey), key)
    };
    let revealed = reveal(Phase::Reveal, &known, &HOTKEY, KEY).expect("it may");
    assert!(reveal(Phase::Train, &known, &HOTKEY, KEY).is_err());
    assert!(reveal(Phase::Attest, &known, &HOTKEY, KEY).is_err());
    assert!(reveal(Phase::Reveal, &known, &HOTKEY, [6; 32]).is_err());
    assert!(reveal(Phase::Reveal, &revealed, &HOTKEY, KEY).is_err());
    page.says("opens nothing for anybody else");
    assert!(reveal(Phase::Reveal, &known, &Hotkey(H256([4; 32])), KEY).is_err());
}

pub fn trace(page: &Section) {
    page.says("the state before the first inner step, that after each `trace_every` steps, and that after the last");
    let steps = page.number("with ", " steps and a distance") as u32;
    let every = page.number("a distance of ", ", those after") as u16;
    let traced = (0..=steps).filter(|done| trace::is_traced(*done, steps, every));
    let listed: Vec<String> = traced.map(|done| done.to_string()).collect();
    page.says(&format!("those after {}", listed.join(", ")));
    page.says("opens no others than those that it had");
    let states: Vec<H256> = (0..5).map(root).collect();
    let (top, shown) = (
        trace::root(&states),
        trace::proof(&states, 3).expect("it is there"),
    );
    assert!(
        trace::opens(top, 5, 3, states[3], &shown) && !trace::opens(top, 5, 2, states[3], &shown)
    );
}

pub fn verdict(page: &Section) {
    let owed = |parent_root| Owed {
        netuid: Netuid(7),
        round: 4,
        hotkey: HOTKEY,
        commitment: Commitment {
            parent_root,
            ..a_commitment(9)
        },
        parent_root: model(1),
        layout_hash: root(8),
        inner_steps: 30,
        engines: Engines::Any,
    };
    let header = Header {
        netuid: Netuid(7),
        round: 4,
        hotkey: HOTKEY,
        parent_root: model(1),
        layout_hash: root(8),
        inner_steps: 30,
        tokens: 1,
        mean_loss: 2.0,
        work: Work::default(),
    };
    assert_eq!(check_header(&owed(model(1)), &header), Ok(()));
    type Spoil = fn(&mut Header);
    let spoils: BTreeMap<&str, Spoil> = BTreeMap::from([
        ("subnet", (|header| header.netuid = Netuid(1)) as Spoil),
        ("round", |header| header.round = 1),
        ("hotkey", |header| header.hotkey = Hotkey(H256([1; 32]))),
        ("parent root", |header| header.parent_root = model(9)),
        ("layout", |header| header.layout_hash = root(9)),
    ]);
    let named = page.between("must name the ", " that it is for");
    let named: BTreeSet<&str> = named.split(", ").flat_map(|n| n.split(" and ")).collect();
    assert_eq!(named, spoils.keys().copied().collect());
    for (field, spoil) in spoils {
        let mut other = header.clone();
        spoil(&mut other);
        let refusal = check_header(&owed(model(1)), &other).expect_err(field);
        assert!(refusal.to_string().contains(field), "{refusal}");
    }
    page.says("It is not broken for another parent root");
    assert!(!Refusal::Other(Field::ParentRoot).is_broken());
    assert!(!Refusal::Other(Field::CommittedParentRoot).is_broken());
    page.says("nor for a bond, for its norm, for what it begins from");
    let (found, least) = (1, 2);
    assert!(!Refusal::CardBond { found, least }.is_broken());
    assert!(!Refusal::Small.is_broken() && !Refusal::Carried.is_broken());
    page.says("not in the format or has another length, and a header with another subnet, round, hotkey or layout");
    let (found, committed) = (1, 2);
    assert!(Refusal::Length { found, committed }.is_broken());
    for field in [Field::Netuid, Field::Round, Field::Hotkey, Field::Layout] {
        assert!(Refusal::Other(field).is_broken(), "{field}");
    }
    page.says("with too many inner steps, or with an engine that the run does not take");
    let (found, most) = (2, 1);
    assert!(Refusal::InnerSteps { found, most }.is_broken() && Refusal::Engine.is_broken());
    page.says("The commitment must name the same parent root");
    assert!(check_header(&owed(model(9)), &header).is_err());
    page.says("at most the inner steps that a round has");
    let more = Header {
        inner_steps: 31,
        ..header.clone()
    };
    assert!(check_header(&owed(model(1)), &more).is_err());
    page.says(
        "In a run that audits it must name what can be replayed as what computed it: a CPU, or",
    );
    let audited = Owed {
        engines: Engines::Cpu,
        ..owed(model(1))
    };
    let card = Header {
        work: Work {
            engine: EngineClass::cuda("a card"),
            ..Work::default()
        },
        ..header.clone()
    };
    assert!(check_header(&owed(model(1)), &card).is_ok());
    assert!(check_header(&audited, &card).is_err() && check_header(&audited, &header).is_ok());
    page.says("or, if the run has a tolerance, NVIDIA cards");
    let rules = AuditRules {
        rate: 1,
        tolerance: 1,
        card_bond: 5,
        ..AuditRules::default()
    };
    let tolerant = Owed {
        engines: Engines::of(&rules),
        ..owed(model(1))
    };
    assert!(check_header(&tolerant, &card).is_ok() && check_header(&tolerant, &header).is_ok());
    page.says("`card_bond` times the subnet's least bond");
    let bonds = [(&card, 49), (&card, 50), (&header, 10)];
    let good = bonds.map(|(header, bond)| check_card_bond(header, &rules, bond, 10).is_ok());
    assert_eq!(good, [false, true, true]);
    let parts = page.number("at least 1/", " of the median norm");
    let norm = 3.0;
    assert!(check_norm(norm / parts as f64, Some(norm)).is_ok());
    assert!(check_norm(0.99 * norm / parts as f64, Some(norm)).is_err());
    page.says("Before the first such round any norm will do");
    assert!(check_norm(1e-9, None).is_ok());
    page.says("what its maker had after its last included contribution, or from nothing");
    let ended = Carried {
        feedback: root(4),
        ..Carried::default()
    };
    let from = |before| Header {
        work: Work {
            before,
            ..Work::default()
        },
        ..header.clone()
    };
    assert!(check_carried(&from(ended), &Last::Ended(ended)).is_ok());
    assert!(check_carried(&from(Carried::default()), &Last::Ended(ended)).is_ok());
    assert!(check_carried(&from(ended), &Last::Nothing).is_err());
    page.says("A maker that was not included goes on from where it was before that round.");
    page.says("Who has not seen all rounds does not object to a maker of which it has seen none.");
    assert!(check_carried(&from(ended), &Last::Unknown).is_ok());
    page.says("the length that were committed to");
    assert!(check_length(&owed(model(1)), 9).is_ok() && check_length(&owed(model(1)), 8).is_err());
    before_pay(page);
}

/// 32 gains, in the mean `mean`, which is so many standard errors above zero, of who declared so many of 8 steps.
fn measured(uid: u16, (mean, errors): (f64, f64), steps: u32) -> Evidence {
    let off = mean / errors * 31f64.sqrt();
    let gain = |i: u32| (mean + if i.is_multiple_of(2) { off } else { -off }) as f32;
    let gains: Vec<f32> = (0..32).map(gain).collect();
    evidence((4, Uid(uid)), (steps, 8), [gains.clone(), gains])
}

/// What was measured of a round is held against the next one, before anybody has earned anything.
fn before_pay(page: &Section) {
    // Three that gained 1, so clearly, and another one.
    let is_refused = |clear: f64, gained: (f64, f64), steps: u32| {
        let mut found: Vec<Evidence> = (1..4).map(|uid| measured(uid, (1.0, clear), 8)).collect();
        found.push(measured(4, gained, steps));
        let included: Vec<Uid> = found.iter().map(|one| one.uid).collect();
        !fruitless(4, &included, &found).is_empty()
    };
    let clear = page.number(
        "If that is more than ",
        " standard errors above zero, a maker",
    ) as f64;
    assert!(is_refused(1.01 * clear, (-1.0, -9.0), 8));
    assert!(!is_refused(0.99 * clear, (-1.0, -9.0), 8));
    let least = 1.0 / page.number("gained less than 1/", " of the usual gain") as f64;
    assert!(is_refused(9.0, (0.99 * least, 9.0), 8) && !is_refused(9.0, (1.01 * least, 9.0), 8));
    let unclear = 1.0 / page.number("or less than 1/", " of it and") as f64;
    assert!(is_refused(9.0, (0.99 * unclear, 1.0), 8));
    assert!(!is_refused(9.0, (1.01 * unclear, 1.0), 8));
    let errors = page.number("and no more than ", " standard errors above zero.") as f64;
    assert!(is_refused(9.0, (unclear / 2.0, 0.99 * errors), 8));
    assert!(!is_refused(9.0, (unclear / 2.0, 1.01 * errors), 8));
    page.says("Of who declared only a part of the inner steps the square of that part is asked.");
    assert!(!is_refused(9.0, (unclear / 2.0, 1.0), 5) && is_refused(9.0, (unclear / 2.0, 1.0), 6));
    let least = page.number("on fewer than ", " such windows, does not object.") as usize;
    assert!(!is_refused_on(least - 1) && is_refused_on(least));
}

/// Whether harm is refused that was measured on so many windows that nobody had to train on, and on none of its own.
fn is_refused_on(windows: usize) -> bool {
    let mut found: Vec<Evidence> = (1..5).map(|uid| measured(uid, (1.0, 9.0), 8)).collect();
    let included: Vec<Uid> = found.iter().map(|one| one.uid).collect();
    if let Outcome::Measured {
        assigned,
        unassigned,
        ..
    } = &mut found[3].outcome
    {
        *assigned = Vec::new();
        *unassigned = vec![-1.0; windows];
    }
    !fruitless(4, &included, &found).is_empty()
}
