//! Against a server on this machine.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const PATIENCE: Patience = Patience {
    deadline: Duration::from_secs(60),
    tries: 3,
    pause: Duration::ZERO,
};

/// A server that gives these answers, one a connection, and then what it was asked.
async fn server(answers: &'static [&'static str]) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("{\"x\":1}") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            asked.push(String::from_utf8_lossy(&request).into_owned());
            let answer =
                format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (port, task)
}

async fn posted(port: u16) -> Result<(), Unposted> {
    let url = format!("http://127.0.0.1:{port}/hooks/s3cret?key=s3cret");
    let webhook = Webhook::new(url.parse().unwrap(), PATIENCE).unwrap();
    webhook.post("{\"x\":1}").await
}

#[tokio::test]
async fn json_is_posted_and_tried_again_where_that_may_help() {
    let (port, server) = server(&["503 no", "429 later", "204 done"]).await;
    assert_eq!(posted(port).await, Ok(()));
    let asked = server.await.unwrap();
    assert_eq!(asked.len(), 3);
    for request in asked {
        assert!(
            request.starts_with("POST /hooks/s3cret?key=s3cret HTTP/1.1"),
            "{request}"
        );
        assert!(
            request.contains("content-type: application/json"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again_and_nobody_is_followed() {
    for (answer, status) in [("404 none", 404), ("302 there", 302)] {
        let answers: &'static [&'static str] = Box::leak(Box::new([answer]));
        let (port, server) = server(answers).await;
        let refused = posted(port).await.unwrap_err();
        let host = "127.0.0.1".to_string();
        assert_eq!(refused, Unposted::Refused { host, status });
        assert_eq!(server.await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn tries_are_counted_and_the_address_stays_a_secret() {
    let (port, server) = server(&["500 no", "500 no", "500 no"]).await;
    let given_up = posted(port).await.unwrap_err();
    assert!(
        matches!(&given_up, Unposted::GivenUp { tries: 3, .. }),
        "{given_up}"
    );
    server.await.unwrap();
    // Nobody listens any more.
    let unreachable = posted(port).await.unwrap_err();
    for error in [given_up, unreachable] {
        let said = format!("{error} {error:?}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    let url: WebhookUrl = "https://user:s3cret@hooks.example/s3cret".parse().unwrap();
    assert_eq!(
        format!("{url} {url:?}"),
        "hooks.example WebhookUrl(hooks.example)"
    );
}

#[test]
fn an_address_is_one_of_the_web() {
    for text in [
        "",
        "hooks.example",
        "file:///s3cret",
        "ftp://s3cret",
        "https://",
    ] {
        let error = text.parse::<WebhookUrl>().expect_err(text);
        assert!(!error.contains("s3cret"), "{error}");
    }
}
