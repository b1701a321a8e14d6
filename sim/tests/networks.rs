//! Whole networks: honest ones in fine weather and in storms, and that the same seed is the same run.

use cairn_primitives::{
    AuditRules, Combination, Judgement, ModelRoot, Phases, Round, Uid, Witness, CRN,
};
use cairn_round::{machine::Transaction, View};
use cairn_sim::{
    attacks::{self, report::longest},
    behaviour::Behaviour,
    meter::Part,
    settings::{Kind, Recruit, Role, Settings, Terms, Weather},
    world::{Expense, Expenses, MemberResult, RoundResult, RunResult, World},
};

fn run(settings: Settings) -> RunResult {
    World::new(settings).expect("the network is set up").run()
}

#[test]
fn an_honest_network_settles_every_round_and_pays() {
    let settled = |rounds| {
        let result = run(Settings::honest(7, 3, 2, rounds));
        assert_eq!(result.faults, []);
        assert_eq!(result.rounds.len(), rounds as usize);
        assert_eq!(result.null_rounds(), 0);
        assert!(result.rounds.iter().all(|round| round.goodput == 1.0));
        assert_eq!(result.unrevealed, 0);
        assert!(result.revealed > 0, "nobody revealed scores");
        result.members
    };
    assert!(settled(8).iter().all(|member| member.earned > 0));
    // Until audits of their first rounds are over, what miners earn is withheld.
    let early = settled(6).into_iter();
    let (miners, validators): (Vec<_>, Vec<_>) = early.partition(|one| one.role == "miner");
    assert!(miners.iter().all(|member| member.earned == 0));
    assert!(validators.iter().all(|member| member.earned > 0));
}

/// Makes half of the steps, and says so.
struct Slow;

impl Behaviour for Slow {
    fn steps(&mut self, _: Round, most: u32) -> u32 {
        most / 2
    }
}

/// All that were there from the beginning, and one that joins late, come to the same parameters, while makers become
/// proven one by one.
#[test]
fn where_tokens_count_all_hold_the_same_model_beside_one_that_makes_half_of_the_steps() {
    let terms = Terms {
        phases: Phases {
            train: 7,
            reveal: 2,
            attest: 4,
            floor: 25,
        },
        steps: 4,
        sequences: 8,
        audits: AuditRules {
            rate: AuditRules::EACH / 4,
            auditors: 3,
            blocks: 12,
            tolerance: 0,
            card_bond: AuditRules::usual_card_bond(),
        },
        combine: Combination::Tokens,
    };
    let of = |combine| {
        let terms = Terms { combine, ..terms };
        let mut settings = Settings {
            terms: Some(terms),
            ..Settings::honest(7, 3, 2, 10)
        };
        settings.cast.push(Recruit {
            behaviour: Box::new(Slow),
            ..Recruit::honest(Role::Miner, "slow")
        });
        settings.cast.push(Recruit {
            is_seated: false,
            is_up: false,
            comes_in: Some(6),
            ..Recruit::honest(Role::Miner, "late")
        });
        run(settings)
    };
    let (result, by_trust) = (of(Combination::Tokens), of(Combination::Trust));
    let last_of = |result: &RunResult| {
        let mut newest = result.rounds.iter().rev();
        newest.find_map(|round| round.model_root)
    };
    assert!(last_of(&result).is_some());
    assert_ne!(last_of(&result), last_of(&by_trust));
    assert_eq!(result.faults, []);
    assert_eq!(result.null_rounds(), 0);
    assert_eq!(result.rounds.len(), 10);
    // Nobody lost a bond, which is what a false word costs: what is left is the fee of registering.
    let early = result.members.iter().filter(|one| one.name != "late");
    assert!(early.map(|one| one.lost).all(|lost| lost < CRN / 100));
}

#[test]
fn the_same_seed_is_the_same_run() {
    let storm = |seed, miners| run(Settings::honest(seed, miners, 2, 4).in_storm(1.0));
    let first = storm(3, 2);
    let (other, larger) = (storm(4, 2), storm(3, 3));
    let again = storm(3, 2);
    assert_eq!(first.digest, again.digest);
    assert_eq!(first.heldout_loss.to_bits(), again.heldout_loss.to_bits());
    assert_ne!(first.digest, other.digest);
    assert_ne!(first.digest, larger.digest);
}

#[test]
fn a_real_model_learns() {
    learns(Kind::Tiny);
}

/// A quarter of its contributions is audited, and nobody loses its bond.
#[test]
fn a_real_model_learns_by_muon() {
    learns(Kind::Muon);
}

fn learns(engine: Kind) {
    let tiny = |rounds| {
        run(Settings {
            engine,
            ..Settings::honest(7, 3, 2, rounds)
        })
    };
    let (short, long) = (tiny(1), tiny(8));
    assert_eq!(long.faults, []);
    // Nobody lost a bond: what is left is the fee of registering.
    assert!(long.members.iter().all(|member| member.lost < CRN / 100));
    assert!(
        long.heldout_loss < short.heldout_loss - 0.1,
        "{} after 8 rounds, {} after 1",
        long.heldout_loss,
        short.heldout_loss
    );
}

/// Small networks in which members crash and are cut off, blocks are undone and files are faulty. `CAIRN_SIM_NETWORKS`
/// says how many; four tests share them, so that they run side by side.
fn storms(part: u64) {
    let asked = std::env::var("CAIRN_SIM_NETWORKS").ok();
    let networks: u64 = asked.and_then(|asked| asked.parse().ok()).unwrap_or(1_000);
    let mut broken = Vec::new();
    for seed in (0..networks).filter(|seed| seed % 4 == part) {
        let (miners, validators) = (2 + seed as usize % 3, 1 + seed as usize % 3);
        let result = run(Settings::honest(seed, miners, validators, 4).in_storm(1.0));
        // The least slash of a root that lost is a hundredth of a validator's stake.
        let slashed = result
            .members
            .iter()
            .filter(|one| one.lost > one.staked / 100);
        for member in slashed.filter(|one| one.role == "validator") {
            broken.push(format!("seed {seed}: {} lost {}", member.name, member.lost));
        }
        for fault in result.faults {
            broken.push(format!(
                "{}: {} — again: cairn-sim run --miners {miners} --validators {validators} --rounds 4 --seed {seed} \
                 --storm",
                fault.checker, fault.what
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn storms_break_nothing() {
    storms(0);
}

#[test]
fn more_storms_break_nothing() {
    storms(1);
}

#[test]
fn yet_more_storms_break_nothing() {
    storms(2);
}

#[test]
fn the_last_storms_break_nothing() {
    storms(3);
}

#[test]
fn after_a_storm_everybody_is_back() {
    for seed in 0..24 {
        let (miners, validators) = (2 + seed as usize % 3, 1 + seed as usize % 3);
        let result = run(Settings {
            calm_from: 4,
            ..Settings::honest(seed, miners, validators, 12).in_storm(4.0)
        });
        let again = format!(
            "cairn-sim run --miners {miners} --validators {validators} --rounds 12 --seed {seed} --storm 4 --calm-from 4"
        );
        assert_eq!(result.faults, [], "again: {again}");
        let last = result.rounds.last().expect("there are twelve");
        assert_eq!(last.goodput, 1.0, "again: {again}");
        assert_eq!(result.unrevealed, 0, "again: {again}");
    }
}

/// Sixteen seats that commit to garbage as soon as a round begins, before anybody earned: beside them the four that
/// train would be late.
#[test]
fn seats_that_commit_at_once_keep_nobody_out() {
    let attack = attacks::find("long-files").expect("it is in the table");
    for seed in 7..13 {
        let mut settings = Settings::honest(seed, 4, 3, 8);
        attacks::stage(&mut settings, attack, None);
        let result = run(settings);
        let works = |member: &&MemberResult| member.attack.is_none() && member.role == "miner";
        let honest: Vec<Uid> = result
            .members
            .iter()
            .filter(works)
            .filter_map(|member| member.uid)
            .collect();
        assert_eq!((honest.len(), result.rounds.len()), (4, 8), "seed {seed}");
        let seats = result.members.iter().filter(|one| one.attack.is_some());
        let seats = seats.count();
        let committed = |round: &RoundResult| round.part.committed.len() >= seats;
        assert!(result.rounds.iter().all(committed), "seed {seed}");
        let included = result.rounds.iter().flat_map(|round| &round.included);
        let times = included.filter(|uid| honest.contains(uid)).count();
        assert!(times >= 31, "{times} times of 32, seed {seed}");
    }
}

/// Outsiders fill every block with bytes: what members owe gets in all the same, and each full block costs what it
/// should.
#[test]
fn blocks_full_of_bytes_keep_no_duty_out() {
    let attack = attacks::find("junk-bytes").expect("it is in the table");
    let mut settings = Settings::honest(7, 3, 2, 4);
    attacks::stage(&mut settings, attack, None);
    let result = run(settings);
    assert_eq!(result.faults, []);
    assert_eq!((result.rounds.len(), result.null_rounds()), (4, 0));
    assert!(result.rounds.iter().all(|round| round.goodput == 1.0));
    let outsiders = || result.members.iter().filter(|one| one.attack.is_some());
    let told = outsiders().find_map(|one| one.told.as_deref());
    let words = told.unwrap_or_default().split_whitespace();
    let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
    let [full, blocks, duties] = numbers[..] else {
        panic!("{told:?}");
    };
    // But for the first ones, before anything came, and perhaps some that one heard of late.
    assert!(blocks >= 30 && full * 10 >= blocks * 8, "{told:?}");
    assert!(duties > 4 * 3 * 2, "{told:?}");
    let lost: u64 = outsiders().map(|one| one.lost).sum();
    assert!(lost > full * 4 * CRN, "{lost} pebble, {told:?}");
}

/// A block takes one transaction of a member. With the audits of fourteen newcomers there is always one more to be said;
/// what a round waits for goes before that.
#[test]
fn whoever_has_many_audits_to_speak_of_attests_in_time() {
    let attack = attacks::find("clones").expect("it is in the table");
    for seed in 7..11 {
        let mut settings = Settings {
            engine: Kind::Tiny,
            ..Settings::honest(seed, 4, 3, 8)
        };
        attacks::stage(&mut settings, attack, None);
        let result = run(settings);
        let nobody = |round: &&RoundResult| round.null || round.part.attested.len() < 3;
        let missed: Vec<_> = result.rounds.iter().filter(nobody).collect();
        assert!(missed.is_empty(), "seed {seed}: {missed:?}");
    }
}

/// Nothing but one thing goes wrong, and that often.
fn but_for(change: impl Fn(&mut Weather)) -> Weather {
    let mut weather = Weather::default();
    change(&mut weather);
    weather
}

/// A storm has all of it; here is seen that each is felt, and does no harm alone.
#[test]
fn each_kind_of_bad_weather_is_felt_and_passes() {
    let kinds = [
        ("crashes", but_for(|it| it.crash = 0.05)),
        (
            "crashes between two actions",
            but_for(|it| it.between = 0.01),
        ),
        (
            "crashes that take with them what is not on the disk yet",
            but_for(|it| (it.between, it.unsynced) = (0.01, 1.0)),
        ),
        ("cuts", but_for(|it| it.cut = 0.05)),
        ("nodes that lie behind", but_for(|it| it.behind = 0.05)),
        (
            "nodes that lie behind on blocks that are undone",
            but_for(|it| (it.behind, it.reorganisation) = (0.05, 0.2)),
        ),
        ("looks without an answer", but_for(|it| it.unanswered = 0.2)),
        ("late answers", but_for(|it| it.slow = 0.1)),
        ("undone blocks", but_for(|it| it.reorganisation = 0.2)),
        (
            "blocks that are undone after a stall",
            but_for(|it| (it.reorganisation, it.stall) = (0.2, 0.2)),
        ),
        ("empty slots", but_for(|it| it.missed = 0.2)),
        ("deaf authors", but_for(|it| it.deaf = 0.3)),
        ("stalls of finality", but_for(|it| it.stall = 0.2)),
        ("spoilt files", but_for(|it| it.spoilt = 0.6)),
    ];
    for seed in 0..2 {
        let of = |weather| {
            run(Settings {
                weather,
                calm_from: 3,
                ..Settings::honest(seed, 3, 2, 11)
            })
        };
        let fine = of(Weather::default());
        for (name, weather) in kinds {
            let result = of(weather);
            assert_eq!(result.faults, [], "{name}, seed {seed}");
            assert_ne!(result.digest, fine.digest, "{name}, seed {seed}");
            let last = result.rounds.last().expect("there are eleven");
            assert_eq!((last.round, last.goodput), (10, 1.0), "{name}, seed {seed}");
        }
    }
}

/// Says that it is honest and sends no attestation; or, once something was included, one with another root.
struct Planted {
    lies: bool,
}

impl Behaviour for Planted {
    fn attests(
        &mut self,
        (verdicts, root): (Judgement, ModelRoot),
        round: Round,
        _: Option<&View>,
    ) -> (Judgement, ModelRoot) {
        match self.lies && round >= 2 {
            true => (
                verdicts,
                ModelRoot(cairn_primitives::blake2_256(root.bytes())),
            ),
            false => (verdicts, root),
        }
    }

    fn sends(&mut self, transaction: Transaction, _: Option<&View>) -> Option<Transaction> {
        match transaction {
            Transaction::CommitAttestation(_) if !self.lies => None,
            other => Some(other),
        }
    }
}

fn with_planted(lies: bool, stake: u64) -> RunResult {
    let mut settings = Settings::honest(5, 2, 2, 8);
    settings.cast.push(Recruit {
        stake: stake * CRN,
        behaviour: Box::new(Planted { lies }),
        ..Recruit::honest(Role::Validator, "planted")
    });
    run(settings)
}

#[test]
fn a_member_that_never_attests_is_found_to_starve() {
    let result = with_planted(false, 500);
    assert!(!result.checks["nobody_starves"]);
    assert!(result.checks["lineage"] && result.checks["money"]);
}

#[test]
fn a_root_that_nobody_holds_and_that_becomes_final_is_found() {
    let result = with_planted(true, 10_000);
    assert!(!result.checks["lineage"]);
    // It is not what is on its disk, either.
    assert!(!result.checks["secrets"]);
    assert!(result.checks["money"]);
}

/// Says that the model is better than it is.
struct Boasts;

impl Behaviour for Boasts {
    fn shows(&mut self, witness: Witness) -> Witness {
        let loss = witness.loss / 2;
        Witness { loss, ..witness }
    }
}

/// So many rounds of a network of two honest validators beside one with this stake in CRN that boasts.
fn with_boasts(stake: u64, rounds: u32) -> RunResult {
    let mut settings = Settings::honest(5, 3, 2, rounds);
    settings.cast.push(Recruit {
        stake: stake * CRN,
        ..Recruit::attacker(Role::Validator, "boasts", "boasts", Boasts)
    });
    run(settings)
}

/// What the chain keeps of the losses of all rounds but the last one.
fn losses(result: &RunResult) -> Vec<Option<u32>> {
    let rounds = result
        .rounds
        .split_last()
        .map_or(&[][..], |(_, rounds)| rounds);
    rounds.iter().map(|round| round.loss).collect()
}

#[test]
fn the_chain_has_the_loss_of_each_round_and_a_third_of_the_stake_does_not_move_it() {
    let result = with_boasts(1_000, 8);
    assert_eq!(result.faults, []);
    assert_eq!(result.rounds.last().map(|round| round.loss), Some(None));
    let losses = losses(&result);
    assert_eq!(losses.len(), 7);
    assert!(losses.iter().all(Option::is_some), "{losses:?}");
    assert!(losses.first() > losses.last(), "it learns: {losses:?}");
}

#[test]
fn a_loss_that_no_honest_validator_measured_is_found() {
    // With a half of the stake, which it has until it is paid, it only keeps the others from agreeing.
    let half = with_boasts(2_000, 4);
    assert_eq!(half.faults, []);
    assert!(losses(&half).iter().all(Option::is_none));
    let more = with_boasts(3_000, 8);
    assert!(!more.checks["losses"]);
    assert!(more.checks["lineage"] && more.checks["money"]);
}

/// Which kinds a driver tells, and that it tells them as often as there is something to tell: a checker that is told
/// nothing finds nothing.
#[test]
fn the_checkers_are_told_of_all_that_happens() {
    let fine = run(Settings::honest(7, 3, 2, 8));
    assert_eq!(fine.faults, []);
    let times = |kind: &str| fine.tally.of(kind).expect("a kind");
    let sum = |of: fn(&RoundResult) -> usize| fine.rounds.iter().map(of).sum::<usize>();
    let committed = sum(|round| round.part.committed.len());
    let attested = sum(|round| round.part.attested.len());
    assert_eq!((fine.rounds.len(), committed, attested), (8, 24, 16));
    assert_eq!([times("Settled"), times("Member")], [8, 5]);
    assert!(times("Block") > 8 && times("Block") == times("Round"));
    // The run ends before anybody hears of the last round's end: of seven rounds each member applied what was settled,
    // and each validator measured all that was included.
    assert_eq!([times("Applies"), times("Kept")], [7 * 5, 7 * 5]);
    assert_eq!([times("Measures"), times("Measured")], [7 * 2, 7 * 2]);
    assert_eq!([times("Sealed"), times("Joined")], [committed, 5]);
    assert_eq!(times("Vouches"), attested);
    let opened = sum(|round| round.part.revealed.len() * round.part.attested.len());
    assert_eq!(times("Opened"), opened);
    // A commitment and its key, an attestation and what opens it; scores and audits come to that.
    assert!(times("Sent") > 2 * committed + 2 * attested);
    let (begun, over) = (times("Begun"), times("Over"));
    assert!(over > times("Sent") && over <= begun, "{over} of {begun}");
    let amiss = [
        "Crashed",
        "Disturbed",
        "Reorganised",
        "Restarted",
        "Stopped",
    ];
    assert_eq!(fine.tally.untold(), amiss);
    let storm = Settings {
        calm_from: 4,
        ..Settings::honest(1, 3, 2, 12).in_storm(4.0)
    };
    let storm = run(storm);
    assert_eq!(storm.faults, []);
    assert_eq!(storm.tally.untold(), ["Stopped"]);
    // Only who sees that the chain went another way stops: no honest network makes it.
    let split = with_planted(true, 10_000);
    assert!(split.tally.of("Stopped") > Some(0));
}

/// Of the cost model: a step takes 1.8 s, a loss 5 ms; a miner does four steps of eight sequences.
#[test]
fn what_a_round_costs_is_what_the_driver_scheduled() {
    let result = run(Settings::honest(7, 3, 2, 8));
    let (miner, validator) = (&result.costs.miner, &result.costs.validator);
    let most = |expense: &Expense, work| expense.of(work).most();
    assert!((1.8..=4.0 * 1.8).contains(&most(miner, Part::Train)));
    // Losses of 32 windows as the round began; and of as many own ones, and of both afterwards, of each contribution.
    let scoring = 0.005 * f64::from(32 + 3 * (32 + 64));
    let score = validator.of(Part::Measure);
    assert!(score.mean() > 0.0 && score.most() <= scoring + 1e-9);
    let (first, second) = (&result.rounds[0].costs, &result.rounds[1].costs);
    assert_eq!(most(&first.validator, Part::Measure), 0.0);
    assert!(most(&second.validator, Part::Measure) > 0.0);
    // A round has one contribution, and at most two are served in it; two epochs, and two rounds' audits.
    let bound = |calls: &[&str]| {
        let longest = calls.iter().map(|call| longest(call).expect("a duty"));
        longest.sum::<u64>() as f64
    };
    let most = bound(&["commit", "reveal", "open", "open"]);
    assert!(miner.bytes.mean() > 340.0 && miner.bytes.most() <= most);
    let attesting = bound(&["commit_attestation", "attest"]);
    let scoring = 2.0 * bound(&["commit_scores", "reveal_scores"]);
    let auditing = 6.0 * bound(&["commit_verdict", "reveal_verdict"]);
    let most = attesting + scoring + auditing;
    assert!(validator.bytes.mean() > 300.0 && validator.bytes.most() <= most);
    // Miners have their work audited from the first round on.
    let served = miner.of(Part::Audit).mean() > 0.0;
    assert!(served && validator.of(Part::Audit).mean() > 0.0 && result.audit_share > 0.0);
    let train = 3.0 * busy(&result, Part::Train, |all| &all.miner);
    let served = 3.0 * busy(&result, Part::Audit, |all| &all.miner);
    let audited = 2.0 * busy(&result, Part::Audit, |all| &all.validator);
    assert!((result.audit_share - (served + audited) / train).abs() < 1e-9);
}

/// Virtual seconds that a member was busy with something, in all rounds.
fn busy(result: &RunResult, work: Part, of: fn(&Expenses) -> &Expense) -> f64 {
    let rounds = result.rounds.iter();
    let means = rounds.map(|round| of(&round.costs).of(work).mean());
    means.sum()
}

#[test]
fn a_network_that_is_split_undoes_one_parts_blocks_and_is_whole_again() {
    let mut undone = 0;
    for seed in 0..24 {
        let settings = || Settings {
            weather: Weather {
                partition: 0.1,
                ..Weather::default()
            },
            calm_from: 3,
            ..Settings::honest(seed, 3, 3, 8)
        };
        let result = run(settings());
        assert_eq!(result.faults, [], "seed {seed}");
        let last = result.rounds.last().expect("there are eight");
        assert_eq!((last.round, last.goodput), (7, 1.0), "seed {seed}");
        undone += result.undone;
        if seed == 0 {
            assert_eq!(run(settings()).digest, result.digest);
        }
    }
    assert!(undone > 24, "{undone} blocks were undone");
}
