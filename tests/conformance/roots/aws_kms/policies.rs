//! The sample policies: all that the plugin needs, and no more.

use kms_plugin::root::remote::RootError;

use super::*;
use crate::support::aws_replies::Request;

const IAM: &str = include_str!("../../../../config/aws/iam-policy.json");
const KEY_POLICY: &str = include_str!("../../../../config/aws/key-policy.json");
const TRUST: &str = include_str!("../../../../config/aws/irsa-trust.json");
const PRINCIPAL: &str = "arn:aws:iam::111122223333:role/kms-plugin";
const SAMPLE: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";

/// The statements of a policy that hold for the plugin's role.
fn statements(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    let statements = policy["Statement"].as_array().unwrap().iter();
    let ours = statements.filter(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        statement["Principal"].is_null() || statement["Principal"]["AWS"] == PRINCIPAL
    });
    ours.cloned().collect()
}

/// Whether a request is allowed, by what of IAM's rules these policies use; panics at any other.
fn allowed(statements: &[Value], request: &Request) -> bool {
    let (action, body) = (format!("kms:{}", request.action()), request.json());
    let context = body["EncryptionContext"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    statements.iter().any(|statement| {
        let resource = statement["Resource"].as_str().unwrap();
        let key = body["KeyId"].as_str().unwrap();
        let names_key = resource == "*" || {
            let (head, tail) = resource.split_once('*').unwrap();
            key.starts_with(head) && key.ends_with(tail)
        };
        let actions = statement["Action"].as_array().unwrap();
        let operators = statement["Condition"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        names_key
            && actions.contains(&json!(action))
            && operators.iter().all(|(operator, condition)| {
                condition.as_object().unwrap().iter().all(|(name, value)| {
                    match (
                        operator.as_str(),
                        name.strip_prefix("kms:EncryptionContext:"),
                    ) {
                        ("StringEquals", Some(pair)) => context.get(pair) == Some(value),
                        ("ForAllValues:StringEquals", None) => {
                            assert_eq!(name, "kms:EncryptionContextKeys");
                            let known = value.as_array().unwrap();
                            context.keys().all(|key| known.contains(&json!(key)))
                        }
                        _ => panic!("{operator} {name}"),
                    }
                })
            })
    })
}

/// Everything that the plugin does, under these statements.
async fn lives(statements: Vec<Value>) -> Result<Vec<String>, RootError> {
    let (site, aws) = (Site::new(), AwsReplies::start(None));
    aws.answer(move |request| {
        let action = request.action();
        Some(if action == "GetCallerIdentity" {
            review::identity(review::ASSUMED)
        } else if allowed(&statements, request) {
            answers::fake_of(SAMPLE, action, &[7; 32])
        } else {
            review::denied()
        })
    });
    let root = site.open(SAMPLE, &aws.endpoint());
    let kek = KeyMaterial::new(Box::new([7; 32]));
    root.version().await?;
    let wrapped = root.wrap(&kek, &binding("prod-eu1")).await?;
    root.unwrap(&wrapped, &binding("prod-eu1")).await?;
    for refusal in [
        root.wrap(&kek, &binding("prod-eu2")).await.map(drop),
        root.unwrap(&wrapped, &binding("prod-eu2")).await.map(drop),
    ] {
        assert!(matches!(refusal, Err(RootError::Refused { .. })));
    }
    root.review().await
}

#[tokio::test]
async fn each_policy_is_enough_alone_and_nothing_in_it_is_too_much() {
    for policy in [IAM, KEY_POLICY] {
        let whole = statements(policy);
        assert_eq!(lives(whole.clone()).await.unwrap(), [""; 0]);
        for (index, statement) in whole.iter().enumerate() {
            for action in statement["Action"].as_array().unwrap() {
                let mut less = whole.clone();
                let actions = less[index]["Action"].as_array_mut().unwrap();
                actions.retain(|known| known != action);
                assert!(lives(less).await.is_err(), "{action} is not needed");
            }
        }
        let mut more = whole;
        for statement in &mut more {
            statement.as_object_mut().unwrap().remove("Condition");
        }
        let open = more.clone();
        let (site, aws) = (Site::new(), AwsReplies::start(None));
        aws.answer(move |request| {
            let fake = || answers::fake_of(SAMPLE, request.action(), &[7; 32]);
            let identity = || review::identity(review::ASSUMED);
            Some(match request.action() {
                "GetCallerIdentity" => identity(),
                _ if allowed(&open, request) => fake(),
                _ => review::denied(),
            })
        });
        let remarks = site.open(SAMPLE, &aws.endpoint()).review().await.unwrap();
        assert_eq!(remarks.len(), 1, "{remarks:?}");
        assert!(remarks[0].contains("without our encryption context"));
    }
}

/// Who manages the key cannot read with it.
#[test]
fn the_managers_of_the_key_may_not_use_it() {
    let policy: Value = serde_json::from_str(KEY_POLICY).unwrap();
    let managers = &policy["Statement"][0];
    assert_ne!(managers["Principal"]["AWS"], PRINCIPAL);
    for action in managers["Action"].as_array().unwrap() {
        let action = action.as_str().unwrap();
        let uses = [
            "kms:*",
            "Encrypt",
            "Decrypt",
            "GenerateDataKey",
            "ReEncrypt",
            "CreateGrant",
        ];
        assert!(!uses.iter().any(|word| action.contains(word)), "{action}");
    }
}

#[test]
fn the_trust_is_for_one_service_account_and_one_audience() {
    let policy: Value = serde_json::from_str(TRUST).unwrap();
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Action"], "sts:AssumeRoleWithWebIdentity");
    let provider = statement["Principal"]["Federated"].as_str().unwrap();
    let issuer = provider.split_once("oidc-provider/").unwrap().1;
    let conditions = &statement["Condition"]["StringEquals"];
    assert_eq!(conditions.as_object().unwrap().len(), 2);
    assert_eq!(conditions[format!("{issuer}:aud")], "sts.amazonaws.com");
    let subject = conditions[format!("{issuer}:sub")].as_str().unwrap();
    assert!(subject.starts_with("system:serviceaccount:"), "{subject}");
}
