//! A program as what makes an engine's inner steps.

use cairn_engine::{Arithmetic, Copied, Elsewhere, EngineError, Origin};
use cairn_primitives::{EngineClass, InnerOptimizer, Layout, RunConfig};
use cairn_protocol::trace;
use serde::de::DeserializeOwned;

use crate::{
    bulk::{Bulk, FIRST, PARAMETERS, SECOND, TOKENS},
    launch::Options,
    message::{
        shown, Done, Finished, Hello, Loaded, Moments, Optimizer, Rank, Request, Stepped, PROTOCOL,
    },
    process::Connection,
    ProcessError,
};

/// Starts a program for a run, and gives an engine that trains with it; what is measured and replayed here has
/// `threads` threads.
///
/// # Errors
///
/// [`EngineError::Matrices`] if the run's matrices are not AdamW's, [`EngineError::Unavailable`] or a device's fault if
/// the program does not start; else as [`Elsewhere::new`].
pub fn open(
    config: &RunConfig,
    options: Options,
    threads: usize,
) -> Result<Elsewhere<Process>, EngineError> {
    // Before a program is started for nothing.
    EngineError::only_adamw(config, "the engine on PyTorch")?;
    let process = Process::start(config, options)?;
    Elsewhere::new(config, threads, process)
}

/// A program that makes inner steps. One that failed is ended, and another started when it is needed.
pub struct Process {
    config: RunConfig,
    layout: String,
    parameters: usize,
    options: Options,
    /// What the program said of itself when it was last started.
    hello: Hello,
    running: Option<Connection>,
    /// Behind the program, which ends first.
    bulk: Bulk,
    steps: u32,
    is_under_way: bool,
    /// The moments that the program has from the steps before.
    kept: Option<trace::State>,
}

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] says why it does not run.
    pub fn start(config: &RunConfig, options: Options) -> Result<Process, ProcessError> {
        let layout = Layout::of(&config.model);
        let (hash, parameters) = (hex::encode(layout.hash()), layout.parameters());
        let (bulk, running, hello) = greet(config, &options, &hash, parameters)?;
        Ok(Process {
            config: config.clone(),
            layout: hash,
            parameters,
            options,
            bulk,
            hello,
            running: Some(running),
            steps: 0,
            is_under_way: false,
            kept: None,
        })
    }

    /// The ranks of the program that was started last.
    pub fn ranks(&self) -> &[Rank] {
        &self.hello.ranks
    }

    /// What products are computed in, as the program says.
    pub fn dtype(&self) -> String {
        shown(&self.hello.dtype)
    }

    /// Whether the program is there and answers.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if not.
    pub fn ping(&mut self) -> Result<(), ProcessError> {
        let within = self.options.deadlines.answer;
        self.ask(&Request::Ping {}, within).map(|Done {}| ())
    }

    /// Asks the program; one that fails is ended.
    fn ask<T: DeserializeOwned>(
        &mut self,
        request: &Request,
        within: std::time::Duration,
    ) -> Result<T, ProcessError> {
        let running = self.running.as_mut().ok_or(ProcessError::NotRunning)?;
        let answer = running.ask(request, within);
        if answer.is_err() {
            self.end();
        }
        answer
    }

    /// Ends the program.
    fn end(&mut self) {
        self.running = None;
        self.kept = None;
        self.is_under_way = false;
        self.bulk.clear();
    }

    /// What came of using the directory. Where it did not serve, the program is ended: the next one has another.
    fn if_it_serves<T>(&mut self, done: Result<T, ProcessError>) -> Result<T, ProcessError> {
        if matches!(done, Err(ProcessError::Bulk { .. })) {
            self.end();
        }
        done
    }

    /// Makes sure that a program runs.
    fn ready(&mut self) -> Result<(), ProcessError> {
        if self.running.is_none() {
            tracing::info!("starting the engine anew");
            let (bulk, running, hello) =
                greet(&self.config, &self.options, &self.layout, self.parameters)?;
            (self.bulk, self.running, self.hello) = (bulk, Some(running), hello);
        }
        Ok(())
    }

    fn put(&self, name: &'static str, numbers: &[f32]) -> Result<(), ProcessError> {
        self.bulk.write(name, numbers, f32::to_le_bytes)
    }

    /// Loads and begins.
    fn begin_from(&mut self, origin: &Origin) -> Result<(), ProcessError> {
        self.ready()?;
        let within = self.options.deadlines.move_all;
        self.put(PARAMETERS, origin.parameters)?;
        let load = Request::Load {
            parameters: PARAMETERS,
        };
        let Loaded { seconds } = self.ask(&load, within)?;
        tracing::debug!("the engine loaded parameters in {seconds:.1} s");
        let has_them = self
            .kept
            .is_some_and(|kept| same_moments(&kept, &origin.hashes));
        let moments = match origin.optimizer {
            None => Moments::Zero,
            Some(_) if has_them => Moments::Keep,
            Some(optimizer) => {
                self.put(FIRST, &optimizer.m)?;
                self.put(SECOND, &optimizer.v)?;
                Moments::Files([FIRST, SECOND])
            }
        };
        let begin = Request::Begin {
            optimizer: constants(&self.config.inner),
            moments,
            done: origin.hashes.steps,
        };
        self.kept = None;
        let Done {} = self.ask(&begin, within)?;
        (self.steps, self.is_under_way) = (0, true);
        self.bulk.clear();
        Ok(())
    }

    fn make_step(&mut self, learning_rate: f64, sequences: &[&[u32]]) -> Result<f32, ProcessError> {
        let tokens = sequences.concat();
        self.bulk.write(TOKENS, &tokens, u32::to_le_bytes)?;
        let step = Request::Step {
            number: self.steps,
            tokens: TOKENS,
            sequences: sequences.len(),
            length: sequences.first().map_or(0, |sequence| sequence.len()),
            learning_rate,
        };
        let Stepped {
            loss,
            norm,
            tokens,
            seconds,
        } = self.ask(&step, self.options.deadlines.step)?;
        let (number, speed) = (self.steps, tokens as f64 / seconds);
        tracing::debug!("step {number}: loss {loss:.4}, norm {norm:.3}, {speed:.0} tokens/s");
        self.steps = self.steps.saturating_add(1);
        Ok(loss as f32)
    }

    fn copy(&mut self) -> Result<Copied, ProcessError> {
        let make = |name| self.bulk.to_fill(name, self.parameters);
        let files = (make(PARAMETERS)?, make(FIRST)?, make(SECOND)?);
        let save = Request::Save {
            parameters: Some(PARAMETERS),
            first: Some(FIRST),
            second: Some(SECOND),
        };
        let Done {} = self.ask(&save, self.options.deadlines.move_all)?;
        // They are read by what they were made with, and need no names any more.
        self.bulk.clear();
        let (parameters, first, second) = files;
        Ok(Copied {
            parameters: Box::new(parameters.filled()?),
            first: Box::new(first.filled()?),
            second: Box::new(second.filled()?),
        })
    }
}

impl Arithmetic for Process {
    fn name(&self) -> String {
        self.hello.description()
    }

    fn class(&self) -> EngineClass {
        EngineClass::process(&self.hello.description())
    }

    fn begin(&mut self, origin: &Origin) -> Result<(), EngineError> {
        let begun = self.begin_from(origin);
        Ok(self.if_it_serves(begun)?)
    }

    fn step(&mut self, learning_rate: f64, sequences: &[&[u32]]) -> Result<f32, EngineError> {
        let made = self.make_step(learning_rate, sequences);
        Ok(self.if_it_serves(made)?)
    }

    fn copied(&mut self) -> Result<Copied, EngineError> {
        let copied = self.copy();
        Ok(self.if_it_serves(copied)?)
    }

    fn finish(&mut self, hashes: &trace::State) -> Result<(), EngineError> {
        let finish = Request::Finish { parameters: None };
        let Finished { peak_bytes } = self.ask(&finish, self.options.deadlines.move_all)?;
        let most = peak_bytes.iter().max().copied().unwrap_or_default();
        tracing::debug!("the engine's fullest rank took {} MiB", most >> 20);
        (self.kept, self.is_under_way) = (Some(*hashes), false);
        Ok(())
    }

    fn forget(&mut self) {
        if self.is_under_way {
            self.is_under_way = false;
            self.kept = None;
            self.bulk.clear();
            let within = self.options.deadlines.answer;
            // one that cannot is ended by asking
            let _ = self.ask::<Done>(&Request::Abort {}, within);
        }
    }
}

/// Starts a program and makes sure that it is for this run. Its directory is new, so nothing of one before it is there.
fn greet(
    config: &RunConfig,
    options: &Options,
    layout: &str,
    parameters: usize,
) -> Result<(Bulk, Connection, Hello), ProcessError> {
    let bulk = Bulk::new(options.directory.as_deref()).map_err(|error| ProcessError::Bulk {
        file: "the directory itself",
        error,
    })?;
    let request = Request::Hello {
        protocol: PROTOCOL,
        model: &config.model,
        layout,
    };
    let (running, hello) = Connection::start(options, &bulk, &request)?;
    match hello.fault(layout, parameters as u64) {
        None => Ok((bulk, running, hello)),
        Some(what) => Err(ProcessError::Protocol {
            verb: "start",
            what,
        }),
    }
}

fn constants(inner: &InnerOptimizer) -> Optimizer {
    Optimizer {
        beta1: inner.beta1.to_f64(),
        beta2: inner.beta2.to_f64(),
        epsilon: inner.epsilon.to_f64(),
        weight_decay: inner.weight_decay.to_f64(),
        clip_norm: inner.clip_norm.to_f64(),
    }
}

fn same_moments(a: &trace::State, b: &trace::State) -> bool {
    (a.first_moment, a.second_moment, a.steps) == (b.first_moment, b.second_moment, b.steps)
}
