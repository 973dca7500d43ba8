use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;
use crate::root::vault::config::{Auth, LoginMethod};

/// Answers every connection with these bytes once it was asked something, and never if there are none.
async fn server(answer: impl Into<Vec<u8>>) -> (String, JoinHandle<()>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if answer.is_empty() {
                open.push(stream);
                continue;
            }
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    (address, serving)
}

fn http(status: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn transport(addresses: &[&str]) -> Transport {
    let path = |text: &str| text.parse().unwrap();
    Transport::new(&Config {
        addresses: addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        namespace: None,
        mount: path("transit"),
        key: path("k"),
        ca_file: None,
        client_certificate: None,
        time_limit: Duration::from_millis(300),
        auth: Auth {
            namespace: None,
            method: LoginMethod::TokenFile("/token".into()),
        },
    })
}

async fn ask(transport: &Transport) -> Result<Answer, String> {
    let question = Question {
        method: Method::GET,
        path: "transit/keys/k",
        namespace: None,
        token: None,
        body: None,
    };
    transport.ask(&question).await.map_err(|error| {
        assert!(matches!(error, RootError::Unreachable { .. }), "{error:?}");
        error.to_string()
    })
}

fn in_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

#[test]
fn the_next_server_is_asked_where_one_cannot_answer_and_first_from_then_on() {
    in_a_runtime(async {
        let (silent, _one) = server("").await;
        let (standby, _two) = server(http("307 Temporary Redirect", "")).await;
        let (active, _three) = server(http("200 OK", "{}")).await;
        let transport = transport(&["http://127.0.0.1:1", &silent, &standby, &active]);
        assert!(matches!(ask(&transport).await, Ok(Answer::Good(_))));
        assert_eq!(transport.first.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_caller_that_loses_patience_is_sent_to_another_server_the_next_time() {
    in_a_runtime(async {
        let (silent, _one) = server("").await;
        let (active, _two) = server(http("200 OK", "{}")).await;
        let transport = transport(&[&silent, &active]);
        let impatient = Duration::from_millis(50);
        assert!(
            tokio::time::timeout(impatient, ask(&transport))
                .await
                .is_err()
        );
        assert_eq!(transport.first.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn where_none_can_answer_each_says_why() {
    in_a_runtime(async {
        let (silent, _one) = server("").await;
        let (sealed, _two) = server(http(
            "503 Service Unavailable",
            r#"{"errors":["Vault is sealed"]}"#,
        ))
        .await;
        let refused = ask(&transport(&["http://127.0.0.1:1", &silent, &sealed])).await;
        let said = refused.err().unwrap();
        for reason in [
            "http://127.0.0.1:1: Connection refused",
            "no answer within 300ms",
            "503 Service Unavailable: Vault is sealed",
        ] {
            assert!(said.contains(reason), "{said}");
        }
    });
}

#[test]
fn what_is_no_answer_is_unreachable() {
    in_a_runtime(async {
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{";
        let long = http("200 OK", &" ".repeat(MAX_ANSWER + 1));
        for answer in ["SSH-2.0-OpenSSH_9.2\r\n", half, &long] {
            let (address, _serving) = server(answer).await;
            assert!(ask(&transport(&[&address])).await.is_err(), "{answer:.60}");
        }
    });
}
