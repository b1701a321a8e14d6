//! Who takes part: who comes and goes, who validates and who mines, and who is expected.

use cairn_primitives::{Hyperparameters, Netuid, Role, Uid};
use cairn_protocol::{
    attendance::Absence,
    eligibility::{claim, may_validate, seated, seats, Claim},
    notice, registration,
};

use super::{model, root, Section};

pub fn registration(page: &Section) {
    let domain = page.between("the text `", "`, the hash of block");
    let bytes = registration::payload(&root(1), Netuid(0x0203), &[4u8; 32]);
    let block = page.number("the hash of block ", ", the netuid");
    let netuid = page.number("the netuid in ", " bytes");
    let account = page.number("the coldkey in ", " bytes");
    let total = page.number("together ", " bytes");
    assert_eq!(block, 0);
    let before = [domain.as_bytes(), &[1; 32]].concat();
    assert_eq!(bytes[..before.len()], before);
    page.says("bytes, low one first");
    assert_eq!(bytes[before.len()..][..netuid as usize], [3, 2]);
    assert_eq!(bytes[before.len() + 2..], vec![4; account as usize]);
    assert_eq!(bytes.len() as u64, total);

    page.says("the member whom the last epoch paid least. Among equals the one that came first goes, then the lowest uid.");
    page.says("less than `immunity_period` ago stays, and so does the oldest of the owner's own");
    let rows = [
        (0, true, 1, 0),
        (1, false, 2, 5),
        (2, false, 2, 5),
        (3, false, 90, 0),
    ];
    let seats = rows.iter().map(|row| registration::Seat {
        uid: Uid(row.0),
        is_owners: row.1,
        registered_at: row.2,
    });
    let paid = |uid: Uid| rows[usize::from(uid.0)].3;
    assert_eq!(registration::replaced(seats, 11, 100, paid), Some(Uid(1)));
}

pub fn notice(page: &Section) {
    let tempos = page.number("the present unbonding period or ", " tempos");
    let rules = |tempo, unbonding_period| Hyperparameters {
        tempo,
        unbonding_period,
        ..Hyperparameters::default()
    };
    page.says("whichever is longer");
    let from = |rules| notice::rules_from(100, &rules).expect("blocks are left");
    assert_eq!(u64::from(from(rules(5, 7))), 100 + 5 * tempos);
    assert_eq!(from(rules(5, 70)), 170);
    let times = page.number("he may ask for ", " times as much");
    let least = page.number("at once, or for ", " CRN") * cairn_primitives::CRN;
    let asks = |stake| Hyperparameters {
        min_validator_stake: stake,
        ..Hyperparameters::default()
    };
    let may_be = |present, next| notice::is_gradual(&asks(present), &asks(next));
    assert!(may_be(2 * least, 2 * least * times) && !may_be(2 * least, 2 * least * times + 1));
    assert!(may_be(0, least) && !may_be(0, least + 1));
    page.says("an unbonding period after its coldkey announced it");
    assert_eq!(notice::swap_from(100, &rules(5, 70)), Some(170));
    let tempos = page.number("chosen again after ", " tempos");
    assert_eq!(
        u64::from(notice::role_from(100, &rules(5, 70))),
        100 + 5 * tempos
    );
}

pub fn eligibility(page: &Section) {
    let rules = |min_validator_stake, max_validators| Hyperparameters {
        min_validator_stake,
        min_miner_bond: 7,
        max_validators,
        ..Hyperparameters::default()
    };
    let least = page.number("`min_validator_stake`, and at least ", " pebble");
    let validates = |rules, stake| may_validate(&rules, Role::Validator, stake);
    assert!(validates(rules(0, 2), least) && !validates(rules(0, 2), least - 1));
    assert!(validates(rules(9, 2), 9) && !validates(rules(9, 2), 8));
    let most = page.number("never more than ", ".");
    assert_eq!(seats(&rules(1, u16::MAX)) as u64, most);
    page.says("There are `max_validators` of them");
    assert_eq!(seats(&rules(1, 5)), 5);
    page.says("to the most stake, of equal stakes to the lowest uid");
    let sitting = seated(&rules(1, 2), [(8, 5), (3, 5), (5, 6)], |(uid, stake)| {
        (Uid(*uid), Role::Validator, *stake)
    });
    assert_eq!(sitting, [(5, 6), (3, 5)]);
    page.says("mines if its bond is at least `min_miner_bond`");
    let claims = |role, stake, bond| claim(&rules(9, 0), role, || stake, || bond);
    assert_eq!(claims(Role::Miner, 0, 7), Claim::Data);
    assert_eq!(claims(Role::Miner, 0, 6), Claim::Nothing);
    page.says("Stake makes no miner a validator");
    assert_eq!(claims(Role::Miner, u64::MAX, 7), Claim::Data);
    page.says("never mines, even if no seat is left");
    assert_eq!(claims(Role::Validator, 9, 7), Claim::Seat);
    assert_eq!(claims(Role::Validator, 8, 7), Claim::Nothing);
}

pub fn attendance(page: &Section) {
    let most = page.number("that misses ", " rounds in a row");
    let missing = |rounds| (0..rounds).fold(Absence::default(), |one, _| one.after(false));
    assert!(!missing(most).is_expected() && missing(most - 1).is_expected());
    assert!(missing(most - 1).after(true).is_nothing());
    page.says("a miner that fails an [audit]");
    assert!(!Absence::default().out().is_expected());
    page.says("until it says that it is back");
    page.says("it has one round to show it");
    let back = missing(most).back().expect("it was not expected");
    assert!(back.is_expected() && !back.after(false).is_expected());
    assert!(back.after(true).is_nothing());
    let from = page.number("and from the ", "nd in a row on") as u32;
    let halved = |undecided, said| {
        Absence::default()
            .leak(None, model(1), undecided, said)
            .halved
    };
    page.says("With each round that has no final root");
    page.says("stake halves if it attested nothing");
    assert_eq!((halved(1, None), halved(from, None)), (1, 1));
    page.says("also if it attested another root than the leading one");
    let alone = [from - 1, from].map(|undecided| halved(undecided, Some(model(2))));
    assert_eq!(alone, [0, 1]);
    assert_eq!(halved(from, Some(model(1))), 0);
    let leaked = |halved| Absence {
        halved,
        ..Absence::default()
    };
    assert_eq!((leaked(0).counted(8), leaked(2).counted(8)), (8, 2));
    let least = page.number("is left is at least ", " pebble");
    assert_eq!(leaked(60).counted(8), least);
    page.says("once the validator has attested a final root");
    let after = |said| leaked(5).leak(Some(model(1)), model(1), 0, said).halved;
    assert_eq!((after(Some(model(1))), after(None)), (0, 5));
}
