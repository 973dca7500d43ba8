use super::*;

fn of(status: u16, body: &str) -> Result<Answer, String> {
    let body = Zeroizing::new(body.as_bytes().to_vec());
    Answer::of(StatusCode::from_u16(status).unwrap(), body)
}

#[test]
fn only_vaults_own_refusals_are_refusals() {
    let vaults = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
    let words = "1 error occurred: * permission denied";
    assert!(matches!(of(403, vaults), Ok(Answer::Denied(said)) if said == words));
    assert!(matches!(of(400, vaults), Ok(Answer::Invalid(said)) if said == words));
    assert!(matches!(of(404, r#"{"errors":[]}"#), Ok(Answer::Missing(said)) if said.is_empty()));
    for gateways in ["<html>Forbidden</html>", "", "{}", r#"{"message":"no"}"#] {
        for status in [400, 403, 404] {
            let reason = of(status, gateways).err().unwrap();
            assert!(reason.contains("not in the words of Vault"), "{reason}");
        }
    }
}

#[test]
fn whoever_cannot_answer_now_says_so() {
    let sealed = r#"{"errors":["Vault is sealed"]}"#;
    for (status, body, reason) in [
        (
            503,
            sealed,
            "answers 503 Service Unavailable: Vault is sealed",
        ),
        (
            429,
            r#"{"errors":["rate limit quota exceeded"]}"#,
            "rate limit quota exceeded",
        ),
        (
            412,
            r#"{"errors":["required index state not present"]}"#,
            "index state",
        ),
        (472, "", "disaster recovery secondary"),
        (473, "", "performance standby"),
        (307, "", "standby that does not forward"),
        (500, "", "answers 500"),
        (502, "<html>", "answers 502"),
        (401, sealed, "answers 401"),
    ] {
        let said = of(status, body).err().unwrap();
        assert!(said.contains(reason), "{status}: {said}");
    }
}

#[test]
fn a_servers_words_are_cut_and_cleaned() {
    let long = format!(r#"{{"errors":["{}\u0007\n"]}}"#, "x".repeat(5000));
    let Ok(Answer::Denied(words)) = of(403, &long) else {
        panic!("not denied");
    };
    assert_eq!(words, "x".repeat(MAX_WORDS));
}

#[test]
fn an_answer_to_another_question_is_not_quoted() {
    let body = br#"{"data":{"plaintext":7,"secret":"s3cret"}}"#;
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "never made")]
    struct Wanted {
        plaintext: String,
    }
    let error = data::<Wanted>("transit/decrypt/k", body).unwrap_err();
    assert!(matches!(error, RootError::Unreachable { source: None, .. }));
    assert!(error.to_string().contains("not what Vault answers there"));
    assert!(!error.to_string().contains("s3cret"));
}
