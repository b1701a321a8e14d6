//! A bond costs more than what it stands for had brought, in each row of the attack table in which one is at stake.
//!
//! Of a member that lost several bonds each is held against what it had been paid since the one before. One that had
//! taken its bond out before an audit was lost loses nothing by it, and must have been paid nothing. And no honest member
//! loses an audit, also where three of ten auditors are against it.

use cairn_sim::{
    attacks::{self, Attack, ALL},
    settings::{Kind, Role, Settings},
    world::{MemberResult, World},
};

const SEED: u64 = 7;
const ROUNDS: u32 = 12;
/// Tests that share the rows, so that they run side by side.
const PARTS: usize = 4;

/// Rows in which a bond is lost: were none lost in them, nothing would be held against anything.
const LOST: [&str; 17] = [
    "exam",
    "few-declared",
    "clones",
    "two-slots",
    "aggregate",
    "old-file",
    "half-steps",
    "private-data",
    "twice",
    "noise",
    "lying-node",
    "sign-flip",
    "tiny-norms",
    "scale",
    "double",
    "own-miner",
    "collusion-30",
];

fn network(attack: &Attack) -> Settings {
    let mut settings = Settings {
        engine: Kind::Tiny,
        ..Settings::honest(SEED, 4, 3, ROUNDS)
    };
    attacks::stage(&mut settings, attack, None);
    settings
}

/// Whether an attacker has a bond that an audit can take: what is audited is miners' work.
fn is_at_stake(attack: &Attack) -> bool {
    let cast = network(attack).cast;
    let mut attackers = cast.iter().filter(|one| one.attack.is_some());
    attackers.any(|one| one.role == Role::Miner && one.bond > 0)
}

/// What is wrong with the bonds of a row.
fn faults(attack: &Attack) -> Vec<String> {
    let world = World::new(network(attack)).expect("the network is set up");
    let result = world.run();
    let attackers = || result.members.iter().filter(|one| one.attack.is_some());
    let cheap = |one: &&MemberResult| one.losses.audits > 0 && one.losses.gain() >= 1.0;
    let said = |one: &MemberResult| {
        let (name, losses) = (&one.name, one.losses);
        format!("{}: {name} lost too little: {losses:?}", attack.name)
    };
    let mut faults: Vec<String> = attackers().filter(cheap).map(said).collect();
    let honest = result.members.iter().filter(|one| one.attack.is_none());
    let wronged = honest.filter(|one| one.losses.audits > 0);
    faults.extend(wronged.map(|one| format!("{}: {} lost an audit", attack.name, one.name)));
    let is_lost = attackers().any(|one| one.losses.taken > 0);
    if LOST.contains(&attack.name) && !is_lost {
        faults.push(format!("{}: no bond was lost", attack.name));
    }
    faults
}

fn bonds(part: usize) {
    let rows = ALL.into_iter().filter(|attack| is_at_stake(attack));
    let rows: Vec<&Attack> = rows.skip(part).step_by(PARTS).collect();
    assert!(rows.len() >= LOST.len() / PARTS, "hardly any rows");
    let faults: Vec<String> = rows.into_iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_lost_bond_costs_more_than_it_had_brought() {
    bonds(0);
}

#[test]
fn another_lost_bond_costs_more_than_it_had_brought() {
    bonds(1);
}

#[test]
fn yet_another_lost_bond_costs_more_than_it_had_brought() {
    bonds(2);
}

#[test]
fn the_last_lost_bonds_cost_more_than_they_had_brought() {
    bonds(3);
}

#[test]
fn a_bond_that_is_lost_was_at_stake() {
    for name in LOST {
        let attack = attacks::find(name).expect("it is in the table");
        assert!(is_at_stake(attack), "{name}");
    }
}
