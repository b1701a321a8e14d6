//! What a tokenizer's file can switch on, and texts that are hard to keep.

use serde_json::{json, Value};
use tokenizers::Tokenizer;

use crate::{train_tokenizer, Corpus, TextTokenizer};

const HARD: [&str; 8] = [
    "the cat sat on the mat",
    " leading, trailing ",
    "a <|end|> in the text, <|end|>",
    "<|end|>",
    "never seen: 漢字 🎉\n\ttab\r\n",
    "e\u{301} is not é; ﬁ, \u{a0}\u{200b}\u{feff}",
    "\0\u{7f}\u{10ffff}",
    "[CLS] <s> </s> [PAD] Word words",
];

fn corpus() -> Corpus {
    let text = "the cat sat on the mat\u{1e}the dog sat on the log — überall\u{1e}held out";
    Corpus::new(text.into(), 0.1).unwrap()
}

/// A tokenizer's file with something changed in it.
fn file(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut file = serde_json::from_str(&train_tokenizer(&corpus(), 300).unwrap()).unwrap();
    change(&mut file);
    serde_json::to_vec(&file).unwrap()
}

fn plain() -> TextTokenizer {
    TextTokenizer::parse(&file(|_| {})).unwrap()
}

/// Why a file is refused.
fn refused(change: impl FnOnce(&mut Value)) -> String {
    let result = TextTokenizer::parse(&file(change));
    result.err().expect("it is refused").to_string()
}

/// Why a text is refused with a file.
fn lost(change: impl FnOnce(&mut Value), text: &str) -> String {
    let tokenizer = TextTokenizer::parse(&file(change)).unwrap();
    tokenizer
        .encode(&["fine", text], 7)
        .expect_err("it is lost")
        .to_string()
}

fn added(id: u32, content: &str, special: bool) -> Value {
    json!({
        "id": id, "content": content, "special": special,
        "single_word": true, "lstrip": true, "rstrip": true, "normalized": true,
    })
}

/// What `tokenizers` makes of a text, as whoever uses the published file encodes it.
fn elsewhere(published: &[u8], text: &str) -> Vec<u32> {
    let mut tokenizer = Tokenizer::from_bytes(published).unwrap();
    // `split_special_tokens` in tokenizer_config.json
    tokenizer.set_encode_special_tokens(true);
    tokenizer.encode(text, true).unwrap().get_ids().to_vec()
}

#[test]
fn training_twice_gives_the_same_bytes() {
    assert_eq!(
        train_tokenizer(&corpus(), 300).unwrap(),
        train_tokenizer(&corpus(), 300).unwrap()
    );
}

#[test]
fn vocabularies_that_cannot_be_are_refused() {
    assert!(train_tokenizer(&corpus(), 256).is_err());
    assert!(train_tokenizer(&corpus(), 65_537).is_err());
}

#[test]
fn a_file_that_is_a_mapping_stays_as_it_is() {
    let given = train_tokenizer(&corpus(), 300).unwrap();
    let tokenizer = TextTokenizer::parse(given.as_bytes()).unwrap();
    assert_eq!(tokenizer.file(), given.as_bytes());
    assert_eq!((tokenizer.end(), tokenizer.end_name()), (0, "<|end|>"));
    assert!(tokenizer.left_out().is_empty());
}

#[test]
fn any_text_survives_encoding_and_none_becomes_the_end() {
    let tokenizer = plain();
    let encoded = tokenizer.encode(&HARD, 0).unwrap();
    for (text, tokens) in HARD.iter().zip(encoded) {
        assert!(!tokens.contains(&tokenizer.end()), "{text:?}: {tokens:?}");
        assert_eq!(tokenizer.decode(&tokens).unwrap(), *text);
        assert_eq!(elsewhere(tokenizer.file(), text), tokens);
    }
}

/// Everything that is no mapping is switched off, in the published file too.
#[test]
fn whatever_is_switched_on_changes_no_token() {
    let truncation =
        json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    let padding = json!({
        "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": 8,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<|end|>",
    });
    let template = json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|end|>": {"id": "<|end|>", "ids": [0], "tokens": ["<|end|>"]}},
    });
    let bert = json!({"type": "BertProcessing", "sep": ["<|end|>", 0], "cls": ["!", 1]});
    let roberta = json!({
        "type": "RobertaProcessing", "sep": ["<|end|>", 0], "cls": ["!", 1],
        "trim_offsets": true, "add_prefix_space": true,
    });
    let several = json!({"type": "Sequence", "processors": [template, bert]});
    let cases = [
        ("truncation", truncation),
        ("padding", padding),
        ("post_processor", template),
        ("post_processor", bert),
        ("post_processor", roberta),
        ("post_processor", several),
    ];
    let expected = plain().encode(&HARD, 0).unwrap();
    for (name, value) in cases {
        let tokenizer = TextTokenizer::parse(&file(|file| file[name] = value.clone())).unwrap();
        assert_eq!(tokenizer.left_out(), [name]);
        assert_eq!(tokenizer.file(), plain().file(), "{value}");
        assert_eq!(tokenizer.encode(&HARD, 0).unwrap(), expected, "{value}");
    }
}

#[test]
fn merges_are_not_left_to_chance() {
    let random = file(|file| file["model"]["dropout"] = json!(1.0));
    let tokenizer = TextTokenizer::parse(&random).unwrap();
    assert_eq!(tokenizer.left_out(), ["dropout"]);
    assert_eq!(
        tokenizer.encode(&HARD, 0).unwrap(),
        plain().encode(&HARD, 0).unwrap()
    );
    assert_eq!(tokenizer.file(), plain().file());
}

/// Special or not, stripping or not, in the model's vocabulary or not.
#[test]
fn text_never_becomes_an_added_token() {
    let words = ["the cat", "Word", " ", "<s>", "[CLS]", "sat on", "e\u{301}"];
    let tokens = |special: bool| {
        move |file: &mut Value| {
            let first = file["model"]["vocab"].as_object().unwrap().len() as u32;
            let list = file["added_tokens"].as_array_mut().unwrap();
            list[0]["special"] = special.into();
            list.extend(
                (first..)
                    .zip(words)
                    .map(|(id, word)| added(id, word, special)),
            );
            // The order of a file says nothing.
            list.reverse();
        }
    };
    let expected = plain().encode(&HARD, 0).unwrap();
    for special in [true, false] {
        let tokenizer = TextTokenizer::parse(&file(tokens(special))).unwrap();
        assert_eq!(
            tokenizer.vocabulary(),
            plain().vocabulary() + words.len() as u32
        );
        assert_eq!(tokenizer.encode(&HARD, 0).unwrap(), expected);
        for (text, tokens) in HARD.iter().zip(&expected) {
            assert_eq!(elsewhere(tokenizer.file(), text), *tokens, "{text:?}");
        }
    }
}

/// Read with no settings at all, the exported file encodes text as training did.
#[test]
fn the_exported_file_keeps_text_by_itself() {
    let tokens = |file: &mut Value| {
        let first = file["model"]["vocab"].as_object().unwrap().len() as u32;
        let list = file["added_tokens"].as_array_mut().unwrap();
        list.extend(
            (first..)
                .zip(["the cat", "<s>"])
                .map(|(id, word)| added(id, word, true)),
        );
        file["post_processor"] =
            json!({"type": "BertProcessing", "sep": ["<|end|>", 0], "cls": ["!", 1]});
    };
    let given = TextTokenizer::parse(&file(tokens)).unwrap();
    let exported = Tokenizer::from_bytes(given.exported().unwrap()).unwrap();
    for (text, tokens) in HARD.iter().zip(given.encode(&HARD, 0).unwrap()) {
        assert_eq!(
            exported.encode(*text, true).unwrap().get_ids(),
            tokens,
            "{text:?}"
        );
    }
    assert_eq!(exported.token_to_id("<|end|>"), Some(0));
    assert_eq!(exported.get_vocab_size(true) as u32, given.vocabulary());
    // It is a tokenizer like any other.
    let again = TextTokenizer::parse(&given.exported().unwrap()).unwrap();
    assert_eq!(
        (again.end(), again.vocabulary()),
        (given.end(), given.vocabulary())
    );
}

/// Where the model would make the token of text, it stays apart.
#[test]
fn a_model_that_could_make_the_token_of_text_is_exported_as_it_is() {
    for change in [
        |file: &mut Value| file["model"]["ignore_merges"] = true.into(),
        |file: &mut Value| file["model"]["end_of_word_suffix"] = "</w>".into(),
        |file: &mut Value| {
            let next = file["model"]["vocab"].as_object().unwrap().len() as u32;
            file["pre_tokenizer"] = Value::Null;
            file["added_tokens"]
                .as_array_mut()
                .unwrap()
                .push(added(next, "漢", true));
        },
    ] {
        let tokenizer = TextTokenizer::parse(&file(change)).unwrap();
        assert_eq!(tokenizer.exported().unwrap(), tokenizer.file());
    }
}

#[test]
fn an_end_that_only_the_model_knows_is_added() {
    let bytes = file(|file| file["added_tokens"] = json!([]));
    let tokenizer = TextTokenizer::parse(&bytes).unwrap();
    assert_eq!(tokenizer.file(), plain().file());
    assert_eq!(
        tokenizer.encode(&HARD, 0).unwrap(),
        plain().encode(&HARD, 0).unwrap()
    );
}

/// A model that knows the words itself: text would become the token, whatever is added.
#[test]
fn an_end_that_the_model_makes_of_text_is_refused_with_its_place() {
    let error = lost(
        |file| {
            file["model"]["ignore_merges"] = true.into();
            file["pre_tokenizer"]["use_regex"] = false.into();
        },
        "<|end|>",
    );
    assert!(
        error.contains("document 9, byte 0 (\"<|end|>\")"),
        "{error}"
    );
    assert!(error.contains("becomes the token 0"), "{error}");
    let pieces = json!({"type": "Unigram", "unk_id": 2, "byte_fallback": false,
        "vocab": [["a", -1.0], ["</s>", 0.0], ["<unk>", 0.0]]});
    let bytes = json!({"version": "1.0", "model": pieces, "decoder": {"type": "Fuse"},
        "added_tokens": [added(1, "</s>", true), added(2, "<unk>", true)]});
    let tokenizer = TextTokenizer::parse(&serde_json::to_vec(&bytes).unwrap()).unwrap();
    assert_eq!(tokenizer.encode(&["aaa"], 0).unwrap(), [[0, 0, 0]]);
    for (text, place) in [("aa</s>a", "byte 2"), ("ab", "byte 1")] {
        let error = tokenizer.encode(&[text], 0).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn text_that_does_not_come_back_is_refused_with_its_place() {
    let normalizer = |value: Value| move |file: &mut Value| file["normalizer"] = value;
    let error = lost(normalizer(json!({"type": "Lowercase"})), "the Cat");
    assert!(error.contains("document 9, byte 4 (\"Cat\")"), "{error}");
    assert!(
        error.contains("but \"cat\"") && error.contains("Lowercase"),
        "{error}"
    );
    let both =
        json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "StripAccents"}]});
    let error = lost(normalizer(both), "e\u{301}");
    assert!(error.contains("NFC+StripAccents"), "{error}");
    let stripped = json!({"type": "Strip", "strip_left": true, "strip_right": true});
    assert!(lost(normalizer(stripped), " x").contains("Strip"));
    let nothing = json!({"type": "Replace", "pattern": {"String": "gone"}, "content": ""});
    assert!(lost(normalizer(nothing), "gone").contains("byte 0 (\"gone\")"));
    let error = lost(|file| file["decoder"] = Value::Null, "the cat sat");
    assert!(error.contains("decoder none"), "{error}");
    let error = lost(
        |file| file["pre_tokenizer"]["add_prefix_space"] = true.into(),
        "the cat",
    );
    assert!(error.contains("ByteLevel (add_prefix_space)"), "{error}");
    let error = lost(
        |file| file["pre_tokenizer"] = json!({"type": "Whitespace"}),
        "the cat",
    );
    assert!(error.contains("pre-tokenizer Whitespace"), "{error}");
}

#[test]
fn ids_with_a_gap_or_given_twice_are_refused() {
    let last = plain().vocabulary();
    let error = refused(|file| file["model"]["vocab"]["zzz"] = 5_000.into());
    let count = last + 1;
    let says = format!("{count} ids have a gap: {last} is missing, the largest is 5000 (`zzz`)");
    assert!(error.contains(&says), "{error}");
    assert!(
        error.contains(&format!("number its tokens 0 to {last}")),
        "{error}"
    );
    let put = |token: Value| {
        move |file: &mut Value| file["added_tokens"].as_array_mut().unwrap().push(token)
    };
    let error = refused(put(added(5_000, "<far>", true)));
    assert!(error.contains("gap") && error.contains("<far>"), "{error}");
    let error = refused(put(added(u32::MAX, "<far>", true)));
    assert!(error.contains("gap"), "{error}");
    let error = refused(put(added(3, "<twice>", true)));
    assert!(error.contains("`<twice>` both have the id 3"), "{error}");
    let error = refused(put(added(last, "!", false)));
    assert!(error.contains("token `!` has two ids"), "{error}");
    let error = refused(|file| file["model"]["vocab"]["zzz"] = 0.into());
    assert!(error.contains("both have the id 0"), "{error}");
    let error = refused(|file| {
        file["model"]["vocab"].as_object_mut().unwrap().remove("\"");
    });
    assert!(error.contains("2 is missing"), "{error}");
    let error = refused(put(added(last, "", true)));
    assert!(error.contains("read as none"), "{error}");
}

#[test]
fn what_is_no_tokenizer_is_refused() {
    for bytes in ["", "{}", "[]", "nonsense", r#"{"model": {"type": "BPE"}}"#] {
        let error = TextTokenizer::parse(bytes.as_bytes())
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("not a tokenizer") && error.contains("cairn data"),
            "{error}"
        );
    }
    let empty = r#"{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}"#;
    let error = TextTokenizer::parse(empty.as_bytes())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("no tokens"), "{error}");
    let error = refused(|file| file["added_tokens"] = json!([{"content": "x"}]));
    assert!(error.contains("no id"), "{error}");
}

/// A tokenizer that has nothing but the end of a document encodes nothing.
#[test]
fn an_end_alone_is_no_mapping() {
    let only =
        r#"{"version": "1.0", "model": {"type": "BPE", "vocab": {"<|end|>": 0}, "merges": []}}"#;
    let tokenizer = TextTokenizer::parse(only.as_bytes()).unwrap();
    let error = tokenizer.encode(&["text"], 0).unwrap_err().to_string();
    assert!(error.contains("document 1, byte 0"), "{error}");
}
