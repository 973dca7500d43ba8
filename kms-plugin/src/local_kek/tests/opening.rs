//! What opens a DEK source, and what does not.

use zeroize::Zeroizing;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_local_kek_wraps_and_any_node_opens_with_one_call() {
    let root = Puppet::new(1);
    let (one, two) = (Machine::new(), Machine::new());
    let first = one.ready(&[("root", &root)]).await;
    let wrapped = first.wrap(dek()).await.unwrap();
    assert_eq!(Ok(&wrapped.key_id), first.key_id().as_ref());
    assert!(wrapped.key_id.as_str().starts_with("rf-root-"));
    for _ in 0..100 {
        opens(&first, &first.wrap(dek()).await.unwrap())
            .await
            .unwrap();
    }
    assert_eq!((root.count("wrap"), root.count("unwrap")), (1, 1));

    let second = two.ready(&[("another name", &root)]).await;
    assert_eq!(
        first.key_id(),
        second.key_id(),
        "every node computes the same"
    );
    let before = root.count("unwrap");
    for _ in 0..100 {
        opens(&second, &wrapped).await.unwrap();
    }
    assert_eq!(root.count("unwrap") - before, 1);
    assert_eq!(second.held(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_cold_decrypts_is_one_call() {
    let root = Puppet::new(1);
    let (one, two) = (Machine::new(), Machine::new());
    let wrapped = one.ready(&[("r", &root)]).await.wrap(dek()).await.unwrap();
    let cold = two.ready(&[("r", &root)]).await;
    let before = root.count("unwrap");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (cold, wrapped) = (cold.clone(), wrapped.clone());
        calls.spawn(async move { opens(&cold, &wrapped).await });
    }
    for outcome in calls.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(root.count("unwrap") - before, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_that_was_altered_opens() {
    let root = Puppet::new(1);
    let machine = Machine::new();
    let under_roots = machine.ready(&[("r", &root)]).await;
    let wrapped = under_roots.wrap(dek()).await.unwrap();
    let refused = |altered: EncryptedDekSource| {
        let under_roots = under_roots.clone();
        async move {
            let outcome = under_roots.unwrap(&altered).await;
            assert!(matches!(outcome, Err(KekError::Unauthentic)), "{outcome:?}");
        }
    };
    let annotation = wrapped.annotations.get(ANNOTATION).unwrap().to_vec();
    for index in 0..annotation.len() {
        let mut bytes = annotation.clone();
        bytes[index] ^= 1;
        let annotations = Annotations::new([(ANNOTATION.to_owned(), bytes)]).unwrap();
        let altered = EncryptedDekSource {
            annotations,
            ..wrapped.clone()
        };
        let outcome = under_roots.unwrap(&altered).await;
        // Words of another kind of root are no forgery, but a root that is missing.
        let known = matches!(outcome, Err(KekError::Unauthentic | KekError::NoRoot(_)));
        assert!(known, "byte {index}: {outcome:?}");
    }
    for index in 0..wrapped.ciphertext.as_bytes().len() {
        let mut bytes = wrapped.ciphertext.as_bytes().to_vec();
        bytes[index] ^= 1;
        let ciphertext = bytes.try_into().unwrap();
        refused(EncryptedDekSource {
            ciphertext,
            ..wrapped.clone()
        })
        .await;
    }
    let key_id = "rf-root-other".parse().unwrap();
    refused(EncryptedDekSource {
        key_id,
        ..wrapped.clone()
    })
    .await;
    let mut elsewhere = Machine::new();
    elsewhere.context = "other";
    let other = elsewhere.ready(&[("r", &root)]).await;
    assert!(matches!(
        other.unwrap(&wrapped).await,
        Err(KekError::Unauthentic)
    ));
    assert_eq!(
        under_roots.phase(),
        Phase::Serving,
        "a forgery says nothing of the root"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_opened_for_a_panic_is_tried_again() {
    let held = Arc::new(held::Held::default());
    let id = KekId([1; 16]);
    let panics = async { panic!("a fault of the test's") };
    assert!(held.open(id, panics).await.is_err());
    let wrapped = WrappedKek {
        version: "puppet:k#1".parse().unwrap(),
        ciphertext: vec![1],
    };
    let envelope = Envelope::new(id, vec![wrapped]).unwrap();
    let kek = LocalKek::new(envelope, KeyMaterial::new(Box::new([1; 32])), "test");
    let opened = held.open(id, async { Ok(Arc::new(kek)) }).await;
    assert_eq!(opened.unwrap().id(), id);
}

/// A secret never comes out of a `Debug`.
#[test]
fn no_key_is_printed() {
    let wrapped = WrappedKek {
        version: "puppet:k#1".parse().unwrap(),
        ciphertext: vec![1],
    };
    let envelope = Envelope::new(KekId([5; 16]), vec![wrapped]).unwrap();
    let key = Zeroizing::new([0xab; 32]);
    let kek = LocalKek::new(envelope, KeyMaterial::new(Box::new(*key)), "test");
    let shown = format!("{kek:?}");
    assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
}
