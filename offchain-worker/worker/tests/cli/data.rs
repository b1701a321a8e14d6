//! `cairn data prepare`: what it reads and where it writes.

use super::{cairn, fails, place::Place, works};

#[test]
fn a_store_that_cannot_be_written_is_named() {
    let place = Place::new();
    // Below a file there can be no directory, whoever asks.
    let out = format!("file://{}/store", place.text("corpus"));
    let prepare = [
        "data",
        "prepare",
        "--corpus",
        &place.text("corpus"),
        "--tokenizer",
        &place.text("tokenizer.json"),
        "--out",
        &out,
    ];
    fails(&prepare, &["corpus/store", "writ"]);
    let s3 = [
        "data",
        "prepare",
        "--corpus",
        &place.text("corpus"),
        "--tokenizer",
        &place.text("tokenizer.json"),
        "--out",
        "gopher://x",
    ];
    fails(&s3, &["gopher", "file://"]);
}

/// `data prepare` of a file of the place, with more arguments.
fn prepare(place: &Place, corpus: &str, more: &[&str]) -> Vec<String> {
    let (corpus, out) = (
        place.text(corpus),
        format!("file://{}", place.text("other")),
    );
    let tokenizer = place.text("tokenizer.json");
    let fixed = [
        "data",
        "prepare",
        "--corpus",
        &corpus,
        "--tokenizer",
        &tokenizer,
        "--out",
        &out,
    ];
    fixed
        .iter()
        .chain(more)
        .map(|word| word.to_string())
        .collect()
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn ten_documents_that_each_end_in_the_separator_are_ten() {
    let place = Place::new();
    let text = "We the people of the cairn, and so on. ";
    let ten: String = (0..10)
        .map(|n| format!("{n} {}\u{1e}", text.repeat(30)))
        .collect();
    std::fs::write(place.path("ten"), ten).expect("room");
    let arguments = prepare(&place, "ten", &["--json"]);
    let printed = works(&words(&arguments));
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert!(printed["heldout_tokens"].as_u64() > Some(129), "{printed}");
    assert!(printed["heldout_windows"].as_u64() > Some(0), "{printed}");
    for (name, content, word) in [
        ("empty", "", "no text"),
        ("blank", " \n\u{1e}\t\u{1e}", "no text"),
        ("single", "one\u{1e}\u{1e}\n", "one document"),
    ] {
        std::fs::write(place.path(name), content).expect("room");
        fails(&words(&prepare(&place, name, &[])), &[name, word, "0x1e"]);
    }
}

#[test]
fn a_held_out_part_below_one_window_is_refused_when_it_is_prepared_and_when_a_run_starts() {
    let place = Place::new();
    let text = "We the people of the cairn. ".repeat(200);
    std::fs::write(
        place.path("short"),
        format!("{text}\u{1e}{text}\u{1e}tail xyz"),
    )
    .expect("room");
    let refusal = ["text held out has", "window of 16 needs 17", "--held-out"];
    fails(
        &words(&prepare(&place, "short", &["--sequence-length", "16"])),
        &refusal,
    );
    assert!(!place.path("other/data").exists(), "nothing was written");
    let none = cairn(&words(&prepare(
        &place,
        "short",
        &["--sequence-length", "0"],
    )));
    assert!(!none.status.success(), "a window has a token");
    works(&words(&prepare(
        &place,
        "short",
        &["--sequence-length", "2"],
    )));
    let (file, store) = (
        place.run("name", "name"),
        format!("file://{}", place.text("other")),
    );
    fails(
        &[
            "run", "start", "--check", "--file", &file, "--store", &store,
        ],
        &refusal,
    );
}

#[test]
fn a_tokenizer_with_more_than_a_mapping_prepares_the_same_data() {
    let place = Place::new();
    let given = std::fs::read(place.path("tokenizer.json")).expect("there");
    let prepared = || {
        let arguments = prepare(&place, "corpus", &["--json"]);
        let printed = works(&words(&arguments));
        serde_json::from_str::<serde_json::Value>(&printed).expect("JSON")
    };
    let plain = prepared();
    let mut file: serde_json::Value = serde_json::from_slice(&given).expect("JSON");
    file["truncation"] = serde_json::json!({
        "direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0,
    });
    std::fs::write(place.path("tokenizer.json"), file.to_string()).expect("room");
    let cut = prepared();
    for count in ["tokens", "heldout_tokens", "vocabulary", "windows"] {
        assert_eq!(cut[count], plain[count], "{count}");
    }
    let files = std::fs::read_dir(place.path("other/data")).expect("there");
    let shards = files.filter(|file| {
        let path = file.as_ref().expect("there").path();
        std::fs::read(path).expect("there").starts_with(b"cairntok")
    });
    assert_eq!(shards.count(), 2, "both put the same shards there");
    assert_eq!(cut["tokenizer_left_out"], serde_json::json!(["truncation"]));
    let people = works(&words(&prepare(&place, "corpus", &[])));
    assert!(
        people.contains("not used   the tokenizer file's truncation"),
        "{people}"
    );
    file["model"]["vocab"]["far away"] = 5_000.into();
    std::fs::write(place.path("tokenizer.json"), file.to_string()).expect("room");
    let refusal = ["tokenizer.json", "gap", "5000", "`far away`"];
    fails(&words(&prepare(&place, "corpus", &[])), &refusal);
}
