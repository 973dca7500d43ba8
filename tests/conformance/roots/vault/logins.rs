//! The ways to log in.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};

use super::*;
use crate::{
    roots::unreachable,
    support::{etcd::Certificates, server::free_port},
};

#[test]
#[ignore = "needs vault: make conformance"]
fn a_secret_id_that_is_swapped_is_taken_up() {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    let role = role_with(&vault, json!({}));
    let LoginMethod::AppRole { mount, .. } = site.app_role(&role) else {
        unreachable!();
    };
    // As kubelet lays out a Secret: a folder for each state, one link that is swapped, and a link for each file.
    let lay = |state: &str, secret_id: &str| {
        fs::create_dir(site.path(state)).unwrap();
        site.write(&format!("{state}/secret"), secret_id);
        swap(&site.path("..data"), state);
    };
    lay("..one", &role.secret_id);
    symlink("..data/secret", site.path("secret")).unwrap();
    let role_id = site.write("role-id", &format!("{}\n", role.role_id));
    let root = vault::Vault::open(&config(
        &[vault.endpoint()],
        LoginMethod::AppRole {
            mount,
            role_id: RoleId::File(role_id),
            secret_id_file: site.path("secret"),
        },
    ));
    let one = site.wrap(&root).unwrap();

    // Every token and the first secret id are gone: an expired login is no revocation of the key.
    let by = json!({"secret_id": role.secret_id});
    vault.write("auth/approle/role/kms-plugin/secret-id/destroy", by);
    vault.write("sys/leases/revoke-prefix/auth/approle", json!({}));
    let said = unreachable(site.unwrap(&root, &one));
    assert!(said.contains("invalid role or secret ID"), "{said}");
    assert!(!said.contains(&role.secret_id), "{said}");

    lay("..two", &vault.secret_id("kms-plugin"));
    site.unwrap(&root, &one).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_jwt_that_is_swapped_is_taken_up() {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    let issuer = Issuer::new();
    vault.write(
        "auth/jwt/config",
        json!({"jwt_validation_pubkeys": [issuer.public], "jwt_supported_algs": ["ES256"]}),
    );
    vault.write(
        "auth/jwt/role/kms",
        json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"],
            "bound_subject": "system:serviceaccount:kube-system:kms-plugin",
            "token_policies": ["kms-plugin"], "token_ttl": "1h",
        }),
    );
    let far = u64::MAX >> 12;
    let token_file = site.write(
        "jwt",
        &issuer.jwt("system:serviceaccount:default:default", far),
    );
    let root = vault::Vault::open(&config(
        &[vault.endpoint()],
        LoginMethod::Jwt {
            mount: "jwt".parse().unwrap(),
            role: "kms".to_owned(),
            token_file,
        },
    ));
    let said = unreachable(site.wrap(&root));
    assert!(said.contains("auth/jwt/login"), "{said}");

    let ours = "system:serviceaccount:kube-system:kms-plugin";
    site.write("jwt", &issuer.jwt(ours, far));
    let one = site.wrap(&root).unwrap();

    vault.write("sys/leases/revoke-prefix/auth/jwt", json!({}));
    site.write("jwt", &issuer.jwt(ours, 1_000_000_000));
    unreachable(site.unwrap(&root, &one));
    site.write("jwt", &issuer.jwt(ours, far));
    site.unwrap(&root, &one).unwrap();
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_certificate_logs_in_and_only_the_ca_of_the_file_is_trusted() {
    let (files, site) = (Certificates::generate(), Site::new());
    let vault = Vault::start_tls(&files);
    prepare(&vault);
    let text = |name: &str| fs::read_to_string(files.path(name)).unwrap();
    vault.write(
        "auth/cert/certs/control-plane",
        json!({"certificate": text("ca.pem"), "allowed_common_names": ["client"], "token_policies": ["kms-plugin"]}),
    );
    let mut config = config(
        &[vault.endpoint()],
        LoginMethod::Certificate {
            mount: "cert".parse().unwrap(),
            role: Some("control-plane".to_owned()),
        },
    );
    config.ca_file = Some(site.write("ca.pem", &text("other-ca.pem")));
    config.client_certificate = Some(vault::ClientCertificate {
        cert_file: site.write("cert.pem", &text("client.pem")),
        key_file: site.write("cert.key", &text("client.key")),
    });
    let root = vault::Vault::open(&config);
    let said = unreachable(site.wrap(&root));
    assert!(said.contains("UnknownIssuer"), "{said}");

    site.write("ca.pem", &text("ca.pem"));
    let one = site.wrap(&root).unwrap();

    // A certificate of another name does not log in; the token at hand goes on.
    site.write("cert.pem", &text("server.pem"));
    site.write("cert.key", &text("server.key"));
    site.unwrap(&root, &one).unwrap();
    let said = unreachable(site.wrap(&vault::Vault::open(&config)));
    assert!(said.contains("cannot log in"), "{said}");

    site.write("cert.key", &text("client.key"));
    let said = unreachable(site.wrap(&root));
    assert!(said.contains("of no use together: "), "{said}");
}

#[test]
#[ignore = "needs vault: make conformance"]
fn a_token_file_is_read_again_when_it_changed() {
    let (vault, site) = (Vault::start(), Site::new());
    prepare(&vault);
    let first = vault.token("kms-plugin", "1h");
    let path = site.write("token", &format!("{first}\n"));
    let root = vault::Vault::open(&config(&[vault.endpoint()], LoginMethod::TokenFile(path)));
    let one = site.wrap(&root).unwrap();

    // The other program has written a new one while the old one is still good: then it is the new one that is used.
    let second = vault.token("kms-plugin", "1h");
    site.write("token", &second);
    site.unwrap(&root, &one).unwrap();
    vault.write("auth/token/revoke", json!({"token": first}));
    site.unwrap(&root, &one).unwrap();

    // What is no token takes nothing from the one at hand.
    site.write("token", "half a tok");
    site.unwrap(&root, &one).unwrap();

    // A token that is dead is no refusal of the key.
    site.write("token", &second);
    vault.write("auth/token/revoke", json!({"token": second}));
    let said = unreachable(site.unwrap(&root, &one));
    assert!(said.contains("has expired or was revoked"), "{said}");
    assert!(!said.contains(&second), "{said}");
    unreachable(site.unwrap(&root, &one));

    fs::remove_file(site.path("token")).unwrap();
    let said = unreachable(site.unwrap(&root, &one));
    assert!(said.contains("cannot read"), "{said}");

    site.write("token", &vault.token("kms-plugin", "1h"));
    site.unwrap(&root, &one).unwrap();

    // One that is good, but not for this key, is a refusal.
    vault.policy(
        "nothing",
        r#"path "auth/token/lookup-self" { capabilities = ["read"] }"#,
    );
    site.write("token", &vault.token("nothing", "1h"));
    crate::roots::refused(site.unwrap(&root, &one));
}

#[test]
#[ignore = "needs vault: make conformance"]
fn credentials_that_others_may_read_are_not_used() {
    let (vault, site, root) = by_app_role();
    fs::set_permissions(site.path("secret-id"), Permissions::from_mode(0o644)).unwrap();
    let said = unreachable(site.wrap(&root));
    assert!(
        said.contains("is open to others; run `chmod 0640`"),
        "{said}"
    );
    fs::set_permissions(site.path("secret-id"), Permissions::from_mode(0o640)).unwrap();
    site.wrap(&root).unwrap();
    drop(vault);
}

#[test]
#[ignore = "needs vault: make conformance"]
fn the_next_server_is_asked_where_one_is_away() {
    let (vault, site, _) = by_app_role();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let method = site.app_role(&role_with(&vault, json!({})));
    let root = vault::Vault::open(&config(&[nobody, vault.endpoint()], method));
    let one = site.wrap(&root).unwrap();
    site.unwrap(&root, &one).unwrap();
}

/// Signs JWTs (RFC 7519) with ES256.
struct Issuer {
    key: EcdsaKeyPair,
    public: String,
}

impl Issuer {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let random = SystemRandom::new();
        let pkcs8 = pair.serialize_der();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random).unwrap();
        assert!(!key.public_key().as_ref().is_empty());
        Self {
            key,
            public: pair.public_key_pem(),
        }
    }

    /// Of a service account, good until a second of Unix time.
    fn jwt(&self, subject: &str, expires: u64) -> String {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
        let header = BASE64.encode(r#"{"alg":"ES256","typ":"JWT"}"#);
        let claims = json!({"sub": subject, "aud": "vault", "exp": expires, "iat": 1_000_000_000});
        let signed = format!("{header}.{}", BASE64.encode(claims.to_string()));
        let signature = self
            .key
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", BASE64.encode(signature))
    }
}
