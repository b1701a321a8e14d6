//! `cairn eval`, with a program in the place of Python that says what lm-evaluation-harness would.
//!
//! The script that is started is tried by itself, with stand-ins for the harness and for the server.
//! What the harness itself makes of a model is tried by `make eval`: it takes several GB.

mod common;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc::{channel, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use cairn_trainer::{config, initial_parameters};
use common::cairn;
use serde_json::{json, Value};
use tempfile::TempDir;

/// After this time something hangs, on however busy a machine.
const HANGS: Duration = Duration::from_secs(240);

/// What stands in for Python. Asked for modules, it has them all; started with the script, it leaves a result for the
/// root and the round of the model that it was given. `accuracy`, `same` and `code` say how it ends.
fn python(directory: &Path, accuracy: &str, same: u32, code: u8) -> PathBuf {
    let script = format!(
        r#"#!/bin/sh
[ "$1" = -c ] && exit 0
[ -f "$1" ] && [ -f "${{1%run.py}}task.py" ] || exit 9
while [ $# -gt 0 ]; do
    case "$1" in
        --model) model=$2 ;;
        --out) out=$2 ;;
        --tasks) tasks=$2 ;;
    esac
    shift
done
[ "$tasks" = cloze,mmlu ] && [ -f "$model/tokenizer.json" ] || exit 8
root=$(sed -n 's/.*"model_root": "\(0x[0-9a-f]*\)".*/\1/p' "$model/cairn.json")
round=$(sed -n 's/.*"round": \([0-9]*\).*/\1/p' "$model/cairn.json")
mkdir -p "$out/results"
cat > "$out/results/$root.json" <<END
{{"model_root": "$root", "run": "tiny", "netuid": null, "round": $round, "lm_eval": "0.4.13", "tasks":
{{"cairn_cloze": {{"task_sha256": "ab", "questions": 30, "accuracy": {accuracy}, "accuracy_by_endpoint": {accuracy},
"standard_error": 0.08, "same_answers": {same}, "largest_difference_in_nats": 1e-6}}}}}}
END
echo "Traceback" >&2
echo "ValueError: it broke" >&2
echo "evaluated $root"
exit {code}
"#
    );
    program(directory, &script)
}

/// Puts a script there to be started as Python.
fn program(directory: &Path, script: &str) -> PathBuf {
    let path = directory.join("python");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Puts parameters of that seed into the store as those of a round; gives their path.
fn checkpoint(store: &Path, round: u32, seed: u64) -> String {
    let parameters = initial_parameters(&config::named("tiny").unwrap(), seed);
    let root = format!("{:?}", cairn_gradient::model_root(&parameters));
    let path = format!("checkpoints/1/{round}-{}", root.trim_start_matches("0x"));
    let bytes: Vec<u8> = parameters.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::create_dir_all(store.join("checkpoints/1")).unwrap();
    fs::write(store.join(&path), bytes).unwrap();
    path
}

fn repository(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

/// Evaluates a checkpoint of the store; the results go to `out` beside it.
fn eval(store: &Path, python: &Path, checkpoint: &str, more: &[&str]) -> Output {
    evaluating(store, python, checkpoint)
        .args(more)
        .output()
        .unwrap()
}

/// The same as a command that is yet to be started.
fn evaluating(store: &Path, python: &Path, checkpoint: &str) -> Command {
    let url = cairn_store::url::of_directory(store).unwrap();
    let (run, tokenizer) = (
        repository("chain-specs/run-tiny.toml"),
        repository("data/tokenizer.json"),
    );
    let mut command = cairn(&["eval", "--tasks", "cloze,mmlu", "--store", &url]);
    command.args([
        "--file",
        &run,
        "--tokenizer",
        &tokenizer,
        "--checkpoint",
        checkpoint,
    ]);
    command.arg("--python").arg(python);
    command.arg("--out").arg(store.join("out"));
    command
}

/// What a command that fails says: a line.
fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("cairn: "), "{said}");
    last.to_string()
}

#[test]
fn results_are_kept_by_root_and_drawn_by_round() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path();
    let (first, second) = (checkpoint(store, 5, 1), checkpoint(store, 9, 2));
    let nowhere = refused(&eval(store, Path::new("/nowhere/python"), &first, &[]));
    assert!(
        nowhere.contains("/nowhere/python") && nowhere.contains("make venv"),
        "{nowhere}"
    );

    let good = python(store, "0.25", 30, 0);
    let done = eval(store, &good, &first, &["--json"]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&report["equal"], &report["evaluated"]["round"]),
        (&true.into(), &5.into())
    );
    let root = report["evaluated"]["model_root"].as_str().unwrap();
    assert!(first.ends_with(root.trim_start_matches("0x")), "{root}");
    let out = store.join("out");
    assert!(out.join("results").join(format!("{root}.json")).is_file());
    assert!(!out.join(".export").exists(), "the model goes");

    let better = python(store, "0.5", 30, 0);
    let done = eval(store, &better, &second, &[]);
    let shown = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let rows = ["5", "9"].map(|round| shown.lines().any(|line| line.trim().starts_with(round)));
    assert_eq!(rows, [true, true], "{shown}");
    assert!(
        shown.contains("accuracy in cairn_cloze by round"),
        "{shown}"
    );
    assert!(
        shown.contains("  0.500 │") && shown.contains("  0.250 │"),
        "{shown}"
    );

    what_goes_wrong_is_told(store, &second);
}

fn what_goes_wrong_is_told(store: &Path, second: &str) {
    // The two ways disagree: it is shown, and told.
    let different = python(store, "0.5", 29, 3);
    let told = refused(&eval(store, &different, second, &[]));
    assert!(told.contains("29 of 30 in cairn_cloze"), "{told}");
    let silent = python(store, "0.5", 30, 4);
    let told = refused(&eval(store, &silent, second, &[]));
    assert!(told.contains("the model cannot be asked"), "{told}");
    let broken = python(store, "0.5", 30, 1);
    let told = refused(&eval(store, &broken, second, &[]));
    assert!(
        told.contains("ValueError: it broke") && told.contains("failed.log"),
        "{told}"
    );
    let log = store.join("out/failed.log");
    assert!(fs::read_to_string(log).unwrap().contains("Traceback"));
}

/// The lines that come out of a pipe with a name. They end when nobody has it open any more.
fn heard(pipe: PathBuf) -> Receiver<String> {
    let (said, heard) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(File::open(pipe).unwrap()).lines();
        // Who waited may have given up.
        lines.for_each(|line| drop(said.send(line.unwrap())));
    });
    heard
}

/// The other end of the pipe is closed, or the process that has it is ended by force.
fn nobody_is_left(lines: &Receiver<String>, started: &str) {
    if lines.recv_timeout(HANGS) != Err(RecvTimeoutError::Disconnected) {
        let _ = Command::new("kill").args(["-KILL", started]).status();
        panic!("process {started} is left");
    }
}

fn send(signal: &str, to: u32) {
    let sent = Command::new("kill")
        .args([signal, &to.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// What the script has started, the server for one, is not asked by anybody: it ends with the command.
#[test]
fn who_is_stopped_leaves_nothing_running_and_no_model() {
    for signal in ["-TERM", "-INT"] {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path();
        let alive = store.join("alive");
        nix::unistd::mkfifo(&alive, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let lines = heard(alive.clone());
        // It and what it starts have the pipe open for as long as they live.
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -c ] && exit 0\nexec 3> '{}'\ntail -f /dev/null &\necho $! >&3\nwait\n",
            alive.display()
        );
        let python = program(store, &script);
        let checkpoint = checkpoint(store, 5, 1);
        let mut command = evaluating(store, &python, &checkpoint);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = command.spawn().unwrap();
        let started = lines.recv_timeout(HANGS).expect("the script is started");
        assert!(store.join("out/.export").is_dir());
        send(signal, running.id());
        let told = refused(&running.wait_with_output().unwrap());
        assert!(told.contains("was stopped"), "{told}");
        nobody_is_left(&lines, &started);
        assert!(!store.join("out/.export").exists(), "the model goes");
    }
}

/// What stands in for lm-evaluation-harness: it answers a question, or says that it lives and waits.
const LM_EVAL: &str = r#"
import json, os, pathlib, signal, sys

after = lambda name: sys.argv[sys.argv.index(name) + 1]
if "ALIVE" in os.environ:
    pipe = open(os.environ["ALIVE"], "w")
    print(os.getpid(), file=pipe, flush=True)
    signal.pause()
right, wrong = [["2.0"]], [["1.0"]]
scores = [wrong, right] if after("--model") == os.environ.get("OTHER") else [right, wrong]
out, name = pathlib.Path(after("--output_path")), after("--tasks")
out.mkdir(parents=True, exist_ok=True)
found = {"lm_eval_version": "0.4.13", "results": {name: {"acc,none": 0.5, "acc_stderr,none": 0.1}}}
(out / "results_1.json").write_text(json.dumps(found))
(out / f"samples_{name}_1.jsonl").write_text(json.dumps({"doc_id": 0, "resps": scores}))
"#;

/// What stands in for `cairn serve`: it says that it takes requests, and does so until it is ended.
const SERVES: &str = r#"echo '{"url": "http://127.0.0.1:9/v1", "model": "m", "model_root": "0xab",' \
    '"run": null, "netuid": null, "round": 5}'
exec tail -f /dev/null"#;

/// The script that `cairn eval` starts, by Python itself.
struct Script(TempDir);

impl Script {
    fn new() -> Script {
        let script = Script(tempfile::tempdir().unwrap());
        let questions = script.at("lm_eval/tasks/mmlu/flan_cot_fewshot");
        fs::create_dir_all(&questions).unwrap();
        fs::create_dir(script.at("model")).unwrap();
        let sample =
            json!({"question": "Two? (A) 1 (B) 2 (C) 3 (D) 4", "target": "The answer is (B)."});
        for subject in 0..57 {
            let content = json!({"dataset_name": subject, "fewshot_config": {"samples": [sample]}});
            let name = questions.join(format!("mmlu_{subject}.yaml"));
            fs::write(name, content.to_string()).unwrap();
        }
        for (name, content) in [
            ("lm_eval/__init__.py", ""),
            ("lm_eval/__main__.py", LM_EVAL),
            // What is JSON is YAML.
            ("yaml.py", "from json import loads as safe_load\n"),
            ("model/config.json", "{\"max_position_embeddings\": 128}"),
        ] {
            fs::write(script.at(name), content).unwrap();
        }
        script
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// What starts it, with this as the server.
    fn command(&self, server: &str) -> Command {
        let server = program(self.0.path(), &format!("#!/bin/sh\n{server}\n"));
        let mut command = Command::new("python3");
        command.arg(repository("scripts/eval/run.py"));
        command.args(["--tasks", "mmlu"]).arg("--cairn").arg(server);
        command.arg("--model").arg(self.at("model"));
        command.arg("--out").arg(self.at("out"));
        command.env("PYTHONPATH", self.0.path());
        // Nothing is left in the checkout.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// How a command ended, and what it said as an error.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let done = command.output().expect("python3 is there");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.code(), said)
}

#[test]
fn the_script_asks_twice_and_keeps_the_result() {
    let script = Script::new();
    let done = script.command(SERVES).output().expect("python3 is there");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    let shown = String::from_utf8_lossy(&done.stdout);
    assert_eq!(shown.lines().last(), Some("evaluated 0xab"));
    let kept = fs::read(script.at("out/results/0xab.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    let task = &kept["tasks"]["cairn_mmlu"];
    assert_eq!((&kept["round"], &task["questions"]), (&json!(5), &json!(1)));
    assert_eq!(task["same_answers"], 1);
    let questions = fs::read_to_string(script.at("out/task/cairn_mmlu.jsonl")).unwrap();
    assert_eq!(questions.lines().count(), 57);

    let mut other = script.command(SERVES);
    let (code, said) = ended(other.env("OTHER", "local-completions"));
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn a_server_that_says_nothing_is_ended_and_told() {
    let script = Script::new();
    let mut silent = script.command("exec tail -f /dev/null");
    let (code, said) = ended(silent.args(["--patience", "1"]));
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("took no requests within 1 s"), "{said}");
    let (code, said) = ended(&mut script.command("exit 1"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("did not start"), "{said}");
}

#[test]
fn a_script_that_is_asked_to_end_ends_the_harness() {
    let script = Script::new();
    let alive = script.at("alive");
    nix::unistd::mkfifo(&alive, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let lines = heard(alive.clone());
    let mut command = script.command(SERVES);
    let command = command.env("ALIVE", &alive).stderr(Stdio::null());
    let mut running = command.spawn().expect("python3 is there");
    let started = lines.recv_timeout(HANGS).expect("the harness is started");
    send("-TERM", running.id());
    assert_eq!(running.wait().unwrap().code(), Some(1));
    nobody_is_left(&lines, &started);
}
