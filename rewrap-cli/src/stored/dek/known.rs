use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{DekRef, DekSources, DekView, KmsName, Known, ReadDek, UnwrapError, write::ending};

/// What was unwrapped so far, failures included.
#[derive(Default)]
pub struct KnownDeks {
    outcomes: Vec<Outcome>,
    /// Where in `outcomes`, by ciphertext: wrapping is randomised, so nearly every one is alone in
    /// its list, and a value's is looked up without a copy.
    places: HashMap<Box<[u8]>, Vec<usize>>,
    /// Where the last one was found: most values have the DEK source of their neighbour.
    last: AtomicUsize,
}

struct Outcome {
    reference: Arc<DekRef>,
    unwrapped: Result<ReadDek, UnwrapError>,
    /// What its values end with; KMS v1 has no endings.
    ending: Option<Box<[u8]>>,
}

impl KnownDeks {
    /// Remembers what became of a DEK source; gives back whether nothing was known of it.
    pub fn insert(&mut self, dek: DekRef, unwrapped: Result<ReadDek, UnwrapError>) -> bool {
        let places = self.places.entry(dek.ciphertext().into()).or_default();
        let same = |place: &&usize| *self.outcomes[**place].reference == dek;
        if let Some(place) = places.iter().find(same) {
            self.outcomes[*place].unwrapped = unwrapped;
            return false;
        }
        places.push(self.outcomes.len());
        self.outcomes.push(Outcome {
            ending: match &dek {
                DekRef::V1 { .. } => None,
                DekRef::V2 { kind, source, .. } => Some(ending(source, *kind)),
            },
            reference: Arc::new(dek),
            unwrapped,
        });
        true
    }

    /// Forgets the failures: what failed once may work now.
    pub fn forget_failures(&mut self) {
        for outcome in std::mem::take(self).outcomes {
            if outcome.unwrapped.is_ok() {
                self.insert(Arc::unwrap_or_clone(outcome.reference), outcome.unwrapped);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
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
}
