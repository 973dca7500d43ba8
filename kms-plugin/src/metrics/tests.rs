use super::*;
use crate::{
    keyring::Member,
    root::local::{KeyMaterial, Local},
};

fn keyring() -> Keyring {
    let kek = Local::new(&KeyMaterial::new(Box::new([1; 32])), "test", 1);
    Keyring::new(vec![Member::local("one".to_owned(), 1, Box::new(kek))]).unwrap()
}

fn value(metrics: &Metrics, series: &str) -> Option<String> {
    let text = metrics.encode(&keyring()).unwrap();
    text.lines()
        .find_map(|line| Some(line.strip_prefix(series)?.trim().to_owned()))
}

#[test]
fn calls_are_counted_by_method_and_code() {
    let metrics = Metrics::new();
    let took = Duration::from_micros(50);
    metrics.request(Method::Encrypt, Code::Ok, took);
    metrics.request(Method::Decrypt, Code::Ok, took);
    metrics.request(Method::Decrypt, Code::InvalidArgument, took);
    assert_eq!(metrics.answered(Method::Decrypt), 1);
    assert_eq!(metrics.failures(), 1);
    let series = r#"ringfence_requests_total{method="Decrypt",code="InvalidArgument"}"#;
    assert_eq!(value(&metrics, series).as_deref(), Some("1"));
    let series = r#"ringfence_request_duration_seconds_count{method="Decrypt"}"#;
    assert_eq!(value(&metrics, series).as_deref(), Some("2"));
}

#[test]
fn refused_uids_cannot_fill_the_memory() {
    let metrics = Metrics::new();
    for uid in 0..10_000 {
        metrics.refused_peer(uid);
    }
    metrics.refused_peer(0);
    let text = metrics.encode(&keyring()).unwrap();
    let series = text
        .lines()
        .filter(|line| line.starts_with("ringfence_refused_peers_total{"));
    assert_eq!(series.count(), MAX_COUNTED_UIDS + 1);
    let other = value(&metrics, r#"ringfence_refused_peers_total{uid="other"}"#);
    assert_eq!(other.unwrap(), (10_000 - MAX_COUNTED_UIDS).to_string());
    let first = value(&metrics, r#"ringfence_refused_peers_total{uid="0"}"#);
    assert_eq!(first.as_deref(), Some("2"));
}

#[test]
fn the_outcome_of_the_newest_reload_shows() {
    let metrics = Metrics::new();
    let gauge = || value(&metrics, "ringfence_config_last_reload_successful");
    assert_eq!(gauge().as_deref(), Some("1"));
    metrics.reloaded(false);
    assert_eq!(gauge().as_deref(), Some("0"));
    metrics.reloaded(true);
    assert_eq!(gauge().as_deref(), Some("1"));
    let failures = value(&metrics, "ringfence_reload_failures_total");
    assert_eq!(failures.as_deref(), Some("1"));
}
