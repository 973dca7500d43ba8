use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use kms_proto::DekSource;
use tempfile::TempDir;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{guarded::Guarded, state_dir::StateDir, *};
use crate::{
    kek::{Kek, Unavailable},
    root::remote::{Binding, RemoteRoot, RootError, RootVersion, WrappedKek},
};

mod envelopes;
mod quorum;
mod refusals;
mod reload;
mod replaced;
mod silence;

const GRACE: Duration = Duration::from_secs(3600);

/// A root in this process that does as it is told. What real roots answer is tried with real ones; this is for
/// what follows from their answers.
#[derive(Debug, Clone)]
struct Puppet(Arc<Mutex<Strings>>);

#[derive(Debug)]
struct Strings {
    kind: &'static str,
    key: [u8; 32],
    version: u32,
    /// The version whose work it refuses to open, if any.
    retired: Option<u32>,
    is_offline: bool,
    mood: Mood,
    calls: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Silent,
    Refusing,
    /// To unwrap, and nothing else.
    WrapsOnly,
    /// Of its key it tells, and of nothing else.
    TellsOnly,
    /// Silent where it is to unwrap.
    Forgetful,
}

impl Puppet {
    fn new(seed: u8) -> Self {
        Self::of("puppet", seed)
    }

    fn of(kind: &'static str, seed: u8) -> Self {
        Self(Arc::new(Mutex::new(Strings {
            kind,
            key: [seed; 32],
            version: 1,
            retired: None,
            is_offline: false,
            mood: Mood::Well,
            calls: Vec::new(),
        })))
    }

    /// One that wraps only, and is never away.
    fn offline(seed: u8) -> Self {
        let puppet = Self::new(seed);
        puppet.0.lock().unwrap().is_offline = true;
        puppet
    }

    fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    fn rotate(&self) {
        self.0.lock().unwrap().version += 1;
    }

    /// Deletes its key and makes another, which looks the same from outside.
    fn replace(&self) {
        self.0.lock().unwrap().key[1] ^= 1;
    }

    fn retire(&self, version: u32) {
        self.0.lock().unwrap().retired = Some(version);
    }

    fn count(&self, call: &str) -> usize {
        let strings = self.0.lock().unwrap();
        strings.calls.iter().filter(|other| **other == call).count()
    }

    fn call(&self, call: &'static str) -> Result<(Sealer, RootVersion), RootError> {
        let mut strings = self.0.lock().unwrap();
        strings.calls.push(call);
        match strings.mood {
            Mood::Silent => return Err(RootError::unreachable("told to be silent")),
            // Reading of the key is allowed still.
            Mood::Refusing if call != "version" => {
                return Err(RootError::Refused {
                    what: "told to refuse".to_owned(),
                });
            }
            Mood::WrapsOnly if call == "unwrap" => {
                return Err(RootError::Refused {
                    what: "told to wrap only".to_owned(),
                });
            }
            Mood::TellsOnly if call != "version" => {
                return Err(RootError::unreachable("told to tell only"));
            }
            Mood::Forgetful if call == "unwrap" => {
                return Err(RootError::unreachable("told to forget"));
            }
            _ => {}
        }
        let key = format!("k{}", strings.key[0]);
        let version = RootVersion::new(strings.kind, &key, &strings.version.to_string());
        Ok((
            Sealer::new(&strings.key, b"puppet", "puppet"),
            version.unwrap(),
        ))
    }
}

fn place(binding: &Binding) -> KeyId {
    format!("{}/{:?}", binding.context, binding.kek)
        .parse()
        .unwrap()
}

#[async_trait]
impl RemoteRoot for Puppet {
    fn kind(&self) -> &'static str {
        self.0.lock().unwrap().kind
    }

    fn is_offline(&self) -> bool {
        self.0.lock().unwrap().is_offline
    }

    async fn version(&self) -> Result<RootVersion, RootError> {
        Ok(self.call("version")?.1)
    }

    async fn wrap(&self, kek: &KeyMaterial, binding: &Binding) -> Result<WrappedKek, RootError> {
        let (sealer, version) = self.call("wrap")?;
        let key = DekSource::new(kek.expose().to_vec());
        let wrapped = sealer.wrap(&key, place(binding), Annotations::default());
        Ok(WrappedKek {
            version,
            ciphertext: wrapped.unwrap().ciphertext.as_bytes().to_vec(),
        })
    }

    async fn unwrap(
        &self,
        wrapped: &WrappedKek,
        binding: &Binding,
    ) -> Result<KeyMaterial, RootError> {
        // What is plainly none of its own it does not even ask about.
        if wrapped.ciphertext.len() < 32 {
            return Err(RootError::Corrupt {
                what: "too short".to_owned(),
            });
        }
        let (sealer, _) = self.call("unwrap")?;
        let retired = self.0.lock().unwrap().retired;
        if retired.is_some_and(|version| wrapped.version.as_str().ends_with(&format!("#{version}")))
        {
            return Err(RootError::Refused {
                what: "that version is retired".to_owned(),
            });
        }
        let source = EncryptedDekSource {
            ciphertext: wrapped.ciphertext.clone().try_into().unwrap(),
            key_id: place(binding),
            annotations: Annotations::default(),
        };
        let opened = sealer.unwrap(&source).map_err(|_| RootError::Corrupt {
            what: "not mine".to_owned(),
        })?;
        Ok(KeyMaterial::new(Box::new(
            opened.expose().try_into().unwrap(),
        )))
    }

    async fn review(&self) -> Result<Vec<String>, RootError> {
        Ok(Vec::new())
    }
}

/// A machine: what of it outlives the daemon.
struct Machine {
    directory: TempDir,
    context: &'static str,
    grace: Duration,
    quorum: usize,
    copies: Option<[u8; 32]>,
}

impl Machine {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            context: "test",
            grace: GRACE,
            quorum: 1,
            copies: None,
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts a daemon with these roots, all of which wrap.
    fn start(&self, roots: &[(&str, &Puppet)]) -> UnderRoots {
        let state = Arc::new(StateDir::open(&self.path().join("state")).unwrap());
        self.start_beside(None, state, roots)
    }

    /// The same for a reload, beside the one that is in use until then.
    fn start_beside(
        &self,
        in_use: Option<&UnderRoots>,
        state: Arc<StateDir>,
        roots: &[(&str, &Puppet)],
    ) -> UnderRoots {
        let contacts = state.contacts();
        let guarded = |(name, puppet): &(&str, &Puppet)| {
            let contact = contacts.get(*name).copied();
            Arc::new(Guarded::new(
                (*name).to_owned(),
                Box::new((*puppet).clone()),
                contact,
            ))
        };
        let settings = Settings {
            context: self.context.to_owned(),
            epoch: 1,
            roots: roots.iter().map(guarded).collect(),
            wrap_with: (0..roots.len()).collect(),
            write_quorum: self.quorum,
            grace: self.grace,
            state,
            copies: self
                .copies
                .map(|key| SealedCopies::new(&KeyMaterial::new(Box::new(key)), self.context)),
        };
        UnderRoots::start(settings, in_use)
    }

    async fn ready(&self, roots: &[(&str, &Puppet)]) -> UnderRoots {
        let under_roots = self.start(roots);
        let ready = timeout(Duration::from_secs(60), under_roots.ready());
        ready.await.expect("it never became ready");
        under_roots
    }
}

/// Its lock on the state directory goes with its last task.
async fn stop(under_roots: UnderRoots, machine: &Machine) {
    drop(under_roots);
    let state = machine.path().join("state");
    until(|| StateDir::open(&state).is_ok()).await;
}

/// Time is paused, so waiting costs none.
async fn until(mut holds: impl FnMut() -> bool) {
    let held = timeout(Duration::from_secs(7200), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    held.await.expect("it never came to that");
}

fn dek() -> DekSource {
    DekSource::new(vec![7; 32])
}

async fn opens(under_roots: &UnderRoots, wrapped: &EncryptedDekSource) -> Result<(), KekError> {
    let opened = under_roots.unwrap(wrapped).await?;
    assert_eq!(opened.expose(), dek().expose());
    Ok(())
}

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
async fn a_restart_unwraps_once_and_wraps_nothing() {
    let root = Puppet::new(1);
    let machine = Machine::new();
    let before = machine.ready(&[("r", &root)]).await;
    let wrapped = before.wrap(dek()).await.unwrap();
    stop(before, &machine).await;
    let (wraps, unwraps) = (root.count("wrap"), root.count("unwrap"));

    let after = machine.ready(&[("r", &root)]).await;
    opens(&after, &wrapped).await.unwrap();
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    assert_eq!(root.count("wrap"), wraps);
    assert_eq!(root.count("unwrap"), unwraps + 1);
}

#[tokio::test(start_paused = true)]
async fn all_that_were_ever_seen_are_opened_at_start() {
    let root = Puppet::new(1);
    let (here, there) = (Machine::new(), Machine::new());
    let foreign = there
        .ready(&[("r", &root)])
        .await
        .wrap(dek())
        .await
        .unwrap();
    let before = here.ready(&[("r", &root)]).await;
    opens(&before, &foreign).await.unwrap();
    let keks = here.path().join("state/keks");
    until(|| std::fs::read_dir(&keks).unwrap().count() == 2).await;
    stop(before, &here).await;

    let after = here.ready(&[("r", &root)]).await;
    until(|| after.held() == 2).await;
    root.set(Mood::Silent);
    opens(&after, &foreign).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_new_version_of_the_roots_key_is_a_new_local_kek_under_another_id() {
    let root = Puppet::new(1);
    let machine = Machine::new();
    let under_roots = machine.ready(&[("r", &root)]).await;
    let old = under_roots.wrap(dek()).await.unwrap();
    root.rotate();
    until(|| under_roots.key_id().unwrap() != old.key_id).await;
    let new = under_roots.wrap(dek()).await.unwrap();
    assert_eq!(new.key_id, under_roots.key_id().unwrap());
    opens(&under_roots, &old).await.unwrap();
    opens(&under_roots, &new).await.unwrap();

    // Nor does the old id come back when all had to be wiped.
    root.set(Mood::Refusing);
    until(|| under_roots.key_id().is_err()).await;
    root.set(Mood::Well);
    until(|| under_roots.key_id().is_ok()).await;
    assert_eq!(under_roots.key_id().unwrap(), new.key_id);
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

#[tokio::test(start_paused = true)]
async fn a_start_without_any_root_says_why_and_goes_on_by_itself() {
    let root = Puppet::new(1);
    root.set(Mood::Silent);
    let machine = Machine::new();
    let under_roots = machine.start(&[("r", &root)]);
    until(|| root.count("version") > 1).await;
    let error = under_roots.key_id().unwrap_err();
    assert!(matches!(&error, Unavailable::Starting(_)), "{error:?}");
    assert!(error.to_string().contains("told to be silent"), "{error}");
    assert!(under_roots.wrap(dek()).await.is_err());
    root.set(Mood::Well);
    under_roots.ready().await;
    under_roots.wrap(dek()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_is_served_through_for_the_grace_and_no_longer() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.grace = Duration::from_secs(600);
    let under_roots = machine.ready(&[("r", &root)]).await;
    let wrapped = under_roots.wrap(dek()).await.unwrap();
    root.set(Mood::Silent);
    // A caller finds out before the keeper does.
    let foreign = Machine::new().ready(&[("o", &Puppet::new(2))]).await;
    let foreign = foreign.wrap(dek()).await.unwrap();
    assert!(matches!(
        under_roots.unwrap(&foreign).await,
        Err(KekError::Root(_))
    ));
    assert!(matches!(under_roots.phase(), Phase::Degraded { .. }));
    opens(&under_roots, &wrapped).await.unwrap();
    assert_eq!(under_roots.key_id().unwrap(), wrapped.key_id);

    until(|| matches!(under_roots.phase(), Phase::GraceOver(_))).await;
    let error = under_roots.unwrap(&wrapped).await.unwrap_err();
    assert!(
        error.to_string().contains("offlineGrace is over"),
        "{error}"
    );
    assert!(under_roots.wrap(dek()).await.is_err());
    assert!(under_roots.key_id().is_err());
}

#[tokio::test(start_paused = true)]
async fn without_grace_the_first_silence_stops() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.grace = Duration::ZERO;
    let under_roots = machine.ready(&[("r", &root)]).await;
    let foreign = Machine::new().ready(&[("o", &Puppet::new(2))]).await;
    let foreign = foreign.wrap(dek()).await.unwrap();
    root.set(Mood::Silent);
    let _ = under_roots.unwrap(&foreign).await;
    assert!(matches!(
        under_roots.key_id(),
        Err(Unavailable::GraceOver(_))
    ));
    root.set(Mood::Well);
    under_roots.ready().await;
    under_roots.wrap(dek()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revocation_stops_within_a_minute_and_heals_by_itself() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let under_roots = machine.ready(&[("r", &root)]).await;
    let wrapped = under_roots.wrap(dek()).await.unwrap();
    let sealed = machine.path().join("state/sealed");
    assert!(sealed.exists());

    root.set(Mood::Refusing);
    let revoked = tokio::time::Instant::now();
    until(|| matches!(under_roots.phase(), Phase::Refused(_))).await;
    let took = revoked.elapsed();
    assert!(
        took >= Duration::from_secs(30),
        "one refusal is no revocation: {took:?}"
    );
    assert!(took <= Duration::from_secs(60), "{took:?}");
    assert!(matches!(under_roots.key_id(), Err(Unavailable::Refused(_))));
    let error = under_roots.unwrap(&wrapped).await.unwrap_err();
    assert!(error.to_string().contains("told to refuse"), "{error}");
    until(|| under_roots.held() == 0 && !sealed.exists()).await;

    // A server that goes away meanwhile gives nothing back.
    root.set(Mood::Silent);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(matches!(under_roots.key_id(), Err(Unavailable::Refused(_))));

    root.set(Mood::Well);
    until(|| under_roots.key_id().is_ok()).await;
    assert_eq!(under_roots.key_id().unwrap(), wrapped.key_id);
    opens(&under_roots, &wrapped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_local_kek_that_is_old_or_used_up_wraps_no_more() {
    const DAY: u64 = 24 * 3600;
    for (field, spent) in [
        ("madeAt", state_dir::unix_now() - 8 * DAY),
        ("uses", 1 << 21),
    ] {
        let root = Puppet::new(1);
        let machine = Machine::new();
        let before = machine.ready(&[("r", &root)]).await;
        let old = before.wrap(dek()).await.unwrap();
        stop(before, &machine).await;
        let file = machine.path().join("state/current.json");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut current: serde_json::Value = serde_json::from_str(&text).unwrap();
        current[field] = spent.into();
        std::fs::write(&file, current.to_string()).unwrap();

        let after = machine.ready(&[("r", &root)]).await;
        until(|| root.count("wrap") == 2).await;
        until(|| after.held() == 2).await;
        let new = after.wrap(dek()).await.unwrap();
        assert_eq!(new.key_id, old.key_id, "the id is that of the root's key");
        assert_ne!(new.annotations, old.annotations, "{field}");
        opens(&after, &old).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_an_outage_answers_the_last_key_id_for_the_grace() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    let before = machine.ready(&[("r", &root)]).await;
    let wrapped = before.wrap(dek()).await.unwrap();
    let contacts = machine.path().join("state/contacts.json");
    until(|| contacts.exists()).await;
    stop(before, &machine).await;
    root.set(Mood::Silent);

    let after = machine.start(&[("r", &root)]);
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    until(|| root.count("version") > 2).await;
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    assert!(matches!(after.phase(), Phase::Starting(_)));
    assert!(after.wrap(dek()).await.is_err());
    let error = after.unwrap(&wrapped).await.unwrap_err();
    assert!(error.to_string().contains("told to be silent"), "{error}");
    tokio::time::sleep(GRACE).await;
    assert!(after.key_id().is_err());
    stop(after, &machine).await;

    machine.grace = Duration::ZERO;
    let strict = machine.start(&[("r", &root)]);
    assert!(strict.key_id().is_err());
    drop(strict);
    until(|| StateDir::open(&machine.path().join("state")).is_ok()).await;

    root.set(Mood::Well);
    machine.grace = GRACE;
    let healed = machine.ready(&[("r", &root)]).await;
    opens(&healed, &wrapped).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn sealed_copies_start_a_machine_while_all_are_silent() {
    let root = Puppet::new(1);
    let mut machine = Machine::new();
    machine.copies = Some([9; 32]);
    let before = machine.ready(&[("r", &root)]).await;
    let wrapped = before.wrap(dek()).await.unwrap();
    let contacts = machine.path().join("state/contacts.json");
    until(|| contacts.exists()).await;
    stop(before, &machine).await;
    root.set(Mood::Silent);

    let after = machine.ready(&[("r", &root)]).await;
    assert!(matches!(after.phase(), Phase::Degraded { .. }));
    opens(&after, &wrapped).await.unwrap();
    assert_eq!(after.key_id().unwrap(), wrapped.key_id);
    stop(after, &machine).await;

    machine.copies = Some([8; 32]);
    let other_key = machine.start(&[("r", &root)]);
    until(|| root.count("version") > 2).await;
    assert!(matches!(other_key.phase(), Phase::Starting(_)));
    drop(other_key);
    until(|| StateDir::open(&machine.path().join("state")).is_ok()).await;

    machine.copies = Some([9; 32]);
    machine.grace = Duration::ZERO;
    let strict = machine.start(&[("r", &root)]);
    assert!(!matches!(
        strict.phase(),
        Phase::Degraded { .. } | Phase::Serving
    ));
}

#[tokio::test(start_paused = true)]
async fn a_root_more_makes_the_id_another_and_a_missing_one_joins_later() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let machine = Machine::new();
    let alone = machine.ready(&[("one", &one)]).await;
    let old = alone.wrap(dek()).await.unwrap();
    stop(alone, &machine).await;

    two.set(Mood::Silent);
    let both = machine.ready(&[("one", &one), ("two", &two)]).await;
    assert_eq!(
        both.key_id().unwrap(),
        old.key_id,
        "nothing new has wrapped"
    );
    two.set(Mood::Well);
    until(|| both.key_id().unwrap() != old.key_id).await;
    let covered = both.wrap(dek()).await.unwrap();
    assert_eq!(both.current().unwrap().versions().count(), 2);
    opens(&both, &old).await.unwrap();
    assert_eq!(one.count("wrap"), 1, "it is the same local KEK");

    // Any one of the two opens it elsewhere.
    for mute in [&one, &two] {
        mute.set(Mood::Silent);
        let elsewhere = Machine::new();
        let node = elsewhere.ready(&[("one", &one), ("two", &two)]).await;
        opens(&node, &covered).await.unwrap();
        mute.set(Mood::Well);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quorum_that_is_not_met_makes_no_local_kek() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    two.set(Mood::Silent);
    let mut machine = Machine::new();
    machine.quorum = 2;
    let under_roots = machine.start(&[("one", &one), ("two", &two)]);
    until(|| two.count("version") > 2).await;
    assert!(matches!(
        under_roots.key_id(),
        Err(Unavailable::Starting(_))
    ));
    two.set(Mood::Well);
    under_roots.ready().await;
    assert_eq!(under_roots.current().unwrap().versions().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_root_that_is_not_to_wrap_any_more_is_left_out() {
    let (one, two) = (Puppet::new(1), Puppet::new(2));
    let machine = Machine::new();
    let both = machine.ready(&[("one", &one), ("two", &two)]).await;
    until(|| both.current().unwrap().versions().count() == 2).await;
    let old = both.wrap(dek()).await.unwrap();
    stop(both, &machine).await;
    let moved = machine.start(&[("two", &two)]);
    until(|| {
        moved
            .current()
            .is_some_and(|envelope| envelope.versions().count() == 1)
    })
    .await;
    assert_ne!(moved.key_id().unwrap(), old.key_id);
    opens(&moved, &old).await.unwrap();
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
