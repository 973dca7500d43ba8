//! What Encrypt promises.

use std::collections::HashSet;

use crate::contract::{
    Outcome, Rule,
    call::{Call, CallError, Method},
    failed,
    message::{Wrapped, encrypt_request},
    session::{Session, dek_source, refused},
};

/// How often Status and Encrypt are asked in turn.
const TURNS: usize = 16;
/// How often Encrypt is asked for the same.
const REPEATS: usize = 64;

/// Lengths of plaintexts beside the 32 bytes that kube-apiserver sends, and about them the limits
/// that key servers have.
const LENGTHS: [usize; 16] = [
    0,
    1,
    15,
    16,
    31,
    33,
    64,
    190,
    500,
    1_000,
    1_024,
    4_096,
    4_097,
    32_768,
    65_536,
    1 << 20,
];

const INVALID_ARGUMENT: u32 = 3;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "key-id-agrees",
        asks: "Encrypt answers the key id of the Status before it; otherwise its answer is thrown away and the plugin counts as unhealthy",
        source: "k8s.io/apiserver: encryptionconfig/config.go, rotateDEKOnKeyIDChange",
        check: |session| Box::pin(key_id_agrees(session)),
    },
    Rule {
        name: "encrypt-randomised",
        asks: "the same plaintext gives another ciphertext each time, so that equal DEK sources do not show in etcd",
        source: "this suite; kubernetes.io: Using a KMS provider, KMS v2, asks only that distinct plaintexts get distinct answers",
        check: |session| Box::pin(encrypt_randomised(session)),
    },
    Rule {
        name: "plaintext-lengths",
        asks: "32 bytes are wrapped; a plaintext of any other length is refused or comes back whole",
        source: "k8s.io/apiserver: kmsv2/envelope.go, GenerateTransformer; kubernetes.io: Using a KMS provider, KMS v2 (Decrypt is the inverse of Encrypt)",
        check: |session| Box::pin(plaintext_lengths(session)),
    },
    Rule {
        name: "uid-empty",
        asks: "a call without uid is answered, or refused with InvalidArgument: the uid is for logs",
        source: "k8s.io/kms: apis/v2/api.proto; k8s.io/apiserver: envelope/testing/v2/kms_plugin_mock.go",
        check: |session| Box::pin(uid_empty(session)),
    },
];

async fn key_id_agrees(session: &Session<'_>) -> Outcome {
    session.sample()?;
    let connection = session.connect().await?;
    for _ in 0..TURNS {
        let said = connection.status().await?.key_id;
        let used = connection.encrypt(&dek_source()).await?.key_id;
        if used != said {
            return failed(format!("Status said {said:?} and Encrypt {used:?}"));
        }
    }
    Ok(None)
}

async fn encrypt_randomised(session: &Session<'_>) -> Outcome {
    let sample = session.sample()?;
    let connection = session.connect().await?;
    let calls = vec![Call::encrypt(&sample.plaintext); REPEATS];
    let mut seen = HashSet::from([sample.wrapped.ciphertext.clone()]);
    for answer in connection.calls(calls).await {
        let wrapped = Wrapped::read(&answer?).or_else(failed)?;
        if !seen.insert(wrapped.ciphertext) {
            return failed(format!(
                "a ciphertext came twice within {} calls",
                seen.len() + 1
            ));
        }
    }
    Ok(None)
}

async fn plaintext_lengths(session: &Session<'_>) -> Outcome {
    session.opened()?;
    let connection = session.connect().await?;
    let mut shortest_refused = None;
    for len in LENGTHS {
        let mut plaintext = vec![0; len];
        getrandom::fill(&mut plaintext).expect("the system has random bytes");
        let wrapped = match connection.encrypt(&plaintext).await {
            Ok(wrapped) => wrapped,
            Err(CallError::Refused { .. }) => {
                shortest_refused.get_or_insert(len);
                continue;
            }
            Err(error) => return failed(format!("of {len} bytes: {error}")),
        };
        match connection.decrypt(&wrapped).await {
            Ok(same) if same == plaintext => {}
            Ok(other) => return failed(format!("{len} bytes came back as {}", other.len())),
            Err(error) => return failed(format!("{len} bytes were wrapped, but {error}")),
        }
    }
    Ok(shortest_refused.map(|len| format!("refuses {len} bytes, for one")))
}

async fn uid_empty(session: &Session<'_>) -> Outcome {
    let sample = session.opened()?;
    let connection = session.connect().await?;
    for (method, message) in [
        (Method::Encrypt, encrypt_request(&sample.plaintext, "")),
        (Method::Decrypt, sample.wrapped.request("")),
    ] {
        let answer = connection.call(Call::new(method, &message)).await;
        if answer.is_err() {
            let what = format!("{method:?} without uid");
            let code = refused(&what, answer)?.code;
            if code != INVALID_ARGUMENT {
                return failed(format!("{what} was refused with code {code}"));
            }
        }
    }
    Ok(None)
}
