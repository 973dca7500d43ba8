//! kube-apiserver's loader: a program around it, asked line by line.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::server;

/// The loader of one release with one setting of the feature gate `KMSv1`.
pub(super) struct Loader {
    pub(super) version: &'static str,
    pub(super) kms_v1: Option<bool>,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// A stored value of a Secret.
pub(super) struct Stored {
    pub(super) path: &'static str,
    pub(super) value: Vec<u8>,
}

/// What a loader makes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The error.
    Refused(String),
    Accepted {
        /// For each resource what the values of its transformers begin with, in order.
        prefixes: Vec<Vec<Vec<u8>>>,
        /// Plaintext and staleness of each stored value; None if it does not open.
        opened: Vec<Option<(Vec<u8>, bool)>>,
    },
}

impl Loader {
    pub(super) fn start(version: &'static str, kms_v1: Option<bool>) -> Self {
        let mut command = Command::new(server::binary(&format!("encryption-config-{version}")));
        if let Some(on) = kms_v1 {
            command.arg(format!("--feature-gates=KMSv1={on}"));
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            version,
            kms_v1,
            questions: child.stdin.take(),
            answers,
            child,
        }
    }

    pub(super) fn ask(
        &mut self,
        file: &[u8],
        reload: bool,
        resources: &[(&str, &str)],
        values: &[Stored],
    ) -> Answer {
        let resources: Vec<_> = resources
            .iter()
            .map(|(resource, group)| json!({"resource": resource, "group": group}))
            .collect();
        let values: Vec<_> = values
            .iter()
            .map(|Stored { path, value }| {
                json!({
                    "resource": "secrets",
                    "group": "",
                    "path": BASE64_STANDARD.encode(path),
                    "value": BASE64_STANDARD.encode(value),
                })
            })
            .collect();
        let mut question = json!({
            "config": BASE64_STANDARD.encode(file),
            "reload": reload,
            "resources": resources,
            "values": values,
        })
        .to_string();
        question.push('\n');
        let questions = self.questions.as_mut().unwrap();
        questions.write_all(question.as_bytes()).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        Answer::read(&serde_json::from_str(&line).unwrap())
    }
}

impl Answer {
    fn read(answer: &Value) -> Self {
        if let Some(error) = answer.get("refused") {
            return Self::Refused(error.as_str().unwrap().to_owned());
        }
        let list = |value: &Value| value.as_array().unwrap().clone();
        Self::Accepted {
            prefixes: list(&answer["prefixes"])
                .iter()
                .map(|prefixes| list(prefixes).iter().map(bytes).collect())
                .collect(),
            opened: list(&answer["opened"])
                .iter()
                .map(|opened| {
                    let stale = opened["stale"].as_bool().unwrap();
                    opened
                        .get("failed")
                        .is_none()
                        .then(|| (bytes(&opened["plain"]), stale))
                })
                .collect(),
        }
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

impl Drop for Loader {
    fn drop(&mut self) {
        // It ends when there are no more questions, and removes its file.
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}
