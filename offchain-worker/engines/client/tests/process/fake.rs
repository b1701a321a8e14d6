//! A program that speaks the engine protocol and trains on the CPU, as the CPU's engine does, until it is told to
//! misbehave.
//!
//! It is this test binary, started again: see [`launch`].

use std::{
    env, fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use cairn_engine_process::{Deadlines, Launch, Options};
use cairn_primitives::{Layout, ModelShape};
use cairn_trainer::{AdamState, Trainer};
use serde_json::{json, Value};

use crate::fixture::config;

const VARIABLE: &str = "FAKE_ENGINE";
/// What a name of a lifeline's socket ends with.
const LIFELINE: &str = "lifeline";

/// Starts this binary as the program. `fault` is `VERB:WHAT`, and comes once: while `armed` is there, which it removes.
pub fn launch(fault: &str, armed: &Path) -> Options {
    let this = env::current_exe().unwrap();
    let start = format!("{VARIABLE}=\"$*\" exec \"$0\" --exact fake::program --nocapture");
    let words = ["sh".into(), "-c".into(), start.into(), this.into()];
    let more = [fault.into(), armed.into()];
    Options {
        launch: Launch::Command(words.into_iter().chain(more).collect()),
        device: "cpu".into(),
        arguments: Vec::new(),
        directory: None,
        deadlines: Deadlines::default(),
    }
}

/// Is the program if this process was started to be it.
#[test]
fn program() {
    let Ok(words) = env::var(VARIABLE) else {
        return;
    };
    let words: Vec<&str> = words.split(' ').collect();
    let [fault, armed, "cairn_engine_torch", "--socket", socket, "--directory", directory, ..] =
        words[..]
    else {
        panic!("started with {words:?}");
    };
    let mut fake = Fake {
        fault: fault.into(),
        armed: armed.into(),
        directory: directory.into(),
        trainer: Trainer::new(&config().model, 1).unwrap(),
        parameters: Vec::new(),
        optimizer: AdamState::new(0),
    };
    if fake.misbehaves("start") == Some("ends") {
        eprintln!("SomeError: no such card");
        std::process::exit(3);
    }
    if fake.misbehaves("start") == Some("hides") {
        forever();
    }
    let stream = UnixStream::connect(socket).unwrap();
    fake.serve(stream);
    std::process::exit(0);
}

fn forever() -> ! {
    loop {
        thread::park();
    }
}

struct Fake {
    fault: String,
    armed: PathBuf,
    directory: PathBuf,
    trainer: Trainer,
    parameters: Vec<f32>,
    optimizer: AdamState,
}

impl Fake {
    /// What to do instead, if it is now.
    fn misbehaves(&self, verb: &str) -> Option<&str> {
        let (when, what) = self.fault.split_once(':').unwrap();
        (when == verb && self.armed.exists()).then_some(what)
    }

    fn serve(&mut self, mut stream: UnixStream) {
        while let Some(request) = receive(&mut stream) {
            let verb = request["verb"].as_str().unwrap().to_string();
            let what = self.misbehaves(&verb).map(String::from);
            if what.is_some() {
                fs::remove_file(&self.armed).unwrap();
            }
            let what = what.unwrap_or_default();
            let ok = self.answer(&verb, &request, &what);
            let honest = json!({"id": request["id"], "ok": ok});
            say(&mut stream, &what, honest);
        }
    }

    /// Does what is asked, or nearly.
    fn answer(&mut self, verb: &str, request: &Value, what: &str) -> Value {
        match verb {
            "hello" => self.hello(request, what),
            "load" => {
                self.parameters = self.numbers(&request["parameters"]);
                json!({"seconds": 0.5})
            }
            "begin" => {
                self.begin(request);
                json!({})
            }
            "step" => self.step(request, what),
            "save" => {
                self.save(request, what);
                json!({})
            }
            "finish" => json!({"peak_bytes": [1 << 20]}),
            "abort" | "ping" => json!({}),
            other => panic!("asked to {other}"),
        }
    }

    fn hello(&self, request: &Value, what: &str) -> Value {
        assert_eq!(request["protocol"], 1);
        let shape: ModelShape = serde_json::from_value(request["model"].clone()).unwrap();
        let rank = json!({"pid": std::process::id(), "host": "here", "device": "cpu"});
        let mut hello = json!({
            "protocol": 1,
            "engine": "fake",
            "layout": request["layout"],
            "parameters": Layout::of(&shape).parameters(),
            "dtype": "f32",
            "ranks": [rank],
        });
        match what {
            "version" => hello["protocol"] = json!(2),
            "layout" => hello["layout"] = json!("00"),
            "parameters" => hello["parameters"] = json!(7),
            "no-ranks" => hello["ranks"] = json!([]),
            "escapes" => hello["engine"] = json!("\u{1b}[2Jfake"),
            LIFELINE => hold(&self.armed.with_extension(LIFELINE)),
            _ => {}
        }
        hello
    }

    fn begin(&mut self, request: &Value) {
        match &request["moments"] {
            Value::String(word) if word == "zero" => {
                self.optimizer = AdamState::new(self.parameters.len());
            }
            Value::String(word) if word == "keep" => {
                assert_eq!(request["done"], self.optimizer.step);
                fs::write(self.armed.with_extension("kept"), "").unwrap();
            }
            files => {
                self.optimizer.m = self.numbers(&files[0]);
                self.optimizer.v = self.numbers(&files[1]);
                self.optimizer.step = request["done"].as_u64().unwrap();
            }
        }
        let inner = config().inner;
        let told = &request["optimizer"];
        assert_eq!(told["beta1"], inner.beta1.to_f64());
        assert_eq!(told["beta2"], inner.beta2.to_f64());
        assert_eq!(told["epsilon"], inner.epsilon.to_f64());
        assert_eq!(told["weight_decay"], inner.weight_decay.to_f64());
        assert_eq!(told["clip_norm"], inner.clip_norm.to_f64());
    }

    fn step(&mut self, request: &Value, what: &str) -> Value {
        if what == "directory" {
            fs::create_dir(self.directory.join("parameters.f32")).unwrap();
        }
        let bytes = fs::read(self.file(&request["tokens"])).unwrap();
        let words = bytes.chunks_exact(4);
        let tokens: Vec<u32> = words
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        let length = request["length"].as_u64().unwrap() as usize;
        let batch: Vec<&[u32]> = tokens.chunks_exact(length).collect();
        assert_eq!(batch.len() as u64, request["sequences"].as_u64().unwrap());
        let inner = config().inner;
        let rate = cairn_trainer::optimizer::learning_rate(&inner, self.optimizer.step);
        assert_eq!(request["learning_rate"], rate);
        let Fake {
            trainer,
            parameters,
            optimizer,
            ..
        } = self;
        let loss = trainer.step(parameters, optimizer, &inner, &batch).unwrap();
        let loss = match what {
            "negative-loss" => json!(-1.0),
            "endless-loss" => json!(1e300),
            "no-loss" => json!(null),
            _ => json!(loss),
        };
        json!({"loss": loss, "norm": 1.0, "tokens": 192, "seconds": 0.5})
    }

    fn save(&self, request: &Value, what: &str) {
        let mut parameters = self.parameters.clone();
        let AdamState { mut m, mut v, .. } = self.optimizer.clone();
        match what {
            "nan" => parameters[100] = f32::NAN,
            "infinite" => m[0] = f32::INFINITY,
            "negative" => v[3] = -1e-9,
            "short" => parameters.truncate(10),
            "long" => parameters.push(0.0),
            "replaced" => fs::remove_file(self.file(&request["parameters"])).unwrap(),
            _ => {}
        }
        for (name, numbers) in [("parameters", parameters), ("first", m), ("second", v)] {
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            let mut options = fs::File::options();
            let options = options.write(true).create(true).truncate(true);
            let mut file = options.open(self.file(&request[name])).unwrap();
            file.write_all(&bytes).unwrap();
        }
    }

    fn file(&self, name: &Value) -> PathBuf {
        self.directory.join(name.as_str().unwrap())
    }

    fn numbers(&self, name: &Value) -> Vec<f32> {
        let bytes = fs::read(self.file(name)).unwrap();
        let words = bytes.chunks_exact(4);
        words
            .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }
}

/// A request; none if the other side is gone.
fn receive(stream: &mut UnixStream) -> Option<Value> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut text = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut text).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

/// Says what is honest, or something else.
fn say(stream: &mut UnixStream, what: &str, honest: Value) {
    let id = honest["id"].clone();
    let fault = |kind: &str| {
        let said = "as\u{7} told";
        let error = json!({"kind": kind, "said": said, "rank": 1, "loss": "nan", "norm": "inf"});
        json!({"id": id, "error": error})
    };
    let answer = match what {
        "silence" => forever(),
        "ends" => {
            eprintln!("Traceback\nSomeError: it \u{1b}[31mbroke\nbye");
            std::process::exit(3);
        }
        "huge" => {
            stream.write_all(&u32::MAX.to_le_bytes()).unwrap();
            forever();
        }
        "trickle" => {
            stream.write_all(&60_000u32.to_le_bytes()).unwrap();
            // until the other side has had enough
            while stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
            return;
        }
        "garbage" => return frame(stream, b"{\"id\": 1, \"ok\": {"),
        "deep" => return frame(stream, "[".repeat(60_000).as_bytes()),
        "other-id" => json!({"id": 77, "ok": honest["ok"]}),
        "both" => json!({"id": id, "ok": {}, "error": fault("oom")["error"]}),
        "neither" => json!({"id": id}),
        "more" => json!({"id": id, "ok": honest["ok"], "and": "more"}),
        "other-facts" => json!({"id": id, "ok": {"loss": "low"}}),
        "oom" | "not_finite" | "rank_lost" | "collective_timeout" | "protocol" | "mood" => {
            fault(what)
        }
        _ => honest,
    };
    frame(stream, answer.to_string().as_bytes());
}

fn frame(stream: &mut UnixStream, text: &[u8]) {
    let length = text.len() as u32;
    stream
        .write_all(&[&length.to_le_bytes(), text].concat())
        .unwrap();
}

/// Starts a child that holds a connection to a socket of the test for as long as it lives.
#[allow(clippy::zombie_processes, reason = "it is to outlive this one")]
fn hold(socket: &Path) {
    let lifeline = UnixStream::connect(socket).unwrap();
    let held = Stdio::from(std::os::fd::OwnedFd::from(lifeline));
    Command::new("sleep")
        .arg("1000")
        .stdin(held)
        .spawn()
        .unwrap();
}
