//! What the settings of a run have to be, each said with its name, its value and its limit.
//!
//! The chain refuses what cannot be at all ([`RunConfig::check`]), with the name of an error. Here the same rules, and
//! those between settings that would make a run which nobody wants, are sentences.

use std::fmt::Display;

use cairn_primitives::{
    blocks::Turn, AuditRules, Combination, InnerOptimizer, Matrices, ModelShape, Nano, OuterStep,
    Phases, RunConfig, MAX_AUDITORS, MAX_MEMBERS,
};
use cairn_protocol::{assignment, exam};

use crate::error::Failure;

/// An error that names the first setting that cannot be.
pub fn check(config: &RunConfig) -> Result<(), Failure> {
    check_alone(config)?;
    schedule(config)
}

/// The same for settings one by one: before the data is read, which says more of a run that is too long.
pub fn check_alone(config: &RunConfig) -> Result<(), Failure> {
    model(config)?;
    inner(config)?;
    compression(config)?;
    outer(config)?;
    phases(config)?;
    audits(config)?;
    overlap(config)?;
    checkpoints(config)?;
    data(config)?;
    // The chain's own word: what is said above is at least as strict.
    config.check().map_err(|error| {
        Failure::new(
            format!("the chain would refuse this run: {error:?}"),
            "chain-specs/run-tiny.toml shows settings that work",
        )
    })
}

fn overlap(config: &RunConfig) -> Result<(), Failure> {
    match config.overlap <= RunConfig::MAX_OVERLAP {
        true => Ok(()),
        false => refuse("overlap", config.overlap, "0 or 1"),
    }
}

fn checkpoints(config: &RunConfig) -> Result<(), Failure> {
    let most = RunConfig::MAX_CHECKPOINT_EVERY;
    if (1..=most).contains(&config.checkpoint_every) {
        return Ok(());
    }
    let limit = format!("from 1 to {most}: who joins applies the rounds since the last one");
    refuse("checkpoint_every", config.checkpoint_every, limit)
}

/// `name` is `value`, and has to be `limit`.
fn refuse(name: &str, value: impl Display, limit: impl Display) -> Result<(), Failure> {
    Err(Failure::new(
        format!("{name} is {value}"),
        format!("it must be {limit}"),
    ))
}

fn model(config: &RunConfig) -> Result<(), Failure> {
    let m = &config.model;
    for (name, value) in [
        ("layers", u32::from(m.layers)),
        ("d_model", m.d_model),
        ("heads", m.heads.into()),
        ("kv_heads", m.kv_heads.into()),
        ("ffn", m.ffn),
        ("vocabulary", m.vocabulary),
        ("context", m.context),
        ("rope_theta", m.rope_theta),
    ] {
        if value == 0 {
            return refuse(
                &format!("[model] {name}"),
                0,
                "at least 1: such a model is impossible",
            );
        }
    }
    for (name, value, most) in [
        (
            "layers",
            u32::from(m.layers),
            u32::from(ModelShape::MAX_LAYERS),
        ),
        ("d_model", m.d_model, ModelShape::MAX_WIDTH),
        ("ffn", m.ffn, ModelShape::MAX_WIDTH),
        ("vocabulary", m.vocabulary, ModelShape::MAX_VOCABULARY),
        ("context", m.context, ModelShape::MAX_CONTEXT),
    ] {
        if value > most {
            return refuse(&format!("[model] {name}"), value, format!("at most {most}"));
        }
    }
    let parameters = m.parameters().unwrap_or(u64::MAX);
    if parameters > ModelShape::MAX_PARAMETERS {
        let limit = format!("at most {}", ModelShape::MAX_PARAMETERS);
        return refuse("the number of parameters of [model]", parameters, limit);
    }
    let (width, heads) = (m.d_model, u32::from(m.heads));
    if !width.is_multiple_of(heads) || !(width / heads).is_multiple_of(2) {
        let what = format!("a model with d_model {width} and {heads} heads is impossible");
        let remedy = "in [model], heads must divide d_model into heads of an even width";
        return Err(Failure::new(what, remedy));
    }
    if !m.heads.is_multiple_of(m.kv_heads) {
        let what = format!(
            "a model with {heads} heads and {} kv_heads is impossible",
            m.kv_heads
        );
        return Err(Failure::new(what, "in [model], kv_heads must divide heads"));
    }
    Ok(())
}

fn inner(config: &RunConfig) -> Result<(), Failure> {
    let i = &config.inner;
    for (name, value) in [
        ("steps", u32::from(i.steps)),
        ("sequences", i.sequences.into()),
        ("sequence_length", i.sequence_length),
        ("total_steps", i.total_steps),
    ] {
        if value == 0 {
            return refuse(&format!("[inner] {name}"), 0, "at least 1");
        }
    }
    if !(1..=i.steps).contains(&i.trace_every) {
        let limit = format!("from 1 to steps, {}", i.steps);
        return refuse("[inner] trace_every", i.trace_every, limit);
    }
    if i.sequence_length > config.model.context {
        let limit = format!("at most the model's context, {}", config.model.context);
        return refuse("[inner] sequence_length", i.sequence_length, limit);
    }
    for (name, value) in [
        ("learning_rate", i.learning_rate),
        ("epsilon", i.epsilon),
        ("clip_norm", i.clip_norm),
    ] {
        if value == Nano(0) {
            let limit = "above 0, at least 0.000000001";
            return refuse(&format!("[inner] {name}"), value, limit);
        }
    }
    for (name, value) in [
        ("learning_rate", i.learning_rate),
        ("final_rate", i.final_rate),
        ("weight_decay", i.weight_decay),
    ] {
        if value > Nano::ONE {
            return refuse(&format!("[inner] {name}"), value, "at most 1");
        }
    }
    if i.warmup_steps > i.total_steps {
        let limit = format!(
            "at most total_steps, {}: the learning rate would rise past the end of its schedule",
            i.total_steps
        );
        return refuse("[inner] warmup_steps", i.warmup_steps, limit);
    }
    for (name, value) in [("beta1", i.beta1), ("beta2", i.beta2)] {
        if value >= Nano::ONE {
            return refuse(&format!("[inner] {name}"), value, "below 1");
        }
    }
    matrices(&i.matrices)
}

fn matrices(matrices: &Matrices) -> Result<(), Failure> {
    let Matrices::Muon(muon) = matrices else {
        return Ok(());
    };
    if muon.momentum >= Nano::ONE {
        return refuse(
            "[inner] matrices: muon's momentum",
            muon.momentum,
            "below 1",
        );
    }
    if muon.rms == Nano(0) || muon.rms > Nano::ONE {
        return refuse(
            "[inner] matrices: muon's rms",
            muon.rms,
            "above 0 and at most 1",
        );
    }
    Ok(())
}

/// The error feedback changes along `total_steps`: what is to happen has to happen before.
fn schedule(config: &RunConfig) -> Result<(), Failure> {
    let (i, c) = (&config.inner, &config.compression);
    let changes = c
        .final_error_decay
        .is_some_and(|last| last != c.error_decay);
    if changes && i.total_steps <= u32::from(i.steps) {
        let what = format!(
            "final_error_decay is never on its way: total_steps, {}, ends within the first round of {} steps",
            i.total_steps, i.steps
        );
        let remedy = "raise [inner] total_steps, or leave [compression] final_error_decay out";
        return Err(Failure::new(what, remedy));
    }
    Ok(())
}

fn compression(config: &RunConfig) -> Result<(), Failure> {
    let c = &config.compression;
    if !(1..=4_096).contains(&c.kept_per_block) {
        return refuse(
            "[compression] kept_per_block",
            c.kept_per_block,
            "within 1..=4096",
        );
    }
    let last = c.final_error_decay.unwrap_or_default();
    for (name, value) in [("error_decay", c.error_decay), ("final_error_decay", last)] {
        if value > Nano::ONE {
            return refuse(&format!("[compression] {name}"), value, "at most 1");
        }
    }
    turns(config)
}

/// Members take turns where nothing is left for a later round, and where work is replayed.
fn turns(config: &RunConfig) -> Result<(), Failure> {
    let c = &config.compression;
    if !(1..=Turn::MOST).contains(&c.turns) {
        return refuse("[compression] turns", c.turns, "within 1..=4; 1 is none");
    }
    if !c.has_turns() {
        return Ok(());
    }
    let name = |name: &str| format!("[compression] {name}");
    if c.kept_per_block != 4_096 {
        let limit = "4096 where members take turns";
        return refuse(&name("kept_per_block"), c.kept_per_block, limit);
    }
    let limit = "0 where members take turns: what one does not send another one does";
    if c.error_decay != Nano(0) {
        return refuse(&name("error_decay"), c.error_decay, limit);
    }
    if let Some(last) = c.final_error_decay {
        return refuse(
            &name("final_error_decay"),
            last,
            "left out where members take turns",
        );
    }
    if config.audits.rate == 0 {
        let limit =
            "1 in a run without [audits]: who trained once could send it under as many names";
        return refuse(&name("turns"), c.turns, limit);
    }
    let rho = config.outer.rho;
    if rho.0.saturating_mul(c.turns.into()) > Nano::ONE.0 {
        let limit = format!(
            "at most one over the turns, {}: fewer members send a value",
            c.turns
        );
        return refuse("[outer] rho", rho, &limit);
    }
    Ok(())
}

fn outer(config: &RunConfig) -> Result<(), Failure> {
    let o = &config.outer;
    if o.learning_rate == Nano(0) {
        return refuse("[outer] learning_rate", 0, "above 0");
    }
    if o.rho > Nano::ONE {
        return refuse("[outer] rho", o.rho, "at most 1");
    }
    if o.rho < OuterStep::MIN_RHO {
        let limit =
            "at least 0.25: below it, what one miner alone sends moves by nearly a full step";
        return refuse("[outer] rho", o.rho, limit);
    }
    if !(OuterStep::USUAL_CLIP..=OuterStep::MAX_CLIP).contains(&o.clip) {
        return refuse("[outer] clip", o.clip, "from 1 to 2 times the median norm");
    }
    if o.combine == Combination::Tokens && config.audits.rate == 0 {
        let limit =
            "\"trust\" in a run without [audits]: nothing else bears out what headers declare";
        return refuse("[outer] combine", "\"tokens\"", limit);
    }
    Ok(())
}

fn phases(config: &RunConfig) -> Result<(), Failure> {
    let p = &config.phases;
    for (name, value) in [
        ("train", p.train),
        ("reveal", p.reveal),
        ("attest", p.attest),
    ] {
        if value == 0 {
            let limit = "at least 1: a phase without blocks is none";
            return refuse(&format!("[phases] {name}"), 0, limit);
        }
    }
    if p.attest < Phases::MIN_ATTEST {
        let limit = format!(
            "at least {}: validators commit in its first half and open in the second",
            Phases::MIN_ATTEST
        );
        return refuse("[phases] attest", p.attest, limit);
    }
    for (name, value) in [
        ("train", p.train),
        ("reveal", p.reveal),
        ("attest", p.attest),
    ] {
        if value > Phases::MAX_PHASE {
            let limit = format!("at most {}: a round would never end", Phases::MAX_PHASE);
            return refuse(&format!("[phases] {name}"), value, limit);
        }
    }
    if p.round() < Phases::MIN_ROUND {
        let limit = format!("at least {}", Phases::MIN_ROUND);
        let whole = format!("{} blocks long", p.round());
        return refuse("a round of [phases]", whole, limit);
    }
    Ok(())
}

fn audits(config: &RunConfig) -> Result<(), Failure> {
    let a = &config.audits;
    if a.rate > AuditRules::EACH {
        let limit = format!("at most {}: then each is audited", AuditRules::EACH);
        return refuse("[audits] rate", a.rate, limit);
    }
    if a.auditors.is_multiple_of(2) || u32::from(a.auditors) > MAX_AUDITORS {
        let limit = format!("odd, and at most {MAX_AUDITORS}");
        return refuse("[audits] auditors", a.auditors, limit);
    }
    let most = AuditRules::longest(&config.phases);
    if !(AuditRules::MIN_BLOCKS..=most).contains(&a.blocks) {
        let limit = format!(
            "from {} to {most}: a stage is no longer than a round, and five are over within {} of the shortest rounds",
            AuditRules::MIN_BLOCKS,
            AuditRules::OPEN_ROUNDS
        );
        return refuse("[audits] blocks", a.blocks, limit);
    }
    cards(config)
}

/// What admits the work of cards.
fn cards(config: &RunConfig) -> Result<(), Failure> {
    let a = &config.audits;
    if a.tolerance > AuditRules::MAX_TOLERANCE {
        let limit = format!("at most {}, a 16th", AuditRules::MAX_TOLERANCE);
        return refuse("[audits] tolerance", a.tolerance, limit);
    }
    if a.tolerance > 0 && config.inner.matrices != Matrices::AdamW {
        let limit =
            "0 in a run of Muon's: how far a card's steps lie from a CPU's was not measured there";
        return refuse("[audits] tolerance", a.tolerance, limit);
    }
    if a.tolerance > 0 {
        cards_steps(&config.inner)?;
    }
    if a.card_bond == 0 {
        return refuse("[audits] card_bond", a.card_bond, "at least 1");
    }
    Ok(())
}

/// What auditors need to tell a card's steps.
fn cards_steps(inner: &InnerOptimizer) -> Result<(), Failure> {
    let most = AuditRules::MAX_CARD_INTERVAL;
    if inner.trace_every > most {
        let limit = format!(
            "at most {most} in a run whose [audits] have a tolerance: it was measured over as many steps"
        );
        return refuse("[inner] trace_every", inner.trace_every, limit);
    }
    if inner.beta1 == Nano(0) {
        let limit = "above 0 in a run whose [audits] have a tolerance";
        return refuse("[inner] beta1", inner.beta1, limit);
    }
    if !AuditRules::has_fit_betas(inner) {
        let limit = format!(
            "at least {} above the square of beta1, {}, and at most {}, in a run whose [audits] have a tolerance: else \
             first moments may be anything beside second ones",
            AuditRules::LEAST_BETA_GAP,
            inner.beta1,
            AuditRules::MAX_CARD_BETA2
        );
        return refuse("[inner] beta2", inner.beta2, limit);
    }
    Ok(())
}

fn data(config: &RunConfig) -> Result<(), Failure> {
    if config.max_contributors == 0 || u32::from(config.max_contributors) > MAX_MEMBERS {
        let limit = format!("within 1..={MAX_MEMBERS}");
        return refuse("max_contributors", config.max_contributors, limit);
    }
    let (there, needed) = (config.data.windows, config.windows_per_miner());
    if assignment::room(config) == 0 {
        let free = exam::least_free(needed);
        return Err(Failure::new(
            format!("{there} windows of data are too few"),
            format!(
                "one miner takes {needed} in a round, and {free} more are for what its work is measured on: prepare \
                 more data, or lower steps or sequences"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_primitives::{
        CompressionSchedule, DataSet, InitialParameters, ModelRoot, Muon, Text, H256,
    };

    fn config() -> RunConfig {
        RunConfig {
            name: Text::default(),
            model: ModelShape {
                layers: 1,
                d_model: 16,
                heads: 2,
                kv_heads: 1,
                ffn: 32,
                vocabulary: 32,
                context: 16,
                rope_theta: 10_000,
                tied_embeddings: true,
            },
            initial_parameters: InitialParameters::Seed(1),
            initial_root: ModelRoot::zero(),
            data: DataSet {
                manifest_root: H256::zero(),
                tokenizer_root: H256::zero(),
                store: Text::default(),
                windows: 1_000,
            },
            inner: InnerOptimizer {
                steps: 5,
                sequences: 2,
                sequence_length: 16,
                learning_rate: Nano(3_000_000),
                final_rate: Nano(100_000_000),
                warmup_steps: 10,
                total_steps: 100,
                beta1: Nano(900_000_000),
                beta2: Nano(950_000_000),
                epsilon: Nano(1),
                weight_decay: Nano(0),
                clip_norm: Nano::ONE,
                trace_every: 1,
                matrices: Default::default(),
            },
            compression: CompressionSchedule {
                turns: CompressionSchedule::usual_turns(),
                kept_per_block: 64,
                error_decay: Nano(500_000_000),
                final_error_decay: Some(Nano(950_000_000)),
            },
            outer: OuterStep {
                learning_rate: Nano::ONE,
                rho: Nano::ONE,
                clip: OuterStep::USUAL_CLIP,
                combine: Default::default(),
            },
            phases: Phases {
                train: 5,
                reveal: 1,
                attest: 4,
                floor: 25,
            },
            max_contributors: 16,
            audits: AuditRules::default(),
            overlap: 0,
            checkpoint_every: RunConfig::USUAL_CHECKPOINT_EVERY,
        }
    }

    fn muon(momentum: u64, rms: u64) -> Matrices {
        Matrices::Muon(Muon {
            momentum: Nano(momentum),
            rms: Nano(rms),
        })
    }

    type Change = fn(&mut RunConfig);

    #[test]
    fn each_setting_is_refused_by_its_name_with_its_limit() {
        assert!(check(&config()).is_ok());
        let cases: &[(Change, &str)] = &[
            (
                |c| c.model.layers = 0,
                "[model] layers is 0; it must be at least 1",
            ),
            (|c| c.model.rope_theta = 0, "rope_theta is 0"),
            (|c| c.model.heads = 3, "3 heads is impossible"),
            (|c| c.model.d_model = 6, "even width"),
            (|c| c.model.kv_heads = 3, "kv_heads must divide"),
            (|c| c.inner.steps = 0, "[inner] steps is 0"),
            (|c| c.inner.total_steps = 0, "total_steps is 0"),
            (
                |c| c.inner.sequence_length = 17,
                "at most the model's context, 16",
            ),
            (
                |c| c.inner.epsilon = Nano(0),
                "epsilon is 0; it must be above 0",
            ),
            (|c| c.inner.clip_norm = Nano(0), "clip_norm is 0"),
            (|c| c.inner.trace_every = 0, "trace_every is 0"),
            (|c| c.inner.trace_every = 6, "trace_every is 6"),
            (
                |c| c.inner.matrices = muon(1_000_000_000, 1),
                "muon's momentum is 1",
            ),
            (|c| c.inner.matrices = muon(0, 0), "muon's rms is 0"),
            (
                |c| c.inner.learning_rate = Nano(1_000_000_001),
                "learning_rate is 1.000000001",
            ),
            (
                |c| c.inner.final_rate = Nano(2_000_000_000),
                "final_rate is 2; it must be at most 1",
            ),
            (
                |c| c.inner.weight_decay = Nano(2_000_000_000),
                "weight_decay is 2",
            ),
            (
                |c| c.inner.beta1 = Nano::ONE,
                "beta1 is 1; it must be below 1",
            ),
            (|c| c.inner.beta2 = Nano::ONE, "beta2 is 1"),
            (
                |c| c.inner.warmup_steps = 101,
                "warmup_steps is 101; it must be at most total_steps, 100",
            ),
            (
                |c| (c.inner.warmup_steps, c.inner.total_steps) = (5, 5),
                "final_error_decay is never on its way",
            ),
            (|c| c.compression.kept_per_block = 4_097, "within 1..=4096"),
            (
                |c| c.compression.error_decay = Nano(1_000_000_001),
                "error_decay is 1.000000001",
            ),
            (
                |c| c.compression.final_error_decay = Some(Nano(2_000_000_000)),
                "final_error_decay is 2",
            ),
            (|c| c.compression.turns = 0, "turns is 0; it must be within 1..=4"),
            (|c| c.compression.turns = 5, "turns is 5"),
            (
                |c| c.compression.turns = 2,
                "kept_per_block is 64; it must be 4096 where members take turns",
            ),
            (|c| with_turns(c, |c| c.error_decay = Nano(1)), "error_decay is"),
            (
                |c| with_turns(c, |c| c.final_error_decay = Some(Nano(0))),
                "final_error_decay is 0; it must be left out",
            ),
            (
                |c| {
                    with_turns(c, |_| ());
                    c.audits.rate = 0;
                },
                "turns is 4; it must be 1 in a run without [audits]",
            ),
            (
                |c| {
                    with_turns(c, |_| ());
                    c.outer.rho = Nano(250_000_001);
                },
                "it must be at most one over the turns, 4",
            ),
            (
                |c| c.outer.learning_rate = Nano(0),
                "[outer] learning_rate is 0",
            ),
            (|c| c.outer.rho = Nano(1_000_000_001), "rho is 1.000000001"),
            (|c| c.outer.clip = Nano(999_999_999), "clip is 0.999999999"),
            (|c| c.outer.clip = Nano(2_000_000_001), "from 1 to 2 times"),
            (
                |c| c.phases.reveal = 0,
                "[phases] reveal is 0; it must be at least 1",
            ),
            (|c| c.overlap = 2, "overlap is 2; it must be 0 or 1"),
            (
                |c| c.checkpoint_every = 0,
                "checkpoint_every is 0; it must be from 1 to 32",
            ),
            (|c| c.checkpoint_every = 33, "checkpoint_every is 33"),
            (|c| c.phases.train = u32::MAX, "a round would never end"),
            (
                |c| c.phases.attest = 3,
                "[phases] attest is 3; it must be at least 4",
            ),
            (
                |c| c.phases.train = 4,
                "a round of [phases] is 9 blocks long; it must be at least 10",
            ),
            (|c| c.model.layers = 1_025, "[model] layers is 1025"),
            (|c| c.model.d_model = 1 << 19, "[model] d_model is 524288"),
            (
                |c| (c.model.d_model, c.model.layers) = (1 << 18, 1_024),
                "the number of parameters of [model] is",
            ),
            (
                |c| c.outer.rho = Nano(249_999_999),
                "rho is 0.249999999; it must be at least 0.25",
            ),
            (
                |c| c.outer.combine = Combination::Tokens,
                "[outer] combine is \"tokens\"; it must be \"trust\" in a run without [audits]",
            ),
            (|c| c.max_contributors = 0, "max_contributors is 0"),
            (|c| c.max_contributors = 257, "within 1..=256"),
            (
                |c| c.audits.rate = 65_537,
                "[audits] rate is 65537; it must be at most 65536",
            ),
            (
                |c| c.audits.auditors = 2,
                "[audits] auditors is 2; it must be odd",
            ),
            (|c| c.audits.auditors = 17, "at most 15"),
            (
                |c| c.audits.blocks = 3,
                "[audits] blocks is 3; it must be from 4 to 10",
            ),
            (|c| c.audits.blocks = 11, "no longer than a round"),
            (
                |c| c.audits.tolerance = 4_097,
                "[audits] tolerance is 4097; it must be at most 4096",
            ),
            (
                |c| {
                    c.audits.tolerance = 1;
                    c.inner.matrices = Matrices::Muon(Default::default());
                },
                "[audits] tolerance is 1; it must be 0 in a run of Muon's",
            ),
            (
                |c| {
                    c.audits.tolerance = 1;
                    (c.inner.steps, c.inner.trace_every) = (11, 11);
                },
                "trace_every is 11; it must be at most 10 in a run whose [audits] have a tolerance",
            ),
            (
                |c| {
                    c.audits.tolerance = 1;
                    c.inner.beta1 = Nano(0);
                },
                "beta1 is 0; it must be above 0 in a run whose [audits] have a tolerance",
            ),
            (
                |c| {
                    c.audits.tolerance = 1;
                    c.inner.beta2 = Nano(810_000_000);
                },
                "beta2 is 0.81; it must be at least 0.0001 above the square of beta1, 0.9, and at most 0.9999",
            ),
            (
                |c| c.audits.card_bond = 0,
                "[audits] card_bond is 0; it must be at least 1",
            ),
            (|c| c.data.windows = 137, "137 windows of data are too few"),
        ];
        for (change, words) in cases {
            let mut config = config();
            change(&mut config);
            let text = check(&config).unwrap_err().to_string();
            assert!(text.contains(words), "`{words}` is not in: {text}");
        }
    }

    fn with_turns(config: &mut RunConfig, change: impl Fn(&mut CompressionSchedule)) {
        config.compression = CompressionSchedule {
            kept_per_block: 4_096,
            error_decay: Nano(0),
            final_error_decay: None,
            turns: 4,
        };
        config.outer.rho = Nano(250_000_000);
        config.audits.rate = 1;
        change(&mut config.compression);
    }

    #[test]
    fn members_of_a_run_may_take_turns() {
        let mut config = config();
        with_turns(&mut config, |_| ());
        assert!(check(&config).is_ok(), "{:?}", check(&config));
    }

    #[test]
    fn a_schedule_of_one_round_may_have_a_decay_that_stays() {
        let mut config = config();
        (config.inner.warmup_steps, config.inner.total_steps) = (5, 5);
        config.compression.final_error_decay = Some(config.compression.error_decay);
        assert!(check(&config).is_ok());
        config.compression.final_error_decay = None;
        assert!(check(&config).is_ok());
    }
}
