use super::*;

const LEAST: &str = "module: /usr/lib/softhsm/libsofthsm2.so\ntokenLabel: kms\nkeyLabel: kek\npinFile: /etc/kms-plugin/pin\n";

fn parse(text: &str) -> Result<Config, String> {
    let written: Written = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    written
        .check("roots[0].pkcs11")
        .map_err(|error| error.to_string())
}

#[test]
fn the_least_configuration_has_defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.token, Token::Label("kms".to_owned()));
    assert_eq!(config.mechanism, Mechanism::Auto);
    assert_eq!(config.timeout, Duration::from_secs(10));
    assert!(config.key.ids.is_empty() && config.environment.is_empty());
}

#[test]
fn everything_can_be_said() {
    let config = parse(
        "module: /m.so\ntokenSerial: a1b2\nkeyLabel: k e k\nkeyIds: ['0A', '09']\nmechanism: aes-key-wrap\n\
         pinFile: /pin\nenvironment: {SOFTHSM2_CONF: /s.conf}\ntimeout: 3s\n",
    )
    .unwrap();
    assert_eq!(config.token, Token::Serial("a1b2".to_owned()));
    assert_eq!(config.key.ids, ["0a", "09"]);
    assert_eq!(config.mechanism, Mechanism::AesKeyWrap);
    assert_eq!(config.environment["SOFTHSM2_CONF"], "/s.conf");
    assert_eq!(config.timeout, Duration::from_secs(3));
}

#[test]
fn what_cannot_be_names_its_field() {
    for (text, at) in [
        (LEAST.replace("/usr", "usr"), "roots[0].pkcs11.module: "),
        (LEAST.replace("/etc", "etc"), "roots[0].pkcs11.pinFile: "),
        (LEAST.replace("tokenLabel: kms\n", ""), "roots[0].pkcs11: "),
        (format!("{LEAST}tokenSerial: a\n"), "roots[0].pkcs11: "),
        (LEAST.replace("kms", "''"), "roots[0].pkcs11.tokenLabel: "),
        (
            LEAST.replace("keyLabel: kek", &format!("keyLabel: {}", "k".repeat(65))),
            "roots[0].pkcs11.keyLabel: ",
        ),
        (
            LEAST.replace("keyLabel: kek", &format!("keyLabel: k{}k", "/".repeat(60))),
            "roots[0].pkcs11.keyLabel: ",
        ),
        (
            format!("{LEAST}keyIds: [\"1\"]\n"),
            "roots[0].pkcs11.keyIds[0]: ",
        ),
        (
            format!("{LEAST}keyIds: [\"0a\", \"0A\"]\n"),
            "roots[0].pkcs11.keyIds[1]: ",
        ),
        (
            format!("{LEAST}environment: {{'A=B': c}}\n"),
            "roots[0].pkcs11.environment: ",
        ),
        (format!("{LEAST}timeout: 2m\n"), "roots[0].pkcs11.timeout: "),
    ] {
        let refused = parse(&text).unwrap_err();
        assert!(refused.starts_with(at), "{text}: {refused}");
    }
    assert!(parse(&format!("{LEAST}pin: '1234'\n")).is_err());
    assert!(parse(&format!("{LEAST}mechanism: aes-cbc\n")).is_err());
}

#[test]
fn names_are_escaped_so_that_no_two_look_alike() {
    assert_eq!(escape("prod-kek_1.2~"), "prod-kek_1.2~");
    assert_eq!(escape("a/b#c d%"), "a%2Fb%23c%20d%25");
}

#[test]
fn the_sample_is_taken() {
    #[derive(Deserialize)]
    struct Sample {
        pkcs11: Written,
    }
    let sample = include_str!("../../../../../config/pkcs11/root.yaml");
    let commented = sample
        .replace("# keyIds", "keyIds")
        .replace("# mechanism", "mechanism")
        .replace("# timeout", "timeout");
    for (text, ids) in [(sample, 0), (&commented, 2)] {
        let Sample { pkcs11 } = serde_saphyr::from_str(text).unwrap();
        let config = pkcs11.check("roots[0].pkcs11").unwrap();
        assert_eq!(config.key.ids.len(), ids);
        assert_eq!(config.mechanism, Mechanism::Auto);
        assert_eq!(config.timeout, Duration::from_secs(10));
    }
}
