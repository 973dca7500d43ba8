use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::{DekRef, DekSources, DekView, KmsName, Known, ReadDek, UnwrapError, write::ending};

/// What was unwrapped lately, failures included: at most [`Self::LIMIT`] DEK sources. What was not
/// looked up for longest makes room, and is wiped.
#[derive(Default)]
pub struct KnownDeks {
    outcomes: Vec<Outcome>,
    /// Where in `outcomes`, by ciphertext: wrapping is randomised, so nearly every one is alone in
    /// its list, and a value's is looked up without a copy.
    places: HashMap<Box<[u8]>, Vec<usize>>,
    /// Where the last one was found: most values have the DEK source of their neighbour.
    last: AtomicUsize,
    /// Counts the times that one was found or came.
    clock: AtomicU64,
}

struct Outcome {
    reference: Arc<DekRef>,
    unwrapped: Result<ReadDek, UnwrapError>,
    /// What its values end with; KMS v1 has no endings.
    ending: Option<Box<[u8]>>,
    /// When it was last found, by the clock.
    used: AtomicU64,
}

impl KnownDeks {
    /// Far more DEK sources than a cluster on KMS v2 has; only KMS v1, with one for every object, gets
    /// there.
    pub const LIMIT: usize = 2048;

    /// Remembers what became of a DEK source; gives back whether nothing was known of it.
    pub fn insert(&mut self, dek: DekRef, unwrapped: Result<ReadDek, UnwrapError>) -> bool {
        let places = self.places.get(dek.ciphertext());
        let same = |place: &&usize| *self.outcomes[**place].reference == dek;
        if let Some(place) = places.into_iter().flatten().find(same) {
            self.outcomes[*place].unwrapped = unwrapped;
            return false;
        }
        let outcome = Outcome {
            ending: match &dek {
                DekRef::V1 { .. } => None,
                DekRef::V2 { kind, source, .. } => Some(ending(source, *kind)),
            },
            reference: Arc::new(dek),
            unwrapped,
            used: self.tick().into(),
        };
        let place = if self.outcomes.len() < Self::LIMIT {
            self.outcomes.len()
        } else {
            self.make_room()
        };
        let ciphertext = outcome.reference.ciphertext().into();
        self.places.entry(ciphertext).or_default().push(place);
        if place == self.outcomes.len() {
            self.outcomes.push(outcome);
        } else {
            self.outcomes[place] = outcome;
        }
        true
    }

    /// The place of the one that was not used for longest, which is not found any more. To look at all
    /// costs little beside the call that unwrapped what is to come here.
    fn make_room(&mut self) -> usize {
        let used = |outcome: &Outcome| outcome.used.load(Ordering::Relaxed);
        let oldest = self.outcomes.iter().enumerate();
        let oldest = oldest.min_by_key(|(_, outcome)| used(outcome));
        let place = oldest.map_or(0, |(place, _)| place);
        let ciphertext = self.outcomes[place].reference.ciphertext();
        if let Some(places) = self.places.get_mut(ciphertext) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.places.remove(ciphertext);
            }
        }
        place
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Forgets the failures: what failed once may work now.
    pub fn forget_failures(&mut self) {
        for outcome in std::mem::take(self).outcomes {
            if outcome.unwrapped.is_ok() {
                self.insert(Arc::unwrap_or_clone(outcome.reference), outcome.unwrapped);
            }
        }
    }

    /// How many DEK sources are known.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

impl Outcome {
    fn known(&self) -> Result<Known<'_>, &UnwrapError> {
        self.unwrapped.as_ref().map(|dek| Known {
            reference: &self.reference,
            dek,
        })
    }
}

impl DekSources for KnownDeks {
    fn get(&self, dek: &DekView<'_>) -> Option<Result<Known<'_>, &UnwrapError>> {
        let places = self.places.get(dek.ciphertext())?;
        let same = |place: &&usize| dek.is(&self.outcomes[**place].reference);
        let place = *places.iter().find(same)?;
        self.last.store(place, Ordering::Relaxed);
        let used = &self.outcomes[place].used;
        used.store(self.tick(), Ordering::Relaxed);
        Some(self.outcomes[place].known())
    }

    fn by_ending(&self, provider: &KmsName, ending: &[u8]) -> Option<Known<'_>> {
        let last = self.outcomes.get(self.last.load(Ordering::Relaxed))?;
        let same = last.reference.provider() == provider && last.ending.as_deref() == Some(ending);
        last.known().ok().filter(|_| same)
    }
}

impl fmt::Debug for KnownDeks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownDeks")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use kms_proto::{DekSource, DekSourceType, EncryptedDekSource, EncryptedObject};

    use super::*;

    fn source() -> Result<ReadDek, UnwrapError> {
        Ok(ReadDek::new(DekSource::new(vec![7; 32])))
    }

    #[test]
    fn the_same_bytes_of_two_providers_are_two_sources() {
        let [one, two] = ["one", "two"].map(KmsName::from);
        let mut known = KnownDeks::default();
        assert!(known.insert(DekRef::v1(&one, b"c"), source()));
        let view = |provider| DekView::V1 {
            provider,
            cipher: b"c",
        };
        assert!(known.get(&view(&one)).is_some());
        assert!(known.get(&view(&two)).is_none());
        assert!(known.insert(DekRef::v1(&two, b"c"), source()));
        assert!(!known.insert(DekRef::v1(&two, b"c"), source()));
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn a_value_that_ends_like_the_last_one_is_known_by_its_ending() {
        let provider = KmsName::from("one");
        let kind = DekSourceType::HkdfSha256XnonceAesGcmSeed;
        let encoded = |ciphertext: &[u8]| {
            let source =
                EncryptedDekSource::from_wire(ciphertext.to_vec(), "1", [("a.b".into(), vec![1])])
                    .unwrap();
            let mut bytes = Vec::new();
            EncryptedObject::new(b"data", (&source).into(), kind)
                .unwrap()
                .encode(&mut bytes);
            bytes
        };
        let mut known = KnownDeks::default();
        let values = [encoded(b"c"), encoded(b"d")];
        let views = values
            .each_ref()
            .map(|value| DekView::v2(&provider, EncryptedObject::decode(value).unwrap()));
        for view in &views {
            known.insert(view.to_ref(), source());
        }
        let endings = values
            .each_ref()
            .map(|value| EncryptedObject::split(value).unwrap().1);
        for (view, ending) in views.iter().zip(endings) {
            known.get(view).unwrap().unwrap();
            for other in endings {
                let found = known.by_ending(&provider, other);
                assert_eq!(found.is_some(), other == ending);
                assert!(found.is_none_or(|found| view.is(found.reference)));
            }
            assert!(known.by_ending(&KmsName::from("two"), ending).is_none());
            assert!(known.by_ending(&provider, b"").is_none());
        }
    }

    #[test]
    fn failures_are_known_until_they_are_forgotten() {
        let provider = KmsName::from("one");
        let view = DekView::V1 {
            provider: &provider,
            cipher: b"c",
        };
        let mut known = KnownDeks::default();
        let failure = UnwrapError::new(&fmt::Error);
        known.insert(DekRef::v1(&provider, b"c"), Err(failure));
        assert!(matches!(known.get(&view), Some(Err(_))));
        known.forget_failures();
        assert!(known.get(&view).is_none() && known.is_empty());
    }

    #[test]
    fn what_was_not_looked_up_for_longest_makes_room() {
        let provider = KmsName::from("one");
        let name = |number: usize| number.to_be_bytes();
        let mut known = KnownDeks::default();
        let is_known = |known: &KnownDeks, number| {
            let cipher = name(number);
            let provider = &provider;
            let view = DekView::V1 {
                provider,
                cipher: &cipher,
            };
            known.get(&view).is_some()
        };
        for number in 0..KnownDeks::LIMIT {
            known.insert(DekRef::v1(&provider, &name(number)), source());
        }
        assert!(is_known(&known, 0));
        for number in 0..10 {
            let number = KnownDeks::LIMIT + number;
            assert!(known.insert(DekRef::v1(&provider, &name(number)), source()));
        }
        assert_eq!(known.len(), KnownDeks::LIMIT);
        assert_eq!(known.places.len(), KnownDeks::LIMIT);
        assert!(is_known(&known, 0));
        for number in 1..=10 {
            assert!(!is_known(&known, number), "{number}");
        }
        for number in 11..KnownDeks::LIMIT + 10 {
            assert!(is_known(&known, number), "{number}");
        }
    }
}
