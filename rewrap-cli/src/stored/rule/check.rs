use super::{CurrentKeys, Rule};
use crate::stored::dek::{DekSources, DekView, Known, Step, UnwrapError, WriteDek};

impl Rule {
    /// Whether a value that was just sealed opens to what was sealed: the last look before it takes
    /// the place of the old one. `dek` is what it was sealed with.
    pub fn opens_to(
        &self,
        path: &[u8],
        value: &[u8],
        plaintext: &[u8],
        dek: Option<&WriteDek>,
    ) -> bool {
        match self.open(path, value, &CurrentKeys::default(), &OwnDek(dek)) {
            Step::Done(Ok(opened)) => opened.plaintext.expose() == plaintext,
            Step::Done(Err(_)) | Step::Need(_) => false,
        }
    }
}

/// Knows the DEK source that we write with, and no other.
struct OwnDek<'a>(Option<&'a WriteDek>);

impl DekSources for OwnDek<'_> {
    fn get(&self, dek: &DekView<'_>) -> Option<Result<Known<'_>, &UnwrapError>> {
        let own = self.0.filter(|own| dek.is(own.reference()))?;
        Some(Ok(own.known()))
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::stored::{NamedKey, Provider};

    #[test]
    fn only_the_sealed_object_passes() {
        let key = NamedKey::new("a", Zeroizing::new(vec![7; 32]));
        let rule = Rule::new(Provider::AesGcm(vec![key]), []);
        let value = rule.seal(b"/registry/secrets/a/b", b"one", None).unwrap();
        assert!(rule.opens_to(b"/registry/secrets/a/b", &value, b"one", None));
        assert!(!rule.opens_to(b"/registry/secrets/a/b", &value, b"two", None));
        assert!(!rule.opens_to(b"/registry/secrets/a/c", &value, b"one", None));
    }
}
