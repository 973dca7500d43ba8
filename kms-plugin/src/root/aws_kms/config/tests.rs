use super::*;

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
const REPLICA: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";

fn check(rest: &str) -> Result<Config, String> {
    let text = format!("keyId: {KEY}\n{rest}");
    let written: Written = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
    written
        .check("roots[0].awsKms")
        .map_err(|error| error.to_string())
}

#[test]
fn a_key_alone_is_enough() {
    let config = check("").unwrap();
    assert_eq!(config.key.key.as_str(), KEY);
    assert_eq!(config.credentials, Credentials::Default);
    assert_eq!((config.assume_role, config.replicas.len()), (None, 0));
}

#[test]
fn every_field_is_taken() {
    let config = check(&format!(
        "endpoint: https://vpce-1.kms.eu-central-1.vpce.amazonaws.com
stsEndpoint: http://127.0.0.1:5000
replicas: [{{keyId: {REPLICA}, endpoint: 'https://kms.example:8443'}}]
profile: {{name: k8s, configFile: /a, credentialsFile: /b}}
assumeRole: {{arn: 'arn:aws:iam::111122223333:role/k8s', externalId: prod, sourceArn: 'arn:aws:eks:eu-central-1:111122223333:cluster/prod'}}"
    ))
    .unwrap();
    let replica = &config.replicas[0];
    assert_eq!(replica.key.as_str(), REPLICA);
    assert_eq!(
        replica.endpoint.as_deref(),
        Some("https://kms.example:8443")
    );
    assert!(matches!(config.credentials, Credentials::Profile { name, .. } if name == "k8s"));
    let role = config.assume_role.unwrap();
    assert_eq!(role.external_id.as_deref(), Some("prod"));

    let config =
        check("webIdentity: {tokenFile: /t, roleArn: 'arn:aws-cn:iam::111122223333:role/a/b'}")
            .unwrap();
    assert!(matches!(
        config.credentials,
        Credentials::WebIdentity { role_arn, .. } if role_arn.ends_with("role/a/b")
    ));
    assert!(check("useFips: true").unwrap().use_fips);
}

#[test]
fn what_cannot_be_is_refused_with_its_field() {
    const ROLE: &str = "'arn:aws:iam::111122223333:role/k8s'";
    let cases = [
        ("endpoint", "endpoint: http://kms.example"),
        ("endpoint", "endpoint: https://user@kms.example"),
        ("endpoint", "endpoint: https://kms.example/path"),
        ("endpoint", "endpoint: kms.example"),
        ("endpoint", "useFips: true\nendpoint: https://kms.example"),
        (
            "stsEndpoint",
            "useFips: true\nstsEndpoint: https://a.example",
        ),
        ("replicas[0].keyId", "replicas: [{keyId: KEY}]"),
        ("replicas[0].keyId", "replicas: [{keyId: REPLICA0}]"),
        ("profile.credentialsFile", "profile: {name: k8s}"),
        ("profile.configFile", "profile: {name: k8s, configFile: a}"),
        ("profile.name", "profile: {name: '', configFile: /a}"),
        (
            "webIdentity.tokenFile",
            "webIdentity: {tokenFile: t, roleArn: ROLE}",
        ),
        (
            "webIdentity.roleArn",
            "webIdentity: {tokenFile: /t, roleArn: k8s}",
        ),
        (
            "webIdentity",
            "webIdentity: {tokenFile: /t, roleArn: ROLE}\nprofile: {name: a, configFile: /a}",
        ),
        ("assumeRole.arn", "assumeRole: {arn: k8s}"),
        (
            "assumeRole.externalId",
            "assumeRole: {arn: ROLE, externalId: a}",
        ),
        (
            "assumeRole.sourceArn",
            "assumeRole: {arn: ROLE, sourceArn: prod}",
        ),
    ];
    for (field, rest) in cases {
        let rest = rest
            .replace("KEY", KEY)
            .replace("REPLICA", REPLICA)
            .replace("ROLE", ROLE);
        let error = check(&rest).unwrap_err();
        let field = format!("roots[0].awsKms.{field}: ");
        assert!(error.starts_with(&field), "{rest}: {error}");
    }
    for unknown in ["accessKeyId: a", "profile: {name: a, secretKey: c}"] {
        assert!(check(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn an_alias_is_refused_with_the_reason() {
    let written: Written =
        serde_saphyr::from_str("keyId: arn:aws:kms:eu-central-1:111122223333:alias/k8s").unwrap();
    let error = written.check("x").unwrap_err().to_string();
    assert!(error.starts_with("x.keyId: names an alias"), "{error}");
}

#[test]
fn the_sample_is_taken_with_each_way_to_log_in() {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sample {
        aws_kms: Written,
    }
    let sample = include_str!("../../../../../config/aws/root.yaml");
    let check = |text: &str| {
        let Sample { aws_kms } = serde_saphyr::from_str(text).unwrap();
        aws_kms.check("roots[0].awsKms").unwrap()
    };
    let config = check(sample);
    assert_eq!(config.replicas.len(), 1);
    assert_eq!(config.credentials, Credentials::Default);
    let with = |field: &str| check(&sample.replace(&format!("# {field}:"), &format!("{field}:")));
    assert!(with("useFips").use_fips);
    assert!(with("stsEndpoint").sts_endpoint.is_some());
    assert!(with("assumeRole").assume_role.is_some());
    let profile = with("profile").credentials;
    assert!(matches!(profile, Credentials::Profile { .. }));
    let web_identity = with("webIdentity").credentials;
    assert!(matches!(web_identity, Credentials::WebIdentity { .. }));
}
