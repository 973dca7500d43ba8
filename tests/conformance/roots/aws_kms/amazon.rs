//! What AWS KMS does and moto does not, put before moto as AWS documents it.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::support::{
    aws_replies::{AwsReplies, Reply, Request, pass_on},
    moto::Moto,
};

/// Names the key material, and what it encrypted; and gives one key of moto's to several regions.
pub(super) struct Amazon {
    replies: AwsReplies,
    shared: Arc<Mutex<Materials>>,
}

#[derive(Default)]
struct Materials {
    current: u64,
    /// By ciphertext.
    used: HashMap<String, String>,
}

impl Amazon {
    pub(super) fn before(moto: &Moto) -> Self {
        Self::before_with(moto, &[], "")
    }

    /// The multi-Region keys of these ARNs are one key of moto's.
    pub(super) fn before_with(moto: &Moto, replicas: &[&str], of_moto: &str) -> Self {
        let shared = Arc::<Mutex<Materials>>::default();
        let replies = AwsReplies::start(Some(moto.endpoint()));
        let (materials, behind) = (shared.clone(), moto.endpoint());
        let replicas: Vec<_> = replicas.iter().map(|&arn| arn.to_owned()).collect();
        let of_moto = of_moto.to_owned();
        replies.answer(move |request| {
            let asked = request.json()["KeyId"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if !replicas.contains(&asked) {
                return answer(request, &behind, &materials);
            }
            let region = |arn: &str| arn.split(':').nth(3).unwrap().to_owned();
            let mut there = request.clone();
            there.body = request.body.replace(&asked, &of_moto);
            let scope = there.headers.get_mut("authorization").unwrap();
            *scope = scope.replace(&region(&asked), &region(&of_moto));
            let mut reply = answer(&there, &behind, &materials)?;
            reply.body = reply.body.replace(&of_moto, &asked);
            Some(reply)
        });
        Self { replies, shared }
    }

    /// Automatic rotation, and that on demand: new material under the same ARN.
    pub(super) fn rotate(&self) {
        self.shared.lock().unwrap().current += 1;
    }
}

impl Deref for Amazon {
    type Target = AwsReplies;

    fn deref(&self) -> &AwsReplies {
        &self.replies
    }
}

fn answer(request: &Request, behind: &str, materials: &Mutex<Materials>) -> Option<Reply> {
    let action = request.action();
    if !["DescribeKey", "Encrypt", "Decrypt"].contains(&action) {
        return None;
    }
    let mut reply = pass_on(behind, request);
    let mut body: Value = serde_json::from_str(&reply.body).unwrap();
    if reply.status != 200 {
        // moto has no rights to deny: it says so of a ciphertext that names another key, or none.
        let denied = body["__type"] == "AccessDeniedException";
        return Some(match denied {
            true => Reply::error(
                400,
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            ),
            false => reply,
        });
    }
    let mut materials = materials.lock().unwrap();
    let current = format!("{:064x}", materials.current + 1);
    match action {
        "DescribeKey" => body["KeyMetadata"]["CurrentKeyMaterialId"] = json!(current),
        "Encrypt" => {
            let ciphertext = body["CiphertextBlob"].as_str().unwrap().to_owned();
            materials.used.insert(ciphertext, current);
        }
        _ => {
            let ciphertext = request.json()["CiphertextBlob"]
                .as_str()
                .unwrap()
                .to_owned();
            body["KeyMaterialId"] = json!(materials.used[&ciphertext]);
        }
    }
    reply.body = body.to_string();
    Some(reply)
}
