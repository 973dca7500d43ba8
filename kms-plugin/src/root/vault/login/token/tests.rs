use super::*;

fn token(age: u64, ttl: u64, whole: u64) -> Token {
    let seconds = Duration::from_secs;
    Token {
        life: Some(Life {
            since: Instant::now().checked_sub(seconds(age)).unwrap(),
            ttl: seconds(ttl),
            whole: seconds(whole),
        }),
        ..Token::new(Zeroizing::new("hvs.s3cret".to_owned()), ttl, true).unwrap()
    }
}

#[test]
fn a_token_is_due_after_two_thirds_of_its_life() {
    assert!(!token(0, 60, 60).is_due());
    assert!(!token(39, 60, 60).is_due());
    assert!(token(40, 60, 60).is_due());
    assert!(!token(59, 60, 60).is_over());
    assert!(token(60, 60, 60).is_over());
}

#[test]
fn a_token_that_lives_for_ever_is_never_due() {
    let token = token(1, 1, 1).renewed(0, false);
    assert!(token.lives_for_ever() && !token.is_due() && !token.is_over());
}

#[test]
fn a_second_less_is_rounding_and_more_is_the_greatest_age() {
    assert!(!token(0, 60, 60).is_cut_short());
    assert!(!token(0, 59, 60).is_cut_short());
    assert!(token(0, 58, 60).is_cut_short());
}

#[test]
fn a_renewed_token_remembers_what_it_had_at_first() {
    let token = token(40, 60, 60).renewed(60, true);
    assert!(!token.is_due() && !token.is_cut_short());
    assert!(token.renewed(20, true).is_cut_short());
}

#[test]
fn a_token_is_never_shown() {
    let token = token(0, 60, 60);
    assert_eq!(format!("{token:?}"), "Token([REDACTED])");
    assert_eq!(format!("{:?}", token.header()), "Sensitive");
}

#[test]
fn what_no_header_can_hold_is_no_token() {
    for bad in ["", "a\nb", "a\0"] {
        assert!(
            Token::new(Zeroizing::new(bad.to_owned()), 1, true).is_none(),
            "{bad:?}"
        );
    }
}
