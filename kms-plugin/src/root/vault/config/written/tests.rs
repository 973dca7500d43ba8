use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    json!({
        "addresses": ["https://vault-0.example:8200", "https://vault-1.example:8200/"],
        "namespace": "platform/eu1",
        "key": "prod-eu1",
        "caFile": "/etc/kms-plugin/vault-ca.pem",
        "auth": {"appRole": {"roleId": "r-1", "secretIdFile": "/run/vault/secret-id"}},
    })
}

fn check(written: Value) -> Result<Config, String> {
    let written: Written = serde_json::from_value(written).map_err(|error| error.to_string())?;
    written
        .check("roots[0].vault")
        .map_err(|error| error.to_string())
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = check(good()).unwrap();
    assert_eq!(config.mount.as_str(), "transit");
    assert_eq!(config.time_limit, Duration::from_secs(2));
    assert_eq!(config.words(), "platform/eu1/transit/prod-eu1");
    assert_eq!(
        config.addresses[1].to_string(),
        "https://vault-1.example:8200"
    );
    let Auth { namespace, method } = config.auth;
    assert_eq!(namespace, None);
    let LoginMethod::AppRole { mount, role_id, .. } = method else {
        panic!("{method:?}");
    };
    assert_eq!(mount.as_str(), "approle");
    assert_eq!(role_id, RoleId::Text("r-1".to_owned()));
}

#[test]
fn each_login_method_is_taken() {
    let with = |auth: Value| {
        let mut written = good();
        written["auth"] = auth;
        written["clientCertificate"] = json!({"certFile": "/c", "keyFile": "/k"});
        check(written).unwrap().auth.method
    };
    assert_eq!(
        with(json!({"tokenFile": "/run/vault/token"})),
        LoginMethod::TokenFile("/run/vault/token".into())
    );
    assert_eq!(
        with(json!({"certificate": {}})),
        LoginMethod::Certificate {
            mount: "cert".parse().unwrap(),
            role: None
        }
    );
    assert_eq!(
        with(json!({"jwt": {"mount": "kubernetes", "role": "kms", "tokenFile": "/t"}})),
        LoginMethod::Jwt {
            mount: "kubernetes".parse().unwrap(),
            role: "kms".to_owned(),
            token_file: "/t".into()
        }
    );
}

#[test]
fn what_cannot_be_is_refused_by_the_name_of_its_field() {
    let secret = "/run/vault/secret-id";
    for (pointer, value, refusal) in [
        ("/addresses", json!([]), "addresses: must list"),
        (
            "/addresses/1",
            json!("vault:8200"),
            "addresses[1]: must be a URL",
        ),
        (
            "/addresses/1",
            json!("https://me:pw@vault"),
            "addresses[1]: must be a URL",
        ),
        (
            "/addresses/1",
            json!("https://vault/v1"),
            "addresses[1]: must be a URL",
        ),
        (
            "/addresses/1",
            json!("ftp://vault"),
            "addresses[1]: must be a URL",
        ),
        ("/namespace", json!("/eu1"), "namespace: must have letters"),
        ("/mount", json!(".."), "mount: must have letters"),
        ("/key", json!("a/b"), "key: must be the name of one key"),
        ("/key", json!("a?b"), "key: must have letters"),
        (
            "/key",
            json!("k".repeat(140)),
            "key: must, with mount and namespace, have at most",
        ),
        (
            "/caFile",
            json!("ca.pem"),
            "caFile: must be an absolute path",
        ),
        ("/caFile", Value::Null, "caFile: must name the CA"),
        ("/timeLimit", json!("5"), "timeLimit: must be a number"),
        ("/timeLimit", json!("1ms"), "timeLimit: must be a number"),
        ("/auth", json!({}), "auth: must have one of"),
        ("/auth/tokenFile", json!("/t"), "auth: must have one of"),
        (
            "/auth",
            json!({"tokenFile": "t"}),
            "auth.tokenFile: must be an absolute path",
        ),
        (
            "/auth",
            json!({"certificate": {}}),
            "clientCertificate: must be there",
        ),
        (
            "/auth/appRole",
            json!({"secretIdFile": secret}),
            "auth.appRole: must have one of",
        ),
        (
            "/auth/appRole/secretIdFile",
            json!("s"),
            "auth.appRole.secretIdFile: must be an absolute",
        ),
        (
            "/auth/appRole/mount",
            json!(""),
            "auth.appRole.mount: must have letters",
        ),
        (
            "/auth",
            json!({"jwt": {"role": " ", "tokenFile": "/t"}}),
            "auth.jwt.role: must have 1 to",
        ),
    ] {
        let mut written = good();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match written.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
            Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
            other => panic!("{other}"),
        }
        let refused = check(written).unwrap_err();
        let expected = format!("roots[0].vault.{refusal}");
        assert!(refused.starts_with(&expected), "{refused} / {expected}");
    }
    let mut inline = good();
    inline["auth"]["appRole"]["secretId"] = json!("s3cret");
    let refused = check(inline).unwrap_err();
    assert!(refused.contains("unknown field `secretId`"), "{refused}");
}

#[test]
fn what_is_sent_without_tls_is_private_only_on_this_machine() {
    for (address, is_private) in [
        ("https://vault.example", true),
        ("http://127.0.0.1:8200", true),
        ("http://[::1]:8200", true),
        ("http://localhost:8200", true),
        ("http://vault.example", false),
        ("http://10.0.0.1:8200", false),
        ("http://127.0.0.1.example", false),
    ] {
        let address: Address = address.parse().unwrap();
        assert_eq!(address.is_private(), is_private, "{address}");
    }
}

#[test]
fn the_sample_is_taken_with_each_way_to_log_in() {
    #[derive(Deserialize)]
    struct Sample {
        vault: Written,
    }
    let sample = include_str!("../../../../../../config/vault/root.yaml");
    let check = |text: &str| {
        let Sample { vault } = serde_saphyr::from_str(text).unwrap();
        vault.check("roots[0].vault").unwrap()
    };
    let config = check(sample);
    assert_eq!(config.words(), "transit/prod-eu1");
    assert!(matches!(config.auth.method, LoginMethod::AppRole { .. }));

    // All that is commented out, but for the ways to log in.
    let whole = sample
        .replace("# namespace", "namespace")
        .replace("# clientCertificate", "clientCertificate")
        .replace("# timeLimit", "timeLimit");
    assert_eq!(check(&whole).words(), "platform/transit/prod-eu1");
    let app_role = whole.split_once("    appRole:").unwrap().1;
    let (app_role, others) = app_role.split_once("    # certificate").unwrap();
    for way in format!("certificate{others}").lines() {
        let way = way.trim_start_matches("    # ");
        let text = whole.replace(&format!("    appRole:{app_role}"), &format!("    {way}\n"));
        let method = format!("{:?}", check(&text).auth.method).to_lowercase();
        let name = way.split_once(':').unwrap().0.to_lowercase();
        assert!(method.starts_with(&name), "{method}");
    }
}
