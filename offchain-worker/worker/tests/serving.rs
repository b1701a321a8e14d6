//! `cairn serve` over real sockets.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use cairn_data::TextTokenizer;
use cairn_inference::Model;
use cairn_primitives::{ModelRoot, ModelShape, H256};
use cairn_trainer::{config, initial_parameters, Trainer};
use cairn_worker::serving::{
    server::{serve, Limits},
    Loaded, Origin,
};
use serde_json::{json, Value};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The devnet's model with another context.
fn shape(context: u32) -> ModelShape {
    ModelShape {
        context,
        ..config::named("tiny").unwrap()
    }
}

/// Untrained, but with chances that differ.
fn parameters(shape: &ModelShape) -> Vec<f32> {
    let mut parameters = initial_parameters(shape, 3);
    parameters.iter_mut().for_each(|x| *x *= 4.0);
    parameters
}

fn loaded(context: u32) -> Loaded {
    let parameters = parameters(&shape(context));
    model(context, &parameters, 0xab)
}

/// A model of these parameters, which are said to have that root.
fn model(context: u32, parameters: &[f32], root: u8) -> Loaded {
    let shape = shape(context);
    let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/tokenizer.json");
    Loaded {
        model: Model::new(&shape, parameters, 2).unwrap(),
        tokenizer: TextTokenizer::read(&tokenizer).unwrap(),
        origin: Origin {
            run: Some("test".into()),
            netuid: None,
            round: Some(7),
            model_root: ModelRoot(H256([root; 32])),
            stopped_at: None,
        },
    }
}

/// A server that runs until this is dropped.
struct Served {
    at: SocketAddr,
    stop: watch::Sender<bool>,
    models: watch::Sender<Arc<Loaded>>,
    server: tokio::task::JoinHandle<()>,
}

async fn served(context: u32, limits: Limits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let (models, coming) = watch::channel(Arc::new(loaded(context)));
    let server = tokio::spawn(async move {
        serve(listener, coming, limits, stopped).await.unwrap();
    });
    Served {
        at,
        stop,
        models,
        server,
    }
}

impl Served {
    /// Sends bytes and reads to the end: status, head, body.
    async fn raw(&self, request: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        // A server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        let status = head[9..12].parse().unwrap();
        let body = match head.contains("transfer-encoding: chunked") {
            true => unchunked(body),
            false => body.to_string(),
        };
        (status, head.to_string(), body)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let (status, _, body) = self.raw(request.as_bytes()).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn text(&self, body: &str) -> (u16, String) {
        let (status, _, body) = self.raw(&post(body)).await;
        (status, body)
    }

    async fn ask(&self, body: Value) -> (u16, Value) {
        let (status, body) = self.text(&body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The only choice of an answer.
    async fn choice(&self, body: Value) -> Value {
        let (status, answer) = self.ask(body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["choices"].as_array().unwrap().len(), 1);
        answer["choices"][0].clone()
    }
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}

/// The events of a stream, the last of which must say that it is done.
fn events(body: &str) -> Vec<Value> {
    let mut events: Vec<&str> = body
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .collect();
    assert_eq!(events.pop(), Some("[DONE]"), "{body}");
    let events = events.into_iter();
    events
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_f64)
        .collect()
}

#[tokio::test]
async fn every_answer_names_the_model() {
    let served = served(128, Limits::default()).await;
    let root = format!("0x{}", "ab".repeat(32));
    let (status, models) = served.get("/v1/models").await;
    assert_eq!((status, &models["data"][0]["id"]), (200, &json!("test")));
    assert_eq!(models["data"][0]["cairn"]["model_root"], json!(root));
    let (status, one) = served.get("/v1/models/test").await;
    assert_eq!((status, &one), (200, &models["data"][0]));
    let (status, answer) = served.ask(json!({"prompt": "The", "model": "test"})).await;
    assert_eq!((status, &answer["system_fingerprint"]), (200, &json!(root)));
    assert_eq!(answer["cairn"]["round"], 7);
    assert_eq!(answer["object"], "text_completion");
    // As much as is there if nothing is said.
    assert_eq!(answer["usage"]["completion_tokens"], 16);
    served.stop.send_replace(true);
    served.server.await.unwrap();
    assert!(
        TcpStream::connect(served.at).await.is_err(),
        "nobody listens"
    );
}

/// Reads until the first event of a stream has begun.
async fn first_event(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    while !answer.windows(6).any(|at| at == b"data: ") {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    answer
}

#[tokio::test]
async fn a_newer_model_takes_over_and_no_answer_is_lost() {
    let served = served(128, Limits::default()).await;
    let (old, new) = (
        format!("0x{}", "ab".repeat(32)),
        format!("0x{}", "cd".repeat(32)),
    );
    let body = json!({"prompt": "The", "max_tokens": 100, "temperature": 0, "stream": true});
    let alone = served.text(&body.to_string()).await.1;
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    stream.write_all(&post(&body.to_string())).await.unwrap();
    let mut answer = first_event(&mut stream).await;
    let others = initial_parameters(&shape(128), 4);
    served
        .models
        .send_replace(Arc::new(model(128, &others, 0xcd)));
    // Until it has taken over; each question is answered, by the one or the other.
    let ask = json!({"prompt": "The", "max_tokens": 8, "temperature": 0});
    let later = loop {
        let (status, answer) = served.ask(ask.clone()).await;
        assert_eq!(status, 200, "{answer}");
        match answer["system_fingerprint"] == new.as_str() {
            true => break answer,
            false => assert_eq!(answer["system_fingerprint"], old.as_str()),
        }
    };
    let (_, models) = served.get("/v1/models").await;
    assert_eq!(models["data"][0]["cairn"]["model_root"], new.as_str());
    // What was begun before is told to its end by the model that began it.
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let body = unchunked(answer.split_once("\r\n\r\n").unwrap().1);
    let text = |body: &str| {
        let events = events(body);
        let is_old = |event: &Value| event["system_fingerprint"] == old.as_str();
        assert!(events.iter().all(is_old));
        let texts = events.iter();
        let texts = texts.filter_map(|event| event["choices"][0]["text"].as_str());
        texts.collect::<String>()
    };
    let whole = text(&body);
    assert_eq!(whole, text(&alone));
    let shown = later["choices"][0]["text"].as_str().unwrap();
    assert!(
        !whole.starts_with(shown),
        "another model says something else"
    );
}

/// What lm-evaluation-harness asks.
#[tokio::test]
async fn given_tokens_are_scored_as_the_trainer_scores_them() {
    let served = served(128, Limits::default()).await;
    let prompts = [vec![5u32, 900, 17, 300, 42, 8], vec![1023, 0, 1, 2]];
    let body = json!({
        "model": "test", "prompt": prompts, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": true
    });
    let (status, answer) = served.ask(body).await;
    assert_eq!(status, 200, "{answer}");
    let shape = shape(128);
    let mut trainer = Trainer::new(&shape, 1).unwrap();
    for (i, prompt) in prompts.iter().enumerate() {
        let choice = &answer["choices"][i];
        assert_eq!(choice["index"], i);
        let logprobs = &choice["logprobs"];
        assert_eq!(logprobs["token_logprobs"][0], Value::Null);
        assert_eq!(logprobs["top_logprobs"][0], Value::Null);
        let scores = numbers(&logprobs["token_logprobs"]);
        assert_eq!(
            scores.len(),
            prompt.len(),
            "all but the first, and one more"
        );
        let given = &scores[..prompt.len() - 1];
        let mean = -given.iter().sum::<f64>() / given.len() as f64;
        let loss = trainer.losses(&parameters(&shape), &[prompt]).unwrap();
        assert!(
            (mean - f64::from(loss[0])).abs() < 1e-5 * mean,
            "{mean} for {loss:?}"
        );
        for (score, top) in scores
            .iter()
            .zip(&logprobs["top_logprobs"].as_array().unwrap()[1..])
        {
            let top: Vec<f64> = top
                .as_object()
                .unwrap()
                .values()
                .filter_map(Value::as_f64)
                .collect();
            assert!(top.contains(score), "its own is told, to the digit");
        }
        // The token that was chosen is the likeliest.
        let last = logprobs["top_logprobs"][prompt.len()].as_object().unwrap();
        assert_eq!(last.len(), 1);
    }
    assert_eq!(answer["usage"]["prompt_tokens"], 10);
    // Alone it is scored the same as with others.
    let alone = json!({"prompt": prompts[1], "max_tokens": 1, "logprobs": 1, "temperature": 0, "echo": true});
    let mut alone = served.choice(alone).await;
    alone["index"] = 1.into();
    assert_eq!(alone, answer["choices"][1]);
}

#[tokio::test]
async fn text_and_its_tokens_are_the_same_prompt() {
    let served = served(128, Limits::default()).await;
    let tokenizer = loaded(128).tokenizer;
    let text = "Fellow citizens — überall";
    let tokens = tokenizer.encode(&[text], 0).unwrap().concat();
    let body = |prompt: Value| json!({"prompt": prompt, "max_tokens": 5, "temperature": 0, "echo": true, "logprobs": 0});
    let by_text = served.choice(body(json!(text))).await;
    assert_eq!(by_text, served.choice(body(json!(tokens))).await);
    assert!(by_text["text"].as_str().unwrap().starts_with(text));
    // Offsets count letters; tokens that are no letters by themselves are told as bytes.
    let offsets = numbers(&by_text["logprobs"]["text_offset"]);
    assert_eq!(offsets.len(), tokens.len() + 5);
    let letters: Vec<char> = by_text["text"].as_str().unwrap().chars().collect();
    let mut checked = 0;
    for (offset, name) in offsets
        .iter()
        .zip(by_text["logprobs"]["tokens"].as_array().unwrap())
    {
        let name = name.as_str().unwrap();
        if !name.starts_with("bytes:") {
            let there: String = letters[*offset as usize..]
                .iter()
                .take(name.chars().count())
                .collect();
            assert_eq!(there, name);
            checked += 1;
        }
    }
    assert!(checked > 8, "{checked}");
    let named = by_text["logprobs"]["tokens"].to_string();
    assert!(named.contains("bytes:"), "{named}");
    let echo = json!({"prompt": text, "max_tokens": 0, "echo": true});
    assert_eq!(served.choice(echo).await["text"], text);
}

#[tokio::test]
async fn a_stream_brings_the_same_text_in_pieces() {
    let served = served(128, Limits::default()).await;
    let body = |stream: bool| {
        json!({
            "prompt": ["The", "A man"], "max_tokens": 12, "seed": 5, "logprobs": 2, "echo": true,
            "stream": stream, "stream_options": {"include_usage": true}
        })
    };
    let (_, whole) = served.ask(body(false)).await;
    let (status, stream) = served.text(&body(true).to_string()).await;
    let events = events(&stream);
    assert_eq!(status, 200);
    assert!(events.len() > 20, "{} events", events.len());
    for index in 0..2 {
        let pieces = events.iter().filter_map(|event| event["choices"].get(0));
        let pieces: Vec<&Value> = pieces.filter(|piece| piece["index"] == index).collect();
        let text: String = pieces
            .iter()
            .filter_map(|piece| piece["text"].as_str())
            .collect();
        let choice = &whole["choices"][index];
        assert_eq!(choice["text"], text);
        assert_eq!(
            pieces.last().unwrap()["finish_reason"],
            choice["finish_reason"]
        );
        let scores = pieces
            .iter()
            .flat_map(|piece| numbers(&piece["logprobs"]["token_logprobs"]));
        assert_eq!(
            scores.collect::<Vec<_>>(),
            numbers(&choice["logprobs"]["token_logprobs"])
        );
    }
    assert_eq!(events.last().unwrap()["usage"], whole["usage"]);
}

#[tokio::test]
async fn a_completion_ends_before_a_stop() {
    let served = served(128, Limits::default()).await;
    let body = json!({"prompt": "The", "max_tokens": 40, "seed": 3});
    let free = served.choice(body.clone()).await;
    let text = free["text"].as_str().unwrap();
    let (at, _) = text.char_indices().nth(text.chars().count() / 2).unwrap();
    let stop: String = text[at..].chars().take(3).collect();
    let mut stopped = body;
    stopped["stop"] = json!([stop, "never"]);
    let choice = served.choice(stopped).await;
    assert_eq!(choice["text"], text[..text.find(&stop).unwrap()]);
    assert_eq!(
        (&choice["finish_reason"], &free["finish_reason"]),
        (&json!("stop"), &json!("length"))
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_named() {
    let served = served(128, Limits::default()).await;
    let many = vec!["x"; 129];
    for (body, field) in [
        (json!({}), json!("prompt")),
        (json!([]), Value::Null),
        (json!({"prompt": {}}), json!("prompt")),
        (json!({"prompt": []}), json!("prompt")),
        (json!({"prompt": [[]]}), json!("prompt")),
        (json!({"prompt": ["x", 1]}), json!("prompt")),
        (json!({"prompt": [1024]}), json!("prompt")),
        (json!({"prompt": [-1]}), json!("prompt")),
        (json!({"prompt": [1.5]}), json!("prompt")),
        (json!({"prompt": vec![1; 129]}), json!("prompt")),
        (json!({"prompt": many}), json!("prompt")),
        (json!({"prompt": "x", "model": "other"}), json!("model")),
        (
            json!({"prompt": "x", "max_tokens": -1}),
            json!("max_tokens"),
        ),
        (
            json!({"prompt": "x", "max_tokens": "3"}),
            json!("max_tokens"),
        ),
        (
            json!({"prompt": "x", "temperature": -1}),
            json!("temperature"),
        ),
        (
            json!({"prompt": "x", "temperature": "hot"}),
            json!("temperature"),
        ),
        (json!({"prompt": "x", "top_p": 0}), json!("top_p")),
        (json!({"prompt": "x", "logprobs": 21}), json!("logprobs")),
        (json!({"prompt": "x", "logprobs": true}), json!("logprobs")),
        (json!({"prompt": "x", "n": 2}), json!("n")),
        (
            json!({"prompt": "x", "presence_penalty": 0.5}),
            json!("presence_penalty"),
        ),
        (
            json!({"prompt": "x", "logit_bias": {"1": 5}}),
            json!("logit_bias"),
        ),
        (json!({"prompt": "x", "suffix": "y"}), json!("suffix")),
        (json!({"prompt": "x", "stop": 1}), json!("stop")),
        (json!({"prompt": "x", "stop": vec!["y"; 17]}), json!("stop")),
        (json!({"prompt": "x", "seed": "y"}), json!("seed")),
        (json!({"prompt": "x", "stream": 1}), json!("stream")),
    ] {
        let (status, answer) = served.ask(body.clone()).await;
        assert_eq!(
            (status, &answer["error"]["param"]),
            (400, &field),
            "{body}: {answer}"
        );
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    // What changes nothing is let through.
    let neutral = json!({"prompt": "x", "n": 1, "best_of": 1, "presence_penalty": 0, "logit_bias": {}, "user": "me",
        "stop": null, "max_tokens": 1, "suffix": null});
    assert_eq!(served.ask(neutral).await.0, 200);
    for body in ["", "{", "\u{0}", "{\"prompt\": \"x\"", &"[".repeat(100_000)] {
        assert_eq!(served.text(body).await.0, 400);
    }
    assert_eq!(served.get("/").await.0, 404);
    assert_eq!(served.get("/v1/models/other").await.0, 404);
    assert_eq!(served.get("/v1/completions").await.0, 405);
    // A form, as a page of others could send it without asking.
    let form = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: text/plain\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(served.raw(form).await.0, 415);
    assert_eq!(served.raw(b"\x16\x03\x01 no\r\n\r\n").await.0, 400);
}

#[tokio::test]
async fn a_body_is_neither_too_long_nor_too_slow() {
    let limits = Limits {
        body: 1_000,
        patience: Duration::from_secs(10),
        ..Limits::default()
    };
    let served = served(128, limits).await;
    let long = json!({"prompt": "x".repeat(2_000)}).to_string();
    assert_eq!(served.raw(&post(&long)).await.0, 413);
    // One that does not say how long it is.
    let chunks = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = "POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}");
    assert_eq!(served.raw(chunked.as_bytes()).await.0, 413);
    // One that never comes, while others are served.
    let slow = format!("{head}content-length: 100\r\n\r\n{{");
    let (slow, (status, _)) = tokio::join!(
        served.raw(slow.as_bytes()),
        served.ask(json!({"prompt": "x", "max_tokens": 1}))
    );
    assert_eq!((slow.0, status), (408, 200));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let limits = Limits {
        deadline: Duration::ZERO,
        ..Limits::default()
    };
    let served = served(128, limits).await;
    let (status, answer) = served.ask(json!({"prompt": "x"})).await;
    assert_eq!(
        (status, &answer["error"]["type"]),
        (504, &json!("server_error"))
    );
    let (status, stream) = served.text(r#"{"prompt": "x", "stream": true}"#).await;
    let events = events(&stream);
    assert_eq!((status, events.len()), (200, 1));
    assert_eq!(events[0]["error"]["code"], 504);
}

/// A text of 30,000 tokens is not made in the time of these requests: each gets a step in turn.
#[tokio::test]
async fn who_reads_slowly_or_asks_for_much_holds_up_nobody() {
    let limits = Limits {
        queue: 2,
        ..Limits::default()
    };
    let served = served(30_000, limits).await;
    let long = json!({"prompt": "The", "max_tokens": 30_000, "stream": true}).to_string();
    let mut slow = TcpStream::connect(served.at).await.unwrap();
    slow.write_all(&post(&long)).await.unwrap();
    let mut first = [0u8; 16];
    slow.read_exact(&mut first).await.unwrap();
    assert_eq!(&first[9..12], b"200");
    // It reads no more, and others are answered.
    for _ in 0..3 {
        assert_eq!(
            served.ask(json!({"prompt": "A", "max_tokens": 3})).await.0,
            200
        );
    }
    // More than could be told at once.
    let much = json!({"prompt": ["A", "B"], "max_tokens": 29_000, "logprobs": 20});
    assert_eq!(served.ask(much).await.1["error"]["param"], "logprobs");
    // There is room for two prompts, and one place is taken.
    let (status, answer) = served
        .ask(json!({"prompt": ["A", "B"], "max_tokens": 1}))
        .await;
    assert_eq!(status, 503, "{answer}");
    let (status, answer) = served.ask(json!({"prompt": ["A", "B", "C"]})).await;
    assert_eq!(status, 400, "{answer}");
    // When it has gone, its place is free again.
    drop(slow);
    let mut tries = 0;
    while served
        .ask(json!({"prompt": ["A", "B"], "max_tokens": 1}))
        .await
        .0
        != 200
    {
        tries += 1;
        assert!(tries < 10_000, "the place is still taken");
    }
}
