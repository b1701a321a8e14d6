//! `cairn gradient`: what is encoded is decoded, sealed files stay sealed, and bad input is one line.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use cairn_gradient::seal;

struct Place(tempfile::TempDir);

impl Place {
    /// A layout of 5,000 parameters and a pseudo-gradient for it.
    fn new() -> Place {
        let place = Place(tempfile::tempdir().expect("room"));
        let layout = r#"[{"name": "w", "shape": [64, 70]}, {"name": "b", "shape": [520]}]"#;
        place.write("layout.json", layout.as_bytes());
        let delta = (0..5_000i32).map(|i| (i * 7_919 % 1_009 - 504) as f32 * 1e-5);
        let bytes: Vec<u8> = delta.flat_map(f32::to_le_bytes).collect();
        place.write("delta.f32", &bytes);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("room");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect(name)
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let bytes = self.read(name);
        let values = bytes.chunks_exact(4).map(<[u8; 4]>::try_from);
        values.flatten().map(f32::from_le_bytes).collect()
    }

    /// Runs `cairn gradient …` in this directory, with nothing of the surroundings.
    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAIRN_")) {
            command.env_remove(name);
        }
        command
            .arg("gradient")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path());
        command.output().expect("cairn starts")
    }

    fn works(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments}: {error}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn json(&self, arguments: &str) -> serde_json::Value {
        serde_json::from_str(&self.works(arguments)).expect("JSON")
    }

    fn fails(&self, arguments: &str, words: &[&str]) {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let place = Place::new();
    let encode = "encode --layout layout.json --kept-per-block 512 --feedback error.f32 \
                  --netuid 3 --round 9 --inner-steps 30 --tokens 61440 --mean-loss 3.25 \
                  delta.f32 out.crnc";
    let encoded = place.json(&format!("{encode} --json"));
    let bytes = place.read("out.crnc");
    assert_eq!(encoded["bytes"], bytes.len() as u64);
    assert_eq!(encoded["parameters"], 5_000);
    place.works("decode --layout layout.json --kept-per-block 512 out.crnc sent.f32");
    let (delta, sent) = (place.floats("delta.f32"), place.floats("sent.f32"));
    assert_eq!(sent.len(), 5_000);
    let count = sent.iter().filter(|value| **value != 0.0).count() as u64;
    assert_eq!(encoded["values"], count);
    let error = place.floats("error.f32");
    for i in 0..5_000 {
        assert_eq!(error[i], delta[i] - sent[i]);
    }
    // the next round begins with what was left
    place.works(encode);
    let next = place.floats("error.f32");
    place.works("decode --layout layout.json --kept-per-block 512 out.crnc sent.f32");
    let sent = place.floats("sent.f32");
    for i in 0..5_000 {
        assert_eq!(next[i], 0.95 * error[i] + delta[i] - sent[i]);
    }

    let inspected = place.json("inspect --layout layout.json --kept-per-block 512 out.crnc --json");
    assert_eq!(inspected["sealed"], false);
    assert_eq!(inspected["header"]["netuid"], 3);
    assert_eq!(inspected["header"]["round"], 9);
    assert_eq!(inspected["header"]["tokens"], 61_440);
    let tensors = inspected["tensors"].as_array().expect("an array");
    let sum: u64 = tensors.iter().filter_map(|t| t["bytes"].as_u64()).sum();
    assert_eq!(sum + 388, place.read("out.crnc").len() as u64);
    for tensor in tensors {
        let bits = ["level_bits", "place_bits", "sign_bits", "run_bits"];
        let bits: u64 = bits.iter().filter_map(|kind| tensor[kind].as_u64()).sum();
        // length, parameters, and less than a byte of filling
        let bytes = tensor["bytes"].as_u64().expect("a number");
        assert!((3..=7).contains(&(bytes - bits.div_ceil(8))), "{tensor}");
    }
    let people = place.works("inspect --layout layout.json --kept-per-block 512 out.crnc");
    assert!(people.contains("subnet 3, round 9") && people.contains("64×70"));
    let header = place.works("inspect out.crnc");
    assert!(header.contains("mean loss 3.2500") && header.contains("--layout"));
}

#[test]
fn four_turns_are_all_values() {
    let place = Place::new();
    let how = |turn| format!("--layout layout.json --kept-per-block 4096 --turn {turn}/4");
    let mut sent = vec![0.0; 5_000];
    for turn in 0..4 {
        let how = how(turn);
        place.works(&format!("encode {how} --error-decay 0 delta.f32 out.crnc"));
        place.works(&format!("decode {how} out.crnc sent.f32"));
        let of_turn = place.floats("sent.f32");
        for (all, one) in sent.iter_mut().zip(&of_turn) {
            assert!(*all == 0.0 || *one == 0.0);
            *all += one;
        }
    }
    let delta = place.floats("delta.f32");
    let signs = sent.iter().zip(&delta);
    assert!(signs.into_iter().all(|(sent, delta)| sent * delta >= 0.0));
    assert!(sent.iter().filter(|value| **value != 0.0).count() > 4_500);
    let few = "encode --layout layout.json --turn 1/4 delta.f32 other.crnc";
    place.fails(few, &["turn 1 of 4", "keep 4096"]);
    let none = format!("encode {} delta.f32 other.crnc", how(4));
    place.fails(&none, &["turn 4 of 4"]);
    assert!(!place.path("other.crnc").exists());
}

#[test]
fn a_sealed_file_needs_its_key() {
    let place = Place::new();
    place.works("encode --layout layout.json delta.f32 out.crnc");
    let mut sealed = place.read("out.crnc");
    seal(&mut sealed, &[0x2A; 32]);
    place.write("sealed.bin", &sealed);
    let shown = place.json("inspect sealed.bin --json");
    assert_eq!(shown["sealed"], true);
    assert!(shown["header"].is_null());
    assert!(place.works("inspect sealed.bin").contains("--secret"));
    let (key, wrong) = ("2a".repeat(32), "2b".repeat(32));
    let opened = place.json(&format!(
        "inspect sealed.bin --secret {key} --layout layout.json --json"
    ));
    assert_eq!(opened["tensors"][0]["name"], "w");
    place.fails(
        &format!("inspect sealed.bin --secret {wrong}"),
        &["wrong key"],
    );
    place.works(&format!(
        "decode --layout layout.json --secret {key} sealed.bin sent.f32"
    ));
    place.fails(
        "decode --layout layout.json sealed.bin other.f32",
        &["not a contribution"],
    );
    assert!(!place.path("other.f32").exists());
}

#[test]
fn bad_input_is_one_line_and_changes_nothing() {
    let place = Place::new();
    place.write("out.crnc", b"as it was");
    let encode =
        |layout: &str, more: &str| format!("encode --layout {layout} {more} delta.f32 out.crnc");
    place.fails(&encode("none.json", ""), &["none.json", "check the path"]);
    place.write("bad.json", b"{}");
    place.fails(&encode("bad.json", ""), &["not a layout", "shape"]);
    place.write("short.json", br#"[{"name": "w", "shape": [64, 64]}]"#);
    place.fails(&encode("short.json", ""), &["20000 bytes", "16384"]);
    place.write("cube.json", br#"[{"name": "w", "shape": [10, 10, 50]}]"#);
    place.fails(&encode("cube.json", ""), &["vectors and matrices"]);
    place.fails(&encode("layout.json", "--kept-per-block 0"), &["1 to 4096"]);
    place.fails(
        &encode("layout.json", "--error-decay 1.5"),
        &["error_decay"],
    );
    place.fails(&encode("layout.json", "--mean-loss inf"), &["mean loss"]);
    place.write("error.f32", &[0; 12]);
    place.fails(
        &encode("layout.json", "--feedback error.f32"),
        &["error.f32"],
    );
    let mut delta = place.read("delta.f32");
    delta[19_996..].copy_from_slice(&f32::NAN.to_le_bytes());
    place.write("delta.f32", &delta);
    place.fails(
        &encode("layout.json", ""),
        &["not finite", "element 519", "b"],
    );
    assert_eq!(place.read("out.crnc"), b"as it was");
    assert_eq!(place.read("error.f32"), [0; 12]);
    let left = std::fs::read_dir(place.0.path()).expect("there");
    let parts = left
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "part"));
    assert_eq!(parts.count(), 0);
}
