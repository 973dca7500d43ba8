//! One local KEK in several envelopes: before and after a root more wrapped it, and forged ones.

use super::*;

/// A call that comes before the keeper has opened anything: both end up with what the call brought.
async fn restarted_by_a_call(
    machine: &Machine,
    roots: &[(&str, &Puppet)],
    first: &EncryptedDekSource,
) -> (UnderRoots, Result<(), KekError>) {
    let under_roots = machine.start(roots);
    let outcome = opens(&under_roots, first).await;
    under_roots.ready().await;
    (under_roots, outcome)
}

fn kept(machine: &Machine, id: KekId) -> Vec<u8> {
    std::fs::read(machine.path().join(format!("state/keks/{id}"))).unwrap()
}

fn envelope(wrapped: &EncryptedDekSource) -> Envelope {
    Envelope::parse(wrapped.annotations.get(ANNOTATION).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_forged_envelope_is_neither_used_nor_kept() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let roots = [("one", &one), ("two", &two)];
    let mut machine = Machine::new();
    (machine.quorum, machine.copies) = (2, Some([9; 32]));
    let before = machine.ready(&roots).await;
    let wrapped = before.wrap(dek()).await.unwrap();
    stop_known(before, &machine).await;

    // Who writes to the store leaves one wrap as it is, and breaks the other.
    let authentic = envelope(&wrapped);
    let mut parts = authentic.wrapped().to_vec();
    parts[1].ciphertext.fill(0);
    let broken = Envelope::new(authentic.id(), parts).unwrap();
    let forged = EncryptedDekSource {
        annotations: Annotations::new([(ANNOTATION.to_owned(), broken.to_bytes())]).unwrap(),
        ..wrapped.clone()
    };
    let (after, outcome) = restarted_by_a_call(&machine, &roots, &forged).await;
    assert!(matches!(outcome, Err(KekError::Unauthentic)), "{outcome:?}");
    assert_eq!(after.current().unwrap(), authentic);
    opens(&after, &wrapped).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(kept(&machine, authentic.id()), authentic.to_bytes());
    stop(after, &machine).await;

    for root in [&one, &two] {
        root.set(Mood::Silent);
    }
    let unsealed = machine.ready(&roots).await;
    opens(&unsealed, &wrapped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_envelope_of_before_does_not_come_back() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let roots = [("one", &one), ("two", &two)];
    let machine = Machine::new();
    let alone = machine.ready(&roots[..1]).await;
    let old = alone.wrap(dek()).await.unwrap();
    stop(alone, &machine).await;
    let both = machine.ready(&roots).await;
    until(|| both.current().unwrap().versions().count() == 2).await;
    let new = both.wrap(dek()).await.unwrap();
    stop(both, &machine).await;

    let (after, outcome) = restarted_by_a_call(&machine, &roots, &old).await;
    outcome.unwrap();
    assert_eq!(after.current().unwrap(), envelope(&new));
    assert_eq!(after.key_id().unwrap(), new.key_id);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let id = envelope(&new).id();
    assert_eq!(kept(&machine, id), envelope(&new).to_bytes());
}

#[tokio::test(start_paused = true)]
async fn what_a_forged_call_opened_is_not_written_down() {
    let root = Puppet::new(1);
    let (here, there) = (Machine::new(), Machine::new());
    let foreign = there.ready(&[("r", &root)]).await;
    let foreign = foreign.wrap(dek()).await.unwrap();
    let mut bytes = foreign.ciphertext.as_bytes().to_vec();
    bytes[20] ^= 1;
    let forged = EncryptedDekSource {
        ciphertext: bytes.try_into().unwrap(),
        ..foreign
    };
    let under_roots = here.ready(&[("r", &root)]).await;
    assert!(opens(&under_roots, &forged).await.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let keks = here.path().join("state/keks");
    assert_eq!(std::fs::read_dir(keks).unwrap().count(), 1);
}
