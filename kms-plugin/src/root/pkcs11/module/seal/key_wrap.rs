//! AES key wrap (`CKM_AES_KEY_WRAP`, RFC 3394).

use cryptoki::{
    error::Error,
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass},
};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{KEK_LEN, Seal};

const HASH_LEN: usize = 32;
/// AES key wrap makes the same of the same: these make each wrap another.
const SALT_LEN: usize = 16;
const VALUE_LEN: usize = SALT_LEN + KEK_LEN + HASH_LEN;
/// RFC 3394 adds one block of 64 bits.
const WRAPPED_LEN: usize = VALUE_LEN + 8;

impl Seal<'_> {
    pub(super) fn wrap_key(&self, kek: &[u8; KEK_LEN], bound: &[u8]) -> Result<Vec<u8>, Error> {
        let mut value = Zeroizing::new([0; VALUE_LEN]);
        let (salt, rest) = value.split_at_mut(SALT_LEN);
        getrandom::fill(salt).map_err(|_| Error::InvalidValue)?;
        rest[..KEK_LEN].copy_from_slice(kek);
        rest[KEK_LEN..].copy_from_slice(&Sha256::digest(bound));
        let mut template = session_key();
        template.push(Attribute::Value(value.to_vec()));
        let object = self.session.create_object(&template);
        if let Some(Attribute::Value(value)) = template.last_mut() {
            value.zeroize();
        }
        let object = object?;
        let wrapped = self
            .session
            .wrap_key(&Mechanism::AesKeyWrap, self.key, object);
        self.session.destroy_object(object)?;
        wrapped
    }

    pub(super) fn unwrap_key(
        &self,
        body: &[u8],
        bound: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        if body.len() != WRAPPED_LEN {
            return Ok(None);
        }
        let object =
            self.session
                .unwrap_key(&Mechanism::AesKeyWrap, self.key, body, &session_key())?;
        let value = self.session.get_attributes(object, &[AttributeType::Value]);
        self.session.destroy_object(object)?;
        let Some(Attribute::Value(value)) = value?.pop() else {
            return Err(Error::InvalidValue);
        };
        let value = Zeroizing::new(value);
        let hash = Sha256::digest(bound);
        Ok(match value.get(SALT_LEN..) {
            Some(rest) if rest.len() == KEK_LEN + HASH_LEN && rest[KEK_LEN..] == *hash => {
                Some(Zeroizing::new(rest[..KEK_LEN].to_vec()))
            }
            _ => None,
        })
    }
}

/// An object of the session that lets its value be read, and is gone with the session.
fn session_key() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::GENERIC_SECRET),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}
