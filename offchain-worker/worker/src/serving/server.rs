//! The HTTP server.
//!
//! Everything that others may make long has a bound: connections, a request's head and body, prompts in a request,
//! jobs that wait, the time of an answer, the life of a connection.
//!
//! The model may be replaced. A request is answered by the one that was there when it was read, to its end; when the
//! last of them is answered, that model goes.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, PoisonError, RwLock,
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{combinators::BoxBody, BodyExt, Full, Limited, StreamBody};
use hyper::{
    body::{Body, Frame, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
    Method, Request, Response, StatusCode,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{json, Value};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    answer::{Choice, Piece},
    queue::{Event, Places, Queue},
    request::{Completion, Refusal},
    Loaded,
};
use crate::{error::Failure, shutdown};

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; whoever comes beyond them is sent away.
    pub connections: usize,
    /// For a request's head, for its body, and between two requests.
    pub patience: Duration,
    /// Bytes of a request's body.
    pub body: usize,
    /// Prompts that wait or are worked on.
    pub queue: usize,
    /// For an answer, from the end of its request on.
    pub deadline: Duration,
    /// After which a connection takes no more requests.
    pub lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 128,
            patience: Duration::from_secs(30),
            body: 4 << 20,
            queue: 128,
            deadline: Duration::from_secs(300),
            lifetime: Duration::from_secs(3_600),
        }
    }
}

/// For what is being answered when the end is asked for.
const GRACE: Duration = Duration::from_secs(2);
/// After which it is tried again when the system can open no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Pieces of a stream that are made ahead of who reads it.
const AHEAD: usize = 64;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What every connection knows.
struct Server {
    /// The model that the next request is answered by.
    serving: RwLock<Arc<Serving>>,
    limits: Limits,
    began: u64,
    answered: AtomicU64,
}

/// A model, and who computes with it.
struct Serving {
    loaded: Arc<Loaded>,
    queue: Queue,
}

/// Answers until `stop` turns true, and then ends what can be ended soon. What comes in `models` takes the place of the
/// model before it.
///
/// # Errors
/// If the system gives no thread to compute on.
pub async fn serve(
    listener: TcpListener,
    mut models: watch::Receiver<Arc<Loaded>>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let loaded = models.borrow_and_update().clone();
    let queue = Queue::start(loaded.clone(), limits.queue)?;
    let server = Arc::new(Server {
        serving: RwLock::new(Arc::new(Serving { loaded, queue })),
        limits,
        began: seconds(),
        answered: AtomicU64::new(0),
    });
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown::asked(&mut stop) => break,
            Some(_) = open.join_next() => continue,
            // Nothing comes any more once who sends is gone.
            Ok(()) = models.changed() => {
                let loaded = models.borrow_and_update().clone();
                server.replace(loaded);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if open.len() < limits.connections => {
                open.spawn(connection(stream, server.clone(), stop.clone()));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    // Who is too slow is cut off.
    let _ = timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn connection(stream: TcpStream, server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let limits = server.limits;
    // Tokens go out as they come.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(answer(&server, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.patience);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = served.as_mut() => return,
        () = shutdown::asked(&mut stop) => {}
        () = tokio::time::sleep(limits.lifetime) => {}
    }
    served.as_mut().graceful_shutdown();
    // What is under way may come to its end, if it is fetched.
    let rest = limits.deadline.saturating_add(limits.patience);
    let _ = timeout(rest, served).await;
}

async fn answer(server: &Arc<Server>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_string();
    let models = "/v1/models";
    let one = path.strip_prefix("/v1/models/");
    let expected = match path.as_str() {
        "/v1/completions" => Method::POST,
        _ if path == models || one.is_some() => Method::GET,
        _ => {
            let message = "there is no such thing here; there are /v1/completions and /v1/models";
            return refused(StatusCode::NOT_FOUND, message, None);
        }
    };
    if *request.method() != expected {
        let message = format!("{path} takes {expected} only");
        let mut answer = refused(StatusCode::METHOD_NOT_ALLOWED, &message, None);
        if let Ok(allowed) = HeaderValue::from_str(expected.as_str()) {
            answer.headers_mut().insert(header::ALLOW, allowed);
        }
        return answer;
    }
    if expected == Method::POST {
        return completions(server, request).await;
    }
    let serving = server.serving();
    let name = serving.loaded.origin.name();
    let model = serving.model(server.began);
    match one {
        Some(one) if one != name => {
            let message = format!("there is no model `{one}` here; the only one is `{name}`");
            refused(StatusCode::NOT_FOUND, &message, None)
        }
        Some(_) => whole(StatusCode::OK, &model),
        None => {
            let list = json!({ "object": "list", "data": [model] });
            whole(StatusCode::OK, &list)
        }
    }
}

impl Server {
    /// The model of the moment.
    fn serving(&self) -> Arc<Serving> {
        let serving = self.serving.read();
        serving.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers by another model from now on.
    fn replace(&self, loaded: Arc<Loaded>) {
        match self.serving().queue.beside(loaded.clone()) {
            Ok(queue) => {
                let mut serving = self.serving.write().unwrap_or_else(PoisonError::into_inner);
                *serving = Arc::new(Serving { loaded, queue });
            }
            Err(error) => tracing::warn!("the model stays as it is: {error}"),
        }
    }
}

impl Serving {
    /// The model as `/v1/models` has it; `began` says when the server did, in seconds since 1970.
    fn model(&self, began: u64) -> Value {
        let origin = &self.loaded.origin;
        json!({
            "id": origin.name(),
            "object": "model",
            "created": began,
            "owned_by": "cairn",
            "max_model_len": self.loaded.model.shape().context,
            "cairn": origin,
        })
    }
}

async fn completions(server: &Arc<Server>, request: Request<Incoming>) -> Answer {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // Pages of others in a browser cannot send this kind without asking.
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "send the request with `content-type: application/json`";
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message, None);
    }
    let body = match body(request, server.limits).await {
        Ok(body) => body,
        Err(answer) => return *answer,
    };
    let until = Instant::now() + server.limits.deadline;
    let serving = server.serving();
    let loaded = serving.loaded.clone();
    // Encoding long texts takes its time.
    let read = tokio::task::spawn_blocking(move || {
        let mut seed = [0u8; 8];
        let _ = getrandom::fill(&mut seed);
        Completion::read(&body, &loaded, u64::from_le_bytes(seed))
    });
    let completion = match read.await {
        Ok(Ok(completion)) => completion,
        Ok(Err(Refusal { message, field })) => {
            return refused(StatusCode::BAD_REQUEST, &message, field);
        }
        Err(_) => return broken("the request could not be read"),
    };
    if completion.orders.len() > server.limits.queue {
        let most = server.limits.queue;
        let message = format!("there is only room for {most} prompts; send fewer");
        return refused(StatusCode::BAD_REQUEST, &message, Some("prompt"));
    }
    let Some(places) = serving.queue.places(completion.orders.len()) else {
        let message = "too many prompts wait already; try again later";
        let mut answer = refused(StatusCode::SERVICE_UNAVAILABLE, message, None);
        let header = HeaderValue::from_static("5");
        answer.headers_mut().insert(header::RETRY_AFTER, header);
        return answer;
    };
    let asked = Asked::new(server.clone(), serving, completion, (places, until));
    match asked.completion.stream {
        true => streamed(asked),
        false => asked.collected().await,
    }
}

/// A request's body, if it is neither too long nor too slow.
async fn body(request: Request<Incoming>, limits: Limits) -> Result<Bytes, Box<Answer>> {
    let too_long = || {
        let message = format!("the body is longer than {} bytes", limits.body);
        Box::new(refused(StatusCode::PAYLOAD_TOO_LARGE, &message, None))
    };
    let stated = request.body().size_hint().lower();
    if usize::try_from(stated).map_or(true, |stated| stated > limits.body) {
        return Err(too_long());
    }
    let read = Limited::new(request.into_body(), limits.body).collect();
    match timeout(limits.patience, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(Box::new(refused(
            StatusCode::BAD_REQUEST,
            "the body broke off",
            None,
        ))),
        Err(_) => Err(Box::new(refused(
            StatusCode::REQUEST_TIMEOUT,
            "the body took too long",
            None,
        ))),
    }
}

/// A request that is being answered.
struct Asked {
    server: Arc<Server>,
    /// Whose model answers it.
    serving: Arc<Serving>,
    completion: Completion,
    id: u64,
    prompt_tokens: usize,
    heard: Vec<mpsc::UnboundedReceiver<Event>>,
}

/// Why an answer stays away.
struct Unanswered(StatusCode, String);

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Unanswered {
        Unanswered(StatusCode::INTERNAL_SERVER_ERROR, failure.to_string())
    }
}

impl Asked {
    fn new(
        server: Arc<Server>,
        serving: Arc<Serving>,
        completion: Completion,
        (mut places, until): (Places, Instant),
    ) -> Asked {
        let (orders, queue) = (completion.orders.iter(), &serving.queue);
        let heard = orders.map(|order| queue.hand_in(&mut places, order.clone(), until));
        Asked {
            heard: heard.collect(),
            id: server.answered.fetch_add(1, Ordering::Relaxed),
            prompt_tokens: completion.orders.iter().map(|one| one.prompt.len()).sum(),
            completion,
            serving,
            server,
        }
    }

    /// What all pieces of the answer begin with.
    fn frame(&self) -> Value {
        let origin = &self.serving.loaded.origin;
        json!({
            "id": format!("cmpl-{:x}-{:x}", self.server.began, self.id),
            "object": "text_completion",
            "created": seconds(),
            "model": origin.name(),
            "system_fingerprint": origin.model_root,
            "cairn": origin,
        })
    }

    /// The answer to one prompt, before anything has come.
    fn choice(&self, index: usize) -> Choice<'_> {
        let scored = self.completion.orders.get(index);
        let scored = scored.is_some_and(|order| order.scores.is_some());
        let echo = (self.completion.echo, scored);
        Choice::new(&self.serving.loaded, index, echo, &self.completion.stops)
    }

    fn prompt(&self, index: usize) -> &[u32] {
        let order = self.completion.orders.get(index);
        order.map_or(&[], |order| order.prompt.as_slice())
    }

    fn usage(&self, chosen: usize) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": chosen,
            "total_tokens": self.prompt_tokens.saturating_add(chosen),
        })
    }

    /// The whole answer at once.
    async fn collected(mut self) -> Answer {
        let heard = std::mem::take(&mut self.heard);
        let (mut choices, mut chosen) = (Vec::new(), 0usize);
        for (index, mut heard) in heard.into_iter().enumerate() {
            match self.one(index, &mut heard).await {
                Ok((choice, tokens)) => {
                    choices.push(choice);
                    chosen = chosen.saturating_add(tokens);
                }
                Err(Unanswered(status, message)) => return refused(status, &message, None),
            }
        }
        let mut answer = self.frame();
        answer["choices"] = choices.into();
        answer["usage"] = self.usage(chosen);
        whole(StatusCode::OK, &answer)
    }

    /// The answer to one prompt, and the tokens that were chosen for it.
    async fn one(
        &self,
        index: usize,
        heard: &mut mpsc::UnboundedReceiver<Event>,
    ) -> Result<(Value, usize), Unanswered> {
        let mut choice = self.choice(index);
        let mut all = choice.begin(self.prompt(index))?;
        while !choice.is_done() {
            all.join(choice.take(step(heard.recv().await)?)?);
        }
        Ok((choice.to_json(all), choice.chosen))
    }

    /// Sends pieces as they come, one prompt after the other.
    async fn pieces(mut self, out: mpsc::Sender<Value>) {
        let heard = std::mem::take(&mut self.heard);
        let mut chosen = 0usize;
        for (index, mut heard) in heard.into_iter().enumerate() {
            match self.one_by_one(index, &mut heard, &out).await {
                Ok(tokens) => chosen = chosen.saturating_add(tokens),
                Err(Unanswered(status, message)) => {
                    self.put(&out, error(status, &message, None)).await;
                    return;
                }
            }
        }
        if self.completion.usage {
            let mut last = self.frame();
            last["choices"] = json!([]);
            last["usage"] = self.usage(chosen);
            self.put(&out, last).await;
        }
    }

    async fn one_by_one(
        &self,
        index: usize,
        heard: &mut mpsc::UnboundedReceiver<Event>,
        out: &mpsc::Sender<Value>,
    ) -> Result<usize, Unanswered> {
        let mut choice = self.choice(index);
        let frame = |choice: &Choice, piece: Piece| {
            let mut frame = self.frame();
            frame["choices"] = json!([choice.to_json(piece)]);
            frame
        };
        let first = choice.begin(self.prompt(index))?;
        let mut read = first.is_empty() || self.put(out, frame(&choice, first)).await;
        while read && !choice.is_done() {
            let piece = choice.take(step(heard.recv().await)?)?;
            if choice.is_done() || !piece.is_empty() {
                read = self.put(out, frame(&choice, piece)).await;
            }
        }
        Ok(choice.chosen)
    }

    /// Hands a piece to the connection; gives whether it is read, and in time.
    async fn put(&self, out: &mpsc::Sender<Value>, piece: Value) -> bool {
        let sent = timeout(self.server.limits.patience, out.send(piece)).await;
        matches!(sent, Ok(Ok(())))
    }
}

/// What an event says.
fn step(event: Option<Event>) -> Result<cairn_inference::Step, Unanswered> {
    match event {
        Some(Event::Step(step)) => Ok(step),
        Some(Event::Late) => Err(Unanswered(
            StatusCode::GATEWAY_TIMEOUT,
            "the answer took too long; ask for fewer tokens, or try again later".into(),
        )),
        Some(Event::Failed(why)) => Err(Unanswered(StatusCode::INTERNAL_SERVER_ERROR, why)),
        None => Err(Unanswered(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the computation ended; restart `cairn serve`".into(),
        )),
    }
}

/// An answer in server-sent events.
fn streamed(asked: Asked) -> Answer {
    let (out, pieces) = mpsc::channel(AHEAD);
    // It ends by itself when nobody reads any more.
    tokio::spawn(asked.pieces(out));
    let pieces = futures::stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((format!("data: {piece}\n\n"), pieces))
    });
    let end = futures::stream::iter(["data: [DONE]\n\n".to_string()]);
    let frames = pieces
        .chain(end)
        .map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    let mut answer = Response::new(BodyExt::boxed(StreamBody::new(Box::pin(frames))));
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

fn whole(status: StatusCode, value: &Value) -> Answer {
    let body = Full::new(Bytes::from(format!("{value}\n")));
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, kind);
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    answer
}

fn refused(status: StatusCode, message: &str, field: Option<&str>) -> Answer {
    whole(status, &error(status, message, field))
}

fn broken(message: &str) -> Answer {
    refused(StatusCode::INTERNAL_SERVER_ERROR, message, None)
}

fn error(status: StatusCode, message: &str, field: Option<&str>) -> Value {
    let kind = match status.is_client_error() {
        true => "invalid_request_error",
        false => "server_error",
    };
    json!({ "error": {
        "message": message,
        "type": kind,
        "param": field,
        "code": status.as_u16(),
    } })
}

/// Seconds since 1970.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
